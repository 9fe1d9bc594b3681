//! The first call into an updated plugin: it has its storage and nothing else.

use hearth_base::{
    Answer, Date, Export, Field, GuestError, GuestFailure, Handle, HostCall, Invocation, LogLevel,
    Sort,
};
use hearth_broker::{BeginError, Client, RunEnd, Start};

use crate::{
    guests::{options, user, words},
    world::{Recipe, World},
};

const TODAY: Date = Date { year: 2026, month: 1, day: 31 };

fn begin(world: &World) -> Result<(Client, Invocation), BeginError> {
    world.broker.begin_migration(&world.plugin, "0.9.0", TODAY, "en-GB")
}

fn set(key: &str, value: &[u8]) -> HostCall {
    HostCall::StorageSet { key: key.into(), value: value.to_vec() }
}

#[test]
fn storage_is_taken_over_whole_or_not_at_all() {
    let world = World::new(&Recipe::default());
    world.vault.commit_storage(&world.plugin, &[("old".to_owned(), vec![1])].into()).unwrap();
    for (end, left) in [
        (RunEnd::Returned(Err(GuestFailure::Internal("no".into()))), "old"),
        (RunEnd::Aborted("it crashed".into()), "old"),
        (RunEnd::Returned(Ok(())), "new"),
    ] {
        let (mut client, invocation) = begin(&world).unwrap();
        assert_eq!(invocation.export, Export::Migrate { from_version: "0.9.0".into() });
        let value = client.call(HostCall::StorageGet("old".into())).unwrap();
        assert_eq!(value, Answer::Bytes(Some(vec![1])));
        client.call(set("new", &[2])).unwrap();
        client.call(HostCall::StorageDelete("old".into())).unwrap();
        client.finish(end);
        let keys: Vec<_> = world.vault.storage(&world.plugin).unwrap().into_keys().collect();
        assert_eq!(keys, [left]);
        world.vault.resume_plugin(&world.plugin).unwrap();
    }
}

#[test]
fn nothing_else_is_there() {
    let world = World::new(&Recipe::default());
    let (mut client, _) = begin(&world).unwrap();
    let (slot, purpose) = ("inbox".to_owned(), "why".to_owned());
    for call in [
        HostCall::TextLiteral("x".into()),
        HostCall::Granted { slot: slot.clone(), order: Sort::Newest, limit: 3 },
        HostCall::Search { slot, query: Handle(1), limit: 3 },
        HostCall::Pick { purpose: purpose.clone(), limit: 1 },
        HostCall::DocumentGet { document: Handle(1), field: Field::Body },
        HostCall::Generate { prompt: user(vec![words("x")]), options: options(8) },
        HostCall::Kept { name: "last".into() },
        HostCall::RevealChoice(Handle(1)),
        HostCall::RevealText { text: Handle(1), purpose },
        HostCall::PanelShow { panel: "main".into(), nodes: Vec::new() },
        HostCall::SettingGet("lines".into()),
    ] {
        assert_eq!(client.call(call.clone()), Err(GuestError::Refused), "{call:?}");
    }
    let log = HostCall::Log { level: LogLevel::Info, message: "taking over".into() };
    client.call(log).unwrap();
    // It has its turn like any other run.
    let go = Start::Command { id: "go".into(), focus: None, input: None };
    let error = world.broker.begin(&world.plugin, go, TODAY, "en-GB").err().unwrap();
    assert!(matches!(error, BeginError::Busy), "{error:?}");
    client.finish(RunEnd::Returned(Ok(())));
    assert!(world.broker.panels().is_empty());
}

#[test]
fn without_leave_to_store_there_is_nothing_to_take_over() {
    let world = World::new(&Recipe::default());
    world.regrant(|grant| grant.capabilities.clear());
    let (mut client, _) = begin(&world).unwrap();
    assert!(matches!(client.call(HostCall::StorageKeys), Err(GuestError::Denied(_))));
    client.finish(RunEnd::Returned(Ok(())));
}
