//! Looking into models and mail without a vault.

use std::{ops::ControlFlow, path::Path};

use hearth_engine_api::{Embedder as _, LoadOptions};
use hearth_engine_candle::{
    CandleEmbedder,
    inspect::{self, InspectError},
    template::{RenderFileError, TemplateError, render_file},
    tokenizer::Tokenizer,
};
use hearth_session::{ErrorKind, ImportEntry, ImportReport, UserError};

pub use hearth_engine_api::{Embedding, KvFormat, TextRole};
pub use hearth_engine_candle::inspect::{Bench, BenchOptions, IdsLine, Probe};

/// What would become of each message or file of an import; nothing is kept.
///
/// # Errors
/// Where the path cannot be read.
pub fn check(
    path: &Path,
    on_entry: &mut dyn FnMut(&ImportEntry) -> ControlFlow<()>,
) -> Result<ImportReport, UserError> {
    Ok(hearth_vault::check(path, on_entry)?)
}

/// Logits, a greedy continuation and the likelihood of a text.
///
/// # Errors
/// Where the model does not load, or what is asked for is not possible with it.
pub fn probe(
    path: &Path,
    ids: &[u32],
    greedy_tokens: usize,
    nll_text: Option<&str>,
) -> Result<Probe, UserError> {
    inspect::probe(path, ids, greedy_tokens, nll_text).map_err(mapped)
}

/// Speed and memory.
///
/// # Errors
/// Where the model does not load, or what is asked for does not fit its context.
pub fn bench(path: &Path, options: &BenchOptions) -> Result<Bench, UserError> {
    inspect::bench(path, options).map_err(mapped)
}

/// A vocabulary.
pub struct Vocabulary(Tokenizer);

impl Vocabulary {
    /// The vocabulary of a GGUF file, a `tokenizer.json` or a model's folder.
    ///
    /// # Errors
    /// Where there is none or it is damaged.
    pub fn open(path: &Path) -> Result<Self, UserError> {
        Ok(Self(inspect::open_tokenizer(path)?))
    }

    /// The ids of a line `{"text": …}`.
    ///
    /// # Errors
    /// Where the line is no such JSON or the vocabulary cannot spell it.
    pub fn ids(&self, line: &str) -> Result<IdsLine, UserError> {
        inspect::tokenize_line(&self.0, line).map_err(mapped)
    }
}

/// A sentence encoder.
pub struct SentenceEncoder(CandleEmbedder);

impl SentenceEncoder {
    /// The encoder in a folder as sentence-transformers writes them.
    ///
    /// # Errors
    /// Where there is none, it is damaged or does not fit into memory.
    pub fn open(path: &Path) -> Result<Self, UserError> {
        let mut go_on = |_share: f32| ControlFlow::Continue(());
        Ok(Self(CandleEmbedder::load(path, &LoadOptions::default(), &mut go_on)?))
    }

    /// The vectors of `texts`, in their order.
    ///
    /// # Errors
    /// Where the vocabulary cannot spell a text, or the numerics fail.
    pub fn embed(&mut self, texts: &[String], role: TextRole) -> Result<Vec<Embedding>, UserError> {
        Ok(self.0.embed(texts, role)?)
    }
}

/// A chat template's rendering; `now` such as `2024-07-26T12:00`.
///
/// # Errors
/// Where a file cannot be read, or the template refuses.
pub fn template(file: &Path, context: &Path, now: Option<&str>) -> Result<String, UserError> {
    render_file(file, context, now).map_err(|error| {
        let (kind, hint) = match &error {
            RenderFileError::Io { .. } => (ErrorKind::User, "Check the path."),
            RenderFileError::Now { .. } => (ErrorKind::User, "Write it as 2024-07-26T12:00."),
            RenderFileError::Template(TemplateError::Refused { .. }) => {
                (ErrorKind::Input, "These are the template's own words.")
            }
            _ => (ErrorKind::Input, ""),
        };
        UserError { kind, message: error.to_string(), hint: hint.into() }
    })
}

fn mapped(error: InspectError) -> UserError {
    match error {
        InspectError::Load(error) => error.into(),
        InspectError::Engine(error) => error.into(),
        error => {
            UserError { kind: ErrorKind::Input, message: error.to_string(), hint: String::new() }
        }
    }
}
