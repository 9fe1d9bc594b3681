//! Plugins that are being written: a watched file is installed anew whenever it has changed, and what was open is run again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use hearth_base::PluginId;
use hearth_broker::Start;

use super::{
    install::{examine, install, known},
    judge::{InstallVerdict, judge, same_owner},
    show, source,
};
use crate::{
    Command, NoticeKind, Reply, Ticket, UserError,
    event_loop::EventLoop,
    msg::{Change, Msg},
    runs::{By, Run},
    task::Task,
};

/// How often a watched file is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Files under watch, and the last command of each plugin.
#[derive(Default)]
pub(crate) struct Develop {
    watched: BTreeMap<PathBuf, Ticket>,
    last: BTreeMap<PluginId, Start>,
}

impl EventLoop {
    pub(crate) fn develop_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::WatchPlugin { path } => {
                if !self.view.developer_mode {
                    let hint = "Switch it on under Plugins, or with `hearth plugin developer on`.";
                    return self.end(ticket, Err(UserError::user("Developer mode is off.", hint)));
                }
                if let Some(former) = self.develop.watched.insert(path.clone(), ticket) {
                    self.stop_watching(former);
                }
                self.job(ticket, format!("Watching {}", path.display()));
                self.spawn(ticket, move |task| watch(task, path));
            }
            Command::UnwatchPlugin { path } => {
                if let Some(watching) = self.develop.watched.remove(&path) {
                    self.stop_watching(watching);
                }
                self.end(ticket, Ok(Reply::Unit));
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about watching."))),
        }
    }

    fn stop_watching(&mut self, watching: Ticket) {
        if let Some(cancel) = self.running.get(&watching) {
            cancel.cancel();
        }
    }

    /// Remembers what the user last ran, for when the plugin is exchanged.
    pub(crate) fn note_command(&mut self, plugin: &PluginId, start: &Start) {
        if self.view.developer_mode && matches!(start, Start::Command { .. }) {
            self.develop.last.insert(plugin.clone(), start.clone());
        }
    }

    /// Runs a plugin's last command again.
    pub(crate) fn run_again(&mut self, plugin: PluginId) {
        let Some(start) = self.develop.last.get(&plugin).cloned() else { return };
        let ticket = self.ctx.next_ticket();
        self.begin(Run { ticket, plugin, start, by: By::User, words: None });
    }
}

/// Looks at a file until it is no longer wanted.
async fn watch(task: Task, path: PathBuf) -> Result<Reply, UserError> {
    let (mut seen, mut installed) = (None, None);
    loop {
        let now = state_of(&path);
        // Twice the same: it is not being written any more.
        if now.is_some() && now == seen && now != installed {
            installed = now;
            let file = path.clone();
            let result = task.blocking(move |task| reinstall(task, &file)).await;
            tell(&task, result).await;
        }
        seen = now;
        tokio::select! {
            () = task.cancel.cancelled() => return Ok(Reply::Unit),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What tells one state of a file from another.
fn state_of(path: &Path) -> Option<(u64, SystemTime)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}

/// A plugin that was put in place.
struct Reinstalled {
    plugin: PluginId,
    words: String,
    /// It had a panel open.
    was_open: bool,
}

async fn tell(task: &Task, result: Result<Option<Reinstalled>, UserError>) {
    match result {
        Ok(None) => {}
        Ok(Some(done)) => {
            task.show_async(Change::Notice(NoticeKind::Success(done.words))).await;
            if done.was_open {
                task.ctx.tell(Msg::RunAgain(task.room.epoch, done.plugin)).await;
            }
        }
        Err(error) => task.show_async(Change::Notice(NoticeKind::Error(error))).await,
    }
}

/// Installs a file as any other, but lets an author's grant stand where the new version asks for nothing more: the author
/// vouches for both. `None` where it is installed already.
fn reinstall(task: &Task, path: &Path) -> Result<Option<Reinstalled>, UserError> {
    let runtime = &*task.ctx.config.runtime;
    let examined = examine(source::read(path, runtime)?, runtime)?;
    let manifest = examined.found.manifest.clone();
    let known = known(task, &manifest.id)?;
    let judged = judge(&examined.candidate(), &known);
    if judged.verdict == InstallVerdict::Same {
        return Ok(None);
    }
    let grant = task.vault().grant(&manifest.id)?;
    let mine = same_owner(&examined.candidate(), &known);
    let was_open = task.room.broker.panels().iter().any(|open| open.key.plugin == manifest.id);
    install(task, examined.offered, None)?;
    let had_some = !grant.capabilities.is_empty() || !grant.slots.is_empty();
    let former = known.installed.and_then(|installed| installed.manifest);
    let mut words = format!("{} {} was installed", manifest.name, manifest.version);
    match former {
        Some(former) if mine && had_some && !judged.is_wider() => {
            let _door = task.ctx.plugin_door();
            let kept = manifest.cut(&grant, &former);
            task.vault().set_grant(&manifest.id, &kept)?;
            let audit = "Its grant stands while it is being written: it asks for nothing more.";
            task.audit(Some(&manifest.id), audit, true);
            show(task)?;
            words.push_str("; what it was granted stands.");
        }
        Some(_) if had_some => words.push_str("; it asks for more than before: grant it anew."),
        _ => words.push_str("; it may do nothing until you grant it something."),
    }
    Ok(Some(Reinstalled { plugin: manifest.id, words, was_open }))
}
