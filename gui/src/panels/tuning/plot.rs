//! Losses over steps, and how long examples are.

use egui::Ui;
use egui_plot::{Bar, BarChart, Corner, Legend, Line, Plot, PlotPoints, Points};

use crate::{
    theme::Palette,
    types::{PreviewView, RunView},
};

/// Steps that are painted at most; of more, means of neighbours are.
const MOST_POINTS: usize = 400;

/// The losses of a run.
pub(super) fn losses(ui: &mut Ui, run: &RunView) {
    ui.scope(|ui| paint_losses(ui, run));
}

fn paint_losses(ui: &mut Ui, run: &RunView) {
    let p = Palette::of(ui);
    let each = run.steps.len().div_ceil(MOST_POINTS).max(1);
    let train: Vec<[f64; 2]> = run
        .steps
        .chunks(each)
        .map(|steps| {
            let mean =
                steps.iter().map(|step| f64::from(step.loss)).sum::<f64>() / steps.len() as f64;
            [steps.last().map_or(0.0, |step| f64::from(step.step)), mean]
        })
        .collect();
    let held_out: Vec<[f64; 2]> = run
        .steps
        .iter()
        .filter_map(|step| Some([f64::from(step.step), f64::from(step.held_out_loss?)]))
        .collect();
    quiet(ui, p);
    Plot::new(("losses", run.id.0))
        .height(220.0)
        // Where losses that fall leave room.
        .legend(Legend::default().position(Corner::LeftBottom))
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        // The whole of it from the beginning on, so that it does not shrink as it goes.
        .include_x(0.0)
        .include_x(f64::from(run.total_steps.unwrap_or(1)))
        .show_grid(!run.steps.is_empty())
        .x_axis_label("step")
        .y_axis_label("loss, nats a token")
        .show(ui, |plot| {
            plot.line(Line::new("learnt", PlotPoints::from(train)).color(p.faint).width(1.5));
            if let Some(first) = held_out.first().map(|point| vec![*point]) {
                let line = Line::new("held out", PlotPoints::from(held_out));
                plot.line(line.color(p.ember).width(2.5));
                // The first of them is no line yet.
                let points = Points::new("held out", PlotPoints::from(first));
                plot.points(points.color(p.ember).radius(3.0));
            }
        });
}

/// Grid and marks step back behind what they measure.
fn quiet(ui: &mut Ui, p: &Palette) {
    ui.visuals_mut().override_text_color = Some(p.muted);
}

/// How many examples there are of which length.
pub(super) fn lengths(ui: &mut Ui, preview: &PreviewView) {
    ui.scope(|ui| paint_lengths(ui, preview));
}

fn paint_lengths(ui: &mut Ui, preview: &PreviewView) {
    let p = Palette::of(ui);
    let labels: Vec<String> =
        preview.lengths.iter().map(|(most, _)| format!("\u{2264} {most}")).collect();
    let bars = preview
        .lengths
        .iter()
        .enumerate()
        .map(|(place, (_, count))| Bar::new(place as f64, *count as f64).width(0.7).fill(p.ember))
        .collect();
    quiet(ui, p);
    Plot::new("lengths")
        .height(120.0)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .show_grid([false, true])
        .x_axis_label("tokens of an example")
        .x_axis_formatter(move |mark, _range| {
            let place = mark.value.round();
            let whole = (mark.value - place).abs() < 0.01 && place >= 0.0;
            whole.then(|| labels.get(place as usize).cloned()).flatten().unwrap_or_default()
        })
        .show(ui, |plot| plot.bar_chart(BarChart::new("examples", bars)));
}
