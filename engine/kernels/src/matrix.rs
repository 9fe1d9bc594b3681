//! A matrix of weights as it lies in a file.
use crate::Bytes;
use crate::format::Format;
use std::ops::Range;

/// A matrix `(rows, columns)` exactly as it lies in a GGUF or safetensors file, row after row, at any alignment. A product with
/// it takes vectors of `columns` numbers to vectors of `rows`. Cheap to clone: the bytes are shared.
#[derive(Clone, Debug)]
pub struct Matrix {
    bytes: Bytes,
    format: Format,
    rows: usize,
    columns: usize,
    row_bytes: usize,
}

/// Sizes that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A row must be whole blocks.
    #[error(
        "a row of {columns} numbers is no whole number of blocks of {block}, as {format:?} needs"
    )]
    Columns {
        /// The layout asked for.
        format: Format,
        /// Numbers in a row.
        columns: usize,
        /// Numbers in a block of the layout.
        block: usize,
    },
    /// The matrix's bytes are not those of its shape.
    #[error("a matrix of {rows} x {columns} in {format:?} does not lie in {got} bytes")]
    Bytes {
        /// The layout asked for.
        format: Format,
        /// Rows asked for.
        rows: usize,
        /// Numbers in a row.
        columns: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The activations do not have the matrix's columns.
    #[error("the matrix has {expected} columns, the activations {got}")]
    Activations {
        /// Columns of the matrix.
        expected: usize,
        /// Columns of the activations.
        got: usize,
    },
    /// The activations were loaded without the form this matrix needs.
    #[error(
        "the activations were loaded without the form that {format:?} needs; name the matrix in `Forms::of`"
    )]
    Form {
        /// The layout of the matrix.
        format: Format,
    },
    /// A slice has not the length that the shapes ask for.
    #[error("{what} has {got} numbers where {expected} are needed")]
    Len {
        /// What the slice is.
        what: &'static str,
        /// The length needed.
        expected: usize,
        /// Its length.
        got: usize,
    },
}

impl Matrix {
    /// A matrix over bytes.
    ///
    /// # Errors
    /// If `columns` is 0 or no multiple of the format's block, or the bytes are not exactly those of the matrix.
    pub fn new(
        bytes: Bytes,
        format: Format,
        rows: usize,
        columns: usize,
    ) -> Result<Self, ShapeError> {
        let row_bytes = format
            .row_bytes(columns)
            .filter(|_| columns > 0)
            .ok_or(ShapeError::Columns { format, columns, block: format.block_len() })?;
        if row_bytes.checked_mul(rows) != Some(bytes.len()) {
            return Err(ShapeError::Bytes { format, rows, columns, got: bytes.len() });
        }
        Ok(Self { bytes, format, rows, columns, row_bytes })
    }

    /// Numbers that come out of a product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers that go into a product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How the numbers lie.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of the whole matrix.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes it lies in.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A part of the rows, such as one of several matrices that a file holds as one; `None` if there are not that many.
    pub fn rows_range(&self, rows: Range<usize>) -> Option<Self> {
        if rows.start > rows.end || rows.end > self.rows {
            return None;
        }
        let bytes = self.bytes.slice(rows.start * self.row_bytes..rows.end * self.row_bytes)?;
        Some(Self { bytes, rows: rows.len(), ..self.clone() })
    }

    /// One row as floats.
    ///
    /// # Errors
    /// If there is no such row, or `out` is not as long as a row.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) -> Result<(), ShapeError> {
        if out.len() != self.columns {
            return Err(ShapeError::Len {
                what: "the row's place",
                expected: self.columns,
                got: out.len(),
            });
        }
        if row >= self.rows {
            return Err(ShapeError::Len {
                what: "the matrix, in rows,",
                expected: row + 1,
                got: self.rows,
            });
        }
        self.format.dequantize(&self.bytes[row * self.row_bytes..][..self.row_bytes], out);
        Ok(())
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        let bytes = |len| Bytes::from_vec(vec![0; len]);
        assert!(Matrix::new(bytes(2 * 144), Format::Q4K, 2, 256).is_ok());
        assert!(matches!(
            Matrix::new(bytes(144), Format::Q4K, 1, 128),
            Err(ShapeError::Columns { .. })
        ));
        assert!(matches!(
            Matrix::new(bytes(0), Format::F32, 1, 0),
            Err(ShapeError::Columns { .. })
        ));
        assert!(matches!(
            Matrix::new(bytes(145), Format::Q4K, 1, 256),
            Err(ShapeError::Bytes { .. })
        ));
        assert!(matches!(
            Matrix::new(bytes(16), Format::F32, usize::MAX / 2, 4),
            Err(ShapeError::Bytes { .. })
        ));
        assert!(matches!(
            Matrix::new(bytes(16), Format::F32, 1, usize::MAX / 2),
            Err(ShapeError::Columns { .. })
        ));
    }

    #[test]
    fn a_range_of_rows_is_a_matrix_of_its_own() {
        let numbers: Vec<u8> = (0..12_u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let matrix = Matrix::new(Bytes::from_vec(numbers), Format::F32, 4, 3).unwrap();
        let part = matrix.rows_range(1..3).unwrap();
        let mut row = [0.0; 3];
        part.dequantize_row(1, &mut row).unwrap();
        assert_eq!((part.rows(), row), (2, [6.0, 7.0, 8.0]));
        assert!(part.dequantize_row(2, &mut row).is_err());
        assert!(part.dequantize_row(0, &mut row[..2]).is_err());
        assert!(matrix.rows_range(2..5).is_none());
    }
}
