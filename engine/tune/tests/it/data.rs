//! The folder of test data that lies beside the repository, where there is one, and what is made of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hearth_engine_api::{Checkpoint, Directive, Example, StepReport, TuneObserver, TuneSettings};

/// The data folder's `part`; says that `test` is skipped where it is absent.
pub(crate) fn test_data(test: &str, part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEARTH_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(part);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED {test}: no test data at {}", path.display());
    None
}

/// A model of 656 thousand weights that tells nursery stories, and what Shakespeare's characters say.
pub(crate) struct Stage {
    pub(crate) base: PathBuf,
    /// Speeches, some 600 characters to an example.
    pub(crate) train: Vec<Example>,
    pub(crate) held_out: Vec<Example>,
}

/// The model and the first `speeches` examples of the play, every tenth of them held out.
pub(crate) fn stage(test: &str, speeches: usize) -> Option<Stage> {
    let base = test_data(test, "models/stories656k")?;
    let play = test_data(test, "train/tinyshakespeare/input.txt")?;
    let text = fs::read_to_string(play).unwrap();
    let mut examples: Vec<String> = vec![String::new()];
    for speech in text.split_inclusive("\n\n") {
        let last = examples.last_mut().unwrap();
        if last.len() + speech.len() > 600 && !last.is_empty() {
            examples.push(speech.into());
        } else {
            last.push_str(speech);
        }
    }
    let mut stage = Stage { base, train: Vec::new(), held_out: Vec::new() };
    for (place, text) in examples.into_iter().take(speeches).enumerate() {
        let part = if place % 10 == 9 { &mut stage.held_out } else { &mut stage.train };
        part.push(Example::Text(text));
    }
    Some(stage)
}

pub(crate) fn settings() -> TuneSettings {
    TuneSettings {
        sequence_tokens: 256,
        batch_tokens: 1024,
        learning_rate: 1e-2,
        evaluations: 0,
        checkpoint_secs: 1e9,
        threads: Some(2),
        ..TuneSettings::default()
    }
}

/// Writes down what it is told, and wants a pause at a breath.
#[derive(Default)]
pub(crate) struct Owner {
    pub(crate) breaths: u32,
    pub(crate) pause_at: Option<u32>,
    pub(crate) steps: Vec<StepReport>,
    pub(crate) checkpoint: Option<Checkpoint>,
}

impl TuneObserver for Owner {
    fn breathe(&mut self) -> Directive {
        self.breaths += 1;
        let pauses = self.pause_at.is_some_and(|at| self.breaths >= at);
        if pauses { Directive::Pause } else { Directive::GoOn }
    }

    fn on_step(&mut self, step: &StepReport) {
        self.steps.push(*step);
    }

    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), String> {
        self.checkpoint = Some(checkpoint.clone());
        Ok(())
    }
}
