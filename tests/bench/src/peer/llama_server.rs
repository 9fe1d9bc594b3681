//! `llama-server` of llama.cpp, spoken to through a Unix socket: the bench opens no network port.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::{
    BenchError,
    jobs::{JobList, JobsTimed},
    model::ModelFile,
    process::{Running, name_of},
};

const CONTEXT_TOKENS: usize = 8192;
const START_LIMIT: Duration = Duration::from_secs(180);
const START_INTERVAL: Duration = Duration::from_millis(100);

/// What it tells of a finished job.
#[derive(Deserialize)]
struct Completion {
    tokens_predicted: usize,
    timings: Timings,
}

#[derive(Deserialize)]
struct Timings {
    #[serde(default)]
    prompt_n: usize,
}

/// Starts a server with so many slots and its cache on, and gives it as many jobs at once.
pub(crate) fn jobs(
    program: &Path,
    model: &ModelFile,
    list: &JobList,
    slots: usize,
    threads: usize,
) -> Result<JobsTimed, BenchError> {
    let server = Server::start(program, model, slots, threads)?;
    let prompts = list.prompts();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Result<Completion, BenchError>>> = Mutex::default();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..slots {
            scope.spawn(|| {
                while let Some(prompt) = prompts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let completion = server.complete(prompt, list.generate);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(completion);
                }
            });
        }
    });
    let secs = start.elapsed().as_secs_f64();
    let mut timed = JobsTimed { secs, computed: 0, generated: 0 };
    for completion in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let completion = completion?;
        timed.computed += completion.timings.prompt_n;
        timed.generated += completion.tokens_predicted;
    }
    Ok(timed)
}

struct Server {
    program: String,
    socket: PathBuf,
    _running: Running,
}

impl Server {
    fn start(
        program: &Path,
        model: &ModelFile,
        slots: usize,
        threads: usize,
    ) -> Result<Self, BenchError> {
        let name = name_of(program.as_os_str());
        let socket = std::env::temp_dir().join(format!("hearth-bench-{}.sock", std::process::id()));
        std::fs::remove_file(&socket).ok();
        let mut command = Command::new(program);
        command.arg("-m").arg(&model.path).arg("--host").arg(&socket);
        command.args(["-c", &CONTEXT_TOKENS.to_string(), "-np", &slots.to_string(), "-kvu"]);
        command.args(["-t", &threads.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(|source| BenchError::Start { program: name.clone(), source })?;
        let mut server = Self { program: name, socket, _running: Running(child) };
        let start = Instant::now();
        while server.request("GET /health", "").is_err() {
            let ended = server._running.0.try_wait().ok().flatten().is_some();
            if ended || start.elapsed() > START_LIMIT {
                let reason = "it did not begin to answer".into();
                return Err(BenchError::Failed { program: server.program.clone(), reason });
            }
            thread::sleep(START_INTERVAL);
        }
        Ok(server)
    }

    fn complete(&self, prompt: &[u32], generate: usize) -> Result<Completion, BenchError> {
        let body = serde_json::json!({
            "prompt": prompt, "n_predict": generate, "ignore_eos": true, "temperature": 0,
            "cache_prompt": true,
        });
        let answer = self.request("POST /completion", &body.to_string())?;
        serde_json::from_str(&answer).map_err(|error| self.unknown(error.to_string()))
    }

    /// One request a connection, which the server closes when it has answered.
    fn request(&self, what: &str, body: &str) -> Result<String, BenchError> {
        let fault = |source| BenchError::File { path: self.socket.clone(), source };
        let mut stream = UnixStream::connect(&self.socket).map_err(fault)?;
        let head = format!(
            "{what} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).map_err(fault)?;
        stream.write_all(body.as_bytes()).map_err(fault)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(fault)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        body_of(&answer).map_err(|reason| self.unknown(reason.into())).map(str::to_owned)
    }

    fn unknown(&self, reason: String) -> BenchError {
        BenchError::Answer { program: self.program.clone(), reason }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        std::fs::remove_file(&self.socket).ok();
    }
}

/// The body of a whole HTTP answer that was sent in one piece.
fn body_of(answer: &str) -> Result<&str, &'static str> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the HTTP head")?;
    let mut lines = head.lines();
    if lines.next().is_none_or(|status| status.split(' ').nth(1) != Some("200")) {
        return Err("an HTTP status other than 200");
    }
    if lines.any(|line| line.to_ascii_lowercase().starts_with("transfer-encoding")) {
        return Err("an answer in pieces");
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::body_of;

    #[test]
    fn only_a_whole_good_answer_has_a_body() {
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(body_of(good), Ok("{}"));
        for bad in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 503 Loading\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}",
        ] {
            assert!(body_of(bad).is_err(), "{bad}");
        }
    }
}
