//! How fast a learner is, measured by work of the very kind that a run does.

use std::ops::Range;

use hearth_engine_api::{Budget, TuneError, TuneSettings};
use hearth_engine_candle::lora::Adapter;

use super::tokens;
use crate::{
    data::{Course, Piece, batch, batches_in_order},
    learner::{Batch, Dropout, Learner},
    optimizer::AdamW,
    run::{Watch, checkpoint_bytes},
};

/// Tokens of the first, short batches, which say roughly how fast it is.
const FIRST_TOKENS: usize = 64;
/// What is spent on measured batches, about, and the share of a budget of time that it may be.
const MEASURE_SECS: f64 = 8.0;
const BUDGET_SHARE: f64 = 0.1;
const MOST_BATCHES: usize = 64;
/// What is spent on looks, of that.
const LOOK_SHARE: f64 = 0.25;
const MOST_LOOKS: usize = 32;
/// Bytes a second that a vault keeps, with its encryption and the disk's own word that they are there.
const KEPT_BYTES_PER_SEC: f64 = 100e6;

/// How fast a learner is with a job's examples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// Tokens a second, there and back.
    pub(crate) train: f64,
    /// Tokens a second, there alone.
    pub(crate) look: f64,
    /// What the optimiser takes in each step.
    pub(crate) optimizer_secs: f64,
    /// What keeping the run's state takes.
    pub(crate) keep_secs: f64,
}

impl Speed {
    /// Runs some batches of a job without a change to the adapter. Means count, for what comes now and then will come in
    /// the run, too.
    ///
    /// # Errors
    /// [`TuneError::Cancelled`] where the watch breaks off, and whatever the learner fails with.
    pub(crate) fn measure(
        learner: &mut dyn Learner,
        (train, held_out): (&[Piece], &[Piece]),
        settings: &TuneSettings,
        watch: &mut Watch<'_>,
    ) -> Result<Self, TuneError> {
        let spend = match settings.budget {
            Budget::Minutes(minutes) => {
                (f64::from(minutes) * 60.0 * BUDGET_SHARE).min(MEASURE_SECS)
            }
            Budget::Epochs(_) | Budget::Steps(_) => MEASURE_SECS,
        };
        let mut gradients = learner.adapter().zeros_like();
        let dropout = (settings.lora.dropout > 0.0)
            .then_some(Dropout { share: settings.lora.dropout, seed: settings.seed });
        let mut time = |batch: &Batch| {
            let began = watch.worked_secs();
            learner.backward(batch, dropout, &mut gradients, &mut || watch.breathe())?;
            Ok::<f64, TuneError>(watch.worked_secs() - began)
        };
        let share = learnt_share(train);
        let mut batches = endless(train, settings);
        let first = shortened(&batches(), FIRST_TOKENS, share);
        // Pages of the weights come into memory; that is not what the other steps take.
        time(&first)?;
        let roughly = first.ids.len() as f64 / time(&first)?;
        let affordable = ((roughly * spend / 2.0) as usize).max(FIRST_TOKENS);
        let mut next = || fitting(batches(), affordable, share);
        // Memory for batches of this length is set aside.
        time(&next())?;
        let mut measured = Mean::default();
        while !measured.is_enough(spend, MOST_BATCHES) {
            let batch = next();
            measured.add(batch.ids.len(), time(&batch)?);
        }
        let mut looks = Mean::default();
        let pieces = if held_out.is_empty() { train } else { held_out };
        let share = learnt_share(pieces);
        let batches = batches_in_order(pieces, settings);
        for places in batches.iter().cycle() {
            let whole = batch(places.iter().map(|place| &pieces[*place]), 1.0);
            let batch = fitting(whole, affordable, share);
            let began = watch.worked_secs();
            learner.losses(&batch, 1.0, &mut || watch.breathe())?;
            looks.add(batch.ids.len(), watch.worked_secs() - began);
            if looks.is_enough(spend * LOOK_SHARE, MOST_LOOKS) {
                break;
            }
        }
        let (optimizer_secs, keep_secs) = upkeep(learner, &gradients, settings, watch)?;
        Ok(Self { train: measured.rate(), look: looks.rate(), optimizer_secs, keep_secs })
    }
}

/// Seconds of an optimiser's step, and of keeping a run's state.
fn upkeep(
    learner: &dyn Learner,
    gradients: &Adapter,
    settings: &TuneSettings,
    watch: &Watch<'_>,
) -> Result<(f64, f64), TuneError> {
    let mut trial = learner.adapter().clone();
    let mut optimizer = AdamW::new(&trial);
    let mut step = || {
        let began = watch.worked_secs();
        optimizer.step(&mut trial, gradients, 0.0, (1, 0.0), settings);
        watch.worked_secs() - began
    };
    // The first one is also the first to touch the memory of the moments.
    step();
    let optimizer_secs = step();
    let began = watch.worked_secs();
    let bytes = checkpoint_bytes(&trial, &optimizer)?;
    let keep_secs = watch.worked_secs() - began + bytes as f64 / KEPT_BYTES_PER_SEC;
    Ok((optimizer_secs, keep_secs))
}

/// Tokens and the seconds they took.
#[derive(Default)]
struct Mean {
    count: usize,
    tokens: usize,
    secs: f64,
}

impl Mean {
    const fn add(&mut self, tokens: usize, secs: f64) {
        self.count += 1;
        self.tokens += tokens;
        self.secs += secs;
    }

    fn is_enough(&self, secs: f64, count: usize) -> bool {
        self.count >= count || self.secs >= secs
    }

    fn rate(&self) -> f64 {
        self.tokens as f64 / self.secs.max(f64::EPSILON)
    }
}

/// Batches in the order in which a run reads them.
fn endless<'a>(train: &'a [Piece], settings: &'a TuneSettings) -> impl FnMut() -> Batch + 'a {
    let mut course = Course::endless(train, settings);
    let mut step = Vec::new().into_iter();
    move || loop {
        if let Some(places) = step.next() {
            let places: Vec<usize> = places;
            break batch(places.iter().map(|place| &train[*place]), 1.0);
        }
        step = course.next_step().into_iter();
    }
}

/// Share of the tokens that are learnt.
fn learnt_share(pieces: &[Piece]) -> f64 {
    let learnt: usize = pieces.iter().map(Piece::learnt_tokens).sum();
    learnt as f64 / tokens(pieces).max(1) as f64
}

/// A batch that takes no longer than there is time for.
fn fitting(batch: Batch, affordable: usize, share: f64) -> Batch {
    if batch.ids.len() <= affordable { batch } else { shortened(&batch, affordable, share) }
}

/// The first `tokens` tokens of a batch, of which `share` are learnt.
fn shortened(batch: &Batch, tokens: usize, share: f64) -> Batch {
    let tokens = tokens.min(batch.ids.len());
    let cut = |sample: &Range<usize>| sample.start..sample.end.min(tokens);
    let samples: Vec<_> =
        batch.samples.iter().map(cut).filter(|sample| !sample.is_empty()).collect();
    let passed = |token: usize| (token as f64 * share) as usize;
    let learnt = |token: usize| passed(token + 1) > passed(token) || token + 1 == tokens;
    Batch {
        ids: batch.ids[..tokens].to_vec(),
        targets: batch.targets[..tokens].to_vec(),
        weights: (0..tokens).map(|token| if learnt(token) { 1.0 } else { 0.0 }).collect(),
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::piece;

    #[test]
    fn a_shortened_batch_has_its_share_of_learnt_tokens() {
        let ids: Vec<u32> = (0..=10).collect();
        let pieces: Vec<Piece> = (0..4).map(|i| piece(i, &ids)).collect();
        let whole = batch(&pieces, 1.0);
        let short = shortened(&whole, 25, 0.4);
        assert_eq!(short.samples, [0..10, 10..20, 20..25]);
        assert_eq!((short.ids.len(), short.targets.len()), (25, 25));
        assert!((10..=11).contains(&short.learnt()), "{}", short.learnt());
        assert_eq!(shortened(&whole, 1, 0.0).learnt(), 1);
    }

    #[test]
    fn means_are_over_all_that_was_measured() {
        let mut mean = Mean::default();
        mean.add(100, 1.0);
        mean.add(100, 3.0);
        assert_eq!(mean.rate(), 50.0);
        assert!(mean.is_enough(4.0, 9) && mean.is_enough(9.0, 2) && !mean.is_enough(9.0, 9));
    }
}
