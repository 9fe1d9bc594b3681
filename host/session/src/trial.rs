//! Trying a plugin before it is granted anything: on invented data, in a vault of its own that lies in memory alone.
//!
//! There it may do all that it asks for. It sees nothing of the user's, and when the trial is over nothing of it is left
//! but what its panels showed.

mod bridge;
mod set;

use std::{path::PathBuf, sync::Arc};

use hearth_base::PluginId;
use hearth_broker::{Broker, Occasion, RunEnd, Start};

use crate::{
    Command, Guest, GuestEnd, Reply, Ticket, TrialView, UserError,
    event_loop::EventLoop,
    msg::Change,
    runs::{by_hand, guest_failure, settled, today},
    task::Task,
};

use bridge::TrialBridge;
use set::{TrialSet, set_up};

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryWhat {
    /// An installed plugin.
    Installed(PluginId),
    /// A component that need not be installed.
    File(PathBuf),
}

/// A trial to come.
pub(crate) struct Wish {
    what: TryWhat,
    command: String,
    input: Option<String>,
    data: PathBuf,
}

impl EventLoop {
    pub(crate) fn trial_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::TryPlugin { what, command, input, data } => {
                if let Some(running) = self.view.trial.as_ref().and_then(|trial| trial.running)
                    && let Some(cancel) = self.running.get(&running)
                {
                    // Its last words come before those of the next, whose stamp is younger.
                    cancel.cancel();
                }
                self.load_waiting_model();
                self.job(ticket, "Trying a plugin".into());
                let wish = Wish { what, command, input, data };
                self.spawn(ticket, |task| try_out(task, wish));
            }
            Command::CloseTrial => {
                if let Some(running) = self.view.trial.as_ref().and_then(|trial| trial.running)
                    && let Some(cancel) = self.running.get(&running)
                {
                    cancel.cancel();
                }
                self.change(self.ctx.stamp(), Change::Trial(None));
                self.end(ticket, Ok(Reply::Unit));
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about trials."))),
        }
    }
}

async fn try_out(task: Task, wish: Wish) -> Result<Reply, UserError> {
    let Wish { what, command, input, data } = wish;
    let set = task.blocking(move |task| set_up(task, &what, &data)).await?;
    let set = Arc::new(set);
    tokio::select! {
        () = task.ctx.loads_done() => {}
        () = task.cancel.cancelled() => return Err(stopped_trial()),
    }
    let bridge = Arc::new(TrialBridge::new(set.documents.clone()));
    let broker = Broker::new(
        Arc::clone(&set.vault),
        task.ctx.engine.clone(),
        Arc::clone(&bridge) as Arc<dyn hearth_broker::Observer>,
        Arc::clone(&bridge) as Arc<dyn hearth_broker::Asker>,
        task.ctx.runtime.clone(),
    );
    broker.set_model(task.room.model_facts());
    let result = watch(&task, &broker, &set, &bridge, (command, input)).await;
    broker.shutdown().await;
    result.map(|()| Reply::Ran(set.plugin.clone()))
}

/// Runs the plugin, and shows its panels until all in them is there.
async fn watch(
    task: &Task,
    broker: &Broker,
    set: &Arc<TrialSet>,
    bridge: &Arc<TrialBridge>,
    (command, input): (String, Option<String>),
) -> Result<(), UserError> {
    let focus = set.focus_of(&command)?;
    let start = Start::Command { id: command.clone(), focus, input };
    let guest = {
        let (task, broker, set) = (task.clone(), broker.clone(), Arc::clone(set));
        tokio::task::spawn_blocking(move || call(&task, &broker, &set, start))
    };
    tokio::pin!(guest);
    let mut ended: Option<Result<(), UserError>> = None;
    loop {
        let changed = bridge.changed();
        let panels = broker.panels();
        let over = ended.is_some() && panels.iter().all(settled) && !broker.is_working(&set.plugin);
        let view = TrialView {
            plugin: set.plugin.clone(),
            name: set.name.clone(),
            command: command.clone(),
            running: (!over).then_some(task.ticket),
            documents: set.documents.len(),
            panels,
            said: bridge.said(),
        };
        if !task.cancel.is_cancelled() {
            task.show_async(Change::Trial(Some(Box::new(view)))).await;
        }
        match ended {
            Some(result) if over || result.is_err() => {
                return if task.cancel.is_cancelled() { Err(stopped_trial()) } else { result };
            }
            _ => {}
        }
        tokio::select! {
            result = &mut guest, if ended.is_none() => {
                let broke_off = |_| Err(UserError::internal("The trial broke off."));
                ended = Some(result.unwrap_or_else(broke_off));
            }
            () = changed => {}
            () = task.cancel.cancelled(), if ended.is_some() => {
                broker.stop(&set.plugin);
                return Err(stopped_trial());
            }
        }
    }
}

/// The call into the plugin's code.
fn call(task: &Task, broker: &Broker, set: &TrialSet, start: Start) -> Result<(), UserError> {
    let key = set.vault.artefact_key()?;
    let guest = Guest { component: &set.component, artefacts: set.artefacts.path(), key: &key };
    let (runtime, cancel) = (&task.ctx.config.runtime, task.cancel.flag());
    runtime.prepare(guest, &cancel)?;
    let occasion =
        Occasion { today: today(&task.ctx), locale: &task.ctx.config.locale, words: by_hand() };
    let (mut client, invocation) = broker.begin_on(&set.plugin, start, occasion, Vec::new())?;
    match runtime.invoke(guest, invocation, &mut |call| client.call(call), &cancel) {
        Ok(GuestEnd::Returned(verdict)) => {
            let result = verdict.clone().map_err(|failure| guest_failure(&failure));
            client.finish(RunEnd::Returned(verdict));
            result
        }
        Ok(GuestEnd::Aborted(why)) => {
            let error = UserError::input(format!("The plugin was ended: {why}."), "");
            client.finish(RunEnd::Aborted(why));
            Err(error)
        }
        Err(error) => {
            client.finish(RunEnd::Aborted(error.message.clone()));
            Err(error)
        }
    }
}

fn stopped_trial() -> UserError {
    UserError::cancelled("The trial was stopped.")
}
