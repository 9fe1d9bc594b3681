//! What the broker has to say, on its way to the event loop.

use std::sync::Arc;

use hearth_base::{DocumentId, LogLevel, PluginId};
use hearth_broker::{
    Asker, Observer, PickAnswer, PickQuestion, PluginNotice, RevealAnswer, RevealQuestion,
};
use tokio::sync::oneshot;

use crate::{
    ErrorKind, NoticeKind, UserError,
    msg::{Change, Epoch, Msg},
    task::Ctx,
};

/// Carries what the broker has to say to the event loop. Never blocks.
pub(crate) struct Bridge {
    ctx: Arc<Ctx>,
    pub(crate) epoch: Epoch,
}

impl Bridge {
    pub(crate) fn new(ctx: &Arc<Ctx>, epoch: Epoch) -> Self {
        Self { ctx: Arc::clone(ctx), epoch }
    }

    /// A question with a number of its own.
    pub(crate) fn asking(&self) -> Asking {
        let id = self.ctx.next_ticket().0;
        Asking { ctx: Arc::clone(&self.ctx), epoch: self.epoch, id }
    }

    pub(crate) fn tell(&self, message: Msg) {
        post(&self.ctx, message);
    }
}

/// Into the queue, or where that is full, as soon as there is room.
fn post(ctx: &Arc<Ctx>, message: Msg) {
    if let Err(tokio::sync::mpsc::error::TrySendError::Full(message)) = ctx.post.try_send(message) {
        let for_later = Arc::clone(ctx);
        ctx.runtime.spawn(async move { for_later.tell(message).await });
    }
}

impl Observer for Bridge {
    fn panels_changed(&self) {
        self.tell(Msg::Panels(self.epoch));
    }

    fn progress(&self, plugin: &PluginId, percent: Option<u8>, message: &str) {
        self.tell(Msg::Progress(self.epoch, plugin.clone(), percent, message.to_owned()));
    }

    fn notice(&self, notice: PluginNotice) {
        self.tell(Msg::PluginNotice(self.epoch, notice));
    }

    fn log(&self, plugin: &PluginId, level: LogLevel, message: &str) {
        // A guest knows nothing private, so its words may be logged.
        tracing::debug!(%plugin, ?level, message, "plugin log");
    }

    fn saved(&self, _plugin: &PluginId, _document: DocumentId) {
        self.tell(Msg::PluginSaved(self.epoch));
    }

    fn trouble(&self, plugin: &PluginId, message: &str) {
        let error = UserError {
            kind: ErrorKind::System,
            message: format!("{plugin}: {message}"),
            hint: String::new(),
        };
        let change = Change::Notice(NoticeKind::Error(error));
        self.tell(Msg::Change(self.epoch, self.ctx.stamp(), change));
    }
}

impl Asker for Bridge {
    fn pick(&self, question: PickQuestion) -> PickAnswer {
        let (answer, answered) = oneshot::channel();
        let asking = self.asking();
        self.tell(Msg::Asked(self.epoch, asking.id, question, answer));
        Box::pin(async move {
            let picked = answered.await.unwrap_or(None);
            drop(asking);
            picked
        })
    }

    fn reveal(&self, question: RevealQuestion) -> RevealAnswer {
        self.ask_to_reveal(question)
    }
}

/// Withdraws a question when nobody waits for its answer any more.
pub(crate) struct Asking {
    ctx: Arc<Ctx>,
    epoch: Epoch,
    pub(crate) id: u64,
}

impl Drop for Asking {
    fn drop(&mut self) {
        post(&self.ctx, Msg::Withdrawn(self.epoch, self.id));
    }
}
