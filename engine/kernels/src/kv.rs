//! Keys and values of the positions a sequence holds, in pages that sequences may share.
//!
//! A page has [`PAGE_TOKENS`] positions of all layers. Sequences hold pages by `Arc`: a common head of many prompts is stored
//! once, and a page is copied only when one of its holders writes to it.
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::sync::Arc;

mod page;
pub use page::Page;
pub(crate) use page::{Cell, KEY_LANES};

/// Positions in a page.
pub const PAGE_TOKENS: usize = 32;

/// How a key or value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvFormat {
    /// As computed.
    F32,
    /// Rounded to half precision; what lies beyond its range is cut to it.
    F16,
    /// Eight-bit integers, with one F32 scale for each position and head: the largest value of the head over 127.
    Q8,
}

/// The shape of a model's keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvLayout {
    /// Layers of the model.
    pub layers: usize,
    /// Key and value heads of a layer.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// How they are stored.
    pub format: KvFormat,
}

impl KvLayout {
    /// Bytes of a page: [`PAGE_TOKENS`] positions of all layers.
    pub fn page_bytes(&self) -> usize {
        self.layers.saturating_mul(self.kv_heads).saturating_mul(self.region_bytes())
    }

    /// Pages that hold as many positions.
    pub fn pages_for(&self, tokens: usize) -> usize {
        tokens.div_ceil(PAGE_TOKENS)
    }
}

/// The keys and values of one sequence, position 0 first. A clone shares all pages.
#[derive(Clone, Debug)]
pub struct Sequence {
    layout: KvLayout,
    pages: Vec<Arc<Page>>,
    tokens: usize,
}

impl Sequence {
    /// An empty sequence.
    pub fn new(layout: &KvLayout) -> Self {
        Self { layout: *layout, pages: Vec::new(), tokens: 0 }
    }

    /// A sequence that starts with positions computed for another one. `None` unless the pages are of this layout and
    /// `tokens` fills them exactly.
    pub fn from_pages(layout: &KvLayout, pages: Vec<Arc<Page>>, tokens: usize) -> Option<Self> {
        let whole = pages.len().checked_mul(PAGE_TOKENS) == Some(tokens);
        let fits = pages.iter().all(|page| page.layout() == layout);
        (whole && fits).then_some(Self { layout: *layout, pages, tokens })
    }

    /// The shape of its keys and values.
    pub fn layout(&self) -> &KvLayout {
        &self.layout
    }

    /// Positions it holds.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Its pages. The last ones may be partly filled or, after [`Sequence::reserve`], empty.
    pub fn pages(&self) -> &[Arc<Page>] {
        &self.pages
    }

    /// Positions there are pages for.
    pub fn capacity(&self) -> usize {
        self.pages.len() * PAGE_TOKENS
    }

    /// Makes room for as many positions after those it holds. A page that is shared and about to be written is copied now.
    pub fn reserve(&mut self, tokens: usize) {
        if tokens == 0 {
            return;
        }
        if let Some(tail) = self.pages.get_mut(self.tokens / PAGE_TOKENS) {
            Arc::make_mut(tail);
        }
        let pages = self.layout.pages_for(self.tokens.saturating_add(tokens));
        while self.pages.len() < pages {
            self.pages.push(Arc::new(Page::new(&self.layout)));
        }
    }

    /// Stores keys and values of one layer from a position on: `k` and `v` have a row of `kv_heads * head_dim` for each, keys
    /// after their rotation. All formats round to nearest; infinities become the largest number.
    ///
    /// # Panics
    /// If there are no pages for these positions, no such layer, or rows of another width.
    pub fn write(&mut self, layer: usize, first_position: usize, k: &[f32], v: &[f32]) {
        let width = self.layout.kv_heads * self.layout.head_dim;
        assert!(layer < self.layout.layers, "no such layer");
        assert!(k.len() == v.len() && k.len().is_multiple_of(width), "no whole rows");
        let tokens = k.len() / width;
        assert!(first_position + tokens <= self.capacity(), "no pages for these positions");
        let rows = k.chunks_exact(width).zip(v.chunks_exact(width));
        for (position, (k, v)) in (first_position..).zip(rows) {
            let page = Arc::make_mut(&mut self.pages[position / PAGE_TOKENS]);
            let heads =
                k.chunks_exact(self.layout.head_dim).zip(v.chunks_exact(self.layout.head_dim));
            for (head, (k, v)) in heads.enumerate() {
                let place = Place { layer, head, slot: position % PAGE_TOKENS };
                store(page, place, k, v);
            }
        }
    }

    /// Counts positions written after the last one as held.
    ///
    /// # Panics
    /// If there are no pages for them.
    pub fn advance(&mut self, tokens: usize) {
        assert!(self.tokens + tokens <= self.capacity(), "no pages for these positions");
        self.tokens += tokens;
    }

    /// Forgets all positions from `tokens` on, and the pages that held nothing else.
    pub fn truncate(&mut self, tokens: usize) {
        self.tokens = self.tokens.min(tokens);
        self.pages.truncate(self.layout.pages_for(self.tokens));
    }
}

/// Values turned to half precision at a time.
const NARROWED: usize = 64;

/// One head's key and value of one position within a page.
#[derive(Clone, Copy)]
struct Place {
    layer: usize,
    head: usize,
    slot: usize,
}

fn store(page: &mut Page, place: Place, k: &[f32], v: &[f32]) {
    match page.layout().format {
        KvFormat::F32 => {
            put_key(page, place, 0, k.iter().map(|x| x.clamp(f32::MIN, f32::MAX)));
            put_value(page, place, 0, v.iter().map(|x| x.clamp(f32::MIN, f32::MAX)));
        }
        KvFormat::F16 => {
            for first in (0..k.len()).step_by(NARROWED) {
                let part = first..k.len().min(first + NARROWED);
                let mut narrow = [f16::ZERO; NARROWED];
                let narrow = &mut narrow[..part.len()];
                narrow.convert_from_f32_slice(&k[part.clone()]);
                put_key(page, place, first, narrow.iter().map(|x| finite(*x)));
                narrow.convert_from_f32_slice(&v[part]);
                put_value(page, place, first, narrow.iter().map(|x| finite(*x)));
            }
        }
        KvFormat::Q8 => {
            let (k_scale, v_scale) = (scale_of(k), scale_of(v));
            put_key(page, place, 0, k.iter().map(|x| quantize(*x, k_scale)));
            put_value(page, place, 0, v.iter().map(|x| quantize(*x, v_scale)));
            page.scales_mut(place.layer, place.head)[place.slot] = k_scale;
            page.scales_mut(place.layer, place.head)[PAGE_TOKENS + place.slot] = v_scale;
        }
    }
}

/// Values of a key from the head's value `first` on.
fn put_key<C: Cell>(page: &mut Page, place: Place, first: usize, key: impl Iterator<Item = C>) {
    let block_len = KEY_LANES * page.layout().head_dim;
    let block = place.slot / KEY_LANES * block_len..(place.slot / KEY_LANES + 1) * block_len;
    let block = &mut page.keys_mut(place.layer, place.head)[block];
    let start = first * KEY_LANES + place.slot % KEY_LANES;
    let lane = block[start..].iter_mut().step_by(KEY_LANES);
    lane.zip(key).for_each(|(to, x)| *to = x);
}

fn put_value<C: Cell>(page: &mut Page, place: Place, first: usize, value: impl Iterator<Item = C>) {
    let width = page.layout().value_width();
    let row = &mut page.values_mut(place.layer, place.head)[place.slot * width + first..];
    row.iter_mut().zip(value).for_each(|(to, x)| *to = x);
}

/// The largest number of its sign for an infinity.
fn finite(x: f16) -> f16 {
    if x.is_infinite() { f16::MAX.copysign(x) } else { x }
}

/// The scale that takes the largest of these values to 127; no more than what makes a finite number of 127.
fn scale_of(x: &[f32]) -> f32 {
    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    (largest / 127.0).min(f32::MAX / 128.0)
}

fn quantize(x: f32, scale: f32) -> i8 {
    /// Added to a float of less than 22 bits, it leaves no room for a fraction: rounds to nearest, ties to even.
    const ROUND: f32 = 12_582_912.0;
    if scale == 0.0 {
        return 0;
    }
    ((x / scale).clamp(-127.0, 127.0) + ROUND - ROUND) as i8
}

#[cfg(test)]
mod tests;
