//! Activations in the forms that products need: integers of 8 bits for quantised weights, floats for float weights.
use crate::format::{Kind, LONG, SHORT};
use crate::matrix::{Matrix, ShapeError};
use crate::{Isa, Team};

mod quantize;

/// Short blocks that are kept together, so that both kinds come in groups of 256 numbers.
pub(crate) const GROUP: usize = LONG / SHORT;

/// Below this many numbers the team is not troubled.
const SERIAL: usize = 8 * 1024;

/// Which forms of the activations a set of matrices needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    float: bool,
    short: bool,
    long: bool,
}

impl Forms {
    /// The forms that products with these matrices need.
    pub fn of<'a>(matrices: impl IntoIterator<Item = &'a Matrix>) -> Self {
        let mut forms = Self::default();
        for matrix in matrices {
            match matrix.format().kind() {
                Kind::Float => forms.float = true,
                Kind::Short => forms.short = true,
                Kind::Long => forms.long = true,
            }
        }
        forms
    }

    /// The forms that this or that set needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            float: self.float || other.float,
            short: self.short || other.short,
            long: self.long || other.long,
        }
    }

    fn has(self, kind: Kind) -> bool {
        match kind {
            Kind::Float => self.float,
            Kind::Short => self.short,
            Kind::Long => self.long,
        }
    }
}

/// 256 numbers of one token for long blocks: number `i` is about `scale * q[i]`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct LongActivation {
    pub(crate) q: [i8; LONG],
    /// Sums of `q` by 16.
    pub(crate) sums: [i32; 16],
    /// The same in the order 0 2, 1 3, 4 6, 5 7 and so on, in which mins of four bits come out of a block.
    pub(crate) pairs16: [i16; 16],
    /// Sums of `q` by 32, in the same order.
    pub(crate) pairs32: [i16; 8],
    pub(crate) scale: f32,
}

/// 8 blocks of 32 numbers of one token for short blocks: number `i` of block `b` is about `scales[b] * q[32 * b + i]`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct ShortActivation {
    pub(crate) q: [i8; LONG],
    pub(crate) scales: [f32; GROUP],
    pub(crate) sums: [i32; GROUP],
}

/// Activations of some tokens, turned once into what products need. Buffers are kept for the next load.
///
/// Integers are `round(x * 127 / amax)` (ties to even) with one scale `amax / 127` for each 256 numbers (long blocks) or 32
/// (short ones), `amax` being the largest magnitude among them. If one of them is not finite, the scale is not finite either,
/// so that products are not.
#[derive(Default)]
pub struct Activations {
    tokens: usize,
    columns: usize,
    forms: Forms,
    /// (tokens, columns)
    float: Vec<f32>,
    /// (groups of 256 columns, tokens)
    short: Vec<ShortActivation>,
    /// (groups of 256 columns, tokens)
    long: Vec<LongActivation>,
}

impl Activations {
    /// Takes in `x` `(tokens, columns)` in the forms named. A form in which `columns` makes no whole blocks is left out: no
    /// matrix of such blocks has that many columns.
    ///
    /// # Errors
    /// If `x` is no whole number of rows.
    pub fn load(
        &mut self,
        team: &Team,
        x: &[f32],
        columns: usize,
        forms: Forms,
    ) -> Result<(), ShapeError> {
        self.load_on(Isa::detect(), team, x, columns, forms)
    }

    pub(crate) fn load_on(
        &mut self,
        isa: Isa,
        team: &Team,
        x: &[f32],
        columns: usize,
        forms: Forms,
    ) -> Result<(), ShapeError> {
        if columns == 0 || !x.len().is_multiple_of(columns) {
            let expected = x.len().next_multiple_of(columns.max(1));
            return Err(ShapeError::Len { what: "the activations", expected, got: x.len() });
        }
        let short = forms.short && columns.is_multiple_of(SHORT);
        let long = forms.long && columns.is_multiple_of(LONG);
        self.tokens = x.len() / columns;
        self.columns = columns;
        self.forms = Forms { float: forms.float, short, long };
        if forms.float {
            self.float.clear();
            self.float.extend_from_slice(x);
        }
        let tokens = self.tokens;
        let groups_per_chunk =
            if x.len() <= SERIAL { usize::MAX } else { (SERIAL / 4 / (LONG * tokens)).max(1) };
        if short {
            self.short.resize(columns.div_ceil(LONG) * tokens, ShortActivation::ZERO);
            team.rows_mut(&mut self.short, tokens, groups_per_chunk, &|first, groups| {
                for (i, out) in groups.iter_mut().enumerate() {
                    let (group, token) = (first + i / tokens, i % tokens);
                    let row = &x[token * columns..][..columns];
                    quantize::short(isa, &row[group * LONG..columns.min((group + 1) * LONG)], out);
                }
            });
        }
        if long {
            self.long.resize(columns / LONG * tokens, LongActivation::ZERO);
            team.rows_mut(&mut self.long, tokens, groups_per_chunk, &|first, groups| {
                for (i, out) in groups.iter_mut().enumerate() {
                    let (group, token) = (first + i / tokens, i % tokens);
                    let row = x[token * columns..][..columns].as_chunks::<LONG>().0;
                    quantize::long(isa, &row[group], out);
                }
            });
        }
        Ok(())
    }

    /// Tokens taken in.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Numbers of a token.
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.forms.has(kind)
    }

    pub(crate) fn float(&self) -> &[f32] {
        &self.float
    }

    pub(crate) fn short(&self) -> &[ShortActivation] {
        &self.short
    }

    pub(crate) fn long(&self) -> &[LongActivation] {
        &self.long
    }
}

impl LongActivation {
    const ZERO: Self =
        Self { q: [0; LONG], sums: [0; 16], pairs16: [0; 16], pairs32: [0; 8], scale: 0.0 };
}

impl ShortActivation {
    const ZERO: Self = Self { q: [0; LONG], scales: [0.0; GROUP], sums: [0; GROUP] };
}

impl std::fmt::Debug for Activations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Activations")
            .field("tokens", &self.tokens)
            .field("columns", &self.columns)
            .field("forms", &self.forms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
