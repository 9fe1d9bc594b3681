//! hearth-tidy
