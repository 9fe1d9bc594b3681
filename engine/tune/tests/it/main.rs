//! The tuner with a small real model, where there is test data.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say what they skip and what they measured, and stop where something is wrong"
)]

mod against_peft;
mod data;
mod interrupted;
mod learns;
mod small;
