//! Commands of plugins as tools of the chat: which there are, and the questions whether one may be called.

use std::{collections::BTreeMap, sync::Arc};

use hearth_base::{DocumentId, Focus, Grant, Label, Manifest, PluginId};
use hearth_broker::{PanelView, Start};
use hearth_vault::ToolMode;
use tokio::sync::oneshot;

use crate::{
    Command, Event, PluginView, Reply, Ticket, ToolCallView, UserError,
    chat::NO_TOOL,
    event_loop::EventLoop,
    msg::{Change, Msg},
    plugins,
    runs::{By, Run},
    task::Task,
};

/// The user's answer to whether a tool may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Refused,
    /// There is no answer: the tool is no longer to be had.
    Withdrawn,
}

/// A question's way back.
pub(crate) type Answer = oneshot::Sender<Verdict>;

/// A command that the chat may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    /// By which the model knows it.
    pub(crate) name: String,
    pub(crate) plugin: PluginId,
    pub(crate) plugin_name: String,
    pub(crate) command: String,
    pub(crate) title: String,
    /// What it does, in the publisher's words for the model.
    pub(crate) about: String,
    /// What it wants words for; none if empty.
    pub(crate) input: String,
    pub(crate) takes_document: bool,
    pub(crate) mode: ToolMode,
}

/// A call that may go ahead.
pub(crate) struct Call {
    pub(crate) plugin: PluginId,
    pub(crate) command: String,
    pub(crate) input: Option<String>,
    pub(crate) document: Option<DocumentId>,
    /// What its words and its choice depend on.
    pub(crate) label: Label,
}

/// What a call's panels showed in the end.
pub(crate) type Called = oneshot::Sender<Result<Vec<PanelView>, UserError>>;

impl EventLoop {
    pub(crate) fn tool_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::SetPluginTools { plugin, mode } => {
                if mode.is_none() {
                    self.withdraw_calls(&plugin);
                }
                self.blocking(ticket, move |task| {
                    set_mode(task, &plugin, mode)?;
                    Ok(Reply::Unit)
                });
            }
            Command::AnswerToolCall { question, allow, always } => {
                self.answer_call(ticket, question, allow, always);
            }
            _ => self.end(ticket, Err(UserError::internal("Not a command about tools."))),
        }
    }

    fn answer_call(&mut self, ticket: Ticket, question: u64, allow: bool, always: bool) {
        let asked = self.view.tool_calls.iter().find(|asked| asked.question == question);
        let plugin = asked.map(|asked| asked.plugin.clone());
        let answer = self.calls.remove(&question);
        Arc::make_mut(&mut self.view.tool_calls).retain(|asked| asked.question != question);
        let verdict = if allow { Verdict::Allowed } else { Verdict::Refused };
        let (Some(plugin), Some(Ok(()))) = (plugin, answer.map(|answer| answer.send(verdict)))
        else {
            return self.end(ticket, Err(UserError::user("This is no longer asked.", "")));
        };
        if allow && always {
            return self.blocking(ticket, move |task| {
                set_mode(task, &plugin, Some(ToolMode::Always))?;
                Ok(Reply::Unit)
            });
        }
        self.end(ticket, Ok(Reply::Unit));
    }

    /// Asks the user whether a tool may be called.
    pub(crate) fn ask_call(&mut self, question: ToolCallView, answer: Answer) {
        let granted = self.view.plugins.iter().any(|p| p.id == question.plugin && may_run(p));
        if !granted {
            // Nobody waits where the question was given up.
            answer.send(Verdict::Withdrawn).ok();
            return;
        }
        self.outbox.push(Event::ToolAsked { ticket: question.ticket, question: question.question });
        self.calls.insert(question.question, answer);
        Arc::make_mut(&mut self.view.tool_calls).push(question);
    }

    /// A question that nobody waits for any more.
    pub(crate) fn call_withdrawn(&mut self, id: u64) {
        self.calls.remove(&id);
        if self.view.tool_calls.iter().any(|asked| asked.question == id) {
            Arc::make_mut(&mut self.view.tool_calls).retain(|asked| asked.question != id);
        }
    }

    /// Takes back what the chat wants of a plugin.
    pub(crate) fn withdraw_calls(&mut self, plugin: &PluginId) {
        let asked = self.view.tool_calls.iter().filter(|asked| asked.plugin == *plugin);
        let questions: Vec<u64> = asked.map(|asked| asked.question).collect();
        for question in questions {
            if let Some(answer) = self.calls.remove(&question) {
                answer.send(Verdict::Withdrawn).ok();
            }
            self.call_withdrawn(question);
        }
    }

    /// Takes back what the chat wants of plugins that may not run by now.
    pub(crate) fn withdraw_unfit_calls(&mut self) {
        let fit = |plugin: &PluginId| {
            self.view.plugins.iter().any(|known| known.id == *plugin && may_run(known))
        };
        let asked = self.view.tool_calls.iter().map(|asked| &asked.plugin);
        let unfit: Vec<PluginId> = asked.filter(|plugin| !fit(plugin)).cloned().collect();
        for plugin in unfit {
            self.withdraw_calls(&plugin);
        }
    }

    /// Calls a tool for the chat.
    pub(crate) fn call_tool(&mut self, ticket: Ticket, call: Call, called: Called) {
        let Call { plugin, command, input, document, label } = call;
        if !self.view.plugins.iter().any(|known| known.id == plugin && may_run(known)) {
            // The chat may have been stopped meanwhile.
            called.send(Err(UserError::user("The plugin may no longer be called.", ""))).ok();
            return;
        }
        self.runs.awaited.insert(ticket, called);
        let start = Start::Command { id: command, focus: document, input };
        self.begin(Run { ticket, plugin, start, by: By::Chat, words: Some(label) });
    }
}

/// Whether a plugin may do anything without the user's hand.
pub(crate) fn may_run(plugin: &PluginView) -> bool {
    plugin.grant.is_some() && plugin.suspended.is_none()
}

fn set_mode(task: &Task, plugin: &PluginId, mode: Option<ToolMode>) -> Result<(), UserError> {
    let record = task.vault().plugin(plugin)?.ok_or_else(|| {
        UserError::user(format!("No plugin `{plugin}` is installed."), "See `hearth plugin list`.")
    })?;
    let has_tools = Manifest::parse(record.manifest.as_bytes())
        .is_ok_and(|manifest| manifest.commands.iter().any(|command| !command.tool.is_empty()));
    if mode.is_some() && !has_tools {
        return Err(UserError::user(
            "The plugin offers no tools.",
            "Its manifest would have to say what a command does for the chat.",
        ));
    }
    task.vault().set_tool_mode(plugin, mode)?;
    let words = match mode {
        None => "The user no longer lets the chat call it.",
        Some(ToolMode::Ask) => "The user lets the chat call it, asking each time.",
        Some(ToolMode::Always) => "The user lets the chat call it without asking.",
    };
    task.audit(Some(plugin), words, true);
    plugins::show(task)
}

/// For each plugin, how the chat may call it.
pub(crate) fn modes(task: &Task) -> Result<Change, UserError> {
    let mut modes = BTreeMap::new();
    for record in task.vault().plugins()? {
        if let Some(mode) = task.vault().tool_mode(&record.id)? {
            modes.insert(record.id, mode);
        }
    }
    Ok(Change::Tools(modes))
}

/// The tools that the chat may call now: commands of plugins that are granted something, may run, and for which the user
/// said how.
pub(crate) fn at_hand(task: &Task) -> Result<Vec<Tool>, UserError> {
    let mut tools: Vec<Tool> = Vec::new();
    for record in task.vault().plugins()? {
        let Some(mode) = task.vault().tool_mode(&record.id)? else { continue };
        let granted = is_something(&task.vault().grant(&record.id)?);
        if !record.enabled || record.suspended.is_some() || !granted {
            continue;
        }
        let Ok(manifest) = Manifest::parse(record.manifest.as_bytes()) else { continue };
        for command in manifest.commands.iter().filter(|command| !command.tool.is_empty()) {
            tools.push(Tool {
                name: name_of(&record.id, &command.id, &tools),
                plugin: record.id.clone(),
                plugin_name: hearth_broker::escape_words(&manifest.name),
                command: command.id.clone(),
                title: command.title.clone(),
                about: command.tool.clone(),
                input: command.input.clone(),
                takes_document: command.focus == Focus::Document,
                mode,
            });
        }
    }
    Ok(tools)
}

fn is_something(grant: &Grant) -> bool {
    !grant.capabilities.is_empty() || !grant.slots.is_empty()
}

/// A short name that no other tool has.
fn name_of(plugin: &PluginId, command: &str, others: &[Tool]) -> String {
    let name = plain_name(plugin, command);
    let taken = |name: &str| name == NO_TOOL || others.iter().any(|t| t.name == name);
    let mut unique = name.clone();
    let mut number = 2;
    while taken(&unique) {
        unique = format!("{name}-{number}");
        number += 1;
    }
    unique
}

/// The name that a tool has where no other has it.
pub(crate) fn plain_name(plugin: &PluginId, command: &str) -> String {
    let last = plugin.as_str().rsplit('.').next().unwrap_or_default();
    if last == command { last.to_owned() } else { format!("{last}-{command}") }
}

/// Withdraws a question when nobody waits for its answer any more.
pub(crate) struct Asking {
    pub(crate) task: Task,
    pub(crate) question: u64,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let (ctx, epoch, question) =
            (Arc::clone(&self.task.ctx), self.task.room.epoch, self.question);
        if let Err(tokio::sync::mpsc::error::TrySendError::Full(message)) =
            ctx.post.try_send(Msg::Withdrawn(epoch, question))
        {
            let for_later = Arc::clone(&ctx);
            ctx.runtime.spawn(async move { for_later.tell(message).await });
        }
    }
}
