//! Native file dialogs, each on a thread of its own: the window goes on painting meanwhile.

use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use rfd::{AsyncFileDialog, FileHandle};

use crate::commands::DialogFor;

type Chosen = (DialogFor, Option<PathBuf>);

/// Dialogs under way.
pub(crate) struct Dialogs {
    sender: SyncSender<Chosen>,
    receiver: Receiver<Chosen>,
    open: Vec<DialogFor>,
}

impl Default for Dialogs {
    fn default() -> Self {
        let (sender, receiver) = sync_channel(8);
        Self { sender, receiver, open: Vec::new() }
    }
}

impl Dialogs {
    /// Opens a dialog, unless the same one is open.
    ///
    /// # Errors
    /// Where the system cannot start a thread.
    pub(crate) fn open(&mut self, purpose: DialogFor, ctx: &egui::Context) -> std::io::Result<()> {
        if self.open.contains(&purpose) {
            return Ok(());
        }
        // Some systems want the dialog made on the main thread; waiting for it happens on another.
        let dialog = AsyncFileDialog::new();
        let answer: Box<dyn Future<Output = Option<FileHandle>> + Send> = match purpose {
            DialogFor::ImportFile => Box::new(
                dialog.set_title("Import a mailbox, mail, note or source file").pick_file(),
            ),
            DialogFor::ImportFolder => Box::new(dialog.set_title("Import a folder").pick_folder()),
            DialogFor::Plugin => Box::new(
                dialog
                    .set_title("Choose a plugin")
                    .add_filter("Hearth plugin", &["wasm"])
                    .pick_file(),
            ),
            DialogFor::Model => Box::new(
                dialog
                    .set_title("Choose a model")
                    .add_filter("Model", &["gguf", "safetensors"])
                    .pick_file(),
            ),
        };
        let sender = self.sender.clone();
        let ctx = ctx.clone();
        std::thread::Builder::new().name("hearth-dialog".into()).spawn(move || {
            let path = pollster::block_on(Box::into_pin(answer)).map(|f| f.path().to_owned());
            // A closed window waits for no answer.
            sender.send((purpose, path)).ok();
            ctx.request_repaint();
        })?;
        self.open.push(purpose);
        Ok(())
    }

    /// The next path chosen since the last call.
    pub(crate) fn next(&mut self) -> Option<(DialogFor, PathBuf)> {
        while let Ok((purpose, path)) = self.receiver.try_recv() {
            self.open.retain(|p| *p != purpose);
            if let Some(path) = path {
                return Some((purpose, path));
            }
        }
        None
    }
}
