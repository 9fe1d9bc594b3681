//! Components made to keep a compiler busy or to fill its memory: refused at sight, or ended by the compiler's own limits,
//! while the host goes on answering other plugins.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use hearth_wasm::{ArtefactStore, CompileError, InspectError, Runtime, inspect};
use zeroize::Zeroizing;

use crate::{
    guest::{Guest, QUIET},
    programs::{Recorder, go, runtime, start},
};

static NEVER: AtomicBool = AtomicBool::new(false);

/// A guest with these functions beside its exports.
fn with(functions: String) -> Vec<u8> {
    Guest { functions: Box::leak(functions.into_boxed_str()), ..QUIET }.component()
}

fn nested(block: &str, depth: usize) -> Vec<u8> {
    with(format!("(func {}{})", format!("({block} ").repeat(depth), ")".repeat(depth)))
}

/// Each of many locals is alive at each of many branches.
fn locals_and_branches(locals: usize, branches: usize) -> Vec<u8> {
    let (first, last) = (locals / 2, locals - 1);
    let step = format!("(if (local.get 7) (then (local.set {first} (local.get {last}))))");
    with(format!("(func (local {}) {})", "i32 ".repeat(locals), step.repeat(branches)))
}

/// Tables of branches, each to the same few blocks.
fn branch_tables(tables: usize, targets: usize) -> Vec<u8> {
    let table = format!("(block (br_table {}(local.get 0)))", "0 1 2 ".repeat(targets / 3));
    with(format!("(func (param i32) (block (block (block {}))))", table.repeat(tables)))
}

fn many_functions(count: usize) -> Vec<u8> {
    with("(func (param i64) (result i64) (i64.mul (local.get 0) (local.get 0)))".repeat(count))
}

fn wide_function(parameters: usize, results: usize) -> Vec<u8> {
    let (takes, gives) = ("i32 ".repeat(parameters), "i32 ".repeat(results));
    with(format!("(func (param {takes}) (result {gives}) unreachable)"))
}

#[test]
fn bombs_are_refused_at_sight() {
    for (bomb, what) in [
        (nested("loop", 65), "loops within loops"),
        (nested("block", 2_049), "blocks within blocks"),
        (nested("loop", 5_000), "loops within loops"),
        (locals_and_branches(4_097, 1), "locals in one function"),
        (locals_and_branches(49_000, 20_000), "locals in one function"),
        (branch_tables(40, 30_000), "targets of branch tables"),
        (wide_function(65, 1), "parameters in one function"),
        (wide_function(1, 17), "results in one function"),
    ] {
        let seen = inspect(&bomb).map(drop);
        assert!(
            matches!(&seen, Err(InspectError::TooMany { what: found, .. }) if *found == what),
            "{what}: {seen:?}"
        );
    }
    // What honest engines need passes.
    for honest in [nested("block", 1_000), nested("loop", 60), wide_function(64, 16)] {
        inspect(&honest).unwrap();
    }
}

/// What becomes of a component that was let through.
fn compiled(runtime: &Runtime, component: &[u8]) -> Result<(), CompileError> {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtefactStore::new(dir.path().into(), Zeroizing::new([1; 32]));
    store.load_or_compile(runtime, component, &NEVER).map(drop)
}

/// The worst that inspection lets through, of each kind.
#[test]
fn what_passes_as_honest_stays_within_limits_and_others_are_answered() {
    let test = "what_passes_as_honest_stays_within_limits_and_others_are_answered";
    let Some(patient) = runtime(test) else { return };
    let Some(bounded) = runtime(test) else { return };
    let bounded = bounded.with_compile_limit(Duration::from_secs(2));
    let mut other = start(&patient, &QUIET.component());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let answered = scope.spawn(|| {
            let mut answered = 0u32;
            while !over.load(Ordering::Relaxed) {
                other.invoke(go("go"), &mut Recorder::default(), &NEVER).unwrap();
                answered += 1;
            }
            answered
        });
        for bomb in [
            nested("loop", 64),
            nested("block", 2_000),
            locals_and_branches(4_096, 60_000),
            branch_tables(33, 30_000),
            many_functions(100_000),
        ] {
            inspect(&bomb).unwrap();
            let outcome = compiled(&bounded, &bomb);
            assert!(matches!(outcome, Ok(()) | Err(CompileError::OverLimits)), "{outcome:?}");
        }
        over.store(true, Ordering::Relaxed);
        assert!(answered.join().unwrap() > 0);
    });
    // The compiler's own end leaves nothing behind: the next plugin compiles.
    compiled(&patient, &QUIET.component()).unwrap();
}

#[test]
fn a_compiler_that_does_not_finish_is_ended() {
    let Some(runtime) = runtime("a_compiler_that_does_not_finish_is_ended") else { return };
    // A minute's work, had inspection not refused it.
    let bomb = locals_and_branches(49_000, 20_000);
    let runtime = runtime.with_compile_limit(Duration::from_secs(1));
    let outcome = compiled(&runtime, &bomb);
    assert!(matches!(outcome, Err(CompileError::OverLimits)), "{outcome:?}");
}
