//! `hearth tune start`, `estimate`, `list`, `show`, `resume`, `remove`, `export`, `rules`.

use hearth_session::{
    Budget, Command, ErrorKind, Event, Reply, RunPlan, RunState, RunView, Settings, TuneCommand,
    TuneEstimate, TuneRules, TuneRunId, TuneSettings, Wait,
};
use serde_json::json;

use crate::{
    args::{PlanArgs, TuneVerb},
    commands::{adapters, datasets, models::model_id},
    render::{Out, day, note, plain},
    shell::{Failure, Opener, Outcome, Shell},
};

/// Minutes of a run where nobody says otherwise.
const MINUTES: f32 = 20.0;

pub(crate) fn run(verb: TuneVerb, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    match verb {
        TuneVerb::Start { name, plan, accept } => {
            let plan = self::plan(&shell, &plan)?;
            train(&shell, TuneCommand::StartRun { name, plan }, accept, out)?;
        }
        TuneVerb::Resume { run } => {
            train(&shell, TuneCommand::ResumeRun(find(&shell, run)?.id), false, out)?;
        }
        TuneVerb::Estimate { plan } => {
            let plan = self::plan(&shell, &plan)?;
            if let Reply::Estimate(told) = shell.run(Command::Tune(TuneCommand::Estimate(plan)))? {
                let (settings, estimate) = *told;
                out.result(
                    json!({"settings": settings, "estimate": estimate}),
                    estimate_words(&settings, &estimate),
                );
            }
        }
        TuneVerb::List => list(&shell, out),
        TuneVerb::Show { run } => show(&find(&shell, run)?, out),
        TuneVerb::Remove { run } => {
            let id = find(&shell, run)?.id;
            shell.run(Command::Tune(TuneCommand::RemoveRun(id)))?;
            out.result(json!({"removed": id}), format!("Forgot run {id}."));
        }
        TuneVerb::Export { plan, to } => {
            let plan = self::plan(&shell, &plan)?;
            note("The folder holds your examples in plain text: protect it.");
            shell.run(Command::Tune(TuneCommand::ExportJob { plan, path: to.clone() }))?;
            out.result(
                json!({"exported": to}),
                format!("Wrote the job to {}; README.md there says how to run it.", to.display()),
            );
        }
        TuneVerb::Rules { on_battery, hottest, canaries, exposure_limit } => {
            let before = shell.view().tuning.rules;
            let rules = TuneRules {
                on_battery: on_battery.unwrap_or(before.on_battery),
                hottest_celsius: match hottest {
                    Some(celsius) => (celsius > 0.0).then_some(celsius),
                    None => before.hottest_celsius,
                },
                canaries: canaries.unwrap_or(before.canaries),
                exposure_limit_bits: exposure_limit.unwrap_or(before.exposure_limit_bits),
            };
            if rules != before {
                shell.run(Command::Tune(TuneCommand::SetTuneRules(rules)))?;
            }
            out.result(json!({"rules": rules}), rules_words(&rules));
        }
    }
    Ok(())
}

fn plan(shell: &Shell, args: &PlanArgs) -> Result<RunPlan, Failure> {
    let dataset = datasets::find(shell, &args.dataset)?.id;
    let base = model_id(shell, &args.base)?;
    let mut wishes = TuneSettings {
        budget: match (args.epochs, args.steps) {
            (Some(epochs), _) => Budget::Epochs(epochs),
            (_, Some(steps)) => Budget::Steps(steps),
            _ => Budget::Minutes(args.minutes.unwrap_or(MINUTES)),
        },
        threads: args.threads,
        ..TuneSettings::default()
    };
    if let Some(seed) = args.seed {
        wishes.seed = seed;
    }
    if !changes(args) {
        return Ok(RunPlan { dataset, base, settings: Settings::Recommended(wishes) });
    }
    // What is not said is as recommended for this model and data.
    let plan = RunPlan { dataset, base, settings: Settings::Recommended(wishes) };
    let estimate = shell.run(Command::Tune(TuneCommand::Estimate(plan.clone())))?;
    let Reply::Estimate(told) = estimate else { return Ok(plan) };
    let Settings::Recommended(wishes) = &plan.settings else { return Ok(plan) };
    let mut settings = TuneSettings { budget: wishes.budget, ..told.0 };
    change(&mut settings, args);
    Ok(RunPlan { settings: Settings::Exact(settings), ..plan })
}

/// Whether anything but budget, threads and seed is said.
fn changes(args: &PlanArgs) -> bool {
    args.rank.is_some()
        || args.alpha.is_some()
        || args.rslora
        || args.dropout.is_some()
        || !args.targets.is_empty()
        || args.learning_rate.is_some()
        || args.sequence.is_some()
        || args.batch.is_some()
}

fn change(settings: &mut TuneSettings, args: &PlanArgs) {
    let lora = &mut settings.lora;
    if let Some(rank) = args.rank {
        // The scale stays as recommended.
        lora.alpha *= rank as f32 / lora.rank.max(1) as f32;
        lora.rank = rank;
    }
    lora.alpha = args.alpha.unwrap_or(lora.alpha);
    lora.rslora |= args.rslora;
    lora.dropout = args.dropout.unwrap_or(lora.dropout);
    if !args.targets.is_empty() {
        lora.targets = args.targets.iter().copied().collect();
    }
    settings.learning_rate = args.learning_rate.unwrap_or(settings.learning_rate);
    settings.sequence_tokens = args.sequence.unwrap_or(settings.sequence_tokens);
    settings.batch_tokens = args.batch.unwrap_or(settings.batch_tokens);
}

fn train(shell: &Shell, command: TuneCommand, accept: bool, out: Out) -> Outcome {
    // The report asks it questions.
    adapters::load_default(shell)?;
    let bar = out.bar("Training");
    let reply = shell.run_with(Command::Tune(command), &mut |event| {
        let Event::Trained { run, step, total_steps, secs_left, .. } = event else { return };
        if out.is_json() {
            out.json(json!({"run": run, "step": step, "of": total_steps, "secs_left": secs_left}));
        }
        bar.set_length(u64::from(*total_steps));
        bar.set_position(u64::from(step.step));
        bar.set_message(format!(
            "loss {:.3}, {:.0} tokens/s, {} left",
            step.loss,
            step.tokens_per_sec,
            time(*secs_left)
        ));
    });
    bar.finish_and_clear();
    match reply? {
        Reply::Tuned(id) => {
            out.result(
                json!({"adapter": id}),
                format!("Adapter {id} is ready. `hearth adapter show {id}` shows its report."),
            );
            if accept {
                let accept = TuneCommand::AcceptAdapter { adapter: id, anyway: false };
                shell.run(Command::Tune(accept))?;
                out.result(json!({"accepted": id}), format!("Accepted adapter {id}."));
            }
            let view = shell.view();
            if let Some(adapter) = view.tuning.adapters.iter().find(|adapter| adapter.id == id) {
                adapters::show(adapter, out);
            }
            Ok(())
        }
        Reply::Paused(id) => Err(Failure::new(
            ErrorKind::Cancelled,
            "The run is paused.",
            format!("`hearth tune resume {id}` goes on with it."),
        )),
        _ => Ok(()),
    }
}

fn find(shell: &Shell, id: i64) -> Result<RunView, Failure> {
    let view = shell.view();
    let found = view.tuning.runs.iter().find(|run| run.id == TuneRunId(id));
    found
        .cloned()
        .ok_or_else(|| Failure::user(format!("There is no run {id}."), "See `hearth tune list`."))
}

fn list(shell: &Shell, out: Out) {
    let view = shell.view();
    for run in view.tuning.runs.iter() {
        let last = run.steps.last();
        let loss = last.map_or_else(String::new, |step| format!(", loss {:.3}", step.loss));
        let of = run.total_steps.map_or_else(String::new, |total| format!(" of {total}"));
        out.result(
            run_json(run),
            format!(
                "{:>4}  {}  {}  {}: step {}{of}{loss}",
                run.id,
                day(Some(run.started_secs)),
                plain(&run.name),
                state_words(&run.state),
                last.map_or(0, |step| step.step),
            ),
        );
    }
    if view.tuning.runs.is_empty() {
        out.text("No run yet. `hearth tune start NAME --dataset DATASET` trains an adapter.");
    }
}

fn run_json(run: &RunView) -> serde_json::Value {
    json!({
        "id": run.id, "name": run.name, "dataset": run.dataset, "base": run.base,
        "state": state_words(&run.state), "started_secs": run.started_secs,
        "total_steps": run.total_steps, "sources_gone": run.sources_gone,
        "last": run.steps.last(),
    })
}

fn show(run: &RunView, out: Out) {
    if out.is_json() {
        out.json(json!({"run": run_json(run), "settings": run.settings, "steps": *run.steps}));
        return;
    }
    out.text(format!("{} on {}: {}", plain(&run.name), plain(&run.base), state_words(&run.state)));
    out.text("  step      loss  held out  tokens/s");
    let every = (run.steps.len() / 40).max(1);
    for (index, step) in run.steps.iter().enumerate() {
        let last = index + 1 == run.steps.len();
        if step.held_out_loss.is_none() && index % every != 0 && !last {
            continue;
        }
        let held_out = step.held_out_loss.map_or_else(String::new, |loss| format!("{loss:.4}"));
        out.text(format!(
            "{:>6}  {:>8.4}  {held_out:>8}  {:>8.0}",
            step.step, step.loss, step.tokens_per_sec
        ));
    }
}

fn state_words(state: &RunState) -> String {
    match state {
        RunState::Preparing => "preparing".into(),
        RunState::Running => "running".into(),
        RunState::Waiting(Wait::Chat) => "waiting for an answer to end".into(),
        RunState::Waiting(Wait::Battery) => "waiting for mains power".into(),
        RunState::Waiting(Wait::Heat) => "waiting for the machine to cool".into(),
        RunState::Paused => "paused".into(),
        RunState::Examining => "examining the adapter".into(),
        RunState::Finished(Some(id)) => format!("done, adapter {id}"),
        RunState::Finished(None) => "done, its adapter was removed".into(),
        RunState::Failed(reason) => format!("failed: {}", plain(reason)),
    }
}

/// Seconds as people say them.
pub(crate) fn time(secs: f32) -> String {
    let secs = secs.max(0.0).round() as u64;
    match secs {
        0..90 => format!("{secs} s"),
        90..5400 => format!("{} min", (secs + 30) / 60),
        _ => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
    }
}

fn estimate_words(settings: &TuneSettings, estimate: &TuneEstimate) -> String {
    format!(
        "{} steps, {:.1} epochs over {} tokens ({} learnt), about {} at {:.0} tokens/s, then about {} for the report.\n\
         Memory: {} MB beside the model's {} MB. Rank {}, {} trained numbers, learning rate {:e}.",
        estimate.steps,
        estimate.epochs,
        estimate.tokens,
        estimate.learnt_tokens,
        time(estimate.secs),
        estimate.tokens_per_sec,
        time(estimate.report_secs),
        estimate.memory_bytes >> 20,
        estimate.weights_bytes >> 20,
        settings.lora.rank,
        estimate.parameters,
        settings.learning_rate,
    )
}

fn rules_words(rules: &TuneRules) -> String {
    let battery = if rules.on_battery { "go on" } else { "wait" };
    let heat = rules.hottest_celsius.map_or_else(
        || "do not look at the temperature".into(),
        |celsius| format!("wait above {celsius:.0} degrees"),
    );
    format!(
        "Runs {battery} on battery and {heat}.\n{} made-up secrets are hidden among the examples; an adapter that \
         remembers one by more than {:.1} bits is not accepted.",
        rules.canaries, rules.exposure_limit_bits
    )
}
