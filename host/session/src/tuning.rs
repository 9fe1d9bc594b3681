//! Fine-tuning: what is learnt, the runs that learn it, and the adapters that come of them.
//!
//! A run computes on a thread of its own beside the engine and shares nothing with it but the model file's pages. It
//! makes way for the user's questions; what it must not lose lies in the vault and nowhere else.

mod adapters;
mod at_hand;
mod base;
mod command;
mod compare;
mod datasets;
mod report;
mod runs;
mod view;
mod watcher;

use std::sync::Arc;

use crate::{Reply, Ticket, UserError, event_loop::EventLoop, models, msg::Change, task::Task};

pub(crate) use adapters::{equip, names, new_conversations, personal, usable, uses};
pub(crate) use at_hand::AtHand;
pub(crate) use base::Fingerprints;
pub use command::{RunPlan, Settings, TuneCommand};
pub use view::{
    AdapterReport, AdapterView, AnswerPair, ComparisonSide, ComparisonView, DatasetView,
    EstimateView, MemoryReport, PreviewView, RunState, RunView, SampleView, TuneRules, TuningView,
    Wait,
};

/// The preference that holds [`TuneRules`] as JSON.
const RULES_KEY: &str = "tune-rules";
/// Secrets that a run may hide at most.
const MOST_CANARIES: u32 = 64;

impl EventLoop {
    pub(crate) fn tune_command(&mut self, ticket: Ticket, command: TuneCommand) {
        match command {
            TuneCommand::RateTurn { .. }
            | TuneCommand::SaveDataset { .. }
            | TuneCommand::ImportDataset { .. }
            | TuneCommand::RemoveDataset(_)
            | TuneCommand::PreviewDataset { .. }
            | TuneCommand::SuggestAuthors
            | TuneCommand::ClosePreview => self.dataset_command(ticket, command),
            TuneCommand::Estimate(_)
            | TuneCommand::StartRun { .. }
            | TuneCommand::ResumeRun(_)
            | TuneCommand::PauseRun(_)
            | TuneCommand::RemoveRun(_)
            | TuneCommand::ExportJob { .. } => self.run_of_tuning(ticket, command),
            other => self.adapter_command(ticket, other),
        }
    }

    fn adapter_command(&mut self, ticket: Ticket, command: TuneCommand) {
        match command {
            TuneCommand::ImportAdapter { path, name, base, dataset } => {
                self.job(ticket, "Reading an adapter".into());
                self.spawn(ticket, move |task| adapters::import(task, path, (name, base, dataset)));
            }
            TuneCommand::ExportAdapter { adapter, format, path } => {
                self.blocking(ticket, move |task| adapters::export(task, adapter, format, &path));
            }
            TuneCommand::MergeAdapter { choice, format, path } => {
                self.job(ticket, "Writing a merged model".into());
                self.blocking(ticket, move |task| adapters::merge(task, (choice, format), &path));
            }
            TuneCommand::RenameAdapter(id, name) => {
                self.blocking(ticket, move |task| adapters::rename(task, id, &name));
            }
            TuneCommand::RemoveAdapter(id) => {
                let open = self.view.conversation.as_ref().map(|open| open.id);
                self.spawn(ticket, move |task| adapters::remove(task, id, open));
            }
            TuneCommand::ExamineAdapter(id) => {
                self.job(ticket, "Examining an adapter".into());
                self.load_waiting_model();
                self.spawn(ticket, move |task| report::examine(task, id));
            }
            TuneCommand::AcceptAdapter { adapter, anyway } => {
                self.blocking(ticket, move |task| adapters::accept(task, adapter, anyway));
            }
            TuneCommand::RetireAdapter(id) => {
                let open = self.view.conversation.as_ref().map(|open| open.id);
                self.blocking(ticket, move |task| adapters::retire(task, id, open));
            }
            TuneCommand::UseInConversation { .. } | TuneCommand::UseInPlugin { .. } => {
                self.blocking(ticket, move |task| choose(task, command));
            }
            TuneCommand::Compare { text, sides } => {
                self.stop_comparison();
                self.load_waiting_model();
                self.spawn(ticket, move |task| compare::compare(task, text, sides));
            }
            TuneCommand::CloseComparison => {
                self.stop_comparison();
                self.change(self.ctx.stamp(), Change::Comparison(None));
                self.end(ticket, Ok(Reply::Unit));
            }
            TuneCommand::SetTuneRules(rules) => {
                self.blocking(ticket, move |task| set_rules(task, rules));
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about adapters."))),
        }
    }

    /// Finds out which models the adapters are for, beside everything else.
    pub(crate) fn tell_bases_apart(&mut self) {
        if !self.view.tuning.adapters.is_empty() {
            self.blocking(self.ctx.next_ticket(), |task| {
                adapters::show(task)?;
                Ok(Reply::Unit)
            });
        }
    }

    fn stop_comparison(&self) {
        if let Some(comparison) = &self.view.tuning.comparison
            && let Some(cancel) = self.running.get(&comparison.ticket)
        {
            cancel.cancel();
        }
    }

    /// Shows what has changed of fine-tuning.
    pub(crate) fn tuning_change(&mut self, change: Change) {
        let tuning = Arc::make_mut(&mut self.view.tuning);
        match change {
            Change::Datasets(datasets) => tuning.datasets = Arc::new(datasets),
            Change::Preview(preview) => tuning.preview = preview.map(|view| Arc::new(*view)),
            Change::Estimate(estimate) => tuning.estimate = Some(Arc::new(*estimate)),
            Change::Runs(read) => {
                // A run that goes on tells of itself.
                let running = &self.running;
                let goes_on = |run: &RunView| run.ticket.is_some_and(|t| running.contains_key(&t));
                let going = |run: &RunView| {
                    tuning.runs.iter().find(|known| known.id == run.id && goes_on(known))
                };
                let runs = read.iter().map(|run| going(run).unwrap_or(run).clone()).collect();
                tuning.runs = Arc::new(runs);
            }
            Change::Run(run) => {
                let runs = Arc::make_mut(&mut tuning.runs);
                match runs.iter_mut().find(|known| known.id == run.id) {
                    Some(known) => *known = run,
                    None => runs.insert(0, run),
                }
            }
            Change::RunGone(id) => Arc::make_mut(&mut tuning.runs).retain(|run| run.id != id),
            Change::Adapters(adapters) => tuning.adapters = Arc::new(adapters),
            Change::TuneChoices(new_conversations, rules) => {
                (tuning.new_conversations, tuning.rules) = (new_conversations, rules);
            }
            Change::Comparison(Some(grown)) => {
                // One that was closed, or has made way for another, is still told of until it has stopped.
                let shown = tuning.comparison.as_ref().map(|shown| shown.ticket);
                let stopped = self.running.get(&grown.ticket).is_none_or(|c| c.is_cancelled());
                if shown == Some(grown.ticket) || !stopped {
                    tuning.comparison = Some(Arc::new(grown));
                }
            }
            Change::Comparison(None) => tuning.comparison = None,
            Change::Authors(authors) => tuning.authors = Arc::new(authors),
            _ => {}
        }
    }
}

/// Everything of fine-tuning that a shell shows first, without a look into models' files.
pub(crate) fn first_look(task: &Task) -> Result<Vec<Change>, UserError> {
    task.vault().settle_runs()?;
    Ok(vec![
        Change::Datasets(datasets::read(task)?),
        Change::Runs(runs::read(task)?),
        Change::Adapters(adapters::glance(task)?),
        Change::TuneChoices(new_conversations(task)?, rules(task)?),
    ])
}

/// Everything of fine-tuning, read again.
fn show_all(task: &Task) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Datasets(datasets::read(task)?));
    task.show(stamp, Change::Runs(runs::read(task)?));
    task.show(stamp, Change::Adapters(adapters::read(task)?));
    task.show(stamp, Change::TuneChoices(new_conversations(task)?, rules(task)?));
    models::show(task)
}

/// What documents were deleted or changed shows on runs, adapters, and models that adapters were put into.
pub(crate) fn sources_changed(task: &Task) -> Result<(), UserError> {
    let stamp = task.ctx.stamp();
    task.show(stamp, Change::Runs(runs::read(task)?));
    task.show(stamp, Change::Adapters(adapters::read(task)?));
    models::show(task)
}

fn choose(task: &Task, command: TuneCommand) -> Result<Reply, UserError> {
    match command {
        TuneCommand::UseInConversation { conversation: Some(id), adapters } => {
            adapters::check_choice(task, &adapters)?;
            adapters::leave_marks(task, id)?;
            task.vault().set_conversation_adapters(id, &adapters)?;
            crate::chat::show_turns(task, id)?;
        }
        TuneCommand::UseInConversation { conversation: None, adapters } => {
            adapters::check_choice(task, &adapters)?;
            adapters::keep_new_conversations(task, &adapters)?;
            task.show(task.ctx.stamp(), Change::TuneChoices(adapters, rules(task)?));
        }
        TuneCommand::UseInPlugin { plugin, adapters } => {
            adapters::check_choice(task, &adapters)?;
            task.vault().set_plugin_adapters(&plugin, &adapters)?;
            task.audit(Some(&plugin), "Its personal adapters were chosen.", true);
            crate::plugins::show(task)?;
        }
        _ => return Err(UserError::internal("Not a choice.")),
    }
    Ok(Reply::Unit)
}

/// What holds for all runs and adapters. What another version wrote and this one cannot read counts as not said.
fn rules(task: &Task) -> Result<TuneRules, UserError> {
    let kept = task.vault().preference(RULES_KEY)?;
    Ok(kept.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}

fn set_rules(task: &Task, rules: TuneRules) -> Result<Reply, UserError> {
    if rules.canaries > MOST_CANARIES {
        return Err(UserError::user(
            format!("{} hidden secrets are too many.", rules.canaries),
            format!("Choose 0 to {MOST_CANARIES}."),
        ));
    }
    if !rules.exposure_limit_bits.is_finite() || rules.exposure_limit_bits < 0.0 {
        return Err(UserError::user("The limit must be 0 bits or more.", ""));
    }
    let json = serde_json::to_string(&rules)
        .map_err(|_never| UserError::internal("The rules could not be written."))?;
    task.vault().set_preference(RULES_KEY, &json)?;
    task.show(task.ctx.stamp(), Change::TuneChoices(new_conversations(task)?, rules));
    Ok(Reply::Unit)
}
