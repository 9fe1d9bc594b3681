//! Numbers that every reader can read.
//!
//! JSON sets no bounds to numbers; readers do. So numbers in answers are written without exponents, and are short.

use llguidance::toktrie::{SimpleVob, TokTrie};

/// Numbers that are as long as this go on only where they cannot be over. Whole numbers of this length are exact.
const MAX_CHARS: usize = 18;

/// Where in a JSON text a place is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    in_string: bool,
    after_backslash: bool,
    /// Characters of the number that ends here, so far.
    number_chars: usize,
}

impl Reading {
    /// Reads on; whether there is an exponent in `bytes`.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        let mut exponent = false;
        for byte in bytes {
            if self.in_string {
                self.in_string = self.after_backslash || *byte != b'"';
                self.after_backslash = !self.after_backslash && *byte == b'\\';
                continue;
            }
            let in_number = self.number_chars > 0;
            exponent |= in_number && matches!(byte, b'e' | b'E');
            let goes_on = byte.is_ascii_digit() || in_number && *byte == b'.' || *byte == b'-';
            self.number_chars = if goes_on { self.number_chars + 1 } else { 0 };
            self.in_string = *byte == b'"';
        }
        exponent
    }
}

/// Tokens that would make a number what it should not be.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Have an exponent in them, where the text before is in a string or not.
    inside: Vec<u32>,
    outside: Vec<u32>,
    /// Begin with an exponent, after a digit.
    after_digit: Vec<u32>,
    /// Begin with what a number can go on with.
    digits: Vec<u32>,
}

impl Numbers {
    pub(super) fn new(trie: &TokTrie) -> Self {
        let tokens = |wanted: &dyn Fn(&[u8]) -> bool| -> Vec<u32> {
            (0u32..).take(trie.vocab_size()).filter(|id| wanted(trie.token(*id))).collect()
        };
        let from = |start: Reading| tokens(&|bytes| start.clone().read(bytes));
        Self {
            inside: from(Reading { in_string: true, ..Reading::default() }),
            outside: from(Reading::default()),
            after_digit: from(Reading { number_chars: 1, ..Reading::default() }),
            digits: tokens(&|bytes| {
                bytes.first().is_some_and(|b| b.is_ascii_digit() || *b == b'.')
            }),
        }
    }

    /// Takes what may not come at `place` out of `mask`. `may_end` says that the answer may be over there.
    pub(super) fn forbid(&self, place: Reading, mask: &mut SimpleVob, may_end: bool) {
        let exponents = match place {
            Reading { in_string: true, .. } => &self.inside,
            Reading { number_chars: 0, .. } => &self.outside,
            _ => &self.after_digit,
        };
        for id in exponents {
            mask.disallow_token(*id);
        }
        if place.number_chars >= MAX_CHARS {
            let mut shorter = mask.clone();
            for id in &self.digits {
                shorter.disallow_token(*id);
            }
            if may_end || !shorter.is_zero() {
                *mask = shorter;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_told_from_letters() {
        for (text, exponent) in [
            ("1e5", true),
            ("[0.5E-3]", true),
            ("true", false),
            ("\"1e5\"", false),
            ("\"\\\"1e5\",1", false),
            ("\"\\\\\",1e5", true),
            ("{\"a1\":false}", false),
        ] {
            assert_eq!(Reading::default().read(text.as_bytes()), exponent, "{text}");
            // Pieces make no difference.
            let mut reading = Reading::default();
            let found = text.bytes().fold(false, |found, byte| reading.read(&[byte]) | found);
            assert_eq!(found, exponent, "{text}");
        }
    }
}
