//! The broker from outside: over a vault in memory and an engine that answers by rule.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod clock;
mod engine;
mod floods;
mod fuzzed;
mod guests;
mod labels;
mod markup;
mod migration;
mod pairs;
mod panels;
mod personal;
mod reveals;
mod rows;
mod runs;
mod t0;
mod together;
mod traces;
mod world;
