//! A loaded model.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterSlot, AdapterUse, CacheScope, EngineError, GenerateRequest,
    LanguageModel, LoadError, LoadOptions, ModelInfo, Prompt, Report, RequestId,
};

use super::{
    answer::Answer,
    forward::{Forward, PAGE_TOKENS},
    guide::{Guides, Vocabulary},
    server::{MOST_RUNNING, Server, Sharing},
    split::split,
};
use crate::{
    cpu::Applied,
    prompt::Prompter,
    tokenizer::{Special, Tokenizer},
};

/// Ends an answer in many vocabularies, whether or not the file says so.
const END_OF_SEQUENCE: &str = "</s>";
/// Memory for keys and values, in full contexts, where nobody says otherwise and there is as much.
pub(super) const CONTEXTS: usize = 2;

/// A model, its vocabulary, and the requests that run on it.
pub(super) struct LoadedModel<F: Forward> {
    info: ModelInfo,
    prompter: Prompter,
    /// Tokens that end an answer.
    ends: Vec<u32>,
    guides: Guides,
    server: Server<F>,
    adapters: BTreeMap<AdapterSlot, Named<F::Adapter>>,
    /// Adapters there have been.
    adapters_added: u64,
}

/// An adapter with a name that none had before, whatever its slot.
struct Named<A> {
    adapter: Arc<A>,
    serial: u64,
}

/// Adapters with their strengths, and what names them.
type RunsWith<A> = (Vec<Applied<A>>, String);

/// A loaded model, with what measuring needs besides.
pub(crate) trait Served: LanguageModel {
    /// [`LanguageModel::begin`], but the answer is `ids` whatever the model would say.
    ///
    /// # Errors
    /// As there.
    fn begin_replay(
        &mut self,
        id: RequestId,
        request: GenerateRequest,
        ids: Vec<u32>,
    ) -> Result<(), EngineError>;

    /// Passes over the weights so far.
    fn passes(&self) -> u64;

    /// The ids of a text as they stand in an answer.
    ///
    /// # Errors
    /// [`EngineError`] where the vocabulary cannot spell it.
    fn answer_ids(&self, text: &str) -> Result<Vec<u32>, EngineError>;

    /// Tokens that end an answer.
    fn ends(&self) -> &[u32];
}

impl<F: Forward> LoadedModel<F> {
    pub(super) fn new(
        tokenizer: Tokenizer,
        forward: F,
        mut info: ModelInfo,
        options: &LoadOptions,
    ) -> Result<Self, LoadError> {
        let page_bytes = forward.page_bytes().max(1);
        let limit_pages = match options.kv_bytes {
            None => (info.context_tokens as usize).div_ceil(PAGE_TOKENS) * CONTEXTS,
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX) / page_bytes,
        };
        if limit_pages == 0 {
            return Err(LoadError::Unsupported {
                what: format!(
                    "less memory for keys and values than the {page_bytes} bytes that \
                     {PAGE_TOKENS} tokens take"
                ),
            });
        }
        info.has_chat_template = tokenizer.chat_template().is_some();
        let ends = ends(&tokenizer);
        let prompter = Prompter::new(tokenizer);
        let guides = Guides::new(Arc::clone(&prompter.tokenizer));
        let server = Server::new(forward, limit_pages);
        let adapters = BTreeMap::new();
        Ok(Self { info, prompter, ends, guides, server, adapters, adapters_added: 0 })
    }

    fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>, EngineError> {
        let ids = self.prompter.ids(prompt)?;
        let vocab = self.server.forward().vocab();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab) {
            let reason = format!("token id {id} is outside the model's vocabulary of {vocab}");
            return Err(EngineError::Invalid { reason });
        }
        Ok(ids)
    }

    /// What a request shares.
    ///
    /// Keys and values are of use to those alone who run with the same adapters at the same strengths, so these are part
    /// of the key; what stands before its first semicolon is never the request's.
    fn sharing(
        &self,
        scope: &CacheScope,
        prompt: &[u32],
        adapters: &str,
    ) -> Result<Option<Sharing>, EngineError> {
        let with = |key: &str| format!("{adapters};{key}").into();
        Ok(match scope {
            CacheScope::Private => None,
            CacheScope::Shared(key) => Some(Sharing { key: with(key), most_tokens: usize::MAX }),
            CacheScope::SharedHead { key, head } => {
                let head = self.prompt_ids(head)?;
                let most_tokens = prompt.iter().zip(&head).take_while(|(a, b)| a == b).count();
                Some(Sharing { key: with(key), most_tokens })
            }
        })
    }

    /// What a request runs with, in the order of the slots, and what names it. An adapter of no strength is none.
    fn applied(&self, uses: &[AdapterUse]) -> Result<RunsWith<F::Adapter>, EngineError> {
        let mut by_slot = BTreeMap::new();
        for &AdapterUse { slot, strength } in uses {
            let named = self.adapters.get(&slot);
            let named = named.ok_or_else(|| EngineError::unknown_adapter(slot))?;
            if !strength.is_finite() {
                let reason = format!("adapter {} has a strength of {strength}", slot.0);
                return Err(EngineError::Invalid { reason });
            }
            if by_slot.insert(slot, (named, strength)).is_some() {
                let reason = format!("adapter {} is asked for twice", slot.0);
                return Err(EngineError::Invalid { reason });
            }
        }
        let mut applied = Vec::new();
        let mut names = String::new();
        for (Named { adapter, serial }, strength) in by_slot.into_values() {
            if strength != 0.0 {
                applied.push(Applied { adapter: Arc::clone(adapter), strength });
                names.push_str(&format!("{serial:x}*{:x},", strength.to_bits()));
            }
        }
        Ok((applied, names))
    }

    fn take(
        &mut self,
        id: RequestId,
        request: GenerateRequest,
        replayed: Option<Vec<u32>>,
    ) -> Result<(), EngineError> {
        let prompt = self.prompt_ids(&request.prompt)?;
        let (adapters, names) = self.applied(&request.adapters)?;
        let sharing = self.sharing(&request.cache, &prompt, &names)?;
        let terms = (request.priority, sharing, adapters);
        let stops = self.prompter.own_stops(&request.prompt);
        let context_tokens = self.info.context_tokens as usize;
        let vocabulary = Vocabulary { tokenizer: &self.prompter.tokenizer, ends: &self.ends };
        let making = (&mut self.guides, vocabulary);
        let answer = Answer::new(request, prompt, stops, context_tokens, making)?;
        let answer = match replayed {
            Some(ids) => answer.replaying(ids),
            None => answer,
        };
        self.server.begin(id, terms, answer)
    }
}

impl<F: Forward> LanguageModel for LoadedModel<F> {
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
        MOST_RUNNING
    }

    fn add_adapter(&mut self, slot: AdapterSlot, file: &AdapterFile) -> Result<(), AdapterError> {
        let adapter = Arc::new(self.server.forward().adapter(slot, file)?);
        let serial = self.adapters_added;
        self.adapters_added += 1;
        self.adapters.insert(slot, Named { adapter, serial });
        Ok(())
    }

    fn remove_adapter(&mut self, slot: AdapterSlot) {
        self.adapters.remove(&slot);
    }

    fn begin(&mut self, id: RequestId, request: GenerateRequest) -> Result<(), EngineError> {
        self.take(id, request, None)
    }

    fn step(&mut self, sink: &mut dyn FnMut(RequestId, Report) -> ControlFlow<()>) {
        let vocabulary = Vocabulary { tokenizer: &self.prompter.tokenizer, ends: &self.ends };
        self.server.step(vocabulary, sink);
    }

    fn cancel(&mut self, id: RequestId) {
        self.server.cancel(id);
    }
}

impl<F: Forward> Served for LoadedModel<F> {
    fn begin_replay(
        &mut self,
        id: RequestId,
        request: GenerateRequest,
        ids: Vec<u32>,
    ) -> Result<(), EngineError> {
        self.take(id, request, Some(ids))
    }

    fn passes(&self) -> u64 {
        self.server.passes()
    }

    fn answer_ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        Ok(self.prompter.tokenizer.encode(text, Special::Literal)?)
    }

    fn ends(&self) -> &[u32] {
        &self.ends
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
