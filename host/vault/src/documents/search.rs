//! What the user types, as a full-text query that means just that.

/// An FTS5 expression for `text`: each word quoted, so that no operator or column name in it has a meaning, and the
/// last one open-ended. `None` where it has no word the index could hold.
pub(super) fn expression(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    if words.is_empty() {
        return None;
    }
    let open = if text.ends_with(char::is_whitespace) { "" } else { " *" };
    Some(format!("{}{open}", words.join(" ")))
}
