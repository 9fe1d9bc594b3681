//! A signed plugin is one that minisign's own verification takes, under the key its manifest names.

use std::{fs, io::Cursor};

use hearth_authoring::{SignError, keygen, pack_component, sign};
use minisign::{PublicKey, SignatureBox};

use crate::hello;

#[test]
fn a_plugin_is_signed_by_its_publisher_alone() {
    let Some(unsigned) = hello("signatures") else {
        return crate::skip("signatures", "no example plugin; run `cargo xtask test`");
    };
    let dir = tempfile::tempdir().unwrap();
    let key = keygen(&dir.path().join("mine.key"), "seven bright kettles").unwrap();
    let file = dir.path().join("hello.wasm");
    fs::write(&file, &unsigned).unwrap();
    let refused = sign(&file, &key.secret_path, "seven bright kettles").unwrap_err();
    assert!(
        matches!(&refused, SignError::OtherPublisher { expected, .. } if *expected == key.public_key)
    );
    assert!(refused.to_string().contains(&format!("publisher = \"{}\"", key.public_key)));

    let manifest = fs::read_to_string(crate::example("plugin-hello").join("plugin.toml")).unwrap();
    let manifest = format!("publisher = \"{}\"\n{manifest}", key.public_key);
    let (signed, _inspection) = pack_component(&without_manifest(&unsigned), &manifest).unwrap();
    fs::write(&file, &signed).unwrap();
    let refused = sign(&file, &key.secret_path, "eight bright kettles").unwrap_err();
    assert!(matches!(refused, SignError::WrongPassphrase));
    let signature = sign(&file, &key.secret_path, "seven bright kettles").unwrap();
    let signature = SignatureBox::from_file(&signature).unwrap();
    let public = PublicKey::from_base64(&key.public_key).unwrap();
    let good = minisign::verify(&public, &signature, Cursor::new(&signed), true, false, false);
    assert!(good.is_ok());
    let bad = minisign::verify(&public, &signature, Cursor::new(&unsigned), true, false, false);
    assert!(bad.is_err());
}

/// What was built, before it was packed: the manifest is the last section.
fn without_manifest(packed: &[u8]) -> Vec<u8> {
    let name = b"hearth:manifest";
    let at = packed.windows(name.len()).rposition(|window| window == name).unwrap();
    // Before the name: its length, the section's length in one or more bytes, and the section's id.
    let start = (at.saturating_sub(8)..at).rev().find(|start| packed[*start] == 0).unwrap();
    packed[..start].to_vec()
}
