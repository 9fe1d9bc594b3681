//! Many short jobs with a common head, the same ids for every side.

use serde::{Deserialize, Serialize};

/// A list of jobs: all prompts begin with the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobList {
    pub(crate) jobs: usize,
    pub(crate) head: usize,
    pub(crate) tail: usize,
    pub(crate) generate: usize,
    /// Ids are below this.
    pub(crate) ids: usize,
}

/// What the whole list took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobsTimed {
    pub(crate) secs: f64,
    /// Tokens of prompts that were computed, not taken from the cache.
    pub(crate) computed: usize,
    pub(crate) generated: usize,
}

impl JobList {
    /// Made up, and spread over the vocabulary.
    pub(crate) fn prompts(&self) -> Vec<Vec<u32>> {
        let id = |number: usize| u32::try_from(number % self.ids.max(1)).unwrap_or(0);
        let head: Vec<u32> = (0..self.head).map(|i| id(i * 7919 + 13)).collect();
        let prompt = |job: usize| {
            let tail = (0..self.tail).map(|i| id(i * 104_729 + job * 31 + 7));
            head.iter().copied().chain(tail).collect()
        };
        (0..self.jobs).map(prompt).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::JobList;

    #[test]
    fn prompts_share_their_head_and_nothing_else() {
        let list = JobList { jobs: 3, head: 40, tail: 5, generate: 1, ids: 30_000 };
        let prompts = list.prompts();
        assert_eq!(prompts.len(), 3);
        assert!(
            prompts.iter().all(|prompt| prompt.len() == 45 && prompt[..40] == prompts[0][..40])
        );
        assert_ne!(prompts[0][40], prompts[1][40]);
        assert_eq!(prompts[0][1], 7932);
    }
}
