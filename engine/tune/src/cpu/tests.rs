//! Gradients against an autograd and against slopes; `sameness` bit by bit, `serving` against the decoder that serves.
#![expect(clippy::print_stdout, reason = "tests say what they skip")]

use std::{collections::HashMap, ops::ControlFlow};

use candle_core::{DType, Device, Tensor, Var};
use hearth_engine_api::{Precision, Target, TuneError};
use hearth_engine_candle::{
    lora::Adapter,
    models::{Architecture, Decoder, DecoderConfig},
};

use crate::{Batch, CpuLearner, Dropout, Learner};

mod sameness;
mod serving;
mod toy;

use toy::{Toy, batch, families, numbers};

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Loss and gradient.
fn gradient(learner: &mut CpuLearner, batch: &Batch, dropout: Option<Dropout>) -> (f64, Adapter) {
    let mut gradients = learner.adapter().zeros_like();
    let loss = learner.backward(batch, dropout, &mut gradients, &mut go_on).unwrap();
    (loss, gradients)
}

/// The tensor that holds a target's matrix, and the matrix's first row in it.
fn tensor_of(config: &DecoderConfig, layer: usize, target: Target) -> (String, usize) {
    let (wide, narrow) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let (part, name, first) = match (target, config.joined_projections) {
        (Target::Q, true) => ("self_attn", "qkv_proj", 0),
        (Target::K, true) => ("self_attn", "qkv_proj", wide),
        (Target::V, true) => ("self_attn", "qkv_proj", wide + narrow),
        (Target::Gate, true) => ("mlp", "gate_up_proj", 0),
        (Target::Up, true) => ("mlp", "gate_up_proj", config.ffn),
        (Target::Q | Target::K | Target::V | Target::O, _) => ("self_attn", target.name(), 0),
        (Target::Gate | Target::Up | Target::Down, _) => ("mlp", target.name(), 0),
    };
    (format!("model.layers.{layer}.{part}.{name}.weight"), first)
}

/// Adds `scale * B A` of every pair to the matrices they stand beside.
fn merge(
    config: &DecoderConfig,
    weights: &mut HashMap<String, Tensor>,
    adapter: &Adapter,
    strength: f64,
) {
    for (layer, target, pair) in adapter.pairs() {
        let (name, first) = tensor_of(config, layer, target);
        let whole = weights[&name].clone();
        let (rows, columns) = whole.dims2().unwrap();
        let mut values: Vec<f64> =
            whole.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        for row in 0..pair.outputs() {
            for column in 0..columns {
                let terms = (0..pair.rank()).map(|r| {
                    f64::from(pair.b[row * pair.rank() + r])
                        * f64::from(pair.a[r * columns + column])
                });
                let change = strength * f64::from(adapter.scale()) * terms.sum::<f64>();
                values[(first + row) * columns + column] += change;
            }
        }
        let merged = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
        weights.insert(name, merged.to_dtype(whole.dtype()).unwrap());
    }
}

/// Loss and gradient by the tensor library's autograd in F64, on the merged weights: with `W' = W + s B A`, the gradients are
/// `dA = s B^T dW'` and `dB = s dW' A^T`.
fn by_autograd(toy: &Toy, adapter: &Adapter, batch: &Batch) -> (f64, Adapter) {
    let config = &toy.config;
    let mut weights = toy.doubles();
    merge(config, &mut weights, adapter, 1.0);
    let vars: HashMap<String, Var> =
        weights.iter().map(|(name, t)| (name.clone(), Var::from_tensor(t).unwrap())).collect();
    let mut shared =
        vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let shared: &mut HashMap<String, Tensor> = &mut shared;
    let decoder = Decoder::new(config.clone(), shared).unwrap();
    let mut loss = Tensor::zeros((), DType::F64, &Device::Cpu).unwrap();
    for sample in &batch.samples {
        let ids = Tensor::new(&batch.ids[sample.clone()], &Device::Cpu).unwrap();
        let logits = decoder.forward(&ids.unsqueeze(0).unwrap()).unwrap().squeeze(0).unwrap();
        let logs = candle_nn::ops::log_softmax(&logits, 1).unwrap();
        let targets = Tensor::new(&batch.targets[sample.clone()], &Device::Cpu).unwrap();
        let logs = logs.gather(&targets.unsqueeze(1).unwrap(), 1).unwrap().squeeze(1).unwrap();
        let weights: Vec<f64> =
            batch.weights[sample.clone()].iter().map(|w| f64::from(*w)).collect();
        let weights = Tensor::new(weights, &Device::Cpu).unwrap();
        loss = (loss - (logs * weights).unwrap().sum_all().unwrap()).unwrap();
    }
    let gradients = loss.backward().unwrap();
    let mut expected = adapter.zeros_like();
    for (layer, target, pair) in adapter.pairs() {
        let (name, first) = tensor_of(config, layer, target);
        let whole = gradients.get(&vars[&name]).unwrap();
        let dw: Vec<Vec<f64>> = whole.narrow(0, first, pair.outputs()).unwrap().to_vec2().unwrap();
        let out = expected.pair_mut(layer, target).unwrap();
        let (scale, rank, inputs) = (f64::from(adapter.scale()), pair.rank(), pair.inputs());
        for r in 0..rank {
            for column in 0..inputs {
                let terms = dw.iter().zip(pair.b[r..].iter().step_by(rank));
                let sum: f64 = terms.map(|(dw, b)| dw[column] * f64::from(*b)).sum();
                out.a[r * inputs + column] = (scale * sum) as f32;
            }
            for (row, dw) in dw.iter().enumerate() {
                let a = &pair.a[r * inputs..(r + 1) * inputs];
                let sum: f64 = dw.iter().zip(a).map(|(dw, a)| dw * f64::from(*a)).sum();
                out.b[row * rank + r] = (scale * sum) as f32;
            }
        }
    }
    (loss.to_scalar().unwrap(), expected)
}

/// The largest difference within a pair's A or B, relative to the largest number there.
fn gap(found: &Adapter, expected: &Adapter) -> f32 {
    let parts = found.parameters().zip(expected.parameters());
    let of_part = |(found, expected): (&[f32], &[f32])| {
        let largest = expected.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        assert!(largest > 0.0, "nothing to compare with");
        let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max) / largest
    };
    parts.map(of_part).fold(0.0, f32::max)
}

#[test]
fn every_family_has_the_gradients_of_an_autograd() {
    let batch = batch(1, &[9, 1, 14, 6]);
    for config in families() {
        let toy = Toy::new(config);
        let adapter = toy.adapter(&Target::ALL);
        let (expected_loss, expected) = by_autograd(&toy, &adapter, &batch);
        let (loss, found) = gradient(&mut toy.learner(adapter), &batch, None);
        let name = toy.config.architecture;
        assert!(
            (loss - expected_loss).abs() < 1e-5 * expected_loss,
            "{name}: {loss} {expected_loss}"
        );
        let gap = gap(&found, &expected);
        assert!(gap < 1e-4, "{name}: {gap}");
    }
}

#[test]
fn any_targets_have_their_gradients() {
    use Target::{Down, Gate, K, O, Q, Up, V};
    let batch = batch(2, &[8, 5]);
    let gemma = families().pop().unwrap();
    assert_eq!(gemma.architecture, Architecture::Gemma3);
    let toys = [Toy::new(families().swap_remove(3)), Toy::new(gemma)];
    for targets in [&[Q][..], &[K], &[V], &[O], &[Gate], &[Up], &[Down], &[Q, V], &[O, Down]] {
        for toy in &toys {
            let adapter = toy.adapter(targets);
            let (_, expected) = by_autograd(toy, &adapter, &batch);
            let (_, found) = gradient(&mut toy.learner(adapter), &batch, None);
            let gap = gap(&found, &expected);
            assert!(gap < 1e-4, "{targets:?}: {gap}");
        }
    }
}

/// The slope of `loss` where each part of the adapter moves along a direction of its own, against the gradient.
fn check_slopes(learner: &mut CpuLearner, batch: &Batch, dropout: Option<Dropout>, what: &str) {
    const STEP: f32 = 2e-2;
    let (_, gradients) = gradient(learner, batch, dropout);
    let parts = gradients.parameters().count();
    for part in 0..parts {
        let slope_found = gradients.parameters().nth(part).unwrap();
        let size = slope_found.iter().map(|g| g * g).sum::<f32>().sqrt();
        // Half along the gradient, where the slope is largest, and half elsewhere.
        let mut direction: Vec<f32> = numbers(part as u64, slope_found.len());
        let length = direction.iter().map(|d| d * d).sum::<f32>().sqrt();
        let along = slope_found.iter().map(|g| g / size);
        direction.iter_mut().zip(along).for_each(|(d, g)| *d = 0.5 * (*d / length + g));
        let expected: f64 = direction.iter().zip(slope_found).map(|(d, g)| f64::from(d * g)).sum();
        let mut moved = |by: f32| {
            let own = learner.adapter_mut().parameters_mut().nth(part).unwrap();
            own.iter_mut().zip(&direction).for_each(|(own, d)| *own += by * d);
            let loss = gradient(learner, batch, dropout).0;
            let own = learner.adapter_mut().parameters_mut().nth(part).unwrap();
            own.iter_mut().zip(&direction).for_each(|(own, d)| *own -= by * d);
            loss
        };
        // Of fourth order, so that a step long enough to be seen in F32 is still exact.
        let near = moved(STEP) - moved(-STEP);
        let far = moved(2.0 * STEP) - moved(-2.0 * STEP);
        let slope = (8.0 * near - far) / (12.0 * f64::from(STEP));
        let error = (slope - expected).abs();
        assert!(error < 5e-3 * expected.abs() + 2e-5, "{what}, part {part}: {slope} {expected}");
    }
}

#[test]
fn every_family_has_the_slopes_of_its_loss() {
    for config in families() {
        let toy = Toy::new(config);
        let mut learner = toy.learner(toy.adapter(&Target::ALL));
        let name = toy.config.architecture.to_string();
        check_slopes(&mut learner, &batch(3, &[7, 6]), None, &name);
    }
}

#[test]
fn what_is_dropped_is_dropped_on_the_way_back_too() {
    let toy = Toy::new(families().swap_remove(0));
    let mut learner = toy.learner(toy.adapter(&Target::ALL));
    let dropout = |seed| Some(Dropout { share: 0.4, seed });
    let batch = batch(4, &[7, 6]);
    check_slopes(&mut learner, &batch, dropout(5), "dropout");
    let [plain, five, six] =
        [None, dropout(5), dropout(6)].map(|dropout| gradient(&mut learner, &batch, dropout).0);
    assert!(plain != five && five != six && plain != six);
}

#[test]
fn gradients_are_added_to_what_is_there() {
    let toy = Toy::new(families().swap_remove(2));
    let mut learner = toy.learner(toy.adapter(&[Target::Q, Target::Down]));
    let (once, mut twice) = gradient(&mut learner, &batch(5, &[8]), None);
    let single = twice.clone();
    assert_eq!(
        learner.backward(&batch(5, &[8]), None, &mut twice, &mut go_on).unwrap().to_bits(),
        once.to_bits()
    );
    let sums = single.parameters().flatten().zip(twice.parameters().flatten());
    assert!(sums.into_iter().all(|(one, two)| (two - 2.0 * one).abs() <= 1e-5 * one.abs()));
}

#[test]
fn bfloat16_is_near() {
    let toy = Toy::new(families().swap_remove(3));
    let adapter = toy.adapter(&Target::ALL);
    let batch = batch(6, &[12, 9]);
    let (exact_loss, exact) = gradient(&mut toy.learner(adapter.clone()), &batch, None);
    let mut learner = toy.learner_on(adapter, (Precision::Bf16, false), 2);
    let (loss, found) = gradient(&mut learner, &batch, None);
    assert!((loss - exact_loss).abs() < 1e-2 * exact_loss, "{loss} {exact_loss}");
    let (mut same, mut sizes) = (0.0, [0.0; 2]);
    for (a, b) in found.parameters().flatten().zip(exact.parameters().flatten()) {
        same += f64::from(a * b);
        sizes[0] += f64::from(a * a);
        sizes[1] += f64::from(b * b);
    }
    let cosine = same / (sizes[0] * sizes[1]).sqrt();
    assert!(cosine > 0.999, "{cosine}");
    assert_ne!(loss.to_bits(), exact_loss.to_bits(), "nothing was rounded");
}

#[test]
fn the_work_ends_where_it_is_broken_off() {
    let toy = Toy::new(families().swap_remove(1));
    let mut learner = toy.learner(toy.adapter(&[Target::V]));
    let mut gradients = learner.adapter().zeros_like();
    let batch = batch(7, &[5]);
    let mut whole = 0;
    let mut count = || {
        whole += 1;
        ControlFlow::Continue(())
    };
    let loss = learner.backward(&batch, None, &mut gradients, &mut count).unwrap();
    assert!(whole >= 2 * toy.config.layers, "asked {whole} times");
    for last in 0..whole {
        let mut left = last;
        let mut breathe = || {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            ControlFlow::Continue(())
        };
        let end = learner.backward(&batch, None, &mut gradients, &mut breathe);
        assert!(matches!(end, Err(TuneError::Cancelled)), "after {last}");
    }
    // And nothing of it is left behind.
    assert_eq!(gradient(&mut learner, &batch, None).0.to_bits(), loss.to_bits());
}

#[test]
fn what_cannot_be_read_is_refused() {
    let toy = Toy::new(families().swap_remove(1));
    let mut learner = toy.learner(toy.adapter(&[Target::V]));
    let good = batch(8, &[5, 4]);
    let broken: [fn(&mut Batch); 7] = [
        |batch| batch.ids[2] = toy::VOCAB as u32,
        |batch| batch.targets[0] = toy::VOCAB as u32,
        |batch| batch.targets.truncate(8),
        |batch| batch.weights.push(1.0),
        |batch| batch.samples[1].start = 6,
        |batch| batch.samples[1].end = 10,
        |batch| batch.samples.push(9..9),
    ];
    for (index, breaks) in broken.iter().enumerate() {
        let mut bad = good.clone();
        breaks(&mut bad);
        let mut gradients = learner.adapter().zeros_like();
        let refusal = learner.backward(&bad, None, &mut gradients, &mut go_on);
        assert!(matches!(refusal, Err(TuneError::Compute { .. })), "{index}");
        assert!(learner.losses(&bad, 1.0, &mut go_on).is_err(), "{index}");
    }
    // A target that is not learnt may be anything.
    let mut bad = good.clone();
    bad.targets[1] = u32::MAX;
    assert!(good.weights[1] == 0.0 && learner.losses(&bad, 1.0, &mut go_on).is_ok());
    let mut gradients = toy.adapter(&[Target::Down]);
    let refusal = learner.backward(&good, None, &mut gradients, &mut go_on);
    assert!(matches!(refusal, Err(TuneError::Adapter(_))));
}
