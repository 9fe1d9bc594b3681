//! Guests that try to break out or to use everything up.

use std::{sync::atomic::AtomicBool, time::Duration};

use hearth_base::{HostCall, Invocation, RunFault};
use hearth_wasm::{ArtefactStore, CompileError, RunError, inspect};
use zeroize::Zeroizing;

use crate::{
    guest::{Guest, MANIFEST, QUIET, with_manifest},
    programs::{Recorder, go, runtime, start},
};

static NEVER: AtomicBool = AtomicBool::new(false);
const LITERAL: &str = r#"(import "hearth:plugin/values@0.1.0" "[static]text.literal"
    (func $literal (param i32 i32 i32)))"#;

/// Runs a guest that must fault, sees that the runner takes it well, and returns the fault and what the host was asked.
fn fault_of(test: &str, guest: &Guest) -> Option<(RunFault, Vec<HostCall>)> {
    let runtime = runtime(test)?;
    let component = guest.component();
    inspect(&component).unwrap();
    let mut runner = start(&runtime, &component);
    let mut host = Recorder::default();
    let outcome = runner.invoke(go("go"), &mut host, &NEVER);
    let Err(RunError::Fault(fault)) = outcome else { panic!("{outcome:?}") };
    assert!(runner.is_alive());
    Some((fault, host.calls))
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let endless = Guest { run: "(loop $on (br $on))", ..QUIET };
    let Some((fault, _)) = fault_of("an_endless_loop_runs_out_of_fuel", &endless) else { return };
    assert_eq!(fault, RunFault::OutOfFuel);
}

#[test]
fn a_memory_bomb_hits_the_limit() {
    let grows = Guest {
        run: "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        ..QUIET
    };
    let Some((fault, _)) = fault_of("a_memory_bomb_hits_the_limit", &grows) else { return };
    assert!(matches!(fault, RunFault::Limit(_)), "{fault:?}");
}

#[test]
fn hoarding_handles_ends() {
    let hoards = Guest {
        imports: LITERAL,
        run: "(loop $on (call $literal (i32.const 0) (i32.const 2) (i32.const 64)) (br $on))",
        ..QUIET
    };
    let Some((fault, calls)) = fault_of("hoarding_handles_ends", &hoards) else { return };
    assert!(matches!(fault, RunFault::Limit(_)), "{fault:?}");
    assert!(calls.len() <= 4097, "{}", calls.len());
}

#[test]
fn deep_recursion_traps() {
    let recurses =
        Guest { functions: "(func $down (call $down) (call $down))", run: "(call $down)", ..QUIET };
    let Some((fault, _)) = fault_of("deep_recursion_traps", &recurses) else { return };
    assert!(matches!(&fault, RunFault::Trap(words) if words.contains("stack")), "{fault:?}");
}

#[test]
fn forged_handles_never_reach_the_host() {
    let Some(runtime) = runtime("forged_handles_never_reach_the_host") else { return };
    // Takes the length of its command for a handle.
    let forges = Guest {
        imports: r#"(import "hearth:plugin/values@0.1.0" "[method]text.chunk"
            (func $chunk (param i32 i32 i32)))"#,
        run: "(call $chunk (local.get 1) (i32.const 9) (i32.const 64))",
        ..QUIET
    };
    let mut runner = start(&runtime, &forges.component());
    let mut host = Recorder::default();
    for length in (0..300).chain([4095, 4096, 4097, 50_000]) {
        let outcome = runner.invoke(go(&"x".repeat(length)), &mut host, &NEVER);
        assert!(
            matches!(outcome, Err(RunError::Fault(RunFault::Trap(_)))),
            "{length}: {outcome:?}"
        );
    }
    assert_eq!(host.calls, []);
}

#[test]
fn a_text_is_no_collection() {
    let confuses = Guest {
        imports: r#"(import "hearth:plugin/values@0.1.0" "[static]text.literal"
                (func $literal (param i32 i32 i32)))
            (import "hearth:plugin/values@0.1.0" "[method]collection.take"
                (func $take (param i32 i32 i32)))"#,
        run: r#"(call $literal (i32.const 0) (i32.const 2) (i32.const 64))
            (call $take (i32.load (i32.const 68)) (i32.const 1) (i32.const 80))"#,
        ..QUIET
    };
    let Some((fault, calls)) = fault_of("a_text_is_no_collection", &confuses) else { return };
    assert!(matches!(fault, RunFault::Trap(_)), "{fault:?}");
    assert_eq!(calls.len(), 1);
}

#[test]
fn a_log_line_of_8_mib_never_reaches_the_host() {
    let shouts = Guest {
        imports: r#"(import "hearth:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        pages: 130,
        run: "(call $log (i32.const 1) (i32.const 0) (i32.const 8388608))",
        ..QUIET
    };
    let test = "a_log_line_of_8_mib_never_reaches_the_host";
    let Some((fault, calls)) = fault_of(test, &shouts) else { return };
    assert!(matches!(fault, RunFault::Limit(_)), "{fault:?}");
    assert_eq!(calls, []);
}

#[test]
fn the_clock_ends_what_fuel_does_not() {
    let Some(runtime) = runtime("the_clock_ends_what_fuel_does_not") else { return };
    let runtime = runtime.with_call_limit(Duration::from_secs(2));
    let endless = Guest { run: "(loop $on (br $on))", ..QUIET };
    let mut runner = start(&runtime, &endless.component());
    let invocation = Invocation { fuel: u64::MAX, ..go("go") };
    let outcome = runner.invoke(invocation, &mut Recorder::default(), &NEVER);
    assert!(matches!(outcome, Err(RunError::TimedOut)), "{outcome:?}");
    assert!(!runner.is_alive());
}

#[test]
fn a_compile_bomb_is_stopped() {
    let Some(runtime) = runtime("a_compile_bomb_is_stopped") else { return };
    let runtime = runtime.with_compile_limit(Duration::from_secs(1));
    // A quarter of a megabyte that keeps a register allocator busy for a minute.
    let locals = "i32 ".repeat(49_000);
    let step = "(if (local.get 7) (then (local.set 31000 (local.get 48000))))";
    let text = format!("(func $bomb (local {locals}) {})", step.repeat(20_000));
    let component =
        Guest { functions: Box::leak(text.into_boxed_str()), run: "(call $bomb)", ..QUIET }
            .component();
    inspect(&component).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = ArtefactStore::new(dir.path().into(), Zeroizing::new([1; 32]));
    let outcome = store.load_or_compile(&runtime, &component, &NEVER).map(drop);
    assert!(matches!(outcome, Err(CompileError::OverLimits)), "{outcome:?}");
}

#[test]
fn what_does_not_compile_is_told() {
    let Some(runtime) = runtime("what_does_not_compile_is_told") else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = ArtefactStore::new(dir.path().into(), Zeroizing::new([1; 32]));
    let broken = with_manifest(b"\0asm\x0d\0\x01\0\xff".to_vec(), MANIFEST);
    let outcome = store.load_or_compile(&runtime, &broken, &NEVER).map(drop);
    assert!(matches!(outcome, Err(CompileError::Refused { .. })), "{outcome:?}");
}
