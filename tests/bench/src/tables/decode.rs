//! Single tokens, whose cost is reading the weights once each.

use super::{Bench, Outcome};
use crate::{
    BenchError,
    figures::Better,
    model::ModelFile,
    report::{Cell, Table},
    side::{IkMode, Pass, Side},
};

const PASS: Pass = Pass { depth: 512, prompt: 0, generate: 64, repeat: 1 };
const RATE: &str = "tok/s";

pub(super) fn table(bench: &mut Bench<'_>, models: &[ModelFile]) -> Result<Table, BenchError> {
    let mut table = Table::new(
        "Decode: 64 tokens after 512",
        &[
            "model",
            "side",
            "best tok/s",
            "median",
            "ours/it best",
            "ours/it median",
            "GB/s best",
            "share best",
            "share median",
        ],
    );
    let sides = bench.plan.sides(&[IkMode::Mapped, IkMode::Repacked]);
    for model in models {
        let outcome = bench.in_turn(model, &sides, PASS, &|timed| {
            let rates = timed.generate_secs.iter().map(|secs| PASS.generate as f64 / secs);
            rates.map(|rate| (RATE, Better::More, rate)).collect()
        })?;
        for side in &sides {
            let mut row = vec![model.name.as_str().into(), side.name().into()];
            row.extend(outcome.cells(side, RATE, 2));
            row.extend(shares(&outcome, side, model));
            table.rows.push(row);
        }
        let bandwidth = &outcome.bandwidth;
        table.notes.push(format!(
            "{}: read bandwidth in the same run {:.1} GB/s best, {:.1} median",
            model.name,
            bandwidth.best().unwrap_or(0.0) / 1e9,
            bandwidth.median().unwrap_or(0.0) / 1e9
        ));
        outcome.keep(model, &mut table);
    }
    table.notes.push("share: weights read a second, of the read bandwidth".into());
    Ok(table)
}

fn shares(outcome: &Outcome, side: &Side, model: &ModelFile) -> Vec<Cell> {
    let bytes = model.read_bytes as f64;
    let readings = outcome.get(side, RATE);
    let best = readings.and_then(|r| r.best()).map(|rate| rate * bytes);
    let median = readings.and_then(|r| r.median()).map(|rate| rate * bytes);
    let share = |read: Option<f64>, limit: Option<f64>| Some(read? / limit?);
    vec![
        Cell::number(best.map(|read| read / 1e9), 1),
        Cell::number(share(best, outcome.bandwidth.best()), 2),
        Cell::number(share(median, outcome.bandwidth.median()), 2),
    ]
}
