//! Long texts in pieces a model can take.

use hearth_engine_api::EngineError;

/// Splits `text` into pieces that `count` finds to have at most `max_tokens` tokens, each as it stands alone.
/// Pieces end with paragraphs where possible, else with lines, else with sentences or words, and only within
/// a word where it is longer than a piece.
pub(super) fn split(
    text: &str,
    max_tokens: usize,
    count: &dyn Fn(&str) -> Result<usize, EngineError>,
) -> Result<Vec<String>, EngineError> {
    if max_tokens == 0 {
        return Err(EngineError::Invalid { reason: "max_tokens is 0".into() });
    }
    let mut splitter =
        Splitter { max_tokens, count, pieces: Vec::new(), piece: String::new(), tokens: 0 };
    for paragraph in paragraphs(text) {
        splitter.add(paragraph, Level::Paragraph)?;
    }
    splitter.flush()?;
    Ok(splitter.pieces)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Paragraph,
    Line,
}

struct Splitter<'a> {
    max_tokens: usize,
    count: &'a dyn Fn(&str) -> Result<usize, EngineError>,
    pieces: Vec<String>,
    /// The piece under way, and the sum of its parts' tokens.
    piece: String,
    tokens: usize,
}

impl Splitter<'_> {
    fn add(&mut self, part: &str, level: Level) -> Result<(), EngineError> {
        let tokens = (self.count)(part)?;
        if self.tokens + tokens > self.max_tokens {
            self.flush()?;
        }
        if tokens <= self.max_tokens {
            self.piece.push_str(part);
            self.tokens += tokens;
            return Ok(());
        }
        match level {
            Level::Paragraph => {
                part.split_inclusive('\n').try_for_each(|line| self.add(line, Level::Line))
            }
            Level::Line => self.cut(part),
        }
    }

    /// Ends the piece under way.
    fn flush(&mut self) -> Result<(), EngineError> {
        self.tokens = 0;
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() {
            return Ok(());
        }
        // Put together, parts hardly ever take more tokens than apart; where they do, they are cut after all.
        if (self.count)(&piece)? > self.max_tokens {
            return self.cut(&piece);
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// Cuts a text without regard to lines.
    fn cut(&mut self, text: &str) -> Result<(), EngineError> {
        let mut rest = text;
        while !rest.is_empty() {
            let bytes = self.longest_start(rest)?;
            let (piece, after) = rest.split_at(bytes);
            self.pieces.push(piece.to_owned());
            rest = after;
        }
        Ok(())
    }

    /// Bytes of a start of `text` that fits, not much shorter than it could be.
    fn longest_start(&self, text: &str) -> Result<usize, EngineError> {
        // A token is seldom longer than this; what lies beyond is not looked at.
        const TOKEN_BYTES: usize = 8;
        let window = self.max_tokens.saturating_mul(TOKEN_BYTES).max(4);
        let mut bytes = text.floor_char_boundary(window);
        loop {
            let tokens = (self.count)(&text[..bytes])?;
            if tokens <= self.max_tokens {
                return Ok(bytes);
            }
            let first = text.chars().next().map_or(1, char::len_utf8);
            if bytes <= first {
                return Err(EngineError::Invalid {
                    reason: format!(
                        "max_tokens is {}, one character needs {tokens}",
                        self.max_tokens
                    ),
                });
            }
            let guess = (bytes * self.max_tokens / tokens).min(bytes - 1);
            bytes = pleasant_end(text, text.floor_char_boundary(guess)).max(first);
        }
    }
}

/// The end of a sentence or a word in the second half of the first `bytes` of `text`, else `bytes`.
fn pleasant_end(text: &str, bytes: usize) -> usize {
    let half = text.floor_char_boundary(bytes / 2);
    let second = &text[half..bytes];
    let sentence = [". ", "! ", "? "].iter().filter_map(|end| second.rfind(end)).max();
    match sentence.or_else(|| second.rfind(char::is_whitespace)) {
        Some(end) => {
            let after = half + end;
            // The blank stays with what it ends.
            text[after..bytes]
                .char_indices()
                .find(|(_, c)| c.is_whitespace())
                .map_or(after, |(offset, c)| after + offset + c.len_utf8())
        }
        None => bytes,
    }
}

/// Stretches that end with empty lines.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find("\n\n").map_or(rest.len(), |start| {
            let after = rest[start..].trim_start_matches('\n');
            rest.len() - after.len()
        });
        let (paragraph, after) = rest.split_at(end);
        rest = after;
        Some(paragraph)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Four bytes make a token.
    fn by_bytes(text: &str) -> Result<usize, EngineError> {
        Ok(text.len().div_ceil(4))
    }

    /// A word with the blank before it makes a token, and a text costs one more.
    fn by_words(text: &str) -> Result<usize, EngineError> {
        Ok(1 + text.split_whitespace().count())
    }

    proptest! {
        #[test]
        fn pieces_fit_and_join_to_the_text(
            text in "([a-zü]{0,12}[ .\n]{0,2}){0,40}", max in 2usize..30
        ) {
            for count in [by_bytes, by_words] {
                let pieces = split(&text, max, &count).unwrap();
                prop_assert_eq!(pieces.concat(), text.clone());
                for piece in &pieces {
                    prop_assert!(!piece.is_empty());
                    prop_assert!(count(piece).unwrap() <= max);
                }
            }
        }
    }

    #[test]
    fn pieces_end_where_the_text_allows() {
        let pieces = |text, max| split(text, max, &by_bytes).unwrap();
        assert_eq!(
            pieces("one two\n\nthree four\n\nfive", 6),
            ["one two\n\nthree four\n\n", "five"]
        );
        assert_eq!(
            pieces("one line\ntwo line\nthree lines", 6),
            ["one line\ntwo line\n", "three lines"]
        );
        assert_eq!(
            pieces("Some words. And more words follow", 5),
            ["Some words. ", "And more words ", "follow"]
        );
        assert_eq!(pieces("aaaaaaaaaaaa", 2), ["aaaaaaaa", "aaaa"]);
        assert!(pieces("", 5).is_empty());
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        assert!(split("x", 0, &by_bytes).is_err());
        let three_each = |text: &str| Ok(text.chars().count() * 3);
        assert!(matches!(split("xy", 2, &three_each), Err(EngineError::Invalid { .. })));
        assert_eq!(split("xy", 3, &three_each).unwrap(), ["x", "y"]);
    }
}
