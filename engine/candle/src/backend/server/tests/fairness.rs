//! Who goes when.

use super::*;

#[test]
fn an_interactive_request_is_answered_while_others_run() {
    let mut stage = Stage::new(1000);
    for id in 0..20 {
        stage.begin(id, &background(prompt(20 + id as u32, 700), 300)).unwrap();
    }
    for _ in 0..30 {
        stage.step();
    }
    stage.begin(99, &request(prompt(5, 300), 50, Priority::Interactive)).unwrap();
    // Its prompt takes two blocks; with the second comes the first token.
    stage.step();
    let of_it = |stage: &Stage| {
        let of_it = stage.last_step().iter().find(|(first, _)| *first == 5);
        of_it.map_or(0, |(_, tokens)| *tokens)
    };
    let of_prompts = |stage: &Stage| -> usize {
        let others = stage.last_step().iter().filter(|(first, tokens)| *first != 5 && *tokens > 1);
        others.map(|(_, tokens)| tokens).sum()
    };
    assert_eq!(of_it(&stage), 256);
    assert!(of_prompts(&stage) <= 16);
    let has_text = |stage: &Stage| {
        stage.events.iter().any(|(id, event)| *id == 99 && matches!(event, GenerateEvent::Text(_)))
    };
    assert!(!has_text(&stage));
    stage.step();
    assert_eq!(of_it(&stage), 44);
    assert!(has_text(&stage));
    // From then on it goes on with every step, which stays short, and so do the answers beside it.
    while !stage.done.contains_key(&99) {
        stage.step();
        if of_it(&stage) > 0 {
            assert!(of_prompts(&stage) <= 16);
        }
    }
    stage.run();
    assert_eq!(stage.done.len(), 21);
}

#[test]
fn background_answers_ride_along_and_prompts_are_read_in_blocks() {
    let mut stage = Stage::new(1000);
    stage.begin(1, &background(prompt(11, 10), 100)).unwrap();
    stage.step();
    stage.begin(2, &background(prompt(12, 600), 100)).unwrap();
    for tokens in [256, 256, 88] {
        stage.step();
        assert_eq!(stage.last_step(), [(11, 1), (12, tokens)]);
    }
    stage.step();
    assert_eq!(stage.last_step().len(), 2);
}

#[test]
fn as_many_run_at_once_as_is_of_use_and_the_rest_in_order() {
    let mut stage = Stage::new(1000);
    for id in 0..40 {
        stage.begin(id, &background(prompt(20 + id as u32, 4), 3)).unwrap();
    }
    stage.step();
    assert_eq!(stage.last_step().len(), MOST_RUNNING);
    stage.run();
    let started: Vec<u64> = stage
        .events
        .iter()
        .filter(|(_, event)| matches!(event, GenerateEvent::Started { .. }))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(started, (0..40).collect::<Vec<_>>());
}

#[test]
fn one_can_be_broken_off_in_the_midst_of_others() {
    let requests = mixed();
    let alone: Vec<Generated> =
        requests.iter().map(|request| Stage::new(1000).answer(request)).collect();
    for (victim, by_flag) in [(0, true), (2, false), (7, true), (7, false)] {
        let mut stage = Stage::new(1000);
        for (id, request) in requests.iter().enumerate() {
            stage.begin(id as u64, request).unwrap();
        }
        for _ in 0..12 {
            stage.step();
        }
        if by_flag {
            stage.server.cancel(RequestId(victim));
            stage.step();
        } else {
            // It may have nothing to tell for some steps.
            while !stage.done.contains_key(&victim) {
                stage.step_with(|id, _| {
                    if id == victim { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
            }
        }
        let broken = &stage.done[&victim];
        assert_eq!(broken.stop, StopReason::Cancelled);
        let whole = &alone[victim as usize];
        assert!(whole.tokens.starts_with(&broken.tokens) && whole.text.starts_with(&broken.text));
        stage.run();
        for (id, done) in &stage.done {
            assert!(*id == victim || done.tokens == alone[*id as usize].tokens);
        }
    }
}

#[test]
fn one_that_waits_can_be_broken_off() {
    let mut stage = Stage::new(4);
    stage.begin(1, &background(prompt(11, 60), 60)).unwrap();
    stage.begin(2, &background(prompt(12, 60), 60)).unwrap();
    stage.step();
    stage.server.cancel(RequestId(2));
    stage.step();
    assert_eq!((stage.done[&2].stop, stage.done[&2].tokens.len()), (StopReason::Cancelled, 0));
    assert!(!stage.events.iter().any(|(id, _)| *id == 2));
}
