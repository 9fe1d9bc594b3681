//! A loaded model.

use std::{collections::VecDeque, ops::ControlFlow};

use hearth_engine_api::{
    EngineError, GenerateEvent, GenerateRequest, Generated, LanguageModel, LoadError, LoadOptions,
    ModelInfo, Priority, Prompt, Report, RequestId,
};

use super::{context::Context, generate::Run, prompt::Prompter, split::split};
use crate::{
    checkpoint::Checkpoint,
    models::malformed,
    tokenizer::{Special, Tokenizer},
    workers::Workers,
};

/// Ends an answer in many vocabularies, whether or not the file says so.
const END_OF_SEQUENCE: &str = "</s>";

pub(super) struct LoadedModel {
    info: ModelInfo,
    prompter: Prompter,
    /// Tokens that end an answer.
    ends: Vec<u32>,
    context: Context,
    begun: VecDeque<(RequestId, GenerateRequest)>,
}

impl LoadedModel {
    pub(super) fn load(
        checkpoint: &Checkpoint,
        mut info: ModelInfo,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Self, LoadError> {
        let workers = Workers::new(options.threads)?;
        // The vocabulary first: it is quick to read, and what is wrong with it shows before the long part.
        let tokenizer = checkpoint.tokenizer()?;
        let decoder = checkpoint.decoder(on_progress)?;
        let context = Context::new(decoder, workers, info.context_tokens as usize)
            .map_err(|error| malformed(format!("no cache of its size: {error}")))?;
        if on_progress(1.0).is_break() {
            return Err(LoadError::Cancelled);
        }
        info.has_chat_template = tokenizer.chat_template().is_some();
        let ends = ends(&tokenizer);
        Ok(Self { info, prompter: Prompter::new(tokenizer), ends, context, begun: VecDeque::new() })
    }

    fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        let ids = self.prompter.ids(prompt)?;
        let vocab = self.context.vocab();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab) {
            let reason = format!("token id {id} is outside the model's vocabulary of {vocab}");
            return Err(EngineError::Invalid { reason });
        }
        Ok(ids)
    }
}

impl LanguageModel for LoadedModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn count_tokens(&self, prompt: &Prompt) -> Result<u32, EngineError> {
        Ok(token_count(self.prompt_ids(prompt)?.len()))
    }

    fn split(&self, text: &str, max_tokens: u32) -> Result<Vec<String>, EngineError> {
        split(text, max_tokens as usize, &|text| {
            Ok(self.prompter.tokenizer.encode(text, Special::Literal)?.len())
        })
    }

    fn most_running(&self) -> usize {
        1
    }

    fn begin(&mut self, id: RequestId, request: GenerateRequest) -> Result<(), EngineError> {
        self.begun.push_back((id, request));
        Ok(())
    }

    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        if let Some((id, request)) = self.begun.pop_front() {
            let done = self.run(&request, &mut |event| sink(id, Report::Event(event)));
            let _over = sink(id, Report::Ended(done));
        }
    }

    fn cancel(&mut self, id: RequestId) {
        self.begun.retain(|(begun, _)| *begun != id);
    }
}

impl LoadedModel {
    fn run(
        &mut self,
        request: &GenerateRequest,
        on_event: &mut dyn FnMut(GenerateEvent) -> ControlFlow<()>,
    ) -> Result<Generated, EngineError> {
        let prompt = self.prompt_ids(&request.prompt)?;
        let mut stops = request.stop.clone();
        stops.extend(self.prompter.own_stops(&request.prompt));
        let private = request.priority == Priority::Background;
        if private {
            self.context.forget();
        }
        let run = Run {
            context: &mut self.context,
            tokenizer: &self.prompter.tokenizer,
            ends: &self.ends,
            request,
            on_event,
        };
        let result = run.run(&prompt, stops);
        if private {
            self.context.forget();
        }
        result
    }
}

fn ends(tokenizer: &Tokenizer) -> Vec<u32> {
    let more = tokenizer.token_to_id(END_OF_SEQUENCE).filter(|&id| tokenizer.is_special(id));
    let mut ends: Vec<u32> = tokenizer.end_ids().iter().copied().chain(more).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

pub(super) fn token_count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
