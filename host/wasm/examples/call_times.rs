//! Measures what a plugin's process costs: starting it, loading into it, calls out of it, with a guest that makes and drops
//! a thousand values. `cargo run --release -p hearth-wasm --example call_times`, with optimised programs where
//! `HEARTH_RUNTIME_DIR` says. Figures are of one machine at one
//! time: compare them with each other, and read them with the load that is printed beside them.
#![expect(clippy::print_stdout, reason = "an example")]

use std::{
    env,
    error::Error,
    fs,
    path::PathBuf,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use hearth_base::{Answer, Date, Export, Handle, HostCall, HostReply, Invocation, InvocationInfo};
use hearth_wasm::{ArtefactStore, HostCalls, Runtime};

#[path = "../tests/it/guest.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod guest;

const BUSY: guest::Guest = guest::Guest {
    imports: r#"(import "hearth:plugin/values@0.1.0" "[static]text.literal"
            (func $literal (param i32 i32 i32)))
        (import "hearth:plugin/values@0.1.0" "[resource-drop]text" (func $drop (param i32)))"#,
    functions: "(global $left (mut i32) (i32.const 1000))",
    pages: 1,
    run: "(loop $on
            (call $literal (i32.const 0) (i32.const 20) (i32.const 64))
            (call $drop (i32.load (i32.const 68)))
            (global.set $left (i32.sub (global.get $left) (i32.const 1)))
            (br_if $on (global.get $left)))",
};

/// Answers each call at once with a new handle, and notes when it came.
#[derive(Default)]
struct Answers {
    made: u32,
    called: Vec<Instant>,
}

impl HostCalls for Answers {
    fn call(&mut self, call: HostCall) -> HostReply {
        self.called.push(Instant::now());
        self.made += 1;
        Ok(match call {
            HostCall::TextLiteral(_) | HostCall::TextConcat(_) | HostCall::Generate { .. } => {
                Answer::Handle(Handle(self.made))
            }
            _ => Answer::Unit,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let component = BUSY.component();
    let programs: PathBuf =
        env::var_os("HEARTH_RUNTIME_DIR").ok_or("set HEARTH_RUNTIME_DIR")?.into();
    let runtime = Runtime::in_dir(&programs)?;
    let folder = env::temp_dir().join("hearth-call-times");
    let store = ArtefactStore::new(folder, [9; 32].into());
    let never = AtomicBool::new(false);

    let since = Instant::now();
    store.load_or_compile(&runtime, &component, &never)?;
    println!("compiled, or loaded at once    {:?}", since.elapsed());
    let since = Instant::now();
    let artefact = store.load_or_compile(&runtime, &component, &never)?;
    println!("checked and read ({} KiB)    {:?}", artefact.size_bytes() >> 10, since.elapsed());

    let (mut starts, mut runs, mut trips) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        let since = Instant::now();
        let mut runner = runtime.start(&artefact)?;
        starts.push(since.elapsed());
        for _ in 0..20 {
            let mut host = Answers::default();
            let since = Instant::now();
            let ended = runner.invoke(invocation("go"), &mut host, &never);
            runs.push(since.elapsed());
            trips.extend(host.called.windows(2).filter_map(|pair| match pair {
                [from, to] => Some(*to - *from),
                _ => None,
            }));
            ended?.result.map_err(|failure| format!("{failure:?}"))?;
        }
    }
    show("process started, plugin loaded", &mut starts);
    show("one invocation", &mut runs);
    show("one host call", &mut trips);
    if let Ok(load) = fs::read_to_string("/proc/loadavg") {
        println!("load: {}", load.trim());
    }
    Ok(())
}

fn show(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let last = times.last().copied().unwrap_or_default();
    let count = times.len();
    println!("{what:30} {count:7} times: p50 {:?}, p99 {:?}, worst {last:?}", at(50), at(99));
}

fn invocation(command: &str) -> Invocation {
    Invocation {
        export: Export::Run { command: command.into(), focus: None, input: None },
        info: InvocationInfo {
            today: Date { year: 2026, month: 3, day: 9 },
            seed: 7,
            locale: "en-GB".into(),
            api: (0, 1, 0),
        },
        fuel: 500_000_000,
    }
}
