//! Where components come from: a file with its signature beside it, a folder of versions, or a reference to fetch. Sizes
//! are checked before anything is read into memory.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use hearth_registry::{FetchError, Fetched, Limits, Reference, Registry};
use hearth_wasm::{
    Inspection, MAX_COMPONENT_BYTES, MAX_SIGNATURE_BYTES, SIGNATURE_SUFFIX, component_hash,
};

use crate::{GuestRuntime, UserError, cancel::Cancel, errors::file_error};

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

/// Told how many bytes were fetched, and of how many.
pub(crate) type OnFetch<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// What was last fetched to be looked at, so that it need not be fetched again to be installed.
#[derive(Default)]
pub(crate) struct LastFetched(Mutex<Option<(String, Fetched)>>);

impl LastFetched {
    /// What was looked at, if it came from there and is the one that is wanted.
    pub(crate) fn take(&self, reference: &str, hash: &str) -> Option<Fetched> {
        let reference = reference.parse::<Reference>().ok()?.to_string();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |(of, fetched): &mut (String, Fetched)| {
            *of == reference && component_hash(&fetched.component) == hash
        };
        last.take_if(wanted).map(|(_, fetched)| fetched)
    }

    /// Keeps what was offered for when it is installed.
    pub(crate) fn keep(&self, offered: Offered) {
        if Reference::is_meant(&offered.origin) {
            let Offered { component, signature, origin, .. } = offered;
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((origin, Fetched { component, signature }));
        }
    }
}

/// What a path means, if it is a reference to fetch.
pub(crate) fn reference(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| Reference::is_meant(text))
}

/// What fetches.
pub(crate) fn registry() -> Registry {
    Registry::new(Limits {
        component_bytes: MAX_COMPONENT_BYTES,
        signature_bytes: MAX_SIGNATURE_BYTES,
    })
}

/// Fetches a component that the user has just asked for, unless it was `seen` a moment ago.
pub(crate) fn fetch(
    text: &str,
    seen: Option<Fetched>,
    cancel: &Cancel,
    on_fetch: OnFetch<'_>,
) -> Result<Offered, UserError> {
    let reference: Reference = text.parse()?;
    let fetched = match seen {
        Some(fetched) => fetched,
        None => registry().fetch(&reference, &mut |done, total| {
            on_fetch(done, total);
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?,
    };
    let Fetched { component, signature } = fetched;
    // Named as it was asked for, so that it can be asked for again.
    let (path, origin) = (PathBuf::from(text), reference.to_string());
    Ok(Offered { component, signature, path, origin })
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

impl From<FetchError> for UserError {
    fn from(error: FetchError) -> Self {
        let message = crate::errors::sentence(&error.to_string());
        match error {
            FetchError::Reference { .. } => Self::user(
                message,
                "As in oci://ghcr.io/example/mail-digest:1.2.0 or https://example.org/index.json#org.example.mail-digest.",
            ),
            FetchError::NotAllowed { .. } => {
                Self::user(message, "What comes in the clear can be changed on its way.")
            }
            FetchError::NoAnswer { .. } => {
                Self::system(message, "Check the address and the connection, and try again.")
            }
            FetchError::Status { .. } | FetchError::NotListed { .. } => {
                Self::user(message, "Check the name and the version.")
            }
            FetchError::Cancelled => Self::cancelled("The download was stopped."),
            FetchError::Digest { .. } => {
                Self::input(message, "Nothing of it was kept. Do not trust this place.")
            }
            _ => Self::input(message, "Tell whoever keeps this place."),
        }
    }
}
