//! What comes out does not depend on how it came about.

use super::*;

/// What an answer is, without what it cost.
fn said(done: &Generated) -> (String, Vec<u32>, StopReason, String) {
    let logprobs = format!("{:?}", done.logprobs);
    (done.text.clone(), done.tokens.clone(), done.stop, logprobs)
}

#[test]
fn an_answer_is_the_same_alone_and_among_others() {
    let alone: Vec<_> =
        mixed().iter().map(|request| said(&Stage::new(1000).answer(request))).collect();
    for order in 0..3 {
        let mut stage = Stage::new(1000);
        for (id, request) in mixed().iter().enumerate() {
            // Now all at once, now some steps apart.
            for _ in 0..order * (id % 4) {
                stage.step();
            }
            stage.begin(id as u64, request).unwrap();
        }
        stage.run();
        let together: Vec<_> = stage.done.values().map(said).collect();
        assert_eq!(together, alone);
    }
    assert!(alone.iter().any(|(_, _, stop, _)| *stop == StopReason::StopSequence));
    assert!(["aab", "ab", "abn", "b"].contains(&alone[6].0.as_str()), "{:?}", alone[6].0);
}

#[test]
fn an_answer_is_the_same_with_and_without_guessing() {
    let mut accepted = 0;
    for (copies, temperature) in [(0.0, 0.0), (3.0, 0.8), (5.0, 0.8), (9.0, 0.0), (9.0, 1.5)] {
        for seed in 0..12 {
            let sampling = Sampling {
                temperature,
                seed,
                repetition_penalty: if seed % 4 == 3 { 1.1 } else { 1.0 },
                ..Sampling::greedy()
            };
            let request = GenerateRequest {
                sampling,
                logprobs: Some(2),
                stop: if seed % 3 == 1 { vec!["bn".into(), "nn".into()] } else { Vec::new() },
                ..shared(
                    "a",
                    request(
                        prompt(7, 30 + seed as usize),
                        90 + 7 * seed as u32,
                        Priority::Interactive,
                    ),
                )
            };
            let toy = || Toy { steps: Vec::new(), copies };
            let plainly = GenerateRequest { speculate: false, ..request.clone() };
            let plain = Stage::with(toy(), 100).answer(&plainly);
            let mut stage = Stage::with(toy(), 100);
            let guessed = stage.answer(&request);
            assert_eq!(said(&guessed), said(&plain));
            assert_eq!((plain.usage.drafted_tokens, plain.usage.accepted_tokens), (0, 0));
            let Usage { drafted_tokens, accepted_tokens, generated_tokens, .. } = guessed.usage;
            assert!(accepted_tokens <= drafted_tokens && accepted_tokens <= generated_tokens);
            accepted += accepted_tokens;
            // What was guessed wrongly is in no page that is kept.
            assert_eq!(said(&stage.answer(&request)), said(&plain));
            if copies == 9.0 && temperature == 0.0 && generated_tokens > 60 {
                let passes = stage.server.passes();
                assert!(
                    passes < u64::from(generated_tokens),
                    "{passes} for {generated_tokens} twice"
                );
            }
        }
    }
    assert!(accepted > 500, "{accepted}");
}

/// Answers `prompt` with the tokens of a given answer.
fn replay(stage: &mut Stage, prompt: Vec<u32>, ids: &[u32]) {
    let request = request(prompt.clone(), 5, Priority::Interactive);
    let vocabulary = Vocabulary { tokenizer: &stage.tokenizer, ends: &[2] };
    let making = (&mut stage.guides, vocabulary);
    let answer = Answer::new(request, prompt, Vec::new(), CONTEXT, making).unwrap();
    let terms = (Priority::Interactive, None, Vec::new());
    stage.server.begin(RequestId(1), terms, answer.replaying(ids.to_vec())).unwrap();
    stage.run();
}

#[test]
fn characters_come_whole_however_many_tokens_they_are() {
    let text = "zü€😀é!";
    let bytes: Vec<u32> = text.bytes().map(|byte| 3 + u32::from(byte)).collect();
    // Guessed tokens are told one by one as well.
    for prompt in [vec![7, 8, 9], [&[7], bytes.as_slice(), bytes.as_slice()].concat()] {
        let mut stage = Stage::new(100);
        replay(&mut stage, prompt, &bytes);
        let texts = stage.events.iter().filter_map(|(_, event)| match event {
            GenerateEvent::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let expected = ["z", "", "ü", "", "", "€", "", "", "", "😀", "", "é", "!"];
        assert_eq!(texts.collect::<Vec<_>>(), expected);
        assert_eq!(stage.done[&1].text, text);
    }
}

#[test]
fn a_replayed_text_comes_out_as_it_went_in() {
    let mut stage = Stage::new(100);
    let ids: Vec<u32> = prompt(7, 100).into_iter().skip(40).take(50).collect();
    replay(&mut stage, prompt(7, 100), &ids);
    assert_eq!(stage.done[&1].tokens, ids);
    // The prompt takes one pass, and a copied text far fewer than its tokens.
    assert!(stage.server.passes() < 20, "{}", stage.server.passes());
}

#[test]
fn probabilities_are_those_of_the_model() {
    let mut stage = Stage::new(100);
    let ids = prompt(5, 20);
    let row = stage.server.forward().row(&ids);
    let sampling = Sampling { temperature: 3.0, seed: 4, ..Sampling::greedy() };
    let request = GenerateRequest {
        sampling,
        logprobs: Some(2),
        logit_bias: vec![(50, 20.0)],
        ..request(ids, 1, Priority::Interactive)
    };
    let done = stage.answer(&request);
    assert_eq!(done.tokens, [50]);
    let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
    let expected = |id: u32| f64::from(row[id as usize]) - sum.ln();
    let told = &done.logprobs[0];
    assert_eq!((told.drawn.id, told.top.len()), (50, 2));
    assert!(told.top[0].logprob >= told.top[1].logprob);
    for logprob in told.top.iter().chain([&told.drawn]) {
        assert!((f64::from(logprob.logprob) - expected(logprob.id)).abs() < 1e-5);
    }
    assert_eq!(Some(told.top[0].id), crate::sample::largest(&row));
}
