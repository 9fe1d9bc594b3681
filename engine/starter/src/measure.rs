//! How good the answers are, on generated examples that are never learnt from.

use hearth_engine_api::ChatMessage;

use crate::{
    data::{Example, Generator, Task},
    error::StarterError,
};

/// Shares of right answers over some examples of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Examples asked.
    pub examples: usize,
    /// Answers equal to the expected one, letter by letter.
    pub exact: usize,
    /// Names of senders repeated, and how many there were.
    pub senders: (usize, usize),
    /// Dates and times repeated, and how many there were.
    pub dates: (usize, usize),
    /// All other facts repeated, and how many there were.
    pub others: (usize, usize),
}

impl Score {
    /// Adds an answer to `example`.
    pub fn count(&mut self, example: &Example, answer: &str) {
        self.examples += 1;
        self.exact += usize::from(answer.trim() == example.answer().trim());
        let small = answer.to_lowercase();
        for (slot, value) in &example.fields {
            let tally = match slot.trim_end_matches(|c: char| c.is_ascii_digit()) {
                "sender" => &mut self.senders,
                "when" | "date" | "time" => &mut self.dates,
                _ => &mut self.others,
            };
            tally.0 += usize::from(small.contains(&value.to_lowercase()));
            tally.1 += 1;
        }
    }
}

/// Asks `answer` for the first `count` held-out examples of `task`.
///
/// # Errors
/// Whatever `answer` fails with.
pub fn measure(
    generator: &Generator,
    task: Task,
    count: u64,
    answer: &mut dyn FnMut(&[ChatMessage]) -> Result<String, StarterError>,
) -> Result<Score, StarterError> {
    let mut score = Score::default();
    for index in 0..count {
        let example = generator.example_of(task, index);
        let said = answer(example.prompt())?;
        score.count(&example, &said);
    }
    Ok(score)
}

/// What a reader gets without a model: the sender's line, the subject and the first sentence of the mail.
pub fn lead(messages: &[ChatMessage]) -> String {
    let text = messages.last().map_or("", |message| message.content.as_str());
    let from = text.lines().find(|line| line.starts_with("From: ")).unwrap_or_default();
    let subject = text.lines().find(|line| line.starts_with("Subject: ")).unwrap_or_default();
    let body = text.split("\n\n").skip_while(|block| !block.contains("Subject: ")).skip(1);
    // A greeting is a short block that ends in a comma.
    let first = body.into_iter().find(|block| !block.ends_with(',')).unwrap_or_default();
    let end = first.find(['.', '?', '!']).map_or(first.len(), |end| end + 1);
    format!("{from}\n{subject}\n{}", &first[..end])
}

#[cfg(test)]
mod tests {
    use hearth_engine_api::Role;

    use super::*;

    #[test]
    fn fields_are_counted_by_kind() {
        let mut score = Score::default();
        let fields = vec![
            ("sender", "Ana Ruiz".to_owned()),
            ("date2", "4 May".into()),
            ("task", "sign".into()),
        ];
        let messages = vec![ChatMessage::new(Role::Assistant, "x")];
        let example = Example { task: Task::Summary, messages, fields };
        score.count(&example, "- Ana Ruiz asks you to Sign it by 5 May.");
        assert_eq!((score.senders, score.dates, score.others), ((1, 1), (0, 1), (1, 1)));
        assert_eq!((score.examples, score.exact), (1, 0));
    }

    #[test]
    fn the_lead_skips_the_greeting() {
        let mail = "From: Ana Ruiz\nSubject: Budget\n\nHi Ben,\n\nPlease sign it. Thanks!\n\nAna";
        let messages = [ChatMessage::new(Role::User, mail)];
        assert_eq!(lead(&messages), "From: Ana Ruiz\nSubject: Budget\nPlease sign it.");
    }
}
