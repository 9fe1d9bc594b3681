//! Lessons that are longer than a sample may be.

use hearth_engine_candle::prompt::Lesson;

use super::Piece;

/// Cuts a lesson of the example at `place` into pieces of `limit` tokens at most, from the end on: the last answer keeps as
/// much of what is before it as fits. Every learnt token is learnt in exactly one piece. `begin` is the token that begins a
/// text, which pieces from the midst of one begin with too.
pub(super) fn cut(place: usize, lesson: &Lesson, limit: usize, begin: Option<u32>) -> Vec<Piece> {
    let mut learnt = vec![false; lesson.ids.len()];
    for range in &lesson.learnt {
        learnt[range.clone()].fill(true);
    }
    // Nothing comes before the first token that it could follow from.
    if let Some(first) = learnt.first_mut() {
        *first = false;
    }
    let begin = begin.filter(|begin| lesson.ids.first() == Some(begin) && limit > 1);
    let mut pieces = Vec::new();
    // The last token that is still to be learnt.
    while let Some(end) = learnt.iter().rposition(|learnt| *learnt) {
        let mut start = end.saturating_sub(limit.max(1));
        let mut ids = Vec::with_capacity(limit.min(end) + 1);
        let mut flags = Vec::with_capacity(limit.min(end));
        if let Some(begin) = begin.filter(|_| start > 0) {
            start += 1;
            ids.push(begin);
            // The first token of the stretch follows from no more than the beginning of a text.
            flags.push(false);
        }
        ids.extend(&lesson.ids[start..=end]);
        flags.extend(&learnt[start + 1..=end]);
        learnt.truncate(start + 1);
        pieces.push(Piece { example: place, ids, learnt: flags });
    }
    pieces.reverse();
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lesson(tokens: u32, learnt: std::ops::Range<usize>) -> Lesson {
        Lesson { ids: (0..tokens).collect(), learnt: vec![learnt] }
    }

    #[test]
    fn a_short_lesson_is_one_piece() {
        let pieces = cut(3, &lesson(5, 2..5), 8, None);
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].ids, [0, 1, 2, 3, 4]);
        assert_eq!(pieces[0].learnt, [false, true, true, true]);
        assert_eq!(pieces[0].example, 3);
    }

    #[test]
    fn a_long_question_gives_way_to_the_answer() {
        let pieces = cut(0, &lesson(100, 96..100), 10, Some(0));
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].ids, [0, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
        assert_eq!(pieces[0].learnt_tokens(), 4);
        assert_eq!(pieces[0].tokens(), 10);
    }

    #[test]
    fn what_follows_the_last_learnt_token_is_not_read() {
        let pieces = cut(0, &lesson(10, 2..4), 16, None);
        assert_eq!(pieces[0].ids, [0, 1, 2, 3]);
    }

    #[test]
    fn nothing_learnt_is_nothing_read() {
        assert!(cut(0, &lesson(10, 0..1), 16, None).is_empty());
        assert!(cut(0, &Lesson::default(), 16, None).is_empty());
    }

    proptest! {
        #[test]
        fn every_learnt_token_is_learnt_once(
            flags in proptest::collection::vec(any::<bool>(), 1..80),
            limit in 1usize..20,
            begins in any::<bool>(),
        ) {
            let ids: Vec<u32> = (0..flags.len() as u32).collect();
            let learnt: Vec<_> =
                flags.iter().enumerate().filter(|(_, f)| **f).map(|(i, _)| i..i + 1).collect();
            let lesson = Lesson { ids, learnt };
            let pieces = cut(0, &lesson, limit, begins.then_some(0));
            let mut seen = Vec::new();
            for piece in &pieces {
                prop_assert!(piece.tokens() <= limit);
                prop_assert!(piece.learnt_tokens() > 0);
                prop_assert_eq!(piece.ids.len(), piece.learnt.len() + 1);
                let targets = piece.ids[1..].iter().zip(&piece.learnt);
                seen.extend(targets.filter(|(_, l)| **l).map(|(id, _)| *id as usize));
            }
            let expected: Vec<usize> = (1..flags.len()).filter(|i| flags[*i]).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
