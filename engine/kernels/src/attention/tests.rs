use super::*;
use crate::KvLayout;
use proptest::prelude::*;

const FORMATS: [KvFormat; 3] = [KvFormat::F32, KvFormat::F16, KvFormat::Q8];
const LAYER: usize = 1;

/// Queries, keys and values of one sequence.
struct Case {
    config: AttentionConfig,
    format: KvFormat,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn config(heads: usize, kv_heads: usize, head_dim: usize) -> AttentionConfig {
    let scale = 3.0 / (head_dim as f32).sqrt();
    AttentionConfig { heads, kv_heads, head_dim, scale, softcap: None, window: None }
}

impl Case {
    fn new(config: AttentionConfig, format: KvFormat, tokens: usize, seed: u64) -> Self {
        let AttentionConfig { heads, kv_heads, head_dim, .. } = config;
        Self {
            config,
            format,
            q: values(tokens * heads * head_dim, seed),
            k: values(tokens * kv_heads * head_dim, seed + 1),
            v: values(tokens * kv_heads * head_dim, seed + 2),
        }
    }

    fn tokens(&self) -> usize {
        self.q.len() / self.width()
    }

    fn width(&self) -> usize {
        self.config.heads * self.config.head_dim
    }

    fn empty(&self) -> Sequence {
        let AttentionConfig { kv_heads, head_dim, .. } = self.config;
        Sequence::new(&KvLayout { layers: LAYER + 1, kv_heads, head_dim, format: self.format })
    }

    /// Writes keys and values of some positions.
    fn extend(&self, sequence: &mut Sequence, tokens: Range<usize>) {
        let width = self.config.kv_heads * self.config.head_dim;
        let range = tokens.start * width..tokens.end * width;
        sequence.reserve(tokens.len());
        sequence.write(LAYER, tokens.start, &self.k[range.clone()], &self.v[range]);
        sequence.advance(tokens.len());
    }

    /// Replaces the first page's positions and goes on: what `sequence` held stays behind them.
    fn rewrite(&self, sequence: &mut Sequence, tokens: usize) {
        let width = self.config.kv_heads * self.config.head_dim;
        let held = sequence.tokens();
        sequence.write(LAYER, 0, &self.k[..held * width], &self.v[..held * width]);
        self.extend(sequence, held..tokens);
    }

    /// What comes out if the sequence is read in pieces of these lengths, one after the other and then again.
    fn run(&self, isa: Isa, threads: usize, pieces: &[usize]) -> Vec<f32> {
        let team = Team::new(threads).unwrap();
        let (mut sequence, mut out) = (self.empty(), Vec::new());
        for piece in pieces.iter().cycle() {
            let start = sequence.tokens();
            let end = self.tokens().min(start + piece);
            if start == end {
                return out;
            }
            self.extend(&mut sequence, start..end);
            let segment =
                Segment { sequence: &sequence, first_position: start, tokens: end - start };
            let range = start * self.width()..end * self.width();
            let mut part = vec![f32::NAN; range.len()];
            let rows = (&self.q[range], &mut part[..]);
            attention_on(&team, isa, &self.config, LAYER, &[segment], rows);
            out.extend(part);
        }
        out
    }

    fn whole(&self, isa: Isa) -> Vec<f32> {
        self.run(isa, 2, &[self.tokens()])
    }

    /// In F64, in the plainest way, on what the format keeps of keys and values.
    fn naive(&self) -> Vec<f64> {
        let AttentionConfig { heads, kv_heads, head_dim, scale, softcap, window } = self.config;
        let kept = |x: &[f32]| -> Vec<f64> {
            x.chunks(head_dim).flat_map(|head| self.kept(head)).collect()
        };
        let (k, v) = (kept(&self.k), kept(&self.v));
        let head_of = |x: &[f64], position: usize, head: usize| {
            let start = (position * kv_heads + head) * head_dim;
            x[start..start + head_dim].to_vec()
        };
        let mut out = Vec::new();
        for (row, q) in self.q.chunks(head_dim).enumerate() {
            let (position, kv_head) = (row / heads, row % heads / (heads / kv_heads));
            let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
            let scores: Vec<f64> = (first..=position)
                .map(|p| {
                    let k = head_of(&k, p, kv_head);
                    let dot: f64 = q.iter().zip(k).map(|(q, k)| f64::from(*q) * k).sum();
                    let score = dot * f64::from(scale);
                    softcap.map(f64::from).map_or(score, |cap| cap * (score / cap).tanh())
                })
                .collect();
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut sums = vec![0.0; head_dim];
            for (p, weight) in (first..=position).zip(weights) {
                let v = head_of(&v, p, kv_head);
                sums.iter_mut().zip(v).for_each(|(sum, v)| *sum += weight / total * v);
            }
            out.extend(sums);
        }
        out
    }

    fn kept(&self, head: &[f32]) -> Vec<f64> {
        let scale = head.iter().fold(0.0_f32, |a, x| a.max(x.abs())) / 127.0;
        let keep = |x: &f32| match self.format {
            KvFormat::F32 => f64::from(*x),
            KvFormat::F16 => f16::from_f32(*x).to_f64(),
            KvFormat::Q8 => f64::from((x / scale).round_ties_even()) * f64::from(scale),
        };
        head.iter().map(keep).collect()
    }

    fn check(&self) {
        for (i, (got, expected)) in self.whole(Isa::detect()).iter().zip(self.naive()).enumerate() {
            let error = (f64::from(*got) - expected).abs();
            assert!(
                error < 4e-6,
                "{:?} {:?} {i}: {got} is not {expected}",
                self.config,
                self.format
            );
        }
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn agrees_with_plain_attention_for_every_format_and_head_width() {
    for format in FORMATS {
        for head_dim in [2, 8, 10, 16, 30, 64, 72, 80, 96, 128, 160, 256] {
            Case::new(config(4, 2, head_dim), format, 75, 3).check();
        }
    }
}

#[test]
fn agrees_with_plain_attention_for_every_group_of_heads() {
    for format in FORMATS {
        for (heads, kv_heads) in
            [(1, 1), (3, 3), (4, 1), (5, 1), (14, 2), (9, 1), (12, 1), (100, 1)]
        {
            Case::new(config(heads, kv_heads, 32), format, 40, 4).check();
        }
    }
}

#[test]
fn agrees_with_plain_attention_over_many_steps() {
    for format in FORMATS {
        Case::new(config(8, 2, 64), format, 700, 5).check();
    }
}

#[test]
fn agrees_with_plain_attention_with_windows_and_caps() {
    for format in FORMATS {
        for window in [1, 2, 31, 32, 33, 100, 150, 1_000] {
            let config = AttentionConfig { window: Some(window), ..config(6, 2, 32) };
            Case::new(config, format, 330, 6).check();
            let config = AttentionConfig { softcap: Some(0.7), ..config };
            Case::new(config, format, 150, 7).check();
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for format in FORMATS {
        for (group, head_dim, window, softcap) in
            [(1, 64, None, None), (4, 64, None, Some(2.0)), (7, 40, Some(50), None)]
        {
            let config = AttentionConfig { window, softcap, ..config(2 * group, 2, head_dim) };
            let case = Case::new(config, format, 180, 8);
            let portable = case.whole(Isa::Portable);
            for isa in Isa::available() {
                assert_eq!(
                    bits(&case.whole(isa)),
                    bits(&portable),
                    "{isa:?} {config:?} {format:?}"
                );
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    // With more threads than key heads, the query heads of a group are divided too.
    let case = Case::new(config(8, 2, 32), KvFormat::F16, 160, 9);
    let expected = bits(&case.whole(Isa::detect()));
    for threads in [1, 3, 5, 9] {
        assert_eq!(bits(&case.run(Isa::detect(), threads, &[160])), expected, "{threads}");
        assert_eq!(bits(&case.run(Isa::detect(), threads, &[1])), expected, "{threads}");
    }
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    for factor in [1e-30, 1.0, 1e4, 1e30] {
        let mut case = Case::new(config(2, 1, 16), KvFormat::F32, 140, 10);
        case.q.iter_mut().for_each(|q| *q *= factor);
        let out = case.whole(Isa::detect());
        assert!(out.iter().all(|x| x.is_finite() && x.abs() <= 1.0), "{factor}");
        if factor <= 1.0 {
            case.check();
        }
    }
}

#[test]
fn what_lies_after_a_row_does_not_reach_it() {
    // Left over from a longer text, in the same page.
    let case = Case::new(config(4, 2, 32), KvFormat::F16, 60, 11);
    let other = Case::new(config(4, 2, 32), KvFormat::F16, 60, 12);
    let mut sequence = case.empty();
    other.extend(&mut sequence, 0..60);
    sequence.truncate(1);
    case.rewrite(&mut sequence, 20);
    let mut out = vec![0.0; 20 * case.width()];
    let segment = Segment { sequence: &sequence, first_position: 0, tokens: 20 };
    attention(
        &Team::new(2).unwrap(),
        &case.config,
        LAYER,
        &[segment],
        &case.q[..out.len()],
        &mut out,
    );
    assert_eq!(bits(&out), bits(&case.whole(Isa::detect())[..out.len()]));
}

#[test]
fn a_shared_head_gives_what_an_own_one_gives() {
    for format in FORMATS {
        let case = Case::new(config(4, 2, 32), format, 100, 15);
        let mut first = case.empty();
        case.extend(&mut first, 0..70);
        let pages = first.pages()[..2].to_vec();
        let mut second = Sequence::from_pages(first.layout(), pages, 64).unwrap();
        case.extend(&mut second, 64..100);
        let q = &case.q[64 * case.width()..];
        let mut out = vec![0.0; q.len()];
        let segment = Segment { sequence: &second, first_position: 64, tokens: 36 };
        attention(&Team::new(2).unwrap(), &case.config, LAYER, &[segment], q, &mut out);
        assert_eq!(bits(&out), bits(&case.whole(Isa::detect())[64 * case.width()..]));
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let case = Case::new(config(4, 2, 32), KvFormat::F16, 40, 13);
    let mut sequence = case.empty();
    case.extend(&mut sequence, 0..40);
    let refused = |config: AttentionConfig, layer, tokens, len: usize| {
        let segment = Segment { sequence: &sequence, first_position: 30, tokens };
        std::panic::catch_unwind(|| {
            let (team, q, mut out) = (Team::new(1).unwrap(), vec![0.0; len], vec![0.0; len]);
            attention(&team, &config, layer, &[segment], &q, &mut out);
        })
        .is_err()
    };
    let config = case.config;
    assert!(!refused(config, 1, 34, 34 * 128));
    assert!(refused(config, 1, 35, 35 * 128), "beyond the pages");
    assert!(refused(config, 2, 1, 128), "no such layer");
    assert!(refused(config, 1, 1, 127), "queries too short");
    assert!(refused(AttentionConfig { kv_heads: 3, ..config }, 1, 1, 128), "heads do not divide");
    assert!(refused(AttentionConfig { kv_heads: 4, ..config }, 1, 1, 128), "other key heads");
    assert!(refused(AttentionConfig { window: Some(0), ..config }, 1, 1, 128), "no window");
}

fn cases() -> impl Strategy<Value = (AttentionConfig, KvFormat)> {
    let heads = (1_usize..4, 1_usize..8, 1_usize..40);
    let window = prop::option::of(1_usize..200);
    (heads, window, prop::option::of(0.5_f32..30.0), prop::sample::select(&FORMATS[..])).prop_map(
        |((kv_heads, group, half), window, softcap, format)| {
            let config = config(kv_heads * group, kv_heads, 2 * half);
            (AttentionConfig { window, softcap, ..config }, format)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn however_a_text_is_cut_the_bits_are_the_same(
        (config, format) in cases(),
        tokens in 1_usize..260,
        pieces in prop::collection::vec(1_usize..100, 1..6),
    ) {
        let case = Case::new(config, format, tokens, 14);
        let whole = bits(&case.whole(Isa::detect()));
        prop_assert_eq!(&bits(&case.run(Isa::detect(), 2, &pieces)), &whole);
        prop_assert_eq!(&bits(&case.run(Isa::detect(), 2, &[1])), &whole);
    }

    #[test]
    fn whatever_else_is_in_the_call_the_bits_are_the_same(
        (config, format) in cases(),
        texts in prop::collection::vec((0_usize..200, 1_usize..60), 1..5),
    ) {
        let cases: Vec<Case> = texts
            .iter()
            .enumerate()
            .map(|(i, (held, new))| Case::new(config, format, held + new, 100 + i as u64))
            .collect();
        let mut sequences: Vec<Sequence> = cases.iter().map(Case::empty).collect();
        for (case, sequence) in cases.iter().zip(&mut sequences) {
            case.extend(sequence, 0..case.tokens());
        }
        let segments: Vec<Segment<'_>> = sequences
            .iter()
            .zip(&texts)
            .map(|(sequence, (held, new))| Segment { sequence, first_position: *held, tokens: *new })
            .collect();
        let last = |case: &Case, all: &[f32], held: usize| all[held * case.width()..].to_vec();
        let q: Vec<f32> =
            cases.iter().zip(&texts).flat_map(|(case, text)| last(case, &case.q, text.0)).collect();
        let mut out = vec![f32::NAN; q.len()];
        attention(&Team::new(2).unwrap(), &config, LAYER, &segments, &q, &mut out);
        let alone: Vec<f32> = cases
            .iter()
            .zip(&texts)
            .flat_map(|(case, text)| last(case, &case.whole(Isa::detect()), text.0))
            .collect();
        prop_assert_eq!(bits(&out), bits(&alone));
    }
}
