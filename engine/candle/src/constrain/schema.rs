//! A JSON Schema, taken apart keyword by keyword and put together again out of what can be held to exactly.
//!
//! The grammar library passes over what it does not know. So nothing reaches it but what is written here: every
//! keyword is supported, known to hold nobody to anything, or refused by name. A misspelt keyword is refused
//! like any other; names that begin with `x-` are free for notes, as the specification's next edition has it.
//! References lead to places in the schema itself; nothing is ever fetched.

mod format;
mod numbers;
mod strings;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::GrammarError;

/// Longest schema.
const MAX_BYTES: usize = 512 << 10;
/// Deepest nesting, references followed.
const MAX_DEPTH: usize = 64;
/// Most schemas in a schema, each reference's target counted once.
const MAX_SCHEMAS: usize = 20_000;

/// Keywords that say something about a schema and hold nobody to anything.
const NOTES: &[&str] = &[
    // The specification's own.
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "links",
    "readOnly",
    "title",
    "writeOnly",
    // Of tools in wide use.
    "comment",
    "copyright",
    "defaultSnippets",
    "deprecationMessage",
    "enumDescriptions",
    "enumNames",
    "errorMessage",
    "example",
    "extendsJavaClass",
    "javaInterfaces",
    "javaName",
    "javaType",
    "longDescription",
    "markdownDescription",
    "markdownEnumDescriptions",
    "propertyOrder",
    "readonly",
    "self",
    "version",
];

/// Editions of the specification, by what their schemas begin with.
const EDITIONS: &[(&str, Edition)] = &[
    ("http://json-schema.org/draft-04/schema", Edition::Draft4),
    ("http://json-schema.org/draft-06/schema", Edition::Old),
    ("http://json-schema.org/draft-07/schema", Edition::Old),
    ("https://json-schema.org/draft/2019-09/schema", Edition::Old),
    ("https://json-schema.org/draft/2020-12/schema", Edition::New),
];

/// What differs from edition to edition, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edition {
    /// Bounds are exclusive by a flag.
    Draft4,
    /// Items by place are `items`, the others `additionalItems`.
    Old,
    /// Items by place are `prefixItems`, the others `items`.
    New,
    /// Not said.
    Unknown,
}

/// Reads `text` as a JSON Schema; gives one that means the same in the keywords the grammar library holds to.
///
/// # Errors
/// [`GrammarError`] with the keyword that cannot be held to.
pub(super) fn normalise(text: &str) -> Result<Value, GrammarError> {
    if text.len() > MAX_BYTES {
        return Err(GrammarError::TooLarge { what: "bytes in a schema", limit: MAX_BYTES });
    }
    let root: Value = serde_json::from_str(text)
        .map_err(|e| GrammarError::NotJson { line: e.line(), column: e.column() })?;
    let mut walk = Walk {
        root: &root,
        edition: edition(&root)?,
        base: root.get("$id").or_else(|| root.get("id")).and_then(Value::as_str),
        targets: HashMap::new(),
        definitions: Vec::new(),
        left: MAX_SCHEMAS,
    };
    let first = walk.target(&root, "", Place::default())?;
    let definitions: Map<String, Value> =
        walk.definitions.into_iter().enumerate().map(|(i, def)| (i.to_string(), def)).collect();
    // Nothing refers to the root but itself: then it can stand where it is.
    if definitions.len() == 1 && !walk.targets.contains_key("#") {
        return Ok(definitions.into_iter().next().map_or(first, |(_, root)| object(root)));
    }
    Ok(json!({"$ref": first.get("$ref"), "$defs": definitions}))
}

/// The root has to be an object.
fn object(root: Value) -> Value {
    match root {
        Value::Object(map) => Value::Object(map),
        other => json!({"allOf": [other]}),
    }
}

fn edition(root: &Value) -> Result<Edition, GrammarError> {
    let Some(named) = root.get("$schema") else { return Ok(Edition::Unknown) };
    let name = named.as_str().unwrap_or_default().trim_end_matches('#');
    EDITIONS.iter().find(|(known, _)| *known == name).map(|(_, edition)| *edition).ok_or_else(
        || {
            GrammarError::keyword(
                "$schema",
                "it names no edition of JSON Schema from draft 4 to 2020-12",
            )
        },
    )
}

/// Where in a schema the walk is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    depth: usize,
    /// Whether a schema around has a name of its own, against which references would be read.
    renamed: bool,
}

struct Walk<'s> {
    root: &'s Value,
    edition: Edition,
    base: Option<&'s str>,
    /// Numbers of definitions by what refers to them.
    targets: HashMap<String, usize>,
    definitions: Vec<Value>,
    /// Schemas that may still be visited.
    left: usize,
}

impl<'s> Walk<'s> {
    /// A reference to the definition that `target` becomes.
    fn target(
        &mut self,
        target: &'s Value,
        name: &str,
        place: Place,
    ) -> Result<Value, GrammarError> {
        let number = match self.targets.get(name) {
            Some(number) => *number,
            None => {
                let number = self.definitions.len();
                self.targets.insert(name.to_owned(), number);
                self.definitions.push(Value::Null);
                let place = Place { renamed: false, ..place };
                let schema = self.schema(target, place)?;
                if let Some(slot) = self.definitions.get_mut(number) {
                    *slot = schema;
                }
                number
            }
        };
        Ok(json!({"$ref": format!("#/$defs/{number}")}))
    }

    fn schema(&mut self, schema: &'s Value, place: Place) -> Result<Value, GrammarError> {
        if place.depth >= MAX_DEPTH {
            return Err(GrammarError::TooLarge { what: "nested schemas", limit: MAX_DEPTH });
        }
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(GrammarError::TooLarge { what: "schemas", limit: MAX_SCHEMAS })?;
        let map = match schema {
            Value::Bool(_) => return Ok(schema.clone()),
            Value::Object(map) => map,
            _ => {
                return Err(GrammarError::keyword(
                    "schema",
                    "a schema is an object, true or false",
                ));
            }
        };
        let is_root = std::ptr::eq(schema, self.root);
        let renamed = ["$id", "id"].iter().any(|id| map.get(*id).is_some_and(Value::is_string));
        let place =
            Place { depth: place.depth + 1, renamed: place.renamed || (renamed && !is_root) };
        let mut made = Map::new();
        for (keyword, value) in map {
            self.keyword(keyword, value, map, place, &mut made)?;
        }
        Ok(Value::Object(made))
    }

    /// Puts what `keyword` comes to into `made`.
    fn keyword(
        &mut self,
        keyword: &str,
        value: &'s Value,
        of: &'s Map<String, Value>,
        place: Place,
        made: &mut Map<String, Value>,
    ) -> Result<(), GrammarError> {
        let put = match keyword {
            "$ref" => self.reference(value, place)?,
            "allOf" | "anyOf" | "oneOf" => self.list(keyword, value, place)?,
            "additionalProperties" => self.schema(value, place)?,
            "properties" => self.map(keyword, value, place, |name| Ok(name.to_owned()))?,
            "patternProperties" => self.map(keyword, value, place, super::pattern::translate)?,
            "items" | "prefixItems" | "additionalItems" => {
                return self.items(keyword, value, of, place, made);
            }
            "type" => types(value)?,
            "required" => names(value)?,
            "enum" | "const" => numbers::instances(keyword, value)?,
            "minLength" | "maxLength" | "minItems" | "maxItems" | "maxProperties" => {
                numbers::count(keyword, value)?
            }
            "minProperties" => numbers::least_properties(value, of)?,
            "minimum" | "maximum" => numbers::bound(keyword, value)?,
            "exclusiveMinimum" | "exclusiveMaximum" => {
                if matches!(self.edition, Edition::Old | Edition::New) && value.is_boolean() {
                    return Err(GrammarError::keyword(keyword, "a number is expected"));
                }
                numbers::exclusive(keyword, value)?
            }
            "multipleOf" => numbers::divisor(value)?,
            "pattern" => strings::pattern(value)?,
            "format" => return strings::format(value, of, made),
            // As it says nothing, it need not be held to.
            "uniqueItems" if *value == Value::Bool(false) => return Ok(()),
            // The usual way of writing that nothing is allowed.
            "not" if *value == json!({}) || *value == Value::Bool(true) => {
                also(made, Value::Bool(false));
                return Ok(());
            }
            "$schema" if edition_of(value) == edition_of_root(self.root) => return Ok(()),
            "$id" | "id" if value.is_string() => return Ok(()),
            "contentEncoding" | "contentMediaType" if self.edition == Edition::Old => {
                return Err(GrammarError::keyword(
                    keyword,
                    "this edition lets it hold texts to a form",
                ));
            }
            note if NOTES.contains(&note) => return Ok(()),
            note if note.starts_with("x-") && note != "x-guidance" => return Ok(()),
            other => return Err(GrammarError::keyword(other, why_not(other))),
        };
        made.insert(keyword.to_owned(), put);
        Ok(())
    }

    fn list(
        &mut self,
        keyword: &str,
        value: &'s Value,
        place: Place,
    ) -> Result<Value, GrammarError> {
        let list = value
            .as_array()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| GrammarError::keyword(keyword, "a list of schemas is expected"))?;
        list.iter().map(|schema| self.schema(schema, place)).collect()
    }

    fn map(
        &mut self,
        keyword: &str,
        value: &'s Value,
        place: Place,
        name_of: fn(&str) -> Result<String, GrammarError>,
    ) -> Result<Value, GrammarError> {
        let map = value
            .as_object()
            .ok_or_else(|| GrammarError::keyword(keyword, "an object of schemas is expected"))?;
        let mut made = Map::new();
        for (name, schema) in map {
            numbers::spelled(keyword, name)?;
            if made.insert(name_of(name)?, self.schema(schema, place)?).is_some() {
                return Err(GrammarError::keyword(keyword, "two names mean the same"));
            }
        }
        Ok(Value::Object(made))
    }

    /// Items by place and the others, whichever way the edition writes them.
    fn items(
        &mut self,
        keyword: &str,
        value: &'s Value,
        of: &'s Map<String, Value>,
        place: Place,
        made: &mut Map<String, Value>,
    ) -> Result<(), GrammarError> {
        let by_place = of.get("items").is_some_and(Value::is_array);
        let (name, put) = match keyword {
            "items" if value.as_array().is_some_and(Vec::is_empty) => return Ok(()),
            "items" if by_place && of.contains_key("prefixItems") => {
                return Err(GrammarError::keyword(keyword, "prefixItems stands beside it"));
            }
            "items" if by_place => ("prefixItems", self.list(keyword, value, place)?),
            "items" => ("items", self.schema(value, place)?),
            "prefixItems" if matches!(self.edition, Edition::Draft4 | Edition::Old) => {
                return Err(GrammarError::keyword(keyword, "this edition does not know it"));
            }
            "prefixItems" => ("prefixItems", self.list(keyword, value, place)?),
            // Beside items that are all alike it means nothing.
            _ if !by_place && of.contains_key("items") => return Ok(()),
            _ if !by_place => {
                return Err(GrammarError::keyword(keyword, "there are no items by place"));
            }
            _ => ("items", self.schema(value, place)?),
        };
        made.insert(name.to_owned(), put);
        Ok(())
    }

    fn reference(&mut self, value: &'s Value, place: Place) -> Result<Value, GrammarError> {
        let elsewhere = "only places within the same schema can be referred to (#/…)";
        let refused = || GrammarError::keyword("$ref", elsewhere);
        let named = value.as_str().ok_or_else(refused)?;
        let within = match self.base.filter(|base| !base.is_empty() && !base.contains('#')) {
            Some(base) => named.strip_prefix(base).unwrap_or(named),
            None => named,
        };
        if place.renamed || !within.starts_with('#') {
            return Err(refused());
        }
        let pointer = decode(&within[1..]).ok_or_else(refused)?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(GrammarError::keyword("$ref", "anchors are not supported"));
        }
        let target = self
            .root
            .pointer(&pointer)
            .ok_or_else(|| GrammarError::keyword("$ref", "there is nothing where it points to"))?;
        let made = self.target(target, &format!("#{pointer}"), place)?;
        Ok(made.get("$ref").cloned().unwrap_or_default())
    }
}

/// Adds one more schema that has to be met.
fn also(made: &mut Map<String, Value>, schema: Value) {
    match made.entry("allOf").or_insert_with(|| json!([])) {
        Value::Array(all) => all.push(schema),
        other => *other = json!([schema]),
    }
}

fn edition_of(value: &Value) -> Option<&str> {
    value.as_str().map(|name| name.trim_end_matches('#'))
}

fn edition_of_root(root: &Value) -> Option<&str> {
    root.get("$schema").and_then(edition_of)
}

/// A fragment with its percent signs resolved.
fn decode(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn types(value: &Value) -> Result<Value, GrammarError> {
    const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let good = match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(known),
        one => known(one),
    };
    if good { Ok(value.clone()) } else { Err(GrammarError::keyword("type", "it names no type")) }
}

fn names(value: &Value) -> Result<Value, GrammarError> {
    match value.as_array() {
        Some(list) if list.iter().all(Value::is_string) => {
            list.iter()
                .filter_map(Value::as_str)
                .try_for_each(|n| numbers::spelled("required", n))?;
            Ok(value.clone())
        }
        _ => Err(GrammarError::keyword("required", "a list of names is expected")),
    }
}

/// Words for a keyword that is refused.
fn why_not(keyword: &str) -> &'static str {
    match keyword {
        "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "minContains"
        | "maxContains"
        | "uniqueItems"
        | "propertyNames"
        | "dependencies"
        | "dependentRequired"
        | "dependentSchemas"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "$dynamicRef"
        | "$recursiveRef"
        | "$recursiveAnchor"
        | "$vocabulary"
        | "x-guidance" => "it is not supported",
        "$schema" | "$id" | "id" => "it has another value than it can have here",
        _ => "JSON Schema does not know it; names of notes begin with x-",
    }
}
