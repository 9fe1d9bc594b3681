//! Keywords about strings.

use serde_json::{Map, Value, json};

use super::{GrammarError, also, format::Format};

pub(super) fn pattern(value: &Value) -> Result<Value, GrammarError> {
    let text =
        value.as_str().ok_or_else(|| GrammarError::keyword("pattern", "a string is expected"))?;
    crate::constrain::pattern::translate(text).map(Value::from)
}

/// Puts what `format` comes to into `made`: it holds strings, or numbers, or nobody to something.
pub(super) fn format(
    value: &Value,
    of: &Map<String, Value>,
    made: &mut Map<String, Value>,
) -> Result<(), GrammarError> {
    let unknown = || GrammarError::keyword("format", "this format is not known");
    let name = value.as_str().ok_or_else(unknown)?;
    let is_number = may_be(of, &["number", "integer"]) && !may_be(of, &["string"]);
    match super::format::format(name, is_number).ok_or_else(unknown)? {
        Format::Anything => {}
        Format::Known => {
            made.insert("format".into(), value.clone());
        }
        Format::Pattern(pattern) => {
            let pattern = json!({"pattern": format!("^(?:{pattern})$")});
            also(made, pattern);
        }
        Format::Narrower(pattern, most) => {
            made.insert("format".into(), value.clone());
            also(made, json!({"pattern": format!("^(?:{pattern})$"), "maxLength": most}));
        }
        Format::Integer(least, greatest) => {
            also(made, json!({"minimum": least, "maximum": greatest}));
        }
    }
    Ok(())
}

/// Whether the schema's own `type` leaves room for one of `types`.
fn may_be(of: &Map<String, Value>, types: &[&str]) -> bool {
    let is = |value: &Value| value.as_str().is_some_and(|name| types.contains(&name));
    match of.get("type") {
        None => true,
        Some(Value::Array(list)) => list.iter().any(is),
        Some(one) => is(one),
    }
}
