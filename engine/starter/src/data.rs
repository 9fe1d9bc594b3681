//! The training text: a function of a seed, so that anybody can make it again.

mod acts;
mod code;
mod example;
mod grammar;
mod letter;
mod office;
mod rng;
mod talk;
mod wild;
mod words;

pub use example::{Example, Task};
pub use rng::Rng;

use letter::{Kind, Size, Style};

/// Which of the disjoint streams of examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train,
    /// To measure on; never learnt from.
    HeldOut,
}

impl Split {
    const fn lane(self) -> u64 {
        match self {
            Self::Train => 1,
            Self::HeldOut => 2,
        }
    }
}

/// How often each kind of example is made, in shares of their sum.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Mail summaries.
    pub summary: usize,
    /// Subject lines.
    pub subject: usize,
    /// Labels, yes and no.
    pub triage: usize,
    /// Questions about attached texts.
    pub question: usize,
    /// Functions explained.
    pub code: usize,
    /// Small talk.
    pub chat: usize,
    /// Requests declined.
    pub refusal: usize,
    /// Of the mails, how many in a hundred are long.
    pub long_percent: usize,
    /// The first so many examples hold short mails only: copying is learnt there first.
    pub easy_examples: u64,
    /// From this example on, half of the mails are about anything. They teach to copy whatever stands there.
    pub wild_from: u64,
}

/// Makes examples.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    split: Split,
    mix: Mix,
}

impl Generator {
    /// The stream of `seed` and `split`.
    pub const fn new(seed: u64, split: Split, mix: Mix) -> Self {
        Self { seed, split, mix }
    }

    /// Example number `index`, always the same.
    pub fn example(&self, index: u64) -> Example {
        let mut rng = Rng::new(self.seed, self.split.lane(), index);
        let mix = &self.mix;
        let shares = [
            (Task::Summary, mix.summary),
            (Task::Subject, mix.subject),
            (Task::Triage, mix.triage),
            (Task::Question, mix.question),
            (Task::Code, mix.code),
            (Task::Chat, mix.chat),
            (Task::Refusal, mix.refusal),
        ];
        let mut roll = rng.below(shares.iter().map(|(_, share)| share).sum());
        let mut task = Task::Summary;
        for (candidate, share) in shares {
            if roll < share {
                task = candidate;
                break;
            }
            roll -= share;
        }
        let size = if index < mix.easy_examples && self.split == Split::Train {
            Size::Short
        } else {
            Size::random(&mut rng, mix.long_percent)
        };
        let wild = self.split == Split::Train && index >= mix.wild_from && rng.chance(50);
        of_task(task, Style { size, kind: if wild { Kind::Wild } else { Kind::Known } }, &mut rng)
    }

    /// A mail about anything and its summary.
    pub fn wild_example(&self, index: u64) -> Example {
        let mut rng = Rng::new(self.seed, self.split.lane() + 8, index);
        let size = Size::random(&mut rng, self.mix.long_percent);
        of_task(Task::Summary, Style { size, kind: Kind::Wild }, &mut rng)
    }

    /// Example number `index` of one kind, of the grammar's own purposes.
    pub fn example_of(&self, task: Task, index: u64) -> Example {
        let lane = self.split.lane() + 16 * (1 + task as u64);
        let mut rng = Rng::new(self.seed, lane, index);
        let size = Size::random(&mut rng, self.mix.long_percent);
        of_task(task, Style { size, kind: Kind::Known }, &mut rng)
    }
}

fn of_task(task: Task, style: Style, rng: &mut Rng) -> Example {
    match task {
        Task::Summary => office::summary(rng, style),
        Task::Subject => office::subject(rng, style),
        Task::Triage => office::triage(rng, style),
        Task::Question => office::question(rng, style),
        Task::Code => code::explain(rng),
        Task::Chat => talk::talk(rng),
        Task::Refusal => talk::decline(rng),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix() -> Mix {
        Mix {
            summary: 5,
            subject: 1,
            triage: 1,
            question: 3,
            code: 2,
            chat: 1,
            refusal: 1,
            long_percent: 10,
            easy_examples: 0,
            wild_from: 0,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_examples() {
        let once: Vec<Example> =
            (0..200).map(|i| Generator::new(11, Split::Train, mix()).example(i)).collect();
        let again: Vec<Example> =
            (0..200).map(|i| Generator::new(11, Split::Train, mix()).example(i)).collect();
        assert_eq!(once, again);
        let other = Generator::new(12, Split::Train, mix()).example(0);
        let held_out = Generator::new(11, Split::HeldOut, mix()).example(0);
        assert_ne!(once[0], other);
        assert_ne!(once[0], held_out);
    }

    #[test]
    fn what_a_summary_must_repeat_stands_in_mail_and_summary() {
        let generator = Generator::new(5, Split::HeldOut, mix());
        for index in 0..1000 {
            let example = match index % 2 {
                0 => generator.example_of(Task::Summary, index),
                _ => generator.wild_example(index),
            };
            let user = &example.prompt().last().unwrap().content;
            assert!(example.answer().lines().count() <= 3);
            for (slot, value) in &example.fields {
                assert!(
                    example.answer().contains(value.as_str()),
                    "{slot} {value}: {}",
                    example.answer()
                );
                let small = user.to_lowercase();
                assert!(small.contains(&value.to_lowercase()), "{slot} {value}: {user}");
            }
        }
    }
}
