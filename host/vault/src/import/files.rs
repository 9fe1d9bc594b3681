//! Which kind of document a file is.

use std::path::Path;

use super::mbox::is_envelope;

/// What a file is to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Mbox,
    Mail,
    Note,
    Html,
    Code,
}

const MBOX: [&str; 3] = ["mbox", "mbx", "mboxrd"];
const MAIL: [&str; 3] = ["eml", "emlx", "mail"];
const HTML: [&str; 3] = ["html", "htm", "xhtml"];
const NOTE: [&str; 22] = [
    "md", "markdown", "mdown", "txt", "text", "org", "rst", "adoc", "asciidoc", "tex", "log",
    "csv", "tsv", "ics", "vcf", "srt", "bib", "textile", "wiki", "me", "nfo", "ini",
];
const CODE: [&str; 84] = [
    "rs", "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "sh", "bash", "zsh", "fish", "c",
    "h", "cc", "cpp", "cxx", "hpp", "hh", "cs", "fs", "go", "java", "kt", "kts", "scala", "clj",
    "swift", "m", "mm", "rb", "php", "pl", "pm", "lua", "r", "jl", "hs", "ml", "mli", "ex", "exs",
    "erl", "sql", "css", "scss", "less", "vue", "svelte", "zig", "nim", "d", "dart", "ps1", "bat",
    "asm", "s", "proto", "wit", "wat", "el", "lisp", "scm", "vim", "gradle", "tf", "cmake", "mk",
    "toml", "json", "yaml", "yml", "xml", "nix", "awk", "sed", "tcl", "f90", "pas", "v", "sv",
    "vhd", "glsl",
];
const CODE_NAMES: [&str; 6] =
    ["Makefile", "Dockerfile", "Rakefile", "Gemfile", "Justfile", "CMakeLists.txt"];

/// Decides by name, and by the first bytes where the name leaves it open. An exact envelope line tells an mbox under
/// any name but that of a source file.
pub(super) fn kind_of(path: &Path, start: &[u8]) -> FileKind {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let extension = extension.as_str();
    if MBOX.contains(&extension) {
        return FileKind::Mbox;
    }
    if CODE.contains(&extension) || CODE_NAMES.contains(&&*name) {
        return FileKind::Code;
    }
    if is_envelope(start.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default()) {
        return FileKind::Mbox;
    }
    if MAIL.contains(&extension) {
        return FileKind::Mail;
    }
    if HTML.contains(&extension) {
        return FileKind::Html;
    }
    if NOTE.contains(&extension) {
        return FileKind::Note;
    }
    if start.starts_with(b"#!") {
        return FileKind::Code;
    }
    if starts_as_mail(start) { FileKind::Mail } else { FileKind::Note }
}

/// Whether the first lines are headers, one of them such as only mail has.
fn starts_as_mail(start: &[u8]) -> bool {
    let names: [&[u8]; 9] = [
        b"received",
        b"return-path",
        b"delivered-to",
        b"message-id",
        b"mime-version",
        b"from",
        b"date",
        b"subject",
        b"to",
    ];
    let mut known = 0;
    for line in start.split(|byte| *byte == b'\n').take(40) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
        let name = line[..colon].to_ascii_lowercase();
        if name.is_empty() || !name.iter().all(|b| b.is_ascii_graphic()) {
            return false;
        }
        known += usize::from(names.contains(&name.as_slice()));
    }
    known >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_first_and_the_content_where_the_name_is_silent() {
        let envelope = b"From ann@example.com Mon Jan  5 10:00:00 2026\nSubject: x\n";
        let mail = b"Received: from x\nSubject: y\n\nbody";
        for (name, start, kind) in [
            ("a/inbox.mbox", b"".as_slice(), FileKind::Mbox),
            ("Inbox", envelope, FileKind::Mbox),
            ("mail.txt", envelope, FileKind::Mbox),
            ("mail.py", envelope, FileKind::Code),
            ("x.EML", mail, FileKind::Mail),
            ("17", mail, FileKind::Mail),
            ("17.md", mail, FileKind::Note),
            ("17", b"Subject: my own notes\nare these", FileKind::Note),
            ("lib.rs", b"//! x", FileKind::Code),
            ("Makefile", b"all:", FileKind::Code),
            ("tool", b"#!/bin/sh\n", FileKind::Code),
            ("page.html", b"<html>", FileKind::Html),
            ("README", b"hello", FileKind::Note),
        ] {
            assert_eq!(kind_of(Path::new(name), start), kind, "{name}");
        }
    }
}
