//! The memory of one page.
//!
//! One region for each layer and head, in that order: keys in blocks of 16 positions, `[block][value of the head][position]`,
//! so that sixteen positions are met at once; values `[position][value of the head]`, rows padded to 16; for 8-bit pages the
//! scales, first of all keys, then of all values.
use super::{KvFormat, KvLayout, PAGE_TOKENS};
use crate::simd::{LANES, Simd};
use half::f16;
use std::fmt;
use std::ops::Range;

/// Positions in a block of keys.
pub(crate) const KEY_LANES: usize = LANES;

/// What a key or value may be stored as. Only plain numbers, for which every bit pattern is valid.
pub(crate) trait Cell: Copy + Send + Sync + 'static {
    const FORMAT: KvFormat;
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F;
    /// `x / scale`, where there is one, rounded to nearest and cut to the range of these cells.
    fn narrow<S: Simd>(s: S, x: S::F, scale: f32) -> [Self; LANES];
}

impl Cell for f32 {
    const FORMAT: KvFormat = KvFormat::F32;
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F {
        s.load(from)
    }
    #[inline(always)]
    fn narrow<S: Simd>(s: S, x: S::F, _: f32) -> [Self; LANES] {
        s.to_array(clamp(s, x, f32::MAX))
    }
}

impl Cell for f16 {
    const FORMAT: KvFormat = KvFormat::F16;
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F {
        s.load_f16(from)
    }
    #[inline(always)]
    fn narrow<S: Simd>(s: S, x: S::F, _: f32) -> [Self; LANES] {
        let mut cells = [Self::ZERO; LANES];
        s.store_f16(clamp(s, x, 65_504.0), &mut cells);
        cells
    }
}

impl Cell for i8 {
    const FORMAT: KvFormat = KvFormat::Q8;
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[Self; LANES]) -> S::F {
        s.load_i8(from)
    }
    #[inline(always)]
    fn narrow<S: Simd>(s: S, x: S::F, scale: f32) -> [Self; LANES] {
        /// Added to a small float, it leaves the nearest integer in the low bits.
        const ROUND: f32 = 12_582_912.0;
        // A scale of zero is that of zeros only.
        let scale = if scale == 0.0 { 1.0 } else { scale };
        let x = clamp(s, s.div(x, s.splat(scale)), 127.0);
        let rounded = s.to_array(s.add(x, s.splat(ROUND)));
        let mut cells = [0; LANES];
        for (cell, x) in cells.iter_mut().zip(&rounded) {
            *cell = x.to_bits() as Self;
        }
        cells
    }
}

#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::F, limit: f32) -> S::F {
    s.min(s.splat(limit), s.max(s.splat(-limit), x))
}

/// A cache line, for its alignment.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Keys and values of [`PAGE_TOKENS`] positions, of all layers and heads. Zeros where nothing was written.
#[derive(Clone)]
pub struct Page {
    layout: KvLayout,
    lines: Vec<Line>,
}

impl Page {
    pub(super) fn new(layout: &KvLayout) -> Self {
        let lines = layout.page_bytes() / size_of::<Line>();
        Self { layout: *layout, lines: vec![Line([0; 64]); lines] }
    }

    /// The shape of its keys and values.
    pub fn layout(&self) -> &KvLayout {
        &self.layout
    }

    /// Two blocks of keys.
    pub(crate) fn keys<C: Cell>(&self, layer: usize, head: usize) -> &[C] {
        assert_eq!(C::FORMAT, self.layout.format);
        self.view(layer, head, self.layout.keys())
    }

    /// Rows of [`KvLayout::value_width`].
    pub(crate) fn values<C: Cell>(&self, layer: usize, head: usize) -> &[C] {
        assert_eq!(C::FORMAT, self.layout.format);
        self.view(layer, head, self.layout.values())
    }

    /// Scales of keys, then of values; empty unless the page is of eight bits.
    pub(crate) fn scales(&self, layer: usize, head: usize) -> &[f32] {
        self.view(layer, head, self.layout.scales())
    }

    pub(super) fn keys_mut<C: Cell>(&mut self, layer: usize, head: usize) -> &mut [C] {
        assert_eq!(C::FORMAT, self.layout.format);
        self.view_mut(layer, head, self.layout.keys())
    }

    pub(super) fn values_mut<C: Cell>(&mut self, layer: usize, head: usize) -> &mut [C] {
        assert_eq!(C::FORMAT, self.layout.format);
        self.view_mut(layer, head, self.layout.values())
    }

    pub(super) fn scales_mut(&mut self, layer: usize, head: usize) -> &mut [f32] {
        self.view_mut(layer, head, self.layout.scales())
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.0).collect()
    }

    fn view<C: Cell>(&self, layer: usize, head: usize, bytes: Range<usize>) -> &[C] {
        let bytes = self.checked::<C>(layer, head, bytes);
        #[expect(unsafe_code, reason = "numbers of several types lie in one page")]
        // SAFETY: `checked` has found the range within the page and aligned; cells are plain numbers.
        unsafe {
            let start = self.lines.as_ptr().cast::<u8>().add(bytes.start).cast::<C>();
            std::slice::from_raw_parts(start, bytes.len() / size_of::<C>())
        }
    }

    fn view_mut<C: Cell>(&mut self, layer: usize, head: usize, bytes: Range<usize>) -> &mut [C] {
        let bytes = self.checked::<C>(layer, head, bytes);
        #[expect(unsafe_code, reason = "numbers of several types lie in one page")]
        // SAFETY: as in `view`; the page is borrowed mutably for as long.
        unsafe {
            let start = self.lines.as_mut_ptr().cast::<u8>().add(bytes.start).cast::<C>();
            std::slice::from_raw_parts_mut(start, bytes.len() / size_of::<C>())
        }
    }

    /// A range of a region as one of the page.
    fn checked<C: Cell>(&self, layer: usize, head: usize, bytes: Range<usize>) -> Range<usize> {
        let layout = &self.layout;
        assert!(layer < layout.layers && head < layout.kv_heads, "no such layer or head");
        let region = (layer * layout.kv_heads + head) * layout.region_bytes();
        let bytes = region + bytes.start..region + bytes.end;
        assert!(bytes.end <= self.lines.len() * size_of::<Line>());
        assert!(bytes.start.is_multiple_of(align_of::<C>()));
        bytes
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl KvLayout {
    /// Values of a head, padded to a whole number of lanes.
    pub(crate) fn value_width(&self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    pub(super) fn region_bytes(&self) -> usize {
        self.scales().end.next_multiple_of(size_of::<Line>())
    }

    fn cell_bytes(&self) -> usize {
        match self.format {
            KvFormat::F32 => 4,
            KvFormat::F16 => 2,
            KvFormat::Q8 => 1,
        }
    }

    fn keys(&self) -> Range<usize> {
        0..PAGE_TOKENS * self.head_dim * self.cell_bytes()
    }

    fn values(&self) -> Range<usize> {
        let start = self.keys().end.next_multiple_of(size_of::<Line>());
        start..start + PAGE_TOKENS * self.value_width() * self.cell_bytes()
    }

    fn scales(&self) -> Range<usize> {
        let start = self.values().end;
        match self.format {
            KvFormat::Q8 => start..start + 2 * PAGE_TOKENS * size_of::<f32>(),
            KvFormat::F32 | KvFormat::F16 => start..start,
        }
    }
}
