//! The host's side of plugins against real and lying programs, and real and hostile guests.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod artefacts;
mod calls;
mod confined;
mod first_party;
mod guest;
mod hostile;
mod inspection;
mod lying;
mod programs;
