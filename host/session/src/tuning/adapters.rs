//! Adapters: kept in the vault, at hand in the model that is loaded, chosen for conversations and plugins.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hearth_base::{AdapterId, ConversationId, DatasetId, Label, ModelId, Origin, PluginId, Source};
use hearth_broker::PersonalAdapter;
use hearth_engine_api::{
    AdapterError, AdapterFile, AdapterFormat, AdapterSlot, AdapterUse, MergeFormat,
};
use hearth_vault::{AdapterChoice, AdapterRecord, LearntFrom, NewAdapter, StoreError};

use super::{AdapterReport, AdapterView, TuneRules, base, datasets, rules, runs};
use crate::{
    ModelView, NoticeKind, Reply, UserError, config::unless, models, msg::Change, task::Task,
};

/// The preference that names the adapters new conversations begin with, as JSON.
const NEW_CONVERSATIONS_KEY: &str = "new-conversations-adapters";
/// An adapter's part may be turned up to this.
const MOST_STRENGTH: f32 = 4.0;

/// An adapter's name among those that a model has at hand.
pub(crate) fn slot(id: AdapterId) -> AdapterSlot {
    AdapterSlot(id.0.unsigned_abs())
}

/// Choices as the engine takes them.
pub(crate) fn uses(adapters: &[AdapterChoice]) -> Vec<AdapterUse> {
    adapters
        .iter()
        .map(|choice| AdapterUse { slot: slot(choice.adapter), strength: choice.strength })
        .collect()
}

/// The names of chosen adapters.
pub(crate) fn names(task: &Task, adapters: &[AdapterChoice]) -> Result<Vec<String>, UserError> {
    adapters.iter().map(|choice| Ok(record(task, choice.adapter)?.name)).collect()
}

/// An adapter's files, out of the vault.
pub(super) fn file(task: &Task, id: AdapterId) -> Result<AdapterFile, UserError> {
    let bytes = task.vault().adapter_file(id)?;
    Ok(AdapterFile { config: bytes.config, weights: bytes.weights.into() })
}

pub(super) fn record(task: &Task, id: AdapterId) -> Result<AdapterRecord, UserError> {
    task.vault()
        .adapter(id)?
        .ok_or_else(|| UserError::user("There is no such adapter.", "It may have been removed."))
}

/// All adapters as they are shown.
pub(super) fn read(task: &Task) -> Result<Vec<AdapterView>, UserError> {
    read_with(task, base::with_hash)
}

/// The same at once: models that were not looked into yet are not told apart.
pub(super) fn glance(task: &Task) -> Result<Vec<AdapterView>, UserError> {
    read_with(task, base::known_with_hash)
}

type FindBase = fn(&Task, &[ModelView], &str) -> Option<Option<ModelId>>;

fn read_with(task: &Task, find_base: FindBase) -> Result<Vec<AdapterView>, UserError> {
    let models = models::read(task)?;
    let loaded = task.room.at_hand.adapters();
    let runs = task.vault().runs()?;
    let records = task.vault().adapters()?;
    let mut views: Vec<AdapterView> = records
        .into_iter()
        .map(|record| AdapterView {
            id: record.id,
            loaded: loaded.contains(&record.id),
            base_model: find_base(task, &models, &record.base_hash),
            accepted: record.live,
            sources: record.sources,
            sources_changed: record.sources_changed,
            sources_gone: record.sources_gone,
            dataset: record
                .run
                .and_then(|run| runs.iter().find(|known| known.id == run))
                .and_then(|run| run.dataset),
            run: record.run,
            bytes: record.bytes,
            created_secs: record.created_secs,
            report: record.report.as_deref().and_then(report_of).map(Arc::new),
            name: record.name,
            base: record.base_name,
        })
        .collect();
    views.sort_by(|a, b| a.name.to_lowercase().cmp(&b.name.to_lowercase()).then(a.id.cmp(&b.id)));
    Ok(views)
}

/// A report as it was kept; one that another version wrote and this one cannot read counts as none.
fn report_of(json: &str) -> Option<AdapterReport> {
    serde_json::from_str(json).ok()
}

pub(super) fn show(task: &Task) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Adapters(read(task)?));
    Ok(())
}

/// Gives the model that has just been loaded every adapter made for it. To be called behind the model's door.
pub(crate) async fn equip(task: &Task, base: PathBuf) -> Result<(), UserError> {
    let fitting = task
        .blocking(move |task| {
            let records = task.vault().adapters()?;
            if records.is_empty() {
                return Ok(Vec::new());
            }
            let hash = base::fingerprint(task, &base)?.base;
            let fitting = records.into_iter().filter(|record| record.base_hash == hash);
            Ok(fitting.map(|record| record.id).collect())
        })
        .await?;
    for id in fitting {
        // One that cannot be read is no reason to do without the model, nor without the others.
        let given = match task.blocking(move |task| file(task, id)).await {
            Ok(file) => give(task, id, file).await,
            Err(error) => Err(error),
        };
        if let Err(error) = given {
            task.show_async(Change::Notice(NoticeKind::Error(error))).await;
        }
    }
    task.blocking(show).await
}

/// Gives the loaded model an adapter. To be called behind the model's door.
async fn give(task: &Task, id: AdapterId, file: AdapterFile) -> Result<(), UserError> {
    task.ctx.engine.add_adapter(slot(id), file).await?;
    task.room.at_hand.put(id);
    Ok(())
}

/// Gives the loaded model a new adapter, if it is for that one.
pub(super) async fn give_if_fitting(
    task: &Task,
    id: AdapterId,
    file: AdapterFile,
    base: &Path,
) -> Result<(), UserError> {
    let door = task.ctx.model_door.lock().await;
    let loaded = task.room.at_hand.loaded_path();
    if loaded.as_deref() == Some(base) {
        give(task, id, file).await?;
    }
    drop(door);
    task.blocking(show).await
}

pub(super) async fn import(
    task: Task,
    path: PathBuf,
    (name, model, dataset): (Option<String>, Option<ModelId>, Option<DatasetId>),
) -> Result<Reply, UserError> {
    let (id, file, base) = task
        .blocking(move |task| {
            let base = base::find(task, model)?;
            let file = task.ctx.tuner.read_adapter(&base.path, &path)?;
            let fingerprint = base::fingerprint(task, &base.path)?;
            let name = name.unwrap_or_else(|| stem(&path));
            let (label, learnt_from) = match dataset {
                Some(dataset) => sources_of(task, dataset)?,
                None => (unknown(), Vec::new()),
            };
            let id = task.vault().add_adapter(&NewAdapter {
                name: &name,
                base_name: &base.name,
                base_hash: &fingerprint.base,
                template_hash: fingerprint.template.as_deref().unwrap_or_default(),
                config: &file.config,
                weights: &file.weights,
                label,
                learnt_from,
                report: None,
                run: None,
            })?;
            task.audit(None, "An adapter was imported.", true);
            Ok((id, file, base.path))
        })
        .await?;
    give_if_fitting(&task, id, file, &base).await?;
    Ok(Reply::Adapter(id))
}

/// What an adapter depends on that learnt from all of a dataset elsewhere.
fn sources_of(task: &Task, id: DatasetId) -> Result<(Label, Vec<LearntFrom>), UserError> {
    let recipe = datasets::recipe(&datasets::find(task, id)?)?;
    let built = hearth_dataset::build(task.vault(), &recipe)?;
    let mut label = built.label().clone();
    let made_of = built.learnt_from();
    let passed_on = runs::join_adapters(task, made_of, &mut label)?;
    Ok((label, [made_of, &passed_on].concat()))
}

/// What an adapter depends on of which nobody here knows what it learnt from.
fn unknown() -> Label {
    let mut label = Label::public();
    label.sources.insert(Source::PrivateModel("an adapter from elsewhere".into()));
    label.origins.insert(Origin::External);
    label
}

pub(super) fn export(
    task: &Task,
    id: AdapterId,
    format: AdapterFormat,
    path: &Path,
) -> Result<Reply, UserError> {
    let (_, base) = base::of_adapter(task, &record(task, id)?)?;
    task.ctx.tuner.write_adapter(&base.path, &file(task, id)?, format, path)?;
    task.audit(None, "An adapter was written to a file, in plain text.", true);
    Ok(Reply::Unit)
}

/// Writes base and adapter as one model, which is private whatever the base is.
pub(super) fn merge(
    task: &Task,
    (choice, format): (AdapterChoice, MergeFormat),
    path: &Path,
) -> Result<Reply, UserError> {
    check(&[choice])?;
    refuse_models(task, path)?;
    let record = record(task, choice.adapter)?;
    let (base_id, base) = base::of_adapter(task, &record)?;
    let file = file(task, choice.adapter)?;
    let how = (choice.strength, format);
    let merged = task.ctx.tuner.merge(&base.path, &file, how, path, &mut |share| {
        task.show(task.ctx.stamp(), Change::Job(task.ticket, Some(share), String::new()));
        unless(task.cancel.is_cancelled())
    })?;
    let path = std::path::absolute(path)
        .map_err(|error| crate::errors::file_error("find", path, &error))?;
    let name = format!("{} + {}", base.name, record.name);
    let id = task.vault().add_merged_model(&path, &name, choice.adapter, base_id)?;
    task.audit(None, "A model was written to a file with an adapter in it, in plain text.", true);
    models::show(task)?;
    Ok(Reply::Merged(id, merged))
}

/// No model that Hearth knows is written over: it would keep its name, its adapters and what it counts as.
fn refuse_models(task: &Task, path: &Path) -> Result<(), UserError> {
    let Ok(there) = path.canonicalize() else { return Ok(()) };
    let models = models::read(task)?;
    let known = models.iter().find(|model| model.path.canonicalize().is_ok_and(|p| p == there));
    match known {
        None => Ok(()),
        Some(model) => Err(UserError::user(
            format!("This file is the model {}.", model.name),
            "Choose another name.",
        )),
    }
}

pub(super) fn rename(task: &Task, id: AdapterId, name: &str) -> Result<Reply, UserError> {
    if name.trim().is_empty() {
        return Err(UserError::user("The name is empty.", "Type a few words."));
    }
    task.vault().rename_adapter(id, name.trim())?;
    show(task)?;
    Ok(Reply::Unit)
}

pub(super) async fn remove(
    task: Task,
    id: AdapterId,
    open: Option<ConversationId>,
) -> Result<Reply, UserError> {
    // A model that is being loaded would be given it once more.
    let _door = task.ctx.model_door.lock().await;
    task.room.at_hand.take(id);
    task.blocking(move |task| take_away(task, id, open)).await?;
    task.ctx.engine.remove_adapter(slot(id)).await;
    task.blocking(move |task| {
        task.vault().remove_adapter(id)?;
        task.audit(None, "An adapter was removed.", true);
        super::show_all(task)?;
        Ok(Reply::Unit)
    })
    .await
}

/// Lets an adapter be used, unless its report shows that it remembers too much.
pub(super) fn accept(task: &Task, id: AdapterId, anyway: bool) -> Result<Reply, UserError> {
    let record = record(task, id)?;
    let TuneRules { exposure_limit_bits, .. } = rules(task)?;
    let report = record.report.as_deref().and_then(report_of);
    if report.is_none() && !anyway {
        return Err(UserError::user(
            format!("The adapter {} has not been examined yet.", record.name),
            "Examine it first: its report shows what it forgot and remembers.",
        ));
    }
    let memory = report.and_then(|report| report.memory);
    if let Some(memory) = memory
        && memory.highest_bits() > exposure_limit_bits
        && !anyway
    {
        return Err(UserError::user(
            format!(
                "This adapter remembers single secrets of its examples: {:.1} bits of one that was hidden among \
                 them, and the limit is {exposure_limit_bits:.1}.",
                memory.highest_bits()
            ),
            "Train with fewer epochs, a lower rank or more examples; or accept it anyway if nobody else uses it.",
        ));
    }
    task.vault().set_adapter_live(id, true)?;
    task.audit(None, "An adapter was accepted.", true);
    show(task)?;
    Ok(Reply::Unit)
}

pub(super) fn retire(
    task: &Task,
    id: AdapterId,
    open: Option<ConversationId>,
) -> Result<Reply, UserError> {
    take_away(task, id, open)?;
    task.audit(None, "An adapter was retired.", true);
    super::show_all(task)?;
    Ok(Reply::Unit)
}

/// What was said in a conversation keeps depending on the adapters that it was answered with so far.
pub(super) fn leave_marks(task: &Task, conversation: ConversationId) -> Result<(), UserError> {
    for choice in task.vault().conversation_adapters(conversation)? {
        let mut label = task.vault().adapter_label(choice.adapter)?;
        label.sources.insert(Source::PrivateModel(source_name(choice.adapter)));
        task.vault().join_conversation_label(conversation, &label)?;
    }
    Ok(())
}

/// Takes an adapter from everybody who chose it, and ends what is being made with it: answers, and values of plugins.
fn take_away(task: &Task, id: AdapterId, open: Option<ConversationId>) -> Result<(), UserError> {
    for conversation in task.vault().conversations_with(id)? {
        leave_marks(task, conversation)?;
    }
    match task.vault().retire_adapter(id) {
        // It is gone already.
        Err(StoreError::NotFound { .. }) => return Ok(()),
        retired => retired?,
    }
    let mut chosen = new_conversations(task)?;
    chosen.retain(|choice| choice.adapter != id);
    keep_new_conversations(task, &chosen)?;
    // Whoever asks for it from now on finds that it is not accepted.
    task.room.at_hand.stop_users(id);
    for plugin in task.room.broker.stop_using(slot(id)) {
        task.audit(Some(&plugin), "What it made with a personal adapter was ended.", true);
    }
    if let Some(open) = open {
        crate::chat::show_turns(task, open)?;
    }
    crate::plugins::show(task)
}

/// The adapters that new conversations begin with.
pub(crate) fn new_conversations(task: &Task) -> Result<Vec<AdapterChoice>, UserError> {
    let kept = task.vault().preference(NEW_CONVERSATIONS_KEY)?;
    Ok(kept.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}

pub(super) fn keep_new_conversations(
    task: &Task,
    adapters: &[AdapterChoice],
) -> Result<(), UserError> {
    let json = serde_json::to_string(adapters)
        .map_err(|_never| UserError::internal("The choice could not be written."))?;
    Ok(task.vault().set_preference(NEW_CONVERSATIONS_KEY, &json)?)
}

/// Whether these can be chosen: accepted, each once, and of a sensible strength.
pub(super) fn check_choice(task: &Task, adapters: &[AdapterChoice]) -> Result<(), UserError> {
    check(adapters)?;
    for choice in adapters {
        let record = record(task, choice.adapter)?;
        if !record.live {
            return Err(UserError::user(
                format!("The adapter {} has not been accepted yet.", record.name),
                "Look at its report and accept it first.",
            ));
        }
    }
    Ok(())
}

pub(super) fn check(adapters: &[AdapterChoice]) -> Result<(), UserError> {
    let twice = |(place, choice): (usize, &AdapterChoice)| {
        adapters[..place].iter().any(|before| before.adapter == choice.adapter)
    };
    if adapters.iter().enumerate().any(twice) {
        return Err(UserError::user(
            "The same adapter is chosen twice.",
            "Choose it once, with the strength of both.",
        ));
    }
    let fine = |strength: f32| (0.0..=MOST_STRENGTH).contains(&strength);
    match adapters.iter().find(|choice| !fine(choice.strength)) {
        None => Ok(()),
        Some(choice) => Err(UserError::user(
            format!("A strength of {} is not possible.", choice.strength),
            format!("Choose 0 to {MOST_STRENGTH}; 1 is as it was trained."),
        )),
    }
}

/// The accepted adapters among these that the loaded model has at hand; what is missing is told.
pub(crate) fn usable(
    task: &Task,
    adapters: Vec<AdapterChoice>,
) -> Result<(Vec<AdapterChoice>, Vec<String>), UserError> {
    let loaded = task.room.at_hand.adapters();
    let mut missing = Vec::new();
    let mut usable = Vec::new();
    for choice in adapters {
        // Before it is read whether it is accepted: whoever takes it away first forbids it, then stops its users.
        task.room.at_hand.used_by(choice.adapter, &task.cancel);
        let Some(record) = task.vault().adapter(choice.adapter)? else { continue };
        if record.live && loaded.contains(&choice.adapter) {
            usable.push(choice);
        } else if record.live {
            missing.push(format!(
                "The adapter {} is for another model ({}); what comes now is made without it.",
                record.name, record.base_name
            ));
        } else {
            missing.push(format!(
                "The adapter {} is not accepted; what comes now is made without it.",
                record.name
            ));
        }
    }
    Ok((usable, missing))
}

/// An adapter's name among the sources of values and conversations: it has nothing of what the user calls it.
fn source_name(id: AdapterId) -> String {
    format!("adapter {id}")
}

/// The adapter that a source names.
pub(super) fn named(source: &Source) -> Option<AdapterId> {
    let Source::PrivateModel(name) = source else { return None };
    let id = AdapterId(name.strip_prefix("adapter ")?.parse().ok()?);
    (source_name(id) == *name).then_some(id)
}

/// The adapters that a plugin gets where it asks for personal weights, with what they learnt.
pub(crate) fn personal(task: &Task, plugin: &PluginId) -> Result<Vec<PersonalAdapter>, UserError> {
    let (adapters, missing) = usable(task, task.vault().plugin_adapters(plugin)?)?;
    let model = task.room.at_hand.loaded_path();
    for words in missing.into_iter().filter(|_| model.is_some()) {
        let error =
            UserError::user(words, "Load that model, or choose other adapters for the plugin.");
        task.show(task.ctx.stamp(), Change::Notice(NoticeKind::Error(error)));
    }
    let personal = |choice: AdapterChoice| {
        Ok(PersonalAdapter {
            slot: slot(choice.adapter),
            strength: choice.strength,
            name: source_name(choice.adapter),
            label: task.vault().adapter_label(choice.adapter)?,
        })
    };
    adapters.into_iter().map(personal).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "Adapter".into(), |stem| stem.to_string_lossy().into_owned())
}

impl From<AdapterError> for UserError {
    fn from(error: AdapterError) -> Self {
        let message = crate::errors::sentence(&error.to_string());
        match error {
            AdapterError::NoModel => Self::no_model(),
            AdapterError::Malformed { .. } => {
                Self::input(message, "Export or download it again; it may be incomplete.")
            }
            AdapterError::Unsupported { .. } => Self::input(
                message,
                "Hearth applies plain LoRA on attention and feed-forward matrices.",
            ),
            AdapterError::OtherModel { .. } => {
                Self::user(message, "Choose the model that it was trained on.")
            }
            AdapterError::Io { .. } => Self::system(message, "Check the path and its permissions."),
            AdapterError::Cancelled => Self::cancelled("The work was stopped."),
            _ => Self::internal(message),
        }
    }
}
