//! hearth-base
