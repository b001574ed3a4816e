//! Faulty and odd input: every fault has its reason and the path that leads to it.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::event::{Change, HmsEvent};
use super::thrift::{Object, STORAGE_DESCRIPTOR, Struct, TABLE, from_named};
use super::{HmsLimits, decode, tjson};
use crate::codec::Limits;
use crate::codec::json::Allowance;
use crate::model::reject::{ReasonCode, Rejection};

const TABLE_JSON: &str =
    r#"{"1":{"str":"t"},"2":{"str":"d"},"7":{"rec":{"1":{"lst":["rec",1,{"1":{"str":"a"},"2":{"str":"int"}}]}}}}"#;

fn event(kind: &str, message: &Value) -> Value {
    json!({ "eventId": 5, "eventTime": 1_795_000_000, "eventType": kind, "dbName": "d", "message": message.to_string(),
        "messageFormat": "json-0.2" })
}

fn created(table: &str) -> Value {
    event("CREATE_TABLE", &json!({ "server": "thrift://h:1", "tableObjJson": table }))
}

fn read(value: &Value) -> Result<HmsEvent, Rejection> {
    decode(value.to_string().as_bytes(), HmsLimits::default())
}

#[track_caller]
fn rejected(value: &Value, code: ReasonCode, path: &str) {
    let rejection = read(value).unwrap_err();
    assert_eq!((rejection.code, rejection.path.as_str()), (code, path), "{rejection}");
}

fn thrift(schema: &Struct, text: &str, depth: usize) -> Result<Object, Rejection> {
    tjson::read(schema, text, &mut Allowance::new(Limits { depth, ..Limits::default() }))
}

fn gzip(bytes: &[u8]) -> String {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    STANDARD.encode(packer.finish().unwrap())
}

#[test]
fn field_names_and_numbers_are_taken_tolerantly() {
    let message = json!({ "server": "thrift://h:1", "tableObjJson": TABLE_JSON, "new": { "x": 1 } }).to_string();
    let value = json!({ "EVENT_ID": "5", "event_time": "1795000000", "EventType": "CREATE_TABLE", "cat_name": null,
        "message": message, "extra": [1] });
    let event = read(&value).unwrap();
    assert_eq!(
        (event.event_id, event.event_time, event.server.as_str()),
        (Some(5), Some(1_795_000_000), "thrift://h:1")
    );
    let Change::CreateTable(table) = event.change else { panic!("{:?}", event.change) };
    assert_eq!(table.text("tableName"), Some("t"));
}

#[test]
fn gzip_and_plain_say_the_same() {
    let plain = created(TABLE_JSON);
    let mut packed = plain.clone();
    packed["message"] = json!(gzip(plain["message"].as_str().unwrap().as_bytes()));
    packed["messageFormat"] = json!("gzip(json-2.0)");
    assert_eq!(read(&plain).unwrap(), read(&packed).unwrap());
}

#[test]
fn envelope_faults() {
    let limits = HmsLimits::default();
    assert_eq!(decode(b"{", limits).unwrap_err().code, ReasonCode::InvalidJson);
    assert_eq!(decode(b"[]", limits).unwrap_err().code, ReasonCode::InvalidJson);
    assert_eq!(decode(b"{\"a\":\"\xff\"}", limits).unwrap_err().code, ReasonCode::InvalidUtf8);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(decode(deep.as_bytes(), limits).unwrap_err().code, ReasonCode::LimitExceeded);

    let good = created(TABLE_JSON);
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed
    };
    rejected(&with("eventId", Value::Null), ReasonCode::MissingField, "/eventId");
    rejected(&with("eventId", json!("five")), ReasonCode::InvalidField, "/eventId");
    rejected(&with("eventTime", json!(1_795_000_000_000_i64)), ReasonCode::InvalidField, "/eventTime");
    rejected(&with("eventTime", json!(-1)), ReasonCode::InvalidField, "/eventTime");
    rejected(&with("eventType", json!("")), ReasonCode::MissingField, "/eventType");
    rejected(&with("eventType", json!("CREATE_MOON")), ReasonCode::UnknownType, "/eventType");
    rejected(&with("message", Value::Null), ReasonCode::MissingField, "/message");
    rejected(&with("message", json!(7)), ReasonCode::InvalidField, "/message");
    rejected(&with("message", json!("nonsense")), ReasonCode::InvalidJson, "/message");
    rejected(&with("messageFormat", json!("protobuf")), ReasonCode::UnknownType, "/messageFormat");
}

#[test]
fn compression_faults() {
    let mut value = created(TABLE_JSON);
    value["messageFormat"] = json!("gzip(json-2.0)");
    rejected(&value, ReasonCode::InvalidCompression, "/message");
    value["message"] = json!(STANDARD.encode("no gzip"));
    rejected(&value, ReasonCode::InvalidCompression, "/message");
    let whole = STANDARD.decode(gzip(b"{}")).unwrap();
    value["message"] = json!(STANDARD.encode(&whole[..whole.len() - 4]));
    rejected(&value, ReasonCode::InvalidCompression, "/message");
    value["message"] = json!(gzip(b"\xff"));
    rejected(&value, ReasonCode::InvalidUtf8, "/message");
}

#[test]
fn a_bomb_is_not_unpacked() {
    let limits = HmsLimits { max_message_bytes: 1 << 20, ..HmsLimits::default() };
    let mut value = created(TABLE_JSON);
    value["messageFormat"] = json!("gzip(json-2.0)");
    value["message"] = json!(gzip(&vec![b' '; 32 << 20]));
    let text = value.to_string();
    assert!(text.len() < limits.max_message_bytes, "the record itself is small");
    let rejection = decode(text.as_bytes(), limits).unwrap_err();
    assert_eq!((rejection.code, rejection.path.as_str()), (ReasonCode::LimitExceeded, "/message"));
}

#[test]
fn message_faults_lead_to_their_place() {
    rejected(&event("CREATE_TABLE", &json!({})), ReasonCode::MissingField, "/message/tableObjJson");
    rejected(&event("CREATE_TABLE", &json!({ "tableObjJson": 3 })), ReasonCode::InvalidField, "/message/tableObjJson");
    rejected(&created("{\"1\":{\"str\":\"t\"}}"), ReasonCode::MissingField, "/message/tableObjJson/2");
    let wrong = created(r#"{"1":{"str":"t"},"2":{"str":"d"},"7":{"str":"sd"}}"#);
    rejected(&wrong, ReasonCode::InvalidThriftJson, "/message/tableObjJson/7/str");
    let wrong = created(&TABLE_JSON.replace(r#"{"str":"int"}"#, r#"{"i32":4}"#));
    rejected(&wrong, ReasonCode::InvalidThriftJson, "/message/tableObjJson/7/rec/1/lst/2/2/i32");
    let partition = json!({ "tableObjJson": TABLE_JSON, "partitionListJson": ["{\"1\":{\"lst\":[\"str\",1,\"x\"]}}"] });
    rejected(&event("ADD_PARTITION", &partition), ReasonCode::InvalidField, "/message/partitionListJson/0/1");
    let keyed = TABLE_JSON.replace(r#""7":"#, r#""8":{"lst":["rec",1,{"1":{"str":"dt"},"2":{"str":"date"}}]},"7":"#);
    let dropped = json!({ "tableObjJson": keyed, "partitions": [{ "other": "x" }] });
    rejected(&event("DROP_PARTITION", &dropped), ReasonCode::MissingField, "/message/partitions/0");
    rejected(&event("DROP_FUNCTION", &json!({ "db": "d" })), ReasonCode::MissingField, "/message/functionName");
}

#[test]
fn thrift_json_faults() {
    let deep = format!("{}{}", "{\"99\":{\"rec\":".repeat(100), "}}".repeat(100));
    assert_eq!(thrift(&TABLE, &deep, 64).unwrap_err().code, ReasonCode::LimitExceeded);
    for text in [
        "",
        "{",
        "{}x",
        "{\"a\":{\"str\":\"x\"}}",
        "{\"1\":{\"str\":\"x}}",
        "{\"1\":{\"str\":4}}",
        "{\"1\":\"x\"}",
        "{\"4\":{\"i32\":\"x\"}}",
        "{\"4\":{\"i32\":99999999999999999999}}",
        "{\"8\":{\"lst\":[\"rec\",2,{}]}}",
        "{\"9\":{\"map\":[\"str\",\"str\",1,{}]}}",
        "{\"1\":{\"what\":1}}",
        "{\"1\":{\"str\":\"\\ud800\"}}",
    ] {
        let code = thrift(&TABLE, text, 64).unwrap_err().code;
        assert_eq!(code, ReasonCode::InvalidThriftJson, "{text}");
    }
}

#[test]
fn unknown_ids_and_odd_maps_are_kept() {
    let text = r#"{"2":{"str":"x"},"5":{"tf":1},"11":{"rec":{"3":{"map":["lst","str",1,{["str",2,"a","b\u00e9"]:"loc"}]}}},
        "77":{"set":["i64",2,1,-2]},"78":{"dbl":"NaN"},"79":{"dbl":1.5}}"#;
    let object = thrift(&STORAGE_DESCRIPTOR, text, 64).unwrap();
    let expected = json!({ "location": "x", "compressed": 1, "field_77": [1, -2], "field_78": "NaN", "field_79": 1.5,
        "skewedInfo": { "skewedColValueLocationMaps": { "[\"a\",\"bé\"]": "loc" } } });
    assert_eq!(Value::Object(object.0), expected);
}

#[test]
fn silent_types_need_no_message() {
    for kind in ["OPEN_TXN", "COMMIT_TXN", "ABORT_TXN", "ALLOC_WRITE_ID_EVENT", "RELOAD", "CREATE_CATALOG"] {
        let value = json!({ "eventId": 1, "eventTime": 1, "eventType": kind, "dbName": "null", "tableName": " " });
        assert!(matches!(read(&value).unwrap().change, Change::Silent(_)), "{kind}");
    }
}

#[test]
fn listener_values() {
    let table = json!({ "tableName": "t", "dbName": "d", "temporary": false, "sd": { "cols": [], "compressed": true,
        "skewedInfo": { "skewedColValueLocationMaps": [[["a"], "x"]] }, "location": null } });
    let value = json!({ "eventType": "ON_CREATE_TABLE", "status": true, "table": table,
        "parameters": { "DB_NOTIFICATION_EVENT_ID_KEY_NAME": "9" } });
    let event = read(&value).unwrap();
    assert_eq!(event.event_id, Some(9));
    let Change::CreateTable(object) = event.change else { panic!("{:?}", event.change) };
    let expected =
        json!({ "cols": [], "compressed": 1, "skewedInfo": { "skewedColValueLocationMaps": { "[\"a\"]": "x" } } });
    assert_eq!(object.0["sd"], expected);

    let with = |field: &str, new: Value| {
        let mut changed = value.clone();
        changed[field] = new;
        changed
    };
    let failed = read(&with("status", json!(false))).unwrap();
    assert_eq!(failed.change, Change::Silent("hms_failed_operation"));
    rejected(&with("eventType", json!("ON_FIRE")), ReasonCode::UnknownType, "/eventType");
    rejected(&with("table", Value::Null), ReasonCode::MissingField, "/table");
    rejected(&with("table", json!({ "tableName": 4 })), ReasonCode::InvalidField, "/table/tableName");
    rejected(&with("table", json!({ "tableName": "t" })), ReasonCode::MissingField, "/table/2");
    assert!(from_named(&TABLE, &json!([])).is_err());
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, HmsLimits::default());
    }

    #[test]
    fn damaged_thrift_json_never_panics(at in 0..TABLE_JSON.len(), with in "\\PC{0,3}") {
        let mut text = TABLE_JSON.to_owned();
        text.replace_range(at..=at, &with);
        let _ = thrift(&TABLE, &text, 16);
        let _ = thrift(&TABLE, &TABLE_JSON[..at], 16);
    }

    #[test]
    fn strings_come_back(text in any::<String>()) {
        let object = thrift(&TABLE, &format!("{{\"1\":{{\"str\":{}}}}}", json!(text)), 8).unwrap();
        prop_assert_eq!(object.text("tableName"), Some(text.as_str()));
    }
}
