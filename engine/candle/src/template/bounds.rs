//! How long a template's expressions are.

/// Words and marks of the longest tag. Texts in quotes count as one.
pub(super) fn longest_tag_words(source: &str) -> usize {
    let mut longest = 0;
    let mut rest = source;
    while let Some((_, inside)) = rest.split_once('{') {
        match inside.chars().next() {
            Some('{' | '%') => {
                let (words, after) = tag_words(&inside[1..]);
                longest = longest.max(words);
                rest = after;
            }
            _ => rest = inside,
        }
    }
    longest
}

/// Words and marks up to the tag's end, and what follows it.
fn tag_words(mut rest: &str) -> (usize, &str) {
    let mut words = 0;
    let mut in_word = false;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("%}") {
            return (words, after);
        }
        rest = &rest[c.len_utf8()..];
        let is_word = c.is_alphanumeric() || c == '_';
        words += usize::from(!(c.is_whitespace() || is_word && in_word));
        in_word = is_word;
        if matches!(c, '"' | '\'') {
            rest = after_text(rest, c);
        } else if c == '}' && rest.starts_with('}') && !closes_map(rest) {
            return (words, &rest[1..]);
        }
    }
    (words, rest)
}

/// Whether the brace at the front closes a map within the tag, whose own end follows.
fn closes_map(rest: &str) -> bool {
    rest.starts_with("}}") || rest.starts_with("}%}")
}

/// What follows a text in quotes whose first has been read.
fn after_text(rest: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return &rest[at + c.len_utf8()..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks_count_in_tags_alone() {
        assert_eq!(longest_tag_words("a b c { d } e"), 0);
        assert_eq!(longest_tag_words("{{ ab }}"), 2);
        assert_eq!(longest_tag_words("{%- if a == 'b c }} d' %}{{x}}"), 8);
        assert_eq!(longest_tag_words("{{ 1 + 2 - 3 "), 5);
        assert!(longest_tag_words(&format!("{{{{ {}1 }}}}", "-".repeat(5000))) > 5000);
        assert!(longest_tag_words(&format!("{{{{ 1{} }}}}", "|a".repeat(5000))) > 5000);
    }
}
