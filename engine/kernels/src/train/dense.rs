//! Products of matrices of 32-bit floats, made for those of adapters: one factor has few columns or rows, the other many tokens.
//!
//! # Order of sums
//! Where the second factor lies in memory with its columns side by side, or can be brought to lie so by copying few numbers, a
//! sum takes its terms in order from zero, by fused multiply-add. Where both factors lie with the terms of a sum side by side,
//! lane `l` of 16 takes the terms `l`, `l + 16`, `l + 32`... in that order, and lanes are folded onto one another, 8 then 4 then
//! 2 then 1. Which of the two it is depends on shapes alone. Then comes `beta * out + alpha * sum`, three roundings.
use crate::scatter::Scatter;
use crate::simd::dispatch;
use crate::{Isa, ShapeError, Team};
use dots::Dots;
use outer::{Outer, Panels};
use std::borrow::Cow;

mod dots;
mod outer;

/// A matrix of 32-bit floats, row after row.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// Its numbers.
    pub data: &'a [f32],
    /// Rows, as it is stored.
    pub rows: usize,
    /// Numbers in a row, as it is stored.
    pub columns: usize,
    /// Whether its transpose is meant.
    pub transposed: bool,
}

/// `out = beta * out + alpha * a . b`; what `out` holds is not read where `beta` is 0.
///
/// # Errors
/// If sizes do not fit. Nothing has been written then.
pub fn product(
    team: &Team,
    alpha: f32,
    a: Dense<'_>,
    b: Dense<'_>,
    beta: f32,
    out: &mut [f32],
) -> Result<(), ShapeError> {
    product_on(Isa::detect(), team, [a, b], Scale { alpha, beta }, out)
}

/// Sums up to this long are not worth laying out anew for.
const FEW_TERMS: usize = 64;

/// What is done with a sum.
#[derive(Clone, Copy, Debug)]
struct Scale {
    alpha: f32,
    beta: f32,
}

/// The same on a given instruction set.
fn product_on(
    isa: Isa,
    team: &Team,
    [a, b]: [Dense<'_>; 2],
    scale: Scale,
    out: &mut [f32],
) -> Result<(), ShapeError> {
    let ((m, terms), (inner, n)) = (a.shape(), b.shape());
    check_len("the first factor", a.rows, a.columns, a.data.len())?;
    check_len("the second factor", b.rows, b.columns, b.data.len())?;
    check_len("the product's place", m, n, out.len())?;
    if terms != inner {
        let what = "a column of the second factor";
        return Err(ShapeError::Len { what, expected: terms, got: inner });
    }
    if out.is_empty() {
        return Ok(());
    }
    if terms > FEW_TERMS && !a.transposed {
        let b = b.stored(true);
        let (a, b) = (a.data, &b[..]);
        dots(isa, team, &Dots { a, b, terms, columns: n, scale }, out);
    } else if terms > FEW_TERMS && !b.transposed && n < m {
        // The transpose of the product, so that the few are broadcast and the many lie side by side.
        let mut transpose = vec![0.0; out.len()];
        let left = Dense { transposed: !b.transposed, ..b };
        let scale_later = Scale { alpha: 1.0, beta: 0.0 };
        outer(isa, team, left, a.data, scale_later, &mut transpose);
        for (i, row) in out.chunks_exact_mut(n).enumerate() {
            for (place, sum) in row.iter_mut().zip(transpose[i..].iter().step_by(m)) {
                *place = scale.of(*sum, place);
            }
        }
    } else {
        outer(isa, team, a, &b.stored(false), scale, out);
    }
    Ok(())
}

impl Scale {
    #[inline(always)]
    fn of(self, sum: f32, old: &f32) -> f32 {
        let new = self.alpha * sum;
        if self.beta == 0.0 { new } else { self.beta * old + new }
    }
}

impl<'a> Dense<'a> {
    fn shape(&self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }

    /// The numbers of the matrix stored in one order or the other, copied if they are not.
    fn stored(&self, transposed: bool) -> Cow<'a, [f32]> {
        if self.transposed == transposed {
            return Cow::Borrowed(self.data);
        }
        let mut copy = vec![0.0; self.data.len()];
        for (column, values) in copy.chunks_exact_mut(self.rows.max(1)).enumerate() {
            let stored = self.data[column..].iter().step_by(self.columns);
            values.iter_mut().zip(stored).for_each(|(value, stored)| *value = *stored);
        }
        Cow::Owned(copy)
    }
}

/// Products of rows with rows.
fn dots(isa: Isa, team: &Team, work: &Dots<'_>, out: &mut [f32]) {
    let rows_at_once = (WORK / (work.terms * work.columns)).next_multiple_of(dots::ROWS);
    team.rows_mut(out, work.columns, rows_at_once, &|first, out| {
        let a = &work.a[first * work.terms..][..out.len() / work.columns * work.terms];
        dispatch(isa, dots::Rows { work: Dots { a, ..*work }, out });
    });
}

/// Products of `a` with `b`, which is `(terms, columns)` as it lies.
fn outer(isa: Isa, team: &Team, a: Dense<'_>, b: &[f32], scale: Scale, out: &mut [f32]) {
    let (rows, terms) = a.shape();
    let columns = out.len() / rows;
    let height = dispatch(isa, outer::Height);
    let panels = pack(team, &a, height);
    let work = Outer { panels: &panels, b, terms, columns, scale };
    let width = if rows > 4 * height { columns } else { outer::STRIP };
    let strips = columns.div_ceil(width);
    let panels_at_once = (WORK / (height * width * terms.max(1))).max(1);
    let blocks = rows.div_ceil(height).div_ceil(panels_at_once);
    let out = Scatter::new(out);
    team.chunks(strips * blocks, 1, &|parts| {
        for part in parts {
            let first = part / strips * panels_at_once * height;
            let rows = first..rows.min(first + panels_at_once * height);
            let first = part % strips * width;
            let columns = first..columns.min(first + width);
            dispatch(isa, outer::Part { work: &work, rows, columns, out: &out });
        }
    });
}

/// Multiply-adds that a thread does at a time, about: some tens of microseconds.
const WORK: usize = 1 << 20;

/// Lays rows out in panels of `height` rows, `(terms, height)` each; zeros stand for rows that are missing.
fn pack(team: &Team, a: &Dense<'_>, height: usize) -> Panels {
    let (rows, terms) = a.shape();
    let mut data = vec![0.0; rows.next_multiple_of(height) * terms];
    let panel_len = height * terms;
    team.rows_mut(
        &mut data,
        panel_len.max(1),
        (WORK / 16).div_ceil(panel_len.max(1)),
        &|first, part| {
            for (panel, part) in part.chunks_exact_mut(panel_len).enumerate() {
                let first = (first + panel) * height;
                let count = height.min(rows - first);
                if a.transposed {
                    for (part, row) in
                        part.chunks_exact_mut(height).zip(a.data.chunks_exact(a.columns))
                    {
                        part[..count].copy_from_slice(&row[first..first + count]);
                    }
                } else {
                    for row in 0..count {
                        let values = &a.data[(first + row) * terms..][..terms];
                        let places = part[row..].iter_mut().step_by(height);
                        places.zip(values).for_each(|(place, value)| *place = *value);
                    }
                }
            }
        },
    );
    Panels { data, height }
}

fn check_len(
    what: &'static str,
    rows: usize,
    columns: usize,
    got: usize,
) -> Result<(), ShapeError> {
    if rows.checked_mul(columns) == Some(got) {
        return Ok(());
    }
    Err(ShapeError::Len { what, expected: rows.saturating_mul(columns), got })
}

#[cfg(test)]
mod tests;
