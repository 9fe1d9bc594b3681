//! Trains an adapter on a text file, every tenth stretch of which is held out:
//! `learn MODEL TEXT [minutes] [learning rate] [rank]`. Prints what was promised and what came of it.

#![expect(clippy::print_stdout, reason = "figures are what it makes")]

use std::{error::Error, fs, path::Path, time::Instant};

use hearth_engine_api::{
    Budget, Checkpoint, Directive, Example, StepReport, TuneJob, TuneObserver, TuneOutcome,
    TuneSettings, Tuner,
};
use hearth_engine_tune::AdapterTuner;

const STRETCH_BYTES: usize = 600;

/// Prints the looks at what was held out.
struct Printer;

impl TuneObserver for Printer {
    fn breathe(&mut self) -> Directive {
        Directive::GoOn
    }

    fn on_step(&mut self, step: &StepReport) {
        if let Some(held_out) = step.held_out_loss {
            println!(
                "step {:5} of {}: loss {:.3}, held out {held_out:.3}, {:.0} tokens a second, {:.0} s left",
                step.step, step.steps, step.loss, step.tokens_per_sec, step.secs_left
            );
        }
    }

    fn on_checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<(), String> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, text, rest @ ..] = arguments.as_slice() else {
        return Err("which model, which text?".into());
    };
    let number = |place: usize| rest.get(place).map(|text| text.parse::<f32>()).transpose();
    let base = Path::new(model);
    let (train, held_out) = examples(&fs::read_to_string(text)?);
    let wishes = TuneSettings {
        budget: Budget::Minutes(number(0)?.unwrap_or(2.0)),
        sequence_tokens: 256,
        ..TuneSettings::default()
    };
    let learnt = AdapterTuner.tokens(base, &train, &wishes)?;
    let learnt = learnt.iter().map(|tokens| u64::from(tokens.learnt)).sum();
    let mut settings = AdapterTuner.recommend(base, learnt, &wishes)?;
    settings.learning_rate = number(1)?.unwrap_or(settings.learning_rate);
    if let Some(rank) = number(2)? {
        (settings.lora.rank, settings.lora.alpha) = (rank as u32, 2.0 * rank);
    }
    println!("{learnt} tokens to learn; {settings:?}");
    let job = TuneJob {
        base: base.into(),
        train: train.into(),
        held_out: held_out.into(),
        settings,
        initial: None,
    };
    let estimate = AdapterTuner.estimate(&job, &mut Printer)?;
    println!("{estimate:?}");
    let began = Instant::now();
    let TuneOutcome::Finished(tuned) = AdapterTuner.tune(&job, None, &mut Printer)? else {
        return Err("nobody interrupted it".into());
    };
    println!(
        "{:.1} s of {:.1} promised, {} steps of {}; held out {:?} before, {:?} after",
        began.elapsed().as_secs_f32(),
        estimate.secs,
        tuned.steps,
        estimate.steps,
        tuned.held_out_before,
        tuned.held_out_after
    );
    Ok(())
}

/// Paragraphs in stretches of some hundred bytes.
fn examples(text: &str) -> (Vec<Example>, Vec<Example>) {
    let mut stretches = vec![String::new()];
    for paragraph in text.split_inclusive("\n\n") {
        match stretches.last_mut() {
            Some(last) if last.is_empty() || last.len() + paragraph.len() <= STRETCH_BYTES => {
                last.push_str(paragraph);
            }
            _ => stretches.push(paragraph.into()),
        }
    }
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for (place, stretch) in stretches.into_iter().enumerate() {
        let part = if place % 10 == 9 { &mut held_out } else { &mut train };
        part.push(Example::Text(stretch));
    }
    (train, held_out)
}
