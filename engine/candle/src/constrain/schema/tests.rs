//! What schemas come to.

use super::*;

fn made(schema: Value) -> Value {
    normalise(&schema.to_string()).unwrap()
}

#[test]
fn notes_are_left_out_and_the_rest_stays() {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "title": "T", "x-note": 1, "type": "object",
        "properties": {"title": {"type": "string", "description": "D"}}, "required": ["title"]});
    assert_eq!(
        made(schema),
        json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]})
    );
    assert_eq!(made(json!(true)), json!({"allOf": [true]}));
}

#[test]
fn references_become_numbered_definitions() {
    let schema = json!({"$ref": "#/definitions/a%20b~1c", "definitions": {"a b/c": {"items": {"$ref": "#"}}, "bad": {"not": 1}}});
    assert_eq!(
        made(schema),
        json!({"$ref": "#/$defs/0", "$defs": {"0": {"$ref": "#/$defs/1"},
            "1": {"items": {"$ref": "#/$defs/2"}}, "2": {"$ref": "#/$defs/1"}}})
    );
    let schema = json!({"$id": "http://a.example/s", "$ref": "http://a.example/s#/$defs/x", "$defs": {"x": {"type": "null"}}});
    assert_eq!(made(schema)["$defs"]["1"], json!({"type": "null"}));
    // Within a schema of another name references mean something else.
    let schema = json!({"items": {"$id": "http://b.example/", "$ref": "#/a"}, "a": {}});
    assert!(normalise(&schema.to_string()).is_err());
}

#[test]
fn items_by_place_are_written_in_one_way() {
    assert_eq!(
        made(json!({"items": [{"type": "null"}], "additionalItems": false})),
        json!({"prefixItems": [{"type": "null"}], "items": false})
    );
    assert_eq!(made(json!({"items": {}, "additionalItems": false})), json!({"items": {}}));
    assert!(normalise(r#"{"additionalItems": false}"#).is_err());
    assert!(normalise(r#"{"items": [{}], "prefixItems": [{}]}"#).is_err());
}

#[test]
fn formats_become_patterns_and_bounds() {
    let date = made(json!({"type": "string", "format": "date", "minLength": 1}));
    assert!(date["allOf"][0]["pattern"].as_str().is_some_and(|p| p.contains("02-29")), "{date}");
    let int32 = made(json!({"type": ["integer", "null"], "format": "int32"}));
    assert_eq!(int32["allOf"], json!([{"minimum": i32::MIN, "maximum": i32::MAX}]));
    assert_eq!(made(json!({"format": "uuid"})), json!({"format": "uuid"}));
}
