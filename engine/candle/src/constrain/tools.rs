//! Tools for models whose templates know none: a text that tells of them, and a constraint for the answer.

use hearth_engine_api::Constraint;
use serde_json::{Map, Value, json};

use super::GrammarError;

/// Something a model may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// By which it is asked for.
    pub name: String,
    /// What it does, for the model to read.
    pub description: String,
    /// JSON Schema of its arguments, as JSON.
    pub arguments: String,
}

/// What to tell a model of its tools, and what its answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPrompt {
    /// Goes into the instructions.
    pub system: String,
    /// Holds the answer to `{"tool": …, "arguments": …}`, or to `{"reply": …}` where that is allowed.
    pub constraint: Constraint,
}

/// Tells a model of `tools`. With `may_reply` it may answer in words instead.
///
/// # Errors
/// [`GrammarError`] where there are no tools, two have one name, or the schema of one's arguments cannot be read.
pub fn tool_prompt(tools: &[Tool], may_reply: bool) -> Result<ToolPrompt, GrammarError> {
    let mut system = String::from("You can use these tools:\n");
    let mut options = Vec::with_capacity(tools.len() + 1);
    let mut definitions = Map::new();
    let mut edition: Option<Value> = None;
    for (number, tool) in tools.iter().enumerate() {
        if tools.iter().filter(|other| other.name == tool.name).count() > 1 {
            return Err(GrammarError::keyword("name", "two tools have it"));
        }
        let mut schema: Value = serde_json::from_str(&tool.arguments)
            .map_err(|e| GrammarError::NotJson { line: e.line(), column: e.column() })?;
        system.push_str(
            &json!({"tool": tool.name, "description": tool.description, "arguments": schema})
                .to_string(),
        );
        system.push('\n');
        if let Some(named) = schema.as_object_mut().and_then(|map| map.shift_remove("$schema"))
            && *edition.get_or_insert_with(|| named.clone()) != named
        {
            return Err(GrammarError::keyword("$schema", "two tools follow different editions"));
        }
        move_references(&mut schema, &format!("#/$defs/{number}"));
        definitions.insert(number.to_string(), schema);
        options.push(json!({
            "type": "object",
            "properties": {"tool": {"const": tool.name}, "arguments": {"$ref": format!("#/$defs/{number}")}},
            "required": ["tool", "arguments"],
            "additionalProperties": false,
        }));
    }
    if options.is_empty() {
        return Err(GrammarError::Unsatisfiable);
    }
    system.push_str("Answer with JSON alone: {\"tool\": its name, \"arguments\": {…}}");
    if may_reply {
        system.push_str(", or {\"reply\": your words} where no tool is needed");
        options.push(json!({
            "type": "object",
            "properties": {"reply": {"type": "string"}},
            "required": ["reply"],
            "additionalProperties": false,
        }));
    }
    system.push('.');
    let mut schema = json!({"anyOf": options, "$defs": definitions});
    if let (Some(edition), Value::Object(map)) = (edition, &mut schema) {
        map.insert("$schema".into(), edition);
    }
    Ok(ToolPrompt { system, constraint: Constraint::JsonSchema(schema.to_string()) })
}

/// Lets references within `schema` lead to where it is moved, leaving literal values alone.
fn move_references(schema: &mut Value, to: &str) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|inner| move_references(inner, to)),
        Value::Object(map) => {
            for (keyword, inner) in map.iter_mut() {
                match (keyword.as_str(), &mut *inner) {
                    ("$ref", Value::String(target)) => {
                        if let Some(rest) = target.strip_prefix('#') {
                            *target = format!("{to}{rest}");
                        }
                    }
                    ("const" | "enum" | "default" | "examples", literal)
                        if !literal.is_object() => {}
                    _ => move_references(inner, to),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, arguments: &str) -> Tool {
        Tool { name: name.into(), description: format!("does {name}"), arguments: arguments.into() }
    }

    #[test]
    fn references_follow_a_schema_to_its_new_place() {
        let arguments = r##"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"$ref":"#/definitions/x"},
            "b":{"$ref":"#"},"c":{"enum":[{"$ref":"#"}]}},"definitions":{"x":{"type":"string"}}}"##;
        let made = tool_prompt(&[tool("look", arguments)], true).unwrap();
        assert!(made.system.contains("\"tool\":\"look\"") && made.system.contains("reply"));
        let Constraint::JsonSchema(schema) = made.constraint else { panic!("not a schema") };
        let schema: Value = serde_json::from_str(&schema).unwrap();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        let moved = &schema["$defs"]["0"]["properties"];
        assert_eq!(moved["a"]["$ref"], "#/$defs/0/definitions/x");
        assert_eq!(moved["b"]["$ref"], "#/$defs/0");
        assert_eq!(moved["c"]["enum"][0]["$ref"], "#");
    }

    #[test]
    fn tools_without_sense_are_refused() {
        assert!(tool_prompt(&[], true).is_err());
        assert!(tool_prompt(&[tool("a", "{")], false).is_err());
        assert!(tool_prompt(&[tool("a", "{}"), tool("a", "{}")], false).is_err());
    }
}
