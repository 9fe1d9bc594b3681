//! A session for the time of one command.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use hearth_session::{
    Command, ErrorKind, Event, Folder, FolderId, PluginId, PluginView, Reply, Session,
    SessionHandle, UserError, VaultState, View,
};

use crate::{interrupt, passphrase::Source, render::Out};

/// Why the program ends without success.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) UserError);

impl Failure {
    pub(crate) fn user(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message, hint)
    }

    pub(crate) fn new(
        kind: ErrorKind,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self(UserError { kind, message: message.into(), hint: hint.into() })
    }

    /// Wrong usage is the argument parser's to find; whatever comes after it is a failure.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(1)
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        Self(error)
    }
}

pub(crate) type Outcome = Result<(), Failure>;

/// What opens sessions.
pub(crate) struct Opener {
    pub(crate) vault: Option<PathBuf>,
    pub(crate) passphrase: Source,
}

impl Opener {
    /// A session on a vault still locked.
    pub(crate) fn locked(&self) -> Result<Shell, Failure> {
        Shell::start(self.vault.clone())
    }

    /// A session on the open vault.
    pub(crate) fn unlocked(&self) -> Result<Shell, Failure> {
        let shell = self.locked()?;
        let view = shell.view();
        if view.vault == VaultState::Absent {
            return Err(Failure::user(
                format!("There is no vault at {}.", view.vault_path.display()),
                "Make one with `hearth vault create`, or name another with --vault DIR.",
            ));
        }
        let passphrase = self.passphrase.known("Passphrase: ")?;
        shell.run(Command::Unlock(passphrase))?;
        Ok(shell)
    }
}

/// A session. Dropping it locks the vault and waits for all work to end.
pub(crate) struct Shell {
    handle: SessionHandle,
    _session: Session,
}

impl Shell {
    pub(crate) fn start(vault_dir: Option<PathBuf>) -> Result<Self, Failure> {
        let options = hearth_app::Options { vault_dir };
        let session = hearth_app::open(options, Arc::new(|| {}))?;
        let handle = session.handle();
        handle.load_model_when_asked();
        Ok(Self { handle, _session: session })
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.handle.view()
    }

    pub(crate) fn handle(&self) -> &SessionHandle {
        &self.handle
    }

    /// Runs a command to its end; Ctrl-C cancels it.
    pub(crate) fn run(&self, command: Command) -> Result<Reply, Failure> {
        self.run_with(command, &mut |_| {})
    }

    /// The same, told what happens meanwhile.
    pub(crate) fn run_with(
        &self,
        command: Command,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Reply, Failure> {
        let pending = self.handle.start(command)?;
        let _guard = interrupt::Guard::new(&self.handle, pending.ticket());
        Ok(pending.wait(on_event)?)
    }

    /// Imports, with a bar on stderr.
    pub(crate) fn import(
        &self,
        out: Out,
        command: Command,
        title: &str,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Reply, Failure> {
        let bar = out.bar(title);
        let reply = self.run_with(command, &mut |event| {
            if let Event::Imported { done_bytes, total_bytes, .. } = event {
                bar.set_length((*total_bytes).max(1));
                bar.set_position(*done_bytes);
            }
            on_event(event);
        });
        bar.finish_and_clear();
        reply
    }

    /// A folder by name or number.
    pub(crate) fn folder(&self, wanted: &str) -> Result<FolderId, Failure> {
        let view = self.view();
        let named = |folder: &&Folder| folder.name == wanted;
        let numbered = |folder: &&Folder| folder.id.to_string() == wanted;
        let found = view.folders.iter().find(named).or_else(|| view.folders.iter().find(numbered));
        found.map(|folder| folder.id).ok_or_else(|| {
            Failure::user(format!("There is no folder `{wanted}`."), "See `hearth list`.")
        })
    }

    /// An installed plugin by its id.
    pub(crate) fn plugin(&self, wanted: &str) -> Result<PluginView, Failure> {
        let id = PluginId::new(wanted).map_err(|error| Failure::user(error.to_string(), ""))?;
        let view = self.view();
        view.plugins.iter().find(|plugin| plugin.id == id).cloned().ok_or_else(|| {
            Failure::user(format!("No plugin `{id}` is installed."), "See `hearth plugin list`.")
        })
    }
}
