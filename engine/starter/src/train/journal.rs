//! The journal of a training: one JSON object a line.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::error::{StarterError, io};

/// How training stood at a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Steps done.
    pub step: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Mean loss since the entry before.
    pub train_loss: f64,
    /// Mean loss of answers that are never learnt from.
    pub held_out_loss: f64,
    /// Length of the last gradient.
    pub gradient_norm: f64,
    /// Speed since the entry before.
    pub tokens_per_sec: f64,
}

/// Appends entries to `journal.jsonl` in a folder.
pub(super) struct Journal {
    file: File,
    path: std::path::PathBuf,
}

impl Journal {
    /// Opens the journal, without the entries behind `step`: those steps will be done again.
    pub(super) fn open(folder: &Path, step: u64) -> Result<Self, StarterError> {
        fs::create_dir_all(folder).map_err(io(folder))?;
        let path = folder.join("journal.jsonl");
        if path.exists() {
            let kept: String = read_journal(&path)?
                .iter()
                .filter(|entry| entry.step <= step)
                .map(line)
                .collect::<Result<_, _>>()?;
            fs::write(&path, kept).map_err(io(&path))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io(&path))?;
        Ok(Self { file, path })
    }

    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), StarterError> {
        let text = line(entry)?;
        self.file.write_all(text.as_bytes()).map_err(io(&self.path))
    }
}

/// Reads a journal; a last line cut off by a kill is left out.
///
/// # Errors
/// Where the file is absent or holds something else.
pub fn read_journal(path: &Path) -> Result<Vec<Entry>, StarterError> {
    let text = fs::read_to_string(path).map_err(io(path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).map_err(malformed)).collect()
}

fn line(entry: &Entry) -> Result<String, StarterError> {
    Ok(serde_json::to_string(entry).map_err(malformed)? + "\n")
}

fn malformed(error: serde_json::Error) -> StarterError {
    StarterError::Malformed { what: "journal", reason: error.to_string() }
}
