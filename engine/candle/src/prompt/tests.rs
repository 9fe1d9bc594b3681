use super::*;

fn messages() -> [ChatMessage; 4] {
    [
        ChatMessage::new(Role::System, "Be brief."),
        ChatMessage::new(Role::User, "Hello"),
        ChatMessage::new(Role::Assistant, "Hi."),
        ChatMessage::new(Role::User, " And now? \n"),
    ]
}

#[test]
fn without_a_template_turns_become_lines() {
    assert_eq!(
        plain_chat(&messages(), true),
        "Be brief.\n\nUser: Hello\nAssistant: Hi.\nUser: And now?\nAssistant:"
    );
}

#[test]
fn lines_told_begin_with_lines_asked() {
    let asked = plain_chat(&messages()[..2], true);
    let told = plain_chat(&messages()[..3], false);
    assert_eq!(told.strip_prefix(&asked), Some(" Hi.\nUser:"));
    assert!(plain_chat(&messages(), true).starts_with(&told));
}
