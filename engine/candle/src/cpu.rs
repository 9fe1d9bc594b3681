//! Inference on the processor: several sequences at once, on weights that stay where they lie in the model's file.
//!
//! The logits of a token are bitwise the same whatever else a step reads, and however its sequence was cut into steps.
//!
//! [`Weights`] and [`Rotary`] serve other kinds of passes too, such as those of training.

use std::ops::ControlFlow;

use hearth_engine_api::{self as api, AdapterError, AdapterSlot, EngineError, LoadError};
use hearth_engine_kernels::{KvFormat, KvLayout, Sequence, Team};

use crate::{checkpoint::Checkpoint, lora::Adapter, models::DecoderConfig};

mod adapter;
mod pass;
mod rotary;
mod scratch;
mod weights;

pub(crate) use scratch::max_bytes as work_bytes;

pub use adapter::{Applied, CpuAdapter};
pub use rotary::Rotary;
pub use weights::{Layer, Linear, Weights};

use pass::Pass;
use scratch::{Piece, Scratch};

/// A decoder on the processor.
///
/// Its weights are mapped from the model's file: they are read when they are first computed with, and the system may
/// drop and read them again where memory is short. The file must not be changed while it is in use.
pub struct CpuDecoder {
    config: DecoderConfig,
    layout: KvLayout,
    weights: Weights,
    team: Team,
    rotary: Rotary,
    scratch: Scratch,
    max_rows: usize,
}

/// What a step reads of one sequence.
pub struct Step<'a> {
    /// The tokens read so far; those of the step are held too once it is done.
    pub sequence: &'a mut Sequence,
    /// The tokens that follow; at least one.
    pub ids: &'a [u32],
    /// Which of them get logits.
    pub logits: Wanted,
    /// What the model runs with, the same for all steps of a sequence.
    pub adapters: &'a [Applied],
}

/// Which tokens get logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// None of them.
    None,
    /// The last one.
    Last,
    /// Each of them.
    All,
}

impl Wanted {
    /// How many of `tokens` get logits.
    pub const fn rows(self, tokens: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Last if tokens > 0 => 1,
            Self::Last => 0,
            Self::All => tokens,
        }
    }
}

impl CpuDecoder {
    /// Maps the weights of `checkpoint`, to be computed with by `team`. `on_progress` gets the share done in 0..=1 and may
    /// break off.
    ///
    /// # Errors
    /// [`LoadError`] where a tensor is absent, misshapen or of a type the kernels do not know, or a file cannot be mapped;
    /// `Cancelled` where `on_progress` broke off.
    pub fn load(
        checkpoint: &Checkpoint,
        team: Team,
        kv: KvFormat,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        let config = checkpoint.config().clone();
        config.validate()?;
        let weights = Weights::load(&*checkpoint.mapped()?, &config)?;
        if on_progress(1.0).is_break() {
            return Err(LoadError::Cancelled);
        }
        Ok(Self {
            layout: kv_layout(&config, kv),
            weights,
            team,
            rotary: Rotary::new(&config),
            scratch: Scratch::default(),
            max_rows: scratch::max_rows(&config),
            config,
        })
    }

    /// Makes an adapter ready for steps. Its slot is its place in the order in which several are added.
    ///
    /// # Errors
    /// [`AdapterError::OtherModel`] where its shape is not the model's.
    pub fn adapter(
        &self,
        slot: AdapterSlot,
        adapter: &Adapter,
    ) -> Result<CpuAdapter, AdapterError> {
        CpuAdapter::new(slot, adapter, &self.weights)
    }

    /// What it is.
    pub const fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// How the sequences it reads hold their keys and values.
    pub const fn kv_layout(&self) -> &KvLayout {
        &self.layout
    }

    /// Tokens that one pass over the weights reads at most; a longer step takes several.
    pub const fn pass_tokens(&self) -> usize {
        self.max_rows
    }

    /// The threads that compute.
    pub const fn team(&self) -> &Team {
        &self.team
    }

    /// Reads the next tokens of several sequences. `logits` then holds a row of the vocabulary's size for each token
    /// that wanted one, in the order of `steps`.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] where a step has no tokens, one that is outside the vocabulary or a sequence of another
    /// model, [`EngineError::ContextOverflow`] where the model was not made for that many tokens. Nothing is read then.
    pub fn step(
        &mut self,
        steps: &mut [Step<'_>],
        logits: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        for step in &*steps {
            self.check(step)?;
        }
        let wanted: usize = steps.iter().map(|step| step.logits.rows(step.ids.len())).sum();
        logits.resize(wanted * self.config.vocab, 0.0);
        for step in &mut *steps {
            step.sequence.reserve(step.ids.len());
        }
        let mut rest = logits.as_mut_slice();
        let mut next = Cursor::default();
        while self.lay_out(steps, &mut next) {
            let wanted: usize = self.scratch.pieces.iter().map(|piece| piece.wanted).sum();
            let rows = rest.split_off_mut(..wanted * self.config.vocab).unwrap_or_default();
            let Self { config, weights, team, rotary, scratch, .. } = self;
            Pass::new((config, weights, team), (rotary, scratch), steps).run(steps, rows)?;
        }
        Ok(())
    }

    fn check(&self, step: &Step<'_>) -> Result<(), EngineError> {
        let Self { config, .. } = self;
        let invalid = |reason: String| Err(EngineError::Invalid { reason });
        if step.ids.is_empty() {
            return invalid("no tokens to read".into());
        }
        if let Some(id) = step.ids.iter().find(|&&id| id as usize >= config.vocab) {
            return invalid(format!("id {id} is outside the vocabulary of {}", config.vocab));
        }
        if step.sequence.layout() != &self.layout {
            return invalid("the sequence belongs to another model".into());
        }
        if step.adapters.iter().any(|applied| !applied.adapter.fits(&self.weights)) {
            return invalid("an adapter was made ready for another model".into());
        }
        let tokens = step.sequence.tokens().saturating_add(step.ids.len());
        if tokens > config.context_tokens {
            return Err(EngineError::ContextOverflow {
                prompt_tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
                context_tokens: u32::try_from(config.context_tokens).unwrap_or(u32::MAX),
            });
        }
        Ok(())
    }

    /// Lays out the pieces of the next pass; `false` where all tokens are read.
    fn lay_out(&mut self, steps: &[Step<'_>], next: &mut Cursor) -> bool {
        let pieces = &mut self.scratch.pieces;
        pieces.clear();
        let mut room = self.max_rows;
        while let Some(step) = steps.get(next.step)
            && room > 0
        {
            let tokens = (step.ids.len() - next.first_id).min(room);
            let is_last = next.first_id + tokens == step.ids.len();
            pieces.push(Piece {
                step: next.step,
                first_id: next.first_id,
                // A sequence is advanced pass by pass, so it holds what was read before this piece.
                first_position: step.sequence.tokens(),
                tokens,
                wanted: match step.logits {
                    Wanted::Last if !is_last => 0,
                    wanted => wanted.rows(tokens),
                },
            });
            room -= tokens;
            *next = if is_last {
                Cursor { step: next.step + 1, first_id: 0 }
            } else {
                Cursor { first_id: next.first_id + tokens, ..*next }
            };
        }
        !pieces.is_empty()
    }
}

/// The first token that is not read yet.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    step: usize,
    first_id: usize,
}

/// The same format in the kernels' words.
pub(crate) const fn kernel_format(format: api::KvFormat) -> KvFormat {
    match format {
        api::KvFormat::F32 => KvFormat::F32,
        api::KvFormat::F16 => KvFormat::F16,
        api::KvFormat::Q8 => KvFormat::Q8,
    }
}

/// How a model's keys and values lie in memory.
pub(crate) const fn kv_layout(config: &DecoderConfig, format: KvFormat) -> KvLayout {
    let &DecoderConfig { layers, kv_heads, head_dim, .. } = config;
    KvLayout { layers, kv_heads, head_dim, format }
}
