//! The main job, end to end: import, grant, summarise, save, explain, chat, lock, reopen.

use std::collections::{BTreeMap, BTreeSet};

use hearth_session::{
    Command, DocumentKind, DocumentQuery, ErrorKind, FakeBackend, PanelNode, PanelView, PluginId,
    Reply, SessionHandle, ValueState, ValueView, VaultState,
};
use hearth_tests::{demo_dir, passphrase, run, runtime_dir, start, wait_until};

fn plugin(name: &str) -> PluginId {
    PluginId::new(format!("org.hearth.{name}")).unwrap()
}

fn values(panel: &PanelView) -> Vec<&ValueView> {
    let mut values = Vec::new();
    for node in &panel.nodes {
        match node {
            PanelNode::Value(value) => values.push(value),
            PanelNode::Items(Some(items)) => values.extend(items),
            _ => {}
        }
    }
    values
}

/// Grants a plugin all it asks for, its slots on every folder of their kind.
fn grant_all(handle: &SessionHandle, id: &PluginId) {
    let view = handle.view();
    let installed = view.plugins.iter().find(|p| p.id == *id).expect("it came with Hearth");
    let slots: BTreeMap<_, _> = installed
        .manifest
        .slots
        .iter()
        .map(|slot| {
            let folders: BTreeSet<_> = view
                .folders
                .iter()
                .filter(|f| f.kind == DocumentKind::Mail)
                .map(|f| f.id)
                .collect();
            (slot.id.clone(), folders)
        })
        .collect();
    let capabilities = installed.manifest.requested();
    run(
        handle,
        Command::GrantPlugin { plugin: id.clone(), capabilities, slots, choice_bits_per_day: 0 },
    )
    .unwrap();
}

#[test]
fn mail_in_summaries_out_and_all_is_there_after_reopening() {
    let Some(runtime) = runtime_dir("main job") else { return };
    let dir = tempfile::tempdir().unwrap();
    let session = start(&dir.path().join("vault"), &runtime, FakeBackend::default()).unwrap();
    let handle = session.handle();

    run(&handle, Command::CreateVault(passphrase())).unwrap();
    wait_until(&handle, "bundled plugins", |view| view.plugins.len() == 2);
    wait_until(&handle, "the bundled model", |view| view.models.loaded.is_some());

    let demo = demo_dir();
    let mut imported = 0;
    for part in ["mail/inbox.mbox", "mail/archive", "notes", "code"] {
        let command = Command::Import { path: demo.join(part), name: None };
        let Reply::Imported(report) = run(&handle, command).unwrap() else { panic!("no report") };
        assert!(report.done > 0, "{part}: {report:?}");
        imported += report.done;
    }
    assert!(imported >= 70, "{imported}");

    // Without a grant it may not.
    let summariser = plugin("mail-summariser");
    let summarise = || Command::RunPlugin {
        plugin: summariser.clone(),
        command: "summarise".into(),
        focus: None,
        input: None,
    };
    let refused = run(&handle, summarise());
    assert!(
        refused.is_err() || handle.view().panels.iter().all(|p| values(p).is_empty()),
        "a plugin without a grant showed something: {refused:?}"
    );

    grant_all(&handle, &summariser);
    run(&handle, summarise()).unwrap();
    let view = handle.view();
    let panel = view.panels.iter().find(|p| p.key.plugin == summariser).expect("its panel");
    let summaries = values(panel);
    assert_eq!(summaries.len(), 10);
    assert!(summaries.iter().all(|s| s.state == ValueState::Done && !s.text.is_empty()));
    let (saved_value, saved_text) = (summaries[0].id, summaries[0].text.clone());
    let Reply::Saved(saved) = run(&handle, Command::SaveValue(saved_value)).unwrap() else {
        panic!("not saved")
    };

    // The code helper explains a file of the user's choice.
    let code = DocumentQuery { kind: Some(DocumentKind::Code), limit: 50, ..Default::default() };
    run(&handle, Command::Browse(code)).unwrap();
    let file = handle.view().library.heads.first().expect("a source file").id;
    let helper = plugin("code-helper");
    grant_all(&handle, &helper);
    run(
        &handle,
        Command::RunPlugin {
            plugin: helper.clone(),
            command: "explain".into(),
            focus: Some(file),
            input: None,
        },
    )
    .unwrap();
    let view = handle.view();
    let panel = view.panels.iter().find(|p| p.key.plugin == helper).expect("its panel");
    assert!(values(panel).iter().any(|v| v.text.contains("fake:")), "{panel:?}");

    let ask = Command::Ask {
        conversation: None,
        text: "What does this do?".into(),
        attached: vec![file],
    };
    let Reply::Answered { conversation, text, .. } = run(&handle, ask).unwrap() else {
        panic!("no answer")
    };
    assert!(!text.is_empty());

    // Locked, nothing is left to see; reopened, all is there.
    run(&handle, Command::Lock).unwrap();
    let view = handle.view();
    assert_eq!(view.vault, VaultState::Locked);
    assert!(view.folders.is_empty() && view.panels.is_empty() && view.conversation.is_none());
    let wrong = hearth_session::Passphrase::new("not this one".to_owned());
    assert_eq!(run(&handle, Command::Unlock(wrong)).unwrap_err().kind, ErrorKind::User);
    session.shutdown();

    let session = start(&dir.path().join("vault"), &runtime, FakeBackend::default()).unwrap();
    let handle = session.handle();
    run(&handle, Command::Unlock(passphrase())).unwrap();
    run(&handle, Command::OpenConversation(conversation)).unwrap();
    run(&handle, Command::OpenDocument(saved)).unwrap();
    let view = handle.view();
    assert_eq!(view.document.as_ref().expect("the saved summary").body, saved_text);
    let turns = &view.conversation.as_ref().expect("the conversation").turns;
    assert!(turns.iter().any(|t| t.text == text));
    assert_eq!(
        view.folders.iter().filter(|f| f.plugin.is_none()).map(|f| f.documents).sum::<u64>(),
        imported
    );
    wait_until(&handle, "plugins", |view| view.plugins.len() == 2);
    assert!(handle.view().plugins.iter().all(|p| p.grant.is_some()));
}
