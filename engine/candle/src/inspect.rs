//! What the command line's inspection commands compute: numbers to compare engines by. None of it needs more
//! than a model's files, and the results serialise to the commands' stable JSON.

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use hearth_engine_api::{EngineError, KvFormat, LoadError, LoadOptions};
use hearth_engine_kernels::{Sequence, Team};
use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, CpuDecoder, Step, Wanted,
    checkpoint::check_fits,
    cpu::kernel_format,
    sample::largest,
    tokenizer::{Special, Tokenizer},
    weights::GgufHeader,
    workers::thread_count,
};

/// Why an inspection failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The model or vocabulary could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The computation failed or was asked for something impossible.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A line of input is not the JSON it should be.
    #[error("expected a line of JSON like {{\"text\": \"…\"}}: {source}")]
    Line {
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
}

/// A model's logits for a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The twenty largest logits at the prompt's last position, largest first, as `[id, logit]`.
    pub top20: Vec<(u32, f32)>,
    /// Logarithm of the sum of the exponentials of all logits there.
    pub logsumexp: f64,
    /// The likeliest continuation, which ends early with an end-of-text token.
    pub greedy_ids: Vec<u32>,
    /// Mean negative log likelihood of the text's tokens but the first, in nats, where a text was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nll: Option<f64>,
}

/// A model's speed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// Prompt tokens a second, by repeat.
    pub prefill_tok_s: Vec<f64>,
    /// Generated tokens a second, by repeat; the first token counts to the prompt.
    pub decode_tok_s: Vec<f64>,
    /// Seconds to load the model.
    pub load_s: f64,
    /// Seconds from the prompt to the first token, in the first repeat.
    pub first_token_s: f64,
    /// Most memory the process ever held; 0 where the system does not tell.
    pub peak_rss_bytes: u64,
}

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchOptions {
    /// Tokens in the prompt.
    pub prompt_tokens: usize,
    /// Tokens to generate after it.
    pub generate_tokens: usize,
    /// How often to do both.
    pub repeat: usize,
    /// Worker threads; the number of physical cores by default.
    pub threads: Option<usize>,
    /// How keys and values are held.
    pub kv_format: KvFormat,
}

/// A text to tokenize.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextLine {
    /// The text.
    pub text: String,
}

/// The ids of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdsLine {
    /// The ids.
    pub ids: Vec<u32>,
}

/// Logits of the model at `path` after `ids`, `greedy_tokens` of the likeliest continuation, and the mean negative
/// log likelihood of `nll_text` (with the begin-of-text token in front where the model wants one; a text longer
/// than the context the model gets is read in pieces of that length, each of which begins with the last token of the
/// former).
/// Keys and values are held as F32.
///
/// # Errors
/// [`InspectError`] where the model does not load, an id is outside its vocabulary, or it does not all fit its context.
pub fn probe(
    path: &Path,
    ids: &[u32],
    greedy_tokens: usize,
    nll_text: Option<&str>,
) -> Result<Probe, InspectError> {
    probe_with(path, ids, greedy_tokens, nll_text, KvFormat::F32)
}

/// [`probe`] with keys and values held as `kv_format` has it.
///
/// # Errors
/// As there.
pub fn probe_with(
    path: &Path,
    ids: &[u32],
    greedy_tokens: usize,
    nll_text: Option<&str>,
    kv_format: KvFormat,
) -> Result<Probe, InspectError> {
    let tokens = ids.len().saturating_add(greedy_tokens);
    let checkpoint = open(path, tokens)?;
    let mut subject = Subject::load(&checkpoint, tokens, None, kv_format)?;
    // Logits can be had of a model whose vocabulary cannot be read; only the text needs it.
    let tokenizer = checkpoint.tokenizer();
    let ends = tokenizer.as_ref().map_or(Vec::new(), |tokenizer| tokenizer.end_ids().to_vec());
    subject.begin(tokens)?;
    let logits = subject.read(ids)?;
    let top20 = top(logits, 20);
    let logsumexp = logsumexp(logits);
    let mut next = largest(logits);
    let mut greedy_ids = Vec::with_capacity(greedy_tokens);
    while greedy_ids.len() < greedy_tokens {
        let Some(id) = next else { break };
        greedy_ids.push(id);
        if ends.contains(&id) || greedy_ids.len() == greedy_tokens {
            break;
        }
        next = largest(subject.read(&[id])?);
    }
    let nll = match nll_text {
        Some(text) => Some(subject.mean_nll(&text_ids(&tokenizer?, text)?)?),
        None => None,
    };
    Ok(Probe { top20, logsumexp, greedy_ids, nll })
}

/// Measures the model at `path`, on a prompt of made-up ids.
///
/// # Errors
/// [`InspectError`] where the model does not load, or what is asked for does not fit its context.
pub fn bench(path: &Path, options: &BenchOptions) -> Result<Bench, InspectError> {
    let start = Instant::now();
    let tokens = options.prompt_tokens.saturating_add(options.generate_tokens);
    let checkpoint = open(path, tokens)?;
    let mut subject = Subject::load(&checkpoint, tokens, options.threads, options.kv_format)?;
    let load_s = start.elapsed().as_secs_f64();
    let vocab = u32::try_from(checkpoint.config().vocab).unwrap_or(u32::MAX);
    // Spread over the vocabulary, so that no part of the embedding stays in the processor's cache by chance.
    let ids: Vec<u32> =
        (0u32..).map(|i| i.wrapping_mul(7919) % vocab).take(options.prompt_tokens).collect();
    let mut bench = Bench {
        prefill_tok_s: Vec::with_capacity(options.repeat),
        decode_tok_s: Vec::with_capacity(options.repeat),
        load_s,
        first_token_s: 0.0,
        peak_rss_bytes: 0,
    };
    for repeat in 0..options.repeat {
        subject.begin(tokens)?;
        let start = Instant::now();
        let mut next = largest(subject.read(&ids)?).unwrap_or(0);
        let prefill = start.elapsed();
        if repeat == 0 {
            bench.first_token_s = prefill.as_secs_f64();
        }
        let start = Instant::now();
        for _ in 1..options.generate_tokens {
            next = largest(subject.read(&[next])?).unwrap_or(0);
        }
        bench.prefill_tok_s.push(rate(ids.len(), prefill));
        bench.decode_tok_s.push(rate(options.generate_tokens.saturating_sub(1), start.elapsed()));
    }
    bench.peak_rss_bytes = peak_rss_bytes().unwrap_or(0);
    Ok(bench)
}

/// The model with the context it gets where nobody says otherwise, or with one of `tokens` where that is more.
fn open(path: &Path, tokens: usize) -> Result<Checkpoint, LoadError> {
    let checkpoint = Checkpoint::open(path)?;
    let usual = checkpoint.context_tokens(&LoadOptions::default())?;
    Ok(checkpoint.with_context(usual.max(u32::try_from(tokens).unwrap_or(u32::MAX))))
}

/// The vocabulary of a GGUF file (which need not hold weights), a `tokenizer.json`, or a model's folder.
///
/// # Errors
/// [`LoadError`] where there is none or it is damaged.
pub fn open_tokenizer(path: &Path) -> Result<Tokenizer, LoadError> {
    if path.is_dir() {
        return Tokenizer::from_json_file(&path.join("tokenizer.json"));
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Tokenizer::from_json_file(path),
        Some("safetensors") => Checkpoint::open(path)?.tokenizer(),
        _ => Tokenizer::from_gguf(&GgufHeader::open(path)?.metadata),
    }
}

/// The ids of a [`TextLine`] in JSON. No special token is added, and none is recognised in the text.
///
/// # Errors
/// [`InspectError::Line`] where it is not such JSON, `Engine` where the vocabulary cannot spell the text.
pub fn tokenize_line(tokenizer: &Tokenizer, line: &str) -> Result<IdsLine, InspectError> {
    let TextLine { text } =
        serde_json::from_str(line).map_err(|source| InspectError::Line { source })?;
    let ids = tokenizer.encode(&text, Special::Plain).map_err(EngineError::from)?;
    Ok(IdsLine { ids })
}

/// A loaded model under inspection, with the sequence it reads.
struct Subject {
    decoder: CpuDecoder,
    sequence: Sequence,
    logits: Vec<f32>,
}

impl Subject {
    /// Loads a model that will be given `tokens` tokens.
    fn load(
        checkpoint: &Checkpoint,
        tokens: usize,
        threads: Option<usize>,
        kv_format: KvFormat,
    ) -> Result<Self, LoadError> {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        check_fits(&checkpoint.estimate(tokens, kv_format))?;
        let threads = thread_count(threads)?;
        let team = Team::new(threads).map_err(|error| LoadError::Unsupported {
            what: format!("{threads} worker threads ({error})"),
        })?;
        let go_on = &mut |_share: f32| ControlFlow::Continue(());
        let decoder = CpuDecoder::load(checkpoint, team, kernel_format(kv_format), go_on)?;
        let sequence = Sequence::new(decoder.kv_layout());
        Ok(Self { decoder, sequence, logits: Vec::new() })
    }

    /// Forgets what was read; `needed` tokens will be.
    fn begin(&mut self, needed: usize) -> Result<(), EngineError> {
        let context_tokens = self.decoder.config().context_tokens;
        if needed > context_tokens {
            return Err(EngineError::ContextOverflow {
                prompt_tokens: u32::try_from(needed).unwrap_or(u32::MAX),
                context_tokens: u32::try_from(context_tokens).unwrap_or(u32::MAX),
            });
        }
        self.sequence.truncate(0);
        Ok(())
    }

    /// Logits after `ids`, which follow what was read before.
    fn read(&mut self, ids: &[u32]) -> Result<&[f32], EngineError> {
        self.step(ids, Wanted::Last)
    }

    fn step(&mut self, ids: &[u32], wanted: Wanted) -> Result<&[f32], EngineError> {
        let Self { decoder, sequence, logits } = self;
        decoder.step(&mut [Step { sequence, ids, logits: wanted, adapters: &[] }], logits)?;
        Ok(logits)
    }

    fn mean_nll(&mut self, ids: &[u32]) -> Result<f64, EngineError> {
        if ids.len() < 2 {
            return Err(EngineError::Invalid { reason: "the text has no second token".into() });
        }
        let window = self.decoder.config().context_tokens.max(2);
        let mut sum = 0.0;
        let mut start = 0;
        while start + 1 < ids.len() {
            let end = (start + window).min(ids.len());
            sum += self.window_nll(&ids[start..end])?;
            start = end - 1;
        }
        Ok(sum / (ids.len() - 1) as f64)
    }

    /// Sum over all of `ids` but the first.
    fn window_nll(&mut self, ids: &[u32]) -> Result<f64, EngineError> {
        /// Few enough that the logits of a large vocabulary take little memory.
        const TOKENS_AT_ONCE: usize = 64;
        self.begin(ids.len())?;
        let vocab = self.decoder.config().vocab;
        let inputs = &ids[..ids.len() - 1];
        let mut sum = 0.0;
        for (input, target) in inputs.chunks(TOKENS_AT_ONCE).zip(ids[1..].chunks(TOKENS_AT_ONCE)) {
            let logits = self.step(input, Wanted::All)?;
            for (row, &id) in logits.chunks_exact(vocab).zip(target) {
                let logit = row.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
                sum += logsumexp(row) - f64::from(logit);
            }
        }
        Ok(sum)
    }
}

fn text_ids(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, EngineError> {
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
    let mut ids: Vec<u32> = bos.into_iter().collect();
    ids.extend(tokenizer.encode(text, Special::Plain)?);
    Ok(ids)
}

fn top(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = (0u32..).zip(logits.iter().copied()).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(count);
    all
}

fn logsumexp(logits: &[f32]) -> f64 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let top = f64::from(top);
    top + logits.iter().map(|&logit| (f64::from(logit) - top).exp()).sum::<f64>().ln()
}

fn rate(tokens: usize, time: Duration) -> f64 {
    tokens as f64 / time.as_secs_f64().max(1e-9)
}

/// `VmHWM` of Linux; nothing elsewhere.
fn peak_rss_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
