use std::collections::BTreeSet;

use super::*;

fn config() -> DecoderConfig {
    DecoderConfig { layers: 3, kv_heads: 2, ..DecoderConfig::llama(64, 32, 4, 48, 64) }
}

fn settings(rank: u32, targets: &[Target]) -> LoraSettings {
    LoraSettings {
        rank,
        alpha: 8.0,
        rslora: false,
        dropout: 0.0,
        targets: targets.iter().copied().collect(),
    }
}

#[test]
fn pairs_fit_beside_their_matrices() {
    let adapter = Adapter::zeros(&config(), &settings(4, &Target::ALL)).unwrap();
    assert_eq!(adapter.pairs().count(), 21);
    for (_, target, pair) in adapter.pairs() {
        let (outputs, inputs) = target_shape(&config(), target);
        assert_eq!((pair.outputs(), pair.inputs(), pair.rank()), (outputs, inputs, 4));
        assert_eq!((pair.a.len(), pair.b.len()), (4 * inputs, 4 * outputs));
    }
    assert_eq!(target_shape(&config(), Target::K), (16, 32));
    assert_eq!(target_shape(&config(), Target::Down), (32, 48));
    assert_eq!(adapter.scale(), 2.0);
}

#[test]
fn a_fresh_adapter_draws_a_alone_and_the_same_for_a_seed() {
    let zeros = Adapter::zeros(&config(), &settings(4, &[Target::V, Target::Q])).unwrap();
    let fresh = zeros.clone().random_a(5);
    assert_eq!(fresh, zeros.clone().random_a(5));
    assert_ne!(fresh, zeros.clone().random_a(6));
    assert_eq!(fresh.zeros_like(), zeros);
    let bound = 32f32.sqrt().recip();
    let mut sum = 0.0;
    for (_, _, pair) in fresh.pairs() {
        assert!(pair.b.iter().all(|b| *b == 0.0));
        assert!(pair.a.iter().all(|a| a.abs() <= bound));
        sum += pair.a.iter().map(|a| a * a).sum::<f32>() / pair.a.len() as f32;
    }
    // The variance of a uniform distribution.
    let mean = sum / fresh.pairs().count() as f32;
    assert!((mean / (bound * bound / 3.0) - 1.0).abs() < 0.15, "{mean}");
}

#[test]
fn parameters_come_in_one_order() {
    let mut adapter = Adapter::zeros(&config(), &settings(2, &[Target::Down, Target::Q])).unwrap();
    for (number, numbers) in adapter.parameters_mut().enumerate() {
        numbers.fill(number as f32);
    }
    let order: Vec<(usize, Target, f32, f32)> = adapter
        .pairs()
        .map(|(layer, target, pair)| (layer, target, pair.a[0], pair.b[0]))
        .collect();
    assert_eq!(order[0], (0, Target::Q, 0.0, 1.0));
    assert_eq!(order[1], (0, Target::Down, 2.0, 3.0));
    assert_eq!(order[5], (2, Target::Down, 10.0, 11.0));
}

#[test]
fn settings_that_make_no_adapter_are_refused() {
    let targets = [Target::Q];
    let bad = [
        settings(0, &targets),
        settings(MAX_RANK + 1, &targets),
        LoraSettings { alpha: f32::NAN, ..settings(4, &targets) },
        LoraSettings { dropout: 1.0, ..settings(4, &targets) },
        LoraSettings { targets: BTreeSet::new(), ..settings(4, &targets) },
    ];
    for settings in bad {
        let refused = Adapter::zeros(&config(), &settings);
        assert!(matches!(refused, Err(AdapterError::Unsupported { .. })), "{settings:?}");
    }
}
