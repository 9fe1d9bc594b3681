//! Keywords about numbers and counts, and literal values.

use serde_json::{Map, Value};

use super::GrammarError;
use crate::constrain::pattern::is_spelled;

/// Largest count.
const MAX_COUNT: u64 = 100_000;
/// Numbers up to here are exact wherever JSON is read.
const EXACT: f64 = (1_u64 << 53) as f64;

/// A whole number from 0 up. `2.0` is one too.
pub(super) fn count(keyword: &str, value: &Value) -> Result<Value, GrammarError> {
    let number = value
        .as_f64()
        .filter(|number| *number >= 0.0 && number.fract() == 0.0)
        .ok_or_else(|| GrammarError::keyword(keyword, "a whole number from 0 up is expected"))?;
    if number > MAX_COUNT as f64 {
        return Err(GrammarError::TooLarge {
            what: "a least or greatest count",
            limit: MAX_COUNT as usize,
        });
    }
    Ok(Value::from(number as u64))
}

/// `minProperties`, which can be held to where at most one property is free: of more, two might have one name.
pub(super) fn least_properties(
    value: &Value,
    of: &Map<String, Value>,
) -> Result<Value, GrammarError> {
    let least = count("minProperties", value)?;
    let required = of.get("required").and_then(Value::as_array).map_or(0, Vec::len);
    if least.as_u64().unwrap_or(u64::MAX) > required as u64 + 1 {
        return Err(GrammarError::keyword(
            "minProperties",
            "more than one property would be needed besides those that are required by name",
        ));
    }
    Ok(least)
}

/// A number that is the same to every reader.
fn number(keyword: &str, value: &Value) -> Result<f64, GrammarError> {
    let number =
        value.as_f64().ok_or_else(|| GrammarError::keyword(keyword, "a number is expected"))?;
    let tiny = number != 0.0 && number.abs() < 1e-9;
    if !number.is_finite() || number.abs() > EXACT || tiny {
        return Err(GrammarError::keyword(
            keyword,
            "its number is too large or too fine to be exact (up to 2^53, from 1e-9)",
        ));
    }
    Ok(number)
}

pub(super) fn bound(keyword: &str, value: &Value) -> Result<Value, GrammarError> {
    number(keyword, value).map(|_| value.clone())
}

/// A bound, or draft 4's flag.
pub(super) fn exclusive(keyword: &str, value: &Value) -> Result<Value, GrammarError> {
    if value.is_boolean() { Ok(value.clone()) } else { bound(keyword, value) }
}

pub(super) fn divisor(value: &Value) -> Result<Value, GrammarError> {
    if number("multipleOf", value)? > 0.0 {
        return Ok(value.clone());
    }
    Err(GrammarError::keyword("multipleOf", "a number above 0 is expected"))
}

/// Values that are written out: `const`, or each of `enum`.
pub(super) fn instances(keyword: &str, value: &Value) -> Result<Value, GrammarError> {
    if keyword == "enum" && value.as_array().is_none_or(Vec::is_empty) {
        return Err(GrammarError::keyword(keyword, "a list of values is expected"));
    }
    check(keyword, value)?;
    Ok(value.clone())
}

/// Depth is bounded by the reader of the schema.
fn check(keyword: &str, value: &Value) -> Result<(), GrammarError> {
    match value {
        Value::Number(_) => number(keyword, value).map(|_| ()),
        Value::Array(list) => list.iter().try_for_each(|value| check(keyword, value)),
        Value::Object(map) => map
            .iter()
            .try_for_each(|(name, value)| spelled(keyword, name).and(check(keyword, value))),
        Value::String(text) => spelled(keyword, text),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

/// A text every character of which an answer may hold.
pub(super) fn spelled(keyword: &str, text: &str) -> Result<(), GrammarError> {
    if text.chars().all(is_spelled) {
        return Ok(());
    }
    Err(GrammarError::keyword(
        keyword,
        "a text holds a control character that JSON spells by its number",
    ))
}
