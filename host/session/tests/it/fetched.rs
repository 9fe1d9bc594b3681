//! Plugins that are fetched: from a server in a thread of the test, and from a folder that gets newer versions.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Cursor, Write},
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use hearth_session::{
    Command, ErrorKind, FakeBackend, PluginId, Reply, Session, UpdateOffer, UserError,
};
use minisign::KeyPair;

use crate::stage::{DIGEST, Setting, Stage};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves files for as long as the process lives, and counts what it was asked.
struct Site {
    address: String,
    files: Files,
    asked: Arc<Mutex<Vec<String>>>,
    pair: KeyPair,
}

impl Site {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (files, asked): (Files, Arc<Mutex<Vec<String>>>) = (Arc::default(), Arc::default());
        let (served, noted) = (Arc::clone(&files), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                reader.read_line(&mut line).unwrap();
                let mut header = String::from("x");
                while !header.trim().is_empty() {
                    header.clear();
                    reader.read_line(&mut header).unwrap();
                }
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let content = served.lock().unwrap().get(&path).cloned();
                noted.lock().unwrap().push(path);
                let status = if content.is_some() { "200 OK" } else { "404 Not Found" };
                let content = content.unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    content.len()
                );
                // Whoever asked may have gone.
                stream.write_all(head.as_bytes()).ok();
                stream.write_all(&content).ok();
            }
        });
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        Self { address, files, asked, pair }
    }

    /// Lists one version of the digest, signed.
    fn publish(&self, version: &str) {
        let key = self.pair.pk.to_base64();
        let component = DIGEST.replace(
            "version = \"1.0.0\"",
            &format!("version = \"{version}\"\npublisher = \"{key}\""),
        );
        let signature =
            minisign::sign(None, &self.pair.sk, Cursor::new(&component), None, None).unwrap();
        let index = serde_json::json!({"hearth_index": 1, "plugins": [{
            "id": "org.example.digest", "version": version, "url": "digest.wasm",
            "blake3": hearth_wasm::component_hash(component.as_bytes()),
            "signature": signature.into_string(),
        }]});
        let mut files = self.files.lock().unwrap();
        files.insert("/index.json".into(), serde_json::to_vec(&index).unwrap());
        files.insert("/digest.wasm".into(), component.into_bytes());
    }

    fn reference(&self) -> PathBuf {
        PathBuf::from(format!("http://{}/index.json#org.example.digest", self.address))
    }

    fn asked_for(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }
}

fn offers(stage: &Stage) -> Vec<UpdateOffer> {
    match stage.run(Command::CheckPluginUpdates).unwrap() {
        Reply::Updates(offers) => offers,
        other => panic!("{other:?}"),
    }
}

fn install(stage: &Stage, path: PathBuf, expected: Option<String>) -> Result<Reply, UserError> {
    stage.run(Command::InstallPlugin { path, expected_hash: expected })
}

/// A stage whose clock the test moves on.
fn with_clock() -> (Stage, Arc<AtomicI64>) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Setting::default().config(dir.path());
    let clock = Arc::new(AtomicI64::new(1_700_000_000));
    let told = Arc::clone(&clock);
    config.clock = Arc::new(move || {
        let secs = u64::try_from(told.load(Ordering::SeqCst)).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    });
    let session = Session::start(config, FakeBackend::default(), Arc::new(|| {})).unwrap();
    (Stage::on(dir, session), clock)
}

#[test]
fn what_was_fetched_to_be_looked_at_is_what_is_installed() {
    let (stage, site) = (Setting::default().open(), Site::open());
    site.publish("1.0.0");
    assert!(site.asked.lock().unwrap().is_empty(), "nothing is fetched unasked");
    let Reply::Inspection(found) = stage.run(Command::InspectPlugin(site.reference())).unwrap()
    else {
        panic!("not inspected")
    };
    assert_eq!(found.path, site.reference());
    let hash = Some(found.component_hash.clone());
    install(&stage, found.path.clone(), hash.clone()).unwrap();
    assert_eq!(site.asked_for("/digest.wasm"), 1);
    assert_eq!(stage.view().plugins[0].provenance.origin, site.reference().to_str().unwrap());
    assert!(stage.view().jobs.is_empty());

    // It may be another by then.
    site.publish("1.1.0");
    let error = install(&stage, found.path.clone(), hash).unwrap_err();
    assert!(error.message.contains("not the plugin you looked at"), "{error:?}");
}

#[test]
fn updates_are_looked_for_when_asked_and_wait_a_day_unless_asked_for_by_name() {
    let (site, plugin) = (Site::open(), PluginId::new("org.example.digest").unwrap());
    let (stage, clock) = with_clock();
    site.publish("1.0.0");
    install(&stage, site.reference(), None).unwrap();
    assert!(offers(&stage).is_empty());

    site.publish("1.1.0");
    let first = offers(&stage).remove(0);
    assert_eq!((&*first.installed, first.offered.as_deref()), ("1.0.0", Some("1.1.0")));
    assert_eq!(first.held_until_secs, Some(1_700_000_000 + 86_400));
    assert_eq!(stage.view().plugins[0].manifest.version, "1.0.0", "looking installs nothing");
    clock.fetch_add(86_399, Ordering::SeqCst);
    assert!(offers(&stage)[0].held_until_secs.is_some());
    clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(offers(&stage)[0].held_until_secs, None);

    site.publish("1.2.0");
    assert!(offers(&stage)[0].held_until_secs.is_some(), "each version has its own day");
    stage.run(Command::UpdatePlugin(plugin.clone())).unwrap();
    assert_eq!(stage.view().plugins[0].manifest.version, "1.2.0");
    assert!(offers(&stage).is_empty());

    // An older one on offer is none to take.
    site.publish("1.1.0");
    let error = stage.run(Command::UpdatePlugin(plugin)).unwrap_err();
    assert!(error.message.contains("older"), "{error:?}");
    site.files.lock().unwrap().clear();
    let gone = offers(&stage).remove(0);
    assert!(gone.error.is_some() && gone.offered.is_none(), "{gone:?}");
}

#[test]
fn a_folder_is_asked_again_like_a_server() {
    let stage = Setting::default().open();
    stage.run(Command::SetDeveloperMode(true)).unwrap();
    let folder = stage.dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.wasm"), DIGEST).unwrap();
    install(&stage, folder.clone(), None).unwrap();
    assert!(offers(&stage).is_empty());
    std::fs::write(folder.join("b.wasm"), DIGEST.replace("1.0.0", "1.1.0")).unwrap();
    assert_eq!(offers(&stage)[0].offered.as_deref(), Some("1.1.0"));
    let plugin = stage.view().plugins[0].id.clone();
    stage.run(Command::UpdatePlugin(plugin)).unwrap();
    assert_eq!(stage.view().plugins[0].manifest.version, "1.1.0");
}

#[test]
fn what_cannot_be_fetched_is_told() {
    let (stage, site) = (Setting::default().open(), Site::open());
    for (reference, kind, words) in [
        ("http://example.org/index.json#a.b".to_owned(), ErrorKind::User, "only https"),
        ("oci://localhost".to_owned(), ErrorKind::User, "no reference"),
        (format!("http://{}/index.json", site.address), ErrorKind::User, "status 404"),
    ] {
        let error = install(&stage, PathBuf::from(reference), None).unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(error.message.contains(words), "{error:?}");
    }
    // What a server says is no reason to believe it.
    site.publish("1.0.0");
    site.files.lock().unwrap().insert("/digest.wasm".into(), DIGEST.into());
    let error = install(&stage, site.reference(), None).unwrap_err();
    assert!(error.message.contains("digest is another"), "{error:?}");
}
