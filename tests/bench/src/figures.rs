//! Several readings of one quantity.

use serde::{Deserialize, Serialize};

/// Whether more or less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// Rates.
    More,
    /// Times and sizes.
    Less,
}

/// What one side read in all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Readings {
    pub(crate) better: Better,
    pub(crate) values: Vec<f64>,
}

impl Readings {
    pub(crate) const fn new(better: Better) -> Self {
        Self { better, values: Vec::new() }
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    pub(crate) fn best(&self) -> Option<f64> {
        let values = self.values.iter().copied();
        match self.better {
            Better::More => values.reduce(f64::max),
            Better::Less => values.reduce(f64::min),
        }
    }

    /// The mean of the two in the middle where there is no single one.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let upper = *sorted.get(sorted.len() / 2)?;
        if sorted.len() % 2 == 1 {
            return Some(upper);
        }
        Some(f64::midpoint(upper, sorted[sorted.len() / 2 - 1]))
    }

    /// How many times better than `other`, by bests and by medians.
    pub(crate) fn ratios(&self, other: &Self) -> (Option<f64>, Option<f64>) {
        let ratio = |ours: Option<f64>, theirs: Option<f64>| match self.better {
            Better::More => Some(ours? / theirs?),
            Better::Less => Some(theirs? / ours?),
        };
        (ratio(self.best(), other.best()), ratio(self.median(), other.median()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Better, Readings};

    fn readings(better: Better, values: &[f64]) -> Readings {
        Readings { better, values: values.to_vec() }
    }

    #[test]
    fn best_and_median_follow_the_direction() {
        let rates = readings(Better::More, &[3.0, 1.0, 2.0]);
        assert_eq!((rates.best(), rates.median()), (Some(3.0), Some(2.0)));
        let times = readings(Better::Less, &[3.0, 1.0, 2.0, 4.0]);
        assert_eq!((times.best(), times.median()), (Some(1.0), Some(2.5)));
        assert_eq!(readings(Better::More, &[]).median(), None);
    }

    #[test]
    fn a_ratio_above_one_is_better_whatever_the_unit() {
        let quick = readings(Better::Less, &[1.0, 2.0]);
        let slow = readings(Better::Less, &[4.0, 8.0]);
        assert_eq!(quick.ratios(&slow), (Some(4.0), Some(4.0)));
        let fast = readings(Better::More, &[30.0]);
        assert_eq!(fast.ratios(&readings(Better::More, &[20.0])), (Some(1.5), Some(1.5)));
        assert_eq!(fast.ratios(&readings(Better::More, &[])), (None, None));
    }
}
