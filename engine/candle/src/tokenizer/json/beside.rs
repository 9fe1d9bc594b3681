//! What the files beside a `tokenizer.json` add: begin and end of text, and the chat template.

use std::{fs, io::Read, path::Path};

use hearth_engine_api::LoadError;
use serde_json::Value;

use crate::tokenizer::malformed;

/// Configuration files and templates are far smaller.
const MAX_SIDE_FILE_BYTES: u64 = 16 << 20;

/// What the files beside `tokenizer.json` say.
#[derive(Debug, Default)]
pub(super) struct SideFiles {
    pub(super) bos_token: Option<String>,
    pub(super) eos_token: Option<String>,
    pub(super) add_bos: Option<bool>,
    pub(super) end_ids: Vec<u32>,
    pub(super) chat_template: Option<String>,
}

impl SideFiles {
    pub(super) fn beside(path: &Path) -> Result<Self, LoadError> {
        let mut side = Self::default();
        let folder = path.parent().unwrap_or(Path::new("."));
        if let Some(config) = read_json(&folder.join("tokenizer_config.json"))? {
            side.bos_token = token_text(config.get("bos_token"));
            side.eos_token = token_text(config.get("eos_token"));
            side.add_bos = config.get("add_bos_token").and_then(Value::as_bool);
            side.chat_template = config.get("chat_template").and_then(template_source);
        }
        for name in ["generation_config.json", "config.json"] {
            if side.end_ids.is_empty()
                && let Some(config) = read_json(&folder.join(name))?
                && let Some(ids) = config.get("eos_token_id")
            {
                side.end_ids = id_list(ids);
            }
        }
        let template = folder.join("chat_template.jinja");
        if template.is_file() {
            let source = String::from_utf8(read_limited(&template, MAX_SIDE_FILE_BYTES)?);
            side.chat_template =
                Some(source.map_err(|e| malformed(format!("chat_template.jinja: {e}")))?);
        }
        Ok(side)
    }
}

/// A token, given as a string or as an object with its content.
fn token_text(value: Option<&Value>) -> Option<String> {
    let value = value?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}

/// One template, or the one called "default" of several.
fn template_source(value: &Value) -> Option<String> {
    let named = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some("default");
    value
        .as_str()
        .or_else(|| value.as_array()?.iter().find(named)?.get("template")?.as_str())
        .map(str::to_owned)
}

/// One id or several.
fn id_list(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value.as_array() {
        Some(list) => list.iter().filter_map(id).collect(),
        None => id(value).into_iter().collect(),
    }
}

pub(super) fn read_json(path: &Path) -> Result<Option<Value>, LoadError> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = read_limited(path, MAX_SIDE_FILE_BYTES)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|e| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        malformed(format!("{name} beside the tokenizer: {e}"))
    })
}

/// Reads a whole file unless it is larger than `limit_bytes`.
pub(super) fn read_limited(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(malformed(format!("the file is larger than {limit_bytes} bytes")));
    }
    Ok(bytes)
}
