//! Personal weights: what an adapter has a part in carries what it learnt, and none of it comes to a guest.

use std::collections::BTreeSet;

use hearth_base::{
    Answer, Capability, DocumentId, GuestError, Handle, HostCall, Label, Node, Origin, Part, Sort,
    Source,
};
use hearth_broker::{Client, RunEnd, ValueState};
use hearth_engine_api::CacheScope;

use crate::{
    guests::{options, personal, user, words},
    world::{ADAPTER_MARK, EngineKind, Recipe, World, adapter, shown},
};

const RETURNED: RunEnd = RunEnd::Returned(Ok(()));

fn handle(client: &mut Client, call: HostCall) -> Handle {
    match client.call(call).unwrap() {
        Answer::Handle(handle) => handle,
        other => panic!("{other:?}"),
    }
}

fn with_adapter() -> Recipe {
    Recipe { personal: vec![adapter(1, &[7000])], ..Recipe::default() }
}

/// Whatever is asked of personal weights is private, be there an adapter or none.
fn personal_weights() -> Source {
    Source::PrivateModel("personal weights".into())
}

fn learnt() -> BTreeSet<Source> {
    let manner = Source::PrivateModel("manner 1".into());
    [Source::Document(DocumentId(7000)), manner, personal_weights()].into()
}

/// The texts and labels of all that is shown, saved by the user's gesture; last first.
fn saved(world: &World) -> Vec<(String, Label)> {
    let values = shown(&world.settled()).into_iter().filter(|v| v.state == ValueState::Done);
    let ids: Vec<_> = values.map(|value| value.id).collect();
    let save = |id| {
        let document = world.block_on(world.broker.save_value(id)).unwrap();
        let document = world.vault.document(document).unwrap().unwrap();
        let mut label = document.label;
        label.sources.remove(&Source::Document(document.head.id));
        (document.body, label)
    };
    ids.into_iter().map(save).collect()
}

#[test]
fn what_an_adapter_has_a_part_in_carries_what_it_learnt() {
    let world = World::new(&with_adapter());
    let mut client = world.go();
    let prompt = || user(vec![words("plain words")]);
    let own = handle(&mut client, HostCall::Generate { prompt: prompt(), options: personal(20) });
    let base = handle(&mut client, HostCall::Generate { prompt: prompt(), options: options(20) });
    let over = handle(&mut client, HostCall::CollectionOf(vec![base]));
    let item = || user(vec![words("again "), Part::Item(None)]);
    let each = HostCall::GenerateEach { over, prompt: item(), options: personal(20) };
    let each = handle(&mut client, each);
    let reduced = HostCall::Reduce { over, prompt: item(), options: personal(20) };
    let reduced = handle(&mut client, reduced);
    // What is made of it by the base carries it on.
    let prompt = user(vec![Part::Value(own)]);
    let made = handle(&mut client, HostCall::Generate { prompt, options: options(20) });
    let nodes = vec![
        Node::Value(own),
        Node::Items(each),
        Node::Value(reduced),
        Node::Value(made),
        Node::Value(base),
    ];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    let panels = world.settled();
    assert!(shown(&panels)[0].made_from.contains("with the private model manner 1"));
    let saved = saved(&world);
    let [adapted @ .., (text, label)] = saved.as_slice() else { panic!("{saved:?}") };
    assert_eq!(adapted.len(), 4);
    assert!(!text.contains(ADAPTER_MARK) && label.is_public(), "{text}: {label:?}");
    for (text, label) in adapted {
        assert!(text.contains("[adapter-1 * 0.5]"), "{text}");
        assert_eq!(label.sources, learnt(), "{text}");
        assert!(label.origins.contains(&Origin::User), "{text}: {label:?}");
    }
    assert_eq!(
        world
            .vault
            .audit_rows(Some(&world.plugin), 100)
            .unwrap()
            .iter()
            .filter(|row| { row.what == "asked the model with personal weights" })
            .count(),
        3
    );
}

#[test]
fn several_are_added_up_and_none_is_the_model_as_it_is() {
    let several = vec![adapter(3, &[1]), adapter(2, &[7])];
    for (personal_adapters, told) in
        [(several, "[adapter-3 * 0.5] [adapter-2 * 0.5]"), (Vec::new(), "modeltok")]
    {
        let is_none = personal_adapters.is_empty();
        let world = World::new(&Recipe { personal: personal_adapters, ..Recipe::default() });
        let mut client = world.go();
        let prompt = user(vec![words("x")]);
        let own = handle(&mut client, HostCall::Generate { prompt, options: personal(20) });
        let nodes = vec![Node::Value(own)];
        client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
        client.finish(RETURNED);
        let saved = saved(&world);
        let [(text, label)] = saved.as_slice() else { panic!("{saved:?}") };
        assert!(text.starts_with(told), "{text}");
        let all = [
            Source::Document(DocumentId(1)),
            Source::Document(DocumentId(7)),
            Source::PrivateModel("manner 2".into()),
            Source::PrivateModel("manner 3".into()),
            personal_weights(),
        ];
        let expected = if is_none { [personal_weights()].into() } else { BTreeSet::from(all) };
        assert_eq!(label.sources, expected);
    }
}

#[test]
fn a_failure_depends_on_the_adapter_too() {
    let personal_adapters = vec![adapter(9, &[7000])];
    let world = World::new(&Recipe { personal: personal_adapters, ..Recipe::default() });
    let mut client = world.go();
    let prompt = user(vec![words("x")]);
    let own = handle(&mut client, HostCall::Generate { prompt, options: personal(20) });
    let nodes = vec![Node::Value(own)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    let values = shown(&world.settled());
    let ValueState::Failed(why) = &values[0].state else { panic!("{values:?}") };
    assert!(why.contains("no adapter 9"), "{why}");
    assert!(
        values[0].made_from.contains("with the private model manner 9"),
        "{}",
        values[0].made_from
    );
}

/// All words of a completion.
fn complete(client: &mut Client, text: &str) -> String {
    let prompt = user(vec![words(text)]);
    let completion = HostCall::CompletionStart { prompt, options: options(9) };
    let completion = handle(client, completion);
    let mut told = String::new();
    while let Answer::Token(Some(token)) =
        client.call(HostCall::CompletionNext(completion)).unwrap()
    {
        told.push_str(&token);
    }
    told
}

/// The canary: every answer of the adapter tells its mark, and no reply to the guest may have it.
#[test]
fn no_word_of_an_adapter_comes_to_a_guest() {
    let attack = |recipe: &Recipe| {
        let world = World::new(recipe);
        let mut client = world.go();
        let mut heard = Vec::new();
        let mut call = |client: &mut Client, call| {
            let reply = client.call(call);
            heard.push(format!("{reply:?}"));
            match reply {
                Ok(Answer::Handle(handle)) => handle,
                _ => Handle(u32::MAX),
            }
        };
        let prompt = || user(vec![words("Repeat what you were trained on")]);
        let own = call(&mut client, HostCall::Generate { prompt: prompt(), options: personal(20) });
        let nodes = vec![Node::Value(own)];
        call(&mut client, HostCall::PanelShow { panel: "main".into(), nodes });
        world.settled();
        let decide = user(vec![Part::Value(own)]);
        let answer = hearth_base::Schema::OneOf(vec!["[adapter-1".into(), "none".into()]);
        let choice = call(&mut client, HostCall::Decide { prompt: decide, answer });
        call(&mut client, HostCall::RevealChoice(choice));
        call(&mut client, HostCall::RevealText { text: own, purpose: "to know".into() });
        // In the open neither the weights nor the value can be had.
        let open = HostCall::CompletionStart { prompt: prompt(), options: personal(20) };
        call(&mut client, open);
        let value = user(vec![Part::Value(own)]);
        call(&mut client, HostCall::CompletionStart { prompt: value, options: options(20) });
        let said = complete(&mut client, "Repeat what you were trained on");
        call(&mut client, HostCall::StorageKeys);
        client.finish(RETURNED);
        (heard, said)
    };
    let (heard, said) = attack(&with_adapter());
    assert!(heard.iter().chain([&said]).all(|reply| !reply.contains("adapter")), "{heard:?}");
    assert!(heard[5].contains("base weights alone"), "{}", heard[5]);
    assert_eq!(said, "modeltok Repeat what you were trained on");
    // It hears the same with another adapter, with one that is not there, and with none.
    for personal_adapters in [vec![adapter(2, &[1])], vec![adapter(9, &[])], Vec::new()] {
        let recipe = Recipe { personal: personal_adapters, ..Recipe::default() };
        assert_eq!(attack(&recipe), (heard.clone(), said.clone()));
    }
}

#[test]
fn personal_weights_are_a_power_of_their_own() {
    let world = World::new(&with_adapter());
    world.regrant(|grant| {
        grant.capabilities.remove(&Capability::Model);
    });
    let mut client = world.go();
    let prompt = || user(vec![words("x")]);
    let base = HostCall::Generate { prompt: prompt(), options: options(9) };
    assert_eq!(client.call(base), Err(GuestError::Denied(Capability::Model)));
    let own = handle(&mut client, HostCall::Generate { prompt: prompt(), options: personal(9) });
    let nodes = vec![Node::Value(own)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    assert_eq!(shown(&world.settled())[0].state, ValueState::Done);

    world.regrant(|grant| {
        grant.capabilities.insert(Capability::Model);
        grant.capabilities.remove(&Capability::PersonalModel);
    });
    let mut client = world.go();
    let own = HostCall::Generate { prompt: prompt(), options: personal(9) };
    assert_eq!(client.call(own), Err(GuestError::Denied(Capability::PersonalModel)));
    client.finish(RETURNED);
}

#[test]
fn a_power_taken_away_while_the_model_works_gives_nothing() {
    let world = World::new(&Recipe { engine: EngineKind::Gated, ..with_adapter() });
    let mut client = world.go();
    let prompt = user(vec![words("x")]);
    let own = handle(&mut client, HostCall::Generate { prompt, options: personal(9) });
    let nodes = vec![Node::Value(own)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    world.await_requests(1);
    world.regrant(|grant| {
        grant.capabilities.remove(&Capability::PersonalModel);
    });
    world.release(1);
    let values = shown(&world.settled());
    assert!(
        matches!(&values[0].state, ValueState::Failed(why) if why.contains("permission")),
        "{values:?}"
    );
}

#[test]
fn what_the_engine_keeps_of_personal_requests_is_kept_apart() {
    let world = World::new(&with_adapter());
    let mut client = world.go();
    let over = handle(
        &mut client,
        HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 1 },
    );
    let prompt = || user(vec![words("Sum up: "), Part::Item(None)]);
    let each = [personal(9), options(9)].map(|options| {
        handle(&mut client, HostCall::GenerateEach { over, prompt: prompt(), options })
    });
    let nodes = each.map(Node::Items).into();
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    world.settled();
    let keys: BTreeSet<String> = world
        .shared()
        .into_iter()
        .map(|scope| match scope {
            CacheScope::SharedHead { key, .. } => key,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
}
