//! Steps of one shape on different bases, beside peft and QVAC.

use std::{collections::BTreeSet, path::Path};

use hearth_engine_api::Target;

use super::{
    Bench, peers,
    subject::{self, Stepped, Steps, Task},
};
use crate::{
    BenchError,
    figures::{Better, Readings},
    report::{Cell, Series, Table},
};

const RANK: u32 = 8;
const STEPS: usize = 4;
const DTYPES: [(&str, &str); 2] = [("bfloat16", "PEFT BF16"), ("float32", "PEFT F32")];
/// Batches that QVAC's text is meant to last for.
const QVAC_BATCHES: usize = 3;

/// What one side read.
struct Side {
    name: String,
    rate: Readings,
    peak: Readings,
    /// Multiply-adds of a token, and those that the processor does a second.
    limit: Option<(f64, Readings)>,
}

impl Side {
    fn new(name: String) -> Self {
        Self {
            name,
            rate: Readings::new(Better::More),
            peak: Readings::new(Better::Less),
            limit: None,
        }
    }

    fn push(&mut self, tokens: usize, secs: &[f64], peak_bytes: Option<u64>) {
        secs.iter().for_each(|secs| self.rate.push(tokens as f64 / secs));
        if let Some(bytes) = peak_bytes {
            self.peak.push(bytes as f64 / (1 << 20) as f64);
        }
    }
}

pub(super) fn tables(bench: &mut Bench<'_>) -> Result<Vec<Table>, BenchError> {
    let shapes = if bench.plan.models.is_empty() { &[][..] } else { &bench.plan.batches[..] };
    shapes.iter().map(|&(samples, tokens)| table(bench, samples, tokens)).collect()
}

fn table(bench: &mut Bench<'_>, samples: usize, tokens: usize) -> Result<Table, BenchError> {
    let plan = bench.plan;
    let steps = |model: &Path| Steps {
        model: model.into(),
        rank: RANK,
        targets: BTreeSet::from([Target::Q, Target::K, Target::V, Target::O]),
        samples,
        tokens,
        steps: STEPS,
        recompute: false,
    };
    let mut ours: Vec<Side> =
        plan.models.iter().map(|path| Side::new(format!("Hearth on {}", name(path)))).collect();
    let mut theirs: Vec<Side> = DTYPES.map(|(_, name)| Side::new(name.into())).into();
    let mut qvac = Side::new("QVAC".into());
    for _ in 0..plan.rounds {
        for (side, path) in ours.iter_mut().zip(&plan.models) {
            measure(bench, side, &steps(path))?;
        }
        let Some(first) = plan.models.first() else { break };
        if let Some(python) = &plan.peft {
            for (side, (dtype, _)) in theirs.iter_mut().zip(DTYPES) {
                let (stepped, ran) =
                    peers::peft_steps(python, &steps(first), dtype, plan.threads())?;
                side.push(samples * tokens, &stepped.secs, ran.peak_bytes);
                bench.sides.push(stepped.version);
                tell(bench, side);
            }
        }
        if let (Some(folder), true) = (&plan.qvac, samples * tokens == peers::QVAC_TOKENS) {
            measure_qvac(bench, &mut qvac, folder)?;
        }
    }
    let title =
        format!("Training: rank {RANK} beside q, k, v, o; {samples} x {tokens} tokens, all learnt");
    Ok(laid_out(&title, ours, theirs, qvac))
}

fn measure(bench: &mut Bench<'_>, side: &mut Side, steps: &Steps) -> Result<(), BenchError> {
    let (stepped, ran): (Stepped, _) =
        subject::ask(&Task::Steps(steps.clone()), bench.plan.threads())?;
    side.push(steps.samples * steps.tokens, &stepped.secs, ran.peak_bytes);
    if let Some(rate) = stepped.products_per_sec {
        let empty = || (stepped.token_products, Readings::new(Better::More));
        side.limit.get_or_insert_with(empty).1.push(rate);
    }
    tell(bench, side);
    Ok(())
}

/// On the base of 8 bits, where there is one.
fn measure_qvac(bench: &mut Bench<'_>, side: &mut Side, folder: &Path) -> Result<(), BenchError> {
    let plan = bench.plan;
    let quantised = plan.models.iter().find(|path| name(path).contains("q8_0"));
    let Some(model) = quantised.or(plan.models.first()) else { return Ok(()) };
    let scratch = std::env::temp_dir().join(format!("hearth-bench-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)
        .map_err(|source| BenchError::File { path: scratch.clone(), source })?;
    // Some five characters to a token of English.
    let text = "The house stands on the hill and looks at the sea below.\n"
        .repeat(QVAC_BATCHES * peers::QVAC_TOKENS * 5 / 57);
    let measured = peers::qvac_steps(folder, model, &text, &scratch, plan.threads());
    std::fs::remove_dir_all(&scratch).ok();
    // What was started starts another program, so its peak says nothing.
    let stepped = measured?;
    side.name = format!("QVAC on {}", name(model));
    let tokens = stepped.batches * peers::QVAC_TOKENS;
    side.push(tokens, &[stepped.secs], None);
    tell(bench, side);
    Ok(())
}

fn tell(bench: &mut Bench<'_>, side: &Side) {
    let (rate, peak) = (side.rate.best(), side.peak.best());
    let [rate, peak] = [rate, peak].map(Option::unwrap_or_default);
    bench.tell(&format!("{}: best {rate:.1} tok/s, {peak:.0} MiB", side.name));
}

fn laid_out(title: &str, ours: Vec<Side>, theirs: Vec<Side>, qvac: Side) -> Table {
    let mut table = Table::new(
        title,
        &[
            "side",
            "tok/s best",
            "median",
            "x PEFT BF16 best",
            "x median",
            "share of dot products",
            "peak MiB",
            "of PEFT BF16's",
        ],
    );
    let all: Vec<&Side> = ours.iter().chain(&theirs).chain([&qvac]).collect();
    let reference = &theirs[0];
    // A limit that another program took its share of is none.
    let limits = ours.iter().filter_map(|side| side.limit.as_ref()?.1.best());
    let limit = limits.reduce(f64::max);
    for side in all.into_iter().filter(|side| !side.rate.values.is_empty()) {
        let ratio = |of: &dyn Fn(&Side) -> Option<f64>| Some(of(side)? / of(reference)?);
        let share = side
            .limit
            .as_ref()
            .and_then(|(products, _)| Some(side.rate.best()? * products / limit?));
        table.rows.push(vec![
            side.name.as_str().into(),
            Cell::number(side.rate.best(), 1),
            Cell::number(side.rate.median(), 1),
            Cell::number(ratio(&|side| side.rate.best()), 2),
            Cell::number(ratio(&|side| side.rate.median()), 2),
            Cell::number(share, 2),
            Cell::number(side.peak.median(), 0),
            Cell::number(ratio(&|side| side.peak.median()), 2),
        ]);
    }
    table.notes.push("all steps count, the first too; ours: mapped weights included".into());
    for side in ours.into_iter().chain(theirs).chain([qvac]) {
        for (quantity, readings) in [("tok/s", side.rate), ("peak MiB", side.peak)] {
            let (model, quantity) = (title.to_owned(), quantity.to_owned());
            table.series.push(Series { model, side: side.name.clone(), quantity, readings });
        }
    }
    table
}

pub(super) fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
