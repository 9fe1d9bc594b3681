//! Plugins: installing, granting, running, stopping.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use hearth_base::{
    Answer, Export, Field, GuestFailure, Handle, HostCall, Message, MessageRole, ModelOptions,
    Node, Part, Sort, Style, Weights,
};
use hearth_session::{
    Capability, Command, ErrorKind, GuestEnd, PanelNode, PluginId, Reply, SettingValue, ValueState,
    ValueView,
};

use crate::stage::{DIGEST, Scripted, Setting, Stage, until, wait_for};

fn handle_of(reply: Result<Answer, hearth_base::GuestError>) -> Option<Handle> {
    match reply {
        Ok(Answer::Handle(handle)) => Some(handle),
        _ => None,
    }
}

/// What the e-mail summariser does, in short.
fn digest() -> Arc<Scripted> {
    Scripted::new(|_, call, _| {
        let granted =
            call(HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 10 });
        let Some(over) = handle_of(granted) else {
            return GuestEnd::Returned(Err(GuestFailure::BadInput("nothing granted".into())));
        };
        let prompt = vec![Message {
            role: MessageRole::User,
            parts: vec![Part::Literal("Digest: ".into()), Part::Item(Some(Field::Title))],
        }];
        let options = ModelOptions {
            max_tokens: 40,
            style: Style::Exact,
            weights: Weights::Base,
            stop: Vec::new(),
        };
        let Some(each) = handle_of(call(HostCall::GenerateEach { over, prompt, options })) else {
            return GuestEnd::Returned(Err(GuestFailure::Internal("no model".into())));
        };
        let nodes = vec![Node::Heading("Digest".into()), Node::Items(each)];
        let shown = call(HostCall::PanelShow { panel: "digest".into(), nodes });
        GuestEnd::Returned(shown.map(drop).map_err(|e| GuestFailure::Internal(format!("{e:?}"))))
    })
}

fn grant(stage: &Stage, plugin: &PluginId) {
    let view = stage.view();
    let manifest = &view.plugins.iter().find(|p| p.id == *plugin).unwrap().manifest;
    let folders: BTreeSet<_> = view.folders.iter().map(|f| f.id).collect();
    let slots = manifest.slots.iter().map(|slot| (slot.id.clone(), folders.clone())).collect();
    let capabilities = manifest.requested();
    stage
        .run(Command::GrantPlugin {
            plugin: plugin.clone(),
            capabilities,
            slots,
            choice_bits_per_day: 0,
        })
        .unwrap();
}

fn start(plugin: &PluginId) -> Command {
    Command::RunPlugin {
        plugin: plugin.clone(),
        command: "digest".into(),
        focus: None,
        input: None,
    }
}

fn values(stage: &Stage) -> Vec<ValueView> {
    let view = stage.view();
    let nodes = view.panels.iter().flat_map(|panel| &panel.nodes);
    nodes
        .filter_map(|node| match node {
            PanelNode::Value(value) => Some(vec![value.clone()]),
            PanelNode::Items(items) => items.clone(),
            _ => None,
        })
        .flatten()
        .collect()
}

#[test]
fn mail_in_digests_out() {
    let stage = Setting { guests: digest(), ..Setting::default() }.open();
    stage.with_mails(3);
    let plugin = stage.install(DIGEST);
    assert!(stage.view().plugins[0].grant.is_none());

    // Not granted, it gets nothing.
    let refused = stage.run(start(&plugin)).unwrap_err();
    assert!(refused.message.contains("nothing granted"), "{refused:?}");

    grant(&stage, &plugin);
    let reply = stage.run(start(&plugin)).unwrap();
    assert!(matches!(reply, Reply::Ran(ran) if ran == plugin));
    let digests = values(&stage);
    assert_eq!(digests.len(), 3);
    assert!(digests.iter().all(|d| d.state == ValueState::Done), "{digests:?}");
    assert!(digests[0].text.contains("Digest: Letter 2"), "{}", digests[0].text);
    assert!(stage.view().plugins[0].running.is_none());

    let Reply::Saved(saved) = stage.run(Command::SaveValue(digests[0].id)).unwrap() else {
        panic!("not saved")
    };
    stage.run(Command::OpenDocument(saved)).unwrap();
    let view = stage.view();
    assert_eq!(view.document.as_ref().unwrap().body, digests[0].text);
    until(&stage.handle, "the plugin's folder", |view| {
        view.folders.iter().any(|f| f.plugin.as_ref() == Some(&plugin))
    });
    assert!(view.activity.iter().any(|row| row.plugin.as_ref() == Some(&plugin)));

    let key = view.panels[0].key.clone();
    stage.run(Command::ClosePanel(key)).unwrap();
    assert!(stage.view().panels.is_empty());

    stage.run(Command::RevokePlugin(plugin.clone())).unwrap();
    assert!(stage.view().plugins[0].grant.is_none());
    assert!(stage.run(start(&plugin)).is_err());

    stage.run(Command::UninstallPlugin { plugin, keep_saved: false }).unwrap();
    assert!(stage.view().plugins.is_empty());
    until(&stage.handle, "its folder is gone", |view| view.folders.len() == 1);
}

#[test]
fn grants_and_settings_keep_to_the_manifest() {
    let stage = Setting::default().open();
    let plugin = stage.install(DIGEST);
    let ask = |capabilities: &[Capability], slot: Option<&str>| Command::GrantPlugin {
        plugin: plugin.clone(),
        capabilities: capabilities.iter().copied().collect(),
        slots: slot.map(|s| (s.to_owned(), BTreeSet::new())).into_iter().collect(),
        choice_bits_per_day: 0,
    };
    let error = stage.run(ask(&[Capability::RevealText], None)).unwrap_err();
    assert!(error.message.contains("reveal-text"), "{error:?}");
    let error = stage.run(ask(&[], Some("outbox"))).unwrap_err();
    assert!(error.message.contains("outbox"), "{error:?}");

    let set = |key: &str, value| Command::SetPluginSetting {
        plugin: plugin.clone(),
        key: key.into(),
        value,
    };
    assert_eq!(stage.view().plugins[0].settings["lines"], SettingValue::Number(5));
    assert!(stage.run(set("lines", SettingValue::Number(21))).unwrap_err().hint.contains("20"));
    assert!(stage.run(set("lines", SettingValue::Flag(true))).is_err());
    assert!(stage.run(set("colour", SettingValue::Flag(true))).is_err());
    stage.run(set("lines", SettingValue::Number(7))).unwrap();
    assert_eq!(stage.view().plugins[0].settings["lines"], SettingValue::Number(7));
}

#[test]
fn inspecting_needs_no_vault_and_installs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let session = Setting::default().start(dir.path());
    let path = dir.path().join("plugin.wasm");
    std::fs::write(&path, DIGEST).unwrap();
    let reply = crate::stage::run(&session.handle(), Command::InspectPlugin(path.clone())).unwrap();
    let Reply::Inspection(found) = reply else { panic!("{reply:?}") };
    assert_eq!(found.manifest.name, "Digest");
    assert!(found.sealed && found.replaces.is_none());
    std::fs::write(&path, "no manifest").unwrap();
    let error = crate::stage::run(&session.handle(), Command::InspectPlugin(path)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Input);
}

#[test]
fn another_component_of_the_same_name_starts_without_grants() {
    let stage = Setting::default().open();
    let plugin = stage.install(DIGEST);
    grant(&stage, &plugin);
    assert!(stage.view().plugins[0].grant.is_some());
    stage.install(&DIGEST.replace("1.0.0", "1.0.1"));
    let view = stage.view();
    assert_eq!(view.plugins.len(), 1);
    assert_eq!(view.plugins[0].manifest.version, "1.0.1");
    assert!(view.plugins[0].grant.is_none());
}

#[test]
fn bundled_plugins_come_without_grants_and_stay_away_once_removed() {
    let dir = tempfile::tempdir().unwrap();
    let bundled = dir.path().join("digest.wasm");
    std::fs::write(&bundled, DIGEST).unwrap();
    let setting =
        || Setting { in_memory: false, bundled: vec![bundled.clone()], ..Setting::default() };
    let session = setting().start(dir.path());
    let handle = session.handle();
    crate::stage::run(&handle, Command::CreateVault(crate::stage::passphrase())).unwrap();
    let plugin = handle.view().plugins[0].clone();
    assert!(plugin.bundled && plugin.grant.is_none());
    let remove = Command::UninstallPlugin { plugin: plugin.id, keep_saved: false };
    crate::stage::run(&handle, remove).unwrap();
    session.shutdown();
    let session = setting().start(dir.path());
    let handle = session.handle();
    crate::stage::run(&handle, Command::Unlock(crate::stage::passphrase())).unwrap();
    assert!(handle.view().plugins.is_empty());
}

#[test]
fn gestures_wait_for_the_plugin_and_none_is_lost() {
    let go = Arc::new(AtomicBool::new(false));
    let (at_once, most, calls) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let guests = {
        let (go, at_once, most, calls) = (go.clone(), at_once, most.clone(), calls.clone());
        Scripted::new(move |invocation, _, cancel| {
            assert!(matches!(invocation.export, Export::Run { .. }));
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            calls.fetch_add(1, Ordering::SeqCst);
            wait_for(&go, cancel);
            at_once.fetch_sub(1, Ordering::SeqCst);
            GuestEnd::Returned(Ok(()))
        })
    };
    let stage = Setting { guests, ..Setting::default() }.open();
    let plugin = stage.install(DIGEST);
    let pending: Vec<_> = (0..4).map(|_| stage.handle.start(start(&plugin)).unwrap()).collect();
    until(&stage.handle, "it runs", |view| view.plugins[0].running.is_some());
    go.store(true, Ordering::SeqCst);
    for run in pending {
        run.wait(&mut |_| {}).unwrap();
    }
    assert_eq!((calls.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (4, 1));
}

#[test]
fn a_run_that_is_stopped_suspends_the_plugin_until_resumed() {
    let never = Arc::new(AtomicBool::new(false));
    let entered = Arc::new(AtomicBool::new(false));
    let in_guest = Arc::clone(&entered);
    let guests = Scripted::new(move |_, _, cancel| {
        in_guest.store(true, Ordering::SeqCst);
        if wait_for(&never, cancel) {
            GuestEnd::Returned(Ok(()))
        } else {
            GuestEnd::Aborted("the plugin was stopped".into())
        }
    });
    let stage = Setting { guests, ..Setting::default() }.open();
    let plugin = stage.install(DIGEST);
    let pending = stage.handle.start(start(&plugin)).unwrap();
    until(&stage.handle, "it runs", |_| entered.load(Ordering::SeqCst));
    stage.handle.send(Command::Cancel(pending.ticket())).unwrap();
    assert_eq!(pending.wait(&mut |_| {}).unwrap_err().kind, ErrorKind::Cancelled);
    assert!(stage.view().plugins[0].suspended.is_some());
    let error = stage.run(start(&plugin)).unwrap_err();
    assert!(error.message.contains("suspended"), "{error:?}");
    stage.run(Command::ResumePlugin(plugin)).unwrap();
    assert!(stage.view().plugins[0].suspended.is_none());
}

#[test]
fn locking_ends_a_run() {
    let never = Arc::new(AtomicBool::new(false));
    let guests = Scripted::new(move |_, _, cancel| {
        wait_for(&never, cancel);
        GuestEnd::Aborted("stopped".into())
    });
    let stage = Setting { guests, ..Setting::default() }.open();
    let plugin = stage.install(DIGEST);
    let pending = stage.handle.start(start(&plugin)).unwrap();
    until(&stage.handle, "it runs", |view| view.plugins[0].running.is_some());
    stage.run(Command::Lock).unwrap();
    assert_eq!(pending.wait(&mut |_| {}).unwrap_err().kind, ErrorKind::Cancelled);
}

#[test]
fn a_question_is_put_to_the_user_and_answered() {
    let guests = Scripted::new(|_, call, _| {
        let picked = call(HostCall::Pick { purpose: "to read them".into(), limit: 2 });
        let Some(over) = handle_of(picked) else {
            return GuestEnd::Returned(Err(GuestFailure::Internal("no pick".into())));
        };
        let joined = call(HostCall::CollectionJoin { collection: over, separator: "+".into() });
        let Some(text) = handle_of(joined) else {
            return GuestEnd::Returned(Err(GuestFailure::Internal("no join".into())));
        };
        call(HostCall::PanelShow { panel: "digest".into(), nodes: vec![Node::Value(text)] }).ok();
        GuestEnd::Returned(Ok(()))
    });
    let stage = Setting { guests, ..Setting::default() }.open();
    let heads = stage.with_mails(3);
    let plugin = stage.install(DIGEST);
    let capabilities = stage.view().plugins[0].manifest.requested();
    let granted = Command::GrantPlugin {
        plugin: plugin.clone(),
        capabilities,
        slots: BTreeMap::new(),
        choice_bits_per_day: 0,
    };
    stage.run(granted).unwrap();
    let pending = stage.handle.start(start(&plugin)).unwrap();
    until(&stage.handle, "the question", |view| !view.questions.is_empty());
    let question = stage.view().questions[0].clone();
    assert_eq!((question.plugin_name.as_str(), question.limit), ("Digest", 2));
    let all = heads.iter().map(|h| h.id).collect();
    let many = Command::AnswerPick { question: question.question, picked: all };
    assert!(stage.run(many).is_err());
    let picked = vec![heads[0].id];
    stage.run(Command::AnswerPick { question: question.question, picked }).unwrap();
    pending.wait(&mut |_| {}).unwrap();
    assert!(stage.view().questions.is_empty());
    assert!(values(&stage)[0].text.contains("Words of letter"), "{:?}", values(&stage));
}

#[test]
fn many_runs_leave_room_for_the_users_own_work() {
    let go = Arc::new(AtomicBool::new(false));
    let (ran, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let most = Arc::new(AtomicUsize::new(0));
    let guests = {
        let (go, ran, at_once, most) = (go.clone(), ran.clone(), at_once.clone(), most.clone());
        Scripted::new(move |_, _, cancel| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            wait_for(&go, cancel);
            at_once.fetch_sub(1, Ordering::SeqCst);
            ran.fetch_add(1, Ordering::SeqCst);
            GuestEnd::Returned(Ok(()))
        })
    };
    let stage = Setting { guests, ..Setting::default() }.open();
    let runs: Vec<_> = (0..24)
        .map(|n| stage.install(&DIGEST.replace("example.digest", &format!("example.digest{n}"))))
        .map(|plugin| stage.handle.start(start(&plugin)).unwrap())
        .collect();
    until(&stage.handle, "one runs", |_| at_once.load(Ordering::SeqCst) == 1);
    let made = stage.handle.start(Command::NewConversation).unwrap();
    until(&stage.handle, "a conversation", |view| view.conversations.len() == 1);
    go.store(true, Ordering::SeqCst);
    made.wait(&mut |_| {}).unwrap();
    for run in runs {
        run.wait(&mut |_| {}).unwrap();
    }
    // Nobody vouches for any of them, so they count as one publisher's: their code runs one after the other.
    assert_eq!((ran.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (24, 1));
}

#[test]
fn plugins_of_one_publisher_take_turns() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let go = Arc::new(AtomicBool::new(false));
    let guests = {
        let (order, go) = (order.clone(), go.clone());
        Scripted::new(move |invocation, _, cancel| {
            wait_for(&go, cancel);
            let Export::Run { command, .. } = &invocation.export else { panic!("{invocation:?}") };
            order.lock().unwrap().push(command.clone());
            GuestEnd::Returned(Ok(()))
        })
    };
    let stage = Setting { guests, ..Setting::default() }.open();
    let named = |name: &str| {
        let manifest = DIGEST.replace("example.digest", &format!("example.{name}"));
        stage.install(
            &manifest.replace("id = \"digest\", title", &format!("id = \"{name}\", title")),
        )
    };
    let (busy, other) = (named("busy"), named("other"));
    let run = |plugin: &PluginId, command: &str| {
        let (plugin, command) = (plugin.clone(), command.to_owned());
        stage
            .handle
            .start(Command::RunPlugin { plugin, command, focus: None, input: None })
            .unwrap()
    };
    let mut runs: Vec<_> = (0..4).map(|_| run(&busy, "busy")).collect();
    runs.push(run(&other, "other"));
    go.store(true, Ordering::SeqCst);
    for run in runs {
        run.wait(&mut |_| {}).unwrap();
    }
    // The one that asked once need not wait for all that the busy one asked before.
    assert_eq!(*order.lock().unwrap(), ["busy", "other", "busy", "busy", "busy"]);
}

#[test]
fn a_file_exchanged_since_it_was_looked_at_is_not_installed() {
    let stage = Setting::default().open();
    stage.run(Command::SetDeveloperMode(true)).unwrap();
    let path = stage.dir.path().join("plugin.wasm");
    std::fs::write(&path, DIGEST).unwrap();
    let Reply::Inspection(seen) = stage.run(Command::InspectPlugin(path.clone())).unwrap() else {
        panic!("not inspected")
    };
    std::fs::write(&path, DIGEST.replace("Digest the mail", "Send the mail")).unwrap();
    let install = || Command::InstallPlugin {
        path: path.clone(),
        expected_hash: Some(seen.component_hash.clone()),
    };
    let error = stage.run(install()).unwrap_err();
    assert!(error.message.contains("not the plugin you looked at"), "{error:?}");
    assert!(stage.view().plugins.is_empty());
    std::fs::write(&path, DIGEST).unwrap();
    stage.run(install()).unwrap();
    assert_eq!(stage.view().plugins.len(), 1);
}

#[test]
fn the_same_bytes_installed_again_change_nothing_and_others_lose_the_grant() {
    let stage = Setting::default().open();
    let plugin = stage.install(DIGEST);
    let set = || Command::SetPluginSetting {
        plugin: plugin.clone(),
        key: "lines".into(),
        value: SettingValue::Number(7),
    };
    let lines = || stage.view().plugins[0].settings["lines"].clone();
    stage.run(set()).unwrap();
    grant(&stage, &plugin);
    stage.install(DIGEST);
    assert!(stage.view().plugins[0].grant.is_some());
    assert_eq!(lines(), SettingValue::Number(7));
    stage.install(&DIGEST.replace("to digest it", "to digest it well"));
    assert!(stage.view().plugins[0].grant.is_none(), "nobody vouches for what is unsigned");
    assert_eq!(lines(), SettingValue::Number(7));
}

#[test]
fn a_plugin_that_is_replaced_is_stopped_first() {
    let never = Arc::new(AtomicBool::new(false));
    let guests = Scripted::new(move |_, _, cancel| {
        wait_for(&never, cancel);
        GuestEnd::Aborted("stopped".into())
    });
    let stage = Setting { guests, ..Setting::default() }.open();
    let plugin = stage.install(DIGEST);
    let pending = stage.handle.start(start(&plugin)).unwrap();
    let behind = stage.handle.start(start(&plugin)).unwrap();
    until(&stage.handle, "it runs", |view| view.plugins[0].running.is_some());
    stage.install(&DIGEST.replace("1.0.0", "1.0.1"));
    for run in [pending, behind] {
        assert_eq!(run.wait(&mut |_| {}).unwrap_err().kind, ErrorKind::Cancelled);
    }
}

#[test]
fn only_updates_that_ask_for_nothing_more_keep_a_bundled_plugins_grant() {
    let dir = tempfile::tempdir().unwrap();
    let bundled = dir.path().join("digest.wasm");
    std::fs::write(&bundled, DIGEST).unwrap();
    let reopened = |manifest: &str| {
        std::fs::write(&bundled, manifest).unwrap();
        let setting =
            Setting { in_memory: false, bundled: vec![bundled.clone()], ..Setting::default() };
        let session = setting.start(dir.path());
        let handle = session.handle();
        let vault = if handle.view().vault == hearth_session::VaultState::Absent {
            Command::CreateVault(crate::stage::passphrase())
        } else {
            Command::Unlock(crate::stage::passphrase())
        };
        crate::stage::run(&handle, vault).unwrap();
        (session, handle)
    };
    let (session, handle) = reopened(DIGEST);
    let plugin = handle.view().plugins[0].clone();
    let granted = Command::GrantPlugin {
        plugin: plugin.id.clone(),
        capabilities: plugin.manifest.requested(),
        slots: BTreeMap::new(),
        choice_bits_per_day: 0,
    };
    crate::stage::run(&handle, granted).unwrap();
    session.shutdown();

    let (session, handle) = reopened(&DIGEST.replace("1.0.0", "1.0.1"));
    assert_eq!(handle.view().plugins[0].manifest.version, "1.0.1");
    assert!(handle.view().plugins[0].grant.is_some());
    session.shutdown();

    let greedy =
        DIGEST.replace("1.0.0", "1.0.2").replace("save = true", "save = true, search = true");
    let (_session, handle) = reopened(&greedy);
    assert_eq!(handle.view().plugins[0].manifest.version, "1.0.2");
    assert!(handle.view().plugins[0].grant.is_none());
}

/// Completes in the open, which takes a model marked public.
fn completer() -> Arc<Scripted> {
    Scripted::new(|_, call, _| {
        let prompt = vec![Message {
            role: MessageRole::User,
            parts: vec![Part::Literal("Say something.".into())],
        }];
        let options = ModelOptions {
            max_tokens: 8,
            style: Style::Exact,
            weights: Weights::Base,
            stop: Vec::new(),
        };
        match call(HostCall::CompletionStart { prompt, options }) {
            Ok(_) => GuestEnd::Returned(Ok(())),
            Err(refusal) => GuestEnd::Returned(Err(GuestFailure::BadInput(format!("{refusal:?}")))),
        }
    })
}

#[test]
fn a_load_that_fails_leaves_the_former_model_to_plugins() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting { guests: completer(), ..Setting::default() };
    let session = hearth_session::Session::start(
        setting.config(dir.path()),
        crate::stage::Picky(setting.backend),
        Arc::new(|| {}),
    )
    .unwrap();
    let stage = Stage::on(dir, session);
    let plugin = stage.install(DIGEST);
    grant(&stage, &plugin);
    stage.run(start(&plugin)).unwrap();
    let path = stage.dir.path().join("broken.gguf");
    let Reply::Model(broken) = stage.run(Command::AddModel(path)).unwrap() else { panic!("no") };
    stage.run(Command::LoadModel(Some(broken))).unwrap_err();
    let view = stage.view();
    assert!(view.models.loading.is_none());
    assert_eq!(view.models.loaded.as_ref().map(|loaded| loaded.id), Some(None));
    stage.run(start(&plugin)).unwrap();
}

#[test]
fn added_models_count_as_private_until_the_user_says_otherwise() {
    let stage = Setting { guests: completer(), ..Setting::default() }.open();
    let plugin = stage.install(DIGEST);
    grant(&stage, &plugin);
    let path = stage.dir.path().join("mine.gguf");
    let add = || Command::AddModel(path.clone());
    let Reply::Model(model) = stage.run(add()).unwrap() else { panic!("no") };
    stage.run(Command::LoadModel(Some(model))).unwrap();
    let error = stage.run(start(&plugin)).unwrap_err();
    assert!(error.message.contains("marked public"), "{error:?}");
    stage.run(Command::MarkModel { model, public: true }).unwrap();
    assert!(stage.view().models.models[1].public);
    stage.run(start(&plugin)).unwrap();
    stage.run(Command::MarkModel { model, public: false }).unwrap();
    stage.run(start(&plugin)).unwrap_err();
    stage.run(Command::MarkModel { model, public: true }).unwrap();
    // Added again, it is a file that nobody has vouched for.
    stage.run(add()).unwrap();
    stage.run(start(&plugin)).unwrap_err();
    let absent = hearth_session::ModelId(99);
    assert!(stage.run(Command::MarkModel { model: absent, public: true }).is_err());
}
