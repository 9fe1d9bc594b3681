//! Datasets: recipes kept under a name, and a look at what they come to.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use hearth_base::{DatasetId, DocumentId, ModelId};
use hearth_dataset::{Conversations, DatasetError, Recipe, Template};
use hearth_engine_api::{Example, TuneSettings};
use hearth_vault::DatasetRecord;

use super::{DatasetView, PreviewView, SampleView, TuneCommand, base, show_all};
use crate::{Reply, Ticket, UserError, event_loop::EventLoop, msg::Change, task::Task};

/// Samples that a preview shows.
const SAMPLES: usize = 24;
/// Groups of lengths that a preview's plot has: up to 32 tokens, 64, and so on, doubling.
const FIRST_LENGTH: u32 = 32;
/// Authors that are suggested.
const AUTHORS: u32 = 8;
/// Longest file of examples.
const MOST_FILE_BYTES: u64 = 256 << 20;

impl EventLoop {
    pub(super) fn dataset_command(&mut self, ticket: Ticket, command: TuneCommand) {
        match command {
            TuneCommand::RateTurn { turn, rating } => {
                let open = self.view.conversation.as_ref().map(|open| open.id);
                self.blocking(ticket, move |task| {
                    task.vault().rate_turn(turn, rating)?;
                    if let Some(open) = open {
                        crate::chat::show_turns(task, open)?;
                    }
                    Ok(Reply::Unit)
                });
            }
            TuneCommand::SaveDataset { id, name, recipe } => {
                self.blocking(ticket, move |task| save(task, id, name.trim(), &recipe));
            }
            TuneCommand::ImportDataset { path, name } => {
                self.job(ticket, "Reading examples".into());
                self.blocking(ticket, move |task| import(task, &path, name));
            }
            TuneCommand::RemoveDataset(id) => self.blocking(ticket, move |task| {
                remove(task, id)?;
                Ok(Reply::Unit)
            }),
            TuneCommand::PreviewDataset { recipe, base } => {
                self.job(ticket, "Making examples".into());
                self.blocking(ticket, move |task| {
                    let preview = preview(task, recipe, base)?;
                    task.show(task.stamp, Change::Preview(Some(Box::new(preview))));
                    Ok(Reply::Unit)
                });
            }
            TuneCommand::SuggestAuthors => self.blocking(ticket, move |task| {
                let authors = task.vault().mail_authors(AUTHORS)?;
                task.show(task.stamp, Change::Authors(authors));
                Ok(Reply::Unit)
            }),
            TuneCommand::ClosePreview => {
                self.change(self.ctx.stamp(), Change::Preview(None));
                self.end(ticket, Ok(Reply::Unit));
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about datasets."))),
        }
    }
}

/// All datasets, by name. One that another version of Hearth made and this one cannot read is not shown.
pub(super) fn read(task: &Task) -> Result<Vec<DatasetView>, UserError> {
    let mut views = Vec::new();
    for record in task.vault().datasets()? {
        match recipe(&record) {
            Ok(recipe) => views.push(DatasetView {
                id: record.id,
                name: record.name,
                recipe: Arc::new(recipe),
            }),
            Err(_) => tracing::warn!("a dataset of another version is not shown"),
        }
    }
    Ok(views)
}

pub(super) fn find(task: &Task, id: DatasetId) -> Result<DatasetRecord, UserError> {
    task.vault()
        .dataset(id)?
        .ok_or_else(|| UserError::user("There is no such dataset.", "It may have been removed."))
}

pub(super) fn recipe(record: &DatasetRecord) -> Result<Recipe, UserError> {
    serde_json::from_str(&record.recipe)
        .map_err(|_error| UserError::internal("The dataset was kept by another version of Hearth."))
}

fn save(
    task: &Task,
    id: Option<DatasetId>,
    name: &str,
    recipe: &Recipe,
) -> Result<Reply, UserError> {
    if name.is_empty() {
        return Err(UserError::user("The dataset has no name.", "Type a few words."));
    }
    let json = serde_json::to_string(recipe)
        .map_err(|_never| UserError::internal("The dataset could not be written down."))?;
    let id = match id {
        Some(id) => {
            task.vault().update_dataset(id, name, &json)?;
            id
        }
        None => task.vault().add_dataset(name, &json)?,
    };
    show_all(task)?;
    Ok(Reply::Dataset(id))
}

/// Forgets a dataset, and the file of examples it is made from if no other is.
fn remove(task: &Task, id: DatasetId) -> Result<(), UserError> {
    let text = |record: &DatasetRecord| match recipe(record).ok()?.template {
        Template::Imported { text } => Some(text),
        _ => None,
    };
    let imported = text(&find(task, id)?);
    task.vault().remove_dataset(id)?;
    if let Some(imported) = imported
        && !task.vault().datasets()?.iter().any(|record| text(record) == Some(imported))
    {
        task.vault().remove_example_text(imported)?;
    }
    show_all(task)
}

fn import(task: &Task, path: &PathBuf, name: Option<String>) -> Result<Reply, UserError> {
    let fail = |error| crate::errors::file_error("read", path, &error);
    let bytes = path.metadata().map_err(fail)?.len();
    if bytes > MOST_FILE_BYTES {
        return Err(UserError::input(
            format!("The file has {} MB; {} are the most.", bytes >> 20, MOST_FILE_BYTES >> 20),
            "Split it into several.",
        ));
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    // Read as a whole before anything is kept: a file with a bad line is not kept in part.
    hearth_dataset::jsonl::parse(&text)?;
    let own = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = name.or_else(own).unwrap_or_else(|| "Examples".into());
    let text = task.vault().add_example_text(&name, &text)?;
    let recipe = Recipe {
        template: Template::Imported { text },
        sources: Vec::new(),
        conversations: Conversations::None,
        ..Recipe::default()
    };
    save(task, None, &name, &recipe)
}

fn preview(task: &Task, recipe: Recipe, base: Option<ModelId>) -> Result<PreviewView, UserError> {
    let base = base::find(task, base)?;
    let built = hearth_dataset::build(task.vault(), &recipe)?;
    let settings = TuneSettings::default();
    let count = |examples: &[Example]| task.ctx.tuner.tokens(&base.path, examples, &settings);
    let train = built.train();
    let counted = count(&train)?;
    let mut lengths = BTreeMap::new();
    for example in &counted {
        let group = example.tokens.max(FIRST_LENGTH).checked_next_power_of_two();
        *lengths.entry(group.unwrap_or(u32::MAX)).or_default() += 1;
    }
    let chosen = built.preview(SAMPLES);
    let examples: Vec<Example> = chosen.iter().map(|sample| sample.example.clone()).collect();
    let mut samples = Vec::new();
    for (sample, tokens) in chosen.iter().zip(count(&examples)?) {
        samples.push(SampleView {
            titles: titles(task, &sample.documents)?,
            held_out: sample.held_out,
            tokens: tokens.tokens,
            pieces: tokens.pieces,
        });
    }
    Ok(PreviewView {
        recipe: Arc::new(recipe),
        train: train.len(),
        held_out: built.samples.len() - train.len(),
        tokens: counted.iter().map(|example| u64::from(example.tokens)).sum(),
        learnt_tokens: counted.iter().map(|example| u64::from(example.learnt)).sum(),
        lengths: lengths.into_iter().collect(),
        samples,
        report: built.report,
    })
}

fn titles(task: &Task, documents: &[DocumentId]) -> Result<Vec<String>, UserError> {
    let mut titles = Vec::new();
    for id in documents {
        if let Some(document) = task.vault().document(*id)? {
            titles.push(document.head.title);
        }
    }
    Ok(titles)
}

impl From<DatasetError> for UserError {
    fn from(error: DatasetError) -> Self {
        let message = crate::errors::sentence(&error.to_string());
        match error {
            DatasetError::Store(error) => error.into(),
            DatasetError::Setting { .. } => Self::user(message, "Change the setting."),
            DatasetError::TooLarge { .. } => Self::user(message, ""),
            DatasetError::Line { .. } => Self::input(
                message,
                "Each line is a JSON object: {\"messages\": [..]}, {\"prompt\", \"completion\"} or {\"text\"}.",
            ),
            _ => Self::internal(message),
        }
    }
}
