//! What runs were said to take, and what they took in the minutes after.

use std::path::Path;

use hearth_engine_api::{Budget, Example, TuneJob, TuneOutcome, TuneSettings, Tuner};
use hearth_engine_tune::AdapterTuner;

use super::{Bench, curve, data, learns};
use crate::{
    BenchError,
    report::{Cell, Table},
};

/// Examples of the smaller set and of the larger one.
const FEW: usize = 40;
const MANY: usize = 400;

pub(super) fn tables(bench: &mut Bench<'_>) -> Result<Vec<Table>, BenchError> {
    let plan = bench.plan;
    let Some(folder) = &plan.data else { return Ok(Vec::new()) };
    let mut bases = vec![curve::base(folder)];
    bases.extend(plan.sizes.iter().cloned());
    let mut table = Table::new(
        "Estimates: seconds said before a run and taken by it right after",
        &[
            "model",
            "examples",
            "asked for",
            "said s",
            "took s",
            "took/said median",
            "least",
            "most",
        ],
    );
    for base in bases {
        for few in [false, true] {
            let mut split = data::play(folder)?;
            let count = if few { FEW } else { MANY };
            split.train.truncate(count);
            split.held_out.truncate(count / 10);
            let budgets = [Budget::Minutes(plan.minutes), Budget::Epochs(epochs(few))];
            for budget in budgets {
                let pairs = (0..plan.rounds.max(1))
                    .map(|_round| {
                        let pair =
                            once(&base, &split.train, &split.held_out, budget, plan.threads())?;
                        bench.tell(&format!(
                            "{} {budget:?}: said {:.1} s, took {:.1} s",
                            name(&base),
                            pair.0,
                            pair.1
                        ));
                        Ok(pair)
                    })
                    .collect::<Result<Vec<_>, BenchError>>()?;
                table.rows.push(row(&base, split.train.len(), budget, &pairs));
            }
        }
    }
    table.notes.push("the report afterwards is not in it".into());
    Ok(vec![table])
}

/// Times that each example is read where a run goes by that.
const fn epochs(few: bool) -> f32 {
    if few { 8.0 } else { 1.0 }
}

/// Seconds said and taken.
fn once(
    base: &Path,
    train: &[Example],
    held_out: &[Example],
    budget: Budget,
    threads: usize,
) -> Result<(f64, f64), BenchError> {
    let settings = TuneSettings {
        budget,
        evaluations: TuneSettings::default().evaluations,
        ..learns::recommended(base, train, 1.0, threads)?
    };
    let (train, held_out) = (train.into(), held_out.into());
    let job = TuneJob { base: base.into(), train, held_out, settings, initial: None };
    let said = AdapterTuner.estimate(&job, &mut data::Watcher::default())?;
    match AdapterTuner.tune(&job, None, &mut data::Watcher::default())? {
        TuneOutcome::Finished(tuned) => Ok((said.secs.into(), tuned.secs.into())),
        _ => Err(BenchError::Refused("the run was broken off".into())),
    }
}

fn row(base: &Path, examples: usize, budget: Budget, pairs: &[(f64, f64)]) -> Vec<Cell> {
    let mut ratios: Vec<f64> = pairs.iter().map(|(said, took)| took / said).collect();
    ratios.sort_by(f64::total_cmp);
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    vec![
        Cell::Text(name(base)),
        Cell::number(Some(examples as f64), 0),
        Cell::Text(match budget {
            Budget::Minutes(minutes) => format!("{minutes} min"),
            Budget::Epochs(epochs) => format!("{epochs} epochs"),
            Budget::Steps(steps) => format!("{steps} steps"),
        }),
        Cell::number(Some(mean(|pair| pair.0)), 1),
        Cell::number(Some(mean(|pair| pair.1)), 1),
        Cell::number(ratios.get(ratios.len() / 2).copied(), 2),
        Cell::number(ratios.first().copied(), 2),
        Cell::number(ratios.last().copied(), 2),
    ]
}

fn name(base: &Path) -> String {
    base.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
