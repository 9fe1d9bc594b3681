use std::io::Cursor;

use minisign::KeyPair;
use proptest::prelude::*;

use super::*;

const COMPONENT: &[u8] = b"a component, as far as a signature cares";

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn sign(pair: &KeyPair, content: &[u8]) -> String {
    let comment = Some("version 1.0.0\u{202e}");
    minisign::sign(None, &pair.sk, Cursor::new(content), comment, None).unwrap().into_string()
}

fn statement(old: &str, new: &str) -> String {
    format!("statement = \"hearth-key-rotation\"\nold = \"{old}\"\nnew = \"{new}\"\n")
}

#[test]
fn a_signature_by_the_named_key_is_good_and_says_who_and_what() {
    let (pair, other) = (pair(), pair());
    let key = pair.pk.to_base64();
    let signed = verify_component(COMPONENT, &key, Some(&sign(&pair, COMPONENT))).unwrap().unwrap();
    assert_eq!(signed.publisher.as_str(), key);
    assert!(signed.trusted_comment.starts_with("version 1.0.0\\u{202e}"), "{signed:?}");
    let fingerprint = signed.publisher.fingerprint();
    assert_eq!((fingerprint.len(), fingerprint.matches('-').count()), (29, 5), "{fingerprint}");
    let of = |key: &str| PublisherKey::parse(key, "publisher").unwrap().fingerprint();
    assert_eq!(fingerprint, of(&key));
    assert_ne!(fingerprint, of(&other.pk.to_base64()));
}

#[test]
fn ids_are_those_that_minisign_shows() {
    // minisign's own key, from its documentation.
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    assert_eq!(PublisherKey::parse(key, "publisher").unwrap().id(), "E7620F1842B4E81F");
}

#[test]
fn each_way_to_be_wrong_has_a_name() {
    let (ours, theirs) = (pair(), pair());
    let key = ours.pk.to_base64();
    let good = sign(&ours, COMPONENT);
    let check = |component: &[u8], key: &str, signature: Option<&str>| {
        verify_component(component, key, signature).unwrap_err()
    };
    assert_eq!(verify_component(COMPONENT, "", None), Ok(None));
    assert_eq!(check(COMPONENT, "", Some(&good)), SignatureError::NoPublisher);
    assert_eq!(check(COMPONENT, &key, None), SignatureError::NoSignature);
    assert_eq!(check(b"another", &key, Some(&good)), SignatureError::DoesNotFit);
    assert_eq!(check(COMPONENT, &key, Some("words")), SignatureError::Malformed);
    let long = format!("{good}{}", "x".repeat(MAX_SIGNATURE_BYTES));
    assert!(matches!(check(COMPONENT, &key, Some(&long)), SignatureError::TooLong { .. }));
    let other = check(COMPONENT, &theirs.pk.to_base64(), Some(&good));
    assert!(matches!(other, SignatureError::OtherKey { .. }), "{other:?}");
    for broken in ["RWQ", "mine", "", &key.to_lowercase(), &format!("{key}="), &format!(" {key}")] {
        let error = PublisherKey::parse(broken, "publisher").unwrap_err();
        assert_eq!(error, SignatureError::MalformedKey { field: "publisher" }, "{broken}");
    }
}

#[test]
fn one_key_has_one_text() {
    let key = pair().pk.to_base64();
    let mut bytes = BASE64.decode(key.as_bytes()).unwrap();
    bytes[1] = b'D';
    let twin = BASE64.encode(&bytes);
    assert!(PublicKey::from_base64(&twin).is_ok(), "minisign reads both");
    assert!(PublisherKey::parse(&twin, "publisher").is_err());
}

#[test]
fn a_comment_exchanged_under_a_good_signature_is_found() {
    let pair = pair();
    let exchanged = sign(&pair, COMPONENT).replace("version 1.0.0", "version 9.0.0");
    let error = verify_component(COMPONENT, &pair.pk.to_base64(), Some(&exchanged)).unwrap_err();
    assert_eq!(error, SignatureError::DoesNotFit);
}

#[test]
fn a_key_is_handed_over_by_its_holder_alone() {
    let (old, new) = (pair(), pair());
    let (old_key, new_key) = (old.pk.to_base64(), new.pk.to_base64());
    let text = statement(&old_key, &new_key);
    let rotation = verify_rotation(text.as_bytes(), &sign(&old, text.as_bytes())).unwrap();
    assert_eq!((rotation.old.as_str(), rotation.new.as_str()), (&*old_key, &*new_key));

    let by_another = sign(&new, text.as_bytes());
    assert!(matches!(
        verify_rotation(text.as_bytes(), &by_another),
        Err(SignatureError::OtherKey { .. })
    ));
    let aimed_elsewhere = statement(&old_key, &pair().pk.to_base64());
    let signature = sign(&old, text.as_bytes());
    let error = verify_rotation(aimed_elsewhere.as_bytes(), &signature).unwrap_err();
    assert_eq!(error, SignatureError::DoesNotFit);
    // What else an old key has signed is no statement.
    for other in [
        statement(&old_key, &old_key),
        text.replace("hearth-key-rotation", "something"),
        format!("{text}more = 1\n"),
        "id = \"org.example.plugin\"".to_owned(),
        "\0asm".to_owned(),
    ] {
        let error = verify_rotation(other.as_bytes(), &sign(&old, other.as_bytes())).unwrap_err();
        assert!(matches!(error, SignatureError::NotAStatement { .. }), "{other}: {error:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_signature_or_an_error(text in "\\PC{0,300}", lines in proptest::collection::vec("[A-Za-z0-9+/=: ]{0,110}", 0..6)) {
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        for signature in [text.clone(), lines.join("\n")] {
            prop_assert!(verify_component(COMPONENT, key, Some(&signature)).is_err());
            prop_assert!(verify_rotation(text.as_bytes(), &signature).is_err());
            prop_assert!(PublisherKey::parse(&signature, "publisher").is_err());
        }
    }

    /// A flipped bit anywhere in the file or in the two signed lines is found.
    #[test]
    fn a_flipped_bit_is_found(at in 0usize..COMPONENT.len(), bit in 0u8..8) {
        let pair = pair();
        let signature = sign(&pair, COMPONENT);
        let mut component = COMPONENT.to_vec();
        component[at] ^= 1 << bit;
        prop_assert_eq!(
            verify_component(&component, &pair.pk.to_base64(), Some(&signature)),
            Err(SignatureError::DoesNotFit)
        );
    }
}
