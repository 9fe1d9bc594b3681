//! Training data from the vault: a query over what the user keeps, turned into examples by a template.
//!
//! [`build`] reads the documents that a [`Recipe`] names one at a time, makes examples of them, leaves out what says
//! the same as another, and holds some back by document and thread. Its [`Report`] counts whatever was left out, and
//! why. [`jsonl`] reads and writes the common files of examples; [`audit`] has the secrets that measure
//! what a model learnt by heart.
//!
//! It reads the vault and writes nothing: what it makes stays in memory. It never runs a model. It must never
//! - leave something out, or cut it short, without a count of it;
//! - put one document on both sides of the split;
//! - make an example without naming every document whose words are in it.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod build;
mod dataset;
mod error;
mod mail;
mod notes;
mod people;
mod recipe;
mod report;
mod split;
mod template;

pub mod audit;
#[cfg(feature = "invented")]
pub mod invented;
pub mod jsonl;

pub use build::{MAX_TEXT_BYTES, build};
pub use dataset::{Dataset, KeptExamples, Sample};
pub use error::DatasetError;
pub use recipe::{Conversations, Recipe, SourceFilter, Template};
pub use report::{FolderReport, LeftOut, Report};
