//! What it takes to serve: texts replayed with guessing, and many jobs at once.
//!
//! The time is that of the engine itself, on a model that may have any weights: what a replayed answer says, and how
//! long a job's answer is, is given.

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use hearth_engine_api::{
    CacheScope, EngineError, GenerateEvent, GenerateRequest, Generated, LoadOptions, ModelInfo,
    Priority, Prompt, Report, RequestId,
};
use serde::{Deserialize, Serialize};

use crate::{
    backend::{self, Served},
    inspect::InspectError,
};

/// A model to be measured.
pub struct Subject(Box<dyn Served>);

/// What it took to read a prompt and to say a given answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub answer_tokens: u32,
    /// Passes over the weights that said them, without those that read the prompt; the last of these says the first.
    pub passes: u64,
    /// Tokens of the answer behind the first, by pass.
    pub tokens_per_pass: f64,
    /// Tokens guessed, and those of them that were right.
    pub drafted_tokens: u32,
    /// See there.
    pub accepted_tokens: u32,
    /// Seconds from the request to the answer's first token.
    pub prefill_s: f64,
    /// Seconds from there to its last.
    pub decode_s: f64,
}

/// Jobs that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jobs {
    /// What all prompts begin with.
    pub head: String,
    /// What each goes on with.
    pub tails: Vec<String>,
    /// Tokens of each answer.
    pub answer_tokens: u32,
    /// Whether what they have in common is read once.
    pub share_head: bool,
    /// Whether answers are guessed ahead.
    pub speculate: bool,
}

/// What it took to do many jobs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobsDone {
    /// Jobs.
    pub jobs: usize,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Of these, tokens that were not read again.
    pub cached_tokens: u64,
    /// Tokens of all answers.
    pub answer_tokens: u64,
    /// Passes over the weights.
    pub passes: u64,
    /// Seconds from the first request to the last answer.
    pub whole_s: f64,
}

impl Subject {
    /// Loads the model at `path`.
    ///
    /// # Errors
    /// [`InspectError`] where it does not load.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, InspectError> {
        Ok(Self(backend::load(path, options, &mut |_| ControlFlow::Continue(()))?))
    }

    /// What it is.
    pub fn info(&self) -> &ModelInfo {
        self.0.info()
    }

    /// Reads `prompt` and says `answer`, as if the model had drawn its tokens.
    ///
    /// # Errors
    /// [`InspectError`] where they do not fit the context.
    pub fn replay(
        &mut self,
        prompt: &str,
        answer: &str,
        speculate: bool,
    ) -> Result<Replay, InspectError> {
        let id = RequestId(0);
        let ids = self.0.answer_ids(answer)?;
        let request =
            GenerateRequest { speculate, ..GenerateRequest::new(Prompt::Text(prompt.into())) };
        let begun = Instant::now();
        self.0.begin_replay(id, request, ids)?;
        let mut first: Option<(u64, Duration)> = None;
        let done = loop {
            let mut said = false;
            let done = step(&mut *self.0, &mut |event| {
                said |= matches!(event, GenerateEvent::Text(_));
            });
            if said && first.is_none() {
                first = Some((self.0.passes(), begun.elapsed()));
            }
            if let Some(done) = done {
                break done?;
            }
        };
        let whole = begun.elapsed();
        let (passes_before, prefill) = first.unwrap_or((self.0.passes(), whole));
        let passes = self.0.passes() - passes_before;
        let usage = done.usage;
        Ok(Replay {
            prompt_tokens: usage.prompt_tokens,
            answer_tokens: usage.generated_tokens,
            passes,
            tokens_per_pass: f64::from(usage.generated_tokens.saturating_sub(1))
                / (passes.max(1) as f64),
            drafted_tokens: usage.drafted_tokens,
            accepted_tokens: usage.accepted_tokens,
            prefill_s: prefill.as_secs_f64(),
            decode_s: (whole - prefill).as_secs_f64(),
        })
    }

    /// Does all of `jobs`, as many at once as the engine would.
    ///
    /// # Errors
    /// [`InspectError`] where one does not fit the context.
    pub fn many_jobs(&mut self, jobs: &Jobs) -> Result<JobsDone, InspectError> {
        let passes = self.0.passes();
        let begun = Instant::now();
        let mut waiting = jobs.tails.iter().zip(0..);
        let mut running = 0;
        let mut sum = JobsDone {
            jobs: jobs.tails.len(),
            prompt_tokens: 0,
            cached_tokens: 0,
            answer_tokens: 0,
            passes: 0,
            whole_s: 0.0,
        };
        loop {
            while running < self.0.most_running()
                && let Some((tail, id)) = waiting.next()
            {
                let request = self.job(jobs, tail);
                self.0.begin(RequestId(id), request)?;
                running += 1;
            }
            if running == 0 {
                break;
            }
            for done in step_all(&mut *self.0) {
                let usage = done?.usage;
                running -= 1;
                sum.prompt_tokens += u64::from(usage.prompt_tokens);
                sum.cached_tokens += u64::from(usage.cached_tokens);
                sum.answer_tokens += u64::from(usage.generated_tokens);
            }
        }
        sum.passes = self.0.passes() - passes;
        sum.whole_s = begun.elapsed().as_secs_f64();
        Ok(sum)
    }

    fn job(&self, jobs: &Jobs, tail: &str) -> GenerateRequest {
        let cache = match jobs.share_head {
            true => CacheScope::Shared("measure".into()),
            false => CacheScope::Private,
        };
        GenerateRequest {
            max_tokens: jobs.answer_tokens,
            priority: Priority::Background,
            cache,
            speculate: jobs.speculate,
            // Every answer has its full length.
            logit_bias: self.0.ends().iter().map(|&id| (id, f32::NEG_INFINITY)).collect(),
            ..GenerateRequest::new(Prompt::Text(format!("{}{tail}", jobs.head)))
        }
    }
}

/// One step of the only request; its end, where it ended.
fn step(
    model: &mut dyn Served,
    on_event: &mut dyn FnMut(GenerateEvent),
) -> Option<Result<Generated, EngineError>> {
    let mut ended = None;
    model.step(&mut |_, report| {
        match report {
            Report::Event(event) => on_event(event),
            Report::Ended(result) => ended = Some(result),
        }
        ControlFlow::Continue(())
    });
    ended
}

/// One step of all requests; those that ended.
fn step_all(model: &mut dyn Served) -> Vec<Result<Generated, EngineError>> {
    let mut ended = Vec::new();
    model.step(&mut |_, report| {
        if let Report::Ended(result) = report {
            ended.push(result);
        }
        ControlFlow::Continue(())
    });
    ended
}
