//! What the user names: a place in an OCI registry, or a plugin in an index.

use std::{fmt, str::FromStr};

use crate::{FetchError, error::shown};

const MAX_BYTES: usize = 512;

/// Where to fetch a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// In an OCI registry.
    Oci(OciReference),
    /// By a static index.
    Index(IndexReference),
}

/// `oci://host[:port]/name[:tag]` or `oci://host[:port]/name@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciReference {
    /// The registry's host, with its port if one is named.
    pub host: String,
    /// The name in it.
    pub name: String,
    /// The tag, or a digest as `sha256:…`.
    pub which: String,
}

/// `https://…/index.json[#id[@version]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexReference {
    /// The index.
    pub url: String,
    /// The plugin; needed where the index lists several.
    pub plugin: Option<String>,
    /// The version; the highest if none is named.
    pub version: Option<String>,
}

impl Reference {
    /// Whether a text is meant to be one, rather than a path.
    pub fn is_meant(text: &str) -> bool {
        ["oci://", "https://", "http://"].iter().any(|scheme| text.starts_with(scheme))
    }
}

impl FromStr for Reference {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Self, FetchError> {
        let refuse = |reason| FetchError::Reference { text: shown(text), reason };
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("it is too long, or holds what no address does"));
        }
        if let Some(rest) = text.strip_prefix("oci://") {
            return oci(rest).map(Self::Oci).map_err(refuse);
        }
        if !Self::is_meant(text) {
            return Err(refuse("it begins with oci:// or https://"));
        }
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        if !url.ends_with(".json") {
            return Err(refuse("an index is a .json file"));
        }
        let (plugin, version) = match fragment.split_once('@') {
            Some((plugin, version)) => (plugin, Some(version.to_owned())),
            None => (fragment, None),
        };
        let plugin = (!plugin.is_empty()).then(|| plugin.to_owned());
        Ok(Self::Index(IndexReference { url: url.to_owned(), plugin, version }))
    }
}

fn oci(rest: &str) -> Result<OciReference, &'static str> {
    let (host, path) = rest.split_once('/').ok_or("it names no plugin in the registry")?;
    let (name, which) = match path.split_once('@') {
        Some((name, digest)) => {
            let hex = digest.strip_prefix("sha256:").ok_or("a digest begins with sha256:")?;
            if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err("a digest is sha256: and 64 characters of hex");
            }
            (name, digest)
        }
        None => path.rsplit_once(':').unwrap_or((path, "latest")),
    };
    let plain = |text: &str, also: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
    };
    if !plain(host, b".-:[]") {
        return Err("its host is none");
    }
    if !name.split('/').all(|part| plain(part, b"._-") && !part.starts_with('.')) {
        return Err("its name is none that a registry has");
    }
    if !plain(which, b"._-:") || which.len() > 128 {
        return Err("its tag is none that a registry has");
    }
    Ok(OciReference { host: host.to_owned(), name: name.to_owned(), which: which.to_owned() })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci(OciReference { host, name, which }) => {
                let mark = if which.contains(':') { '@' } else { ':' };
                write!(f, "oci://{host}/{name}{mark}{which}")
            }
            Self::Index(IndexReference { url, plugin, version }) => {
                write!(f, "{url}")?;
                if plugin.is_some() || version.is_some() {
                    write!(f, "#{}", plugin.as_deref().unwrap_or_default())?;
                }
                version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_read_and_written() {
        for text in [
            "oci://ghcr.io/example/mail-digest:1.2.0",
            "oci://localhost:5000/digest:latest",
            "https://plugins.example.org/index.json",
            "https://plugins.example.org/index.json#org.example.digest",
            "http://127.0.0.1:8080/index.json#org.example.digest@1.2.0",
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        let digest = format!("oci://ghcr.io/a/b@sha256:{}", "0a".repeat(32));
        assert_eq!(digest.parse::<Reference>().unwrap().to_string(), digest);
        let Reference::Oci(bare) = "oci://ghcr.io/a/b".parse().unwrap() else { panic!("not OCI") };
        assert_eq!(bare.which, "latest");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "oci://ghcr.io",
            "oci:///name:tag",
            "oci://ghcr.io/../name:tag",
            "oci://ghcr.io/a//b:tag",
            "oci://user@ghcr.io/a:tag",
            "oci://ghcr.io/a@md5:00",
            "oci://ghcr.io/a@sha256:00",
            "oci://ghcr.io/a?x:tag",
            "https://example.org/plugin.wasm",
            "ftp://example.org/index.json",
            "file:///etc/index.json",
            "https://example.org/in dex.json",
            "https://example.org/\u{430}.json",
            "plugin.wasm",
        ] {
            assert!(
                matches!(text.parse::<Reference>(), Err(FetchError::Reference { .. })),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_reference_or_an_error(text in "(oci://|https://)?\\PC{0,80}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference));
            }
        }
    }
}
