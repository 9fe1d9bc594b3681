//! Whether the model wants a tool: a constrained answer to a question put after everything that was said.

use hearth_base::DocumentId;
use hearth_engine_api::{
    CacheScope, Constraint, GenerateRequest, Priority, Prompt, Role, Sampling, StopReason,
};
use serde_json::{Value, json};

use super::{Place, prompt, stopped_answer};
use crate::{UserError, task::Task, tools::Tool};

/// What the model says where it wants none.
pub(crate) const NO_TOOL: &str = "none";
/// Longest words for a tool.
const INPUT_CHARS: usize = 300;
/// Longest decision.
const DECISION_TOKENS: u32 = 320;
/// Words at a border may be cut in other tokens than on either side of it.
const BORDER_TOKENS: u32 = 8;

/// What the model wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) tool: String,
    pub(super) input: Option<String>,
    pub(super) document: Option<DocumentId>,
}

/// A decision, and what the user has to know of how it came about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) choice: Option<Choice>,
    pub(super) notice: Option<String>,
}

impl Decided {
    fn not(words: &str) -> Self {
        Self { choice: None, notice: Some(words.into()) }
    }
}

impl Choice {
    /// As the model said it.
    pub(super) fn as_json(&self) -> String {
        let mut all = format!("{{\"tool\":{}", json!(self.tool));
        if let Some(input) = &self.input {
            all.push_str(&format!(",\"input\":{}", json!(input)));
        }
        if let Some(document) = self.document {
            all.push_str(&format!(",\"document\":{}", document.0));
        }
        all + "}"
    }

    /// Reads a decision. What is no call of one of these tools is none.
    fn read(text: &str, tools: &[Tool], documents: &[(DocumentId, String)]) -> Option<Self> {
        let said: Value = serde_json::from_str(text).ok()?;
        let tool = tools.iter().find(|tool| said["tool"] == tool.name)?;
        let input = match (tool.input.is_empty(), &said["input"]) {
            (true, _) => None,
            (false, Value::String(words)) if !words.trim().is_empty() => Some(words.clone()),
            _ => return None,
        };
        let document = if tool.takes_document {
            let id = DocumentId(said["document"].as_i64()?);
            Some(documents.iter().find(|(known, _)| *known == id)?.0)
        } else {
            None
        };
        Some(Self { tool: tool.name.clone(), input, document })
    }
}

/// Asks the model whether it needs a tool to answer.
pub(super) async fn decide(
    task: &Task,
    place: &Place,
    turns: &[prompt::Turn],
    tools: &[Tool],
    documents: &[(DocumentId, String)],
) -> Result<Decided, UserError> {
    let engine = &task.ctx.engine;
    let question = question(tools, documents);
    // The tools' words must have room beside what was said. What is left out here is told when the answer is planned.
    let asked = engine.count_tokens(Prompt::Text(question.clone()), Priority::Interactive).await?;
    let most_tokens = DECISION_TOKENS.min(place.context_tokens / 4).max(1);
    let taken = asked.saturating_add(most_tokens).saturating_add(BORDER_TOKENS);
    let room = place.context_tokens.saturating_sub(taken);
    let Ok(fitted) = prompt::fit(engine, turns.to_vec(), room, place.context_tokens).await else {
        return Ok(Decided::not(
            "The tools were not offered to the model: there is no room for them beside this conversation.",
        ));
    };
    let mut messages = fitted.messages;
    match messages.last_mut() {
        Some(last) if last.role == Role::User => {
            last.content.push_str("\n\n");
            last.content.push_str(&question);
        }
        _ => return Ok(Decided::default()),
    }
    let request = GenerateRequest {
        sampling: Sampling::greedy(),
        max_tokens: most_tokens,
        constraint: Some(Constraint::JsonSchema(schema(tools, documents))),
        cache: CacheScope::Shared("chat".into()),
        adapters: place.adapters.clone(),
        ..GenerateRequest::new(Prompt::Chat(messages))
    };
    let mut generation = engine.generate(request)?;
    let stop = generation.cancel_flag();
    loop {
        tokio::select! {
            event = generation.next() => if event.is_none() { break },
            () = task.cancel.cancelled() => {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                return Err(stopped_answer());
            }
        }
    }
    let Ok(done) = generation.finish().await else {
        // Where it cannot answer either, that is told when it is to.
        return Ok(Decided::not(
            "The tools could not be offered to this model: it keeps to no form of answer.",
        ));
    };
    match done.stop {
        StopReason::Cancelled => Err(stopped_answer()),
        StopReason::MaxTokens | StopReason::ContextFull => Ok(Decided::not(
            "The model wanted to call a tool with more words than there is room for; nothing was called.",
        )),
        _ => Ok(Decided { choice: Choice::read(&done.text, tools, documents), notice: None }),
    }
}

/// The question, put at the end of the user's words: what comes before it is read once for the answer, too.
fn question(tools: &[Tool], documents: &[(DocumentId, String)]) -> String {
    let mut words =
        String::from("---\nBefore you answer: these tools can look things up for you.\n");
    for tool in tools {
        words.push_str(&format!("- \"{}\": {}", tool.name, tool.about));
        if !tool.input.is_empty() {
            words.push_str(&format!(" Its input: {}.", tool.input));
        }
        if tool.takes_document {
            words.push_str(" It works on a document.");
        }
        words.push('\n');
    }
    if tools.iter().any(|tool| tool.takes_document) {
        words.push_str("Documents:\n");
        for (id, title) in documents {
            words.push_str(&format!("- {id}: {title}\n"));
        }
    }
    words.push_str(&format!(
        "Choose the tool that is needed to answer me. Choose \"{NO_TOOL}\" where I only chat, ask for something that \
         everybody knows, or where the answer stands above already. Answer with JSON alone, such as {{\"tool\":\"{NO_TOOL}\"}}"
    ));
    match tools.first() {
        Some(tool) if !tool.input.is_empty() => {
            words.push_str(&format!(" or {{\"tool\":\"{}\",\"input\":\"…\"}}.", tool.name));
        }
        _ => words.push('.'),
    }
    words
}

/// What a decision has to be. Its text keeps the order of properties: which tool comes before what it is told.
fn schema(tools: &[Tool], documents: &[(DocumentId, String)]) -> String {
    let mut options = vec![object(&[("tool", json!({"const": NO_TOOL}))])];
    for tool in tools {
        let mut properties = vec![("tool", json!({"const": tool.name}))];
        if !tool.input.is_empty() {
            let words = json!({"type": "string", "minLength": 1, "maxLength": INPUT_CHARS});
            properties.push(("input", words));
        }
        if tool.takes_document {
            let ids: Vec<i64> = documents.iter().map(|(id, _)| id.0).collect();
            properties.push(("document", json!({"enum": ids})));
        }
        options.push(object(&properties));
    }
    format!("{{\"anyOf\":[{}]}}", options.join(","))
}

/// An object with exactly these properties.
fn object(properties: &[(&str, Value)]) -> String {
    let all: Vec<String> =
        properties.iter().map(|(name, schema)| format!("{}:{schema}", json!(name))).collect();
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    format!(
        "{{\"type\":\"object\",\"properties\":{{{}}},\"required\":{},\"additionalProperties\":false}}",
        all.join(","),
        json!(names)
    )
}
