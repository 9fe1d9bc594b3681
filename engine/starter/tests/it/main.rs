//! From a checkpoint to the model file that the program serves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod shipped;
mod tiny;
