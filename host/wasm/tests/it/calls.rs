//! Calls into well-behaved guests.

use std::sync::atomic::{AtomicBool, Ordering};

use hearth_base::{Answer, Event, Export, GuestError, GuestFailure, Handle, HostCall, HostReply};
use hearth_wasm::{HostCalls, RunError};

use crate::{
    guest::{Guest, QUIET},
    programs::{Recorder, go, invocation, runtime, start},
};

static NEVER: AtomicBool = AtomicBool::new(false);

#[test]
fn calls_are_fresh_and_repeatable() {
    let Some(runtime) = runtime("calls_are_fresh_and_repeatable") else { return };
    // Counts in memory; a second call that saw the first one's count would leave another memory.
    let counts = Guest {
        run: "(i32.store (i32.const 64) (i32.add (i32.const 1) (i32.load (i32.const 64))))",
        ..QUIET
    };
    let mut runner = start(&runtime, &counts.component());
    let mut host = Recorder::default();
    let first = runner.invoke(go("go"), &mut host, &NEVER).unwrap();
    let second = runner.invoke(go("go"), &mut host, &NEVER).unwrap();
    assert_eq!(first, second);
    assert_eq!(first.result, Ok(()));
    assert!(first.fuel > 0);
    // The name of the command lies in the guest's memory, so another one leaves another hash.
    let other = runner.invoke(go("no"), &mut host, &NEVER).unwrap();
    assert_ne!(first.memory_hash, other.memory_hash);
    assert_eq!(host.calls, []);
}

#[test]
fn every_export_is_reached() {
    let Some(runtime) = runtime("every_export_is_reached") else { return };
    let mut runner = start(&runtime, &QUIET.component());
    let mut host = Recorder::default();
    for export in [
        Export::Run { command: "go".into(), focus: Some(Handle(5)), input: None },
        Export::OnEvent { panel: "p".into(), event: Event::Pressed("b".into()) },
        Export::OnEvent { panel: "p".into(), event: Event::Entered("b".into(), Handle(6)) },
        Export::Migrate { from_version: "0.9.0".into() },
    ] {
        assert_eq!(runner.invoke(invocation(export), &mut host, &NEVER).unwrap().result, Ok(()));
    }
}

#[test]
fn a_guest_tells_why_it_failed() {
    let Some(runtime) = runtime("a_guest_tells_why_it_failed") else { return };
    // At 16: err(bad-input("ouch")), the string at 48.
    let fails = Guest {
        run: r#"(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 1))
                (i32.store (i32.const 24) (i32.const 48)) (i32.store (i32.const 28) (i32.const 4))
                (i32.store (i32.const 48) (i32.const 0x6863756f))"#,
        ..QUIET
    };
    let finished =
        start(&runtime, &fails.component()).invoke(go("go"), &mut Recorder::default(), &NEVER);
    assert_eq!(finished.unwrap().result, Err(GuestFailure::BadInput("ouch".into())));
}

/// Refuses everything.
struct Refusing;

impl HostCalls for Refusing {
    fn call(&mut self, _call: HostCall) -> HostReply {
        Err(GuestError::Refused)
    }
}

/// Answers nonsense.
struct Confused;

impl HostCalls for Confused {
    fn call(&mut self, _call: HostCall) -> HostReply {
        Ok(Answer::Keys(vec!["what?".into()]))
    }
}

/// Makes a text of two bytes at 0 and traps unless the answer's discriminant is what `run` says.
const LITERAL: &str = r#"(import "hearth:plugin/values@0.1.0" "[static]text.literal"
    (func $literal (param i32 i32 i32)))"#;

#[test]
fn a_refusal_reaches_the_guest_as_an_error() {
    let Some(runtime) = runtime("a_refusal_reaches_the_guest_as_an_error") else { return };
    // result<text, error> at 64: a byte 1 for err, and at 68 a byte 3 for `refused`.
    let expects = Guest {
        imports: LITERAL,
        run: r#"(call $literal (i32.const 0) (i32.const 2) (i32.const 64))
                (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
                (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 3)) (then unreachable))"#,
        ..QUIET
    };
    let mut runner = start(&runtime, &expects.component());
    assert_eq!(runner.invoke(go("go"), &mut Refusing, &NEVER).unwrap().result, Ok(()));
    // An answer that fits no question ends the call, and the runner lives on.
    assert!(matches!(runner.invoke(go("go"), &mut Confused, &NEVER), Err(RunError::Fault(_))));
    assert!(runner.is_alive());
}

/// Has a bug.
struct Panics;

impl HostCalls for Panics {
    fn call(&mut self, _call: HostCall) -> HostReply {
        panic!("a bug in what answers, made by the test")
    }
}

#[test]
fn a_panic_while_answering_ends_the_run_alone() {
    let Some(runtime) = runtime("a_panic_while_answering_ends_the_run_alone") else { return };
    let asks = Guest {
        imports: LITERAL,
        run: "(call $literal (i32.const 0) (i32.const 2) (i32.const 64))",
        ..QUIET
    };
    let mut runner = start(&runtime, &asks.component());
    let outcome = runner.invoke(go("go"), &mut Panics, &NEVER);
    assert!(matches!(outcome, Err(RunError::Host)), "{outcome:?}");
    assert!(!runner.is_alive());
    // The next run gets a process of its own, and all is well.
    let mut runner = start(&runtime, &asks.component());
    let finished = runner.invoke(go("go"), &mut Recorder::default(), &NEVER).unwrap();
    assert_eq!(finished.result, Ok(()));
}

#[test]
fn a_runner_that_was_killed_is_gone_and_the_next_one_is_well() {
    let test = "a_runner_that_was_killed_is_gone_and_the_next_one_is_well";
    let Some(runtime) = runtime(test) else { return };
    let mut runner = start(&runtime, &QUIET.component());
    kill(runner.process_id().unwrap());
    let outcome = runner.invoke(go("go"), &mut Recorder::default(), &NEVER);
    assert!(matches!(outcome, Err(RunError::Died { .. })), "{outcome:?}");
    let mut runner = start(&runtime, &QUIET.component());
    assert_eq!(runner.invoke(go("go"), &mut Recorder::default(), &NEVER).unwrap().result, Ok(()));
}

/// Kills a process at once.
pub(crate) fn kill(process: u32) {
    #[cfg(unix)]
    {
        let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(process.unwrap(), rustix::process::Signal::KILL).unwrap();
    }
    #[cfg(windows)]
    assert!(
        std::process::Command::new("taskkill")
            .args(["/F", "/PID", &process.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Sets the flag when first asked.
struct Cancels<'a>(&'a AtomicBool);

impl HostCalls for Cancels<'_> {
    fn call(&mut self, _call: HostCall) -> HostReply {
        self.0.store(true, Ordering::Relaxed);
        Ok(Answer::Unit)
    }
}

#[test]
fn cancelling_ends_a_guest_that_does_not_stop() {
    let Some(runtime) = runtime("cancelling_ends_a_guest_that_does_not_stop") else { return };
    let endless = Guest {
        imports: r#"(import "hearth:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        run: "(call $log (i32.const 0) (i32.const 0) (i32.const 0)) (loop $on (br $on))",
        ..QUIET
    };
    let mut runner = start(&runtime, &endless.component());
    let cancel = AtomicBool::new(false);
    let endless_fuel = hearth_base::Invocation { fuel: u64::MAX, ..go("go") };
    let outcome = runner.invoke(endless_fuel, &mut Cancels(&cancel), &cancel);
    assert!(matches!(outcome, Err(RunError::Cancelled)), "{outcome:?}");
    assert!(!runner.is_alive());
    let after = runner.invoke(go("go"), &mut Refusing, &NEVER);
    assert!(matches!(after, Err(RunError::Died { .. })), "{after:?}");
}
