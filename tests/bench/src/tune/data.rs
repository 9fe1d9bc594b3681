//! What is learnt from.

use std::{fs, ops::Range, path::Path};

use hearth_dataset::invented::{self, Author};
use hearth_engine_api::{
    ChatMessage, Checkpoint, Directive, Example, Role, StepReport, TuneObserver,
};
use hearth_engine_tune::Batch;

use crate::BenchError;

/// Most characters of an example out of a play, about.
const EXAMPLE_CHARS: usize = 600;

/// Samples of tokens that are random as far as speed goes; all but each sample's last are learnt, as PyTorch's models have it.
pub(super) fn random_batch(vocabulary: usize, samples: usize, tokens: usize) -> Batch {
    let id = |i: usize| u32::try_from(i.wrapping_mul(7919) % vocabulary).unwrap_or(0);
    let count = samples * tokens;
    let stretches: Vec<Range<usize>> = (0..samples).map(|i| i * tokens..(i + 1) * tokens).collect();
    let weight = 1.0 / (samples * (tokens - 1)).max(1) as f32;
    let mut weights = vec![weight; count];
    for stretch in &stretches {
        weights[stretch.end - 1] = 0.0;
    }
    Batch {
        ids: (0..count).map(id).collect(),
        targets: (1..=count).map(id).collect(),
        weights,
        samples: stretches,
    }
}

/// Examples to learn from, and others of the same kind.
pub(super) struct Split {
    pub(super) train: Vec<Example>,
    pub(super) held_out: Vec<Example>,
}

impl Split {
    /// Every tenth is held out.
    fn every_tenth(examples: Vec<Example>) -> Self {
        let mut split = Self { train: Vec::new(), held_out: Vec::new() };
        for (place, example) in examples.into_iter().enumerate() {
            let part = if place % 10 == 9 { &mut split.held_out } else { &mut split.train };
            part.push(example);
        }
        split
    }

    /// The last tenth is held out.
    fn last_tenth(mut examples: Vec<Example>) -> Self {
        let held_out = examples.split_off(examples.len() - examples.len() / 10);
        Self { train: examples, held_out }
    }
}

fn read(data: &Path) -> Result<String, BenchError> {
    let path = data.join("train/tinyshakespeare/input.txt");
    fs::read_to_string(&path).map_err(|source| BenchError::File { path, source })
}

/// A play in pieces of whole speeches.
pub(super) fn play(data: &Path) -> Result<Split, BenchError> {
    let mut texts = vec![String::new()];
    for speech in read(data)?.split_inclusive("\n\n") {
        match texts.last_mut() {
            Some(last) if last.is_empty() || last.len() + speech.len() <= EXAMPLE_CHARS => {
                last.push_str(speech);
            }
            _ => texts.push(speech.to_owned()),
        }
    }
    Ok(Split::last_tenth(texts.into_iter().map(Example::Text).collect()))
}

/// What a character of the plays answers.
pub(super) fn character(data: &Path, name: &str) -> Result<Split, BenchError> {
    Ok(Split::every_tenth(invented::speeches(&read(data)?, name)))
}

/// Mails of an invented author, asked for by recipient and subject.
pub(super) fn author(author: Author, mails_per_author: u32) -> Split {
    let asked = |mail: invented::Mail| {
        let subject = mail.subject.trim_start_matches("Re: ");
        let question = match mail.reply_to {
            Some(_) => format!("Reply to {} about \"{subject}\".", mail.to),
            None => format!("Write a mail to {} about \"{subject}\".", mail.to),
        };
        Example::Chat(vec![
            ChatMessage::new(Role::User, question),
            ChatMessage::new(Role::Assistant, mail.own),
        ])
    };
    let mails = invented::mailbox(7, mails_per_author).into_iter();
    Split::every_tenth(mails.filter(|mail| mail.author == author).map(asked).collect())
}

/// Lets a run go on and writes down its steps.
#[derive(Default)]
pub(super) struct Watcher {
    pub(super) steps: Vec<StepReport>,
}

impl TuneObserver for Watcher {
    fn breathe(&mut self) -> Directive {
        Directive::GoOn
    }

    fn on_step(&mut self, step: &StepReport) {
        self.steps.push(*step);
    }

    fn on_checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<(), String> {
        Ok(())
    }
}
