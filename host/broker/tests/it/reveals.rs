//! What comes through the gate, what it costs, and what does not come through.

use std::sync::{Arc, Mutex};

use hearth_base::{
    Answer, Date, DocumentId, GuestError, Handle, HostCall, HostReply, Label, Node, Part, PluginId,
    Quota, Schema, Sort, Source,
};
use hearth_broker::{
    BeginError, Client, PanelKey, RevealQuestion, RevealSource, RunEnd, Standing, Start,
};
use hearth_vault::{AccountKey, AccountKind, NewSaved};

use crate::{
    guests::{button, options, personal, user, words},
    world::{EngineKind, MANIFEST, Recipe, World, numbered, shown},
};

const RETURNED: RunEnd = RunEnd::Returned(Ok(()));
const TODAY: Date = Date { year: 2026, month: 1, day: 31 };
/// What one of four outcomes costs, in thousandths of a bit.
const OF_FOUR: u32 = 2_322;

/// A world whose plugin may learn so many bits of choices a day.
pub(crate) fn curious(recipe: &Recipe, bits: u32) -> World {
    let world = World::new(recipe);
    ask_for_bits(&world, &world.plugin);
    world.regrant(|grant| grant.choice_bits_per_day = bits);
    world
}

/// Has a plugin's manifest ask for more bits than anybody grants.
fn ask_for_bits(world: &World, plugin: &PluginId) {
    let mut record = world.vault.plugin(plugin).unwrap().unwrap();
    record.manifest =
        record.manifest.replace("choice-bits-per-day = 1", "choice-bits-per-day = 500");
    world.vault.put_plugin(&record).unwrap();
}

fn handle(client: &mut Client, call: HostCall) -> Handle {
    match client.call(call).unwrap() {
        Answer::Handle(handle) => handle,
        other => panic!("{other:?}"),
    }
}

fn on(document: DocumentId) -> Start {
    Start::Command { id: "one".into(), focus: Some(document), input: None }
}

/// Starts a run on a document, and gives its body.
fn reading(world: &World, document: DocumentId) -> (Client, Handle) {
    let (mut client, _) = world.begin(on(document));
    // The document in focus is the first handle there is.
    let call = HostCall::DocumentGet { document: Handle(1), field: hearth_base::Field::Body };
    let body = handle(&mut client, call);
    (client, body)
}

/// A choice among so many, made by looking at a text.
fn choice(client: &mut Client, text: Handle, outcomes: i32) -> Handle {
    let prompt = user(vec![words("Which? "), Part::Value(text)]);
    handle(client, HostCall::Decide { prompt, answer: Schema::Range(1, outcomes) })
}

fn reveal(client: &mut Client, text: Handle, outcomes: i32) -> HostReply {
    let choice = choice(client, text, outcomes);
    client.call(HostCall::RevealChoice(choice))
}

fn told(reply: HostReply) -> u32 {
    match reply.unwrap() {
        Answer::Number(number) => number,
        other => panic!("{other:?}"),
    }
}

fn over_quota() -> HostReply {
    Err(GuestError::OverQuota(Quota::Bits))
}

fn sources(world: &World, label: &Label) -> Vec<AccountKey> {
    let names = world.vault.sources_of(label).unwrap();
    names.into_iter().map(|name| AccountKey { kind: AccountKind::Source, name, day: 0 }).collect()
}

/// What was spent of each source of a document.
fn spent_of(world: &World, document: DocumentId) -> Vec<u32> {
    let label = Label { sources: [Source::Document(document)].into(), ..Label::public() };
    world.vault.spent_millibits(&sources(world, &label)).unwrap()
}

fn standing(world: &World) -> Standing {
    let record = world.vault.plugin(&world.plugin).unwrap().unwrap();
    let manifest = hearth_base::Manifest::parse(record.manifest.as_bytes()).unwrap();
    world.broker.standing(&manifest, TODAY).unwrap()
}

fn rows(world: &World) -> Vec<(String, bool)> {
    let rows = world.vault.audit_rows(Some(&world.plugin), 1000).unwrap();
    rows.into_iter().rev().map(|row| (row.what, row.allowed)).collect()
}

#[test]
fn a_choice_is_told_once_it_is_paid_for_and_again_for_nothing() {
    let world = curious(&Recipe::default(), 8);
    let (mut client, body) = reading(&world, world.documents[0]);
    assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(8_000)));
    let first = choice(&mut client, body, 4);
    let names = ["a", "b", "c", "d"].map(|n| handle(&mut client, HostCall::TextLiteral(n.into())));
    let option = HostCall::ChoiceSelect { choice: first, options: names.to_vec() };
    let option = handle(&mut client, option);
    let index = told(client.call(HostCall::RevealChoice(first)));
    assert!(index < 4);
    let left = 8_000 - OF_FOUR;
    assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(left)));
    assert_eq!(told(client.call(HostCall::RevealChoice(first))), index);
    assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(left)));
    // The same question is another choice.
    assert_eq!(told(reveal(&mut client, body, 4)), index);
    assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(left - OF_FOUR)));
    let nodes = vec![Node::Value(option)];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    assert_eq!(shown(&world.settled())[0].text, ["a", "b", "c", "d"][index as usize]);
    assert_eq!(spent_of(&world, world.documents[0]), [2 * OF_FOUR]);
    assert_eq!(spent_of(&world, world.documents[1]), [0]);
    let expected = Standing {
        spent_today_millibits: 2 * OF_FOUR,
        left_today_millibits: left - OF_FOUR,
        publisher_spent_millibits: 2 * OF_FOUR,
        publisher_left_millibits: 4_096_000 - 2 * OF_FOUR,
        gestures_left_millibits: 64_000,
    };
    assert_eq!(standing(&world), expected);
    let rows = rows(&world);
    let paid = ("asked to learn one of 4 outcomes and paid 2.322 bits".to_owned(), true);
    assert_eq!(rows.iter().filter(|row| **row == paid).count(), 2);
    let answer = ("was told which outcome it is".to_owned(), true);
    assert_eq!(rows.iter().filter(|row| **row == answer).count(), 2);
}

#[test]
fn without_bits_nothing_is_told_charged_or_looked_at() {
    for (bits, outcomes) in [(0, 2), (1, 2), (2, 4)] {
        let world = curious(&Recipe::default(), bits);
        let (mut client, body) = reading(&world, world.documents[0]);
        assert_eq!(reveal(&mut client, body, outcomes), over_quota());
        assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(bits * 1000)));
        client.finish(RETURNED);
        assert_eq!(spent_of(&world, world.documents[0]), [0]);
        assert!(!rows(&world).iter().any(|(what, _)| what == "asked the model"));
        assert!(rows(&world).iter().any(|(what, allowed)| what.contains("bits left") && !allowed));
    }
}

#[test]
fn a_value_that_failed_is_an_answer_like_any_other() {
    let world = curious(&Recipe { engine: EngineKind::Failing, ..Recipe::default() }, 8);
    let (mut client, body) = reading(&world, world.documents[0]);
    assert_eq!(told(reveal(&mut client, body, 4)), 4);
    assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(8_000 - OF_FOUR)));
    client.finish(RETURNED);
    assert_eq!(spent_of(&world, world.documents[0]), [OF_FOUR]);
}

/// Attack 14.
#[test]
fn a_source_gives_eight_bits_ever_and_then_only_failures_at_full_charge() {
    let world = curious(&Recipe::default(), 64);
    let document = world.documents[0];
    let (mut client, body) = reading(&world, document);
    let answers: Vec<u32> = (0..8).map(|_| told(reveal(&mut client, body, 4))).collect();
    assert!(answers[..3].iter().all(|answer| *answer < 4), "{answers:?}");
    assert_eq!(answers[3..], [4; 5]);
    assert_eq!(client.call(HostCall::Remaining), Ok(Answer::Number(64_000 - 8 * OF_FOUR)));
    client.finish(RETURNED);
    assert_eq!(spent_of(&world, document), [8_000]);
    // What was made from it is no way around: not saved, not when the original is gone.
    let label = Label { sources: [Source::Document(document)].into(), ..Label::public() };
    let (title, body) = ("Copy".to_owned(), "other words about it".to_owned());
    let plugin = world.plugin.clone();
    let copy = world.vault.save_document(&NewSaved { plugin, title, body, label }).unwrap();
    world.vault.delete_document(document).unwrap();
    let (mut client, body) = reading(&world, copy);
    assert_eq!(told(reveal(&mut client, body, 2)), 2);
    client.finish(RETURNED);
    // Another document is another source.
    let (mut client, body) = reading(&world, world.documents[1]);
    assert!(told(reveal(&mut client, body, 2)) < 2);
    // With one that has given all, it gives nothing more, and is charged all the same.
    let both = handle(&mut client, HostCall::TextConcat(vec![body]));
    let all = HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 9 };
    let all = handle(&mut client, all);
    let all = HostCall::CollectionJoin { collection: all, separator: " ".into() };
    let all = handle(&mut client, all);
    let both = handle(&mut client, HostCall::TextConcat(vec![both, all]));
    // The copy is no part of the slot, which is another plugin's folder; the deleted one is not, either.
    assert!(told(reveal(&mut client, both, 2)) < 2);
    client.finish(RETURNED);
    assert_eq!(spent_of(&world, world.documents[1]), [2 * 1_585]);
    assert_eq!(spent_of(&world, world.documents[2]), [1_585]);
}

/// Attack 15.
#[test]
fn plugins_that_come_in_numbers_and_come_back_learn_no_more_of_a_source() {
    let world = curious(&Recipe::default(), 0);
    let document = world.documents[0];
    let grant = world.vault.grant(&world.plugin).unwrap();
    let mut learnt = 0;
    for round in 0..2 {
        for n in 0..10 {
            let mut record = world.vault.plugin(&world.plugin).unwrap().unwrap();
            record.manifest = record.manifest.replace("example.subject", &format!("sybil.n{n}"));
            record.id = PluginId::new(format!("org.sybil.n{n}")).unwrap();
            world.vault.put_plugin(&record).unwrap();
            let granted = hearth_base::Grant { choice_bits_per_day: 32, ..grant.clone() };
            world.vault.set_grant(&record.id, &granted).unwrap();
            let begun = world.broker.begin(&record.id, on(document), TODAY, "en-GB");
            let (mut client, _) = begun.unwrap();
            let get =
                HostCall::DocumentGet { document: Handle(1), field: hearth_base::Field::Body };
            let body = handle(&mut client, get);
            let mut over = 0;
            for _ in 0..4 {
                match reveal(&mut client, body, 2) {
                    Ok(Answer::Number(answer)) => learnt += u32::from(answer < 2),
                    reply => {
                        assert_eq!(reply, over_quota());
                        over += 1;
                    }
                }
            }
            // All unsigned plugins share what one publisher has: 64 bits a day.
            let asked_before = (round * 10 + n) * 4;
            assert_eq!(over, (asked_before + 4_i32 - 40).clamp(0, 4), "{round} {n}");
            client.finish(RETURNED);
            world.vault.remove_plugin(&record.id, false).unwrap();
        }
        assert_eq!(spent_of(&world, document), [8_000]);
    }
    assert_eq!(learnt, 5, "five times 1.585 bits are no more than eight");
}

#[test]
fn personal_weights_are_a_source_be_there_an_adapter_or_none() {
    let worlds = [Vec::new(), vec![crate::world::adapter(1, &[7000])]];
    for personal_adapters in worlds {
        let world = curious(&Recipe { personal: personal_adapters, ..Recipe::default() }, 64);
        let mut client = world.go();
        let prompt = user(vec![words("Say something")]);
        let own = handle(&mut client, HostCall::Generate { prompt, options: personal(9) });
        let answers: Vec<bool> = (0..6).map(|_| told(reveal(&mut client, own, 2)) < 2).collect();
        assert_eq!(answers, [true, true, true, true, true, false]);
        // Its own words are public, and may be asked about for as long as there are bits.
        let literal = handle(&mut client, HostCall::TextLiteral("public".into()));
        let answers = (0..8).all(|_| told(reveal(&mut client, literal, 2)) < 2);
        assert!(answers);
        client.finish(RETURNED);
    }
}

#[test]
fn a_grant_that_goes_while_a_choice_is_made_ends_the_run() {
    let world = curious(&Recipe { engine: EngineKind::Gated, ..Recipe::default() }, 8);
    let (mut client, body) = reading(&world, world.documents[0]);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let reply = reveal(&mut client, body, 2);
            (reply, client)
        });
        world.await_requests(1);
        world.regrant(|grant| grant.choice_bits_per_day = 7);
        world.release(1);
        let (reply, mut client) = asked.join().unwrap();
        assert_eq!(reply, Err(GuestError::Refused));
        assert_eq!(client.call(HostCall::Remaining), Err(GuestError::Refused));
        client.finish(RETURNED);
    });
    // It was paid for, and nothing came of it.
    assert_eq!(standing(&world).spent_today_millibits, 1_585);
    assert!(world.vault.plugin(&world.plugin).unwrap().unwrap().suspended.is_some());
}

#[test]
fn stopping_a_plugin_ends_its_waiting() {
    let world = curious(&Recipe { engine: EngineKind::Gated, ..Recipe::default() }, 8);
    let (mut client, body) = reading(&world, world.documents[0]);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| reveal(&mut client, body, 2));
        world.await_requests(1);
        world.broker.stop(&world.plugin);
        assert_eq!(asked.join().unwrap(), Err(GuestError::Refused));
    });
    client.finish(RETURNED);
}

#[test]
fn answers_come_at_quarters_of_a_second_after_the_run_began() {
    let world = curious(&Recipe { engine: EngineKind::Moody(7), ..Recipe::default() }, 64);
    let (mut client, body) = reading(&world, world.documents[0]);
    let began = {
        let _in_its_time = world.clock.handle().enter();
        tokio::time::Instant::now()
    };
    for outcomes in 2..6 {
        let choice = choice(&mut client, body, outcomes);
        let at = world.clock.flowing(|| {
            let reply = client.call(HostCall::RevealChoice(choice));
            assert!(told(reply) <= outcomes.unsigned_abs());
            world.clock.block_on(async move { began.elapsed() })
        });
        assert_eq!(at.as_millis() % 250, 0, "{at:?}");
        assert!(at.as_millis() > 0);
    }
    client.finish(RETURNED);
}

/// A panel with a button, from which texts may be asked for.
fn with_panel(world: &World) -> Start {
    let mut client = world.go();
    let nodes = vec![button("ask")];
    client.call(HostCall::PanelShow { panel: "main".into(), nodes }).unwrap();
    client.finish(RETURNED);
    let panel = PanelKey { plugin: world.plugin.clone(), panel: "main".into() };
    Start::Pressed { panel, button: "ask".into() }
}

/// The body of the newest document of the slot, which depends on all of them.
fn newest(client: &mut Client) -> Handle {
    let all = HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 1 };
    let all = handle(client, all);
    handle(client, HostCall::CollectionJoin { collection: all, separator: String::new() })
}

fn ask(client: &mut Client, text: Handle, purpose: &str) -> HostReply {
    client.call(HostCall::RevealText { text, purpose: purpose.into() })
}

/// Has the user answer so, and gives what they will have been asked.
fn user_says(world: &World, allow: bool) -> Arc<Mutex<Vec<RevealQuestion>>> {
    let asked: Arc<Mutex<Vec<RevealQuestion>>> = Arc::default();
    let heard = Arc::clone(&asked);
    world.user.answers(move |question| {
        heard.lock().unwrap().push(question.clone());
        allow
    });
    asked
}

#[test]
fn a_text_that_the_user_lets_go_costs_nothing_and_is_exactly_what_they_saw() {
    let world = curious(&Recipe::default(), 0);
    let asked = user_says(&world, true);
    let (mut client, _) = world.begin(with_panel(&world));
    let text = newest(&mut client);
    let reply = ask(&mut client, text, "to\nsend\u{202e}");
    let again = ask(&mut client, text, "again");
    client.finish(RETURNED);
    let asked = asked.lock().unwrap();
    let [question] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(reply, Ok(Answer::Text(question.text.to_string())));
    assert_eq!(again, reply);
    assert_eq!(&*question.text, "body of tok3");
    assert_eq!(question.purpose, r"to send\u{202e}");
    assert_eq!((question.plugin_name.as_str(), &question.plugin), ("Subject", &world.plugin));
    let document = |n: usize, made_of| RevealSource::Document {
        id: world.documents[n],
        title: Some(format!("title{} tok{}", n + 1, n + 1)),
        made_of,
    };
    assert_eq!(question.sources, [document(2, true), document(0, false), document(1, false)]);
    assert_eq!(question.more_sources, 0);
    assert!(question.made_from.contains("title3"), "{}", question.made_from);
    let secret = format!("{question:?}");
    assert!(!secret.contains("tok"), "{secret}");
    for document in &world.documents {
        assert_eq!(spent_of(&world, *document), [0]);
    }
    assert_eq!(standing(&world).spent_today_millibits, 0);
    let given = format!(
        "the user let it have a text of 12 bytes, BLAKE3 {}",
        blake3::hash(question.text.as_bytes())
    );
    assert!(rows(&world).contains(&(given, true)), "{:?}", rows(&world));
}

#[test]
fn a_refused_text_costs_a_bit_whatever_the_reason() {
    let long = vec![("long".to_owned(), "x".repeat(17 << 10))];
    for (recipe, asked_times, reason) in [
        (Recipe::default(), 1, "the user did not let it have the text; it paid a bit"),
        (
            Recipe { documents: long, ..Recipe::default() },
            0,
            "asked to learn a text that is too long: refused, and paid a bit",
        ),
    ] {
        let world = curious(&recipe, 0);
        let asked = user_says(&world, false);
        let (mut client, _) = world.begin(with_panel(&world));
        let text = newest(&mut client);
        assert_eq!(ask(&mut client, text, "to send"), Err(GuestError::Refused));
        assert_eq!(ask(&mut client, text, "please"), Err(GuestError::Refused), "at no cost");
        client.finish(RETURNED);
        assert_eq!(asked.lock().unwrap().len(), asked_times);
        assert_eq!(standing(&world).spent_today_millibits, 1_000);
        assert_eq!(spent_of(&world, world.documents[0]), [1_000]);
        assert!(rows(&world).contains(&(reason.into(), false)), "{:?}", rows(&world));
    }
    let world = curious(&Recipe { engine: EngineKind::Failing, ..Recipe::default() }, 0);
    let asked = user_says(&world, true);
    let (mut client, _) = world.begin(with_panel(&world));
    let prompt = vec![words("Sum up "), Part::Value(newest(&mut client))];
    let made = HostCall::Generate { prompt: user(prompt), options: options(9) };
    let made = handle(&mut client, made);
    assert_eq!(ask(&mut client, made, "to send"), Err(GuestError::Refused));
    client.finish(RETURNED);
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(spent_of(&world, world.documents[0]), [1_000]);
}

#[test]
fn without_a_gesture_in_its_panel_a_plugin_asks_in_vain() {
    let world = curious(&Recipe::default(), 0);
    let asked = user_says(&world, true);
    let mut client = world.go();
    for n in 0..5 {
        let text = newest(&mut client);
        let expected = if n < 3 { Err(GuestError::Refused) } else { over_quota() };
        assert_eq!(ask(&mut client, text, "to send"), expected, "{n}");
    }
    client.finish(RETURNED);
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(standing(&world).spent_today_millibits, 3_000);
    // Nothing was looked at, so no source has anything to pay for.
    assert_eq!(spent_of(&world, world.documents[0]), [0]);
    assert!(!rows(&world).iter().any(|(what, _)| what.starts_with("listed")));
}

/// Attack 16.
#[test]
fn the_user_is_asked_three_times_an_hour_at_most() {
    let world = curious(&Recipe { engine: EngineKind::Moody(1), ..Recipe::default() }, 32);
    let asked = user_says(&world, true);
    let press = world.clock.flowing(|| with_panel(&world));
    let ask_once = || {
        world.clock.flowing(|| {
            let (mut client, _) = world.begin(press.clone());
            let text = newest(&mut client);
            let reply = ask(&mut client, text, "to send");
            client.finish(RETURNED);
            reply
        })
    };
    let minutes = |n: u64| world.clock.pass(std::time::Duration::from_secs(n * 60));
    for _ in 0..3 {
        assert!(ask_once().is_ok());
        minutes(10);
    }
    for _ in 0..2 {
        assert_eq!(ask_once(), Err(GuestError::Refused));
    }
    assert_eq!(asked.lock().unwrap().len(), 3);
    minutes(31);
    assert!(ask_once().is_ok(), "the first is more than an hour ago");
    assert_eq!(ask_once(), Err(GuestError::Refused));
    assert_eq!(asked.lock().unwrap().len(), 4);
    let often = "asked to learn texts too often: refused, and paid a bit";
    assert_eq!(rows(&world).iter().filter(|(what, _)| what == often).count(), 3);
}

/// Attack 17.
#[test]
fn what_is_shown_is_what_goes_out_whatever_becomes_of_the_vault_meanwhile() {
    let world = curious(&Recipe::default(), 0);
    let (vault, document) = (Arc::clone(&world.vault), world.documents[0]);
    let plugin = world.plugin.clone();
    let seen: Arc<Mutex<String>> = Arc::default();
    let read = Arc::clone(&seen);
    world.user.answers(move |question| {
        *read.lock().unwrap() = question.text.to_string();
        // While they read, the document goes, and another of its title comes.
        vault.delete_document(document).unwrap();
        let label = Label::public();
        let (title, body) = ("title1 tok1".to_owned(), "something else".to_owned());
        vault.save_document(&NewSaved { plugin: plugin.clone(), title, body, label }).unwrap();
        true
    });
    let press = with_panel(&world);
    let (mut client, _) = world.begin(press);
    let all = HostCall::Granted { slot: "inbox".into(), order: Sort::Oldest, limit: 1 };
    let all = handle(&mut client, all);
    let text = HostCall::CollectionJoin { collection: all, separator: String::new() };
    let text = handle(&mut client, text);
    let reply = ask(&mut client, text, "to send");
    assert_eq!(reply, Ok(Answer::Text("body of tok1".into())));
    assert_eq!(*seen.lock().unwrap(), "body of tok1");
    client.finish(RETURNED);
}

#[test]
fn a_yes_that_comes_after_the_grant_is_gone_gives_nothing() {
    let world = curious(&Recipe::default(), 0);
    let (vault, plugin) = (Arc::clone(&world.vault), world.plugin.clone());
    world.user.answers(move |_| {
        let mut grant = vault.grant(&plugin).unwrap();
        grant.capabilities.remove(&hearth_base::Capability::RevealText);
        vault.set_grant(&plugin, &grant).unwrap();
        true
    });
    let (mut client, _) = world.begin(with_panel(&world));
    let text = newest(&mut client);
    assert_eq!(ask(&mut client, text, "to send"), Err(GuestError::Refused));
    client.finish(RETURNED);
    assert_eq!(spent_of(&world, world.documents[0]), [1_000], "what was set aside stays so");
}

#[test]
fn a_source_that_has_given_all_is_not_even_shown() {
    let world = curious(&Recipe { documents: numbered(1), ..Recipe::default() }, 64);
    let asked = user_says(&world, true);
    let press = with_panel(&world);
    let (mut client, body) = reading(&world, world.documents[0]);
    for _ in 0..5 {
        told(reveal(&mut client, body, 4));
    }
    client.finish(RETURNED);
    let (mut client, _) = world.begin(press);
    let text = newest(&mut client);
    assert_eq!(ask(&mut client, text, "to send"), Err(GuestError::Refused));
    client.finish(RETURNED);
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn gestures_beside_values_have_an_account_that_the_user_can_fill() {
    let world = curious(&Recipe::default(), 0);
    let show = |client: &mut Client, panel: &str, nodes| {
        client.call(HostCall::PanelShow { panel: panel.into(), nodes }).unwrap();
    };
    let eight = || (0..8).map(|n| button(&n.to_string())).collect::<Vec<_>>();
    let mut client = world.go();
    show(&mut client, "main", eight());
    client.finish(RETURNED);
    let panel = PanelKey { plugin: world.plugin.clone(), panel: "main".into() };
    let press = || world.try_begin(Start::Pressed { panel: panel.clone(), button: "3".into() });
    for _ in 0..30 {
        press().unwrap().0.finish(RETURNED);
    }
    assert_eq!(standing(&world).gestures_left_millibits, 64_000, "there was nothing to see");

    // A value in any panel is one the user may have seen, and any panel's button one they may have pressed.
    let mut client = world.go();
    let text = handle(&mut client, HostCall::TextLiteral("a secret".into()));
    show(&mut client, "side", vec![Node::Value(text)]);
    client.finish(RETURNED);
    for _ in 0..20 {
        press().unwrap().0.finish(RETURNED);
    }
    assert_eq!(standing(&world).gestures_left_millibits, 64_000 - 20 * 3_170);
    let Err(refused) = press() else { panic!("it was told") };
    assert!(matches!(refused, BeginError::GesturesSpent { left_millibits: 600 }), "{refused}");
    let refusal = "was not told of a gesture among 8 controls: its account for gestures is empty";
    assert!(rows(&world).contains(&(refusal.into(), false)));
    // The plugin can still be run, and the user can add to the account.
    world.go().finish(RETURNED);
    world.broker.allow_gestures(&world.plugin, TODAY).unwrap();
    press().unwrap().0.finish(RETURNED);
    assert_eq!(standing(&world).gestures_left_millibits, 64_600 - 3_170);
    let nobody = PluginId::new("org.example.nobody").unwrap();
    let unknown = world.broker.allow_gestures(&nobody, TODAY);
    assert!(matches!(unknown, Err(BeginError::NotInstalled)));
}

#[test]
fn bits_are_those_of_the_manifest_or_the_grant_whichever_are_less() {
    let world = curious(&Recipe::default(), 600);
    assert_eq!(standing(&world).left_today_millibits, 64_000, "its publisher has no more");
    world.regrant(|grant| grant.choice_bits_per_day = 3);
    assert_eq!(standing(&world).left_today_millibits, 3_000);
    let mut record = world.vault.plugin(&world.plugin).unwrap().unwrap();
    record.manifest = MANIFEST.to_owned();
    world.vault.put_plugin(&record).unwrap();
    assert_eq!(standing(&world).left_today_millibits, 1_000);
    world.regrant(|grant| {
        grant.capabilities.remove(&hearth_base::Capability::RevealChoice);
    });
    assert_eq!(standing(&world).left_today_millibits, 0);
}
