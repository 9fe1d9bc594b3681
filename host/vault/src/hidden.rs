//! Private text in `Debug` output: its length alone.

use std::fmt;

/// Stands for a text in `Debug` output.
pub(crate) struct Hidden<'a>(pub(crate) &'a str);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// Stands for an optional text in `Debug` output.
pub(crate) fn hidden_option(text: &Option<String>) -> Option<Hidden<'_>> {
    text.as_deref().map(Hidden)
}
