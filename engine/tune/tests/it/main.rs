//! The tuner with a small real model, where there is test data.
#![expect(clippy::print_stdout, reason = "tests say what they skip and what they measured")]

mod against_peft;
mod data;
mod interrupted;
mod learns;
mod small;
