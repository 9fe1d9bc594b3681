//! Many requests at once, and guessed tokens, on the engine's own kernels.

use std::collections::BTreeMap;

use hearth_engine_api::{KvFormat, Priority, Report, RequestId};

use super::*;
use hearth_engine_candle::measure::{Jobs, Subject};

use crate::data::test_data;

/// Runs all requests side by side, each begun some steps after the one before.
fn run_all(
    model: &mut dyn LanguageModel,
    requests: &[GenerateRequest],
    steps_between: usize,
) -> Vec<Generated> {
    let mut done = BTreeMap::new();
    let mut waiting = (0..).zip(requests);
    let mut step = 0;
    while done.len() < requests.len() {
        while (steps_between == 0 || step % steps_between == 0)
            && let Some((id, request)) = waiting.next()
        {
            model.begin(RequestId(id), request.clone()).unwrap();
            if steps_between > 0 {
                break;
            }
        }
        step += 1;
        model.step(&mut |id, report| {
            if let Report::Ended(result) = report {
                done.insert(id, result.unwrap());
            }
            ControlFlow::Continue(())
        });
    }
    done.into_values().collect()
}

/// Eight requests of different lengths and samplings, some with a head in common.
fn eight() -> Vec<GenerateRequest> {
    (0..8u32)
        .map(|n| {
            let head = (0..40 * (n % 2)).map(|i| 3 + i * 7 % 256);
            let tail = (0..1 + 5 * n).map(|i| 3 + (n + i * 13) % 256);
            let sampling = Sampling {
                temperature: [0.0, 0.7, 1.0, 1.5][n as usize % 4],
                seed: u64::from(n),
                ..Sampling::greedy()
            };
            GenerateRequest {
                sampling,
                max_tokens: 10 + 3 * n % 9,
                logprobs: Some(5),
                cache: if n < 5 { CacheScope::Shared("a".into()) } else { CacheScope::Private },
                priority: if n == 3 { Priority::Interactive } else { Priority::Background },
                ..GenerateRequest::new(Prompt::Tokens(head.chain(tail).collect()))
            }
        })
        .collect()
}

/// What came out, to the bit.
fn bits(done: &Generated) -> (Vec<u32>, String, Vec<u32>) {
    let logprobs = done.logprobs.iter().flat_map(|told| told.top.iter().chain([&told.drawn]));
    (done.tokens.clone(), done.text.clone(), logprobs.map(|l| l.logprob.to_bits()).collect())
}

#[test]
fn an_answer_is_the_same_to_the_bit_alone_and_among_others() {
    let folder = tempfile::tempdir().unwrap();
    for (dtype, kv_format) in [
        (GgmlDType::F32, KvFormat::F32),
        (GgmlDType::Q8_0, KvFormat::F16),
        (GgmlDType::Q4_0, KvFormat::Q8),
    ] {
        let path = folder.path().join("toy.gguf");
        Toy::new(config()).write_gguf(&path, dtype, &[]);
        let load = |threads| {
            let options =
                LoadOptions { kv_format, threads: Some(threads), ..LoadOptions::default() };
            CandleBackend.load(&path, &options, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let alone: Vec<_> =
            eight().iter().map(|request| bits(&run(&mut *load(1), request))).collect();
        assert!(alone.iter().any(|(tokens, ..)| tokens.len() > 5));
        for (threads, steps_between) in [(1, 0), (2, 1), (3, 4)] {
            let together = run_all(&mut *load(threads), &eight(), steps_between);
            let together: Vec<_> = together.iter().map(bits).collect();
            assert_eq!(together, alone, "{dtype:?}, {threads} threads");
        }
    }
}

/// Answers with and without guessing; gives the tokens guessed right.
fn compare(model: &mut dyn LanguageModel, request: &GenerateRequest) -> u32 {
    let plainly = GenerateRequest { speculate: false, ..request.clone() };
    let plain = run(model, &plainly);
    let guessed = run(model, request);
    assert_eq!(bits(&guessed), bits(&plain));
    assert_eq!(guessed.stop, plain.stop);
    assert_eq!((plain.usage.drafted_tokens, plain.usage.accepted_tokens), (0, 0));
    guessed.usage.accepted_tokens
}

#[test]
fn stories_are_the_same_with_and_without_guessing() {
    let test = "stories_are_the_same_with_and_without_guessing";
    let Some(path) = test_data(test, "models/stories656k/gguf/stories656k-f32.gguf") else {
        return;
    };
    let mut model = load(&path, None);
    let story = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. \
                 One day, she saw a big, red ball. Lily said, \"I want to play with the ball!\"";
    let happy = "They played and played. They were very happy. ".repeat(6);
    let mut accepted = 0;
    for (temperature, text, seeds) in
        [(0.0, story, 1), (0.0, &happy, 1), (0.8, story, 4), (0.8, &happy, 4)]
    {
        for seed in 0..seeds {
            let request = GenerateRequest {
                sampling: Sampling { temperature, seed, ..Sampling::greedy() },
                max_tokens: 120,
                logprobs: Some(1),
                stop: if seed == 3 { vec!["ball".into()] } else { Vec::new() },
                ..request(text)
            };
            accepted += compare(&mut *model, &request);
        }
    }
    // One tells twice of a bird that takes the ball out of the tree.
    assert!(accepted > 5, "{accepted}");
}

#[test]
fn the_starter_model_says_the_same_with_and_without_guessing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../starter/hearth-starter.gguf");
    let mut model = load(&path, None);
    let mail = "From: Clara Novak\nSubject: Budget\n\nHi Ben,\n\nCould you please review the final budget by Friday \
                12 March?\n\nThanks,\nClara";
    let messages = [
        (
            Role::System,
            "You summarise e-mail for its reader. Answer in one to three short lines: who wants what, and by when.",
        ),
        (Role::User, mail),
    ];
    let chat = messages.map(|(role, text)| ChatMessage::new(role, text));
    let mut accepted = 0;
    for temperature in [0.0, 0.8] {
        for seed in 0..3 {
            let request = GenerateRequest {
                sampling: Sampling { temperature, seed, ..Sampling::greedy() },
                max_tokens: 80,
                ..GenerateRequest::new(Prompt::Chat(chat.to_vec()))
            };
            accepted += compare(&mut *model, &request);
        }
    }
    assert!(accepted > 0);
}

#[test]
fn what_is_measured_is_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    let long = DecoderConfig { context_tokens: 700, ..config() };
    Toy::new(long).write_gguf(&path, GgmlDType::F32, &[]);
    let mut subject = Subject::load(&path, &LoadOptions::default()).unwrap();
    let copied = "ban one two three four none no ban two";
    let prompt = format!("a {copied} b {copied} c {copied}");
    let plain = subject.replay(&prompt, copied, false).unwrap();
    assert_eq!((plain.tokens_per_pass, plain.drafted_tokens, plain.accepted_tokens), (1.0, 0, 0));
    assert_eq!(plain.passes, u64::from(plain.answer_tokens) - 1);
    let guessed = subject.replay(&prompt, copied, true).unwrap();
    assert_eq!(guessed.answer_tokens, plain.answer_tokens);
    assert!(guessed.tokens_per_pass > 1.5, "{guessed:?}");

    let tails = (0..20).map(|n| format!(" no {n}")).collect();
    let head = "none ban one two three four. ".repeat(6);
    let mut jobs = Jobs { head, tails, answer_tokens: 5, share_head: false, speculate: true };
    let apart = subject.many_jobs(&jobs).unwrap();
    assert_eq!((apart.jobs, apart.answer_tokens, apart.cached_tokens), (20, 100, 0));
    jobs.share_head = true;
    let together = subject.many_jobs(&jobs).unwrap();
    assert_eq!(together.prompt_tokens, apart.prompt_tokens);
    assert!(together.cached_tokens * 2 > together.prompt_tokens, "{together:?}");
    assert!(together.passes > 0);
}
