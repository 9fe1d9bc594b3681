//! hearth-gate
