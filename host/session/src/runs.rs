//! Runs of plugins: one call into the code of a publisher's plugins at a time, others queued behind it, and a run counted
//! as over when everything its panels show has settled.

mod bridge;
mod guest;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use hearth_base::{DocumentId, Label, PluginId, RunId};
use hearth_broker::{Broker, PanelNode, PanelView, PickQuestion, Start, ValueState};
use tokio::sync::oneshot;

use crate::{
    Command, Event, PickView, Reply, SignatureView, Ticket, UserError,
    event_loop::EventLoop,
    msg::Msg,
    task::{Ctx, Room},
};

pub(crate) use bridge::Bridge;
pub(crate) use guest::{by_hand, day_number, guest_failure, note_spent, now, today};
use guest::{run_guest, stopped_run};

/// Runs that may wait for a plugin.
const WAITING_LIMIT: usize = 32;
/// The publisher of what comes with Hearth.
const BUNDLED: &str = "hearth";
/// The one name that all unsigned plugins share.
const UNSIGNED: &str = "unsigned";

/// Who started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    User,
    Chat,
    Schedule,
}

/// A run to come.
pub(crate) struct Run {
    pub(crate) ticket: Ticket,
    pub(crate) plugin: PluginId,
    pub(crate) start: Start,
    pub(crate) by: By,
    /// What a command's words and document depend on, where they are not the user's own.
    pub(crate) words: Option<Label>,
}

/// What a run's panels showed when it was over, for the one inside who waits for it.
pub(crate) type Awaited = oneshot::Sender<Result<Vec<PanelView>, UserError>>;

/// Runs under way.
#[derive(Default)]
pub(crate) struct Runs {
    by_plugin: BTreeMap<PluginId, PluginRuns>,
    /// The plugin whose code runs, by publisher: of two at once each could tell from its own pace what the other does.
    guests: BTreeMap<String, PluginId>,
    /// Runs that something inside waits for, rather than a shell.
    pub(crate) awaited: BTreeMap<Ticket, Awaited>,
    /// Counts runs launched.
    launched: u64,
}

#[derive(Default)]
struct PluginRuns {
    publisher: String,
    /// The one whose code runs.
    guest: Option<Ticket>,
    /// Those that wait for it, or for another plugin of the same publisher.
    waiting: VecDeque<Run>,
    /// Runs whose code has ended and whose values still arrive.
    settling: BTreeMap<Ticket, RunId>,
    progress: Option<(Option<u8>, String)>,
    /// When its last run was launched, in runs launched.
    last_launch: u64,
}

impl Runs {
    /// Takes out every run; for locking.
    pub(crate) fn drain_tickets(&mut self) -> Vec<Ticket> {
        // A run whose code is still running ends by its own message.
        std::mem::take(&mut self.by_plugin)
            .into_values()
            .flat_map(|runs| {
                runs.waiting.into_iter().map(|run| run.ticket).chain(runs.settling.into_keys())
            })
            .collect()
    }

    /// The next run of a publisher's plugins: that of the plugin whose turn was longest ago.
    fn next_of(&mut self, publisher: &str) -> Option<Run> {
        self.by_plugin
            .values_mut()
            .filter(|runs| runs.publisher == publisher && !runs.waiting.is_empty())
            .min_by_key(|runs| runs.last_launch)?
            .waiting
            .pop_front()
    }
}

impl EventLoop {
    pub(crate) fn run_command(&mut self, ticket: Ticket, command: Command) {
        let (plugin, start) = match command {
            Command::RunPlugin { plugin, command, focus, input } => {
                (plugin, Start::Command { id: command, focus, input })
            }
            Command::Press { panel, button } => {
                (panel.plugin.clone(), Start::Pressed { panel, button })
            }
            Command::Enter { panel, input, text } => {
                (panel.plugin.clone(), Start::Entered { panel, input, text })
            }
            Command::PickItem { panel, picker, value } => {
                (panel.plugin.clone(), Start::Picked { panel, picker, value })
            }
            Command::ClosePanel(key) => {
                return self.blocking(ticket, move |task| {
                    task.room.broker.close_panel(&key);
                    task.ctx.tell_blocking(Msg::Panels(task.room.epoch));
                    Ok(Reply::Unit)
                });
            }
            Command::SaveValue(id) => {
                return self.spawn(ticket, move |task| async move {
                    let document = task.room.broker.save_value(id).await?;
                    task.ctx.tell(Msg::PluginSaved(task.room.epoch)).await;
                    Ok(Reply::Saved(document))
                });
            }
            Command::AnswerPick { question, picked } => {
                let result = self.answer_pick(question, picked);
                return self.end(ticket, result);
            }
            _ => return self.end(ticket, Err(UserError::internal("Not a command about runs."))),
        };
        self.note_command(&plugin, &start);
        self.begin(Run { ticket, plugin, start, by: By::User, words: None });
    }

    /// Runs a plugin, or queues it behind another of the same publisher.
    pub(crate) fn begin(&mut self, run: Run) {
        let publisher = self.publisher(&run.plugin);
        let runs = self.runs.by_plugin.entry(run.plugin.clone()).or_default();
        runs.publisher.clone_from(&publisher);
        if !self.runs.guests.contains_key(&publisher) {
            return self.launch(run, publisher);
        }
        if runs.waiting.len() >= WAITING_LIMIT {
            let error = UserError::user("The plugin is busy.", "Wait for it, or stop it.");
            return self.end(run.ticket, Err(error));
        }
        runs.waiting.push_back(run);
    }

    /// Whose code a plugin's is, as far as that was verified.
    fn publisher(&self, plugin: &PluginId) -> String {
        let known = self.view.plugins.iter().find(|known| known.id == *plugin);
        match known.map(|known| &known.provenance.signature) {
            Some(SignatureView::Bundled) => BUNDLED.to_owned(),
            Some(SignatureView::Signed { key, .. }) => key.clone(),
            Some(SignatureView::Unsigned) | None => UNSIGNED.to_owned(),
        }
    }

    fn launch(&mut self, run: Run, publisher: String) {
        self.load_waiting_model();
        let Some(task) = self.task(run.ticket) else { return };
        let (ticket, plugin) = (run.ticket, run.plugin.clone());
        self.runs.launched += 1;
        self.runs.guests.insert(publisher, plugin.clone());
        let runs = self.runs.by_plugin.entry(plugin.clone()).or_default();
        runs.guest = Some(ticket);
        runs.progress = None;
        runs.last_launch = self.runs.launched;
        self.sync_runs();
        let epoch = self.epoch;
        let (ended, end) = oneshot::channel();
        // A thread of its own, at most one for each publisher: guests wait for vault work, which must not wait for them.
        let thread = std::thread::Builder::new().name("hearth-run".into()).spawn(move || {
            let result = run_guest(&task, run);
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
        self.attend(work, move |result| Msg::GuestEnded(epoch, plugin, ticket, result));
    }

    pub(crate) fn guest_ended(
        &mut self,
        plugin: &PluginId,
        ticket: Ticket,
        result: Result<RunId, UserError>,
    ) {
        let runs = self.runs.by_plugin.entry(plugin.clone()).or_default();
        runs.guest = None;
        let publisher = runs.publisher.clone();
        self.runs.guests.remove(&publisher);
        match result {
            Ok(run) => {
                runs.settling.insert(ticket, run);
            }
            Err(error) => self.end(ticket, Err(error)),
        }
        while !self.runs.guests.contains_key(&publisher)
            && let Some(run) = self.runs.next_of(&publisher)
        {
            self.launch(run, publisher.clone());
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
                over.extend(ended.into_iter().map(|(ticket, run)| (ticket, plugin.clone(), run)));
            }
        }
        self.view.panels = Arc::new(panels);
        self.outbox.push(Event::PanelsChanged);
        if !over.is_empty() {
            self.note_spent();
        }
        for (ticket, plugin, run) in over {
            self.run_is_over(ticket, plugin, run);
        }
        self.sync_runs();
    }

    fn run_is_over(&mut self, ticket: Ticket, plugin: PluginId, run: RunId) {
        let stopped = self.running.get(&ticket).is_some_and(crate::cancel::Cancel::is_cancelled);
        if stopped {
            return self.end(ticket, Err(stopped_run()));
        }
        if let Some(awaited) = self.runs.awaited.remove(&ticket) {
            let panels = self.view.panels.iter();
            let of_run = |panel: &&PanelView| panel.key.plugin == plugin && panel.run == run;
            // Whoever asked for it may have given up.
            awaited.send(Ok(panels.filter(of_run).cloned().collect())).ok();
            self.running.remove(&ticket);
            return;
        }
        self.end(ticket, Ok(Reply::Ran(plugin)));
    }

    /// Writes down, beside the loop, what runs took of the model and of documents.
    fn note_spent(&mut self) {
        let Some(room) = self.room.clone() else { return };
        let ctx = Arc::clone(&self.ctx);
        self.tasks.spawn(async move { last_spent(&ctx, &room).await });
    }

    /// Stops a run, wherever it is.
    pub(crate) fn cancel_run(&mut self, which: Ticket) {
        let mut stop = None;
        let mut withdrawn = false;
        for (plugin, runs) in &mut self.runs.by_plugin {
            let before = runs.waiting.len();
            runs.waiting.retain(|run| run.ticket != which);
            withdrawn |= runs.waiting.len() < before;
            if runs.guest == Some(which) || runs.settling.contains_key(&which) {
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

    /// Stops everything of a plugin: its code, its values on their way, what waits for it, and what the chat asks of it.
    pub(crate) fn stop_plugin(&mut self, plugin: &PluginId) {
        self.withdraw_calls(plugin);
        self.drop_schedules(plugin);
        let Some(runs) = self.runs.by_plugin.get_mut(plugin) else { return };
        let waiting: Vec<_> = runs.waiting.drain(..).map(|run| run.ticket).collect();
        for ticket in runs.guest.iter().chain(runs.settling.keys()) {
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
                runs.and_then(|runs| runs.guest.or_else(|| runs.settling.keys().next().copied()));
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
        self.reveal_withdrawn(id);
        self.call_withdrawn(id);
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
pub(crate) fn settled(panel: &PanelView) -> bool {
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

/// Writes down what is not yet written of what runs took.
pub(crate) async fn last_spent(ctx: &Arc<Ctx>, room: &Room) {
    let (ctx, room) = (Arc::clone(ctx), room.clone());
    let written = tokio::task::spawn_blocking(move || note_spent(&ctx, &room)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(kind = ?error.kind, "what runs took could not be written down");
    }
}
