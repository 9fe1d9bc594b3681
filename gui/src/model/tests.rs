//! The model on made-up views.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::types::{Folder, VaultState};
use hearth_session::{AuditRow, Grant, InstallVerdict, ProvenanceView, SignatureView};

const MANIFEST: &str = r#"
id = "org.example.digest"
name = "Digest"
version = "1.0.0"
api = "0.1"
commands = [{ id = "digest", title = "Digest the mail" }]
panels = [{ id = "digest", title = "Digest" }]
slots = [{ id = "inbox", kind = "mail", why = "to digest it" }]
capabilities = { model = true, save = true }
"#;

fn plugin() -> PluginView {
    let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
    PluginView {
        id: manifest.id.clone(),
        manifest: Arc::new(manifest),
        component: "/vault/plugins/x.wasm".into(),
        sealed: true,
        bundled: true,
        grant: None,
        suspended: None,
        running: None,
        progress: None,
        settings: BTreeMap::new(),
        standing: Default::default(),
        adapters: Vec::new(),
        provenance: ProvenanceView::default(),
    }
}

fn folder(id: i64, kind: DocumentKind) -> Folder {
    Folder { id: FolderId(id), name: format!("f{id}"), kind, documents: 3, plugin: None }
}

fn view(folders: Vec<Folder>, plugins: Vec<PluginView>) -> View {
    View {
        vault: VaultState::Open,
        folders: Arc::new(folders),
        plugins: Arc::new(plugins),
        ..View::default()
    }
}

fn inspection(plugin: &PluginView) -> PluginInspection {
    PluginInspection {
        manifest: Manifest::clone(&plugin.manifest),
        imports: vec!["hearth:plugin/panel@0.1.0".into()],
        sealed: true,
        component_hash: "00".into(),
        size_bytes: 1,
        path: plugin.component.clone(),
        replaces: Some("1.0.0".into()),
        judgement: Judgement {
            signature: SignatureView::Unsigned,
            lookalikes: Vec::new(),
            changes: Vec::new(),
            stored: Vec::new(),
            verdict: InstallVerdict::Same,
        },
    }
}

#[test]
fn the_lead_goes_from_import_to_grant_to_run_and_ends() {
    let mut digest = plugin();
    let mail = vec![folder(1, DocumentKind::Mail)];
    assert_eq!(next_step(&view(vec![], vec![digest.clone()])), Some(Lead::Import));
    // Nothing here for a plugin of mail.
    let notes = vec![folder(1, DocumentKind::Note)];
    assert_eq!(next_step(&view(notes, vec![digest.clone()])), None);
    let id = digest.id.clone();
    assert_eq!(next_step(&view(mail.clone(), vec![digest.clone()])), Some(Lead::Grant(id.clone())));
    digest.grant = Some(Grant::default());
    let mut granted = view(mail, vec![digest]);
    assert_eq!(next_step(&granted), Some(Lead::Run(id.clone(), "digest".into())));
    granted.activity = Arc::new(vec![AuditRow {
        at_secs: 0,
        plugin: Some(id),
        run: Some(RunId(1)),
        what: "ran".into(),
        allowed: true,
    }]);
    assert_eq!(next_step(&granted), None);
}

#[test]
fn a_slot_is_ticked_beforehand_only_where_there_is_no_choice() {
    let digest = plugin();
    let one = view(vec![folder(1, DocumentKind::Mail), folder(2, DocumentKind::Code)], vec![]);
    let consent = Consent::of_installed(&digest, inspection(&digest), &one);
    assert_eq!(consent.slots["inbox"], BTreeSet::from([FolderId(1)]));
    assert!(!consent.install);
    assert_eq!(consent.file.replaces, None);
    let two = view(vec![folder(1, DocumentKind::Mail), folder(2, DocumentKind::Mail)], vec![]);
    assert!(Consent::of_installed(&digest, inspection(&digest), &two).slots.is_empty());
    // A stranger's file gets no folder that the user has not ticked.
    let consent = Consent::of_file(inspection(&digest), &one);
    assert!(consent.slots.is_empty() && consent.install);
}

#[test]
fn what_was_granted_is_what_the_page_shows() {
    let mut digest = plugin();
    let grant = Grant {
        choice_bits_per_day: 0,
        capabilities: BTreeSet::from([Capability::Model]),
        slots: BTreeMap::from([("inbox".to_owned(), BTreeSet::from([FolderId(2)]))]),
        epoch: 3,
    };
    digest.grant = Some(grant.clone());
    digest.provenance.signature = SignatureView::Bundled;
    let all = view(vec![folder(1, DocumentKind::Mail)], vec![digest.clone()]);
    let consent = Consent::of_installed(&digest, inspection(&digest), &all);
    assert_eq!(consent.judgement.signature, SignatureView::Bundled);
    assert_eq!((consent.capabilities, consent.slots), (grant.capabilities, grant.slots));
}

#[test]
fn the_picker_asks_for_all_and_the_list_for_its_own() {
    let mut model = Model::new(TimeZone::UTC, None);
    model.library.folder = Some(FolderId(4));
    model.library.text = "honey".into();
    model.library.want_more();
    let query = model.wanted_query();
    assert_eq!(query.folders, Some(vec![FolderId(4)]));
    assert_eq!(query.order, Order::Relevance);
    assert!(query.limit > FIRST_PAGE);
    model.picker = Some(Picker::default());
    let query = model.wanted_query();
    assert_eq!((query.folders, query.order, query.limit), (None, Order::Newest, FIRST_PAGE));
}

#[test]
fn forgetting_leaves_nothing() {
    let mut model = Model::new(TimeZone::UTC, Some("/demo".into()));
    model.chat.draft = "private".into();
    model.library.text = "private".into();
    model.titles.insert(DocumentId(1), "private".into());
    model.unlock.passphrase.0.push_str("private");
    model.forget();
    assert!(model.chat.draft.is_empty() && model.library.text.is_empty());
    assert!(model.titles.is_empty() && model.unlock.passphrase.0.is_empty());
    assert_eq!(model.demo.as_deref(), Some(std::path::Path::new("/demo")));
}

#[test]
fn a_secret_is_handed_over_once() {
    let mut secret = Secret::default();
    secret.0.push_str("kettle");
    assert_eq!(secret.take(), "kettle");
    assert_eq!(secret.take(), "");
}
