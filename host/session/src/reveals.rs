//! What plugins want to learn: questions to the user about texts, and more gestures for a day.

use std::{collections::BTreeMap, sync::Arc};

use hearth_base::PluginId;
use hearth_broker::{RevealAnswer, RevealQuestion};
use tokio::sync::oneshot;

use crate::{
    Command, Event, Reply, RevealView, Ticket, UserError, event_loop::EventLoop, msg::Msg, plugins,
    runs,
};

/// Ways back to the plugins that asked, by question.
pub(crate) type Reveals = BTreeMap<u64, oneshot::Sender<bool>>;

impl EventLoop {
    pub(crate) fn reveal_command(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::AnswerReveal { question, allow } => {
                let result = self.answer_reveal(question, allow);
                self.end(ticket, result);
            }
            Command::AllowGestures(plugin) => self.allow_gestures(ticket, plugin),
            _ => self.end(ticket, Err(UserError::internal("Not a command about learning."))),
        }
    }

    pub(crate) fn reveal_asked(
        &mut self,
        id: u64,
        question: RevealQuestion,
        answer: oneshot::Sender<bool>,
    ) {
        self.reveals.insert(id, answer);
        Arc::make_mut(&mut self.view.reveals).push(RevealView {
            question: id,
            plugin: question.plugin,
            plugin_name: question.plugin_name,
            purpose: question.purpose,
            text: question.text,
            hash: question.hash,
            made_from: question.made_from,
            sources: question.sources,
            more_sources: question.more_sources,
        });
        self.outbox.push(Event::PanelsChanged);
    }

    /// The plugin no longer waits, as when it was stopped.
    pub(crate) fn reveal_withdrawn(&mut self, id: u64) {
        if self.reveals.remove(&id).is_some() {
            self.close_reveal(id);
            self.outbox.push(Event::PanelsChanged);
        }
    }

    fn answer_reveal(&mut self, question: u64, allow: bool) -> Result<Reply, UserError> {
        let gone = || UserError::user("This question is no longer asked.", "");
        let answer = self.reveals.remove(&question).ok_or_else(gone)?;
        self.close_reveal(question);
        answer.send(allow).map_err(|_nobody_waits| gone())?;
        Ok(Reply::Unit)
    }

    fn close_reveal(&mut self, id: u64) {
        Arc::make_mut(&mut self.view.reveals).retain(|reveal| reveal.question != id);
    }

    fn allow_gestures(&mut self, ticket: Ticket, plugin: PluginId) {
        self.blocking(ticket, move |task| {
            task.room.broker.allow_gestures(&plugin, runs::today(&task.ctx))?;
            plugins::show(task)?;
            Ok(Reply::Unit)
        });
    }
}

impl runs::Bridge {
    /// Puts a question to the user, for as long as its answer is waited for.
    pub(crate) fn ask_to_reveal(&self, question: RevealQuestion) -> RevealAnswer {
        let (answer, answered) = oneshot::channel();
        let asking = self.asking();
        let (id, question) = (asking.id, Box::new(question));
        self.tell(Msg::RevealAsked(self.epoch, id, question, answer));
        Box::pin(async move {
            // Where the vault was locked there is nobody to ask.
            let allowed = answered.await.unwrap_or(false);
            drop(asking);
            allowed
        })
    }
}
