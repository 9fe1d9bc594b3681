//! Plugins: signatures, keys, versions, and what an update may take over.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use hearth_base::{Answer, Export, GuestFailure, HostCall};
use hearth_session::{
    Capability, Command, ErrorKind, FolderId, GuestEnd, InstallVerdict, KeyStanding, PluginId,
    PluginInspection, PluginView, Reply, SignatureView, UserError,
};
use minisign::KeyPair;
use proptest::{prop_assert, prop_assert_eq, prop_oneof, test_runner::TestRunner};

use crate::stage::{DIGEST, Scripted, Setting, Stage};

/// The digest with storage, so that there is something to take over.
fn storing() -> String {
    DIGEST.replace("save = true", "save = true, storage-kib = 8")
}

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn sign(pair: &KeyPair, content: &str) -> String {
    minisign::sign(None, &pair.sk, Cursor::new(content), Some("for a test"), None)
        .unwrap()
        .into_string()
}

/// The manifest with its publisher and version.
fn of(pair: &KeyPair, manifest: &str, version: &str) -> String {
    let key = pair.pk.to_base64();
    manifest
        .replace("version = \"1.0.0\"", &format!("version = \"{version}\"\npublisher = \"{key}\""))
}

fn put(stage: &Stage, name: &str, component: &str, signature: Option<&str>) -> PathBuf {
    let path = stage.dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, component).unwrap();
    let beside = path.with_extension("wasm.minisig");
    match signature {
        Some(signature) => std::fs::write(beside, signature).unwrap(),
        None => drop(std::fs::remove_file(beside)),
    }
    path
}

fn install_path(stage: &Stage, path: &Path) -> Result<Reply, UserError> {
    stage.run(Command::InstallPlugin { path: path.to_path_buf(), expected_hash: None })
}

/// Installs a version signed by `pair`.
fn install(
    stage: &Stage,
    pair: &KeyPair,
    manifest: &str,
    version: &str,
) -> Result<Reply, UserError> {
    let component = of(pair, manifest, version);
    install_path(stage, &put(stage, "plugin.wasm", &component, Some(&sign(pair, &component))))
}

fn installed(stage: &Stage, pair: &KeyPair, manifest: &str, version: &str) -> PluginId {
    match install(stage, pair, manifest, version).unwrap() {
        Reply::Installed(id) => id,
        other => panic!("{other:?}"),
    }
}

fn inspected(stage: &Stage, path: &Path) -> PluginInspection {
    match stage.run(Command::InspectPlugin(path.to_path_buf())).unwrap() {
        Reply::Inspection(found) => *found,
        other => panic!("{other:?}"),
    }
}

fn shown(stage: &Stage) -> PluginView {
    stage.view().plugins[0].clone()
}

fn grant(stage: &Stage, powers: &[Capability]) {
    let plugin = shown(stage).id;
    let slots = BTreeMap::from([("inbox".to_owned(), BTreeSet::<FolderId>::new())]);
    let capabilities = powers.iter().copied().collect();
    let grant = Command::GrantPlugin { plugin, capabilities, slots, choice_bits_per_day: 0 };
    stage.run(grant).unwrap();
}

fn run_it(stage: &Stage, plugin: &PluginId) -> Result<Reply, UserError> {
    stage.run(Command::RunPlugin {
        plugin: plugin.clone(),
        command: "digest".into(),
        focus: None,
        input: None,
    })
}

/// Names of the files under the vault's folder for plugins and their code.
fn files(stage: &Stage) -> Vec<String> {
    let mut names = Vec::new();
    for dir in ["plugins", "artefacts"] {
        let Ok(entries) = std::fs::read_dir(stage.dir.path().join("vault").join(dir)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            assert!(entry.file_type().unwrap().is_file(), "{entry:?}");
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    names
}

#[test]
fn what_nobody_signed_needs_developer_mode_to_be_installed_and_to_run() {
    let stage = Setting::default().open();
    let path = put(&stage, "plugin.wasm", DIGEST, None);
    let found = inspected(&stage, &path);
    assert_eq!(found.judgement.signature, SignatureView::Unsigned);
    assert!(matches!(found.judgement.verdict, InstallVerdict::Refused(_)));
    let error = install_path(&stage, &path).unwrap_err();
    assert!(error.message.contains("not signed"), "{error:?}");
    assert!(files(&stage).is_empty());

    stage.run(Command::SetDeveloperMode(true)).unwrap();
    assert!(stage.view().developer_mode);
    install_path(&stage, &path).unwrap();
    let plugin = shown(&stage);
    assert_eq!(plugin.provenance.signature, SignatureView::Unsigned);
    run_it(&stage, &plugin.id).unwrap();
    stage.run(Command::SetDeveloperMode(false)).unwrap();
    let error = run_it(&stage, &plugin.id).unwrap_err();
    assert!(error.message.contains("developer mode is off"), "{error:?}");
}

#[test]
fn a_signed_plugin_says_whose_it_is_and_what_is_known_of_the_key() {
    let (stage, pair) = (Setting::default().open(), pair());
    let standing = |signature: &SignatureView| match signature {
        SignatureView::Signed { standing, fingerprint, key, .. } => {
            assert_eq!((fingerprint.len(), key), (29, &pair.pk.to_base64()));
            *standing
        }
        other => panic!("{other:?}"),
    };
    let component = of(&pair, DIGEST, "1.0.0");
    let path = put(&stage, "plugin.wasm", &component, Some(&sign(&pair, &component)));
    let before = inspected(&stage, &path);
    assert_eq!(standing(&before.judgement.signature), KeyStanding::New);
    assert_eq!(before.judgement.verdict, InstallVerdict::Install);
    install_path(&stage, &path).unwrap();
    let again = inspected(&stage, &path);
    assert_eq!(standing(&again.judgement.signature), KeyStanding::Pinned);
    assert_eq!(again.judgement.verdict, InstallVerdict::Same);
    assert_eq!(standing(&shown(&stage).provenance.signature), KeyStanding::Pinned);
    assert!(shown(&stage).provenance.origin.ends_with("plugin.wasm"));

    let other = of(&pair, &DIGEST.replace("org.example.digest", "org.example.other"), "1.0.0");
    let path = put(&stage, "other.wasm", &other, Some(&sign(&pair, &other)));
    let found = inspected(&stage, &path);
    assert_eq!(standing(&found.judgement.signature), KeyStanding::Known);
    // The same name, but the same publisher's: told, not refused.
    assert_eq!(found.judgement.lookalikes.len(), 1);
    install_path(&stage, &path).unwrap();
}

#[test]
fn a_signature_that_is_missing_or_does_not_fit_is_refused_in_developer_mode_too() {
    let (stage, pair) = (Setting::default().open(), pair());
    stage.run(Command::SetDeveloperMode(true)).unwrap();
    let component = of(&pair, DIGEST, "1.0.0");
    let good = sign(&pair, &component);
    let by_another = sign(&self::pair(), &component);
    for (component, signature, words) in [
        (component.as_str(), None, "no signature"),
        (component.as_str(), Some(by_another.as_str()), "another key"),
        (&component.replace("Digest the mail", "Send the mail"), Some(&good), "was changed"),
        (component.as_str(), Some("hello"), "not one that minisign wrote"),
        (DIGEST, Some(good.as_str()), "names no publisher"),
    ] {
        let path = put(&stage, "plugin.wasm", component, signature);
        for command in [
            Command::InspectPlugin(path.clone()),
            Command::InstallPlugin { path, expected_hash: None },
        ] {
            let error = stage.run(command).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Input);
            assert!(error.message.contains(words), "{words}: {error:?}");
        }
    }
    assert!(stage.view().plugins.is_empty() && files(&stage).is_empty());
}

#[test]
fn a_name_stays_with_its_key_and_goes_up_in_version_even_after_it_is_removed() {
    let (stage, ours, theirs) = (Setting::default().open(), pair(), pair());
    let plugin = installed(&stage, &ours, DIGEST, "1.1.0");
    let refusals = |stage: &Stage| {
        let error = install(stage, &theirs, DIGEST, "2.0.0").unwrap_err();
        assert!(error.message.contains("belongs to the key"), "{error:?}");
        let error = install(stage, &ours, DIGEST, "1.0.9").unwrap_err();
        assert!(error.message.contains("older than 1.1.0"), "{error:?}");
        let resigned = DIGEST.replace("Digest the mail", "Digest all mail");
        let error = install(stage, &ours, &resigned, "1.1.0").unwrap_err();
        assert!(error.message.contains("another version 1.1.0"), "{error:?}");
        stage.run(Command::SetDeveloperMode(true)).unwrap();
        let unsigned = put(stage, "unsigned.wasm", &DIGEST.replace("1.0.0", "3.0.0"), None);
        let error = install_path(stage, &unsigned).unwrap_err();
        assert!(error.message.contains("this file is not signed"), "{error:?}");
        stage.run(Command::SetDeveloperMode(false)).unwrap();
    };
    refusals(&stage);
    install(&stage, &ours, DIGEST, "1.1.0").unwrap();
    stage.run(Command::UninstallPlugin { plugin, keep_saved: false }).unwrap();
    refusals(&stage);
    install(&stage, &ours, DIGEST, "1.1.0").unwrap();
    install(&stage, &ours, DIGEST, "1.2.0").unwrap();
    assert_eq!(shown(&stage).manifest.version, "1.2.0");
}

#[test]
fn a_key_hands_over_by_its_own_statement() {
    let (stage, old, new) = (Setting::default().open(), pair(), pair());
    installed(&stage, &old, DIGEST, "1.0.0");
    grant(&stage, &[Capability::Model]);
    let statement = format!(
        "statement = \"hearth-key-rotation\"\nold = \"{}\"\nnew = \"{}\"\n",
        old.pk.to_base64(),
        new.pk.to_base64()
    );
    let path = stage.dir.path().join("rotation.toml");
    std::fs::write(&path, &statement).unwrap();
    let trust = |expected_new: Option<String>| {
        stage.run(Command::TrustRotation { path: path.clone(), expected_new })
    };
    assert!(trust(None).unwrap_err().message.contains("no signature"));
    let beside = stage.dir.path().join("rotation.toml.minisig");
    std::fs::write(&beside, sign(&new, &statement)).unwrap();
    assert!(trust(None).unwrap_err().message.contains("another key"));
    assert!(install(&stage, &new, DIGEST, "1.0.1").is_err());

    std::fs::write(&beside, sign(&old, &statement)).unwrap();
    let Reply::Rotation(seen) = stage.run(Command::InspectRotation(path.clone())).unwrap() else {
        panic!("no statement")
    };
    assert!(install(&stage, &new, DIGEST, "1.0.1").is_err(), "looking at it changes nothing");
    assert!(trust(Some(old.pk.to_base64())).is_err());
    trust(Some(seen.new_key.clone())).unwrap();
    trust(Some(seen.new_key)).unwrap();
    let error = install(&stage, &old, DIGEST, "1.0.1").unwrap_err();
    assert!(error.message.contains("handed over"), "{error:?}");
    installed(&stage, &new, DIGEST, "1.0.1");
    assert!(shown(&stage).grant.unwrap().allows(Capability::Model), "the grant goes along");

    // It does so once; and a key of which nothing is known has nothing to hand over.
    let again = statement.replace(&new.pk.to_base64(), &pair().pk.to_base64());
    std::fs::write(&path, &again).unwrap();
    std::fs::write(&beside, sign(&old, &again)).unwrap();
    assert!(trust(None).unwrap_err().message.contains("already"));
    let stranger = pair();
    let strange = statement.replace(&old.pk.to_base64(), &stranger.pk.to_base64());
    std::fs::write(&path, &strange).unwrap();
    std::fs::write(&beside, sign(&stranger, &strange)).unwrap();
    assert!(trust(None).unwrap_err().message.contains("ever signed"));
}

#[test]
fn a_version_that_asks_for_more_waits_and_the_one_before_goes_on() {
    let (stage, pair) = (Setting { in_memory: false, ..Setting::default() }.open(), pair());
    let plugin = installed(&stage, &pair, DIGEST, "1.0.0");
    grant(&stage, &[Capability::Model, Capability::DocumentsRead]);
    let wider = DIGEST.replace("save = true", "save = true, search = true");
    for version in ["1.1.0", "1.2.0"] {
        let reply = install(&stage, &pair, &wider, version).unwrap();
        assert!(matches!(reply, Reply::UpdateWaits(ref id) if *id == plugin), "{reply:?}");
    }
    let before = shown(&stage);
    assert_eq!(before.manifest.version, "1.0.0");
    let waiting = before.provenance.waiting.clone().unwrap();
    assert_eq!(waiting.version, "1.2.0");
    assert!(waiting.changes.iter().any(|c| c.wider && c.what.contains("documents-search")));
    assert_eq!(files(&stage).len(), 2, "the installed one, and one that waits");
    run_it(&stage, &plugin).unwrap();

    stage.run(Command::DeclineUpdate(plugin.clone())).unwrap();
    assert!(shown(&stage).provenance.waiting.is_none());
    assert_eq!(files(&stage).len(), 1);
    let accept = || Command::AcceptUpdate { plugin: plugin.clone(), keep_storage: false };
    assert!(stage.run(accept()).unwrap_err().message.contains("waits"));

    install(&stage, &pair, &wider, "1.2.0").unwrap();
    stage.run(accept()).unwrap();
    let after = shown(&stage);
    assert_eq!(after.manifest.version, "1.2.0");
    let granted = after.grant.unwrap();
    assert_eq!(
        granted.capabilities,
        BTreeSet::from([Capability::Model, Capability::DocumentsRead]),
        "what it newly asks for is not yet granted"
    );
    assert!(after.provenance.waiting.is_none());
    assert_eq!(after.provenance.former.as_deref(), Some("1.0.0"));
}

#[test]
fn a_narrower_version_keeps_the_grant_as_far_as_it_goes_and_going_back_brings_all_of_it() {
    let (stage, pair) = (Setting { in_memory: false, ..Setting::default() }.open(), pair());
    let plugin = installed(&stage, &pair, DIGEST, "1.0.0");
    grant(&stage, &[Capability::Model, Capability::DocumentsSave, Capability::DocumentsRead]);
    let before = shown(&stage).grant.unwrap();
    installed(&stage, &pair, &DIGEST.replace("save = true, ", ""), "1.1.0");
    let cut = shown(&stage).grant.unwrap();
    assert_eq!(cut.capabilities, BTreeSet::from([Capability::Model, Capability::DocumentsRead]));
    assert_eq!(cut.slots, before.slots);
    // Nothing in between was granted to it again.
    installed(&stage, &pair, &DIGEST.replace("save = true, ", ""), "1.1.1");
    stage.run(Command::RollBackPlugin(plugin.clone())).unwrap();
    assert_eq!(shown(&stage).manifest.version, "1.1.0");
    assert!(stage.run(Command::RollBackPlugin(plugin)).is_err(), "one version is kept");
    assert_eq!(files(&stage).len(), 1);

    let plugin = shown(&stage).id;
    installed(&stage, &pair, &DIGEST.replace("model = true, save = true, ", ""), "1.2.0");
    assert!(!shown(&stage).grant.unwrap().allows(Capability::Model));
    stage.run(Command::RollBackPlugin(plugin)).unwrap();
    assert!(shown(&stage).grant.unwrap().allows(Capability::Model));
}

/// Notes which exports were called, and takes over storage as told.
fn migrating(calls: &Arc<Mutex<Vec<String>>>, verdict: Result<(), GuestFailure>) -> Arc<Scripted> {
    let calls = Arc::clone(calls);
    Scripted::new(move |invocation, call, _| match &invocation.export {
        Export::Migrate { from_version } => {
            let literal = call(HostCall::TextLiteral("x".into()));
            assert!(literal.is_err(), "nothing but storage is there");
            let old = call(HostCall::StorageGet("old".into())).unwrap();
            assert_eq!(old, Answer::Bytes(Some(vec![1])));
            call(HostCall::StorageSet { key: "new".into(), value: vec![2] }).unwrap();
            calls.lock().unwrap().push(format!("migrate {from_version}"));
            GuestEnd::Returned(verdict.clone())
        }
        _ => {
            let keys = call(HostCall::StorageKeys).unwrap();
            calls.lock().unwrap().push(format!("run {keys:?}"));
            if matches!(&keys, Answer::Keys(keys) if keys.is_empty()) {
                call(HostCall::StorageSet { key: "old".into(), value: vec![1] }).unwrap();
            }
            GuestEnd::Returned(Ok(()))
        }
    })
}

#[test]
fn an_update_takes_over_its_storage_once_and_before_anything_else() {
    let (calls, pair) = (Arc::default(), pair());
    let stage = Setting { guests: migrating(&calls, Ok(())), ..Setting::default() }.open();
    let plugin = installed(&stage, &pair, &storing(), "1.0.0");
    grant(&stage, &[Capability::Storage]);
    run_it(&stage, &plugin).unwrap();
    installed(&stage, &pair, &storing(), "1.1.0");
    run_it(&stage, &plugin).unwrap();
    run_it(&stage, &plugin).unwrap();
    let both = r#"run Keys(["new", "old"])"#;
    assert_eq!(*calls.lock().unwrap(), ["run Keys([])", "migrate 1.0.0", both, both]);
}

#[test]
fn an_update_that_cannot_take_over_its_storage_is_undone() {
    let (calls, pair) = (Arc::default(), pair());
    let failure = Err(GuestFailure::Internal("too old\u{202e}".into()));
    let stage = Setting { guests: migrating(&calls, failure), ..Setting::default() }.open();
    let plugin = installed(&stage, &pair, &storing(), "1.0.0");
    grant(&stage, &[Capability::Storage, Capability::Model]);
    run_it(&stage, &plugin).unwrap();
    let error = install(&stage, &pair, &storing(), "1.1.0").unwrap_err();
    assert!(error.message.contains("too old\\u{202e}"), "{error:?}");
    let back = shown(&stage);
    assert_eq!(back.manifest.version, "1.0.0");
    assert!(back.suspended.is_none() && back.grant.unwrap().allows(Capability::Model));
    run_it(&stage, &plugin).unwrap();
    assert_eq!(calls.lock().unwrap().last().unwrap(), r#"run Keys(["old"])"#);
}

#[test]
fn a_sealed_version_reads_what_an_unsealed_one_stored_only_if_the_user_says_so() {
    let open = storing().replace("api =", "declassify = { text = true }\napi =");
    for keep_storage in [false, true] {
        let (calls, pair) = (Arc::default(), pair());
        let stage = Setting { guests: migrating(&calls, Ok(())), ..Setting::default() }.open();
        let plugin = installed(&stage, &pair, &open, "1.0.0");
        grant(&stage, &[Capability::Storage]);
        run_it(&stage, &plugin).unwrap();
        let reply = install(&stage, &pair, &storing(), "1.1.0").unwrap();
        assert!(matches!(reply, Reply::UpdateWaits(_)), "{reply:?}");
        let waiting = shown(&stage).provenance.waiting.unwrap();
        assert_eq!((waiting.stored.len(), waiting.stored[0].key.as_str()), (1, "old"));
        stage.run(Command::AcceptUpdate { plugin: plugin.clone(), keep_storage }).unwrap();
        assert!(shown(&stage).sealed);
        run_it(&stage, &plugin).unwrap();
        let last = calls.lock().unwrap().last().unwrap().clone();
        assert_eq!(last.contains("old"), keep_storage, "{last}");
    }
}

#[test]
fn removing_a_plugin_leaves_no_file() {
    let (stage, pair) = (Setting { in_memory: false, ..Setting::default() }.open(), pair());
    let plugin = installed(&stage, &pair, DIGEST, "1.0.0");
    installed(&stage, &pair, DIGEST, "1.1.0");
    let wider = DIGEST.replace("save = true", "save = true, search = true");
    install(&stage, &pair, &wider, "1.2.0").unwrap();
    assert_eq!(files(&stage).len(), 3);
    stage.run(Command::UninstallPlugin { plugin, keep_saved: false }).unwrap();
    assert!(files(&stage).is_empty(), "{:?}", files(&stage));
    assert!(stage.view().plugins.is_empty());
}

#[test]
fn a_folder_gives_its_highest_version() {
    let (stage, pair) = (Setting::default().open(), pair());
    for version in ["1.9.0", "1.10.0", "1.2.0"] {
        let component = of(&pair, DIGEST, version);
        let name = format!("folder/digest-{version}.wasm");
        put(&stage, &name, &component, Some(&sign(&pair, &component)));
    }
    let folder = stage.dir.path().join("folder");
    let found = inspected(&stage, &folder);
    assert_eq!(found.manifest.version, "1.10.0");
    install_path(&stage, &folder).unwrap();
    assert_eq!(shown(&stage).manifest.version, "1.10.0");

    put(&stage, "folder/other.wasm", &DIGEST.replace("example.digest", "example.other"), None);
    let error = install_path(&stage, &folder).unwrap_err();
    assert!(error.message.contains("several plugins"), "{error:?}");
    let empty = stage.dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(install_path(&stage, &empty).unwrap_err().message.contains("holds no plugin"));
}

#[test]
fn who_looks_like_another_publishers_plugin_is_refused() {
    let (stage, ours, theirs) = (Setting::default().open(), pair(), pair());
    installed(&stage, &ours, DIGEST, "1.0.0");
    for (id, name) in [
        ("org.other.digest", "Digest"),
        ("org.other.digest", "DIGEST"),
        ("org.examp1e.digest", "Other"),
    ] {
        let posing = DIGEST
            .replace("org.example.digest", id)
            .replace("name = \"Digest\"", &format!("name = \"{name}\""));
        let error = install(&stage, &theirs, &posing, "1.0.0").unwrap_err();
        assert!(error.message.contains("could be taken for Digest"), "{error:?}");
    }
    assert_eq!(stage.view().plugins.len(), 1);
}

/// Whatever an id is made of, its component lies directly in its folder under its hash, or nowhere.
#[test]
fn no_id_leads_out_of_the_folder() {
    let stage = Setting { in_memory: false, ..Setting::default() }.open();
    stage.run(Command::SetDeveloperMode(true)).unwrap();
    let ids = prop_oneof![
        "[a-z0-9.-]{1,70}",
        "[a-z]{1,8}\\.[a-z0-9-]{1,20}",
        "(\\.\\./|/|\\\\|%2e|\u{2024}|\u{202e}|~|\u{0}|C:|con|nul){1,4}[a-z.]{0,8}",
        "\\PC{1,30}",
    ];
    let check = |id: String| {
        let quoted = toml::Value::String(id.clone()).to_string();
        let manifest = DIGEST.replace("\"org.example.digest\"", &quoted);
        let done = install_path(&stage, &put(&stage, "plugin.wasm", &manifest, None));
        let names = files(&stage);
        prop_assert_eq!(done.is_ok(), PluginId::new(id).is_ok());
        prop_assert_eq!(names.len(), usize::from(done.is_ok()));
        for name in names {
            let (stem, _) = name.split_once('.').unwrap();
            let hash = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert!(hash, "{}", name);
        }
        // Beside the vault and what the test itself wrote, nothing has come about.
        prop_assert_eq!(std::fs::read_dir(stage.dir.path()).unwrap().count(), 2);
        if let Ok(Reply::Installed(plugin)) = done {
            stage.run(Command::UninstallPlugin { plugin, keep_saved: false }).unwrap();
            prop_assert!(files(&stage).is_empty());
        }
        Ok(())
    };
    TestRunner::default().run(&ids, check).unwrap();
}
