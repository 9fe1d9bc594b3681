//! The plugin trait and its registration.

use crate::{Capability, Document, Error, Event, Failure, Quota, Text};

/// What a plugin offers. Every call runs in a fresh instance.
pub trait Plugin {
    /// Runs a command of the manifest, on the document in focus and with the words given where the manifest asks for such.
    ///
    /// # Errors
    /// The plugin's own words on why it could not.
    fn run(command: &str, focus: Option<Document>, input: Option<Text>) -> Result<(), Failure>;

    /// Something happened in one of the plugin's panels.
    ///
    /// # Errors
    /// The plugin's own words on why it could not react.
    fn on_event(panel: &str, event: Event) -> Result<(), Failure> {
        let _unused = (panel, event);
        Err(Failure::Unsupported)
    }

    /// First start after an update. Only [`crate::storage`] is there.
    ///
    /// # Errors
    /// The plugin's own words on why it cannot take over.
    fn migrate(from_version: &str) -> Result<(), Failure> {
        let _unused = from_version;
        Ok(())
    }
}

/// Makes a type that implements [`Plugin`] the component's plugin. Emits nothing in native builds, where a linker has no
/// use for component exports.
#[macro_export]
macro_rules! register_plugin {
    ($plugin:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(
            &str,
            Option<$crate::Document>,
            Option<$crate::Text>,
        ) -> Result<(), $crate::Failure> = <$plugin as $crate::Plugin>::run;

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports, generated")]
        const _: () = {
            struct Registered;

            impl $crate::wit::exports::hearth::plugin::guest::Guest for Registered {
                fn run(
                    command: String,
                    focus: Option<$crate::Document>,
                    input: Option<$crate::Text>,
                ) -> Result<(), $crate::Failure> {
                    $crate::log_panics();
                    <$plugin as $crate::Plugin>::run(&command, focus, input)
                }

                fn on_event(panel: String, event: $crate::Event) -> Result<(), $crate::Failure> {
                    $crate::log_panics();
                    <$plugin as $crate::Plugin>::on_event(&panel, event)
                }

                fn migrate(from_version: String) -> Result<(), $crate::Failure> {
                    $crate::log_panics();
                    <$plugin as $crate::Plugin>::migrate(&from_version)
                }
            }

    $crate::wit::export!(Registered with_types_in $crate::wit);
        };
    };
}

/// Tells the plugin's log why it panics; the panic itself then traps.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        crate::host::log(crate::host::Level::Error, &info.to_string());
    }));
}

/// What a command cannot do without; where it is missing, the call ends with these words for the user.
///
/// ```
/// # use hearth_plugin_sdk::{Failure, needed};
/// let missing: Result<u8, Failure> = needed(None, "choose a mail first");
/// assert!(matches!(missing, Err(Failure::BadInput(words)) if words == "choose a mail first"));
/// ```
///
/// # Errors
/// Where it is missing.
pub fn needed<T>(value: Option<T>, otherwise: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::BadInput(otherwise.into()))
}

/// What the host refused ends the call, in words for the user.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(power) => {
                Self::BadInput(format!("it is not allowed to {}", power_words(power)))
            }
            Error::OverQuota(quota) => {
                Self::BadInput(format!("it reached its limit of {}", quota_words(quota)))
            }
            Error::Invalid(words) => Self::Internal(words),
            Error::Refused => Self::BadInput("the request was refused".into()),
            Error::Unsupported => {
                Self::Internal("this version of Hearth does not support a call it makes".into())
            }
        }
    }
}

fn power_words(power: Capability) -> &'static str {
    match power {
        Capability::Model => "use the model",
        Capability::PersonalModel => "use your fine-tuned model",
        Capability::DocumentsRead => "use these documents",
        Capability::DocumentsSearch => "search documents",
        Capability::DocumentsSave => "save results",
        Capability::Panel => "show this panel",
        Capability::Storage => "keep anything",
        Capability::RevealChoice | Capability::RevealText => "learn private content",
    }
}

fn quota_words(quota: Quota) -> &'static str {
    match quota {
        Quota::Calls => "calls",
        Quota::Tokens => "model tokens",
        Quota::Handles => "values at once",
        Quota::Bytes => "bytes in one call",
        Quota::Items => "items in one list",
        Quota::Panels => "panels",
        Quota::Storage => "storage",
        Quota::Bits => "revealed bits",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_become_words_for_the_user() {
        let words = |error: Error| match Failure::from(error) {
            Failure::BadInput(words) | Failure::Internal(words) => words,
            Failure::Unsupported => "unsupported".into(),
        };
        assert_eq!(words(Error::Denied(Capability::Model)), "it is not allowed to use the model");
        assert_eq!(words(Error::OverQuota(Quota::Tokens)), "it reached its limit of model tokens");
        assert_eq!(words(Error::Invalid("no such panel".into())), "no such panel");
    }
}
