//! One call into a plugin's code.

use std::time::{Duration, Instant};

use hearth_base::{Date, GuestFailure, Label, Origin, RunId, Source};
use hearth_broker::{BeginError, Occasion, RunEnd, Start, ValueError};
use hearth_vault::{PluginUsage, RunUsage};

use super::{By, Run};
use crate::{
    GuestEnd, UserError, plugins,
    task::{Ctx, Room, Task},
};

/// One call into a plugin's code, from its beginning to its end. Gives the number of the run.
pub(super) fn run_guest(task: &Task, run: Run) -> Result<RunId, UserError> {
    let Run { plugin, start, by, words, .. } = run;
    plugins::make_ready(task, &plugin)?;
    let component = plugins::component_of(task, &plugin)?;
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
    let personal = crate::tuning::personal(task, &plugin)?;
    let (what, at_secs) = (what_started(&start, by), task.ctx.now_secs());
    let occasion = Occasion {
        today: today(&task.ctx),
        locale: &task.ctx.config.locale,
        words: words.unwrap_or_else(by_hand),
    };
    let (mut client, invocation) = task.room.broker.begin_on(&plugin, start, occasion, personal)?;
    let id = client.run();
    let mut count = Count::default();
    let ended =
        runtime.invoke(guest, invocation, &mut |call| count.of(|| client.call(call)), &cancel);
    count.stop();
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
    let usage = RunUsage { plugin, run: id, at_secs, what, usage: count.usage };
    task.vault().add_usage(day_number(&task.ctx), &usage)?;
    plugins::show(task)?;
    if task.cancel.is_cancelled() { Err(stopped_run()) } else { result.map(|()| id) }
}

/// What the host counts of a call into a plugin's code.
struct Count {
    usage: PluginUsage,
    begun: Instant,
    /// In the host, answering.
    host: Duration,
}

impl Default for Count {
    fn default() -> Self {
        let usage = PluginUsage { runs: 1, ..PluginUsage::default() };
        Self { usage, begun: Instant::now(), host: Duration::ZERO }
    }
}

impl Count {
    fn of<T, E>(&mut self, answer: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let asked = Instant::now();
        let reply = answer();
        self.host += asked.elapsed();
        self.usage.calls += 1;
        self.usage.refusals += u64::from(reply.is_err());
        reply
    }

    fn stop(&mut self) {
        let guest = self.begun.elapsed().saturating_sub(self.host);
        self.usage.guest_micros = u64::try_from(guest.as_micros()).unwrap_or(u64::MAX);
    }
}

/// Writes down what runs took of the model and of documents since it was last written.
pub(crate) fn note_spent(ctx: &Ctx, room: &Room) -> Result<(), UserError> {
    for (plugin, run, spent) in room.broker.take_spent() {
        let usage = PluginUsage {
            prompt_tokens: spent.prompt_tokens,
            answer_tokens: spent.answer_tokens,
            documents: spent.documents,
            model_micros: spent.model_micros,
            ..PluginUsage::default()
        };
        let at_secs = ctx.now_secs();
        let usage = RunUsage { plugin, run, at_secs, what: String::new(), usage };
        room.vault.add_usage(day_number(ctx), &usage)?;
    }
    Ok(())
}

/// What started a run, without private text.
fn what_started(start: &Start, by: By) -> String {
    let what = match start {
        Start::Command { id, .. } => format!("command {id}"),
        Start::Pressed { button, .. } => format!("button {button}"),
        Start::Entered { input, .. } => format!("field {input}"),
        Start::Picked { picker, .. } => format!("list {picker}"),
    };
    match by {
        By::User => what,
        By::Chat => format!("{what}, by the chat"),
        By::Schedule => format!("{what}, by its schedule"),
    }
}

/// The label of what the user says and chooses.
pub(crate) fn by_hand() -> Label {
    Label { sources: [Source::UserInput].into(), origins: [Origin::User].into() }
}

pub(crate) fn guest_failure(failure: &GuestFailure) -> UserError {
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

pub(super) fn stopped_run() -> UserError {
    UserError::cancelled("The run was stopped.")
}

/// The user's calendar and clock.
pub(crate) fn now(ctx: &Ctx) -> jiff::civil::DateTime {
    let zone = jiff::tz::TimeZone::system();
    let now = jiff::Timestamp::from_second(ctx.now_secs()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    now.to_zoned(zone).datetime()
}

/// Days since 1970, by the user's calendar.
pub(crate) fn day_number(ctx: &Ctx) -> i64 {
    let since = now(ctx).date() - jiff::civil::date(1970, 1, 1);
    since.get_days().into()
}

/// The user's calendar day.
pub(crate) fn today(ctx: &Ctx) -> Date {
    let day = now(ctx).date();
    Date {
        year: day.year().into(),
        month: u8::try_from(day.month()).unwrap_or(1),
        day: u8::try_from(day.day()).unwrap_or(1),
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
            BeginError::GesturesSpent { .. } => Self::user(
                message,
                "Let it hear more today, under Plugins or by `hearth plugin gestures`, if you want to go on.",
            ),
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
