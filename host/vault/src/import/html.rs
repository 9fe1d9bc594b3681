//! HTML to text.

use std::collections::HashMap;

use mail_parser::decoders::html::html_to_text;

/// Columns at which lines are broken.
const WIDTH: usize = 100;

/// Beyond these the tree builder's work could grow with the square of the input.
const MAX_HTML_BYTES: usize = 4 << 20;
const MAX_DEPTH: u64 = 400;
const MAX_REOPENED: u64 = 1_000_000;

/// Elements that indent what is in them; beyond so many, words would be broken to fit the lines.
const INDENTING: [&str; 4] = ["ul", "ol", "blockquote", "dl"];
const MAX_INDENTS: u64 = 20;

/// Elements that, left open, are opened again in every block after them.
const FORMATTING: [&str; 14] = [
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];

/// Elements that hold nothing, or that the next of their kind closes.
const UNCLOSED: [&str; 26] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "p", "li", "td", "th", "tr", "dt", "dd", "option", "tbody", "thead", "tfoot",
    "colgroup",
];

/// The text of an HTML document, and whether it had to be read in the simpler way: tag by tag, without a tree.
pub(super) fn to_text(html: &str) -> (String, bool) {
    if html.len() <= MAX_HTML_BYTES && is_shallow(html) {
        let config = html2text::config::plain_no_decorate()
            .raw_mode(true)
            .no_table_borders()
            .no_link_wrapping()
            .allow_width_overflow();
        if let Ok(text) = config.string_from_read(html.as_bytes(), WIDTH) {
            return (text, false);
        }
    }
    (html_to_text(html), true)
}

/// Whether tags nest so little that a tree of them stays small. Formatting tags left open are opened again in every
/// block after them, so how many are open is summed up over all tags.
fn is_shallow(html: &str) -> bool {
    let mut open: HashMap<String, u64> = HashMap::new();
    let (mut depth, mut formatting, mut reopened, mut indents) = (0_u64, 0_u64, 0_u64, 0_u64);
    for tag in html.split('<').skip(1) {
        let (closes, rest) = match tag.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, tag),
        };
        let letters = rest.chars().take_while(char::is_ascii_alphanumeric).take(16);
        let name: String = letters.map(|c| c.to_ascii_lowercase()).collect();
        reopened += formatting;
        if depth > MAX_DEPTH || reopened > MAX_REOPENED || indents > MAX_INDENTS {
            return false;
        }
        if name.is_empty() || UNCLOSED.contains(&name.as_str()) {
            continue;
        }
        let formats = u64::from(FORMATTING.contains(&name.as_str()));
        let indented = u64::from(INDENTING.contains(&name.as_str()));
        let count = open.entry(name).or_default();
        if !closes {
            *count += 1;
            depth += 1;
            formatting += formats;
            indents += indented;
        } else if *count > 0 {
            *count -= 1;
            depth -= 1;
            formatting -= formats;
            indents -= indented;
        }
    }
    depth <= MAX_DEPTH && indents <= MAX_INDENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_html_becomes_readable_text() {
        let html = "<html><head><style>p { color: red }</style></head><body><h1>Hello</h1>\
                    <p>One &amp; two<br>three</p><ul><li>a<li>b</ul>\
                    <table><tr><td>Chain</td><td>12.50</td></tr></table></body></html>";
        let (text, simpler) = to_text(html);
        assert!(!simpler);
        for part in ["Hello", "One & two", "three", "Chain", "12.50"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("color"), "{text}");
        assert!(!text.contains('<'), "{text}");
    }

    #[test]
    fn html_made_to_exhaust_is_read_in_the_simpler_way() {
        let deep = "<div>".repeat(100_000) + "needle";
        let fonts: String = (0..390).map(|n| format!("<font color={n}>")).collect();
        let wide = fonts + &"<p>x".repeat(200_000) + "needle";
        let long = "<p>x</p>".repeat(600_000) + "needle";
        for html in [deep, wide, long] {
            let (text, simpler) = to_text(&html);
            assert!(simpler);
            assert!(text.contains("needle"));
        }
    }

    /// On a thread with the small stack that test and pool threads have.
    #[test]
    fn the_deepest_html_that_gets_a_tree_fits_the_stack() {
        let (deep, indented) = (MAX_DEPTH as usize, MAX_INDENTS as usize);
        for (tag, times) in [
            ("<div>", deep),
            ("<table><tr><td>", deep),
            ("<section><p>", deep),
            ("<b>", deep),
            ("<ul><li>", indented),
            ("<blockquote>", indented),
            ("<dl><dd>", indented),
        ] {
            let html = tag.repeat(times) + "needle";
            assert!(is_shallow(&html), "{tag}");
            let (text, _) = to_text(&html);
            assert!(text.contains("needle"), "{tag}");
        }
    }
}
