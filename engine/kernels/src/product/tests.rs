use super::*;
use crate::{Bytes, Format, Forms};
use half::f16;
use proptest::prelude::*;

/// Numbers that repeat from a seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn unit(&mut self) -> f32 {
        self.next() as f32 / (1_u64 << 31) as f32 * 2.0 - 1.0
    }

    pub(crate) fn activations(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.unit() * 3.0).collect()
    }

    /// Any bits for quantised blocks, but with tame 16-bit floats where those stand.
    pub(crate) fn matrix(&mut self, format: Format, rows: usize, columns: usize) -> Matrix {
        let mut bytes = Vec::new();
        for _ in 0..rows * columns / format.block_len() {
            let start = bytes.len();
            match format {
                Format::F32 => bytes.extend(self.unit().to_le_bytes()),
                Format::F16 => bytes.extend(f16::from_f32(self.unit()).to_le_bytes()),
                Format::Bf16 => bytes.extend(half::bf16::from_f32(self.unit()).to_le_bytes()),
                _ => bytes.extend((0..format.block_bytes()).map(|_| self.next() as u8)),
            }
            for &place in scales(format) {
                bytes[start + place..][..2]
                    .copy_from_slice(&f16::from_f32(self.unit() * 0.1).to_le_bytes());
            }
        }
        Matrix::new(Bytes::from_vec(bytes), format, rows, columns).unwrap()
    }
}

/// Where 16-bit floats stand in a block.
fn scales(format: Format) -> &'static [usize] {
    match format {
        Format::F32 | Format::F16 | Format::Bf16 => &[],
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
    }
}

fn product(isa: Isa, team: &Team, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
    let mut activations = Activations::default();
    activations.load_on(isa, team, x, matrix.columns(), Forms::of([matrix])).unwrap();
    let mut out = vec![0.0; activations.tokens() * matrix.rows()];
    matmul_on(isa, team, &activations, &mut [Product { matrix, out: &mut out, add: false }])
        .unwrap();
    out
}

pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    // One NaN is as good as another.
    values.iter().map(|value| if value.is_nan() { u32::MAX } else { value.to_bits() }).collect()
}

pub(crate) fn formats() -> impl Strategy<Value = Format> {
    proptest::sample::select(Format::ALL.to_vec())
}

pub(crate) fn columns_of(format: Format, blocks: usize) -> usize {
    if format.block_len() == 1 { blocks * 43 } else { blocks * format.block_len() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_instruction_set_agrees_with_portable(
        format in formats(), rows in 1..70_usize, blocks in 1..12_usize, tokens in 1..20_usize, seed: u64,
    ) {
        let columns = columns_of(format, blocks);
        let mut numbers = Numbers(seed);
        let matrix = numbers.matrix(format, rows, columns);
        let x = numbers.activations(tokens * columns);
        let team = Team::new(2).unwrap();
        let expected = product(Isa::Portable, &team, &matrix, &x);
        for isa in Isa::available() {
            let got = product(isa, &team, &matrix, &x);
            if format.block_len() > 1 {
                prop_assert_eq!(bits(&got), bits(&expected), "{:?}", isa);
            } else {
                for (got, expected) in got.iter().zip(&expected) {
                    prop_assert!((got - expected).abs() <= 1e-5 * columns as f32, "{:?}", isa);
                }
            }
        }
    }

    #[test]
    fn a_token_has_the_same_result_in_any_company(
        format in formats(), rows in 1..70_usize, blocks in 1..4_usize, tokens in 2..40_usize, seed: u64,
    ) {
        let columns = columns_of(format, blocks);
        let mut numbers = Numbers(seed);
        let matrix = numbers.matrix(format, rows, columns);
        let x = numbers.activations(tokens * columns);
        let (one, two) = (Team::new(1).unwrap(), Team::new(2).unwrap());
        for isa in Isa::available() {
            let together = product(isa, &two, &matrix, &x);
            for (token, x) in x.chunks(columns).enumerate() {
                let alone = product(isa, &one, &matrix, x);
                prop_assert_eq!(bits(&together[token * rows..][..rows]), bits(&alone), "{:?}", isa);
            }
        }
    }

    #[test]
    fn any_bits_are_borne(format in formats(), rows in 1..40_usize, blocks in 1..3_usize, seed: u64) {
        let columns = columns_of(format, blocks);
        let mut numbers = Numbers(seed);
        let len = rows * format.row_bytes(columns).unwrap();
        let bytes: Vec<u8> = (0..len).map(|_| numbers.next() as u8 | 0x78).collect();
        let matrix = Matrix::new(Bytes::from_vec(bytes), format, rows, columns).unwrap();
        let mut x = numbers.activations(3 * columns);
        x[columns] = f32::NAN;
        x[2 * columns] = f32::INFINITY;
        let team = Team::new(1).unwrap();
        let expected = product(Isa::Portable, &team, &matrix, &x);
        for isa in Isa::available() {
            let got = product(isa, &team, &matrix, &x);
            if format.block_len() > 1 {
                prop_assert_eq!(bits(&got), bits(&expected), "{:?}", isa);
            }
            prop_assert!(got[rows..].iter().all(|value| !value.is_finite()));
        }
    }
}

#[test]
fn results_are_near_those_of_the_numbers_the_blocks_stand_for() {
    let mut numbers = Numbers(7);
    let team = Team::new(2).unwrap();
    for format in Format::ALL {
        let (rows, columns, tokens) = (33, 512, 3);
        let matrix = numbers.matrix(format, rows, columns);
        let x = numbers.activations(tokens * columns);
        let mut row = vec![0.0; columns];
        for isa in Isa::available() {
            let got = product(isa, &team, &matrix, &x);
            for r in 0..rows {
                matrix.dequantize_row(r, &mut row).unwrap();
                let norm: f32 = row.iter().map(|w| w * w).sum::<f32>().sqrt();
                for (token, x) in x.chunks(columns).enumerate() {
                    let expected: f32 = row.iter().zip(x).map(|(w, x)| w * x).sum();
                    let error = (got[token * rows + r] - expected).abs();
                    // Each activation is off by up to 3 / 254, as often up as down.
                    assert!(
                        error <= 0.04 * norm,
                        "{format:?} {isa:?}: off by {error}, norm {norm}"
                    );
                }
            }
        }
    }
}

#[test]
fn several_products_go_together_and_may_be_added() {
    let mut numbers = Numbers(3);
    let team = Team::new(2).unwrap();
    let (columns, tokens) = (256, 5);
    let x = numbers.activations(tokens * columns);
    let matrices = [Format::Q4K, Format::Q8_0, Format::F16].map(|f| numbers.matrix(f, 50, columns));
    for isa in Isa::available() {
        let mut activations = Activations::default();
        activations.load_on(isa, &team, &x, columns, Forms::of(&matrices)).unwrap();
        let mut outs = [(); 3].map(|()| vec![1.0; tokens * 50]);
        let mut products: Vec<_> = matrices
            .iter()
            .zip(&mut outs)
            .map(|(matrix, out)| Product { matrix, out, add: true })
            .collect();
        matmul_on(isa, &team, &activations, &mut products).unwrap();
        for (matrix, out) in matrices.iter().zip(&outs) {
            let alone = product(isa, &team, matrix, &x);
            let expected: Vec<f32> = alone.iter().map(|value| 1.0 + value).collect();
            assert_eq!(bits(out), bits(&expected), "{isa:?}");
        }
    }
}

#[test]
fn many_tokens_go_in_batches_that_do_not_show() {
    let mut numbers = Numbers(11);
    let team = Team::new(2).unwrap();
    for format in [Format::Q4K, Format::Q6K, Format::Q8_0, Format::Q5_1] {
        let (rows, columns, tokens) = (49, 256, 1030);
        let matrix = numbers.matrix(format, rows, columns);
        let x = numbers.activations(tokens * columns);
        let expected = product(Isa::Portable, &team, &matrix, &x);
        for isa in Isa::available() {
            assert!(
                bits(&product(isa, &team, &matrix, &x)) == bits(&expected),
                "{format:?} {isa:?}"
            );
        }
    }
}

#[test]
fn wrong_sizes_are_refused() {
    let mut numbers = Numbers(1);
    let team = Team::new(1).unwrap();
    let matrix = numbers.matrix(Format::Q4K, 4, 256);
    let mut out = [0.0; 8];
    let mut activations = Activations::default();
    let mut attempt = |activations: &Activations, len: usize| {
        matmul(
            &team,
            activations,
            &mut [Product { matrix: &matrix, out: &mut out[..len], add: false }],
        )
    };
    activations.load(&team, &[0.0; 512], 512, Forms::of([&matrix])).unwrap();
    assert!(matches!(attempt(&activations, 4), Err(ShapeError::Activations { .. })));
    activations.load(&team, &[0.0; 256], 256, Forms::default()).unwrap();
    assert!(matches!(attempt(&activations, 4), Err(ShapeError::Form { .. })));
    activations.load(&team, &[0.0; 256], 256, Forms::of([&matrix])).unwrap();
    assert!(matches!(attempt(&activations, 8), Err(ShapeError::Len { .. })));
    assert!(attempt(&activations, 4).is_ok());
    activations.load(&team, &[], 256, Forms::of([&matrix])).unwrap();
    assert!(attempt(&activations, 0).is_ok());
}
