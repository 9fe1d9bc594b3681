//! Products of matrices with activations, canonical for each row and token.
//!
//! * Long blocks, in order of the row: with `I1 = sum scale_j * (q . a)_j` and `I2 = sum min_j * (sum of a)_j` over the parts of
//!   a block, both exact integers, `acc = fma(d * da, I1, acc)` and, in formats with mins, `acc = fma(-(dmin * da), I2, acc)`.
//! * Short blocks, in order of the row: `acc = fma(d * da, q . a, acc)` and, in formats with mins, `acc = fma(m * da, sum of a,
//!   acc)`.
//! * Floats: 16 lanes, lane `l` adds up the columns `l`, `l + 16`, `l + 32`... in that order by fused multiply-add (by multiply
//!   and add in [`Isa::Portable`]); then lanes `l` and `l + 8` are added, `l` and `l + 4`, `l` and `l + 2`, `l` and `l + 1`.
//!
//! So products with integer formats are the same to the bit in every instruction set.
use crate::activations::Activations;
use crate::format::Kind;
use crate::matrix::{Matrix, ShapeError};
use crate::scatter::Scatter;
use crate::{Isa, Team};
use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod scratch;

use scratch::Scratch;

/// Rows that kernels take at a time.
pub(crate) const PANEL: usize = 16;

/// Lanes that products of floats are added up in.
const LANES: usize = 16;

/// Bytes of weights handed to a thread at a time, about.
const CHUNK_BYTES: usize = 128 * 1024;

/// Chunks that every thread should get at the least, so that none waits long for the last.
const CHUNKS_PER_THREAD: usize = 6;

/// Products that make one piece of work; more are done one piece after another.
const AT_ONCE: usize = 8;

/// One matrix to multiply with, and where the result goes.
#[derive(Debug)]
pub struct Product<'a> {
    /// The weights, `(rows, columns)`.
    pub matrix: &'a Matrix,
    /// The result, `(tokens, rows)`.
    pub out: &'a mut [f32],
    /// Whether the result is added to what `out` holds.
    pub add: bool,
}

/// Multiplies activations with some matrices that all take the same columns, as one piece of work of the team.
///
/// # Errors
/// If sizes do not fit, or a form of the activations is missing. Nothing has been written then.
pub fn matmul(
    team: &Team,
    x: &Activations,
    products: &mut [Product<'_>],
) -> Result<(), ShapeError> {
    matmul_on(Isa::detect(), team, x, products)
}

/// The same on a given instruction set, which this processor must have.
pub(crate) fn matmul_on(
    isa: Isa,
    team: &Team,
    x: &Activations,
    products: &mut [Product<'_>],
) -> Result<(), ShapeError> {
    assert!(isa.is_available(), "{isa:?} is not available");
    for product in &*products {
        check(x, product)?;
    }
    if x.tokens() == 0 {
        return Ok(());
    }
    for products in products.chunks_mut(AT_ONCE) {
        compute(isa, team, x, products);
    }
    Ok(())
}

/// At most [`AT_ONCE`] products, as one piece of work.
fn compute(isa: Isa, team: &Team, x: &Activations, products: &mut [Product<'_>]) {
    let mut products = products.iter_mut();
    let work: [Option<Work<'_>>; AT_ONCE] = std::array::from_fn(|_| {
        products.next().map(|product| Work::new(product, x.tokens(), team.threads()))
    });
    let chunks: usize = work.iter().flatten().map(|work| work.chunks).sum();
    let next = AtomicUsize::new(0);
    let worker = |_| {
        let mut scratch = SCRATCH.take().unwrap_or_default();
        // The chunk after the present one is claimed early, so that its first bytes can be fetched meanwhile.
        let claim = || Chunk::find(&work, next.fetch_add(1, Ordering::Relaxed));
        let mut upcoming = claim();
        while let Some(chunk) = upcoming {
            upcoming = claim();
            chunk.compute(isa, x, upcoming.as_ref().map(Chunk::start), &mut scratch);
        }
        SCRATCH.set(Some(scratch));
    };
    if chunks == 1 { worker(0) } else { team.run(&worker) }
}

thread_local! {
    /// None while it is in use: an empty one is not made for that time.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

fn check(x: &Activations, product: &Product<'_>) -> Result<(), ShapeError> {
    let matrix = product.matrix;
    if matrix.columns() != x.columns() {
        return Err(ShapeError::Activations { expected: matrix.columns(), got: x.columns() });
    }
    if !x.has(matrix.format().kind()) {
        return Err(ShapeError::Form { format: matrix.format() });
    }
    if x.tokens().checked_mul(matrix.rows()) != Some(product.out.len()) {
        return Err(ShapeError::Len {
            what: "the product's place",
            expected: x.tokens().saturating_mul(matrix.rows()),
            got: product.out.len(),
        });
    }
    Ok(())
}

/// One product, divided into chunks of whole panels.
struct Work<'a> {
    matrix: &'a Matrix,
    out: Scatter<'a, f32>,
    add: bool,
    rows_per_chunk: usize,
    chunks: usize,
}

impl<'a> Work<'a> {
    fn new(product: &'a mut Product<'_>, tokens: usize, threads: usize) -> Self {
        let matrix = product.matrix;
        let panels = matrix.rows().div_ceil(PANEL);
        let by_bytes = CHUNK_BYTES / (PANEL * matrix.row_bytes());
        let by_threads = panels / (threads * CHUNKS_PER_THREAD);
        // Several tokens: the kernels take two panels at a time.
        let least = if tokens > 1 { 2 } else { 1 };
        let rows_per_chunk = PANEL * by_bytes.min(by_threads).next_multiple_of(least).max(least);
        Self {
            matrix,
            out: Scatter::new(product.out),
            add: product.add,
            rows_per_chunk,
            chunks: matrix.rows().div_ceil(rows_per_chunk),
        }
    }
}

/// Some rows of one product.
struct Chunk<'a> {
    work: &'a Work<'a>,
    rows: Range<usize>,
}

impl<'a> Chunk<'a> {
    fn find(work: &'a [Option<Work<'a>>], mut nth: usize) -> Option<Self> {
        for work in work.iter().flatten() {
            if nth < work.chunks {
                let first = nth * work.rows_per_chunk;
                let rows = first..work.matrix.rows().min(first + work.rows_per_chunk);
                return Some(Self { work, rows });
            }
            nth -= work.chunks;
        }
        None
    }

    /// Where its weights start.
    fn start(&self) -> *const u8 {
        self.weights().as_ptr()
    }

    fn weights(&self) -> &'a [u8] {
        let row_bytes = self.work.matrix.row_bytes();
        &self.work.matrix.bytes()[self.rows.start * row_bytes..self.rows.end * row_bytes]
    }

    fn compute(
        self,
        isa: Isa,
        x: &Activations,
        upcoming: Option<*const u8>,
        scratch: &mut Scratch,
    ) {
        let matrix = self.work.matrix;
        let weights = Weights { matrix, bytes: self.weights(), upcoming };
        let mut out = Rows {
            out: &self.work.out,
            stride: matrix.rows(),
            rows: self.rows,
            add: self.work.add,
        };
        match isa {
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "compiled for an instruction set that not every processor has"
            )]
            // SAFETY: `matmul_on` has checked that the instruction set is available.
            Isa::Avx512 => unsafe { avx512::rows(&weights, x, &mut out, scratch) },
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "compiled for an instruction set that not every processor has"
            )]
            // SAFETY: `matmul_on` has checked that the instruction set is available.
            Isa::Avx2 => unsafe { avx2::rows(&weights, x, &mut out, scratch) },
            _ => portable::rows(portable::Plain, &weights, x, &mut out, scratch),
        }
    }
}

/// The weights of a chunk.
struct Weights<'a> {
    matrix: &'a Matrix,
    /// Of the rows of the chunk.
    bytes: &'a [u8],
    /// Where this thread will read next.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "no path there asks ahead")
    )]
    upcoming: Option<*const u8>,
}

impl Weights<'_> {
    fn kind(&self) -> Kind {
        self.matrix.format().kind()
    }
}

/// The places of some rows' results, for every token. Only one thread at a time has those of a row.
struct Rows<'a> {
    out: &'a Scatter<'a, f32>,
    stride: usize,
    rows: Range<usize>,
    add: bool,
}

impl Rows<'_> {
    /// Results of consecutive rows for one token; `row` counts from the chunk's first.
    #[inline]
    fn put(&mut self, token: usize, row: usize, values: &[f32]) {
        let first = self.rows.start + row;
        assert!(first + values.len() <= self.rows.end, "a result outside the chunk");
        let start = token * self.stride + first;
        #[expect(unsafe_code, reason = "columns of one slice are written by several threads")]
        // SAFETY: every chunk of rows is handed out once, results stay within its rows as was just checked, and the part ends
        // before this function does, so no two parts overlap.
        let part = unsafe { self.out.slice(start..start + values.len()) };
        if self.add {
            for (place, value) in part.iter_mut().zip(values) {
                *place += value;
            }
        } else {
            part.copy_from_slice(values);
        }
    }
}

/// Lanes of sums of floats to one number, always in this order.
fn add_lanes(mut lanes: [f32; LANES]) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

#[cfg(test)]
pub(crate) mod tests;
