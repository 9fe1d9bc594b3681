//! What a `tokenizer.json` may ask of the library that works it off: no step that makes a short text long, and no
//! pattern whose search takes more than a few looks at each character.

use hearth_engine_api::LoadError;
use serde_json::Value;

use crate::tokenizer::malformed;

/// Steps of a normaliser or of a cutter, counted together; those in use have under ten.
const MAX_STEPS: usize = 64;
/// How many times longer all replacements together may make a text. A blank spelled as a mark makes three.
const MAX_GROWTH: usize = 64;
const MAX_PREFIX_BYTES: usize = 64;
/// The longest pattern in use has some two thousand.
const MAX_PATTERN_BYTES: usize = 8 << 10;
/// Longest counted repetition in a pattern; three digits are the custom.
const MAX_REPEATS: usize = 32;
const NORMALIZERS: [&str; 13] = [
    "BertNormalizer",
    "ByteLevel",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Prepend",
    "Replace",
    "Sequence",
    "Strip",
    "StripAccents",
];
const CUTTERS: [&str; 12] = [
    "BertPreTokenizer",
    "ByteLevel",
    "CharDelimiterSplit",
    "Digits",
    "FixedLength",
    "Metaspace",
    "Punctuation",
    "Sequence",
    "Split",
    "UnicodeScripts",
    "Whitespace",
    "WhitespaceSplit",
];

/// Checks a normaliser as the file has it.
pub(super) fn check_normalizer(part: &Value) -> Result<(), LoadError> {
    let mut growth = 1usize;
    for step in steps(part, "normalizer", "normalizers", &NORMALIZERS)? {
        if type_of(step) == "Replace" {
            growth = growth.saturating_mul(replacement_growth(step)?);
        }
        let prefix = step.get("prepend").and_then(Value::as_str).unwrap_or_default();
        if prefix.len() > MAX_PREFIX_BYTES {
            return Err(malformed(format!("a normaliser's prefix of {} bytes", prefix.len())));
        }
    }
    if growth > MAX_GROWTH {
        return Err(malformed(format!(
            "a normaliser that makes text {growth} times longer; up to {MAX_GROWTH} is allowed"
        )));
    }
    Ok(())
}

/// Checks a cutter as the file has it.
pub(super) fn check_cutter(part: &Value) -> Result<(), LoadError> {
    for step in steps(part, "pre_tokenizer", "pretokenizers", &CUTTERS)? {
        if let Some(pattern) = step.pointer("/pattern/Regex").and_then(Value::as_str) {
            check_pattern(pattern)?;
        }
        if step.get("length").and_then(Value::as_u64) == Some(0) {
            return Err(malformed("a cutter into pieces of no length"));
        }
    }
    Ok(())
}

/// A part and all in it, flat.
fn steps<'v>(
    part: &'v Value,
    name: &str,
    list: &str,
    known: &[&str],
) -> Result<Vec<&'v Value>, LoadError> {
    let mut found = vec![part];
    let mut next = 0;
    while let Some(step) = found.get(next).copied() {
        let kind = type_of(step);
        if !known.contains(&kind) {
            return Err(LoadError::Unsupported {
                what: format!("the tokenizer's {name}: {kind:?}"),
            });
        }
        found.extend(step.get(list).and_then(Value::as_array).into_iter().flatten());
        if found.len() > MAX_STEPS {
            return Err(malformed(format!("the tokenizer's {name} has over {MAX_STEPS} steps")));
        }
        next += 1;
    }
    Ok(found)
}

fn type_of(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// By how much a replacement may lengthen a text, at most.
fn replacement_growth(step: &Value) -> Result<usize, LoadError> {
    let content = step.get("content").and_then(Value::as_str).unwrap_or_default().len();
    let replaced = match step.pointer("/pattern/String").and_then(Value::as_str) {
        Some("") => return Err(malformed("a normaliser that replaces nothing by something")),
        Some(text) => text.len(),
        None => {
            check_pattern(
                step.pointer("/pattern/Regex").and_then(Value::as_str).unwrap_or_default(),
            )?;
            // It may match between any two characters.
            return Ok(content + 1);
        }
    };
    Ok(content.div_ceil(replaced).max(1))
}

/// Refuses patterns that could take a search far longer than the text: repeats of what repeats or branches,
/// references back, high counts. None of the published word splitters has any.
pub(super) fn check_pattern(pattern: &str) -> Result<(), LoadError> {
    let refuse = |what: &str| {
        Err(LoadError::Unsupported { what: format!("a tokenizer's pattern with {what}") })
    };
    if pattern.len() > MAX_PATTERN_BYTES {
        return refuse(&format!("{} bytes", pattern.len()));
    }
    // For each open group, whether something in it repeats or branches.
    let mut open = vec![false];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut repeats = false;
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => match rest.chars().next() {
                Some('1'..='9' | 'g' | 'k' | 'K' | 'G') => return refuse("references back"),
                Some(escaped) => rest = &rest[escaped.len_utf8()..],
                None => {}
            },
            '[' => rest = after_class(rest),
            '(' if ["?(", "?R", "?P=", "?P>", "?&", "?|"].iter().any(|s| rest.starts_with(s)) => {
                return refuse("conditions or references");
            }
            '(' => {
                open.push(false);
                rest = rest.strip_prefix('?').unwrap_or(rest);
            }
            ')' => {
                let inner = open.pop().unwrap_or_default();
                repeats = inner;
                let again = rest.starts_with(['*', '+']) || count(rest).is_some_and(|n| n > 1);
                if inner && again {
                    return refuse("repeats within repeats");
                }
                if open.is_empty() {
                    open.push(false);
                }
            }
            '*' | '+' | '?' | '|' => repeats = true,
            _ => {}
        }
        if let Some(most) = count(rest) {
            if most > MAX_REPEATS {
                return refuse(&format!("{most} repeats"));
            }
            repeats = true;
        }
        if let Some(group) = open.last_mut() {
            *group |= repeats;
        }
    }
    Ok(())
}

/// What follows a class whose bracket has been read. Classes may hold classes.
fn after_class(mut rest: &str) -> &str {
    // A bracket at the front stands for itself.
    rest = rest.strip_prefix('^').unwrap_or(rest);
    rest = rest.strip_prefix(']').unwrap_or(rest);
    let mut depth = 1;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = rest.chars().next().map_or(rest, |escaped| &rest[escaped.len_utf8()..]),
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    rest
}

/// The largest number of a count such as `{1,3}` at the front; one without an end counts by its start.
fn count(rest: &str) -> Option<usize> {
    let (inner, _) = rest.strip_prefix('{')?.split_once('}')?;
    let numbers = inner.split(',').map(|part| match part.trim() {
        "" => Some(0),
        // A number too long to read is too large in any case.
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().unwrap_or(usize::MAX))
        }
        _ => None,
    });
    let largest = numbers.collect::<Option<Vec<usize>>>()?.into_iter().max()?;
    // Without an end it is a star at least.
    Some(if inner.trim_end().ends_with(',') { largest.max(2) } else { largest })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn published_patterns_pass() {
        for pattern in [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}]*[\p{Ll}\p{Lm}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}",
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"##,
            r" ?[^(\s|[.,!?…。，、।۔،])]+",
            r"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}]+",
            r"(?:\r\n)+|[]a]+|(ab)+",
        ] {
            if let Err(error) = check_pattern(pattern) {
                panic!("{pattern}: {error}");
            }
        }
    }

    #[test]
    fn patterns_without_bounds_do_not() {
        for pattern in [
            "(a+)+b",
            "(a|a)*b",
            "(a?a?)*b",
            "(?:a*){5}",
            "((a+))*",
            r"(\p{L}{2,}x)+",
            r"\p{L}{1000}",
            "(?:ab|c){2,}",
            r"(a)\1",
            r"\k<x>",
            "(?(1)a|b)",
            "a{99999999999999999999}",
        ] {
            assert!(check_pattern(pattern).is_err(), "{pattern}");
        }
        assert!(check_pattern(&"a".repeat(10_000)).is_err());
    }

    #[test]
    fn replacements_in_a_row_multiply() {
        let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let chain = |steps: usize| json!({"type": "Sequence", "normalizers": vec![&double; steps]});
        assert!(check_normalizer(&chain(6)).is_ok());
        assert!(check_normalizer(&chain(7)).is_err());
        let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        assert!(check_normalizer(&spaces).is_ok());
    }
}
