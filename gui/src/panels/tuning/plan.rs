//! A new run: what is learnt by which model, for how long, and what that takes.

use egui::{ComboBox, DragValue, Slider, Ui};

use super::ask;
use crate::{
    commands::Outbox,
    icons,
    model::{Model, PlanDraft, Tone, TuningTab},
    theme::{muted, small, space, strong},
    types::{Budget, RunPlan, Settings, TuneCommand, TuneEstimate, TuneRules, TuneSettings, View},
    widgets::{
        banner, card, line, path_row, primary_enabled, secondary, secondary_enabled, section,
    },
    words,
};

pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    section(ui, "A new run", "");
    if view.tuning.datasets.is_empty() {
        banner(ui, Tone::Ember, icons::DATABASE, |ui| {
            ui.label("First say what is to be learnt: mail you wrote, your notes, your code, or a file of examples.");
            if secondary(ui, icons::PLUS, "Make a dataset").clicked() {
                model.tuning.tab = TuningTab::Data;
                model.tuning.draft = Some(super::editor::fresh(view));
            }
        });
        return;
    }
    card(ui, |ui| form(ui, view, &mut model.tuning.plan, out));
}

fn form(ui: &mut Ui, view: &View, draft: &mut PlanDraft, out: &mut Outbox) {
    let known = draft.dataset.is_some_and(|id| view.tuning.datasets.iter().any(|set| set.id == id));
    if !known {
        draft.dataset = view.tuning.datasets.first().map(|set| set.id);
    }
    egui::Grid::new("plan").num_columns(2).spacing([16.0, 10.0]).show(ui, |ui| {
        ui.label("Name");
        line(ui, &mut draft.name, "Name of the adapter", "My manner", 300.0);
        ui.end_row();
        dataset(ui, view, draft);
        base(ui, view, draft);
        let label = ui.label("Time");
        let slider = Slider::new(&mut draft.minutes, 1.0..=480.0)
            .logarithmic(true)
            .custom_formatter(|minutes, _| format!("about {}", words::span(minutes as f32 * 60.0)))
            .step_by(1.0);
        ui.add(slider).labelled_by(label.id);
        ui.end_row();
    });
    egui::CollapsingHeader::new("More settings").show(ui, |ui| {
        exact(ui, draft);
        rules(ui, view, out);
        export(ui, draft, out);
    });
    ui.add_space(space::XS);
    let plan = plan(draft);
    let going = view.tuning.runs.iter().any(|run| run.ticket.is_some());
    let busy = view.jobs.iter().any(|job| job.title.starts_with("Estimating"));
    ui.horizontal(|ui| {
        let name = draft.name.trim().to_owned();
        let ready = plan.is_some() && !name.is_empty() && !going;
        if primary_enabled(ui, ready, icons::FLAME, "Start training").clicked()
            && let Some(plan) = plan.clone()
        {
            ask(out, TuneCommand::StartRun { name, plan });
        }
        let can_estimate = plan.is_some() && !busy && !going;
        if secondary_enabled(ui, can_estimate, "", "What will it take?").clicked()
            && let Some(plan) = plan.clone()
        {
            ask(out, TuneCommand::Estimate(plan));
        }
        if draft.name.trim().is_empty() {
            ui.label(muted(ui, "Give the adapter a name."));
        } else if going {
            ui.label(muted(ui, "One run at a time."));
        }
    });
    match &view.tuning.estimate {
        Some(known) if Some(&known.plan) == plan.as_ref() => {
            estimate(ui, &known.settings, &known.estimate);
        }
        _ if busy => {
            ui.label(muted(ui, "Trying a few steps\u{2026}"));
        }
        _ => {}
    }
}

fn dataset(ui: &mut Ui, view: &View, draft: &mut PlanDraft) {
    let label = ui.label("Learns from");
    let sets = &view.tuning.datasets;
    let chosen = sets.iter().find(|set| Some(set.id) == draft.dataset);
    let list = ComboBox::from_id_salt("dataset")
        .width(300.0)
        .selected_text(chosen.map_or("", |set| set.name.as_str()));
    let shown = list.show_ui(ui, |ui| {
        for set in sets.iter() {
            ui.selectable_value(&mut draft.dataset, Some(set.id), &set.name);
        }
    });
    shown.response.labelled_by(label.id);
    ui.end_row();
}

/// A list of the models, into `draft.base`.
fn base(ui: &mut Ui, view: &View, draft: &mut PlanDraft) {
    let label = ui.label("Model");
    let models = &view.models.models;
    let chosen = models.iter().find(|model| model.id == draft.base);
    let list = ComboBox::from_id_salt("base")
        .width(300.0)
        .selected_text(chosen.map_or("", |model| model.name.as_str()));
    let shown = list.show_ui(ui, |ui| {
        for model in models.iter().filter(|model| model.present) {
            ui.selectable_value(&mut draft.base, model.id, &model.name);
        }
    });
    shown.response.labelled_by(label.id);
    ui.end_row();
}

fn exact(ui: &mut Ui, draft: &mut PlanDraft) {
    ui.checkbox(&mut draft.exact, "Choose rank and step size myself");
    if !draft.exact {
        ui.label(small(ui, "Otherwise they follow from the model and the data."));
        return;
    }
    egui::Grid::new("exact").num_columns(2).spacing([16.0, 8.0]).show(ui, |ui| {
        let label = ui.label("Rank");
        ui.add(DragValue::new(&mut draft.rank).range(1..=256)).labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Step size");
        let drag = DragValue::new(&mut draft.learning_rate).range(1e-6..=1e-1).speed(1e-5);
        ui.add(drag.custom_formatter(|rate, _| format!("{rate:.1e}"))).labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Longest sample, in tokens");
        ui.add(DragValue::new(&mut draft.sequence_tokens).range(64..=8192)).labelled_by(label.id);
        ui.end_row();
    });
}

fn rules(ui: &mut Ui, view: &View, out: &mut Outbox) {
    let now = view.tuning.rules;
    let mut rules = now;
    ui.checkbox(&mut rules.on_battery, "Go on while the machine runs on its battery");
    let mut watch = rules.hottest_celsius.is_some();
    ui.horizontal(|ui| {
        ui.checkbox(&mut watch, "Wait while the processor is hotter than");
        let mut celsius = rules.hottest_celsius.unwrap_or(85.0);
        let drag = ui.add_enabled(
            watch,
            DragValue::new(&mut celsius).range(40.0..=110.0).suffix(" \u{b0}C"),
        );
        drag.accessible_name("Highest temperature");
        rules.hottest_celsius = watch.then_some(celsius);
    });
    ui.horizontal(|ui| {
        ui.label("Refuse adapters that remember a hidden secret by more than");
        let drag = DragValue::new(&mut rules.exposure_limit_bits).range(0.0..=30.0).speed(0.1);
        ui.add(drag.suffix(" bits")).accessible_name("Limit of exposure");
    });
    ui.label(small(
        ui,
        format!(
            "{} made-up secrets are hidden among the examples of each run, to see how firmly it remembers.",
            rules.canaries
        ),
    ));
    if rules != now && valid(&rules) {
        ask(out, TuneCommand::SetTuneRules(rules));
    }
}

fn valid(rules: &TuneRules) -> bool {
    rules.exposure_limit_bits.is_finite()
}

fn export(ui: &mut Ui, draft: &mut PlanDraft, out: &mut Outbox) {
    ui.add_space(space::XS);
    ui.label(strong("Outgrow this machine"));
    ui.label(small(
        ui,
        "Write the job to a folder and run it on your own cluster with Hugging Face's peft. The folder holds your examples in plain text.",
    ));
    let Some(plan) = plan(draft) else { return };
    let path = &mut draft.export_path;
    let write = path_row(ui, path, "Folder for the job", "/home/you/job", |ui| {
        secondary(ui, icons::EXPORT, "Write the job").clicked()
    });
    if write {
        ask(out, TuneCommand::ExportJob { plan, path: path.trim().into() });
    }
}

fn plan(draft: &PlanDraft) -> Option<RunPlan> {
    let mut settings =
        TuneSettings { budget: Budget::Minutes(draft.minutes), ..TuneSettings::default() };
    let settings = if draft.exact {
        settings.lora.rank = draft.rank;
        settings.lora.alpha = draft.rank as f32 * 2.0;
        settings.learning_rate = draft.learning_rate;
        settings.sequence_tokens = draft.sequence_tokens;
        Settings::Exact(settings)
    } else {
        Settings::Recommended(settings)
    };
    Some(RunPlan { dataset: draft.dataset?, base: draft.base, settings })
}

fn estimate(ui: &mut Ui, settings: &TuneSettings, estimate: &TuneEstimate) {
    banner(ui, Tone::Good, icons::INFO, |ui| {
        ui.label(strong(format!(
            "About {}, {} beside the model",
            words::span(estimate.secs),
            words::bytes(estimate.memory_bytes)
        )));
        ui.label(format!(
            "{}; every example {:.1} times. {} tokens, {} of them learnt, at {:.0} a second. Rank {}, step size {:.0e}.",
            words::count(u64::from(estimate.steps), "step"),
            estimate.epochs,
            words::grouped(estimate.tokens),
            words::grouped(estimate.learnt_tokens),
            estimate.tokens_per_sec,
            settings.lora.rank,
            settings.learning_rate,
        ));
        ui.label(small(ui, "Measured just now by a few steps of it."));
    });
}
