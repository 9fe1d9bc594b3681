//! Models: which there are, which is loaded.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use hearth_base::ModelId;
use hearth_broker::{ModelFacts, ModelTrust};
use hearth_engine_api::{LoadOptions, ModelInfo};
use tokio::sync::mpsc;

use crate::{
    Command, Event, LoadedModel, ModelView, Reply, Ticket, UserError,
    event_loop::EventLoop,
    msg::{Change, Msg},
    task::{Task, Told},
    tuning,
};

/// The preference that names the default model: [`BUNDLED`] or a number.
const DEFAULT_KEY: &str = "default-model";
const BUNDLED: &str = "bundled";
/// The preference that holds [`LoadOptions`] as TOML.
const LOAD_OPTIONS_KEY: &str = "load-options";
/// Least memory for keys and values: less holds no conversation worth the name.
const LEAST_KV_BYTES: u64 = 16 << 20;
/// Shortest context that may be asked for.
const LEAST_CONTEXT_TOKENS: u32 = 256;
const MOST_THREADS: usize = 1 << 10;
/// Shares of a load that may wait to be shown.
const SHARES: usize = 16;

/// A model to load.
struct Wanted {
    id: Option<ModelId>,
    path: PathBuf,
    trust: ModelTrust,
}

impl EventLoop {
    pub(crate) fn model_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::AddModel(path) => self.spawn(ticket, |task| add(task, path)),
            Command::MarkModel { model, public } => {
                self.spawn(ticket, move |task| mark(task, model, public));
            }
            Command::LoadModel(id) => {
                self.model_waits = false;
                self.load(ticket, Choice::This(id));
            }
            Command::SetLoadOptions(options) => {
                self.spawn(ticket, move |task| set_load_options(task, options));
            }
            Command::UnloadModel => self.spawn(ticket, |task| async move {
                unload(&task).await;
                Ok(Reply::Unit)
            }),
            Command::RemoveModel(id) => {
                let loaded = self.view.models.loaded.as_ref().is_some_and(|m| m.id == Some(id));
                self.spawn(ticket, move |task| async move {
                    if loaded {
                        unload(&task).await;
                    }
                    task.blocking(move |task| {
                        task.vault().remove_model(id)?;
                        show(task)
                    })
                    .await?;
                    Ok(Reply::Unit)
                });
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about models."))),
        }
    }

    pub(crate) fn inspect_model(&mut self, ticket: Ticket, path: PathBuf) {
        let (ctx, epoch) = (std::sync::Arc::clone(&self.ctx), self.epoch);
        let work = async move {
            let inspected = ctx.engine.inspect(path, LoadOptions::default()).await;
            let reply = inspected.map(|(info, memory)| Reply::ModelInspection(info, memory));
            Some(reply.map_err(UserError::from))
        };
        self.attend(work, move |result| Msg::Ended(epoch, ticket, result));
    }

    /// Loads what was last used, in the background, unless that is to wait until it is needed.
    pub(crate) fn load_default_model(&mut self) {
        self.model_waits = self.ctx.model_when_asked.load(Ordering::SeqCst);
        if !self.model_waits {
            self.load_default();
        }
    }

    /// Loads what was last used if that has waited until now.
    pub(crate) fn load_waiting_model(&mut self) {
        if std::mem::take(&mut self.model_waits) && self.view.models.loaded.is_none() {
            self.load_default();
        }
    }

    fn load_default(&mut self) {
        if self.view.models.models.iter().any(|model| model.is_default) {
            self.load(self.ctx.next_ticket(), Choice::Default);
        }
    }

    fn load(&mut self, ticket: Ticket, choice: Choice) {
        self.job(ticket, "Loading the model".into());
        let mark = self.ctx.begin_load();
        self.spawn(ticket, move |task| async move {
            let result = load(task, choice).await;
            drop(mark);
            result
        });
    }

    pub(crate) fn show_loaded(
        &mut self,
        ticket: Ticket,
        loaded: Option<Option<(Option<ModelId>, ModelInfo)>>,
    ) {
        let models = std::sync::Arc::make_mut(&mut self.view.models);
        if models.loading.is_some_and(|(loading, _)| loading == ticket) {
            models.loading = None;
        }
        if let Some(loaded) = loaded {
            models.loaded = loaded.map(|(id, info)| LoadedModel { id, info });
        }
    }
}

/// Which model to load.
enum Choice {
    Default,
    /// This one, which becomes the default.
    This(Option<ModelId>),
}

/// What can be loaded, the bundled model first.
pub(crate) fn read(task: &Task) -> Result<Vec<ModelView>, UserError> {
    let records = task.vault().models()?;
    let preferred = task.vault().preference(DEFAULT_KEY)?;
    let starter = task.ctx.config.starter_model.as_ref();
    let bundled_is_default = match preferred.as_deref() {
        Some(BUNDLED) | None => starter.is_some(),
        Some(id) => starter.is_some() && !records.iter().any(|m| m.id.to_string() == id),
    };
    let bundled = starter.map(|path| ModelView {
        id: None,
        name: "Hearth starter".into(),
        path: path.clone(),
        is_default: bundled_is_default,
        present: path.exists(),
        public: true,
        sources_gone: 0,
    });
    let added = records.into_iter().map(|model| ModelView {
        id: Some(model.id),
        name: model.name,
        present: model.path.exists(),
        path: model.path,
        is_default: model.is_default && !bundled_is_default,
        public: model.public,
        sources_gone: model.sources_gone,
    });
    Ok(bundled.into_iter().chain(added).collect())
}

pub(crate) fn show(task: &Task) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Models(read(task)?, load_options(task)?));
    Ok(())
}

async fn add(task: Task, path: PathBuf) -> Result<Reply, UserError> {
    let path = std::path::absolute(&path)
        .map_err(|error| crate::errors::file_error("find", &path, &error))?;
    let (info, _memory) = task.ctx.engine.inspect(path.clone(), LoadOptions::default()).await?;
    let _door = task.ctx.model_door.lock().await;
    task.blocking(move |task| {
        let name = if info.name.is_empty() { file_stem(&path) } else { info.name.clone() };
        let id = task.vault().add_model(&path, &name, false)?;
        trust_anew(task, id, false);
        task.audit(None, "A model was added.", true);
        show(task)?;
        Ok(Reply::Model(id))
    })
    .await
}

/// How models are loaded. What an older or newer program wrote and this one cannot read counts as not said.
pub(crate) fn load_options(task: &Task) -> Result<LoadOptions, UserError> {
    let saved = task.vault().preference(LOAD_OPTIONS_KEY)?;
    Ok(saved.and_then(|text| toml::from_str(&text).ok()).unwrap_or_default())
}

async fn set_load_options(task: Task, options: LoadOptions) -> Result<Reply, UserError> {
    check_load_options(&options)?;
    task.blocking(move |task| {
        let text = toml::to_string(&options)
            .map_err(|_never| UserError::internal("The settings could not be written."))?;
        task.vault().set_preference(LOAD_OPTIONS_KEY, &text)?;
        show(task)?;
        Ok(Reply::Unit)
    })
    .await
}

fn check_load_options(options: &LoadOptions) -> Result<(), UserError> {
    if options.context_tokens.is_some_and(|tokens| tokens < LEAST_CONTEXT_TOKENS) {
        return Err(UserError::user(
            "That context is too short to work with.",
            format!("Ask for {LEAST_CONTEXT_TOKENS} tokens or more."),
        ));
    }
    if options.kv_bytes.is_some_and(|bytes| bytes < LEAST_KV_BYTES) {
        return Err(UserError::user(
            "That is too little memory for a conversation.",
            format!("Allow {} MiB or more.", LEAST_KV_BYTES >> 20),
        ));
    }
    if options.threads.is_some_and(|threads| threads == 0 || threads > MOST_THREADS) {
        return Err(UserError::user(
            "That number of threads is not possible.",
            format!("Choose 1 to {MOST_THREADS}; as many as there are processor cores is best."),
        ));
    }
    Ok(())
}

/// Takes down the user's judgement; what the model says from now on is labelled by it.
async fn mark(task: Task, id: ModelId, public: bool) -> Result<Reply, UserError> {
    let _door = task.ctx.model_door.lock().await;
    task.blocking(move |task| {
        let known = task.vault().models()?.into_iter().find(|model| model.id == id);
        if public && known.is_some_and(|model| model.sources > 0) {
            return Err(UserError::user(
                "This model learnt from texts of yours, so it stays private.",
                "",
            ));
        }
        task.vault().mark_model(id, public)?;
        trust_anew(task, id, public);
        let words = if public { "public" } else { "private" };
        task.audit(None, &format!("Model {id} was marked {words}."), true);
        show(task)?;
        Ok(Reply::Unit)
    })
    .await
}

/// Tells the broker what a model's weights now count as, if it is the one loaded.
fn trust_anew(task: &Task, id: ModelId, public: bool) {
    task.room.retell_model(|told| {
        if told.id == Some(id) {
            told.facts.trust = trust(Some(id), public);
        }
    });
}

/// What weights count as; the bundled model's are known.
fn trust(id: Option<ModelId>, public: bool) -> ModelTrust {
    match id {
        Some(id) if !public => ModelTrust::Private(format!("model {id}")),
        _ => ModelTrust::Public,
    }
}

async fn unload(task: &Task) {
    let _door = task.ctx.model_door.lock().await;
    task.room.tell_model(None);
    task.ctx.engine.unload().await;
    task.room.at_hand.loaded(None);
    task.show_async(Change::Loaded(task.ticket, Some(None))).await;
}

async fn load(task: Task, choice: Choice) -> Result<Reply, UserError> {
    let remember = matches!(choice, Choice::This(_));
    // One load after the other: what the broker is told is always of the model that is there.
    let _door = tokio::select! {
        door = task.ctx.model_door.lock() => door,
        () = task.cancel.cancelled() => return Err(UserError::cancelled("Loading was stopped.")),
    };
    let (wanted, options) =
        task.blocking(move |task| Ok((find(task, &choice)?, load_options(task)?))).await?;
    // Until the new one is there: no answer may be taken for another model's.
    let before = task.room.tell_model(None);
    let (sender, mut shares) = mpsc::channel(SHARES);
    let loading = task.ctx.engine.load(wanted.path.clone(), options, sender, task.cancel.flag());
    tokio::pin!(loading);
    task.show_async(Change::Loading(task.ticket, 0.0)).await;
    let result = loop {
        tokio::select! {
            result = &mut loading => break result,
            Some(share) = shares.recv() => {
                task.show_async(Change::Loading(task.ticket, share)).await;
                task.show_async(Change::Job(task.ticket, Some(share), String::new())).await;
                task.ctx.hub.stream(&Event::LoadProgress { ticket: task.ticket, share }).await;
            }
        }
    };
    let info = match result {
        Ok(info) => info,
        Err(error) => {
            // The former model stays, unless it went down with this one.
            let stays = task.ctx.engine.info().await.is_some();
            task.room.tell_model(before.filter(|_| stays));
            if !stays {
                task.room.at_hand.loaded(None);
            }
            let loaded = if stays { None } else { Some(None) };
            task.show_async(Change::Loaded(task.ticket, loaded)).await;
            return Err(error.into());
        }
    };
    let id = wanted.id;
    let facts = ModelFacts { trust: wanted.trust, context_tokens: info.context_tokens };
    task.room.tell_model(Some(Told { id, facts }));
    task.show_async(Change::Loaded(task.ticket, Some(Some((id, info.clone()))))).await;
    task.room.at_hand.loaded(Some(wanted.path.clone()));
    tuning::equip(&task, wanted.path).await?;
    if remember {
        task.blocking(move |task| {
            let value = id.map_or_else(|| BUNDLED.to_owned(), |id| id.to_string());
            task.vault().set_preference(DEFAULT_KEY, &value)?;
            if let Some(id) = id {
                task.vault().set_default_model(id)?;
            }
            show(task)
        })
        .await?;
    }
    Ok(Reply::Loaded(info))
}

fn find(task: &Task, choice: &Choice) -> Result<Wanted, UserError> {
    let models = read(task)?;
    let found = models.into_iter().find(|model| match choice {
        Choice::Default => model.is_default,
        Choice::This(id) => model.id == *id,
    });
    let model = found.ok_or_else(UserError::no_model)?;
    Ok(Wanted { id: model.id, path: model.path, trust: trust(model.id, model.public) })
}

fn file_stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
