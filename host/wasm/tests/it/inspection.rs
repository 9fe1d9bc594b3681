//! What a component is allowed to be.

use std::sync::LazyLock;

use hearth_wasm::{InspectError, MAX_COMPONENT_BYTES, component_hash, inspect};
use proptest::prelude::*;
use wasm_encoder::{ComponentSection, ComponentSectionId, RawSection};
use wit_component::StringEncoding;

use crate::guest::{Guest, MANIFEST, QUIET, with_manifest};

const LEARNS: Guest = Guest {
    imports: r#"(import "hearth:plugin/declassify@0.1.0" "remaining" (func $remaining (result i32)))"#,
    run: "(drop (call $remaining))",
    ..QUIET
};

#[test]
fn a_sound_component_is_described() {
    let component = QUIET.component();
    let seen = inspect(&component).unwrap();
    assert_eq!(seen.manifest.id.as_str(), "org.example.test");
    assert!(seen.sealed);
    assert!(seen.imports.iter().all(|name| name.starts_with("hearth:plugin/")), "{seen:?}");
    assert_eq!(seen.component_hash, component_hash(&component));
    assert_eq!(seen.size_bytes, component.len() as u64);
}

#[test]
fn what_is_no_component_is_refused() {
    assert_eq!(inspect(b""), Err(InspectError::NotAComponent));
    assert_eq!(inspect(b"#!/bin/sh"), Err(InspectError::NotAComponent));
    assert_eq!(inspect(&QUIET.module()), Err(InspectError::NotAComponent));
    let huge = vec![0; MAX_COMPONENT_BYTES + 1];
    assert!(matches!(inspect(&huge), Err(InspectError::TooLarge { .. })));
}

#[test]
fn there_is_one_manifest() {
    let bare = QUIET.bare(StringEncoding::UTF8);
    assert_eq!(inspect(&bare), Err(InspectError::NoManifest));
    let twice = with_manifest(with_manifest(bare.clone(), MANIFEST), MANIFEST);
    assert_eq!(inspect(&twice), Err(InspectError::TwoManifests));
    // Nor is one hidden further in.
    let mut hides = bare.clone();
    let inner = with_manifest(wat::parse_str("(component)").unwrap(), MANIFEST);
    RawSection { id: ComponentSectionId::Component.into(), data: &inner }
        .append_to_component(&mut hides);
    assert_eq!(inspect(&hides), Err(InspectError::TwoManifests));
    assert_eq!(inspect(&with_manifest(hides, MANIFEST)), Err(InspectError::TwoManifests));
    let long = format!("{MANIFEST}\n#{}", "x".repeat(17 << 10));
    assert!(matches!(inspect(&with_manifest(bare.clone(), &long)), Err(InspectError::Manifest(_))));
    let unknown = MANIFEST.replace("version", "verzion");
    assert!(matches!(inspect(&with_manifest(bare, &unknown)), Err(InspectError::Manifest(_))));
}

#[test]
fn foreign_imports_are_refused_by_name() {
    let import = |name: &str| {
        let text = format!(r#"(component (import "{name}" (instance)))"#);
        inspect(&with_manifest(wat::parse_str(text).unwrap(), MANIFEST))
    };
    for name in [
        "wasi:cli/environment@0.2.0",
        "hearth:plugin/network@0.1.0",
        "hearth:plugin/values",
        "hearth:plugin/values@0.2.0",
        "hearth:pluginx/values@0.1.0",
        "values",
    ] {
        assert_eq!(import(name), Err(InspectError::ForeignImport { name: name.into() }), "{name}");
    }
    let newer = "hearth:plugin/values@0.1.9";
    assert_eq!(import(newer), Err(InspectError::NewerInterface { name: newer.into() }));
    assert_eq!(import("hearth:plugin/values@0.1.0"), Err(InspectError::NoGuest));
}

#[test]
fn declassify_must_be_declared() {
    let bare = LEARNS.bare(StringEncoding::UTF8);
    let silent = inspect(&with_manifest(bare.clone(), MANIFEST));
    assert_eq!(silent, Err(InspectError::UndeclaredDeclassify));
    let declared = format!("{MANIFEST}\ndeclassify = {{ choice-bits-per-day = 4 }}");
    assert!(!inspect(&with_manifest(bare, &declared)).unwrap().sealed);
    // A plugin may declare what its binary cannot do.
    assert!(inspect(&with_manifest(QUIET.bare(StringEncoding::UTF8), &declared)).unwrap().sealed);
}

#[test]
fn strings_are_utf8() {
    // An encoding is named where a string crosses, so the guest has to import something with one.
    let logs = Guest {
        imports: r#"(import "hearth:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        run: "(call $log (i32.const 0) (i32.const 0) (i32.const 0))",
        ..QUIET
    };
    let component = with_manifest(logs.bare(StringEncoding::UTF16), MANIFEST);
    assert!(matches!(inspect(&component), Err(InspectError::NotAllowed { .. })));
    assert!(inspect(&logs.component()).is_ok());
}

#[test]
fn parts_are_counted() {
    let many = |start: &str, part: &str, count: usize| {
        let text = format!("(component {start} {})", part.repeat(count));
        inspect(&with_manifest(wat::parse_str(text).unwrap(), MANIFEST))
    };
    for (start, part, limit, what) in [
        ("", "(core module)", 64, "core modules"),
        ("", "(component)", 256, "nested components"),
        ("(core module $m)", "(core instance (instantiate $m))", 160, "core instances"),
        ("(component $c)", "(instance (instantiate $c))", 64, "component instances"),
        ("", "(type (list u8))", 20_000, "types and aliases"),
    ] {
        assert_eq!(many(start, part, limit), Err(InspectError::NoGuest), "{what}");
        let limit = u32::try_from(limit).unwrap();
        let over = many(start, part, limit as usize + 1);
        assert_eq!(over, Err(InspectError::TooMany { what, limit }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_mutation_panics(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| LEARNS.component());
        let mut component = GOOD.clone();
        for (place, byte) in edits {
            let place = place.index(component.len());
            component[place] = byte;
        }
        inspect(&component).ok();
        inspect(&component[..cut.index(component.len())]).ok();
    }
}
