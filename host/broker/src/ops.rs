//! The only functions that touch the vault or the model for a run. Each takes a permit for exactly what it does.

pub(crate) mod documents;
pub(crate) mod gate;
pub(crate) mod model;
pub(crate) mod storage;
pub(crate) mod threads;
