//! Where passphrases come from: a prompt, a file or an open descriptor.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use hearth_session::Passphrase;
use zeroize::{Zeroize, Zeroizing};

use crate::shell::Failure;

/// Longest passphrase.
const LIMIT_BYTES: u64 = 4096;

/// Where one comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) file: Option<PathBuf>,
    pub(crate) fd: Option<u32>,
}

impl Source {
    /// One that exists.
    pub(crate) fn known(&self, prompt: &str) -> Result<Passphrase, Failure> {
        self.known_text(prompt).map(into_passphrase)
    }

    /// One to be; typed twice.
    pub(crate) fn new_one(&self, prompt: &str) -> Result<Passphrase, Failure> {
        self.new_text(prompt).map(into_passphrase)
    }

    /// The text of one that exists.
    pub(crate) fn known_text(&self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        match self.read()? {
            Some(text) => Ok(text),
            None => Ok(Zeroizing::new(ask(prompt)?)),
        }
    }

    /// The text of one to be; typed twice.
    pub(crate) fn new_text(&self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        if let Some(text) = self.read()? {
            return Ok(text);
        }
        let first = Zeroizing::new(ask(prompt)?);
        let second = Zeroizing::new(ask("The same again: ")?);
        if first != second {
            return Err(Failure::user("The two passphrases differ.", "Try again."));
        }
        Ok(first)
    }

    fn read(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let path = match (&self.file, self.fd) {
            (Some(file), _) => file.clone(),
            (None, Some(fd)) => PathBuf::from(format!("/dev/fd/{fd}")),
            (None, None) => return Ok(None),
        };
        first_line(&path).map(|line| Some(Zeroizing::new(line)))
    }
}

fn into_passphrase(mut text: Zeroizing<String>) -> Passphrase {
    Passphrase::new(std::mem::take(&mut *text))
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt).map_err(|error| {
        Failure::user(
            format!("No passphrase can be asked for here ({error})."),
            "Use a terminal, --passphrase-file or --passphrase-fd.",
        )
    })
}

fn first_line(path: &Path) -> Result<String, Failure> {
    let failed = |what: String| Failure::user(format!("{}: {what}.", path.display()), "");
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() as u64 >= LIMIT_BYTES {
        return Err(failed(format!("a passphrase has at most {LIMIT_BYTES} bytes")));
    }
    match String::from_utf8(line.to_vec()) {
        Ok(line) => Ok(line),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(failed("the passphrase is not UTF-8".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        for text in ["a b c", "a b c\n", "a b c\r\n", "a b c\nmore\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(first_line(&path).unwrap(), "a b c", "{text:?}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(first_line(&path).is_err());
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(first_line(&path).is_err());
        assert!(first_line(&dir.path().join("absent")).is_err());
    }
}
