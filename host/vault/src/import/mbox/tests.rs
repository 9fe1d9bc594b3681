use proptest::prelude::*;

use super::*;

fn split(bytes: &[u8]) -> Vec<Chunk> {
    Splitter::new(bytes, 1 << 20).collect::<Result<_, _>>().unwrap()
}

#[test]
fn messages_are_told_apart_and_body_lines_that_look_alike_are_not() {
    let mbox = b"From ann@example.com Mon Jan  5 10:00:00 2026\nSubject: one\n\nFrom here on it is text.\n\
                 >From quoted\n\nFrom the harbour, in May\n\n\
                 From - Tue Jan 06 11:00:00 2026\nSubject: two\n\nb\n";
    let chunks = split(mbox);
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[0].envelope, b"From ann@example.com Mon Jan  5 10:00:00 2026\n");
    let first = unquote(&chunks[0].message);
    let text = String::from_utf8(first).unwrap();
    assert!(text.contains("\nFrom here on it is text.\nFrom quoted\n"), "{text}");
    assert!(text.ends_with("in May\n"), "{text:?}");
    assert_eq!(chunks[1].message, b"Subject: two\n\nb\n");
}

#[test]
fn only_one_guard_is_taken_off() {
    assert_eq!(
        unquote(b">From a\n>>From b\n> From c\n>Fro\nx"),
        b"From a\n>From b\n> From c\n>Fro\nx"
    );
    assert_eq!(unquote(b"a\r\n\r\n"), b"a\r\n");
}

#[test]
fn a_message_over_the_limit_is_counted_but_not_held() {
    let mut mbox = b"From a@example.com Mon Jan  5 10:00:00 2026\nSubject: x\n\n".to_vec();
    mbox.extend(vec![b'y'; 300_000]);
    mbox.extend(b"\nFrom b@example.com Mon Jan  5 10:00:00 2026\nSubject: z\n");
    let chunks: Vec<_> = Splitter::new(&mbox[..], 1000).collect::<Result<_, _>>().unwrap();
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[0].message.len(), 1001);
    assert_eq!(chunks.iter().map(|chunk| chunk.bytes).sum::<u64>(), mbox.len() as u64);
    assert_eq!(chunks[1].message, b"Subject: z\n");
}

#[test]
fn dates_of_envelopes() {
    for (line, secs) in [
        ("From a@example.com Mon Jan  5 10:00:00 2026", Some(1_767_607_200)),
        ("From - Mon Jan 05 10:00:00 2026", Some(1_767_607_200)),
        ("From a@example.com Mon Jan  5 10:00 CET 2026", Some(1_767_607_200)),
        ("From a@example.com Mon Jan  5 10:00:00 +0100 2026", Some(1_767_607_200)),
        ("From May@example.com Mon Jan 35 10:00:00 2026", None),
        ("From a", None),
        ("", None),
    ] {
        assert_eq!(envelope_secs(line.as_bytes()), secs, "{line}");
    }
}

#[test]
fn a_reader_that_fails_ends_the_splitting() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
    let mut splitter = Splitter::new(io::BufReader::new(Broken), 1000);
    assert!(splitter.next().unwrap().is_err());
    assert!(splitter.next().is_none());
}

fn mbox_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"From a@b.c Mon Jan  5 10:00:00 2026\n".to_vec()),
        Just(b">From x\n".to_vec()),
        Just(b"From \n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"Subject: x\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_byte_is_lost_or_made_up(mbox in mbox_like()) {
        let mut joined = Vec::new();
        for chunk in split(&mbox) {
            prop_assert_eq!(chunk.bytes, (chunk.envelope.len() + chunk.message.len()) as u64);
            prop_assert!(unquote(&chunk.message).len() <= chunk.message.len());
            envelope_secs(&chunk.envelope);
            joined.extend(chunk.envelope);
            joined.extend(chunk.message);
        }
        prop_assert_eq!(joined, mbox);
    }
}
