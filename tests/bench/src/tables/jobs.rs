//! Many short jobs with a common head.

use std::path::Path;

use super::{Bench, Outcome};
use crate::{
    BenchError,
    figures::Better,
    jobs::{JobList, JobsTimed},
    model::ModelFile,
    peer::llama_server,
    report::{Cell, Table},
    subject,
};

const SLOTS: [usize; 3] = [1, 4, 8];
const SECS: &str = "s";
const OURS: &str = "Hearth";
/// Every model under measurement has as many tokens.
const IDS: usize = 30_000;

pub(super) fn table(bench: &mut Bench<'_>, models: &[ModelFile]) -> Result<Table, BenchError> {
    let jobs = bench.plan.jobs;
    let mut table = Table::new(
        format!("{jobs} jobs: common head of 400 tokens, own tail of 100, 32 generated"),
        &[
            "model",
            "side",
            "best s",
            "median",
            "s a job",
            "ours/it best",
            "ours/it median",
            "prompt tokens computed",
            "generated",
        ],
    );
    for model in models {
        let ids = IDS.min(model.vocabulary);
        let list = JobList { jobs, head: 400, tail: 100, generate: 32, ids };
        one_model(bench, model, &list, &mut table)?;
    }
    table.notes.push(
        "loading is not counted, nor llama-server's warm-up; its cache is on (-c 8192 -kvu)".into(),
    );
    Ok(table)
}

fn one_model(
    bench: &mut Bench<'_>,
    model: &ModelFile,
    list: &JobList,
    table: &mut Table,
) -> Result<(), BenchError> {
    let threads = bench.plan.threads;
    let server = bench.plan.peers.llama_server.clone();
    let slots: Vec<usize> = server.as_ref().map_or(Vec::new(), |_| SLOTS.into());
    let mut outcome = Outcome::default();
    let mut last: Vec<(String, JobsTimed)> = Vec::new();
    for round in 0..bench.plan.rounds {
        let mut take = |bench: &mut Bench<'_>, side: String, timed: JobsTimed| {
            bench.tell(round, model, &side, &[(SECS, Better::Less, timed.secs)]);
            outcome.of(&side, SECS, Better::Less).push(timed.secs);
            last.retain(|(other, _)| *other != side);
            last.push((side, timed));
        };
        take(bench, OURS.into(), subject::jobs(model, list, threads)?);
        for &slots in &slots {
            let program = server.as_deref().unwrap_or(Path::new(""));
            let timed = llama_server::jobs(program, model, list, slots, threads)?;
            take(bench, format!("llama-server -np {slots}"), timed);
        }
    }
    for (side, timed) in &last {
        let cells = outcome.cells_of(side, OURS, SECS, 1);
        let [best, median, by_best, by_median] = cells;
        let a_job = match best {
            Cell::Number(secs, _) => Cell::Number(secs / list.jobs as f64, 2),
            _ => Cell::Missing,
        };
        table.rows.push(vec![
            model.name.as_str().into(),
            side.as_str().into(),
            best,
            median,
            a_job,
            by_best,
            by_median,
            Cell::Number(timed.computed as f64, 0),
            Cell::Number(timed.generated as f64, 0),
        ]);
    }
    outcome.keep(model, table);
    Ok(())
}
