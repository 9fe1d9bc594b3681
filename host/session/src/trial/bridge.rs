//! What a plugin on trial says and asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hearth_base::{DocumentId, LogLevel, PluginId};
use hearth_broker::{
    Asker, Observer, PickAnswer, PickQuestion, PluginNotice, RevealAnswer, RevealQuestion,
    RevealSource,
};
use tokio::sync::Notify;

/// Lines kept of what it says.
const MOST_LINES: usize = 100;
/// Documents that are picked for it, at most.
const MOST_PICKED: usize = 5;

/// Hears a plugin on trial, and answers for the user: yes, as far as everything is invented.
pub(super) struct TrialBridge {
    documents: Vec<DocumentId>,
    said: Mutex<Vec<String>>,
    changed: Notify,
}

impl TrialBridge {
    pub(super) fn new(documents: Vec<DocumentId>) -> Self {
        Self { documents, said: Mutex::default(), changed: Notify::new() }
    }

    /// Waits for a change after this call, or one that nobody waited for.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.changed.notified()
    }

    pub(super) fn said(&self) -> Vec<String> {
        self.lines().clone()
    }

    fn say(&self, line: String) {
        let mut lines = self.lines();
        match lines.len() {
            len if len < MOST_LINES => lines.push(line),
            MOST_LINES => lines.push("(more is not listed)".into()),
            _ => {}
        }
        drop(lines);
        self.changed.notify_one();
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for TrialBridge {
    fn panels_changed(&self) {
        self.changed.notify_one();
    }

    fn progress(&self, _plugin: &PluginId, _percent: Option<u8>, _message: &str) {}

    fn notice(&self, notice: PluginNotice) {
        self.say(format!("It says: {}", notice.message));
    }

    fn log(&self, plugin: &PluginId, level: LogLevel, message: &str) {
        tracing::debug!(%plugin, ?level, message, "plugin log, on trial");
    }

    fn saved(&self, _plugin: &PluginId, _document: DocumentId) {
        self.say("It saved a document, which goes with the trial.".into());
    }

    fn trouble(&self, _plugin: &PluginId, message: &str) {
        self.say(format!("It would have been told to you: {message}"));
    }
}

impl Asker for TrialBridge {
    fn pick(&self, question: PickQuestion) -> PickAnswer {
        let count = usize::from(question.limit).min(MOST_PICKED);
        let picked: Vec<DocumentId> = self.documents.iter().take(count).copied().collect();
        let count = picked.len();
        self.say(format!("It asked you to pick documents and got {count}: {}", question.purpose));
        Box::pin(std::future::ready(Some(picked)))
    }

    fn reveal(&self, question: RevealQuestion) -> RevealAnswer {
        // The model may have learnt from the user's own data, which is not invented.
        let private = |source: &RevealSource| matches!(source, RevealSource::PrivateModel(_));
        let allowed = !question.sources.iter().any(private);
        let given =
            if allowed { "and got it" } else { "and did not get it: your model is private" };
        self.say(format!("It asked to learn a text {given}: {}", question.purpose));
        Box::pin(std::future::ready(allowed))
    }
}
