//! What the keyword `format` holds a value to.

/// What becomes of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A string of the grammar library's own format.
    Known,
    /// A string that this matches, whole.
    Pattern(&'static str),
    /// A string of the grammar library's own format, which this matches, and of at most so many characters.
    Narrower(&'static str, u32),
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// Any value of its type.
    Anything,
}

/// The largest whole number that every reader of JSON understands.
const EXACT: i64 = 1 << 53;

/// The 29th of February stands in leap years alone.
macro_rules! date {
    () => {
        concat!(
            "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
            "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))",
            "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
        )
    };
}

/// Leap seconds are left out: when they may be depends on the offset.
macro_rules! time {
    () => {
        concat!(
            "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?",
            "(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
        )
    };
}

/// What `name` means for strings (`is_number` false) or for numbers.
pub(super) fn format(name: &str, is_number: bool) -> Option<Format> {
    Some(match (name, is_number) {
        ("date", false) => Format::Pattern(date!()),
        ("time", false) => Format::Pattern(time!()),
        ("date-time", false) => Format::Pattern(concat!(date!(), "[tT]", time!())),
        // Two dashes in a row mark names in another alphabet, which follow rules beyond any pattern.
        ("hostname", false) => Format::Narrower("[A-Za-z0-9.]+(?:-[A-Za-z0-9.]+)*", 253),
        ("duration" | "email" | "ipv4" | "ipv6" | "uuid" | "uri", false) => Format::Known,
        ("byte", false) => {
            Format::Pattern("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
        }
        ("binary" | "password", false) | ("float" | "double", true) => Format::Anything,
        ("int32", true) => Format::Integer(i32::MIN as i64, i32::MAX as i64),
        ("int64", true) => Format::Integer(-EXACT, EXACT),
        _ => return None,
    })
}
