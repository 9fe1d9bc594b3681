//! Regular expressions as schemas write them (ECMA 262), in the grammar library's syntax.
//!
//! The two look alike and differ in what they match: classes of classes, `.`, `\s`, `{,3}` and more. Whatever
//! would match more than its author meant is translated, or refused.

use std::{iter::Peekable, str::Chars};

use super::GrammarError;

/// Longest pattern; the longest in use have some hundreds.
const MAX_CHARS: usize = 4096;
/// Largest count in braces.
const MAX_COUNT: u32 = 10_000;

/// What `\d`, `\w` and `\s` stand for, without the brackets.
const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\x{9}-\x{d}\x{20}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";
/// What `.` does not match.
const LINE_ENDS: &str = r"\x{a}\x{d}\x{2028}\x{2029}";

/// Translates `pattern`.
///
/// # Errors
/// [`GrammarError::Pattern`] for what is not supported: look-around, back references, word boundaries, flags, and
/// escapes that ECMA 262 does not know.
pub(super) fn translate(pattern: &str) -> Result<String, GrammarError> {
    if pattern.len() > MAX_CHARS {
        return Err(GrammarError::TooLarge { what: "bytes in a pattern", limit: MAX_CHARS });
    }
    let mut translator =
        Translator { chars: pattern.chars().peekable(), out: String::new(), unspellable: false };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'p> {
    chars: Peekable<Chars<'p>>,
    out: String,
    /// Whether a character has been asked for that no string of an answer may hold.
    unspellable: bool,
}

/// What an escape stands for.
enum Escape {
    Char(char),
    /// The inside of a class, and whether it is negated.
    Class(String, bool),
    /// `\p{…}` as it stands.
    Property(String),
}

/// What there is before a place: something that can be repeated, or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Atom,
    Repeated,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), GrammarError> {
        let mut before = Before::Nothing;
        let mut open = 0_u32;
        while let Some(c) = self.chars.next() {
            before = match c {
                '\\' => {
                    let escape = self.escape(false)?;
                    self.put_escape(&escape);
                    Before::Atom
                }
                '[' => {
                    self.class()?;
                    Before::Atom
                }
                '.' => {
                    self.out.push_str(&format!("[^{LINE_ENDS}]"));
                    Before::Atom
                }
                '(' => {
                    self.group()?;
                    open += 1;
                    Before::Nothing
                }
                ')' => {
                    open = open.checked_sub(1).ok_or(refused("a bracket is closed twice"))?;
                    self.out.push(')');
                    Before::Atom
                }
                '^' | '$' | '|' => {
                    self.out.push(c);
                    Before::Nothing
                }
                '*' | '+' | '?' | '{' => self.repetition(c, before)?,
                c => {
                    self.put_escape(&Escape::Char(c));
                    Before::Atom
                }
            };
            if self.unspellable {
                return Err(refused(
                    "it asks for a control character that JSON spells by its number",
                ));
            }
        }
        if open > 0 {
            return Err(refused("a bracket is not closed"));
        }
        Ok(())
    }

    /// Any character by its number, but for those that mean nothing but themselves.
    fn put_char(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() {
            self.out.push(c);
        } else {
            self.out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
        }
    }

    fn put_escape(&mut self, escape: &Escape) {
        match escape {
            Escape::Char(c) => {
                self.unspellable |= !is_spelled(*c);
                self.put_char(*c);
            }
            Escape::Class(inside, false) => self.out.push_str(&format!("[{inside}]")),
            Escape::Class(inside, true) => self.out.push_str(&format!("[^{inside}]")),
            Escape::Property(property) => self.out.push_str(property),
        }
    }

    /// The opening of a group, the bracket being read.
    fn group(&mut self) -> Result<(), GrammarError> {
        if self.chars.next_if_eq(&'?').is_none() {
            self.out.push_str("(?:");
            return Ok(());
        }
        match (self.chars.next(), self.chars.peek()) {
            (Some(':'), _) => {}
            (Some('='), _) | (Some('!'), _) | (Some('<'), Some('=' | '!')) => {
                return Err(refused("look-around is not supported"));
            }
            (Some('<'), _) => {
                let named = self.chars.by_ref().any(|c| c == '>');
                if !named {
                    return Err(refused("a group's name does not end"));
                }
            }
            _ => return Err(refused("flags are not supported")),
        }
        self.out.push_str("(?:");
        Ok(())
    }

    /// A repetition, or a brace that is none.
    fn repetition(&mut self, c: char, before: Before) -> Result<Before, GrammarError> {
        let lazy = c == '?' && before == Before::Repeated;
        if lazy {
            // How eagerly a repetition matches makes no difference to what it matches.
            return Ok(Before::Nothing);
        }
        if c == '{' {
            let Some(counts) = self.counts()? else {
                self.put_char('{');
                return Ok(Before::Atom);
            };
            if before != Before::Atom {
                return Err(refused("there is nothing to repeat"));
            }
            self.out.push_str(&counts);
            return Ok(Before::Repeated);
        }
        if before != Before::Atom {
            return Err(refused("there is nothing to repeat"));
        }
        self.out.push(c);
        Ok(Before::Repeated)
    }

    /// `{2}`, `{2,}` or `{2,3}`, the brace being read; nothing where it means itself.
    fn counts(&mut self) -> Result<Option<String>, GrammarError> {
        let mut ahead = self.chars.clone();
        let inside: String = ahead.by_ref().take_while(|c| *c != '}').collect();
        let closed = inside.chars().count() < self.chars.clone().count();
        let (least, most) = match inside.split_once(',') {
            Some((least, most)) => (least, Some(most)),
            None => (inside.as_str(), None),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !closed || !digits(least) || most.is_some_and(|most| !most.is_empty() && !digits(most)) {
            return Ok(None);
        }
        for count in [Some(least), most].into_iter().flatten().filter(|count| !count.is_empty()) {
            if !count.parse().is_ok_and(|count: u32| count <= MAX_COUNT) {
                return Err(GrammarError::TooLarge {
                    what: "repetitions in a pattern",
                    limit: MAX_COUNT as usize,
                });
            }
        }
        self.chars = ahead;
        Ok(Some(format!("{{{inside}}}")))
    }

    /// A class, the bracket being read.
    fn class(&mut self) -> Result<(), GrammarError> {
        self.out.push('[');
        let negated = self.chars.next_if_eq(&'^').is_some();
        if negated {
            self.out.push('^');
        }
        // Of what a class offers something must be left that can be spelled.
        let mut spelled = negated;
        if self.chars.peek() == Some(&']') {
            return Err(refused("a class is empty"));
        }
        loop {
            let first = match self.chars.next() {
                None => return Err(refused("a class does not end")),
                Some(']') => break,
                Some('\\') => self.escape(true)?,
                Some(c) => Escape::Char(c),
            };
            let range = self.chars.peek() == Some(&'-')
                && self.chars.clone().nth(1).is_some_and(|after| after != ']');
            if !range {
                spelled |= !matches!(first, Escape::Char(c) if !is_spelled(c));
                self.put_escape_in_class(&first);
                continue;
            }
            self.chars.next();
            let last = match self.chars.next() {
                Some('\\') => self.escape(true)?,
                Some(c) => Escape::Char(c),
                None => return Err(refused("a class does not end")),
            };
            match (&first, &last) {
                (Escape::Char(from), Escape::Char(to)) if from <= to => {
                    spelled |= is_spelled(*from) || is_spelled(*to);
                    self.put_char(*from);
                    self.out.push('-');
                    self.put_char(*to);
                }
                (Escape::Char(_), Escape::Char(_)) => {
                    return Err(refused("a range of characters runs backwards"));
                }
                // Where one side is a class, the dash is a dash.
                _ => {
                    spelled = true;
                    self.put_escape_in_class(&first);
                    self.put_char('-');
                    self.put_escape_in_class(&last);
                }
            }
        }
        self.out.push(']');
        self.unspellable |= !spelled;
        Ok(())
    }

    fn put_escape_in_class(&mut self, escape: &Escape) {
        match escape {
            Escape::Char(c) => self.put_char(*c),
            Escape::Class(inside, false) => self.out.push_str(inside),
            other => self.put_escape(other),
        }
    }

    /// What comes after a backslash.
    fn escape(&mut self, in_class: bool) -> Result<Escape, GrammarError> {
        let Some(c) = self.chars.next() else { return Err(refused("it ends in a backslash")) };
        let class = |inside: &str, negated| Escape::Class(inside.to_owned(), negated);
        Ok(match c {
            'd' | 'D' => class(DIGITS, c == 'D'),
            'w' | 'W' => class(WORD, c == 'W'),
            's' | 'S' => class(SPACE, c == 'S'),
            't' => Escape::Char('\t'),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            'v' => Escape::Char('\u{b}'),
            'f' => Escape::Char('\u{c}'),
            'b' if in_class => Escape::Char('\u{8}'),
            'b' | 'B' => return Err(refused("word boundaries are not supported")),
            '0' if !self.chars.peek().is_some_and(char::is_ascii_digit) => Escape::Char('\0'),
            '0'..='9' | 'k' => return Err(refused("back references are not supported")),
            'c' => match self.chars.next() {
                Some(letter) if letter.is_ascii_alphabetic() => {
                    Escape::Char(char::from(letter as u8 % 32))
                }
                _ => return Err(refused("an escaped control character has no letter")),
            },
            'x' => Escape::Char(self.code(2)?),
            'u' => Escape::Char(self.unicode()?),
            'p' | 'P' => Escape::Property(self.property(c)?),
            c if c.is_ascii_alphabetic() => {
                return Err(refused("ECMA 262 does not know an escape in it"));
            }
            c => Escape::Char(c),
        })
    }

    fn unicode(&mut self) -> Result<char, GrammarError> {
        if self.chars.next_if_eq(&'{').is_none() {
            return self.code(4);
        }
        let digits: String = self.chars.by_ref().take_while(|c| *c != '}').collect();
        character(&digits)
    }

    fn code(&mut self, digits: usize) -> Result<char, GrammarError> {
        let digits: String = self.chars.by_ref().take(digits).collect();
        character(&digits)
    }

    /// `{Letter}` after `\p`; what it names is the grammar library's to know.
    fn property(&mut self, p: char) -> Result<String, GrammarError> {
        let opened = self.chars.next_if_eq(&'{').is_some();
        let name: String = self.chars.by_ref().take_while(|c| *c != '}').collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '=';
        if !opened || name.is_empty() || !name.chars().all(plain) {
            return Err(refused("a character property has no name"));
        }
        Ok(format!("\\{p}{{{name}}}"))
    }
}

fn character(digits: &str) -> Result<char, GrammarError> {
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| plain)
        .and_then(char::from_u32)
        .ok_or(refused("a character's number is not one"))
}

/// Whether a JSON string can hold the character without giving its number. Numbers are left out of answers: with
/// them everything could be spelled in several ways.
pub(super) const fn is_spelled(c: char) -> bool {
    matches!(c, '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' | ' '..='~' | '\u{80}'..)
}

const fn refused(why: &'static str) -> GrammarError {
    GrammarError::Pattern { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(pattern: &str) -> String {
        translate(pattern).unwrap()
    }

    #[test]
    fn what_means_the_same_stays() {
        assert_eq!(ok("^ab|c_9$"), "^ab|c_9$");
        assert_eq!(ok("(a|b)+c{2,3}?d*"), "(?:a|b)+c{2,3}d*");
        assert_eq!(ok("(?<year>[0-9]{4})"), "(?:[0-9]{4})");
        assert_eq!(ok(r"\p{Letter}\P{Lu}"), r"\p{Letter}\P{Lu}");
    }

    #[test]
    fn what_would_match_more_is_translated() {
        assert_eq!(ok("."), format!("[^{LINE_ENDS}]"));
        assert_eq!(ok(r"\d\D"), "[0-9][^0-9]");
        assert_eq!(ok(r"[\d\-x]"), r"[0-9\x{2d}x]");
        assert_eq!(ok(r"[\w-.]"), r"[0-9A-Za-z_\x{2d}\x{2e}]");
        assert_eq!(ok(r"[^\W]"), "[^[^0-9A-Za-z_]]");
        // Operators on classes are characters here.
        assert_eq!(ok("[^a&&[b]"), r"[^a\x{26}\x{26}\x{5b}b]");
        assert_eq!(ok("[a-]"), r"[a\x{2d}]");
        assert_eq!(ok("a{,3}"), r"a\x{7b}\x{2c}3\x{7d}");
        assert_eq!(ok("{a}"), r"\x{7b}a\x{7d}");
        assert_eq!(ok(r"\cJ\x41\u0042\u{1F600}\/"), r"\x{a}AB😀\x{2f}");
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for pattern in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?i)a",
            "(?P<n>a)",
            r"\1",
            r"(a)\1",
            r"\ba",
            r"\Ba",
            r"\a",
            r"\z",
            "a**",
            "*a",
            "a+{2}",
            "[]",
            "[^]",
            "[a",
            "(a",
            "a)",
            "a\\",
            r"\x4",
            r"\ud83d",
            r"a\0",
            r"[\v]",
            "a\x7f",
            r"[\x00-\x07]",
            r"\u{110000}",
            "[z-a]",
            r"\p",
            r"\pL",
            r"\c1",
            "a{20000}",
        ] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}
