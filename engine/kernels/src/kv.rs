//! Keys and values of the positions a sequence holds, in pages that sequences may share.
//!
//! A page has [`PAGE_TOKENS`] positions of all layers. Sequences hold pages by `Arc`: a common head of many prompts is stored
//! once, and a page is copied only when one of its holders writes to it.
use crate::Isa;
use crate::simd::dispatch;
use std::sync::Arc;

mod page;
mod store;
pub use page::Page;
pub(crate) use page::{Cell, KEY_LANES};
use store::Store;

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

    /// A sequence that starts with `tokens` positions computed for another one. `None` unless the pages are of this layout and
    /// as many as these positions need. What the last one holds beyond them is not looked at.
    pub fn from_pages(layout: &KvLayout, pages: Vec<Arc<Page>>, tokens: usize) -> Option<Self> {
        let enough = pages.len() == layout.pages_for(tokens);
        let fits = pages.iter().all(|page| page.layout() == layout);
        (enough && fits).then_some(Self { layout: *layout, pages, tokens })
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
            let slot = position % PAGE_TOKENS;
            dispatch(Isa::detect(), Store { page, layer, slot, k, v });
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

#[cfg(test)]
mod tests;
