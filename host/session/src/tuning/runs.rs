//! Runs: planned, begun, paused, gone on with, and what comes of them.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
};

use hearth_base::{Label, TuneRunId};
use hearth_dataset::KeptExamples;
use hearth_engine_api::{
    Budget, ChatMessage, Checkpoint, Example, Role, TuneError, TuneEstimate, TuneJob, TuneOutcome,
    TuneSettings, Tuned,
};
use hearth_vault::{
    LearntFrom, NewAdapter, NewTuneRun, RunState as Kept, SourceChange, StoreError, TuneRunRecord,
};
use serde::{Deserialize, Serialize};

use super::{
    EstimateView, RunPlan, RunState, RunView, Settings, TuneCommand, adapters,
    at_hand::Turn,
    base, datasets,
    report::{self, Secrets},
    rules, show_all,
    watcher::{Bystander, Watcher},
};
use crate::{
    NoticeKind, Reply, Ticket, UserError, chat::prompt::SYSTEM, event_loop::EventLoop, msg::Change,
    task::Task,
};

/// What a run follows from beside its examples, as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptJob {
    pub(super) dataset: String,
    pub(super) settings: TuneSettings,
    pub(super) secrets: Secrets,
    /// Steps that it comes to, as far as is known.
    pub(super) steps: u32,
}

impl EventLoop {
    pub(super) fn run_of_tuning(&mut self, ticket: Ticket, command: TuneCommand) {
        match command {
            TuneCommand::Estimate(plan) => {
                self.job(ticket, "Estimating a training run".into());
                self.blocking(ticket, move |task| estimate(task, plan));
            }
            TuneCommand::StartRun { name, plan } => {
                let Some(turn) = self.turn_to_train(ticket) else { return };
                self.job(ticket, format!("Training {}", name.trim()));
                let estimate = self.view.tuning.estimate.clone();
                self.spawn(ticket, |task| async move {
                    let _turn = turn;
                    let begun = task
                        .blocking(move |task| begin(task, name.trim(), &plan, estimate.as_deref()))
                        .await?;
                    go(task, begun).await
                });
            }
            TuneCommand::ResumeRun(id) => {
                let Some(turn) = self.turn_to_train(ticket) else { return };
                let known = self.view.tuning.runs.iter().find(|run| run.id == id);
                let name = known.map_or_else(String::new, |run| run.name.clone());
                self.job(ticket, format!("Training {name}"));
                self.spawn(ticket, move |task| async move {
                    let _turn = turn;
                    let begun = task.blocking(move |task| resume(task, id)).await?;
                    go(task, begun).await
                });
            }
            TuneCommand::PauseRun(id) => {
                self.pause(id);
                self.end(ticket, Ok(Reply::Unit));
            }
            TuneCommand::RemoveRun(id) => {
                let going = self.pause(id);
                self.spawn(ticket, move |task| async move {
                    if going {
                        // Its thread still writes to the vault; it ends at the next layer.
                        task.room.at_hand.run_ended(id).await;
                    }
                    task.blocking(move |task| {
                        task.vault().remove_run(id)?;
                        task.show(task.ctx.stamp(), Change::RunGone(id));
                        show_all(task)?;
                        Ok(Reply::Unit)
                    })
                    .await
                });
            }
            TuneCommand::ExportJob { plan, path } => {
                self.job(ticket, "Writing a training job".into());
                self.blocking(ticket, move |task| export(task, &plan, &path));
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about runs."))),
        }
    }

    /// One run at a time, from the making of its examples on: two would take each other's time and memory. `None` (and
    /// the command failed) where another has its turn.
    fn turn_to_train(&mut self, ticket: Ticket) -> Option<Turn> {
        let turn = self.room.as_ref().and_then(|room| room.at_hand.turn_to_train());
        if turn.is_none() {
            let going = self.view.tuning.runs.iter().find(|run| run.ticket.is_some());
            let name = going.map_or("Another adapter", |run| &run.name);
            let error = UserError::user(
                format!("{name} is still being trained."),
                "Wait until it is done, or pause it.",
            );
            self.end(ticket, Err(error));
        }
        turn
    }

    /// Tells a run to pause; whether it was going on.
    fn pause(&self, id: TuneRunId) -> bool {
        let run = self.view.tuning.runs.iter().find(|run| run.id == id);
        let cancel = run.and_then(|run| run.ticket).and_then(|ticket| self.running.get(&ticket));
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
        cancel.is_some()
    }
}

/// A run that is written down and ready to go on.
struct Begun {
    shown: RunView,
    kept: KeptJob,
    base: base::Base,
    job: TuneJob,
    checkpoint: Option<Checkpoint>,
}

/// All runs as they are shown.
pub(super) fn read(task: &Task) -> Result<Vec<RunView>, UserError> {
    let adapters = task.vault().adapters()?;
    let mut views = Vec::new();
    for record in task.vault().runs()? {
        let adapter = adapters.iter().find(|a| a.run == Some(record.id)).map(|a| a.id);
        let steps = task.vault().steps(record.id)?;
        let Ok(kept) = serde_json::from_str::<KeptJob>(&record.job) else {
            tracing::warn!("a run of another version is not shown");
            continue;
        };
        let state = match record.state {
            Kept::Running | Kept::Paused => RunState::Paused,
            Kept::Finished => RunState::Finished(adapter),
            Kept::Cancelled => RunState::Failed("It was broken off.".into()),
            Kept::Failed => RunState::Failed(record.error.clone().unwrap_or_default()),
        };
        views.push(view(&record, &kept, state, steps));
    }
    Ok(views)
}

fn view(
    record: &TuneRunRecord,
    kept: &KeptJob,
    state: RunState,
    steps: Vec<hearth_vault::TuneStep>,
) -> RunView {
    RunView {
        id: record.id,
        name: record.name.clone(),
        dataset: kept.dataset.clone(),
        base: record.base_name.clone(),
        state,
        ticket: None,
        total_steps: Some(kept.steps).filter(|steps| *steps > 0),
        settings: kept.settings.clone(),
        steps: Arc::new(steps),
        secs_left: None,
        sources_gone: record.sources_gone,
        started_secs: record.started_secs,
    }
}

/// A plan with its examples made and its settings settled.
struct Planned {
    dataset: String,
    base: base::Base,
    job: TuneJob,
    secrets: Secrets,
    label: Label,
    /// What its examples were made of.
    made_of: Vec<LearntFrom>,
    /// What the adapters learnt that have a part in its conversations.
    passed_on: Vec<LearntFrom>,
    /// Tells whether the examples and their model are still the same.
    print: u64,
}

fn planned(task: &Task, plan: &RunPlan) -> Result<Planned, UserError> {
    let record = datasets::find(task, plan.dataset)?;
    let recipe = datasets::recipe(&record)?;
    let base = base::find(task, plan.base)?;
    let built = hearth_dataset::build(task.vault(), &recipe)?;
    let (mut label, made_of) = (built.label().clone(), built.learnt_from().to_vec());
    let passed_on = join_adapters(task, &made_of, &mut label)?;
    let KeptExamples { mut train, mut held_out } = built.examples();
    let print = print(task, &base, &built.examples())?;
    as_asked(&mut train);
    as_asked(&mut held_out);
    let settings = match &plan.settings {
        Settings::Exact(settings) => settings.clone(),
        Settings::Recommended(wishes) => {
            let tokens = task.ctx.tuner.tokens(&base.path, &train, wishes)?;
            let learnt = tokens.iter().map(|example| u64::from(example.learnt)).sum();
            task.ctx.tuner.recommend(&base.path, learnt, wishes)?
        }
    };
    let secrets = Secrets::new(settings.seed, rules(task)?.canaries);
    train.extend(secrets.examples());
    let job = TuneJob {
        base: base.path.clone(),
        train: train.into(),
        held_out: held_out.into(),
        settings,
        initial: None,
    };
    Ok(Planned { dataset: record.name, base, job, secrets, label, made_of, passed_on, print })
}

/// Joins what the adapters depend on that conversations are answered with: their answers may repeat it.
pub(super) fn join_adapters(
    task: &Task,
    made_of: &[LearntFrom],
    label: &mut Label,
) -> Result<Vec<LearntFrom>, UserError> {
    let mut passed_on = Vec::new();
    for from in made_of {
        let LearntFrom::Conversation(id) = from else { continue };
        let chosen = task.vault().conversation_adapters(*id)?;
        let mut adapters: BTreeSet<_> = chosen.iter().map(|choice| choice.adapter).collect();
        // Those that had a part in it once, and were taken away since.
        let said = task.vault().conversation_label(*id)?;
        adapters.extend(said.sources.iter().filter_map(adapters::named));
        for adapter in adapters {
            match task.vault().adapter_label(adapter) {
                // What it had learnt is in the conversation's own label.
                Err(StoreError::NotFound { .. }) => continue,
                learnt => label.join(&learnt?),
            }
            let sources = task.vault().adapter_sources(adapter)?;
            passed_on.extend(sources.into_iter().map(|(source, _change)| source));
        }
    }
    Ok(passed_on)
}

/// Another number where the examples or their model are others.
fn print(task: &Task, base: &base::Base, examples: &KeptExamples) -> Result<u64, UserError> {
    let mut hasher = DefaultHasher::new();
    base::fingerprint(task, &base.path)?.base.hash(&mut hasher);
    examples.to_bytes()?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// Puts the chat's instructions before every second conversation that has none of its own: the chat asks with them,
/// plugins ask without.
fn as_asked(examples: &mut [Example]) {
    for example in examples.iter_mut().step_by(2) {
        let (Example::Chat(messages) | Example::Answers { messages, .. }) = example else {
            continue;
        };
        if messages.first().is_some_and(|first| first.role == Role::User) {
            messages.insert(0, ChatMessage::new(Role::System, SYSTEM));
            if let Example::Answers { learnt, .. } = example {
                learnt.iter_mut().for_each(|turn| *turn += 1);
            }
        }
    }
}

fn measured(task: &Task, job: &TuneJob) -> Result<TuneEstimate, UserError> {
    Ok(task.ctx.tuner.estimate(job, &mut Bystander(task))?)
}

fn estimate(task: &Task, plan: RunPlan) -> Result<Reply, UserError> {
    let Planned { mut job, print, secrets, .. } = planned(task, &plan)?;
    let mut estimate = measured(task, &job)?;
    estimate.report_secs = report::secs(task, &job, secrets, estimate.look_tokens_per_sec)?;
    settle(&mut job.settings, &estimate);
    let view = EstimateView { plan, settings: job.settings.clone(), estimate, print };
    task.show(task.ctx.stamp(), Change::Estimate(Box::new(view)));
    Ok(Reply::Estimate(Box::new((job.settings, estimate))))
}

/// What a budget came to holds from then on. One of time says more than steps, such as how much of the held-out examples
/// there is time to look at: the tuner settles it when the run begins, and keeps that with the run's state.
fn settle(settings: &mut TuneSettings, estimate: &TuneEstimate) {
    if !matches!(settings.budget, Budget::Minutes(_)) {
        settings.budget = Budget::Steps(estimate.steps);
    }
}

fn begin(
    task: &Task,
    name: &str,
    plan: &RunPlan,
    estimated: Option<&EstimateView>,
) -> Result<Begun, UserError> {
    if name.is_empty() {
        return Err(UserError::user("The adapter has no name.", "Type a few words."));
    }
    let planned = planned(task, plan)?;
    let Planned { dataset, base, mut job, secrets, label, made_of, passed_on, print } = planned;
    let known = estimated.filter(|known| known.plan == *plan && known.print == print);
    let steps = match known {
        // What the user was shown is what is done.
        Some(known) => {
            job.settings = known.settings.clone();
            known.estimate.steps
        }
        None => {
            let estimate = measured(task, &job)?;
            settle(&mut job.settings, &estimate);
            estimate.steps
        }
    };
    let kept = KeptJob { dataset, settings: job.settings.clone(), secrets, steps };
    let examples = KeptExamples { train: job.train.to_vec(), held_out: job.held_out.to_vec() };
    let id = task.vault().start_run(&NewTuneRun {
        name,
        dataset: Some(plan.dataset),
        base_name: &base.name,
        base_path: &base.path,
        job: &to_json(&kept)?,
        examples: &examples.to_bytes()?,
        label,
        learnt_from: [made_of.as_slice(), &passed_on].concat(),
    })?;
    let gone = |(source, change)| change == SourceChange::Gone && made_of.contains(&source);
    if task.vault().run_sources(id)?.into_iter().any(gone) {
        task.vault().remove_run(id)?;
        return Err(UserError::user(
            "Something that this run was to learn from was deleted while it was being prepared.",
            "Start it again: it learns from what is there now.",
        ));
    }
    task.audit(None, "A training run was begun.", true);
    begun(task, id, kept, base, job, None)
}

fn resume(task: &Task, id: TuneRunId) -> Result<Begun, UserError> {
    let record = task.vault().run(id)?.ok_or_else(no_run)?;
    if record.state.is_over() {
        return Err(UserError::user("This run is over.", "Start a new one with the same dataset."));
    }
    let gone = || {
        UserError::user(
            "Something this run learns from was deleted, so its copy of it is gone too.",
            "Start a new run: it learns from what is there now.",
        )
    };
    let examples = task.vault().run_examples(id)?.ok_or_else(gone)?;
    let examples = KeptExamples::from_bytes(&examples)?;
    let kept: KeptJob = serde_json::from_str(&record.job)
        .map_err(|_error| UserError::internal("The run was kept by another version of Hearth."))?;
    let base = base::Base { name: record.base_name, path: record.base_path };
    let checkpoint = task.vault().checkpoint(id)?;
    let checkpoint = checkpoint.map(|kept| Checkpoint { step: kept.step, bytes: kept.bytes });
    let job = TuneJob {
        base: base.path.clone(),
        train: examples.train.into(),
        held_out: examples.held_out.into(),
        settings: kept.settings.clone(),
        initial: None,
    };
    task.vault().set_run_state(id, Kept::Running, None)?;
    begun(task, id, kept, base, job, checkpoint)
}

fn begun(
    task: &Task,
    id: TuneRunId,
    kept: KeptJob,
    base: base::Base,
    job: TuneJob,
    checkpoint: Option<Checkpoint>,
) -> Result<Begun, UserError> {
    let record = task.vault().run(id)?.ok_or_else(no_run)?;
    let done = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.step);
    // Steps after the checkpoint are done again, to the same end.
    let steps = task.vault().steps(id)?.into_iter().filter(|step| step.step <= done).collect();
    let mut shown = view(&record, &kept, RunState::Preparing, steps);
    shown.ticket = Some(task.ticket);
    task.show(task.ctx.stamp(), Change::Run(shown.clone()));
    Ok(Begun { shown, kept, base, job, checkpoint })
}

/// How a run's training ended.
enum Trained {
    Finished(Box<(Tuned, Begun)>),
    Paused,
    /// It would fail again.
    Failed(UserError),
}

/// Trains, keeps what comes of it, and has it at hand at once. What another day may mend leaves the run paused, with its
/// checkpoint.
async fn go(task: Task, begun: Begun) -> Result<Reply, UserError> {
    let id = begun.shown.id;
    let _going = task.room.at_hand.run_goes_on(id);
    let trained = task.blocking(move |task| train(task, begun)).await;
    let (tuned, begun) = match trained {
        Ok(Trained::Finished(finished)) => *finished,
        Ok(Trained::Paused) => {
            settle_state(&task, id, Kept::Paused, None).await?;
            return Ok(Reply::Paused(id));
        }
        Ok(Trained::Failed(error)) => {
            settle_state(&task, id, Kept::Failed, Some(error.message.clone())).await?;
            return Err(error);
        }
        Err(error) => {
            settle_state(&task, id, Kept::Paused, None).await?;
            return Err(error);
        }
    };
    let (shown, kept, base) = (begun.shown, begun.kept, begun.base);
    let (name, file) = (shown.name.clone(), tuned.adapter.clone());
    let path = base.path.clone();
    let adapter = task
        .blocking(move |task| keep(task, id, &name, &base, &tuned).map(|adapter| (adapter, tuned)))
        .await;
    let (adapter, tuned) = match adapter {
        Ok(kept) => kept,
        Err(error) => {
            // Its last checkpoint has everything.
            settle_state(&task, id, Kept::Paused, None).await?;
            return Err(error);
        }
    };
    // The adapter is kept whether the model takes it or not.
    if let Err(error) = adapters::give_if_fitting(&task, adapter, file, &path).await {
        task.show_async(Change::Notice(NoticeKind::Error(error))).await;
    }
    let examining = RunView { state: RunState::Examining, secs_left: None, ..shown };
    task.show_async(Change::Run(examining)).await;
    // The adapter is there whatever becomes of its report.
    if let Err(error) = report::make(&task, adapter, Some(&tuned), &kept).await {
        task.show_async(Change::Notice(NoticeKind::Error(error))).await;
    }
    settle_state(&task, id, Kept::Finished, None).await?;
    let words = "A new adapter is ready: look at its report, then accept it.";
    task.show_async(Change::Notice(NoticeKind::Success(words.into()))).await;
    Ok(Reply::Tuned(adapter))
}

fn train(task: &Task, mut begun: Begun) -> Result<Trained, UserError> {
    let rules = rules(task)?;
    let mut watcher = Watcher::new(task, rules, begun.shown.clone());
    let outcome = task.ctx.tuner.tune(&begun.job, begun.checkpoint.as_ref(), &mut watcher);
    watcher.flush();
    begun.shown = watcher.into_view();
    if let Some(steps) = begun.shown.total_steps.filter(|steps| *steps != begun.kept.steps) {
        begun.kept.steps = steps;
        task.vault().set_run_job(begun.shown.id, &to_json(&begun.kept)?)?;
    }
    match outcome {
        Ok(TuneOutcome::Finished(tuned)) => Ok(Trained::Finished(Box::new((tuned, begun)))),
        Ok(TuneOutcome::Paused | TuneOutcome::Cancelled) => Ok(Trained::Paused),
        Err(error) if fails_again(&error) => Ok(Trained::Failed(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// Whether a run that failed so would fail so whenever it is resumed. A model's file that is not there, too little memory
/// or a full disk are not of this kind.
fn fails_again(error: &TuneError) -> bool {
    matches!(
        error,
        TuneError::Setting { .. }
            | TuneError::NothingToLearn
            | TuneError::Example { .. }
            | TuneError::Diverged { .. }
    )
}

fn keep(
    task: &Task,
    run: TuneRunId,
    name: &str,
    base: &base::Base,
    tuned: &Tuned,
) -> Result<hearth_base::AdapterId, UserError> {
    let fingerprint = base::fingerprint(task, &base.path)?;
    let id = task.vault().add_adapter(&NewAdapter {
        name,
        base_name: &base.name,
        base_hash: &fingerprint.base,
        template_hash: fingerprint.template.as_deref().unwrap_or_default(),
        config: &tuned.adapter.config,
        weights: &tuned.adapter.weights,
        label: task.vault().run_label(run)?,
        learnt_from: Vec::new(),
        report: None,
        run: Some(run),
    })?;
    // Also where the program ends while its report is being made, the run is not to be done again.
    if let Err(error) = task.vault().set_run_state(run, Kept::Finished, None) {
        tracing::warn!(%error, "the end of a run could not be written down yet");
    }
    task.audit(None, "An adapter was trained.", true);
    Ok(id)
}

async fn settle_state(
    task: &Task,
    id: TuneRunId,
    state: Kept,
    error: Option<String>,
) -> Result<(), UserError> {
    task.blocking(move |task| {
        match task.vault().set_run_state(id, state, error.as_deref()) {
            // Removed meanwhile.
            Err(StoreError::NotFound { .. }) => return Ok(()),
            other => other?,
        }
        let runs = read(task)?;
        if let Some(run) = runs.into_iter().find(|run| run.id == id) {
            task.show(task.ctx.stamp(), Change::Run(run));
        }
        show_all(task)
    })
    .await
}

fn export(task: &Task, plan: &RunPlan, path: &Path) -> Result<Reply, UserError> {
    let Planned { job, .. } = planned(task, plan)?;
    let fail = |error: std::io::Error| crate::errors::file_error("write to", path, &error);
    std::fs::create_dir_all(path).map_err(fail)?;
    if std::fs::read_dir(path).map_err(fail)?.next().is_some() {
        return Err(UserError::user(
            format!("The folder {} is not empty.", path.display()),
            "Choose a new one.",
        ));
    }
    task.ctx.tuner.export_job(&job, path)?;
    task.audit(None, "A training job was written to a folder, in plain text.", true);
    Ok(Reply::Unit)
}

fn to_json(value: &impl Serialize) -> Result<String, UserError> {
    serde_json::to_string(value)
        .map_err(|_never| UserError::internal("The run could not be written down."))
}

fn no_run() -> UserError {
    UserError::user("There is no such run.", "It may have been removed.")
}

impl From<TuneError> for UserError {
    fn from(error: TuneError) -> Self {
        let message = crate::errors::sentence(&error.to_string());
        match error {
            TuneError::Base(error) => error.into(),
            TuneError::Adapter(error) => error.into(),
            TuneError::BaseChanged => {
                Self::input(message, "Put the file back as it was, and resume the run.")
            }
            TuneError::Setting { .. } => Self::user(message, "Change the setting."),
            TuneError::NothingToLearn => {
                Self::user(message, "Choose other documents or another template.")
            }
            TuneError::Example { .. } => Self::input(message, "Use another base model."),
            TuneError::OutOfMemory { .. } => Self::system(
                message,
                "Close other programs, or choose a smaller model, shorter samples or smaller batches.",
            ),
            TuneError::Checkpoint { .. } => {
                Self::input(message, "Put the model's file back as it was, or start the run anew.")
            }
            TuneError::Keeping { .. } => Self::system(message, "Make room on the disk and resume."),
            TuneError::Diverged { .. } => Self::user(message, "Lower the learning rate."),
            TuneError::Cancelled => Self::cancelled("The work was stopped."),
            _ => Self::internal(message),
        }
    }
}
