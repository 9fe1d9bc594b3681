use super::rope::{Direction, rope_on};
use super::*;
use proptest::prelude::*;

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32 - 2.0
        })
        .collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn assert_near(got: &[f32], expected: impl IntoIterator<Item = f64>, tolerance: f64) {
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= tolerance * (1.0 + expected.abs()), "{i}: {got} is not {expected}");
    }
}

fn team() -> Team {
    Team::new(2).unwrap()
}

/// Every function on `rows` rows of `width`, the results one after the other.
fn all(isa: Isa, rows: usize, width: usize, seed: u32) -> Vec<Vec<f32>> {
    let team = team();
    let a = values(rows * width, seed);
    let weight = values(width, 9);
    let mut results = Vec::new();
    for function in [Zip::Swiglu, Zip::GegluTanh, Zip::Add, Zip::Scale(1.7), Zip::Softcap(1.3)] {
        let mut out = values(rows * width, seed + 2);
        zip(&team, isa, function, Some(&a), &mut out);
        results.push(out);
    }
    let mut out = vec![0.0; rows * width];
    norm::norm_rows(&team, isa, Some(&a), &weight, 1e-5, &mut out);
    results.push(out);
    let positions: Vec<u32> = (0..rows as u32).map(|i| i * 37).collect();
    let frequencies: Vec<f64> = (0..width / 2).map(|i| 0.9_f64.powi(i as i32)).collect();
    let mut table = Rope::default();
    table.fill(&frequencies, 1.0, &positions);
    for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
        let mut x = a.clone();
        let turn = (layout, Direction::Forward);
        rope_on(&team, isa, &mut x, [1, width], &table, turn);
        results.push(x);
    }
    results
}

#[test]
fn gates_and_sums_are_what_they_say() {
    let team = team();
    let (a, b, o) = (values(1_003, 1), values(1_003, 2), values(1_003, 3));
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    let (wa, wb, wo) = (wide(&a), wide(&b), wide(&o));
    let pairs = || wa.iter().zip(&wb);

    let mut out = a.clone();
    swiglu(&team, &b, &mut out);
    assert_near(&out, pairs().map(|(a, b)| a / (1.0 + (-a).exp()) * b), 1e-6);
    out.clone_from(&a);
    geglu_tanh(&team, &b, &mut out);
    let root = (2.0 / std::f64::consts::PI).sqrt();
    let gelu = |x: f64| 0.5 * x * (1.0 + (root * (x + 0.044_715 * x * x * x)).tanh());
    assert_near(&out, pairs().map(|(a, b)| gelu(*a) * b), 1e-6);
    out.clone_from(&o);
    add(&team, &a, &mut out);
    assert_near(&out, wo.iter().zip(&wa).map(|(o, a)| o + a), 1e-7);
    out.clone_from(&o);
    scale(&team, &mut out, 0.3);
    assert_near(&out, wo.iter().map(|o| o * f64::from(0.3_f32)), 1e-7);
    out.clone_from(&o);
    softcap(&team, &mut out, 0.8);
    assert_near(&out, wo.iter().map(|o| 0.8 * (o / 0.8).tanh()), 1e-6);
}

#[test]
fn rows_are_normed_by_their_own_root_mean_square() {
    for width in [1, 7, 16, 64, 100, 2_048] {
        let (x, weight) = (values(5 * width, 4), values(width, 5));
        let mut out = vec![0.0; x.len()];
        rms_norm(&team(), &x, &weight, 1e-5, &mut out);
        for (row, out) in x.chunks(width).zip(out.chunks(width)) {
            let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64 + 1e-5;
            let expected =
                row.iter().zip(&weight).map(|(x, w)| f64::from(*x) / mean.sqrt() * f64::from(*w));
            assert_near(out, expected, 1e-6);
        }
        let mut in_place = x.clone();
        rms_norm_heads(&team(), &mut in_place, &weight, 1e-5);
        assert_eq!(bits(&in_place), bits(&out));
    }
}

#[test]
fn pairs_are_turned_and_the_rest_of_a_head_is_left() {
    let (heads, head_dim, rotary_dim) = (3, 80, 38);
    let positions = [0, 1, 70_001];
    let frequencies: Vec<f64> =
        (0..rotary_dim / 2).map(|i| 10_000_f64.powf(-2.0 * i as f64 / 38.0)).collect();
    let mut table = Rope::default();
    table.fill(&frequencies, 1.25, &positions);
    assert_eq!((table.tokens(), table.rotary_dim()), (3, 38));
    let x = values(3 * heads * head_dim, 6);
    for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
        let mut expected: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        for (row, position) in expected.chunks_mut(heads * head_dim).zip(positions) {
            for head in row.chunks_mut(head_dim) {
                for (i, frequency) in frequencies.iter().enumerate() {
                    let (a, b) = match layout {
                        RopeLayout::HalfSplit => (i, i + rotary_dim / 2),
                        RopeLayout::Interleaved => (2 * i, 2 * i + 1),
                    };
                    let (sin, cos) = (f64::from(position) * frequency).sin_cos();
                    let (x, y) = (head[a], head[b]);
                    head[a] = 1.25 * (x * cos - y * sin);
                    head[b] = 1.25 * (x * sin + y * cos);
                }
            }
        }
        let mut out = x.clone();
        rope(&team(), &mut out, heads, head_dim, &table, layout);
        assert_near(&out, expected, 1e-6);
    }
}

#[test]
fn a_model_without_rotary_positions_is_left_alone() {
    let mut x = values(10, 7);
    rope(&team(), &mut [], 5, 2, &Rope::default(), RopeLayout::HalfSplit);
    let before = x.clone();
    let mut table = Rope::default();
    table.fill(&[0.0], 1.0, &[5]);
    rope(&team(), &mut x, 5, 2, &table, RopeLayout::HalfSplit);
    assert_eq!(x, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_instruction_set_gives_the_same_bits(rows in 1_usize..5, half in 1_usize..90, seed: u16) {
        let expected = all(Isa::Portable, rows, 2 * half, seed.into());
        for isa in Isa::available() {
            for (got, expected) in all(isa, rows, 2 * half, seed.into()).iter().zip(&expected) {
                prop_assert_eq!(bits(got), bits(expected));
            }
        }
    }

    #[test]
    fn a_row_alone_gives_what_it_gives_among_many(width in 1_usize..70, row in 0_usize..2_000) {
        let (x, weight) = (values(2_000 * width, 8), values(width, 9));
        let (mut many, mut one) = (vec![0.0; x.len()], vec![0.0; width]);
        let range = row * width..(row + 1) * width;
        rms_norm(&team(), &x, &weight, 1e-5, &mut many);
        rms_norm(&team(), &x[range.clone()], &weight, 1e-5, &mut one);
        prop_assert_eq!(bits(&many[range.clone()]), bits(&one));
        many.copy_from_slice(&x);
        one.copy_from_slice(&x[range.clone()]);
        swiglu(&team(), &x, &mut many);
        swiglu(&team(), &x[range.clone()], &mut one);
        prop_assert_eq!(bits(&many[range]), bits(&one));
    }
}
