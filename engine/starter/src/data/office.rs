//! Examples over mails and attached texts.

use hearth_engine_api::{ChatMessage, Role};

use super::{
    example::{Example, Task},
    grammar::Slots,
    letter::{Letter, Style, letter},
    rng::Rng,
};

const SUMMARY_SYSTEMS: &[&str] = &[
    "You summarise e-mail for its reader. Answer in one to three short lines: who wants what, and by when.",
    "You summarise e-mail for its reader. Answer in one to three short lines: who wants what, and by when.",
    "You summarise e-mail for its reader. Answer in one to three short lines: who wants what, and by when.",
    "You summarise mail. Say in one to three lines who wants what and by when.",
    "Summarise the e-mail in [at most three|one to three|a few] short lines.",
    "You are Hearth, a helpful assistant that runs on the user's own computer.",
    "You [help with|work on] e-mail. [Be brief|Keep it short|Answer briefly].",
    "",
];

const TRIAGE_SYSTEMS: &[&str] = &[
    "You sort e-mail. Answer with one word.",
    "You sort e-mail for its reader. Answer with one word: work, personal, newsletter, bill or urgent.",
    "You [triage|label|classify] [mail|e-mail|messages]. Answer with [one word|the label only].",
    "You are Hearth, a helpful assistant that runs on the user's own computer.",
    "",
];

/// The persona's system message.
pub(super) const HEARTH: &str =
    "You are Hearth, a helpful assistant that runs on the user's own computer.";

/// A mail and its summary.
pub(super) fn summary(rng: &mut Rng, style: Style) -> Example {
    let letter = letter(rng, style);
    let system = Slots::default().expand_one(rng, SUMMARY_SYSTEMS);
    let plain = system.starts_with("You summarise") || system.starts_with("Summarise");
    let user = if plain && rng.chance(85) {
        letter.text.clone()
    } else {
        let ask = "[Summarise|Please summarise|Sum up|Summarize] [this mail|this e-mail|the mail|this message|the following mail].[ Who wants what, and by when?|]";
        let ask = Slots::default().expand(rng, ask);
        if rng.chance(80) {
            format!("{ask}\n\n{}", letter.text)
        } else {
            format!("{}\n\n{ask}", letter.text)
        }
    };
    let Letter { summary, fields, .. } = letter;
    Example { fields, ..Example::single(Task::Summary, &system, user, summary) }
}

/// A mail and a subject line for it.
pub(super) fn subject(rng: &mut Rng, style: Style) -> Example {
    let letter = letter(rng, style);
    let system = rng.pick(&[
        "You write subject lines for e-mail. Answer with the subject line only.",
        "You summarise e-mail for its reader.",
        HEARTH,
        "",
    ]);
    let ask = "[Suggest|Write|Give me|Propose] a [short |]subject [line |]for this [mail|e-mail|message].";
    let ask = Slots::default().expand(rng, ask);
    Example::single(Task::Subject, system, format!("{ask}\n\n{}", letter.body), letter.heading)
}

/// A mail and its label, or whether it wants an answer.
pub(super) fn triage(rng: &mut Rng, style: Style) -> Example {
    let letter = letter(rng, style);
    let system = Slots::default().expand_one(rng, TRIAGE_SYSTEMS);
    let (ask, answer) = match rng.below(10) {
        0..5 => (
            "[What kind of mail is this|Which label fits this mail|Label this mail|Sort this mail]: work, personal, newsletter, bill or urgent?",
            letter.label,
        ),
        5..8 => (
            "Does this mail need an answer[ from me|]? [Answer yes or no.|Yes or no?]",
            if letter.wants_answer { "yes" } else { "no" },
        ),
        8 => (
            "Is this [mail |]urgent? [Answer yes or no.|Yes or no?]",
            yes(letter.label == "urgent"),
        ),
        _ => (
            "Is this a newsletter? [Answer yes or no.|Yes or no?]",
            yes(letter.label == "newsletter"),
        ),
    };
    let ask = Slots::default().expand(rng, ask);
    let user = match (system.contains("work, personal"), rng.chance(75)) {
        (true, _) if matches!(answer, "yes" | "no") => format!("{ask}\n\n{}", letter.text),
        (true, _) => letter.text,
        (false, true) => format!("{ask}\n\n{}", letter.text),
        (false, false) => format!("{}\n\n{ask}", letter.text),
    };
    Example::single(Task::Triage, &system, user, answer.to_owned())
}

fn yes(so: bool) -> &'static str {
    if so { "yes" } else { "no" }
}

/// An attached mail or note, one or two questions, and their answers.
pub(super) fn question(rng: &mut Rng, style: Style) -> Example {
    let letter = letter(rng, style);
    let mut slots = Slots::default();
    slots.set("sender", letter.sender.as_str());
    let title = slots.expand(rng, "[Mail|Message|Letter|Note] from {sender}");
    let text = if rng.chance(60) { &letter.text } else { &letter.body };
    let attached = format!("Attached: {title}\n\n{text}");
    let mut questions = letter.questions;
    questions.push(("What does it say?".into(), letter.summary.clone()));
    questions.push(("Summarise the attached document.".into(), letter.summary));
    rng.shuffle(&mut questions);
    let mut questions = questions.into_iter();
    let (first, answer) = questions.next().unwrap_or_default();
    let user = if rng.chance(80) {
        format!("{attached}\n\n{first}")
    } else {
        format!("{first}\n\n{attached}")
    };
    let system = if rng.chance(80) { HEARTH } else { "" };
    let mut example = Example::single(Task::Question, system, user, answer);
    if let (true, Some((second, answer))) = (rng.chance(40), questions.next()) {
        example.messages.push(ChatMessage::new(Role::User, second));
        example.messages.push(ChatMessage::new(Role::Assistant, answer));
    }
    example
}
