//! Runs of plugins: one call into a plugin's code at a time, gestures queued behind it, and a run counted as over when
//! everything its panels show has settled.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use hearth_base::{Date, DocumentId, GuestFailure, LogLevel, PluginId};
use hearth_broker::{
    Asker, BeginError, Broker, Observer, PanelNode, PanelView, PickAnswer, PickQuestion,
    PluginNotice, RunEnd, Start, ValueError, ValueState,
};
use tokio::sync::oneshot;

use crate::{
    Command, ErrorKind, Event, GuestEnd, NoticeKind, PickView, Reply, Ticket, UserError,
    event_loop::EventLoop,
    msg::{Change, Epoch, Msg},
    plugins,
    task::{Ctx, Task},
};

/// Gestures that may wait for a plugin.
const WAITING_LIMIT: usize = 32;

/// Runs under way, by plugin.
#[derive(Default)]
pub(crate) struct Runs {
    by_plugin: BTreeMap<PluginId, PluginRuns>,
}

#[derive(Default)]
struct PluginRuns {
    /// The one whose code runs.
    guest: Option<Ticket>,
    /// Gestures behind it.
    waiting: VecDeque<(Ticket, Start)>,
    /// Runs whose code has ended and whose values still arrive.
    settling: BTreeSet<Ticket>,
    progress: Option<(Option<u8>, String)>,
}

impl Runs {
    /// Takes out every run; for locking.
    pub(crate) fn drain_tickets(&mut self) -> Vec<Ticket> {
        // A run whose code is still running ends by its own message.
        std::mem::take(&mut self.by_plugin)
            .into_values()
            .flat_map(|runs| {
                runs.waiting.into_iter().map(|(ticket, _)| ticket).chain(runs.settling)
            })
            .collect()
    }
}

impl EventLoop {
    pub(crate) fn run_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::RunPlugin { plugin, command, focus, input } => {
                self.begin(ticket, plugin, Start::Command { id: command, focus, input });
            }
            Command::Press { panel, button } => {
                self.begin(ticket, panel.plugin.clone(), Start::Pressed { panel, button });
            }
            Command::Enter { panel, input, text } => {
                self.begin(ticket, panel.plugin.clone(), Start::Entered { panel, input, text });
            }
            Command::PickItem { panel, picker, value } => {
                self.begin(ticket, panel.plugin.clone(), Start::Picked { panel, picker, value });
            }
            Command::ClosePanel(key) => self.blocking(ticket, move |task| {
                task.room.broker.close_panel(&key);
                task.ctx.tell_blocking(Msg::Panels(task.room.epoch));
                Ok(Reply::Unit)
            }),
            Command::SaveValue(id) => self.spawn(ticket, move |task| async move {
                let document = task.room.broker.save_value(id).await?;
                task.ctx.tell(Msg::PluginSaved(task.room.epoch)).await;
                Ok(Reply::Saved(document))
            }),
            Command::AnswerPick { question, picked } => {
                let result = self.answer_pick(question, picked);
                self.end(ticket, result);
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about runs."))),
        }
    }

    fn begin(&mut self, ticket: Ticket, plugin: PluginId, start: Start) {
        let runs = self.runs.by_plugin.entry(plugin.clone()).or_default();
        if runs.guest.is_none() {
            return self.launch(ticket, plugin, start);
        }
        if runs.waiting.len() >= WAITING_LIMIT {
            let error = UserError::user("The plugin is busy.", "Wait for it, or stop it.");
            return self.end(ticket, Err(error));
        }
        runs.waiting.push_back((ticket, start));
    }

    fn launch(&mut self, ticket: Ticket, plugin: PluginId, start: Start) {
        self.load_waiting_model();
        let Some(task) = self.task(ticket) else { return };
        let runs = self.runs.by_plugin.entry(plugin.clone()).or_default();
        runs.guest = Some(ticket);
        runs.progress = None;
        self.sync_runs();
        let (epoch, id) = (self.epoch, plugin.clone());
        let (ended, end) = oneshot::channel();
        // A thread of its own, at most one for each plugin: guests wait for vault work, which must not wait for them.
        let thread = std::thread::Builder::new().name("hearth-run".into()).spawn(move || {
            let result = run_guest(&task, &plugin, start);
            drop(task);
            // Whoever waited has given up: the vault was locked.
            ended.send(result).ok();
        });
        let work = async move {
            match thread {
                Ok(_detached) => end.await.ok(),
                Err(error) => Some(Err(UserError::system(
                    format!("The plugin cannot be run: {error}."),
                    "Close other programs.",
                ))),
            }
        };
        self.attend(work, move |result| Msg::GuestEnded(epoch, id, ticket, result));
    }

    pub(crate) fn guest_ended(
        &mut self,
        plugin: &PluginId,
        ticket: Ticket,
        result: Result<(), UserError>,
    ) {
        let runs = self.runs.by_plugin.entry(plugin.clone()).or_default();
        runs.guest = None;
        let next = runs.waiting.pop_front();
        match result {
            Ok(()) => {
                runs.settling.insert(ticket);
            }
            Err(error) => self.end(ticket, Err(error)),
        }
        if let Some((ticket, start)) = next {
            self.launch(ticket, plugin.clone(), start);
        }
        self.panels_stale = true;
    }

    /// Shows the panels as they are, and ends the runs whose values have all settled and whose saves are done.
    pub(crate) fn refresh_panels(&mut self) {
        let Some(room) = &self.room else { return };
        let panels = room.broker.panels();
        let mut over = Vec::new();
        for (plugin, runs) in &mut self.runs.by_plugin {
            let shown = panels.iter().all(|p| p.key.plugin != *plugin || settled(p));
            if runs.guest.is_none() && shown && !room.broker.is_working(plugin) {
                let ended = std::mem::take(&mut runs.settling);
                over.extend(ended.into_iter().map(|ticket| (ticket, plugin.clone())));
            }
        }
        self.view.panels = Arc::new(panels);
        self.outbox.push(Event::PanelsChanged);
        for (ticket, plugin) in over {
            let stopped =
                self.running.get(&ticket).is_some_and(crate::cancel::Cancel::is_cancelled);
            let result = if stopped { Err(stopped_run()) } else { Ok(Reply::Ran(plugin)) };
            self.end(ticket, result);
        }
        self.sync_runs();
    }

    /// Stops a run, wherever it is.
    pub(crate) fn cancel_run(&mut self, which: Ticket) {
        let mut stop = None;
        let mut withdrawn = false;
        for (plugin, runs) in &mut self.runs.by_plugin {
            let before = runs.waiting.len();
            runs.waiting.retain(|(ticket, _)| *ticket != which);
            withdrawn |= runs.waiting.len() < before;
            if runs.guest == Some(which) || runs.settling.contains(&which) {
                stop = Some(plugin.clone());
            }
        }
        if withdrawn {
            self.end(which, Err(stopped_run()));
        }
        if let (Some(plugin), Some(room)) = (stop, &self.room) {
            room.broker.stop(&plugin);
            self.panels_stale = true;
        }
    }

    /// Stops everything of a plugin.
    pub(crate) fn stop_plugin(&mut self, plugin: &PluginId) {
        let Some(runs) = self.runs.by_plugin.get_mut(plugin) else { return };
        let waiting: Vec<_> = runs.waiting.drain(..).map(|(ticket, _)| ticket).collect();
        for ticket in runs.guest.iter().chain(&runs.settling) {
            if let Some(cancel) = self.running.get(ticket) {
                cancel.cancel();
            }
        }
        for ticket in waiting {
            self.end(ticket, Err(stopped_run()));
        }
        if let Some(room) = &self.room {
            room.broker.stop(plugin);
        }
        self.panels_stale = true;
    }

    /// Stops everything of a plugin and closes its panels: what comes after it must not hear their gestures.
    pub(crate) fn make_way(&mut self, plugin: &PluginId) {
        self.stop_plugin(plugin);
        if let Some(room) = &self.room {
            for panel in room.broker.panels().iter().filter(|panel| panel.key.plugin == *plugin) {
                room.broker.close_panel(&panel.key);
            }
        }
        self.panels_stale = true;
    }

    pub(crate) fn plugin_progress(
        &mut self,
        plugin: PluginId,
        percent: Option<u8>,
        message: String,
    ) {
        let runs = self.runs.by_plugin.entry(plugin.clone()).or_default();
        runs.progress = Some((percent, message.clone()));
        self.outbox.push(Event::RunProgress { plugin, percent, message });
        self.sync_runs();
    }

    /// Writes what runs into the list of plugins.
    pub(crate) fn sync_runs(&mut self) {
        for plugin in Arc::make_mut(&mut self.view.plugins) {
            let runs = self.runs.by_plugin.get(&plugin.id);
            plugin.running =
                runs.and_then(|runs| runs.guest.or_else(|| runs.settling.first().copied()));
            plugin.progress = runs.and_then(|runs| runs.progress.clone());
        }
    }

    pub(crate) fn asked(
        &mut self,
        id: u64,
        question: PickQuestion,
        answer: oneshot::Sender<Option<Vec<DocumentId>>>,
    ) {
        self.questions.insert(id, answer);
        Arc::make_mut(&mut self.view.questions).push(PickView {
            question: id,
            plugin: question.plugin,
            plugin_name: question.plugin_name,
            purpose: question.purpose,
            limit: question.limit,
        });
        self.outbox.push(Event::PanelsChanged);
    }

    pub(crate) fn withdrawn(&mut self, id: u64) {
        if self.questions.remove(&id).is_some() {
            Arc::make_mut(&mut self.view.questions).retain(|question| question.question != id);
        }
    }

    fn answer_pick(&mut self, question: u64, picked: Vec<DocumentId>) -> Result<Reply, UserError> {
        let gone = || UserError::user("This question is no longer asked.", "");
        let limit = self.view.questions.iter().find(|q| q.question == question).map(|q| q.limit);
        if picked.len() > usize::from(limit.ok_or_else(gone)?) {
            let hint = "Pick fewer.";
            return Err(UserError::user("These are more documents than were asked for.", hint));
        }
        let answer = self.questions.remove(&question).ok_or_else(gone)?;
        Arc::make_mut(&mut self.view.questions).retain(|q| q.question != question);
        answer.send(Some(picked)).map_err(|_picked| gone())?;
        Ok(Reply::Unit)
    }
}

/// Whether nothing a panel shows is still to come.
fn settled(panel: &PanelView) -> bool {
    let whole = |state: &ValueState| !matches!(state, ValueState::Waiting | ValueState::Streaming);
    panel.nodes.iter().all(|node| match node {
        PanelNode::Value(value) => whole(&value.state),
        PanelNode::Items(items) | PanelNode::Picker { items, .. } => {
            items.as_ref().is_some_and(|items| items.iter().all(|value| whole(&value.state)))
        }
        _ => true,
    })
}

/// Stops what plugins do; for locking.
pub(crate) fn stop_all(broker: &Broker, plugins: &[PluginId]) {
    for plugin in plugins {
        broker.stop(plugin);
    }
}

/// One call into a plugin's code, from its beginning to its end.
fn run_guest(task: &Task, plugin: &PluginId, start: Start) -> Result<(), UserError> {
    plugins::make_ready(task, plugin)?;
    let component = plugins::component_of(task, plugin)?;
    let key = task.vault().artefact_key()?;
    let artefacts = task.ctx.dir.artefacts_dir();
    let guest = crate::Guest { component: &component, artefacts: &artefacts, key: &key };
    let runtime = &task.ctx.config.runtime;
    let cancel = task.cancel.flag();
    // Before the run begins, so that a component that does not compile is no crash of the plugin.
    runtime.prepare(guest, &cancel)?;
    task.ctx.runtime.block_on(async {
        tokio::select! {
            () = task.ctx.loads_done() => Ok(()),
            () = task.cancel.cancelled() => Err(stopped_run()),
        }
    })?;
    let personal = crate::tuning::personal(task, plugin)?;
    let (mut client, invocation) = task.room.broker.begin_with(
        plugin,
        start,
        today(&task.ctx),
        &task.ctx.config.locale,
        personal,
    )?;
    let ended = runtime.invoke(guest, invocation, &mut |call| client.call(call), &cancel);
    let result = match ended {
        Ok(GuestEnd::Returned(verdict)) => {
            let result = verdict.clone().map_err(|failure| guest_failure(&failure));
            client.finish(RunEnd::Returned(verdict));
            result
        }
        Ok(GuestEnd::Aborted(why)) => {
            let error = UserError::input(
                format!("The plugin was ended: {why}."),
                "It is suspended and what it had not finished is undone. Resume it to try again.",
            );
            client.finish(RunEnd::Aborted(why));
            Err(error)
        }
        Err(error) => {
            client.finish(RunEnd::Aborted(error.message.clone()));
            Err(error)
        }
    };
    plugins::show(task)?;
    if task.cancel.is_cancelled() { Err(stopped_run()) } else { result }
}

fn guest_failure(failure: &GuestFailure) -> UserError {
    match failure {
        GuestFailure::Unsupported => {
            UserError::input("The plugin does not know this command.", "Update the plugin.")
        }
        GuestFailure::BadInput(words) => UserError::input(
            format!("The plugin says: {}", hearth_broker::escape_words(words)),
            "Check its settings and what it was given.",
        ),
        GuestFailure::Internal(words) => UserError::input(
            format!("The plugin failed and says: {}", hearth_broker::escape_words(words)),
            "Tell its publisher.",
        ),
    }
}

fn stopped_run() -> UserError {
    UserError::cancelled("The run was stopped.")
}

/// The user's calendar day.
pub(crate) fn today(ctx: &Ctx) -> Date {
    let zone = jiff::tz::TimeZone::system();
    let now = jiff::Timestamp::from_second(ctx.now_secs()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let day = now.to_zoned(zone).date();
    Date {
        year: day.year().into(),
        month: u8::try_from(day.month()).unwrap_or(1),
        day: u8::try_from(day.day()).unwrap_or(1),
    }
}

/// Carries what the broker has to say to the event loop. Never blocks.
pub(crate) struct Bridge {
    ctx: Arc<Ctx>,
    epoch: Epoch,
}

impl Bridge {
    pub(crate) fn new(ctx: &Arc<Ctx>, epoch: Epoch) -> Self {
        Self { ctx: Arc::clone(ctx), epoch }
    }

    fn tell(&self, message: Msg) {
        post(&self.ctx, message);
    }
}

/// Into the queue, or where that is full, as soon as there is room.
fn post(ctx: &Arc<Ctx>, message: Msg) {
    if let Err(tokio::sync::mpsc::error::TrySendError::Full(message)) = ctx.post.try_send(message) {
        let for_later = Arc::clone(ctx);
        ctx.runtime.spawn(async move { for_later.tell(message).await });
    }
}

impl Observer for Bridge {
    fn panels_changed(&self) {
        self.tell(Msg::Panels(self.epoch));
    }

    fn progress(&self, plugin: &PluginId, percent: Option<u8>, message: &str) {
        self.tell(Msg::Progress(self.epoch, plugin.clone(), percent, message.to_owned()));
    }

    fn notice(&self, notice: PluginNotice) {
        self.tell(Msg::PluginNotice(self.epoch, notice));
    }

    fn log(&self, plugin: &PluginId, level: LogLevel, message: &str) {
        // A guest knows nothing private, so its words may be logged.
        tracing::debug!(%plugin, ?level, message, "plugin log");
    }

    fn saved(&self, _plugin: &PluginId, _document: DocumentId) {
        self.tell(Msg::PluginSaved(self.epoch));
    }

    fn trouble(&self, plugin: &PluginId, message: &str) {
        let error = UserError {
            kind: ErrorKind::System,
            message: format!("{plugin}: {message}"),
            hint: String::new(),
        };
        let change = Change::Notice(NoticeKind::Error(error));
        self.tell(Msg::Change(self.epoch, self.ctx.stamp(), change));
    }
}

impl Asker for Bridge {
    fn pick(&self, question: PickQuestion) -> PickAnswer {
        let (answer, answered) = oneshot::channel();
        let id = self.ctx.next_ticket().0;
        let asking = Asking { ctx: Arc::clone(&self.ctx), epoch: self.epoch, id };
        self.tell(Msg::Asked(self.epoch, id, question, answer));
        Box::pin(async move {
            let picked = answered.await.unwrap_or(None);
            drop(asking);
            picked
        })
    }
}

/// Withdraws a question when nobody waits for its answer any more.
struct Asking {
    ctx: Arc<Ctx>,
    epoch: Epoch,
    id: u64,
}

impl Drop for Asking {
    fn drop(&mut self) {
        post(&self.ctx, Msg::Withdrawn(self.epoch, self.id));
    }
}

impl From<BeginError> for UserError {
    fn from(error: BeginError) -> Self {
        let message = crate::errors::sentence(&error.to_string());
        match error {
            BeginError::NotInstalled => Self::user(message, "See `hearth plugin list`."),
            BeginError::Disabled => Self::user(message, "Switch it on first."),
            BeginError::Suspended { .. } => {
                Self::user(message, "Resume it under Plugins if you want it to run again.")
            }
            BeginError::Busy => Self::user(message, "Wait for it, or stop it."),
            BeginError::UnknownCommand { .. } => {
                Self::user(message, "Its commands are shown by `hearth plugin list`.")
            }
            BeginError::FocusMissing => Self::user(message, "Name a document to work on."),
            BeginError::FocusRefused => {
                Self::user(message, "Grant it to read documents, or choose another command.")
            }
            BeginError::NotReady { .. } => Self::system(message, "Try again."),
            BeginError::Manifest(_) => Self::input(message, "Install the plugin again."),
            BeginError::TooLong { .. } => Self::user(message, "Enter less."),
            BeginError::Stale => Self::user(message, "Run the plugin again."),
            BeginError::Locked => Self::locked(),
            BeginError::Store(store) => store.into(),
            _ => Self::internal(message),
        }
    }
}

impl From<ValueError> for UserError {
    fn from(error: ValueError) -> Self {
        let message = crate::errors::sentence(&error.to_string());
        match error {
            ValueError::Stale => Self::user(message, "Run the plugin again."),
            ValueError::NotReady => Self::user(message, "Wait until it is whole."),
            ValueError::Failed { .. } => Self::user(message, "There is nothing to save."),
            ValueError::Locked => Self::locked(),
            _ => Self::internal(message),
        }
    }
}
