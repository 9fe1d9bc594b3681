//! The programs under test, and what answers guests.

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use hearth_base::{Answer, Date, Export, Handle, HostCall, HostReply, Invocation, InvocationInfo};
use hearth_wasm::{Artefact, ArtefactStore, HostCalls, RunnerProcess, Runtime};
use zeroize::Zeroizing;

pub(crate) const FUEL: u64 = 500_000_000;

/// Where `cargo xtask test` or two `cargo build` put runner and compiler.
pub(crate) fn dir() -> PathBuf {
    match std::env::var_os("HEARTH_RUNTIME_DIR") {
        Some(dir) => dir.into(),
        None => std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_path_buf(),
    }
}

/// The real programs, or `None` with a word where they are not built.
pub(crate) fn runtime(test: &str) -> Option<Runtime> {
    match Runtime::in_dir(&dir()) {
        Ok(runtime) => Some(runtime),
        Err(missing) => {
            println!("SKIPPED {test}: {missing}");
            None
        }
    }
}

/// One of the scripts that stand in for a program.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/programs").join(format!("{name}.sh"))
}

pub(crate) fn compile(runtime: &Runtime, component: &[u8]) -> Artefact {
    let dir = tempfile::tempdir().unwrap();
    let store = ArtefactStore::new(dir.path().into(), Zeroizing::new([7; 32]));
    store.load_or_compile(runtime, component, &AtomicBool::new(false)).unwrap()
}

pub(crate) fn start(runtime: &Runtime, component: &[u8]) -> RunnerProcess {
    runtime.start(&compile(runtime, component)).unwrap()
}

pub(crate) fn go(command: &str) -> Invocation {
    invocation(Export::Run { command: command.into(), focus: None, input: None })
}

pub(crate) fn invocation(export: Export) -> Invocation {
    let info = InvocationInfo {
        today: Date { year: 2026, month: 3, day: 9 },
        seed: 7,
        locale: "en-GB".into(),
        api: (0, 1, 0),
    };
    Invocation { export, info, fuel: FUEL }
}

/// Answers with new handles, and remembers what was asked.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) calls: Vec<HostCall>,
    handles: u32,
}

impl HostCalls for Recorder {
    fn call(&mut self, call: HostCall) -> HostReply {
        let mut next = || {
            self.handles += 1;
            Handle(self.handles)
        };
        let answer = match &call {
            HostCall::Keep { .. }
            | HostCall::Drop(_)
            | HostCall::Save { .. }
            | HostCall::SaveEach { .. }
            | HostCall::PanelShow { .. }
            | HostCall::Notify { .. }
            | HostCall::StorageSet { .. }
            | HostCall::StorageDelete(_)
            | HostCall::Log { .. }
            | HostCall::Progress { .. } => Answer::Unit,
            HostCall::Kept { .. } => Answer::MaybeHandle(Some(next())),
            HostCall::DecideEach { .. } | HostCall::Threads { .. } => {
                Answer::Handles(vec![next(), next()])
            }
            HostCall::CompletionNext(_) => Answer::Token(None),
            HostCall::RevealText { .. } => Answer::Text("seen".into()),
            HostCall::RevealChoice(_) | HostCall::Remaining => Answer::Number(3),
            HostCall::StorageGet(_) => Answer::Bytes(None),
            HostCall::StorageKeys => Answer::Keys(Vec::new()),
            HostCall::SettingGet(_) => Answer::Setting(None),
            _ => Answer::Handle(next()),
        };
        self.calls.push(call);
        Ok(answer)
    }
}
