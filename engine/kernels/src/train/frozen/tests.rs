use super::*;
use crate::product::tests::{Numbers, bits, columns_of, formats};
use crate::{Bytes, Format};
use proptest::prelude::*;

const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// Every way to compute on this processor.
fn paths(precision: Precision) -> Vec<Path> {
    let floats = Isa::available().into_iter().map(|isa| Path::Floats(Floats::new(isa, precision)));
    let mut paths: Vec<_> = floats.collect();
    #[cfg(target_arch = "x86_64")]
    if precision == Precision::Bf16 {
        paths.extend(bf16::Bf16::new().map(Path::Bf16));
    }
    paths
}

fn rounded(precision: Precision, x: f32) -> f64 {
    match precision {
        Precision::F32 => x.into(),
        Precision::Bf16 => half::bf16::from_f32(x).to_f64(),
    }
}

fn dequantized(matrix: &Matrix) -> Vec<f32> {
    let mut all = vec![0.0; matrix.rows() * matrix.columns()];
    for (row, values) in all.chunks_exact_mut(matrix.columns()).enumerate() {
        matrix.dequantize_row(row, values).unwrap();
    }
    all
}

/// A sum of products, and how far a sum of floats may be from it.
fn reference(precision: Precision, terms: impl Iterator<Item = (f32, f32)>) -> (f64, f64) {
    let (mut sum, mut size, mut count) = (0.0, 0.0, 0);
    for (a, b) in terms {
        let product = rounded(precision, a) * rounded(precision, b);
        sum += product;
        size += product.abs();
        count += 1;
    }
    // One rounding for each product and each sum, of each term and each block; and denormals, which may count for nothing.
    (sum, f64::from(f32::EPSILON) * f64::from(count + 8) * size + 1e-30)
}

fn near(got: f32, start: f32, (sum, bound): (f64, f64)) -> bool {
    let expected = f64::from(start) + sum;
    (f64::from(got) - expected).abs() <= bound + f64::from(f32::EPSILON) * expected.abs()
}

fn check_forward(precision: Precision, matrix: &Matrix, x: &[f32], start: Option<f32>) {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let weights = dequantized(matrix);
    let team = Team::new(2).unwrap();
    for path in paths(precision) {
        let mut out = vec![start.unwrap_or(f32::NAN); x.len() / columns * rows];
        let product = Product { matrix, out: &mut out, add: start.is_some() };
        Frozen::new(precision).forward_on(path, &team, x, &mut [product]).unwrap();
        for (i, got) in out.into_iter().enumerate() {
            let (x, w) = (&x[i / rows * columns..], &weights[i % rows * columns..][..columns]);
            let expected = reference(precision, x.iter().copied().zip(w.iter().copied()));
            assert!(near(got, start.unwrap_or(0.0), expected), "{path:?} {i}: {got} {expected:?}");
        }
    }
}

fn check_backward(precision: Precision, pairs: &[(&Matrix, &[f32])], start: Option<f32>) {
    let columns = pairs[0].0.columns();
    let tokens = pairs[0].1.len() / pairs[0].0.rows();
    let weights: Vec<_> = pairs.iter().map(|(matrix, _)| dequantized(matrix)).collect();
    let team = Team::new(2).unwrap();
    for path in paths(precision) {
        let mut dx = vec![start.unwrap_or(f32::NAN); tokens * columns];
        let mut frozen = Frozen::new(precision);
        frozen.backward_on(path, &team, pairs, &mut dx, start.is_some()).unwrap();
        for (i, got) in dx.into_iter().enumerate() {
            let (token, column) = (i / columns, i % columns);
            let terms = pairs.iter().zip(&weights).flat_map(|((matrix, dy), weights)| {
                let dy = &dy[token * matrix.rows()..][..matrix.rows()];
                dy.iter().copied().zip(weights[column..].iter().step_by(columns).copied())
            });
            let expected = reference(precision, terms);
            assert!(near(got, start.unwrap_or(0.0), expected), "{path:?} {i}: {got} {expected:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn forward_is_the_product_with_the_transpose(
        format in formats(), rows in 1..90_usize, blocks in 1..6_usize, tokens in 1..30_usize, add: bool, seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let columns = columns_of(format, blocks);
        let matrix = numbers.matrix(format, rows, columns);
        let x = numbers.activations(tokens * columns);
        for precision in PRECISIONS {
            check_forward(precision, &matrix, &x, add.then_some(0.75));
        }
    }

    #[test]
    fn backward_is_the_sum_of_products(
        formats in [formats(), formats()], rows in [1..90_usize, 1..90_usize], blocks in 1..3_usize,
        tokens in 1..30_usize, add: bool, seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let columns = 256 * blocks;
        let matrices = [0, 1].map(|i| numbers.matrix(formats[i], rows[i], columns));
        let dys = rows.map(|rows| numbers.activations(tokens * rows));
        let pairs = [(&matrices[0], &dys[0][..]), (&matrices[1], &dys[1][..])];
        for precision in PRECISIONS {
            check_backward(precision, &pairs, add.then_some(0.75));
        }
    }

    #[test]
    fn backward_takes_any_number_of_columns(
        format in proptest::sample::select(vec![Format::F32, Format::F16, Format::Bf16]),
        rows in 1..40_usize, columns in 1..600_usize, tokens in 1..14_usize, seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let matrix = numbers.matrix(format, rows, columns);
        let dy = numbers.activations(tokens * rows);
        for precision in PRECISIONS {
            check_backward(precision, &[(&matrix, &dy)], None);
        }
    }
}

/// Shapes that are cut into blocks of terms, slabs of weights and batches of tokens.
#[test]
fn large_shapes_are_cut_without_a_trace() {
    let mut numbers = Numbers(5);
    let long = numbers.matrix(Format::Q8_0, 35, TERMS + 1024 + 32);
    let x = numbers.activations(3 * long.columns());
    let wide = numbers.matrix(Format::F16, 2 * SLAB_LANES / (64 * PANEL) * PANEL + 33, 64);
    let x_of_wide = numbers.activations(2 * 64);
    let x_many = numbers.activations((TOKENS + 5) * 8);
    let small = numbers.matrix(Format::F32, 7, 8);
    let tall = numbers.matrix(Format::Bf16, TERMS + 1027, 40);
    let dy = numbers.activations(3 * tall.rows());
    let dy_many = numbers.activations((TOKENS + 5) * 7);
    for precision in PRECISIONS {
        for start in [None, Some(-1.5)] {
            check_forward(precision, &long, &x, start);
            check_forward(precision, &wide, &x_of_wide, start);
            check_forward(precision, &small, &x_many, start);
            check_backward(precision, &[(&tall, &dy), (&tall, &dy)], start);
            check_backward(precision, &[(&small, &dy_many)], start);
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_batches_or_company() {
    let mut numbers = Numbers(9);
    let matrices = [(Format::Q4K, 300), (Format::F16, 70), (Format::F32, 5)]
        .map(|(format, rows)| numbers.matrix(format, rows, 1280));
    let tokens = 130;
    let x = numbers.activations(tokens * 1280);
    let dys = matrices.each_ref().map(|matrix| numbers.activations(tokens * matrix.rows()));
    let pairs: Vec<_> = matrices.iter().zip(dys.iter().map(|dy| &dy[..])).collect();
    for path in PRECISIONS.into_iter().flat_map(paths) {
        let compute = |threads: usize| {
            let team = Team::new(threads).unwrap();
            let mut frozen = Frozen::new(Precision::F32);
            let mut outs = matrices.each_ref().map(|matrix| vec![0.5; tokens * matrix.rows()]);
            let mut products: Vec<_> = matrices
                .iter()
                .zip(&mut outs)
                .map(|(matrix, out)| Product { matrix, out, add: true })
                .collect();
            frozen.forward_on(path, &team, &x, &mut products).unwrap();
            let mut dx = vec![0.0; x.len()];
            frozen.backward_on(path, &team, &pairs, &mut dx, false).unwrap();
            (outs, dx)
        };
        let (outs, dx) = compute(1);
        for threads in [2, 3, 7] {
            let (more_outs, more_dx) = compute(threads);
            assert!(outs.iter().zip(&more_outs).all(|(a, b)| bits(a) == bits(b)), "{path:?}");
            assert!(bits(&dx) == bits(&more_dx), "{path:?}");
        }
        let team = Team::new(1).unwrap();
        for (matrix, out) in matrices.iter().zip(&outs) {
            let mut alone = vec![0.5; matrix.rows()];
            let product = Product { matrix, out: &mut alone, add: true };
            let x = &x[101 * 1280..102 * 1280];
            Frozen::new(Precision::F32).forward_on(path, &team, x, &mut [product]).unwrap();
            assert_eq!(bits(&alone), bits(&out[101 * matrix.rows()..][..matrix.rows()]));
        }
    }
}

#[test]
fn numbers_that_are_not_finite_come_out() {
    let mut numbers = Numbers(2);
    let (rows, columns, tokens) = (50, 70, 15);
    let ones = vec![1.0_f32; rows * columns];
    for precision in PRECISIONS {
        for path in paths(precision) {
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut weights = ones.clone();
                weights[33 * columns + 69] = odd;
                let bytes = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
                let matrix =
                    Matrix::new(Bytes::from_vec(bytes), Format::F32, rows, columns).unwrap();
                let mut x = numbers.activations(tokens * columns);
                x[14 * columns + 3] = odd;
                let team = Team::new(1).unwrap();
                let mut frozen = Frozen::new(precision);
                let mut out = vec![0.0; tokens * rows];
                let product = Product { matrix: &matrix, out: &mut out, add: false };
                frozen.forward_on(path, &team, &x, &mut [product]).unwrap();
                for (i, value) in out.iter().enumerate() {
                    let finite = i / rows != 14 && i % rows != 33;
                    assert_eq!(value.is_finite(), finite, "{path:?} {i}: {value}");
                }
                let mut dx = vec![0.0; tokens * columns];
                frozen.backward_on(path, &team, &[(&matrix, &out)], &mut dx, false).unwrap();
                assert!(dx.iter().all(|value| !value.is_finite()), "{path:?}");
            }
        }
    }
}

#[test]
fn wrong_sizes_are_refused_and_empty_ones_are_not() {
    let mut numbers = Numbers(1);
    let team = Team::new(1).unwrap();
    let mut frozen = Frozen::new(Precision::F32);
    let matrix = numbers.matrix(Format::F32, 4, 8);
    let other = numbers.matrix(Format::F32, 4, 16);
    let none = matrix.rows_range(0..0).unwrap();
    let mut out = [1.0; 8];
    let mut forward = |frozen: &mut Frozen, matrix: &Matrix, x: &[f32], len: usize| {
        let mut first = [0.0; 8];
        let first =
            Product { matrix: &numbers.matrix(Format::F32, 4, 8), out: &mut first, add: false };
        let second = Product { matrix, out: &mut out[..len], add: false };
        frozen.forward(&team, x, &mut [first, second])
    };
    assert!(forward(&mut frozen, &matrix, &[0.0; 16], 8).is_ok());
    assert!(forward(&mut frozen, &none, &[0.0; 16], 0).is_ok());
    assert!(matches!(forward(&mut frozen, &matrix, &[0.0; 16], 7), Err(ShapeError::Len { .. })));
    assert!(matches!(
        forward(&mut frozen, &matrix, &[0.0; 15], 8),
        Err(ShapeError::Activations { .. })
    ));
    assert!(matches!(
        forward(&mut frozen, &other, &[0.0; 16], 8),
        Err(ShapeError::Activations { .. })
    ));
    assert!(frozen.forward(&team, &[], &mut []).is_ok());
    let mut backward = |pairs: &[(&Matrix, &[f32])], len: usize, add: bool| {
        let mut dx = [1.0; 17];
        frozen.backward(&team, pairs, &mut dx[..len], add).map(|()| dx[0])
    };
    let dy = [1.0; 8];
    assert!(backward(&[(&matrix, &dy)], 16, false).is_ok());
    assert!(matches!(backward(&[(&matrix, &dy)], 17, false), Err(ShapeError::Activations { .. })));
    assert!(matches!(backward(&[(&matrix, &dy[1..])], 16, false), Err(ShapeError::Len { .. })));
    assert!(matches!(
        backward(&[(&matrix, &dy), (&other, &dy)], 16, false),
        Err(ShapeError::Activations { .. })
    ));
    assert_eq!(backward(&[], 16, true), Ok(1.0));
    assert_eq!(backward(&[], 16, false), Ok(0.0));
    assert_eq!(backward(&[(&none, &[])], 16, true), Ok(1.0));
    assert_eq!(backward(&[(&none, &[])], 16, false), Ok(0.0));
}

#[test]
fn memory_stays_within_what_is_said() {
    for steps in 1..=TERMS {
        let right = panels_at_once(steps) * steps * PANEL;
        assert!(4 * (TOKENS * steps + right + 32) <= Frozen::MAX_BYTES, "{steps}");
    }
}
