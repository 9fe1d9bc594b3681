//! Schedules: commands that run by themselves, where the user switched that on.
//!
//! A schedule runs while the vault is open, once a day at most, and never begins while the user's own answer is made.
//! Days on which the vault stayed closed are not made up.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use hearth_base::{Every, Manifest, PluginId};
use hearth_broker::Start;
use hearth_vault::ScheduleRecord;
use jiff::civil::DateTime;

use crate::{
    Command, NoticeKind, Reply, Ticket, UserError,
    cancel::Cancel,
    event_loop::EventLoop,
    msg::{Change, Msg},
    plugins,
    runs::{By, Run, day_number, now},
    task::Task,
};

/// A plugin's schedule.
type Key = (PluginId, String);

/// Schedules on their way.
#[derive(Default)]
pub(crate) struct Schedules {
    /// Begun in this opening of the vault, with the day.
    begun: BTreeMap<Key, i64>,
    /// Written down as run today, and to be run as soon as nothing else stands in the way.
    ready: VecDeque<Key>,
    running: BTreeMap<Ticket, Key>,
    /// Being written down.
    noting: BTreeSet<Key>,
    /// Commands that wait until nothing is due.
    waiting: Vec<Ticket>,
}

impl EventLoop {
    pub(crate) fn schedule_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::SetSchedule { plugin, schedule, on } => {
                if !on {
                    self.schedules.ready.retain(|key| *key != (plugin.clone(), schedule.clone()));
                }
                self.blocking(ticket, move |task| {
                    set(task, &plugin, &schedule, on)?;
                    Ok(Reply::Unit)
                });
            }
            Command::RunDueSchedules => {
                self.schedules.waiting.push(ticket);
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about schedules."))),
        }
    }

    /// Begins what has come due, one after the other.
    pub(crate) fn run_due(&mut self) {
        let by_itself = !self.ctx.for_one_command();
        if self.room.is_none() || (!by_itself && self.schedules.waiting.is_empty()) {
            return;
        }
        if self.view.schedules.iter().any(|known| known.is_on) {
            self.find_due();
        }
        let answering = !self.answers.is_empty() || self.ctx.engine.is_answering();
        if !answering
            && self.schedules.running.is_empty()
            && let Some(key) = self.schedules.ready.pop_front()
        {
            self.begin_schedule(key);
        }
        let Schedules { ready, running, noting, waiting, .. } = &mut self.schedules;
        if ready.is_empty() && running.is_empty() && noting.is_empty() {
            for ticket in std::mem::take(waiting) {
                self.end(ticket, Ok(Reply::Unit));
                self.stir();
            }
        }
    }

    /// Writes down as run what is due: whatever happens then, it is not run again today.
    fn find_due(&mut self) {
        let (now, today) = (now(&self.ctx), day_number(&self.ctx));
        let known = Arc::clone(&self.view.schedules);
        for ScheduleRecord { plugin, schedule, last_day, .. } in known.iter().filter(|s| s.is_on) {
            let key = (plugin.clone(), schedule.clone());
            let last_day =
                self.schedules.begun.get(&key).map_or(*last_day, |day| *last_day.max(day));
            let every = self.every(&key);
            if self.schedules.noting.contains(&key)
                || !every.is_some_and(|e| due(e, last_day, now, today))
            {
                continue;
            }
            self.schedules.begun.insert(key.clone(), today);
            self.schedules.noting.insert(key.clone());
            let Some(room) = self.room.clone() else { return };
            let task = Task {
                ctx: Arc::clone(&self.ctx),
                room,
                ticket: Ticket(0),
                cancel: Cancel::default(),
                stamp: self.ctx.stamp(),
            };
            self.tasks.spawn(async move {
                let noted = task
                    .blocking({
                        let (plugin, schedule) = key.clone();
                        move |task| {
                            task.vault().schedule_ran(&plugin, &schedule, today)?;
                            task.show(task.ctx.stamp(), read(task)?);
                            Ok(())
                        }
                    })
                    .await;
                let epoch = task.room.epoch;
                task.ctx.tell(Msg::ScheduleNoted(epoch, key.0, key.1, noted)).await;
            });
        }
    }

    fn every(&self, (plugin, schedule): &Key) -> Option<Every> {
        let known = self.view.plugins.iter().find(|known| known.id == *plugin)?;
        known.manifest.schedules.iter().find(|s| s.id == *schedule).map(|s| s.every)
    }

    /// A schedule counts as run today.
    pub(crate) fn schedule_noted(
        &mut self,
        plugin: PluginId,
        schedule: String,
        noted: Result<(), UserError>,
    ) {
        let key = (plugin, schedule);
        self.schedules.noting.remove(&key);
        match noted {
            Ok(()) => self.schedules.ready.push_back(key),
            Err(error) => self.notice(NoticeKind::Error(error)),
        }
    }

    fn begin_schedule(&mut self, (plugin, schedule): Key) {
        self.stir();
        let Some(known) = self.view.plugins.iter().find(|known| known.id == plugin) else { return };
        let Some(found) = known.manifest.schedules.iter().find(|s| s.id == schedule) else {
            return;
        };
        let (name, id) = (known.manifest.name.clone(), found.command.clone());
        let why = match (&known.suspended, &known.grant) {
            (Some(_), _) => Some("it is suspended"),
            (None, None) => Some("nothing is granted to it"),
            (None, Some(_)) => None,
        };
        if let Some(why) = why {
            let words = format!("{name} did not run by its schedule today: {why}.");
            return self.notice(NoticeKind::Error(UserError::user(words, "See it under Plugins.")));
        }
        let ticket = self.ctx.next_ticket();
        self.schedules.running.insert(ticket, (plugin.clone(), schedule));
        let start = Start::Command { id, focus: None, input: None };
        self.begin(Run { ticket, plugin, start, by: By::Schedule, words: None });
    }

    /// Whether a run that has ended was one of a schedule; then the user is told, quietly.
    pub(crate) fn schedule_ended(
        &mut self,
        ticket: Ticket,
        result: &Result<Reply, UserError>,
    ) -> bool {
        let Some((plugin, _)) = self.schedules.running.remove(&ticket) else { return false };
        let known = self.view.plugins.iter().find(|known| known.id == plugin);
        let name = known.map_or_else(|| plugin.to_string(), |known| known.manifest.name.clone());
        match result {
            Ok(_) => {
                let words =
                    format!("{name} has run by its schedule; its panel shows what it made.");
                self.notice(NoticeKind::Success(words));
            }
            Err(error) => {
                let message = format!("{name} was to run by its schedule. {}", error.message);
                self.notice(NoticeKind::Error(UserError { message, ..error.clone() }));
            }
        }
        true
    }

    /// Forgets what a plugin was about to do by itself.
    pub(crate) fn drop_schedules(&mut self, plugin: &PluginId) {
        self.schedules.ready.retain(|(of, _)| of != plugin);
    }
}

/// Whether a schedule has come due.
fn due(every: Every, last_day: i64, now: DateTime, today: i64) -> bool {
    match every {
        Every::Morning => last_day < today && now.hour() >= 6,
        Every::Evening => last_day < today && now.hour() >= 18,
        Every::Week => last_day == 0 || today - last_day >= 7,
    }
}

fn set(task: &Task, plugin: &PluginId, schedule: &str, on: bool) -> Result<(), UserError> {
    let record = task.vault().plugin(plugin)?.ok_or_else(|| {
        UserError::user(format!("No plugin `{plugin}` is installed."), "See `hearth plugin list`.")
    })?;
    let known = Manifest::parse(record.manifest.as_bytes())
        .is_ok_and(|manifest| manifest.schedules.iter().any(|known| known.id == schedule));
    if on && !known {
        return Err(UserError::user(
            format!("The plugin has no schedule `{schedule}`."),
            "Its schedules are shown by `hearth plugin schedule`.",
        ));
    }
    task.vault().set_schedule(plugin, schedule, on)?;
    let words = if on { "on" } else { "off" };
    task.audit(Some(plugin), &format!("The user switched its schedule {schedule} {words}."), true);
    plugins::show(task)
}

/// All schedules as they now are.
pub(crate) fn read(task: &Task) -> Result<Change, UserError> {
    Ok(Change::Schedules(task.vault().schedules()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_come_due_once_a_day_in_their_hours_and_make_nothing_up() {
        let at = |hour| jiff::civil::date(2026, 3, 2).at(hour, 0, 0, 0);
        for (every, last_day, hour, expected) in [
            (Every::Morning, 0, 5, false),
            (Every::Morning, 0, 6, true),
            (Every::Morning, 99, 23, true),
            (Every::Morning, 100, 7, false),
            // The clock was set back.
            (Every::Morning, 101, 7, false),
            (Every::Evening, 99, 17, false),
            (Every::Evening, 90, 18, true),
            (Every::Evening, 100, 19, false),
            (Every::Week, 0, 0, true),
            (Every::Week, 94, 12, false),
            (Every::Week, 93, 12, true),
        ] {
            assert_eq!(
                due(every, last_day, at(hour), 100),
                expected,
                "{every:?} {last_day} {hour}"
            );
        }
    }
}
