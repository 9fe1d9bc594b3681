//! Makes one plugin file of a core module and a manifest.

use std::borrow::Cow;

use hearth_base::{MANIFEST_SECTION, Manifest, ManifestError};
use hearth_wasm::{InspectError, Inspection};
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::ComponentEncoder;

/// Why a plugin could not be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The manifest is refused.
    #[error("plugin.toml: {0}")]
    Manifest(#[from] ManifestError),
    /// The module was not built with the plugin SDK.
    #[error("the module is no plugin: {reason}")]
    Module {
        /// What wit-component says.
        reason: String,
    },
    /// Hearth would not install the result.
    #[error("Hearth would refuse it: {0}")]
    Refused(#[from] InspectError),
}

/// Wraps a core module built with the SDK as a component, puts the manifest inside, and inspects the result as Hearth will
/// at installation.
///
/// # Errors
/// [`PackError`] says what does not fit.
pub fn pack_component(module: &[u8], manifest: &str) -> Result<(Vec<u8>, Inspection), PackError> {
    Manifest::parse(manifest.as_bytes())?;
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| PackError::Module { reason: format!("{error:#}") })?;
    let section = CustomSection {
        name: Cow::Borrowed(MANIFEST_SECTION),
        data: Cow::Borrowed(manifest.as_bytes()),
    };
    section.append_to_component(&mut component);
    let inspection = hearth_wasm::inspect(&component)?;
    Ok((component, inspection))
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
    fn a_module_without_the_sdk_is_refused() {
        let bare = b"\0asm\x01\0\0\0";
        assert!(pack_component(bare, MANIFEST).is_err());
        assert!(matches!(pack_component(b"text", MANIFEST), Err(PackError::Module { .. })));
    }

    #[test]
    fn a_bad_manifest_is_named_before_anything_is_built() {
        let manifest = MANIFEST.replace("1.0.0", "one");
        assert!(matches!(pack_component(b"", &manifest), Err(PackError::Manifest(_))));
    }
}
