//! The decoder on the processor: against the tensor library's, and bit by bit against itself.

use std::{ops::ControlFlow, path::Path};

use candle_core::{DType, Device, Tensor, quantized::GgmlDType};
use hearth_engine_api::EngineError;
use hearth_engine_candle::{
    Checkpoint, CpuDecoder, Step, Wanted,
    models::{DecoderConfig, LocalLayers},
};
use hearth_engine_kernels::{KvFormat, PAGE_TOKENS, Sequence, Team};

use crate::toy::{Toy, VOCAB, config, families};

fn load(path: &Path, kv: KvFormat) -> CpuDecoder {
    let checkpoint = Checkpoint::open(path).unwrap();
    let go_on = &mut |_share: f32| ControlFlow::Continue(());
    CpuDecoder::load(&checkpoint, Team::new(2).unwrap(), kv, go_on).unwrap()
}

/// A sequence of tokens without a pattern.
fn ids(seed: u32, count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * i * 31 + i * 7 + seed * 57 + 3) % VOCAB as u32).collect()
}

/// Logits of each of `ids`, read in pieces of these sizes.
fn read(
    decoder: &mut CpuDecoder,
    sequence: &mut Sequence,
    ids: &[u32],
    sizes: &[usize],
) -> Vec<f32> {
    let (mut all, mut logits, mut rest) = (Vec::new(), Vec::new(), ids);
    for &size in sizes {
        let (ids, later) = rest.split_at(size);
        let mut steps =
            [Step { sequence: &mut *sequence, ids, logits: Wanted::All, adapters: &[] }];
        decoder.step(&mut steps, &mut logits).unwrap();
        all.extend_from_slice(&logits);
        rest = later;
    }
    assert!(rest.is_empty());
    all
}

fn read_whole(decoder: &mut CpuDecoder, ids: &[u32]) -> Vec<f32> {
    let mut sequence = Sequence::new(decoder.kv_layout());
    read(decoder, &mut sequence, ids, &[ids.len()])
}

/// Bits, so that a zero's sign and what is not a number count too.
fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn last_row(logits: &[f32]) -> &[f32] {
    &logits[logits.len() - VOCAB..]
}

fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Shapes whose rows are whole blocks of every quantised format, with all that attention can be asked for.
fn wide() -> DecoderConfig {
    DecoderConfig { hidden: 256, ffn: 512, head_dim: 64, context_tokens: 1024, ..config() }
}

#[test]
fn every_family_is_as_the_differentiable_route_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ids(1, 70);
    for config in families() {
        let toy = Toy::new(config);
        let name = toy.config.architecture.to_string();
        let path = toy.write_folder(&folder.path().join(&name), DType::F32);
        let checkpoint = Checkpoint::open(&path).unwrap();
        let reference = checkpoint.decoder(&mut |_share| ControlFlow::Continue(())).unwrap();
        let input = Tensor::new(ids.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let expected: Vec<f32> =
            reference.forward(&input).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        for (kv, tolerance) in [(KvFormat::F32, 1e-4), (KvFormat::F16, 1e-2), (KvFormat::Q8, 1e-1)]
        {
            let found = read_whole(&mut load(&path, kv), &ids);
            let difference = gap(&expected, &found);
            assert!(difference < tolerance, "{name}, {kv:?}: {difference}");
        }
    }
}

#[test]
fn safetensors_and_gguf_are_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ids(2, 40);
    for config in families() {
        let toy = Toy::new(config);
        let name = toy.config.architecture.to_string();
        let tensors = toy.write_folder(&folder.path().join(&name), DType::F32);
        let gguf = folder.path().join(format!("{name}.gguf"));
        toy.write_gguf(&gguf, GgmlDType::F32, &[]);
        let [a, b] = [tensors, gguf].map(|path| {
            let mut decoder = load(&path, KvFormat::F32);
            let logits = read_whole(&mut decoder, &ids);
            (decoder, logits)
        });
        // Where the rows of a head are permuted, its scores are summed in another order.
        let difference = gap(&a.1, &b.1);
        let permuted = a.0.config().rope_layout != b.0.config().rope_layout;
        assert!(difference <= if permuted { 1e-4 } else { 0.0 }, "{name}: {difference}");
    }
}

#[test]
fn a_prompt_is_the_same_however_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let local = DecoderConfig {
        sliding_window: Some(40),
        local_layers: LocalLayers::AllButEvery(2),
        ..wide()
    };
    for (index, config) in [wide(), local].into_iter().enumerate() {
        let ids = ids(3, 150);
        for dtype in [GgmlDType::F32, GgmlDType::F16, GgmlDType::Q8_0, GgmlDType::Q4K] {
            let path = folder.path().join(format!("{index}-{dtype:?}.gguf"));
            Toy::new(config.clone()).write_gguf(&path, dtype, &[]);
            for kv in [KvFormat::F32, KvFormat::F16, KvFormat::Q8] {
                let mut decoder = load(&path, kv);
                let whole = read_whole(&mut decoder, &ids);
                let ones = [1].repeat(150);
                for sizes in [&[32, 64, 54][..], &[1, 30, 2, 31, 33, 53], &[149, 1], &ones] {
                    let mut sequence = Sequence::new(decoder.kv_layout());
                    let cut = read(&mut decoder, &mut sequence, &ids, sizes);
                    assert!(bits(&cut) == bits(&whole), "{dtype:?}, {kv:?}, {sizes:?}");
                }
            }
        }
    }
}

#[test]
fn a_sequence_is_the_same_whatever_else_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let prompts: Vec<Vec<u32>> =
        [33, 1, 64, 5, 90].iter().zip(0..).map(|(&count, seed)| ids(seed, count)).collect();
    for dtype in [GgmlDType::F32, GgmlDType::Q5_1, GgmlDType::Q4K, GgmlDType::Q6K] {
        let path = folder.path().join(format!("{dtype:?}.gguf"));
        Toy::new(wide()).write_gguf(&path, dtype, &[]);
        let mut decoder = load(&path, KvFormat::F16);
        let alone: Vec<Vec<f32>> =
            prompts.iter().map(|ids| read_whole(&mut decoder, ids)).collect();
        // One sequence has its prompt read while others decode, one gets no logits.
        let mut sequences: Vec<Sequence> =
            prompts.iter().map(|_ids| Sequence::new(decoder.kv_layout())).collect();
        let mut logits = Vec::new();
        for half in [0, 1] {
            let wanted = |index: usize| match (half, index) {
                (0, 2) => Wanted::None,
                (0, _) => Wanted::Last,
                _ => Wanted::All,
            };
            let mut steps = Vec::new();
            for (index, (sequence, ids)) in sequences.iter_mut().zip(&prompts).enumerate() {
                let (first, second) = ids.split_at(ids.len().div_ceil(2));
                let ids = if half == 0 { first } else { second };
                if !ids.is_empty() {
                    steps.push((
                        index,
                        Step { sequence, ids, logits: wanted(index), adapters: &[] },
                    ));
                }
            }
            let (indices, mut steps): (Vec<usize>, Vec<Step<'_>>) = steps.into_iter().unzip();
            decoder.step(&mut steps, &mut logits).unwrap();
            let mut rows = logits.chunks_exact(VOCAB);
            for (&index, step) in indices.iter().zip(&steps) {
                let end = step.sequence.tokens();
                let count = step.logits.rows(step.ids.len());
                let expected = alone[index][..end * VOCAB].chunks_exact(VOCAB);
                for expected in expected.skip(end - count) {
                    let found = rows.next().unwrap();
                    assert!(bits(found) == bits(expected), "{dtype:?}, sequence {index}");
                }
            }
            assert!(rows.next().is_none());
        }
    }
}

#[test]
fn more_than_a_pass_takes_is_read_in_several() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    Toy::new(wide()).write_gguf(&path, GgmlDType::Q4K, &[]);
    let mut decoder = load(&path, KvFormat::F16);
    let count = decoder.pass_tokens() + 100;
    let (long, short) = (ids(5, count), ids(6, 20));
    let mut sequences = [(); 2].map(|()| Sequence::new(decoder.kv_layout()));
    let [a, b] = &mut sequences;
    let mut logits = Vec::new();
    let steps = &mut [
        Step { sequence: a, ids: &long, logits: Wanted::Last, adapters: &[] },
        Step { sequence: b, ids: &short, logits: Wanted::Last, adapters: &[] },
    ];
    decoder.step(steps, &mut logits).unwrap();
    let alone = [&long, &short].map(|ids| read_whole(&mut decoder, ids));
    assert_eq!(logits.len(), 2 * VOCAB);
    assert!(bits(&logits[..VOCAB]) == bits(last_row(&alone[0])));
    assert!(bits(&logits[VOCAB..]) == bits(last_row(&alone[1])));
    assert_eq!(sequences[0].tokens(), count);
}

#[test]
fn a_prefix_is_shared_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toy.gguf");
    Toy::new(wide()).write_gguf(&path, GgmlDType::Q8_0, &[]);
    let formats = [KvFormat::F32, KvFormat::F16, KvFormat::Q8];
    // A head may end within a page, which then holds another sequence's tokens behind it.
    let lens = [2 * PAGE_TOKENS, 2 * PAGE_TOKENS - 11];
    for (kv, len) in formats.into_iter().flat_map(|kv| lens.map(|len| (kv, len))) {
        let mut decoder = load(&path, kv);
        let head = ids(7, len);
        let prompts: [Vec<u32>; 2] = [8, 9].map(|seed| [head.clone(), ids(seed, 21)].concat());
        let expected = [0, 1].map(|index| read_whole(&mut decoder, &prompts[index]));
        let mut first = Sequence::new(decoder.kv_layout());
        read(&mut decoder, &mut first, &prompts[0], &[prompts[0].len()]);
        for index in [0, 1, 0] {
            let pages = first.pages()[..2].to_vec();
            let mut second = Sequence::from_pages(decoder.kv_layout(), pages, head.len()).unwrap();
            let tail = &prompts[index][head.len()..];
            let found = read(&mut decoder, &mut second, tail, &[tail.len()]);
            let expected = &expected[index][head.len() * VOCAB..];
            assert!(bits(&found) == bits(expected), "{kv:?}");
            // What was shared can be written behind, by going back into a page of it.
            second.truncate(head.len() - 5);
            let other = ids(11, 8);
            let found = read(&mut decoder, &mut second, &other, &[8]);
            let whole = [&head[..head.len() - 5], &other[..]].concat();
            let expected = read_whole(&mut decoder, &whole);
            assert!(bits(&found) == bits(&expected[(whole.len() - 8) * VOCAB..]), "{kv:?}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_nothing_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = Toy::new(config()).write_folder(folder.path(), DType::F32);
    let mut decoder = load(&path, KvFormat::F32);
    let context = decoder.config().context_tokens;
    let mut sequences = [(); 2].map(|()| Sequence::new(decoder.kv_layout()));
    let mut logits = Vec::new();
    let too_many = vec![1; context + 1];
    for (ids, kind) in [(&[][..], "invalid"), (&[VOCAB as u32], "invalid"), (&too_many, "full")] {
        let [a, b] = &mut sequences;
        let steps = &mut [
            Step { sequence: a, ids: &[1, 2], logits: Wanted::Last, adapters: &[] },
            Step { sequence: b, ids, logits: Wanted::Last, adapters: &[] },
        ];
        match decoder.step(steps, &mut logits) {
            Err(EngineError::Invalid { .. }) => assert_eq!(kind, "invalid"),
            Err(EngineError::ContextOverflow { prompt_tokens, context_tokens }) => {
                assert_eq!((kind, prompt_tokens as usize), ("full", context + 1));
                assert_eq!(context_tokens as usize, context);
            }
            other => panic!("{other:?}"),
        }
        assert!(sequences.iter().all(|sequence| sequence.tokens() == 0));
    }
    // Another model's sequence.
    let other = Toy::new(wide()).write_folder(&folder.path().join("wide"), DType::F32);
    let mut foreign = Sequence::new(load(&other, KvFormat::F32).kv_layout());
    let steps =
        &mut [Step { sequence: &mut foreign, ids: &[1], logits: Wanted::Last, adapters: &[] }];
    assert!(matches!(decoder.step(steps, &mut logits), Err(EngineError::Invalid { .. })));
    // No steps are nothing to do.
    decoder.step(&mut [], &mut logits).unwrap();
    assert!(logits.is_empty());
    // The context can be filled to its end.
    let [a, _] = &mut sequences;
    read(&mut decoder, a, &too_many[1..], &[context]);
    let steps = &mut [Step { sequence: a, ids: &[1], logits: Wanted::Last, adapters: &[] }];
    assert!(matches!(decoder.step(steps, &mut logits), Err(EngineError::ContextOverflow { .. })));
}

#[test]
fn decoding_allocates_nothing_but_pages() {
    let folder = tempfile::tempdir().unwrap();
    for config in families() {
        let toy = Toy::new(config);
        let path = folder.path().join(toy.config.architecture.to_string());
        let path = toy.write_folder(&path, DType::F32);
        let mut decoder = load(&path, KvFormat::F16);
        let mut sequences = [(); 3].map(|()| Sequence::new(decoder.kv_layout()));
        let mut logits = Vec::new();
        for sequence in &mut sequences {
            read(&mut decoder, sequence, &ids(1, 34), &[34]);
        }
        let mut decode = |decoder: &mut CpuDecoder| {
            let mut steps = sequences.each_mut().map(|sequence| Step {
                sequence,
                ids: &[5],
                logits: Wanted::Last,
                adapters: &[],
            });
            decoder.step(&mut steps, &mut logits).unwrap();
        };
        decode(&mut decoder);
        let info = allocation_counter::measure(|| {
            for _ in 0..20 {
                decode(&mut decoder);
            }
        });
        assert_eq!(info.count_total, 0, "{:?}", toy.config.architecture);
    }
}
