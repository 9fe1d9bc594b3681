//! The loss curve as an SVG.

use std::fmt::Write;

use crate::train::Entry;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const MARGIN: f64 = 56.0;

/// Draws training and held-out loss over the tokens read, the loss on a logarithmic scale.
pub fn plot(title: &str, entries: &[Entry]) -> String {
    let losses = entries.iter().flat_map(|entry| [entry.train_loss, entry.held_out_loss]);
    let (low, high) = losses
        .fold((f64::INFINITY, 0f64), |(low, high), loss| (low.min(loss.max(1e-3)), high.max(loss)));
    if entries.is_empty() || high <= 0.0 {
        return "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n".to_owned();
    }
    let axes = Axes {
        tokens: entries.last().map_or(1.0, |entry| entry.tokens.max(1) as f64),
        low: low.ln(),
        high: high.ln().max(low.ln() + 0.1),
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    axes.draw(&mut svg);
    let lines = [
        Curve {
            label: "training (prompts at low weight)",
            colour: "#b0682c",
            losses: entries.iter().map(|entry| entry.train_loss).collect(),
        },
        Curve {
            label: "held out (answers)",
            colour: "#2c5fb0",
            losses: entries.iter().map(|entry| entry.held_out_loss).collect(),
        },
    ];
    for (index, Curve { label, colour, losses }) in lines.into_iter().enumerate() {
        let points: Vec<String> = entries
            .iter()
            .zip(losses)
            .map(|(entry, loss)| format!("{:.1},{:.1}", axes.x(entry.tokens as f64), axes.y(loss)))
            .collect();
        let y = MARGIN + 16.0 * (index as f64 + 1.0);
        push(
            &mut svg,
            format_args!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" points=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"{colour}\">{label}</text>\n",
                points.join(" "),
                WIDTH - MARGIN,
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

struct Curve {
    label: &'static str,
    colour: &'static str,
    losses: Vec<f64>,
}

struct Axes {
    tokens: f64,
    low: f64,
    high: f64,
}

impl Axes {
    fn x(&self, tokens: f64) -> f64 {
        MARGIN + (WIDTH - 2.0 * MARGIN) * tokens / self.tokens
    }

    fn y(&self, loss: f64) -> f64 {
        let share = (loss.max(1e-3).ln() - self.low) / (self.high - self.low);
        HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * share
    }

    fn draw(&self, svg: &mut String) {
        let (left, right) = (MARGIN, WIDTH - MARGIN);
        let (top, bottom) = (MARGIN, HEIGHT - MARGIN);
        for loss in [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0] {
            let y = self.y(loss);
            if (top..=bottom).contains(&y) {
                push(
                    svg,
                    format_args!(
                        "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\n\
                     <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{loss}</text>\n",
                        left - 6.0,
                        y + 4.0,
                    ),
                );
            }
        }
        for quarter in 0..=4 {
            let tokens = self.tokens * f64::from(quarter) / 4.0;
            push(
                svg,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.1} M</text>\n",
                    self.x(tokens),
                    bottom + 18.0,
                    tokens / 1e6,
                ),
            );
        }
        push(
            svg,
            format_args!(
                "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#444444\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">tokens read</text>\n\
             <text x=\"16\" y=\"{:.1}\" transform=\"rotate(-90 16 {:.1})\" text-anchor=\"middle\">loss (nats a token)</text>\n",
                WIDTH / 2.0,
                bottom + 38.0,
                HEIGHT / 2.0,
                HEIGHT / 2.0,
            ),
        );
    }
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    svg.write_fmt(text).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_have_a_point_for_each_entry() {
        let entries: Vec<Entry> = (1u32..=3)
            .map(|step| Entry {
                step: u64::from(step),
                tokens: u64::from(step) * 1000,
                learning_rate: 0.001,
                train_loss: 3.0 / f64::from(step),
                held_out_loss: 4.0 / f64::from(step),
                gradient_norm: 1.0,
                tokens_per_sec: 100.0,
            })
            .collect();
        let svg = plot("a title", &entries);
        let points: Vec<usize> = svg
            .split("points=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().split(' ').count())
            .collect();
        assert_eq!(points, [3, 3]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
