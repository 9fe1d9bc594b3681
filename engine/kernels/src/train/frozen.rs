//! Products with frozen weights, forwards and backwards.
use crate::{Matrix, Product, ShapeError, Team};
use half::bf16;

/// What operands of products are rounded to. Sums are 32-bit floats either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not rounded at all.
    F32,
    /// To bfloat16, to the nearest and ties to even. Fast where the processor has dot products of them.
    Bf16,
}

impl Precision {
    fn round(self, x: f32) -> f32 {
        match self {
            Self::F32 => x,
            Self::Bf16 => bf16::from_f32(x).to_f32(),
        }
    }
}

/// Products with frozen weights as they lie in a model's file.
#[derive(Debug)]
pub struct Frozen {
    precision: Precision,
}

impl Frozen {
    /// Takes no memory yet.
    pub fn new(precision: Precision) -> Self {
        Self { precision }
    }

    /// Products of `x`, `(tokens, columns)`, with the transposes of some matrices of as many columns.
    ///
    /// # Errors
    /// If sizes do not fit. Nothing has been written then.
    pub fn forward(
        &mut self,
        _team: &Team,
        x: &[f32],
        products: &mut [Product<'_>],
    ) -> Result<(), ShapeError> {
        for product in &*products {
            let columns = product.matrix.columns();
            if !x.len().is_multiple_of(columns) {
                return Err(ShapeError::Activations { expected: columns, got: x.len() });
            }
            check(
                "the product's place",
                x.len() / columns,
                product.matrix.rows(),
                product.out.len(),
            )?;
        }
        for product in products {
            let matrix = product.matrix;
            let mut row = vec![0.0; matrix.columns()];
            for r in 0..matrix.rows() {
                matrix.dequantize_row(r, &mut row)?;
                row.iter_mut().for_each(|w| *w = self.precision.round(*w));
                for (t, x) in x.chunks_exact(matrix.columns()).enumerate() {
                    let sum: f32 =
                        x.iter().zip(&row).map(|(x, w)| self.precision.round(*x) * w).sum();
                    let place = &mut product.out[t * matrix.rows() + r];
                    *place = if product.add { *place + sum } else { sum };
                }
            }
        }
        Ok(())
    }

    /// The sum of products of gradients, `(tokens, rows)` each, with their matrices, all of as many columns.
    ///
    /// # Errors
    /// If sizes do not fit. Nothing has been written then.
    pub fn backward(
        &mut self,
        _team: &Team,
        gradients: &[(&Matrix, &[f32])],
        dx: &mut [f32],
        add: bool,
    ) -> Result<(), ShapeError> {
        for (matrix, dy) in gradients {
            let columns = matrix.columns();
            if !dx.len().is_multiple_of(columns) {
                return Err(ShapeError::Activations { expected: columns, got: dx.len() });
            }
            check("the gradient", dx.len() / columns, matrix.rows(), dy.len())?;
        }
        if !add {
            dx.fill(0.0);
        }
        for (matrix, dy) in gradients {
            let mut row = vec![0.0; matrix.columns()];
            for r in 0..matrix.rows() {
                matrix.dequantize_row(r, &mut row)?;
                row.iter_mut().for_each(|w| *w = self.precision.round(*w));
                for (t, dx) in dx.chunks_exact_mut(matrix.columns()).enumerate() {
                    let dy = self.precision.round(dy[t * matrix.rows() + r]);
                    for (dx, w) in dx.iter_mut().zip(&row) {
                        *dx += dy * w;
                    }
                }
            }
        }
        Ok(())
    }
}

fn check(what: &'static str, tokens: usize, rows: usize, got: usize) -> Result<(), ShapeError> {
    if tokens.checked_mul(rows) == Some(got) {
        return Ok(());
    }
    Err(ShapeError::Len { what, expected: tokens.saturating_mul(rows), got })
}
