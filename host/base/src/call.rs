//! What a guest can ask of the host and what it can hear, one variant a WIT function.

use serde::{Deserialize, Serialize};

use crate::{Capability, Glyph, Handle, Node, Quota};

/// A calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a date")]
pub struct Date {
    pub year: i32,
    pub month: u8,
    pub day: u8,
}

/// A field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the WIT enum, in its order")]
pub enum Field {
    Title,
    Body,
    Author,
    Date,
    Kind,
    Summary,
}

/// Order of a slot's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the WIT enum, in its order")]
pub enum Sort {
    Newest,
    Oldest,
    Relevance,
}

/// Who speaks a message of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the WIT enum, in its order")]
pub enum MessageRole {
    System,
    User,
    Assistant,
}

/// How freely the model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the WIT enum, in its order")]
pub enum Style {
    Exact,
    Balanced,
    Creative,
}

/// Which weights answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weights {
    /// The base model, whatever adapter the user has chosen elsewhere.
    Base,
    /// The user's own adapter; the answer is private even where the prompt is not.
    Personal,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The plugin's own words.
    Literal(String),
    /// An opaque text.
    Value(Handle),
    /// The element at hand in a call over a collection: a field of it where elements are documents (the body if none is named).
    Item(Option<Field>),
}

/// A message of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: MessageRole,
    /// What is said.
    pub parts: Vec<Part>,
}

/// Settings of a model call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOptions {
    /// New tokens at most; also what is charged.
    pub max_tokens: u16,
    /// How freely.
    pub style: Style,
    /// Which weights.
    pub weights: Weights,
    /// The answer ends before any of these.
    pub stop: Vec<String>,
}

/// The answers a decision has, 2 to 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    /// No or yes, in this order.
    Boolean,
    /// One of these.
    OneOf(Vec<String>),
    /// A whole number between these, both included.
    Range(i32, i32),
}

impl Schema {
    /// The outcomes in order, as the model must write them; `None` where there are not 2 to 64 different ones.
    pub fn outcomes(&self) -> Option<Vec<String>> {
        let outcomes: Vec<String> = match self {
            Self::Boolean => vec!["no".into(), "yes".into()],
            Self::OneOf(options) => options.clone(),
            Self::Range(low, high) => {
                let count = i64::from(*high) - i64::from(*low) + 1;
                if !(2..=64).contains(&count) {
                    return None;
                }
                (*low..=*high).map(|n| n.to_string()).collect()
            }
        };
        let distinct: std::collections::BTreeSet<&String> = outcomes.iter().collect();
        let fine = (2..=64).contains(&outcomes.len())
            && distinct.len() == outcomes.len()
            && outcomes.iter().all(|o| !o.is_empty());
        fine.then_some(outcomes)
    }
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the WIT enum, in its order")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettingValue {
    /// On or off.
    Flag(bool),
    /// A whole number.
    Number(i32),
    /// A text.
    Text(String),
    /// Which of the manifest's options, from 0.
    Choice(u32),
}

/// Everything a guest can ask. Answered at once; what takes time stays a promise behind a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one variant for each WIT function, documented there")]
pub enum HostCall {
    TextLiteral(String),
    TextConcat(Vec<Handle>),
    TextChunk {
        text: Handle,
        max_tokens: u16,
    },
    CollectionOf(Vec<Handle>),
    CollectionTake {
        collection: Handle,
        count: u16,
    },
    CollectionJoin {
        collection: Handle,
        separator: String,
    },
    CollectionZip {
        left: Handle,
        right: Handle,
        separator: String,
    },
    CollectionCount {
        collection: Handle,
        up_to: u8,
    },
    ChoiceSelect {
        choice: Handle,
        options: Vec<Handle>,
    },
    Keep {
        name: String,
        value: Handle,
    },
    Kept {
        name: String,
    },
    /// The guest dropped a resource.
    Drop(Handle),
    DocumentGet {
        document: Handle,
        field: Field,
    },
    Granted {
        slot: String,
        order: Sort,
        limit: u16,
    },
    Pick {
        purpose: String,
        limit: u16,
    },
    Search {
        slot: String,
        query: Handle,
        limit: u16,
    },
    Thread {
        document: Handle,
        slot: String,
        limit: u16,
    },
    Threads {
        slot: String,
        limit: u16,
    },
    Save {
        title: Handle,
        body: Handle,
    },
    SaveEach {
        titles: Handle,
        bodies: Handle,
    },
    Generate {
        prompt: Vec<Message>,
        options: ModelOptions,
    },
    GenerateEach {
        over: Handle,
        prompt: Vec<Message>,
        options: ModelOptions,
    },
    FillEach {
        over: Handle,
        parts: Vec<Part>,
    },
    Reduce {
        over: Handle,
        prompt: Vec<Message>,
        options: ModelOptions,
    },
    Decide {
        prompt: Vec<Message>,
        answer: Schema,
    },
    DecideEach {
        over: Handle,
        prompt: Vec<Message>,
        answer: Schema,
    },
    CompletionStart {
        prompt: Vec<Message>,
        options: ModelOptions,
    },
    CompletionNext(Handle),
    RevealChoice(Handle),
    RevealText {
        text: Handle,
        purpose: String,
    },
    Remaining,
    PanelShow {
        panel: String,
        nodes: Vec<Node>,
    },
    Notify {
        icon: Glyph,
        message: String,
    },
    StorageGet(String),
    StorageSet {
        key: String,
        value: Vec<u8>,
    },
    StorageDelete(String),
    StorageKeys,
    SettingGet(String),
    Log {
        level: LogLevel,
        message: String,
    },
    Progress {
        percent: Option<u8>,
        message: String,
    },
}

/// Why a call was refused. Depends on public facts alone: arguments, grants and counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestError {
    /// Not in the manifest, or not granted.
    Denied(Capability),
    /// A limit is reached.
    OverQuota(Quota),
    /// An argument makes no sense.
    Invalid(String),
    /// The user, or the policy, said no.
    Refused,
    /// Not in this version.
    Unsupported,
}

/// The host's answer to a [`HostCall`].
pub type HostReply = Result<Answer, GuestError>;

/// A call's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing to tell.
    Unit,
    /// A new value.
    Handle(Handle),
    /// A value, if it is there.
    MaybeHandle(Option<Handle>),
    /// New values, one an outcome.
    Handles(Vec<Handle>),
    /// A token of a public completion, `None` at its end.
    Token(Option<String>),
    /// A revealed text.
    Text(String),
    /// An index or a count.
    Number(u32),
    /// A stored value.
    Bytes(Option<Vec<u8>>),
    /// Storage keys, sorted.
    Keys(Vec<String>),
    /// A setting.
    Setting(Option<SettingValue>),
}

/// What a guest knows of the world, frozen for one invocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationInfo {
    /// The day of the gesture that started it.
    pub today: Date,
    /// PRF(plugin, run number).
    pub seed: u64,
    /// Language tag, such as `en-GB`.
    pub locale: String,
    /// Version of the plugin interface the host speaks.
    pub api: (u16, u16, u16),
}

/// Something the user did in a panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A button, by the plugin's own id.
    Pressed(String),
    /// Text entered in a field.
    Entered(String, Handle),
    /// An element picked from a list.
    Picked(String, Handle),
}

/// Which of the guest's exports to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Export {
    /// A command of the manifest, on a document the user has in focus.
    Run {
        /// The command's id.
        command: String,
        /// The document.
        focus: Option<Handle>,
        /// Words typed by the user or written by the chat, for commands that ask for some.
        input: Option<Handle>,
    },
    /// Something happened in a panel.
    OnEvent {
        /// The panel's id.
        panel: String,
        /// What.
        event: Event,
    },
    /// First start after an update.
    Migrate {
        /// The version that was there.
        from_version: String,
    },
}

/// One call into a fresh instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// What to call.
    pub export: Export,
    /// What the guest may know.
    pub info: InvocationInfo,
    /// Fuel the call may burn.
    pub fuel: u64,
}

/// A failure the guest reports itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestFailure {
    /// It has no such command.
    Unsupported,
    /// It cannot work with what it was given.
    BadInput(String),
    /// It is broken.
    Internal(String),
}
