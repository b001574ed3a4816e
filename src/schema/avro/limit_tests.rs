//! Schemas made to be expensive: each is refused or given up with the limit's name, and what is near it still passes.

use super::super::{SchemaError, parse};
use super::*;

fn joined(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn record(name: &str, fields: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
}

fn lenient(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], Validation::Lenient).unwrap()
}

fn found(reader: &str, writer: &str) -> Vec<String> {
    let found = lenient(reader).incompatibilities(&lenient(writer));
    found.into_iter().map(|found| format!("{} {} {}", found.kind, found.location, found.message)).collect()
}

const GIVEN_UP: &str = "TYPE_MISMATCH / schemas are too large to compare";

#[test]
fn comparisons_that_multiply_are_given_up() {
    let wide_union = |prefix: &str, count: usize| {
        let fields = joined(10, |field| format!(r#"{{"name":"{prefix}{field}","type":"int"}}"#));
        format!("[{}]", joined(count, |at| record(&format!("{prefix}{at}"), &fields)))
    };
    assert_eq!(found(&wide_union("a", 300), &wide_union("b", 300)), [GIVEN_UP]);
    let lacking = found(&wide_union("a", 30), &wide_union("b", 30));
    assert_eq!(lacking.len(), 30);
    assert_eq!(lacking[0], "MISSING_UNION_BRANCH /0 reader union lacking writer type: RECORD");

    let small = format!("[{}]", joined(3_000, |at| record(&format!("w{at}"), "")));
    let fields = joined(6_000, |at| format!(r#"{{"name":"f{at}","type":"int","default":0}}"#));
    assert_eq!(found(&record("R", &fields), &small), [GIVEN_UP]);
    let aliases = joined(6_000, |at| format!(r#""x{at}""#));
    let field = format!(r#"{{"name":"f","type":"int","default":0,"aliases":[{aliases}]}}"#);
    assert_eq!(found(&record("R", &field), &small), [GIVEN_UP]);
    let named = format!(r#"{{"type":"record","name":"R","aliases":[{aliases}],"fields":[]}}"#);
    assert_eq!(found(&named, &small), [GIVEN_UP]);
}

#[test]
fn what_is_only_large_is_compared() {
    let enumeration = |prefix: &str| {
        let symbols = joined(50_000, |at| format!(r#""{prefix}{at}""#));
        format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]}}"#)
    };
    assert_eq!(found(&enumeration("a"), &enumeration("a").replace(r#""a7","#, "")), [""; 0]);
    let missing = found(&enumeration("a").replace(r#""a7","#, ""), &enumeration("a"));
    assert_eq!(missing, ["MISSING_ENUM_SYMBOLS /symbols [a7]"]);
    let wide = |more: &str| record("R", &(joined(50_000, |at| format!(r#"{{"name":"f{at}","type":"int"}}"#)) + more));
    let missing = found(&wide(r#",{"name":"g","type":"int"}"#), &wide(""));
    assert_eq!(missing, ["READER_FIELD_MISSING_DEFAULT_VALUE /fields/50000 g"]);
}

#[test]
fn names_are_limited_one_by_one_and_together() {
    let inside = |namespace: &str, rest: &str| {
        format!(r#"{{"type":"fixed","name":"F","namespace":"{namespace}","size":1{rest}}}"#)
    };
    assert!(AvroSchema::parse(&inside(&"n".repeat(1023), ""), &[], Validation::Strict).is_ok());
    for validation in [Validation::Strict, Validation::Lenient, Validation::Unresolved] {
        let error = AvroSchema::parse(&inside(&"n".repeat(1024), ""), &[], validation).unwrap_err();
        assert_eq!(error.to_string(), "the full name of a type is longer than 1024 bytes (at '')");
    }
    let aliases = joined(40_000, |at| format!(r#""a{at}""#));
    let error = AvroSchema::parse(&inside(&"n".repeat(1000), &format!(r#","aliases":[{aliases}]"#)), &[], {
        Validation::Lenient
    });
    assert_eq!(error.unwrap_err().to_string(), "schema is larger than 33554432 bytes of full names");
}

/// A type called as a keyword is always written in full: a short text can have a long canonical one.
#[test]
fn the_canonical_text_is_limited_as_the_text_is() {
    let fields = |count| joined(count, |at| format!(r#"{{"name":"f{at}","type":"enum"}}"#));
    let text = |count| {
        let first = r#"{"name":"first","type":{"type":"enum","name":"enum","symbols":["A"]}}"#;
        let namespace = "n".repeat(1000);
        format!(r#"{{"type":"record","name":"R","namespace":"{namespace}","fields":[{first},{}]}}"#, fields(count))
    };
    assert!(parse(SchemaType::Avro, &text(4_000), &[], Validation::Strict).is_ok());
    let refused = parse(SchemaType::Avro, &text(4_200), &[], Validation::Strict).unwrap_err();
    assert_eq!(refused, SchemaError::TooLarge { limit: 4 << 20, unit: "bytes" });
}

#[test]
fn defaults_cost_what_they_are_long() {
    let text = |objects: usize| {
        let members = joined(10_000, |at| format!(r#""m{at}":0"#));
        let list = joined(objects, |_| format!("{{{members}}}"));
        let items = record("R", "");
        record("O", &format!(r#"{{"name":"f","type":{{"type":"array","items":{items}}},"default":[{list}]}}"#))
    };
    assert!(AvroSchema::parse(&text(90), &[], Validation::Strict).is_ok());
    let error = AvroSchema::parse(&text(110), &[], Validation::Strict).unwrap_err();
    assert_eq!(error.to_string(), "schema is larger than 1000000 steps to check defaults");
}
