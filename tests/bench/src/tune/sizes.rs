//! Speed and memory by model size.

use std::collections::BTreeSet;

use hearth_engine_api::Target;

use super::{
    Bench,
    steps::name,
    subject::{self, Stepped, Steps, Task},
};
use crate::{
    BenchError,
    figures::{Better, Readings},
    report::{Cell, Table},
};

const RANK: u32 = 16;
const TOKENS: usize = 1024;
const STEPS: usize = 2;
const MIB: f64 = (1 << 20) as f64;

pub(super) fn tables(bench: &mut Bench<'_>) -> Result<Vec<Table>, BenchError> {
    if bench.plan.sizes.is_empty() {
        return Ok(Vec::new());
    }
    let mut table = Table::new(
        format!("By size: rank {RANK} beside every matrix, one sample of {TOKENS} tokens"),
        &["model", "activations", "tok/s best", "share of dot products", "peak MiB", "estimated"],
    );
    for path in &bench.plan.sizes {
        let weights = std::fs::metadata(path)
            .map_err(|source| BenchError::File { path: path.clone(), source })?
            .len() as f64;
        for recompute in [false, true] {
            let steps = Steps {
                model: path.clone(),
                rank: RANK,
                targets: BTreeSet::from(Target::ALL),
                samples: 1,
                tokens: TOKENS,
                steps: STEPS,
                recompute,
            };
            let mut rates = Readings::new(Better::More);
            let (stepped, ran): (Stepped, _) =
                subject::ask(&Task::Steps(steps), bench.plan.threads())?;
            stepped.secs.iter().for_each(|secs| rates.push(TOKENS as f64 / secs));
            let activations = if recompute { "computed again" } else { "kept" };
            let share = rates.best().zip(stepped.products_per_sec);
            let share = share.map(|(rate, limit)| rate * stepped.token_products / limit);
            bench.tell(&format!("{} {activations}: {:?} s", name(path), stepped.secs));
            table.rows.push(vec![
                Cell::Text(name(path)),
                activations.into(),
                Cell::number(rates.best(), 1),
                Cell::number(share, 2),
                Cell::number(ran.peak_bytes.map(|bytes| bytes as f64 / MIB), 0),
                Cell::number(Some((stepped.estimated_bytes as f64 + weights) / MIB), 0),
            ]);
        }
    }
    let note = "peak: mapped weights included; estimated: the same, said beforehand, without adapter, \
                gradients and the optimiser's moments; share: without what is computed again";
    table.notes.push(note.into());
    Ok(vec![table])
}
