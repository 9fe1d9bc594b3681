//! OCI registries: a manifest whose layer of type `application/wasm` is the component. Its signature is a second layer, or
//! a manifest that refers to this one.

use serde::Deserialize;

use crate::{
    Digest, FetchError, Fetched, Limits, Offer, Progress,
    error::shown,
    http::{Http, Question, is_local, quietly},
    reference::OciReference,
    sha256,
};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const WASM_TYPE: &str = "application/wasm";
/// Of a signature's layer, and of what refers to a component's manifest with one.
const SIGNATURE_TYPE: &str = "application/vnd.hearth.minisig.v1";
const VERSION_ANNOTATION: &str = "org.opencontainers.image.version";
const MAX_MANIFEST_BYTES: usize = 1 << 20;
const MAX_TOKEN_BYTES: usize = 64 << 10;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
}

/// The answer to "what refers to this".
#[derive(Deserialize)]
struct Referrers {
    #[serde(default)]
    manifests: Vec<Referrer>,
}

#[derive(Deserialize)]
struct Referrer {
    #[serde(rename = "artifactType", default)]
    artifact_type: String,
    digest: String,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

pub(crate) fn fetch(
    http: &Http,
    limits: Limits,
    reference: &OciReference,
    progress: Progress<'_>,
) -> Result<Fetched, FetchError> {
    let mut place = Place::new(http, reference);
    let (manifest, digest) = place.manifest(&reference.which)?;
    let layer = place.component(&manifest, limits)?;
    let component = place.blob(layer, limits.component_bytes, progress)?;
    let signature = match manifest.layers.iter().find(|layer| layer.media_type == SIGNATURE_TYPE) {
        Some(layer) => Some(place.signature(layer, limits)?),
        None => place.referring_signature(&digest, limits)?,
    };
    Ok(Fetched { component, signature })
}

pub(crate) fn offer(
    http: &Http,
    limits: Limits,
    reference: &OciReference,
) -> Result<Offer, FetchError> {
    let mut place = Place::new(http, reference);
    let (manifest, _) = place.manifest(&reference.which)?;
    let digest = place.component(&manifest, limits)?.sha256();
    let version = manifest.annotations.get(VERSION_ANNOTATION).map(|version| shown(version));
    Ok(Offer { version, digest: Digest::Sha256(digest.to_owned()) })
}

impl Layer {
    fn sha256(&self) -> &str {
        self.digest.strip_prefix("sha256:").unwrap_or_default()
    }
}

/// A name in a registry.
struct Place<'a> {
    http: &'a Http,
    base: String,
    /// What a public registry gives anybody who asks.
    token: Option<String>,
}

impl<'a> Place<'a> {
    fn new(http: &'a Http, reference: &OciReference) -> Self {
        let OciReference { host, name, .. } = reference;
        // A port is no part of the name; an address in brackets ends with them.
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
            _ => host,
        };
        let scheme = if is_local(bare) { "http" } else { "https" };
        Self { http, base: format!("{scheme}://{host}/v2/{name}"), token: None }
    }

    /// A manifest by its tag or digest, and its own digest.
    fn manifest(&mut self, which: &str) -> Result<(Manifest, String), FetchError> {
        let path = format!("manifests/{which}");
        let bytes = self.get(&path, MANIFEST_TYPE, MAX_MANIFEST_BYTES, &mut quietly())?;
        let digest = format!("sha256:{}", sha256(&bytes));
        if which.contains(':') && which != digest {
            return Err(FetchError::Digest { url: self.url(&path) });
        }
        Ok((self.read(&path, &bytes)?, digest))
    }

    /// The layer that is the component.
    fn component<'m>(
        &self,
        manifest: &'m Manifest,
        limits: Limits,
    ) -> Result<&'m Layer, FetchError> {
        let mut found = manifest.layers.iter().filter(|layer| layer.media_type == WASM_TYPE);
        match (found.next(), found.next()) {
            (Some(layer), None) if layer.size > limits.component_bytes as u64 => {
                let limit_bytes = limits.component_bytes;
                Err(FetchError::TooLong { url: shown(&self.base), limit_bytes })
            }
            (Some(layer), None) => Ok(layer),
            _ => Err(FetchError::Malformed {
                url: shown(&self.base),
                reason: format!("it has not exactly one layer of type {WASM_TYPE}"),
            }),
        }
    }

    /// A layer's bytes, of the length and the digest that the manifest names.
    fn blob(
        &mut self,
        layer: &Layer,
        limit_bytes: usize,
        progress: Progress<'_>,
    ) -> Result<Vec<u8>, FetchError> {
        // The digest becomes part of an address.
        let hex = layer.sha256();
        let path = format!("blobs/sha256:{hex}");
        let fault =
            || FetchError::Digest { url: shown(&format!("{}/blobs/{}", self.base, layer.digest)) };
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(fault());
        }
        let bytes = self.get(&path, "*/*", limit_bytes, progress)?;
        if bytes.len() as u64 == layer.size && sha256(&bytes) == hex {
            Ok(bytes)
        } else {
            Err(FetchError::Digest { url: self.url(&path) })
        }
    }

    fn signature(&mut self, layer: &Layer, limits: Limits) -> Result<String, FetchError> {
        let bytes = self.blob(layer, limits.signature_bytes, &mut quietly())?;
        String::from_utf8(bytes).map_err(|_utf8| FetchError::Malformed {
            url: shown(&self.base),
            reason: "its signature is no text".to_owned(),
        })
    }

    /// The signature in a manifest that refers to this one, in registries that know of such.
    fn referring_signature(
        &mut self,
        digest: &str,
        limits: Limits,
    ) -> Result<Option<String>, FetchError> {
        let path = format!("referrers/{digest}");
        let bytes = match self.get(&path, INDEX_TYPE, MAX_MANIFEST_BYTES, &mut quietly()) {
            Ok(bytes) => bytes,
            Err(FetchError::Status { status: 400..=405, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let referrers: Referrers = self.read(&path, &bytes)?;
        let by = |referrer: &Referrer| referrer.artifact_type == SIGNATURE_TYPE;
        let Some(referrer) = referrers.manifests.into_iter().find(by) else { return Ok(None) };
        let (manifest, _) = self.manifest(&referrer.digest)?;
        match manifest.layers.iter().find(|layer| layer.media_type == SIGNATURE_TYPE) {
            Some(layer) => self.signature(layer, limits).map(Some),
            None => Ok(None),
        }
    }

    fn url(&self, path: &str) -> String {
        shown(&format!("{}/{path}", self.base))
    }

    fn read<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        bytes: &[u8],
    ) -> Result<T, FetchError> {
        serde_json::from_slice(bytes).map_err(|error| FetchError::Malformed {
            url: self.url(path),
            reason: shown(&error.to_string()),
        })
    }

    /// Gets something, with a token for anybody where the registry wants one.
    fn get(
        &mut self,
        path: &str,
        accept: &str,
        limit_bytes: usize,
        progress: Progress<'_>,
    ) -> Result<Vec<u8>, FetchError> {
        let url = format!("{}/{path}", self.base);
        for tries in 0..2 {
            let question =
                Question { url: &url, accept, token: self.token.as_deref(), limit_bytes };
            let answer = self.http.ask(question, progress)?;
            match (answer.status, answer.challenge) {
                (200, _) => return Ok(answer.body),
                (401, Some(challenge)) if tries == 0 => {
                    self.token = Some(self.token_for(&challenge)?);
                }
                (status, _) => return Err(FetchError::Status { url: shown(&url), status }),
            }
        }
        Err(FetchError::Status { url: shown(&url), status: 401 })
    }

    /// Asks for the token that a registry wants to see, telling nothing of the user.
    fn token_for(&self, challenge: &str) -> Result<String, FetchError> {
        let malformed = || FetchError::Malformed {
            url: shown(&self.base),
            reason: "it wants to know who asks".to_owned(),
        };
        let fields = challenge.strip_prefix("Bearer ").ok_or_else(malformed)?;
        let field = |name: &str| {
            let (_, rest) = fields.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let realm = field("realm").ok_or_else(malformed)?;
        let mut url = realm.to_owned();
        for (mark, name) in [('?', "service"), ('&', "scope")] {
            let value = field(name).unwrap_or_default();
            if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:,".contains(&b)) {
                return Err(malformed());
            }
            url.push_str(&format!("{mark}{name}={value}"));
        }
        let question = Question {
            url: &url,
            accept: "application/json",
            token: None,
            limit_bytes: MAX_TOKEN_BYTES,
        };
        let bytes = self.http.get(question, &mut quietly())?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|_json| malformed())?;
        let token = token.token.or(token.access_token).ok_or_else(malformed)?;
        if token.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(token) } else { Err(malformed()) }
    }
}
