//! Requests with adapters to a loaded model.

use hearth_engine_api::{
    AdapterFile, AdapterUse, Backend, CacheScope, GenerateRequest, Generated, LanguageModel,
    LoadOptions, Priority, Prompt, Report, RequestId, Sampling,
};
use hearth_engine_candle::CandleBackend;

use super::*;

/// A model, and adapters for it.
struct Stage {
    model: Box<dyn LanguageModel>,
    files: Vec<AdapterFile>,
}

impl Stage {
    /// With files for three adapters, none of which is added yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("toy.gguf");
        Toy::new(config()).write_gguf(&path, GgmlDType::F32, &[]);
        let checkpoint = Checkpoint::open(&path).unwrap();
        let files = (1..4).map(|seed| {
            let adapter = made_up(checkpoint.config(), &settings(4, &Target::ALL), seed);
            adapter.to_peft("toy", None).unwrap()
        });
        let files = files.collect();
        // Room for all that is kept, however many adapters it is kept for.
        let (threads, kv_bytes) = (Some(2), Some(16 << 20));
        let options = LoadOptions { threads, kv_bytes, ..LoadOptions::default() };
        let model = CandleBackend.load(&path, &options, &mut |_| ControlFlow::Continue(()));
        Self { model: model.unwrap(), files }
    }

    /// The file of this number in this slot.
    fn with(mut self, slots: &[(u64, usize)]) -> Self {
        for &(slot, file) in slots {
            self.model.add_adapter(AdapterSlot(slot), &self.files[file]).unwrap();
        }
        self
    }

    fn run(&mut self, request: &GenerateRequest) -> Generated {
        self.model.generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    fn refusal(&mut self, request: &GenerateRequest) -> String {
        match self.model.generate(request, &mut |_| ControlFlow::Continue(())) {
            Err(EngineError::Invalid { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }
}

/// 70 tokens, so that two pages are full.
fn request(adapters: &[(u64, f32)], cache: CacheScope) -> GenerateRequest {
    let adapters =
        adapters.iter().map(|&(slot, strength)| AdapterUse { slot: AdapterSlot(slot), strength });
    GenerateRequest {
        adapters: adapters.collect(),
        cache,
        max_tokens: 12,
        logprobs: Some(4),
        sampling: Sampling { temperature: 0.8, seed: 5, ..Sampling::greedy() },
        ..GenerateRequest::new(Prompt::Tokens(ids(8, 70).iter().map(|id| 3 + id % 250).collect()))
    }
}

fn shared() -> CacheScope {
    CacheScope::Shared("a".into())
}

/// What came out, to the bit.
fn said(done: &Generated) -> (Vec<u32>, Vec<u32>) {
    let logprobs = done.logprobs.iter().flat_map(|told| told.top.iter().chain([&told.drawn]));
    (done.tokens.clone(), logprobs.map(|l| l.logprob.to_bits()).collect())
}

/// Whether the prompt's whole pages were at hand, or else nothing of it.
fn has_found(done: &Generated) -> bool {
    let found = done.usage.cached_tokens;
    assert!(found == 0 || found >= 64, "{found}");
    found > 0
}

#[test]
fn kept_pages_serve_the_same_adapters_at_the_same_strength_alone() {
    let slots = [(1, 0), (2, 1)];
    let uses: [&[(u64, f32)]; 6] =
        [&[], &[(1, 1.0)], &[(2, 1.0)], &[(1, 0.5)], &[(1, 1.0), (2, 1.0)], &[(2, 0.5), (1, 1.0)]];
    let alone =
        uses.map(|uses| said(&Stage::new().with(&slots).run(&request(uses, CacheScope::Private))));
    for (n, one) in alone.iter().enumerate() {
        assert!(alone[..n].iter().all(|other| other != one), "{:?} is as another", uses[n]);
    }
    let head =
        CacheScope::SharedHead { key: "a".into(), head: Box::new(request(&[], shared()).prompt) };
    for cache in [shared(), head] {
        let mut stage = Stage::new().with(&slots);
        for round in 0..2 {
            for (uses, expected) in uses.iter().zip(&alone) {
                let done = stage.run(&request(uses, cache.clone()));
                assert_eq!(said(&done), *expected, "{uses:?}");
                // The first time there is nothing of its own, however much others have left.
                assert_eq!(has_found(&done), round == 1, "{uses:?}");
            }
        }
        // The order in which they are named makes no difference, and one of no strength is none.
        let turned = stage.run(&request(&[(2, 1.0), (1, 1.0)], cache.clone()));
        assert_eq!((said(&turned), has_found(&turned)), (alone[4].clone(), true));
        let off = stage.run(&request(&[(2, 0.0)], cache.clone()));
        assert_eq!((said(&off), has_found(&off)), (alone[0].clone(), true));
        // Nobody reads what a private request would have left.
        assert!(!has_found(&stage.run(&request(&[(1, 1.0)], CacheScope::Private))));
    }
}

#[test]
fn a_key_that_looks_like_anothers_is_none() {
    let mut stage = Stage::new().with(&[(1, 0)]);
    let adapted = stage.run(&request(&[(1, 1.0)], shared()));
    // However the key with its adapter is written down inside, no request without one can name it.
    let strength = 1.0_f32.to_bits();
    for key in [format!("0*{strength:x},;a"), format!("0*{strength:x},"), ";a".into(), "a;a".into()]
    {
        let done = stage.run(&request(&[], CacheScope::Shared(key)));
        assert_eq!(done.usage.cached_tokens, 0);
        assert_ne!(said(&done), said(&adapted));
    }
}

#[test]
fn another_adapter_in_the_same_slot_finds_nothing_of_the_first() {
    let mut stage = Stage::new().with(&[(1, 0)]);
    let first = stage.run(&request(&[(1, 1.0)], shared()));
    let mut stage = stage.with(&[(1, 2)]);
    let second = stage.run(&request(&[(1, 1.0)], shared()));
    assert_eq!(second.usage.cached_tokens, 0);
    let fresh = Stage::new().with(&[(1, 2)]).run(&request(&[(1, 1.0)], shared()));
    assert_eq!(said(&second), said(&fresh));
    assert_ne!(said(&second), said(&first));
    stage.model.remove_adapter(AdapterSlot(1));
    let refused = stage.refusal(&request(&[(1, 1.0)], shared()));
    assert!(refused.contains("no adapter 1"), "{refused}");
    let stage = &mut stage.with(&[(1, 0)]);
    let again = stage.run(&request(&[(1, 1.0)], shared()));
    assert_eq!((said(&again), again.usage.cached_tokens), (said(&first), 0));
}

#[test]
fn requests_with_and_without_run_side_by_side_and_outlive_their_slot() {
    let slots = [(1, 0), (2, 1), (3, 2)];
    let requests: Vec<GenerateRequest> = (0..9_u32)
        .map(|n| {
            let uses: &[(u64, f32)] =
                [&[][..], &[(1, 1.0)], &[(2, 0.5)], &[(3, 1.0), (1, 0.25)]][n as usize % 4];
            let mut request =
                request(uses, if n % 2 == 0 { shared() } else { CacheScope::Private });
            if let Prompt::Tokens(ids) = &mut request.prompt {
                ids.truncate(70 - 3 * n as usize);
            }
            let priority = if n == 4 { Priority::Interactive } else { Priority::Background };
            GenerateRequest { priority, max_tokens: 8 + n, ..request }
        })
        .collect();
    let alone: Vec<_> =
        requests.iter().map(|request| said(&Stage::new().with(&slots).run(request))).collect();
    let mut stage = Stage::new().with(&slots);
    for (id, request) in (0..).zip(&requests) {
        stage.model.begin(RequestId(id), request.clone()).unwrap();
    }
    let mut done = std::collections::BTreeMap::new();
    while done.len() < requests.len() {
        stage.model.step(&mut |id, report| {
            if let Report::Ended(result) = report {
                done.insert(id, said(&result.unwrap()));
            }
            ControlFlow::Continue(())
        });
        // Those under way keep what they began with.
        for slot in 1..4 {
            stage.model.remove_adapter(AdapterSlot(slot));
        }
    }
    assert_eq!(done.into_values().collect::<Vec<_>>(), alone);
}

#[test]
fn guessing_ahead_changes_nothing() {
    let mut stage = Stage::new().with(&[(1, 0), (2, 1)]);
    let mut drafted = 0;
    for seed in 0..8 {
        for uses in [&[(1, 1.0)][..], &[(2, 1.0), (1, 0.5)]] {
            let sampling = Sampling { temperature: 0.4, seed, ..Sampling::greedy() };
            let prompt = Prompt::Tokens([5, 9, 7, 8].repeat(6));
            let request = GenerateRequest {
                sampling,
                max_tokens: 40,
                prompt,
                ..request(uses, CacheScope::Private)
            };
            let plain = stage.run(&GenerateRequest { speculate: false, ..request.clone() });
            let guessed = stage.run(&request);
            assert_eq!(said(&guessed), said(&plain));
            drafted += guessed.usage.drafted_tokens;
        }
    }
    assert!(drafted > 0, "nothing was guessed");
}

#[test]
fn what_cannot_be_applied_is_refused() {
    let mut stage = Stage::new().with(&[(1, 0)]);
    for (uses, reason) in [
        (&[(2, 1.0)][..], "no adapter 2"),
        (&[(1, f32::NAN)], "strength of NaN"),
        (&[(1, f32::INFINITY)], "strength of inf"),
        (&[(1, 1.0), (1, 0.5)], "asked for twice"),
    ] {
        let refused = stage.refusal(&request(uses, shared()));
        assert!(refused.contains(reason), "{refused}");
    }
    let good = said(&stage.run(&request(&[(1, 1.0)], shared())));
    let other = DecoderConfig { layers: 3, ..config() };
    let other = made_up(&other, &settings(4, &Target::ALL), 1).to_peft("toy", None).unwrap();
    for file in [other, AdapterFile { config: "{}".into(), weights: [].into() }] {
        stage.model.add_adapter(AdapterSlot(1), &file).unwrap_err();
        // The slot keeps what it had.
        assert_eq!(said(&stage.run(&request(&[(1, 1.0)], shared()))), good);
    }
}
