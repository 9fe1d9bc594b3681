//! hearth-wasm
