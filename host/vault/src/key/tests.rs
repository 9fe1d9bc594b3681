use std::path::PathBuf;

use super::*;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

/// The kind of refusal, for comparing.
fn kind(error: &UnlockError) -> &'static str {
    match error {
        UnlockError::WrongPassphrase => "wrong passphrase",
        UnlockError::ExcessiveWork { .. } => "excessive work",
        UnlockError::Damaged { part: VaultPart::Key, .. } => "damaged",
        _ => "other",
    }
}

fn refused(file: &[u8], with: &str) -> &'static str {
    DatabaseKey::unwrap(file, &passphrase(with)).map_or_else(|error| kind(&error), |_key| "opened")
}

#[test]
fn a_key_comes_back_with_its_passphrase_alone() {
    let key = DatabaseKey::make().unwrap();
    let file = key.wrap(&passphrase("ä long one"), Some(2)).unwrap();
    let back = DatabaseKey::unwrap(&file, &passphrase("ä long one")).unwrap();
    assert_eq!(back.bytes(), key.bytes());
    assert_eq!(refused(&file, "a long one"), "wrong passphrase");
    assert_eq!(refused(&file, ""), "wrong passphrase");
    assert!(!file.windows(32).any(|window| window == key.bytes()));
}

#[test]
fn no_cut_or_flipped_key_file_opens() {
    let key = DatabaseKey::make().unwrap();
    let file = key.wrap(&passphrase("p"), Some(1)).unwrap();
    for length in 0..file.len() {
        assert_eq!(refused(&file[..length], "p"), "damaged", "cut to {length}");
    }
    for position in 0..file.len() {
        let mut flipped = file.clone();
        flipped[position] ^= 1;
        let how = refused(&flipped, "p");
        assert!(["damaged", "wrong passphrase", "excessive work"].contains(&how), "{position}");
    }
}

#[test]
fn a_key_file_of_another_kind_is_refused() {
    let too_short = encrypt(b"only sixteen....", 1);
    assert_eq!(refused(&too_short, "p"), "damaged");
    let recipient = age::x25519::Identity::generate().to_public();
    let for_a_key = age::encrypt(&recipient, &[7; 32]).unwrap();
    assert_eq!(refused(&for_a_key, "p"), "damaged");
    assert_eq!(refused(b"", "p"), "damaged");
    assert_eq!(refused(b"age-encryption.org/v9\n", "p"), "damaged");
}

#[test]
fn work_without_end_is_refused_before_it_begins() {
    let file = String::from_utf8_lossy(&encrypt(&[7; 32], 1)).into_owned();
    let (before, after) = file.split_once(" 1\n").unwrap();
    let hostile = format!("{before} 30\n{after}");
    let error = decrypt(hostile.as_bytes(), &passphrase("p")).unwrap_err();
    assert!(
        matches!(error, UnlockError::ExcessiveWork { required: 30, limit: MAX_WORK_FACTOR }),
        "{error:?}"
    );
}

#[test]
fn replacing_leaves_the_new_content_and_wipes_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.age");
    write_new(&path, b"former content").unwrap();
    let mut former = File::open(&path).unwrap();
    replace(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let mut seen = Vec::new();
    former.read_to_end(&mut seen).unwrap();
    assert_eq!(seen, [0; 14], "the former file is overwritten");
    let names = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(names, 1, "no other file is left");
}

#[test]
fn a_file_too_long_for_a_key_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.age");
    fs::write(&path, vec![b'a'; 1 << 20]).unwrap();
    assert_eq!(kind(&read(&path).err().unwrap()), "damaged");
}

/// The published vectors with a passphrase. Those without one are for keys, which lock no vault; they must be refused,
/// too.
#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped must say so")]
fn age_vectors() {
    let folder = test_data().join("age-vectors/testdata");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("SKIPPED age_vectors: no test data at {}", folder.display());
        return;
    };
    let (mut with_passphrase, mut others, mut accepted) = (0, 0, Vec::new());
    for entry in entries {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(vector) = Vector::parse(&bytes) else { continue };
        let how = match decrypt(&vector.file, &passphrase(&vector.passphrase)) {
            Ok(_) => "opened",
            Err(error) => kind(&error),
        };
        match (vector.has_passphrase, vector.expect.as_str(), how) {
            (true, "success", "opened") => accepted.push(name),
            (true, "no match", "wrong passphrase" | "excessive work" | "damaged")
            | (true, "header failure", "damaged")
            | (false, _, "damaged") => {}
            (_, expect, how) => panic!("{name}: expected {expect}, but {how}"),
        }
        if vector.has_passphrase { with_passphrase += 1 } else { others += 1 }
    }
    assert_eq!(accepted, ["armor_scrypt"], "the only good one with a passphrase");
    assert!(with_passphrase >= 19 && others >= 50, "{with_passphrase} and {others} vectors");
}

struct Vector {
    expect: String,
    passphrase: String,
    has_passphrase: bool,
    file: Vec<u8>,
}

impl Vector {
    /// `None` for a compressed one. A whole armour is taken off here, as the vault knows none.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let split = bytes.windows(2).position(|two| two == b"\n\n")?;
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned())
        };
        if field("compressed:").is_some() {
            return None;
        }
        let mut file = bytes[split + 2..].to_vec();
        if field("armored:").is_some() && field("expect:").as_deref() == Some("success") {
            file = dearmor(&String::from_utf8_lossy(&file));
        }
        Some(Self {
            expect: field("expect:")?,
            has_passphrase: field("passphrase:").is_some(),
            passphrase: field("passphrase:").unwrap_or_else(|| "p".to_owned()),
            file,
        })
    }
}

fn dearmor(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('-'));
    for digit in lines.flat_map(str::bytes) {
        let Some(value) = ALPHABET.iter().position(|known| *known == digit) else { continue };
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

fn encrypt(content: &[u8], log_n: u8) -> Vec<u8> {
    let mut recipient = scrypt::Recipient::new(secret(&passphrase("p")));
    recipient.set_work_factor(log_n);
    age::encrypt(&recipient, content).unwrap()
}

fn test_data() -> PathBuf {
    std::env::var_os("HEARTH_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    )
}
