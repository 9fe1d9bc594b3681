//! What a token costs by its place in the context.

use super::Bench;
use crate::{
    BenchError,
    figures::Better,
    model::ModelFile,
    report::{Cell, Table},
    side::{Pass, Side},
};

/// Where the tokens on the clock begin. The last leaves room for them in a context of 8192.
const DEPTHS: [usize; 5] = [512, 1024, 2048, 4096, 7808];
const PROMPT: usize = 256;
const GENERATE: usize = 16;
const PROMPT_COST: &str = "ms a prompt token";
const DECODE_COST: &str = "ms a generated token";

pub(super) fn table(bench: &mut Bench<'_>, models: &[ModelFile]) -> Result<Table, BenchError> {
    let mut table = Table::new(
        "Growth: best ms a token by its place in the context",
        &["model", "work", "side", "512", "1024", "2048", "4096", "7808", "last/first"],
    );
    let mut sides = bench.plan.sides(&[]);
    sides.retain(|side| side.can(pass(DEPTHS[0])));
    for model in models {
        let mut by_depth = Vec::with_capacity(DEPTHS.len());
        for depth in DEPTHS {
            by_depth.push(bench.in_turn(model, &sides, pass(depth), &|timed| {
                let cost = |name: &'static str, secs: &[f64], tokens: usize| {
                    let millis = secs.first().map(|secs| secs * 1e3 / tokens as f64);
                    millis.map(|millis| (name, Better::Less, millis))
                };
                let prompt = cost(PROMPT_COST, &timed.prompt_secs, PROMPT);
                prompt
                    .into_iter()
                    .chain(cost(DECODE_COST, &timed.generate_secs, GENERATE))
                    .collect()
            })?);
        }
        for work in [PROMPT_COST, DECODE_COST] {
            for side in &sides {
                let best = |at: usize| by_depth[at].get(side, work).and_then(|r| r.best());
                table.rows.push(row(model, work, side, &best));
            }
        }
        for outcome in by_depth {
            outcome.keep(model, &mut table);
        }
    }
    Ok(table)
}

const fn pass(depth: usize) -> Pass {
    Pass { depth, prompt: PROMPT, generate: GENERATE, repeat: 1 }
}

fn row(
    model: &ModelFile,
    work: &str,
    side: &Side,
    best: &dyn Fn(usize) -> Option<f64>,
) -> Vec<Cell> {
    let mut row: Vec<Cell> = vec![model.name.as_str().into(), work.into(), side.name().into()];
    row.extend((0..DEPTHS.len()).map(|at| Cell::number(best(at), 2)));
    let growth = best(0).zip(best(DEPTHS.len() - 1)).map(|(first, last)| last / first);
    row.push(Cell::number(growth, 2));
    row
}
