//! The commands in the plugin's own words.

use hearth_plugin_sdk::panel::Glyph;

/// What the model is asked for.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) command: &'static str,
    /// On its button.
    pub(crate) button: &'static str,
    pub(crate) icon: Glyph,
    pub(crate) heading: &'static str,
    pub(crate) instructions: &'static str,
    pub(crate) request: &'static str,
    /// Whether the user's own words belong behind the request.
    pub(crate) needs_words: bool,
    /// Whether the answer depends on what the file is called.
    pub(crate) names_the_file: bool,
    /// The answer's length, as a part in four of the longest.
    quarters: u16,
}

impl Task {
    /// The task behind a command of the manifest, or a button.
    pub(crate) fn named(command: &str) -> Option<&'static Self> {
        BUTTONS.iter().chain([&REWRITE]).find(|task| task.command == command)
    }

    /// Of an answer that may be so long at the most.
    pub(crate) fn tokens(&self, longest: u16) -> u16 {
        (longest / 4).saturating_mul(self.quarters).max(1)
    }
}

/// Tasks that need no words.
pub(crate) const BUTTONS: [Task; 4] = [
    Task {
        command: "explain",
        button: "Explain",
        icon: Glyph::Info,
        heading: "What it does",
        instructions: "You explain source code to a programmer.",
        // The starter model was trained on these words, and on nothing before the code.
        request: "Explain this code.",
        needs_words: false,
        names_the_file: false,
        quarters: 2,
    },
    Task {
        command: "review",
        button: "Review",
        icon: Glyph::Warning,
        heading: "Review",
        instructions: "You review source code for a programmer. Name each mistake in a line of its own, with the code it is \
            in and how to mend it: wrong results and crashes first, then what is hard to read. Say so if there is none.",
        request: "Review this code.",
        needs_words: false,
        names_the_file: true,
        quarters: 3,
    },
    Task {
        command: "document",
        button: "Document",
        icon: Glyph::Listing,
        heading: "Documentation",
        instructions: "You write documentation comments for source code, in the style of its language: what each public \
            item is for, its parameters, what it gives back and how it fails. Answer with the signatures and their \
            comments alone.",
        request: "Write documentation comments for this code.",
        needs_words: false,
        names_the_file: true,
        quarters: 4,
    },
    Task {
        command: "tests",
        button: "Write tests",
        icon: Glyph::Check,
        heading: "Tests",
        instructions: "You write unit tests for source code, in its language and with the usual test framework of it. Cover \
            the ordinary case, the edges and the failures. Answer with the test code alone.",
        request: "Write unit tests for this code.",
        needs_words: false,
        names_the_file: true,
        quarters: 4,
    },
];

pub(crate) const REWRITE: Task = Task {
    command: "rewrite",
    button: "Change",
    icon: Glyph::Code,
    heading: "Change, as a diff",
    instructions: "You change source code. Answer with a unified diff alone, as `diff -u` writes it: lines `--- a/FILE` and \
        `+++ b/FILE`, then hunks that begin with `@@`, lines taken out with `-` and lines put in with `+` before them. \
        Change no more than was asked for.",
    request: "Change this code as follows:",
    needs_words: true,
    names_the_file: true,
    quarters: 4,
};

pub(crate) const ASK: Task = Task {
    command: "ask",
    button: "Ask",
    icon: Glyph::Info,
    heading: "Answer",
    instructions: "You answer questions about source code for a programmer, from the code alone. Say so where it does not \
        tell.",
    request: "Answer this question about the code below.",
    needs_words: true,
    names_the_file: true,
    quarters: 3,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_manifest_has_its_task() {
        let manifest = include_str!("../plugin.toml");
        let commands: Vec<&str> = manifest
            .lines()
            .filter(|line| line.contains("focus = \"document\""))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        assert_eq!(commands.len(), 5);
        for command in commands {
            let task = Task::named(command).unwrap();
            let line = manifest.lines().find(|l| l.contains(&format!("\"{command}\""))).unwrap();
            assert_eq!(task.needs_words, line.contains("input ="), "{command}");
        }
        assert!(Task::named("delete").is_none() && Task::named("ask").is_none());
    }

    #[test]
    fn an_answer_keeps_within_the_longest() {
        assert_eq!(BUTTONS[0].tokens(400), 200);
        assert_eq!(REWRITE.tokens(2000), 2000);
        assert_eq!(ASK.tokens(1), 1);
    }
}
