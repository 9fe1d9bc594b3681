//! Fine-tuning: how fast and in how much memory, beside PyTorch's peft and QVAC, and what comes of it.

mod curve;
mod data;
mod estimates;
mod learns;
mod live;
mod manner;
mod peers;
mod sizes;
mod steps;
mod subject;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{BenchError, Report, Table, machine};

pub use subject::run as run_tune_subject;

/// A table of `bench tune`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TuneTable {
    /// Steps of a model by base format, beside peft and QVAC.
    Steps,
    /// Steps and memory by model size.
    Sizes,
    /// From an adapter's bytes to its first token.
    Live,
    /// The same losses as peft.
    Curve,
    /// Held-out loss of a play before and after.
    Learns,
    /// What runs were said to take, and what they took.
    Estimates,
    /// Whose manner an adapter has.
    Manner,
}

/// What `bench tune` measures, and beside what. What is not given is left out.
#[derive(Clone, Debug, Args)]
pub struct TunePlan {
    /// Tables to make; all of them unless given.
    #[arg(long = "only", value_delimiter = ',')]
    only: Vec<TuneTable>,
    /// GGUF files of one shape on different bases, for `steps`; may be given several times.
    #[arg(long = "model")]
    models: Vec<PathBuf>,
    /// GGUF files for `sizes`, `live` and `estimates`; may be given several times.
    #[arg(long = "size")]
    sizes: Vec<PathBuf>,
    /// Samples and tokens of each, for `steps`.
    #[arg(long = "batch", value_parser = batch_shape, default_values = ["1x128", "4x256"])]
    batches: Vec<(usize, usize)>,
    /// A Python with torch, transformers and peft.
    #[arg(long, env = "HEARTH_BENCH_PEFT")]
    peft: Option<PathBuf>,
    /// A folder in which npm has installed `bare` and `@qvac/llm-llamacpp`.
    #[arg(long, env = "HEARTH_BENCH_QVAC")]
    qvac: Option<PathBuf>,
    /// The folder of test data, with `models/stories656k` and `train/tinyshakespeare`.
    #[arg(long, env = "HEARTH_TEST_DATA")]
    data: Option<PathBuf>,
    /// The starter model, for `manner`.
    #[arg(long)]
    starter: Option<PathBuf>,
    /// Minutes that a run of `learns` may take; those of `manner` take a third each.
    #[arg(long, default_value_t = 1.5)]
    minutes: f32,
    /// Threads every side computes with.
    #[arg(long)]
    threads: Option<usize>,
    /// Turns of each side.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Write everything, with each reading, to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn batch_shape(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('x').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parts.filter(|&(a, b)| a > 0 && b > 0).ok_or_else(|| "give it as 4x256".to_owned())
}

impl TunePlan {
    /// Where the report goes, if anywhere.
    pub fn json(&self) -> Option<PathBuf> {
        self.json.clone()
    }

    fn makes(&self, table: TuneTable) -> bool {
        self.only.is_empty() || self.only.contains(&table)
    }

    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(cores)
    }

    /// One line for each thing that is not there.
    fn left_out(&self) -> Vec<String> {
        let given = [
            (!self.models.is_empty(), "steps (give --model FILE.gguf)"),
            (!self.sizes.is_empty(), "sizes, live and larger estimates (give --size FILE.gguf)"),
            (self.peft.is_some(), "peft, and with it curve (give --peft PYTHON)"),
            (self.qvac.is_some(), "QVAC (give --qvac FOLDER)"),
            (
                self.data.is_some(),
                "curve, learns, estimates and manner of a play (give --data FOLDER)",
            ),
            (self.starter.is_some(), "manner of mail (give --starter FILE.gguf)"),
        ];
        let missing = given.into_iter().filter(|(given, _)| !given);
        missing.map(|(_, what)| format!("left out: {what}")).collect()
    }
}

/// Makes the tables. `on_table` gets each as it is ready, `on_progress` a line for each turn.
///
/// # Errors
/// [`BenchError`], the first that any side meets.
pub fn run_tune(
    plan: &TunePlan,
    on_progress: &mut dyn FnMut(&str),
    on_table: &mut dyn FnMut(&Table),
) -> Result<Report, BenchError> {
    let mut report = Report::new(plan.threads(), plan.rounds);
    report.left_out = plan.left_out();
    let makers: [(TuneTable, Maker); 7] = [
        (TuneTable::Steps, steps::tables),
        (TuneTable::Sizes, sizes::tables),
        (TuneTable::Live, live::tables),
        (TuneTable::Curve, curve::tables),
        (TuneTable::Learns, learns::tables),
        (TuneTable::Estimates, estimates::tables),
        (TuneTable::Manner, manner::tables),
    ];
    let mut bench = Bench { plan, sides: Vec::new(), on_progress };
    for (which, maker) in makers {
        if plan.makes(which) {
            for table in maker(&mut bench)? {
                on_table(&table);
                report.tables.push(table);
            }
        }
    }
    bench.sides.sort();
    bench.sides.dedup();
    report.sides = bench.sides;
    Ok(report)
}

type Maker = fn(&mut Bench<'_>) -> Result<Vec<Table>, BenchError>;

/// A run in progress.
struct Bench<'a> {
    plan: &'a TunePlan,
    /// What other sides say they are.
    sides: Vec<String>,
    on_progress: &'a mut dyn FnMut(&str),
}

impl Bench<'_> {
    fn tell(&mut self, line: &str) {
        let load = machine::load_average().map_or(String::new(), |load| format!(" (load {load})"));
        (self.on_progress)(&format!("{line}{load}"));
    }
}
