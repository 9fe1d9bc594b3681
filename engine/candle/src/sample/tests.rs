use proptest::prelude::*;

use super::*;

fn sampling() -> impl Strategy<Value = Sampling> {
    (0.05f32..3.0, prop::option::of(1u32..40), 0.01f32..=1.0, 0.0f32..=1.0, any::<u64>()).prop_map(
        |(temperature, top_k, top_p, min_p, seed)| Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            seed,
            ..Sampling::greedy()
        },
    )
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    // Few distinct values, so that ties are common.
    prop::collection::vec((-20i8..20).prop_map(|n| f32::from(n) / 4.0), 1..60)
}

/// The definition of the four steps, one after the other, without shortcuts. The bounds of top-p and min-p are moved by
/// `slack`, of which more leaves more.
fn plainly(logits: &[f32], sampling: &Sampling, slack: f64) -> Vec<u32> {
    let scaled: Vec<f64> =
        logits.iter().map(|&l| f64::from(l) / f64::from(sampling.temperature)).collect();
    let mut ids: Vec<usize> = (0..logits.len()).collect();
    ids.sort_by(|&a, &b| scaled[b].total_cmp(&scaled[a]).then(a.cmp(&b)));
    ids.truncate(sampling.top_k.map_or(usize::MAX, |k| k as usize));
    let top = scaled[ids[0]];
    let share = |id: usize| (scaled[id] - top).exp();
    let total: f64 = ids.iter().map(|&id| share(id)).sum();
    let mut kept = Vec::new();
    let mut sum = 0.0;
    for &id in &ids {
        kept.push(id);
        sum += share(id) / total;
        if sampling.top_p < 1.0 && sum >= f64::from(sampling.top_p) + slack {
            break;
        }
    }
    kept.retain(|&id| share(id) >= f64::from(sampling.min_p) - slack);
    kept.into_iter().map(|id| id as u32).collect()
}

proptest! {
    #[test]
    fn what_is_left_is_what_the_definition_leaves(logits in logits(), sampling in sampling()) {
        let ids: Vec<u32> =
            candidates(&logits, &sampling).into_iter().map(|candidate| candidate.id).collect();
        // What lies at a bound may fall on either side of it by rounding.
        let [least, most] = [-1e-9, 1e-9].map(|slack| plainly(&logits, &sampling, slack));
        prop_assert!(ids.starts_with(&least) && most.starts_with(&ids), "{ids:?} {least:?} {most:?}");
    }

    #[test]
    fn the_likeliest_is_always_left_and_first(logits in logits(), sampling in sampling()) {
        let left = candidates(&logits, &sampling);
        prop_assert_eq!(left.first().map(|c| c.id), largest(&logits));
        prop_assert!(left.is_sorted_by(|a, b| a.probability >= b.probability));
    }

    #[test]
    fn only_what_is_left_is_drawn(logits in logits(), sampling in sampling()) {
        let left: Vec<u32> =
            candidates(&logits, &sampling).into_iter().map(|candidate| candidate.id).collect();
        let mut sampler = Sampler::new(&sampling).unwrap();
        for _ in 0..20 {
            let drawn = sampler.draw(&mut logits.clone(), &[]).unwrap();
            prop_assert!(left.contains(&drawn));
        }
    }

    #[test]
    fn the_same_seed_draws_the_same(logits in logits(), sampling in sampling()) {
        let draw = || {
            let mut sampler = Sampler::new(&sampling).unwrap();
            (0..20).map(|_| sampler.draw(&mut logits.clone(), &[]).unwrap()).collect::<Vec<_>>()
        };
        prop_assert_eq!(draw(), draw());
    }

    #[test]
    fn no_logits_whatever_make_it_panic(
        logits in prop::collection::vec(any::<f32>(), 0..20), sampling in sampling()
    ) {
        let mut sampler = Sampler::new(&sampling).unwrap();
        if let Ok(id) = sampler.draw(&mut logits.clone(), &[0, 3]) {
            prop_assert!(logits[id as usize] > f32::NEG_INFINITY);
        }
    }
}

#[test]
fn draws_follow_the_probabilities() {
    let logits = [0.0f32, 3f32.ln(), f32::NEG_INFINITY];
    let sampling = Sampling { temperature: 1.0, seed: 7, ..Sampling::greedy() };
    let mut sampler = Sampler::new(&sampling).unwrap();
    let ones = (0..4000).filter(|_| sampler.draw(&mut logits.clone(), &[]).unwrap() == 1).count();
    assert!((2850..3150).contains(&ones), "{ones} of 4000, expected about 3000");
}

#[test]
fn greedy_takes_the_lowest_id_on_a_tie() {
    let mut sampler = Sampler::new(&Sampling::greedy()).unwrap();
    assert_eq!(sampler.draw(&mut [1.0, 2.0, 2.0, f32::NAN], &[]).unwrap(), 1);
    assert!(sampler.draw(&mut [f32::NAN, f32::NEG_INFINITY], &[]).is_err());
}

#[test]
fn the_penalty_looks_at_recent_tokens_only_and_once() {
    let sampling =
        Sampling { repetition_penalty: 2.0, repetition_window_tokens: 2, ..Sampling::greedy() };
    let mut logits = [4.0, 4.0, -1.0, 4.0];
    penalise(&mut logits, &[3, 0, 0, 2, 2], &sampling);
    assert_eq!(logits, [4.0, 4.0, -2.0, 4.0]);
    penalise(&mut logits, &[0, 0], &sampling);
    assert_eq!(logits, [2.0, 4.0, -2.0, 4.0]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let base = Sampling::balanced(1);
    for wrong in [
        Sampling { temperature: -0.1, ..base.clone() },
        Sampling { temperature: f32::NAN, ..base.clone() },
        Sampling { top_p: 0.0, ..base.clone() },
        Sampling { top_p: 1.1, ..base.clone() },
        Sampling { min_p: -0.1, ..base.clone() },
        Sampling { top_k: Some(0), ..base.clone() },
        Sampling { repetition_penalty: 0.0, ..base.clone() },
    ] {
        assert!(matches!(Sampler::new(&wrong), Err(EngineError::Invalid { .. })), "{wrong:?}");
    }
}
