//! Texts: the canonical and normalised forms, base64 descriptors, imports, and what is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::schema::parse;

fn reference(name: &str, schema: &str) -> ResolvedReference {
    ResolvedReference { name: name.to_owned(), schema: schema.to_owned() }
}

fn strict(text: &str) -> Result<ProtobufSchema, SchemaError> {
    ProtobufSchema::parse(text, &[], Validation::Strict)
}

/// A file with about everything in it, written carelessly.
const FULL: &str = r#"
// A comment.
syntax = "proto2"; package shop.orders;
import public "google/protobuf/timestamp.proto";
import "confluent/meta.proto";
option java_multiple_files = true; option java_package = 'com.shop';
option (confluent.file_meta) = { doc: "it's \"all\"" tags: "a" tags: ["b"] };
enum Zone { option allow_alias = true; NORTH = 0; UP = 0 [deprecated = true]; reserved 7, 9 to max; reserved "DOWN"; }
message Order {
  extensions 1000 to 1999, 5000 to max;
  required string id = 1 [json_name = "key", default = "a\tb"]; // Trailing.
  oneof payment { Card card = 4; string iban = 5 [deprecated = true]; group Cash = 6 { optional bytes coin = 1; } }
  repeated shop.orders.Order.Line lines = 2 [packed = false];
  optional .google.protobuf.Timestamp at = 3;
  map<string, .shop.orders.Zone> zones = 7 [(confluent.field_meta).doc = "where"];
  message Line { optional Zone zone = 1 [default = UP]; optional float price = 2 [default = 1.50]; optional Zone local = 3;
    enum Kind { PLAIN = 0; } }
  reserved 20, 30 to 40; reserved "old", "older"; option deprecated = true;
  message Card { optional bytes token = 1 [default = "\x00\xff"]; optional double d = 2 [default = -inf]; }
}
extend Order { optional Order.Line first = 1000; repeated int32 codes = 1001 [packed = true]; }
service Shop { option deprecated = true; rpc Buy (Order) returns (stream shop.orders.Order.Line);
  rpc Sell (stream Order) returns (Order) { option idempotency_level = IDEMPOTENT; } }
"#;

const FULL_CANONICAL: &str = r#"syntax = "proto2";
package shop.orders;

import "confluent/meta.proto";
import public "google/protobuf/timestamp.proto";

option java_package = "com.shop";
option java_multiple_files = true;
option (confluent.file_meta) = {
  doc: "it's \"all\"",
  tags: [
    "a",
    "b"
  ]
};

message Order {
  reserved 20, 30 to 40;
  reserved "old", "older";

  option deprecated = true;

  required string id = 1 [
    default = "a\tb",
    json_name = "key"
  ];
  repeated Line lines = 2 [packed = false];
  optional google.protobuf.Timestamp at = 3;
  map<string, Zone> zones = 7 [(confluent.field_meta) = {
    doc: "where"
  }];

  oneof payment {
    Card card = 4;
    string iban = 5 [deprecated = true];

    group Cash = 6 {
      optional bytes coin = 1;
    }
  }

  extensions 1000 to 1999, 5000 to max;

  message Line {
    optional Zone zone = 1 [default = UP];
    optional float price = 2 [default = 1.5];
    optional Zone local = 3;

    enum Kind {
      PLAIN = 0;
    }
  }
  message Card {
    optional bytes token = 1 [default = "\000\377"];
    optional double d = 2 [default = -inf];
  }
}
enum Zone {
  reserved 7, 9 to max;
  reserved "DOWN";
  option allow_alias = true;
  NORTH = 0;
  UP = 0 [deprecated = true];
}

extend Order {
  optional Order.Line first = 1000;
  repeated int32 codes = 1001 [packed = true];
}

service Shop {
  option deprecated = true;

  rpc Buy (Order) returns (stream Order.Line);
  rpc Sell (stream Order) returns (Order) {
    option idempotency_level = IDEMPOTENT;
  };
}
"#;

#[test]
fn canonical_text() {
    let schema = strict(FULL).unwrap();
    assert_eq!(schema.canonical(), FULL_CANONICAL);
    assert_eq!(schema.resolved(), FULL_CANONICAL);
    assert_eq!(schema.name(), Some("shop.orders.Order"));
    assert_eq!(strict(FULL_CANONICAL).unwrap().canonical(), FULL_CANONICAL);
    assert_eq!(schema.incompatibilities(&strict(FULL_CANONICAL).unwrap()), []);
}

#[test]
fn text_and_descriptor_are_one_schema() {
    let schema = strict(FULL).unwrap();
    let binary = strict(&format!(" {}\n", schema.descriptor_base64())).unwrap();
    assert_eq!(binary.canonical(), schema.canonical());
    assert_eq!(binary.descriptor_base64(), schema.descriptor_base64());
    assert_eq!(binary.normalized(), schema.normalized());
}

/// As the compiler's own plugins give it: no JSON names, synthetic oneofs, named types in full.
#[test]
fn descriptor_of_another_compiler() {
    use prost::Message;
    let schema =
        strict("syntax = \"proto3\"; package p; message A { optional int32 a_b = 1; B b = 2; } message B {}").unwrap();
    let mut file =
        prost_types::FileDescriptorProto::decode(&*STANDARD.decode(schema.descriptor_base64()).unwrap()).unwrap();
    file.name = Some("some/where.proto".to_owned());
    for field in file.message_type.iter_mut().flat_map(|message| &mut message.field) {
        field.json_name = None;
    }
    let again = strict(&STANDARD.encode(file.encode_to_vec())).unwrap();
    assert_eq!(again.canonical(), schema.canonical());
    assert_eq!(
        again.canonical(),
        "syntax = \"proto3\";\npackage p;\n\nmessage A {\n  optional int32 a_b = 1;\n  B b = 2;\n}\nmessage B {}\n"
    );
}

#[test]
fn normalized_text_forgets_order_and_spelling() {
    let one = r#"syntax = "proto3"; package p; import "google/type/date.proto"; import "google/protobuf/any.proto";
        option java_package = "x"; option go_package = "y";
        message M { N b = 2 [json_name = "q", deprecated = true]; int32 a = 1; oneof y { int32 f = 9; p.M.N e = 8; }
          oneof x { int32 d = 4; } reserved 20 to 21, 10; message N {} enum E { Z = 0; B = 2; A = 1; } }"#;
    let other = r#"syntax = "proto3"; package p; import "google/protobuf/any.proto"; import "google/type/date.proto";
        option go_package = "y"; option java_package = "x";
        message M { int32 a = 1; .p.M.N b = 2 [deprecated = true, json_name = "q"]; oneof x { int32 d = 4; }
          oneof y { N e = 8; int32 f = 9; } reserved 10; reserved 20, 21; message N {}
          enum E { Z = 0; A = 1; B = 2; } }"#;
    let expected = r#"syntax = "proto3";
package p;

import "google/protobuf/any.proto";
import "google/type/date.proto";

option go_package = "y";
option java_package = "x";

message M {
  reserved 10;
  reserved 20 to 21;

  int32 a = 1;
  .p.M.N b = 2 [
    deprecated = true,
    json_name = "q"
  ];

  oneof x {
    int32 d = 4;
  }
  oneof y {
    .p.M.N e = 8;
    int32 f = 9;
  }

  message N {}
  enum E {
    Z = 0;
    A = 1;
    B = 2;
  }
}
"#;
    assert_eq!(strict(one).unwrap().normalized(), expected);
    let ranges = "  reserved 20 to 21;\n";
    let apart = "  reserved 20;\n  reserved 21;\n";
    assert_eq!(strict(other).unwrap().normalized(), expected.replace(ranges, apart));
    assert_eq!(strict(expected).unwrap().normalized(), expected);
    let proto2 = strict("message M { optional int32 a = 1; }").unwrap();
    assert_eq!(proto2.normalized(), "\nmessage M {\n  optional int32 a = 1;\n}\n");
    assert!(proto2.canonical().starts_with("syntax = \"proto2\";\n"));
}

/// Names are as short as they can be without meaning something else.
#[test]
fn names_keep_their_meaning() {
    let shared = [
        reference("a.proto", "syntax = \"proto3\"; package a.b; message T {}"),
        reference("b.proto", "syntax = \"proto3\"; package b; message T {}"),
    ];
    let text = "syntax = \"proto3\"; package a; import \"a.proto\"; import \"b.proto\";
        message M { .a.b.T x = 1; .b.T y = 2; .a.M.I z = 3; .a.T t = 4; message I { .a.M.T u = 1; .a.T v = 2; } message T {} }
        message T { a.M.I w = 1; }";
    let schema = ProtobufSchema::parse(text, &shared, Validation::Strict).unwrap();
    let lines: Vec<&str> =
        schema.canonical().lines().map(str::trim).filter(|line| line.contains(" = ")).skip(1).collect();
    assert_eq!(lines, ["b.T x = 1;", ".b.T y = 2;", "I z = 3;", "a.T t = 4;", "T u = 1;", "a.T v = 2;", "M.I w = 1;"]);
    let again = ProtobufSchema::parse(schema.canonical(), &shared, Validation::Strict).unwrap();
    assert_eq!(again.normalized(), schema.normalized());
}

#[test]
fn imports() {
    let inner = reference("inner.proto", "syntax = \"proto3\"; package i; message T {}");
    let outer = reference(
        "outer.proto",
        "syntax = \"proto3\"; package o; import public \"inner.proto\"; message U { i.T t = 1; }",
    );
    let text = "syntax = \"proto3\"; import \"outer.proto\"; message M { o.U u = 1; i.T t = 2; }";
    let both = [inner.clone(), outer.clone()];
    let schema = ProtobufSchema::parse(text, &both, Validation::Strict).unwrap();
    // Without the references the text is the same, as far as it goes.
    let unresolved = ProtobufSchema::parse(text, &[], Validation::Unresolved).unwrap();
    assert_eq!(unresolved.canonical(), schema.canonical());
    let text_of_same_package =
        "syntax = \"proto3\"; package i; import \"inner.proto\"; message M { T t = 1; .i.T u = 2; }";
    let same = ProtobufSchema::parse(text_of_same_package, &both, Validation::Strict).unwrap();
    for text in [text_of_same_package, &same.descriptor_base64()] {
        let unresolved = ProtobufSchema::parse(text, &[], Validation::Unresolved).unwrap();
        assert_eq!(unresolved.canonical(), same.canonical());
    }
    for validation in [Validation::Strict, Validation::Lenient] {
        let missing = ProtobufSchema::parse(text, &[], validation).unwrap_err();
        assert!(
            matches!(&missing, SchemaError::Invalid { path, message } if path == "1:20" && message.contains("'outer.proto'"))
        );
        let missing = ProtobufSchema::parse(text, std::slice::from_ref(&outer), validation).unwrap_err();
        assert!(matches!(&missing, SchemaError::Reference { name, .. } if name == "outer.proto"), "{missing}");
    }
    let broken = reference("broken.proto", "message {");
    let error = ProtobufSchema::parse(text, &[inner, outer, broken], Validation::Lenient).unwrap_err();
    assert!(matches!(&error, SchemaError::Reference { name, .. } if name == "broken.proto"));
    let cycle = [reference("a.proto", "import \"b.proto\";"), reference("b.proto", "import \"a.proto\";")];
    let error = ProtobufSchema::parse("import \"a.proto\"; message M {}", &cycle, Validation::Unresolved).unwrap_err();
    assert!(error.to_string().contains("a.proto -> b.proto -> a.proto"), "{error}");
    let binary =
        reference("outer.proto", &strict("syntax = \"proto3\"; package o; message U {}").unwrap().descriptor_base64());
    let text = "syntax = \"proto3\"; import \"outer.proto\"; message M { o.U u = 1; }";
    ProtobufSchema::parse(text, &[binary], Validation::Strict).unwrap();
    strict("import \"google/type/datetime.proto\"; message M { optional google.type.TimeZone z = 1; }").unwrap();
}

/// Text refused by a strict judge with a part of the message; the flag says whether a lenient one takes it.
#[test]
fn what_is_refused() {
    let cases = [
        ("message M {", "2:12", "expected", false),
        ("message M { int32 a = 1 }", "2:25", "expected", false),
        ("message M { int32 a = 0; }", "2:23", "between 1 and", false),
        ("message M { required int32 a = 1; }", "2:13", "required", false),
        ("message M { int32 a = 1; int32 b = 1; }", "2:36", "already used", true),
        ("message M { int32 a = 19001; }", "2:23", "19001", true),
        ("message M { T a = 1; }", "2:13", "'T' is not defined", true),
        ("message M { .google.protobuf.Any a = 1; }", "2:13", "not defined", true),
        ("message M {} enum M { Z = 0; }", "2:19", "defined twice", true),
        ("enum E { A = 1; }", "2:14", "must be 0", true),
        ("enum E { A = 0; B = 0; }", "2:21", "already been used", true),
        ("message M { reserved 1; int32 a = 1; }", "2:35", "reserved range", true),
        ("message M { reserved \"a\"; int32 a = 1; }", "2:27", "'a' is reserved", true),
        ("message M { reserved 1 to 5, 3; }", "2:13", "overlaps", true),
        ("message M { extensions 5; }", "2:24", "proto3 has no", true),
        ("message M { int32 a = 1 [nope = true]; }", "2:26", "nope", true),
        ("message M { int32 a = 1 [packed = true]; }", "2:13", "packed", true),
        ("message M { int32 a = 1 [(x.y) = 1]; }", "2:26", "x.y", true),
        ("message M { option map_entry = true; string key = 1; string value = 2; }", "", "no map field", false),
        ("import \"google/protobuf/any.proto\"; import \"google/protobuf/any.proto\";", "2:37", "twice", true),
        ("", "1:1", "declares nothing", true),
    ];
    for (body, place, part, lenient) in cases {
        let text = format!("syntax = \"proto3\";\n{body}");
        let error = strict(&text).expect_err(body);
        let SchemaError::Invalid { path, message } = &error else { panic!("{body}: {error}") };
        assert!(message.contains(part), "{body}: {message}");
        if part != "expected" || body.contains('}') {
            assert_eq!(path, place, "{body}: {message}");
        }
        let taken = ProtobufSchema::parse(&text, &[], Validation::Lenient);
        assert_eq!(taken.is_ok(), lenient, "{body}: {taken:?}");
    }
}

#[test]
fn nasty_input() {
    let deep = |open: &str, close: &str| format!("message M {{ {}{} }}", open.repeat(10_000), close.repeat(10_000));
    let texts = [
        deep("message N {", "}"),
        deep("{", "}"),
        format!("message M {{ option (a) = {} }}", "{ a: ".repeat(10_000)),
        format!("message M {{ option (a) = {{ {} }} }}", "a < ".repeat(10_000)),
        format!("package {}a;", "a.".repeat(100_000)),
        format!("message {} {{}}", "x".repeat(100_000)),
        "message M { optional int32 a = 99999999999999999999999999; }".to_owned(),
        "message M { optional int32 a = 1 [default = -99999999999999999999]; }".to_owned(),
        "message M { reserved 5 to 1; }".to_owned(),
        // A comment for one reader and none for another must not hide depth from both.
        format!("message M {{ option (x) = {{ # /*\n{}\n# */\n}}; }}", "a{".repeat(10_000)),
        format!("message M {{ option (x) = {{ # '\\\n{}\n}}; }}", "a{".repeat(10_000)),
        format!(
            "{} {} {}",
            format!("message {} {{", "x".repeat(100)).repeat(6),
            "optional int32 a = 1;",
            "}".repeat(6)
        ),
        "message\0M {}".to_owned(),
        "\0".to_owned(),
        "\u{feff}\u{0}\u{ffff}".to_owned(),
        "/* never closed".to_owned(),
        "\"never closed".to_owned(),
        "abcd".to_owned(),
        STANDARD.encode([0x0a, 2, 0xff, 0xfe]),
        STANDARD.encode(b"\x22\x05\x0a\x03a b"),
        STANDARD.encode([0x22].repeat(1000)),
        "QUJD=".to_owned(),
    ];
    for text in texts {
        for validation in [Validation::Strict, Validation::Lenient, Validation::Unresolved] {
            let shown: String = text.chars().take(60).collect();
            let result = parse(SchemaType::Protobuf, &text, &[], validation);
            assert!(result.is_err(), "{shown}: {result:?}");
        }
    }
    // Brackets in strings and comments are not depth.
    let quoted =
        format!("/* {0} */ message M {{ optional string a = 1 [default = \"{0}\"]; }} // {0}", "{".repeat(1000));
    strict(&quoted).unwrap();
}

/// Messages of one level: names are numbered, so that files are sound but for what chance brings.
fn message(depth: u32) -> BoxedStrategy<String> {
    let kinds =
        ["int32", "sint64", "string", "bytes", "E", "M0", "N", ".p.M1", "map<string, E>", "map<int32, M0>", "double"];
    let labels = ["", "", "optional ", "repeated "];
    let field =
        (prop::sample::select(kinds.to_vec()), prop::sample::select(labels.to_vec()), any::<bool>(), any::<bool>());
    let nested = if depth == 0 {
        Just(String::new()).boxed()
    } else {
        prop::option::of(message(depth - 1)).prop_map(Option::unwrap_or_default).boxed()
    };
    (prop::collection::vec(field, 0..8), nested)
        .prop_map(|(fields, nested)| {
            let mut body = String::new();
            for (number, (kind, label, oneof, deprecated)) in fields.iter().enumerate() {
                let number = number + 1;
                let options = if *deprecated { " [deprecated = true]" } else { "" };
                let map = kind.starts_with("map");
                body += &if *oneof && !map {
                    format!("oneof o{number} {{ {kind} f{number} = {number}{options}; }} ")
                } else {
                    format!("{}{kind} f{number} = {number}{options}; ", if map { "" } else { label })
                };
            }
            format!("{body} message N {{ {nested} }}")
        })
        .boxed()
}

fn file() -> impl Strategy<Value = String> {
    (message(3), message(2), any::<bool>()).prop_map(|(first, second, swap)| {
        let (a, b) = if swap { ("M1", "M0") } else { ("M0", "M1") };
        format!("syntax = \"proto3\"; package p; message {a} {{ {first} }} enum E {{ Z = 0; Y = 1; }} message {b} {{ {second} }}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_file_is_itself_in_all_forms(text in file(), other in file()) {
        let schema = strict(&text).unwrap();
        let canonical = strict(schema.canonical()).unwrap();
        prop_assert_eq!(canonical.canonical(), schema.canonical());
        let binary = strict(&schema.descriptor_base64()).unwrap();
        prop_assert_eq!(binary.canonical(), schema.canonical());
        let normalized = strict(&schema.normalized()).unwrap();
        prop_assert_eq!(normalized.normalized(), schema.normalized());
        for same in [&canonical, &binary] {
            prop_assert_eq!(diff::changes(&schema, same), vec![]);
        }
        let other = strict(&other).unwrap();
        let _ = schema.incompatibilities(&other);
    }

    #[test]
    fn any_tokens_do_not_panic(tokens in prop::collection::vec(prop::sample::select(&[
        "message", "enum", "M", "oneof", "{", "}", "}", ";", ";", "=", "1", "0", "int32", "a", "map", "<", ",", ">",
        "option", "(", ")", "[", "]", "extend", "group", "optional", "repeated", "reserved", "to", "max", "\"x\"", "-",
        "1.5e9", "syntax", "proto3", ".", "service", "rpc", "returns", "stream", "import", "package", "default", "/*", "*/",
    ][..]), 0..60)) {
        let text = tokens.join(" ");
        for validation in [Validation::Strict, Validation::Lenient, Validation::Unresolved] {
            if let Ok(schema) = ProtobufSchema::parse(&text, &[], validation) {
                prop_assert_eq!(schema.incompatibilities(&schema), vec![]);
            }
        }
    }

    #[test]
    fn any_descriptor_does_not_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = STANDARD.decode(strict(FULL).unwrap().descriptor_base64()).unwrap();
        for (index, value) in changes {
            *index.get_mut(&mut bytes) = value;
        }
        for validation in [Validation::Strict, Validation::Lenient, Validation::Unresolved] {
            if let Ok(schema) = ProtobufSchema::parse(&STANDARD.encode(&bytes), &[], validation) {
                prop_assert_eq!(schema.incompatibilities(&schema), vec![]);
            }
        }
    }
}
