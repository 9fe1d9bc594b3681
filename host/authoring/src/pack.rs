//! Makes one plugin file of what a language's tools built and a manifest.

use std::borrow::Cow;

use hearth_base::{MANIFEST_SECTION, Manifest, ManifestError};
use hearth_wasm::{InspectError, Inspection};
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

/// Why a plugin could not be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The manifest is refused.
    #[error("plugin.toml: {0}")]
    Manifest(#[from] ManifestError),
    /// The module was not built against the plugin interface.
    #[error("the module is no plugin: {reason}")]
    Module {
        /// What wit-component says.
        reason: String,
    },
    /// Packed already.
    #[error("it holds a manifest already; pack what the compiler built, not a packed plugin")]
    Packed,
    /// Hearth would not install the result.
    #[error("Hearth would refuse it: {0}")]
    Refused(#[from] InspectError),
}

/// Makes a plugin of a core module or a component: wraps a module as a component, in which only the interfaces that the
/// module calls are imported; puts the manifest inside; inspects the result as Hearth will at installation.
///
/// # Errors
/// [`PackError`] says what does not fit.
pub fn pack_component(built: &[u8], manifest: &str) -> Result<(Vec<u8>, Inspection), PackError> {
    Manifest::parse(manifest.as_bytes())?;
    let mut component = if Parser::is_component(built) {
        if has_manifest(built) {
            return Err(PackError::Packed);
        }
        built.to_vec()
    } else {
        wrapped(built)?
    };
    let section = CustomSection {
        name: Cow::Borrowed(MANIFEST_SECTION),
        data: Cow::Borrowed(manifest.as_bytes()),
    };
    section.append_to_component(&mut component);
    let inspection = hearth_wasm::inspect(&component)?;
    Ok((component, inspection))
}

fn wrapped(module: &[u8]) -> Result<Vec<u8>, PackError> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| PackError::Module { reason: format!("{error:#}") })
}

/// Whether the outermost component has a manifest. What is malformed is the inspection's to name.
fn has_manifest(component: &[u8]) -> bool {
    let mut depth = 0;
    Parser::new(0).parse_all(component).map_while(Result::ok).any(|payload| {
        match &payload {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) => {
                return depth == 1 && section.name() == MANIFEST_SECTION;
            }
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        id = "org.example.empty"
        name = "Empty"
        version = "1.0.0"
        api = "0.1"
    "#;

    #[test]
    fn a_module_without_the_interface_is_refused() {
        let bare = b"\0asm\x01\0\0\0";
        assert!(pack_component(bare, MANIFEST).is_err());
        assert!(matches!(pack_component(b"text", MANIFEST), Err(PackError::Module { .. })));
    }

    #[test]
    fn a_bad_manifest_is_named_before_anything_is_built() {
        let manifest = MANIFEST.replace("1.0.0", "one");
        assert!(matches!(pack_component(b"", &manifest), Err(PackError::Manifest(_))));
    }

    #[test]
    fn a_component_is_taken_as_it_is_and_packed_once() {
        let bare = wat::parse_str("(component)").unwrap();
        let refused = pack_component(&bare, MANIFEST);
        assert!(matches!(refused, Err(PackError::Refused(InspectError::NoGuest))), "{refused:?}");
        let section = "(component (@custom \"hearth:manifest\" \"id = 1\"))";
        let packed = wat::parse_str(section).unwrap();
        assert!(matches!(pack_component(&packed, MANIFEST), Err(PackError::Packed)));
    }
}
