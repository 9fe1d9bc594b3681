//! Rendering a template file with the variables in another file, for looking into a model's template.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::{Zoned, civil::DateTime};
use minijinja::Value;

use super::{ChatTemplate, MAX_SOURCE_BYTES, TemplateError};

/// Longest file of variables.
const MAX_CONTEXT_BYTES: u64 = 64 << 20;

/// Why a template file was not rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderFileError {
    /// A file cannot be read.
    #[error("cannot read ({source}): {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is too large for what it should be.
    #[error("the file is larger than {limit_bytes} bytes: {path}")]
    TooLarge {
        /// What is allowed.
        limit_bytes: u64,
        /// Which file.
        path: PathBuf,
    },
    /// The variables are not a JSON object.
    #[error("the context must be a JSON object of the template's variables: {reason}")]
    Context {
        /// What is wrong with it.
        reason: String,
    },
    /// The time is not written as `2024-07-26T12:00`.
    #[error("{given:?} is not a time such as 2024-07-26T12:00")]
    Now {
        /// What was given.
        given: String,
    },
    /// The template refused or failed.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Renders the template at `template` with the JSON object at `context`; `now` such as `2024-07-26T12:00`
/// is the time the template is told, the local time where it is absent.
///
/// # Errors
/// [`RenderFileError`]; a refusal by the template itself is [`TemplateError::Refused`].
pub fn render_file(
    template: &Path,
    context: &Path,
    now: Option<&str>,
) -> Result<String, RenderFileError> {
    let now = match now {
        None => Zoned::now().datetime(),
        Some(given) => given
            .parse::<DateTime>()
            .map_err(|_parse_error| RenderFileError::Now { given: given.to_owned() })?,
    };
    let source = read_text(template, MAX_SOURCE_BYTES as u64)?;
    let variables: Value = serde_json::from_str(&read_text(context, MAX_CONTEXT_BYTES)?)
        .map_err(|e| RenderFileError::Context { reason: e.to_string() })?;
    if variables.kind() != minijinja::value::ValueKind::Map {
        return Err(RenderFileError::Context { reason: format!("it is {}", variables.kind()) });
    }
    Ok(ChatTemplate::new(&source)?.render(variables, now)?)
}

fn read_text(path: &Path, limit_bytes: u64) -> Result<String, RenderFileError> {
    let io = |source| RenderFileError::Io { path: path.to_owned(), source };
    if fs::metadata(path).map_err(io)?.len() > limit_bytes {
        return Err(RenderFileError::TooLarge { limit_bytes, path: path.to_owned() });
    }
    fs::read_to_string(path).map_err(io)
}
