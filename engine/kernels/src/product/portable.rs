//! Products in plain Rust, row by row.
use super::scratch::Scratch;
use super::{Kind, LANES, Rows, Weights, add_lanes};
use crate::activations::{Activations, GROUP};
use crate::format::{Format, LongBlock, SHORT, ShortBlock, floats};

pub(super) fn rows(
    weights: &Weights<'_>,
    x: &Activations,
    out: &mut Rows<'_>,
    scratch: &mut Scratch,
) {
    let format = weights.matrix.format();
    for (row, bytes) in weights.bytes.chunks_exact(weights.matrix.row_bytes()).enumerate() {
        scratch.sums.clear();
        scratch.sums.resize(x.tokens(), 0.0);
        match weights.kind() {
            Kind::Float => {
                scratch.row.resize(x.columns(), 0.0);
                floats(format, bytes, &mut scratch.row);
                for (sum, x) in scratch.sums.iter_mut().zip(x.float().chunks_exact(x.columns())) {
                    *sum = dot_floats(&scratch.row, x);
                }
            }
            Kind::Short => add_short(format, bytes, x, &mut scratch.sums),
            Kind::Long => add_long(format, bytes, x, &mut scratch.sums),
        }
        for (token, sum) in scratch.sums.iter().enumerate() {
            out.put(token, row, std::slice::from_ref(sum));
        }
    }
}

fn add_long(format: Format, bytes: &[u8], x: &Activations, sums: &mut [f32]) {
    let blocks = bytes.chunks_exact(format.block_bytes());
    for (bytes, tokens) in blocks.zip(x.long().chunks_exact(sums.len())) {
        let block = LongBlock::decode(format, bytes);
        for (sum, x) in sums.iter_mut().zip(tokens) {
            let (mut products, mut mins) = (0, 0);
            for part in 0..16 {
                let at = 16 * part..16 * part + 16;
                products += block.scales[part] * dot(&block.q[at.clone()], &x.q[at]);
                mins += block.mins[part] * x.sums[part];
            }
            *sum = (block.d * x.scale).mul_add(products as f32, *sum);
            if has_mins(format) {
                *sum = (-(block.dmin * x.scale)).mul_add(mins as f32, *sum);
            }
        }
    }
}

fn add_short(format: Format, bytes: &[u8], x: &Activations, sums: &mut [f32]) {
    for (i, bytes) in bytes.chunks_exact(format.block_bytes()).enumerate() {
        let (group, at) = (i / GROUP, i % GROUP);
        let block = ShortBlock::decode(format, bytes);
        for (sum, x) in sums.iter_mut().zip(&x.short()[group * x.tokens()..]) {
            let product = dot(&block.q, &x.q[SHORT * at..]);
            *sum = (block.d * x.scales[at]).mul_add(product as f32, *sum);
            if has_mins(format) {
                *sum = (block.m * x.scales[at]).mul_add(x.sums[at] as f32, *sum);
            }
        }
    }
}

fn has_mins(format: Format) -> bool {
    matches!(format, Format::Q2K | Format::Q4K | Format::Q5K | Format::Q4_1 | Format::Q5_1)
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

fn dot_floats(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    add_lanes(lanes)
}
