//! Fetching, from a server in a thread of the test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fetching;
mod server;
