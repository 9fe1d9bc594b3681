//! Machine code and the folder it is kept in.
//!
//! Loading machine code is trusting it, so what is kept carries a MAC under a key of the vault: over the format, the
//! component's hash, the compiler's compatibility line and the code. Anything that does not verify is compiled anew.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use zeroize::Zeroizing;

use crate::{CompileError, Runtime, component_hash};

/// First bytes of a kept artefact.
const MAGIC: &[u8; 8] = b"hearthA1";
const MAC_BYTES: usize = 32;
/// Longest file worth reading.
const MAX_FILE_BYTES: u64 = hearth_base::MAX_FRAME_BYTES as u64;

/// Machine code that this host's compiler made. There is no way to make one of foreign bytes.
#[derive(Clone)]
pub struct Artefact {
    pub(crate) code: Vec<u8>,
}

impl Artefact {
    /// Its length.
    pub fn size_bytes(&self) -> u64 {
        self.code.len() as u64
    }
}

/// A folder of artefacts.
pub struct ArtefactStore {
    dir: PathBuf,
    key: Zeroizing<[u8; 32]>,
}

impl ArtefactStore {
    /// Artefacts in `dir`, which is made when first needed, under a MAC key that only the vault knows.
    pub fn new(dir: PathBuf, key: Zeroizing<[u8; 32]>) -> Self {
        Self { dir, key }
    }

    /// The artefact of a component that [`crate::inspect`] has accepted: the kept one if it verifies, else a new one.
    ///
    /// # Errors
    /// [`CompileError`]. A kept artefact that does not verify is no error: it is replaced.
    pub fn load_or_compile(
        &self,
        runtime: &Runtime,
        component: &[u8],
        cancel: &AtomicBool,
    ) -> Result<Artefact, CompileError> {
        let compatibility = runtime.compatibility(cancel)?;
        let hash = component_hash(component);
        let path = self.path(&hash);
        if let Some(code) = self.read(&path, &hash, compatibility) {
            return Ok(Artefact { code });
        }
        let code = runtime.compile(component, cancel)?;
        self.write(&path, &hash, compatibility, &code)?;
        Ok(Artefact { code })
    }

    /// Forgets the artefact of a component, as when its plugin is removed.
    ///
    /// # Errors
    /// Where the file is there and cannot be removed.
    pub fn remove(&self, component_hash: &str) -> io::Result<()> {
        match fs::remove_file(self.path(component_hash)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, component_hash: &str) -> PathBuf {
        self.dir.join(format!("{component_hash}.cwasm"))
    }

    /// The code in a file, or `None` for whatever reason.
    fn read(&self, path: &Path, hash: &str, compatibility: &str) -> Option<Vec<u8>> {
        let mut file = fs::File::open(path).ok()?.take(MAX_FILE_BYTES);
        let mut head = [0; MAGIC.len() + MAC_BYTES];
        file.read_exact(&mut head).ok()?;
        let mut code = Vec::new();
        file.read_to_end(&mut code).ok()?;
        let (magic, mac) = head.split_at(MAGIC.len());
        let mac = blake3::Hash::from_slice(mac).ok()?;
        // Comparing hashes of blake3 takes the same time wherever they differ.
        (magic == MAGIC && mac == self.mac(hash, compatibility, &code)).then_some(code)
    }

    /// Writes beside and renames, readable by the owner alone.
    fn write(&self, path: &Path, hash: &str, compatibility: &str, code: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(self.mac(hash, compatibility, code).as_bytes())?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    fn mac(&self, hash: &str, compatibility: &str, code: &[u8]) -> blake3::Hash {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        for part in [MAGIC.as_slice(), hash.as_bytes(), compatibility.as_bytes(), code] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize()
    }
}
