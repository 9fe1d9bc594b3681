//! The tables, one a module, and the turns that all of them take.

use std::collections::{BTreeSet, HashMap};

use crate::{
    BenchError, Plan, Report,
    figures::{Better, Readings},
    machine::{self, Limits},
    model::ModelFile,
    report::{Cell, Series, Table},
    side::{Pass, Side, Timed},
};

mod adapters;
mod copy;
mod decode;
mod growth;
mod jobs;
mod load;
mod prefill;

/// Which tables to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subcommand {
    /// Single tokens after 512.
    Decode,
    /// Prompts of 512 and 4096 tokens.
    Prefill,
    /// Cost of a token by its place in the context.
    Growth,
    /// From start to first token, and peak memory.
    Load,
    /// Answers that repeat what was said.
    Copy,
    /// Many short jobs with a common head.
    Jobs,
    /// Tokens with adapters and without.
    Adapters,
    /// All of them.
    All,
}

/// Makes tables. `on_table` gets each as it is ready, `on_progress` a line for each turn.
///
/// # Errors
/// [`BenchError`], the first that any side meets.
pub fn run(
    which: Subcommand,
    plan: &Plan,
    on_progress: &mut dyn FnMut(&str),
    on_table: &mut dyn FnMut(&Table),
) -> Result<Report, BenchError> {
    let models = plan.open_models()?;
    let mut bench = Bench {
        plan,
        report: Report::new(plan.threads, plan.rounds),
        versions: BTreeSet::new(),
        on_progress,
    };
    bench.report.left_out = plan.left_out();
    bench.report.models = models.iter().map(describe).collect();
    let makers: [(Subcommand, Maker); 7] = [
        (Subcommand::Decode, decode::table),
        (Subcommand::Prefill, prefill::table),
        (Subcommand::Growth, growth::table),
        (Subcommand::Load, load::table),
        (Subcommand::Copy, copy::table),
        (Subcommand::Jobs, jobs::table),
        (Subcommand::Adapters, adapters::table),
    ];
    for (subcommand, maker) in makers {
        if which == Subcommand::All || which == subcommand {
            let table = maker(&mut bench, &models)?;
            on_table(&table);
            bench.report.tables.push(table);
        }
    }
    bench.report.sides = bench.versions.into_iter().collect();
    Ok(bench.report)
}

type Maker = fn(&mut Bench<'_>, &[ModelFile]) -> Result<Table, BenchError>;

/// What a process took, by name.
type Quantity = (&'static str, Better, f64);

/// A run in progress.
struct Bench<'a> {
    plan: &'a Plan,
    report: Report,
    versions: BTreeSet<String>,
    on_progress: &'a mut dyn FnMut(&str),
}

impl Bench<'_> {
    /// Each side once a round, in another order every round, and the read bandwidth before each round.
    /// `read` turns what a process took into named quantities.
    fn in_turn(
        &mut self,
        model: &ModelFile,
        sides: &[Side],
        pass: Pass,
        read: &dyn Fn(&Timed) -> Vec<Quantity>,
    ) -> Result<Outcome, BenchError> {
        let mut outcome = Outcome::default();
        for round in 0..self.plan.rounds {
            outcome.limits(Limits::measure(self.plan.threads)?);
            for turn in 0..sides.len() {
                let side = &sides[(round + turn) % sides.len()];
                let timed = side.measure(model, pass, self.plan.threads)?;
                if let Some(version) = &timed.version {
                    self.versions.insert(format!("{}: {version}", side.name()));
                }
                let quantities = read(&timed);
                self.tell(round, model, side.name(), &quantities);
                for (name, better, value) in quantities {
                    outcome.of(side.name(), name, better).push(value);
                }
            }
        }
        Ok(outcome)
    }

    fn tell(&mut self, round: usize, model: &ModelFile, side: &str, what: &[Quantity]) {
        let figures: Vec<String> =
            what.iter().map(|(name, _, value)| format!("{name} {value:.2}")).collect();
        let load = machine::load_average().map_or(String::new(), |load| format!(" (load {load})"));
        let line = format!("{}: {} {side}: {}{load}", round + 1, model.name, figures.join(", "));
        (self.on_progress)(&line);
    }
}

/// What all sides read on one model.
struct Outcome {
    readings: HashMap<(String, String), Readings>,
    bandwidth: Readings,
    products: Readings,
}

impl Default for Outcome {
    fn default() -> Self {
        let empty = || Readings::new(Better::More);
        Self { readings: HashMap::new(), bandwidth: empty(), products: empty() }
    }
}

impl Outcome {
    fn of(&mut self, side: &str, quantity: &str, better: Better) -> &mut Readings {
        let key = (side.to_owned(), quantity.to_owned());
        self.readings.entry(key).or_insert_with(|| Readings::new(better))
    }

    fn limits(&mut self, limits: Limits) {
        self.bandwidth.push(limits.read_bandwidth);
        if let Some(products) = limits.products {
            self.products.push(products);
        }
    }

    fn get(&self, side: &Side, quantity: &str) -> Option<&Readings> {
        self.readings.get(&(side.name().to_owned(), quantity.to_owned()))
    }

    /// Best, median, and how many times better ours is by each.
    fn cells(&self, side: &Side, quantity: &str, digits: usize) -> [Cell; 4] {
        self.cells_of(side.name(), Side::Hearth.name(), quantity, digits)
    }

    fn cells_of(&self, side: &str, ours: &str, quantity: &str, digits: usize) -> [Cell; 4] {
        let get = |side: &str| self.readings.get(&(side.to_owned(), quantity.to_owned()));
        let readings = get(side);
        let (best, median) = readings.map_or((None, None), |r| (r.best(), r.median()));
        let ratios = match (get(ours), readings) {
            (Some(ours), Some(theirs)) if !std::ptr::eq(ours, theirs) => ours.ratios(theirs),
            _ => (None, None),
        };
        [
            Cell::number(best, digits),
            Cell::number(median, digits),
            Cell::number(ratios.0, 2),
            Cell::number(ratios.1, 2),
        ]
    }

    /// Moves all readings into the table, in order.
    fn keep(self, model: &ModelFile, table: &mut Table) {
        let mut all: Vec<_> = self.readings.into_iter().collect();
        for (quantity, readings) in
            [("bytes read a second", self.bandwidth), ("8-bit products a second", self.products)]
        {
            if !readings.values.is_empty() {
                all.push((("machine".into(), quantity.into()), readings));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        table.series.extend(all.into_iter().map(|((side, quantity), readings)| Series {
            model: model.name.clone(),
            side,
            quantity,
            readings,
        }));
    }
}

fn describe(model: &ModelFile) -> String {
    format!(
        "{}: {:.0} MiB, {:.0} MB of weights read a token",
        model.name,
        model.file_bytes as f64 / (1 << 20) as f64,
        model.read_bytes as f64 / 1e6
    )
}
