//! hearth-starter
