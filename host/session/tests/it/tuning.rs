//! Fine-tuning as a shell sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearth_session::{
    AdapterChoice, AdapterId, Budget, Command, Conversations, DatasetId, DocumentQuery, ErrorKind,
    FakeBackend, FakeTuner, MergeFormat, Power, Rating, Recipe, Reply, RunPlan, RunState, Session,
    Settings, SourceFilter, Template, TuneCommand, TuneRules, TuneSettings, UserError, View, Wait,
};

use crate::stage::{DIGEST, Setting, Stage, passphrase, run, until};

const EXAMPLES: &str = r#"{"messages": [{"role": "user", "content": "How do you sign a mail?"}, {"role": "assistant", "content": "With all the best from the harbour."}]}
{"prompt": "The colour of the door is", "completion": " a rather loud green."}
{"text": "We walk to the lighthouse on the first Sunday of each month and come back by the old road."}
{"text": "The kettle sings before it boils, and whoever hears it first makes the tea for everybody."}
"#;

impl Stage {
    fn tune(&self, command: TuneCommand) -> Result<Reply, UserError> {
        self.run(Command::Tune(command))
    }

    fn examples(&self) -> DatasetId {
        let path = self.dir.path().join("examples.jsonl");
        std::fs::write(&path, EXAMPLES).unwrap();
        match self.tune(TuneCommand::ImportDataset { path, name: None }).unwrap() {
            Reply::Dataset(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn trained(&self, plan: &RunPlan) -> AdapterId {
        let start = TuneCommand::StartRun { name: "Harbour".into(), plan: plan.clone() };
        match self.tune(start).unwrap() {
            Reply::Tuned(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&self) -> String {
        let ask = Command::Ask { conversation: None, text: "Hello".into(), attached: Vec::new() };
        match self.run(ask).unwrap() {
            Reply::Answered { text, .. } => text,
            other => panic!("{other:?}"),
        }
    }
}

fn plan(dataset: DatasetId) -> RunPlan {
    let settings = TuneSettings { budget: Budget::Steps(8), ..TuneSettings::default() };
    RunPlan { dataset, base: None, settings: Settings::Exact(settings) }
}

fn once(adapter: AdapterId) -> Vec<AdapterChoice> {
    vec![AdapterChoice { adapter, strength: 1.0 }]
}

#[test]
fn examples_become_an_adapter_that_answers_once_it_is_accepted() {
    let stage = Setting::default().open();
    let plain = stage.ask();
    let dataset = stage.examples();
    let adapter = stage.trained(&plan(dataset));
    let view = stage.view();
    let [run] = view.tuning.runs.as_slice() else { panic!("{:?}", view.tuning.runs) };
    assert_eq!(run.state, RunState::Finished(Some(adapter)));
    assert_eq!(run.steps.len(), 8);
    assert!(run.steps[7].loss < run.steps[0].loss);
    let [made] = view.tuning.adapters.as_slice() else { panic!("{:?}", view.tuning.adapters) };
    assert!(made.loaded && !made.accepted && made.sources_gone == 0);
    let report = made.report.as_ref().unwrap();
    assert!(report.general.is_some());
    assert_eq!(report.memory.as_ref().unwrap().exposure_bits.len(), 4);
    assert!(!report.answers.is_empty());
    assert!(
        report
            .answers
            .iter()
            .all(|pair| pair.with.contains("adapter-") && !pair.without.contains("adapter-"))
    );

    let refused =
        stage.tune(TuneCommand::UseInConversation { conversation: None, adapters: once(adapter) });
    assert!(refused.unwrap_err().message.contains("accepted"));
    stage.tune(TuneCommand::AcceptAdapter { adapter, anyway: false }).unwrap();
    stage
        .tune(TuneCommand::UseInConversation { conversation: None, adapters: once(adapter) })
        .unwrap();
    let answer = stage.ask();
    assert!(answer.contains(&format!("adapter-{adapter}")), "{answer}");
    // What was begun before is as it was.
    stage
        .tune(TuneCommand::UseInConversation { conversation: None, adapters: Vec::new() })
        .unwrap();
    assert_eq!(stage.ask(), plain);
    stage.tune(TuneCommand::RetireAdapter(adapter)).unwrap();
    stage.tune(TuneCommand::RemoveAdapter(adapter)).unwrap();
    assert!(stage.view().tuning.adapters.is_empty());
    assert_eq!(stage.view().tuning.runs[0].state, RunState::Finished(None));
}

#[test]
fn answers_are_compared_side_by_side() {
    let stage = Setting::default().open();
    stage.ask();
    let adapter = stage.trained(&plan(stage.examples()));
    let sides = vec![Vec::new(), vec![AdapterChoice { adapter, strength: 0.5 }]];
    stage.tune(TuneCommand::Compare { text: "Who are you?".into(), sides }).unwrap();
    let view = stage.view();
    let shown = view.tuning.comparison.as_ref().unwrap();
    assert!(shown.sides.iter().all(|side| side.done && side.error.is_none()));
    assert!(!shown.sides[0].text.contains("adapter-"));
    assert!(shown.sides[1].text.contains("* 0.5"), "{:?}", shown.sides[1].text);
    stage.tune(TuneCommand::CloseComparison).unwrap();
    assert!(stage.view().tuning.comparison.is_none());
}

#[test]
fn a_run_is_paused_resumed_and_ends_as_it_would_have() {
    let tuner = FakeTuner::default().with_step_delay(Duration::from_millis(30));
    let stage = Setting { tuner, ..Setting::default() }.open();
    let dataset = stage.examples();
    let start = TuneCommand::StartRun { name: "Slow".into(), plan: plan(dataset) };
    let going = stage.handle.start(Command::Tune(start)).unwrap();
    until(&stage.handle, "three steps", |view| {
        view.tuning.runs.first().is_some_and(|run| run.steps.len() >= 3)
    });
    let id = stage.view().tuning.runs[0].id;
    // A second run would take the first one's time.
    let second = TuneCommand::StartRun { name: "Second".into(), plan: plan(dataset) };
    assert!(stage.tune(second).unwrap_err().message.contains("Slow"));
    stage.tune(TuneCommand::PauseRun(id)).unwrap();
    assert!(matches!(going.wait(&mut |_| {}).unwrap(), Reply::Paused(paused) if paused == id));
    let paused = stage.view().tuning.runs[0].clone();
    assert_eq!((paused.state, paused.ticket), (RunState::Paused, None));
    let Reply::Tuned(_) = stage.tune(TuneCommand::ResumeRun(id)).unwrap() else { panic!() };
    let view = stage.view();
    let steps: Vec<u32> = view.tuning.runs[0].steps.iter().map(|step| step.step).collect();
    assert_eq!(steps, (1..=8).collect::<Vec<_>>());
    let over = stage.tune(TuneCommand::ResumeRun(id)).unwrap_err();
    assert!(over.message.contains("over"), "{over:?}");
}

#[test]
fn a_failure_that_passes_leaves_a_run_to_be_resumed() {
    static SHORT: AtomicBool = AtomicBool::new(true);
    let tuner = FakeTuner::default().with_memory_short_while(&SHORT);
    let stage = Setting { tuner, ..Setting::default() }.open();
    let dataset = stage.examples();
    let start = TuneCommand::StartRun { name: "Big".into(), plan: plan(dataset) };
    let error = stage.tune(start).unwrap_err();
    assert_eq!(error.kind, ErrorKind::System, "{error:?}");
    let run = stage.view().tuning.runs[0].clone();
    assert_eq!((run.state, run.ticket), (RunState::Paused, None));
    SHORT.store(false, Ordering::Relaxed);
    let Reply::Tuned(_) = stage.tune(TuneCommand::ResumeRun(run.id)).unwrap() else { panic!() };
}

#[test]
fn a_comparison_that_is_closed_stays_closed() {
    let backend =
        FakeBackend::new(|_| "word ".repeat(2000)).with_token_delay(Duration::from_millis(1));
    let stage = Setting { backend, ..Setting::default() }.open();
    let compare = TuneCommand::Compare { text: "Who are you?".into(), sides: vec![Vec::new()] };
    let going = stage.handle.start(Command::Tune(compare)).unwrap();
    until(&stage.handle, "an answer", |view| {
        view.tuning.comparison.as_ref().is_some_and(|shown| !shown.sides[0].text.is_empty())
    });
    stage.tune(TuneCommand::CloseComparison).unwrap();
    going.wait(&mut |_| {}).unwrap();
    assert!(stage.view().tuning.comparison.is_none());
}

#[test]
fn a_conversation_passes_on_what_its_adapter_learnt_and_its_end_shows() {
    let stage = Setting::default().open();
    stage.ask();
    let first = stage.trained(&plan(stage.examples()));
    stage.tune(TuneCommand::AcceptAdapter { adapter: first, anyway: true }).unwrap();
    stage
        .tune(TuneCommand::UseInConversation { conversation: None, adapters: once(first) })
        .unwrap();
    stage.ask();
    let talk = stage.view().conversation.clone().unwrap();
    let turn = talk.turns.last().unwrap().id;
    stage.tune(TuneCommand::RateTurn { turn, rating: Rating::Good }).unwrap();
    let recipe = Recipe {
        template: Template::Plain,
        sources: Vec::new(),
        conversations: Conversations::Rated,
        ..Recipe::default()
    };
    let save = TuneCommand::SaveDataset { id: None, name: "Talks".into(), recipe };
    let Reply::Dataset(talks) = stage.tune(save).unwrap() else { panic!() };
    let second = stage.trained(&plan(talks));
    let sources = |id| {
        let view = stage.view();
        let adapter = view.tuning.adapters.iter().find(|adapter| adapter.id == id).unwrap();
        (adapter.sources, adapter.sources_gone)
    };
    // The conversation, and the file that the first adapter learnt from.
    assert_eq!(sources(second), (2, 0));
    let lines = stage.view().tuning.datasets.iter().find(|set| set.id != talks).unwrap().id;
    stage.tune(TuneCommand::RemoveDataset(lines)).unwrap();
    assert_eq!((sources(first), sources(second)), ((1, 1), (2, 1)));
    stage.run(Command::DeleteConversation(talk.id)).unwrap();
    assert_eq!(sources(second), (2, 2));
}

#[test]
fn locking_pauses_a_run_and_another_day_it_goes_on() {
    let tuner = FakeTuner::default().with_step_delay(Duration::from_millis(30));
    let dir = tempfile::tempdir().unwrap();
    let setting = || Setting { tuner, in_memory: false, ..Setting::default() };
    let first: Session = setting().start(dir.path());
    let stage = Stage::on(dir, first);
    let start = TuneCommand::StartRun { name: "Slow".into(), plan: plan(stage.examples()) };
    let going = stage.handle.start(Command::Tune(start)).unwrap();
    until(&stage.handle, "a checkpoint", |view| {
        view.tuning.runs.first().is_some_and(|run| run.steps.len() >= 4)
    });
    stage.run(Command::Lock).unwrap();
    assert_eq!(going.wait(&mut |_| {}).unwrap_err().kind, ErrorKind::Cancelled);
    assert!(stage.view().tuning.runs.is_empty(), "nothing is left in the view");
    stage.run(Command::Unlock(passphrase())).unwrap();
    let view = stage.view();
    let [paused] = view.tuning.runs.as_slice() else { panic!("{:?}", view.tuning.runs) };
    assert_eq!(paused.state, RunState::Paused);
    let Reply::Tuned(_) = stage.tune(TuneCommand::ResumeRun(paused.id)).unwrap() else { panic!() };
    assert_eq!(stage.view().tuning.runs[0].steps.len(), 8);
}

#[test]
fn a_run_waits_on_battery_and_in_heat() {
    let power = Arc::new(std::sync::Mutex::new(Power { on_battery: true, celsius: Some(50.0) }));
    let feel = Arc::clone(&power);
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let mut config = setting.config(dir.path());
    config.power = Arc::new(move || *feel.lock().unwrap());
    let session = Session::start(config, setting.backend, Arc::new(|| {})).unwrap();
    let stage = Stage::on(dir, session);
    let dataset = stage.examples();
    let start = TuneCommand::StartRun { name: "Patient".into(), plan: plan(dataset) };
    let going = stage.handle.start(Command::Tune(start)).unwrap();
    until(&stage.handle, "waiting for the mains", |view| {
        view.tuning.runs.first().is_some_and(|run| run.state == RunState::Waiting(Wait::Battery))
    });
    let id = stage.view().tuning.runs[0].id;
    stage.tune(TuneCommand::PauseRun(id)).unwrap();
    going.wait(&mut |_| {}).unwrap();
    let rules = TuneRules { on_battery: true, hottest_celsius: Some(45.0), ..TuneRules::default() };
    stage.tune(TuneCommand::SetTuneRules(rules)).unwrap();
    let going = stage.handle.start(Command::Tune(TuneCommand::ResumeRun(id))).unwrap();
    until(&stage.handle, "waiting for it to cool", |view| {
        view.tuning.runs.first().is_some_and(|run| run.state == RunState::Waiting(Wait::Heat))
    });
    power.lock().unwrap().celsius = Some(40.0);
    assert!(matches!(going.wait(&mut |_| {}).unwrap(), Reply::Tuned(_)));
}

#[test]
fn what_is_deleted_shows_on_adapters_that_learnt_it() {
    let stage = Setting::default().open();
    let notes = stage.dir.path().join("notes");
    std::fs::create_dir(&notes).unwrap();
    for n in 0..6 {
        let text = format!(
            "# Walk {n}\n\nWe went to harbour number {n} by the old road, had tea in the little house beside the \
             water, and came back in the dark with wet shoes and a bag of apples.\n"
        );
        std::fs::write(notes.join(format!("walk-{n}.md")), text).unwrap();
    }
    stage.run(Command::Import { path: notes, name: Some("Walks".into()) }).unwrap();
    let recipe = Recipe {
        template: Template::Plain,
        sources: vec![SourceFilter::default()],
        held_out_share: 0.0,
        ..Recipe::default()
    };
    stage.tune(TuneCommand::PreviewDataset { recipe: recipe.clone(), base: None }).unwrap();
    let view = stage.view();
    let preview = view.tuning.preview.as_ref().unwrap();
    assert_eq!((preview.train, preview.held_out, preview.report.read), (6, 0, 6));
    assert!(
        preview.samples.iter().any(|s| s.titles == ["Walk 3"] || s.titles == ["walk-3.md"]),
        "{preview:?}"
    );
    assert!(preview.learnt_tokens > 100 && preview.tokens >= preview.learnt_tokens);
    let save = TuneCommand::SaveDataset { id: None, name: "Walks".into(), recipe };
    let Reply::Dataset(dataset) = stage.tune(save).unwrap() else { panic!() };
    stage.trained(&plan(dataset));
    assert_eq!(stage.view().tuning.adapters[0].sources, 6);
    stage.run(Command::Browse(DocumentQuery::default())).unwrap();
    let first = stage.view().library.heads[0].id;
    stage.run(Command::DeleteDocument(first)).unwrap();
    assert_eq!(stage.view().tuning.adapters[0].sources_gone, 1);
    assert_eq!(stage.view().tuning.adapters[0].dataset, Some(dataset));
}

#[test]
fn an_adapter_that_remembers_too_much_is_refused_until_the_user_insists() {
    let stage = Setting::default().open();
    stage.ask();
    let rules = TuneRules { exposure_limit_bits: 0.5, ..TuneRules::default() };
    stage.tune(TuneCommand::SetTuneRules(rules)).unwrap();
    assert_eq!(stage.view().tuning.rules, rules);
    let adapter = stage.trained(&plan(stage.examples()));
    // All secrets cost the stand-in the same: each is exposed by one bit, half the guesses.
    let error = stage.tune(TuneCommand::AcceptAdapter { adapter, anyway: false }).unwrap_err();
    assert!(error.message.contains("remembers") && !error.hint.is_empty(), "{error:?}");
    assert!(!stage.view().tuning.adapters[0].accepted);
    stage.tune(TuneCommand::AcceptAdapter { adapter, anyway: true }).unwrap();
    assert!(stage.view().tuning.adapters[0].accepted);
    // Nor is what was found forgotten with the run.
    let run = stage.view().tuning.runs[0].id;
    stage.tune(TuneCommand::RemoveRun(run)).unwrap();
    stage.tune(TuneCommand::ExamineAdapter(adapter)).unwrap();
    stage.tune(TuneCommand::RetireAdapter(adapter)).unwrap();
    stage.tune(TuneCommand::AcceptAdapter { adapter, anyway: false }).unwrap_err();
}

#[test]
fn an_estimate_is_what_is_then_done() {
    let stage = Setting::default().open();
    let dataset = stage.examples();
    let wishes = TuneSettings { budget: Budget::Minutes(20.0), ..TuneSettings::default() };
    let plan = RunPlan { dataset, base: None, settings: Settings::Recommended(wishes) };
    let Reply::Estimate(told) = stage.tune(TuneCommand::Estimate(plan.clone())).unwrap() else {
        panic!()
    };
    // The tuner divides the time between steps and looks at what is held out.
    assert_eq!((told.0.budget, told.1.steps), (Budget::Minutes(20.0), 12));
    assert!(told.1.learnt_tokens > 20);
    stage.trained(&plan);
    let view = stage.view();
    assert_eq!(view.tuning.runs[0].settings, told.0);
    assert_eq!(view.tuning.runs[0].total_steps, Some(12));
    let settings = TuneSettings { budget: Budget::Epochs(2.0), ..TuneSettings::default() };
    stage.trained(&RunPlan { settings: Settings::Exact(settings), ..plan });
    assert_eq!(stage.view().tuning.runs[0].settings.budget, Budget::Steps(12));
}

#[test]
fn bad_examples_are_refused_whole() {
    let stage = Setting::default().open();
    let path = stage.dir.path().join("bad.jsonl");
    std::fs::write(&path, "{\"text\": \"fine\"}\n{\"no\": 1}\n").unwrap();
    let error = stage.tune(TuneCommand::ImportDataset { path, name: None }).unwrap_err();
    assert!(error.message.contains("ine 2"), "{error:?}");
    assert!(stage.view().tuning.datasets.is_empty());
    let missing = stage.tune(TuneCommand::Estimate(plan(DatasetId(9)))).unwrap_err();
    assert!(!missing.hint.is_empty());
}

#[test]
fn adapters_go_out_and_come_in_and_merge() {
    let stage = Setting::default().open();
    stage.ask();
    let adapter = stage.trained(&plan(stage.examples()));
    let path = stage.dir.path().join("out.adapter");
    let format = hearth_session::AdapterFormat::Gguf;
    stage.tune(TuneCommand::ExportAdapter { adapter, format, path: path.clone() }).unwrap();
    let import =
        TuneCommand::ImportAdapter { path, name: Some("Back".into()), base: None, dataset: None };
    let Reply::Adapter(back) = stage.tune(import).unwrap() else { panic!() };
    let view = stage.view();
    let names: Vec<&str> = view.tuning.adapters.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["Back", "Harbour"]);
    assert!(view.tuning.adapters.iter().all(|adapter| adapter.loaded));
    stage.tune(TuneCommand::RenameAdapter(back, "Returned".into())).unwrap();
    let unexamined = stage.tune(TuneCommand::AcceptAdapter { adapter: back, anyway: false });
    assert!(unexamined.unwrap_err().message.contains("examined"));
    stage.tune(TuneCommand::ExamineAdapter(back)).unwrap();
    stage.tune(TuneCommand::AcceptAdapter { adapter: back, anyway: false }).unwrap();
    let choice = AdapterChoice { adapter: back, strength: 0.7 };
    let path = stage.dir.path().join("merged.gguf");
    let merge =
        || TuneCommand::MergeAdapter { choice, format: MergeFormat::Fine, path: path.clone() };
    let Reply::Merged(model, done) = stage.tune(merge()).unwrap() else { panic!() };
    assert!(done.bytes > 0);
    let over = stage.tune(merge()).unwrap_err();
    assert!(over.message.contains("is the model"), "{over:?}");
    let merged = stage.view().models.models.iter().find(|m| m.id == Some(model)).unwrap().clone();
    assert!(!merged.public && merged.name.contains("Returned"), "{merged:?}");
}

#[test]
fn what_an_adapter_from_elsewhere_learnt_is_named_or_unknown() {
    let stage = Setting::default().open();
    stage.ask();
    let dataset = stage.examples();
    let trained = stage.trained(&plan(dataset));
    let path = stage.dir.path().join("out.adapter");
    let format = hearth_session::AdapterFormat::Gguf;
    stage
        .tune(TuneCommand::ExportAdapter { adapter: trained, format, path: path.clone() })
        .unwrap();
    let import = |dataset| {
        let import =
            TuneCommand::ImportAdapter { path: path.clone(), name: None, base: None, dataset };
        let Reply::Adapter(id) = stage.tune(import).unwrap() else { panic!() };
        id
    };
    let (unknown, named) = (import(None), import(Some(dataset)));
    let of = |id| {
        let view = stage.view();
        let found = view.tuning.adapters.iter().find(|adapter| adapter.id == id).unwrap();
        (found.sources, found.sources_gone)
    };
    assert_eq!((of(unknown), of(named)), ((0, 0), (1, 0)));
    let choice = AdapterChoice { adapter: named, strength: 1.0 };
    let merged = stage.dir.path().join("merged.gguf");
    let merge = TuneCommand::MergeAdapter { choice, format: MergeFormat::Same, path: merged };
    let Reply::Merged(model, _) = stage.tune(merge).unwrap() else { panic!() };
    let refused = stage.run(Command::MarkModel { model, public: true }).unwrap_err();
    assert!(refused.message.contains("stays private"), "{refused:?}");
    stage.tune(TuneCommand::RemoveDataset(dataset)).unwrap();
    assert_eq!((of(unknown), of(named)), ((0, 0), (1, 1)));
    let view = stage.view();
    let model = view.models.models.iter().find(|known| known.id == Some(model)).unwrap();
    assert_eq!(model.sources_gone, 1);
}

#[test]
fn a_retired_adapter_is_used_no_more_by_what_is_being_said() {
    let backend =
        FakeBackend::new(|_| "word ".repeat(2000)).with_token_delay(Duration::from_millis(1));
    let stage = Setting { backend, ..Setting::default() }.open();
    let adapter = stage.trained(&plan(stage.examples()));
    stage.tune(TuneCommand::AcceptAdapter { adapter, anyway: true }).unwrap();
    stage
        .tune(TuneCommand::UseInConversation { conversation: None, adapters: once(adapter) })
        .unwrap();
    let ask = Command::Ask { conversation: None, text: "Hello".into(), attached: Vec::new() };
    stage.handle.send(ask).unwrap();
    let speaks = |view: &View| {
        let open = view.conversation.as_ref();
        open.and_then(|open| open.answering.as_ref()).is_some_and(|answer| answer.tokens > 0)
    };
    until(&stage.handle, "the model speaks", speaks);
    stage.tune(TuneCommand::RetireAdapter(adapter)).unwrap();
    until(&stage.handle, "it is stopped", |view| {
        let open = view.conversation.as_ref();
        open.is_some_and(|open| open.turns.last().is_some_and(|turn| turn.stopped))
    });
    let view = stage.view();
    assert!(view.conversation.as_ref().unwrap().adapters.is_empty());
    assert!(view.tuning.new_conversations.is_empty());
    assert!(!view.tuning.adapters[0].accepted);
}

#[test]
fn a_plugin_no_longer_gets_an_adapter_that_was_retired() {
    let stage = Setting::default().open();
    stage.ask();
    let adapter = stage.trained(&plan(stage.examples()));
    stage.tune(TuneCommand::AcceptAdapter { adapter, anyway: true }).unwrap();
    let plugin = stage.install(DIGEST);
    let choose = TuneCommand::UseInPlugin { plugin, adapters: once(adapter) };
    stage.tune(choose).unwrap();
    assert_eq!(stage.view().plugins[0].adapters, once(adapter));
    stage.tune(TuneCommand::RetireAdapter(adapter)).unwrap();
    assert!(stage.view().plugins[0].adapters.is_empty());
}

#[test]
fn nothing_can_be_trained_while_the_vault_is_locked() {
    let stage = Setting::default().open();
    stage.run(Command::Lock).unwrap();
    let error = run(&stage.handle, Command::Tune(TuneCommand::ClosePreview)).unwrap_err();
    assert!(error.message.contains("locked"));
}
