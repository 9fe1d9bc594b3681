//! A session on a throwaway vault, and what tests do with it.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use hearth_base::{HostCall, HostReply, Invocation, Manifest};
use hearth_engine_api::{LanguageModel, LoadError, LoadOptions};
use hearth_session::{
    Answerer, Backend, Command, Config, DocumentHead, DocumentQuery, Event, FakeBackend, FakeTuner,
    Guest, GuestEnd, GuestRuntime, MemoryEstimate, ModelInfo, Passphrase, Power, Reply, Session,
    SessionHandle, UserError, View,
};
use hearth_wasm::Inspection;

type Call<'a> = &'a mut (dyn FnMut(HostCall) -> HostReply + Send);
type Script = dyn Fn(&Invocation, Call<'_>, &AtomicBool) -> GuestEnd + Send + Sync;

/// Runs a closure where a component's code would run. A "component" is its manifest alone.
pub(crate) struct Scripted(Box<Script>);

impl Scripted {
    pub(crate) fn new(
        script: impl Fn(&Invocation, Call<'_>, &AtomicBool) -> GuestEnd + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self(Box::new(script)))
    }

    /// One that has nothing to do.
    pub(crate) fn idle() -> Arc<Self> {
        Self::new(|_, _, _| GuestEnd::Returned(Ok(())))
    }
}

impl GuestRuntime for Scripted {
    fn inspect(&self, component: &[u8]) -> Result<Inspection, UserError> {
        let manifest = Manifest::parse(component).map_err(|error| UserError {
            kind: hearth_session::ErrorKind::Input,
            message: error.to_string(),
            hint: String::new(),
        })?;
        Ok(Inspection {
            sealed: manifest.claims_sealed(),
            manifest,
            imports: Vec::new(),
            interfaces: Default::default(),
            component_hash: hearth_wasm::component_hash(component),
            size_bytes: component.len() as u64,
        })
    }

    fn prepare(&self, _guest: Guest<'_>, _cancel: &AtomicBool) -> Result<(), UserError> {
        Ok(())
    }

    fn invoke(
        &self,
        _guest: Guest<'_>,
        invocation: Invocation,
        answer: Answerer<'_>,
        cancel: &AtomicBool,
    ) -> Result<GuestEnd, UserError> {
        Ok((self.0)(&invocation, answer, cancel))
    }
}

/// A session and the folder it lives in.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    _session: Session,
    pub(crate) handle: SessionHandle,
}

/// How a session is set up.
pub(crate) struct Setting {
    pub(crate) backend: FakeBackend,
    pub(crate) guests: Arc<Scripted>,
    pub(crate) in_memory: bool,
    pub(crate) bundled: Vec<PathBuf>,
    pub(crate) model: bool,
    pub(crate) tuner: FakeTuner,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            backend: FakeBackend::default(),
            guests: Scripted::idle(),
            in_memory: true,
            bundled: Vec::new(),
            model: true,
            tuner: FakeTuner::default(),
        }
    }
}

impl Setting {
    /// Starts a session with a locked vault in `dir`.
    pub(crate) fn start(self, dir: &Path) -> Session {
        Session::start(self.config(dir), self.backend, Arc::new(|| {})).unwrap()
    }

    pub(crate) fn config(&self, dir: &Path) -> Config {
        Config {
            vault_dir: dir.join("vault"),
            runtime: Arc::clone(&self.guests) as Arc<dyn GuestRuntime>,
            bundled_plugins: self.bundled.clone(),
            starter_model: self.model.then(|| PathBuf::from("starter.gguf")),
            locale: "en-GB".into(),
            clock: Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
            tuner: Arc::new(self.tuner),
            power: Arc::new(Power::default),
            in_memory_vault: self.in_memory,
            scrypt_log_n: Some(1),
        }
    }

    /// Starts a session and makes its vault.
    pub(crate) fn open(self) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let session = self.start(dir.path());
        Stage::on(dir, session)
    }
}

/// Refuses to load what is called broken.
pub(crate) struct Picky(pub(crate) FakeBackend);

impl Backend for Picky {
    fn inspect(
        &self,
        path: &Path,
        options: &LoadOptions,
    ) -> Result<(ModelInfo, MemoryEstimate), LoadError> {
        self.0.inspect(path, options)
    }

    fn load(
        &self,
        path: &Path,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Box<dyn LanguageModel>, LoadError> {
        if path.ends_with("broken.gguf") {
            return Err(LoadError::Cancelled);
        }
        self.0.load(path, options, on_progress)
    }
}

impl Stage {
    /// Makes a session's vault.
    pub(crate) fn on(dir: tempfile::TempDir, session: Session) -> Self {
        let handle = session.handle();
        run(&handle, Command::CreateVault(passphrase())).unwrap();
        Self { dir, _session: session, handle }
    }

    pub(crate) fn run(&self, command: Command) -> Result<Reply, UserError> {
        run(&self.handle, command)
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.handle.view()
    }

    /// Imports `count` small mails and gives the heads of the library.
    pub(crate) fn with_mails(&self, count: usize) -> Vec<DocumentHead> {
        let path = self.dir.path().join("Inbox.mbox");
        std::fs::write(&path, mbox(count)).unwrap();
        let reply = self.run(Command::Import { path, name: Some("Inbox".into()) }).unwrap();
        let Reply::Imported(report) = reply else { panic!("{reply:?}") };
        assert_eq!(report.done, count as u64);
        self.run(Command::Browse(DocumentQuery::default())).unwrap();
        self.view().library.heads.clone()
    }

    /// Installs a plugin of this manifest, which nobody has signed.
    pub(crate) fn install(&self, manifest: &str) -> hearth_session::PluginId {
        self.run(Command::SetDeveloperMode(true)).unwrap();
        let path = self.dir.path().join("plugin.wasm");
        std::fs::write(&path, manifest).unwrap();
        match self.run(Command::InstallPlugin { path, expected_hash: None }).unwrap() {
            Reply::Installed(id) => id,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::new("seven bright kettles sang".into())
}

pub(crate) fn run(handle: &SessionHandle, command: Command) -> Result<Reply, UserError> {
    handle.run(command, &mut |_: &Event| {})
}

/// Waits, by events, until the view is as wished.
pub(crate) fn until(handle: &SessionHandle, what: &str, wished: impl Fn(&View) -> bool) {
    let give_up = std::time::Instant::now() + Duration::from_secs(30);
    while !wished(&handle.view()) {
        assert!(std::time::Instant::now() < give_up, "never came about: {what}");
        std::thread::yield_now();
    }
}

/// Lets a guest wait for its test, but not for ever.
pub(crate) fn wait_for(flag: &AtomicBool, cancel: &AtomicBool) -> bool {
    let give_up = std::time::Instant::now() + Duration::from_secs(30);
    while !flag.load(Ordering::SeqCst) && std::time::Instant::now() < give_up {
        if cancel.load(Ordering::SeqCst) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

pub(crate) fn mbox(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "From a@b.example Tue Nov 14 10:00:00 2023\nFrom: Ada <ada@b.example>\n\
                 Subject: Letter {n}\nMessage-ID: <{n}@b.example>\n\
                 Date: Tue, 14 Nov 2023 10:{:02}:{:02} +0000\n\nWords of letter {n}.\n\n",
                n / 60 % 60,
                n % 60
            )
        })
        .collect()
}

/// A plugin that reads a slot of mail, runs the model and may save.
pub(crate) const DIGEST: &str = r#"
id = "org.example.digest"
name = "Digest"
version = "1.0.0"
api = "0.1"
commands = [{ id = "digest", title = "Digest the mail" }, { id = "one", title = "Digest this", focus = "document" }]
panels = [{ id = "digest", title = "Digest" }]
slots = [{ id = "inbox", kind = "mail", why = "to digest it" }]
settings = [{ key = "lines", kind = "number", min = 1, max = 20, default = 5 }]
capabilities = { model = true, save = true, pick = true }
"#;
