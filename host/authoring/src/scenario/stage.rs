//! The broker, the runner and an invented user, for one scenario.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};

use hearth_base::{
    Date, DocumentId, Grant, GuestFailure, HostCall, HostReply, Invocation, LogLevel, PluginId,
};
use hearth_broker::{
    Asker, BeginError, Broker, Client, ModelFacts, ModelTrust, Observer, PanelKey, PanelNode,
    PanelView, PickAnswer, PickQuestion, PluginNotice, RevealAnswer, RevealQuestion, RunEnd, Start,
    ValueState,
};
use hearth_engine_api::{Engine, LoadOptions};
use hearth_vault::Vault;
use hearth_wasm::{Artefact, HostCalls, Inspection, Runtime};

use super::{
    SETTLE_LIMIT, TestError,
    format::{Action, Consent, Scenario, Step},
    model::Script,
    report::{Call, Shown, StepReport},
    trace, vault,
};

/// Tokens that the invented model reads and writes at most.
const CONTEXT_TOKENS: u32 = 4096;
/// How long to wait for news before looking again.
const LOOK: Duration = Duration::from_millis(50);

/// Everything a scenario plays on.
pub(super) struct Stage<'a> {
    pub(super) vault: Arc<Vault>,
    pub(super) broker: Broker,
    pub(super) documents: BTreeMap<String, DocumentId>,
    pub(super) plugin: PluginId,
    seen: Arc<Seen>,
    script: Arc<Script>,
    grant: Grant,
    today: Date,
    locale: String,
    seed: u64,
    artefact: Artefact,
    runner: &'a Runtime,
    // Last: what stands above may still need it.
    _threads: tokio::runtime::Runtime,
}

/// What one step has brought to light.
pub(super) struct Told {
    pub(super) report: StepReport,
    pub(super) panels: Vec<PanelView>,
    pub(super) saved: Vec<DocumentId>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        found: &Inspection,
        scenario: &Scenario,
        runner: &'a Runtime,
        artefact: Artefact,
    ) -> Result<Self, TestError> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("hearth-test")
            .enable_time()
            .build()?;
        let filled = vault::fill(scenario, found)?;
        let vault = Arc::new(filled.vault);
        let script = Script::new(&scenario.answers);
        let engine = threads.block_on(loaded(&script))?;
        let seen = Arc::new(Seen::default());
        let broker = Broker::new(
            Arc::clone(&vault),
            engine,
            Arc::clone(&seen) as Arc<dyn Observer>,
            Arc::clone(&seen) as Arc<dyn Asker>,
            threads.handle().clone(),
        );
        let trust = if scenario.private_model {
            ModelTrust::Private("the scenario's model".into())
        } else {
            ModelTrust::Public
        };
        broker.set_model(Some(ModelFacts { trust, context_tokens: CONTEXT_TOKENS }));
        Ok(Self {
            vault,
            broker,
            documents: filled.documents,
            plugin: found.manifest.id.clone(),
            seen,
            script,
            grant: filled.grant,
            today: scenario.today,
            locale: scenario.locale.clone(),
            seed: scenario.seed,
            artefact,
            runner,
            _threads: threads,
        })
    }

    /// Takes a step and holds what came of it against what was expected.
    pub(super) fn take(&mut self, step: &Step) -> Result<StepReport, TestError> {
        self.change(step)?;
        let mut told = Told {
            report: StepReport {
                title: title_of(step),
                line: step.line,
                calls: Vec::new(),
                failed: None,
                fuel: 0,
                unscripted: Vec::new(),
                panels: Vec::new(),
                log: Vec::new(),
                notices: Vec::new(),
                asked: Vec::new(),
                troubles: Vec::new(),
                saved: Vec::new(),
                met: Vec::new(),
                failures: Vec::new(),
            },
            panels: Vec::new(),
            saved: Vec::new(),
        };
        if let Some(start) = self.start_of(step, &mut told.report) {
            self.seen.prepare(step, &self.documents);
            self.play(start, &mut told.report)?;
            self.settle()?;
        }
        self.look(&mut told)?;
        super::expect::judge(self, step, &mut told);
        Ok(told.report)
    }

    /// What the user changes before the step.
    fn change(&mut self, step: &Step) -> Result<(), TestError> {
        if let Some(today) = step.today {
            self.today = today;
        }
        if step.grant.is_empty() && step.revoke.is_empty() {
            return Ok(());
        }
        self.grant.capabilities.extend(step.grant.iter().copied());
        self.grant.capabilities.retain(|power| !step.revoke.contains(power));
        self.vault.set_grant(&self.plugin, &self.grant)?;
        self.broker.stop(&self.plugin);
        Ok(())
    }

    /// The gesture, unless there is none to make.
    fn start_of(&self, step: &Step, report: &mut StepReport) -> Option<Start> {
        let key = |panel: &str| PanelKey { plugin: self.plugin.clone(), panel: panel.to_owned() };
        Some(match &step.action {
            Action::Run { command, focus, input } => {
                self.script.enter(command);
                let focus = focus.as_ref().and_then(|name| self.documents.get(name)).copied();
                Start::Command { id: command.clone(), focus, input: input.clone() }
            }
            Action::Press { panel, button } => {
                self.script.enter(panel);
                Start::Pressed { panel: key(panel), button: button.clone() }
            }
            Action::Enter { panel, input, text } => {
                self.script.enter(panel);
                Start::Entered { panel: key(panel), input: input.clone(), text: text.clone() }
            }
            Action::Pick { panel, picker, item } => {
                self.script.enter(panel);
                let key = key(panel);
                let open = self.broker.panels().into_iter().find(|open| open.key == key);
                let value = open.and_then(|open| {
                    open.nodes.into_iter().find_map(|node| match node {
                        PanelNode::Picker { id, items: Some(items) } if id == *picker => {
                            items.get(*item).map(|value| value.id)
                        }
                        _ => None,
                    })
                });
                let Some(value) = value else {
                    report.failed =
                        Some(format!("panel {panel} shows no element {item} of `{picker}`"));
                    return None;
                };
                Start::Picked { panel: key, picker: picker.clone(), value }
            }
            Action::Nothing => return None,
        })
    }

    /// One call into the plugin, in a runner of its own.
    fn play(&self, start: Start, report: &mut StepReport) -> Result<(), TestError> {
        let begun = self.broker.begin(&self.plugin, start, self.today, &self.locale);
        let (client, invocation) = match begun {
            Ok((client, invocation)) => (client, invocation),
            Err(BeginError::Store(error)) => return Err(error.into()),
            Err(error) => {
                report.failed = Some(error.to_string());
                return Ok(());
            }
        };
        let info = hearth_base::InvocationInfo { seed: self.seed, ..invocation.info };
        let invocation = Invocation { info, ..invocation };
        let mut runner = match self.runner.start(&self.artefact) {
            Ok(runner) => runner,
            Err(error) => {
                client.finish(RunEnd::Aborted(error.to_string()));
                return Err(TestError::Run(error));
            }
        };
        let mut recorder = Recorder { client, calls: Vec::new() };
        let ended = runner.invoke(invocation, &mut recorder, &AtomicBool::new(false));
        report.calls = recorder.calls;
        let end = match ended {
            Ok(finished) => {
                report.fuel = finished.fuel;
                report.failed = finished.result.as_ref().err().map(said);
                RunEnd::Returned(finished.result)
            }
            Err(error) => {
                let why = error.to_string();
                report.failed = Some(format!("it was ended: {why}"));
                RunEnd::Aborted(why)
            }
        };
        recorder.client.finish(end);
        Ok(())
    }

    /// Waits until everything that is shown is there and everything that is saved is saved.
    fn settle(&self) -> Result<(), TestError> {
        let give_up = Instant::now() + SETTLE_LIMIT;
        let mut seen = self.seen.state();
        while self.broker.is_working(&self.plugin) || !self.broker.panels().iter().all(settled) {
            if Instant::now() > give_up {
                return Err(TestError::Unsettled);
            }
            let waited = self.seen.news.wait_timeout(seen, LOOK);
            seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Collects what the user sees.
    fn look(&self, told: &mut Told) -> Result<(), TestError> {
        told.panels = self.broker.panels();
        let report = &mut told.report;
        report.panels = told.panels.iter().map(Shown::of).collect();
        report.unscripted = self.script.take_unscripted();
        let mut seen = self.seen.state();
        report.log = std::mem::take(&mut seen.log);
        report.notices = std::mem::take(&mut seen.notices);
        report.asked = std::mem::take(&mut seen.asked);
        report.troubles = std::mem::take(&mut seen.troubles);
        told.saved = std::mem::take(&mut seen.saved);
        drop(seen);
        for id in &told.saved {
            let title = self.vault.document(*id)?.map(|document| document.head.title);
            report.saved.push(title.unwrap_or_default());
        }
        Ok(())
    }
}

async fn loaded(script: &Arc<Script>) -> Result<Engine, std::io::Error> {
    let engine = Engine::start(script.backend())?;
    let (progress, _unheard) = tokio::sync::mpsc::channel(4);
    engine
        .load("scenario".into(), LoadOptions::default(), progress, Arc::default())
        .await
        .map_err(std::io::Error::other)?;
    Ok(engine)
}

fn title_of(step: &Step) -> String {
    let mut title = match &step.action {
        Action::Run { command, focus, input } => {
            let focus = focus.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
            let input = input.as_ref().map(|text| format!(" with {}", trace::quoted(text)));
            format!("run {command}{focus}{}", input.unwrap_or_default())
        }
        Action::Press { panel, button } => format!("press {button} in {panel}"),
        Action::Enter { panel, input, text } => {
            format!("enter {} into {input} of {panel}", trace::quoted(text))
        }
        Action::Pick { panel, picker, item } => {
            format!("pick element {item} of {picker} in {panel}")
        }
        Action::Nothing => "the plugin does nothing".into(),
    };
    for (word, powers) in [("granted", &step.grant), ("revoked", &step.revoke)] {
        if !powers.is_empty() {
            let names: Vec<String> = powers.iter().map(trace::name_of).collect();
            title.push_str(&format!("; {word} {}", names.join(", ")));
        }
    }
    title
}

fn said(failure: &GuestFailure) -> String {
    match failure {
        GuestFailure::Unsupported => "it says: unsupported".into(),
        GuestFailure::BadInput(words) | GuestFailure::Internal(words) => {
            format!("it says: {}", hearth_broker::escape_words(words))
        }
    }
}

/// Whether nothing a panel shows is still to come.
fn settled(panel: &PanelView) -> bool {
    let whole = |state: &ValueState| !matches!(state, ValueState::Waiting | ValueState::Streaming);
    panel.nodes.iter().all(|node| match node {
        PanelNode::Value(value) => whole(&value.state),
        PanelNode::Items(items) | PanelNode::Picker { items, .. } => {
            items.as_ref().is_some_and(|items| items.iter().all(|value| whole(&value.state)))
        }
        _ => true,
    })
}

/// Passes calls on and writes them down.
struct Recorder {
    client: Client,
    calls: Vec<Call>,
}

impl HostCalls for Recorder {
    fn call(&mut self, call: HostCall) -> HostReply {
        let asked = call.clone();
        let reply = self.client.call(call);
        if !matches!(asked, HostCall::Drop(_)) {
            self.calls.push(trace::call(&asked, &reply));
        }
        reply
    }
}

/// What the user hears of, and what the user says.
#[derive(Default)]
struct Seen {
    state: Mutex<SeenState>,
    news: Condvar,
}

#[derive(Default)]
struct SeenState {
    log: Vec<String>,
    notices: Vec<String>,
    troubles: Vec<String>,
    saved: Vec<DocumentId>,
    /// What the user was asked, and said.
    asked: Vec<String>,
    picks: Option<Vec<DocumentId>>,
    reveals: VecDeque<Consent>,
}

impl Seen {
    /// What the user says during the next step.
    fn prepare(&self, step: &Step, documents: &BTreeMap<String, DocumentId>) {
        let mut state = self.state();
        state.picks = step
            .picks
            .as_ref()
            .map(|names| names.iter().filter_map(|name| documents.get(name)).copied().collect());
        state.reveals = step.reveals.iter().copied().collect();
    }

    fn state(&self) -> MutexGuard<'_, SeenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Seen {
    fn panels_changed(&self) {
        // Under the lock, so that whoever is about to wait does not miss it.
        let _state = self.state();
        self.news.notify_all();
    }

    fn progress(&self, _plugin: &PluginId, _percent: Option<u8>, _message: &str) {}

    fn notice(&self, notice: PluginNotice) {
        self.state().notices.push(notice.message);
    }

    fn log(&self, _plugin: &PluginId, level: LogLevel, message: &str) {
        let level = format!("{level:?}").to_lowercase();
        self.state().log.push(format!("{level}: {message}"));
    }

    fn saved(&self, _plugin: &PluginId, document: DocumentId) {
        self.state().saved.push(document);
    }

    fn trouble(&self, _plugin: &PluginId, message: &str) {
        self.state().troubles.push(message.to_owned());
    }
}

impl Asker for Seen {
    fn pick(&self, question: PickQuestion) -> PickAnswer {
        let mut state = self.state();
        let picked = state.picks.clone();
        let said = picked
            .as_ref()
            .map_or_else(|| "nobody answered".into(), |all| format!("{} picked", all.len()));
        state
            .asked
            .push(format!("to pick at most {} for `{}`: {said}", question.limit, question.purpose));
        Box::pin(async move { picked })
    }

    fn reveal(&self, question: RevealQuestion) -> RevealAnswer {
        let mut state = self.state();
        let consent = state.reveals.pop_front();
        let said = match consent {
            Some(Consent::Approve) => "approved",
            Some(Consent::Refuse) => "refused",
            None => "nobody answered",
        };
        let (text, made_from) = (trace::quoted(&question.text), &question.made_from);
        let purpose = &question.purpose;
        state.asked.push(format!("to reveal {text} ({made_from}) for `{purpose}`: {said}"));
        Box::pin(std::future::ready(consent == Some(Consent::Approve)))
    }
}
