//! What adapters cost: ours beside itself, with them and without.

use super::Bench;
use crate::{
    BenchError,
    figures::Better,
    model::ModelFile,
    report::{Cell, Table},
    side::{Pass, Side},
};

const PASS: Pass = Pass { depth: 512, prompt: 512, generate: 64, repeat: 2 };
const SIDES: [Side; 3] = [Side::Hearth, Side::Adapted(1), Side::Adapted(SEVERAL)];
const SEVERAL: usize = 4;
const GENERATED: &str = "generated tok/s";
const PROMPT: &str = "prompt tok/s";
const READY: &str = "ready s";

pub(super) fn table(bench: &mut Bench<'_>, models: &[ModelFile]) -> Result<Table, BenchError> {
    let mut table = Table::new(
        "Adapters of rank 16 beside every matrix: 512 tokens of a prompt and 64 generated, after 512",
        &[
            "model",
            "side",
            "generated tok/s best",
            "median",
            "without/with best",
            "median",
            "prompt tok/s best",
            "median",
            "without/with best",
            "median",
            "ready s best",
        ],
    );
    for model in models {
        let outcome = bench.in_turn(model, &SIDES, PASS, &|timed| {
            let rates = |secs: &[f64], tokens: usize| -> Vec<f64> {
                secs.iter().map(|secs| tokens as f64 / secs).collect()
            };
            let generated = rates(&timed.generate_secs, PASS.generate);
            let prompt = rates(&timed.prompt_secs, PASS.prompt);
            let more = |name, values: Vec<f64>| {
                values.into_iter().map(move |value| (name, Better::More, value))
            };
            let ready = timed.ready_secs.iter().map(|&secs| (READY, Better::Less, secs));
            more(GENERATED, generated).chain(more(PROMPT, prompt)).chain(ready).collect()
        })?;
        for side in &SIDES {
            let mut row = vec![model.name.as_str().into(), side.name().into()];
            row.extend(outcome.cells(side, GENERATED, 2));
            row.extend(outcome.cells(side, PROMPT, 1));
            let ready = outcome.get(side, READY).and_then(|readings| readings.best());
            row.push(Cell::number(ready, 3));
            table.rows.push(row);
        }
        outcome.keep(model, &mut table);
    }
    table.notes.push(format!("several: {SEVERAL}, added up"));
    table.notes.push("ready: from the bytes of its file to its first use".into());
    Ok(table)
}
