//! The program as a user's script sees it: exit codes, and JSON alone on stdout.
#![expect(clippy::unwrap_used, reason = "what a test does not expect is its failure")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hearth_session::Passphrase;
use hearth_vault::VaultDir;
use serde_json::Value;

const PASSPHRASE: &str = "seven bright kettles sang";

/// What a run of the program left.
struct Ran {
    code: i32,
    lines: Vec<Value>,
    stdout: String,
    stderr: String,
}

/// A vault's place, a passphrase's file, and an empty folder of programs.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("programs")).unwrap();
        std::fs::write(dir.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { dir }
    }

    /// With a vault whose key file is cheap to open. `hearth vault create` makes strong ones alone.
    fn with_vault() -> Self {
        let place = Self::new();
        let passphrase = Passphrase::new(PASSPHRASE.into());
        VaultDir::new(place.path("vault")).create_with_work_factor(&passphrase, 1).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
        command
            .args(args)
            .env("HEARTH_VAULT", self.path("vault"))
            .env("HEARTH_RUNTIME_DIR", self.path("programs"))
            .env_remove("HEARTH_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Ran {
        let mut child = self.command(args).spawn().unwrap();
        // A program that does not read closes the pipe, which is its right.
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let json = args.contains(&"--json");
        let lines = stdout.lines().filter(|_| json).map(|l| serde_json::from_str(l).unwrap());
        Ran {
            code: output.status.code().unwrap(),
            lines: lines.collect(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            stdout,
        }
    }

    /// With `--json` and the passphrase from its file.
    fn run(&self, args: &[&str]) -> Ran {
        let file = self.path("passphrase");
        let more = ["--json", "--passphrase-file", file.to_str().unwrap()];
        self.run_with_stdin(&[args, &more].concat(), "")
    }

    fn mailbox(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let mails: String = (1..=3)
            .map(|n| {
                format!(
                    "From a@b.example Tue Nov 14 10:00:00 2023\nFrom: Ada <ada@b.example>\n\
                     Subject: Letter {n}\nMessage-ID: <{n}@b.example>\n\
                     Date: Tue, 14 Nov 2023 10:00:0{n} +0000\n\nWords of letter {n}: kettle{n}.\n\n"
                )
            })
            .collect();
        std::fs::write(&path, mails).unwrap();
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_vault_is_made_once() {
    let place = Place::new();
    assert_eq!(place.run(&["vault", "status"]).lines[0]["state"], "absent");
    let ran = place.run(&["vault", "create"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(place.run(&["vault", "status"]).lines[0]["state"], "locked");
    let again = place.run(&["vault", "create"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("already") && again.stdout.is_empty(), "{}", again.stderr);
    assert!(place.run(&["list"]).lines.is_empty());
}

#[test]
fn letters_are_imported_found_and_deleted() {
    let place = Place::with_vault();
    let mailbox = place.mailbox("Inbox.mbox");
    let ran = place.run(&["import", text(&mailbox), "--name", "Inbox"]);
    assert_eq!((ran.code, ran.lines.len()), (0, 3), "{}", ran.stderr);
    assert!(ran.lines.iter().all(|line| line["state"] == "done"));
    let again = place.run(&["import", text(&mailbox), "--name", "Inbox"]);
    assert!(again.lines.iter().all(|line| line["state"] == "skipped"), "{}", again.stdout);

    let folders = place.run(&["list"]).lines;
    assert_eq!((&folders[0]["name"], &folders[0]["documents"]), (&"Inbox".into(), &3.into()));
    assert_eq!(place.run(&["list", "Inbox"]).lines.len(), 3);
    let found = place.run(&["search", "kettle2"]).lines;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["title"], "Letter 2");

    let id = found[0]["id"].to_string();
    let shown = place.run(&["show", &id]).lines;
    assert!(shown[0]["body"].as_str().unwrap().contains("kettle2"));
    assert_eq!(place.run(&["delete", &id]).code, 0);
    let gone = place.run(&["show", &id]);
    assert_eq!((gone.code, gone.stdout.as_str()), (1, ""));
    assert!(gone.stderr.contains("hint:"), "{}", gone.stderr);
    assert_eq!(place.run(&["delete", "--folder", "Inbox"]).code, 0);
    assert!(place.run(&["list"]).lines.is_empty());
}

#[test]
fn passphrases_are_checked_and_changed() {
    let place = Place::with_vault();
    let wrong = place.run_with_stdin(&["list", "--json", "--passphrase-fd", "0"], "not this\n");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (1, ""));
    assert!(wrong.stderr.contains("Wrong passphrase") && !wrong.stderr.contains("not this"));

    std::fs::write(place.path("new"), "a better one").unwrap();
    let new = place.path("new");
    let ran = place.run(&["vault", "passwd", "--new-passphrase-file", text(&new)]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(place.run(&["list"]).code, 1);
    let right = place.run_with_stdin(&["list", "--json", "--passphrase-fd", "0"], "a better one\n");
    assert_eq!(right.code, 0, "{}", right.stderr);
}

#[test]
fn without_a_model_a_question_is_kept_and_the_way_out_told() {
    let place = Place::with_vault();
    let ran = place.run(&["chat", "Anyone", "there?"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("No model") && ran.stderr.contains("model add"), "{}", ran.stderr);
    let talks = place.run(&["conversations"]).lines;
    assert_eq!(talks[0]["title"], "Anyone there?");
    let turns = place.run(&["conversations", &talks[0]["id"].to_string()]).lines;
    assert_eq!(turns[0]["text"], "Anyone there?");
    assert!(place.run(&["plugin", "list"]).lines.is_empty());
    assert_eq!(place.run(&["plugin", "run", "org.example.none"]).code, 1);
    assert_eq!(place.run(&["model", "use", "starter"]).code, 1);
    assert_eq!(place.run(&["model", "mark", "1", "public"]).code, 1);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let place = Place::new();
    for args in [
        &["nonsense"][..],
        &["import"],
        &["search"],
        &["delete"],
        &["show", "not-a-number"],
        &["model", "probe", "x.gguf"],
        &["plugin", "grant", "org.example.x", "--allow", "network"],
        &["model", "mark", "1", "harmless"],
        &["import", "--check", "--name", "x", "path"],
        &["--passphrase", "in-argv", "list"],
    ] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
    }
    let help = place.run_with_stdin(&["--help"], "");
    assert!(help.code == 0 && help.stdout.contains("Exit codes: 0 done"), "{}", help.stdout);
}

#[test]
fn checking_an_import_needs_no_vault() {
    let place = Place::new();
    let mailbox = place.mailbox("post.mbox");
    let ran = place.run_with_stdin(&["import", "--check", text(&mailbox), "--json"], "");
    assert_eq!((ran.code, ran.lines.len()), (0, 3), "{}", ran.stderr);
    for (n, line) in ran.lines.iter().enumerate() {
        let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        for key in ["path", "index", "state", "reason", "subject", "from", "date", "body_chars"] {
            assert!(keys.contains(&key), "{key}: {line}");
        }
        assert_eq!(line["subject"], format!("Letter {}", n + 1));
        assert_eq!(line["state"], "done");
    }
    let absent = place.path("absent");
    assert_eq!(place.run_with_stdin(&["import", "--check", text(&absent)], "").code, 1);
    assert!(!place.path("vault").exists());
}

#[test]
fn templates_are_rendered_exactly() {
    let place = Place::new();
    let (template, context) = (place.path("chat.jinja"), place.path("context.json"));
    std::fs::write(&template, "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
        .unwrap();
    std::fs::write(&context, r#"{"messages": [{"role": "user", "content": "hi"}]}"#).unwrap();
    let args = ["model", "template", text(&template), "--context", text(&context)];
    let ran = place.run_with_stdin(&args, "");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "<user>hi"), "{}", ran.stderr);
    let odd = [&args[..], &["--now", "yesterday"]].concat();
    assert_eq!(place.run_with_stdin(&odd, "").code, 1);
}

#[test]
fn texts_are_embedded_in_their_order() {
    let place = Place::new();
    let toys =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/candle/tests/data/embedding");
    let toy = toys.join("toy-bert-mean");
    let lines = place.path("lines.txt");
    std::fs::write(&lines, "so sunny\nthe weather\n").unwrap();
    let ran = place.run(&["model", "embed", text(&toy), "--text", "dear", "--lines", text(&lines)]);
    assert_eq!((ran.code, ran.lines.len()), (0, 3), "{}", ran.stderr);
    assert_eq!(ran.lines[0]["vector"].as_array().unwrap().len(), 16);
    let alone = place.run(&["model", "embed", text(&toy), "--text", "the weather"]);
    let number = |line: &Value| line["vector"][3].as_f64().unwrap();
    assert!((number(&alone.lines[0]) - number(&ran.lines[2])).abs() < 1e-5);
    let query =
        place.run(&["model", "embed", text(&toy), "--text", "the weather", "--role", "query"]);
    assert!((number(&alone.lines[0]) - number(&query.lines[0])).abs() > 1e-3);
    assert_eq!(place.run(&["model", "embed", text(&toy)]).code, 2);
}

#[test]
fn damaged_models_are_refused_in_words() {
    let place = Place::new();
    let broken = place.path("broken.gguf");
    std::fs::write(&broken, b"GGUF\x03\0\0\0rubbish").unwrap();
    for args in [
        &["model", "inspect", text(&broken)][..],
        &["model", "probe", text(&broken), "--ids", "1"],
        &["model", "bench", text(&broken)],
        &["model", "tokenize", text(&broken)],
    ] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{args:?}");
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let place = Place::new();
    let mailbox = place.mailbox("post.mbox");
    let mut child =
        place.command(&["import", "--check", text(&mailbox), "--json"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.code().is_some());
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}
