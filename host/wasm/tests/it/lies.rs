//! Manifests and components that claim one thing and are another; and what no plugin can even ask for.

use std::{borrow::Cow, collections::BTreeSet, path::Path};

use hearth_base::{Capability, MANIFEST_SECTION, Manifest};
use hearth_wasm::{InspectError, inspect};
use wasm_encoder::{Component, CustomSection, ModuleSection, NestedComponentSection};
use wit_component::StringEncoding;
use wit_parser::{Resolve, Type, TypeDefKind};

use crate::guest::{Guest, MANIFEST, QUIET, with_manifest};

const LEARNS: Guest = Guest {
    imports: r#"(import "hearth:plugin/declassify@0.1.0" "remaining" (func $remaining (result i32)))"#,
    run: "(drop (call $remaining))",
    ..QUIET
};

fn section(text: &str) -> CustomSection<'_> {
    CustomSection { name: Cow::Borrowed(MANIFEST_SECTION), data: Cow::Borrowed(text.as_bytes()) }
}

/// A second manifest, hidden in what the component holds.
fn hidden_in_module() -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    module.section(&section(MANIFEST));
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

fn hidden_in_component() -> Vec<u8> {
    let mut inner = Component::new();
    inner.section(&section(MANIFEST));
    let mut component = Component::new();
    component.section(&NestedComponentSection(&inner));
    component.finish()
}

#[test]
fn a_manifest_inside_a_part_is_none_and_beside_another_is_refused() {
    for hidden in [hidden_in_module(), hidden_in_component()] {
        let alone = inspect(&hidden);
        assert!(
            matches!(alone, Err(InspectError::TwoManifests | InspectError::NoManifest)),
            "{alone:?}"
        );
        let beside = inspect(&with_manifest(hidden, MANIFEST));
        assert!(matches!(beside, Err(InspectError::TwoManifests)), "{beside:?}");
    }
    // However often, and whatever each says.
    let other = MANIFEST.replace("org.example.test", "org.example.other");
    let good = QUIET.component();
    for second in [MANIFEST, &other, "", "id = 7"] {
        let twice = with_manifest(good.clone(), second);
        assert_eq!(inspect(&twice), Err(InspectError::TwoManifests), "{second}");
    }
}

#[test]
fn what_a_component_imports_is_read_off_it_whatever_it_claims() {
    let bare = LEARNS.bare(StringEncoding::UTF8);
    for claim in [
        "",
        "declassify = { choice-bits-per-day = 0, text = false }",
        "capabilities = { model = true }",
    ] {
        let lying = with_manifest(bare.clone(), &format!("{MANIFEST}\n{claim}"));
        assert_eq!(inspect(&lying), Err(InspectError::UndeclaredDeclassify), "{claim}");
    }
    let open = format!("{MANIFEST}\ndeclassify = {{ text = true }}");
    let seen = inspect(&with_manifest(bare, &open)).unwrap();
    assert!(!seen.sealed && seen.interfaces.contains("declassify"));
    // A seal cannot be claimed either: there is no such field.
    for word in ["sealed = true", "imports = []", "publisher-verified = true", "bundled = true"] {
        let text = format!("{word}\n{MANIFEST}");
        let claimed = inspect(&with_manifest(QUIET.bare(StringEncoding::UTF8), &text));
        assert!(matches!(claimed, Err(InspectError::Manifest(_))), "{word}: {claimed:?}");
    }
}

#[test]
fn names_of_several_scripts_are_refused() {
    for (name, good) in [
        ("Mail digest", true),
        ("\u{41f}\u{43e}\u{447}\u{442}\u{430}", true),
        ("M\u{430}il digest", false),
    ] {
        let manifest = MANIFEST.replace("name = \"Test\"", &format!("name = \"{name}\""));
        let found = inspect(&with_manifest(QUIET.bare(StringEncoding::UTF8), &manifest));
        assert_eq!(found.is_ok(), good, "{name}: {found:?}");
    }
}

#[test]
fn no_import_brings_code_or_a_network() {
    let import = |what: &str| {
        let component = wat::parse_str(format!("(component {what})")).unwrap();
        inspect(&with_manifest(component, MANIFEST))
    };
    for what in [
        r#"(import "code" (core module))"#,
        r#"(import "hearth:plugin/code@0.1.0" (component))"#,
        r#"(import "org.example:other/guest@1.0.0" (instance))"#,
        r#"(import "hearth:plugin/guest@0.1.0" (instance))"#,
        r#"(import "wasi:sockets/tcp@0.2.0" (instance))"#,
        r#"(import "wasi:http/outgoing-handler@0.2.0" (instance))"#,
        r#"(import "wasi:filesystem/types@0.2.0" (instance))"#,
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance))"#,
        r#"(import "url=<https://example.org/code.wasm>" (component))"#,
        r#"(import "unlocked-dep=<a:b>" (component))"#,
        r#"(import "run" (func))"#,
    ] {
        let found = inspect_or_malformed(import(what));
        assert!(found, "{what}");
    }
}

/// Refused by name, or by the validator before any name is read.
fn inspect_or_malformed(found: Result<hearth_wasm::Inspection, InspectError>) -> bool {
    matches!(found, Err(InspectError::ForeignImport { .. } | InspectError::Malformed { .. }))
}

/// Reads the interface itself: what is not in it cannot be granted, whatever anybody decides later.
#[test]
fn the_interface_has_no_way_to_code_files_or_a_network() {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _files) = resolve.push_dir(wit).unwrap();
    let interfaces: BTreeSet<&str> =
        resolve.packages[package].interfaces.keys().map(String::as_str).collect();
    let known = [
        "declassify",
        "documents",
        "guest",
        "host",
        "model",
        "panel",
        "settings",
        "storage",
        "types",
        "values",
    ];
    assert_eq!(
        interfaces,
        BTreeSet::from(known),
        "a new interface needs a new line here, and a reason"
    );
    let mut functions = 0;
    for (name, id) in &resolve.packages[package].interfaces {
        for (function, definition) in &resolve.interfaces[*id].functions {
            functions += 1;
            for word in [
                "http", "socket", "url", "fetch", "send", "connect", "load", "eval", "exec",
                "file", "path", "now", "sleep", "random",
            ] {
                let parts: Vec<&str> = function.split(['.', '-', ']']).collect();
                assert!(!parts.contains(&word), "{name}.{function}");
            }
            // No code comes as a value: bytes are a plugin's own storage alone.
            for param in &definition.params {
                let bytes = matches!(param.ty, Type::Id(id) if matches!(resolve.types[id].kind, TypeDefKind::List(Type::U8)));
                assert!(!bytes || name == "storage", "{name}.{function}");
            }
        }
    }
    assert!(functions > 25, "{functions}");
}

#[test]
fn a_network_cannot_even_be_asked_for() {
    let words =
        ["network", "net", "http", "https", "sockets", "internet", "url", "fetch", "dns", "web"];
    for word in words {
        let power: Result<Capability, _> = serde_json::from_value(serde_json::json!(word));
        assert!(power.is_err(), "{word}");
        for manifest in [
            format!("{MANIFEST}\ncapabilities = {{ {word} = true }}"),
            format!("{MANIFEST}\ndeclassify = {{ {word} = true }}"),
            format!("{word} = true\n{MANIFEST}"),
            format!("{word} = [\"example.org\"]\n{MANIFEST}"),
        ] {
            assert!(Manifest::parse(manifest.as_bytes()).is_err(), "{manifest}");
        }
    }
    // These are all the powers there are; none of them leads out of the machine.
    let all = r#"
        id = "org.example.all"
        name = "All"
        version = "1.0.0"
        api = "0.1"
        slots = [{ id = "a", kind = "any", why = "all" }]
        capabilities = { model = true, personal-model = true, pick = true, search = true, save = true, storage-kib = 64 }
        declassify = { choice-bits-per-day = 32, text = true }
    "#;
    let powers: Vec<String> = Manifest::parse(all.as_bytes())
        .unwrap()
        .requested()
        .iter()
        .map(|power| serde_json::to_value(power).unwrap().as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        powers,
        [
            "model",
            "personal-model",
            "documents-read",
            "documents-search",
            "documents-save",
            "panel",
            "storage",
            "reveal-choice",
            "reveal-text"
        ]
    );
}
