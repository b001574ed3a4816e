//! Comparing across imports, with expectations worked out by hand.

use super::super::{ParsedSchema, SchemaError, Validation};
use super::ProtobufSchema;
use super::tests::{assert_changes, reference, schema};

#[test]
fn imported_types_are_compared_where_they_are_used() {
    let shared =
        |package: &str, body: &str| reference("s.proto", &format!("syntax = \"proto3\"; package {package}; {body}"));
    let main = |package: &str, name: &str| {
        format!("syntax = \"proto3\"; import \"s.proto\"; message M {{ {package}.{name} a = 1; }}")
    };
    let one = schema(&main("s", "T"), &[shared("s", "message T { int32 x = 1; }")]);
    let other_package = schema(&main("t", "T"), &[shared("t", "message T { int32 x = 1; }")]);
    assert_changes("the package of an import does not matter", &one, &other_package, &[]);
    let broken = schema(&main("s", "T"), &[shared("s", "message T { string x = 1; }")]);
    let expected = &["FIELD_SCALAR_KIND_CHANGED #/T/1", "FIELD_NAMED_TYPE_CHANGED #/M/1"];
    assert_changes("a change in an import", &one, &broken, expected);
    let more = schema(&main("s", "T"), &[shared("s", "message T { int32 x = 1; int32 y = 2; }")]);
    assert_changes("a harmless change in an import", &one, &more, &["FIELD_ADDED #/T/2"]);
    let local = schema("syntax = \"proto3\"; message M { T a = 1; } message T { int32 x = 1; }", &[]);
    assert_changes("from an import", &one, &local, &["MESSAGE_ADDED #/T"]);
    assert_changes("to an import", &local, &one, &["MESSAGE_REMOVED #/T"]);
    let nested = |kind: &str| {
        schema(&main("s", "O.I"), &[shared("s", &format!("message O {{ message I {{ {kind} x = 1; }} }}"))])
    };
    let expected = &["FIELD_SCALAR_KIND_CHANGED #/O/I/1", "FIELD_NAMED_TYPE_CHANGED #/M/1"];
    assert_changes("a nested type of an import", &nested("int32"), &nested("double"), expected);
}

/// Imported messages that refer to themselves and each other end, and each pair is reported once.
#[test]
fn imported_types_may_be_recursive() {
    let text = "syntax = \"proto3\"; import \"s.proto\"; message M { s.A a = 1; s.B b = 2; repeated s.A c = 3; }";
    let schema = |kind: &str| {
        let body = format!("message A {{ B b = 1; A a = 2; }} message B {{ A a = 1; {kind} x = 2; }}");
        schema(text, &[reference("s.proto", &format!("syntax = \"proto3\"; package s; {body}"))])
    };
    assert_changes("recursive", &schema("int32"), &schema("int64"), &[]);
    assert_changes(
        "recursive",
        &schema("int32"),
        &schema("string"),
        &[
            "FIELD_SCALAR_KIND_CHANGED #/B/2",
            "FIELD_NAMED_TYPE_CHANGED #/A/1",
            "FIELD_NAMED_TYPE_CHANGED #/M/1",
            "FIELD_NAMED_TYPE_CHANGED #/M/2",
            "FIELD_NAMED_TYPE_CHANGED #/M/3",
        ],
    );
}

#[test]
fn public_imports_reach_through_each_other() {
    let chain = [
        reference("a.proto", "syntax = \"proto3\"; package p; message A {}"),
        reference("b.proto", "syntax = \"proto3\"; package p; import public \"a.proto\";"),
        reference("c.proto", "syntax = \"proto3\"; package p; import public \"b.proto\"; message C { A a = 1; }"),
        reference("d.proto", "syntax = \"proto3\"; package p; import public \"c.proto\";"),
    ];
    let text = "syntax = \"proto3\"; import \"d.proto\"; message M { p.A a = 1; p.C c = 2; }";
    assert!(schema(text, &chain).canonical.contains("import \"d.proto\";\n\nmessage M {\n  p.A a = 1;\n"));
}

#[test]
fn plain_imports_reach_one_step() {
    let chain = [
        reference("a.proto", "syntax = \"proto3\"; package p; message A {}"),
        reference("b.proto", "syntax = \"proto3\"; package p; import \"a.proto\"; message B { A a = 1; }"),
    ];
    let text = "syntax = \"proto3\"; import \"b.proto\"; message M { p.A a = 1; }";
    let error = ProtobufSchema::parse(text, &chain, Validation::Strict).unwrap_err();
    assert!(matches!(&error, SchemaError::Invalid { path, .. } if path == "1:50"), "{error}");
    ProtobufSchema::parse(text, &chain, Validation::Lenient).unwrap();
}

/// Files that only differ in their packages have namesakes everywhere: each may be paired with each.
#[test]
fn namesakes_that_multiply_are_given_up() {
    let imports = |count: usize| -> Vec<_> {
        let fields: String = (1..=500).map(|at| format!("int32 f{at} = {at}; ")).collect();
        let file = |at: usize| format!("syntax = \"proto3\"; package p{at}; message M {{ {fields} }}");
        (0..count).map(|at| reference(&format!("p{at}.proto"), &file(at))).collect()
    };
    let text = |count: usize, package: fn(usize, usize) -> usize| {
        let imports: String = (0..count).map(|at| format!("import \"p{at}.proto\"; ")).collect();
        let field = |at: usize| format!("p{}.M f{at} = {}; ", package(at, count), at + 1);
        let fields: String = (0..count * count).map(field).collect();
        format!("syntax = \"proto3\"; {imports} message Own {{ {fields} }}")
    };
    let broken = |count: usize| {
        let references = imports(count);
        let one = schema(&text(count, |at, count| at / count), &references);
        let other = schema(&text(count, |at, count| at % count), &references);
        one.incompatibilities(&other)
    };
    assert_eq!(broken(20), [], "400 pairs of 500 fields each are compared");
    let found = broken(25);
    assert!(found.iter().all(|found| found.kind == "FIELD_NAMED_TYPE_CHANGED"));
    // 1,002 units a pair: the pair that passes half a million is the last.
    assert_eq!(found.len(), 25 * 25 - 500);
}

/// The library would walk each of the many ways that lead from file to file.
#[test]
fn entangled_public_imports_are_refused() {
    let file = |at: usize| {
        let imports: String = (0..at).map(|before| format!("import public \"p{before}.proto\"; ")).collect();
        reference(&format!("p{at}.proto"), &format!("syntax = \"proto3\"; {imports} message M{at} {{ }}"))
    };
    let parse = |count: usize, validation| {
        let references: Vec<_> = (0..count).map(file).collect();
        let last = count - 1;
        let text = format!("syntax = \"proto3\"; import \"p{last}.proto\"; message A {{ M0 a = 1; }}");
        ProtobufSchema::parse(&text, &references, validation)
    };
    assert!(parse(10, Validation::Strict).is_ok());
    let refused = parse(40, Validation::Strict).unwrap_err();
    assert_eq!(refused, SchemaError::TooLarge { limit: 200_000, unit: "steps through public imports" });
    assert!(parse(40, Validation::Lenient).is_ok());
}
