//! Arithmetic of training: products with frozen weights forwards and backwards, and small products of what is trained.
//!
//! Everything takes and gives 32-bit floats, rows one after the other. Each number is added up in one order, whatever the
//! number of threads: the same inputs give the same bits on one processor.
mod attention;
mod cross_entropy;
mod dense;
mod frozen;
mod gates;
mod norm;

pub use crate::ops::rope_back;
pub use attention::{Attended, Qkv, QkvGradients, attention, attention_back};
pub use cross_entropy::cross_entropy;
pub use dense::{Dense, product};
pub use frozen::{Frozen, Precision};
pub use gates::{geglu_tanh_back, softcap_back, swiglu_back};
pub use norm::{rms_norm_back, rms_norm_heads_back};

#[cfg(test)]
mod tests;
