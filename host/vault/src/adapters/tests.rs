use std::ops::ControlFlow;

use hearth_base::{DocumentId, Source};

use super::*;
use crate::runs::tests::{begin, blobs_left, document, label_of};
use crate::{DocumentSelection, NewTurn, PluginRecord, Rating, RunState, Speaker};

fn keep(vault: &Vault, seen: &[DocumentId], run: Option<TuneRunId>) -> AdapterId {
    let new = NewAdapter {
        name: "Mine",
        base_name: "starter",
        base_hash: "b3",
        template_hash: "t0",
        config: "{\"r\":8}",
        weights: &[9; (1 << 20) + 1],
        label: label_of(seen),
        learnt_from: vec![],
        report: None,
        run,
    };
    vault.add_adapter(&new).unwrap()
}

fn stale(vault: &Vault) -> Vec<AdapterId> {
    vault.adapters().unwrap().iter().filter(|a| a.is_stale()).map(|a| a.id).collect()
}

#[test]
fn an_adapter_is_kept_and_changed_and_goes_with_its_bytes() {
    let vault = Vault::in_memory().unwrap();
    let seen = document(&vault, "x");
    let id = keep(&vault, &[seen], None);
    let file = vault.adapter_file(id).unwrap();
    assert!(file.config == "{\"r\":8}" && file.weights == [9; (1 << 20) + 1]);
    assert_eq!(vault.adapter_label(id).unwrap(), label_of(&[seen]));
    vault.rename_adapter(id, "Letters").unwrap();
    vault.set_adapter_report(id, "{\"before\":3}").unwrap();
    vault.set_adapter_live(id, true).unwrap();
    let record = vault.adapter(id).unwrap().unwrap();
    assert_eq!((record.name.as_str(), record.live), ("Letters", true));
    assert_eq!((record.bytes, record.report.as_deref()), ((1 << 20) + 1, Some("{\"before\":3}")));
    assert!(!record.is_stale());
    vault.remove_adapter(id).unwrap();
    assert_eq!(vault.adapter(id).unwrap(), None);
    assert_eq!(vault.adapter_file(id), Err(NO_ADAPTER));
    assert_eq!(vault.set_adapter_live(id, true), Err(NO_ADAPTER));
    assert_eq!(blobs_left(&vault), 0);
    let secure = |c: &Connection| c.pragma_query_value(None, "secure_delete", |row| row.get(0));
    assert_eq!(vault.read("test", secure), Ok(1i64), "what is deleted is overwritten");
}

#[test]
fn a_deleted_document_marks_the_adapters_that_saw_it_and_no_others() {
    let vault = Vault::in_memory().unwrap();
    let documents: Vec<_> = (0..4).map(|n| document(&vault, &n.to_string())).collect();
    let [a, b, c, unseen] = documents[..] else { panic!() };
    let one = keep(&vault, &[a, b], None);
    let two = keep(&vault, &[b, c], None);
    let three = keep(&vault, &[c], None);
    assert_eq!(vault.adapters_that_saw(LearntFrom::Document(b)).unwrap(), [one, two]);
    vault.delete_document(unseen).unwrap();
    assert!(stale(&vault).is_empty());
    vault.delete_document(a).unwrap();
    assert_eq!(stale(&vault), [one]);
    vault.delete_document(b).unwrap();
    assert_eq!(stale(&vault), [one, two]);
    assert_eq!(vault.adapter(one).unwrap().unwrap().sources_gone, 2);
    assert!(!vault.adapter(three).unwrap().unwrap().is_stale());
    assert!(vault.adapter_label(one).unwrap().documents().eq([a, b]), "the label never shrinks");
    let gone = (LearntFrom::Document(b), SourceChange::Gone);
    let there = (LearntFrom::Document(c), SourceChange::None);
    assert_eq!(vault.adapter_sources(two).unwrap(), [gone, there]);
    let folder = vault.folders().unwrap()[0].id;
    vault.delete_folder(folder).unwrap();
    assert_eq!(stale(&vault), [one, two, three]);
}

#[test]
fn a_file_imported_anew_marks_adapters_only_if_it_reads_otherwise() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("note.md");
    let vault = Vault::in_memory().unwrap();
    let import = |text: &str| {
        std::fs::write(&path, text).unwrap();
        vault.import(temp.path(), None, &mut |_| ControlFlow::Continue(())).unwrap();
    };
    import("# One\n\nFirst words.");
    let seen = vault.select_documents(&DocumentSelection::default()).unwrap();
    let id = keep(&vault, &seen, None);
    import("# One\n\nFirst words.");
    assert!(stale(&vault).is_empty());
    import("# One\n\nOther words.");
    assert_eq!(stale(&vault), [id]);
    let record = vault.adapter(id).unwrap().unwrap();
    assert_eq!((record.sources_changed, record.sources_gone), (1, 0));
    vault.delete_document(seen[0]).unwrap();
    let record = vault.adapter(id).unwrap().unwrap();
    assert_eq!((record.sources_changed, record.sources_gone), (0, 1));
}

#[test]
fn what_goes_while_a_run_is_under_way_makes_its_adapter_stale() {
    let vault = Vault::in_memory().unwrap();
    let (a, b) = (document(&vault, "a"), document(&vault, "b"));
    let run = begin(&vault, label_of(&[a, b]), vec![]);
    vault.delete_document(a).unwrap();
    let id = keep(&vault, &[], Some(run));
    assert_eq!(stale(&vault), [id]);
    let record = vault.adapter(id).unwrap().unwrap();
    assert_eq!((record.sources, record.sources_gone, record.run), (2, 1, Some(run)));
    let late = keep(&vault, &[a], None);
    assert_eq!(stale(&vault), [id, late], "what is named after it was deleted is gone, too");
    vault.set_run_state(run, RunState::Finished, None).unwrap();
    vault.remove_run(run).unwrap();
    let record = vault.adapter(id).unwrap().unwrap();
    assert_eq!((record.run, record.sources), (None, 2), "the adapter remembers without its run");
}

#[test]
fn talks_that_were_learnt_from_count_too() {
    let vault = Vault::in_memory().unwrap();
    let said = |speaker| NewTurn {
        speaker,
        text: "x".into(),
        attached: vec![],
        model: String::new(),
        stopped: false,
    };
    let learnt = |talk| {
        let new = NewAdapter {
            name: "Talk",
            base_name: "",
            base_hash: "",
            template_hash: "",
            config: "{}",
            weights: b"w",
            label: Label { sources: [Source::UserInput].into(), ..Label::public() },
            learnt_from: vec![LearntFrom::Conversation(talk)],
            report: None,
            run: None,
        };
        vault.add_adapter(&new).unwrap()
    };
    let (one, two) = (vault.new_conversation("1").unwrap(), vault.new_conversation("2").unwrap());
    let question = vault.add_turn(one, &said(Speaker::User)).unwrap();
    let answer = vault.add_turn(one, &said(Speaker::Assistant)).unwrap();
    vault.rate_turn(answer, Rating::Good).unwrap();
    assert_eq!(vault.turns(one).unwrap()[1].rating, Rating::Good);
    assert_eq!(vault.rated_conversations().unwrap(), [one]);
    let error = vault.rate_turn(question, Rating::Good);
    assert_eq!(error, Err(StoreError::NotFound { what: "answer" }));

    let (first, second) = (learnt(one), learnt(two));
    vault.add_turn(one, &said(Speaker::User)).unwrap();
    assert!(stale(&vault).is_empty(), "a talk that goes on is none the worse for it");
    vault.delete_turns_from(answer).unwrap();
    assert_eq!(vault.adapter(first).unwrap().unwrap().sources_changed, 1);
    vault.delete_conversation(one).unwrap();
    assert_eq!(vault.adapter(first).unwrap().unwrap().sources_gone, 1);
    assert_eq!(stale(&vault), [first]);
    vault.delete_conversation(two).unwrap();
    assert_eq!(stale(&vault), [first, second]);
}

#[test]
fn choices_are_kept_in_order_and_go_with_the_adapter() {
    let vault = Vault::in_memory().unwrap();
    let talk = vault.new_conversation("").unwrap();
    let plugin = PluginId::new("org.example.digest").unwrap();
    let record = PluginRecord {
        id: plugin.clone(),
        version: String::new(),
        manifest: String::new(),
        component_hash: String::new(),
        sealed: false,
        bundled: false,
        enabled: true,
        suspended: None,
        installed_secs: 0,
    };
    let one = keep(&vault, &[], None);
    let two = keep(&vault, &[], None);
    let [a, b] =
        [(two, 0.5), (one, 1.0)].map(|(adapter, strength)| AdapterChoice { adapter, strength });
    assert_eq!(
        vault.set_plugin_adapters(&plugin, &[a]),
        Err(StoreError::NotFound { what: "plugin" })
    );
    vault.put_plugin(&record).unwrap();
    vault.set_plugin_adapters(&plugin, &[a]).unwrap();
    vault.set_conversation_adapters(talk, &[a, b]).unwrap();
    assert_eq!(vault.conversation_adapters(talk).unwrap(), [a, b]);
    let nobody = AdapterChoice { adapter: AdapterId(99), strength: 1.0 };
    assert_eq!(vault.set_conversation_adapters(talk, &[nobody]), Err(NO_ADAPTER));
    assert_eq!(vault.conversation_adapters(talk).unwrap(), [a, b]);
    let elsewhere = vault.set_conversation_adapters(ConversationId(99), &[]);
    assert_eq!(elsewhere, Err(StoreError::NotFound { what: "conversation" }));

    vault.put_plugin(&record).unwrap();
    assert_eq!(vault.plugin_adapters(&plugin).unwrap(), [a]);
    let binding = crate::Binding {
        publisher: String::new(),
        highest_version: String::new(),
        highest_hash: String::new(),
    };
    let (record, provenance) = (&record, &crate::Provenance::default());
    let again = crate::Installation { record, provenance, binding: &binding };
    vault.replace_plugin(&again, |_, _| crate::Heritage::state()).unwrap();
    assert!(vault.plugin_adapters(&plugin).unwrap().is_empty(), "another's plugin starts without");
    vault.set_plugin_adapters(&plugin, &[a]).unwrap();
    vault.remove_adapter(two).unwrap();
    assert_eq!(vault.conversation_adapters(talk).unwrap(), [b]);
    assert!(vault.plugin_adapters(&plugin).unwrap().is_empty());
}

#[test]
fn a_retired_adapter_is_chosen_by_nobody() {
    let vault = Vault::in_memory().unwrap();
    let (one, two) = (keep(&vault, &[], None), keep(&vault, &[], None));
    vault.set_adapter_live(one, true).unwrap();
    let talk = vault.new_conversation("x").unwrap();
    let both = [one, two].map(|adapter| AdapterChoice { adapter, strength: 1.0 });
    vault.set_conversation_adapters(talk, &both).unwrap();
    assert_eq!(vault.conversations_with(one).unwrap(), [talk]);
    vault.retire_adapter(one).unwrap();
    assert_eq!(vault.conversation_adapters(talk).unwrap(), both[1..]);
    assert!(vault.conversations_with(one).unwrap().is_empty());
    assert!(!vault.adapter(one).unwrap().unwrap().live);
    vault.remove_adapter(one).unwrap();
    assert_eq!(vault.retire_adapter(one), Err(NO_ADAPTER));
}

#[test]
fn a_model_that_an_adapter_was_put_into_keeps_its_sources() {
    let vault = Vault::in_memory().unwrap();
    let [a, b] = ["a", "b"].map(|text| document(&vault, text));
    let (one, two) = (keep(&vault, &[a], None), keep(&vault, &[b], None));
    let path = |name: &str| std::path::PathBuf::from(format!("/models/{name}.gguf"));
    let first = vault.add_merged_model(&path("first"), "first", one, None).unwrap();
    let second = vault.add_merged_model(&path("second"), "second", two, Some(first)).unwrap();
    vault.remove_adapter(one).unwrap();
    vault.delete_document(a).unwrap();
    let of = |id| {
        let models = vault.models().unwrap();
        let model = models.into_iter().find(|model| model.id == id).unwrap();
        (model.sources, model.sources_changed, model.sources_gone, model.public)
    };
    assert_eq!(of(first), (1, 0, 1, false));
    assert_eq!(of(second), (2, 0, 1, false));
    let gone = vault.add_merged_model(&path("third"), "third", one, None);
    assert_eq!(gone, Err(NO_ADAPTER));
    assert_eq!(vault.models().unwrap().len(), 2);
}
