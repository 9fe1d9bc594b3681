//! Measures the engine beside other engines on the same files, in one run, with the sides in turn.
//!
//! Every figure comes from a process of its own, started fresh for each round: the other engines' programs are given by
//! their paths, and ours is this program again, with a hidden sub-command. What is printed says what it ran against, and
//! a side that is not given is said to be left out. It must never be needed to build, test or use the program.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod figures;
mod jobs;
mod machine;
mod model;
mod peer;
mod plan;
mod process;
mod report;
mod side;
mod subject;
mod tables;
mod texts;
mod tune;

pub use error::BenchError;
pub use plan::{Peers, Plan};
pub use report::{Report, Table};
pub use subject::{SubjectOptions, run as run_subject};
pub use tables::{Subcommand, run};
pub use tune::{TunePlan, TuneTable, run_tune, run_tune_subject};
