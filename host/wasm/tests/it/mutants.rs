//! Real components with a few bytes changed: whatever inspection makes of them, nothing but an error comes of the rest.

use std::sync::atomic::AtomicBool;

use hearth_base::RunFault;
use hearth_wasm::{ArtefactStore, CompileError, RunError, inspect};
use zeroize::Zeroizing;

use crate::{
    first_party,
    guest::{Guest, QUIET},
    programs::{Recorder, go, runtime},
};

static NEVER: AtomicBool = AtomicBool::new(false);

/// How many mutants are looked at, and how many that pass for plugins are compiled and run.
const LOOKED_AT: u32 = 600;
const RUN: usize = 12;

/// A plugin with something of each kind in it.
fn specimen() -> Vec<u8> {
    let guest = Guest {
        imports: r#"(import "hearth:plugin/values@0.1.0" "[static]text.literal"
                (func $literal (param i32 i32 i32)))
            (import "hearth:plugin/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        functions: r#"(table $t 4 funcref) (elem (i32.const 0) $twice) (type $one (func (param i32) (result i32)))
            (data (i32.const 0) "words of a plugin")
            (func $twice (param i32) (result i32)
                (local i64 f64) (block $b (br_table $b $b (local.get 0)))
                (i32.mul (i32.const 2) (local.get 0)))"#,
        run: "(call $literal (i32.const 0) (i32.const 5) (i32.const 64))
              (call $log (i32.const 1) (i32.const 0)
                (call_indirect $t (type $one) (i32.const 4) (i32.const 0)))",
        ..QUIET
    };
    guest.component()
}

/// The same mutants every time.
struct Mutations(u64);

impl Mutations {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0)
    }

    fn mutant(&mut self, of: &[u8]) -> Vec<u8> {
        let mut bytes = of.to_vec();
        for _ in 0..=self.next() % 3 {
            let place = self.next() % bytes.len();
            bytes[place] = match self.next() % 3 {
                0 => bytes[place] ^ (1 << (self.next() % 8)),
                1 => bytes[place].wrapping_add(1),
                _ => self.next() as u8,
            };
        }
        bytes
    }
}

/// Compiles and runs what passed for a plugin. Says whether it came to run.
fn live(runtime: &hearth_wasm::Runtime, component: &[u8]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtefactStore::new(dir.path().into(), Zeroizing::new([1; 32]));
    let artefact = match store.load_or_compile(runtime, component, &NEVER) {
        Ok(artefact) => artefact,
        Err(CompileError::Refused { .. }) => return false,
        Err(error) => panic!("{error:?}"),
    };
    let mut runner = match runtime.start(&artefact) {
        Ok(runner) => runner,
        Err(RunError::Fault(RunFault::Link(_) | RunFault::BadArtefact(_))) => return false,
        Err(error) => panic!("{error:?}"),
    };
    match runner.invoke(go("go"), &mut Recorder::default(), &NEVER) {
        Ok(_) | Err(RunError::Fault(_)) => assert!(runner.is_alive()),
        Err(error) => panic!("{error:?}"),
    }
    true
}

#[test]
fn mutants_are_refused_or_run_within_limits() {
    let test = "mutants_are_refused_or_run_within_limits";
    let Some(runtime) = runtime(test) else { return };
    let mut originals = vec![specimen()];
    originals.extend(first_party::component(test, "org.hearth.code-helper"));
    let mut mutations = Mutations(0x2545_f491_4f6c_dd1d);
    let mut passed = Vec::new();
    for original in &originals {
        assert!(live(&runtime, original));
        for _ in 0..LOOKED_AT {
            let mutant = mutations.mutant(original);
            if mutant != *original && inspect(&mutant).is_ok() {
                passed.push(mutant);
            }
        }
    }
    assert!(passed.len() >= RUN, "only {} mutants passed for plugins", passed.len());
    let ran = passed.iter().take(RUN).filter(|mutant| live(&runtime, mutant)).count();
    assert!(ran > 0, "no mutant ran");
}
