//! What a component is: read from its bytes, before any of them is compiled or run.

use std::collections::BTreeSet;

use hearth_base::{MANIFEST_SECTION, Manifest, ManifestError};
use wasmparser::{CanonicalFunction, CanonicalOption, Encoding, Parser, Payload, WasmFeatures};

mod bodies;

use crate::is_of_one_script;

/// Longest component.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;
/// Most core modules in one component; a Python guest has 38.
const MAX_MODULES: u32 = 64;
/// Most components nested in one.
const MAX_NESTED: u32 = 256;
/// Most core instances; a Python guest has 115. A runner makes no more than these either.
const MAX_INSTANCES: u32 = 160;
/// Most instances of components; guests have two or three.
const MAX_COMPONENT_INSTANCES: u32 = 64;
/// Most types, aliases and canonical functions of the component's own; a Python guest has 1,720.
const MAX_DEFINITIONS: u32 = 20_000;
/// The interface package and the version of it this host speaks.
const PACKAGE: &str = "hearth:plugin/";
const LINE: &str = "0.1.";
const PATCH: u32 = 0;
/// Interfaces of the package.
const INTERFACES: [&str; 9] =
    ["types", "values", "documents", "model", "panel", "storage", "settings", "host", "declassify"];

/// What a component says of itself, and what its binary shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The publisher's claims.
    pub manifest: Manifest,
    /// The component's imports by their full names, sorted.
    pub imports: Vec<String>,
    /// The interfaces it imports, such as `model`, sorted.
    pub interfaces: BTreeSet<String>,
    /// It has no way to learn a private value: it does not import `declassify`. A fact, not a claim.
    pub sealed: bool,
    /// BLAKE3 of the component, in hex.
    pub component_hash: String,
    /// Its length.
    pub size_bytes: u64,
}

/// Why a component was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Over [`MAX_COMPONENT_BYTES`].
    #[error("the plugin is {got_bytes} bytes; at most {limit_bytes} are allowed")]
    TooLarge {
        /// Its length.
        got_bytes: usize,
        /// Longest allowed.
        limit_bytes: usize,
    },
    /// A core module, or no wasm at all.
    #[error("this is not a WebAssembly component; build plugins with `hearth plugin build`")]
    NotAComponent,
    /// Wasm that is broken, or uses what plugins may not use.
    #[error("the component is malformed at byte {offset}: {reason}")]
    Malformed {
        /// Where.
        offset: u64,
        /// The validator's words.
        reason: String,
    },
    /// Too many parts.
    #[error("the component has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Most allowed.
        limit: u32,
    },
    /// A part of the canonical ABI plugins may not use.
    #[error("the component uses {what}, which plugins may not")]
    NotAllowed {
        /// What.
        what: &'static str,
    },
    /// An import that is no plugin interface.
    #[error("the component imports `{name}`; a plugin may import {PACKAGE}* {LINE}{PATCH} only")]
    ForeignImport {
        /// The import, escaped and shortened.
        name: String,
    },
    /// Built for a later version of the interface.
    #[error(
        "the component needs `{name}`; this version of Hearth has {LINE}{PATCH}, a newer one may run it"
    )]
    NewerInterface {
        /// The import, escaped and shortened.
        name: String,
    },
    /// Nothing to call.
    #[error("the component does not export {PACKAGE}guest@{LINE}{PATCH}")]
    NoGuest,
    /// No manifest inside.
    #[error("the component carries no manifest; build plugins with `hearth plugin build`")]
    NoManifest,
    /// Several manifests inside.
    #[error("the component carries more than one manifest")]
    TwoManifests,
    /// A manifest that was refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The binary can ask to learn private values and its manifest says nothing of it.
    #[error("the component imports declassify, and its manifest declares nothing to reveal")]
    UndeclaredDeclassify,
}

/// The name a component goes by: BLAKE3 of its bytes, in hex.
pub fn component_hash(component: &[u8]) -> String {
    blake3::hash(component).to_hex().to_string()
}

/// Checks an untrusted component against the profile of plugins.
///
/// # Errors
/// [`InspectError`] says what is wrong with it.
pub fn inspect(component: &[u8]) -> Result<Inspection, InspectError> {
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(InspectError::TooLarge {
            got_bytes: component.len(),
            limit_bytes: MAX_COMPONENT_BYTES,
        });
    }
    if !Parser::is_component(component) {
        return Err(InspectError::NotAComponent);
    }
    let found = Found::read(component)?;
    let manifest = Manifest::parse(found.manifest.ok_or(InspectError::NoManifest)?)?;
    if !is_of_one_script(&manifest.name) {
        let reason = "its letters are of several scripts, as names that pose as others are".into();
        return Err(ManifestError::Field { field: "name", reason }.into());
    }
    if !found.exports_guest {
        return Err(InspectError::NoGuest);
    }
    // Last, since it is the slowest: everything it reads was counted before.
    bodies::validate(component)?;
    let interfaces: BTreeSet<String> = found.interfaces;
    let sealed = !interfaces.contains("declassify");
    if !sealed && manifest.claims_sealed() {
        return Err(InspectError::UndeclaredDeclassify);
    }
    Ok(Inspection {
        manifest,
        imports: found.imports.into_iter().collect(),
        interfaces,
        sealed,
        component_hash: component_hash(component),
        size_bytes: component.len() as u64,
    })
}

/// What the sections show.
#[derive(Default)]
struct Found<'a> {
    manifest: Option<&'a [u8]>,
    imports: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    exports_guest: bool,
    modules: u32,
    nested: u32,
    instances: u32,
    component_instances: u32,
    definitions: u32,
}

impl<'a> Found<'a> {
    fn read(component: &'a [u8]) -> Result<Self, InspectError> {
        let mut found = Self::default();
        // Nesting is a stack of encodings; the outermost is the component itself.
        let mut open: Vec<Encoding> = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { encoding, .. } => open.push(encoding),
                Payload::End(_) => {
                    open.pop();
                }
                payload => found.take(payload, open.len() == 1)?,
            }
        }
        Ok(found)
    }

    fn take(&mut self, payload: Payload<'a>, outermost: bool) -> Result<(), InspectError> {
        match payload {
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                if self.manifest.is_some() || !outermost {
                    return Err(InspectError::TwoManifests);
                }
                self.manifest = Some(section.data());
            }
            Payload::ModuleSection { .. } => {
                self.modules += 1;
                at_most(self.modules, MAX_MODULES, "core modules")?;
            }
            Payload::ComponentSection { .. } => {
                self.nested += 1;
                at_most(self.nested, MAX_NESTED, "nested components")?;
            }
            Payload::InstanceSection(section) => {
                self.instances = self.instances.saturating_add(section.count());
                at_most(self.instances, MAX_INSTANCES, "core instances")?;
            }
            Payload::ComponentInstanceSection(section) => {
                self.component_instances = self.component_instances.saturating_add(section.count());
                at_most(self.component_instances, MAX_COMPONENT_INSTANCES, "component instances")?;
            }
            Payload::ComponentTypeSection(section) => self.define(section.count())?,
            Payload::CoreTypeSection(section) => self.define(section.count())?,
            Payload::ComponentAliasSection(section) => self.define(section.count())?,
            Payload::ComponentCanonicalSection(section) => {
                self.define(section.count())?;
                for function in section {
                    check_canonical(&function?)?;
                }
            }
            Payload::ComponentStartSection { .. } => {
                return Err(InspectError::NotAllowed { what: "a component start function" });
            }
            Payload::ComponentImportSection(section) if outermost => {
                for import in section {
                    self.take_import(import?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if outermost => {
                for export in section {
                    self.exports_guest |= interface_of(export?.name.name)? == Some("guest");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn define(&mut self, count: u32) -> Result<(), InspectError> {
        self.definitions = self.definitions.saturating_add(count);
        at_most(self.definitions, MAX_DEFINITIONS, "types and aliases")
    }

    fn take_import(&mut self, name: &str) -> Result<(), InspectError> {
        match interface_of(name)? {
            Some(interface) if INTERFACES.contains(&interface) => {
                self.interfaces.insert(interface.to_owned());
                self.imports.insert(name.to_owned());
                Ok(())
            }
            _ => Err(InspectError::ForeignImport { name: shown(name) }),
        }
    }
}

/// The interface a full name speaks of, if it is one of ours.
fn interface_of(name: &str) -> Result<Option<&str>, InspectError> {
    let Some((interface, version)) =
        name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@'))
    else {
        return Ok(None);
    };
    match version.strip_prefix(LINE).and_then(|patch| patch.parse::<u32>().ok()) {
        Some(patch) if (..=PATCH).contains(&patch) => Ok(Some(interface)),
        Some(_) => Err(InspectError::NewerInterface { name: shown(name) }),
        None => Ok(None),
    }
}

fn check_canonical(function: &CanonicalFunction) -> Result<(), InspectError> {
    let options = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => return Ok(()),
        _ => return Err(InspectError::NotAllowed { what: "asynchronous built-ins" }),
    };
    for option in options {
        match option {
            CanonicalOption::UTF8
            | CanonicalOption::Memory(_)
            | CanonicalOption::Realloc(_)
            | CanonicalOption::PostReturn(_) => {}
            CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => {
                return Err(InspectError::NotAllowed { what: "strings other than UTF-8" });
            }
            _ => return Err(InspectError::NotAllowed { what: "asynchronous calls" }),
        }
    }
    Ok(())
}

/// What the engine of the runner is set to, in the validator's terms.
fn allowed_features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::BULK_MEMORY_OPT
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
}

fn at_most(count: u32, limit: u32, what: &'static str) -> Result<(), InspectError> {
    if count > limit { Err(InspectError::TooMany { what, limit }) } else { Ok(()) }
}

/// A stranger's name, safe to show.
fn shown(name: &str) -> String {
    name.escape_debug().take(120).collect()
}

impl From<wasmparser::BinaryReaderError> for InspectError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Malformed { offset: error.offset() as u64, reason: shown(error.message()) }
    }
}
