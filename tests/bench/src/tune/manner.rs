//! "Write like me": adapters of several authors on each other's held-out texts.

use std::path::{Path, PathBuf};

use hearth_dataset::invented::Author;
use hearth_engine_api::{AdapterFile, Example, TuneSettings, Tuner};
use hearth_engine_tune::AdapterTuner;
use serde::{Deserialize, Serialize};

use super::{
    Bench, curve, data, learns,
    subject::{self, Task},
};
use crate::{
    BenchError,
    report::{Cell, Table},
};

const MAILS: u32 = 300;
const CHARACTERS: [&str; 3] = ["GLOUCESTER", "DUKE VINCENTIO", "ROMEO"];

/// Whose texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Voices {
    Mail { starter: PathBuf },
    Play { data: PathBuf },
}

/// One adapter for each author; each is tried on all.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    voices: Voices,
    minutes: f32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Heard {
    names: Vec<String>,
    /// Mean loss of each author's held-out texts: by the base, then with each author's adapter.
    losses: Vec<Vec<f64>>,
    /// Seconds of each run.
    secs: Vec<f32>,
}

impl Run {
    pub(super) fn perform(&self, threads: usize) -> Result<Heard, BenchError> {
        let (base, authors) = self.authors()?;
        let mut heard = Heard { names: Vec::new(), losses: Vec::new(), secs: Vec::new() };
        let mut adapters = vec![None];
        let mut held_out = Vec::new();
        for (name, split) in authors {
            heard.names.push(name);
            held_out.push(split.held_out.clone());
            let tuned = learns::tune(&base, split, self.minutes, threads)?;
            heard.secs.push(tuned.secs);
            adapters.push(Some(tuned.adapter));
        }
        let settings = TuneSettings { threads: Some(threads), ..TuneSettings::default() };
        for adapter in &adapters {
            let of = |texts: &Vec<Example>| mean_loss(&base, adapter.as_ref(), texts, &settings);
            heard.losses.push(held_out.iter().map(of).collect::<Result<_, _>>()?);
        }
        Ok(heard)
    }

    fn authors(&self) -> Result<(PathBuf, Vec<(String, data::Split)>), BenchError> {
        match &self.voices {
            Voices::Mail { starter } => {
                let of = |author: Author| (author.name().to_owned(), data::author(author, MAILS));
                Ok((starter.clone(), Author::ALL.into_iter().map(of).collect()))
            }
            Voices::Play { data } => {
                let of = |name: &str| Ok((name.to_owned(), data::character(data, name)?));
                let characters: Result<_, BenchError> = CHARACTERS.into_iter().map(of).collect();
                Ok((curve::base(data), characters?))
            }
        }
    }
}

fn mean_loss(
    base: &Path,
    adapter: Option<&AdapterFile>,
    texts: &[Example],
    settings: &TuneSettings,
) -> Result<f64, BenchError> {
    let adapter = adapter.map(|adapter| (adapter, 1.0));
    let watcher = &mut data::Watcher::default();
    let losses = AdapterTuner.evaluate(base, adapter, texts, settings, watcher)?;
    let tokens: u64 = losses.iter().map(|loss| loss.tokens).sum();
    Ok(losses.iter().map(|loss| loss.loss).sum::<f64>() / tokens.max(1) as f64)
}

pub(super) fn tables(bench: &mut Bench<'_>) -> Result<Vec<Table>, BenchError> {
    let plan = bench.plan;
    let mail = plan
        .starter
        .clone()
        .map(|starter| ("invented authors' mail, the starter model", Voices::Mail { starter }));
    let play = plan
        .data
        .clone()
        .map(|data| ("characters of Shakespeare, stories656k", Voices::Play { data }));
    let both = mail.into_iter().chain(play);
    both.map(|(title, voices)| table(bench, title, voices)).collect()
}

fn table(bench: &mut Bench<'_>, title: &str, voices: Voices) -> Result<Table, BenchError> {
    let task = Task::Manner(Run { voices, minutes: bench.plan.minutes / 3.0 });
    let (heard, _): (Heard, _) = subject::ask(&task, bench.plan.threads())?;
    bench.tell(&format!("{title}: {:?} s", heard.secs));
    let mut table = Table::new(
        format!("Write like me: loss of held-out texts, {title}"),
        &[
            "texts of",
            "base",
            "own adapter",
            "another's, best",
            "own below base",
            "own below another's",
        ],
    );
    for (author, name) in heard.names.iter().enumerate() {
        let by = |adapter: usize| heard.losses[adapter][author];
        let others = (1..heard.losses.len()).filter(|adapter| *adapter != author + 1).map(by);
        let (base, own, other) = (by(0), by(author + 1), others.fold(f64::INFINITY, f64::min));
        let mut row: Vec<Cell> = vec![name.as_str().into()];
        row.extend([base, own, other, base - own, other - own].map(|n| Cell::number(Some(n), 3)));
        table.rows.push(row);
    }
    let longest = heard.secs.iter().copied().fold(0.0, f32::max);
    table.notes.push(format!(
        "an adapter each, at most {longest:.0} s of training; every tenth text is held out"
    ));
    Ok(table)
}
