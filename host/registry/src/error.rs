//! What can go wrong on the way.

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Not a reference.
    #[error("`{text}` is no reference to a plugin: {reason}")]
    Reference {
        /// The text, escaped and shortened.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// An address in the clear, or of no web server.
    #[error("{url} is not fetched: only https is, and http from this machine")]
    NotAllowed {
        /// The address, escaped and shortened.
        url: String,
    },
    /// No answer.
    #[error("{url} does not answer: {reason}")]
    NoAnswer {
        /// The address.
        url: String,
        /// The client's words.
        reason: String,
    },
    /// An answer that says no.
    #[error("{url} answers with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// More redirects than are followed.
    #[error("{url} leads elsewhere too often")]
    Redirects {
        /// Where it began.
        url: String,
    },
    /// More bytes than are taken.
    #[error("{url} is over {limit_bytes} bytes, the most that is taken")]
    TooLong {
        /// The address.
        url: String,
        /// Most taken.
        limit_bytes: usize,
    },
    /// Not what it should be.
    #[error("{url} cannot be read: {reason}")]
    Malformed {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Other bytes than were named.
    #[error("{url} is not what was promised: its digest is another")]
    Digest {
        /// The address.
        url: String,
    },
    /// An index without the plugin.
    #[error("{url} does not list {what}")]
    NotListed {
        /// The index.
        url: String,
        /// What was looked for.
        what: String,
    },
    /// The user stopped it.
    #[error("the download was stopped")]
    Cancelled,
}

/// A stranger's text, safe to show.
pub(crate) fn shown(text: &str) -> String {
    text.escape_debug().take(200).collect()
}
