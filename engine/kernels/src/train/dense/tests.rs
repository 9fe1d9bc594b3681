use super::*;
use crate::product::tests::{Numbers, bits};
use proptest::prelude::*;

const SCALES: [Scale; 4] = [
    Scale { alpha: 1.0, beta: 0.0 },
    Scale { alpha: 1.0, beta: 1.0 },
    Scale { alpha: 0.25, beta: 1.0 },
    Scale { alpha: -2.0, beta: 0.5 },
];

struct Case {
    shape: [usize; 3],
    transposed: [bool; 2],
    data: [Vec<f32>; 2],
}

impl Case {
    fn new(shape: [usize; 3], transposed: [bool; 2], seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let [m, k, n] = shape;
        let data = [numbers.activations(m * k), numbers.activations(k * n)];
        Self { shape, transposed, data }
    }

    fn factors(&self) -> [Dense<'_>; 2] {
        let [m, k, n] = self.shape;
        [([m, k], 0), ([k, n], 1)].map(|([mut rows, mut columns], i)| {
            let (data, transposed) = (&self.data[i], self.transposed[i]);
            if transposed {
                (rows, columns) = (columns, rows);
            }
            Dense { data, rows, columns, transposed }
        })
    }

    fn at(&self, factor: usize, row: usize, column: usize) -> f64 {
        let factor = self.factors()[factor];
        let (row, column) = if factor.transposed { (column, row) } else { (row, column) };
        factor.data[row * factor.columns + column].into()
    }

    fn check(&self, scale: Scale) {
        let [m, k, n] = self.shape;
        let team = Team::new(2).unwrap();
        let start: f32 = if scale.beta == 0.0 { f32::NAN } else { 0.75 };
        for isa in Isa::available() {
            let mut out = vec![start; m * n];
            product_on(isa, &team, self.factors(), scale, &mut out).unwrap();
            for (i, got) in out.into_iter().enumerate() {
                let terms = (0..k).map(|term| self.at(0, i / n, term) * self.at(1, term, i % n));
                let (mut sum, mut size) = (0.0, 0.0);
                for term in terms {
                    sum += term;
                    size += term.abs();
                }
                let old = if scale.beta == 0.0 { 0.0 } else { f64::from(scale.beta * start) };
                let expected = old + f64::from(scale.alpha) * sum;
                // One rounding for each product and sum, and those of scaling.
                let size = f64::from(scale.alpha.abs()) * size + old.abs();
                let bound = f64::from(f32::EPSILON) * (k + 4) as f64 * size;
                let error = (f64::from(got) - expected).abs();
                assert!(error <= bound, "{isa:?} {:?} {i}: {got} {expected}", self.shape);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn products_are_near_the_sums_of_products(
        m in 1..70_usize, k in 1..200_usize, n in 1..70_usize, transposed: [bool; 2],
        scale in proptest::sample::select(SCALES.to_vec()), seed: u64,
    ) {
        Case::new([m, k, n], transposed, seed).check(scale);
    }
}

#[test]
fn shapes_of_adapters_are_computed_in_every_form() {
    for (tokens, columns, rank) in [(130, 200, 8), (33, 172, 4), (70, 64, 64), (257, 96, 1)] {
        for scale in SCALES {
            Case::new([tokens, columns, rank], [false, true], 1).check(scale);
            Case::new([tokens, columns, rank], [false, false], 2).check(scale);
            Case::new([tokens, rank, columns], [false, true], 3).check(scale);
            Case::new([tokens, rank, columns], [false, false], 4).check(scale);
            Case::new([rank, tokens, columns], [true, false], 5).check(scale);
            Case::new([columns, tokens, rank], [true, false], 6).check(scale);
        }
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let scale = Scale { alpha: 0.3, beta: 1.0 };
    for transposed in [[false, false], [false, true], [true, false], [true, true]] {
        for shape in [[1030, 300, 8], [1030, 8, 300], [8, 1030, 300], [300, 1030, 8]] {
            let case = Case::new(shape, transposed, 7);
            for isa in Isa::available() {
                let compute = |threads: usize| {
                    let mut out = vec![0.5; shape[0] * shape[2]];
                    let team = Team::new(threads).unwrap();
                    product_on(isa, &team, case.factors(), scale, &mut out).unwrap();
                    bits(&out)
                };
                let one = compute(1);
                assert!([2, 3, 5].into_iter().all(|threads| compute(threads) == one), "{isa:?}");
            }
        }
    }
}

#[test]
fn numbers_that_are_not_finite_come_out_where_they_belong() {
    for transposed in [[false, false], [false, true], [true, false], [true, true]] {
        let mut case = Case::new([37, 100, 9], transposed, 3);
        let place = if transposed[0] { 99 * 37 + 11 } else { 11 * 100 + 99 };
        case.data[0][place] = f32::NAN;
        for isa in Isa::available() {
            let mut out = vec![0.0; 37 * 9];
            let team = Team::new(1).unwrap();
            product_on(isa, &team, case.factors(), SCALES[1], &mut out).unwrap();
            assert!(out.iter().enumerate().all(|(i, value)| value.is_nan() == (i / 9 == 11)));
        }
    }
}

#[test]
fn wrong_sizes_are_refused_and_empty_ones_are_not() {
    let team = Team::new(1).unwrap();
    let data = [0.0; 12];
    let dense = |rows, columns, transposed| Dense { data: &data, rows, columns, transposed };
    let attempt = |a, b, len: usize| {
        let mut out = [1.0; 16];
        product(&team, 1.0, a, b, 0.0, &mut out[..len]).map(|()| out[0])
    };
    assert_eq!(attempt(dense(3, 4, false), dense(4, 3, false), 9), Ok(0.0));
    assert_eq!(attempt(dense(4, 3, true), dense(3, 4, true), 9), Ok(0.0));
    for (a, b, len) in [
        (dense(3, 5, false), dense(4, 3, false), 9),
        (dense(3, 4, false), dense(4, 2, false), 6),
        (dense(3, 4, false), dense(4, 3, false), 8),
        (dense(3, 4, false), dense(3, 4, false), 12),
        (dense(usize::MAX, 2, false), dense(2, 6, false), 9),
    ] {
        assert!(matches!(attempt(a, b, len), Err(ShapeError::Len { .. })));
    }
    let none = |rows, columns| Dense { data: &[], rows, columns, transposed: false };
    // A sum of no terms is zero.
    assert_eq!(attempt(none(3, 0), none(0, 3), 9), Ok(0.0));
    assert_eq!(attempt(none(0, 3), dense(3, 4, false), 0), Ok(1.0));
}
