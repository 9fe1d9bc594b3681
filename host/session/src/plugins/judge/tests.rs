use hearth_base::Manifest;

use super::*;

const OURS: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const THEIRS: &str = "RWRsgGyuiN2I+oI7xIQ6Jk6rVu1o6p0lYBFRaFIFMYLjTtvbJEs7mVQL";

fn found(id: &str, name: &str, version: &str, sealed: bool) -> Inspection {
    let reveal = if sealed { "" } else { "declassify = { text = true }\n" };
    let text = format!(
        "id = \"{id}\"\nname = \"{name}\"\nversion = \"{version}\"\napi = \"0.1\"\n{reveal}"
    );
    Inspection {
        manifest: Manifest::parse(text.as_bytes()).unwrap(),
        imports: Vec::new(),
        interfaces: Default::default(),
        sealed,
        component_hash: hearth_wasm::component_hash(text.as_bytes()),
        size_bytes: text.len() as u64,
    }
}

fn digest(version: &str) -> Inspection {
    found("org.example.digest", "Digest", version, true)
}

fn signed(key: &str) -> Signed {
    let publisher = PublisherKey::parse(key, "publisher").unwrap();
    Signed { publisher, trusted_comment: String::new() }
}

fn known(found: &Inspection, publisher: &str) -> Known {
    Known {
        binding: Some(Binding {
            publisher: publisher.into(),
            highest_version: found.manifest.version.clone(),
            highest_hash: found.component_hash.clone(),
        }),
        installed: Some(Installed {
            record: PluginRecord {
                id: found.manifest.id.clone(),
                version: found.manifest.version.clone(),
                manifest: toml::to_string(&found.manifest).unwrap(),
                component_hash: found.component_hash.clone(),
                sealed: found.sealed,
                bundled: publisher == HEARTH,
                enabled: true,
                suspended: None,
                installed_secs: 0,
            },
            manifest: Some(found.manifest.clone()),
            publisher: publisher.into(),
            former_hash: None,
            stored: vec![StoredEntry { key: "k".into(), bytes: 1, preview: "v".into() }],
        }),
        publishers: vec![PublisherRecord {
            key: publisher.into(),
            first_seen_secs: 0,
            replaced_by: None,
        }],
        ..Known::default()
    }
}

fn verdict_of(found: &Inspection, key: Option<&str>, known: &Known) -> InstallVerdict {
    let signed = key.map(signed);
    judge(&Candidate { found, signed: signed.as_ref(), bundled: false }, known).verdict
}

fn refused(verdict: &InstallVerdict, words: &str) -> bool {
    matches!(verdict, InstallVerdict::Refused(error) if error.message.contains(words))
}

#[test]
fn versions_only_go_up_and_one_version_is_one_file() {
    let known = known(&digest("1.5.0"), OURS);
    let verdict = |version: &str| verdict_of(&digest(version), Some(OURS), &known);
    assert_eq!(verdict("1.5.0"), InstallVerdict::Same);
    for higher in ["1.5.1", "1.10.0", "2.0.0"] {
        assert_eq!(verdict(higher), InstallVerdict::Update, "{higher}");
    }
    for lower in ["1.4.9", "0.9.0", "1.4.10"] {
        assert!(refused(&verdict(lower), "older"), "{lower}: {:?}", verdict(lower));
    }
    let mut other = digest("1.5.0");
    other.component_hash = "another".into();
    assert!(refused(&verdict_of(&other, Some(OURS), &known), "another version 1.5.0"));
    // The numbers count, not the text.
    let mut other = digest("1.05.0");
    other.component_hash = "another".into();
    assert!(refused(&verdict_of(&other, Some(OURS), &known), "another version"));
}

#[test]
fn after_going_back_the_version_left_may_come_again_and_no_other_of_its_number() {
    let (former, left) = (digest("1.0.0"), digest("2.0.0"));
    let mut known = known(&former, OURS);
    known.binding = Some(binding_after(
        &Candidate { found: &left, signed: Some(&signed(OURS)), bundled: false },
        &known,
    ));
    assert_eq!(verdict_of(&former, Some(OURS), &known), InstallVerdict::Same);
    assert_eq!(verdict_of(&left, Some(OURS), &known), InstallVerdict::Update);
    let mut other = left;
    other.component_hash = "another".into();
    assert!(refused(&verdict_of(&other, Some(OURS), &known), "another version 2.0.0"));
    assert!(refused(&verdict_of(&digest("1.5.0"), Some(OURS), &known), "older"));
    // Uninstalled, it still binds.
    known.installed = None;
    assert!(refused(&verdict_of(&digest("1.5.0"), Some(OURS), &known), "older"));
}

#[test]
fn what_was_signed_stays_with_its_key() {
    let mut known = known(&digest("1.0.0"), OURS);
    let new = digest("1.0.1");
    for developer_mode in [false, true] {
        known.developer_mode = developer_mode;
        assert!(refused(&verdict_of(&new, Some(THEIRS), &known), "belongs to the key"));
        let word = if developer_mode { "belongs to the key" } else { "not signed" };
        assert!(refused(&verdict_of(&new, None, &known), word));
        assert_eq!(verdict_of(&new, Some(OURS), &known), InstallVerdict::Update);
    }
    known.installed = None;
    assert!(refused(&verdict_of(&new, Some(THEIRS), &known), "belongs to the key"));
    let hearths = self::known(&digest("1.0.0"), HEARTH);
    assert!(refused(&verdict_of(&new, Some(OURS), &hearths), "belongs to Hearth itself"));
}

#[test]
fn a_key_that_handed_over_signs_nothing_more() {
    let mut known = known(&digest("1.0.0"), OURS);
    known.publishers[0].replaced_by = Some(THEIRS.into());
    if let Some(binding) = &mut known.binding {
        binding.publisher = THEIRS.into();
    }
    let new = digest("1.0.1");
    assert!(refused(&verdict_of(&new, Some(OURS), &known), "handed over"));
    let other = found("org.example.other", "Other", "1.0.0", true);
    let elsewhere = Known { publishers: known.publishers.clone(), ..Known::default() };
    assert!(refused(&verdict_of(&other, Some(OURS), &elsewhere), "handed over"));
    // The new one goes on where the old one ended.
    let signed = signed(THEIRS);
    let candidate = Candidate { found: &new, signed: Some(&signed), bundled: false };
    let judged = judge(&candidate, &known);
    assert_eq!(judged.verdict, InstallVerdict::Update);
    assert!(same_owner(&candidate, &known));
    assert!(matches!(
        judged.signature,
        SignatureView::Signed { standing: KeyStanding::Rotated, .. }
    ));
}

#[test]
fn unsigned_ones_need_developer_mode_and_vouch_for_nothing() {
    let new = digest("1.0.0");
    let nothing = Known::default();
    assert!(refused(&verdict_of(&new, None, &nothing), "not signed"));
    let developing = Known { developer_mode: true, ..Known::default() };
    assert_eq!(verdict_of(&new, None, &developing), InstallVerdict::Install);
    let unsigned = Known { developer_mode: true, ..known(&digest("2.0.0"), "") };
    // Whoever builds a plugin builds the same version many times.
    assert_eq!(verdict_of(&digest("1.0.0"), None, &unsigned), InstallVerdict::Update);
    // Once signed, it is another's as far as anybody knows.
    assert_eq!(verdict_of(&digest("1.0.0"), Some(OURS), &unsigned), InstallVerdict::Install);
}

#[test]
fn a_seal_lost_waits_and_a_seal_gained_asks_about_what_is_stored() {
    let open = found("org.example.digest", "Digest", "2.0.0", false);
    let sealed_before = known(&digest("1.0.0"), OURS);
    assert_eq!(verdict_of(&open, Some(OURS), &sealed_before), InstallVerdict::Waits);
    let mut open_before = known(&found("org.example.digest", "Digest", "1.0.0", false), OURS);
    let sealed = digest("2.0.0");
    let signed = signed(OURS);
    let candidate = Candidate { found: &sealed, signed: Some(&signed), bundled: false };
    let judged = judge(&candidate, &open_before);
    assert_eq!(judged.verdict, InstallVerdict::Waits);
    assert_eq!(judged.stored.len(), 1);
    if let Some(installed) = &mut open_before.installed {
        installed.stored.clear();
    }
    assert_eq!(judge(&candidate, &open_before).verdict, InstallVerdict::Update);
}

#[test]
fn who_looks_like_another_publishers_is_refused() {
    let neighbour = |id: &str, name: &str, publisher: &str| Neighbour {
        id: PluginId::new(id).unwrap(),
        name: name.into(),
        publisher: publisher.into(),
    };
    let new = digest("1.0.0");
    for (id, name, publisher, alike, is_refused) in [
        ("org.example.other", "Other", THEIRS, false, false),
        ("org.other.digest", "Digest", THEIRS, true, true),
        ("org.other.digest", "Dіgеst", THEIRS, true, true),
        ("org.examp1e.digest", "Other", THEIRS, true, true),
        ("org.other.digest", "Digest", OURS, true, false),
        ("org.other.digest", "DIGEST", "", true, true),
    ] {
        let known = Known { others: vec![neighbour(id, name, publisher)], ..Known::default() };
        let signed = signed(OURS);
        let candidate = Candidate { found: &new, signed: Some(&signed), bundled: false };
        let judged = judge(&candidate, &known);
        assert_eq!(judged.lookalikes.len(), usize::from(alike), "{id} {name}");
        assert_eq!(refused(&judged.verdict, "could be taken for"), is_refused, "{id} {name}");
    }
}

#[test]
fn a_key_is_new_then_known_then_pinned() {
    let standing = |known: &Known, key: &str| {
        let signed = signed(key);
        let new = digest("1.0.1");
        let judged =
            judge(&Candidate { found: &new, signed: Some(&signed), bundled: false }, known);
        match judged.signature {
            SignatureView::Signed { standing, .. } => standing,
            other => panic!("{other:?}"),
        }
    };
    let pinned = known(&digest("1.0.0"), OURS);
    assert_eq!(standing(&Known::default(), OURS), KeyStanding::New);
    let known = Known { publishers: pinned.publishers.clone(), ..Known::default() };
    assert_eq!(standing(&known, OURS), KeyStanding::Known);
    assert_eq!(standing(&pinned, OURS), KeyStanding::Pinned);
    assert_eq!(standing(&pinned, THEIRS), KeyStanding::Other);
}

#[test]
fn hearths_own_take_their_place_whatever_else_is_known() {
    let known = known(&digest("1.0.0"), HEARTH);
    let older = digest("0.9.0");
    let judged = judge(&Candidate { found: &older, signed: None, bundled: true }, &known);
    assert_eq!(judged.signature, SignatureView::Bundled);
    assert_eq!(judged.verdict, InstallVerdict::Update);
}
