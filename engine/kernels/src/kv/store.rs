//! Writing keys and values into a page.
use super::page::{Cell, KEY_LANES, Page};
use super::{KvFormat, PAGE_TOKENS};
use crate::simd::{Kernel, LANES, Simd};
use half::f16;

/// The keys and values of all heads of one layer at one position.
pub(super) struct Store<'a> {
    pub(super) page: &'a mut Page,
    pub(super) layer: usize,
    /// The position within the page.
    pub(super) slot: usize,
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
}

impl Kernel for Store<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.page.layout().format {
            KvFormat::F32 => self.cells::<S, f32>(s),
            KvFormat::F16 => self.cells::<S, f16>(s),
            KvFormat::Q8 => self.cells::<S, i8>(s),
        }
    }
}

impl Store<'_> {
    #[inline(always)]
    fn cells<S: Simd, C: Cell>(self, s: S) {
        let Self { page, layer, slot, k, v } = self;
        let (head_dim, width) = (page.layout().head_dim, page.layout().value_width());
        let key_block = slot / KEY_LANES * KEY_LANES * head_dim + slot % KEY_LANES;
        for head in 0..page.layout().kv_heads {
            let (k, v) = (&k[head * head_dim..][..head_dim], &v[head * head_dim..][..head_dim]);
            let mut scales = [1.0; 2];
            if C::FORMAT == KvFormat::Q8 {
                scales = [scale_of(s, k), scale_of(s, v)];
                page.scales_mut(layer, head)[slot] = scales[0];
                page.scales_mut(layer, head)[PAGE_TOKENS + slot] = scales[1];
            }
            let keys = &mut page.keys_mut::<C>(layer, head)[key_block..];
            let keys = &mut keys[..(head_dim - 1) * KEY_LANES + 1];
            for first in (0..head_dim.div_ceil(LANES)).map(|part| part * LANES) {
                let narrow = C::narrow(s, part(s, k, first), scales[0]);
                for (i, x) in narrow.into_iter().enumerate().take(head_dim - first) {
                    keys[(first + i) * KEY_LANES] = x;
                }
            }
            let values = &mut page.values_mut::<C>(layer, head)[slot * width..][..width];
            for (i, to) in values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                *to = C::narrow(s, part(s, v, i * LANES), scales[1]);
            }
        }
    }
}

/// Sixteen values of a head from `first` on, zeros after its end.
#[inline(always)]
fn part<S: Simd>(s: S, head: &[f32], first: usize) -> S::F {
    match head[first..].first_chunk() {
        Some(lanes) => s.load(lanes),
        None => {
            let mut lanes = [0.0; LANES];
            lanes[..head.len() - first].copy_from_slice(&head[first..]);
            s.load(&lanes)
        }
    }
}

/// The scale that takes the largest of these values to 127; no more than what makes a finite number of 127.
#[inline(always)]
fn scale_of<S: Simd>(s: S, head: &[f32]) -> f32 {
    let mut largest = s.zero();
    for i in 0..head.len().div_ceil(LANES) {
        largest = s.max(largest, s.abs(part(s, head, i * LANES)));
    }
    (s.max_lane(largest) / 127.0).min(f32::MAX / 128.0)
}
