//! The commands in the plugin's own words.

/// What the model is asked for.
#[derive(Debug)]
pub(crate) struct Task {
    command: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) instructions: &'static str,
    pub(crate) request: &'static str,
    pub(crate) answer_tokens: u16,
}

const TASKS: [Task; 2] = [
    Task {
        command: "explain",
        heading: "What it does",
        instructions: "You explain source code to a programmer.",
        request: "Explain this code.",
        answer_tokens: 200,
    },
    Task {
        command: "review",
        heading: "Review",
        instructions: "You review source code for a programmer.",
        request: "Review this code. Name mistakes first, then what is hard to read.",
        answer_tokens: 300,
    },
];

impl Task {
    /// The task behind a command of the manifest.
    pub(crate) fn named(command: &str) -> Option<&'static Self> {
        TASKS.iter().find(|task| task.command == command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_manifest_has_its_task() {
        let manifest = include_str!("../plugin.toml");
        for task in &TASKS {
            assert!(manifest.contains(&format!("id = \"{}\"", task.command)), "{task:?}");
        }
        assert_eq!(manifest.matches("focus = \"document\"").count(), TASKS.len());
        assert!(Task::named("delete").is_none());
    }
}
