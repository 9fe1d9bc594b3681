//! A phrase in mail, chat, a saved document and the index is in no file, whatever happens; nor is the key.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hearth_base::{Label, PluginId};
use hearth_vault::{
    DocumentQuery, Kept, NewAdapter, NewSaved, NewTuneRun, NewTurn, PluginRecord, Speaker,
    UnlockError, Vault, VaultDir,
};

use crate::opening::database_key;
use crate::{QUICK, passphrase};

const PHRASE: &str = "marmalade-zeppelin";
pub(crate) const CHILD: &str = "HEARTH_VAULT_TEST_CHILD";

/// Puts the phrase wherever a text can go.
fn use_it(vault: &Vault, scratch: &Path) {
    let mail = scratch.join("mail.eml");
    fs::write(
        &mail,
        format!("From: {PHRASE} <a@example.com>\nSubject: {PHRASE}\n\nThe {PHRASE}.\n"),
    )
    .unwrap();
    vault.import(&mail, Some(PHRASE), &mut |_| ControlFlow::Continue(())).unwrap();
    fs::remove_file(&mail).unwrap();
    let query = DocumentQuery { text: PHRASE.into(), ..DocumentQuery::default() };
    assert_eq!(vault.documents(&query).unwrap().total, 1, "the index knows the phrase");

    let talk = vault.new_conversation(PHRASE).unwrap();
    let turn = NewTurn {
        speaker: Speaker::User,
        text: format!("What is a {PHRASE}?"),
        attached: Vec::new(),
        model: String::new(),
        stopped: false,
    };
    vault.add_turn(talk, &turn).unwrap();
    let plugin = PluginId::new("org.example.digest").unwrap();
    let record = PluginRecord {
        id: plugin.clone(),
        version: "1.0.0".into(),
        manifest: PHRASE.into(),
        component_hash: String::new(),
        sealed: true,
        bundled: false,
        enabled: true,
        suspended: None,
        installed_secs: 0,
    };
    vault.put_plugin(&record).unwrap();
    let saved = NewSaved {
        plugin: plugin.clone(),
        title: PHRASE.into(),
        body: format!("A summary of the {PHRASE}").repeat(2000),
        label: Label::public(),
    };
    let id = vault.save_document(&saved).unwrap();
    vault.keep(&plugin, PHRASE, &Kept { text: PHRASE.into(), label: Label::public() }).unwrap();
    vault.set_preference("last", PHRASE).unwrap();
    let run = vault
        .start_run(&NewTuneRun {
            name: PHRASE,
            dataset: Some(vault.add_dataset(PHRASE, PHRASE).unwrap()),
            base_name: "starter",
            base_path: Path::new("/models/starter.gguf"),
            job: PHRASE,
            examples: PHRASE.repeat(200_000).as_bytes(),
            label: Label::public(),
            learnt_from: Vec::new(),
        })
        .unwrap();
    vault.add_example_text(PHRASE, PHRASE).unwrap();
    // Pages enough that some of them are written before the transaction ends.
    vault.put_checkpoint(run, 1, PHRASE.repeat(400_000).as_bytes()).unwrap();
    vault.put_checkpoint(run, 2, PHRASE.repeat(100_000).as_bytes()).unwrap();
    vault
        .add_adapter(&NewAdapter {
            name: PHRASE,
            base_name: "starter",
            base_hash: "",
            template_hash: "",
            config: PHRASE,
            weights: PHRASE.repeat(100_000).as_bytes(),
            label: Label::public(),
            learnt_from: Vec::new(),
            report: Some(PHRASE),
            run: Some(run),
        })
        .unwrap();
    // A large sort and a deletion, which other databases spill to files.
    vault.delete_document(id).unwrap();
}

/// Every file under a directory holds neither the phrase nor the key, in any spelling they are ever held in.
fn assert_clean(directory: &Path, key: &[u8]) {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let utf_16 = |bytes: fn(u16) -> [u8; 2]| PHRASE.encode_utf16().flat_map(bytes).collect();
    let needles: [Vec<u8>; 6] = [
        PHRASE.as_bytes().to_vec(),
        utf_16(u16::to_le_bytes),
        utf_16(u16::to_be_bytes),
        key.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ];
    let mut files = 0;
    for entry in walkdir::WalkDir::new(directory) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        files += 1;
        let bytes = fs::read(entry.path()).unwrap();
        for (number, needle) in needles.iter().enumerate() {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "needle {number} in {}", entry.path().display());
        }
        let name = entry.file_name().to_string_lossy();
        assert!(!name.contains(PHRASE));
    }
    assert!(files >= 3, "the search must have something to search: {files} files");
}

#[test]
fn no_file_holds_the_phrase_while_open_or_after() {
    let (temp, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault_dir = VaultDir::new(temp.path().join("vault"));
    let vault = vault_dir.create_with_work_factor(&passphrase("p"), QUICK).unwrap();
    let key = database_key(vault_dir.path(), "p");
    use_it(&vault, scratch.path());
    assert!(vault_dir.path().join("hearth.db-wal").exists(), "the journal is searched, too");
    assert_clean(temp.path(), &key);
    vault.change_passphrase_with_work_factor(&passphrase("p"), &passphrase("q"), QUICK).unwrap();
    assert_clean(temp.path(), &key);
    vault.lock();
    assert_clean(temp.path(), &key);
    assert!(!vault_dir.path().join("hearth.db-wal").exists(), "the journal is folded in");
}

#[test]
fn the_search_finds_what_is_there() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::write(temp.path().join(name), "nothing").unwrap();
    }
    fs::write(temp.path().join("c"), format!("x{PHRASE}y")).unwrap();
    let found = std::panic::catch_unwind(|| assert_clean(temp.path(), &[1; 32]));
    assert!(found.is_err());
}

#[test]
fn no_file_holds_the_phrase_after_a_kill_and_the_data_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let mut child = child("canary::child_uses_a_vault", temp.path());
    wait_for_line(&mut child, "ready");
    let vault_dir = VaultDir::new(temp.path().join("vault"));
    let in_use = vault_dir.unlock(&passphrase("p"));
    assert!(matches!(in_use, Err(UnlockError::InUse { .. })), "another process has it");
    child.kill().unwrap();
    child.wait().unwrap();
    let key = database_key(vault_dir.path(), "p");
    assert!(vault_dir.path().join("hearth.db-wal").exists(), "killed before it could be folded in");
    assert_clean(temp.path(), &key);

    let vault = vault_dir.unlock(&passphrase("p")).unwrap();
    let query = DocumentQuery { text: PHRASE.into(), ..DocumentQuery::default() };
    assert_eq!(vault.documents(&query).unwrap().total, 1);
    assert_clean(temp.path(), &key);
}

#[test]
fn an_import_that_is_killed_leaves_whole_batches() {
    let temp = tempfile::tempdir().unwrap();
    let mut child = child("canary::child_imports", temp.path());
    wait_for_line(&mut child, "ready");
    child.kill().unwrap();
    child.wait().unwrap();
    let vault = VaultDir::new(temp.path().join("vault")).unlock(&passphrase("p")).unwrap();
    let query = DocumentQuery { text: PHRASE.into(), ..DocumentQuery::default() };
    let found = vault.documents(&query).unwrap().total;
    assert_eq!(found, 400, "two batches of 200 were told of, so two are there");
    let folder = &vault.folders().unwrap()[0];
    assert_eq!(folder.documents, 400);
    assert_eq!(vault.import_log(folder.id).unwrap().len(), 400);
    // The import can be taken up again: what is there is skipped.
    let mbox = temp.path().join("big.mbox");
    let mut report = vault.import(&mbox, None, &mut |_| ControlFlow::Continue(())).unwrap();
    report.folder = None;
    assert_eq!((report.done, report.skipped, report.failed), (600, 400, 0));
}

/// Not a test by itself: another test starts it in a process of its own.
#[test]
fn child_uses_a_vault() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let directory = Path::new(&directory);
    let vault_dir = VaultDir::new(directory.join("vault"));
    let vault = vault_dir.create_with_work_factor(&passphrase("p"), QUICK).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    use_it(&vault, scratch.path());
    fs::remove_dir_all(scratch.path()).unwrap();
    say_ready_and_wait();
}

/// Not a test by itself: another test starts it in a process of its own.
#[test]
fn child_imports() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let directory = Path::new(&directory);
    let mbox = directory.join("big.mbox");
    let mut file = fs::File::create(&mbox).unwrap();
    for n in 0..1000 {
        write!(
            file,
            "From a@example.com Mon Jan  5 10:00:00 2026\nSubject: {n}\nMessage-ID: <{n}@x>\n\n{PHRASE} {n}\n\n"
        )
        .unwrap();
    }
    drop(file);
    let vault_dir = VaultDir::new(directory.join("vault"));
    let vault = vault_dir.create_with_work_factor(&passphrase("p"), QUICK).unwrap();
    let mut told = 0;
    vault
        .import(&mbox, None, &mut |_| {
            told += 1;
            if told == 400 {
                say_ready_and_wait();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
}

/// This test binary again, running one test, its temporary files where they can be searched.
pub(crate) fn child(test: &str, directory: &Path) -> Child {
    let temporary = directory.join("tmp");
    fs::create_dir(&temporary).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, directory)
        .env("TMPDIR", &temporary)
        .env("SQLITE_TMPDIR", &temporary)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_for_line(child: &mut Child, wanted: &str) {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let said = stdout.lines().any(|line| line.unwrap().ends_with(wanted));
    assert!(said, "the child ended early");
}

/// Blocks until the parent ends this process, or itself.
fn say_ready_and_wait() {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready").unwrap();
    stdout.flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
