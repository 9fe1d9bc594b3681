//! Why there is no dataset. No error holds private text.

use hearth_vault::StoreError;

/// Why examples could not be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The vault refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting that cannot be met.
    #[error("{what} is {got}, expected {expected}")]
    Setting {
        /// Which, in words.
        what: &'static str,
        /// Its value.
        got: String,
        /// What it may be.
        expected: &'static str,
    },
    /// More text than a dataset holds.
    #[error(
        "the examples are longer than {limit_bytes} bytes in all; choose fewer folders or a shorter range of dates"
    )]
    TooLarge {
        /// The most.
        limit_bytes: u64,
    },
    /// A line of a file of examples that cannot be read. Nothing of the file is used.
    #[error("line {line}: {reason}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Kept examples that do not read as what was written.
    #[error("the kept examples are damaged")]
    Damaged,
}
