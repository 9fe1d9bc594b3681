//! Errors of lower floors in the user's words. Each is mapped here, once; shells only render.

use std::io;

use hearth_engine_api::{EngineError, LoadError};
use hearth_vault::{ImportError, StoreError, UnlockError};
use hearth_wasm::SignatureError;

use crate::{ErrorKind, UserError};

impl UserError {
    /// An error the user can mend.
    pub(crate) fn user(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: ErrorKind::User, message: message.into(), hint: hint.into() }
    }

    /// Damaged or unsupported input.
    pub(crate) fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Input, message: message.into(), hint: hint.into() }
    }

    /// The user stopped it.
    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Cancelled, message: message.into(), hint: String::new() }
    }

    /// The machine said no.
    pub(crate) fn system(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: ErrorKind::System, message: message.into(), hint: hint.into() }
    }

    /// Hearth is at fault.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Internal,
            message: message.into(),
            hint: "This is a fault in Hearth; please report it.".into(),
        }
    }

    /// What needs an open vault met a locked one.
    pub(crate) fn locked() -> Self {
        Self::user("The vault is locked.", "Unlock it first.")
    }

    /// What needs a model met none.
    pub(crate) fn no_model() -> Self {
        Self::user(
            "No model is loaded.",
            "Load one under Models, or add a GGUF file with `hearth model add PATH`.",
        )
    }
}

impl From<UnlockError> for UserError {
    fn from(error: UnlockError) -> Self {
        let message = sentence(&error.to_string());
        match error {
            UnlockError::WrongPassphrase => {
                Self::user("Wrong passphrase.", "Try again; capitals and spaces count.")
            }
            UnlockError::EmptyPassphrase => {
                Self::user("The passphrase is empty.", "Choose one of several words.")
            }
            UnlockError::InUse { .. } => {
                Self::user("The vault is open in another Hearth.", "Close or lock it there first.")
            }
            UnlockError::NoVault { path } => Self::user(
                format!("There is no vault at {}.", path.display()),
                "Create one, or name another directory with --vault.",
            ),
            UnlockError::AlreadyExists { path } => Self::user(
                format!("There is a vault already at {}.", path.display()),
                "Unlock it, or name another directory with --vault.",
            ),
            UnlockError::NotEmpty { path } => Self::user(
                format!("{} holds other files.", path.display()),
                "A new vault needs an empty or new directory.",
            ),
            UnlockError::Damaged { .. } | UnlockError::ExcessiveWork { .. } => {
                Self::input(message, "Restore the vault's directory from a backup.")
            }
            UnlockError::TooNew { .. } => {
                Self::input(message, "Open it with a newer version of Hearth.")
            }
            UnlockError::Io { .. } => {
                Self::system(message, "Check the directory's permissions and free space.")
            }
            UnlockError::Store(store) => store.into(),
            _ => Self::internal(message),
        }
    }
}

impl From<StoreError> for UserError {
    fn from(error: StoreError) -> Self {
        let message = sentence(&error.to_string());
        match error {
            StoreError::DiskFull { .. } => Self::system(message, "Free some space and try again."),
            StoreError::Damaged { .. } | StoreError::BadRow { .. } => {
                Self::input(message, "Restore the vault's directory from a backup.")
            }
            StoreError::NotFound { .. } => {
                Self::user(message, "It may have been deleted; look at the list again.")
            }
            StoreError::SearchTooLong { .. } => Self::input(message, "Search for fewer words."),
            StoreError::NoRandomness => Self::system(message, ""),
            _ => Self::internal(message),
        }
    }
}

impl From<ImportError> for UserError {
    fn from(error: ImportError) -> Self {
        let message = sentence(&error.to_string());
        match error {
            ImportError::Unreadable { .. } => {
                Self::user(message, "Check the path and its permissions.")
            }
            ImportError::NotAFile { .. } => {
                Self::user(message, "Choose an mbox, an .eml file, a Maildir or a folder.")
            }
            ImportError::FolderOfPlugin => Self::user(message, "Give the import another name."),
            ImportError::Store(store) => store.into(),
            _ => Self::internal(message),
        }
    }
}

impl From<LoadError> for UserError {
    fn from(error: LoadError) -> Self {
        let message = sentence(&error.to_string());
        match error {
            LoadError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::user(message, "Check the path; the file may have been moved.")
            }
            LoadError::Io { .. } => Self::system(message, "Check the file's permissions."),
            LoadError::Malformed { .. } | LoadError::Shape { .. } => {
                Self::input(message, "Download the file again; it may be incomplete.")
            }
            LoadError::Unsupported { .. } => Self::input(
                message,
                "Hearth runs Llama, Mistral, Qwen2, Qwen3, Phi-3, Gemma 2 and Gemma 3 models.",
            ),
            LoadError::OutOfMemory { needed_bytes, available_bytes } => Self::system(
                format!(
                    "The model needs about {} of memory; {} are free.",
                    megabytes(needed_bytes),
                    megabytes(available_bytes)
                ),
                "Close other programs, or use a smaller model or a smaller quantisation of it.",
            ),
            LoadError::Cancelled => Self::cancelled("Loading was stopped."),
            _ => Self::internal(message),
        }
    }
}

/// Words of a model's own that are shown at most.
const TEMPLATE_CHARS: usize = 200;

impl From<EngineError> for UserError {
    fn from(error: EngineError) -> Self {
        // The template's words may be long, and may quote the conversation.
        if let EngineError::Template { reason } = error {
            let mut words = hearth_broker::escape_words(&reason);
            if let Some((end, _)) = words.char_indices().nth(TEMPLATE_CHARS) {
                words.truncate(end);
                words.push('…');
            }
            return Self::input(
                format!("The model's chat template refused the conversation and says: {words}"),
                "Start a new conversation, or use another model.",
            );
        }
        let message = sentence(&error.to_string());
        match error {
            EngineError::NoModel => Self::no_model(),
            EngineError::ContextOverflow { .. } => {
                Self::user(message, "Ask something shorter, or use a model with a longer context.")
            }
            EngineError::Overloaded { .. } => {
                Self::user("The model is busy.", "Wait for running work to end, or stop it.")
            }
            _ => Self::internal(message),
        }
    }
}

impl From<SignatureError> for UserError {
    fn from(error: SignatureError) -> Self {
        let hint = match error {
            SignatureError::NoSignature => {
                "Put its signature beside it: the same name and `.minisig` at the end."
            }
            SignatureError::NoPublisher => "Ask its publisher to name their key in the manifest.",
            SignatureError::NotAStatement { .. } => "Ask the publisher for their statement again.",
            SignatureError::OldForm => "Ask its publisher to sign it with a newer minisign.",
            _ => "Do not use this file; get it again from its publisher.",
        };
        Self::input(sentence(&error.to_string()), hint)
    }
}

/// What the file system said about something the user named.
pub(crate) fn file_error(what: &str, path: &std::path::Path, source: &io::Error) -> UserError {
    let message = format!("Cannot {what} {}: {source}.", path.display());
    match source.kind() {
        io::ErrorKind::NotFound => UserError::user(message, "Check the path."),
        io::ErrorKind::PermissionDenied => UserError::user(message, "Check its permissions."),
        _ => UserError::system(message, ""),
    }
}

/// An error's text as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

fn megabytes(bytes: u64) -> String {
    if bytes >= 10 << 30 { format!("{} GB", bytes >> 30) } else { format!("{} MB", bytes >> 20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_templates_words_are_cut_and_cannot_pose_as_others() {
        let reason = format!("no\u{202e} system role\nerror: {}", "x".repeat(5000));
        let error = UserError::from(EngineError::Template { reason });
        assert!(error.message.chars().count() < 300, "{}", error.message.len());
        assert!(error.message.ends_with('…'));
        assert!(!error.message.contains(['\n', '\u{202e}']), "{}", error.message);
    }
}
