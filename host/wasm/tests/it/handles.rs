//! Guests that make handles up.

use std::sync::atomic::AtomicBool;

use hearth_base::{HostCall, Invocation, InvocationInfo, RunFault};
use hearth_wasm::{RunError, RunnerProcess};

use crate::{
    guest::{Guest, QUIET},
    programs::{Recorder, go, runtime, start},
};

static NEVER: AtomicBool = AtomicBool::new(false);

/// How many numbers are tried: what takes a few seconds in a development build. `HEARTH_FORGED_HANDLES=1000000` tries as
/// many as that.
fn forgeries() -> u64 {
    let asked = std::env::var("HEARTH_FORGED_HANDLES").ok().and_then(|n| n.parse().ok());
    asked.unwrap_or(5_000)
}

/// The lower half of its seed is the number it tries.
const SEED: &str = r#"(import "hearth:plugin/host@0.1.0" "info" (func $info (param i32)))"#;

/// Holds a text and a collection, and takes a number for a document.
fn forger() -> Guest {
    let imports = format!(
        r#"{SEED}
        (import "hearth:plugin/values@0.1.0" "[static]text.literal"
            (func $literal (param i32 i32 i32)))
        (import "hearth:plugin/documents@0.1.0" "[method]document.get"
            (func $get (param i32 i32 i32)))"#
    );
    Guest {
        imports: Box::leak(imports.into_boxed_str()),
        run: "(call $literal (i32.const 0) (i32.const 2) (i32.const 64))
              (call $info (i32.const 128))
              (call $get (i32.load (i32.const 136)) (i32.const 0) (i32.const 256))",
        ..QUIET
    }
}

fn seeded(number: u32) -> Invocation {
    let Invocation { export, info, fuel } = go("go");
    Invocation { export, info: InvocationInfo { seed: number.into(), ..info }, fuel }
}

fn try_number(runner: &mut RunnerProcess, number: u32) -> Vec<HostCall> {
    let mut host = Recorder::default();
    let outcome = runner.invoke(seeded(number), &mut host, &NEVER);
    assert!(matches!(outcome, Err(RunError::Fault(RunFault::Trap(_)))), "{number}: {outcome:?}");
    host.calls
}

#[test]
fn forged_handles_never_reach_the_host() {
    let Some(runtime) = runtime("forged_handles_never_reach_the_host") else { return };
    let mut runner = start(&runtime, &forger().component());
    // Small ones first, where tables lie; then all over.
    let (half, mut state) = (forgeries() / 2, 0x9e37_79b9_u32);
    let small = 0..u32::try_from(half).unwrap();
    let scattered = (0..half).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    });
    for number in small.chain([u32::MAX, i32::MAX as u32, 1 << 31]).chain(scattered) {
        let calls = try_number(&mut runner, number);
        assert!(
            matches!(calls.as_slice(), [HostCall::TextLiteral(_)]),
            "{number} reached the host: {calls:?}"
        );
    }
    assert!(runner.is_alive());
}

/// The number a guest holds for the first text it made lies at 68.
const MAKES: &str = r#"(import "hearth:plugin/values@0.1.0" "[static]text.literal"
        (func $literal (param i32 i32 i32)))"#;

#[test]
fn a_text_is_no_collection() {
    let Some(runtime) = runtime("a_text_is_no_collection") else { return };
    let imports = format!(
        r#"{MAKES} (import "hearth:plugin/values@0.1.0" "[method]collection.take"
            (func $take (param i32 i32 i32)))"#
    );
    let confuses = Guest {
        imports: Box::leak(imports.into_boxed_str()),
        run: "(call $literal (i32.const 0) (i32.const 2) (i32.const 64))
              (call $take (i32.load (i32.const 68)) (i32.const 1) (i32.const 80))",
        ..QUIET
    };
    let calls = try_number(&mut start(&runtime, &confuses.component()), 0);
    assert!(matches!(calls.as_slice(), [HostCall::TextLiteral(_)]), "{calls:?}");
}

#[test]
fn a_dropped_handle_is_gone() {
    let Some(runtime) = runtime("a_dropped_handle_is_gone") else { return };
    let imports = format!(
        r#"{MAKES}
        (import "hearth:plugin/values@0.1.0" "[resource-drop]text" (func $drop (param i32)))
        (import "hearth:plugin/values@0.1.0" "[method]text.chunk"
            (func $chunk (param i32 i32 i32)))"#
    );
    let make_and_drop = "(call $literal (i32.const 0) (i32.const 2) (i32.const 64))
        (call $drop (i32.load (i32.const 68)))";
    for again in [
        "(call $drop (i32.load (i32.const 68)))",
        "(call $chunk (i32.load (i32.const 68)) (i32.const 9) (i32.const 80))",
    ] {
        let run = format!("{make_and_drop} {again}");
        let guest = Guest {
            imports: Box::leak(imports.clone().into_boxed_str()),
            run: Box::leak(run.into_boxed_str()),
            ..QUIET
        };
        let calls = try_number(&mut start(&runtime, &guest.component()), 0);
        assert!(
            matches!(calls.as_slice(), [HostCall::TextLiteral(_), HostCall::Drop(_)]),
            "{calls:?}"
        );
    }
}

#[test]
fn the_numbers_of_one_plugin_mean_nothing_in_another() {
    let test = "the_numbers_of_one_plugin_mean_nothing_in_another";
    let Some(runtime) = runtime(test) else { return };
    let hoards = Guest {
        imports: MAKES,
        functions: "(global $left (mut i32) (i32.const 100))",
        run: "(loop $on
                (call $literal (i32.const 0) (i32.const 2) (i32.const 64))
                (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                (br_if $on (global.get $left)))",
        ..QUIET
    };
    let borrows = format!(
        r#"{SEED} (import "hearth:plugin/values@0.1.0" "[method]text.chunk"
            (func $chunk (param i32 i32 i32)))"#
    );
    let borrows = Guest {
        imports: Box::leak(borrows.into_boxed_str()),
        run: "(call $info (i32.const 128))
              (call $chunk (i32.load (i32.const 136)) (i32.const 9) (i32.const 256))",
        ..QUIET
    };
    // Each in its own process, and the former's values are alive while the latter tries.
    let mut rich = start(&runtime, &hoards.component());
    let mut poor = start(&runtime, &borrows.component());
    let mut host = Recorder::default();
    for number in 0..200 {
        if number % 20 == 0 {
            rich.invoke(go("go"), &mut host, &NEVER).unwrap();
        }
        assert_eq!(try_number(&mut poor, number), []);
    }
    assert_eq!(host.calls.len(), 1_000);
}
