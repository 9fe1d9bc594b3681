//! Reading documents, and saving new ones.

use std::sync::Arc;

use hearth_base::{DocumentId, FolderId, Label, Origin, PluginId, SlotKind, Sort};
use hearth_vault::{Document, DocumentHead, DocumentKind, DocumentQuery, NewSaved, Order, Vault};

use crate::{
    audit,
    permit::{Operation, Permit},
    policy::Access,
    scope::Scope,
    values::Fault,
};

/// The first documents of a slot.
pub(crate) struct ListSlot {
    pub(crate) slot: String,
    pub(crate) order: Sort,
    pub(crate) limit: u16,
}

impl Operation for ListSlot {
    fn access(&self) -> Access<'_> {
        Access::Slot(&self.slot)
    }
    fn line(&self) -> Option<String> {
        Some(format!("listed documents of slot {}", self.slot))
    }
}

/// Documents of a slot that match.
pub(crate) struct SearchSlot {
    pub(crate) slot: String,
    pub(crate) query: Arc<str>,
    pub(crate) limit: u16,
}

impl Operation for SearchSlot {
    fn access(&self) -> Access<'_> {
        Access::SearchSlot(&self.slot)
    }
    fn line(&self) -> Option<String> {
        Some(format!("searched slot {}", self.slot))
    }
}

/// The dialog in which the user picks documents.
pub(crate) struct Pick;

impl Operation for Pick {
    fn access(&self) -> Access<'_> {
        Access::Pick
    }
    fn line(&self) -> Option<String> {
        Some("asked the user to pick documents".into())
    }
}

/// A document that was listed, found, picked or in focus.
pub(crate) struct ReadDocument(pub(crate) DocumentId);

impl Operation for ReadDocument {
    fn access(&self) -> Access<'_> {
        Access::Document
    }
    fn line(&self) -> Option<String> {
        Some(format!("read document {}", self.0))
    }
}

/// A new document in the plugin's own folder.
pub(crate) struct SaveDocument {
    pub(crate) title: Arc<str>,
    pub(crate) body: Arc<str>,
    pub(crate) label: Label,
}

impl Operation for SaveDocument {
    fn access(&self) -> Access<'_> {
        Access::Save
    }
    fn line(&self) -> Option<String> {
        Some("saved a document".into())
    }
}

/// What a slot gave, and all that it was chosen from.
pub(crate) struct Listing {
    pub(crate) documents: Vec<DocumentId>,
    pub(crate) whole: Label,
}

/// Lists a slot.
pub(crate) fn list(vault: &Vault, permit: Permit<ListSlot>) -> Result<Listing, Fault> {
    let (ListSlot { slot, order, limit }, scope) = permit.redeem();
    let order = match order {
        Sort::Newest => Order::Newest,
        Sort::Oldest => Order::Oldest,
        Sort::Relevance => Order::Relevance,
    };
    let query = DocumentQuery { order, limit: limit.into(), ..Default::default() };
    let (query, kind) = within(&scope, &slot, query);
    let found = vault.documents(&query)?;
    Ok(Listing { documents: ids(&found.heads), whole: whole(vault, &query, kind)? })
}

/// Searches a slot. Nothing outside it is looked at, so that neither results nor ranks depend on more.
pub(crate) fn search(vault: &Vault, permit: Permit<SearchSlot>) -> Result<Listing, Fault> {
    let (SearchSlot { slot, query: text, limit }, scope) = permit.redeem();
    let order = Order::Relevance;
    let text = text.to_string();
    let query = DocumentQuery { text, order, limit: limit.into(), ..Default::default() };
    let (query, kind) = within(&scope, &slot, query);
    let found = vault.documents_with_any(&query)?;
    Ok(Listing { documents: ids(&found.heads), whole: whole(vault, &query, kind)? })
}

/// All documents of a slot, the newest first.
pub(super) fn all_of_slot(
    vault: &Vault,
    scope: &Scope,
    slot: &str,
) -> Result<(Vec<DocumentHead>, Label), Fault> {
    let all = DocumentQuery { order: Order::Newest, limit: u32::MAX, ..Default::default() };
    let (query, kind) = within(scope, slot, all);
    let heads = vault.documents(&query)?.heads;
    Ok((heads, whole(vault, &query, kind)?))
}

/// Reads a document.
pub(crate) fn read(vault: &Vault, permit: Permit<ReadDocument>) -> Result<Document, Fault> {
    let (ReadDocument(id), _scope) = permit.redeem();
    vault.document(id)?.ok_or(Fault::Missing)
}

/// Saves a document as the plugin's, with the label of what it was made from.
pub(crate) fn save(vault: &Vault, permit: Permit<SaveDocument>) -> Result<DocumentId, Fault> {
    let (SaveDocument { title, body, label }, scope) = permit.redeem();
    Ok(vault.save_document(&saved(&scope.plugin, &title, &body, label))?)
}

/// Saves a shown value by the user's own gesture, which needs no permit of the plugin's.
pub(crate) fn save_by_user(
    vault: &Vault,
    scope: &Scope,
    title: &str,
    (body, label): (&str, Label),
) -> Result<DocumentId, Fault> {
    vault.audit(&audit::row(scope, "the user saved a value it made".into(), true))?;
    Ok(vault.save_document(&saved(&scope.plugin, title, body, label))?)
}

/// Whoever wrote the words that went in, the plugin had a hand in what came out.
fn saved(plugin: &PluginId, title: &str, body: &str, mut label: Label) -> NewSaved {
    label.origins.insert(Origin::Plugin(plugin.clone()));
    NewSaved { plugin: plugin.clone(), title: title.to_owned(), body: body.to_owned(), label }
}

/// A query within a slot, and the kind of the slot's documents.
fn within(
    scope: &Scope,
    slot: &str,
    query: DocumentQuery,
) -> (DocumentQuery, Option<DocumentKind>) {
    let kind = match scope.manifest.slots.iter().find(|s| s.id == slot).map(|s| s.kind) {
        Some(SlotKind::Mail) => Some(DocumentKind::Mail),
        Some(SlotKind::Note) => Some(DocumentKind::Note),
        Some(SlotKind::Code) => Some(DocumentKind::Code),
        Some(SlotKind::Any) | None => None,
    };
    let folders: Vec<FolderId> =
        scope.grant.slots.get(slot).into_iter().flatten().copied().collect();
    (DocumentQuery { folders: Some(folders), kind, ..query }, kind)
}

/// All that a query chose from. Asked for after it: what is imported in between is in the label for nothing, which does no
/// harm.
fn whole(vault: &Vault, query: &DocumentQuery, kind: Option<DocumentKind>) -> Result<Label, Fault> {
    Ok(vault.label_of(query.folders.as_deref().unwrap_or_default(), kind)?)
}

fn ids(heads: &[DocumentHead]) -> Vec<DocumentId> {
    heads.iter().map(|head| head.id).collect()
}
