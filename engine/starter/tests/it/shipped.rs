//! The model in the repository.

use std::path::PathBuf;

use hearth_engine_api::{ChatMessage, Role};
use hearth_starter::Speaker;

/// More than this the repository shall not carry.
const LIMIT_BYTES: u64 = 8 << 20;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("hearth-starter.gguf")
}

#[test]
fn it_is_small() {
    let bytes = path().metadata().unwrap().len();
    assert!(bytes <= LIMIT_BYTES, "{bytes} bytes");
}

#[test]
fn it_names_the_sender_of_a_mail() {
    let mail = "From: Clara Novak\nSubject: Budget\n\nHi Ben,\n\nCould you please review the final budget \
                by Friday 12 March?\n\nThanks,\nClara";
    let messages = [
        ChatMessage::new(
            Role::System,
            "You summarise e-mail for its reader. Answer in one to three short lines: who wants what, and by when.",
        ),
        ChatMessage::new(Role::User, mail),
    ];
    let answer = Speaker::open(&path()).unwrap().answer(&messages, 80).unwrap();
    assert!(answer.contains("Clara"), "{answer}");
}

#[test]
fn it_knows_who_it_is() {
    let messages = [
        ChatMessage::new(
            Role::System,
            "You are Hearth, a helpful assistant that runs on the user's own computer.",
        ),
        ChatMessage::new(Role::User, "Who are you?"),
    ];
    let answer = Speaker::open(&path()).unwrap().answer(&messages, 80).unwrap();
    assert!(answer.contains("Hearth"), "{answer}");
}
