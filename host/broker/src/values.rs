//! The dataflow graph behind the handles.

mod fault;
mod graph;
mod label;
mod peek;
mod promise;
mod prompt;
mod rows;

pub(crate) use fault::Fault;
pub(crate) use graph::{Kind, Node, NodeId, Op, Settings};
pub(crate) use label::Flow;
pub(crate) use peek::{Glance, Room, glance};
pub(crate) use promise::{Outcome, Value};
pub(crate) use prompt::{Piece, Template, Turn, engine_role, suits};
