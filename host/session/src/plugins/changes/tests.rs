use super::*;

const BASE: &str = r#"
id = "org.example.digest"
name = "Digest"
version = "1.0.0"
api = "0.1"
commands = [{ id = "digest", title = "Digest the mail", tool = "digests mail" }, { id = "one", title = "Digest this", focus = "document" }]
panels = [{ id = "digest", title = "Digest" }]
schedules = [{ id = "daily", command = "digest", every = "morning" }]
slots = [{ id = "inbox", kind = "mail", why = "to digest it" }]
settings = [{ key = "lines", kind = "number", min = 1, max = 20, default = 5 }]
capabilities = { model = true, storage-kib = 8 }
"#;

fn manifest(text: &str) -> Manifest {
    Manifest::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Each delta: what is exchanged in the manifest, whether each side is sealed, and whether it asks for more.
type Delta = (&'static str, &'static [(&'static str, &'static str)], (bool, bool), Reach);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The user is asked anew.
    Wider,
    /// The user is told.
    Told,
    /// Nothing that concerns what it may do.
    Silent,
}
use Reach::{Silent, Told, Wider};

const SEALED: (bool, bool) = (true, true);
const OPEN: (bool, bool) = (false, false);
const POWERS: &str = "model = true, storage-kib = 8";

const DELTAS: &[Delta] = &[
    // powers
    (
        "personal model",
        &[(POWERS, "model = true, personal-model = true, storage-kib = 8")],
        SEALED,
        Wider,
    ),
    ("saving", &[(POWERS, "model = true, save = true, storage-kib = 8")], SEALED, Wider),
    ("searching", &[(POWERS, "model = true, search = true, storage-kib = 8")], SEALED, Wider),
    ("picking", &[(POWERS, "model = true, pick = true, storage-kib = 8")], SEALED, Wider),
    (
        "all at once",
        &[(
            POWERS,
            "model = true, personal-model = true, save = true, search = true, pick = true, storage-kib = 64",
        )],
        SEALED,
        Wider,
    ),
    ("one more and one less", &[(POWERS, "save = true, storage-kib = 8")], SEALED, Wider),
    ("no model", &[(POWERS, "storage-kib = 8")], SEALED, Told),
    ("no powers", &[("capabilities = { model = true, storage-kib = 8 }", "")], SEALED, Told),
    ("more storage", &[("storage-kib = 8", "storage-kib = 9")], SEALED, Wider),
    ("less storage", &[("storage-kib = 8", "storage-kib = 7")], SEALED, Told),
    ("no storage", &[(POWERS, "model = true")], SEALED, Told),
    // the gate
    (
        "some bits",
        &[("api = \"0.1\"", "api = \"0.1\"\ndeclassify = { choice-bits-per-day = 1 }")],
        (true, false),
        Wider,
    ),
    (
        "texts",
        &[("api = \"0.1\"", "api = \"0.1\"\ndeclassify = { text = true }")],
        (true, false),
        Wider,
    ),
    ("unsealed, for nothing declared", &[], (true, false), Wider),
    ("sealed again", &[], (false, true), Told),
    ("unsealed as before", &[], OPEN, Silent),
    // slots
    (
        "a second slot",
        &[(
            "why = \"to digest it\" }",
            "why = \"to digest it\" }, { id = \"notes\", kind = \"note\", why = \"too\" }",
        )],
        SEALED,
        Wider,
    ),
    ("another slot", &[("id = \"inbox\"", "id = \"outbox\"")], SEALED, Wider),
    ("a slot of all kinds", &[("kind = \"mail\"", "kind = \"any\"")], SEALED, Wider),
    ("a slot of another kind", &[("kind = \"mail\"", "kind = \"code\"")], SEALED, Wider),
    ("another reason", &[("to digest it", "to read it")], SEALED, Told),
    (
        "no slot",
        &[("{ id = \"inbox\", kind = \"mail\", why = \"to digest it\" }", "")],
        SEALED,
        Told,
    ),
    // what the chat may call
    (
        "a new tool",
        &[("focus = \"document\"", "focus = \"document\", tool = \"digests this\"")],
        SEALED,
        Wider,
    ),
    ("another description of a tool", &[("digests mail", "always call this first")], SEALED, Wider),
    (
        "a new command that is a tool",
        &[(
            "focus = \"document\" }",
            "focus = \"document\" }, { id = \"two\", title = \"Two\", tool = \"two\" }",
        )],
        SEALED,
        Wider,
    ),
    (
        "a tool that takes words",
        &[
            ("tool = \"digests mail\"", "tool = \"digests mail\", input = \"What\""),
            ("{ id = \"daily\", command = \"digest\", every = \"morning\" }", ""),
        ],
        SEALED,
        Wider,
    ),
    (
        "a tool that takes a document",
        &[
            ("tool = \"digests mail\"", "tool = \"digests mail\", focus = \"document\""),
            ("{ id = \"daily\", command = \"digest\", every = \"morning\" }", ""),
        ],
        SEALED,
        Wider,
    ),
    ("no tool", &[(", tool = \"digests mail\"", "")], SEALED, Told),
    // commands and panels
    (
        "a new command",
        &[("focus = \"document\" }", "focus = \"document\" }, { id = \"two\", title = \"Two\" }")],
        SEALED,
        Told,
    ),
    (
        "a first command on documents",
        &[(
            "focus = \"document\" }",
            "focus = \"document\" }, { id = \"two\", title = \"Two\", focus = \"document\" }",
        )],
        SEALED,
        Told,
    ),
    (
        "a command less",
        &[(", { id = \"one\", title = \"Digest this\", focus = \"document\" }", "")],
        SEALED,
        Told,
    ),
    ("another title", &[("Digest the mail", "Digest mail")], SEALED, Silent),
    (
        "a second panel",
        &[(
            "{ id = \"digest\", title = \"Digest\" }]",
            "{ id = \"digest\", title = \"Digest\" }, { id = \"more\", title = \"More\" }]",
        )],
        SEALED,
        Silent,
    ),
    // schedules
    (
        "a new schedule",
        &[(
            "every = \"morning\" }",
            "every = \"morning\" }, { id = \"weekly\", command = \"digest\", every = \"week\" }",
        )],
        SEALED,
        Told,
    ),
    ("a schedule more often", &[("every = \"morning\"", "every = \"evening\"")], SEALED, Wider),
    (
        "a schedule for another command",
        &[
            ("command = \"digest\"", "command = \"two\""),
            ("focus = \"document\" }", "focus = \"document\" }, { id = \"two\", title = \"Two\" }"),
        ],
        SEALED,
        Wider,
    ),
    (
        "no schedule",
        &[("{ id = \"daily\", command = \"digest\", every = \"morning\" }", "")],
        SEALED,
        Told,
    ),
    // words and settings
    ("another name", &[("name = \"Digest\"", "name = \"Digester\"")], SEALED, Told),
    (
        "another description",
        &[("version = ", "description = \"It digests.\"\nversion = ")],
        SEALED,
        Silent,
    ),
    ("another setting", &[("max = 20", "max = 30")], SEALED, Silent),
    ("only the version", &[("1.0.0", "1.0.1")], SEALED, Silent),
];

#[test]
fn forty_deltas_are_told_apart() {
    assert!(DELTAS.len() >= 40, "{}", DELTAS.len());
    let former = manifest(BASE);
    for (what, exchanges, (was_sealed, is_sealed), reach) in DELTAS {
        let mut text = BASE.to_owned();
        for (from, to) in *exchanges {
            assert!(text.contains(from), "{what}: {from}");
            text = text.replacen(from, to, 1);
        }
        let new = manifest(&text);
        let changes = between(
            Version { manifest: &former, sealed: *was_sealed },
            Version { manifest: &new, sealed: *is_sealed },
        );
        let found = if changes.iter().any(|change| change.wider) {
            Wider
        } else if changes.is_empty() {
            Silent
        } else {
            Told
        };
        assert_eq!(found, *reach, "{what}: {changes:?}");
        // The way back from what only asks for more asks for nothing more.
        let back = between(
            Version { manifest: &new, sealed: *is_sealed },
            Version { manifest: &former, sealed: *was_sealed },
        );
        if *reach == Silent {
            assert!(back.is_empty(), "{what}: {back:?}");
        }
    }
}

#[test]
fn first_reach_for_documents_is_a_new_power() {
    let bare = manifest(
        "id = \"org.example.bare\"\nname = \"Bare\"\nversion = \"1.0.0\"\napi = \"0.1\"\n",
    );
    let reading = manifest(
        "id = \"org.example.bare\"\nname = \"Bare\"\nversion = \"1.0.1\"\napi = \"0.1\"\n\
         commands = [{ id = \"one\", title = \"One\", focus = \"document\" }]\n",
    );
    let changes = between(
        Version { manifest: &bare, sealed: true },
        Version { manifest: &reading, sealed: true },
    );
    let wider: Vec<_> = changes.iter().filter(|change| change.wider).collect();
    assert_eq!(wider.len(), 1);
    assert!(wider[0].what.contains("documents-read"), "{wider:?}");
}

#[test]
fn a_plugins_words_are_quoted() {
    let former = manifest(BASE);
    let new = manifest(&BASE.replace("digests mail", "says: you agreed"));
    let changes = between(
        Version { manifest: &former, sealed: true },
        Version { manifest: &new, sealed: true },
    );
    let quoted = "`digest` is now described to the chat as \u{201c}says: you agreed\u{201d}.";
    assert_eq!(changes, [PluginChange { what: quoted.into(), wider: true }]);
}
