//! References, refusals and texts.

use super::super::super::compat::{Direction, Level, check_pair};
use super::*;

#[test]
fn references_inside_the_document() {
    let list = |value: &str, key: &str| {
        format!(
            r##"{{"properties":{{"value":{{"type":"{value}"}},"{key}":{{"$ref":"#"}}}},"additionalProperties":false}}"##
        )
    };
    check(
        &[
            (
                r##"{"items":{"$ref":"#/definitions/a%25b"},"definitions":{"a%b":{"maxLength":1}}}"##,
                r##"{"items":{"$ref":"#/definitions/c~1d"},"definitions":{"c/d":{"maxLength":2}}}"##,
                &["MAX_LENGTH_INCREASED #/items/maxLength"],
            ),
            (
                r##"{"items":{"$ref":"#x"},"definitions":{"a":{"$id":"#x","type":"null"}}}"##,
                r##"{"items":{"$ref":"b"},"definitions":{"a":{"$id":"b","type":"string"}}}"##,
                &["TYPE_CHANGED #/items"],
            ),
            // Through two references.
            (
                r##"{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"type":"null"}}}"##,
                r##"{"type":"null"}"##,
                &[],
            ),
            // In a circle a reference says nothing.
            (r##"{"$ref":"#"}"##, r##"{"$ref":"#"}"##, &[]),
            (r##"{"$ref":"#"}"##, r#"{"type":"null"}"#, &["TYPE_CHANGED #/"]),
            (r#"{"type":"null"}"#, r##"{"$ref":"#"}"##, &[]),
        ],
        "",
    );
    check(
        &[(
            r##"{"items":{"$ref":"#x"},"$defs":{"a":{"$anchor":"x","type":"null"}}}"##,
            r##"{"items":{"$dynamicRef":"#y"},"$defs":{"a":{"$dynamicAnchor":"y","type":"string"}}}"##,
            &["TYPE_CHANGED #/items"],
        )],
        DRAFT202012,
    );
    check(
        &[
            // Definitions are found under their newer name.
            (
                r##"{"items":{"$ref":"#/$defs/a"},"definitions":{"a":{"type":"null"}}}"##,
                r##"{"items":{"$ref":"#/$defs/a"},"$defs":{"a":{"type":"string"}}}"##,
                &["TYPE_CHANGED #/items"],
            ),
            // A draft's own schema is what it is.
            (
                r#"{"items":{"$ref":"http://json-schema.org/draft-07/schema#"}}"#,
                r#"{"items":{"$ref":"http://json-schema.org/draft-07/schema"},"title":"t"}"#,
                &["TITLE_CHANGED #/"],
            ),
            (
                r#"{"items":{"$ref":"http://json-schema.org/draft-07/schema#"}}"#,
                r#"{"items":{"$ref":"http://json-schema.org/draft-06/schema#"}}"#,
                &["TYPE_CHANGED #/items"],
            ),
        ],
        DRAFT7,
    );
    let (old, new) = (parse(&list("integer", "next")), parse(&list("number", "next")));
    assert_eq!(found(&old, &new), ["TYPE_EXTENDED #/properties/value"]);
    // What does not fit is told once more where the recursion comes back to it.
    assert_eq!(
        found(&new, &old),
        ["TYPE_NARROWED #/properties/next/properties/value", "TYPE_NARROWED #/properties/value"]
    );
    // The same list, unrolled by one.
    let unrolled = parse(
        r##"{"properties":{"value":{"type":"integer"},"next":{"$ref":"#/definitions/node"}},"additionalProperties":false,
        "definitions":{"node":{"properties":{"value":{"type":"string"},"next":{"$ref":"#"}},"additionalProperties":false}}}"##,
    );
    assert_eq!(
        found(&old, &unrolled),
        [
            "TYPE_CHANGED #/properties/next/properties/next/properties/next/properties/value",
            "TYPE_CHANGED #/properties/next/properties/value",
        ]
    );
}

#[test]
fn what_was_concluded_from_a_wrong_guess_is_forgotten() {
    // While x is compared with x, c counts as compatible for all that leads back to x. It is not, as x is not: so
    // x does not fit y either, though their values do.
    let schema = |x: &str, y: &str| {
        let node = |value: &str, next: &str| {
            format!(r##"{{"properties":{{"v":{{"type":"{value}"}},"n":{{"$ref":"#/definitions/{next}"}}}}}}"##)
        };
        let definitions = format!(r#"{{"x":{},"y":{},"c":{}}}"#, node(x, "c"), node(y, "c"), node("boolean", "x"));
        parse(&format!(
            r##"{{"anyOf":[{{"$ref":"#/definitions/x"}},{{"$ref":"#/definitions/y"}}],"definitions":{definitions}}}"##
        ))
    };
    assert_eq!(found(&schema("string", "null"), &schema("null", "string")), ["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"]);
    // With a right guess the same shape is compatible.
    assert!(schema("number", "null").incompatibilities(&schema("integer", "null")).is_empty());
}

#[test]
fn references_to_other_documents() {
    let inner = r#"{"definitions":{"x":{"type":"integer"}},"type":"string"}"#;
    for (text, name) in [
        (r#"{"items":{"$ref":"a.json"}}"#, "a.json"),
        (r#"{"items":{"$ref":"./a.json"}}"#, "a.json"),
        (r#"{"items":{"$ref":"http://x/a.json"}}"#, "http://x/a.json"),
        (r##"{"items":{"$ref":"a.json#"}}"##, "a.json"),
        (r#"{"$id":"http://x/b/c.json","items":{"$ref":"a.json"}}"#, "a.json"),
        (r#"{"$id":"http://x/b/c.json","items":{"$ref":"a.json"}}"#, "http://x/b/a.json"),
        (r#"{"$id":"http://x/b/c.json","items":{"$ref":"http://x/b/a.json"}}"#, "a.json"),
    ] {
        let schema = JsonSchema::parse(text, &[reference(name, inner)], Validation::Strict).unwrap();
        let plain = parse(r#"{"items":{"type":"string"}}"#);
        assert_eq!(found(&plain, &schema).len(), usize::from(text.contains("$id")), "{text}");
        let inside = text.replace("a.json#\"", "a.json\"").replace("a.json\"}", "a.json#/definitions/x\"}");
        let schema = JsonSchema::parse(&inside, &[reference(name, inner)], Validation::Strict).unwrap();
        assert!(found(&plain, &schema).contains(&"TYPE_CHANGED #/items".to_owned()), "{inside}");
    }
    // A reference's own references, and its own name.
    let references = [
        reference("far.json", r#"{"type":"null"}"#),
        reference("near.json", r#"{"$id":"http://y/near.json","items":{"$ref":"far.json"}}"#),
    ];
    let schema = JsonSchema::parse(r#"{"$ref":"http://y/near.json"}"#, &references, Validation::Strict).unwrap();
    assert_eq!(found(&schema, &parse(r#"{"items":{"type":"string"}}"#)), ["ID_CHANGED #/", "TYPE_CHANGED #/items"]);
}

#[test]
fn what_is_no_schema_is_refused() {
    let strict = |text: &str| JsonSchema::parse(text, &[], Validation::Strict).map(|_| ());
    let at = |text: &str| match strict(text) {
        Err(SchemaError::Invalid { path, .. }) => path,
        other => panic!("{text}: {other:?}"),
    };
    assert!(matches!(strict("{"), Err(SchemaError::NotJson(_))));
    assert_eq!(at("1"), "");
    assert_eq!(at("[]"), "");
    assert_eq!(at(r#"{"type":"strin"}"#), "/type");
    assert_eq!(at(r#"{"properties":{"a":{"maxLength":-1}}}"#), "/properties/a/maxLength");
    assert_eq!(at(r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","items":[{}]}"#), "/items");
    assert_eq!(at(r##"{"properties":{"a/b":{"$ref":"#/definitions/x"}}}"##), "/properties/a~1b/$ref");
    assert_eq!(at(r#"{"items":{"$ref":"http://x/y"}}"#), "/items/$ref");
    assert_eq!(
        at(r##"{"$ref":"#/definitions/a","definitions":{"a":{"not":{"$ref":"b"}}}}"##),
        "/definitions/a/not/$ref"
    );
    assert_eq!(at(r#"{"properties":{"$$x":{}}}"#), "/properties/$$x");
    let unused = |schema: &str, key: &str| format!(r#"{{"$schema":"{schema}","{key}":{{"a":{{"$ref":"b"}}}}}}"#);
    assert_eq!(at(&unused(DRAFT202012, "$defs")), "/$defs/a/$ref");
    assert!(strict(&unused(DRAFT7, "definitions")).is_ok());
    for text in [
        "true",
        "{}",
        r#"{"$schema":"http://x/my"}"#,
        r#"{"pattern":"(?<"}"#,
        r#"{"$ref":"http://json-schema.org/draft-07/schema#"}"#,
    ] {
        strict(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let broken = [reference("a", r#"{"properties":{"x":{"$ref":"nowhere"}}}"#)];
    let error = JsonSchema::parse(r#"{"$ref":"a"}"#, &broken, Validation::Strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "reference 'a' is not a valid schema: reference 'nowhere' cannot be resolved (at '/properties/x/$ref')"
    );
    assert!(JsonSchema::parse("{}", &[reference("a", "{")], Validation::Lenient).is_err());
    // An old schema is judged by its structure alone, and one on its own may refer to anything.
    assert!(JsonSchema::parse(r#"{"maxLength":-1,"required":"x","enum":3}"#, &[], Validation::Lenient).is_ok());
    assert!(JsonSchema::parse(r#"{"type":"strin"}"#, &[], Validation::Lenient).is_err());
    assert!(JsonSchema::parse(r#"{"$ref":"x"}"#, &[], Validation::Lenient).is_err());
    assert!(JsonSchema::parse(r#"{"$ref":"x"}"#, &[], Validation::Unresolved).is_ok());
}

#[test]
fn texts() {
    let schema = parse(r#" { "title" : "T", "b" : 1.0, "a" : { "d": 1, "c": "é" } } "#);
    assert_eq!(schema.canonical(), r#"{"title":"T","b":1.0,"a":{"d":1,"c":"é"}}"#);
    assert_eq!(schema.normalized(), r#"{"a":{"c":"é","d":1},"b":1.0,"title":"T"}"#);
    assert_eq!(schema.resolved(), schema.canonical());
    assert_eq!(schema.name(), Some("T"));
    assert_eq!(parse(r#"{"$id":"x"}"#).name(), None);
    let references = [reference("a.json", r#"{"type":"null"}"#)];
    let schema = JsonSchema::parse(r#"{"items":{"$ref":"a.json"}}"#, &references, Validation::Strict).unwrap();
    let bundled = r#"{"items":{"$ref":"a.json"},"definitions":{"a.json":{"$id":"a.json","type":"null"}}}"#;
    assert_eq!(schema.resolved(), bundled);
    assert_eq!(found(&schema, &parse(bundled)), ["ID_CHANGED #/items"]);
}

#[test]
fn messages_name_the_sides() {
    let (old, new) =
        (parse(r#"{"type":"object"}"#), parse(r#"{"type":"object","properties":{"{reader}":{"type":"null"}}}"#));
    let found = check_pair(&new, &old, Level::Full);
    let [(Direction::Backward, found)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (found.kind, found.location.as_str(), found.message.as_str()),
        ("OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", "#/properties/{reader}", "")
    );
    // The property's name is not taken for the placeholder.
    assert_eq!(
        found.description,
        "The {reader} schema names a property or item at path '#/properties/{ reader}' which the open content model of \
         the {writer} schema leaves free"
    );
    let avro = crate::schema::avro::AvroSchema::parse("\"int\"", &[], Validation::Strict).unwrap();
    assert_eq!(new.incompatibilities(&avro).iter().map(|found| found.kind).collect::<Vec<_>>(), ["TYPE_CHANGED"]);
    assert!(new.field_names().iter().eq(["{reader}"]));
}
