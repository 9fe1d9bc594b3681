//! The broker from outside: over a vault in memory and an engine that answers by rule.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod floods;
mod guests;
mod labels;
mod panels;
mod personal;
mod runs;
mod t0;
mod together;
mod traces;
mod world;
