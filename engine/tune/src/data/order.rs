//! In which order examples are read.

use crate::learner::mix;

/// `0..count`, shuffled by `seed` and `epoch` alone.
pub(crate) fn shuffled(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let key = mix(seed ^ mix(epoch.wrapping_add(1)));
    for last in (1..count).rev() {
        // Fisher and Yates; at these sizes the remainder's bias is far below what anybody could measure.
        let other = mix(key ^ last as u64) % (last as u64 + 1);
        order.swap(last, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_loses_nothing_and_follows_from_seed_and_epoch() {
        let mut order = shuffled(100, 1, 0);
        assert_eq!(order, shuffled(100, 1, 0));
        assert_ne!(order, shuffled(100, 1, 1));
        assert_ne!(order, shuffled(100, 2, 0));
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_order_is_as_likely() {
        let mut first = [0u32; 4];
        (0..4000).for_each(|epoch| first[shuffled(4, 9, epoch)[0]] += 1);
        assert!(first.iter().all(|count| (900..1100).contains(count)), "{first:?}");
    }
}
