use super::*;

/// A piece all of which is learnt.
pub(crate) fn piece(example: usize, ids: &[u32]) -> Piece {
    Piece { example, ids: ids.to_vec(), learnt: vec![true; ids.len() - 1] }
}

#[test]
fn a_batch_holds_its_pieces_side_by_side() {
    let second = Piece { learnt: vec![false, true], ..piece(1, &[7, 8, 9]) };
    let batch = batch([&piece(0, &[1, 2, 3, 4]), &second], 0.25);
    assert_eq!(batch.ids, [1, 2, 3, 7, 8]);
    assert_eq!(batch.targets, [2, 3, 4, 8, 9]);
    assert_eq!(batch.weights, [0.25, 0.25, 0.25, 0.0, 0.25]);
    assert_eq!(batch.samples, [0..3, 3..5]);
    assert_eq!(batch.learnt(), 4);
}

#[test]
fn pieces_are_told_apart_by_tokens_and_by_what_is_learnt() {
    let one = piece(0, &[1, 2, 3]);
    let content = |piece: &Piece| piece.content().collect::<Vec<_>>();
    assert_eq!(content(&one), content(&piece(5, &[1, 2, 3])));
    assert_ne!(content(&one), content(&piece(0, &[1, 2, 4])));
    assert_ne!(content(&one), content(&Piece { learnt: vec![false, true], ..one.clone() }));
}
