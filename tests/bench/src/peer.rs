//! Other engines' programs.

pub(crate) mod llama_bench;
#[cfg(unix)]
pub(crate) mod llama_server;
#[cfg(not(unix))]
#[path = "peer/no_server.rs"]
pub(crate) mod llama_server;
