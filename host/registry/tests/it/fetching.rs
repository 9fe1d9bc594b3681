//! What comes, what is refused, and what is asked for.

use std::{collections::BTreeMap, ops::ControlFlow};

use hearth_registry::{Digest, FetchError, Fetched, Limits, Offer, Reference, Registry};

use crate::server::{Reply, Server};

const COMPONENT: &[u8] = b"\0asm: a component, as far as fetching cares";
const SIGNATURE: &str = "untrusted comment: one\nRWQ\n";
const LIMITS: Limits = Limits { component_bytes: 1 << 20, signature_bytes: 1 << 12 };

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}

fn fetch(reference: &str) -> Result<Fetched, FetchError> {
    let reference: Reference = reference.parse()?;
    Registry::new(LIMITS).fetch(&reference, &mut |_, _| ControlFlow::Continue(()))
}

fn offer(reference: &str) -> Result<Offer, FetchError> {
    Registry::new(LIMITS).offer(&reference.parse()?)
}

fn layer(media_type: &str, bytes: &[u8]) -> String {
    let (digest, size) = (sha256(bytes), bytes.len());
    format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{digest}","size":{size}}}"#)
}

fn manifest(layers: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"layers":[{}],"annotations":{{"org.opencontainers.image.version":"1.2.0"}}}}"#,
        layers.join(",")
    )
}

fn wasm() -> String {
    layer("application/wasm", COMPONENT)
}

fn minisig() -> String {
    layer("application/vnd.hearth.minisig.v1", SIGNATURE.as_bytes())
}

fn blob(bytes: &[u8]) -> String {
    format!("/v2/a/digest/blobs/sha256:{}", sha256(bytes))
}

/// A registry with one manifest under a tag, and its blobs.
fn registry(manifest: &str) -> BTreeMap<String, Reply> {
    BTreeMap::from([
        ("/v2/a/digest/manifests/1.2.0".to_owned(), Reply::Bytes(manifest.into())),
        (blob(COMPONENT), Reply::Bytes(COMPONENT.into())),
        (blob(SIGNATURE.as_bytes()), Reply::Bytes(SIGNATURE.into())),
    ])
}

fn good() -> Fetched {
    Fetched { component: COMPONENT.to_vec(), signature: Some(SIGNATURE.to_owned()) }
}

#[test]
fn a_registry_gives_a_component_with_its_signature() {
    let server = Server::new(|_| registry(&manifest(&[wasm(), minisig()])));
    let reference = format!("oci://{}/a/digest:1.2.0", server.address);
    assert_eq!(fetch(&reference), Ok(good()));
    let offered = offer(&reference).unwrap();
    assert_eq!(offered.version.as_deref(), Some("1.2.0"));
    assert!(offered.digest.fits(COMPONENT) && !offered.digest.fits(b"other"));
    // Nothing but what was needed is asked for.
    assert_eq!(server.asked().len(), 4, "{:?}", server.asked());
}

#[test]
fn a_signature_may_refer_to_the_component_instead() {
    let (first, second) = (manifest(&[wasm()]), manifest(&[minisig()]));
    let server = Server::new(|_| {
        let mut rules = registry(&first);
        let digest = sha256(second.as_bytes());
        let referrers = format!(
            r#"{{"manifests":[{{"artifactType":"other","digest":"sha256:00"}},
                {{"artifactType":"application/vnd.hearth.minisig.v1","digest":"sha256:{digest}"}}]}}"#
        );
        let refers = format!("/v2/a/digest/referrers/sha256:{}", sha256(first.as_bytes()));
        rules.insert(refers, Reply::Bytes(referrers.into()));
        rules
            .insert(format!("/v2/a/digest/manifests/sha256:{digest}"), Reply::Bytes(second.into()));
        rules
    });
    assert_eq!(fetch(&format!("oci://{}/a/digest:1.2.0", server.address)), Ok(good()));
    // A registry that knows of no referrers has none.
    let bare = Server::new(|_| registry(&manifest(&[wasm()])));
    let unsigned = fetch(&format!("oci://{}/a/digest:1.2.0", bare.address)).unwrap();
    assert_eq!(unsigned.signature, None);
}

#[test]
fn a_public_registry_may_want_a_token_that_anybody_gets() {
    let server = Server::new(|_| {
        let mut rules: BTreeMap<String, Reply> = registry(&manifest(&[wasm(), minisig()]))
            .into_iter()
            .map(|(path, reply)| match reply {
                Reply::Bytes(bytes) => (path, Reply::ForToken("repository:a/digest:pull", bytes)),
                other => (path, other),
            })
            .collect();
        let path = "/token?service=test&scope=repository:a/digest:pull";
        rules.insert(path.into(), Reply::Bytes(br#"{"token":"sesame"}"#.to_vec()));
        rules
    });
    assert_eq!(fetch(&format!("oci://{}/a/digest:1.2.0", server.address)), Ok(good()));
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|path| path.starts_with("/token")).count(), 1, "{asked:?}");
    assert!(!asked.iter().any(|path| path.starts_with("/token") && path.ends_with("with token")));
}

#[test]
fn a_registry_that_lies_is_found_out() {
    let swapped = |path: String, reply: Reply| {
        Server::new(|_| {
            let mut rules = registry(&manifest(&[wasm(), minisig()]));
            rules.insert(path, reply);
            rules
        })
    };
    let try_it =
        |server: &Server| fetch(&format!("oci://{}/a/digest:1.2.0", server.address)).unwrap_err();
    let other = swapped(
        blob(COMPONENT),
        Reply::Bytes(b"\0asm: another component of just that len".to_vec()),
    );
    assert!(matches!(try_it(&other), FetchError::Digest { .. }));
    let huge = swapped(blob(COMPONENT), Reply::Short(usize::MAX >> 1, Vec::new()));
    assert!(matches!(try_it(&huge), FetchError::TooLong { .. }), "{:?}", try_it(&huge));
    let endless = swapped(blob(COMPONENT), Reply::Endless);
    assert!(matches!(try_it(&endless), FetchError::TooLong { .. }));
    let short = swapped(blob(COMPONENT), Reply::Short(COMPONENT.len(), COMPONENT[..9].to_vec()));
    assert!(matches!(try_it(&short), FetchError::NoAnswer { .. }), "{:?}", try_it(&short));
    for text in [
        "not json".to_owned(),
        manifest(&[]),
        manifest(&[wasm(), wasm()]),
        manifest(&[layer("application/octet-stream", COMPONENT)]),
    ] {
        let server = swapped("/v2/a/digest/manifests/1.2.0".into(), Reply::Bytes(text.into()));
        assert!(matches!(try_it(&server), FetchError::Malformed { .. }));
    }
    let claimed = wasm().replace(&format!("\"size\":{}", COMPONENT.len()), "\"size\":99999999");
    let server =
        swapped("/v2/a/digest/manifests/1.2.0".into(), Reply::Bytes(manifest(&[claimed]).into()));
    assert!(matches!(try_it(&server), FetchError::TooLong { .. }));
    let odd = wasm().replace(&sha256(COMPONENT), "../../../secret");
    let server =
        swapped("/v2/a/digest/manifests/1.2.0".into(), Reply::Bytes(manifest(&[odd]).into()));
    assert!(matches!(try_it(&server), FetchError::Digest { .. }));
    assert_eq!(server.asked().len(), 1, "no address is made of such a digest");
}

#[test]
fn a_manifest_named_by_its_digest_is_that_one() {
    let text = manifest(&[wasm(), minisig()]);
    let (right, wrong) = (sha256(text.as_bytes()), "0b".repeat(32));
    let server = Server::new(|_| {
        let mut rules = registry(&text);
        for digest in [&right, &wrong] {
            rules.insert(
                format!("/v2/a/digest/manifests/sha256:{digest}"),
                Reply::Bytes(text.clone().into()),
            );
        }
        rules
    });
    let reference = |digest: &str| format!("oci://{}/a/digest@sha256:{digest}", server.address);
    assert_eq!(fetch(&reference(&right)), Ok(good()));
    assert!(matches!(fetch(&reference(&wrong)), Err(FetchError::Digest { .. })));
}

fn index(entries: &[(&str, &str, &str)]) -> Vec<u8> {
    let digest = blake3::hash(COMPONENT).to_hex().to_string();
    let entries: Vec<_> = entries
        .iter()
        .map(|(id, version, url)| {
            serde_json::json!({
                "id": id, "version": version, "url": url, "blake3": digest, "signature": SIGNATURE,
            })
        })
        .collect();
    serde_json::to_vec(&serde_json::json!({"hearth_index": 1, "plugins": entries})).unwrap()
}

#[test]
fn an_index_gives_the_highest_version_or_the_one_named() {
    let listed = index(&[
        ("org.example.digest", "1.9.0", "old.wasm"),
        ("org.example.digest", "1.10.0", "x/new.wasm"),
        ("org.example.other", "3.0.0", "other.wasm"),
    ]);
    let server = Server::new(|_| {
        BTreeMap::from([
            ("/p/index.json".to_owned(), Reply::Bytes(listed)),
            ("/p/x/new.wasm".to_owned(), Reply::Bytes(COMPONENT.into())),
            ("/p/old.wasm".to_owned(), Reply::Bytes(b"older".to_vec())),
        ])
    });
    let at = |fragment: &str| format!("http://{}/p/index.json{fragment}", server.address);
    assert_eq!(fetch(&at("#org.example.digest")), Ok(good()));
    let offered = offer(&at("#org.example.digest")).unwrap();
    assert_eq!(offered.version.as_deref(), Some("1.10.0"));
    assert!(matches!(offered.digest, Digest::Blake3(_)) && offered.digest.fits(COMPONENT));
    // What the index says of it does not fit.
    let error = fetch(&at("#org.example.digest@1.9.0")).unwrap_err();
    assert!(matches!(error, FetchError::Digest { .. }));
    for (fragment, words) in [
        ("", "one plugin alone"),
        ("#org.example.absent", "org.example.absent"),
        ("#org.example.digest@9.9.9", "version 9.9.9"),
    ] {
        let error = fetch(&at(fragment)).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn nothing_leads_into_the_clear_or_in_circles() {
    let elsewhere = index(&[("org.example.digest", "1.0.0", "http://example.org/x.wasm")]);
    let moved = |to: &str| Reply::Status(302, vec![("Location", to.to_owned())]);
    let server = Server::new(|address| {
        BTreeMap::from([
            ("/clear/index.json".to_owned(), Reply::Bytes(elsewhere)),
            ("/away/index.json".to_owned(), moved("http://example.org/index.json")),
            ("/file/index.json".to_owned(), moved("file:///etc/passwd")),
            ("/lost/index.json".to_owned(), Reply::Status(302, Vec::new())),
            ("/round/index.json".to_owned(), moved("/round/index.json")),
            ("/moved/index.json".to_owned(), moved(&format!("http://{address}/there/index.json"))),
            (
                "/there/index.json".to_owned(),
                Reply::Bytes(index(&[("org.example.digest", "1.0.0", "x.wasm")])),
            ),
            ("/moved/x.wasm".to_owned(), Reply::Bytes(COMPONENT.into())),
            ("/gone/index.json".to_owned(), Reply::Status(410, Vec::new())),
        ])
    });
    let at = |path: &str| fetch(&format!("http://{}/{path}/index.json", server.address));
    assert!(matches!(at("clear"), Err(FetchError::NotAllowed { .. })));
    assert!(matches!(at("away"), Err(FetchError::NotAllowed { .. })));
    assert!(matches!(at("file"), Err(FetchError::NotAllowed { .. })));
    assert!(matches!(at("lost"), Err(FetchError::Malformed { .. })));
    assert!(matches!(at("round"), Err(FetchError::Redirects { .. })));
    assert!(matches!(at("gone"), Err(FetchError::Status { status: 410, .. })));
    assert_eq!(at("moved"), Ok(good()));
    let rounds = server.asked().iter().filter(|path| path.starts_with("/round")).count();
    assert_eq!(rounds, 4, "one question and three redirects");
    assert!(matches!(fetch("http://example.org/index.json"), Err(FetchError::NotAllowed { .. })));
}

#[test]
fn the_user_stops_a_download_and_sees_how_far_it_is() {
    let long = vec![7; 600 << 10];
    let text = manifest(&[layer("application/wasm", &long)]);
    let server = Server::new(|_| {
        let mut rules = registry(&text);
        rules.insert(blob(&long), Reply::Bytes(long.clone()));
        rules
    });
    let reference: Reference = format!("oci://{}/a/digest:1.2.0", server.address).parse().unwrap();
    let registry = Registry::new(LIMITS);
    let mut seen = Vec::new();
    let fetched = registry.fetch(&reference, &mut |done, total| {
        assert_eq!(total, 600 << 10);
        seen.push(done);
        ControlFlow::Continue(())
    });
    assert_eq!(fetched.unwrap().component.len(), 600 << 10);
    assert!(seen.len() > 1 && seen.is_sorted() && seen.last() == Some(&(600 << 10)), "{seen:?}");
    let stopped = registry.fetch(&reference, &mut |_, _| ControlFlow::Break(()));
    assert_eq!(stopped, Err(FetchError::Cancelled));
}
