//! The real runner, seen from outside while a guest is in the middle of a call.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    io::{BufReader, ErrorKind},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
};

use hearth_base::{Answer, FromRunner, HostCall, HostReply, read_frame};
use hearth_wasm::{HostCalls, RunError};

use crate::{
    guest::{Guest, QUIET},
    programs::{dir, go, runtime, start},
};

static NEVER: AtomicBool = AtomicBool::new(false);

const LOGS: Guest = Guest {
    imports: r#"(import "hearth:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
    run: "(call $log (i32.const 0) (i32.const 0) (i32.const 0))",
    ..QUIET
};

/// Looks at a process instead of answering about it.
struct Looks {
    process: u32,
    seen: Option<Seen>,
}

struct Seen {
    status: String,
    limits: String,
    /// `None` where the system does not even let this program look.
    descriptors: Option<Vec<PathBuf>>,
    environment: Option<Vec<u8>>,
}

impl HostCalls for Looks {
    fn call(&mut self, _call: HostCall) -> HostReply {
        self.seen = Some(look(self.process));
        Ok(Answer::Unit)
    }
}

fn look(process: u32) -> Seen {
    let file = |name: &str| PathBuf::from(format!("/proc/{process}/{name}"));
    let allowed = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let descriptors = fs::read_dir(file("fd")).map_err(allowed).ok().map(|entries| {
        entries.map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect()
    });
    Seen {
        status: fs::read_to_string(file("status")).unwrap(),
        limits: fs::read_to_string(file("limits")).unwrap(),
        descriptors,
        environment: fs::read(file("environ")).map_err(allowed).ok(),
    }
}

#[test]
fn a_runner_has_its_pipes_and_nothing_else() {
    let test = "a_runner_has_its_pipes_and_nothing_else";
    let Some(runtime) = runtime(test) else { return };
    let mut runner = start(&runtime, &LOGS.component());
    let mut host = Looks { process: runner.process_id().unwrap(), seen: None };
    assert_eq!(runner.invoke(go("go"), &mut host, &NEVER).unwrap().result, Ok(()));
    let seen = host.seen.unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t2"] {
        assert!(seen.status.contains(line), "{line}: {}", seen.status);
    }
    let limit = |name: &str| {
        let line = seen.limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("Max open files"), "3");
    for name in ["Max file size", "Max core file size", "Max processes", "Max locked memory"] {
        assert_eq!(limit(name), "0", "{name}");
    }
    assert_eq!(limit("Max address space"), (2u64 << 30).to_string());
    match (&seen.descriptors, &seen.environment) {
        (Some(descriptors), Some(environment)) => {
            assert_eq!(descriptors.len(), 3, "{descriptors:?}");
            assert!(descriptors.iter().all(|to| to.to_string_lossy().starts_with("pipe:")));
            assert_eq!(environment, b"");
        }
        // The same user may not look: that is what it means not to be dumpable.
        (None, None) => {}
        (descriptors, environment) => panic!("{descriptors:?} {environment:?}"),
    }
}

#[test]
fn what_a_careless_parent_leaves_open_is_closed() {
    let test = "what_a_careless_parent_leaves_open_is_closed";
    if runtime(test).is_none() {
        return;
    }
    let secret = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    let mut child = Command::new(dir().join("hearth-runner"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    let first = read_frame::<FromRunner>(&mut from, 1024).unwrap();
    let FromRunner::Ready(confinement) = first else { panic!("{first:?}") };
    assert_eq!(confinement.lacks(), Vec::<&str>::new());
    assert!(confinement.dies_with_parent);
    if let Some(descriptors) = look(child.id()).descriptors {
        assert_eq!(descriptors.len(), 3, "{descriptors:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_runner_ends_with_who_started_it() {
    let test = "a_runner_ends_with_who_started_it";
    let Some(runtime) = runtime(test) else { return };
    let component = QUIET.component();
    let artefact = crate::programs::compile(&runtime, &component);
    let mut runner = std::thread::scope(|scope| {
        scope.spawn(|| runtime.start(&artefact).unwrap()).join().unwrap()
    });
    let outcome = runner.invoke(go("go"), &mut Looks { process: 0, seen: None }, &NEVER);
    assert!(matches!(outcome, Err(RunError::Died { .. })), "{outcome:?}");
}
