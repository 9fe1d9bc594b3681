//! Bytes of a file or of memory, shared without copying.
use memmap2::Mmap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A range of bytes of a mapped file or of memory. Clones and slices share what lies beneath.
///
/// # Mapped files
/// The file must stay as it is while any `Bytes` of it live. If another program writes to it, the values read change; if
/// another program cuts it short, the operating system ends this process (`SIGBUS` on Unix) when a page past the new end is
/// touched. Model files are written under another name and renamed into place, so that neither happens in ordinary use.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<Owner>,
    range: Range<usize>,
}

enum Owner {
    Mapped(Mmap),
    Memory(Vec<u8>),
}

impl Bytes {
    /// Maps the whole of a file, read-only. Nothing is read yet.
    pub fn map(file: &File) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "mapping a file is unsafe whatever is done about it")]
        // SAFETY: the mapping is private and read-only. That nobody changes the file meanwhile cannot be checked; the type's
        // docs ask it of the caller, and only plain numbers, for which every bit pattern is valid, are ever read from it.
        let map = unsafe { Mmap::map(file)? };
        let range = 0..map.len();
        Ok(Self { owner: Arc::new(Owner::Mapped(map)), range })
    }

    /// Bytes of memory.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(Owner::Memory(bytes)), range }
    }

    /// A part of these bytes, by offsets from their start; `None` if it reaches beyond them.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.range.len() {
            return None;
        }
        let start = self.range.start + range.start;
        Some(Self { owner: Arc::clone(&self.owner), range: start..start + range.len() })
    }

    /// Whether they lie in a mapped file, whose pages the operating system may drop and read again.
    pub fn is_mapped(&self) -> bool {
        matches!(*self.owner, Owner::Mapped(_))
    }

    /// Asks the operating system to read these bytes of a mapped file ahead. A hint: it returns at once, and what comes of it
    /// changes nothing but time.
    pub fn will_need(&self) {
        #[cfg(unix)]
        if let Owner::Mapped(map) = &*self.owner {
            map.advise_range(memmap2::Advice::WillNeed, self.range.start, self.range.len()).ok();
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &*self.owner {
            Owner::Mapped(map) => map,
            Owner::Memory(bytes) => bytes,
        };
        &whole[self.range.clone()]
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes")
            .field("len", &self.range.len())
            .field("mapped", &self.is_mapped())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mapped_file_and_memory_read_alike() {
        let content: Vec<u8> = (0..10_000_u32).map(|i| (i % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let mapped = Bytes::map(&file).unwrap();
        mapped.will_need();
        let memory = Bytes::from_vec(content.clone());
        assert_eq!(&*mapped, &content[..]);
        assert_eq!(&*memory, &content[..]);
        assert!(mapped.is_mapped() && !memory.is_mapped());
        let part = mapped.slice(5_000..9_001).unwrap();
        part.will_need();
        assert_eq!(&*part.slice(1..4_000).unwrap(), &content[5_001..9_000]);
    }

    #[test]
    fn an_empty_file_is_empty_bytes() {
        assert!(Bytes::map(&tempfile::tempfile().unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_slice_beyond_the_end_is_none() {
        let bytes = Bytes::from_vec(vec![1, 2, 3]);
        let part = bytes.slice(1..3).unwrap();
        assert_eq!(part.slice(2..2).unwrap().len(), 0);
        assert!(part.slice(0..3).is_none());
        assert!(part.slice(3..3).is_none());
        assert!(bytes.slice(0..usize::MAX).is_none());
        #[expect(clippy::reversed_empty_ranges, reason = "what is refused here")]
        let reversed = 2..1;
        assert!(bytes.slice(reversed).is_none());
    }
}
