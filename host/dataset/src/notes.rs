//! A note's parts: its title, and what stands under each heading.

/// A note, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    /// As the note calls itself, or else its file's name in words.
    pub(crate) title: String,
    /// All of it but the title.
    pub(crate) text: &'a str,
    /// What stands before the first heading below the title.
    pub(crate) intro: &'a str,
    /// What stands under headings, in order; not what stands before the first.
    pub(crate) sections: Vec<Section<'a>>,
}

/// What stands under a heading, down to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    pub(crate) heading: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Note<'a> {
    /// Reads Markdown and Org headings, and headings underlined by `=` or `-`.
    pub(crate) fn of(file_name: &str, body: &'a str) -> Self {
        let headings = headings(body);
        let title = words_of(file_name);
        let mut note = Self { title, text: body.trim(), intro: "", sections: Vec::new() };
        let titled = headings
            .first()
            .filter(|first| body[..first.start].trim().is_empty() && is_only_top(first, &headings));
        let skip = usize::from(titled.is_some());
        if let Some(first) = titled {
            note.title = first.text.to_owned();
            note.text = body[first.end..].trim();
        }
        let start = titled.map_or(0, |first| first.end);
        let end = headings.get(skip).map_or(body.len(), |next| next.start);
        note.intro = body[start..end].trim();
        for (n, heading) in headings.iter().enumerate().skip(skip) {
            let end = headings.get(n + 1).map_or(body.len(), |next| next.start);
            let text = body[heading.end..end].trim();
            if !text.is_empty() {
                note.sections.push(Section { heading: heading.text, text });
            }
        }
        note
    }
}

/// Points of a text that begin by saying what they are about: `- pay: from 17.50`, `**Monday.** Rain.`, `Roof: wet.`
pub(crate) fn points(text: &str) -> Vec<(&str, String)> {
    let mut points: Vec<(&str, String)> = Vec::new();
    let mut open = false;
    let mut after_empty = true;
    for line in text.lines() {
        let bare = line.trim();
        let listed = ["- ", "* ", "+ ", "• "].iter().find_map(|mark| bare.strip_prefix(mark));
        if bare.is_empty() {
            open = false;
        } else if listed.is_some() || after_empty {
            let point = named(listed.unwrap_or(bare));
            open = point.is_some();
            points.extend(point.map(|(name, words)| (name, words.to_owned())));
        } else if let (true, Some((_, words))) = (open, points.last_mut()) {
            words.push('\n');
            words.push_str(line.trim_end());
        }
        after_empty = bare.is_empty();
    }
    points
}

fn named(line: &str) -> Option<(&str, &str)> {
    let (name, words) = match line.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
        Some((name, words)) => (name, words.trim_start_matches([':', '.'])),
        None => line.split_once(": ")?,
    };
    let name = name.trim().trim_end_matches(['.', ':']);
    let fine = (2..=40).contains(&name.chars().count())
        && name.split_whitespace().count() <= 5
        && name.chars().any(char::is_alphabetic)
        && !name.contains(['|', '`', '"', '[', '(', '*', '/']);
    fine.then(|| (name, words.trim())).filter(|(_, words)| !words.is_empty())
}

struct Heading<'a> {
    /// Where its lines begin and end in the body.
    start: usize,
    end: usize,
    level: usize,
    text: &'a str,
}

/// The first heading is the note's title where no other stands as high.
fn is_only_top(first: &Heading<'_>, all: &[Heading<'_>]) -> bool {
    all.iter().skip(1).all(|other| other.level > first.level)
}

fn headings(body: &str) -> Vec<Heading<'_>> {
    let mut found: Vec<Heading<'_>> = Vec::new();
    let (mut start, mut fenced) = (0, false);
    let mut before: Option<(usize, &str)> = None;
    let mut lines = body.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let end = start + line.len();
        let bare = line.trim();
        if bare.starts_with("```") || bare.starts_with("~~~") {
            fenced = !fenced;
        }
        if !fenced {
            if let Some((level, text)) = marked(line.trim_end()) {
                found.push(Heading { start, end, level, text });
            } else if let (Some(level), Some((at, text))) = (underline(bare), before)
                && can_be_heading(text)
            {
                found.push(Heading { start: at, end, level, text });
            } else if before.is_none_or(|(_, text)| text.is_empty())
                && stands_over(line, lines.peek().copied().unwrap_or_default())
            {
                found.push(Heading { start, end, level: 7, text: bare.trim_end_matches(':') });
            }
        }
        before = (!fenced && marked(line.trim_end()).is_none()).then_some((start, bare));
        start = end;
    }
    found
}

/// `## Heading`, `** Heading` as in Org, or `#+TITLE: Heading`.
fn marked(line: &str) -> Option<(usize, &str)> {
    if let Some(title) = line.strip_prefix("#+TITLE:").or_else(|| line.strip_prefix("#+title:")) {
        return Some((0, title.trim())).filter(|(_, text)| !text.is_empty());
    }
    let mark = line.chars().next().filter(|c| *c == '#' || *c == '*')?;
    let level = line.chars().take_while(|c| *c == mark).count();
    let text = line[level..].strip_prefix(' ')?.trim().trim_end_matches('#').trim_end();
    let text =
        ["TODO ", "DONE "].iter().fold(text, |text, word| text.strip_prefix(word).unwrap_or(text));
    // A single `*` is a point of a list in Markdown and a heading in Org; a heading is short and no sentence.
    let fine = level <= 6 && !text.is_empty() && (mark == '#' || level > 1 || can_be_heading(text));
    fine.then(|| (level, text.trim_matches(['*', '_', '`']).trim_end_matches(':')))
}

/// A short line at the margin over a list or over lines that are indented, as people write who use no marks.
fn stands_over(line: &str, next: &str) -> bool {
    let text = line.trim_end();
    let capital = text.chars().next().is_some_and(|c| c.is_uppercase() || c.is_numeric());
    let below = next.trim_start();
    let lists = ["- ", "* ", "+ ", "• "].iter().any(|mark| below.starts_with(mark));
    let indented = next.starts_with(' ') || next.starts_with('\t');
    let is_list = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['.', ')']);
    capital
        && !is_list
        && text.chars().count() <= 40
        && can_be_heading(text)
        && !below.is_empty()
        && (lists || indented)
}

fn underline(bare: &str) -> Option<usize> {
    let whole = |mark| bare.len() >= 3 && bare.chars().all(|c| c == mark);
    if whole('=') { Some(1) } else { whole('-').then_some(2) }
}

fn can_be_heading(text: &str) -> bool {
    let length = text.chars().count();
    (2..=80).contains(&length)
        && text.chars().any(char::is_alphabetic)
        && !text.ends_with(['.', ',', ';', '!'])
        && !text.starts_with(['-', '*', '|', '>', '+'])
}

/// `flood-diary.md` in words.
fn words_of(file_name: &str) -> String {
    let stem = match file_name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 8 && !ending.contains(' ') => {
            stem
        }
        _ => file_name,
    };
    let words = stem.replace(['-', '_'], " ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() { file_name.to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(body: &str) -> Vec<(&str, &str)> {
        Note::of("a.md", body).sections.iter().map(|s| (s.heading, s.text)).collect()
    }

    #[test]
    fn markdown_is_taken_apart_at_its_headings() {
        let body = "# The Lease\n\nIntro.\n\n## Rent\n890\n\n### Later ###\n1000\n## Empty\n## Roof:\nwet\n```\n# no heading\n```\n";
        let note = Note::of("lease.md", body);
        assert_eq!(note.title, "The Lease");
        assert!(note.text.starts_with("Intro.\n\n##"));
        assert_eq!(note.intro, "Intro.");
        let expected =
            [("Rent", "890"), ("Later", "1000"), ("Roof", "wet\n```\n# no heading\n```")];
        assert_eq!(sections(body), expected);
    }

    #[test]
    fn other_marks_are_known() {
        let org = "#+TITLE: Repair day\n\n* People\n- me\n* TODO Ask\nthe council\n";
        assert_eq!(Note::of("x.org", org).title, "Repair day");
        assert_eq!(sections(org), [("People", "- me"), ("Ask", "the council")]);
        let setext = "Big\n===\n\ntext\n\nSmall\n-----\nmore\n";
        assert_eq!(Note::of("x", setext).title, "Big");
        assert_eq!(sections(setext), [("Small", "more")]);
    }

    #[test]
    fn a_short_line_over_a_list_is_a_heading() {
        let plain = "Concert\n\nBefore\n  - deposit\n  - van\n\nOn the day:\n  14:00 keys\n\nThat is all there is.\n- x";
        assert_eq!(
            sections(plain),
            [
                ("Before", "- deposit\n  - van"),
                ("On the day", "14:00 keys\n\nThat is all there is.\n- x")
            ]
        );
        assert!(sections("1. first\n   more of it\n2. second").is_empty());
    }

    #[test]
    fn points_are_named_by_their_first_words() {
        let text = "**25 Jan.** Kofi rang\nat seven.\n\n- pay: from 17.50\n  to 18.40\n- no colon here\n- see http://x.org\n\nRoof: week of 18 May. Dry.";
        let expected = [
            ("25 Jan", "Kofi rang\nat seven.".to_owned()),
            ("pay", "from 17.50\n  to 18.40".to_owned()),
            ("Roof", "week of 18 May. Dry.".to_owned()),
        ];
        assert_eq!(points(text), expected);
    }

    #[test]
    fn what_is_no_heading_is_text() {
        for body in [
            "a\n\nb",
            "* one point of a list, as a sentence.\n* another.",
            "| a |\n---\n| b |",
            "#tag\nx",
        ] {
            assert!(sections(body).is_empty(), "{body}");
        }
        let two = Note::of("flood-diary_2.md", "# One\na\n# Two\nb");
        assert_eq!((two.title.as_str(), two.sections.len()), ("flood diary 2", 2));
        assert_eq!(Note::of("v1.2 and others", "").title, "v1.2 and others");
        assert_eq!(Note::of("-", "").title, "-");
    }
}
