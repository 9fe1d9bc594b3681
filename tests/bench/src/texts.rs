//! Fixed prompts and answers to replay, since random weights would never copy: how much of an answer stood in its prompt
//! is what speed depends on when tokens are guessed from it.

/// A prompt, and what a model would answer.
pub(crate) struct Exchange {
    pub(crate) prompt: String,
    pub(crate) answer: String,
}

const NAMES: [&str; 3] = ["code edit", "quoting summary", "nothing copied"];
const NOTES: &str = concat!(
    include_str!("../../../examples/demo/notes/concert-checklist.txt"),
    include_str!("../../../examples/demo/notes/flood-diary.md"),
    include_str!("../../../examples/demo/notes/ideas.txt"),
    include_str!("../../../examples/demo/notes/lease.md"),
    include_str!("../../../examples/demo/notes/prices.md"),
    include_str!("../../../examples/demo/notes/repair-cafe.org"),
    include_str!("../../../examples/demo/notes/tomek-appraisal.md"),
);
const WHEELS: &str = include_str!("../../../examples/demo/notes/wheel-building.md");
const SOURCE: &str = include_str!("figures.rs");
/// Long enough for guessing to find its pace, short enough for several rounds.
const ANSWER_BYTES: usize = 1600;

/// Names of all exchanges.
pub(crate) const fn names() -> [&'static str; 3] {
    NAMES
}

/// The exchange of that name.
pub(crate) fn exchange(name: &str) -> Option<Exchange> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let (prompt, answer) = match name {
        "code edit" => (
            format!("Rename `Readings` to `Samples` and `median` to `middle`:\n\n{SOURCE}\n"),
            SOURCE.replace("Readings", "Samples").replace("median", "middle"),
        ),
        "quoting summary" => {
            (format!("{NOTES}\n\nWhat matters most here? Quote it.\n"), quotes(NOTES))
        }
        _ => (format!("{NOTES}\n\nWhat does one need to build a wheel?\n"), WHEELS.to_owned()),
    };
    Some(Exchange { prompt, answer: start_of(&answer).to_owned() })
}

/// Every other line, between words that are not in the text.
fn quotes(text: &str) -> String {
    let lines = text.lines().filter(|line| line.len() > 30).step_by(2);
    let quoted = lines.zip(1..).map(|(line, nth)| {
        format!("Point {nth} deserves attention, being stated as follows: \"{line}\"\n")
    });
    quoted.collect()
}

fn start_of(text: &str) -> &str {
    let mut end = text.len().min(ANSWER_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::{exchange, names};

    #[test]
    fn answers_copy_as_much_as_their_names_say() {
        for name in names() {
            let exchange = exchange(name).unwrap();
            assert!(exchange.answer.len() > 500, "{name} is too short");
            let lines: Vec<&str> =
                exchange.answer.lines().map(str::trim).filter(|line| line.len() > 20).collect();
            let copied = lines.iter().filter(|line| exchange.prompt.contains(**line)).count();
            match name {
                "code edit" => assert!(copied * 2 > lines.len(), "{copied} of {}", lines.len()),
                "nothing copied" => assert_eq!(copied, 0),
                _ => assert!(exchange.answer.matches('"').count() > 4),
            }
        }
    }
}
