//! What plugins do by themselves, what it takes, and how it ends at once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use hearth_base::{
    Answer, Field, GuestFailure, HostCall, Message, MessageRole, ModelOptions, Node, Part, Sort,
    Style, Weights,
};
use hearth_session::{
    Command, Config, Event, FakeBackend, GuestEnd, NoticeKind, PanelNode, PluginId, Session,
    TryWhat, ValueState, View,
};

use crate::stage::{DIGEST, Scripted, Setting, Stage, until};

const SCHEDULE: &str = r#"schedules = [{ id = "daily", command = "digest", every = "morning" }]"#;

/// What the tests take for the time.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    /// The so-manieth of March 2026, by the user's own clock.
    fn set(&self, day: i8, hour: i8) {
        let at = jiff::civil::date(2026, 3, day).at(hour, 0, 0, 0);
        let zoned = at.to_zoned(jiff::tz::TimeZone::system()).unwrap();
        self.0.store(zoned.timestamp().as_second(), Ordering::SeqCst);
    }
}

/// Digests each mail of the slot, counting how often it ran.
fn digester(ran: Arc<AtomicUsize>) -> Arc<Scripted> {
    Scripted::new(move |_, call, _| {
        ran.fetch_add(1, Ordering::SeqCst);
        let granted =
            call(HostCall::Granted { slot: "inbox".into(), order: Sort::Newest, limit: 10 });
        let Ok(Answer::Handle(over)) = granted else {
            return GuestEnd::Returned(Err(GuestFailure::BadInput("nothing granted".into())));
        };
        let parts = vec![Part::Literal("Digest: ".into()), Part::Item(Some(Field::Title))];
        let prompt = vec![Message { role: MessageRole::User, parts }];
        let options = ModelOptions {
            max_tokens: 4000,
            style: Style::Exact,
            weights: Weights::Base,
            stop: Vec::new(),
        };
        let Ok(Answer::Handle(each)) = call(HostCall::GenerateEach { over, prompt, options })
        else {
            return GuestEnd::Returned(Err(GuestFailure::Internal("no model".into())));
        };
        let nodes = vec![Node::Items(each)];
        let shown = call(HostCall::PanelShow { panel: "digest".into(), nodes });
        GuestEnd::Returned(shown.map(drop).map_err(|e| GuestFailure::Internal(format!("{e:?}"))))
    })
}

fn open(clock: &Clock, backend: FakeBackend, guests: Arc<Scripted>) -> (Stage, PluginId) {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting { guests, ..Setting::default() };
    let seconds = Arc::clone(&clock.0);
    let now = move || {
        let secs = u64::try_from(seconds.load(Ordering::SeqCst)).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    };
    let config = Config { clock: Arc::new(now), ..setting.config(dir.path()) };
    let session = Session::start(config, backend, Arc::new(|| {})).unwrap();
    let stage = Stage::on(dir, session);
    stage.with_mails(3);
    let plugin =
        stage.install(&format!("{DIGEST}{SCHEDULE}").replace("capabilities", "\ncapabilities"));
    grant(&stage, &plugin);
    (stage, plugin)
}

fn grant(stage: &Stage, plugin: &PluginId) {
    let view = stage.view();
    let known = view.plugins.iter().find(|p| p.id == *plugin).unwrap();
    let folders: BTreeSet<_> = view.folders.iter().map(|f| f.id).collect();
    let command = Command::GrantPlugin {
        plugin: plugin.clone(),
        capabilities: known.manifest.requested(),
        slots: [("inbox".to_owned(), folders)].into(),
        choice_bits_per_day: 0,
    };
    stage.run(command).unwrap();
}

fn switch(stage: &Stage, plugin: &PluginId, on: bool) {
    let command = Command::SetSchedule { plugin: plugin.clone(), schedule: "daily".into(), on };
    stage.run(command).unwrap();
}

fn start(plugin: &PluginId) -> Command {
    Command::RunPlugin {
        plugin: plugin.clone(),
        command: "digest".into(),
        focus: None,
        input: None,
    }
}

fn told(view: &View, words: &str) -> usize {
    let says = |what: &NoticeKind| match what {
        NoticeKind::Success(said) => said.contains(words),
        NoticeKind::Error(error) => error.message.contains(words),
        NoticeKind::Plugin(_) => false,
    };
    view.notices.iter().filter(|notice| says(&notice.what)).count()
}

#[test]
fn a_schedule_runs_once_a_day_and_makes_nothing_up() {
    let (clock, ran) = (Clock::default(), Arc::new(AtomicUsize::new(0)));
    clock.set(2, 5);
    let (stage, plugin) = open(&clock, FakeBackend::default(), digester(Arc::clone(&ran)));
    let runs = || {
        stage.run(Command::RunDueSchedules).unwrap();
        ran.load(Ordering::SeqCst)
    };
    clock.set(2, 7);
    assert_eq!(runs(), 0, "not switched on");
    clock.set(2, 5);
    switch(&stage, &plugin, true);
    assert_eq!(runs(), 0, "not yet morning");
    clock.set(2, 7);
    assert_eq!(runs(), 1);
    let view = stage.view();
    assert_eq!(view.panels.len(), 1);
    assert_eq!(told(&view, "has run by its schedule"), 1);
    clock.set(2, 23);
    assert_eq!(runs(), 1);
    switch(&stage, &plugin, false);
    switch(&stage, &plugin, true);
    assert_eq!(runs(), 1, "once a day, however often it is switched on");
    clock.set(6, 9);
    assert_eq!(runs(), 2, "three days are not made up");
    assert_eq!(runs(), 2);
    switch(&stage, &plugin, false);
    clock.set(8, 9);
    assert_eq!(runs(), 2);
    let unknown = Command::SetSchedule { plugin, schedule: "hourly".into(), on: true };
    assert!(stage.run(unknown).unwrap_err().message.contains("no schedule"));
}

#[test]
fn a_schedule_waits_for_the_users_own_answer() {
    let (clock, ran) = (Clock::default(), Arc::new(AtomicUsize::new(0)));
    clock.set(2, 5);
    let backend =
        FakeBackend::new(|_| "word ".repeat(60)).with_token_delay(Duration::from_millis(1));
    let (stage, plugin) = open(&clock, backend, digester(Arc::clone(&ran)));
    switch(&stage, &plugin, true);
    let ask = Command::Ask { conversation: None, text: "speak".into(), attached: Vec::new() };
    stage
        .handle
        .run(ask, &mut |event| {
            if matches!(event, Event::Answer { .. }) {
                clock.set(2, 8);
                // Everything said to the session is an occasion to look what is due.
                stage.handle.send(Command::CloseDocument).ok();
                assert_eq!(ran.load(Ordering::SeqCst), 0);
            }
        })
        .unwrap();
    stage.run(Command::RunDueSchedules).unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn a_suspended_plugin_is_passed_over_and_that_is_said() {
    let (clock, ran) = (Clock::default(), Arc::new(AtomicUsize::new(0)));
    clock.set(2, 5);
    let count = Arc::clone(&ran);
    let crashing = Scripted::new(move |_, _, _| {
        count.fetch_add(1, Ordering::SeqCst);
        GuestEnd::Aborted("it crashed".into())
    });
    let (stage, plugin) = open(&clock, FakeBackend::default(), crashing);
    switch(&stage, &plugin, true);
    assert!(stage.run(start(&plugin)).is_err());
    assert!(stage.view().plugins[0].suspended.is_some());
    clock.set(2, 7);
    stage.run(Command::RunDueSchedules).unwrap();
    stage.run(Command::RunDueSchedules).unwrap();
    assert_eq!(told(&stage.view(), "did not run by its schedule today: it is suspended"), 1);
    assert_eq!(ran.load(Ordering::SeqCst), 1);

    stage.run(Command::ResumePlugin(plugin.clone())).unwrap();
    stage.run(Command::RevokePlugin(plugin)).unwrap();
    clock.set(3, 7);
    stage.run(Command::RunDueSchedules).unwrap();
    assert_eq!(told(&stage.view(), "nothing is granted to it"), 1);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn what_a_plugin_took_is_counted_by_run_and_in_sum() {
    let (clock, ran) = (Clock::default(), Arc::new(AtomicUsize::new(0)));
    clock.set(2, 12);
    let (stage, plugin) = open(&clock, FakeBackend::default(), digester(ran));
    stage.run(start(&plugin)).unwrap();
    stage.run(Command::RevokePlugin(plugin.clone())).unwrap();
    clock.set(3, 12);
    assert!(stage.run(start(&plugin)).is_err());
    stage.run(Command::OpenActivity(Some(plugin.clone()))).unwrap();
    let view = stage.view();
    let activity = view.plugin_activity.as_ref().unwrap();
    assert_eq!(activity.runs.len(), 2);
    let (refused, whole) = (&activity.runs[0], &activity.runs[1]);
    assert_eq!((whole.what.as_str(), refused.what.as_str()), ("command digest", "command digest"));
    let usage = whole.usage;
    assert_eq!((usage.calls, usage.refusals, usage.documents), (3, 0, 3));
    assert!(usage.prompt_tokens > 0 && usage.answer_tokens > 0, "{usage:?}");
    assert_eq!((refused.usage.calls, refused.usage.refusals), (1, 1));
    let sum = &activity.plugins[0];
    assert_eq!((sum.total.runs, sum.total.calls, sum.total.documents), (2, 4, 3));
    assert_eq!((sum.today.runs, sum.today.documents), (1, 0));
    assert!(sum.grant.is_none());
    assert_eq!(activity.days.len(), 2);
    assert!(activity.rows.iter().all(|row| row.plugin.as_ref() == Some(&plugin)));
    assert!(activity.rows.iter().any(|row| row.what.contains("took every grant back")));
    assert!(activity.rows.iter().any(|row| !row.allowed));
    stage.run(Command::CloseActivity).unwrap();
    assert!(stage.view().plugin_activity.is_none());
}

#[test]
fn a_grant_taken_back_ends_values_on_their_way_and_what_waits() {
    let (clock, ran) = (Clock::default(), Arc::new(AtomicUsize::new(0)));
    clock.set(2, 12);
    let backend =
        FakeBackend::new(|_| "word ".repeat(3000)).with_token_delay(Duration::from_millis(1));
    let (stage, plugin) = open(&clock, backend, digester(Arc::clone(&ran)));
    let streaming = stage.handle.start(start(&plugin)).unwrap();
    let values = |view: &View| -> Vec<ValueState> {
        let nodes = view.panels.iter().flat_map(|panel| &panel.nodes);
        nodes
            .filter_map(|node| match node {
                PanelNode::Items(Some(items)) => Some(items.iter().map(|v| v.state.clone())),
                _ => None,
            })
            .flatten()
            .collect()
    };
    until(&stage.handle, "text streams", |view| values(view).contains(&ValueState::Streaming));
    stage.run(Command::RevokePlugin(plugin.clone())).unwrap();
    assert!(streaming.wait(&mut |_| {}).is_err());
    let view = stage.view();
    assert!(!values(&view).is_empty());
    assert!(
        values(&view).iter().all(|s| matches!(s, ValueState::Failed(_))),
        "{:?}",
        values(&view)
    );
    assert!(view.plugins[0].running.is_none() && view.plugins[0].grant.is_none());
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

/// Invented data with one mail.
fn invented(stage: &Stage) -> std::path::PathBuf {
    let data = stage.dir.path().join("invented");
    std::fs::create_dir_all(data.join("mail")).unwrap();
    let mail = "From e@x.example Tue Nov 14 10:00:00 2023\nFrom: Eve <e@x.example>\n\
                Subject: An invented letter\nMessage-ID: <i@x.example>\n\
                Date: Tue, 14 Nov 2023 10:00:00 +0000\n\nMade up.\n\n";
    std::fs::write(data.join("mail").join("Post.mbox"), mail).unwrap();
    data
}

#[test]
fn a_trial_sees_invented_data_alone_and_leaves_nothing() {
    let ran = Arc::new(AtomicUsize::new(0));
    let setting = Setting { guests: digester(Arc::clone(&ran)), ..Setting::default() };
    let stage = setting.open();
    stage.with_mails(3);
    let data = invented(&stage);
    let file = stage.dir.path().join("stranger.wasm");
    std::fs::write(&file, DIGEST).unwrap();
    let folders = stage.view().folders.len();
    let trial = |what, command: &str| Command::TryPlugin {
        what,
        command: command.into(),
        input: None,
        data: data.clone(),
    };
    stage.run(trial(TryWhat::File(file.clone()), "digest")).unwrap();
    let view = stage.view();
    let shown = view.trial.as_ref().unwrap();
    assert_eq!((shown.documents, shown.running), (1, None));
    let PanelNode::Items(Some(items)) = &shown.panels[0].nodes[0] else { panic!("{shown:?}") };
    assert_eq!(items.len(), 1);
    assert!(items[0].text.contains("An invented letter"), "{}", items[0].text);
    assert_eq!(items[0].state, ValueState::Done);
    // Nothing of it is among the user's own.
    assert!(view.panels.is_empty() && view.plugins.is_empty() && view.activity.is_empty());
    assert_eq!(view.folders.len(), folders);

    // A command on a document gets one; one that the manifest does not have is refused.
    stage.run(trial(TryWhat::File(file.clone()), "one")).unwrap();
    let error = stage.run(trial(TryWhat::File(file.clone()), "two")).unwrap_err();
    assert!(error.message.contains("two"), "{error:?}");
    assert_eq!(ran.load(Ordering::SeqCst), 2);

    // An installed plugin without any grant has all it asks for there, and still nothing here.
    let plugin = stage.install(DIGEST);
    stage.run(trial(TryWhat::Installed(plugin), "digest")).unwrap();
    assert!(stage.view().plugins[0].grant.is_none());
    stage.run(Command::CloseTrial).unwrap();
    assert!(stage.view().trial.is_none());
}

#[test]
fn a_trial_can_be_stopped_and_a_crash_in_it_harms_nothing() {
    let crashing = Scripted::new(|_, _, _| GuestEnd::Aborted("it crashed".into()));
    let stage = Setting { guests: crashing, ..Setting::default() }.open();
    let data = invented(&stage);
    let plugin = stage.install(DIGEST);
    let trial = || Command::TryPlugin {
        what: TryWhat::Installed(plugin.clone()),
        command: "digest".into(),
        input: None,
        data: data.clone(),
    };
    let error = stage.run(trial()).unwrap_err();
    assert!(error.message.contains("it crashed"), "{error:?}");
    assert!(stage.view().plugins[0].suspended.is_none());

    let slow = Scripted::new(|_, _, cancel| {
        crate::stage::wait_for(&std::sync::atomic::AtomicBool::new(false), cancel);
        GuestEnd::Aborted("stopped".into())
    });
    let stage = Setting { guests: slow, ..Setting::default() }.open();
    let data = invented(&stage);
    let plugin = stage.install(DIGEST);
    let (what, command) = (TryWhat::Installed(plugin), "digest".into());
    let pending =
        stage.handle.start(Command::TryPlugin { what, command, input: None, data }).unwrap();
    until(&stage.handle, "it runs", |view| view.trial.is_some());
    stage.run(Command::CloseTrial).unwrap();
    assert_eq!(pending.wait(&mut |_| {}).unwrap_err().kind, hearth_session::ErrorKind::Cancelled);
    assert!(stage.view().trial.is_none());
}
