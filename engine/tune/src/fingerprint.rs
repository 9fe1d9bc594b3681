//! What tells base models apart.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use blake3::Hasher;
use hearth_engine_api::{Fingerprint, LoadError};

/// How much of a file's beginning and of its end is hashed, beside its length. The beginning has the names and places of all
/// tensors and the first weights, the end the last ones: trained models that agree in these and differ elsewhere would have
/// to be made for it, and what is lost by a mistake is no more than an adapter that does not fit.
const SAMPLE_BYTES: u64 = 1 << 20;

/// The hash of a model's weights, and of its chat template if it has one.
pub(crate) fn fingerprint(base: &Path, template: Option<&str>) -> Result<Fingerprint, LoadError> {
    let mut hasher = Hasher::new();
    for path in weight_files(base)? {
        add_file(&mut hasher, &path).map_err(|source| LoadError::Io { path, source })?;
    }
    let template = template.map(|text| blake3::hash(text.as_bytes()).to_hex().to_string());
    Ok(Fingerprint { base: hasher.finalize().to_hex().to_string(), template })
}

fn add_file(hasher: &mut Hasher, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    hasher.update(&len.to_le_bytes());
    io::copy(&mut file.by_ref().take(SAMPLE_BYTES), hasher)?;
    file.seek(SeekFrom::Start(len.saturating_sub(SAMPLE_BYTES)))?;
    io::copy(&mut file.take(SAMPLE_BYTES), hasher)?;
    Ok(())
}

/// The file itself, or the `.safetensors` files of a folder by their names.
fn weight_files(base: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::Io { path: base.into(), source };
    if !base.metadata().map_err(failed)?.is_dir() {
        return Ok(vec![base.into()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(base).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        fingerprint(file.path(), None).unwrap().base
    }

    #[test]
    fn beginning_end_and_length_tell_files_apart() {
        let zeros = vec![0; 5 << 20];
        let one = base(&zeros);
        assert_eq!(one, base(&zeros));
        let mut last = zeros.clone();
        *last.last_mut().unwrap() = 1;
        assert_ne!(one, base(&last));
        assert_ne!(one, base(&zeros[1..]));
    }

    #[test]
    fn templates_have_a_hash_of_their_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let of = |template| fingerprint(file.path(), template).unwrap();
        assert_eq!(of(Some("a")).base, of(None).base);
        assert_ne!(of(Some("a")).template, of(Some("b")).template);
        assert_eq!(of(None).template, None);
    }

    #[test]
    fn a_folder_is_its_weights() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b.safetensors"), "b").unwrap();
        let one = fingerprint(folder.path(), None).unwrap();
        fs::write(folder.path().join("README.md"), "words").unwrap();
        assert_eq!(one, fingerprint(folder.path(), None).unwrap());
        fs::write(folder.path().join("a.safetensors"), "a").unwrap();
        assert_ne!(one, fingerprint(folder.path(), None).unwrap());
    }
}
