//! What the targets of the schema registry start from: one schema for each thing that the languages can say.

/// Separates the texts of an input, and a record's key from its value; see the targets.
const SEPARATOR: &[u8] = &[0xff];
const COLON: &[u8] = &[0xfe];

const AVRO: &[&str] = &[
    r#""int""#,
    r#"{"type":"record","name":"Order","namespace":"shop","doc":"An order.","confluent:tags":["SALES"],"fields":[
        {"name":"id","type":"long","confluent:tags":["KEY"],"order":"descending"},
        {"name":"by","type":["null",{"type":"record","name":"Customer","fields":[
            {"name":"mail","type":"string","default":"","aliases":["email"]}]}],"default":null},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"},"default":-1},
        {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","aliases":["Row"],"fields":[
            {"name":"next","type":["null","Line"]},{"name":"price","type":"double","default":1.5e3}]}}}]}"#,
    r#"{"type":"enum","name":"E","symbols":["A","B"],"default":"A","aliases":["x.F"]}"#,
    r#"["null",{"type":"fixed","name":"a.b.Hash","size":16},{"type":"map","values":["null","bytes"]}]"#,
    r#"{"type":"record","name":"Top","fields":[{"name":"e","type":{"type":"enum","name":"enum","symbols":["A"]}},
        {"name":"f","type":"enum"},{"name":"m","type":{"type":"map","values":"int"},"default":{"a":1}}]}"#,
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"other.Named"}]}"#,
];

const AVRO_REFERENCE: &str = r#"{"type":"fixed","name":"Named","namespace":"other","size":2}"#;

const JSON: &[&str] = &[
    "true",
    r##"{"type":"object","title":"T","required":["a"],"additionalProperties":false,
        "properties":{"a":{"type":"string","minLength":1,"maxLength":9,"pattern":"^x"},"b":{"type":["integer","null"]}}}"##,
    r##"{"oneOf":[{"type":"null"},{"$ref":"#/definitions/d"}],"definitions":{"d":{"type":"array","items":{"$ref":"#"}}}}"##,
    r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"http://h/x.json","$defs":{"n":{"$anchor":"n",
        "type":"number","minimum":0,"exclusiveMaximum":5.5,"multipleOf":0.5}},"prefixItems":[{"$ref":"#n"}],"items":false,
        "unevaluatedProperties":{"type":"string"},"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{"const":1}}}"##,
    r##"{"$schema":"http://json-schema.org/draft-04/schema#","id":"x","allOf":[{"enum":[1,"a",null,{"b":[]}]},{"not":
        {"type":"string"}}],"maximum":3,"exclusiveMaximum":true,"dependencies":{"a":["b"],"c":{"minProperties":2}}}"##,
    r##"{"$schema":"http://json-schema.org/draft-07/schema#","if":{"minItems":1},"then":{"contains":{"type":"null"}},
        "else":{"uniqueItems":true},"patternProperties":{"^a+":{"type":"boolean","default":false}},"propertyNames":{}}"##,
    r##"{"$schema":"https://json-schema.org/draft/2019-09/schema","anyOf":[{"$recursiveRef":"#"},{"$ref":"a.json"}]}"##,
];

const JSON_REFERENCE: &str = r#"{"$id":"a.json","type":"object","properties":{"self":{"$ref":"a.json"}}}"#;

const PROTOBUF: &[&str] = &[
    "syntax = \"proto3\"; package a.b; option java_package = \"x\"; message M { reserved 9, 20 to 30; reserved \"old\";
    optional int32 a = 1 [deprecated = true]; repeated string b = 2; map<string, N> c = 3; oneof o { E d = 4; N e = 5; }
    message N { M up = 1; bytes raw = 2 [json_name = \"RAW\"]; } } enum E { option allow_alias = true; Z = 0; Y = 0; }
    service S { rpc Get (M) returns (stream M.N) { option idempotency_level = IDEMPOTENT; } }",
    "syntax = \"proto2\"; message M { required int64 a = 1 [default = -5]; optional group G = 2 { optional bool b = 1; }
    extensions 100 to max; } extend M { optional double x = 100 [default = inf]; } enum E { A = -1; reserved 5 to max; }",
    "syntax = \"proto3\"; import \"a.proto\"; import public \"google/protobuf/timestamp.proto\";
    message Use { r.Shared s = 1; google.protobuf.Timestamp at = 2; }",
    "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; message O { repeated int32 n = 1; O o = 2; }
    extend google.protobuf.FieldOptions { O tag = 50000; } message M { string a = 1 [(tag) = {n: 1 n: 2 o {n: 3}}]; }",
];

const PROTOBUF_REFERENCE: &str = "syntax = \"proto3\"; package r; message Shared { Shared again = 1; sint32 n = 2; }";

/// A `FileDescriptorProto`: `message M { int32 a = 1; }` in proto3.
const DESCRIPTOR: &[u8] = b"\x0a\x01f\x22\x0e\x0a\x01M\x12\x09\x0a\x01a\x18\x01 \x01(\x05b\x06proto3";

const RECORDS: &[(&str, &str)] = &[
    (r#"{"keytype":"NOOP","magic":0}"#, ""),
    (r#"{"keytype":"CONFIG","magic":0}"#, r#"{"compatibilityLevel":"FULL_TRANSITIVE","normalize":true}"#),
    (r#"{"keytype":"CONFIG","subject":"a","magic":0}"#, r#"{"subject":"a","alias":"s"}"#),
    (r#"{"keytype":"MODE","subject":"s","magic":0}"#, r#"{"subject":"s","mode":"IMPORT"}"#),
    (
        r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
        r#"{"subject":"s","version":1,"id":1,"schema":"\"int\"","deleted":false}"#,
    ),
    (
        r#"{"keytype":"SCHEMA","subject":":.c:t","version":2,"magic":1}"#,
        r#"{"subject":":.c:t","version":2,"id":7,"md5":"AAAAAAAAAAAAAAAAAAAAAA==","schemaType":"JSON","references":[
            {"name":"s","subject":":.:s","version":1}],"metadata":{"properties":{"a":"b"},"tags":{"x":["P"]}},"ruleSet":
            {"domainRules":[{"name":"r","type":"CEL","expr":"true"}]},"schema":"{}","deleted":true}"#,
    ),
    (r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#, "null"),
    (r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#, r#"{"subject":"s","version":1}"#),
    (r#"{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}"#, r#"{"subject":"s"}"#),
    (r#"{"keytype":"CONTEXT","tenant":"default","context":".c","magic":0}"#, r#"{"tenant":"default","context":".c"}"#),
];

const REQUESTS: &[&str] = &[
    r#"{"subject":"s","schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}"}"#,
    r#"{"subject":"s","schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"default\":1}]}",
        "normalize":true,"metadata":{"properties":{"owner":"me"},"tags":{"R.a":["PII"]},"sensitive":["owner"]}}"#,
    r#"{"subject":"t","schemaType":"AVRO","schema":"[\"null\",\"R\"]","references":[{"name":"R","subject":"s","version":-1}]}"#,
    r#"{"subject":":.c:j","schemaType":"JSON","schema":"{\"type\":\"object\"}","version":1,"ruleSet":{"migrationRules":[
        {"name":"up","kind":"TRANSFORM","mode":"UPGRADE","type":"JSONATA","expr":"$"}]}}"#,
    r#"{"subject":"p","schemaType":"PROTOBUF","schema":"syntax = \"proto3\"; message M { int32 a = 1; }","force":true}"#,
];

/// All seeds, with the target that each is for.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let languages = [
        ("schema_avro", AVRO, AVRO_REFERENCE),
        ("schema_json", JSON, JSON_REFERENCE),
        ("schema_protobuf", PROTOBUF, PROTOBUF_REFERENCE),
    ];
    for (choice, (target, texts, reference)) in (0_u8..).zip(languages) {
        for text in texts {
            let input = [text.as_bytes(), SEPARATOR, reference.as_bytes()].concat();
            // Of Protobuf the first byte says whether it is a descriptor.
            let plain = if target == "schema_protobuf" { [&[0], input.as_slice()].concat() } else { input.clone() };
            seeds.push((target, plain));
            // To be edited in three places, and as a pair with each of the others.
            seeds.push(("schema_compatibility", [&[choice, 1], [0; 12].as_slice(), &input].concat()));
            for other in texts {
                let texts = [text.as_bytes(), other.as_bytes(), reference.as_bytes()].join(SEPARATOR);
                seeds.push(("schema_compatibility", [&[choice, 0], texts.as_slice()].concat()));
            }
        }
    }
    seeds.push(("schema_protobuf", [&[1], DESCRIPTOR].concat()));
    let records: Vec<Vec<u8>> =
        RECORDS.iter().map(|(key, value)| [key.as_bytes(), value.as_bytes()].join(COLON)).collect();
    seeds.extend(records.iter().map(|record| ("registry_records", record.clone())));
    seeds.push(("registry_records", records.join(SEPARATOR)));
    let requests: Vec<&[u8]> = REQUESTS.iter().map(|request| request.as_bytes()).collect();
    seeds.extend(requests.iter().map(|request| ("registry_request", request.to_vec())));
    seeds.push(("registry_request", requests.join(SEPARATOR)));
    seeds
}
