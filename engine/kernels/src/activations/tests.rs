use super::*;

fn wave(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.37).sin() * (1.0 + (i % 7) as f32)).collect()
}

const BOTH: Forms = Forms { float: true, short: true, long: true };

#[test]
fn integers_times_scale_are_near_the_numbers() {
    let team = Team::new(2).unwrap();
    let x = wave(3 * 512);
    let mut activations = Activations::default();
    activations.load(&team, &x, 512, BOTH).unwrap();
    assert_eq!(activations.tokens(), 3);
    assert_eq!(activations.float(), x);
    for (token, x) in x.chunks(512).enumerate() {
        for (i, x) in x.iter().enumerate() {
            let long = &activations.long()[i / 256 * 3 + token];
            assert!((long.scale * f32::from(long.q[i % 256]) - x).abs() <= long.scale * 0.501);
            let short = &activations.short()[i / 256 * 3 + token];
            let scale = short.scales[i % 256 / 32];
            assert!((scale * f32::from(short.q[i % 256]) - x).abs() <= scale * 0.501);
        }
    }
    let long = &activations.long()[4];
    let sum = |parts: std::ops::Range<usize>| long.sums[parts].iter().sum::<i32>();
    assert_eq!(sum(0..16), long.q.iter().map(|&q| i32::from(q)).sum());
    assert_eq!(long.pairs16[4..8], [4, 6, 5, 7].map(|i| long.sums[i] as i16));
    assert_eq!(i32::from(long.pairs32[5]), sum(12..14));
}

#[test]
fn every_instruction_set_quantises_alike() {
    let team = Team::new(1).unwrap();
    let mut x = wave(4 * 288);
    x[3] = 1e-42;
    x[288..576].fill(0.0);
    x[600] = 1e38;
    let load = |isa, columns| {
        let mut activations = Activations::default();
        activations.load_on(isa, &team, &x, columns, BOTH).unwrap();
        let short: Vec<_> =
            activations.short().iter().map(|a| (a.q, a.scales.map(f32::to_bits), a.sums)).collect();
        let long: Vec<_> = activations
            .long()
            .iter()
            .map(|a| (a.q, a.scale.to_bits(), a.sums, a.pairs16, a.pairs32))
            .collect();
        (short, long)
    };
    for isa in Isa::available() {
        assert!(load(isa, 288) == load(Isa::Portable, 288), "{isa:?}");
        assert!(load(isa, 128 * 9) == load(Isa::Portable, 128 * 9), "{isa:?}");
    }
}

#[test]
fn what_is_not_finite_shows_in_the_scale() {
    let team = Team::new(1).unwrap();
    for hostile in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for isa in Isa::available() {
            let mut x = wave(512);
            x[300] = hostile;
            let mut activations = Activations::default();
            activations.load_on(isa, &team, &x, 512, BOTH).unwrap();
            assert!(activations.long()[0].scale.is_finite());
            assert!(!activations.long()[1].scale.is_finite());
            assert!(!activations.short()[1].scales[1].is_finite());
        }
    }
}

#[test]
fn odd_lengths_are_refused() {
    let team = Team::new(1).unwrap();
    let mut activations = Activations::default();
    assert!(activations.load(&team, &[0.0; 10], 4, BOTH).is_err());
    assert!(activations.load(&team, &[0.0; 10], 0, BOTH).is_err());
    activations.load(&team, &[], 4, BOTH).unwrap();
    assert_eq!(activations.tokens(), 0);
    activations.load(&team, &[1.0; 5], 5, BOTH).unwrap();
    assert!(
        activations.has(Kind::Float)
            && !activations.has(Kind::Short)
            && !activations.has(Kind::Long)
    );
}
