//! How long a template's expressions are.

use minijinja::{
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
};

/// Words and marks of the longest tag, as the parser itself will see them.
pub(super) fn longest_tag_words(source: &str, syntax: SyntaxConfig) -> usize {
    let mut longest = 0;
    let mut words = 0;
    // What cannot be told apart ends the parser's work too.
    for (token, _) in tokenize(source, false, syntax).map_while(Result::ok) {
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => words = 0,
            _ => words += 1,
        }
        longest = longest.max(words);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks_count_in_tags_alone() {
        let words = |source: &str| longest_tag_words(source, SyntaxConfig::default());
        assert_eq!(words("a b c { d } e"), 0);
        assert_eq!(words("{{ ab }}"), 2);
        assert_eq!(words("{%- if a == 'b c }} d' %}{{x}}"), 5);
        assert_eq!(words("{{ 1 + 2 - 3 "), 5);
        for hidden in ["", "{% raw %}{{ ' {% endraw %}", "{# {{ ' #}", "{{ {'a': {}} "] {
            let close = "#}'";
            let source = format!("{hidden}{{{{ {}1 }}}}{close}", "-".repeat(5000));
            let in_map = hidden.contains("'a'");
            let source = if in_map { source.replacen("{{ --", "--", 1) } else { source };
            assert!(words(&source) > 4900, "{hidden}");
        }
    }
}
