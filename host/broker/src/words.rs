//! Making texts safe to draw: characters that steer the display are shown instead of obeyed.

use std::fmt::Write as _;

/// Escapes the words of a plugin, for one line: control, direction, zero-width and other invisible characters become
/// visible (`\u{202e}`), line breaks and tabs become spaces.
pub fn escape_words(text: &str) -> String {
    escape(text, |c| match c {
        '\n' | '\r' | '\t' => Shown::As(' '),
        _ if c.is_control() || is_direction(c) || is_invisible(c) => Shown::Escaped,
        _ => Shown::Plain,
    })
}

/// Escapes a longer text, such as a document's or the model's: control characters and direction overrides become
/// visible. Line breaks stay, and so do the joiners that scripts and emoji need.
pub fn escape_text(text: &str) -> String {
    escape(text, |c| match c {
        '\n' | '\t' => Shown::Plain,
        '\r' => Shown::Nothing,
        _ if c.is_control() || is_direction(c) => Shown::Escaped,
        _ => Shown::Plain,
    })
}

enum Shown {
    Plain,
    As(char),
    Escaped,
    Nothing,
}

/// More marks than this on one character would tower over the lines around it.
const MOST_MARKS: usize = 8;

fn escape(text: &str, rule: impl Fn(char) -> Shown) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        let shown = if marks > MOST_MARKS { Shown::Escaped } else { rule(c) };
        match shown {
            Shown::Plain => out.push(c),
            Shown::As(other) => out.push(other),
            Shown::Nothing => {}
            Shown::Escaped => {
                // Writing to a string cannot fail.
                write!(out, "{}", c.escape_unicode()).ok();
            }
        }
    }
    out
}

/// Marks that stand above, below or through the character before them, in the scripts that have any.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}'
            | '\u{483}'..='\u{489}'
            | '\u{591}'..='\u{5bd}'
            | '\u{610}'..='\u{61a}'
            | '\u{64b}'..='\u{65f}'
            | '\u{6d6}'..='\u{6ed}'
            | '\u{e31}'
            | '\u{e34}'..='\u{e3a}'
            | '\u{e47}'..='\u{e4e}'
            | '\u{f71}'..='\u{f84}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
}

/// Embeddings, overrides and isolates: they reorder the words around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that take no room: zero-width ones, marks, fillers, variation selectors, tags.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{2029}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steering_characters_are_shown() {
        for (text, words) in [
            ("plain ä 日本", "plain ä 日本"),
            ("a\nb\tc", "a b c"),
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("pay\u{200b}pal", r"pay\u{200b}pal"),
            ("\u{202e}gpj.exe", r"\u{202e}gpj.exe"),
            ("\u{2066}x\u{2069}", r"\u{2066}x\u{2069}"),
            ("x\u{e0041}", r"x\u{e0041}"),
            ("\u{feff}x\u{ad}", r"\u{feff}x\u{ad}"),
            ("\u{7}\u{85}", r"\u{7}\u{85}"),
        ] {
            assert_eq!(escape_words(text), words);
        }
    }

    #[test]
    fn texts_keep_lines_and_joiners() {
        assert_eq!(escape_text("a\r\n\tb"), "a\n\tb");
        assert_eq!(escape_text("👩\u{200d}💻 \u{202e}x"), "👩\u{200d}💻 \\u{202e}x");
    }

    #[test]
    fn marks_do_not_tower() {
        let tower = format!("a{}b", "\u{30d}".repeat(10));
        let kept = "\u{30d}".repeat(8);
        let expected = format!("a{kept}\\u{{30d}}\\u{{30d}}b");
        assert_eq!(escape_words(&tower), expected);
        assert_eq!(escape_text(&tower), expected);
        for honest in ["e\u{301}\u{323}", "ที่นี่", "שָׁלוֹם", "หนังสือ"]
        {
            assert_eq!(escape_words(honest), honest);
        }
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_left(text in any::<String>()) {
            let words = escape_words(&text);
            let invisible = |c: char| c.is_control() || is_direction(c) || is_invisible(c);
            prop_assert!(!words.contains(invisible));
            let shown = escape_text(&text);
            prop_assert!(!shown.contains(is_direction));
            prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
