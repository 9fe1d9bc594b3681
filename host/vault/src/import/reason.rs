//! What has to be said about a file or message. Never its content.

/// Why something was left out or failed, or what was odd about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the vault holds this message already")]
    SameMessage,
    #[error("the vault holds a message with this message-id and text already")]
    SameMessageId,
    #[error("not changed since its last import")]
    SameFile,
    #[error("newer than at its last import; the former version was replaced")]
    Replaced,
    #[error("larger than {limit_mib} MiB ({got_bytes} bytes)")]
    TooLarge { got_bytes: u64, limit_mib: u64 },
    #[error("not text")]
    Binary,
    #[error("empty")]
    Empty,
    #[error("a link; import what it points to instead")]
    Link,
    #[error("a hidden file or folder")]
    Hidden,
    #[error("folders nested too deeply")]
    TooDeep,
    #[error("neither a file nor a folder")]
    Special,
    #[error("marked as deleted in its mailbox")]
    Trashed,
    #[error("not delivered in full (Maildir tmp)")]
    Undelivered,
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("no mail header found")]
    NotMail,
    #[error("the mail parser gave up on it")]
    ParserPanicked,
    #[error("not UTF-8; read as {0}")]
    OtherEncoding(&'static str),
    #[error("not wholly valid {0}; what could not be read is shown as \u{fffd}")]
    BadEncoding(&'static str),
    #[error("some of it is wrongly encoded; what could be read was kept")]
    MailEncoding,
    #[error("its header is not UTF-8; read as {0}")]
    HeaderEncoding(&'static str),
    #[error("its HTML is too large or too deeply nested; its text was read in a simpler way")]
    HardHtml,
    #[error(
        "forwarded messages in it are nested too deeply; the innermost are in the original alone"
    )]
    DeepForward,
    #[error("a text attachment is too long to be searched")]
    LongAttachment,
}
