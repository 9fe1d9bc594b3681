//! Programs that are not what they should be.
#![cfg(unix)]

use std::{path::PathBuf, sync::atomic::AtomicBool, time::Duration};

use hearth_base::{Answer, HostCall, HostReply, RunFault};
use hearth_wasm::{ArtefactStore, CompileError, HostCalls, RunError, RunnerProcess, Runtime};
use zeroize::Zeroizing;

use crate::{
    guest::QUIET,
    programs::{Recorder, dir, go, runtime, script},
};

static NEVER: AtomicBool = AtomicBool::new(false);

/// For those that are waited for.
const SHORT: Duration = Duration::from_secs(1);
/// For those that are not.
const LONG: Duration = Duration::from_secs(30);

/// Starts a lying runner with an artefact of the real compiler.
fn start(test: &str, name: &str, limit: Duration) -> Option<Result<RunnerProcess, RunError>> {
    let real = runtime(test)?;
    let artefact = crate::programs::compile(&real, &QUIET.component());
    let lying = Runtime::new(script(name), PathBuf::new()).with_call_limit(limit);
    Some(lying.start(&artefact))
}

#[test]
fn a_runner_that_does_not_speak_the_protocol_is_ended() {
    let test = "a_runner_that_does_not_speak_the_protocol_is_ended";
    for (name, fits) in [
        ("silent", (|e| matches!(e, RunError::TimedOut)) as fn(&RunError) -> bool),
        ("ready_then_echo", |e| matches!(e, RunError::Protocol(_))),
        ("huge", |e| matches!(e, RunError::Protocol(_))),
        ("quits", |e| matches!(e, RunError::Died { said } if said == "cannot go on")),
        ("unasked", |e| matches!(e, RunError::Protocol(_))),
    ] {
        let limit = if name == "silent" { SHORT } else { LONG };
        let Some(outcome) = start(test, name, limit) else { return };
        let error = outcome.map(drop).unwrap_err();
        assert!(fits(&error), "{name}: {error:?}");
    }
}

#[test]
fn a_runner_that_stops_answering_is_ended() {
    let test = "a_runner_that_stops_answering_is_ended";
    let Some(runner) = start(test, "loaded_then_silent", 5 * SHORT) else { return };
    let outcome =
        runner.and_then(|mut runner| runner.invoke(go("go"), &mut Recorder::default(), &NEVER));
    assert!(matches!(outcome, Err(RunError::TimedOut)), "{outcome:?}");
}

#[test]
fn a_runner_that_nothing_holds_gets_no_plugin() {
    let test = "a_runner_that_nothing_holds_gets_no_plugin";
    let limit = if cfg!(target_os = "linux") { LONG } else { SHORT };
    let Some(outcome) = start(test, "unconfined", limit) else { return };
    let error = outcome.map(drop).unwrap_err();
    if cfg!(target_os = "linux") {
        let RunError::Unconfined { lacks } = &error else { panic!("{error:?}") };
        assert_eq!(lacks.len(), 5);
        assert!(error.to_string().contains("seccomp"), "{error}");
    } else {
        // Nothing is asked for there, so it is told to load and does not.
        assert!(matches!(error, RunError::TimedOut), "{error:?}");
    }
}

#[test]
fn a_runner_that_the_system_ended_is_told_from_others() {
    let test = "a_runner_that_the_system_ended_is_told_from_others";
    let Some(runner) = start(test, "loaded_then_intrudes", LONG) else { return };
    let outcome = runner.unwrap().invoke(go("go"), &mut Recorder::default(), &NEVER);
    assert!(matches!(outcome, Err(RunError::Intruded)), "{outcome:?}");
}

/// Answers at length.
struct Verbose;

impl HostCalls for Verbose {
    fn call(&mut self, _call: HostCall) -> HostReply {
        Ok(Answer::Text("x".repeat(200_000)))
    }
}

#[test]
fn a_runner_that_never_listens_is_ended() {
    let Some(runner) = start("a_runner_that_never_listens_is_ended", "babbles", LONG) else {
        return;
    };
    // It may be found out before it is asked anything.
    let outcome = runner.and_then(|mut runner| runner.invoke(go("go"), &mut Verbose, &NEVER));
    assert!(matches!(outcome, Err(RunError::Protocol(_))), "{outcome:?}");
}

#[test]
fn a_missing_program_is_named() {
    let nowhere = tempfile::tempdir().unwrap();
    let missing = Runtime::in_dir(nowhere.path()).unwrap_err();
    assert_eq!(missing.program, "hearth-runner");
}

/// What comes of compiling with a stand-in for the compiler.
fn compile_with(name: &str) -> Result<(), CompileError> {
    let lying =
        Runtime::new(PathBuf::new(), script(name)).with_compile_limit(Duration::from_millis(500));
    let folder = tempfile::tempdir().unwrap();
    let store = ArtefactStore::new(folder.path().into(), Zeroizing::new([3; 32]));
    store.load_or_compile(&lying, &QUIET.component(), &NEVER).map(drop)
}

#[test]
fn a_compiler_that_fails_or_hangs_is_told_apart() {
    let refused = compile_with("quits").unwrap_err();
    assert!(
        matches!(&refused, CompileError::Refused { reason } if reason == "cannot go on"),
        "{refused:?}"
    );
    for name in ["silent", "lingers"] {
        assert!(matches!(compile_with(name), Err(CompileError::OverLimits)), "{name}");
    }
    assert!(matches!(compile_with("no-such-program"), Err(CompileError::Start { .. })));
}

#[test]
fn what_a_lying_compiler_makes_does_not_load() {
    if runtime("what_a_lying_compiler_makes_does_not_load").is_none() {
        return;
    }
    // Echoes the component instead of compiling it.
    let lying = Runtime::new(dir().join("hearth-runner"), script("echo"));
    let outcome = lying.start(&crate::programs::compile(&lying, &QUIET.component())).map(drop);
    assert!(matches!(outcome, Err(RunError::Fault(RunFault::BadArtefact(_)))), "{outcome:?}");
}
