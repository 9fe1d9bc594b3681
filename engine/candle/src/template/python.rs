//! What templates expect of Python: its JSON, its dates, its string methods.

use std::fmt::Write as _;

use jiff::{civil::DateTime, fmt::strtime};
use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind},
};

/// Deeper nesting than any sensible argument of a tool.
const MAX_DEPTH: usize = 128;
/// Longest text any one call makes.
const MAX_MADE_BYTES: usize = 4 << 20;
/// Longest mark between the items of a JSON text.
const MAX_SEPARATOR_BYTES: usize = 16;

/// `strftime_now(format)`.
pub(super) fn strftime(now: DateTime, format: &str) -> Result<String, Error> {
    strtime::format(format, now).map_err(|e| invalid(format!("strftime_now({format:?}): {e}")))
}

/// Methods of Python's strings, lists and dictionaries.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let (Some(text), [affix]) = (value.as_str(), args)
        && let Some(affix) = affix.as_str()
    {
        match method {
            "removeprefix" => return Ok(text.strip_prefix(affix).unwrap_or(text).into()),
            "removesuffix" => return Ok(text.strip_suffix(affix).unwrap_or(text).into()),
            _ => {}
        }
    }
    if let Some(text) = value.as_str() {
        match (method, args) {
            ("join", [items]) => return join(text, items),
            ("replace", _) => check_replace(text, args)?,
            ("format", _) => check_format(text, args)?,
            _ => {}
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

/// `", ".join(items)`. What a method makes is charged only once it is there, so it must not grow without bounds.
fn join(between: &str, items: &Value) -> Result<Value, Error> {
    let mut joined = Bounded(String::new());
    for (index, item) in items.try_iter()?.enumerate() {
        let part = if index > 0 { between } else { "" };
        write!(joined, "{part}{item}").map_err(|_full| too_long("join"))?;
    }
    Ok(Value::from(joined.0))
}

/// Refuses replacements that make too much of a text.
fn check_replace(text: &str, args: &[Value]) -> Result<(), Error> {
    let (Some(old), Some(new)) =
        (args.first().and_then(Value::as_str), args.get(1).and_then(Value::as_str))
    else {
        return Ok(());
    };
    let found = text.matches(old).count();
    if found.saturating_mul(new.len()).saturating_add(text.len()) > MAX_MADE_BYTES {
        return Err(too_long("replace"));
    }
    Ok(())
}

/// Refuses formats that make much of little: wide fields, or large values many times.
fn check_format(text: &str, args: &[Value]) -> Result<(), Error> {
    const MAX_WIDTH_DIGITS: usize = 3;
    let longest_number = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    let mut longest = 10usize.pow(MAX_WIDTH_DIGITS as u32);
    for value in args {
        match (value.kind(), value.as_str()) {
            (_, Some(text)) => longest = longest.max(text.len()),
            (ValueKind::Number | ValueKind::Bool | ValueKind::None, _) => {}
            (kind, _) => return Err(invalid(format!("format of {kind}"))),
        }
    }
    let fields = text.matches('{').count();
    if longest_number > Some(MAX_WIDTH_DIGITS)
        || fields.saturating_mul(longest).saturating_add(text.len()) > MAX_MADE_BYTES
    {
        return Err(too_long("format"));
    }
    Ok(())
}

/// A text of at most [`MAX_MADE_BYTES`].
struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        if self.0.len() + more.len() > MAX_MADE_BYTES {
            return Err(std::fmt::Error);
        }
        self.0.push_str(more);
        Ok(())
    }
}

fn too_long(what: &str) -> Error {
    invalid(format!("{what} makes a text over {MAX_MADE_BYTES} bytes"))
}

/// `tojson` as Python's `json.dumps` with `ensure_ascii=False` writes it.
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let sort_keys: Option<bool> = options.get("sort_keys")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let ensure_ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let (comma, colon) = match separators.as_deref() {
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
        Some([comma, colon]) if comma.len().max(colon.len()) <= MAX_SEPARATOR_BYTES => {
            (comma.clone(), colon.clone())
        }
        Some(_) => return Err(invalid("tojson takes two short separators")),
    };
    let mut writer = JsonWriter {
        out: String::new(),
        comma,
        colon,
        indent: indent.filter(|width| *width <= 64),
        sort_keys: sort_keys.unwrap_or(false),
        ensure_ascii: ensure_ascii.unwrap_or(false),
    };
    writer.value(value, 0)?;
    Ok(Value::from(writer.out))
}

struct JsonWriter {
    out: String,
    comma: String,
    colon: String,
    indent: Option<usize>,
    sort_keys: bool,
    ensure_ascii: bool,
}

impl JsonWriter {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(invalid("tojson of a value nested too deeply"));
        }
        if self.out.len() > MAX_MADE_BYTES {
            return Err(too_long("tojson"));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)?),
            ValueKind::String => self.string(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.sequence('[', ']', &items, depth, |writer, item| {
                    writer.value(item, depth + 1)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.sequence('{', '}', &keys, depth, |writer, key| {
                    writer.key(key)?;
                    let colon = writer.colon.clone();
                    writer.out.push_str(&colon);
                    writer.value(&value.get_item(key)?, depth + 1)
                })?;
            }
            kind => return Err(invalid(format!("tojson of {kind}"))),
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        open: char,
        close: char,
        items: &[Value],
        depth: usize,
        mut each: impl FnMut(&mut Self, &Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                let comma = self.comma.clone();
                self.out.push_str(&comma);
            }
            self.line(depth + 1);
            each(self, item)?;
        }
        if !items.is_empty() {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(width) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', width * depth));
        }
    }

    fn key(&mut self, key: &Value) -> Result<(), Error> {
        match key.kind() {
            ValueKind::String => self.string(key.as_str().unwrap_or_default()),
            ValueKind::None => self.string("null"),
            ValueKind::Bool => self.string(if key.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.string(&number(key)?),
            kind => Err(invalid(format!("tojson with {kind} for a key"))),
        }
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        let quoted = serde_json::to_string(text).map_err(|e| invalid(e.to_string()))?;
        if !self.ensure_ascii {
            self.out.push_str(&quoted);
            return Ok(());
        }
        for c in quoted.chars() {
            if c.is_ascii() {
                self.out.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(self.out, "\\u{unit:04x}").map_err(|e| invalid(e.to_string()))?;
            }
        }
        Ok(())
    }
}

/// A number as Python writes it.
fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let float = f64::try_from(value.clone())?;
    if float.is_nan() {
        return Ok("NaN".into());
    }
    if float.is_infinite() {
        return Ok(if float > 0.0 { "Infinity" } else { "-Infinity" }.into());
    }
    let size = float.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return Ok(format!("{mantissa}e{sign}{digits:0>2}"));
    }
    Ok(format!("{float:?}"))
}

/// Takes the `generation` marks out, which tell training tools what the model itself has said and
/// leave no trace in the text.
pub(super) fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let Some(inner) = tag[2..].find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(inner + 4);
        let name = tag[2..tag.len() - 2].trim_matches(['-', '+']).trim();
        match name {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
