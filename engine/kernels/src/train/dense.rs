//! Products of small matrices of 32-bit floats.
use crate::{ShapeError, Team};

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

impl Dense<'_> {
    fn shape(&self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        let (row, column) = if self.transposed { (column, row) } else { (row, column) };
        self.data[row * self.columns + column]
    }
}

/// `out = beta * out + alpha * a . b`; what `out` holds is not read where `beta` is 0.
///
/// # Errors
/// If sizes do not fit. Nothing has been written then.
pub fn product(
    _team: &Team,
    alpha: f32,
    a: Dense<'_>,
    b: Dense<'_>,
    beta: f32,
    out: &mut [f32],
) -> Result<(), ShapeError> {
    let ((m, k), (inner, n)) = (a.shape(), b.shape());
    len("the first factor", a.rows, a.columns, a.data.len())?;
    len("the second factor", b.rows, b.columns, b.data.len())?;
    len("the product's place", m, n, out.len())?;
    if k != inner {
        return Err(ShapeError::Len {
            what: "a column of the second factor",
            expected: k,
            got: inner,
        });
    }
    for i in 0..m {
        for j in 0..n {
            let sum: f32 = (0..k).map(|k| a.at(i, k) * b.at(k, j)).sum();
            let place = &mut out[i * n + j];
            *place = if beta == 0.0 { alpha * sum } else { beta * *place + alpha * sum };
        }
    }
    Ok(())
}

fn len(what: &'static str, rows: usize, columns: usize, got: usize) -> Result<(), ShapeError> {
    if rows.checked_mul(columns) == Some(got) {
        return Ok(());
    }
    Err(ShapeError::Len { what, expected: rows.saturating_mul(columns), got })
}
