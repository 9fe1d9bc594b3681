use std::io::Cursor as Bytes;

use super::*;

/// Writes a header field by field, so that every field can lie.
#[derive(Clone, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn start(version: u32, tensors: u64, entries: u64) -> Self {
        let mut writer = Self(MAGIC.to_vec());
        writer.0.extend(version.to_le_bytes());
        writer.u64(tensors).u64(entries)
    }

    fn u32(mut self, n: u32) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn u64(mut self, n: u64) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn text(self, text: &str) -> Self {
        let mut writer = self.u64(text.len() as u64);
        writer.0.extend(text.as_bytes());
        writer
    }

    fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let start = self.text(name).u32(dims.len() as u32);
        dims.iter().fold(start, |writer, &dim| writer.u64(dim)).u32(kind).u64(offset)
    }

    fn data(mut self, bytes: usize) -> Self {
        let start = self.0.len().next_multiple_of(DEFAULT_ALIGNMENT as usize);
        self.0.resize(start + bytes, 0);
        self
    }

    fn read(self) -> Result<GgufHeader, LoadError> {
        let bytes = self.0.len() as u64;
        GgufHeader::read(Bytes::new(self.0), bytes, Path::new("test.gguf"))
    }

    fn refused(self, words: &str) {
        match self.read() {
            Err(LoadError::Malformed { reason }) if reason.contains(words) => {}
            other => panic!("expected a refusal with {words:?}, got {other:?}"),
        }
    }
}

#[test]
fn values_and_tensors_come_out_as_they_went_in() {
    let header = Writer::start(3, 2, 3)
        .text("a.number")
        .u32(5)
        .u32(7)
        .text("a.text")
        .u32(8)
        .text("words")
        .text("a.list")
        .u32(9)
        .u32(8)
        .u64(2)
        .text("x")
        .text("")
        .tensor("first", &[4, 2], 0, 0)
        .tensor("second", &[32], 8, 32)
        .data(96)
        .read()
        .unwrap();
    assert_eq!(header.integer("a.number"), Some(7));
    assert_eq!(header.text("a.text"), Some("words"));
    let list = header.metadata["a.list"].to_vec().unwrap();
    assert_eq!(list[0].to_string().unwrap(), "x");
    let first = &header.tensors()["first"];
    assert_eq!((first.shape.as_slice(), first.bytes), ([2, 4].as_slice(), 32));
    assert_eq!(header.tensors()["second"].bytes, 34);
    assert!(header.data_start().is_multiple_of(DEFAULT_ALIGNMENT));
}

#[test]
fn absurd_counts_are_refused_before_anything_is_set_aside() {
    Writer::start(3, u64::MAX, 0).refused("tensors: a count of 18446744073709551615");
    Writer::start(3, 0, u64::MAX).refused("metadata entries: a count");
    Writer::start(3, 0, 1).u64(u64::MAX).data(64).refused("a metadata key");
    let entry = || Writer::start(3, 0, 1).text("key");
    entry().u32(8).u64(u64::MAX).refused("a metadata value");
    entry().u32(9).u32(4).u64(u64::MAX).data(64).refused("an array");
    entry().u32(9).u32(4).u64(1 << 40).data(64).refused("an array");
    entry().u32(99).data(64).refused("metadata type 99");
    entry().u32(7).u32(2).refused("a truth value of 2");
}

#[test]
fn metadata_cannot_unfold_to_many_times_the_file() {
    // A byte in the file would be a whole value in memory.
    let bytes = 4 << 20;
    let file = Writer::start(3, 0, 1).text("key").u32(9).u32(0).u64(bytes).data(bytes as usize);
    file.refused("unfold");
}

#[test]
fn arrays_do_not_nest_without_end() {
    let mut writer = Writer::start(3, 0, 1).text("key").u32(9);
    for _ in 0..10_000 {
        writer = writer.u32(9).u64(1);
    }
    writer.refused("too deep");
}

#[test]
fn tensors_must_lie_within_the_data_apart_and_aligned() {
    let one = |dims: &[u64], kind, offset| {
        Writer::start(3, 1, 0).tensor("t", dims, kind, offset).data(64)
    };
    assert!(one(&[16], 0, 0).read().is_ok());
    one(&[17], 0, 0).refused("outside the 64 bytes");
    one(&[8], 0, 64).refused("outside");
    one(&[8], 0, u64::MAX - 31).refused("outside");
    one(&[8], 0, 8).refused("not aligned");
    one(&[16], 8, 0).refused("as Q8_0 has shape");
    one(&[0], 0, 0).refused("dimension of 0");
    one(&[u64::MAX, 2], 0, 0).refused("dimension of");
    one(&[1 << 32, 1 << 32], 0, 0).refused("dimension of");
    one(&[], 0, 0).refused("0 dimensions");
    one(&[1; 5], 0, 0).refused("5 dimensions");
    let two = |offset| {
        Writer::start(3, 2, 0).tensor("a", &[16], 0, 0).tensor("b", &[8], 0, offset).data(96)
    };
    assert!(two(64).read().is_ok());
    two(32).refused("overlap");
    let same = Writer::start(3, 2, 0).tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32);
    same.data(64).refused("twice");
}

#[test]
fn other_versions_are_named() {
    for (version, words) in [(1, "version 1"), (9, "version 9"), (3u32.swap_bytes(), "big-endian")]
    {
        match Writer::start(version, 0, 0).read() {
            Err(LoadError::Unsupported { what }) => assert!(what.contains(words)),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        GgufHeader::read(Bytes::new(b"PK"), 2, Path::new("x")),
        Err(LoadError::Malformed { .. })
    ));
}

#[test]
fn alignment_must_be_a_power_of_two() {
    let with = |n: u32| Writer::start(3, 0, 1).text("general.alignment").u32(4).u32(n);
    assert!(with(64).read().is_ok());
    with(0).refused("alignment");
    with(48).refused("alignment");
    with(1 << 31).refused("alignment");
}
