//! All that is written: results to stdout, as text or as JSON lines; progress and errors to stderr.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::shell::Failure;

/// Where results go.
#[derive(Clone, Copy)]
pub(crate) struct Out {
    json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A result: one line of JSON, or text for people.
    pub(crate) fn result(self, json: impl Serialize, text: impl Display) {
        if self.json {
            self.json(json);
        } else {
            self.text(text);
        }
    }

    /// A line for people; nothing under `--json`.
    pub(crate) fn text(self, text: impl Display) {
        if !self.json {
            write_stdout(&format!("{}\n", plain(&text.to_string())));
        }
    }

    /// A piece of a line for people, written at once.
    pub(crate) fn piece(self, text: &str) {
        if !self.json {
            write_stdout(&plain(text));
        }
    }

    /// A line of JSON, whatever was asked for.
    pub(crate) fn json(self, json: impl Serialize) {
        match serde_json::to_string(&json) {
            Ok(line) => write_stdout(&format!("{line}\n")),
            Err(error) => note(&format!("a result cannot be written as JSON: {error}")),
        }
    }

    /// Text exactly as it is.
    pub(crate) fn verbatim(self, text: &str) {
        write_stdout(text);
    }

    /// A bar on stderr, where that is a terminal.
    pub(crate) fn bar(self, title: &str) -> ProgressBar {
        if !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(1000);
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3}% {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix(plain(title));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    pub(crate) fn failure(self, failure: &Failure) {
        let error = &failure.0;
        note(&format!("error: {}", error.message));
        if !error.hint.is_empty() {
            note(&format!("hint: {}", error.hint));
        }
    }
}

/// A line on stderr. Nobody can be told that stderr is gone.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{}", plain(text)).ok();
}

/// A piece of a line on stderr.
pub(crate) fn prompt(text: &str) {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{}", plain(text)).and_then(|()| stderr.flush()).ok();
}

/// Writes and flushes. A reader that has gone away, as `head` does, ends the program quietly.
fn write_stdout(text: &str) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            note(&format!("error: cannot write the result: {error}"));
            std::process::exit(1);
        }
        std::process::exit(0);
    }
}

/// A stranger's words without what could steer the terminal.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// Seconds since 1970 as a day, or blanks.
pub(crate) fn day(secs: Option<i64>) -> String {
    let Some(secs) = secs else { return " ".repeat(10) };
    // Days to a civil date, after Howard Hinnant's `civil_from_days`.
    let z = secs.div_euclid(86_400) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// At most `chars` characters, with a mark where some are left out.
pub(crate) fn short(text: &str, chars: usize) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.chars().count() <= chars {
        return one_line;
    }
    one_line.chars().take(chars.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(plain("a\u{1b}[31mb\u{202e}c\td\n"), "a\u{fffd}[31mb\u{fffd}c\td\n");
    }

    #[test]
    fn days() {
        assert_eq!(day(Some(0)), "1970-01-01");
        assert_eq!(day(Some(1_709_164_800)), "2024-02-29");
        assert_eq!(day(Some(-1)), "1969-12-31");
        assert_eq!(day(None).len(), 10);
    }

    #[test]
    fn short_lines() {
        assert_eq!(short("a  b\nc", 10), "a b c");
        assert_eq!(short("abcdef", 4), "abc…");
    }
}
