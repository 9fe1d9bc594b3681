//! What was taken: in sum, by day, by run.

use egui::{Grid, ScrollArea, Ui};
use egui_plot::{Bar, BarChart, Legend, Plot};

use crate::{
    icons,
    model::{Model, Tone},
    theme::{Palette, heading, muted, small, space, strong},
    types::{ActivityView, PluginSum, PluginUsage, ToolMode, View},
    widgets::{badge, card},
    words,
};

/// Days that are plotted.
const DAYS: i64 = 30;

/// The cards over the rows.
pub(super) fn show(ui: &mut Ui, view: &View, activity: &ActivityView, model: &Model) {
    match activity.plugins.iter().find(|sum| activity.plugin.as_ref() == Some(&sum.plugin)) {
        Some(sum) => one(ui, view, sum),
        None => all(ui, &activity.plugins),
    }
    if activity.days.len() > 1 {
        card(ui, |ui| days(ui, activity));
    }
    if activity.plugin.is_some() && !activity.runs.is_empty() {
        card(ui, |ui| runs(ui, activity, model));
    }
    ui.add_space(space::S);
}

fn one(ui: &mut Ui, view: &View, sum: &PluginSum) {
    card(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label(heading(words::plain(&sum.name)));
            if sum.suspended.is_some() {
                badge(ui, Tone::Bad, icons::WARNING, "suspended");
            }
            match sum.tools {
                Some(ToolMode::Ask) => {
                    badge(ui, Tone::Plain, icons::CHATS, "in the chat, asking you");
                }
                Some(ToolMode::Always) => {
                    badge(ui, Tone::Warn, icons::CHATS, "in the chat, without asking");
                }
                None => {}
            }
            if !sum.schedules.is_empty() {
                badge(ui, Tone::Plain, icons::AGAIN, "runs by itself");
            }
        });
        match &sum.grant {
            None => {
                ui.label(muted(ui, "It may do nothing."));
            }
            Some(grant) => {
                let powers: Vec<&str> =
                    grant.capabilities.iter().map(|power| words::capability(*power).0).collect();
                ui.label(format!("It may: {}.", powers.join(", ")));
                for (slot, folders) in &grant.slots {
                    let names: Vec<&str> = view
                        .folders
                        .iter()
                        .filter(|folder| folders.contains(&folder.id))
                        .map(|folder| folder.name.as_str())
                        .collect();
                    let text = format!("{}: {}", words::plain(slot), names.join(", "));
                    ui.label(small(ui, text));
                }
            }
        }
        ui.add_space(space::XS);
        Grid::new("sums of one").num_columns(8).spacing([24.0, 4.0]).show(ui, |ui| {
            columns(ui, "");
            usage(ui, "today", &sum.today);
            usage(ui, "in all", &sum.total);
        });
    });
}

fn all(ui: &mut Ui, sums: &[PluginSum]) {
    let used: Vec<&PluginSum> = sums.iter().filter(|sum| sum.total.runs > 0).collect();
    if used.is_empty() {
        return;
    }
    card(ui, |ui| {
        Grid::new("sums of all").num_columns(8).striped(true).spacing([24.0, 4.0]).show(ui, |ui| {
            columns(ui, "in all");
            for sum in used {
                usage(ui, &words::short(&words::plain(&sum.name), 32), &sum.total);
            }
        });
    });
}

fn columns(ui: &mut Ui, first: &str) {
    let names = ["runs", "calls", "refused", "documents", "tokens read", "tokens written", "time"];
    for name in std::iter::once(first).chain(names) {
        ui.label(small(ui, name));
    }
    ui.end_row();
}

fn usage(ui: &mut Ui, name: &str, usage: &PluginUsage) {
    ui.label(strong(name));
    for number in [
        usage.runs,
        usage.calls,
        usage.refusals,
        usage.documents,
        usage.prompt_tokens,
        usage.answer_tokens,
    ] {
        ui.label(words::grouped(number));
    }
    let (own, model) = (micros(usage.guest_micros), micros(usage.model_micros));
    ui.label(model.clone())
        .on_hover_text(format!("{model} in the model, {own} in the plugin's own code"));
    ui.end_row();
}

fn micros(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} \u{b5}s"),
        1000..1_000_000 => format!("{} ms", micros / 1000),
        _ => words::span(micros as f32 / 1e6),
    }
}

/// Tokens by day.
fn days(ui: &mut Ui, activity: &ActivityView) {
    let p = Palette::of(ui);
    let last = activity.days.iter().map(|day| day.day).max().unwrap_or_default();
    let mut sums = std::collections::BTreeMap::<i64, [u64; 2]>::new();
    for day in activity.days.iter().filter(|day| day.day > last - DAYS) {
        let sum = sums.entry(day.day - last).or_default();
        for (sum, more) in sum.iter_mut().zip([day.usage.prompt_tokens, day.usage.answer_tokens]) {
            *sum += more;
        }
    }
    let bars = |which: fn(&[u64; 2]) -> u64| {
        sums.iter().map(|(day, sum)| Bar::new(*day as f64, which(sum) as f64).width(0.8)).collect()
    };
    let read: Vec<Bar> = bars(|[read, _]| *read);
    let written: Vec<Bar> = bars(|[_, written]| *written);
    let read = BarChart::new("tokens read", read).color(p.faint);
    let written = BarChart::new("tokens written", written).color(p.ember).stack_on(&[&read]);
    Plot::new("tokens by day")
        .height(140.0)
        .legend(Legend::default())
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .show_grid(false)
        .x_axis_label("days ago")
        .x_axis_formatter(|mark, _| format!("{}", -mark.value as i64))
        .show(ui, |plot| {
            plot.bar_chart(read);
            plot.bar_chart(written);
        });
}

fn runs(ui: &mut Ui, activity: &ActivityView, model: &Model) {
    ui.label(strong("Runs"));
    ScrollArea::vertical().id_salt("runs of a plugin").max_height(220.0).show(ui, |ui| {
        Grid::new("runs").num_columns(9).striped(true).spacing([18.0, 4.0]).show(ui, |ui| {
            columns(ui, "");
            for run in &activity.runs {
                let name = format!("run {}, {}", run.run, words::moment(run.at_secs, &model.zone));
                usage(ui, &name, &run.usage);
                ui.label(small(ui, words::plain(&run.what)));
                ui.end_row();
            }
        });
    });
}
