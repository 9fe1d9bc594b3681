//! Collections made from collections without the model: filled, side by side, counted, by conversation.

use std::collections::BTreeSet;

use hearth_base::{Answer, Field, GuestError, Handle, HostCall, HostReply, Node, Part, Quota};
use hearth_broker::{Client, RunEnd, Start, ValueState};

use crate::{
    guests::words,
    world::{Recipe, World, shown},
};

fn documents(titles: &[&str]) -> Recipe {
    let body = |(n, title): (usize, &&str)| (title.to_string(), format!("body {}", n + 1));
    Recipe { documents: titles.iter().enumerate().map(body).collect(), ..Recipe::default() }
}

struct Hand(Client);

impl Hand {
    fn call(&mut self, call: HostCall) -> Vec<Handle> {
        match self.0.call(call.clone()) {
            Ok(Answer::Handle(handle)) => vec![handle],
            Ok(Answer::Handles(handles)) => handles,
            other => panic!("{call:?}: {other:?}"),
        }
    }

    fn one(&mut self, call: HostCall) -> Handle {
        self.call(call)[0]
    }

    fn granted(&mut self, limit: u16) -> Handle {
        let (slot, order) = ("inbox".into(), hearth_base::Sort::Oldest);
        self.one(HostCall::Granted { slot, order, limit })
    }

    fn fill(&mut self, over: Handle, parts: Vec<Part>) -> Handle {
        self.one(HostCall::FillEach { over, parts })
    }

    fn literal(&mut self, text: &str) -> Handle {
        self.one(HostCall::TextLiteral(text.into()))
    }

    /// Shows it and ends the run.
    fn end(mut self, world: &World, nodes: Vec<Node>) -> Vec<String> {
        let show = HostCall::PanelShow { panel: "main".into(), nodes };
        assert_eq!(self.0.call(show), Ok(Answer::Unit));
        self.0.finish(RunEnd::Returned(Ok(())));
        shown(&world.settled())
            .into_iter()
            .map(|value| match value.state {
                ValueState::Failed(why) => format!("failed: {why}"),
                _ => value.text,
            })
            .collect()
    }
}

fn title() -> Part {
    Part::Item(Some(Field::Title))
}

#[test]
fn elements_are_filled_in_and_put_side_by_side() {
    let world = World::new(&documents(&["a", "b", "c"]));
    let mut hand = Hand(world.go());
    let all = hand.granted(9);
    let value = hand.literal("!");
    let left = hand.fill(all, vec![words("<"), title(), words(">"), Part::Value(value)]);
    let two = hand.granted(2);
    let right = hand.fill(two, vec![Part::Item(None)]);
    let both = hand.one(HostCall::CollectionZip { left, right, separator: " = ".into() });
    let texts = hand.end(&world, vec![Node::Items(left), Node::Items(both)]);
    // As many as the shorter has.
    assert_eq!(texts, ["<a>!", "<b>!", "<c>!", "<a>! = body 1", "<b>! = body 2"]);
}

#[test]
fn a_hidden_count_chooses_between_texts() {
    for (titles, up_to, wanted) in
        [(&[][..], 1, "0"), (&["a"], 1, "1"), (&["a", "b", "c"], 1, "1"), (&["a", "b"], 3, "2")]
    {
        let world = World::new(&documents(titles));
        let mut hand = Hand(world.go());
        let collection = hand.granted(9);
        let choice = hand.one(HostCall::CollectionCount { collection, up_to });
        let options = (0..=up_to).map(|n| hand.literal(&n.to_string())).collect();
        let chosen = hand.one(HostCall::ChoiceSelect { choice, options });
        assert_eq!(hand.end(&world, vec![Node::Value(chosen)]), [wanted], "{titles:?}");
        // How many there are depends on all that the slot holds.
        let id = shown(&world.broker.panels())[0].id;
        let sources: BTreeSet<_> = world.broker.value_label(id).unwrap().documents().collect();
        assert_eq!(sources, world.documents.iter().copied().collect());
    }
}

#[test]
fn conversations_go_by_their_title() {
    let world = World::new(&documents(&["Rims", "Choir", "Re: rims", "", "AW: Re: Rims", "Rims?"]));
    let mut hand = Hand(world.go());
    let lists = hand.call(HostCall::Threads { slot: "inbox".into(), limit: 9 });
    let texts = hand.end(&world, lists.into_iter().map(Node::Items).collect());
    let (titles, texts) = texts.split_at(texts.len() / 2);
    // Saved at one moment, the last one stored counts as the newest.
    assert_eq!(titles, ["Rims?", "Rims", "", "Choir"]);
    let place = |text: &str, body: &str| text.find(body).unwrap_or_else(|| panic!("{text}"));
    let rims = &texts[1];
    assert!(place(rims, "body 1") < place(rims, "body 3"), "{rims}");
    assert!(place(rims, "body 3") < place(rims, "body 5"), "{rims}");
    assert!(!rims.contains("body 6") && rims.contains("\n\n---\n\nFrom: "), "{rims}");
}

#[test]
fn a_conversation_is_found_from_a_document_of_it() {
    let world = World::new(&documents(&["Rims", "Choir", "Re: rims"]));
    let focus = Some(world.documents[2]);
    let start = Start::Command { id: "one".into(), focus, input: None };
    let (client, invocation) = world.begin(start);
    let hearth_base::Export::Run { focus: Some(document), .. } = invocation.export else {
        panic!()
    };
    let mut hand = Hand(client);
    let of = |slot: &str| HostCall::Thread { document, slot: slot.into(), limit: 9 };
    let thread = hand.one(of("inbox"));
    assert_eq!(hand.0.call(of("other")), Err(invalid("the manifest has no such slot")));
    assert_eq!(hand.end(&world, vec![Node::Items(thread)]), ["Rims", "Re: rims"]);
}

fn invalid(words: &str) -> GuestError {
    GuestError::Invalid(words.into())
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::new(&documents(&["a"]));
    let mut hand = Hand(world.go());
    let all = hand.granted(9);
    let text = hand.literal("words");
    let count = |collection, up_to| HostCall::CollectionCount { collection, up_to };
    let fill = |over, parts| HostCall::FillEach { over, parts };
    let threads = HostCall::Threads { slot: "inbox".into(), limit: u16::MAX };
    let zip = HostCall::CollectionZip { left: all, right: text, separator: String::new() };
    let long = HostCall::CollectionZip { left: all, right: all, separator: "x".repeat(5000) };
    let cases: [(HostCall, HostReply); 7] = [
        (count(all, 0), Err(invalid("what is counted goes up to 1 to 63"))),
        (count(all, 64), Err(invalid("what is counted goes up to 1 to 63"))),
        (count(text, 1), Err(invalid("expected a collection"))),
        (
            fill(all, vec![words("x")]),
            Err(invalid("a prompt over a collection needs an item part")),
        ),
        (threads, Err(GuestError::OverQuota(Quota::Items))),
        (zip, Err(invalid("expected a collection"))),
        (long, Err(GuestError::OverQuota(Quota::Bytes))),
    ];
    for (call, reply) in cases {
        assert_eq!(hand.0.call(call.clone()), reply, "{call:?}");
    }
}
