//! A program run to its end, with its time and the most memory it held.

use std::{
    ffi::OsStr,
    io::Read,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::BenchError;

/// How often a process is asked for its peak. The peak only grows, so what is missed is growth in its last moments.
const WATCH_INTERVAL: Duration = Duration::from_millis(10);
/// How much of a failed program's complaint is told.
const LAST_WORDS_BYTES: usize = 1500;

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    /// From just before its start to its end.
    pub(crate) wall: Duration,
    /// Most memory it held, mapped files included; nothing where the system does not tell.
    pub(crate) peak_bytes: Option<u64>,
}

/// Runs a program that must succeed.
pub(crate) fn run(command: &mut Command) -> Result<Ran, BenchError> {
    let program = name_of(command.get_program());
    let start_error = |source| BenchError::Start { program: program.clone(), source };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().map_err(start_error)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let (wall, stdout, stderr) = thread::scope(|scope| {
        let watch = scope.spawn(|| watch(child.id(), &done, &peak));
        let stdout = scope.spawn(|| read_all(stdout));
        let stderr = scope.spawn(|| read_all(stderr));
        // Its pipes close when it ends.
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        let wall = start.elapsed();
        done.store(true, Ordering::Relaxed);
        watch.thread().unpark();
        (wall, stdout, stderr)
    });
    let status = child.wait().map_err(start_error)?;
    if !status.success() {
        return Err(BenchError::Failed { program, reason: format!("{status}: {}", tail(&stderr)) });
    }
    let peak = peak.into_inner();
    Ok(Ran { stdout, wall, peak_bytes: (peak > 0).then_some(peak) })
}

/// A program's file name, for messages.
pub(crate) fn name_of(program: &OsStr) -> String {
    let path = std::path::Path::new(program);
    path.file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// `VmHWM` of Linux, mapped files included; nothing elsewhere.
pub(crate) fn peak_bytes(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// A program that runs beside this one, ended with its handle.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn watch(process: u32, done: &AtomicBool, peak: &AtomicU64) {
    while !done.load(Ordering::Relaxed) {
        if let Some(bytes) = peak_bytes(process) {
            peak.fetch_max(bytes, Ordering::Relaxed);
        }
        thread::park_timeout(WATCH_INTERVAL);
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(LAST_WORDS_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].trim()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::run;
    use crate::BenchError;

    #[test]
    fn tells_output_time_and_memory() {
        let ran = run(Command::new("sh").args(["-c", "sleep 0.1; echo done"])).unwrap();
        assert_eq!(ran.stdout, "done\n");
        assert!(ran.wall.as_millis() >= 100);
        assert!(ran.peak_bytes.unwrap() > 100_000);
    }

    #[test]
    fn a_failure_carries_the_last_words() {
        let failed = run(Command::new("sh").args(["-c", "echo no such tensor >&2; exit 3"]));
        let Err(BenchError::Failed { program, reason }) = failed else { panic!("{failed:?}") };
        assert_eq!(program, "sh");
        assert!(reason.contains("no such tensor") && reason.contains('3'), "{reason}");
        assert!(matches!(run(&mut Command::new("no-such-program")), Err(BenchError::Start { .. })));
    }
}
