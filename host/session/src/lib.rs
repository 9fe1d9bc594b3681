//! hearth-session
