//! Which pieces each step reads.

use std::collections::VecDeque;

use hearth_engine_api::TuneSettings;

use super::{Piece, order::shuffled};

/// Batches that may still be filled up while later ones are begun.
const OPEN_BATCHES: usize = 64;

/// The batches of a run, step by step, epoch after epoch. It follows from pieces and settings alone.
#[derive(Clone)]
pub(crate) struct Course<'a> {
    pieces: &'a [Piece],
    settings: &'a TuneSettings,
    epoch: u64,
    /// What is left of the epoch under way.
    batches: VecDeque<Vec<usize>>,
    /// What is left of the run; `None` where only its steps are counted.
    left: Option<u64>,
}

impl<'a> Course<'a> {
    /// Without an end.
    pub(crate) fn endless(pieces: &'a [Piece], settings: &'a TuneSettings) -> Self {
        Self { pieces, settings, epoch: 0, batches: VecDeque::new(), left: None }
    }

    /// Over so many epochs, the last of which may be a part of one.
    pub(crate) fn epochs(pieces: &'a [Piece], settings: &'a TuneSettings, epochs: f32) -> Self {
        let mut course = Self::endless(pieces, settings);
        let whole = epochs.max(0.0).floor() as u64;
        let mut batches = 0;
        for epoch in 0..whole {
            batches += course.fill(epoch).len() as u64;
        }
        let part = f64::from(epochs) - whole as f64;
        if part > 0.0 {
            batches += (part * course.fill(whole).len() as f64).ceil() as u64;
        }
        course.left = Some(batches.max(1));
        course
    }

    /// The places of each batch's pieces in the next step; nothing where the run is over.
    pub(crate) fn next_step(&mut self) -> Vec<Vec<usize>> {
        let mut wanted = u64::from(self.settings.accumulation.max(1));
        if let Some(left) = &mut self.left {
            wanted = wanted.min(*left);
            *left -= wanted;
        }
        (0..wanted).filter_map(|_| self.next_batch()).collect()
    }

    /// Steps that are left of a course with an end.
    pub(crate) fn steps(&self) -> Option<u32> {
        let steps = self.left?.div_ceil(u64::from(self.settings.accumulation.max(1)));
        Some(u32::try_from(steps).unwrap_or(u32::MAX))
    }

    fn next_batch(&mut self) -> Option<Vec<usize>> {
        if self.batches.is_empty() {
            self.batches = self.fill(self.epoch).into();
            self.epoch += 1;
        }
        self.batches.pop_front()
    }

    fn fill(&self, epoch: u64) -> Vec<Vec<usize>> {
        let order = if self.settings.shuffle {
            shuffled(self.pieces.len(), self.settings.seed, epoch)
        } else {
            (0..self.pieces.len()).collect()
        };
        fill(self.pieces, &order, batch_limit(self.settings), self.settings.pack)
    }
}

/// Batches of all pieces as they come.
pub(crate) fn batches_in_order(pieces: &[Piece], settings: &TuneSettings) -> Vec<Vec<usize>> {
    let order: Vec<usize> = (0..pieces.len()).collect();
    fill(pieces, &order, batch_limit(settings), false)
}

/// A batch holds one sample at least.
fn batch_limit(settings: &TuneSettings) -> usize {
    settings.batch_tokens.max(settings.sequence_tokens) as usize
}

/// Puts pieces into batches of `limit` tokens: each into the first of those still open that has room with `first_fit`,
/// else into the last one.
fn fill(pieces: &[Piece], order: &[usize], limit: usize, first_fit: bool) -> Vec<Vec<usize>> {
    let mut batches: Vec<(Vec<usize>, usize)> = Vec::new();
    let window = if first_fit { OPEN_BATCHES } else { 1 };
    for &place in order {
        let tokens = pieces[place].tokens();
        let open = batches.len().saturating_sub(window);
        match batches[open..].iter_mut().find(|(_, room)| *room >= tokens) {
            Some((batch, room)) => {
                batch.push(place);
                *room -= tokens;
            }
            None => batches.push((vec![place], limit.saturating_sub(tokens))),
        }
    }
    batches.into_iter().map(|(batch, _)| batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(lengths: &[usize]) -> Vec<Piece> {
        let piece = |(example, &tokens): (usize, &usize)| Piece {
            example,
            ids: vec![0; tokens + 1],
            learnt: vec![true; tokens],
        };
        lengths.iter().enumerate().map(piece).collect()
    }

    fn settings(batch_tokens: u32, accumulation: u32) -> TuneSettings {
        TuneSettings {
            sequence_tokens: 4,
            batch_tokens,
            accumulation,
            shuffle: false,
            ..TuneSettings::default()
        }
    }

    #[test]
    fn packing_fills_gaps_and_order_is_kept_without() {
        let pieces = pieces(&[3, 4, 1, 2]);
        let packed = settings(4, 1);
        assert_eq!(Course::endless(&pieces, &packed).fill(0), [vec![0, 2], vec![1], vec![3]]);
        let plain = TuneSettings { pack: false, ..packed };
        assert_eq!(Course::endless(&pieces, &plain).fill(0), [vec![0], vec![1], vec![2, 3]]);
    }

    #[test]
    fn an_endless_course_reads_everything_once_an_epoch() {
        let pieces = pieces(&[3, 4, 1, 2, 2, 3]);
        let settings = TuneSettings { shuffle: true, ..settings(5, 2) };
        let mut course = Course::endless(&pieces, &settings);
        let mut first = Vec::new();
        while course.epoch < 2 {
            first.extend(course.next_step().into_iter().flatten());
        }
        let mut epoch: Vec<usize> = first[..6].to_vec();
        epoch.sort_unstable();
        assert_eq!(epoch, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn epochs_end_with_the_last_batch() {
        let pieces = pieces(&[4; 5]);
        let settings = settings(4, 2);
        let mut course = Course::epochs(&pieces, &settings, 1.5);
        assert_eq!(course.steps(), Some(4));
        let read: Vec<usize> = (0..5).map(|_| course.next_step().len()).collect();
        assert_eq!(read, [2, 2, 2, 2, 0]);
        let mut part = Course::epochs(&pieces, &settings, 0.01);
        assert_eq!((part.next_step().len(), part.next_step().len()), (1, 0));
    }

    #[test]
    fn no_batch_is_longer_than_allowed() {
        let lengths: Vec<usize> = (0..200).map(|i| 1 + (i * 7) % 4).collect();
        let pieces = pieces(&lengths);
        let settings = TuneSettings { shuffle: true, ..settings(10, 1) };
        let batches = Course::endless(&pieces, &settings).fill(3);
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 200);
        for batch in batches {
            assert!(batch.iter().map(|place| lengths[*place]).sum::<usize>() <= 10);
        }
    }
}
