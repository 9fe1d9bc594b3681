//! Bit by bit: threads, recomputation, packing, and memory that is used again.

use hearth_engine_api::{Precision, Target};

use super::{
    go_on, gradient,
    toy::{Toy, batch, families},
};
use crate::{Batch, CpuLearner, Dropout, Learner};

const DROPOUT: Option<Dropout> = Some(Dropout { share: 0.2, seed: 9 });

fn bits(learner: &mut CpuLearner, batch: &Batch, dropout: Option<Dropout>) -> Vec<u64> {
    let (loss, gradients) = gradient(learner, batch, dropout);
    let gradients = gradients.parameters().flatten().map(|number| u64::from(number.to_bits()));
    std::iter::once(loss.to_bits()).chain(gradients).collect()
}

#[test]
fn threads_and_recomputation_change_no_bit() {
    let batch = batch(11, &[30, 3, 45, 1]);
    for config in families() {
        let toy = Toy::new(config);
        let adapter = toy.adapter(&Target::ALL);
        let expected = bits(&mut toy.learner(adapter.clone()), &batch, DROPOUT);
        for (recompute, threads) in [(false, 1), (false, 5), (true, 1), (true, 3)] {
            let mut learner = toy.learner_on(adapter.clone(), (Precision::F32, recompute), threads);
            let found = bits(&mut learner, &batch, DROPOUT);
            assert!(found == expected, "{}, {recompute}, {threads}", toy.config.architecture);
        }
    }
}

#[test]
fn recomputation_can_be_switched() {
    let toy = Toy::new(families().swap_remove(5));
    let mut learner = toy.learner_on(toy.adapter(&[Target::K]), (Precision::Bf16, false), 2);
    let expected = bits(&mut learner, &batch(12, &[9, 8]), None);
    for recompute in [true, false, true] {
        learner.set_recompute(recompute);
        assert!(bits(&mut learner, &batch(12, &[9, 8]), None) == expected, "{recompute}");
    }
}

#[test]
fn a_sample_is_the_same_alone_and_packed() {
    let lengths = [30, 1, 17, 60];
    let packed = batch(13, &lengths);
    for (config, precision) in
        families().into_iter().zip([Precision::F32, Precision::Bf16].repeat(4))
    {
        let toy = Toy::new(config);
        let mut learner = toy.learner_on(toy.adapter(&Target::ALL), (precision, false), 2);
        let mut together = learner.losses(&packed, 1.0, &mut go_on).unwrap().into_iter();
        for sample in &packed.samples {
            let whole = 0..sample.len();
            let alone = Batch {
                ids: packed.ids[sample.clone()].to_vec(),
                samples: std::iter::once(whole).collect(),
                targets: packed.targets[sample.clone()].to_vec(),
                weights: packed.weights[sample.clone()].to_vec(),
            };
            for loss in learner.losses(&alone, 1.0, &mut go_on).unwrap() {
                let packed = together.next().unwrap();
                assert_eq!(loss.to_bits(), packed.to_bits(), "{}", toy.config.architecture);
            }
        }
        assert!(together.next().is_none());
    }
}

#[test]
fn what_was_read_before_changes_no_bit() {
    let toy = Toy::new(families().swap_remove(6));
    let mut learner = toy.learner(toy.adapter(&[Target::Gate, Target::O]));
    let (long, short) = (batch(14, &[40, 7]), batch(15, &[5]));
    let [first_long, first_short] = [&long, &short].map(|batch| bits(&mut learner, batch, None));
    learner.losses(&long, 0.5, &mut go_on).unwrap();
    assert!(bits(&mut learner, &short, None) == first_short);
    assert!(bits(&mut learner, &long, None) == first_long);
}

/// Peaks of what is allocated by this thread, which is the only one: in the first two passes, and in one later.
fn peak(toy: &Toy, targets: &[Target], recompute: bool, batch: &Batch) -> (u64, u64) {
    let mut learner = toy.learner_on(toy.adapter(targets), (Precision::Bf16, recompute), 1);
    let mut gradients = learner.adapter().zeros_like();
    let mut run = || {
        learner.backward(batch, None, &mut gradients, &mut go_on).unwrap();
    };
    // A thread of its own, so that what kernels keep for each thread begins anew.
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let first = allocation_counter::measure(|| (0..2).for_each(|_| run()));
                let later = allocation_counter::measure(&mut run);
                (first.bytes_max, later.bytes_max)
            })
            .join()
            .unwrap()
    })
}

#[test]
fn memory_is_as_estimated_and_used_again() {
    let toy = Toy::new(super::DecoderConfig {
        layers: 6,
        // No rows of 64 numbers or fewer, which products copy.
        hidden: 96,
        head_dim: 48,
        ffn: 128,
        vocab: 512,
        context_tokens: 2048,
        ..families().swap_remove(3)
    });
    let mut peaks = Vec::new();
    for (recompute, targets) in [(false, &Target::ALL[..]), (true, &Target::ALL[..4])] {
        let batch = batch(16, &[700, 500]);
        let (first, later) = peak(&toy, targets, recompute, &batch);
        let learner = toy.learner_on(toy.adapter(targets), (Precision::Bf16, recompute), 1);
        let estimate = learner.memory_bytes(batch.ids.len(), recompute);
        assert!(first <= estimate, "{recompute}: {first} of {estimate}");
        // Packed operands are counted at their most, whatever the shapes.
        let packed = hearth_engine_kernels::train::Frozen::MAX_BYTES as u64;
        assert!(first * 5 / 4 >= estimate - packed, "{recompute}: {first} of {estimate}");
        assert!(later < 1 << 16, "{recompute}: {later} bytes anew");
        peaks.push(first);
    }
    assert!(peaks[1] < peaks[0] / 2, "{peaks:?}");
}
