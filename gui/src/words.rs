//! Wording: numbers, dates, capabilities and facts as people read them. Pure functions.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    icons,
    model::Tone,
    types::{Capability, DocumentKind, Glyph, KeyStanding, SignatureView},
};

/// How hard a passphrase is to guess, roughly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Strength {
    /// Share of the bar, in 0..=1.
    pub(crate) share: f32,
    /// In words.
    pub(crate) words: &'static str,
    /// Its colour.
    pub(crate) tone: Tone,
}

/// Counts words where there are several, else characters; repeated ones count once.
pub(crate) fn strength(passphrase: &str) -> Strength {
    let mut words: Vec<&str> = passphrase.split_whitespace().filter(|w| w.len() > 2).collect();
    words.sort_unstable();
    words.dedup();
    let mut chars: Vec<char> = passphrase.chars().collect();
    chars.sort_unstable();
    chars.dedup();
    let distinct = f32::from(u16::try_from(chars.len()).unwrap_or(u16::MAX));
    let count = f32::from(u16::try_from(words.len()).unwrap_or(u16::MAX));
    let bits = if words.len() >= 3 { (count * 12.0).max(distinct * 2.0) } else { distinct * 4.0 };
    let (words, tone) = match bits {
        b if b < 24.0 => ("Easy to guess. Try four or five words.", Tone::Bad),
        b if b < 40.0 => ("Weak. A few more words would help.", Tone::Warn),
        b if b < 56.0 => ("Fair", Tone::Warn),
        b if b < 72.0 => ("Good", Tone::Good),
        _ => ("Strong", Tone::Good),
    };
    Strength { share: (bits / 80.0).clamp(0.04, 1.0), words, tone }
}

/// `1 mail`, `2 mails`.
pub(crate) fn count(n: u64, one: &str) -> String {
    let thousands = grouped(n);
    if n == 1 { format!("1 {one}") } else { format!("{thousands} {one}s") }
}

/// `12 345`, with a narrow space.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `2.3 bits`, of thousandths.
pub(crate) fn bits(millibits: u32) -> String {
    match millibits {
        0 => "nothing".to_owned(),
        _ => format!("{:.1} bits", f64::from(millibits) / 1000.0),
    }
}

/// `4.2 MB`.
pub(crate) fn bytes(n: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {name}")
    } else {
        format!("{value:.1} {name}")
    }
}

/// `40 seconds`, `12 minutes`, `3 h 20 min`.
pub(crate) fn span(secs: f32) -> String {
    let secs = secs.max(0.0).round() as u64;
    match secs {
        0..90 => count(secs, "second"),
        90..5400 => count((secs + 30) / 60, "minute"),
        _ => format!("{} h {:02} min", secs / 3600, secs % 3600 / 60),
    }
}

/// `3 Nov 2026, 14:05`.
pub(crate) fn moment(secs: i64, zone: &TimeZone) -> String {
    formatted(secs, zone, "%-d %b %Y, %H:%M")
}

/// `3 Nov 2026`.
pub(crate) fn day(secs: i64, zone: &TimeZone) -> String {
    formatted(secs, zone, "%-d %b %Y")
}

fn formatted(secs: i64, zone: &TimeZone, format: &str) -> String {
    Timestamp::from_second(secs)
        .map(|t| t.to_zoned(zone.clone()).strftime(format).to_string())
        .unwrap_or_default()
}

/// The icon of a kind of document.
pub(crate) fn kind_icon(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Mail => icons::MAIL,
        DocumentKind::Note => icons::NOTE,
        DocumentKind::Code => icons::FILE_CODE,
        DocumentKind::Saved => icons::SPARKLE,
    }
}

/// What a document of a kind is called.
pub(crate) fn kind_name(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Mail => "mail",
        DocumentKind::Note => "note",
        DocumentKind::Code => "source file",
        DocumentKind::Saved => "saved result",
    }
}

/// A host icon a plugin may name; empty for none.
pub(crate) fn glyph(glyph: Glyph) -> &'static str {
    match glyph {
        Glyph::None => "",
        Glyph::Check => icons::CHECK,
        Glyph::Warning => icons::WARNING,
        Glyph::Info => icons::INFO,
        Glyph::Mail => icons::MAIL,
        Glyph::Code => icons::CODE,
        Glyph::Listing => icons::LIST,
        Glyph::Star => icons::STAR,
    }
}

/// A power: its name, and what saying yes means.
pub(crate) fn capability(capability: Capability) -> (&'static str, &'static str) {
    match capability {
        Capability::Model => (
            "Use the model",
            "It writes the instructions; Hearth runs them over your documents and shows the answer to you alone.",
        ),
        Capability::PersonalModel => (
            "Use your fine-tuned model",
            "Answers may carry what that model learned from your data.",
        ),
        Capability::DocumentsRead => (
            "Hold documents",
            "From the folders you choose below, or ones you pick. It holds them unopened.",
        ),
        Capability::DocumentsSearch => (
            "Search your folders",
            "Inside the folders you choose below. It does not see what is found.",
        ),
        Capability::DocumentsSave => ("Save results", "Into a folder of its own in your library."),
        Capability::Panel => ("Show panels", "Always framed, with its name on top."),
        Capability::Storage => {
            ("Remember things between runs", "A little state of its own, at most 64 KiB.")
        }
        Capability::RevealChoice => (
            "Learn short answers",
            "It is told which of a few answers came out. That says something about your documents.",
        ),
        Capability::RevealText => {
            ("Learn texts you approve", "You see each text before it is told.")
        }
    }
}

/// Whether a power lets the plugin learn something.
pub(crate) fn reveals(capability: Capability) -> bool {
    matches!(capability, Capability::RevealChoice | Capability::RevealText)
}

/// Something read off the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// How it is meant.
    pub(crate) tone: Tone,
    /// In words.
    pub(crate) text: String,
}

/// What a component's imports say, in words: the most important first.
pub(crate) fn facts(imports: &[String], sealed: bool) -> Vec<Fact> {
    let mut facts = vec![if sealed {
        fact(Tone::Good, "Sealed: it cannot learn what your documents say.")
    } else {
        fact(Tone::Warn, "Not sealed: it is able to ask for parts of what your documents say.")
    }];
    let strangers: Vec<&str> =
        imports.iter().filter(|i| !i.starts_with("hearth:plugin/")).map(String::as_str).collect();
    if strangers.is_empty() {
        facts.push(fact(
            Tone::Good,
            "It has no way to the network, to your files, or to other programs.",
        ));
    }
    let known = [
        ("documents", Tone::Plain, "It can hold documents it cannot read."),
        ("values", Tone::Plain, "It can combine texts it cannot read."),
        ("model", Tone::Plain, "It can ask the model to work on them."),
        ("panel", Tone::Plain, "It can show panels."),
        ("storage", Tone::Plain, "It can remember a little between runs."),
        ("settings", Tone::Plain, "It can read its own settings."),
        ("host", Tone::Plain, "It can read the date, your language and what it was granted."),
        (
            "declassify",
            Tone::Warn,
            "It can ask to learn answers or texts, each time within limits you set.",
        ),
    ];
    for (name, tone, words) in known {
        if imports.iter().any(|i| interface(i) == Some(name)) {
            facts.push(fact(tone, words));
        }
    }
    for stranger in strangers {
        facts.push(fact(
            Tone::Bad,
            &format!("It asks for {}, which Hearth does not offer.", stranger.escape_debug()),
        ));
    }
    facts
}

fn fact(tone: Tone, text: &str) -> Fact {
    Fact { tone, text: text.to_owned() }
}

/// `panel` of `hearth:plugin/panel@0.1.0`.
fn interface(import: &str) -> Option<&str> {
    let rest = import.strip_prefix("hearth:plugin/")?;
    Some(rest.split('@').next().unwrap_or(rest))
}

/// The line over everything a plugin shows.
pub(crate) fn attribution(name: &str, sealed: bool) -> String {
    if sealed {
        format!("{} says \u{2014} it cannot read what your documents say", plain(name))
    } else {
        format!("{} says \u{2014} it may learn parts of your documents", plain(name))
    }
}

/// Who made it, and how that is known.
pub(crate) fn signature(signature: &SignatureView) -> (Tone, &'static str, &'static str) {
    match signature {
        SignatureView::Bundled => (Tone::Good, icons::CHECK, "It came with Hearth."),
        SignatureView::Unsigned => {
            (Tone::Bad, icons::WARNING, "Unsigned: nobody vouches for who made it.")
        }
        SignatureView::Signed { standing, .. } => match standing {
            KeyStanding::New => {
                (Tone::Warn, icons::INFO, "Signed, with a key that was never seen here before.")
            }
            KeyStanding::Known => (
                Tone::Good,
                icons::CHECK,
                "Signed, with the key of another plugin you have or had.",
            ),
            KeyStanding::Pinned => {
                (Tone::Good, icons::CHECK, "Signed, with the key this plugin always had.")
            }
            KeyStanding::Rotated => (
                Tone::Good,
                icons::CHECK,
                "Signed, with the key that this plugin's publisher has handed over to.",
            ),
            KeyStanding::Other => {
                (Tone::Bad, icons::WARNING, "Signed, but not with the key this plugin always had.")
            }
        },
    }
}

/// Who made an installed plugin, in a word or two.
pub(crate) fn maker(signature: &SignatureView) -> String {
    match signature {
        SignatureView::Bundled => "Came with Hearth".to_owned(),
        SignatureView::Unsigned => "Unsigned: nobody vouches for it".to_owned(),
        SignatureView::Signed { fingerprint, .. } => format!("Signed by {fingerprint}"),
    }
}

/// A stranger's words as plain text: nothing invisible, nothing that turns the direction of writing.
pub(crate) fn plain(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { '\u{b7}' } else { c }).collect()
}

/// At most `limit` characters, with an ellipsis where something is left out.
pub(crate) fn short(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}\u{2026}", text.get(..at).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_and_more_varied_passphrases_are_stronger() {
        let shares: Vec<f32> = [
            "",
            "aaaaaaaaaaaaaaaaaaaa",
            "kitten",
            "tall kitten boat",
            "tall kitten boat lamp seven river",
        ]
        .map(|p| strength(p).share)
        .to_vec();
        assert!(shares.is_sorted(), "{shares:?}");
        assert_eq!(strength("12345678").tone, Tone::Warn);
        assert_eq!(strength("tall kitten boat lamp seven river").words, "Strong");
        assert_eq!(strength("kit kit kit kit kit kit kit").tone, Tone::Bad);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1, "mail"), "1 mail");
        assert_eq!(count(2, "mail"), "2 mails");
        assert_eq!(grouped(1234), "1234");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(4_200_000), "4.2 MB");
        assert_eq!(bytes(123_400_000), "123 MB");
    }

    #[test]
    fn dates_follow_the_zone() {
        assert_eq!(moment(0, &TimeZone::UTC), "1 Jan 1970, 00:00");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(moment(0, &zone), "1 Jan 1970, 02:00");
        assert_eq!(day(i64::MAX, &zone), "");
    }

    #[test]
    fn facts_tell_sealed_from_open_and_name_strangers() {
        let sealed = facts(&["hearth:plugin/panel@0.1.0".into()], true);
        assert!(sealed.iter().any(|f| f.text == "It can show panels."));
        assert!(sealed.iter().all(|f| matches!(f.tone, Tone::Good | Tone::Plain)));
        let open = facts(
            &["hearth:plugin/declassify@0.1.0".into(), "wasi:sockets/tcp@0.2.0".into()],
            false,
        );
        assert_eq!(open.iter().filter(|f| f.tone == Tone::Warn).count(), 2);
        assert!(open.iter().any(|f| f.tone == Tone::Bad && f.text.contains("wasi:sockets/tcp")));
        assert!(!open.iter().any(|f| f.text.contains("no way to the network")));
    }

    #[test]
    fn a_strangers_words_cannot_turn_the_line() {
        assert_eq!(plain("a\u{202e}b\u{0}c\nd"), "a\u{b7}b\u{b7}c\nd");
        assert_eq!(short("hello world", 6), "hello\u{2026}");
        assert_eq!(short("hello", 6), "hello");
    }
}
