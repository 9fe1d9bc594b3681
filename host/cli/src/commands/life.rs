//! What plugins do beside being run: tools, schedules, activity.

use std::collections::BTreeMap;

use hearth_session::{
    Command, PluginId, PluginSum, PluginUsage, PluginView, RunUsage, ScheduleRecord, ToolMode,
};
use serde_json::json;

use super::{reveals, trial};
use crate::{
    args::{LifeVerb, Switch},
    render::{Out, day},
    shell::{Failure, Outcome, Shell},
};

pub(crate) fn run(verb: LifeVerb, shell: &Shell, out: Out) -> Outcome {
    match verb {
        LifeVerb::Tools { plugin: Some(plugin), mode: Some(mode) } => {
            set_tools(shell, &plugin, mode.into(), out)
        }
        LifeVerb::Tools { plugin, .. } => {
            tools(shell, plugin.as_deref(), out);
            Ok(())
        }
        LifeVerb::Schedule { run_due: true, .. } => run_due(shell, out),
        LifeVerb::Schedule { plugin: Some(plugin), schedule, switch: Some(switch), .. } => {
            set_schedule(shell, &plugin, schedule, switch, out)
        }
        LifeVerb::Schedule { plugin, .. } => {
            schedules(shell, plugin.as_deref(), out);
            Ok(())
        }
        LifeVerb::Try { plugin, command, input, data } => {
            let plugin = shell.plugin(&plugin)?;
            trial::installed(shell, &plugin, command, input, data, out)
        }
        LifeVerb::Activity { plugin, limit } => activity(shell, plugin.as_deref(), limit, out),
    }
}

fn set_tools(shell: &Shell, plugin: &str, mode: Option<ToolMode>, out: Out) -> Outcome {
    let id = shell.plugin(plugin)?.id;
    shell.run(Command::SetPluginTools { plugin: id.clone(), mode })?;
    out.result(
        json!({"plugin": id, "tools": mode}),
        format!("The chat {} {id}.", mode_words(mode)),
    );
    Ok(())
}

fn mode_words(mode: Option<ToolMode>) -> &'static str {
    match mode {
        None => "may not call",
        Some(ToolMode::Ask) => "may, asking each time, call",
        Some(ToolMode::Always) => "may without asking call",
    }
}

fn tools(shell: &Shell, only: Option<&str>, out: Out) {
    let view = shell.view();
    for plugin in chosen(&view.plugins, only) {
        let mode = view.tools.get(&plugin.id).copied();
        for command in plugin.manifest.commands.iter().filter(|c| !c.tool.is_empty()) {
            out.result(
                json!({"plugin": plugin.id, "command": command.id, "tool": command.tool, "tools": mode}),
                format!(
                    "{} {}: {}\n  the chat {} it",
                    plugin.id,
                    command.id,
                    command.tool,
                    mode_words(mode)
                ),
            );
        }
    }
}

fn chosen<'a>(
    plugins: &'a [PluginView],
    only: Option<&'a str>,
) -> impl Iterator<Item = &'a PluginView> {
    plugins.iter().filter(move |plugin| only.is_none_or(|only| plugin.id.as_str() == only))
}

fn schedules(shell: &Shell, only: Option<&str>, out: Out) {
    let view = shell.view();
    for plugin in chosen(&view.plugins, only) {
        for schedule in &plugin.manifest.schedules {
            let of = |known: &&ScheduleRecord| {
                known.plugin == plugin.id && known.schedule == schedule.id
            };
            let known = view.schedules.iter().find(of);
            let is_on = known.is_some_and(|known| known.is_on);
            let last = known.filter(|known| known.last_day > 0).map(|k| k.last_day * 86_400);
            let words =
                last.map_or("never ran".to_owned(), |at| format!("last ran {}", day(Some(at))));
            out.result(
                json!({"plugin": plugin.id, "schedule": schedule, "on": is_on, "last_secs": last}),
                format!(
                    "{} {}: runs {} each {:?}; {}, {words}",
                    plugin.id,
                    schedule.id,
                    schedule.command,
                    schedule.every,
                    if is_on { "on" } else { "off" },
                ),
            );
        }
    }
}

fn set_schedule(
    shell: &Shell,
    plugin: &str,
    schedule: Option<String>,
    switch: Switch,
    out: Out,
) -> Outcome {
    let plugin = shell.plugin(plugin)?;
    let schedule = match (schedule, plugin.manifest.schedules.as_slice()) {
        (Some(schedule), _) => schedule,
        (None, [only]) => only.id.clone(),
        (None, []) => {
            return Err(Failure::user(format!("{} has no schedule.", plugin.id), ""));
        }
        (None, several) => {
            let ids: Vec<&str> = several.iter().map(|schedule| schedule.id.as_str()).collect();
            return Err(Failure::user(
                format!("{} has several schedules.", plugin.id),
                format!("Name one with --schedule: {}.", ids.join(", ")),
            ));
        }
    };
    let (plugin, on) = (plugin.id, switch == Switch::On);
    let command = Command::SetSchedule { plugin: plugin.clone(), schedule: schedule.clone(), on };
    shell.run(command)?;
    let words = if on { "on" } else { "off" };
    out.result(
        json!({"plugin": plugin, "schedule": schedule, "on": on}),
        format!("{plugin}: the schedule {schedule} is {words}."),
    );
    Ok(())
}

/// Runs what is due, and prints what came of it.
fn run_due(shell: &Shell, out: Out) -> Outcome {
    let before: BTreeMap<_, _> =
        shell.view().notices.iter().map(|notice| (notice.id, ())).collect();
    shell.run(Command::RunDueSchedules)?;
    let view = shell.view();
    let mut said = 0;
    for notice in view.notices.iter().filter(|notice| !before.contains_key(&notice.id)) {
        let (ok, words) = match &notice.what {
            hearth_session::NoticeKind::Success(words) => (true, words.clone()),
            hearth_session::NoticeKind::Error(error) => (false, error.message.clone()),
            hearth_session::NoticeKind::Plugin(said) => {
                (true, format!("{} says: {}", said.plugin_name, said.message))
            }
        };
        out.result(json!({"ok": ok, "words": words}), words);
        said += 1;
    }
    if said == 0 {
        out.result(json!({"due": 0}), "Nothing is due.");
    }
    super::panels::print_all(&view, out);
    Ok(())
}

fn activity(shell: &Shell, plugin: Option<&str>, limit: usize, out: Out) -> Outcome {
    let only: Option<PluginId> = match plugin {
        Some(plugin) => Some(shell.plugin(plugin)?.id),
        None => None,
    };
    shell.run(Command::OpenActivity(only))?;
    let view = shell.view();
    let Some(activity) = &view.plugin_activity else { return Ok(()) };
    for sum in &activity.plugins {
        out.result(sum_json(sum), sum_words(sum));
    }
    for plugin in view.plugins.iter().filter(|plugin| !plugin.sealed) {
        if activity.plugins.iter().any(|sum| sum.plugin == plugin.id) {
            out.text(format!("{}: {}", plugin.id, reveals::standing_words(plugin)));
        }
    }
    for run in &activity.runs {
        out.result(json!({ "run": run }), run_words(run));
    }
    for row in activity.rows.iter().take(limit) {
        let who = row.plugin.as_ref().map_or("Hearth", |plugin| plugin.as_str());
        let run = row.run.map_or(String::new(), |run| format!(" run {run}"));
        let mark = if row.allowed { " " } else { "!" };
        let when = day(Some(row.at_secs));
        out.result(row, format!("{mark} {when}  {who}{run}: {}", row.what));
    }
    let more = activity.rows.len().saturating_sub(limit);
    if more > 0 {
        crate::render::note(&format!("{more} more lines: see --limit."));
    }
    Ok(())
}

fn sum_json(sum: &PluginSum) -> serde_json::Value {
    json!({
        "plugin": sum.plugin, "grant": sum.grant, "suspended": sum.suspended, "tools": sum.tools,
        "schedules": sum.schedules, "today": sum.today, "total": sum.total,
    })
}

fn sum_words(sum: &PluginSum) -> String {
    let mut words = format!("{}  {}", sum.plugin, sum.name);
    let granted = match &sum.grant {
        Some(grant) => {
            let powers: Vec<String> =
                grant.capabilities.iter().map(|power| format!("{power:?}")).collect();
            powers.join(", ")
        }
        None => "nothing".to_owned(),
    };
    words.push_str(&format!("\n  granted {granted}"));
    if let Some(why) = &sum.suspended {
        words.push_str(&format!("\n  SUSPENDED: {why}"));
    }
    if sum.tools.is_some() {
        words.push_str(&format!("\n  the chat {} it", mode_words(sum.tools)));
    }
    if !sum.schedules.is_empty() {
        words.push_str(&format!("\n  by itself: {}", sum.schedules.join(", ")));
    }
    words.push_str(&format!("\n  today   {}", usage_words(&sum.today)));
    words.push_str(&format!("\n  in all  {}", usage_words(&sum.total)));
    words
}

fn run_words(run: &RunUsage) -> String {
    let when = day(Some(run.at_secs));
    format!("  {when}  {} run {} ({}): {}", run.plugin, run.run, run.what, usage_words(&run.usage))
}

fn usage_words(usage: &PluginUsage) -> String {
    let seconds = |micros: u64| format!("{}.{:03} s", micros / 1_000_000, micros / 1000 % 1000);
    format!(
        "{} runs, {} calls ({} refused), {} documents read, {} + {} tokens, {} in its code, {} in the model",
        usage.runs,
        usage.calls,
        usage.refusals,
        usage.documents,
        usage.prompt_tokens,
        usage.answer_tokens,
        seconds(usage.guest_micros),
        seconds(usage.model_micros),
    )
}
