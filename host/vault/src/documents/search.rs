//! What the user types, as a full-text query that means just that.

use crate::StoreError;

/// Words of a query: each is looked up in the index, while everybody else waits for the vault.
const MOST_WORDS: usize = 64;
/// Bytes of a query.
const MOST_BYTES: usize = 4 << 10;

/// An FTS5 expression for `text`: each word quoted, so that no operator or column name in it has a meaning, and the
/// last one open-ended. `None` where it has no word the index could hold.
///
/// # Errors
/// [`StoreError::SearchTooLong`]: nothing of it is passed over.
pub(super) fn expression(text: &str) -> Result<Option<String>, StoreError> {
    let words = words(text)?;
    if words.is_empty() {
        return Ok(None);
    }
    let open = if text.ends_with(char::is_whitespace) { "" } else { " *" };
    Ok(Some(format!("{}{open}", words.join(" "))))
}

/// The same for any of the words.
///
/// # Errors
/// As [`expression`].
pub(super) fn any_of(text: &str) -> Result<Option<String>, StoreError> {
    let words = words(text)?;
    Ok((!words.is_empty()).then(|| words.join(" OR ")))
}

/// The words of a search, quoted.
fn words(text: &str) -> Result<Vec<String>, StoreError> {
    let too_long = StoreError::SearchTooLong { limit_words: MOST_WORDS, limit_bytes: MOST_BYTES };
    if text.len() > MOST_BYTES {
        return Err(too_long);
    }
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    if words.len() > MOST_WORDS { Err(too_long) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_search_is_refused_and_never_cut() {
        let most = "word ".repeat(MOST_WORDS);
        assert!(expression(&most).unwrap().is_some());
        for long in [format!("{most}more"), "x".repeat(MOST_BYTES + 1), " ".repeat(MOST_BYTES + 1)]
        {
            let refused = expression(&long);
            assert!(matches!(refused, Err(StoreError::SearchTooLong { limit_words: 64, .. })));
        }
        assert!(any_of(&most).unwrap().is_some());
        assert!(any_of(&format!("{most}more")).is_err());
        // What the tokenizer takes apart counts as one word, and is bounded by its bytes.
        assert!(expression(&"a.".repeat(MOST_BYTES / 2)).unwrap().is_some());
    }
}
