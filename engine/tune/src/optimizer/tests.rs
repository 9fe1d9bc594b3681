use std::collections::BTreeSet;

use hearth_engine_api::{LoraSettings, Target};
use hearth_engine_candle::models::DecoderConfig;

use super::*;

fn adapter() -> Adapter {
    let config = DecoderConfig { layers: 1, ..DecoderConfig::llama(8, 2, 1, 2, 2) };
    let lora = LoraSettings {
        rank: 1,
        alpha: 1.0,
        rslora: false,
        dropout: 0.0,
        targets: BTreeSet::from([Target::Q]),
    };
    Adapter::zeros(&config, &lora).unwrap()
}

fn set(adapter: &mut Adapter, values: [f32; 4]) {
    let mut values = values.into_iter();
    adapter.parameters_mut().flatten().for_each(|number| *number = values.next().unwrap());
}

/// `testdata/adamw.py` prints what PyTorch makes of the same gradients.
#[test]
fn steps_are_those_of_pytorch() {
    let text = include_str!("../../testdata/adamw.json");
    let expected: Vec<[f32; 5]> = serde_json::from_str(text).unwrap();
    let settings = TuneSettings {
        beta1: 0.9,
        beta2: 0.99,
        weight_decay: 0.1,
        clip_norm: 1.0,
        ..TuneSettings::default()
    };
    let mut adapter = adapter();
    set(&mut adapter, [1.0, -2.0, 0.5, 0.0]);
    let mut gradients = adapter.zeros_like();
    let mut optimizer = AdamW::new(&adapter);
    for (step, expected) in expected.iter().enumerate() {
        let i = step as f32;
        set(&mut gradients, [0.3 * i, -1.0 + 0.2 * i, 0.01, 2.0 / (1.0 + i)]);
        let (norm, shorten) = clip(&gradients, &settings);
        let rate = 0.01 * (1.0 + step as f64);
        optimizer.step(&mut adapter, &gradients, shorten, (step as u32 + 1, rate), &settings);
        assert!((norm - expected[4]).abs() < 1e-5 * norm, "norm {norm}, not {}", expected[4]);
        for (number, expected) in adapter.parameters().flatten().zip(expected) {
            assert!((number - expected).abs() < 2e-6, "step {step}: {number}, not {expected}");
        }
    }
    assert_eq!(expected.len(), 12);
}

#[test]
fn clipping_is_off_at_zero() {
    let mut gradients = adapter();
    set(&mut gradients, [3.0, 0.0, 4.0, 0.0]);
    let settings = TuneSettings { clip_norm: 0.0, ..TuneSettings::default() };
    assert_eq!(clip(&gradients, &settings), (5.0, 1.0));
    let (norm, shorten) = clip(&gradients, &TuneSettings { clip_norm: 1.0, ..settings });
    assert!((norm * shorten - 1.0).abs() < 1e-5);
}
