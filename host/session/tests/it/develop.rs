//! A plugin under development: installed whenever its file changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hearth_base::{HostCall, Node};
use hearth_session::{Capability, Command, GuestEnd, NoticeKind, PluginView};

use crate::stage::{DIGEST, Scripted, Setting, Stage, until};

/// Shows a panel and counts how often.
fn showing(runs: &Arc<AtomicUsize>) -> Arc<Scripted> {
    let runs = Arc::clone(runs);
    Scripted::new(move |_, call, _| {
        let nodes = vec![Node::Label("here".into())];
        call(HostCall::PanelShow { panel: "digest".into(), nodes }).unwrap();
        runs.fetch_add(1, Ordering::SeqCst);
        GuestEnd::Returned(Ok(()))
    })
}

fn watch(path: &Path) -> Command {
    Command::WatchPlugin { path: path.to_path_buf() }
}

fn until_installed(stage: &Stage, version: &str, wished: impl Fn(&PluginView) -> bool) {
    until(&stage.handle, version, |view| {
        view.plugins.iter().any(|plugin| plugin.manifest.version == version && wished(plugin))
    });
}

#[test]
fn a_changed_file_is_installed_and_run_again_under_the_grant_it_had() {
    let runs = Arc::new(AtomicUsize::new(0));
    let stage = Setting { guests: showing(&runs), ..Setting::default() }.open();
    let path = stage.dir.path().join("digest.wasm");
    std::fs::write(&path, DIGEST).unwrap();
    let refused = stage.run(watch(&path)).unwrap_err();
    assert!(refused.message.contains("Developer mode is off"), "{refused:?}");

    stage.run(Command::SetDeveloperMode(true)).unwrap();
    stage.handle.send(watch(&path)).unwrap();
    until_installed(&stage, "1.0.0", |plugin| plugin.grant.is_none());
    let plugin = stage.view().plugins[0].id.clone();
    let grant = Command::GrantPlugin {
        plugin: plugin.clone(),
        capabilities: BTreeSet::from([Capability::Panel]),
        slots: BTreeMap::new(),
        choice_bits_per_day: 0,
    };
    stage.run(grant).unwrap();
    let command = Command::RunPlugin {
        plugin: plugin.clone(),
        command: "digest".into(),
        focus: None,
        input: None,
    };
    stage.run(command).unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    std::fs::write(&path, DIGEST.replace("1.0.0", "1.0.1")).unwrap();
    until_installed(&stage, "1.0.1", |plugin| plugin.grant.is_some());
    until(&stage.handle, "its panel again", |view| {
        runs.load(Ordering::SeqCst) == 2 && !view.panels.is_empty()
    });

    // What cannot be installed is told, and leaves what there is.
    std::fs::write(&path, "no manifest").unwrap();
    until(&stage.handle, "a notice", |view| {
        view.notices.iter().any(|notice| matches!(notice.what, NoticeKind::Error(_)))
    });
    assert_eq!(stage.view().plugins[0].manifest.version, "1.0.1");

    let wider = format!("{}\n[declassify]\ntext = true\n", DIGEST.replace("1.0.0", "1.0.2"));
    std::fs::write(&path, wider).unwrap();
    until_installed(&stage, "1.0.2", |plugin| plugin.grant.is_none());
    stage.run(Command::UnwatchPlugin { path }).unwrap();
    until(&stage.handle, "the end of watching", |view| view.jobs.is_empty());
}
