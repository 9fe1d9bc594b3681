//! hearth-vault
