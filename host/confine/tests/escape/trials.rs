//! What each attempt must come to.

use std::{
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus, Stdio},
};

use libtest_mimic::{Arguments, Failed, Trial};

/// First argument of a process that is to attempt something.
pub(crate) const ATTEMPT: &str = "--attempt";

/// How an attempt must end.
#[derive(Clone, Copy)]
enum End {
    /// The process does not survive it.
    Killed,
    /// The call fails with this error.
    Refused(i32),
    /// It is no attempt: this has to go on working.
    Works,
    /// Nor is this: it ends as it would anywhere.
    Aborted,
}
use End::{Aborted, Killed, Refused, Works};

const EPERM: End = Refused(libc::EPERM);
const EACCES: End = Refused(libc::EACCES);

/// Shut in as a runner with its plugin loaded.
const SEALED: &[(&str, End)] = &[
    ("open-file", EPERM),
    ("create-file", EPERM),
    ("own-environment", EPERM),
    ("parent-memory-file", EPERM),
    ("parent-memory", Killed),
    ("write-parent-memory", Killed),
    ("socket-inet", Killed),
    ("socket-unix", Killed),
    ("socketpair", Killed),
    ("connect", Killed),
    ("sendto", Killed),
    ("exec", Killed),
    ("exec-at", Killed),
    ("fork", Killed),
    ("vfork", Killed),
    ("thread", Killed),
    ("ptrace-parent", Killed),
    ("ptrace-me", Killed),
    ("kill-parent", Killed),
    ("kill-everybody", Killed),
    ("signal-another-thread", Killed),
    ("abort", Aborted),
    ("pidfd-of-parent", Killed),
    ("file-of-parent", Killed),
    ("file-by-handle", Killed),
    ("memory-file", Killed),
    ("io-uring", Killed),
    ("bpf", Killed),
    ("userfaultfd", Killed),
    ("perf-event", Killed),
    ("mount", Killed),
    ("unshare", Killed),
    ("enter-namespace", Killed),
    ("keyring", Killed),
    ("shared-memory", Killed),
    ("message-queue", Killed),
    ("pipe", Killed),
    ("duplicate", Killed),
    ("event-descriptor", Killed),
    ("watch-files", Killed),
    ("change-root", Killed),
    ("change-user", Killed),
    ("remove-file", Killed),
    ("rename-file", Killed),
    ("list-folder", Killed),
    ("load-module", Killed),
    ("read-stdout", Killed),
    ("read-fourth", Killed),
    ("write-fourth", Killed),
    ("map-executable", Killed),
    ("make-executable", Killed),
    ("make-executable-by-key", Killed),
    ("dumpable-again", EPERM),
    ("lift-limits", EPERM),
    ("loosen-filter", EPERM),
    ("another-filter", Killed),
    #[cfg(target_arch = "x86_64")]
    ("call-of-32-bit", Killed),
    #[cfg(target_arch = "x86_64")]
    ("call-of-x32", Killed),
    ("too-much-memory", Refused(libc::ENOMEM)),
    ("honest-work", Works),
];

/// Shut in as a compiler, which never loads code of its own.
const COMPILER: &[(&str, End)] = &[
    ("map-executable", Killed),
    ("make-executable", Killed),
    ("open-file", EPERM),
    ("socket-inet", Killed),
    ("exec", Killed),
    ("fork", Killed),
    ("honest-work", Works),
];

/// Shut in as a runner that still loads its plugin.
const LOADING: &[(&str, End)] =
    &[("map-executable", Works), ("make-executable", Works), ("exec", Killed), ("thread", Killed)];

/// After the first step alone, to see that Landlock holds by itself; the least version of it that does.
const LANDLOCK: &[(&str, End, u8)] = &[
    ("open-file", EACCES, 1),
    ("create-file", EACCES, 1),
    ("connect-inet", EACCES, 4),
    ("kill-parent", EPERM, 6),
];

pub(crate) fn run() {
    let mut trials = Vec::new();
    for (stage, attempts) in [("sealed", SEALED), ("compiler", COMPILER), ("loading", LOADING)] {
        for (name, end) in attempts {
            let test = move || check(stage, name, *end);
            trials.push(Trial::test(format!("{stage}::{name}"), test));
        }
    }
    for (name, end, least) in LANDLOCK {
        trials.push(Trial::test(format!("landlock::{name}"), move || {
            let abi = landlock_abi()?;
            if abi < *least {
                println!("SKIPPED landlock::{name}: the kernel has version {abi} of Landlock");
                return Ok(());
            }
            check("enclosed", name, *end)
        }));
    }
    trials.push(Trial::test("inherited-files-are-closed", inherited_files_are_closed));
    trials.push(Trial::test("everything-is-in-force", everything_is_in_force));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn check(stage: &str, name: &str, wanted: End) -> Result<(), Failed> {
    let (status, said) = attempt(stage, name)?;
    let right = match wanted {
        Killed => status.signal() == Some(libc::SIGSYS) && said.is_empty(),
        Refused(error) => status.success() && said == format!("refused {error}"),
        Works => status.success() && said == "works",
        Aborted => status.signal() == Some(libc::SIGABRT),
    };
    if right { Ok(()) } else { Err(format!("it ended by {status}, saying `{said}`").into()) }
}

/// Makes one attempt in a new process. Its environment has something to find.
fn attempt(stage: &str, name: &str) -> Result<(ExitStatus, String), Failed> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([ATTEMPT, stage, name])
        .env("SECRET", "found")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // An attempt that ends early reads nothing.
        stdin.write_all(b"ping").ok();
    }
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said)?;
    }
    Ok((child.wait()?, said))
}

fn report() -> Result<String, Failed> {
    let (status, said) = attempt("sealed", "report")?;
    if status.success() { Ok(said) } else { Err(format!("it ended by {status}").into()) }
}

fn landlock_abi() -> Result<u8, Failed> {
    let report = report()?;
    let number = report.rsplit_once("landlock_abi: ").map(|(_, rest)| rest);
    let digits = number.unwrap_or("").trim_end_matches([' ', '}']);
    Ok(digits.parse().map_err(|_no_number| format!("no version of Landlock in {report}"))?)
}

fn everything_is_in_force() -> Result<(), Failed> {
    let report = report()?;
    if report.contains("false") { Err(format!("not in force: {report}").into()) } else { Ok(()) }
}

/// A descriptor that is left open on purpose is there before the first step and gone after it.
fn inherited_files_are_closed() -> Result<(), Failed> {
    let file = std::fs::File::open("/dev/null")?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    check("none", "has-inherited", Works)?;
    check("enclosed", "has-inherited", Refused(libc::EBADF))
}
