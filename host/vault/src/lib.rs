//! The vault: everything private that Hearth keeps, in one encrypted database.
//!
//! A vault is a directory ([`VaultDir`]). It holds `hearth.db`, a SQLCipher database under a random 256-bit key;
//! `key.age`, that key in an age file locked by the user's passphrase (scrypt); `vault.lock`, held while the vault is
//! open; and folders for plugins, compiled artefacts and adapters. Unlocking gives a [`Vault`], which reads and writes
//! documents, conversations, plugin records, models, training runs and adapters, and imports mail and files. Locking drops
//! every key.
//!
//! It defends against whoever gets hold of the disk, a backup or a stolen machine that is switched off. It must never
//! - write a plaintext byte of the user's to a file: no temp file, no plaintext journal, no index outside the database;
//! - put private text or a key into an error, a `Debug` output or a log line;
//! - hand out the database key, or keep the passphrase;
//! - lose a part of an imported message without saying so.
//!
//! ```
//! use hearth_vault::{DocumentQuery, Vault};
//! let vault = Vault::in_memory()?;
//! let talk = vault.new_conversation("Plans")?;
//! assert!(vault.turns(talk)?.is_empty());
//! assert_eq!(vault.documents(&DocumentQuery::default())?.total, 0);
//! # Ok::<(), hearth_vault::StoreError>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod accounts;
mod adapters;
mod blobs;
mod conversations;
mod database;
mod datasets;
mod documents;
mod error;
mod hidden;
mod import;
mod key;
mod lineage;
mod models;
mod plugins;
mod runs;
mod schedules;
mod sources;
mod unlock;
mod usage;
mod vault;

// Opening.
pub use unlock::{Passphrase, VaultDir};
pub use vault::Vault;

// What it holds.
pub use conversations::{
    CallState, ChatTurn, ConversationHead, NewTurn, Rating, Speaker, ToolCall,
};
pub use documents::{
    AttachmentHead, Document, DocumentHead, DocumentKind, DocumentQuery, DocumentSelection, Folder,
    NewSaved, Order, Page,
};
pub use models::ModelRecord;
pub use plugins::{
    AuditRow, Binding, Heritage, Installation, Kept, PluginRecord, PluginVersion, Provenance,
    PublisherRecord,
};

// What plugins do by themselves and for the chat, and what it takes.
pub use schedules::{ScheduleRecord, ToolMode};
pub use usage::{DayUsage, PluginUsage, RunUsage};

// What plugins have learnt.
pub use accounts::{AccountKey, AccountKind, Settlement};
pub use lineage::Sources;

// Fine-tuning.
pub use adapters::{AdapterBytes, AdapterChoice, AdapterRecord, NewAdapter};
pub use datasets::{DatasetRecord, ExampleTextRecord};
pub use runs::{KeptCheckpoint, NewTuneRun, RunState, TuneRunRecord, TuneStep};
pub use sources::{LearntFrom, SourceChange};

// Import.
pub use import::{ImportEntry, ImportProgress, ImportReport, ImportState, check};

// Errors, one enum a family of operations.
pub use error::{ImportError, StoreError, UnlockError, VaultPart};
