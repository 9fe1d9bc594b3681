//! Token by token back to text, in whole characters.

use super::Tokenizer;

/// Gives out text as soon as its characters are complete.
///
/// What [`DecodeStream::push`] and [`DecodeStream::finish`] give, put together, is what
/// [`Tokenizer::decode`] gives for the same ids.
#[derive(Debug)]
pub struct DecodeStream<'t> {
    tokenizer: &'t Tokenizer,
    decoding: Decoding,
}

impl<'t> DecodeStream<'t> {
    pub(super) const fn new(tokenizer: &'t Tokenizer, decoding: Decoding) -> Self {
        Self { tokenizer, decoding }
    }

    /// Takes the next token; returns the characters it completes, if any.
    pub fn push(&mut self, id: u32) -> Option<String> {
        self.decoding.push(self.tokenizer, id)
    }

    /// What is left of a character that never was completed, as U+FFFD.
    pub fn finish(self) -> Option<String> {
        self.decoding.finish()
    }
}

/// A [`DecodeStream`] that does not hold on to its tokenizer: it is given the same one each time.
#[derive(Debug)]
pub(crate) struct Decoding {
    /// Bytes of a character that is not complete yet: at most three.
    pending: Vec<u8>,
    strip_blank: bool,
}

impl Decoding {
    pub(super) const fn new(strip_blank: bool) -> Self {
        Self { pending: Vec::new(), strip_blank }
    }

    pub(crate) fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Option<String> {
        let mut bytes = tokenizer.token_bytes(id)?;
        if bytes.is_empty() {
            return None;
        }
        // A token that is a blank by its own right was not put there by the encoder.
        if std::mem::take(&mut self.strip_blank) && tokenizer.is_ordinary(id) {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.pending.extend_from_slice(bytes);
        let text = take_whole_characters(&mut self.pending);
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn finish(&self) -> Option<String> {
        (!self.pending.is_empty()).then(|| String::from_utf8_lossy(&self.pending).into_owned())
    }
}

/// Takes everything off `bytes` but an unfinished character at the end.
fn take_whole_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut rest = bytes.as_slice();
    loop {
        match std::str::from_utf8(rest) {
            Ok(whole) => {
                text.push_str(whole);
                rest = &[];
                break;
            }
            Err(error) => {
                let (whole, after) = rest.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(whole));
                rest = after;
                let Some(wrong) = error.error_len() else { break };
                text.push(char::REPLACEMENT_CHARACTER);
                rest = &rest[wrong..];
            }
        }
    }
    let kept = rest.len();
    bytes.drain(..bytes.len() - kept);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_join_to_the_lossy_whole(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..20)
        ) {
            let mut pending = Vec::new();
            let mut text = String::new();
            for piece in &pieces {
                pending.extend_from_slice(piece);
                text.push_str(&take_whole_characters(&mut pending));
                prop_assert!(pending.len() < 4);
            }
            text.push_str(&String::from_utf8_lossy(&pending));
            let whole = pieces.concat();
            prop_assert_eq!(text, String::from_utf8_lossy(&whole));
        }
    }
}
