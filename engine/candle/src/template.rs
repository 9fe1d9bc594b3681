//! Chat templates: the Jinja text in a model's file that lays out a conversation.
//!
//! Templates come from strangers. They see the conversation and nothing else: no files, no clock but the
//! one they are given, no other templates; and they are stopped when they take too long or say too much.

mod bounds;
mod chat;
mod file;
mod python;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use jiff::civil::DateTime;
use minijinja::{
    Environment, Error, ErrorKind, Value, context, syntax::SyntaxConfig, value::Serde,
};
use serde::Serialize;

use hearth_engine_api::EngineError;

pub(crate) use chat::Layout;
pub use file::{RenderFileError, render_file};

/// Steps a template may take; one step per instruction and per 64 bytes it makes, so that this also keeps
/// it below some 256 MB of memory.
const FUEL: u64 = 4_000_000;
/// Longest rendering.
const MAX_OUTPUT_BYTES: usize = 8 << 20;
/// Longest template; the longest in use is under 32 KiB.
const MAX_SOURCE_BYTES: usize = 1 << 20;
/// Longest expression or statement, in words and marks. The parser and the compiler go as deep as it is long.
const MAX_TAG_WORDS: usize = 1000;
/// How long a rendering is waited for. Fuel ends what is counted long before; comparing two values built out of
/// themselves over and over is not.
const PATIENCE: Duration = Duration::from_secs(30);
const STACK_BYTES: usize = 8 << 20;
/// Depth of macro calls.
const MAX_RECURSION: usize = 100;
/// The only template of the environment.
const NAME: &str = "chat";

/// Why there is no rendering.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template called `raise_exception`: it does not take this conversation.
    #[error("the chat template refuses: {message}")]
    Refused {
        /// The template's words.
        message: String,
    },
    /// The template is not Jinja, uses what is not supported, or fails on this conversation.
    #[error("the chat template fails{}: {reason}", at_line(*.line))]
    Broken {
        /// Where in the template.
        line: Option<usize>,
        /// What kind of failure it is.
        what: String,
        /// What went wrong; may quote the conversation.
        reason: String,
    },
    /// The template took more steps or memory than any sensible one needs.
    #[error("the chat template does not come to an end")]
    Endless,
    /// The template or its rendering is too long.
    #[error("the chat template or its rendering is longer than {limit_bytes} bytes")]
    TooLong {
        /// What is allowed.
        limit_bytes: usize,
    },
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" at line {line}")).unwrap_or_default()
}

impl From<TemplateError> for EngineError {
    fn from(error: TemplateError) -> Self {
        let reason = match error {
            TemplateError::Refused { message } => message,
            // The details may quote the conversation, which has no place in an error that is passed on.
            TemplateError::Broken { line, what, .. } => {
                format!("the template fails{}: {what}", at_line(line))
            }
            other => other.to_string(),
        };
        Self::Template { reason }
    }
}

/// The template's own refusal, on its way through the library's error type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

/// A chat template, ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    source: String,
    /// A rendering did not end in time, and may be at it still.
    given_up: AtomicBool,
}

impl ChatTemplate {
    /// Reads a template as Hugging Face's tools do: blocks take the line they stand on with them.
    ///
    /// # Errors
    /// [`TemplateError::Broken`] where it is not Jinja, `TooLong` where it is larger than any real one.
    pub fn new(source: &str) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(TemplateError::TooLong { limit_bytes: MAX_SOURCE_BYTES });
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax = syntax.map_err(broken)?;
        let text = python::without_generation_marks(source);
        if bounds::longest_tag_words(&text, syntax.clone()) > MAX_TAG_WORDS {
            return Err(TemplateError::Broken {
                line: None,
                what: format!("an expression of over {MAX_TAG_WORDS} words"),
                reason: String::new(),
            });
        }
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_RECURSION);
        environment.set_unknown_method_callback(python::method);
        environment.add_filter("tojson", python::to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, text).map_err(broken)?;
        Ok(Self {
            environment: Arc::new(environment),
            source: source.to_owned(),
            given_up: AtomicBool::new(false),
        })
    }

    /// Renders the template with the variables of `context`; `now` is the time `strftime_now` tells.
    ///
    /// It is done on a thread of its own, and not waited for past half a minute; a template that takes longer is
    /// not rendered again.
    ///
    /// # Errors
    /// [`TemplateError`]; `Refused` is the template's own `raise_exception`.
    pub fn render(&self, context: impl Serialize, now: DateTime) -> Result<String, TemplateError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(TemplateError::Endless);
        }
        let context = Value::from(Serde(context));
        let environment = Arc::clone(&self.environment);
        let (sender, receiver) = mpsc::sync_channel(1);
        let work = move || sender.send(rendered(&environment, &context, now)).ok();
        thread::Builder::new()
            .name("hearth-template".into())
            .stack_size(STACK_BYTES)
            .spawn(work)
            .map_err(|error| not_run(&error.to_string()))?;
        match receiver.recv_timeout(PATIENCE) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(not_run("it crashed")),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.given_up.store(true, Ordering::Relaxed);
                Err(TemplateError::Endless)
            }
        }
    }

    /// As [`ChatTemplate::render`], on this thread and for as long as it takes.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn render_here(
        &self,
        context: impl Serialize,
        now: DateTime,
    ) -> Result<String, TemplateError> {
        rendered(&self.environment, &Value::from(Serde(context)), now)
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn rendered(
    environment: &Environment<'static>,
    context: &Value,
    now: DateTime,
) -> Result<String, TemplateError> {
    let strftime_now = Value::from_function(move |format: &str| python::strftime(now, format));
    let template = environment.get_template(NAME).map_err(broken)?;
    let mut output = Capped { bytes: Vec::new(), over: false };
    let context = context! { strftime_now, ..context.clone() };
    match template.render_captured_to(context, &mut output) {
        Ok(_) => {}
        Err(_) if output.over => {
            return Err(TemplateError::TooLong { limit_bytes: MAX_OUTPUT_BYTES });
        }
        Err(error) => return Err(broken(error)),
    }
    String::from_utf8(output.bytes).map_err(|e| TemplateError::Broken {
        line: None,
        what: "the rendering is not UTF-8".into(),
        reason: e.to_string(),
    })
}

fn not_run(why: &str) -> TemplateError {
    TemplateError::Broken {
        line: None,
        what: format!("it could not be run: {why}"),
        reason: String::new(),
    }
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Refusal(message)))
}

fn broken(error: Error) -> TemplateError {
    if error.kind() == ErrorKind::OutOfFuel {
        return TemplateError::Endless;
    }
    let mut line = error.line();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<Refusal>() {
            return TemplateError::Refused { message: refusal.0.clone() };
        }
        if let Some(inner) = inner.downcast_ref::<Error>() {
            if inner.kind() == ErrorKind::OutOfFuel {
                return TemplateError::Endless;
            }
            line = inner.line().or(line);
        }
        cause = inner.source();
    }
    TemplateError::Broken {
        line,
        what: error.kind().to_string(),
        reason: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
    }
}

/// Takes output up to [`MAX_OUTPUT_BYTES`].
struct Capped {
    bytes: Vec<u8>,
    over: bool,
}

impl io::Write for Capped {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > MAX_OUTPUT_BYTES {
            self.over = true;
            return Err(io::Error::other("the rendering is too long"));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
