use hearth_base::DocumentId;
use hearth_engine_api::{Engine, FakeBackend, LoadOptions, Role};
use hearth_vault::Speaker;

use super::{
    prompt::{Attached, Plan, SYSTEM, Turn, plan},
    readable, title_of,
};
use crate::UserError;

async fn planned(turns: Vec<Turn>, context_tokens: u32) -> Result<Plan, UserError> {
    let engine = Engine::start(FakeBackend::default().with_context(context_tokens)).unwrap();
    let (progress, _shares) = tokio::sync::mpsc::channel(4);
    engine.load("fake".into(), LoadOptions::default(), progress, Default::default()).await.unwrap();
    plan(&engine, turns, context_tokens).await
}

fn turn(speaker: Speaker, text: &str) -> Turn {
    Turn { speaker, text: text.into(), attached: Vec::new() }
}

fn asked_with(id: i64, words: usize, text: &str) -> Turn {
    let document = Attached {
        id: Some(DocumentId(id)),
        title: format!("Paper {id}"),
        text: "word ".repeat(words),
    };
    Turn { speaker: Speaker::User, text: text.into(), attached: vec![document] }
}

#[tokio::test]
async fn what_fits_goes_whole() {
    let turns = vec![
        turn(Speaker::User, "one"),
        turn(Speaker::Notice, "never read by the model"),
        turn(Speaker::Assistant, "two"),
        asked_with(1, 3, "three"),
    ];
    let plan = planned(turns, 400).await.unwrap();
    let said: Vec<_> = plan.messages.iter().map(|m| (m.role, m.content.as_str())).collect();
    assert_eq!(
        said,
        [
            (Role::System, SYSTEM),
            (Role::User, "one"),
            (Role::Assistant, "two"),
            (Role::User, "Attached: Paper 1\n\nword word word \n\nthree"),
        ]
    );
    assert!(plan.notices.is_empty());
}

#[tokio::test]
async fn the_oldest_turns_go_first_and_it_is_said() {
    let mut turns = vec![asked_with(7, 5, "question 0")];
    for n in 0..20 {
        turns.push(turn(Speaker::Assistant, &"answer ".repeat(10)));
        turns.push(turn(Speaker::User, &format!("question {}", n + 1)));
    }
    let plan = planned(turns, 100).await.unwrap();
    assert!(plan.notices[0].contains("earlier messages were left out"), "{:?}", plan.notices);
    assert_eq!(plan.notices.len(), 1);
    // The document outlives the turn it came with; the first turn that stays is a question.
    assert_eq!(plan.messages[1].role, Role::User);
    assert!(plan.messages[1].content.starts_with("Attached: Paper 7"));
    assert_eq!(plan.messages.last().unwrap().content, "question 20");
}

#[tokio::test]
async fn documents_are_shortened_last_and_it_is_said_by_how_much() {
    let mut last = asked_with(1, 500, "what is this");
    last.attached.extend(asked_with(2, 4, "").attached);
    let plan = planned(vec![last], 200).await.unwrap();
    assert_eq!(plan.notices.len(), 1, "{:?}", plan.notices);
    assert!(plan.notices[0].starts_with("“Paper 1” was shortened"), "{}", plan.notices[0]);
    assert!(plan.notices[0].contains("of 2500 characters"), "{}", plan.notices[0]);
    let content = &plan.messages[1].content;
    assert!(content.contains("Paper 2\n\nword word word word"));
    assert!(content.ends_with("what is this"));
    assert!(plan.answer_tokens >= 50);
}

#[tokio::test]
async fn a_question_too_long_by_itself_is_refused() {
    let error = planned(vec![turn(Speaker::User, &"word ".repeat(500))], 100).await.unwrap_err();
    assert!(error.message.contains("too long"), "{error:?}");
}

#[test]
fn titles_are_first_words() {
    assert_eq!(title_of("  What is\nthis?"), "What is this?");
    assert_eq!(title_of("a b c d e f g h i j"), "a b c d e f g h…");
    assert_eq!(title_of(&"x".repeat(200)).chars().count(), 61);
}

#[test]
fn a_mail_is_read_with_its_sender_and_day() {
    let dir = tempfile::tempdir().unwrap();
    let mail = "From: Ada <ada@example.org>\nTo: Bo <bo@example.org>\nSubject: Tea\n\
                Date: Mon, 2 Mar 2026 10:00:00 +0000\nMessage-ID: <1@example.org>\n\nAt four.\n";
    std::fs::write(dir.path().join("tea.eml"), mail).unwrap();
    std::fs::write(dir.path().join("tea.md"), "Green.\n").unwrap();
    let vault = hearth_vault::Vault::in_memory().unwrap();
    let mut go_on = |_: hearth_vault::ImportProgress<'_>| std::ops::ControlFlow::Continue(());
    vault.import(dir.path(), None, &mut go_on).unwrap();
    let mut read: Vec<String> = vault
        .documents(&hearth_vault::DocumentQuery::default())
        .unwrap()
        .heads
        .iter()
        .map(|head| readable(&vault.document(head.id).unwrap().unwrap()))
        .collect();
    read.sort();
    let expected =
        "From: Ada <ada@example.org>\nTo: Bo <bo@example.org>\nDate: 2 March 2026\n\nAt four.";
    assert_eq!(read[0].trim_end(), expected);
    assert_eq!(read[1].trim_end(), "Green.");
}
