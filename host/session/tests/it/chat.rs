//! Talking with the model.

use std::time::Duration;

use hearth_session::{
    Command, ConversationId, ErrorKind, Event, FakeBackend, Reply, Speaker, StopReason,
};

use crate::stage::{Setting, Stage};

fn ask(conversation: Option<ConversationId>, text: &str) -> Command {
    Command::Ask { conversation, text: text.into(), attached: Vec::new() }
}

fn answered(reply: Reply) -> (ConversationId, String, StopReason) {
    match reply {
        Reply::Answered { conversation, text, stop, .. } => (conversation, text, stop),
        other => panic!("{other:?}"),
    }
}

fn said(stage: &Stage) -> Vec<(Speaker, String)> {
    let view = stage.view();
    let open = view.conversation.as_ref().expect("a conversation is open");
    assert!(open.answering.is_none());
    open.turns.iter().map(|turn| (turn.speaker, turn.text.clone())).collect()
}

#[test]
fn an_answer_streams_and_is_kept() {
    let stage = Setting::default().open();
    let mut streamed = String::new();
    let reply = stage.handle.run(ask(None, "one two three"), &mut |event| {
        if let Event::Answer { text, .. } = event {
            streamed.push_str(text);
        }
    });
    let (id, text, stop) = answered(reply.unwrap());
    assert_eq!((text.as_str(), stop), ("fake: one two three", StopReason::EndOfText));
    assert_eq!(streamed, text);
    assert_eq!(said(&stage), [(Speaker::User, "one two three".into()), (Speaker::Assistant, text)]);
    let view = stage.view();
    assert_eq!(view.conversations[0].title, "one two three");
    assert!(!view.conversation.as_ref().unwrap().turns[1].stopped);

    stage.run(ask(Some(id), "and four")).unwrap();
    assert_eq!(said(&stage).len(), 4);
    stage.run(Command::RenameConversation(id, "Numbers".into())).unwrap();
    assert_eq!(stage.view().conversation.as_ref().unwrap().title, "Numbers");
    stage.run(Command::DeleteConversation(id)).unwrap();
    assert!(stage.view().conversations.is_empty() && stage.view().conversation.is_none());
}

#[test]
fn an_empty_conversation_takes_its_title_from_the_first_question() {
    let stage = Setting::default().open();
    let Reply::Conversation(id) = stage.run(Command::NewConversation).unwrap() else {
        panic!("none made")
    };
    stage.run(ask(Some(id), "What is a kettle?")).unwrap();
    assert_eq!(stage.view().conversation.as_ref().unwrap().title, "What is a kettle?");
}

#[test]
fn attached_documents_are_read() {
    let backend = FakeBackend::new(|prompt| {
        let hearth_engine_api::Prompt::Chat(messages) = prompt else { return String::new() };
        messages.last().map_or(String::new(), |m| m.content.clone())
    });
    let stage = Setting { backend, ..Setting::default() }.open();
    let heads = stage.with_mails(2);
    let command =
        Command::Ask { conversation: None, text: "And?".into(), attached: vec![heads[0].id] };
    let (_, text, _) = answered(stage.run(command).unwrap());
    assert!(
        text.starts_with(&format!("Attached: {}\n\nFrom: Ada", heads[0].title))
            && text.contains("Words of letter"),
        "{text}"
    );
    assert!(text.ends_with("And?"));
}

#[test]
fn what_does_not_fit_is_left_out_aloud() {
    let backend = FakeBackend::default().with_context(80);
    let stage = Setting { backend, ..Setting::default() }.open();
    let (id, ..) = answered(stage.run(ask(None, &"early ".repeat(20))).unwrap());
    stage.run(ask(Some(id), &"later ".repeat(20))).unwrap();
    let (.., stop) = answered(stage.run(ask(Some(id), "and now")).unwrap());
    assert_eq!(stop, StopReason::EndOfText);
    let notices: Vec<_> =
        said(&stage).into_iter().filter(|(speaker, _)| *speaker == Speaker::Notice).collect();
    assert!(!notices.is_empty());
    assert!(notices[0].1.contains("left out") && notices[0].1.contains("80 tokens"), "{notices:?}");

    let error = stage.run(ask(Some(id), &"long ".repeat(90))).unwrap_err();
    assert!(error.message.contains("too long") && !error.hint.is_empty(), "{error:?}");
    // The question is kept all the same.
    assert!(said(&stage).last().unwrap().1.starts_with("long"));
}

#[test]
fn an_answer_can_be_stopped_and_counts_as_stopped() {
    let backend =
        FakeBackend::new(|_| "word ".repeat(2000)).with_token_delay(Duration::from_millis(1));
    let stage = Setting { backend, ..Setting::default() }.open();
    let pending = stage.handle.start(ask(None, "speak")).unwrap();
    let ticket = pending.ticket();
    let mut stopped = false;
    let reply = pending.wait(&mut |event| {
        if !stopped && matches!(event, Event::Answer { .. }) {
            stopped = true;
            stage.handle.send(Command::Cancel(ticket)).unwrap();
        }
    });
    let (id, text, stop) = answered(reply.unwrap());
    assert_eq!(stop, StopReason::Cancelled);
    assert!(text.len() < 10_000 && !text.is_empty());
    let turn = stage.view().conversation.as_ref().unwrap().turns[1].clone();
    assert_eq!(turn.text, text);
    assert!(turn.stopped);
    // The next question is answered.
    assert!(stage.handle.start(ask(Some(id), "again")).is_ok());
}

#[test]
fn asking_again_takes_later_turns_back() {
    let stage = Setting::default().open();
    let (id, ..) = answered(stage.run(ask(None, "first")).unwrap());
    stage.run(ask(Some(id), "second")).unwrap();
    let turn = stage.view().conversation.as_ref().unwrap().turns[0].id;
    stage.run(Command::AskAgain { turn, text: Some("better".into()) }).unwrap();
    assert_eq!(
        said(&stage),
        [(Speaker::User, "better".into()), (Speaker::Assistant, "fake: better".into())]
    );
    let answer = stage.view().conversation.as_ref().unwrap().turns[1].id;
    let error = stage.run(Command::AskAgain { turn: answer, text: None }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::User);
}

#[test]
fn without_a_model_the_question_is_kept_and_the_way_out_told() {
    let stage = Setting { model: false, ..Setting::default() }.open();
    let error = stage.run(ask(None, "anyone there?")).unwrap_err();
    assert!(error.message.contains("No model"), "{error:?}");
    assert!(error.hint.contains("Models"));
    assert_eq!(said(&stage), [(Speaker::User, "anyone there?".into())]);
}

#[test]
fn models_are_added_chosen_and_removed() {
    let stage = Setting::default().open();
    let path = stage.dir.path().join("mine.gguf");
    std::fs::write(&path, "any").unwrap();
    let Reply::Model(id) = stage.run(Command::AddModel(path)).unwrap() else { panic!("not added") };
    let view = stage.view();
    assert_eq!(view.models.models.len(), 2);
    assert!(view.models.models[0].id.is_none() && view.models.models[0].is_default);
    stage.run(Command::LoadModel(Some(id))).unwrap();
    let view = stage.view();
    assert_eq!(view.models.loaded.as_ref().unwrap().id, Some(id));
    assert!(view.models.models[1].is_default && view.models.loading.is_none());
    stage.run(Command::UnloadModel).unwrap();
    assert!(stage.view().models.loaded.is_none());
    stage.run(Command::RemoveModel(id)).unwrap();
    let view = stage.view();
    assert_eq!(view.models.models.len(), 1);
    assert!(view.models.models[0].is_default);
}

#[test]
fn a_model_can_wait_until_it_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let session = Setting::default().start(dir.path());
    let handle = session.handle();
    handle.load_model_when_asked();
    crate::stage::run(&handle, Command::CreateVault(crate::stage::passphrase())).unwrap();
    assert!(handle.view().models.loaded.is_none() && handle.view().jobs.is_empty());
    let (_, text, _) = answered(crate::stage::run(&handle, ask(None, "now")).unwrap());
    assert_eq!(text, "fake: now");
    assert!(handle.view().models.loaded.is_some());
}

#[test]
fn a_conversation_deleted_while_the_model_speaks_is_gone() {
    let backend =
        FakeBackend::new(|_| "word ".repeat(2000)).with_token_delay(Duration::from_millis(1));
    let stage = Setting { backend, ..Setting::default() }.open();
    let pending = stage.handle.start(ask(None, "speak")).unwrap();
    let mut deleted = false;
    let error = pending
        .wait(&mut |event| {
            if let Event::Answer { conversation, .. } = event
                && !deleted
            {
                deleted = true;
                stage.handle.send(Command::DeleteConversation(*conversation)).unwrap();
            }
        })
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error:?}");
    // The deletion may end after the answer does.
    crate::stage::until(&stage.handle, "gone", |view| {
        view.conversation.is_none() && view.conversations.is_empty()
    });
}
