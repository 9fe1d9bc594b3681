//! What plugins do beside being run: tools, schedules, trials, activity.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use hearth_session::ToolMode;

use super::Switch;

/// How the chat may call a plugin.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Tools {
    /// After asking each time.
    Ask,
    /// Without asking.
    Always,
    /// Not at all.
    Off,
}

impl From<Tools> for Option<ToolMode> {
    fn from(tools: Tools) -> Self {
        match tools {
            Tools::Ask => Some(ToolMode::Ask),
            Tools::Always => Some(ToolMode::Always),
            Tools::Off => None,
        }
    }
}

/// What to do where the model wants to call a tool.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ToolCalls {
    /// Ask on the terminal; without one it is not allowed.
    #[default]
    Ask,
    /// Allow each call of this answer.
    Always,
    /// Allow none.
    Never,
}

#[derive(Subcommand)]
pub(crate) enum LifeVerb {
    /// Show which tools plugins offer to the chat, or say how it may call a plugin's.
    Tools {
        /// The plugin's id.
        plugin: Option<String>,
        /// How.
        #[arg(requires = "plugin")]
        mode: Option<Tools>,
    },
    /// Show schedules, switch one on or off, or run what is due.
    Schedule {
        /// The plugin's id.
        plugin: Option<String>,
        /// The schedule; not needed where the plugin has only one.
        #[arg(long, requires = "plugin")]
        schedule: Option<String>,
        /// What it shall be.
        #[arg(requires = "plugin")]
        switch: Option<Switch>,
        /// Run those that are due, once a day at most; in the window they run by themselves.
        #[arg(long, conflicts_with = "plugin")]
        run_due: bool,
    },
    /// Try a plugin on invented data: it may do all it asks for there, sees nothing of yours, and nothing stays.
    Try {
        /// A component, or the id of an installed plugin.
        plugin: String,
        /// The command; not needed where the plugin has only one.
        command: Option<String>,
        /// Words, for commands that ask for some.
        #[arg(long, value_name = "TEXT")]
        input: Option<String>,
        /// The folder of invented mail, notes and code.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// What plugins were allowed, asked for and did, and what it took.
    Activity {
        /// Of this plugin alone.
        plugin: Option<String>,
        /// At most so many lines of the log.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}
