//! What changed between two schemas, worked out by hand from the rules: a difference type and a place per change.

use super::super::compat::check_pair;
use super::*;
use crate::schema::{Level, parse};

pub(super) fn reference(name: &str, schema: &str) -> ResolvedReference {
    ResolvedReference { name: name.to_owned(), schema: schema.to_owned() }
}

pub(super) fn schema(text: &str, references: &[ResolvedReference]) -> ProtobufSchema {
    ProtobufSchema::parse(text, references, Validation::Strict).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn changes(old: &ProtobufSchema, new: &ProtobufSchema) -> Vec<String> {
    let changes = diff::changes(old, new).into_iter();
    changes.map(|(change, location)| format!("{} {location}", change.as_str())).collect()
}

/// Kinds that a reader survives, as the reference has them.
const HARMLESS: &[&str] = &[
    "MESSAGE_ADDED",
    "MESSAGE_MOVED",
    "ENUM_ADDED",
    "ENUM_REMOVED",
    "ENUM_CONST_ADDED",
    "ENUM_CONST_CHANGED",
    "ENUM_CONST_REMOVED",
    "FIELD_ADDED",
    "FIELD_REMOVED",
    "FIELD_NAME_CHANGED",
    "FIELD_STRING_OR_BYTES_LABEL_CHANGED",
    "ONEOF_ADDED",
    "ONEOF_REMOVED",
    "ONEOF_FIELD_ADDED",
    "ONEOF_FIELD_MOVED_TO_TOP_LEVEL",
];

pub(super) fn assert_changes(case: &str, old: &ProtobufSchema, new: &ProtobufSchema, expected: &[&str]) {
    assert_eq!(changes(old, new), expected, "{case}");
    let broken: Vec<String> =
        new.incompatibilities(old).into_iter().map(|found| format!("{} {}", found.kind, found.location)).collect();
    let harmless = |change: &&str| HARMLESS.contains(&change.split(' ').next().unwrap());
    let expected: Vec<&str> = expected.iter().copied().filter(|change| !harmless(change)).collect();
    assert_eq!(broken, expected, "{case}");
}

/// (old body, new body, changes) of files in one syntax.
type Case = (&'static str, &'static str, &'static [&'static str]);

fn run(syntax: &str, cases: &[Case]) {
    for (old, new, expected) in cases {
        let file = |body: &str| schema(&format!("syntax = \"{syntax}\"; {body}"), &[]);
        assert_changes(&format!("{old} -> {new}"), &file(old), &file(new), expected);
    }
}

#[test]
fn messages_and_packages() {
    run(
        "proto3",
        &[
            ("message M {}", "message M {}", &[]),
            ("package a; message M {}", "package b; message M {}", &["PACKAGE_CHANGED #/"]),
            ("message M {}", "package b; message M {}", &["PACKAGE_CHANGED #/"]),
            ("message M {}", "message M {} message N {}", &["MESSAGE_ADDED #/N"]),
            ("message M {} message N {}", "message M {}", &["MESSAGE_REMOVED #/N"]),
            ("message M {} message N {}", "message N {} message M {}", &["MESSAGE_MOVED #/M", "MESSAGE_MOVED #/N"]),
            ("message M {} message N {}", "message N {}", &["MESSAGE_REMOVED #/M", "MESSAGE_MOVED #/N"]),
            ("message M { message N {} }", "message M {}", &["MESSAGE_REMOVED #/M/N"]),
            ("message M {}", "message M { message N { message O {} } }", &["MESSAGE_ADDED #/M/N"]),
            (
                "message M { message N { int32 a = 1; } }",
                "message M { message N { string a = 1; } }",
                &["FIELD_SCALAR_KIND_CHANGED #/M/N/1"],
            ),
            (
                "message M { message N {} message O {} }",
                "message M { message O {} message N {} }",
                &["MESSAGE_MOVED #/M/N", "MESSAGE_MOVED #/M/O"],
            ),
        ],
    );
}

#[test]
fn fields_come_go_and_are_renamed() {
    run(
        "proto3",
        &[
            ("message M {}", "message M { int32 a = 1; }", &["FIELD_ADDED #/M/1"]),
            ("message M { int32 a = 1; }", "message M {}", &["FIELD_REMOVED #/M/1"]),
            ("message M { int32 a = 1; }", "message M { reserved 1; }", &["FIELD_REMOVED #/M/1"]),
            ("message M { int32 a = 1; }", "message M { int32 b = 1; }", &["FIELD_NAME_CHANGED #/M/1"]),
            ("message M { int32 a = 1; }", "message M { int32 a = 2; }", &["FIELD_REMOVED #/M/1", "FIELD_ADDED #/M/2"]),
            ("message M { int32 a = 1; int32 b = 2; }", "message M { int32 b = 2; int32 a = 1; }", &[]),
            ("message M { int32 a = 1; }", "message M { int32 a = 1 [deprecated = true, json_name = \"z\"]; }", &[]),
        ],
    );
    run(
        "proto2",
        &[
            ("message M {}", "message M { optional int32 a = 1; }", &["FIELD_ADDED #/M/1"]),
            ("message M {}", "message M { required int32 a = 1; }", &["REQUIRED_FIELD_ADDED #/M/1"]),
            ("message M { required int32 a = 1; }", "message M {}", &["REQUIRED_FIELD_REMOVED #/M/1"]),
            (
                "message M { required N a = 1; } message N {}",
                "message M {} message N {}",
                &["REQUIRED_FIELD_REMOVED #/M/1"],
            ),
        ],
    );
}

/// Every pair of scalar types: compatible inside a group, not across.
#[test]
fn scalar_groups() {
    let groups: &[&[&str]] = &[
        &["int32", "int64", "uint32", "uint64", "bool", "E"],
        &["sint32", "sint64"],
        &["string", "bytes"],
        &["fixed32", "sfixed32"],
        &["fixed64", "sfixed64"],
        &["float"],
        &["double"],
    ];
    let all: Vec<(usize, &str)> =
        groups.iter().enumerate().flat_map(|(index, group)| group.iter().map(move |kind| (index, *kind))).collect();
    let field = |kind: &str| format!("syntax = \"proto3\"; enum E {{ Z = 0; }} message M {{ {kind} a = 1; }}");
    for (old_group, old) in &all {
        for (new_group, new) in &all {
            let expected: &[&str] = if old_group == new_group { &[] } else { &["FIELD_SCALAR_KIND_CHANGED #/M/1"] };
            assert_changes(&format!("{old} -> {new}"), &schema(&field(old), &[]), &schema(&field(new), &[]), expected);
        }
    }
}

#[test]
fn kinds_and_named_types() {
    run(
        "proto3",
        &[
            (
                "message M { int32 a = 1; }",
                "message M { N a = 1; } message N {}",
                &["FIELD_KIND_CHANGED #/M/1", "MESSAGE_ADDED #/N"],
            ),
            ("message M { M a = 1; }", "message M { int32 a = 1; }", &["FIELD_KIND_CHANGED #/M/1"]),
            ("message M { map<int32, int32> a = 1; }", "message M { int32 a = 1; }", &["FIELD_KIND_CHANGED #/M/1"]),
            (
                "message M { map<int32, int32> a = 1; }",
                "message M { repeated M a = 1; }",
                &["FIELD_KIND_CHANGED #/M/1"],
            ),
            (
                "message M { E a = 1; } enum E { Z = 0; }",
                "message M { M a = 1; } enum E { Z = 0; }",
                &["FIELD_KIND_CHANGED #/M/1"],
            ),
            (
                "message M { N a = 1; } message N {} message O {}",
                "message M { O a = 1; } message N {} message O {}",
                &["FIELD_NAMED_TYPE_CHANGED #/M/1"],
            ),
            ("package p; message M { M a = 1; }", "package p; message M { .p.M a = 1; }", &[]),
            (
                "package p; message M { N a = 1; message N {} }",
                "package p; message M { p.M.N a = 1; message N {} }",
                &[],
            ),
            (
                "message M { N a = 1; message N {} } message N {}",
                "message M { .N a = 1; message N {} } message N {}",
                &["FIELD_NAMED_TYPE_CHANGED #/M/1"],
            ),
            // Another enum is read like the first.
            (
                "message M { E a = 1; } enum E { Z = 0; } enum F { Y = 0; }",
                "message M { F a = 1; } enum E { Z = 0; } enum F { Y = 0; }",
                &[],
            ),
            ("message M { M a = 1; }", "message M { M a = 1; }", &[]),
        ],
    );
}

#[test]
fn maps() {
    run(
        "proto3",
        &[
            ("message M { map<int32, string> a = 1; }", "message M { map<uint64, bytes> a = 1; }", &[]),
            (
                "message M { map<int32, string> a = 1; }",
                "message M { map<string, string> a = 1; }",
                &["FIELD_SCALAR_KIND_CHANGED #/M/1"],
            ),
            (
                "message M { map<int32, string> a = 1; }",
                "message M { map<int32, float> a = 1; }",
                &["FIELD_SCALAR_KIND_CHANGED #/M/1"],
            ),
            (
                "message M { map<int32, M> a = 1; }",
                "message M { map<int32, int32> a = 1; }",
                &["FIELD_KIND_CHANGED #/M/1"],
            ),
            (
                "message M { map<int32, M> a = 1; } message N {}",
                "message M { map<int32, N> a = 1; } message N {}",
                &["FIELD_NAMED_TYPE_CHANGED #/M/1"],
            ),
            ("message M { map<int32, M> a = 1; }", "message M { map<int32, .M> a = 1; }", &[]),
            ("message M { map<int32, M> a = 1; }", "message M {}", &["FIELD_REMOVED #/M/1"]),
            // The map's entry message written out is the same map.
            (
                "message M { map<string, int32> a = 1; }",
                "message M { repeated AEntry a = 1;
               message AEntry { option map_entry = true; string key = 1; int32 value = 2; } }",
                &[],
            ),
        ],
    );
}

#[test]
fn labels() {
    run(
        "proto3",
        &[
            (
                "message M { optional int32 a = 1; }",
                "message M { repeated int32 a = 1; }",
                &["FIELD_NUMERIC_LABEL_CHANGED #/M/1"],
            ),
            (
                "message M { repeated E a = 1; } enum E { Z = 0; }",
                "message M { optional E a = 1; } enum E { Z = 0; }",
                &["FIELD_NUMERIC_LABEL_CHANGED #/M/1"],
            ),
            (
                "message M { optional string a = 1; }",
                "message M { repeated bytes a = 1; }",
                &["FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"],
            ),
            ("message M { optional M a = 1; }", "message M { repeated M a = 1; }", &[]),
            // The reference compares labels only where both are written.
            ("message M { int32 a = 1; }", "message M { optional int32 a = 1; }", &[]),
            ("message M { int32 a = 1; }", "message M { repeated int32 a = 1; }", &[]),
            (
                "message M { optional int32 a = 1; }",
                "message M { repeated string a = 1; }",
                &["FIELD_SCALAR_KIND_CHANGED #/M/1"],
            ),
        ],
    );
    run(
        "proto2",
        &[
            (
                "message M { optional int32 a = 1; }",
                "message M { required int32 a = 1; }",
                &["FIELD_NUMERIC_LABEL_CHANGED #/M/1"],
            ),
            (
                "message M { required string a = 1; }",
                "message M { optional string a = 1; }",
                &["FIELD_STRING_OR_BYTES_LABEL_CHANGED #/M/1"],
            ),
            (
                "message M { optional double a = 1; }",
                "message M { repeated double a = 1; }",
                &["FIELD_NUMERIC_LABEL_CHANGED #/M/1"],
            ),
        ],
    );
}

#[test]
fn oneofs() {
    run(
        "proto3",
        &[
            (
                "message M { oneof o { int32 a = 1; } }",
                "message M { oneof o { int32 a = 1; int32 b = 2; } }",
                &["ONEOF_FIELD_ADDED #/M/o/2"],
            ),
            (
                "message M { oneof o { int32 a = 1; int32 b = 2; } }",
                "message M { oneof o { int32 a = 1; } }",
                &["ONEOF_FIELD_REMOVED #/M/o/2"],
            ),
            (
                "message M { oneof o { int32 a = 1; } }",
                "message M { oneof o { string a = 1; } }",
                &["FIELD_SCALAR_KIND_CHANGED #/M/o/1"],
            ),
            (
                "message M { oneof o { int32 a = 1; } }",
                "message M { oneof o { int32 b = 1; } }",
                &["FIELD_NAME_CHANGED #/M/o/1"],
            ),
            (
                "message M { oneof o { int32 a = 1; } }",
                "message M { oneof p { int32 a = 1; } }",
                &["ONEOF_REMOVED #/M/o", "ONEOF_ADDED #/M/p"],
            ),
            // A oneof that goes with all its members loses nothing that the reference counts.
            ("message M { oneof o { int32 a = 1; } }", "message M {}", &["ONEOF_REMOVED #/M/o"]),
            (
                "message M { oneof o { int32 a = 1; int32 b = 2; } }",
                "message M { int32 a = 1; }",
                &["ONEOF_REMOVED #/M/o", "ONEOF_FIELD_MOVED_TO_TOP_LEVEL #/M/1", "ONEOF_FIELD_REMOVED #/M/o/2"],
            ),
            ("message M { int32 a = 1; }", "message M { oneof o { int32 a = 1; } }", &["ONEOF_ADDED #/M/o"]),
            (
                "message M { int32 a = 1; int32 b = 2; }",
                "message M { oneof o { int32 a = 1; int32 b = 2; } }",
                &["MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o", "ONEOF_ADDED #/M/o"],
            ),
            (
                "message M { int32 a = 1; oneof o { int32 b = 2; } }",
                "message M { oneof o { int32 a = 1; int32 b = 2; } }",
                &["FIELD_MOVED_TO_EXISTING_ONEOF #/M/o"],
            ),
            (
                "message M { oneof o { int32 a = 1; } oneof p { int32 b = 2; } }",
                "message M { oneof q { int32 a = 1; int32 b = 2; } }",
                &[
                    "FIELD_MOVED_TO_EXISTING_ONEOF #/M/q",
                    "ONEOF_REMOVED #/M/o",
                    "ONEOF_REMOVED #/M/p",
                    "ONEOF_ADDED #/M/q",
                ],
            ),
            (
                "message M { oneof o { int32 a = 1; int32 b = 2; } }",
                "message M { oneof o { int32 a = 1; } oneof p { sint32 b = 2; } }",
                &["ONEOF_ADDED #/M/p", "FIELD_SCALAR_KIND_CHANGED #/M/p/2"],
            ),
            // What `optional` makes of a proto3 field inside is no oneof.
            ("message M { optional int32 a = 1; }", "message M { oneof o { int32 a = 1; } }", &["ONEOF_ADDED #/M/o"]),
        ],
    );
}

#[test]
fn enums() {
    run(
        "proto3",
        &[
            ("enum E { Z = 0; }", "enum E { Z = 0; A = 1; }", &["ENUM_CONST_ADDED #/E/1"]),
            ("enum E { Z = 0; A = 1; }", "enum E { Z = 0; }", &["ENUM_CONST_REMOVED #/E/1"]),
            ("enum E { Z = 0; }", "enum E { Y = 0; }", &["ENUM_CONST_CHANGED #/E/0"]),
            ("enum E { Z = 0; A = -1; }", "enum E { Z = 0; B = -1; }", &["ENUM_CONST_CHANGED #/E/-1"]),
            ("message M {}", "message M {} enum E { Z = 0; }", &["ENUM_ADDED #/E"]),
            ("message M { enum E { Z = 0; } }", "message M {}", &["ENUM_REMOVED #/M/E"]),
            ("message E {}", "enum E { Z = 0; }", &["MESSAGE_REMOVED #/E", "ENUM_ADDED #/E"]),
        ],
    );
}

#[test]
fn what_is_not_compared() {
    run(
        "proto3",
        &[
            ("message M {} service S { rpc A (M) returns (M); }", "message M {}", &[]),
            ("option java_package = \"a\"; message M {}", "option java_package = \"b\"; message M {}", &[]),
            ("message M { reserved 5; }", "message M { reserved 6 to max; }", &[]),
        ],
    );
    run(
        "proto2",
        &[
            ("message M { extensions 5; }", "message M { extensions 6 to 9; }", &[]),
            (
                "message M { extensions 5; } extend M { optional int32 a = 5; }",
                "message M { extensions 5; } extend M { optional string a = 5; }",
                &[],
            ),
            ("message M { optional group G = 1 { optional int32 a = 1; } }", "message M {}", &[]),
            ("message M { optional int32 a = 1 [default = 1]; }", "message M { optional int32 a = 1; }", &[]),
        ],
    );
}

#[test]
fn directions_and_messages() {
    let file =
        |body: &str| parse(SchemaType::Protobuf, &format!("syntax = \"proto3\"; {body}"), &[], Validation::Strict);
    let (old, new) = (file("message M {}").unwrap(), file("message M {} message N {}").unwrap());
    assert_eq!(check_pair(&*new, &*old, Level::Backward), []);
    let forward = check_pair(&*new, &*old, Level::Full);
    let [(direction, found)] = forward.as_slice() else { panic!("{forward:?}") };
    assert_eq!(
        found.render(*direction, SchemaType::Protobuf),
        "{errorType:\"MESSAGE_REMOVED\", description:\"The old schema has no MESSAGE type for '#/N', which the new schema \
         has\"}"
    );
    let avro = parse(SchemaType::Avro, "\"int\"", &[], Validation::Strict).unwrap();
    assert_eq!(check_pair(&*new, &*avro, Level::Backward).len(), 1);
}
