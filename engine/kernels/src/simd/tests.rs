use super::*;

/// A function of sixteen floats over a slice.
#[derive(Clone, Copy)]
enum Function {
    Exp,
    Exp2,
    Tanh,
    Silu,
    Gelu,
}

struct Map<'a>(Function, &'a [f32; LANES]);

impl Kernel for Map<'_> {
    type Output = [f32; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; LANES] {
        let x = s.load(self.1);
        s.to_array(match self.0 {
            Function::Exp => math::exp(s, x),
            Function::Exp2 => math::exp2(s, x),
            Function::Tanh => math::tanh(s, x),
            Function::Silu => math::silu(s, x),
            Function::Gelu => math::gelu_tanh(s, x),
        })
    }
}

fn points() -> Vec<[f32; LANES]> {
    (0..4_000)
        .map(|i| std::array::from_fn(|l| ((i * LANES + l) as f32 - 32_000.0) * 0.0026))
        .collect()
}

/// The largest error relative to the exact value, over arguments from `low` to `high`.
fn error(function: Function, low: f32, high: f32, exact: impl Fn(f64) -> f64) -> f64 {
    let mut worst = 0.0_f64;
    for x in points() {
        let y = dispatch(Isa::detect(), Map(function, &x));
        for (x, y) in x.into_iter().zip(y).filter(|(x, _)| (low..=high).contains(x) && *x != 0.0) {
            let exact = exact(f64::from(x));
            worst = worst.max(((f64::from(y) - exact) / exact).abs());
        }
    }
    worst
}

#[test]
fn functions_are_as_near_as_their_docs_say() {
    let ulp = f64::from(f32::EPSILON);
    assert!(error(Function::Exp2, -125.0, 127.0, f64::exp2) < 2.0 * ulp);
    assert!(error(Function::Exp, -86.0, 87.0, f64::exp) < 3.0 * ulp);
    assert!(error(Function::Tanh, -50.0, 50.0, f64::tanh) < 6e-7);
    assert!(error(Function::Silu, -40.0, 60.0, |x| x / (1.0 + (-x).exp())) < 6e-7);
    // Below -2 the sum under it cancels, as in every implementation of this approximation.
    let gelu = |x: f64| {
        0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
    };
    assert!(error(Function::Gelu, -2.0, 60.0, gelu) < 3e-6);
}

#[test]
fn ends_and_special_values() {
    for isa in Isa::available() {
        let x = [
            0.0,
            -0.0,
            -126.0,
            -1e30,
            f32::NEG_INFINITY,
            -87.5,
            f32::NAN,
            1.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
        ];
        let two = dispatch(isa, Map(Function::Exp2, &x));
        assert_eq!((two[0], two[1], two[2], two[3], two[4]), (1.0, 1.0, 0.0, 0.0, 0.0), "{isa:?}");
        assert!(two[6].is_nan());
        assert_eq!(two[7], 2.0);
        let e = dispatch(isa, Map(Function::Exp, &x));
        assert_eq!((e[0], e[3], e[4], e[5]), (1.0, 0.0, 0.0, 0.0), "{isa:?}");
        assert!(e[6].is_nan());
        let x = [f32::INFINITY; LANES];
        assert_eq!(dispatch(isa, Map(Function::Tanh, &x))[0], 1.0);
        assert!(dispatch(isa, Map(Function::Exp, &x))[0] > 1e37);
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for isa in Isa::available() {
        for function in
            [Function::Exp, Function::Exp2, Function::Tanh, Function::Silu, Function::Gelu]
        {
            for x in points().iter().step_by(7) {
                let portable = dispatch(Isa::Portable, Map(function, x));
                assert_eq!(
                    dispatch(isa, Map(function, x)).map(f32::to_bits),
                    portable.map(f32::to_bits)
                );
            }
        }
    }
}

struct Loads<'a>(&'a [f16; LANES], &'a [i8; LANES]);

impl Kernel for Loads<'_> {
    type Output = ([f32; LANES], [f32; LANES], f32, f32);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let (a, b) = (s.load_f16(self.0), s.load_i8(self.1));
        (s.to_array(a), s.to_array(b), s.sum(b), s.max_lane(b))
    }
}

struct ToHalf<'a>(&'a [f32; LANES]);

impl Kernel for ToHalf<'_> {
    type Output = [f16; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f16; LANES] {
        let mut halves = [f16::ZERO; LANES];
        s.store_f16(s.load(self.0), &mut halves);
        halves
    }
}

#[test]
fn halves_are_the_nearest() {
    for isa in Isa::available() {
        for x in points().iter().step_by(5) {
            let x = x.map(|x| x * 3.1e-3 * x);
            let expected = x.map(|x| f16::from_f32(x).to_bits());
            assert_eq!(dispatch(isa, ToHalf(&x)).map(f16::to_bits), expected, "{isa:?}");
        }
    }
}

#[test]
fn narrow_numbers_widen_exactly() {
    let halves: [f16; LANES] = std::array::from_fn(|i| f16::from_bits((i * 4_001) as u16));
    let bytes: [i8; LANES] = std::array::from_fn(|i| (i * 17) as i8);
    for isa in Isa::available() {
        let (a, b, sum, max) = dispatch(isa, Loads(&halves, &bytes));
        for i in 0..LANES {
            assert!(a[i] == halves[i].to_f32() || (a[i].is_nan() && halves[i].is_nan()), "{isa:?}");
            assert_eq!(b[i], f32::from(bytes[i]), "{isa:?}");
        }
        assert_eq!(sum, bytes.iter().map(|b| f32::from(*b)).sum::<f32>());
        assert_eq!(max, f32::from(*bytes.iter().max().unwrap()));
    }
}

struct Transpose<'a>(&'a [[f32; LANES]; LANES]);

impl Kernel for Transpose<'_> {
    type Output = [[f32; LANES]; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [[f32; LANES]; LANES] {
        s.transpose(self.0.each_ref().map(|row| s.load(row))).map(|row| s.to_array(row))
    }
}

#[test]
fn rows_become_columns() {
    let rows = std::array::from_fn(|i| std::array::from_fn(|j| (i * LANES + j) as f32));
    for isa in Isa::available() {
        let columns = dispatch(isa, Transpose(&rows));
        for (i, j) in (0..LANES).flat_map(|i| (0..LANES).map(move |j| (i, j))) {
            assert_eq!(columns[j][i], rows[i][j], "{isa:?}");
        }
    }
}

struct Sums<'a>(&'a [[f32; LANES]; 8]);

impl Kernel for Sums<'_> {
    type Output = ([f32; 8], [f32; 8]);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let mut vectors = [s.zero(); 8];
        let mut alone = [0.0; 8];
        for i in 0..8 {
            vectors[i] = s.load(&self.0[i]);
            alone[i] = s.sum(vectors[i]);
        }
        (s.sums(vectors), alone)
    }
}

#[test]
fn sums_of_eight_vectors_are_those_of_each() {
    for points in points().as_chunks().0 {
        for isa in Isa::available() {
            let (together, alone) = dispatch(isa, Sums(points));
            assert_eq!(together.map(f32::to_bits), alone.map(f32::to_bits), "{isa:?}");
        }
    }
}
