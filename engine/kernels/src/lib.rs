//! Arithmetic of inference on the processor: products with quantised matrices as they lie in a model's file, attention over
//! paged keys and values, norms and the like, on a team of threads. And of training, in [`train`].
//!
//! It knows no model, no tokenizer and no file format beyond the layout of a tensor's blocks. All `unsafe` code of the engine
//! stands here, behind safe functions that check shapes.
//!
//! # Canonical arithmetic
//! What comes out for one row of weights and one token is bitwise the same whatever else is computed with it: however many
//! tokens a call has, however a prompt was cut into calls, however many threads run. Integers are summed exactly, and floats
//! are combined in one order per instruction set. Batching, reuse of prefixes and speculation are exact because of it.
#![deny(missing_docs)]

mod activations;
mod attention;
mod bytes;
mod format;
mod isa;
mod kv;
mod limits;
mod lora;
mod matrix;
mod ops;
mod product;
mod scatter;
mod simd;
mod team;
pub mod train;

pub use activations::{Activations, Forms};
pub use attention::{AttentionConfig, Segment, attention};
pub use bytes::Bytes;
pub use format::Format;
pub use isa::Isa;
pub use kv::{KvFormat, KvLayout, PAGE_TOKENS, Page, Sequence};
pub use limits::{bf16_dot_product_rate, dot_product_rate, multiply_add_rate, read_bandwidth};
pub use lora::{LowRank, LowRankFormat, LowRankPart, LowRankProduct, LowRankRow, add_low_rank};
pub use matrix::{Matrix, ShapeError};
pub use ops::{
    Rope, RopeLayout, add, geglu_tanh, rms_norm, rms_norm_heads, rope, scale, softcap, swiglu,
};
pub use product::{Product, matmul};
pub use team::Team;
