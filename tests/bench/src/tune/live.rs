//! From an adapter's bytes to the first token with it, the model loaded.

use super::{
    Bench,
    steps::name,
    subject::{self, Lived, Task},
};
use crate::{
    BenchError,
    figures::{Better, Readings},
    report::{Cell, Table},
};

pub(super) fn tables(bench: &mut Bench<'_>) -> Result<Vec<Table>, BenchError> {
    if bench.plan.sizes.is_empty() {
        return Ok(Vec::new());
    }
    let mut table = Table::new(
        "Live: an adapter of rank 16 beside every matrix, in a model that is loaded",
        &["model", "adapter MiB", "ready s best", "median", "first token s best", "median"],
    );
    for path in &bench.plan.sizes {
        let (mut ready, mut first) = (Readings::new(Better::Less), Readings::new(Better::Less));
        let mut bytes = 0;
        for _ in 0..bench.plan.rounds {
            let task = Task::Live(path.clone());
            let (lived, _): (Lived, _) = subject::ask(&task, bench.plan.threads())?;
            ready.push(lived.ready_secs);
            first.push(lived.first_token_secs);
            bytes = lived.adapter_bytes;
            bench.tell(&format!("{}: {:.3} s", name(path), lived.first_token_secs));
        }
        table.rows.push(vec![
            Cell::Text(name(path)),
            Cell::number(Some(bytes as f64 / (1 << 20) as f64), 1),
            Cell::number(ready.best(), 3),
            Cell::number(ready.median(), 3),
            Cell::number(first.best(), 3),
            Cell::number(first.median(), 3),
        ]);
    }
    table.notes.push("from the adapter's bytes; the first token is after a prompt of 16".into());
    Ok(vec![table])
}
