//! Training runs: what they are to do, how far they are, and what they need to go on.

mod types;

use std::path::PathBuf;

use hearth_base::{DatasetId, Label, TuneRunId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::documents::{from_json, to_json};
use crate::sources::{self, LearntFrom, Owner, SourceChange};
use crate::vault::now_secs;
use crate::{StoreError, Vault, blobs};

pub use types::{KeptCheckpoint, NewTuneRun, RunState, TuneRunRecord, TuneStep};

const RUN_COLUMNS: &str =
    "id, name, dataset, base_name, base_path, state, job, error, started_secs, ended_secs,
    examples IS NOT NULL, checkpoint_step";

const NO_RUN: StoreError = StoreError::NotFound { what: "training run" };

impl Vault {
    /// Begins a run: keeps what it is to do, and the examples as they are now, so that it can go on to the same end
    /// whatever happens to the vault's documents meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn start_run(&self, new: &NewTuneRun<'_>) -> Result<TuneRunId, StoreError> {
        let base = new.base_path.to_str().ok_or(StoreError::BadRow { what: "path in UTF-8" })?;
        let label = to_json(&sources::without_documents(&new.label), "label")?;
        let learnt_from = sources::all_of(&new.label, &new.learnt_from);
        self.write("begin a training run", |transaction| {
            let examples = blobs::insert(transaction, new.examples)?;
            transaction.execute(
                "INSERT INTO tune_runs (name, dataset, base_name, base_path, state, job, label, started_secs, examples)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    new.name,
                    new.dataset.map(|id| id.0),
                    new.base_name,
                    base,
                    RunState::Running,
                    new.job,
                    label,
                    now_secs(),
                    examples
                ],
            )?;
            let run = transaction.last_insert_rowid();
            sources::insert(transaction, Owner::Run(run), &learnt_from)?;
            Ok(TuneRunId(run))
        })
    }

    /// All runs, the last begun first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn runs(&self) -> Result<Vec<TuneRunRecord>, StoreError> {
        self.read("list training runs", |connection| {
            let sql = format!("SELECT {RUN_COLUMNS} FROM tune_runs ORDER BY id DESC");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| read_run(connection, row))?;
            rows.collect()
        })
    }

    /// A run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn run(&self, id: TuneRunId) -> Result<Option<TuneRunRecord>, StoreError> {
        self.read("read a training run", |connection| {
            connection
                .prepare_cached(&format!("SELECT {RUN_COLUMNS} FROM tune_runs WHERE id = ?1"))?
                .query_row([id.0], |row| read_run(connection, row))
                .optional()
        })
    }

    /// Writes down where a run stands. One that is over keeps neither its examples nor a checkpoint.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such run.
    pub fn set_run_state(
        &self,
        id: TuneRunId,
        state: RunState,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let changed = self.write("write down a training run's state", |transaction| {
            let over = state.is_over();
            transaction.execute(
                "UPDATE tune_runs SET state = ?2, error = ?3, ended_secs = iif(?4, ?5, NULL),
                        examples = iif(?4, NULL, examples), checkpoint = iif(?4, NULL, checkpoint),
                        checkpoint_step = iif(?4, NULL, checkpoint_step)
                 WHERE id = ?1",
                params![id.0, state, error, over, now_secs()],
            )
        })?;
        if changed == 0 { Err(NO_RUN) } else { Ok(()) }
    }

    /// Writes down what a run is to do, settled anew: what its budget came to, for one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such run.
    pub fn set_run_job(&self, id: TuneRunId, job: &str) -> Result<(), StoreError> {
        let changed = self.write("write down a training run's job", |transaction| {
            transaction.execute("UPDATE tune_runs SET job = ?2 WHERE id = ?1", params![id.0, job])
        })?;
        if changed == 0 { Err(NO_RUN) } else { Ok(()) }
    }

    /// Marks every run as paused that was running when Hearth last ended, and says how many there were. To be called
    /// once, before any is begun.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settle_runs(&self) -> Result<usize, StoreError> {
        self.write("settle training runs", |transaction| {
            transaction.execute(
                "UPDATE tune_runs SET state = ?2 WHERE state = ?1",
                params![RunState::Running, RunState::Paused],
            )
        })
    }

    /// Deletes a run with its steps, examples and checkpoint; an adapter that came of it stays.
    ///
    /// # Errors
    /// [`StoreError`]. A run that is not there is no error.
    pub fn remove_run(&self, id: TuneRunId) -> Result<(), StoreError> {
        self.write("delete a training run", |transaction| {
            transaction.execute("DELETE FROM tune_runs WHERE id = ?1", [id.0]).map(|_rows| ())
        })
    }

    /// The examples that a run was begun with; `None` where it is over, or something that it learns from was deleted.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such run.
    pub fn run_examples(&self, id: TuneRunId) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.read("read a training run's examples", |connection| {
            let blob: Option<Option<i64>> = connection
                .query_row("SELECT examples FROM tune_runs WHERE id = ?1", [id.0], |row| row.get(0))
                .optional()?;
            let Some(blob) = blob else { return Ok(Err(NO_RUN)) };
            blob.map(|blob| blobs::read(connection, blob)).transpose().map(Ok)
        })??;
        match found {
            None => Ok(None),
            Some(None) => Err(StoreError::BadRow { what: "training run's examples" }),
            Some(Some(bytes)) => Ok(Some(bytes)),
        }
    }

    /// The label of what a run learns from.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such run.
    pub fn run_label(&self, id: TuneRunId) -> Result<Label, StoreError> {
        self.read("read a training run's label", |connection| {
            label_of(connection, "tune_runs", id.0, Owner::Run(id.0))
        })?
        .ok_or(NO_RUN)
    }

    /// What a run learns from, and what became of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn run_sources(
        &self,
        id: TuneRunId,
    ) -> Result<Vec<(LearntFrom, SourceChange)>, StoreError> {
        self.read("read a training run's sources", |connection| {
            sources::list(connection, Owner::Run(id.0))
        })
    }

    /// Writes down steps done. A step that is done again after a resume takes the place of the former.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such run.
    pub fn add_steps(&self, id: TuneRunId, steps: &[TuneStep]) -> Result<(), StoreError> {
        self.write("write down training steps", |transaction| {
            if !run_exists(transaction, id)? {
                return Ok(Err(NO_RUN));
            }
            let mut statement = transaction.prepare_cached(
                "INSERT OR REPLACE INTO tune_steps (run, step, loss, held_out_loss, learning_rate, gradient_norm,
                                                    tokens, tokens_per_sec, secs)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for step in steps {
                statement.execute(params![
                    id.0,
                    step.step,
                    step.loss,
                    step.held_out_loss,
                    step.learning_rate,
                    step.gradient_norm,
                    step.tokens,
                    step.tokens_per_sec,
                    step.secs
                ])?;
            }
            Ok(Ok(()))
        })?
    }

    /// A run's steps in order, for plots.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn steps(&self, id: TuneRunId) -> Result<Vec<TuneStep>, StoreError> {
        self.read("read training steps", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT step, loss, held_out_loss, learning_rate, gradient_norm, tokens, tokens_per_sec, secs
                 FROM tune_steps WHERE run = ?1 ORDER BY step",
            )?;
            let rows = statement.query_map([id.0], |row| {
                Ok(TuneStep {
                    step: row.get(0)?,
                    loss: row.get(1)?,
                    held_out_loss: row.get(2)?,
                    learning_rate: row.get(3)?,
                    gradient_norm: row.get(4)?,
                    tokens: row.get(5)?,
                    tokens_per_sec: row.get(6)?,
                    secs: row.get(7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Keeps a run's state in place of the one before, in one transaction: whenever the machine dies, one of the two is
    /// there whole.
    ///
    /// # Errors
    /// [`StoreError`]; the one before is then still there. `NotFound` where there is no such run.
    pub fn put_checkpoint(&self, id: TuneRunId, step: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.write("keep a checkpoint", |transaction| {
            let former: Option<Option<i64>> = transaction
                .query_row("SELECT checkpoint FROM tune_runs WHERE id = ?1", [id.0], |row| {
                    row.get(0)
                })
                .optional()?;
            let blob = match former {
                None => return Ok(Err(NO_RUN)),
                Some(Some(blob)) => {
                    blobs::replace(transaction, blob, bytes)?;
                    blob
                }
                Some(None) => blobs::insert(transaction, bytes)?,
            };
            transaction.execute(
                "UPDATE tune_runs SET checkpoint = ?2, checkpoint_step = ?3 WHERE id = ?1",
                params![id.0, blob, step],
            )?;
            Ok(Ok(()))
        })?
    }

    /// The last state that was kept of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn checkpoint(&self, id: TuneRunId) -> Result<Option<KeptCheckpoint>, StoreError> {
        let found = self.read("read a checkpoint", |connection| {
            let found: Option<(i64, u32)> = connection
                .query_row(
                    "SELECT checkpoint, checkpoint_step FROM tune_runs WHERE id = ?1 AND checkpoint IS NOT NULL",
                    [id.0],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((blob, step)) = found else { return Ok(None) };
            Ok(Some((step, blobs::read(connection, blob)?)))
        })?;
        match found {
            None => Ok(None),
            Some((_, None)) => Err(StoreError::BadRow { what: "checkpoint" }),
            Some((step, Some(bytes))) => Ok(Some(KeptCheckpoint { step, bytes })),
        }
    }
}

fn run_exists(connection: &Connection, id: TuneRunId) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT 1 FROM tune_runs WHERE id = ?1", [id.0], |_row| Ok(()))
        .optional()
        .map(|row| row.is_some())
}

/// A label with its documents, which are kept as sources.
pub(crate) fn label_of(
    connection: &Connection,
    table: &'static str,
    id: i64,
    owner: Owner,
) -> rusqlite::Result<Option<Label>> {
    let json: Option<String> = connection
        .prepare_cached(&format!("SELECT label FROM {table} WHERE id = ?1"))?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(json) = json else { return Ok(None) };
    let mut label: Label = from_json(&json)?;
    for (source, _change) in sources::list(connection, owner)? {
        if let LearntFrom::Document(document) = source {
            label.sources.insert(hearth_base::Source::Document(document));
        }
    }
    Ok(Some(label))
}

fn read_run(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<TuneRunRecord> {
    let id: i64 = row.get(0)?;
    let counts = sources::counts(connection, Owner::Run(id))?;
    Ok(TuneRunRecord {
        id: TuneRunId(id),
        name: row.get(1)?,
        dataset: row.get::<_, Option<i64>>(2)?.map(DatasetId),
        base_name: row.get(3)?,
        base_path: PathBuf::from(row.get::<_, String>(4)?),
        state: row.get(5)?,
        job: row.get(6)?,
        error: row.get(7)?,
        started_secs: row.get(8)?,
        ended_secs: row.get(9)?,
        has_examples: row.get(10)?,
        checkpoint_step: row.get(11)?,
        sources: counts.sources,
        sources_changed: counts.changed,
        sources_gone: counts.gone,
    })
}

#[cfg(test)]
pub(crate) mod tests;
