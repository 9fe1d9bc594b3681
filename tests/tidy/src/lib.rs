//! The house rules as tests: see `tests/tidy.rs` of this package.
