//! hearth-plugin-sdk
