//! hearth-plugin-code-helper
