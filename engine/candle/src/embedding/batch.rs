//! How texts are cut into windows, and windows put into batches.

use std::ops::Range;

use super::words::Words;

/// Tokens of one batch, padding included, as long as it has more than one row. More would not run faster: the
/// products are large enough by then, and the rows of a batch should stay in the cache.
const BATCH_TOKENS: usize = 1024;
/// What the attention scores of one batch may take.
pub(super) const SCORES_BYTES: usize = 256 << 20;
/// How far a cut moves back to stand between words.
const WORD_TOKENS: usize = 16;

/// A text as token ids, with what stands in front of it in each of its windows.
pub(super) struct Text {
    pub(super) prompt: Vec<u32>,
    pub(super) ids: Vec<u32>,
}

/// A stretch of a text that is read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Which text.
    pub(super) text: usize,
    /// Of its ids.
    pub(super) range: Range<usize>,
    /// Tokens with all that stands around them.
    pub(super) framed_tokens: usize,
}

/// The windows of all texts, the shortest first.
pub(super) fn plan(texts: &[Text], window_tokens: usize, words: &Words) -> Vec<Window> {
    let mut windows = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let frame = words.frame_tokens() + text.prompt.len();
        let room = window_tokens.saturating_sub(frame).max(1);
        for range in cut(text.ids.len(), room, |at| words.begins_word(text.ids[at])) {
            windows.push(Window { text: index, framed_tokens: frame + range.len(), range });
        }
    }
    // Stable, so that a text's windows stay in order among their equals.
    windows.sort_by_key(|window| window.framed_tokens);
    windows
}

/// `0..len` in stretches of at most `room`, of about one length, cut between words where one ends nearby.
fn cut(len: usize, room: usize, begins_word: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::with_capacity(len.div_ceil(room).max(1));
    let mut start = 0;
    while len - start > room {
        let left = len - start;
        let even = start + left.div_ceil(left.div_ceil(room));
        let nearest = (start + 1).max(even.saturating_sub(WORD_TOKENS));
        let end = (nearest..=even).rev().find(|&at| begins_word(at)).unwrap_or(even);
        ranges.push(start..end);
        start = end;
    }
    ranges.push(start..len);
    ranges
}

/// Neighbours among `windows`, which are sorted by length, as many as go into a batch together.
pub(super) fn batches(windows: &[Window], heads: usize) -> impl Iterator<Item = &[Window]> {
    let mut rest = windows;
    std::iter::from_fn(move || {
        let fits = |rows: usize, tokens: usize| {
            let scores_bytes = rows * heads * tokens * tokens * size_of::<f32>();
            rows * tokens <= BATCH_TOKENS && scores_bytes <= SCORES_BYTES
        };
        let rows = rest
            .iter()
            .enumerate()
            .take_while(|(row, window)| *row == 0 || fits(row + 1, window.framed_tokens))
            .count();
        let (batch, after) = rest.split_at(rows);
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Most tokens a batch may come to, with windows of `window_tokens`.
pub(super) fn most_tokens(window_tokens: usize) -> usize {
    BATCH_TOKENS.max(window_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_even_and_leave_nothing_out() {
        for (len, room) in [(0, 5), (1, 5), (5, 5), (6, 5), (99, 10), (1000, 1), (1001, 256)] {
            let ranges = cut(len, room, |_| true);
            assert_eq!(ranges.len(), len.div_ceil(room).max(1), "{len} by {room}");
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, len));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(ranges.iter().all(|range| range.len() <= room));
        }
        assert_eq!(cut(6, 5, |_| true), [0..3, 3..6]);
    }

    #[test]
    fn cuts_stand_between_words_where_these_are_short() {
        assert_eq!(cut(6, 5, |at| at == 2), [0..2, 2..6]);
        assert_eq!(cut(100, 60, |at| at == 5), [0..50, 50..100]);
        let endless = cut(100, 7, |_| false);
        assert!(endless.iter().all(|range| range.len() <= 7));
    }

    #[test]
    fn batches_stay_within_their_bounds() {
        let windows: Vec<Window> = (1..200)
            .map(|tokens| Window { text: 0, range: 0..tokens, framed_tokens: tokens * 20 })
            .collect();
        let all: Vec<&[Window]> = batches(&windows, 12).collect();
        assert_eq!(all.iter().map(|batch| batch.len()).sum::<usize>(), windows.len());
        for batch in &all {
            let longest = batch.iter().map(|window| window.framed_tokens).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * longest <= BATCH_TOKENS);
        }
        assert!(all[0].len() > 1);
    }
}
