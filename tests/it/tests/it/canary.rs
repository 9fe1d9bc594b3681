//! No byte of private text in any file, after use, after locking, and after a kill.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command as Process,
};

use hearth_session::{Command, FakeBackend, PanelNode, PluginId, Reply};
use hearth_tests::{PASSPHRASE, passphrase, run, runtime_dir, start, wait_until};

/// In a mail, in chats, in the index, in a saved summary.
const CANARY: &str = "zyxquorvane";
/// Where the victim works; its presence makes this process the victim.
const VICTIM_DIR: &str = "HEARTH_CANARY_DIR";
/// How the victim ends.
const VICTIM_ENDS: &str = "HEARTH_CANARY_END";

/// Not a test by itself: started by the others as a process of its own, with a home and a temporary folder of its own.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM_DIR) else { return };
    let Some(runtime) = runtime_dir("canary") else { return };
    let dir = Path::new(&dir);
    let backend = FakeBackend::new(|_| format!("an answer about {CANARY}"));
    let session = start(&dir.join("home/vault"), &runtime, backend).unwrap();
    let handle = session.handle();
    run(&handle, Command::CreateVault(passphrase())).unwrap();
    wait_until(&handle, "plugins and model", |v| v.plugins.len() == 2 && v.models.loaded.is_some());
    run(&handle, Command::Import { path: dir.join("outside/mail.eml"), name: None }).unwrap();
    let folder = handle.view().folders[0].id;
    let summariser = PluginId::new("org.hearth.mail-summariser").unwrap();
    let capabilities = handle
        .view()
        .plugins
        .iter()
        .find(|p| p.id == summariser)
        .map(|p| p.manifest.requested())
        .unwrap();
    let slots = BTreeMap::from([("inbox".to_owned(), BTreeSet::from([folder]))]);
    run(
        &handle,
        Command::GrantPlugin {
            plugin: summariser.clone(),
            capabilities,
            slots,
            choice_bits_per_day: 0,
        },
    )
    .unwrap();
    let summarise = Command::RunPlugin {
        plugin: summariser.clone(),
        command: "summarise".into(),
        focus: None,
        input: None,
    };
    run(&handle, summarise).unwrap();
    let view = handle.view();
    let summary = view
        .panels
        .iter()
        .flat_map(|p| &p.nodes)
        .find_map(|node| match node {
            PanelNode::Items(Some(items)) => items.first(),
            _ => None,
        })
        .expect("a summary");
    assert!(summary.text.contains(CANARY));
    run(&handle, Command::SaveValue(summary.id)).unwrap();
    let ask = Command::Ask {
        conversation: None,
        text: format!("Tell me of {CANARY}"),
        attached: Vec::new(),
    };
    let Reply::Answered { text, .. } = run(&handle, ask).unwrap() else { panic!("no answer") };
    assert!(text.contains(CANARY));
    if std::env::var_os(VICTIM_ENDS).is_some_and(|end| end == "kill") {
        // As `kill -9` would: nothing is flushed, closed or cleaned.
        std::process::abort();
    }
    run(&handle, Command::Lock).unwrap();
    session.shutdown();
    std::fs::write(dir.join("done"), "").unwrap();
}

/// Files under `dir` that hold a needle, in UTF-8 or UTF-16.
fn holding(dir: &Path, needle: &str) -> Vec<std::path::PathBuf> {
    let utf16: Vec<u8> = needle.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut found = Vec::new();
    let mut seen = 0;
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let bytes = std::fs::read(&path).unwrap();
            let has = |needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
            if has(needle.as_bytes()) || has(&utf16) {
                found.push(path);
            }
        }
    }
    assert!(seen > 0, "nothing to search in {}", dir.display());
    found
}

fn live_and_end(end: &str) {
    let Some(_) = runtime_dir("canary") else { return };
    let dir = tempfile::tempdir().unwrap();
    for folder in ["home", "tmp", "outside"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let mail = format!(
        "From: Ada <ada@example.org>\r\nTo: me@example.org\r\nSubject: About {CANARY}\r\n\
         Date: Mon, 2 Mar 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n\
         The word of the day is {CANARY}.\r\n"
    );
    std::fs::write(dir.path().join("outside/mail.eml"), mail).unwrap();
    let output = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "canary::victim", "--nocapture"])
        .env(VICTIM_DIR, dir.path())
        .env(VICTIM_ENDS, end)
        .env("HOME", dir.path().join("home"))
        .env("XDG_DATA_HOME", dir.path().join("home"))
        .env("XDG_CONFIG_HOME", dir.path().join("home"))
        .env("XDG_CACHE_HOME", dir.path().join("home"))
        .env("TMPDIR", dir.path().join("tmp"))
        .current_dir(dir.path().join("home"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if end == "kill" {
        assert!(!said.contains("panicked"), "{said}");
        assert!(!output.status.success(), "{said}");
    } else {
        assert!(dir.path().join("done").exists(), "{said}");
    }
    assert!(!said.contains(CANARY), "it was printed");
    // The search works: it finds the word where it was given to Hearth.
    assert_eq!(holding(&dir.path().join("outside"), CANARY).len(), 1);
    for folder in ["home", "tmp"] {
        let folder = dir.path().join(folder);
        if std::fs::read_dir(&folder).unwrap().next().is_none() {
            continue;
        }
        for secret in [CANARY, PASSPHRASE, "ada@example.org"] {
            let found = holding(&folder, secret);
            assert!(found.is_empty(), "{secret} lies in {found:?}");
        }
    }
}

#[test]
fn nothing_is_left_after_use_and_lock() {
    live_and_end("lock");
}

#[test]
fn nothing_is_left_after_a_kill() {
    live_and_end("kill");
}
