//! Static indices: one JSON file that lists plugins, on any web server.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{
    Digest, FetchError, Fetched, Limits, Offer, Progress,
    error::shown,
    http::{Http, Question, quietly},
    reference::IndexReference,
};

const MAX_INDEX_BYTES: usize = 4 << 20;
const MAX_ENTRIES: usize = 20_000;

/// ```json
/// {"hearth_index": 1, "plugins": [
///   {"id": "org.example.digest", "version": "1.2.0", "url": "digest-1.2.0.wasm", "blake3": "…", "signature": "…"}
/// ]}
/// ```
#[derive(Deserialize)]
struct Index {
    hearth_index: u32,
    plugins: Vec<Entry>,
}

#[derive(Clone, Deserialize)]
struct Entry {
    id: String,
    version: String,
    /// Absolute, or a path below the index.
    url: String,
    /// Of the component, in hex.
    blake3: String,
    /// What minisign wrote, as it is.
    #[serde(default)]
    signature: Option<String>,
}

pub(crate) fn fetch(
    http: &Http,
    limits: Limits,
    reference: &IndexReference,
    progress: Progress<'_>,
) -> Result<Fetched, FetchError> {
    let entry = entry(http, reference)?;
    let url = absolute(&reference.url, &entry.url)?;
    if entry.signature.as_ref().is_some_and(|text| text.len() > limits.signature_bytes) {
        let reason = "the signature it lists is too long".to_owned();
        return Err(FetchError::Malformed { url: shown(&reference.url), reason });
    }
    let question = Question {
        url: &url,
        accept: "application/wasm, */*",
        token: None,
        limit_bytes: limits.component_bytes,
    };
    let component = http.get(question, progress)?;
    if !Digest::Blake3(entry.blake3.to_ascii_lowercase()).fits(&component) {
        return Err(FetchError::Digest { url: shown(&url) });
    }
    Ok(Fetched { component, signature: entry.signature })
}

pub(crate) fn offer(http: &Http, reference: &IndexReference) -> Result<Offer, FetchError> {
    let Entry { version, blake3, .. } = entry(http, reference)?;
    let digest = Digest::Blake3(blake3.to_ascii_lowercase());
    Ok(Offer { version: Some(shown(&version)), digest })
}

/// The entry that a reference means.
fn entry(http: &Http, reference: &IndexReference) -> Result<Entry, FetchError> {
    let url = &reference.url;
    let malformed = |reason: String| FetchError::Malformed { url: shown(url), reason };
    let question =
        Question { url, accept: "application/json", token: None, limit_bytes: MAX_INDEX_BYTES };
    let bytes = http.get(question, &mut quietly())?;
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|error| malformed(shown(&error.to_string())))?;
    if index.hearth_index != 1 || index.plugins.len() > MAX_ENTRIES {
        return Err(malformed("it is of another form, or too long".to_owned()));
    }
    let wanted = match &reference.plugin {
        Some(plugin) => plugin.clone(),
        None => {
            let ids: BTreeSet<&str> = index.plugins.iter().map(|entry| entry.id.as_str()).collect();
            match ids.into_iter().collect::<Vec<_>>().as_slice() {
                [one] => (*one).to_owned(),
                _ => {
                    let what = "one plugin alone; name the one you want after a #".to_owned();
                    return Err(FetchError::NotListed { url: shown(url), what });
                }
            }
        }
    };
    let fits = |entry: &&Entry| {
        entry.id == wanted && reference.version.as_ref().is_none_or(|v| *v == entry.version)
    };
    index
        .plugins
        .iter()
        .filter(fits)
        .max_by_key(|entry| numbers(&entry.version))
        .cloned()
        .ok_or_else(|| FetchError::NotListed {
            url: shown(url),
            what: match &reference.version {
                Some(version) => format!("version {} of {}", shown(version), shown(&wanted)),
                None => shown(&wanted),
            },
        })
}

/// An entry's address: absolute, or below the folder of its index.
fn absolute(index: &str, entry: &str) -> Result<String, FetchError> {
    if entry.contains("://") {
        return Ok(entry.to_owned());
    }
    let plain = entry.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    if entry.is_empty() || !plain || entry.split('/').any(|part| part.is_empty() || part == "..") {
        return Err(FetchError::NotAllowed { url: shown(entry) });
    }
    let folder = index.rsplit_once('/').map_or(index, |(folder, _)| folder);
    Ok(format!("{folder}/{entry}"))
}

fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_lie_below_their_index_or_say_where() {
        let index = "https://example.org/plugins/index.json";
        for (entry, url) in [
            ("a.wasm", "https://example.org/plugins/a.wasm"),
            ("x/a-1.0.0.wasm", "https://example.org/plugins/x/a-1.0.0.wasm"),
            ("https://cdn.example.org/a.wasm", "https://cdn.example.org/a.wasm"),
        ] {
            assert_eq!(absolute(index, entry).unwrap(), url);
        }
        for entry in
            ["", "/a.wasm", "../a.wasm", "x/../../a.wasm", "//evil/a.wasm", "a?b", "a b", "x\\a"]
        {
            assert!(absolute(index, entry).is_err(), "{entry}");
        }
    }
}
