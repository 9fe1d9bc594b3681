//! Arithmetic of training: products with frozen weights forwards and backwards, and small products of what is trained.
//!
//! Everything takes and gives 32-bit floats, rows one after the other. Each number is added up in one order, whatever the
//! number of threads: the same inputs give the same bits on one processor.
mod dense;
mod frozen;

pub use dense::{Dense, product};
pub use frozen::{Frozen, Precision};
