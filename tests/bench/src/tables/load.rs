//! From a process's start to its first token, and the most memory it held.

use super::Bench;
use crate::{
    BenchError,
    figures::Better,
    model::ModelFile,
    report::{Cell, Table},
    side::{IkMode, Pass},
};

const PROMPTS: [usize; 2] = [1, 512];
const SECS: &str = "s, start to end of a process that makes one token";
const PEAK: &str = "peak MiB";
const MIB: f64 = (1 << 20) as f64;

pub(super) fn table(bench: &mut Bench<'_>, models: &[ModelFile]) -> Result<Table, BenchError> {
    let mut table = Table::new(
        "Load: a process from its start through its first token to its end, file in the system's cache",
        &[
            "model",
            "prompt",
            "side",
            "best s",
            "median",
            "ours/it best",
            "ours/it median",
            "peak MiB",
            "peak / (file + KV)",
        ],
    );
    let sides = bench.plan.sides(&[IkMode::Mapped]);
    for model in models {
        for prompt in PROMPTS {
            let pass = Pass { depth: 0, prompt, generate: 0, repeat: 1 };
            let outcome = bench.in_turn(model, &sides, pass, &|timed| {
                let peak = timed.peak_bytes.map(|bytes| bytes as f64 / MIB);
                let mut quantities = vec![(SECS, Better::Less, timed.wall_secs)];
                quantities.extend(peak.map(|peak| (PEAK, Better::Less, peak)));
                quantities
            })?;
            let floor = (model.file_bytes + model.kv_bytes * prompt as u64) as f64 / MIB;
            for side in &sides {
                let mut row: Vec<Cell> = vec![
                    model.name.as_str().into(),
                    Cell::Number(prompt as f64, 0),
                    side.name().into(),
                ];
                row.extend(outcome.cells(side, SECS, 2));
                let peak = outcome.get(side, PEAK).and_then(|readings| readings.median());
                row.push(Cell::number(peak, 0));
                row.push(Cell::number(peak.map(|peak| peak / floor), 2));
                table.rows.push(row);
            }
            outcome.keep(model, &mut table);
        }
    }
    table.notes.push("peak: most memory held, mapped files included; KV as 16-bit floats".into());
    Ok(table)
}
