//! Runs: how they go, with their losses.

use egui::{Align, Layout, Ui};

use super::{ask, plot};
use crate::{
    commands::Outbox,
    icons,
    model::{Model, Tone, TuningTab},
    theme::{muted, small, strong},
    types::{Command, RunState, RunView, TuneCommand, View, Wait},
    widgets::{badge, banner, bar, card, danger, ghost, icon_button, secondary, section},
    words,
};

pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    if view.tuning.runs.is_empty() {
        return;
    }
    section(ui, "Runs", "");
    let newest = view.tuning.runs.first().map(|run| run.id);
    for run in view.tuning.runs.iter() {
        let open = match model.tuning.run {
            Some(chosen) => chosen == run.id,
            None => run.ticket.is_some() || newest == Some(run.id),
        };
        ui.push_id(run.id.0, |ui| card(ui, |ui| one(ui, run, open, model, out)));
    }
}

fn one(ui: &mut Ui, run: &RunView, open: bool, model: &mut Model, out: &mut Outbox) {
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.label(strong(&run.name).size(15.0));
            let when = words::moment(run.started_secs, &model.zone);
            ui.label(small(ui, format!("{} on {}, {when}", run.dataset, run.base)));
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let label = format!("Forget the run {}", run.name);
            if icon_button(ui, icons::TRASH, &label).clicked() {
                model.tuning.forget = Some(run.id);
            }
            let label = format!("Show {}", run.name);
            if !open && secondary(ui, "", "Show").accessible_name(label).clicked() {
                model.tuning.run = Some(run.id);
            }
            acts(ui, run, model, out);
            state(ui, run);
        });
    });
    forget(ui, run, model, out);
    if let RunState::Failed(reason) = &run.state {
        banner(ui, Tone::Bad, icons::WARNING, |ui| ui.label(reason));
    }
    if run.sources_gone > 0 && run.state == RunState::Paused {
        banner(ui, Tone::Warn, icons::WARNING, |ui| {
            ui.label("Something it learns from was deleted, and its copy of that too. Start a new run: it learns from what is there now.")
        });
    }
    if run.ticket.is_some() {
        progress(ui, run);
    }
    // Room is kept for the plot from the beginning, so that nothing moves once it comes.
    if open && (run.ticket.is_some() || !run.steps.is_empty()) {
        plot::losses(ui, run);
        figures(ui, run);
    }
}

/// Asks before a run is thrown away; one that is over has nothing left to lose but its plot.
fn forget(ui: &mut Ui, run: &RunView, model: &mut Model, out: &mut Outbox) {
    if model.tuning.forget != Some(run.id) {
        return;
    }
    let text = match run.state {
        RunState::Finished(_) => "Forget this run and its plot? The adapter stays.",
        _ => "Forget this run? What it has learnt so far is lost.",
    };
    ui.horizontal(|ui| {
        ui.label(text);
        if danger(ui, icons::TRASH, "Forget it").clicked() {
            model.tuning.forget = None;
            ask(out, TuneCommand::RemoveRun(run.id));
        }
        if ghost(ui, "", "Keep it").clicked() {
            model.tuning.forget = None;
        }
    });
}

/// The one thing to do with a run as it stands.
fn acts(ui: &mut Ui, run: &RunView, model: &mut Model, out: &mut Outbox) {
    let (glyph, label) = match (&run.state, run.ticket) {
        (RunState::Preparing | RunState::Running | RunState::Waiting(_), _) => {
            (icons::PAUSE, "Pause")
        }
        (RunState::Paused, _) if run.sources_gone == 0 => (icons::PLAY, "Resume"),
        (RunState::Examining, Some(_)) => (icons::STOP, "Skip the questions"),
        (RunState::Finished(Some(_)), _) => (icons::GRADUATION, "See the adapter"),
        _ => return,
    };
    if !secondary(ui, glyph, label).clicked() {
        return;
    }
    match (&run.state, run.ticket) {
        (RunState::Paused, _) => ask(out, TuneCommand::ResumeRun(run.id)),
        (RunState::Examining, Some(ticket)) => out.send(Command::Cancel(ticket)),
        (RunState::Finished(adapter), _) => {
            model.tuning.tab = TuningTab::Adapters;
            model.tuning.open = *adapter;
        }
        _ => ask(out, TuneCommand::PauseRun(run.id)),
    }
}

fn state(ui: &mut Ui, run: &RunView) {
    let (tone, glyph, text) = match &run.state {
        RunState::Preparing => (Tone::Plain, "", "preparing".to_owned()),
        RunState::Running => (Tone::Ember, icons::FLAME, "training".to_owned()),
        RunState::Waiting(Wait::Chat) => {
            (Tone::Plain, icons::PAUSE, "lets your chat go first".into())
        }
        RunState::Waiting(Wait::Battery) => {
            (Tone::Warn, icons::PAUSE, "waits for mains power".into())
        }
        RunState::Waiting(Wait::Heat) => {
            (Tone::Warn, icons::PAUSE, "waits for the machine to cool".into())
        }
        RunState::Paused if run.sources_gone > 0 => {
            (Tone::Warn, icons::WARNING, "cannot go on: data was deleted".to_owned())
        }
        RunState::Paused => (Tone::Plain, icons::PAUSE, "paused".to_owned()),
        RunState::Examining => (Tone::Ember, icons::SEARCH, "examining the adapter".to_owned()),
        RunState::Finished(_) => (Tone::Good, icons::CHECK, "done".to_owned()),
        RunState::Failed(_) => (Tone::Bad, icons::WARNING, "failed".to_owned()),
    };
    badge(ui, tone, glyph, &text);
}

fn progress(ui: &mut Ui, run: &RunView) {
    let done = run.steps.last().map_or(0, |step| step.step);
    let total = run.total_steps;
    let share = total.map(|total| done as f32 / total.max(1) as f32);
    ui.horizontal(|ui| {
        bar(ui, share, 260.0, "Training");
        let mut parts = vec![match total {
            Some(total) => format!("step {done} of {total}"),
            None => format!("step {done}"),
        }];
        if let Some(secs) = run.secs_left {
            parts.push(format!("about {} left", words::span(secs)));
        }
        if let Some(step) = run.steps.last() {
            parts.push(format!("{:.0} tokens a second", step.tokens_per_sec));
        }
        ui.label(muted(ui, parts.join(" \u{b7} ")));
    });
}

fn figures(ui: &mut Ui, run: &RunView) {
    let (Some(first), Some(last)) = (run.steps.first(), run.steps.last()) else {
        // Keeps its place.
        ui.label(small(ui, "No step yet"));
        return;
    };
    let held_out: Vec<f32> = run.steps.iter().filter_map(|step| step.held_out_loss).collect();
    let mut text = format!("Loss {:.3} \u{2192} {:.3}", first.loss, last.loss);
    if let (Some(first), Some(last)) = (held_out.first(), held_out.last()) {
        text.push_str(&format!(", held out {first:.3} \u{2192} {last:.3}"));
    }
    let lora = &run.settings.lora;
    text.push_str(&format!(
        " \u{b7} rank {}, step size {:.0e}, {} tokens read in {}",
        lora.rank,
        run.settings.learning_rate,
        words::grouped(last.tokens),
        words::span(last.secs)
    ));
    ui.label(small(ui, text));
}
