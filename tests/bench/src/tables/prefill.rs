//! Prompts, whose cost is arithmetic.

use super::Bench;
use crate::{
    BenchError,
    figures::Better,
    model::ModelFile,
    report::{Cell, Table},
    side::{IkMode, Pass},
};

const PROMPTS: [usize; 2] = [512, 4096];
const FIRST: &str = "first pass tok/s";
const SECOND: &str = "second pass tok/s";

pub(super) fn table(bench: &mut Bench<'_>, models: &[ModelFile]) -> Result<Table, BenchError> {
    let mut table = Table::new(
        "Prefill",
        &[
            "model",
            "tokens",
            "pass",
            "side",
            "best tok/s",
            "median",
            "ours/it best",
            "ours/it median",
            "Gops/s best",
            "share best",
        ],
    );
    let sides = bench.plan.sides(&[IkMode::Mapped, IkMode::Repacked]);
    for model in models {
        for prompt in PROMPTS {
            // The second pass of a long prompt tells nothing new.
            let repeat = if prompt == PROMPTS[0] { 2 } else { 1 };
            let pass = Pass { depth: 0, prompt, generate: 0, repeat };
            let outcome = bench.in_turn(model, &sides, pass, &|timed| {
                let names = [FIRST, SECOND].into_iter().zip(&timed.prompt_secs);
                names.map(|(n, secs)| (n, Better::More, prompt as f64 / secs)).collect()
            })?;
            for (name, label) in [(FIRST, "first"), (SECOND, "second")].into_iter().take(repeat) {
                for side in &sides {
                    let mut row: Vec<Cell> = vec![
                        model.name.as_str().into(),
                        Cell::Number(prompt as f64, 0),
                        label.into(),
                        side.name().into(),
                    ];
                    row.extend(outcome.cells(side, name, 1));
                    let best = outcome.get(side, name).and_then(|readings| readings.best());
                    let products = best.map(|rate| rate * model.prompt_products as f64);
                    row.push(Cell::number(products.map(|products| 2.0 * products / 1e9), 0));
                    let share = products.zip(outcome.products.best()).map(|(own, all)| own / all);
                    row.push(Cell::number(share, 2));
                    table.rows.push(row);
                }
            }
            outcome.keep(model, &mut table);
        }
    }
    table.notes.push(
        "ops: multiplications and additions with weights; attention is not counted. \
         share: of the 8-bit dot products measured in the same run"
            .into(),
    );
    Ok(table)
}
