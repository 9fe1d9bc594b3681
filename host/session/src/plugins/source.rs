//! Where components come from: a file with its signature beside it, or a folder of versions. Sizes are checked before
//! anything is read into memory.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use hearth_wasm::{Inspection, MAX_COMPONENT_BYTES, MAX_SIGNATURE_BYTES, SIGNATURE_SUFFIX};

use crate::{GuestRuntime, UserError, errors::file_error};

/// Most components in one folder.
const MAX_IN_FOLDER: usize = 64;

/// A component as it came, with whatever vouches for it.
pub(crate) struct Offered {
    pub(crate) component: Vec<u8>,
    pub(crate) signature: Option<String>,
    /// Where exactly it lies.
    pub(crate) path: PathBuf,
    /// What to ask for newer versions of it: the path or reference that the user named.
    pub(crate) origin: String,
}

/// Reads a component: the file, or the highest version in a folder.
pub(crate) fn read(path: &Path, runtime: &dyn GuestRuntime) -> Result<Offered, UserError> {
    let file = if path.is_dir() { highest_in(path, runtime)? } else { path.to_path_buf() };
    let origin = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    Ok(Offered {
        component: read_component(&file)?,
        signature: read_signature(&signature_path(&file))?,
        path: file,
        origin: origin.to_string_lossy().into_owned(),
    })
}

/// Reads a component, never more than the longest allowed.
pub(crate) fn read_component(path: &Path) -> Result<Vec<u8>, UserError> {
    let limit = MAX_COMPONENT_BYTES;
    read_limited(path, limit)?.ok_or_else(|| {
        UserError::input(
            format!("{} is over {} MiB, the most a plugin may have.", path.display(), limit >> 20),
            "Is this a plugin?",
        )
    })
}

/// Reads a signature or a statement; `None` where there is none.
pub(crate) fn read_signature(path: &Path) -> Result<Option<String>, UserError> {
    if !path.exists() {
        return Ok(None);
    }
    let not_one = || {
        UserError::input(
            format!("{} is not a signature.", path.display()),
            "Get it again from where the plugin came from.",
        )
    };
    let bytes = read_limited(path, MAX_SIGNATURE_BYTES)?.ok_or_else(not_one)?;
    String::from_utf8(bytes).map(Some).map_err(|_utf8| not_one())
}

/// Where the signature of a file lies.
pub(crate) fn signature_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(SIGNATURE_SUFFIX);
    PathBuf::from(name)
}

/// At most `limit` bytes of a file; `None` where it is longer.
pub(crate) fn read_limited(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, UserError> {
    let unreadable = |error: io::Error| file_error("read", path, &error);
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

/// The highest version among the components of a folder, which must all be of one plugin.
fn highest_in(dir: &Path, runtime: &dyn GuestRuntime) -> Result<PathBuf, UserError> {
    let mut highest: Option<(PathBuf, Inspection)> = None;
    for path in components_in(dir)? {
        let found = runtime.inspect(&read_component(&path)?).map_err(|mut error| {
            error.message = format!("{}: {}", path.display(), error.message);
            error
        })?;
        highest = match highest {
            None => Some((path, found)),
            Some((other, best)) if best.manifest.id != found.manifest.id => {
                return Err(UserError::user(
                    format!(
                        "{} holds several plugins: {} is {}, {} is {}.",
                        dir.display(),
                        other.display(),
                        best.manifest.id,
                        path.display(),
                        found.manifest.id
                    ),
                    "Name the file of the one you want.",
                ));
            }
            Some((other, best))
                if best.manifest.version_numbers() >= found.manifest.version_numbers() =>
            {
                Some((other, best))
            }
            Some(_) => Some((path, found)),
        };
    }
    highest.map(|(path, _)| path).ok_or_else(|| {
        UserError::user(
            format!("{} holds no plugin.", dir.display()),
            "A plugin is a file whose name ends in .wasm.",
        )
    })
}

/// Files of a folder that may be components, by name.
fn components_in(dir: &Path) -> Result<Vec<PathBuf>, UserError> {
    let unreadable = |error: io::Error| file_error("read", dir, &error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension() == Some(OsStr::new("wasm")) && path.is_file() {
            paths.push(path);
        }
        if paths.len() > MAX_IN_FOLDER {
            return Err(UserError::user(
                format!("{} holds over {MAX_IN_FOLDER} plugins.", dir.display()),
                "Name the file of the one you want.",
            ));
        }
    }
    paths.sort();
    Ok(paths)
}
