//! What one step reads of each request.

/// Tokens of prompts that a step reads while nobody looks.
const MOST_TOKENS: usize = 256;
/// Tokens of background prompts that a step reads beside an interactive request: so few that its answer hardly slows.
const BESIDE_TOKENS: usize = 16;
/// Tokens that a step may read for little more than the price of one.
const CHEAP_TOKENS: usize = 16;

/// A request that could go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) interactive: bool,
    /// Tokens that must be read before the next can be drawn: one, once the prompt is read.
    pub(super) unread_tokens: usize,
    /// Tokens worth reading at once.
    pub(super) block_tokens: usize,
}

/// What a step does for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Tokens to read; where there are none it has to wait.
    pub(super) tokens: usize,
    /// Tokens it may guess besides.
    pub(super) draft_tokens: usize,
}

/// The shares of all requests. Answers always go on; prompts share what a step has left, interactive ones first.
///
/// `alone` says that no interactive request runs or waits. Where `exact` is not given, how a prompt is cut must not
/// depend on others: it is read in whole blocks.
pub(super) fn shares(wishes: &[Wish], alone: bool, exact: bool) -> Vec<Share> {
    let mut left = MOST_TOKENS;
    let mut left_beside = if alone { MOST_TOKENS } else { BESIDE_TOKENS };
    let mut tokens = vec![0; wishes.len()];
    let by_rank = |interactive: bool| {
        wishes.iter().enumerate().filter(move |(_, wish)| wish.interactive == interactive)
    };
    for (index, wish) in by_rank(true).chain(by_rank(false)) {
        let left = if wish.interactive { &mut left } else { &mut left_beside };
        let block = wish.unread_tokens.min(wish.block_tokens);
        let share = match wish.unread_tokens {
            1 => 1,
            _ if exact || *left == 0 => block.min(*left),
            _ => block,
        };
        if wish.unread_tokens > 1 {
            *left = left.saturating_sub(share);
        }
        if let Some(tokens) = tokens.get_mut(index) {
            *tokens = share;
        }
    }
    let answers = wishes.iter().filter(|wish| wish.unread_tokens == 1).count();
    let reads: usize = tokens.iter().sum();
    // Beside prompts a guess costs as much as any token.
    let draft =
        if reads == answers { (CHEAP_TOKENS / answers.max(1)).saturating_sub(1) } else { 0 };
    let share = |(wish, tokens): (&Wish, usize)| Share {
        tokens,
        draft_tokens: if wish.unread_tokens == 1 { draft } else { 0 },
    };
    wishes.iter().zip(tokens).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(interactive: bool, unread_tokens: usize) -> Wish {
        Wish { interactive, unread_tokens, block_tokens: 256 }
    }

    fn tokens(wishes: &[Wish], alone: bool, exact: bool) -> Vec<usize> {
        shares(wishes, alone, exact).iter().map(|share| share.tokens).collect()
    }

    #[test]
    fn background_prompts_share_a_step_in_order() {
        let wishes = [wish(false, 1), wish(false, 100), wish(false, 1000), wish(false, 5)];
        assert_eq!(tokens(&wishes, true, true), [1, 100, 156, 0]);
        assert_eq!(tokens(&wishes, true, false), [1, 100, 256, 0]);
    }

    #[test]
    fn beside_an_interactive_request_little_else_is_read() {
        let wishes = [wish(false, 1000), wish(true, 1), wish(false, 1), wish(false, 10)];
        assert_eq!(tokens(&wishes, false, true), [16, 1, 1, 0]);
        let wishes = [wish(false, 1000), wish(true, 300)];
        assert_eq!(tokens(&wishes, false, true), [16, 256]);
        // The interactive request still waits.
        assert_eq!(tokens(&wishes[..1], false, true), [16]);
    }

    #[test]
    fn guesses_fill_up_a_cheap_step_and_go_with_no_prompt() {
        let drafts = |wishes: &[Wish]| -> Vec<usize> {
            shares(wishes, true, true).iter().map(|share| share.draft_tokens).collect()
        };
        assert_eq!(drafts(&[wish(true, 1)]), [15]);
        assert_eq!(drafts(&[wish(true, 1); 4]), [3; 4]);
        assert_eq!(drafts(&[wish(true, 1); 16]), [0; 16]);
        assert_eq!(drafts(&[wish(true, 1), wish(false, 40)]), [0, 0]);
        assert!(drafts(&[]).is_empty());
    }
}
