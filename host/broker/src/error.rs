//! How the broker refuses its callers in the host. What a guest hears is [`hearth_base::GuestError`] instead.

use hearth_vault::StoreError;

/// Why a run did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// No such plugin.
    #[error("no plugin of this name is installed")]
    NotInstalled,
    /// The user has switched it off.
    #[error("the plugin is switched off")]
    Disabled,
    /// Its last run ended abnormally.
    #[error("the plugin is suspended: {why}")]
    Suspended {
        /// What happened, in the user's words.
        why: String,
    },
    /// Another call into the same plugin is still running.
    #[error("the plugin is still running")]
    Busy,
    /// The manifest in the vault does not parse.
    #[error("the plugin's manifest is damaged; install it again")]
    Manifest(#[from] hearth_base::ManifestError),
    /// The manifest has no such command.
    #[error("the plugin has no command `{command}`")]
    UnknownCommand {
        /// The command asked for, escaped.
        command: String,
    },
    /// The command works on a document and none was given.
    #[error("this command needs a document: open one first")]
    FocusMissing,
    /// The command takes no document, or the plugin may not read any.
    #[error("the plugin may not be given a document")]
    FocusRefused,
    /// The command asks for words and there are none.
    #[error("this command needs words: {what}")]
    InputMissing {
        /// What it asks for, in the plugin's words.
        what: String,
    },
    /// The command asks for no words.
    #[error("this command takes no words")]
    InputRefused,
    /// The panel is not open, or has no such button, field or element.
    #[error("the panel no longer shows this")]
    Stale,
    /// Gestures have told the plugin all that they may today.
    #[error("the plugin has heard all that gestures may tell it today")]
    GesturesSpent {
        /// What is left of that, in thousandths of a bit: less than this gesture would tell.
        left_millibits: u32,
    },
    /// More text than a field takes.
    #[error("the text is {got_bytes} bytes; at most {limit_bytes} are taken")]
    TooLong {
        /// Its length.
        got_bytes: usize,
        /// Longest allowed.
        limit_bytes: usize,
    },
    /// What earlier runs left could not be read.
    #[error("the plugin could not be prepared: {why}")]
    NotReady {
        /// Why, in the user's words.
        why: String,
    },
    /// The vault has been locked.
    #[error("the vault is locked")]
    Locked,
    /// The vault failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a shown value could not be saved or copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// No open panel shows it.
    #[error("the panel no longer shows this")]
    Stale,
    /// It is still being made.
    #[error("this is not finished yet")]
    NotReady,
    /// It could not be made.
    #[error("{reason}")]
    Failed {
        /// Why, in the user's words.
        reason: String,
    },
    /// The vault has been locked.
    #[error("the vault is locked")]
    Locked,
}
