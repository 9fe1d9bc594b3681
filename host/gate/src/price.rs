//! What a piece of knowledge costs.

/// Price of learning which of `outcomes` a choice is, in thousandths of a bit, rounded up. One more outcome is counted
/// than there are, since "it failed" is one, too (Smith, "On the Foundations of Quantitative Information Flow", 2009:
/// a deterministic program leaks at most the logarithm of the number of its outputs).
pub fn choice_millibits(outcomes: u32) -> u32 {
    let millibits = (f64::from(outcomes) + 1.0).log2() * 1000.0;
    // At most 32 000: the logarithm of a 32-bit number and one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 32 001"
    )]
    let price = millibits.ceil() as u32;
    price
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_logarithms_rounded_up() {
        for (outcomes, price) in [
            (0, 0),
            (1, 1000),
            (2, 1585),
            (3, 2000),
            (4, 2322),
            (63, 6000),
            (64, 6023),
            (u32::MAX, 32_000),
        ] {
            assert_eq!(choice_millibits(outcomes), price, "{outcomes}");
        }
    }

    #[test]
    fn powers_of_two_cost_whole_bits() {
        for bits in 0..32_u32 {
            assert_eq!(choice_millibits((1_u32 << bits) - 1), bits * 1000);
        }
    }

    #[test]
    fn more_outcomes_never_cost_less() {
        let prices: Vec<u32> = (0..2000).map(choice_millibits).collect();
        assert!(prices.is_sorted());
    }
}
