//! Source files, block by block.

use hearth_engine_api::Example;
use hearth_vault::{Document, DocumentKind};

use super::{Context, Draft, Made};
use crate::report::LeftOut;

/// Fewest lines of a block; shorter ones go with the next.
const BLOCK_LINES: usize = 4;

/// Most lines of a block; longer ones are parted at an empty line, or there.
const LONG_BLOCK_LINES: usize = 48;

/// Files that hold data rather than code.
const DATA: [&str; 4] = ["json", "xml", "lock", "svg"];

/// Nobody writes a line as long as this by hand.
const LONG_LINE_BYTES: usize = 2000;

/// Characters of the file that stand before a block, counted back from it to the beginning of a line.
const BEFORE_CHARS: usize = 4000;

pub(super) fn of_document(context: &Context<'_>, document: &Document) -> Made {
    if document.head.kind != DocumentKind::Code {
        return Err(LeftOut::OtherKind);
    }
    let body = document.body.trim_end();
    let ending = document.head.title.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    if DATA.contains(&ending.as_str()) || body.lines().any(|line| line.len() > LONG_LINE_BYTES) {
        return Err(LeftOut::DataFile);
    }
    let borders = borders(body);
    if borders.len() < 3 {
        return Err(LeftOut::OneBlock);
    }
    let made: Vec<Draft> = borders
        .windows(2)
        .skip(1)
        .map(|ends| {
            let (before, shortened) = last_lines(&body[..ends[0]], BEFORE_CHARS);
            let completion = body[ends[0]..ends[1]].to_owned();
            let example = Example::Completion { prompt: before.to_owned(), completion };
            Draft { shortened, ..context.draft(document, example) }
        })
        .collect();
    Ok(made)
}

/// Where blocks begin, and the end of the last. A block is what a reader would call one: it begins at the margin after
/// an empty line.
fn borders(body: &str) -> Vec<usize> {
    let mut borders = vec![0];
    let (mut at, mut lines, mut after_empty) = (0, 0, false);
    let mut last_empty = None;
    for line in body.split_inclusive('\n') {
        let empty = line.trim().is_empty();
        let at_margin = !line.starts_with([' ', '\t', '}', ')', ']']) && !empty;
        if at_margin && after_empty && lines >= BLOCK_LINES {
            borders.push(at);
            (lines, last_empty) = (0, None);
        } else if lines >= LONG_BLOCK_LINES {
            let cut = last_empty.take().unwrap_or(at);
            borders.push(cut);
            lines = body[cut..at].lines().count();
        }
        if empty {
            last_empty = Some(at + line.len()).filter(|_| lines >= BLOCK_LINES);
        }
        lines += 1;
        at += line.len();
        after_empty = empty;
    }
    if borders.last() != Some(&body.len()) {
        borders.push(body.len());
    }
    borders
}

/// The last whole lines of a text, and whether there was more.
fn last_lines(text: &str, most_chars: usize) -> (&str, bool) {
    let Some((from, _)) = text.char_indices().rev().nth(most_chars.saturating_sub(1)) else {
        return (text, false);
    };
    if from == 0 {
        return (text, false);
    }
    let line = text[from..].find('\n').map_or(from, |end| from + end + 1);
    // One endless line is better cut than left out.
    (if line < text.len() { &text[line..] } else { &text[from..] }, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_begin_at_the_margin_after_an_empty_line() {
        let code = "//! x\nuse a;\nuse b;\n\nuse c;\n\nfn one() {\n    1;\n\n    2;\n}\n\nfn two() {\n    3;\n    4;\n}";
        let borders = borders(code);
        let blocks: Vec<_> = borders.windows(2).map(|w| &code[w[0]..w[1]]).collect();
        assert_eq!(blocks.len(), 3, "{blocks:?}");
        assert!(
            blocks[0].starts_with("//! x") && blocks[0].ends_with("use c;\n\n")
                || blocks[1].starts_with("use c;")
        );
        assert!(blocks[2].starts_with("fn two"));
    }

    #[test]
    fn the_lines_before_are_whole() {
        assert_eq!(last_lines("abc\ndef\nghi", 6), ("ghi", true));
        assert_eq!(last_lines("abc\ndef", 99), ("abc\ndef", false));
        assert_eq!(last_lines("abcdef", 6), ("abcdef", false));
        assert_eq!(last_lines("abcdef", 3), ("def", true));
    }

    proptest! {
        #[test]
        fn blocks_are_the_whole_file(body in "([ a}]{0,3}\n){0,200}") {
            let body = body.trim_end();
            let borders = borders(body);
            prop_assert!(borders.windows(2).all(|w| w[0] < w[1]) || body.is_empty());
            prop_assert_eq!((borders[0], borders[borders.len() - 1]), (0, body.len()));
            for window in borders.windows(2) {
                prop_assert!(body[window[0]..window[1]].lines().count() <= LONG_BLOCK_LINES + 1);
            }
        }

        #[test]
        fn before_is_the_end_of_what_there_is(text in "[aü\n]{0,60}", most in 1usize..40) {
            let (shown, shortened) = last_lines(&text, most);
            prop_assert!(text.ends_with(shown) && shown.chars().count() <= most.max(1));
            prop_assert_eq!(shortened, shown.len() < text.len());
        }
    }
}
