use super::*;

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The matrices of an adapter, as it is given.
struct Given {
    a: Vec<f32>,
    b: Vec<f32>,
    rank: usize,
    shape: (usize, usize),
}

impl Given {
    fn new(rank: usize, (outputs, inputs): (usize, usize), seed: u32) -> Self {
        let (a, b) = (values(rank * inputs, seed), values(outputs * rank, seed + 1));
        Self { a, b, rank, shape: (outputs, inputs) }
    }

    fn laid_out(&self, format: LowRankFormat) -> LowRank {
        LowRank::new((&self.a, &self.b), self.rank, self.shape, format).unwrap()
    }

    /// `f * B A x` of one row.
    fn reference(&self, x: &[f32], factor: f32) -> Vec<f64> {
        let dot =
            |a: &[f32], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum() };
        let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let sums: Vec<f64> =
            self.a.chunks(x.len()).map(|a| f64::from(factor) * dot(a, &x)).collect();
        self.b.chunks(self.rank).map(|b| dot(b, &sums)).collect()
    }
}

/// What a product of nothing but these parts comes to, from `out` on.
fn added(
    isa: Isa,
    team: &Team,
    x: (&[f32], usize),
    parts: &[LowRankPart<'_>],
    mut out: Vec<f32>,
) -> Vec<f32> {
    let mut products = [LowRankProduct { parts, out: &mut out }];
    add_low_rank_on(isa, team, x, &mut products, &mut Vec::new()).unwrap();
    out
}

fn all_rows(rows: usize) -> Vec<LowRankRow> {
    (0..rows).map(|row| LowRankRow { row, factor: 0.5 + row as f32 / 8.0 }).collect()
}

#[test]
fn sums_are_those_of_the_reference() {
    let team = Team::new(2).unwrap();
    for (rank, outputs, inputs, rows) in
        [(1, 16, 16, 1), (4, 40, 33, 3), (16, 700, 96, 13), (9, 7, 5, 70), (64, 48, 160, 9)]
    {
        let given = Given::new(rank, (outputs, inputs), 3);
        let x = values(rows * inputs, 7);
        for (format, tolerance) in [(LowRankFormat::F32, 1e-5), (LowRankFormat::F16, 2e-3)] {
            let (pair, rows) = (given.laid_out(format), all_rows(rows));
            let parts = [LowRankPart { pair: &pair, rows: &rows }];
            let before = values(rows.len() * outputs, 9);
            for isa in Isa::available() {
                let out = added(isa, &team, (&x, inputs), &parts, before.clone());
                for row in &rows {
                    let at = row.row * outputs..(row.row + 1) * outputs;
                    let expected = given.reference(&x[row.row * inputs..][..inputs], row.factor);
                    let size = 1.0 + expected.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
                    for ((got, before), expected) in
                        out[at.clone()].iter().zip(&before[at]).zip(expected)
                    {
                        let error = (f64::from(*got) - f64::from(*before) - expected).abs();
                        assert!(error <= tolerance * size, "{format:?} {isa:?}: {error}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_is_the_same_whatever_else_there_is() {
    let (outputs, inputs, rows) = (1_050, 150, 71);
    let given = [Given::new(16, (outputs, inputs), 1), Given::new(6, (outputs, inputs), 2)];
    let x = values(rows * inputs, 3);
    let before = values(rows * outputs, 4);
    for format in [LowRankFormat::F32, LowRankFormat::F16] {
        let pairs = given.each_ref().map(|given| given.laid_out(format));
        // Both apply to every third row, the first to those before them, none to those behind.
        let of = |rest: &[usize]| -> Vec<LowRankRow> {
            all_rows(rows).into_iter().filter(|row| rest.contains(&(row.row % 3))).collect()
        };
        let lists = [of(&[0, 1]), of(&[1])];
        let parts: Vec<LowRankPart<'_>> =
            pairs.iter().zip(&lists).map(|(pair, rows)| LowRankPart { pair, rows }).collect();
        let mut seen: Option<Vec<u32>> = None;
        for threads in [1, 3] {
            let team = Team::new(threads).unwrap();
            for isa in Isa::available() {
                let out = added(isa, &team, (&x, inputs), &parts, before.clone());
                assert_eq!(*seen.get_or_insert_with(|| bits(&out)), bits(&out), "{isa:?}");
                for row in 0..rows {
                    let (x, at) =
                        (&x[row * inputs..][..inputs], row * outputs..(row + 1) * outputs);
                    let alone = |list: &[LowRankRow]| -> Vec<LowRankRow> {
                        let own = list.iter().find(|own| own.row == row);
                        own.map(|own| LowRankRow { row: 0, factor: own.factor })
                            .into_iter()
                            .collect()
                    };
                    let lists = lists.each_ref().map(|list| alone(list));
                    let parts: Vec<LowRankPart<'_>> = pairs
                        .iter()
                        .zip(&lists)
                        .filter(|(_, rows)| !rows.is_empty())
                        .map(|(pair, rows)| LowRankPart { pair, rows })
                        .collect();
                    let own = added(isa, &team, (x, inputs), &parts, before[at.clone()].to_vec());
                    assert_eq!(bits(&own), bits(&out[at.clone()]), "row {row}");
                    assert_eq!(row % 3 == 2, bits(&own) == bits(&before[at]), "row {row}");
                }
            }
        }
    }
}

#[test]
fn several_products_share_their_rows() {
    let team = Team::new(2).unwrap();
    let (inputs, rows) = (64, 5);
    let given = [Given::new(8, (96, inputs), 1), Given::new(8, (32, inputs), 2)];
    let pairs = given.each_ref().map(|given| given.laid_out(LowRankFormat::F32));
    let (x, list) = (values(rows * inputs, 3), all_rows(rows));
    let parts = pairs.each_ref().map(|pair| [LowRankPart { pair, rows: &list }]);
    let (mut wide, mut narrow) = (vec![0.0; rows * 96], vec![0.0; rows * 32]);
    let [of_wide, of_narrow] = &parts;
    let mut products = [
        LowRankProduct { parts: of_wide, out: &mut wide },
        LowRankProduct { parts: &[], out: &mut [] },
        LowRankProduct { parts: of_narrow, out: &mut narrow },
    ];
    add_low_rank(&team, &x, inputs, &mut products, &mut vec![f32::NAN; 3]).unwrap();
    let alone = |parts: &[LowRankPart<'_>], len| {
        added(Isa::detect(), &team, (&x, inputs), parts, vec![0.0; len])
    };
    assert_eq!(wide, alone(of_wide, rows * 96));
    assert_eq!(narrow, alone(of_narrow, rows * 32));
}

#[test]
fn small_and_large_numbers_keep_their_precision_in_16_bits() {
    let team = Team::new(1).unwrap();
    for size in [1e-12_f32, 1e-6, 1e5, 1e12] {
        let mut given = Given::new(4, (16, 16), 5);
        given.b.iter_mut().for_each(|b| *b *= size);
        let (pair, x) = (given.laid_out(LowRankFormat::F16), values(16, 6));
        let rows = [LowRankRow { row: 0, factor: 1.0 }];
        let parts = [LowRankPart { pair: &pair, rows: &rows }];
        let out = added(Isa::detect(), &team, (&x, 16), &parts, vec![0.0; 16]);
        for (got, expected) in out.iter().zip(given.reference(&x, 1.0)) {
            assert!((f64::from(*got) - expected).abs() <= 4e-3 * f64::from(size), "{size}");
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let team = Team::new(1).unwrap();
    let given = Given::new(4, (16, 32), 1);
    let short = LowRank::new((&given.a[1..], &given.b), 4, (16, 32), LowRankFormat::F32);
    assert!(matches!(short, Err(ShapeError::Len { expected: 128, got: 127, .. })));
    let pair = given.laid_out(LowRankFormat::F32);
    let try_with = |x: usize, columns, row, out: usize| {
        let rows = [LowRankRow { row, factor: 1.0 }];
        let parts = [LowRankPart { pair: &pair, rows: &rows }];
        let mut out = vec![0.0; out];
        let products = &mut [LowRankProduct { parts: &parts, out: &mut out }];
        add_low_rank(&team, &vec![1.0; x], columns, products, &mut Vec::new())
    };
    assert_eq!(try_with(64, 32, 1, 32), Ok(()));
    assert!(try_with(64, 16, 1, 64).is_err());
    assert!(try_with(65, 32, 1, 32).is_err());
    assert!(try_with(64, 32, 2, 32).is_err());
    assert!(try_with(64, 32, 1, 33).is_err());
}
