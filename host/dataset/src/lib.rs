//! Training data from the vault: a query over what the user keeps, turned into examples by a template.
//!
//! It reads the vault and writes nothing; what it makes stays in memory. It never runs a model.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
