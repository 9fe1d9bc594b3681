//! Examples laid out for a step.

use crate::vocabulary::{END_OF_TEXT, Tokens};

/// Some examples of like length, padded to the longest: one row each, so that none sees another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Place among the step's parts.
    pub(super) index: usize,
    /// Examples.
    pub(super) rows: usize,
    /// Length of the longest, less one.
    pub(super) columns: usize,
    /// `rows * columns` ids read.
    pub(super) inputs: Vec<u32>,
    /// The ids that follow them.
    pub(super) targets: Vec<u32>,
    /// Weights of the targets; 0 for padding.
    pub(super) weights: Vec<f32>,
    /// Tokens that are no padding.
    pub(super) real_tokens: usize,
}

/// Cuts a step's examples into `count` parts of about as many tokens, and says what all weights sum up to.
pub(super) fn parts(mut examples: Vec<Tokens>, count: usize) -> (Vec<Part>, f32) {
    examples.retain(|tokens| tokens.ids.len() > 1);
    examples.sort_by_key(|tokens| std::cmp::Reverse(tokens.ids.len()));
    let all: usize = examples.iter().map(|tokens| tokens.ids.len()).sum();
    let goal = all.div_ceil(count.max(1));
    let weight: f32 = examples.iter().flat_map(|tokens| &tokens.weights[1..]).sum();
    let mut list: Vec<Part> = Vec::new();
    let mut group: Vec<Tokens> = Vec::new();
    let mut filled = 0;
    for tokens in examples {
        filled += tokens.ids.len();
        group.push(tokens);
        if filled >= goal {
            list.push(part(list.len(), &group));
            group.clear();
            filled = 0;
        }
    }
    if !group.is_empty() {
        list.push(part(list.len(), &group));
    }
    (list, weight.max(f32::MIN_POSITIVE))
}

fn part(index: usize, group: &[Tokens]) -> Part {
    let columns = group.iter().map(|tokens| tokens.ids.len() - 1).max().unwrap_or(0);
    let size = group.len() * columns;
    let mut part = Part {
        index,
        rows: group.len(),
        columns,
        inputs: Vec::with_capacity(size),
        targets: Vec::with_capacity(size),
        weights: Vec::with_capacity(size),
        real_tokens: 0,
    };
    for tokens in group {
        let length = tokens.ids.len() - 1;
        part.real_tokens += length;
        part.inputs.extend_from_slice(&tokens.ids[..length]);
        part.targets.extend_from_slice(&tokens.ids[1..]);
        part.weights.extend_from_slice(&tokens.weights[1..]);
        let end = part.rows_done() * columns;
        part.inputs.resize(end, END_OF_TEXT);
        part.targets.resize(end, END_OF_TEXT);
        part.weights.resize(end, 0.0);
    }
    part
}

impl Part {
    /// Rows begun so far while the part is laid out.
    fn rows_done(&self) -> usize {
        self.inputs.len().div_ceil(self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(length: u32) -> Tokens {
        Tokens { ids: (10..10 + length).collect(), weights: vec![1.0; length as usize] }
    }

    #[test]
    fn every_example_has_a_row_of_its_own() {
        let (parts, weight) = parts(vec![example(3), example(9), example(4), example(2)], 2);
        assert_eq!(parts.iter().map(|part| part.rows).sum::<usize>(), 4);
        assert_eq!(weight, 14.0);
        let short = parts.last().unwrap();
        assert_eq!(short.columns, 3);
        assert_eq!(short.inputs[..3], [10, 11, 12]);
        assert_eq!(short.targets[..3], [11, 12, 13]);
        assert_eq!(short.inputs[3..6], [10, 11, END_OF_TEXT]);
        assert_eq!(short.weights[3..6], [1.0, 1.0, 0.0]);
        assert_eq!(parts.iter().map(|part| part.real_tokens).sum::<usize>(), 14);
    }
}
