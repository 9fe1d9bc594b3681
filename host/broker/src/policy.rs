//! Who may do what: one pure function of the manifest, the grant and the operation.

use hearth_base::{Capability, Grant, GuestError, Manifest, Weights};

/// What an operation reaches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access<'a> {
    /// The plugin's own words and values it already holds.
    Own,
    /// Documents of a slot.
    Slot(&'a str),
    /// A search in a slot.
    SearchSlot(&'a str),
    /// A dialog in which the user picks documents.
    Pick,
    /// A document that came by one of these ways, or from the user's hand.
    Document,
    /// The plugin's folder of results.
    Save,
    /// The model.
    Model(Weights),
    /// A panel.
    Panel(&'a str),
    /// The plugin's storage.
    Storage,
    /// Learning a choice.
    RevealChoice,
    /// Learning a text.
    RevealText,
}

/// Whether an operation goes ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It does.
    Allow,
    /// It does not.
    Deny(Denial),
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The manifest does not ask for it, or the user has not allowed it.
    Power(Capability),
    /// The manifest has no such slot.
    UnknownSlot,
    /// The manifest has no such panel.
    UnknownPanel,
}

impl From<Denial> for GuestError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Power(power) => Self::Denied(power),
            Denial::UnknownSlot => Self::Invalid("the manifest has no such slot".into()),
            Denial::UnknownPanel => Self::Invalid("the manifest has no such panel".into()),
        }
    }
}

/// Decides. What is not both in the manifest and in the grant is denied.
pub(crate) fn decide(manifest: &Manifest, grant: &Grant, access: Access<'_>) -> Verdict {
    let requested = manifest.requested();
    let power = |power: Capability| {
        if requested.contains(&power) && grant.allows(power) {
            Verdict::Allow
        } else {
            Verdict::Deny(Denial::Power(power))
        }
    };
    let slot = |slot: &str, needed: Capability| {
        if !manifest.slots.iter().any(|s| s.id == slot) {
            return Verdict::Deny(Denial::UnknownSlot);
        }
        match power(needed) {
            Verdict::Allow if !grant.slots.contains_key(slot) => {
                Verdict::Deny(Denial::Power(Capability::DocumentsRead))
            }
            verdict => verdict,
        }
    };
    match access {
        Access::Own => Verdict::Allow,
        Access::Slot(id) => slot(id, Capability::DocumentsRead),
        Access::SearchSlot(id) => slot(id, Capability::DocumentsSearch),
        Access::Pick if !manifest.capabilities.pick => {
            Verdict::Deny(Denial::Power(Capability::DocumentsRead))
        }
        Access::Pick | Access::Document => power(Capability::DocumentsRead),
        Access::Save => power(Capability::DocumentsSave),
        Access::Model(Weights::Base) => power(Capability::Model),
        Access::Model(Weights::Personal) => power(Capability::PersonalModel),
        // Drawing its own panels needs no grant; that the manifest names them does.
        Access::Panel(id) if manifest.panels.iter().any(|p| p.id == id) => Verdict::Allow,
        Access::Panel(_) => Verdict::Deny(Denial::UnknownPanel),
        Access::Storage => power(Capability::Storage),
        Access::RevealChoice => power(Capability::RevealChoice),
        Access::RevealText => power(Capability::RevealText),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use Capability::{
        DocumentsRead, DocumentsSave, DocumentsSearch, Model, PersonalModel, RevealChoice,
        RevealText, Storage,
    };

    const EVERYTHING: &str = r#"
        id = "org.example.all"
        name = "All"
        version = "1.0.0"
        api = "0.1"
        panels = [{ id = "main", title = "Main" }]
        slots = [{ id = "inbox", kind = "mail", why = "to read" }, { id = "notes", kind = "note", why = "too" }]
        capabilities = { model = true, personal-model = true, pick = true, search = true, save = true, storage-kib = 1 }
        declassify = { choice-bits-per-day = 1, text = true }
    "#;
    const NOTHING: &str = "id = \"org.example.none\"\nname = \"None\"\nversion = \"1.0.0\"\napi = \"0.1\"\n\
        panels = [{ id = \"main\", title = \"Main\" }]\nslots = []\n";

    fn manifest(text: &str) -> Manifest {
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn everything_granted() -> Grant {
        Grant {
            choice_bits_per_day: 32,
            capabilities: manifest(EVERYTHING).requested(),
            slots: [("inbox".to_owned(), BTreeSet::new())].into(),
            epoch: 1,
        }
    }

    /// Each operation, the power it needs, and what it comes to with everything asked for and granted.
    fn table() -> Vec<(Access<'static>, Option<Capability>, Verdict)> {
        use Verdict::Allow;
        vec![
            (Access::Own, None, Allow),
            (Access::Slot("inbox"), Some(DocumentsRead), Allow),
            (Access::SearchSlot("inbox"), Some(DocumentsSearch), Allow),
            (Access::Pick, Some(DocumentsRead), Allow),
            (Access::Document, Some(DocumentsRead), Allow),
            (Access::Save, Some(DocumentsSave), Allow),
            (Access::Model(Weights::Base), Some(Model), Allow),
            (Access::Model(Weights::Personal), Some(PersonalModel), Allow),
            (Access::Panel("main"), None, Allow),
            (Access::Storage, Some(Storage), Allow),
            (Access::RevealChoice, Some(RevealChoice), Allow),
            (Access::RevealText, Some(RevealText), Allow),
        ]
    }

    #[test]
    fn what_is_asked_for_and_granted_goes_ahead() {
        for (access, _, verdict) in table() {
            assert_eq!(decide(&manifest(EVERYTHING), &everything_granted(), access), verdict);
        }
    }

    #[test]
    fn without_the_grant_or_the_manifest_each_is_denied() {
        for (access, needed, _) in table() {
            let Some(needed) = needed else { continue };
            let mut grant = everything_granted();
            grant.capabilities.remove(&needed);
            let denied = Verdict::Deny(Denial::Power(needed));
            assert_eq!(decide(&manifest(EVERYTHING), &grant, access), denied, "{access:?}");
            assert_eq!(decide(&manifest(EVERYTHING), &Grant::default(), access), denied);
            let verdict = decide(&manifest(NOTHING), &everything_granted(), access);
            match access {
                Access::Slot(_) | Access::SearchSlot(_) => {
                    assert_eq!(verdict, Verdict::Deny(Denial::UnknownSlot));
                }
                _ => assert_eq!(verdict, denied, "{access:?}"),
            }
        }
    }

    #[test]
    fn a_slot_needs_folders_chosen_by_the_user() {
        let denied = Verdict::Deny(Denial::Power(DocumentsRead));
        for access in [Access::Slot("notes"), Access::SearchSlot("notes")] {
            assert_eq!(decide(&manifest(EVERYTHING), &everything_granted(), access), denied);
        }
        let unknown = Verdict::Deny(Denial::UnknownSlot);
        assert_eq!(
            decide(&manifest(EVERYTHING), &everything_granted(), Access::Slot("x")),
            unknown
        );
    }

    #[test]
    fn panels_are_those_of_the_manifest() {
        let verdict = decide(&manifest(NOTHING), &Grant::default(), Access::Panel("main"));
        assert_eq!(verdict, Verdict::Allow);
        let verdict = decide(&manifest(EVERYTHING), &everything_granted(), Access::Panel("other"));
        assert_eq!(verdict, Verdict::Deny(Denial::UnknownPanel));
    }
}
