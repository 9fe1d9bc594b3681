//! What is learnt begins with what is asked, token for token, whatever template and vocabulary.
#![allow(clippy::single_range_in_vec_init, reason = "what is learnt is a list of stretches")]

use std::{fs, path::Path};

use candle_core::quantized::gguf_file::Value;
use hearth_engine_api::{ChatMessage, LossOn, Role};
use hearth_engine_candle::{
    prompt::{Lesson, Prompter},
    template::ChatTemplate,
    tokenizer::Tokenizer,
};
use jiff::civil::{DateTime, date};

use crate::{data::test_data, tokenizer::metadata};

const VOCABULARIES: [&str; 6] =
    ["deepseek-llm", "falcon", "gpt-2", "llama-spm", "phi-3", "starcoder"];

fn now() -> DateTime {
    date(2026, 1, 1).at(12, 0, 0, 0)
}

fn tokenizer(folder: &Path, vocabulary: &str, template: Option<&str>) -> Tokenizer {
    let mut metadata = metadata(&folder.join(format!("ggml-vocab-{vocabulary}.gguf")));
    metadata.remove("tokenizer.chat_template");
    if let Some(template) = template {
        metadata.insert("tokenizer.chat_template".into(), Value::String(template.into()));
    }
    Tokenizer::from_gguf(&metadata).unwrap()
}

fn conversation(system: bool) -> Vec<ChatMessage> {
    let system = system.then(|| ChatMessage::new(Role::System, "You write verse."));
    let rest = [
        (Role::User, "A line about rain, please."),
        (Role::Assistant, "Rain writes its letters on the glass; nobody reads them."),
        (Role::User, "Another one"),
        (
            Role::Assistant,
            "<think>Shorter, then.</think>\n\nThe gutter keeps count.\n\nIt never loses it.",
        ),
        (Role::User, "Thanks!"),
        (Role::Assistant, "Gladly. <|im_end|></s> is not an end."),
    ];
    let rest = rest.into_iter().map(|(role, content)| ChatMessage::new(role, content));
    system.into_iter().chain(rest).collect()
}

fn learnt_text(tokenizer: &Tokenizer, lesson: &Lesson, part: usize) -> String {
    let ids = &lesson.ids[lesson.learnt[part].clone()];
    let mut bytes: Vec<u8> = Vec::new();
    ids.iter().filter_map(|id| tokenizer.token_bytes(*id)).for_each(|b| bytes.extend(b));
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_answer_is_learnt_once_after_what_serving_asks_with() {
    let test = "every_answer_is_learnt_once_after_what_serving_asks_with";
    let (Some(templates), Some(vocabularies)) =
        (test_data(test, "chat-templates/templates"), test_data(test, "tokenizers"))
    else {
        return;
    };
    let mut paths: Vec<_> =
        fs::read_dir(templates).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for (path, vocabulary) in
        paths.iter().flat_map(|path| ["gpt-2", "llama-spm", "phi-3"].map(|name| (path, name)))
    {
        let source = fs::read_to_string(path).unwrap();
        let template = ChatTemplate::new(&source).unwrap();
        let prompter = Prompter::new(tokenizer(&vocabularies, vocabulary, Some(&source)));
        let tokenizer = prompter.tokenizer();
        for system in [false, true] {
            let case = format!("{} {vocabulary} {system}", path.display());
            let messages = conversation(system);
            let lessons = prompter.chat_lessons(&messages, LossOn::Answers, now()).unwrap();
            let parts: Vec<(&Lesson, usize)> = lessons
                .iter()
                .flat_map(|lesson| (0..lesson.learnt.len()).map(move |part| (lesson, part)))
                .collect();
            let answers: Vec<usize> =
                (0..messages.len()).filter(|i| messages[*i].role == Role::Assistant).collect();
            assert_eq!(parts.len(), answers.len(), "{case}");
            let last = *answers.last().unwrap();
            let only = prompter.answer_lessons(&messages, &|turn| turn == last, now()).unwrap();
            let [only] = &*only else { panic!("{case}") };
            assert_eq!(only.learnt.len(), 1, "{case}");
            let (all, part) = *parts.last().unwrap();
            assert_eq!(
                only.ids[only.learnt[0].clone()],
                all.ids[all.learnt[part].clone()],
                "{case}"
            );
            for ((lesson, part), turn) in parts.into_iter().zip(answers) {
                let asked = template.encode_chat(tokenizer, &messages[..turn], now()).unwrap();
                let learnt = lesson.learnt[part].clone();
                assert_eq!(lesson.ids[..learnt.start], asked, "{case}");
                let text = learnt_text(tokenizer, lesson, part);
                let answer = messages[turn].content.rsplit("</think>").next().unwrap().trim();
                assert!(text.contains(answer), "{case}: {text:?}");
                let last = lesson.ids[learnt.end - 1];
                assert!(tokenizer.end_ids().contains(&last), "{case}: {text:?}");
                let ends = lesson.ids[learnt].iter().filter(|id| tokenizer.end_ids().contains(id));
                assert_eq!(ends.count(), 1, "{case}");
            }
        }
    }
}

#[test]
fn without_a_template_answers_share_a_lesson_where_words_allow() {
    let Some(folder) =
        test_data("without_a_template_answers_share_a_lesson_where_words_allow", "tokenizers")
    else {
        return;
    };
    let prompter = Prompter::new(tokenizer(&folder, "gpt-2", None));
    let tokenizer = prompter.tokenizer();
    let lessons = prompter.chat_lessons(&conversation(true), LossOn::Answers, now()).unwrap();
    assert_eq!(lessons.len(), 1);
    assert_eq!(learnt_text(tokenizer, &lessons[0], 0).split_once('\n').unwrap().1, "User:");
    let all = prompter.chat_lessons(&conversation(true), LossOn::All, now()).unwrap();
    assert_eq!(all[0].ids, lessons[0].ids);
    assert_eq!(all[0].learnt, [0..all[0].ids.len()]);
}

#[test]
fn a_cue_that_opens_reasoning_is_closed_before_an_answer_without() {
    let Some(folder) =
        test_data("a_cue_that_opens_reasoning_is_closed_before_an_answer_without", "tokenizers")
    else {
        return;
    };
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}\
                    {% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]<think>\n{% endif %}";
    let prompter = Prompter::new(tokenizer(&folder, "phi-3", Some(template)));
    let learnt = |answer: &str| {
        let messages =
            [ChatMessage::new(Role::User, "Why?"), ChatMessage::new(Role::Assistant, answer)];
        let lessons = prompter.chat_lessons(&messages, LossOn::Answers, now()).unwrap();
        learnt_text(prompter.tokenizer(), &lessons[0], 0)
    };
    assert_eq!(learnt("Because.").trim_start(), "</think>\n\nBecause.");
    assert_eq!(learnt("<think>Hm.</think>Because.").trim_start(), "Hm.</think>Because.");
}

#[test]
fn a_completion_begins_with_the_ids_of_its_prompt() {
    let Some(folder) = test_data("a_completion_begins_with_the_ids_of_its_prompt", "tokenizers")
    else {
        return;
    };
    for vocabulary in VOCABULARIES {
        let prompter = Prompter::new(tokenizer(&folder, vocabulary, None));
        let tokenizer = prompter.tokenizer();
        let text = "fn largest(numbers: &[u32]) -> u32 { return 0 }\n";
        for border in 0..=text.len() {
            let (prompt, completion) = text.split_at(border);
            let lesson = prompter.completion_lesson(prompt, completion, LossOn::Answers).unwrap();
            let asked = prompter.ids(&hearth_engine_api::Prompt::Text(prompt.into())).unwrap();
            assert_eq!(lesson.ids[..asked.len()], asked, "{vocabulary} {border}");
            assert_eq!(lesson.learnt, [asked.len()..lesson.ids.len()]);
            let whole = learnt_text(
                tokenizer,
                &Lesson { learnt: vec![0..lesson.ids.len()], ..lesson.clone() },
                0,
            );
            assert_eq!(whole.trim_start(), text.trim_start(), "{vocabulary} {border}");
            assert_eq!(lesson.ids.last().copied(), tokenizer.eos());
        }
    }
}
