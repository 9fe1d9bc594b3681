//! Guessing what comes next from what was said before.

use std::collections::HashMap;

/// Longest draft: beyond it, reading more tokens at once costs more than another pass.
const LONGEST: usize = 15;
/// Places where the last two tokens stood before, of which the latest are looked at.
const PLACES: usize = 8;
/// Tokens before a place that are compared.
const LOOK_BACK: usize = 24;
/// Length of the first draft, and of the first one after drafts that failed.
const SHORTEST: usize = 2;
/// Tokens that must be alike before a draft, after one that failed.
const PROOF: usize = 4;
/// A draft that fails holds the next one off for twice as many tokens as the last that failed, up to this.
const LONGEST_PAUSE: usize = 64;

/// Finds the longest stretch that stood before as it stands at the end now, and guesses that what followed it then
/// follows again. Guesses are longer while they come true, and rarer while they do not.
#[derive(Debug)]
pub(super) struct Drafter {
    /// Ends of pairs of tokens, by pair, latest last.
    places: HashMap<(u32, u32), Vec<usize>>,
    /// Tokens whose pairs are noted.
    noted: usize,
    length: usize,
    /// Tokens to pass before the next draft.
    pause: usize,
    /// The last pause that failing led to.
    last_pause: usize,
    tokens_at_verdict: usize,
}

impl Default for Drafter {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            noted: 0,
            length: SHORTEST * 2,
            pause: 0,
            last_pause: 0,
            tokens_at_verdict: 0,
        }
    }
}

impl Drafter {
    /// What may follow `history`, at most `most` tokens; often nothing.
    pub(super) fn draft<'h>(&mut self, history: &'h [u32], most: usize) -> &'h [u32] {
        self.note(history);
        let most = most.min(self.length);
        if most == 0 || history.len() < self.tokens_at_verdict + self.pause {
            return &[];
        }
        let Some((start, same)) = self.best(history) else { return &[] };
        // After failures two tokens alike prove little.
        if self.last_pause > 0 && same < PROOF {
            return &[];
        }
        history.get(start..history.len().min(start + most)).unwrap_or_default()
    }

    /// How much of a draft came true; `tokens` are in the history now.
    pub(super) fn learn(&mut self, drafted: usize, accepted: usize, tokens: usize) {
        if drafted == 0 {
            return;
        }
        self.tokens_at_verdict = tokens;
        if accepted == 0 {
            self.length = SHORTEST;
            self.last_pause = (self.last_pause * 2).clamp(4, LONGEST_PAUSE);
            self.pause = self.last_pause;
            return;
        }
        self.pause = 0;
        if accepted == drafted {
            self.last_pause = 0;
            self.length = (self.length * 2).min(LONGEST);
        } else {
            self.last_pause /= 2;
            self.length = accepted.max(SHORTEST);
        }
    }

    fn note(&mut self, history: &[u32]) {
        for end in self.noted.max(1)..history.len() {
            if let [.., a, b] = history[..=end] {
                let places = self.places.entry((a, b)).or_default();
                if places.len() >= 2 * PLACES {
                    places.drain(..PLACES);
                }
                places.push(end);
            }
        }
        self.noted = history.len();
    }

    /// Where the longest repetition goes on, the latest of several, and how many tokens it is long.
    fn best(&self, history: &[u32]) -> Option<(usize, usize)> {
        let last = history.len().checked_sub(1)?;
        let [.., a, b] = history[..] else { return None };
        let places = self.places.get(&(a, b))?;
        let mut best: Option<(usize, usize)> = None;
        for &end in places.iter().rev().filter(|&&end| end < last).take(PLACES) {
            let same = history[..=end]
                .iter()
                .rev()
                .zip(history.iter().rev())
                .take(LOOK_BACK)
                .take_while(|(a, b)| a == b)
                .count();
            if best.is_none_or(|(_, longest)| same > longest) {
                best = Some((end + 1, same));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_longest_repetition_is_guessed() {
        let history = [1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 9, 1, 2, 3];
        let mut drafter = Drafter::default();
        assert_eq!(drafter.draft(&history, 9), [4, 5, 9, 2]);
        assert_eq!(drafter.draft(&history, 2), [4, 5]);
        assert!(Drafter::default().draft(&[1, 2, 3], 9).is_empty());
        assert!(Drafter::default().draft(&[], 9).is_empty());
        assert_eq!(Drafter::default().draft(&[6, 6, 6], 9), [6]);
    }

    #[test]
    fn the_latest_of_equal_repetitions_counts() {
        assert_eq!(Drafter::default().draft(&[1, 2, 3, 0, 1, 2, 4, 0, 0, 1, 2], 1), [4]);
    }

    #[test]
    fn pairs_are_noted_as_the_text_grows() {
        let text: Vec<u32> = (0..40).chain([7, 8]).collect();
        let mut growing = Drafter::default();
        for end in 0..text.len() {
            growing.draft(&text[..end], 9);
        }
        assert_eq!(growing.draft(&text, 9), Drafter::default().draft(&text, 9));
        assert_eq!(growing.draft(&text, 9), [9, 10, 11, 12]);
    }

    /// Drafts over a text that never comes as guessed, or always, and the tokens guessed.
    fn drafted(tokens: usize, comes_true: bool) -> usize {
        let mut history: Vec<u32> = (0..400).cycle().take(800).collect();
        let mut drafter = Drafter::default();
        let mut sum = 0;
        while history.len() < 800 + tokens {
            let guess = drafter.draft(&history, 99).to_vec();
            sum += guess.len();
            let accepted = if comes_true { guess.len() } else { 0 };
            for _ in 0..=accepted {
                history.push(history[history.len() - 400]);
            }
            drafter.learn(guess.len(), accepted, history.len());
        }
        sum
    }

    #[test]
    fn drafts_grow_while_they_come_true_and_pause_while_they_do_not() {
        assert!(drafted(320, true) > 280, "{}", drafted(320, true));
        assert!(drafted(320, false) < 24, "{}", drafted(320, false));
    }
}
