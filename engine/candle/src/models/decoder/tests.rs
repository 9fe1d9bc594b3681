use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};

use super::*;
use crate::models::{Architecture, LocalLayers, RopeLayout, RopeScaling};

/// Two layers, grouped queries, heads that do not add up to the hidden size.
fn toy() -> DecoderConfig {
    DecoderConfig {
        layers: 2,
        kv_heads: 2,
        head_dim: 6,
        rope_theta: 100.0,
        ..DecoderConfig::llama(11, 12, 4, 10, 32)
    }
}

/// A configuration for every kind of parameter and every path the weights can take.
fn toys() -> Vec<DecoderConfig> {
    vec![
        DecoderConfig { tied_embeddings: false, output_bias: true, qkv_bias: true, ..toy() },
        DecoderConfig { architecture: Architecture::Qwen2, qkv_bias: true, ..toy() },
        DecoderConfig { architecture: Architecture::Qwen3, qk_norm: true, ..toy() },
        DecoderConfig {
            rope_layout: RopeLayout::Interleaved,
            rope_scaling: RopeScaling::Linear { factor: 2.0 },
            ..toy()
        },
        DecoderConfig { sliding_window: Some(2), ..of_family(Architecture::Phi3) },
        DecoderConfig {
            rotary_dim: Some(4),
            rope_scaling: RopeScaling::Long {
                short: vec![1.0, 1.1],
                long: vec![1.0, 2.0],
                original_context_tokens: 16,
                magnitude: 1.2,
            },
            ..of_family(Architecture::Phi3)
        },
        DecoderConfig {
            norm_offset: 1.0,
            attention_scale: Some(0.3),
            attention_softcap: Some(2.0),
            final_softcap: Some(3.0),
            sliding_window: Some(3),
            ..of_family(Architecture::Gemma2)
        },
        DecoderConfig {
            sliding_window: Some(3),
            local_layers: LocalLayers::AllButEvery(2),
            rope_theta: 1000.0,
            local_rope_theta: Some(50.0),
            rope_scaling: RopeScaling::Linear { factor: 4.0 },
            ..of_family(Architecture::Gemma3)
        },
    ]
}

/// [`toy`] as the family has it.
fn of_family(architecture: Architecture) -> DecoderConfig {
    let DecoderConfig { layers, kv_heads, head_dim, .. } = toy();
    let family = DecoderConfig::family(architecture, 11, 12, 4, 10, 32);
    DecoderConfig { layers, kv_heads, head_dim, ..family }
}

/// Reproducible numbers in -1..1, without a random number generator.
fn number(seed: usize) -> f64 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn variables(config: &DecoderConfig, dtype: DType) -> Vec<(String, Var)> {
    let mut seed = 0;
    let mut variable = |(name, shape): (String, Vec<usize>)| {
        let around = if name.ends_with("norm.weight") { 1.0 - config.norm_offset } else { 0.0 };
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|i| around + 0.5 * number(seed + i)).collect();
        seed += count;
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (name, Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap())
    };
    config.parameters().into_iter().map(&mut variable).collect()
}

fn decoder(config: &DecoderConfig, variables: &[(String, Var)]) -> Decoder {
    let mut weights: HashMap<String, Tensor> =
        variables.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    Decoder::new(config.clone(), &mut weights).unwrap()
}

fn gap(a: &Tensor, b: &Tensor) -> f32 {
    let gap = (a - b).unwrap().abs().unwrap().max_all().unwrap();
    gap.to_dtype(DType::F32).unwrap().to_scalar().unwrap()
}

/// Mean cross entropy of a fixed batch of two sequences.
fn loss(decoder: &Decoder) -> Tensor {
    let ids = Tensor::new(&[[1u32, 5, 0, 7, 10], [3, 3, 9, 2, 4]], &Device::Cpu).unwrap();
    let targets = Tensor::new(&[5u32, 0, 7, 10, 6, 3, 9, 2, 4, 8], &Device::Cpu).unwrap();
    let logits = decoder.forward(&ids).unwrap().flatten_to(1).unwrap();
    candle_nn::loss::cross_entropy(&logits, &targets).unwrap()
}

fn scalar(tensor: &Tensor) -> f64 {
    tensor.to_scalar().unwrap()
}

/// The loss with one number of `var` moved by `by`.
fn loss_moved(decoder: &Decoder, var: &Var, index: usize, by: f64) -> f64 {
    let before = var.as_tensor().copy().unwrap();
    let mut values: Vec<f64> = before.flatten_all().unwrap().to_vec1().unwrap();
    values[index] += by;
    var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap()).unwrap();
    let moved = scalar(&loss(decoder));
    var.set(&before).unwrap();
    moved
}

/// The gradient of every kind of parameter against central differences, in F64.
#[test]
fn gradients_match_finite_differences() {
    const STEP: f64 = 1e-5;
    for config in toys() {
        let variables = variables(&config, DType::F64);
        let decoder = decoder(&config, &variables);
        let gradients = loss(&decoder).backward().unwrap();
        let mut largest = 0f64;
        for (name, var) in &variables {
            let gradient = gradients.get(var).unwrap_or_else(|| panic!("no gradient for {name}"));
            let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            let step_by = (gradient.len() / 7).max(1);
            for index in (0..gradient.len()).step_by(step_by) {
                let up = loss_moved(&decoder, var, index, STEP);
                let down = loss_moved(&decoder, var, index, -STEP);
                let expected = (up - down) / (2.0 * STEP);
                assert!(
                    (gradient[index] - expected).abs() < 1e-8 + 1e-5 * expected.abs(),
                    "{name}[{index}]: {} by backward, {expected} by differences",
                    gradient[index]
                );
                largest = largest.max(expected.abs());
            }
        }
        assert!(largest > 1e-2, "the gradients checked were all nothing");
    }
}

#[test]
fn both_routes_agree() {
    for config in toys() {
        let decoder = decoder(&config, &variables(&config, DType::F32));
        let ids = Tensor::new(&[[1u32, 5, 0, 7, 10], [3, 3, 9, 2, 4]], &Device::Cpu).unwrap();
        let fused = decoder.forward_by(&ids, Route::Fused).unwrap();
        let slow = decoder.forward(&ids).unwrap();
        assert_eq!(fused.dims(), [2, 5, 11]);
        assert!(gap(&fused, &slow) < 1e-5);
    }
}

#[test]
fn a_sequence_of_a_batch_is_as_if_alone() {
    let config = toy();
    let decoder = decoder(&config, &variables(&config, DType::F32));
    let ids = Tensor::new(&[[1u32, 5, 0], [3, 3, 9]], &Device::Cpu).unwrap();
    let both = decoder.forward(&ids).unwrap();
    for row in 0..2 {
        let alone = decoder.forward(&ids.narrow(0, row, 1).unwrap()).unwrap();
        assert!(gap(&both.narrow(0, row, 1).unwrap(), &alone) < 1e-5);
    }
}

#[test]
fn a_cache_changes_nothing() {
    for config in toys() {
        let decoder = decoder(&config, &variables(&config, DType::F32));
        let ids = [1u32, 5, 0, 7, 10, 3, 3];
        let whole = Tensor::new(&ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let whole = decoder.forward(&whole).unwrap().squeeze(0).unwrap();
        let mut cache = KvCache::new(&config, 8).unwrap();
        decoder.prefill(&ids[..2], &mut cache).unwrap();
        let middle = decoder.forward_cached_all(&ids[2..5], &mut cache).unwrap();
        assert!(gap(&middle, &whole.narrow(0, 2, 3).unwrap()) < 1e-5);
        for position in 5..7 {
            let next = decoder.forward_cached(&ids[position..=position], &mut cache).unwrap();
            assert!(gap(&next, &whole.get(position).unwrap()) < 1e-5);
        }
        // Going back and reading on gives the same again.
        cache.truncate(4);
        let again = decoder.forward_cached(&ids[4..], &mut cache).unwrap();
        assert!(gap(&again, &whole.get(6).unwrap()) < 1e-5);
    }
}

#[test]
fn a_full_cache_refuses() {
    let config = toy();
    let decoder = decoder(&config, &variables(&config, DType::F32));
    let mut cache = KvCache::new(&config, 3).unwrap();
    assert!(decoder.prefill(&[1, 2, 3, 4], &mut cache).is_err());
    decoder.prefill(&[1, 2, 3], &mut cache).unwrap();
    assert!(decoder.forward_cached(&[4], &mut cache).is_err());
    assert_eq!(cache.tokens(), 3);
}

#[test]
fn a_tied_matrix_may_carry_either_name() {
    let config = toy();
    let variables = variables(&config, DType::F32);
    let first = decoder(&config, &variables);
    let mut renamed: HashMap<String, Tensor> = variables
        .iter()
        .map(|(name, var)| (name.replace(EMBEDDING, HEAD), var.as_tensor().clone()))
        .collect();
    let second = Decoder::new(config, &mut renamed).unwrap();
    let ids = Tensor::new(&[[1u32, 5, 0]], &Device::Cpu).unwrap();
    assert_eq!(gap(&first.forward(&ids).unwrap(), &second.forward(&ids).unwrap()), 0.0);
}

#[test]
fn a_missing_or_misshapen_tensor_is_named() {
    let config = toy();
    let mut weights: HashMap<String, Tensor> = variables(&config, DType::F32)
        .into_iter()
        .map(|(name, var)| (name, var.into_inner()))
        .collect();
    let name = "model.layers.1.self_attn.k_proj.weight";
    let sound = weights.remove(name).unwrap();
    let missing = Decoder::new(config.clone(), &mut weights).err();
    assert!(
        matches!(missing, Some(LoadError::Shape { name: n, got, .. }) if n == name && got.is_empty())
    );
    weights.insert(name.into(), sound.narrow(0, 0, 5).unwrap());
    let misshapen = Decoder::new(config, &mut weights).err();
    assert!(matches!(misshapen, Some(LoadError::Shape { got, .. }) if got == [5, 12]));
}
