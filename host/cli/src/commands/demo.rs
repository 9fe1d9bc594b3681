//! `hearth demo`: the main job on invented data in a throwaway vault, each step checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use hearth_session::{
    Command, ConversationId, DocumentHead, DocumentId, DocumentKind, DocumentQuery, Event,
    FolderId, Passphrase, PluginId, PluginView, Reply, SettingValue, StopReason, ValueState,
    VaultState,
};
use serde_json::json;

use super::panels::{self, RunWishes, values_of};
use crate::{
    args::DemoArgs,
    render::Out,
    shell::{Failure, Outcome, Shell},
};

const SUMMARISER: &str = "org.hearth.mail-summariser";
const CODE_HELPER: &str = "org.hearth.code-helper";
const QUESTION: &str = "What does this ask of me, and by when?";

pub(crate) fn run(args: &DemoArgs, out: Out) -> Outcome {
    let data = data_dir(args)?;
    let dir = tempfile::Builder::new().prefix("hearth-demo-").tempdir().map_err(|error| {
        Failure::user(format!("No throwaway folder can be made: {error}."), "Check TMPDIR.")
    })?;
    let vault = dir.path().join("vault");
    let passphrase = random_passphrase()?;
    let mut demo = Demo { shell: Shell::start(Some(vault.clone()))?, out, steps: 0 };
    demo.step("Make a vault", &format!("{} under a random passphrase", vault.display()));
    demo.shell.run(Command::CreateVault(Passphrase::new(passphrase.clone())))?;
    let kept = demo.work(&data, args.mails)?;
    demo.step("Lock the vault", "every key is dropped, the view is empty");
    demo.lock()?;
    // Another session, as after closing and starting Hearth.
    drop(std::mem::replace(&mut demo.shell, Shell::start(Some(vault.clone()))?));
    demo.step("Open it again", "in a new session");
    demo.shell.run(Command::Unlock(Passphrase::new(passphrase.clone())))?;
    demo.check(&kept)?;
    demo.lock()?;
    if args.keep {
        let kept_dir = dir.keep();
        out.result(
            json!({"kept": kept_dir.join("vault"), "passphrase": passphrase}),
            format!("\nKept: --vault {} with the passphrase {passphrase}", vault.display()),
        );
    }
    out.result(
        json!({"demo": "done", "steps": demo.steps}),
        "\nAll of it worked: mail in, summaries out, and everything was there after reopening.",
    );
    Ok(())
}

/// What must be there after reopening.
struct Kept {
    documents: u64,
    saved: DocumentId,
    saved_text: String,
    conversation: ConversationId,
    answer: String,
}

struct Demo {
    shell: Shell,
    out: Out,
    steps: u32,
}

impl Demo {
    fn step(&mut self, what: &str, detail: &str) {
        self.steps += 1;
        self.out.result(
            json!({"step": self.steps, "what": what, "detail": detail}),
            format!("\n[{}] {what}: {detail}", self.steps),
        );
    }

    fn work(&mut self, data: &Path, mails: i32) -> Result<Kept, Failure> {
        let documents = self.import(data)?;
        self.plugins()?;
        let (saved, saved_text) = self.summarise(mails)?;
        self.explain()?;
        let (conversation, answer) = self.chat()?;
        Ok(Kept { documents, saved, saved_text, conversation, answer })
    }

    fn import(&mut self, data: &Path) -> Result<u64, Failure> {
        self.step("Import mail, notes and code", &data.display().to_string());
        let mut total = 0;
        for part in parts(data)? {
            let command = Command::Import { path: part.clone(), name: None };
            let title = format!("Importing {}", part.display());
            let reply = self.shell.import(self.out, command, &title, &mut |_| {})?;
            let Reply::Imported(report) = reply else { continue };
            total += report.done;
            self.out.result(
                json!({"imported": part, "done": report.done, "skipped": report.skipped, "failed": report.failed}),
                format!(
                    "    {}: {} imported, {} skipped, {} failed",
                    part.display(),
                    report.done,
                    report.skipped,
                    report.failed
                ),
            );
        }
        ensure(total > 0, "nothing was imported")?;
        Ok(total)
    }

    fn plugins(&mut self) -> Outcome {
        let view = self.shell.view();
        self.step("Look at the plugins", "real components, installed like any stranger's");
        for plugin in view.plugins.iter() {
            let sealed = if plugin.sealed { "sealed" } else { "NOT sealed" };
            self.out.text(format!(
                "    {} {}, {sealed}, granted nothing",
                plugin.id, plugin.manifest.version
            ));
        }
        for id in [SUMMARISER, CODE_HELPER] {
            let plugin = self.shell.plugin(id).map_err(|_absent| {
                Failure::user(
                    format!("The bundled plugin {id} is missing."),
                    "Build it with `cargo xtask run --headless`.",
                )
            })?;
            self.grant(&plugin)?;
        }
        Ok(())
    }

    /// Grants a plugin what it asks for; its slots are the folders of their kind.
    fn grant(&mut self, plugin: &PluginView) -> Outcome {
        let view = self.shell.view();
        let mail: BTreeSet<FolderId> = view
            .folders
            .iter()
            .filter(|folder| folder.kind == DocumentKind::Mail)
            .map(|folder| folder.id)
            .collect();
        let slots: BTreeMap<String, BTreeSet<FolderId>> =
            plugin.manifest.slots.iter().map(|slot| (slot.id.clone(), mail.clone())).collect();
        let capabilities = plugin.manifest.requested();
        let behind = if slots.is_empty() { "no folder" } else { "the mailboxes" };
        self.step(
            &format!("Grant {}", plugin.manifest.name),
            &format!("what it asks for, on {behind}"),
        );
        let command = Command::GrantPlugin {
            plugin: plugin.id.clone(),
            capabilities,
            slots,
            choice_bits_per_day: 0,
        };
        self.shell.run(command)?;
        Ok(())
    }

    fn summarise(&mut self, mails: i32) -> Result<(DocumentId, String), Failure> {
        let plugin = id(SUMMARISER)?;
        self.step("Summarise the newest mail", &format!("{mails} of them, streaming"));
        let setting = Command::SetPluginSetting {
            plugin: plugin.clone(),
            key: "newest".into(),
            value: SettingValue::Number(mails),
        };
        self.shell.run(setting)?;
        let command = Command::RunPlugin {
            plugin: plugin.clone(),
            command: "summarise".into(),
            focus: None,
            input: None,
        };
        panels::run(&self.shell, &plugin, command, &RunWishes::default(), self.out)?;
        let values = values_of(&self.shell.view(), &plugin);
        let whole = values.iter().filter(|value| value.state == ValueState::Done);
        let first = whole.clone().find(|value| !value.text.trim().is_empty());
        let first = first.ok_or_else(|| failed("no summary was made"))?;
        let count = whole.count();
        self.step("Save a summary", &format!("the first of {count}, as a document"));
        let Reply::Saved(saved) = self.shell.run(Command::SaveValue(first.id))? else {
            return Err(failed("the summary was not saved"));
        };
        Ok((saved, first.text.clone()))
    }

    fn explain(&mut self) -> Outcome {
        let plugin = id(CODE_HELPER)?;
        let file = self.newest(DocumentKind::Code)?;
        self.step("Explain a source file", &format!("{}, by the code helper", file.title));
        let command = Command::RunPlugin {
            plugin: plugin.clone(),
            command: "explain".into(),
            focus: Some(file.id),
            input: None,
        };
        panels::run(&self.shell, &plugin, command, &RunWishes::default(), self.out)?;
        let values = values_of(&self.shell.view(), &plugin);
        ensure(values.iter().any(|v| v.state == ValueState::Done), "nothing was explained")
    }

    fn chat(&mut self) -> Result<(ConversationId, String), Failure> {
        let mail = self.newest(DocumentKind::Mail)?;
        self.step("Chat", &format!("with “{}” attached", mail.title));
        let out = self.out;
        out.text(format!("    You: {QUESTION}"));
        out.piece("    Hearth: ");
        let ask =
            Command::Ask { conversation: None, text: QUESTION.into(), attached: vec![mail.id] };
        let reply = self.shell.run_with(ask, &mut |event| {
            if let Event::Answer { text, .. } = event {
                out.piece(text);
            }
        });
        out.text("");
        let Reply::Answered { conversation, text, stop, .. } = reply? else {
            return Err(failed("there was no answer"));
        };
        ensure(stop != StopReason::Cancelled, "the answer was stopped")?;
        out.result(json!({"conversation": conversation, "answer": text}), "");
        Ok((conversation, text))
    }

    fn newest(&self, kind: DocumentKind) -> Result<DocumentHead, Failure> {
        let query = DocumentQuery { kind: Some(kind), limit: 1, ..DocumentQuery::default() };
        self.shell.run(Command::Browse(query))?;
        let view = self.shell.view();
        view.library
            .heads
            .first()
            .cloned()
            .ok_or_else(|| failed("the library lacks such a document"))
    }

    fn lock(&self) -> Outcome {
        self.shell.run(Command::Lock)?;
        let view = self.shell.view();
        let empty = view.folders.is_empty()
            && view.library.heads.is_empty()
            && view.document.is_none()
            && view.conversation.is_none()
            && view.panels.is_empty();
        ensure(
            view.vault == VaultState::Locked && empty,
            "something is left in sight after locking",
        )
    }

    /// Everything that was made is there.
    fn check(&mut self, kept: &Kept) -> Outcome {
        let view = self.shell.view();
        let documents: u64 =
            view.folders.iter().filter(|f| f.plugin.is_none()).map(|f| f.documents).sum();
        ensure(documents == kept.documents, "imported documents are missing")?;
        self.shell.run(Command::OpenDocument(kept.saved))?;
        self.shell.run(Command::OpenConversation(kept.conversation))?;
        let view = self.shell.view();
        let saved = view.document.as_ref().is_some_and(|d| d.body == kept.saved_text);
        ensure(saved, "the saved summary is missing")?;
        let turns =
            view.conversation.as_ref().map(|open| open.turns.as_slice()).unwrap_or_default();
        ensure(turns.iter().any(|turn| turn.text == kept.answer), "the chat is missing")?;
        ensure(
            view.plugins.iter().filter(|plugin| plugin.grant.is_some()).count() >= 2,
            "grants are missing",
        )?;
        self.out.result(
            json!({"documents": documents, "saved": kept.saved, "conversation": kept.conversation}),
            format!(
                "    there: {documents} documents, the saved summary, the chat, plugins and grants"
            ),
        );
        Ok(())
    }
}

fn data_dir(args: &DemoArgs) -> Result<PathBuf, Failure> {
    args.data.clone().or_else(hearth_app::demo_dir).ok_or_else(|| {
        Failure::user(
            "The demonstration data is not here.",
            "Run from the repository, or name a folder of mail, notes and code with --data DIR.",
        )
    })
}

/// What of the data becomes a folder each: every mailbox, the notes, the code.
fn parts(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mail = data.join("mail");
    if !mail.is_dir() {
        return Ok(vec![data.to_path_buf()]);
    }
    let unreadable =
        |error: std::io::Error| Failure::user(format!("{}: {error}.", mail.display()), "");
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(&mail).map_err(unreadable)? {
        parts.push(entry.map_err(unreadable)?.path());
    }
    parts.sort();
    parts.extend(["notes", "code"].map(|part| data.join(part)).into_iter().filter(|p| p.is_dir()));
    Ok(parts)
}

/// 128 bits in hex.
pub(super) fn random_passphrase() -> Result<String, Failure> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::user(format!("No passphrase can be made: {error}."), ""))?;
    Ok(bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    }))
}

fn id(name: &str) -> Result<PluginId, Failure> {
    PluginId::new(name).map_err(|error| failed(&error.to_string()))
}

fn ensure(holds: bool, otherwise: &str) -> Outcome {
    if holds { Ok(()) } else { Err(failed(otherwise)) }
}

fn failed(what: &str) -> Failure {
    Failure::new(
        hearth_session::ErrorKind::Internal,
        format!("The demonstration failed: {what}."),
        "HEARTH_LOG=debug tells more.",
    )
}
