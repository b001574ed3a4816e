//! Avro parsing, canonical text and compatibility; the vectors are labelled by Java Avro.

use super::super::compat::{check_pair, check_version};
use super::*;
use crate::schema::{Level, parse};

fn strict(text: &str) -> Result<AvroSchema, SchemaError> {
    AvroSchema::parse(text, &[], Validation::Strict)
}

fn error(text: &str) -> String {
    strict(text).expect_err(text).to_string()
}

fn reference(name: &str, schema: &str) -> ResolvedReference {
    ResolvedReference { name: name.to_owned(), schema: schema.to_owned() }
}

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    mode: String,
    old: Vec<String>,
    new: String,
    expected_compatible: bool,
    incompatibilities: Vec<Expected>,
}

#[derive(serde::Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    #[serde(rename = "type")]
    kind: String,
    location: String,
    message: String,
}

/// Every vector's answer and its exact incompatibilities, as Java Avro's own check labelled them.
#[test]
fn agrees_with_every_vector() {
    let vectors = include_str!("../../../tests/fixtures/registry/avro_compat_vectors.jsonl");
    let mut wrong = Vec::new();
    let mut total = 0;
    for line in vectors.lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        total += 1;
        let level: Level = vector.mode.parse().unwrap();
        let new = parse(SchemaType::Avro, &vector.new, &[], Validation::Lenient).unwrap();
        let considered = if level.is_transitive() { 0 } else { vector.old.len().saturating_sub(1) };
        let mut found: Vec<Expected> = Vec::new();
        for text in &vector.old[considered..] {
            let old = parse(SchemaType::Avro, text, &[], Validation::Lenient).unwrap();
            found.extend(check_pair(&*new, &*old, level).into_iter().map(|(_, found)| Expected {
                kind: found.kind.to_owned(),
                location: found.location,
                message: found.message,
            }));
        }
        if found.is_empty() != vector.expected_compatible || found != vector.incompatibilities {
            wrong.push(format!("{}: expected {:?}, found {found:?}", vector.name, vector.incompatibilities));
        }
    }
    assert_eq!(total, 528);
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn canonical_text_keeps_attributes_and_fixes_their_order() {
    let text = r#" { "fields" : [ { "type" : [ "null" , { "logicalType":"timestamp-millis", "type":"long" } ],
        "default" : null, "name":"at", "x":{"b":1,"a":2}, "aliases":["time"], "doc":"when", "order":"ascending" } ],
        "doc":"d", "aliases":["Old","other.Older"], "name":"n.s.R", "type":"record", "owner":"me" } "#;
    let schema = strict(text).unwrap();
    assert_eq!(
        schema.canonical(),
        concat!(
            r#"{"type":"record","name":"R","namespace":"n.s","doc":"d","fields":[{"name":"at","type":["null","#,
            r#"{"type":"long","logicalType":"timestamp-millis"}],"doc":"when","default":null,"aliases":["time"],"#,
            r#""x":{"b":1,"a":2}}],"owner":"me","aliases":["Old","other.Older"]}"#
        )
    );
    assert!(schema.normalized().contains(r#""x":{"a":2,"b":1}"#));
    let other = strict(
        r#"{"type":"error","name":"n.E","doc":"","aliases":["z","n.a"],"fields":[{"name":"f","doc":"","aliases":["y","x"],
            "type":{"type":"bytes","scale":2,"b":1,"precision":4,"logicalType":"decimal","a":0}},
            {"name":"g","type":{"type":"string","logicalType":"odd","k":1}}]}"#,
    );
    assert_eq!(
        other.unwrap().normalized(),
        concat!(
            r#"{"type":"record","name":"E","namespace":"n","fields":[{"name":"f","type":{"type":"bytes","#,
            r#""logicalType":"decimal","precision":4,"scale":2,"a":0,"b":1},"doc":"","aliases":["x","y"]},"#,
            r#"{"name":"g","type":{"type":"string","k":1,"logicalType":"odd"}}],"aliases":["a","z"]}"#,
        )
    );
    assert_eq!(strict(schema.canonical()).unwrap().canonical(), schema.canonical(), "canonical text is a fixed point");
    assert_eq!(schema.name(), Some("n.s.R"));
}

#[test]
fn canonical_text_simplifies_primitives_and_names() {
    assert_eq!(strict(r#"{"type":"int"}"#).unwrap().canonical(), r#""int""#);
    assert_eq!(strict(" string ").unwrap().canonical(), r#""string""#);
    assert_eq!(strict(r#"{"type":{"type":"string"}}"#).unwrap().canonical(), r#""string""#);
    let nested = strict(
        r#"{"type":"record","name":"a.A","fields":[
            {"name":"x","type":{"type":"enum","name":"a.E","symbols":["P"],"default":"P"}},
            {"name":"y","type":"a.E"},
            {"name":"z","type":{"type":"fixed","name":"F","namespace":"","size":3}},
            {"name":"w","type":{"type":"map","values":{"type":"array","items":"A"}}}]}"#,
    );
    assert_eq!(
        nested.unwrap().canonical(),
        concat!(
            r#"{"type":"record","name":"A","namespace":"a","fields":[{"name":"x","type":{"type":"enum","name":"E","#,
            r#""symbols":["P"],"default":"P"}},{"name":"y","type":"E"},{"name":"z","type":{"type":"fixed","name":"F","#,
            r#""namespace":"","size":3}},{"name":"w","type":{"type":"map","values":{"type":"array","items":"A"}}}]}"#
        )
    );
}

#[test]
fn refuses_what_the_specification_refuses() {
    for (text, part) in [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("1", "a schema is"),
        ("{}", "no \"type\""),
        (r#""nothing""#, "undefined name \"nothing\""),
        (r#"{"type":"record","name":"R"}"#, "fields"),
        (r#"{"type":"record","fields":[]}"#, "no \"name\""),
        (r#"{"type":"record","name":"1R","fields":[]}"#, "illegal first character"),
        (r#"{"type":"record","name":"R-a","fields":[]}"#, "illegal character"),
        (r#"{"type":"record","name":"int","fields":[]}"#, "primitive"),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "duplicate field",
        ),
        (r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#, "without \"type\""),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
            "invalid default for field a",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":2147483648}]}"#,
            "invalid default",
        ),
        (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":1.0}]}"#, "invalid default"),
        (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"up"}]}"#, "unknown order"),
        (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "duplicate enum symbol"),
        (r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#, "not one of its symbols"),
        (r#"{"type":"enum","name":"E","symbols":["A b"]}"#, "illegal character"),
        (r#"{"type":"enum","name":"E"}"#, "symbols"),
        (r#"{"type":"fixed","name":"F","size":-1}"#, "size"),
        (r#"{"type":"fixed","name":"F"}"#, "size"),
        (r#"["int","int"]"#, "duplicate in union: int"),
        (r#"["int",["string"]]"#, "union"),
        (r#"{"type":"array"}"#, "items"),
        (r#"{"type":"map"}"#, "values"),
        (r#"[{"type":"fixed","name":"F","size":1},{"type":"enum","name":"F","symbols":[]}]"#, "defined twice"),
    ] {
        assert!(error(text).contains(part), "{text}: {}", error(text));
    }
}

#[test]
fn accepts_defaults_of_any_union_branch_and_nested_records() {
    strict(
        r#"{"type":"record","name":"R","fields":[
            {"name":"a","type":["null","string"],"default":"x"},
            {"name":"b","type":{"type":"record","name":"S","fields":[{"name":"c","type":"int","default":1}]},"default":{}},
            {"name":"d","type":{"type":"map","values":"long"},"default":{"k":1}},
            {"name":"e","type":{"type":"array","items":"bytes"},"default":["\u00ff"]},
            {"name":"f","type":"double","default":1}]}"#,
    )
    .unwrap();
    assert!(
        error(
            r#"{"type":"record","name":"R","fields":[{"name":"b","type":{"type":"record","name":"S","fields":[
            {"name":"c","type":"int"}]},"default":{}}]}"#
        )
        .contains("invalid default for field b")
    );
}

#[test]
fn lenient_reading_takes_old_names_and_defaults_but_no_unknown_types() {
    let old = r#"{"type":"record","name":"R-1","fields":[{"name":"a b","type":"int","default":"x"}]}"#;
    assert!(AvroSchema::parse(old, &[], Validation::Lenient).is_ok());
    assert!(AvroSchema::parse(r#""x.Y""#, &[], Validation::Lenient).is_err());
    assert_eq!(AvroSchema::parse(r#""x.Y""#, &[], Validation::Unresolved).unwrap().canonical(), r#""x.Y""#);
}

#[test]
fn references_are_known_by_name_and_written_out_on_demand() {
    let item = r#"{"type":"record","name":"Item","namespace":"shop","fields":[{"name":"id","type":"long"}]}"#;
    let order = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"a","type":"Item"},{"name":"b","type":"shop.Item"}]}"#;
    let schema = AvroSchema::parse(order, &[reference("shop.Item", item)], Validation::Strict).unwrap();
    let expected = concat!(
        r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"a","type":"Item"},"#,
        r#"{"name":"b","type":"Item"}]}"#
    );
    assert_eq!(schema.canonical(), expected);
    assert!(schema.resolved().contains(r#""type":{"type":"record","name":"Item","fields""#));
    let unresolved = AvroSchema::parse(order, &[], Validation::Unresolved).unwrap();
    assert_eq!(unresolved.canonical(), expected, "identity does not need the references");
    assert!(matches!(
        AvroSchema::parse(order, &[reference("shop.Item", "{")], Validation::Strict),
        Err(SchemaError::Reference { .. })
    ));
}

#[test]
fn changes_inside_a_reference_are_found_through_the_referring_schema() {
    let order = r#"{"type":"record","name":"Order","fields":[{"name":"a","type":"Item"}]}"#;
    let with = |field: &str| {
        let item = format!(r#"{{"type":"record","name":"Item","fields":[{{"name":"id","type":"{field}"}}]}}"#);
        AvroSchema::parse(order, &[reference("Item", &item)], Validation::Strict).unwrap()
    };
    let found = with("int").incompatibilities(&with("long"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].location, "/fields/0/type/fields/0/type");
}

#[test]
fn an_incompatible_version_is_reported_with_its_tail() {
    let old = |text| strict(text).unwrap();
    let new = strict(r#""double""#).unwrap();
    let check = |version, old: &AvroSchema, level| check_version(&new, version, old, level, false);
    assert!(check(3, &old(r#""long""#), Level::Backward).is_empty());
    assert_eq!(
        check(1, &old(r#""string""#), Level::BackwardTransitive),
        [
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match with \
             the old schema', additionalInfo:'reader type: DOUBLE not compatible with writer type: STRING'}",
            "{oldSchemaVersion: 1}",
            "{oldSchema: '\"string\"'}",
            "{validateFields: 'false', compatibility: 'BACKWARD_TRANSITIVE'}",
        ]
    );
    let forward = check(3, &old(r#""long""#), Level::ForwardTransitive);
    assert!(forward[0].contains("in the old schema does not match with the new schema"), "{forward:?}");
    assert_eq!(forward[1], "{oldSchemaVersion: 3}");
    assert!(check(1, &old(r#""string""#), Level::None).is_empty());
    let long = format!(r#""{}""#, "x".repeat(11_000));
    let doc = strict(&format!(r#"{{"type":"record","name":"R","fields":[],"doc":{long}}}"#)).unwrap();
    let quoted = check(1, &doc, Level::Backward).remove(2);
    assert!(quoted.starts_with("{oldSchema: <truncated> '{") && quoted.ends_with("x...'}"), "{}", quoted.len());
}

#[test]
fn an_ambiguous_alias_is_an_incompatibility_not_a_crash() {
    let writer =
        strict(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}"#)
            .unwrap();
    let reader =
        strict(r#"{"type":"record","name":"R","fields":[{"name":"a","aliases":["b"],"type":"int"}]}"#).unwrap();
    assert_eq!(reader.incompatibilities(&writer)[0].kind, "NAME_MISMATCH");
}

/// A chain of records that can only be closed over many names: the check must end, quickly and without overflow.
#[test]
fn long_cycles_of_names_end() {
    let cycle = |length: usize| {
        let mut fields: Vec<String> = vec![
            r#"{"name":"f0","type":{"type":"record","name":"A0","fields":[{"name":"x","type":"Top"}]}}"#.to_owned(),
        ];
        for index in 1..length {
            fields.push(format!(
                r#"{{"name":"f{index}","type":{{"type":"record","name":"A{index}","fields":[{{"name":"x","type":"A{}"}}]}}}}"#,
                index - 1
            ));
        }
        strict(&format!(r#"{{"type":"record","name":"Top","fields":[{}]}}"#, fields.join(","))).unwrap()
    };
    let (reader, writer) = (cycle(307), cycle(311));
    let found = reader.incompatibilities(&writer);
    assert!(found.len() <= 1_000);
}

#[test]
fn deep_texts_are_refused_or_read_without_overflow() {
    let deep = |depth: usize| format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(depth), "}".repeat(depth));
    assert!(error(&deep(10_000)).contains("nested too deeply"));
    let schema = strict(&deep(190)).unwrap();
    assert!(schema.incompatibilities(&schema).is_empty());
    assert!(schema.canonical().starts_with(r#"{"type":"array","items":{"type":"array""#));
}

/// Records within records whose defaults multiply: refused after a bounded number of steps.
#[test]
fn multiplying_defaults_are_bounded() {
    let mut fields = vec![
        r#"{"name":"f","type":{"type":"record","name":"A0","fields":[{"name":"x","type":"int","default":1}]}}"#
            .to_owned(),
    ];
    for index in 1..60 {
        let below = index - 1;
        fields.push(format!(
            r#"{{"name":"f{index}","type":{{"type":"record","name":"A{index}","fields":[{{"name":"x","type":"A{below}","default":{{}}}},{{"name":"y","type":"A{below}","default":{{}}}}]}}}}"#
        ));
    }
    let text = format!(r#"{{"type":"record","name":"Top","fields":[{}]}}"#, fields.join(","));
    assert!(matches!(strict(&text), Err(SchemaError::TooLarge { .. })));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn schema_text() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec!["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
            .prop_map(|name| format!("\"{name}\""));
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|items| format!(r#"{{"type":"array","items":{items}}}"#)),
                inner.clone().prop_map(|values| format!(r#"{{"type":"map","values":{values},"p":1}}"#)),
                prop::collection::vec(inner, 0..4).prop_map(|types| {
                    let fields: Vec<String> = types
                        .iter()
                        .enumerate()
                        .map(|(index, inner)| format!(r#"{{"name":"f{index}","type":{inner}}}"#))
                        .collect();
                    format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_schema_reads_itself_and_its_text_is_a_fixed_point(text in schema_text()) {
            // Nested records share the name R, which is a redefinition: such texts must be refused, not accepted.
            match strict(&text) {
                Ok(schema) => {
                    prop_assert!(schema.incompatibilities(&schema).is_empty());
                    let again = strict(schema.canonical()).unwrap();
                    prop_assert_eq!(again.canonical(), schema.canonical());
                }
                Err(error) => prop_assert!(error.to_string().contains("defined twice")),
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[\\[\\]{}\":,a-z0-9 ]{0,60}") {
            let _ = strict(&text);
        }

        #[test]
        fn adding_a_field_with_a_default_is_compatible_both_ways(text in schema_text()) {
            let record = |more: &str| strict(&format!(
                r#"{{"type":"record","name":"Outer","fields":[{{"name":"a","type":{text}}}{more}]}}"#));
            if let (Ok(old), Ok(new)) = (record(""), record(r#",{"name":"b","type":"int","default":0}"#)) {
                prop_assert!(check_pair(&new, &old, Level::Full).is_empty());
            }
        }
    }
}
