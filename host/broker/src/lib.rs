//! hearth-broker
