//! Sentence encoders: texts as vectors, near each other where the texts are alike.
//!
//! Reads folders as sentence-transformers writes them: BERT and its like (MiniLM, E5, BGE) and Nomic's variant,
//! weights as safetensors. What the files say is done as they say it: pooling, normalisation, the words a model
//! wants in front of a text. Texts are sorted by length and computed in padded batches; what else is in a batch
//! changes a vector's numbers by rounding alone, less than 2e-6 of the vector's length.

mod batch;
mod config;
mod encoder;
mod files;
mod pool;
mod words;

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use hearth_engine_api::{
    Embedder, EmbedderInfo, Embedding, EngineError, LoadError, LoadOptions, MemoryEstimate,
    TextRole,
};

use self::{
    batch::{Text, Window, batches, plan},
    encoder::Encoder,
    files::EncoderFiles,
    pool::Pooler,
    words::Words,
};
use crate::{checkpoint::check_fits, workers::Workers};

/// A sentence encoder on the processor.
pub struct CandleEmbedder {
    info: EmbedderInfo,
    encoder: Encoder,
    words: Words,
    pooler: Pooler,
    /// What is put in front of a text of no particular role.
    default_prompt: Option<String>,
    workers: Workers,
}

impl CandleEmbedder {
    /// Reads headers and settings only: what the encoder in the folder at `path` is, and the memory it will take.
    ///
    /// # Errors
    /// [`LoadError`] where a file is absent, damaged or of a kind the engine does not run.
    pub fn inspect(
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(EmbedderInfo, MemoryEstimate), LoadError> {
        let files = EncoderFiles::open(path)?;
        let info = files.info(options)?;
        let estimate = files.estimate(info.window_tokens);
        Ok((info, estimate))
    }

    /// Loads the encoder in the folder at `path`. Of the options, `context_tokens` shortens the stretches in which
    /// long texts are read. `on_progress` gets the share done in 0..=1 and may break off.
    ///
    /// # Errors
    /// As [`CandleEmbedder::inspect`]; `OutOfMemory` where it would not fit, `Cancelled` where `on_progress` broke off.
    pub fn load(
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        let files = EncoderFiles::open(path)?;
        let info = files.info(options)?;
        check_fits(&files.estimate(info.window_tokens))?;
        let workers = Workers::new(options.threads)?;
        // The vocabulary first: it is quick to read, and what is wrong with it shows before the long part.
        let words = Words::open(&files, &info)?;
        let encoder = Encoder::load(&files, info.window_tokens as usize, on_progress)?;
        let pooler = Pooler {
            pooling: info.pooling,
            normalised: info.normalised,
            dimensions: info.dimensions as usize,
        };
        Ok(Self { info, encoder, words, pooler, default_prompt: files.default_prompt, workers })
    }

    fn prompt(&self, role: TextRole) -> Option<&str> {
        prompt_of(&self.info.prompts, self.default_prompt.as_deref(), role)
    }

    /// The vectors of one batch's windows.
    fn run(&self, batch: &[Window], texts: &[Text]) -> Result<Vec<Vec<f32>>, EngineError> {
        let rows: Vec<Vec<u32>> =
            batch.iter().map(|window| self.words.framed(&texts[window.text], window)).collect();
        let states = self.workers.run(|| self.encoder.states(&rows))?;
        let lengths = rows.iter().map(Vec::len);
        self.pooler.pool(&states, lengths)
    }
}

impl Embedder for CandleEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&mut self, texts: &[String], role: TextRole) -> Result<Vec<Embedding>, EngineError> {
        let prompt = self.prompt(role);
        let texts = texts
            .iter()
            .map(|text| self.words.encode(text, prompt))
            .collect::<Result<Vec<Text>, _>>()?;
        let windows = plan(&texts, self.info.window_tokens as usize, &self.words);
        let mut parts: Vec<Vec<(usize, Vec<f32>)>> = vec![Vec::new(); texts.len()];
        for batch in batches(&windows, self.encoder.heads()) {
            for (window, vector) in batch.iter().zip(self.run(batch, &texts)?) {
                parts[window.text].push((window.range.len(), vector));
            }
        }
        let joined = texts.iter().zip(parts).map(|(text, parts)| {
            Ok(Embedding {
                windows: count(parts.len()),
                tokens: count(text.ids.len()),
                vector: self.pooler.join(parts)?,
            })
        });
        joined.collect()
    }
}

/// The words in front of a text of this role; none where the model's files name none.
fn prompt_of<'a>(
    prompts: &'a BTreeMap<String, String>,
    default: Option<&'a str>,
    role: TextRole,
) -> Option<&'a str> {
    let by_name = role.names().iter().find_map(|name| prompts.get(*name)).map(String::as_str);
    by_name.or(default).filter(|prompt| !prompt.is_empty())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_goes_by_any_of_its_names() {
        let prompts: BTreeMap<String, String> =
            [("search_query", "search_query: "), ("passage", "")]
                .map(|(name, text)| (name.into(), text.into()))
                .into();
        assert_eq!(prompt_of(&prompts, None, TextRole::Query), Some("search_query: "));
        assert_eq!(prompt_of(&prompts, Some("x"), TextRole::Document), None);
        assert_eq!(prompt_of(&prompts, Some("x"), TextRole::Plain), Some("x"));
        assert_eq!(prompt_of(&prompts, None, TextRole::Plain), None);
    }
}
