//! Keys and values: shared by those who may, bounded for all.

use super::*;

/// Tokens read so far.
fn reads(stage: &Stage) -> usize {
    stage.server.forward().steps.iter().flatten().map(|(_, tokens)| tokens).sum()
}

#[test]
fn one_keys_pages_serve_nobody_else() {
    let mut stage = Stage::new(1000);
    let ask = |key: Option<&str>| {
        let request = background(prompt(9, 200), 5);
        key.map_or(request.clone(), |key| shared(key, request))
    };
    let cached = |stage: &mut Stage, key| stage.answer(&ask(key)).usage.cached_tokens;
    assert_eq!(cached(&mut stage, Some("a")), 0);
    assert_eq!(cached(&mut stage, Some("a")), 192);
    for key in [Some("b"), None, Some(""), Some("a ")] {
        assert_eq!(cached(&mut stage, key), 0, "{key:?}");
    }
    assert_eq!(cached(&mut stage, None), 0);
    assert_eq!(cached(&mut stage, Some("b")), 192);
    // The last token of a prompt is read in any case.
    let whole_pages = shared("a", background(prompt(9, 192), 5));
    assert_eq!(stage.answer(&whole_pages).usage.cached_tokens, 191);
}

#[test]
fn a_private_request_leaves_nothing() {
    let mut stage = Stage::new(1000);
    for _ in 0..2 {
        let done = stage.answer(&background(prompt(9, 200), 60));
        assert_eq!(done.usage.cached_tokens, 0);
        assert_eq!(stage.server.pool.pages(), 0);
    }
    stage.begin(1, &background(prompt(9, 200), 60)).unwrap();
    stage.step();
    assert_eq!(stage.server.pool.pages(), 9);
    stage.server.cancel(RequestId(1));
    stage.step();
    assert_eq!(stage.server.pool.pages(), 0);
}

#[test]
fn answers_are_kept_as_well_as_prompts() {
    let mut stage = Stage::new(1000);
    let first = stage.answer(&shared("a", request(prompt(9, 50), 60, Priority::Interactive)));
    let conversation: Vec<u32> =
        prompt(9, 50).into_iter().chain(first.tokens.clone()).chain([77, 78]).collect();
    let read = (conversation.len() - 3) / PAGE_TOKENS * PAGE_TOKENS;
    let next = stage.answer(&shared("a", request(conversation, 5, Priority::Interactive)));
    assert_eq!(next.usage.cached_tokens as usize, read);
}

/// Prompts with a head of `head` tokens in common.
fn mails(count: u32, head: usize) -> Vec<Vec<u32>> {
    let mail = |mail: u32| prompt(9, head).into_iter().chain(prompt(100 + mail, 20)).collect();
    (0..count).map(mail).collect()
}

#[test]
fn a_common_head_is_read_once() {
    let mut stage = Stage::new(1000);
    for (id, mail) in mails(12, 320).into_iter().enumerate() {
        stage.begin(id as u64, &shared("a", background(mail, 1))).unwrap();
    }
    stage.run();
    assert_eq!(reads(&stage), 320 + 12 * 20);
    let cached: Vec<u32> = stage.done.values().map(|done| done.usage.cached_tokens).collect();
    assert_eq!((cached[0], &cached[1..]), (0, &[320; 11][..]));
    // A head in pages is held once.
    assert!(stage.server.pool.pages() <= 10 + 12);
}

#[test]
fn a_head_that_ends_within_a_page_is_read_once_too() {
    let heads = [None, Some(340)];
    for head in heads {
        let mut stage = Stage::new(1000);
        for (id, mail) in mails(12, 340).into_iter().enumerate() {
            let request = shared("a", background(mail.clone(), 1));
            let cache = head.map_or(request.cache.clone(), |tokens| CacheScope::SharedHead {
                key: "a".into(),
                head: Box::new(Prompt::Tokens(mail[..tokens].to_vec())),
            });
            stage.begin(id as u64, &GenerateRequest { cache, ..request }).unwrap();
        }
        stage.run();
        assert_eq!(reads(&stage), 340 + 12 * 20);
        let cached: Vec<u32> = stage.done.values().map(|done| done.usage.cached_tokens).collect();
        assert_eq!((cached[0], &cached[1..]), (0, &[340; 11][..]));
        if head.is_some() {
            assert_eq!(stage.server.pool.pages(), 11);
        }
    }
}

#[test]
fn where_there_is_no_room_beside_it_the_end_of_a_head_is_not_kept() {
    let mut stage = Stage::new(12);
    let ask = |mail: Vec<u32>| {
        let head = Box::new(Prompt::Tokens(mail[..340].to_vec()));
        let cache = CacheScope::SharedHead { key: "a".into(), head };
        GenerateRequest { cache, ..background(mail, 1) }
    };
    let mails = mails(2, 340);
    let long: Vec<u32> = mails[0].iter().copied().chain(prompt(3, 20)).collect();
    assert_eq!(stage.answer(&ask(long)).usage.cached_tokens, 0);
    assert_eq!(stage.server.pool.pages(), 10);
    assert_eq!(stage.answer(&ask(mails[1].clone())).usage.cached_tokens, 320);
    assert!(stage.server.pool.pages() <= 12);
}

#[test]
fn for_a_few_tokens_in_common_nobody_waits() {
    let mut stage = Stage::new(1000);
    for (id, first) in [(0, 50), (1, 90)] {
        let ids = prompt(9, 5).into_iter().chain(prompt(first, 60)).collect();
        stage.begin(id, &shared("a", background(ids, 4))).unwrap();
    }
    stage.step();
    assert_eq!(stage.last_step(), [(9, 65), (9, 65)]);
}

#[test]
fn of_private_parts_nothing_is_kept() {
    let mut stage = Stage::new(1000);
    let ask = |mail: Vec<u32>| {
        let head = Box::new(Prompt::Tokens(mail[..330].to_vec()));
        let cache = CacheScope::SharedHead { key: "a".into(), head };
        GenerateRequest { cache, ..background(mail, 5) }
    };
    // The rest is the same for all, and yet is read each time.
    let mail: Vec<u32> = prompt(9, 330).into_iter().chain(prompt(100, 200)).collect();
    for (id, mail) in [mail.clone(), mail.clone(), mail.clone()].into_iter().enumerate() {
        stage.begin(id as u64, &ask(mail)).unwrap();
    }
    stage.run();
    let cached: Vec<u32> = stage.done.values().map(|done| done.usage.cached_tokens).collect();
    assert_eq!(cached, [0, 330, 330]);
    assert_eq!(stage.server.pool.pages(), 11);
    // Nor does one that shares all of its prompt find more.
    let all = stage.answer(&shared("a", background(mail, 5)));
    assert_eq!(all.usage.cached_tokens, 330);
}

#[test]
fn who_waits_for_a_head_goes_on_where_its_reader_is_broken_off() {
    let mut stage = Stage::new(1000);
    for (id, mail) in mails(3, 600).into_iter().enumerate() {
        stage.begin(id as u64, &shared("a", background(mail, 4))).unwrap();
    }
    stage.step();
    assert_eq!(stage.last_step().len(), 1);
    stage.server.cancel(RequestId(0));
    stage.step();
    assert_eq!(stage.last_step(), [(9, 256)]);
    stage.run();
    assert_eq!(stage.done[&1].usage.cached_tokens, 256);
    assert_eq!(stage.done[&2].usage.cached_tokens, 600);
}

#[test]
fn requests_wait_for_memory_and_what_can_never_fit_is_refused() {
    let mut stage = Stage::new(10);
    for id in 0..6 {
        stage.begin(id, &background(prompt(20 + id as u32, 100), 60)).unwrap();
    }
    for _ in 0..1000 {
        stage.step();
        assert!(stage.server.pool.pages() <= 10);
        assert!(stage.last_step().len() <= 2);
    }
    assert_eq!(stage.done.len(), 6);
    let refused = stage.begin(9, &background(prompt(5, 300), 30)).unwrap_err();
    assert!(matches!(refused, EngineError::Invalid { .. }), "{refused}");
    assert!(refused.to_string().contains("1408 bytes, and may take 1280"), "{refused}");
    stage.begin(9, &background(prompt(5, 300), 20)).unwrap();
}

#[test]
fn what_is_kept_makes_room_for_what_runs() {
    let mut stage = Stage::new(10);
    for first in 0..10 {
        let done = stage.answer(&shared("a", background(prompt(20 + first, 128), 30)));
        assert_eq!(done.usage.cached_tokens, 0);
        assert!(stage.server.pool.pages() <= 10);
    }
    assert!(stage.server.pool.pages() > 5);
    let again = stage.answer(&shared("a", background(prompt(29, 128), 30)));
    assert_eq!(again.usage.cached_tokens, 127);
}

#[test]
fn an_interactive_request_takes_a_background_ones_memory_which_then_goes_on() {
    let mut fresh = Stage::new(100);
    let requests: Vec<_> =
        (0..3).map(|n| shared("a", background(prompt(20 + n, 100), 60))).collect();
    let alone: Vec<_> = requests.iter().map(|request| fresh.answer(request).tokens).collect();
    let mut stage = Stage::new(15);
    for (id, request) in requests.iter().enumerate() {
        stage.begin(id as u64, request).unwrap();
    }
    for _ in 0..20 {
        stage.step();
    }
    assert_eq!(stage.last_step().len(), 3);
    stage.begin(9, &request(prompt(5, 200), 40, Priority::Interactive)).unwrap();
    stage.step();
    assert!(stage.last_step().iter().any(|(first, tokens)| (*first, *tokens) == (5, 200)));
    assert!(stage.server.pool.pages() <= 15);
    stage.run();
    let after: Vec<_> = (0..3).map(|id| stage.done[&id].tokens.clone()).collect();
    assert_eq!(after, alone);
    assert!(
        stage
            .events
            .iter()
            .filter(|(id, event)| *id == 2 && matches!(event, GenerateEvent::Started { .. }))
            .count()
            == 1
    );
}
