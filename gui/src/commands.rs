//! What panels ask for. They push into the [`Outbox`]; `app/logic.rs` alone carries it out.

use std::path::{Path, PathBuf};

use crate::{
    model::{Picker, Screen, WordsWanted},
    types::{Command, DocumentId, Manifest, PluginCommand, PluginId, PluginView, Ticket, TryWhat},
};

/// Why a command was sent: decides where its answer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A failure is a toast, success shows in the view.
    Plain,
    /// Create or unlock: a failure shows beside the field.
    Open,
    /// The new passphrase's dialog.
    ChangePassphrase,
    /// Fills the list of documents.
    Search,
    /// Opens the consent page with the answer.
    Inspect,
    /// As [`Purpose::Inspect`], of a plugin that is installed.
    InspectInstalled(PluginId),
    /// Grants what the consent page says as soon as it is installed.
    Install,
    /// Shows what a model file is before it is added.
    InspectModel,
    /// Clears the field when it is added.
    AddModel,
    /// Changes what the library holds.
    Library,
    /// A question of the chat.
    Ask,
    /// Clears the field when the examples are there.
    ImportExamples,
    /// Clears the field when the adapter is there.
    ImportAdapter,
    /// Says what was written to a file.
    Written(&'static str),
    /// Leads to the panel that this run opens.
    Run(PluginId),
}

/// What a chosen path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialogFor {
    /// A mailbox or message to import.
    ImportFile,
    /// A folder to import.
    ImportFolder,
    /// A plugin to look at.
    Plugin,
    /// A model to look at.
    Model,
}

/// One wish of a panel.
#[derive(Debug)]
pub(crate) enum Intent {
    /// For the session.
    Send(Command, Purpose),
    /// Another screen.
    Go(Screen),
    /// A file dialog.
    Dialog(DialogFor),
    /// To the clipboard; the second is what the toast calls it.
    Copy(String, &'static str),
    /// A path was chosen, typed or dropped.
    Chosen(DialogFor, PathBuf),
    /// Imports the demonstration data.
    ImportDemo,
    /// A new chat with this document attached.
    ChatAbout(DocumentId),
    /// The consent page of an installed plugin.
    SetUp(PluginId),
    /// The list to pick documents from.
    Pick(Picker),
    /// The dialog that asks for a command's words.
    WantWords(WordsWanted),
    /// Takes a toast away.
    DismissToast(u64),
}

/// The wishes of one frame.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    intents: Vec<Intent>,
}

impl Outbox {
    /// A command whose outcome the view shows.
    pub(crate) fn send(&mut self, command: Command) {
        self.send_for(command, Purpose::Plain);
    }

    /// A command whose outcome belongs somewhere.
    pub(crate) fn send_for(&mut self, command: Command, purpose: Purpose) {
        self.intents.push(Intent::Send(command, purpose));
    }

    /// Starts a plugin's command, after asking for the words it wants, and leads to its panel.
    pub(crate) fn run(
        &mut self,
        plugin: &PluginView,
        command: &PluginCommand,
        focus: Option<DocumentId>,
    ) {
        if command.input.is_empty() {
            return self.run_with(plugin.id.clone(), command.id.clone(), focus, None);
        }
        self.push(Intent::WantWords(WordsWanted {
            plugin: plugin.id.clone(),
            plugin_name: plugin.manifest.name.clone(),
            command: command.id.clone(),
            title: command.title.clone(),
            label: command.input.clone(),
            focus,
            text: String::new(),
            focused: false,
        }));
    }

    /// Starts a plugin's command with the words it wants, and leads to its panel.
    pub(crate) fn run_with(
        &mut self,
        plugin: PluginId,
        command: String,
        focus: Option<DocumentId>,
        input: Option<String>,
    ) {
        let run = Command::RunPlugin { plugin: plugin.clone(), command, focus, input };
        self.send_for(run, Purpose::Run(plugin));
    }

    /// Tries a plugin on invented data, and leads to what it shows.
    pub(crate) fn try_out(&mut self, what: TryWhat, manifest: &Manifest, data: &Path) {
        // One that needs no words; where all do, it gets some.
        let easy = manifest.commands.iter().find(|command| command.input.is_empty());
        let Some(command) = easy.or(manifest.commands.first()) else { return };
        let input = (!command.input.is_empty()).then(|| "meeting on Tuesday".to_owned());
        self.send(Command::TryPlugin {
            what,
            command: command.id.clone(),
            input,
            data: data.to_owned(),
        });
        self.go(Screen::Trial);
    }

    /// What a plugin did and took, or all of them.
    pub(crate) fn open_activity(&mut self, plugin: Option<PluginId>) {
        self.send(Command::OpenActivity(plugin));
    }

    /// Stops something.
    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        self.send(Command::Cancel(ticket));
    }

    /// Anything else.
    pub(crate) fn push(&mut self, intent: Intent) {
        self.intents.push(intent);
    }

    /// Another screen.
    pub(crate) fn go(&mut self, screen: Screen) {
        self.intents.push(Intent::Go(screen));
    }

    /// Everything pushed since the last call, in order.
    pub(crate) fn take(&mut self) -> Vec<Intent> {
        std::mem::take(&mut self.intents)
    }

    /// Whether nothing was pushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.intents.is_empty()
    }
}
