//! What a model is asked for, and what it streams back.

use serde::{Deserialize, Serialize};

use crate::AdapterUse;

/// Who speaks a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that stand over the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said, as plain text; control tokens in it are never parsed as such.
    pub content: String,
}

impl ChatMessage {
    /// A message of `role` saying `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// What the model continues.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Turns rendered through the model's own chat template, ending with the assistant's cue.
    Chat(Vec<ChatMessage>),
    /// Plain text, continued as it stands (the model's begin-of-text token is put in front where it has one).
    Text(String),
    /// Token ids, taken as they are.
    Tokens(Vec<u32>),
}

/// How the next token is drawn from the logits.
///
/// The order is: logit bias, repetition penalty, temperature, top-k, top-p, min-p, draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 means greedy: the largest logit, lowest id on a tie.
    pub temperature: f32,
    /// Keep this many of the likeliest tokens.
    pub top_k: Option<u32>,
    /// Keep the smallest set of likeliest tokens whose probabilities reach this sum (nucleus sampling); 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than this share of the likeliest one; 0 drops none.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens (Keskar et al. 2019); 1 is off.
    pub repetition_penalty: f32,
    /// How many recent tokens the penalty looks at.
    pub repetition_window_tokens: u32,
    /// The same seed on the same model, prompt and machine gives the same tokens.
    pub seed: u64,
}

impl Sampling {
    /// Always the likeliest token.
    pub const fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window_tokens: 64,
            seed: 0,
        }
    }

    /// A moderate setting for conversation.
    pub const fn balanced(seed: u64) -> Self {
        Self { temperature: 0.7, top_p: 0.95, min_p: 0.05, top_k: Some(40), seed, ..Self::greedy() }
    }

    /// A free setting for drafting.
    pub const fn creative(seed: u64) -> Self {
        Self {
            temperature: 1.0,
            top_p: 0.98,
            min_p: 0.02,
            top_k: Some(100),
            seed,
            ..Self::greedy()
        }
    }
}

/// What the answer must be, whatever the model would rather say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Exactly one of these strings, whole. The answer's text is that string.
    OneOf(Vec<String>),
    /// A JSON value that this schema, given as JSON text, accepts; written compactly, properties in the schema's order.
    /// A schema that cannot be held to exactly is refused with the name of the keyword. An answer that a limit cuts
    /// off is no such value: [`Generated::stop`] tells.
    JsonSchema(String),
    /// A text that this regular expression matches as a whole. It is written as in JSON Schemas (ECMA 262), without
    /// look-around, back references and word boundaries. [`Generated::stop`] tells of an answer that was cut off.
    Regex(String),
}

/// Whose earlier work a request may build upon, and who may build upon its work.
///
/// Whether something was at hand shows in how long an answer takes, so a key must name everybody who may learn that.
#[derive(Clone, Default, PartialEq)]
pub enum CacheScope {
    /// Nobody's: nothing is reused, nothing is left behind.
    #[default]
    Private,
    /// That of all requests with the same key: what their prompts have in common at the start is read once.
    Shared(String),
    /// As far as the prompt begins as another one does, that of all requests with the same key; nobody's from there on.
    /// So what requests with private parts have in common is read once, while the private parts leave nothing.
    SharedHead {
        /// Whose work it is.
        key: String,
        /// The same prompt without its private parts.
        head: Box<Prompt>,
    },
}

/// A key may name whose work it is, so it is not told.
impl std::fmt::Debug for CacheScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Private => "Private",
            Self::Shared(_) => "Shared(..)",
            Self::SharedHead { .. } => "SharedHead { .. }",
        })
    }
}

/// Who goes first when several requests wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Priority {
    /// Plugin work and jobs.
    Background,
    /// The person is looking at the answer.
    Interactive,
}

/// One piece of work for a model.
#[derive(Clone, Debug)]
pub struct GenerateRequest {
    /// What to continue.
    pub prompt: Prompt,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// At most this many new tokens.
    pub max_tokens: u32,
    /// Generation ends where one of these appears; it is not part of the text. Of no effect beside a constraint.
    pub stop: Vec<String>,
    /// What the answer must be, if anything.
    pub constraint: Option<Constraint>,
    /// Order among waiting requests.
    pub priority: Priority,
    /// What it shares with other requests.
    pub cache: CacheScope,
    /// Added to the logits of these tokens before anything else; minus infinity forbids a token.
    pub logit_bias: Vec<(u32, f32)>,
    /// Tell the probability of every token drawn, and those of this many of the likeliest, in [`Generated::logprobs`].
    pub logprobs: Option<u32>,
    /// Guess tokens ahead where the answer repeats what was said. That changes how long it takes, never what comes out.
    pub speculate: bool,
    /// Adapters that the model runs with for this request, their parts added up; none is the model as it is.
    pub adapters: Vec<AdapterUse>,
}

/// Most tokens whose probabilities [`GenerateRequest::logprobs`] may ask for.
pub const MAX_LOGPROBS: u32 = 64;

impl GenerateRequest {
    /// A request with greedy sampling, interactive priority, 256 new tokens at most and nothing shared.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            sampling: Sampling::greedy(),
            max_tokens: 256,
            stop: Vec::new(),
            constraint: None,
            priority: Priority::Interactive,
            cache: CacheScope::Private,
            logit_bias: Vec::new(),
            logprobs: None,
            speculate: true,
            adapters: Vec::new(),
        }
    }
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The model said it was done.
    EndOfText,
    /// One of the request's stop strings appeared.
    StopSequence,
    /// `max_tokens` were made.
    MaxTokens,
    /// Prompt and answer together filled the context.
    ContextFull,
    /// Somebody asked for it to stop.
    Cancelled,
}

/// What a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, special tokens included.
    pub prompt_tokens: u32,
    /// Of these, tokens whose keys and values were still at hand.
    pub cached_tokens: u32,
    /// Tokens drawn.
    pub generated_tokens: u32,
    /// Tokens guessed ahead.
    #[serde(default)]
    pub drafted_tokens: u32,
    /// Of these, tokens that were then drawn.
    #[serde(default)]
    pub accepted_tokens: u32,
    /// Seconds spent on the prompt.
    pub prefill_secs: f64,
    /// Seconds spent on the answer.
    pub decode_secs: f64,
}

/// A finished piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The whole answer, as streamed.
    pub text: String,
    /// The ids drawn, an end-of-text token excluded.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: StopReason,
    /// What it cost.
    pub usage: Usage,
    /// One entry for each of `tokens`, where the request asked for them; else empty.
    pub logprobs: Vec<TokenLogprobs>,
}

/// A token and the logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    /// The token.
    pub id: u32,
    /// Natural logarithm.
    pub logprob: f32,
}

/// How likely the model found a token that was drawn, before bias, penalty, constraint and temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprobs {
    /// The token drawn; 0, certainty, where the constraint left no choice and the model was not asked.
    pub drawn: Logprob,
    /// The likeliest tokens, likeliest first; none where the model was not asked.
    pub top: Vec<Logprob>,
}

impl Generated {
    /// Of a request that was withdrawn before it began.
    pub(crate) fn cancelled() -> Self {
        Self {
            text: String::new(),
            tokens: Vec::new(),
            stop: StopReason::Cancelled,
            usage: Usage::default(),
            logprobs: Vec::new(),
        }
    }
}

/// A step of a running request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GenerateEvent {
    /// The prompt is tokenised and fits.
    Started {
        /// Length of the prompt.
        prompt_tokens: u32,
        /// Length of the model's context.
        context_tokens: u32,
    },
    /// Part of the prompt has been read.
    Prefill {
        /// Tokens read so far.
        done_tokens: u32,
        /// Tokens to read.
        total_tokens: u32,
    },
    /// More text: whole characters only. Empty where a token came but none of its text is certain yet.
    Text(String),
}
