//! Requests on a model whose logits are made up from the tokens before.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use candle_core::quantized::gguf_file::Value;
use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterSlot, CacheScope, Constraint, GenerateRequest, Generated,
    Prompt, Sampling, Usage,
};

use super::*;
use crate::{backend::guide::Guides, tokenizer::Tokenizer};

mod fairness;
mod memory;
mod sameness;

/// Logits follow from all tokens of the sequence, and from nothing else.
pub(super) struct Toy {
    /// What each step read: by the first token of each sequence, how many tokens.
    pub(super) steps: Vec<Vec<(u32, usize)>>,
    /// How much likelier a token is that followed the same token before.
    pub(super) copies: f32,
}

pub(super) const VOCAB: usize = 265;

#[derive(Debug, Default)]
pub(super) struct ToySequence {
    pages: Vec<Arc<Vec<u32>>>,
    ids: Vec<u32>,
}

impl Forward for Toy {
    type Sequence = ToySequence;
    type Page = Vec<u32>;
    type Adapter = ();

    const EXACT: bool = true;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn block_tokens(&self, _total_tokens: usize) -> usize {
        256
    }

    fn page_bytes(&self) -> usize {
        PAGE_TOKENS * size_of::<u32>()
    }

    fn sequence(
        &self,
        mut pages: Vec<Arc<Vec<u32>>>,
        tokens: usize,
        _room_tokens: usize,
    ) -> Result<ToySequence, EngineError> {
        assert_eq!(pages.len(), tokens.div_ceil(PAGE_TOKENS));
        let ids = pages.iter().flat_map(|page| page.iter().copied()).take(tokens).collect();
        pages.truncate(tokens / PAGE_TOKENS);
        Ok(ToySequence { pages, ids })
    }

    fn adapter(&self, _slot: AdapterSlot, _file: &AdapterFile) -> Result<(), AdapterError> {
        Ok(())
    }

    fn tokens(sequence: &ToySequence) -> usize {
        sequence.ids.len()
    }

    fn page(sequence: &ToySequence, index: usize) -> Option<Arc<Vec<u32>>> {
        let rest = || sequence.ids.get(index * PAGE_TOKENS..).map(|ids| Arc::new(ids.to_vec()));
        sequence.pages.get(index).cloned().or_else(rest)
    }

    fn truncate(sequence: &mut ToySequence, tokens: usize) {
        sequence.ids.truncate(tokens);
        sequence.pages.truncate(tokens / PAGE_TOKENS);
    }

    fn step(
        &mut self,
        parts: &mut [Part<'_, ToySequence, ()>],
        logits: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        logits.clear();
        let mut step = Vec::new();
        for Part { sequence, ids, wanted, .. } in parts {
            assert!(!ids.is_empty());
            for (place, id) in ids.iter().enumerate() {
                sequence.ids.push(*id);
                let full = sequence.ids.len() / PAGE_TOKENS;
                if full > sequence.pages.len() {
                    let first = (full - 1) * PAGE_TOKENS;
                    sequence.pages.push(Arc::new(sequence.ids[first..].to_vec()));
                }
                if *wanted == Wanted::All || (*wanted == Wanted::Last && place + 1 == ids.len()) {
                    logits.extend(self.row(&sequence.ids));
                }
            }
            step.push((sequence.ids[0], ids.len()));
        }
        self.steps.push(step);
        Ok(())
    }
}

impl Toy {
    fn row(&self, ids: &[u32]) -> Vec<f32> {
        let mut hasher = DefaultHasher::new();
        ids.hash(&mut hasher);
        let seed = hasher.finish();
        let mut row: Vec<f32> = (0..VOCAB as u64)
            .map(|id| {
                let mixed = (seed ^ id.wrapping_mul(0x9E37_79B9_7F4A_7C15))
                    .wrapping_mul(0xD6E8_FEB8_6659_FD93);
                (mixed >> 40) as f32 / (1u32 << 22) as f32
            })
            .collect();
        let (last, before) = ids.split_last().unwrap();
        for pair in before.windows(2).filter(|pair| pair[0] == *last) {
            row[pair[1] as usize] += self.copies;
        }
        // Neither unknown tokens nor those of control but the end.
        row[..2].fill(f32::NEG_INFINITY);
        row
    }
}

/// Control tokens, bytes, and a few letters.
fn tokenizer() -> Tokenizer {
    let specials = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = ["▁", "a", "b", "n", "ab", "▁a"].map(str::to_owned);
    let tokens: Vec<Value> =
        specials.into_iter().chain(bytes).chain(pieces).map(Value::String).collect();
    assert_eq!(tokens.len(), VOCAB);
    let kinds = (0..VOCAB).map(|id| {
        Value::I32(match id {
            0 => 2,
            1 | 2 => 3,
            3..=258 => 6,
            _ => 1,
        })
    });
    let scores = (0..VOCAB).map(|id| Value::F32(-(id as f32)));
    let metadata: HashMap<String, Value> = [
        ("model", Value::String("llama".into())),
        ("token_type", Value::Array(kinds.collect())),
        ("scores", Value::Array(scores.collect())),
        ("tokens", Value::Array(tokens)),
        ("bos_token_id", Value::U32(1)),
        ("eos_token_id", Value::U32(2)),
    ]
    .into_iter()
    .map(|(key, value)| (format!("tokenizer.ggml.{key}"), value))
    .collect();
    Tokenizer::from_gguf(&metadata).unwrap()
}

/// A server with its vocabulary.
pub(super) struct Stage {
    pub(super) server: Server<Toy>,
    tokenizer: Arc<Tokenizer>,
    guides: Guides,
    pub(super) events: Vec<(u64, GenerateEvent)>,
    pub(super) done: BTreeMap<u64, Generated>,
}

pub(super) const CONTEXT: usize = 2000;

impl Stage {
    pub(super) fn new(limit_pages: usize) -> Self {
        Self::with(Toy { steps: Vec::new(), copies: 3.0 }, limit_pages)
    }

    pub(super) fn with(toy: Toy, limit_pages: usize) -> Self {
        let tokenizer = Arc::new(tokenizer());
        Self {
            server: Server::new(toy, limit_pages),
            guides: Guides::new(Arc::clone(&tokenizer)),
            tokenizer,
            events: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    pub(super) fn begin(&mut self, id: u64, request: &GenerateRequest) -> Result<(), EngineError> {
        let Prompt::Tokens(prompt) = request.prompt.clone() else { panic!("tokens alone") };
        let vocabulary = Vocabulary { tokenizer: &self.tokenizer, ends: &[2] };
        let sharing = |key: &str, most_tokens| Sharing { key: key.into(), most_tokens };
        let sharing = match &request.cache {
            CacheScope::Private => None,
            CacheScope::Shared(key) => Some(sharing(key, usize::MAX)),
            CacheScope::SharedHead { key, head } => {
                let Prompt::Tokens(head) = &**head else { panic!("tokens alone") };
                Some(sharing(key, head.len()))
            }
        };
        let terms = (request.priority, sharing, Vec::new());
        let making = (&mut self.guides, vocabulary);
        let answer = Answer::new(request.clone(), prompt, Vec::new(), CONTEXT, making)?;
        self.server.begin(RequestId(id), terms, answer)
    }

    pub(super) fn step(&mut self) {
        self.step_with(|_, _| ControlFlow::Continue(()));
    }

    pub(super) fn step_with(
        &mut self,
        mut flow: impl FnMut(u64, &GenerateEvent) -> ControlFlow<()>,
    ) {
        let vocabulary = Vocabulary { tokenizer: &self.tokenizer, ends: &[2] };
        let Self { server, events, done, .. } = self;
        server.step(vocabulary, &mut |RequestId(id), report| match report {
            Report::Event(event) => {
                let flow = flow(id, &event);
                events.push((id, event));
                flow
            }
            Report::Ended(result) => {
                done.insert(id, result.unwrap());
                ControlFlow::Continue(())
            }
        });
    }

    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            if self.server.requests.is_empty() {
                return;
            }
            self.step();
        }
        panic!("it never ends");
    }

    /// The answer to one request, run by itself to its end.
    pub(super) fn answer(&mut self, request: &GenerateRequest) -> Generated {
        self.begin(u64::MAX, request).unwrap();
        self.run();
        self.done.remove(&u64::MAX).unwrap()
    }

    /// What the latest step read.
    pub(super) fn last_step(&self) -> &[(u32, usize)] {
        self.server.forward().steps.last().map_or(&[], Vec::as_slice)
    }
}

/// A prompt that begins with `first` and goes on as made up from it.
pub(super) fn prompt(first: u32, tokens: usize) -> Vec<u32> {
    (0..tokens as u32).map(|i| if i == 0 { first } else { 3 + (first + i * i * 7) % 256 }).collect()
}

pub(super) fn request(prompt: Vec<u32>, max_tokens: u32, priority: Priority) -> GenerateRequest {
    GenerateRequest { max_tokens, priority, ..GenerateRequest::new(Prompt::Tokens(prompt)) }
}

pub(super) fn background(prompt: Vec<u32>, max_tokens: u32) -> GenerateRequest {
    request(prompt, max_tokens, Priority::Background)
}

pub(super) fn shared(key: &str, request: GenerateRequest) -> GenerateRequest {
    GenerateRequest { cache: CacheScope::Shared(key.into()), ..request }
}

/// Requests of all kinds.
pub(super) fn mixed() -> Vec<GenerateRequest> {
    let mut requests = Vec::new();
    for (index, temperature) in [0.0, 0.8, 0.0, 1.0, 0.3, 0.0, 2.0, 0.8].into_iter().enumerate() {
        let index = index as u32;
        let penalty = if index % 3 == 1 { 1.2 } else { 1.0 };
        let sampling = Sampling {
            temperature,
            seed: u64::from(index),
            repetition_penalty: penalty,
            top_k: (index == 4).then_some(5),
            ..Sampling::greedy()
        };
        let tokens = 1 + index as usize * 37;
        requests.push(GenerateRequest {
            sampling,
            logprobs: index.is_multiple_of(2).then_some(3),
            logit_bias: if index == 5 {
                vec![(2, f32::NEG_INFINITY), (40, 3.0)]
            } else {
                Vec::new()
            },
            constraint: (index == 6)
                .then(|| Constraint::OneOf(["aab", "ab", "abn", "b"].map(str::to_owned).into())),
            stop: if index == 3 {
                vec!["ab".into(), "\u{fffd}\u{fffd}".into()]
            } else {
                Vec::new()
            },
            ..shared(
                "a",
                request(
                    prompt(10 + index % 2, tokens),
                    40 + 3 * index,
                    if index < 2 { Priority::Interactive } else { Priority::Background },
                ),
            )
        });
    }
    requests
}
