//! Machine code on disk: kept, poisoned, planted.
#![cfg(unix)]

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf, sync::atomic::AtomicBool};

use hearth_wasm::{ArtefactStore, Runtime, component_hash};
use zeroize::Zeroizing;

use crate::{
    guest::QUIET,
    programs::{Recorder, go, runtime},
};

static NEVER: AtomicBool = AtomicBool::new(false);

struct Kept {
    folder: tempfile::TempDir,
    runtime: Runtime,
    component: Vec<u8>,
}

impl Kept {
    fn new(test: &str) -> Option<Self> {
        let runtime = runtime(test)?;
        let folder = tempfile::tempdir().unwrap();
        Some(Self { folder, runtime, component: QUIET.component() })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.cwasm", component_hash(&self.component)))
    }

    /// Asks for the artefact, sees that it runs, and says which file it now lies in: a new one if it was compiled anew.
    fn load(&self, key: u8) -> u64 {
        let store = ArtefactStore::new(self.folder.path().into(), Zeroizing::new([key; 32]));
        let artefact = store.load_or_compile(&self.runtime, &self.component, &NEVER).unwrap();
        let mut runner = self.runtime.start(&artefact).unwrap();
        runner.invoke(go("go"), &mut Recorder::default(), &NEVER).unwrap();
        fs::metadata(self.file()).unwrap().ino()
    }
}

#[test]
fn an_artefact_is_compiled_once() {
    let Some(kept) = Kept::new("an_artefact_is_compiled_once") else { return };
    let first = kept.load(1);
    assert_eq!(first, kept.load(1));
    assert_eq!(fs::metadata(kept.file()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_poisoned_artefact_is_compiled_anew() {
    let Some(kept) = Kept::new("a_poisoned_artefact_is_compiled_anew") else { return };
    let mut file = kept.load(1);
    let good = fs::read(kept.file()).unwrap();
    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    for bad in [
        flipped(0),
        flipped(20),
        flipped(good.len() / 2),
        flipped(good.len() - 1),
        good[..good.len() - 1].to_vec(),
        good[..30].to_vec(),
        Vec::new(),
        [good.as_slice(), b"!"].concat(),
    ] {
        fs::write(kept.file(), bad).unwrap();
        let healed = kept.load(1);
        assert_ne!(healed, file);
        file = healed;
        assert_eq!(fs::read(kept.file()).unwrap(), good);
    }
}

#[test]
fn another_key_or_component_does_not_verify() {
    let Some(mut kept) = Kept::new("another_key_or_component_does_not_verify") else { return };
    let first = kept.load(1);
    let other_key = kept.load(2);
    assert_ne!(first, other_key);
    // The artefact of another component under this one's name.
    let mut other = QUIET.component();
    other.extend([0, 3, 1, b'x', b'y']);
    let from = kept.file();
    kept.component = other;
    fs::copy(from, kept.file()).unwrap();
    let planted = fs::metadata(kept.file()).unwrap().ino();
    assert_ne!(planted, kept.load(2));
}
