//! Bytes to text.

use super::reason::Reason;

/// Decodes a text file: by its byte order mark, as UTF-8, or else by what its bytes look like. `None` for what is no
/// text.
pub(super) fn decode(bytes: &[u8]) -> Option<(String, Option<Reason>)> {
    let marked = encoding_rs::Encoding::for_bom(bytes).is_some();
    if !marked && looks_binary(bytes) {
        return None;
    }
    if !marked && let Ok(text) = std::str::from_utf8(bytes) {
        return Some((tidy(text), None));
    }
    let encoding = if marked { encoding_rs::UTF_8 } else { guess(bytes) };
    // Where there is a byte order mark, it decides.
    let (text, used, had_errors) = encoding.decode(bytes);
    let reason = match (had_errors, used == encoding_rs::UTF_8) {
        (true, _) => Some(Reason::BadEncoding(used.name())),
        (false, true) => None,
        (false, false) => Some(Reason::OtherEncoding(used.name())),
    };
    Some((tidy(&text), reason))
}

/// Decodes what is not UTF-8 by what its bytes look like, and names what it was taken for.
pub(super) fn decode_other(bytes: &[u8]) -> (String, &'static str) {
    let (text, used, _had_errors) = guess(bytes).decode(bytes);
    (text.into_owned(), used.name())
}

fn guess(bytes: &[u8]) -> &'static encoding_rs::Encoding {
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    detector.guess(None, chardetng::Utf8Detection::Deny)
}

/// Line ends as `\n`, and no control characters that would show as nothing or as something else.
pub(super) fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
            }
            '\n' | '\t' => out.push(c),
            '\u{feff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// On one line, for a title or a name.
pub(super) fn one_line(text: &str) -> String {
    tidy(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn looks_binary(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(8 << 10)];
    let odd = start
        .iter()
        .filter(|byte| **byte < 32 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
        .count();
    start.contains(&0) || start.starts_with(b"%PDF-") || odd * 10 > start.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_is_taken_as_it_is() {
        assert_eq!(decode("naïve — ü\n".as_bytes()), Some(("naïve — ü\n".into(), None)));
        assert_eq!(decode("\u{feff}a\r\nb\rc".as_bytes()), Some(("a\nb\nc".into(), None)));
    }

    #[test]
    fn other_encodings_are_named() {
        let utf_16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain("Grüße".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(
            decode(&utf_16),
            Some(("Grüße".into(), Some(Reason::OtherEncoding("UTF-16LE"))))
        );
        let latin = b"Die B\xfccher liegen f\xfcr die Gr\xfc\xdfe bereit.";
        let (text, reason) = decode(latin).unwrap();
        assert_eq!(text, "Die Bücher liegen für die Grüße bereit.");
        assert_eq!(reason, Some(Reason::OtherEncoding("windows-1252")));
        let (text, reason) = decode(b"\xef\xbb\xbfgood \xff bad").unwrap();
        assert_eq!(text, "good \u{fffd} bad");
        assert_eq!(reason, Some(Reason::BadEncoding("UTF-8")));
    }

    #[test]
    fn what_is_no_text_is_not_taken_for_it() {
        for bytes in [b"\x89PNG\r\n\x1a\n\0\0".as_slice(), b"%PDF-1.7\n", &[1; 100]] {
            assert_eq!(decode(bytes), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_text_or_not(bytes: Vec<u8>) {
            if let Some((text, _)) = decode(&bytes) {
                proptest::prop_assert!(!text.contains(['\r', '\0']));
            }
        }
    }
}
