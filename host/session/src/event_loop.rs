//! The one task that owns the state: hears commands and reports, changes the view, starts work beside itself.
//! It never waits for anything but its queue.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use hearth_base::DocumentId;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    Command, ErrorKind, Event, JobView, Notice, NoticeKind, Reply, Ticket, UserError, VaultState,
    View, Waker,
    cancel::Cancel,
    msg::{Answers, Change, Epoch, Msg, Slot, Stamp},
    plugins::Develop,
    reveals::Reveals,
    runs::Runs,
    schedules::Schedules,
    task::{Ctx, Room, Task},
    tools,
};

/// Messages handled before the view is swapped.
const BATCH: usize = 64;
/// How often it is looked whether a schedule has come due, where nothing else happens.
const TICK: Duration = Duration::from_secs(30);
/// Notices kept; older ones go.
const NOTICE_LIMIT: usize = 50;

/// A picker's way back to the plugin that asked.
pub(crate) type PickAnswer = oneshot::Sender<Option<Vec<DocumentId>>>;

pub(crate) struct EventLoop {
    pub(crate) ctx: Arc<Ctx>,
    pub(crate) view: View,
    pub(crate) room: Option<Room>,
    pub(crate) epoch: Epoch,
    /// The command that is opening the vault.
    pub(crate) opening: Option<Ticket>,
    /// Work of this opening of the vault; joined at lock.
    pub(crate) tasks: JoinSet<()>,
    /// Set where it does not end by itself: nothing waits for it any longer.
    pub(crate) abandon: Cancel,
    pub(crate) running: BTreeMap<Ticket, Cancel>,
    pub(crate) answers: Answers,
    pub(crate) runs: Runs,
    pub(crate) questions: BTreeMap<u64, PickAnswer>,
    pub(crate) reveals: Reveals,
    pub(crate) calls: BTreeMap<u64, tools::Answer>,
    pub(crate) schedules: Schedules,
    pub(crate) develop: Develop,
    pub(crate) panels_stale: bool,
    /// The default model is not loaded until something needs it.
    pub(crate) model_waits: bool,
    stamps: BTreeMap<Slot, Stamp>,
    next_notice: u64,
    shared: Arc<ArcSwap<View>>,
    waker: Waker,
    /// Something to wake the shell for.
    stirred: bool,
    /// Told when the view that goes with them can be seen.
    pub(crate) outbox: Vec<Event>,
    /// Openings and closings under way.
    pub(crate) at_the_door: usize,
    /// Commands to lock that wait for them.
    pub(crate) locking: Vec<Ticket>,
    ending: Option<oneshot::Sender<()>>,
}

impl EventLoop {
    pub(crate) fn new(ctx: Arc<Ctx>, view: View, shared: Arc<ArcSwap<View>>, waker: Waker) -> Self {
        Self {
            ctx,
            view,
            room: None,
            epoch: Epoch(1),
            opening: None,
            tasks: JoinSet::new(),
            abandon: Cancel::default(),
            running: BTreeMap::new(),
            answers: Answers::new(),
            runs: Runs::default(),
            questions: BTreeMap::new(),
            reveals: Reveals::new(),
            calls: BTreeMap::new(),
            schedules: Schedules::default(),
            develop: Develop::default(),
            panels_stale: false,
            model_waits: false,
            stamps: BTreeMap::new(),
            next_notice: 1,
            shared,
            waker,
            stirred: false,
            outbox: Vec::new(),
            at_the_door: 0,
            locking: Vec::new(),
            ending: None,
        }
    }

    /// Runs until told to shut down.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Msg>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(_ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
                message = messages.recv() => {
                    let Some(message) = message else { return };
                    self.hear(message);
                    for _ in 1..BATCH {
                        let Ok(message) = messages.try_recv() else { break };
                        self.hear(message);
                    }
                }
            }
            self.run_due();
            if std::mem::take(&mut self.panels_stale) {
                self.refresh_panels();
            }
            if std::mem::take(&mut self.stirred) {
                self.shared.store(Arc::new(self.view.clone()));
                for event in self.outbox.drain(..) {
                    self.ctx.hub.emit(&event);
                }
                (self.waker)();
            }
            let idle = self.room.is_none() && self.at_the_door == 0;
            if self.ending.is_some() && idle {
                return;
            }
        }
    }

    /// Something changed in the view without a message.
    pub(crate) fn stir(&mut self) {
        self.stirred = true;
    }

    fn hear(&mut self, message: Msg) {
        self.stirred = true;
        match message {
            Msg::Command(ticket, command) => self.command(ticket, command),
            Msg::Opened(ticket, room, changes) => self.opened(ticket, *room, changes),
            Msg::NotOpened(ticket, error) => self.not_opened(ticket, error),
            Msg::Closed(ticket, result) => self.closed(ticket, result),
            Msg::ClosedLate => self.settle(),
            Msg::Shutdown(done) => {
                self.ending = Some(done);
                self.opening = None;
                self.close(None);
            }
            Msg::Ended(epoch, ticket, result) => self.ended(epoch, ticket, result),
            // What an earlier opening of the vault still says is not heard.
            Msg::Change(epoch, stamp, change) if epoch == self.epoch => self.change(stamp, change),
            Msg::Panels(epoch) if epoch == self.epoch => self.panels_stale = true,
            Msg::GuestEnded(epoch, plugin, ticket, result) if epoch == self.epoch => {
                self.guest_ended(&plugin, ticket, result);
            }
            Msg::Progress(epoch, plugin, percent, message) if epoch == self.epoch => {
                self.plugin_progress(plugin, percent, message);
            }
            Msg::PluginNotice(epoch, notice) if epoch == self.epoch => {
                self.notice(NoticeKind::Plugin(notice));
            }
            Msg::PluginSaved(epoch) if epoch == self.epoch => self.reload_library(),
            Msg::Asked(epoch, id, question, answer) if epoch == self.epoch => {
                self.asked(id, question, answer);
            }
            Msg::RevealAsked(epoch, id, question, answer) if epoch == self.epoch => {
                self.reveal_asked(id, *question, answer);
            }
            Msg::ToolAsked(epoch, question, answer) if epoch == self.epoch => {
                self.ask_call(*question, answer);
            }
            Msg::CallTool(epoch, ticket, call, called) if epoch == self.epoch => {
                self.call_tool(ticket, *call, called);
            }
            Msg::ScheduleNoted(epoch, plugin, schedule, noted) if epoch == self.epoch => {
                self.schedule_noted(plugin, schedule, noted);
            }
            Msg::StopRun(epoch, which) if epoch == self.epoch => self.stop_run(which),
            Msg::Withdrawn(epoch, id) if epoch == self.epoch => self.withdrawn(id),
            Msg::RunAgain(epoch, plugin) if epoch == self.epoch => self.run_again(plugin),
            Msg::StopPlugin(epoch, plugin, done) if epoch == self.epoch => {
                self.make_way(&plugin);
                done.send(()).ok();
            }
            Msg::GuestEnded(_, _, ticket, _) => self.end(ticket, Err(locked_meanwhile())),
            Msg::Change(..)
            | Msg::Panels(_)
            | Msg::Progress(..)
            | Msg::PluginNotice(..)
            | Msg::PluginSaved(_)
            | Msg::Asked(..)
            | Msg::RevealAsked(..)
            | Msg::ToolAsked(..)
            | Msg::CallTool(..)
            | Msg::StopRun(..)
            | Msg::ScheduleNoted(..)
            | Msg::RunAgain(..)
            | Msg::StopPlugin(..)
            | Msg::Withdrawn(..) => {}
        }
    }

    fn command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::CreateVault(passphrase) => self.open_vault(ticket, passphrase, true),
            Command::Unlock(passphrase) => self.open_vault(ticket, passphrase, false),
            Command::Lock => self.lock(ticket),
            Command::Cancel(which) => self.cancel(ticket, which),
            Command::DismissNotice(id) => {
                Arc::make_mut(&mut self.view.notices).retain(|notice| notice.id != id);
                self.end(ticket, Ok(Reply::Unit));
            }
            Command::InspectPlugin(path) => self.inspect_plugin(ticket, path),
            Command::InspectRotation(path) => self.inspect_rotation(ticket, path),
            Command::InspectModel(path) => self.inspect_model(ticket, path),
            _ if self.room.is_none() => self.end(ticket, Err(UserError::locked())),
            Command::ChangePassphrase { old, new } => {
                self.change_passphrase(ticket, old, new);
            }
            Command::Import { .. }
            | Command::Browse(_)
            | Command::OpenDocument(_)
            | Command::CloseDocument
            | Command::DeleteDocument(_)
            | Command::DeleteFolder(_)
            | Command::OpenImportLog(_) => self.library_command(ticket, command),
            Command::NewConversation
            | Command::OpenConversation(_)
            | Command::RenameConversation(..)
            | Command::DeleteConversation(_)
            | Command::Ask { .. }
            | Command::AskAgain { .. } => self.chat_command(ticket, command),
            Command::InstallPlugin { .. }
            | Command::GrantPlugin { .. }
            | Command::RevokePlugin(_)
            | Command::UninstallPlugin { .. }
            | Command::CheckPluginUpdates
            | Command::UpdatePlugin(_)
            | Command::AcceptUpdate { .. }
            | Command::DeclineUpdate(_)
            | Command::RollBackPlugin(_)
            | Command::SetDeveloperMode(_)
            | Command::TrustRotation { .. }
            | Command::SetPluginSetting { .. }
            | Command::ResumePlugin(_) => self.plugin_command(ticket, command),
            Command::WatchPlugin { .. } | Command::UnwatchPlugin { .. } => {
                self.develop_command(ticket, command);
            }
            Command::RunPlugin { .. }
            | Command::Press { .. }
            | Command::Enter { .. }
            | Command::PickItem { .. }
            | Command::ClosePanel(_)
            | Command::SaveValue(_)
            | Command::AnswerPick { .. } => self.run_command(ticket, command),
            Command::AnswerReveal { .. } | Command::AllowGestures(_) => {
                self.reveal_command(ticket, command);
            }
            Command::SetPluginTools { .. } | Command::AnswerToolCall { .. } => {
                self.tool_command(ticket, command);
            }
            Command::SetSchedule { .. } | Command::RunDueSchedules => {
                self.schedule_command(ticket, command);
            }
            Command::TryPlugin { .. } | Command::CloseTrial => self.trial_command(ticket, command),
            Command::OpenActivity(_) | Command::CloseActivity => {
                self.activity_command(ticket, command);
            }
            Command::AddModel(_)
            | Command::MarkModel { .. }
            | Command::LoadModel(_)
            | Command::UnloadModel
            | Command::SetLoadOptions(_)
            | Command::RemoveModel(_) => self.model_command(ticket, command),
            Command::Tune(command) => self.tune_command(ticket, command),
        }
    }

    fn cancel(&mut self, ticket: Ticket, which: Ticket) {
        self.stop_run(which);
        self.end(ticket, Ok(Reply::Unit));
    }

    fn stop_run(&mut self, which: Ticket) {
        if let Some(cancel) = self.running.get(&which) {
            cancel.cancel();
        }
        self.cancel_run(which);
    }

    /// What a command's work gets in hand; `None` (and the command failed) where the vault is locked.
    pub(crate) fn task(&mut self, ticket: Ticket) -> Option<Task> {
        let Some(room) = self.room.clone() else {
            self.end(ticket, Err(UserError::locked()));
            return None;
        };
        let cancel = Cancel::default();
        self.running.insert(ticket, cancel.clone());
        let stamp = self.ctx.stamp();
        Some(Task { ctx: Arc::clone(&self.ctx), room, ticket, cancel, stamp })
    }

    /// Starts work beside the loop; its result is the command's end.
    pub(crate) fn spawn<F>(&mut self, ticket: Ticket, work: impl FnOnce(Task) -> F)
    where
        F: Future<Output = Result<Reply, UserError>> + Send + 'static,
    {
        let Some(task) = self.task(ticket) else { return };
        let epoch = self.epoch;
        let work = AbortOnDrop(self.ctx.runtime.spawn(work(task)));
        self.attend(work.joined(), move |result| Msg::Ended(epoch, ticket, result));
    }

    /// Waits beside the loop for what a command does (`None` where it broke off) and tells its end. Once the vault is
    /// closing, work that does not end is dropped, for it may wait for the model as long as that likes.
    pub(crate) fn attend<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Option<Result<T, UserError>>> + Send + 'static,
        tell: impl FnOnce(Result<T, UserError>) -> Msg + Send + 'static,
    ) {
        let (ctx, abandon) = (Arc::clone(&self.ctx), self.abandon.clone());
        self.tasks.spawn(async move {
            let result = tokio::select! {
                ended = work => ended.unwrap_or_else(|| {
                    tracing::error!("a command broke off");
                    Err(UserError::internal("The command broke off."))
                }),
                () = abandon.cancelled() => Err(locked_meanwhile()),
            };
            ctx.tell(tell(result)).await;
        });
    }

    /// The same for work that blocks.
    pub(crate) fn blocking(
        &mut self,
        ticket: Ticket,
        work: impl FnOnce(&Task) -> Result<Reply, UserError> + Send + 'static,
    ) {
        self.spawn(ticket, |task| async move { task.blocking(work).await });
    }

    fn ended(&mut self, epoch: Epoch, ticket: Ticket, result: Result<Reply, UserError>) {
        let result = if epoch == self.epoch { result } else { Err(locked_meanwhile()) };
        self.end(ticket, result);
    }

    /// The end of a command: exactly one event, whatever became of it.
    pub(crate) fn end(&mut self, ticket: Ticket, result: Result<Reply, UserError>) {
        self.running.remove(&ticket);
        if let Some(awaited) = self.runs.awaited.remove(&ticket) {
            // Not a command of a shell's: whoever waits for it says what is to be said.
            if let Err(error) = result {
                awaited.send(Err(error)).ok();
            }
            return;
        }
        if self.schedule_ended(ticket, &result) {
            return;
        }
        if self.view.jobs.iter().any(|job| job.ticket == ticket) {
            Arc::make_mut(&mut self.view.jobs).retain(|job| job.ticket != ticket);
        }
        let event = match result {
            Ok(reply) => Event::Done { ticket, reply },
            Err(error) => {
                // Errors of opening belong beside the passphrase field; what the user stopped is no news.
                if self.room.is_some() && error.kind != ErrorKind::Cancelled {
                    self.notice(NoticeKind::Error(error.clone()));
                }
                Event::Failed { ticket, error }
            }
        };
        self.outbox.push(event);
    }

    /// Lists a command among those that take a while.
    pub(crate) fn job(&mut self, ticket: Ticket, title: String) {
        let job = JobView { ticket, title, share: None, detail: String::new() };
        Arc::make_mut(&mut self.view.jobs).push(job);
    }

    pub(crate) fn notice(&mut self, what: NoticeKind) {
        let id = self.next_notice;
        self.next_notice += 1;
        let notices = Arc::make_mut(&mut self.view.notices);
        notices.push(Notice { id, what });
        if notices.len() > NOTICE_LIMIT {
            notices.remove(0);
        }
    }

    /// Applies a change, unless what it shows is older than what is shown.
    pub(crate) fn change(&mut self, stamp: Stamp, change: Change) {
        if let Some(slot) = change.slot() {
            if self.stamps.get(&slot).is_some_and(|shown| *shown > stamp) {
                return;
            }
            self.stamps.insert(slot, stamp);
        }
        let view = &mut self.view;
        match change {
            Change::Folders(folders) => view.folders = Arc::new(folders),
            Change::Library(library) => view.library = Arc::new(library),
            Change::SameLibrary(library) => {
                if view.library.query == library.query {
                    view.library = Arc::new(library);
                }
            }
            Change::Document(document) => view.document = document.map(|d| Arc::new(*d)),
            Change::ImportLog(log) => view.import_log = log.map(Arc::new),
            Change::Conversations(heads) => view.conversations = Arc::new(heads),
            Change::Tools(modes) => view.tools = Arc::new(modes),
            Change::Schedules(schedules) => view.schedules = Arc::new(schedules),
            Change::Trial(trial) => {
                view.trial = trial.map(|trial| Arc::new(*trial));
                self.outbox.push(Event::PanelsChanged);
            }
            Change::PluginActivity(activity) => {
                view.plugin_activity = activity.map(|activity| Arc::new(*activity));
            }
            Change::Activity(rows) => view.activity = Arc::new(rows),
            Change::Models(models, options) => {
                let shown = Arc::make_mut(&mut view.models);
                (shown.models, shown.load_options) = (models, options);
            }
            Change::Job(ticket, share, detail) => {
                let jobs = Arc::make_mut(&mut view.jobs);
                if let Some(job) = jobs.iter_mut().find(|job| job.ticket == ticket) {
                    (job.share, job.detail) = (share, detail);
                }
            }
            Change::Notice(what) => self.notice(what),
            Change::Conversation(conversation) => self.show_conversation(conversation),
            Change::Turns(conversation) => {
                if view.conversation.as_ref().is_some_and(|open| open.id == conversation.id) {
                    self.show_conversation(Some(conversation));
                }
            }
            Change::Answering(id, answering) => self.show_answering(id, answering),
            Change::Plugins(plugins) => {
                self.show_plugins(plugins);
                self.withdraw_unfit_calls();
            }
            Change::DeveloperMode(on) => view.developer_mode = on,
            Change::Loading(ticket, share) => {
                Arc::make_mut(&mut view.models).loading = Some((ticket, share));
            }
            Change::Loaded(ticket, loaded) => self.show_loaded(ticket, loaded),
            tuning @ (Change::Datasets(_)
            | Change::Preview(_)
            | Change::Estimate(_)
            | Change::Runs(_)
            | Change::Run(_)
            | Change::RunGone(_)
            | Change::Adapters(_)
            | Change::TuneChoices(..)
            | Change::Comparison(_)
            | Change::Authors(_)) => self.tuning_change(tuning),
        }
    }

    /// Empties everything that came out of the vault.
    pub(crate) fn forget(&mut self, vault: VaultState) {
        self.view =
            View { vault, vault_path: self.ctx.config.vault_dir.clone(), ..View::default() };
        self.answers.clear();
        self.runs = Runs::default();
        // Whoever asked hears that there is nobody to ask.
        self.questions.clear();
        self.reveals.clear();
        self.calls.clear();
        self.schedules = Schedules::default();
        self.stamps.clear();
        self.panels_stale = false;
        self.outbox.retain(|event| matches!(event, Event::Done { .. } | Event::Failed { .. }));
        self.ctx.hub.forget_progress();
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    async fn joined(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn locked_meanwhile() -> UserError {
    UserError::cancelled("The vault was locked.")
}
