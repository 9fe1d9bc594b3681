//! Guests that try to break out or to use everything up.

use std::{sync::atomic::AtomicBool, time::Duration};

use hearth_base::{HostCall, Invocation, RunFault};
use hearth_wasm::{ArtefactStore, CompileError, RunError, inspect};
use zeroize::Zeroizing;

use crate::{
    guest::{Guest, MANIFEST, NestedComponent, QUIET, with_manifest},
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
fn memories_are_counted_together() {
    let Some(runtime) = runtime("memories_are_counted_together") else { return };
    // Two modules of 40 MiB each, one beside the plugin's own.
    let beside = NestedComponent { memories: 2, instances: 1, pages: 640 };
    let mut runner = start(&runtime, &beside.in_front_of_quiet());
    let outcome = runner.invoke(go("go"), &mut Recorder::default(), &NEVER);
    let fault = RunFault::Limit("64 MiB of memory".into());
    assert!(matches!(&outcome, Err(RunError::Fault(found)) if *found == fault), "{outcome:?}");
    let beside = NestedComponent { memories: 1, instances: 1, pages: 640 };
    let mut runner = start(&runtime, &beside.in_front_of_quiet());
    assert_eq!(runner.invoke(go("go"), &mut Recorder::default(), &NEVER).unwrap().result, Ok(()));
}

#[test]
fn instances_are_limited_wherever_they_come_from() {
    let Some(runtime) = runtime("instances_are_limited_wherever_they_come_from") else { return };
    // Few enough to be declared, and made again and again.
    let many = NestedComponent { memories: 10, instances: 20, pages: 0 };
    let mut runner = start(&runtime, &many.in_front_of_quiet());
    let outcome = runner.invoke(go("go"), &mut Recorder::default(), &NEVER);
    assert!(matches!(outcome, Err(RunError::Fault(RunFault::Limit(_)))), "{outcome:?}");
    assert!(runner.is_alive());
}

#[test]
fn a_table_bomb_hits_the_limit() {
    let grows = Guest {
        functions: "(table $t 10 funcref)",
        run: "(loop $on (br_if $on (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
              unreachable",
        ..QUIET
    };
    let Some((fault, _)) = fault_of("a_table_bomb_hits_the_limit", &grows) else { return };
    assert_eq!(fault, RunFault::Limit("20,000 table elements".into()));
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
fn a_list_longer_than_memory_never_reaches_the_host() {
    for length in ["100000", "268435455", "-1"] {
        let run = format!("(call $concat (i32.const 0) (i32.const {length}) (i32.const 64))");
        let lists = Guest {
            imports: r#"(import "hearth:plugin/values@0.1.0" "[static]text.concat"
                (func $concat (param i32 i32 i32)))"#,
            run: Box::leak(run.into_boxed_str()),
            ..QUIET
        };
        let test = "a_list_longer_than_memory_never_reaches_the_host";
        let Some((fault, calls)) = fault_of(test, &lists) else { return };
        assert!(matches!(fault, RunFault::Limit(_) | RunFault::Trap(_)), "{fault:?}");
        assert_eq!(calls, []);
    }
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
fn what_does_not_compile_is_told() {
    let Some(runtime) = runtime("what_does_not_compile_is_told") else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = ArtefactStore::new(dir.path().into(), Zeroizing::new([1; 32]));
    let broken = with_manifest(b"\0asm\x0d\0\x01\0\xff".to_vec(), MANIFEST);
    let outcome = store.load_or_compile(&runtime, &broken, &NEVER).map(drop);
    assert!(matches!(outcome, Err(CompileError::Refused { .. })), "{outcome:?}");
}
