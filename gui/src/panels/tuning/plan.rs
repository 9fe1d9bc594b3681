//! A new run: what is learnt by which model, for how long, and what that takes.

use egui::{ComboBox, DragValue, Slider, Ui};

use super::ask;
use crate::{
    commands::{Outbox, Purpose},
    icons,
    model::{Model, PlanDraft, Tone, TuningTab},
    theme::{muted, small, space, strong},
    types::{
        Budget, Command, RunPlan, Settings, TuneCommand, TuneEstimate, TuneRules, TuneSettings,
        View,
    },
    widgets::{
        banner, card, ghost, line, path_row, primary_enabled, secondary, secondary_enabled, section,
    },
    words,
};

const PREPARING: &str = "Making examples and trying a few steps\u{2026}";

pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    if !view.tuning.runs.is_empty() && !model.tuning.planning {
        ui.horizontal(|ui| {
            if secondary(ui, icons::PLUS, "New run").clicked() {
                model.tuning.planning = true;
            }
            if is_preparing(view) {
                ui.label(muted(ui, PREPARING));
            }
        });
        return;
    }
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
    let over = card(ui, |ui| {
        let started = form(ui, view, &mut model.tuning.plan, out);
        egui::CollapsingHeader::new("Rules for all runs").show(ui, |ui| {
            rules(ui, view, &mut model.tuning.rules, out);
        });
        started
    });
    if over.inner {
        model.tuning.planning = false;
        model.tuning.run = None;
    }
}

/// Whether a run was begun, or none is wanted after all.
fn form(ui: &mut Ui, view: &View, draft: &mut PlanDraft, out: &mut Outbox) -> bool {
    let known = draft.dataset.is_some_and(|id| view.tuning.datasets.iter().any(|set| set.id == id));
    if !known {
        draft.dataset = view.tuning.datasets.first().map(|set| set.id);
    }
    egui::Grid::new("plan").num_columns(2).spacing([16.0, 10.0]).show(ui, |ui| {
        ui.label("Name");
        let standard = set_name(view, draft);
        line(ui, &mut draft.name, "Name of the adapter", &standard, 300.0);
        ui.end_row();
        dataset(ui, view, draft);
        base(ui, view, draft);
        let label = ui.label("Time");
        ui.spacing_mut().slider_width = 180.0;
        let slider = Slider::new(&mut draft.minutes, 1.0..=480.0)
            .logarithmic(true)
            .custom_formatter(|minutes, _| format!("about {}", words::span(minutes as f32 * 60.0)))
            .step_by(1.0);
        ui.add(slider).labelled_by(label.id);
        ui.end_row();
    });
    egui::CollapsingHeader::new("More settings").show(ui, |ui| {
        exact(ui, draft);
        export(ui, view, draft, out);
    });
    ui.add_space(space::XS);
    let plan = plan(view, draft);
    let going = view.tuning.runs.iter().any(|run| run.ticket.is_some());
    let preparing = is_preparing(view);
    let busy = view.jobs.iter().any(|job| job.title.starts_with("Estimating"));
    let mut over = false;
    ui.horizontal(|ui| {
        let name = match draft.name.trim() {
            "" => set_name(view, draft),
            name => name.to_owned(),
        };
        let ready = plan.is_some() && !name.is_empty() && !going && !preparing;
        if primary_enabled(ui, ready, icons::FLAME, "Start training").clicked()
            && let Some(plan) = plan.clone()
        {
            ask(out, TuneCommand::StartRun { name, plan });
            over = true;
        }
        let can_estimate = plan.is_some() && !busy && !going && !preparing;
        if secondary_enabled(ui, can_estimate, "", "What will it take?").clicked()
            && let Some(plan) = plan.clone()
        {
            ask(out, TuneCommand::Estimate(plan));
        }
        if !view.tuning.runs.is_empty() && ghost(ui, "", "Cancel").clicked() {
            over = true;
        }
        if preparing {
            ui.label(muted(ui, PREPARING));
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
    over
}

/// A run was asked for and is not there yet.
fn is_preparing(view: &View) -> bool {
    view.jobs.iter().any(|job| job.title.starts_with("Training"))
        && !view.tuning.runs.iter().any(|run| run.ticket.is_some())
}

/// The chosen dataset's name: what the adapter is called unless the user knows better.
fn set_name(view: &View, draft: &PlanDraft) -> String {
    let set = view.tuning.datasets.iter().find(|set| Some(set.id) == draft.dataset);
    let Some(set) = set else { return String::new() };
    let taken = |name: &str| view.tuning.adapters.iter().any(|adapter| adapter.name == name);
    if !taken(&set.name) {
        return set.name.clone();
    }
    // There are fewer adapters than numbers.
    let most = view.tuning.adapters.len() + 2;
    let mut names = (2..=most).map(|number| format!("{} {number}", set.name));
    names.find(|name| !taken(name)).unwrap_or_default()
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
    let mut base = draft.base(view);
    let chosen = models.iter().find(|model| model.id == base);
    let list = ComboBox::from_id_salt("base")
        .width(300.0)
        .selected_text(chosen.map_or("", |model| model.name.as_str()));
    let shown = list.show_ui(ui, |ui| {
        for model in models.iter().filter(|model| model.present) {
            if ui.selectable_value(&mut base, model.id, &model.name).clicked() {
                draft.base = Some(base);
            }
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

fn rules(ui: &mut Ui, view: &View, draft: &mut Option<TuneRules>, out: &mut Outbox) {
    let now = view.tuning.rules;
    // While a value is being dragged it is only here; each would else be a command.
    let mut rules = draft.unwrap_or(now);
    let mut dragged = false;
    ui.checkbox(&mut rules.on_battery, "Go on while the machine runs on its battery");
    let mut watch = rules.hottest_celsius.is_some();
    ui.horizontal(|ui| {
        ui.checkbox(&mut watch, "Wait while the processor is hotter than");
        let mut celsius = rules.hottest_celsius.unwrap_or(85.0);
        let drag = ui.add_enabled(
            watch,
            DragValue::new(&mut celsius).range(40.0..=110.0).suffix(" \u{b0}C"),
        );
        dragged |= drag.dragged();
        drag.accessible_name("Highest temperature");
        rules.hottest_celsius = watch.then_some(celsius);
    });
    ui.horizontal(|ui| {
        ui.label("Refuse adapters that remember a hidden secret by more than");
        let drag = DragValue::new(&mut rules.exposure_limit_bits).range(0.0..=30.0).speed(0.1);
        let drag = ui.add(drag.suffix(" bits")).accessible_name("Limit of exposure");
        dragged |= drag.dragged();
    });
    ui.horizontal(|ui| {
        ui.label("Made-up secrets hidden among the examples, to see how firmly it remembers");
        let drag = ui.add(DragValue::new(&mut rules.canaries).range(0..=64));
        dragged |= drag.dragged();
        drag.accessible_name("Made-up secrets");
    });
    *draft = dragged.then_some(rules);
    if rules != now && !dragged {
        ask(out, TuneCommand::SetTuneRules(rules));
    }
}

fn export(ui: &mut Ui, view: &View, draft: &mut PlanDraft, out: &mut Outbox) {
    ui.add_space(space::XS);
    ui.label(strong("Outgrow this machine"));
    ui.label(small(
        ui,
        "Write the job to a folder and run it on your own cluster with Hugging Face's peft. The folder holds your examples in plain text.",
    ));
    let Some(plan) = plan(view, draft) else { return };
    let path = &mut draft.export_path;
    let write = path_row(ui, path, "Folder for the job", "/home/you/job", |ui| {
        secondary(ui, icons::EXPORT, "Write the job").clicked()
    });
    if write {
        let export = TuneCommand::ExportJob { plan, path: path.trim().into() };
        out.send_for(Command::Tune(export), Purpose::Written("The job"));
    }
}

fn plan(view: &View, draft: &PlanDraft) -> Option<RunPlan> {
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
    Some(RunPlan { dataset: draft.dataset?, base: draft.base(view), settings })
}

fn estimate(ui: &mut Ui, settings: &TuneSettings, estimate: &TuneEstimate) {
    banner(ui, Tone::Good, icons::INFO, |ui| {
        ui.label(strong(format!(
            "About {}, {} beside the model",
            words::span(estimate.secs),
            words::bytes(estimate.memory_bytes)
        )));
        ui.label(format!(
            "{}; every example {:.1} times. {} tokens, {} of them learnt, at {:.0} a second. Rank {}, step size {:.0e}. Its report takes about {} more.",
            words::count(u64::from(estimate.steps), "step"),
            estimate.epochs,
            words::grouped(estimate.tokens),
            words::grouped(estimate.learnt_tokens),
            estimate.tokens_per_sec,
            settings.lora.rank,
            settings.learning_rate,
            words::span(estimate.report_secs),
        ));
        ui.label(small(ui, "Measured just now by a few steps of it."));
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::{DatasetId, DatasetView, ModelId, Recipe};

    fn view() -> View {
        let set = DatasetView {
            id: DatasetId(4),
            name: "Mail".into(),
            recipe: Arc::new(Recipe::default()),
        };
        let mut view = View::default();
        Arc::make_mut(&mut view.tuning).datasets = Arc::new(vec![set]);
        view
    }

    #[test]
    fn an_adapter_is_called_like_its_data_and_no_two_alike() {
        let mut view = view();
        let draft = PlanDraft { dataset: Some(DatasetId(4)), ..PlanDraft::default() };
        assert_eq!(set_name(&view, &PlanDraft::default()), "");
        assert_eq!(set_name(&view, &draft), "Mail");
        for expected in ["Mail 2", "Mail 3"] {
            let adapter = crate::types::AdapterView {
                id: hearth_session::AdapterId(1),
                name: set_name(&view, &draft),
                base: String::new(),
                base_model: None,
                loaded: false,
                accepted: false,
                sources: 0,
                sources_changed: 0,
                sources_gone: 0,
                dataset: None,
                run: None,
                bytes: 0,
                created_secs: 0,
                report: None,
            };
            let tuning = Arc::make_mut(&mut view.tuning);
            Arc::make_mut(&mut tuning.adapters).push(adapter);
            assert_eq!(set_name(&view, &draft), expected);
        }
    }

    #[test]
    fn a_plan_needs_data_and_takes_the_chosen_model() {
        let view = view();
        assert_eq!(plan(&view, &PlanDraft::default()), None);
        let draft = PlanDraft {
            dataset: Some(DatasetId(4)),
            base: Some(Some(ModelId(7))),
            exact: true,
            rank: 4,
            ..PlanDraft::default()
        };
        let plan = plan(&view, &draft).unwrap();
        assert_eq!(plan.base, Some(ModelId(7)));
        let Settings::Exact(settings) = plan.settings else { panic!("{plan:?}") };
        assert_eq!((settings.lora.rank, settings.lora.alpha), (4, 8.0));
    }
}
