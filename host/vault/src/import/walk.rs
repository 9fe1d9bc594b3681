//! Finding files and reading them, one after the other, in a fixed order.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::files::{FileKind, kind_of};
use super::mbox::{self, Splitter};
use super::reason::Reason;
use super::{Item, MAX_ITEM_BYTES, Read, html, mail, text};
use crate::documents::Draft;
use crate::{DocumentKind, ImportError};

/// Folders are followed this deep.
const MAX_DEPTH: usize = 64;

/// How much of a file is looked at to tell what it is.
const START_BYTES: u64 = 4 << 10;

type Sink<'a> = &'a mut dyn FnMut(Item) -> ControlFlow<()>;

/// Reads the file, Maildir or directory at `path` and hands on each file and message with its fate.
pub(super) fn walk(path: &Path, sink: Sink<'_>) -> Result<(), ImportError> {
    let metadata = root_metadata(path)?;
    if metadata.is_file() {
        let place = Path::new(path.file_name().unwrap_or(path.as_os_str()));
        let found = Found { path, place, source: source_text(&real(path)), in_maildir: false };
        let _flow = read_file(&found, sink);
        return Ok(());
    }
    let root = Root { given: path, real: real(path) };
    let mut entries = WalkDir::new(path).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let flow = match entry {
            Err(error) if error.depth() == 0 => {
                let source = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
                return Err(ImportError::Unreadable { path: path.to_path_buf(), source });
            }
            Err(error) => {
                let at = error.path().unwrap_or(path).to_path_buf();
                let why = error.into_io_error().map_or_else(|| "a loop".to_owned(), |e| kind(&e));
                sink(item(at, Read::Failed(Reason::Unreadable(why))))
            }
            Ok(entry) if entry.depth() == 0 => ControlFlow::Continue(()),
            Ok(entry) if entry.file_type().is_dir() => match left_out(&entry) {
                Some(reason) => {
                    entries.skip_current_dir();
                    sink(item(entry.into_path(), Read::Skipped(reason)))
                }
                None if entry.depth() == MAX_DEPTH => {
                    sink(item(entry.into_path(), Read::Failed(Reason::TooDeep)))
                }
                None => ControlFlow::Continue(()),
            },
            Ok(entry) => take(&root, &entry, sink),
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// Size of all that [`walk`] would read.
pub(super) fn total_bytes(path: &Path) -> Result<u64, ImportError> {
    let metadata = root_metadata(path)?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let entries = WalkDir::new(path)
        .max_depth(MAX_DEPTH)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || left_out(entry).is_none());
    let sizes = entries
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len());
    Ok(sizes.sum())
}

/// The folder an import goes to where none is named.
pub(super) fn folder_name(path: &Path) -> String {
    let real = real(path);
    let name = if path.is_dir() || start_of(path).is_ok_and(|s| kind_of(path, &s) == FileKind::Mbox)
    {
        if path.is_dir() { real.file_name() } else { real.file_stem() }
    } else {
        None
    };
    name.map(|name| text::one_line(&name.to_string_lossy()))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "Imported".to_owned())
}

/// What is imported.
struct Root<'a> {
    given: &'a Path,
    real: PathBuf,
}

/// A file to read.
struct Found<'a> {
    path: &'a Path,
    /// Its path under what is imported.
    place: &'a Path,
    /// Its full path: by it the next import knows it again.
    source: String,
    in_maildir: bool,
}

fn root_metadata(path: &Path) -> Result<fs::Metadata, ImportError> {
    let metadata = fs::metadata(path)
        .map_err(|source| ImportError::Unreadable { path: path.to_path_buf(), source })?;
    if metadata.is_file() || metadata.is_dir() {
        Ok(metadata)
    } else {
        Err(ImportError::NotAFile { path: path.to_path_buf() })
    }
}

/// Why a directory is not entered. A hidden one is where it is a folder of a Maildir.
fn left_out(entry: &DirEntry) -> Option<Reason> {
    let hidden = is_hidden(entry);
    let parent_is_maildir = || entry.path().parent().is_some_and(is_maildir);
    if !entry.file_type().is_dir() {
        return None;
    }
    if hidden && !is_maildir(entry.path()) {
        return Some(Reason::Hidden);
    }
    if entry.file_name() == "tmp" && parent_is_maildir() {
        return Some(Reason::Undelivered);
    }
    None
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_maildir(directory: &Path) -> bool {
    directory.join("cur").is_dir() && directory.join("new").is_dir()
}

/// Whether a file lies in `cur` or `new` of a Maildir.
fn lies_in_maildir(path: &Path) -> bool {
    let Some(parent) = path.parent() else { return false };
    let named = parent.file_name().is_some_and(|name| name == "cur" || name == "new");
    named && parent.parent().is_some_and(is_maildir)
}

fn take(root: &Root<'_>, entry: &DirEntry, sink: Sink<'_>) -> ControlFlow<()> {
    let path = entry.path();
    let in_maildir = lies_in_maildir(path);
    let reason = if entry.file_type().is_symlink() {
        Some(Reason::Link)
    } else if !entry.file_type().is_file() {
        Some(Reason::Special)
    } else if in_maildir && is_trashed(path) {
        Some(Reason::Trashed)
    } else if is_hidden(entry) {
        Some(Reason::Hidden)
    } else {
        None
    };
    if let Some(reason) = reason {
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        return sink(Item { bytes, ..item(path.to_path_buf(), Read::Skipped(reason)) });
    }
    let place = path.strip_prefix(root.given).unwrap_or(path);
    let source = source_text(&root.real.join(place));
    read_file(&Found { path, place, source, in_maildir }, sink)
}

/// The flag T after `:2,` in a Maildir's file name (`;2,` where a colon is not allowed).
fn is_trashed(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.rsplit_once(":2,")
        .or_else(|| name.rsplit_once(";2,"))
        .is_some_and(|(_, flags)| flags.contains('T'))
}

fn read_file(found: &Found<'_>, sink: Sink<'_>) -> ControlFlow<()> {
    let fail = |error: io::Error| {
        item(found.path.to_path_buf(), Read::Failed(Reason::Unreadable(kind(&error))))
    };
    let start = match start_of(found.path) {
        Ok(start) => start,
        Err(error) => return sink(fail(error)),
    };
    let file_kind = if found.in_maildir { FileKind::Mail } else { kind_of(found.path, &start) };
    if file_kind == FileKind::Mbox {
        return read_mbox(found, sink);
    }
    match read_whole(found.path) {
        Err(error) => sink(fail(error)),
        Ok(Err(got_bytes)) => {
            let reason = too_large(got_bytes);
            sink(Item { bytes: got_bytes, ..item(found.path.to_path_buf(), Read::Skipped(reason)) })
        }
        Ok(Ok(bytes)) => sink(whole_file(found, file_kind, bytes)),
    }
}

fn whole_file(found: &Found<'_>, file_kind: FileKind, content: Vec<u8>) -> Item {
    let bytes = content.len() as u64;
    let path = found.path.to_path_buf();
    if file_kind == FileKind::Mail {
        let parsed = mail::read(content, found.source.clone(), None);
        return Item {
            path,
            index: 0,
            bytes,
            read: parsed.read,
            date: parsed.date,
            has_subject: parsed.has_subject,
        };
    }
    let modified = fs::metadata(found.path)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|time| jiff::Timestamp::try_from(time).ok());
    let date = modified.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let read = text_file(found, file_kind, content, modified.map(|time| time.as_second()));
    Item { path, index: 0, bytes, read, date, has_subject: true }
}

fn text_file(
    found: &Found<'_>,
    file_kind: FileKind,
    content: Vec<u8>,
    date_secs: Option<i64>,
) -> Read {
    if content.iter().all(u8::is_ascii_whitespace) {
        return Read::Skipped(Reason::Empty);
    }
    let Some((decoded, mut reason)) = text::decode(&content) else {
        return Read::Skipped(Reason::Binary);
    };
    let body = if file_kind == FileKind::Html {
        // As for mail: a fault in the HTML parser costs this file alone.
        let Ok((body, simpler)) = std::panic::catch_unwind(|| html::to_text(&decoded)) else {
            return Read::Failed(Reason::ParserPanicked);
        };
        if simpler {
            reason.get_or_insert(Reason::HardHtml);
        }
        text::tidy(&body)
    } else {
        decoded
    };
    let name = found.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let draft = Draft {
        kind: if file_kind == FileKind::Code { DocumentKind::Code } else { DocumentKind::Note },
        title: text::one_line(&name),
        author: String::new(),
        recipients: String::new(),
        date_secs,
        extra: String::new(),
        source: found.source.clone(),
        place: source_text(found.place),
        message_id: None,
        attachments: Vec::new(),
        hash: blake3::hash(&content),
        original: (body.as_bytes() != content).then_some(content),
        body,
        label: None,
    };
    Read::Draft(Box::new(draft), reason)
}

fn read_mbox(found: &Found<'_>, sink: Sink<'_>) -> ControlFlow<()> {
    let path = || found.path.to_path_buf();
    let fail = |error: &io::Error, index| Item {
        index,
        ..item(path(), Read::Failed(Reason::Unreadable(kind(error))))
    };
    let file = match File::open(found.path) {
        Ok(file) => file,
        Err(error) => return sink(fail(&error, 0)),
    };
    let mut index = 0;
    for chunk in Splitter::new(BufReader::new(file), MAX_ITEM_BYTES) {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => return sink(fail(&error, index)),
        };
        if chunk.envelope.is_empty() && chunk.message.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let bytes = chunk.bytes;
        let next = if chunk.message.len() as u64 > MAX_ITEM_BYTES {
            Item { bytes, index, ..item(path(), Read::Skipped(too_large(bytes))) }
        } else {
            let source = format!("{}#{index}", found.source);
            let secs = mbox::envelope_secs(&chunk.envelope);
            let parsed = mail::read(mbox::unquote(&chunk.message), source, secs);
            let mail::Parsed { read, date, has_subject } = parsed;
            Item { path: path(), index, bytes, read, date, has_subject }
        };
        sink(next)?;
        index += 1;
    }
    if index == 0 {
        return sink(item(path(), Read::Skipped(Reason::Empty)));
    }
    ControlFlow::Continue(())
}

fn item(path: PathBuf, read: Read) -> Item {
    Item { path, index: 0, bytes: 0, read, date: None, has_subject: false }
}

fn too_large(got_bytes: u64) -> Reason {
    Reason::TooLarge { got_bytes, limit_mib: MAX_ITEM_BYTES >> 20 }
}

fn start_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(START_BYTES).read_to_end(&mut start)?;
    Ok(start)
}

/// The whole file, or its size where that is too much. A file may grow while it is read.
fn read_whole(path: &Path) -> io::Result<Result<Vec<u8>, u64>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > MAX_ITEM_BYTES {
        return Ok(Err(length));
    }
    let mut content = Vec::new();
    file.take(MAX_ITEM_BYTES + 1).read_to_end(&mut content)?;
    let length = content.len() as u64;
    Ok(if length > MAX_ITEM_BYTES { Err(length) } else { Ok(content) })
}

/// The full path, links in it followed.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_error| path.to_path_buf())
}

/// With `/` on every system.
fn source_text(path: &Path) -> String {
    let text = path.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' {
        text.into_owned()
    } else {
        text.replace(std::path::MAIN_SEPARATOR, "/")
    }
}

/// What the system says, without the path.
fn kind(error: &io::Error) -> String {
    error.kind().to_string()
}
