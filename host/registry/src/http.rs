//! The one place where bytes come from the network.

use std::{
    io::{ErrorKind, Read},
    ops::ControlFlow,
    time::Duration,
};

use ureq::{
    Agent,
    http::{Response, Uri, header},
};

use crate::{FetchError, Progress, error::shown};

const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// For one answer, from asking to its last byte.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);
/// Until an answer begins, and between two reads of it.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 3;
const CHUNK_BYTES: usize = 64 << 10;

/// A client that speaks https, and http with this machine.
pub(crate) struct Http {
    agent: Agent,
}

/// A question.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) url: &'a str,
    /// The media types that are understood.
    pub(crate) accept: &'a str,
    /// For this host alone.
    pub(crate) token: Option<&'a str>,
    pub(crate) limit_bytes: usize,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What a registry asks for before it answers.
    pub(crate) challenge: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Each is looked at before it is followed.
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_global(Some(ANSWER_LIMIT))
            .timeout_recv_response(Some(SILENCE_LIMIT))
            // The environment decides nothing here.
            .proxy(None)
            .user_agent(concat!("hearth/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into() }
    }

    /// Gets what is at an address, where that is well; any other status is an error.
    pub(crate) fn get(
        &self,
        question: Question<'_>,
        progress: Progress<'_>,
    ) -> Result<Vec<u8>, FetchError> {
        let answer = self.ask(question, progress)?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(FetchError::Status { url: shown(question.url), status }),
        }
    }

    /// Gets whatever an address answers. The body of an answer that is not well is not read.
    pub(crate) fn ask(
        &self,
        question: Question<'_>,
        progress: Progress<'_>,
    ) -> Result<Answer, FetchError> {
        let mut address = allowed(question.url)?;
        let first_host = address.host().map(str::to_owned);
        for _ in 0..=MAX_REDIRECTS {
            let mut request =
                self.agent.get(address.clone()).header(header::ACCEPT, question.accept);
            if let Some(token) = question.token
                && address.host().map(str::to_owned) == first_host
            {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| no_answer(&address, &error))?;
            match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => address = target(&address, &response)?,
                200 => {
                    let body = read(response, question, progress)?;
                    return Ok(Answer { status: 200, challenge: None, body });
                }
                status => {
                    let challenge = text_of(&response, header::WWW_AUTHENTICATE);
                    return Ok(Answer { status, challenge, body: Vec::new() });
                }
            }
        }
        Err(FetchError::Redirects { url: shown(question.url) })
    }
}

/// For questions whose answers are short.
pub(crate) fn quietly() -> impl FnMut(u64, u64) -> ControlFlow<()> + Send {
    |_done, _total| ControlFlow::Continue(())
}

/// An address that may be asked: https, or http on this machine; without a name or password in it.
pub(crate) fn allowed(url: &str) -> Result<Uri, FetchError> {
    let refuse = || FetchError::NotAllowed { url: shown(url) };
    let address: Uri = url.parse().map_err(|_uri| refuse())?;
    let authority = address.authority().ok_or_else(refuse)?;
    let local = is_local(authority.host());
    match address.scheme_str() {
        Some("https") => {}
        Some("http") if local => {}
        _ => return Err(refuse()),
    }
    if authority.as_str().contains('@') {
        return Err(refuse());
    }
    Ok(address)
}

/// Whether a host is this machine.
pub(crate) fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Where a redirect leads.
fn target(from: &Uri, response: &Response<ureq::Body>) -> Result<Uri, FetchError> {
    let malformed = || FetchError::Malformed {
        url: shown(&from.to_string()),
        reason: "it leads elsewhere, and does not say where".to_owned(),
    };
    let location = text_of(response, header::LOCATION).ok_or_else(malformed)?;
    if location.starts_with('/') && !location.starts_with("//") {
        let authority = from.authority().ok_or_else(malformed)?;
        let scheme = from.scheme_str().unwrap_or("https");
        return allowed(&format!("{scheme}://{authority}{location}"));
    }
    allowed(&location)
}

fn text_of(response: &Response<ureq::Body>, name: header::HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Reads an answer, never more than was asked for.
fn read(
    response: Response<ureq::Body>,
    question: Question<'_>,
    progress: Progress<'_>,
) -> Result<Vec<u8>, FetchError> {
    let Question { url, limit_bytes, .. } = question;
    let too_long = || FetchError::TooLong { url: shown(url), limit_bytes };
    let total = response.body().content_length().unwrap_or(0);
    if total > limit_bytes as u64 {
        return Err(too_long());
    }
    let mut reader = response.into_body().into_reader();
    let (mut body, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => return Ok(body),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                let reason = shown(&error.to_string());
                return Err(FetchError::NoAnswer { url: shown(url), reason });
            }
        };
        if body.len() + count > limit_bytes {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk[..count]);
        if progress(body.len() as u64, total.max(body.len() as u64)).is_break() {
            return Err(FetchError::Cancelled);
        }
    }
}

fn no_answer(address: &Uri, error: &ureq::Error) -> FetchError {
    FetchError::NoAnswer { url: shown(&address.to_string()), reason: shown(&error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_asked() {
        for url in [
            "https://example.org/x",
            "https://example.org:8443/x?y=z",
            "http://localhost/x",
            "http://127.0.0.1:5000/x",
            "http://[::1]:5000/x",
        ] {
            assert!(allowed(url).is_ok(), "{url}");
        }
        for url in [
            "http://example.org/x",
            "http://localhost.example.org/x",
            "http://127.0.0.1.example.org/x",
            "https://user:word@example.org/x",
            "http://user@localhost/x",
            "ftp://localhost/x",
            "file:///etc/passwd",
            "/x",
            "localhost",
            "",
        ] {
            assert!(matches!(allowed(url), Err(FetchError::NotAllowed { .. })), "{url}");
        }
    }
}
