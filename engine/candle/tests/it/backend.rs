//! Requests to a small model with made-up weights.

use std::{ops::ControlFlow, path::Path};

use candle_core::quantized::GgmlDType;
use hearth_engine_api::{
    Backend, CacheScope, ChatMessage, Constraint, EngineError, GenerateEvent, GenerateRequest,
    Generated, LanguageModel, LoadError, LoadOptions, Prompt, Role, Sampling, StopReason,
};
use hearth_engine_candle::{CandleBackend, models::DecoderConfig};

use crate::toy::{Toy, config};

mod serving;

fn load(path: &Path, context_tokens: Option<u32>) -> Box<dyn LanguageModel> {
    let options = LoadOptions { context_tokens, threads: Some(2), ..LoadOptions::default() };
    CandleBackend.load(path, &options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn toy_model() -> Box<dyn LanguageModel> {
    toy_model_of(config())
}

fn toy_model_of(config: DecoderConfig) -> Box<dyn LanguageModel> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    Toy::new(config).write_gguf(&path, GgmlDType::F32, &[]);
    load(&path, None)
}

fn request(text: &str) -> GenerateRequest {
    GenerateRequest { max_tokens: 24, ..GenerateRequest::new(Prompt::Text(text.into())) }
}

fn run(model: &mut dyn LanguageModel, request: &GenerateRequest) -> Generated {
    model.generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// A seed whose answer does not end by itself, with the answer.
fn long_answer(model: &mut dyn LanguageModel) -> (GenerateRequest, Generated) {
    for seed in 0..100 {
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::greedy() };
        let request = GenerateRequest { sampling, ..request("ban one") };
        let done = run(model, &request);
        if done.stop == StopReason::MaxTokens {
            return (request, done);
        }
    }
    panic!("every answer ends early");
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another() {
    let mut model = toy_model();
    let (request, first) = long_answer(&mut *model);
    assert_eq!(run(&mut *model, &request).tokens, first.tokens);
    let mut fresh = toy_model();
    assert_eq!(run(&mut *fresh, &request).text, first.text);
    let sampling = Sampling { seed: request.sampling.seed + 1000, ..request.sampling.clone() };
    assert_ne!(run(&mut *model, &GenerateRequest { sampling, ..request }).tokens, first.tokens);
}

#[test]
fn what_is_streamed_is_what_is_returned() {
    let mut model = toy_model();
    let (request, expected) = long_answer(&mut *model);
    let mut events = Vec::new();
    let done = model
        .generate(&request, &mut |event| {
            events.push(event);
            ControlFlow::Continue(())
        })
        .unwrap();
    let texts = events.iter().filter_map(|event| match event {
        GenerateEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(texts.collect::<String>(), expected.text);
    assert_eq!(done.usage.generated_tokens as usize, done.tokens.len());
    let total_tokens = done.usage.prompt_tokens;
    assert_eq!(
        events[0],
        GenerateEvent::Started { prompt_tokens: total_tokens, context_tokens: 96 }
    );
    assert_eq!(events[1], GenerateEvent::Prefill { done_tokens: total_tokens, total_tokens });
}

#[test]
fn a_stop_string_ends_the_answer_wherever_tokens_end() {
    let mut model = toy_model();
    let (request, whole) = long_answer(&mut *model);
    let characters: Vec<char> = whole.text.chars().collect();
    assert!(characters.len() > 8);
    for (start, length) in [(0, 1), (2, 3), (4, 2), (characters.len() - 3, 3)] {
        let stop: String = characters[start..start + length].iter().collect();
        let stopped =
            run(&mut *model, &GenerateRequest { stop: vec![stop.clone()], ..request.clone() });
        assert_eq!(stopped.stop, StopReason::StopSequence);
        assert_eq!(stopped.text, whole.text[..whole.text.find(&stop).unwrap()]);
    }
    let absent = GenerateRequest { stop: vec!["not in there".into()], ..request };
    assert_eq!(run(&mut *model, &absent).text, whole.text);
}

#[test]
fn it_can_be_broken_off_at_every_event() {
    let mut model = toy_model();
    let (request, whole) = long_answer(&mut *model);
    for after in 0..=10 {
        let mut seen = 0;
        let done = model
            .generate(&request, &mut |_| {
                seen += 1;
                if seen > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!((done.stop, seen), (StopReason::Cancelled, after + 1));
        // Two events come before the text, then one with each token.
        assert_eq!(done.tokens.len(), (after + 1usize).saturating_sub(2));
        assert!(whole.text.starts_with(&done.text));
    }
    // What was broken off does no harm to what follows.
    assert_eq!(run(&mut *model, &request).text, whole.text);
}

#[test]
fn long_prompts_are_read_in_blocks_between_which_one_can_break_off() {
    let mut model = toy_model_of(DecoderConfig { context_tokens: 700, ..config() });
    let prompt: Vec<u32> = (0..600).map(|i| 3 + i * 7 % 256).collect();
    let request = GenerateRequest { max_tokens: 4, ..GenerateRequest::new(Prompt::Tokens(prompt)) };
    let mut steps = Vec::new();
    let whole = model
        .generate(&request, &mut |event| {
            if let GenerateEvent::Prefill { done_tokens, total_tokens: 600 } = event {
                steps.push(done_tokens);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(steps, [256, 512, 600]);
    let mut model = toy_model_of(DecoderConfig { context_tokens: 700, ..config() });
    let mut stop_at_first_block = |event| match event {
        GenerateEvent::Prefill { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let shared = GenerateRequest { cache: CacheScope::Shared("a".into()), ..request };
    let broken = model.generate(&shared, &mut stop_at_first_block).unwrap();
    assert_eq!((broken.stop, broken.tokens.len()), (StopReason::Cancelled, 0));
    let resumed = run(&mut *model, &shared);
    assert_eq!((resumed.usage.cached_tokens, &resumed.tokens), (256, &whole.tokens));
}

#[test]
fn a_full_context_is_said() {
    let mut model = toy_model();
    let (base, _) = long_answer(&mut *model);
    let fits = |count: u32| Prompt::Tokens((0..count).map(|i| 3 + i * 11 % 256).collect());
    let full = (0..50).find_map(|seed| {
        let sampling = Sampling { seed, ..base.sampling.clone() };
        let request =
            GenerateRequest { prompt: fits(90), sampling, max_tokens: 50, ..base.clone() };
        let done = run(&mut *model, &request);
        (done.stop == StopReason::ContextFull).then_some(done)
    });
    assert_eq!(full.unwrap().tokens.len(), 6);
    for count in [96, 97, 5000] {
        let request = GenerateRequest { prompt: fits(count), ..base.clone() };
        let refused = model.generate(&request, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(
            refused,
            Err(EngineError::ContextOverflow { prompt_tokens, context_tokens: 96 })
                if prompt_tokens == count
        ));
    }
}

#[test]
fn common_beginnings_are_read_once_but_not_across_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    Toy::new(config()).write_gguf(&path, GgmlDType::F32, &[]);
    let options = LoadOptions { kv_bytes: Some(1 << 20), ..LoadOptions::default() };
    let mut model =
        CandleBackend.load(&path, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let (base, _) = long_answer(&mut *model);
    let prompt =
        |last: u32| Prompt::Tokens((0..70).map(|i| 3 + i * 11 % 256).chain([last]).collect());
    let ask = |key: Option<&str>, last| GenerateRequest {
        prompt: prompt(last),
        cache: key.map_or(CacheScope::Private, |key| CacheScope::Shared(key.into())),
        ..base.clone()
    };
    let expected = run(&mut *toy_model(), &ask(None, 5)).tokens;
    for (key, cached_tokens) in
        [(Some("a"), 0), (Some("a"), 64), (None, 0), (Some("b"), 0), (None, 0), (Some("a"), 64)]
    {
        let done = run(&mut *model, &ask(key, 5));
        assert_eq!((done.usage.cached_tokens, &done.tokens), (cached_tokens, &expected), "{key:?}");
    }
    // A prompt that parts from the former ones.
    let done = run(&mut *model, &ask(Some("a"), 6));
    assert_eq!(done.usage.cached_tokens, 64);
    assert_eq!(done.tokens, run(&mut *toy_model(), &ask(None, 6)).tokens);
}

#[test]
fn a_choice_is_always_exactly_one_option() {
    let mut model = toy_model();
    let options = ["no", "none", "no one", "b", "büß", ""].map(str::to_owned).to_vec();
    let mut chosen = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let request = GenerateRequest {
            constraint: Some(Constraint::OneOf(options.clone())),
            sampling: Sampling { temperature: 3.0, seed, ..Sampling::greedy() },
            ..request("a ban")
        };
        let mut streamed = String::new();
        let done = model
            .generate(&request, &mut |event| {
                if let GenerateEvent::Text(text) = event {
                    streamed.push_str(&text);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(options.contains(&done.text), "{:?}", done.text);
        assert_eq!((&streamed, done.stop), (&done.text, StopReason::EndOfText));
        chosen.insert(done.text);
    }
    assert!(chosen.len() >= 4, "only {chosen:?} came out of 60 draws");
}

#[test]
fn a_choice_that_cannot_be_met_is_refused() {
    let mut model = toy_model();
    let mut refused = |options: &[&str], max_tokens, prompt: Prompt| {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let request = GenerateRequest {
            constraint: Some(Constraint::OneOf(options)),
            max_tokens,
            ..GenerateRequest::new(prompt)
        };
        model.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    let text = || Prompt::Text("a".into());
    assert!(matches!(refused(&[], 9, text()), EngineError::Invalid { .. }));
    assert!(matches!(refused(&["b", "banane"], 2, text()), EngineError::Invalid { .. }));
    let long = Prompt::Tokens(vec![5; 93]);
    assert!(matches!(refused(&["banane"], 9, long), EngineError::ContextOverflow { .. }));
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut model = toy_model();
    for wrong in [
        GenerateRequest { stop: vec![String::new()], ..request("a") },
        GenerateRequest::new(Prompt::Tokens(Vec::new())),
        GenerateRequest::new(Prompt::Tokens(vec![9999])),
        GenerateRequest { sampling: Sampling { top_p: 0.0, ..Sampling::greedy() }, ..request("a") },
    ] {
        let refused = model.generate(&wrong, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(EngineError::Invalid { .. })));
    }
}

#[test]
fn a_conversation_without_a_template_is_counted_and_answered() {
    let mut model = toy_model();
    assert!(!model.info().has_chat_template);
    let prompt = Prompt::Chat(vec![ChatMessage::new(Role::User, "no")]);
    let counted = model.count_tokens(&prompt).unwrap();
    let request = GenerateRequest { max_tokens: 2, ..GenerateRequest::new(prompt) };
    let done = run(&mut *model, &request);
    assert_eq!(done.usage.prompt_tokens, counted);
    assert_eq!(model.count_tokens(&Prompt::Text("User: no\nAssistant:".into())).unwrap(), counted);
}

#[test]
fn split_pieces_fit_and_join() {
    let model = toy_model();
    let text = "no none\n\nban, büß ä no\none two three four\n".repeat(20);
    for max in [4u32, 17, 60] {
        let pieces = model.split(&text, max).unwrap();
        assert_eq!(pieces.concat(), text);
        for piece in pieces {
            let with_begin = model.count_tokens(&Prompt::Text(piece.clone())).unwrap();
            assert!(with_begin - 1 <= max, "{piece:?} takes {with_begin}");
        }
    }
    assert!(model.split("x", 0).is_err());
}

#[test]
fn loading_tells_how_far_it_is_and_can_be_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    Toy::new(config()).write_gguf(&path, GgmlDType::F32, &[]);
    let mut shares = Vec::new();
    let mut note = |share| {
        shares.push(share);
        ControlFlow::Continue(())
    };
    CandleBackend.load(&path, &LoadOptions::default(), &mut note).unwrap();
    assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
    let broken =
        CandleBackend.load(&path, &LoadOptions::default(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(broken.err(), Some(LoadError::Cancelled)));
}

/// A model is written for a context its size in memory would be beyond any machine.
#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_read() {
    if !Path::new("/proc/meminfo").exists() {
        println!("SKIPPED: the system does not tell how much memory is free");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    let large = DecoderConfig { context_tokens: 1 << 26, head_dim: 4096, ..config() };
    Toy::new(large).write_gguf(&path, GgmlDType::F32, &[]);
    let options =
        LoadOptions { context_tokens: Some(1 << 26), threads: None, ..LoadOptions::default() };
    let refused = CandleBackend.load(&path, &options, &mut |_| panic!("weights are being read"));
    assert!(matches!(refused.err(), Some(LoadError::OutOfMemory { .. })));
}
