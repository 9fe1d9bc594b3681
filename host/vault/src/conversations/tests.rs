use hearth_base::{Label, PluginId};

use super::*;
use crate::NewSaved;

fn said(speaker: Speaker, text: &str) -> NewTurn {
    NewTurn {
        speaker,
        text: text.into(),
        attached: Vec::new(),
        model: String::new(),
        stopped: false,
    }
}

fn document(vault: &Vault) -> DocumentId {
    let plugin = PluginId::new("org.example.digest").unwrap();
    let new = NewSaved { plugin, title: "T".into(), body: "B".into(), label: Label::public() };
    vault.save_document(&new).unwrap()
}

#[test]
fn a_conversation_is_kept_in_order_with_what_was_attached() {
    let vault = Vault::in_memory().unwrap();
    let (a, b) = (document(&vault), document(&vault));
    let talk = vault.new_conversation("Brakes").unwrap();
    let question = NewTurn { attached: vec![b, a], ..said(Speaker::User, "What is this?") };
    let first = vault.add_turn(talk, &question).unwrap();
    let answer = NewTurn { model: "starter".into(), ..said(Speaker::Assistant, "An") };
    let second = vault.add_turn(talk, &answer).unwrap();
    vault.update_turn(second, "An invoice", true).unwrap();

    let turns = vault.turns(talk).unwrap();
    assert_eq!(turns.len(), 2);
    assert_eq!((turns[0].id, turns[0].attached.as_slice()), (first, [b, a].as_slice()));
    assert_eq!(turns[1].text, "An invoice");
    assert_eq!((turns[1].speaker, turns[1].stopped), (Speaker::Assistant, true));
    assert_eq!(turns[1].model, "starter");

    vault.delete_document(b).unwrap();
    assert_eq!(vault.turns(talk).unwrap()[0].attached, [a]);
}

#[test]
fn answering_anew_deletes_from_there_in_that_conversation_alone() {
    let vault = Vault::in_memory().unwrap();
    let (one, two) = (vault.new_conversation("1").unwrap(), vault.new_conversation("2").unwrap());
    vault.add_turn(one, &said(Speaker::User, "a")).unwrap();
    let from = vault.add_turn(one, &said(Speaker::Assistant, "b")).unwrap();
    vault.add_turn(two, &said(Speaker::User, "other")).unwrap();
    vault.add_turn(one, &said(Speaker::Notice, "c")).unwrap();
    vault.delete_turns_from(from).unwrap();
    assert_eq!(vault.turns(one).unwrap().len(), 1);
    assert_eq!(vault.turns(two).unwrap().len(), 1);
    let again = vault.add_turn(one, &said(Speaker::Assistant, "d")).unwrap();
    assert!(again > from, "a number is never used again");
}

#[test]
fn heads_count_messages_and_renaming_and_deleting_work() {
    let vault = Vault::in_memory().unwrap();
    let talk = vault.new_conversation("").unwrap();
    vault.add_turn(talk, &said(Speaker::User, "hi")).unwrap();
    vault.rename_conversation(talk, "Greeting").unwrap();
    let heads = vault.conversations().unwrap();
    assert_eq!((heads[0].title.as_str(), heads[0].messages), ("Greeting", 1));
    vault.delete_conversation(talk).unwrap();
    assert!(vault.conversations().unwrap().is_empty());
}

#[test]
fn what_is_not_there_is_an_error() {
    let vault = Vault::in_memory().unwrap();
    let gone = ConversationId(9);
    let missing = StoreError::NotFound { what: "conversation" };
    assert_eq!(vault.turns(gone).unwrap_err(), missing);
    assert_eq!(vault.add_turn(gone, &said(Speaker::User, "x")).unwrap_err(), missing);
    assert_eq!(vault.rename_conversation(gone, "x").unwrap_err(), missing);
    let missing = StoreError::NotFound { what: "message" };
    assert_eq!(vault.update_turn(MessageId(9), "x", false).unwrap_err(), missing);
    let talk = vault.new_conversation("x").unwrap();
    let with_nothing =
        NewTurn { attached: vec![DocumentId(9)], ..said(Speaker::User, "look at this") };
    assert_eq!(
        vault.add_turn(talk, &with_nothing).unwrap_err(),
        StoreError::NotFound { what: "document" }
    );
    assert!(vault.turns(talk).unwrap().is_empty());
}

fn call(state: CallState) -> ToolCall {
    ToolCall {
        plugin: PluginId::new("org.example.finder").unwrap(),
        plugin_name: "Finder".into(),
        command: "find".into(),
        title: "Find".into(),
        input: Some("anvils".into()),
        document: Some(DocumentId(7)),
        state,
        made_from: "made by Finder from 3 documents".into(),
    }
}

#[test]
fn calls_stand_among_the_messages_and_go_with_them() {
    let vault = Vault::in_memory().unwrap();
    let talk = vault.new_conversation("x").unwrap();
    vault.add_turn(talk, &said(Speaker::User, "where?")).unwrap();
    let turn = vault.add_call(talk, &call(CallState::Done), "in the yard").unwrap();
    vault.add_turn(talk, &said(Speaker::Assistant, "In the yard.")).unwrap();
    vault.add_turn(talk, &said(Speaker::Notice, "no call")).unwrap();
    let turns = vault.turns(talk).unwrap();
    assert_eq!(turns[1].speaker, Speaker::Tool);
    assert_eq!(turns[1].text, "in the yard");
    assert_eq!(turns[1].call.as_deref(), Some(&call(CallState::Done)));
    assert!(!format!("{turns:?}").contains("anvils"));
    assert_eq!((turns[3].speaker, turns[3].call.is_none()), (Speaker::Notice, true));
    vault.delete_turns_from(turn).unwrap();
    let again = vault.add_call(talk, &call(CallState::Refused), "").unwrap();
    assert!(again > turn);
    assert_eq!(vault.turns(talk).unwrap().len(), 2);
    let missing = StoreError::NotFound { what: "conversation" };
    let gone = ConversationId(99);
    assert_eq!(vault.add_call(gone, &call(CallState::Failed), "").unwrap_err(), missing);
}

#[test]
fn what_a_conversation_depends_on_only_grows() {
    let vault = Vault::in_memory().unwrap();
    let talk = vault.new_conversation("x").unwrap();
    assert!(vault.conversation_label(talk).unwrap().is_public());
    let of = |id| Label::document(DocumentId(id), [hearth_base::Origin::External].into());
    vault.join_conversation_label(talk, &of(1)).unwrap();
    let both = vault.join_conversation_label(talk, &of(2)).unwrap();
    assert_eq!(both, Label::joined([&of(1), &of(2)]));
    assert_eq!(vault.conversation_label(talk).unwrap(), both);
    vault.delete_conversation(talk).unwrap();
    assert!(vault.join_conversation_label(talk, &of(1)).is_err());
}
