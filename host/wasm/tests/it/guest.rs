//! Guests written as text.

use std::path::Path;

use hearth_base::MANIFEST_SECTION;
use wasm_encoder::{
    ComponentExportKind, ComponentInstanceSection, ComponentSection, ComponentSectionId,
    CustomSection, RawSection,
};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

pub(crate) const MANIFEST: &str = r#"
    id = "org.example.test"
    name = "Test"
    version = "1.0.0"
    api = "0.1"
    commands = [{ id = "go", title = "Go" }]
"#;

/// A core module whose `run` does what the text says and then succeeds.
#[derive(Clone, Copy)]
pub(crate) struct Guest {
    pub(crate) imports: &'static str,
    pub(crate) functions: &'static str,
    pub(crate) pages: u32,
    pub(crate) run: &'static str,
}

pub(crate) const QUIET: Guest = Guest { imports: "", functions: "", pages: 1, run: "" };

impl Guest {
    pub(crate) fn module(&self) -> Vec<u8> {
        let Self { imports, functions, pages, run } = self;
        let text = format!(
            r#"(module
                {imports}
                (memory (export "memory") {pages})
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
                {functions}
                (func (export "hearth:plugin/guest@0.1.0#run")
                    (param i32 i32 i32 i32 i32 i32) (result i32) {run} (i32.const 16))
                (func (export "hearth:plugin/guest@0.1.0#on-event")
                    (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16))
                (func (export "hearth:plugin/guest@0.1.0#migrate")
                    (param i32 i32) (result i32) (i32.const 16)))"#
        );
        wat::parse_str(text).unwrap()
    }

    /// A component without a manifest.
    pub(crate) fn bare(&self, strings: StringEncoding) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let (package, _files) = resolve.push_dir(wit).unwrap();
        let world = resolve.select_world(&[package], Some("plugin")).unwrap();
        let mut module = self.module();
        embed_component_metadata(&mut module, &resolve, world, strings).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        with_manifest(self.bare(StringEncoding::UTF8), MANIFEST)
    }
}

/// A component of modules with a memory each, instantiated so many times beside a plugin.
pub(crate) struct NestedComponent {
    pub(crate) memories: usize,
    pub(crate) instances: u32,
    pub(crate) pages: u32,
}

impl NestedComponent {
    /// Put behind a quiet plugin's own parts; all of it is instantiated when the plugin is.
    pub(crate) fn in_front_of_quiet(&self) -> Vec<u8> {
        let mut plugin = QUIET.bare(StringEncoding::UTF8);
        let of_its_own = Parser::new(0)
            .parse_all(&plugin)
            .filter(|payload| matches!(payload, Ok(Payload::ComponentSection { .. })));
        let index = u32::try_from(of_its_own.count()).unwrap();
        let module = match self.pages {
            0 => "(core module $m)".to_owned(),
            pages => format!("(core module $m (memory {pages}))"),
        };
        let text = format!(
            "(component {module} {})",
            "(core instance (instantiate $m))".repeat(self.memories)
        );
        let nested = wat::parse_str(text).unwrap();
        RawSection { id: ComponentSectionId::Component.into(), data: &nested }
            .append_to_component(&mut plugin);
        let mut instances = ComponentInstanceSection::new();
        for _ in 0..self.instances {
            let none: [(&str, ComponentExportKind, u32); 0] = [];
            instances.instantiate(index, none);
        }
        instances.append_to_component(&mut plugin);
        with_manifest(plugin, MANIFEST)
    }
}

pub(crate) fn with_manifest(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let section = CustomSection { name: MANIFEST_SECTION.into(), data: manifest.as_bytes().into() };
    section.append_to_component(&mut component);
    component
}
