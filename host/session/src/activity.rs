//! What plugins were allowed, what they did and what it took, for the user to look at.

use std::collections::BTreeMap;

use hearth_base::PluginId;
use hearth_vault::PluginUsage;

use crate::{
    ActivityView, Command, PluginSum, Reply, Ticket, UserError,
    event_loop::EventLoop,
    msg::Change,
    plugins,
    runs::{day_number, note_spent},
    task::Task,
};

/// Rows of the log, and runs, that are shown.
const ROWS: u32 = 1000;
const RUNS: u32 = 200;

impl EventLoop {
    pub(crate) fn activity_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::OpenActivity(plugin) => self.blocking(ticket, move |task| {
                let activity = read(task, plugin)?;
                task.show(task.stamp, Change::PluginActivity(Some(Box::new(activity))));
                Ok(Reply::Unit)
            }),
            Command::CloseActivity => {
                self.change(self.ctx.stamp(), Change::PluginActivity(None));
                self.end(ticket, Ok(Reply::Unit));
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about activity."))),
        }
    }
}

fn read(task: &Task, plugin: Option<PluginId>) -> Result<ActivityView, UserError> {
    note_spent(&task.ctx, &task.room)?;
    let vault = task.vault();
    let days = vault.usage_by_day(plugin.as_ref())?;
    let today = day_number(&task.ctx);
    let mut sums: BTreeMap<PluginId, (PluginUsage, PluginUsage)> = BTreeMap::new();
    for day in &days {
        let (of_today, total) = sums.entry(day.plugin.clone()).or_default();
        total.add(&day.usage);
        if day.day == today {
            of_today.add(&day.usage);
        }
    }
    let schedules = vault.schedules()?;
    let mut plugins = Vec::new();
    for known in plugins::read(task)? {
        if plugin.as_ref().is_some_and(|wanted| *wanted != known.id) {
            continue;
        }
        let (of_today, total) = sums.get(&known.id).copied().unwrap_or_default();
        plugins.push(PluginSum {
            name: known.manifest.name.clone(),
            grant: known.grant,
            suspended: known.suspended,
            tools: vault.tool_mode(&known.id)?,
            schedules: schedules
                .iter()
                .filter(|schedule| schedule.plugin == known.id && schedule.is_on)
                .map(|schedule| schedule.schedule.clone())
                .collect(),
            today: of_today,
            total,
            plugin: known.id,
        });
    }
    Ok(ActivityView {
        plugins,
        days,
        runs: vault.usage_by_run(plugin.as_ref(), RUNS)?,
        rows: vault.audit_rows(plugin.as_ref(), ROWS)?,
        plugin,
    })
}
