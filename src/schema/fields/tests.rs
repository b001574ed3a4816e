use super::super::{ParsedSchema, ResolvedReference, SchemaType, Validation, parse};
use super::*;
use std::sync::Arc;

fn read(schema_type: SchemaType, text: &str) -> Arc<dyn ParsedSchema> {
    parse(schema_type, text, &[], Validation::Strict).unwrap()
}

fn listed(schema_type: SchemaType, text: &str) -> Vec<String> {
    let fields = read(schema_type, text).fields().unwrap();
    fields.into_iter().map(|field| format!("{} {}", field.path, field.data_type)).collect()
}

fn changes(schema_type: SchemaType, old: &str, new: &str) -> Vec<String> {
    let changed = changed_fields(&*read(schema_type, old), &*read(schema_type, new)).unwrap();
    let text = |ChangedField { path, change }| match change {
        FieldChange::Removed => format!("{path} removed"),
        FieldChange::Renamed { to } => format!("{path} -> {to}"),
        FieldChange::Retyped { from, to } => format!("{path}: {from} -> {to}"),
    };
    changed.into_iter().map(text).collect()
}

/// An Avro record `R` of fields given as (name, type).
fn record(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, kind)| format!(r#"{{"name":"{name}","type":{kind}}}"#)).collect();
    format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
}

#[test]
fn avro_fields_are_columns() {
    let inner = r#"{"type":"record","name":"I","fields":[{"name":"sku","type":"string"}]}"#;
    let text = record(&[
        ("id", "\"long\""),
        ("note", r#"["null","string"]"#),
        ("either", r#"["null","string","int"]"#),
        ("at", r#"{"type":"long","logicalType":"timestamp-millis"}"#),
        ("price", r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}"#),
        ("size", r#"{"type":"fixed","name":"F","size":16}"#),
        ("kind", r#"{"type":"enum","name":"E","symbols":["A"]}"#),
        ("items", &format!(r#"{{"type":"array","items":{inner}}}"#)),
        ("by_name", r#"{"type":"map","values":"I"}"#),
        ("first", r#"["null","I"]"#),
        ("tags", r#"{"type":"array","items":["null","string"]}"#),
    ]);
    assert_eq!(
        listed(SchemaType::Avro, &text),
        [
            "id long",
            "note string",
            "either int|string",
            "at timestamp-millis",
            "price decimal(10,2)",
            "size fixed(16)",
            "kind enum",
            "items array<record>",
            "items.[].sku string",
            "by_name map<record>",
            "by_name.{}.sku string",
            "first record",
            "first.sku string",
            "tags array<string>",
        ]
    );
    assert!(listed(SchemaType::Avro, "\"string\"").is_empty());
}

#[test]
fn protobuf_fields_are_those_of_the_first_message() {
    let text = r#"syntax = "proto3";
        import "google/protobuf/timestamp.proto";
        message Order {
          int64 id = 1;
          repeated Item items = 2;
          map<string, Item> by_name = 3;
          oneof payer { string email = 4; Item gift = 5; }
          google.protobuf.Timestamp at = 6;
          Kind kind = 7;
          Order parent = 8;
          enum Kind { NONE = 0; }
        }
        message Item { string sku = 1; }"#;
    assert_eq!(
        listed(SchemaType::Protobuf, text),
        [
            "id int64",
            "items array<message>",
            "items.[].sku string",
            "by_name map<string,message>",
            "by_name.{}.sku string",
            "at google.protobuf.Timestamp",
            "kind enum",
            "parent message",
            "email string",
            "gift message",
            "gift.sku string",
        ]
    );
}

#[test]
fn json_properties_are_columns() {
    let text = r##"{
        "type": "object",
        "definitions": {"item": {"type": "object", "properties": {"sku": {"type": "string"}}}},
        "properties": {
            "id": {"type": "integer"},
            "note": {"type": ["string", "null"]},
            "kind": {"enum": ["a", "b"]},
            "state": {"type": "string", "enum": ["a", "b"]},
            "first": {"oneOf": [{"type": "null"}, {"$ref": "#/definitions/item"}]},
            "items": {"type": "array", "items": {"$ref": "#/definitions/item"}},
            "by_name": {"type": "object", "additionalProperties": {"$ref": "#/definitions/item"}},
            "loose": {}
        },
        "allOf": [{"properties": {"extra": {"type": "number"}}}]
    }"##;
    let mut found = listed(SchemaType::Json, text);
    found.sort();
    assert_eq!(
        found,
        [
            "by_name object",
            "by_name.{}.sku string",
            "extra number",
            "first object",
            "first.sku string",
            "id integer",
            "items array<object>",
            "items.[].sku string",
            "kind string",
            "loose any",
            "note string",
            "state string",
        ]
    );
}

#[test]
fn avro_changes() {
    let old = record(&[("id", "\"int\""), ("a", "\"string\""), ("b", "\"string\""), ("c", "\"string\"")]);
    let new = r#"{"type":"record","name":"R","fields":[
        {"name":"id","type":"long"},
        {"name":"aa","type":["null","string"],"aliases":["a"]},
        {"name":"c","type":["null","string"]},
        {"name":"d","type":["null","string"],"default":null}]}"#;
    assert_eq!(changes(SchemaType::Avro, &old, new), ["id: int -> long", "a -> aa", "b removed"]);
    assert!(changes(SchemaType::Avro, new, new).is_empty());
}

#[test]
fn what_lies_inside_of_a_changed_field_is_not_listed_again() {
    let inner = |fields: &str| format!(r#"{{"type":"record","name":"I","fields":[{fields}]}}"#);
    let (x, y) = (r#"{"name":"x","type":"int"}"#, r#"{"name":"y","type":"int"}"#);
    let with = |kind: &str| record(&[("id", "\"int\""), ("in", kind)]);
    let old = with(&inner(&format!("{x},{y}")));
    assert_eq!(changes(SchemaType::Avro, &old, &with(&inner(x))), ["in.y removed"]);
    assert_eq!(changes(SchemaType::Avro, &old, &with("\"string\"")), ["in: record -> string"]);
    assert_eq!(changes(SchemaType::Avro, &old, &record(&[("id", "\"int\"")])), ["in removed"]);
    // A name that begins with the same letters is another field.
    let (old, new) = (record(&[("a", "\"int\""), ("ab", "\"int\"")]), record(&[("c", "\"int\"")]));
    assert_eq!(changes(SchemaType::Avro, &old, &new), ["a removed", "ab removed"]);
}

#[test]
fn protobuf_changes_go_by_number() {
    let file = |fields: &str| format!("syntax = \"proto3\"; message M {{ {fields} }} message N {{ int32 x = 1; }}");
    let old = file("int32 id = 1; string a = 2; string b = 3; N n = 4; repeated string c = 5;");
    let new = file("int64 id = 1; string aa = 2; N n = 4; string c = 5; string d = 6;");
    let found = changes(SchemaType::Protobuf, &old, &new);
    assert_eq!(found, ["id: int32 -> int64", "a -> aa", "b removed", "c: array<string> -> string"]);
}

#[test]
fn json_changes() {
    let object = |properties: &str| format!(r#"{{"type":"object","properties":{{{properties}}}}}"#);
    let old = object(r#""a":{"type":"string"},"b":{"type":"integer"},"c":{"type":"string"}"#);
    let new = object(r#""b":{"type":"number"},"c":{"type":["null","string"]}"#);
    assert_eq!(changes(SchemaType::Json, &old, &new), ["a removed", "b: integer -> number"]);
}

#[test]
fn across_languages_names_alone_count() {
    let old = read(SchemaType::Avro, &record(&[("a", "\"int\""), ("b", "\"int\"")]));
    let new = read(SchemaType::Json, r#"{"type":"object","properties":{"a":{"type":"string"}}}"#);
    let changed = changed_fields(&*old, &*new).unwrap();
    assert_eq!(changed, [ChangedField { path: "b".into(), change: FieldChange::Removed }]);
}

#[test]
fn references_count_as_if_written_out() {
    let inner = r#"{"type":"record","name":"I","namespace":"n","fields":[{"name":"sku","type":"string"}]}"#;
    let references = [ResolvedReference { name: "n.I".into(), schema: inner.into() }];
    let text = record(&[("item", "\"n.I\"")]);
    let schema = parse(SchemaType::Avro, &text, &references, Validation::Strict).unwrap();
    let paths: Vec<String> = schema.fields().unwrap().into_iter().map(|field| field.path).collect();
    assert_eq!(paths, ["item", "item.sku"]);
}

#[test]
fn recursion_ends_and_too_many_fields_are_an_error() {
    let node =
        r#"{"type":"record","name":"N","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","N"]}]}"#;
    assert_eq!(listed(SchemaType::Avro, node), ["v int", "next record"]);
    let tree = r##"{"type":"object","properties":{"v":{"type":"string"},"next":{"$ref":"#"}}}"##;
    assert_eq!(listed(SchemaType::Json, tree).len(), 2);
    // Each level mentions the next one twice: 2^20 fields at the bottom.
    let level = |n: usize, inner: &str| {
        let twice = format!(r#"{{"name":"a","type":{inner}}},{{"name":"b","type":"L{}"}}"#, n + 1);
        format!(r#"{{"type":"record","name":"L{n}","fields":[{twice}]}}"#)
    };
    let bottom = r#"{"type":"record","name":"L20","fields":[{"name":"x","type":"int"}]}"#.to_owned();
    let deep = (0..20).rev().fold(bottom, |inner, n| level(n, &inner));
    let error = read(SchemaType::Avro, &deep).fields().unwrap_err();
    assert_eq!(error, SchemaError::TooLarge { limit: MAX_FIELDS, unit: "fields, nested ones among them" });
}

#[test]
fn many_ways_to_one_place_are_walked_once() {
    // Two records that hold either of the next two, 25 levels deep: 2^25 ways, 25 fields.
    let mut text = r#"["null","int"]"#.to_owned();
    for n in (0..25).rev() {
        let other = match n {
            24 => text.clone(),
            _ => format!(r#"["A{}","B{}"]"#, n + 1, n + 1),
        };
        let one = format!(r#"{{"type":"record","name":"A{n}","fields":[{{"name":"f","type":{text}}}]}}"#);
        let two = format!(r#"{{"type":"record","name":"B{n}","fields":[{{"name":"f","type":{other}}}]}}"#);
        text = format!("[{one},{two}]");
    }
    assert_eq!(listed(SchemaType::Avro, &text).len(), 25);
    // Deeper than fields are looked for there is nothing, but the search ends.
    assert_eq!(listed(SchemaType::Json, &combinations(40)), ["f any"]);
    assert_eq!(listed(SchemaType::Json, &combinations(14)), ["f object", "f.x string"]);
}

/// A property that may be either of two, each of which may be the next level's; an object at the last.
fn combinations(levels: usize) -> String {
    let level = |n: usize| {
        let next = format!(r##"{{"$ref":"#/definitions/d{}"}}"##, n + 1);
        format!(r#""d{n}":{{"anyOf":[{next},{{"title":"t","allOf":[{next}]}}]}}"#)
    };
    let levels_text: Vec<String> = (0..levels).map(level).collect();
    let last = r#"{"type":"object","properties":{"x":{"type":"string"}}}"#;
    let definitions = format!(r#"{{{},"d{levels}":{last}}}"#, levels_text.join(","));
    let properties = r##"{"f":{"$ref":"#/definitions/d0"}}"##;
    format!(r#"{{"type":"object","properties":{properties},"definitions":{definitions}}}"#)
}
