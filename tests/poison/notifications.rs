//! Poison on a topic of metastore notifications.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tributary::kafka::Headers;

use super::kinds::{Ids, Kind, NO_SCHEMA, frame, lists, long, text, too_deep};

pub const TOPIC: &str = "hms.notifications";
const SERVER: &str = "thrift://poison:9083";

fn letter(name: &'static str, value: impl Into<Vec<u8>>, reason: &'static str, path: &str) -> Kind {
    Kind::letter(name, TOPIC, value, (reason, path))
}

fn meaning(name: &'static str, value: impl Into<Vec<u8>>) -> Kind {
    Kind::meaning(name, TOPIC, value)
}

/// A table as Thrift JSON, with these columns.
fn table(name: &str, columns: &[(&str, &str)]) -> String {
    let column = |(name, kind): &(&str, &str)| json!({ "1": { "str": name }, "2": { "str": kind } });
    let mut list = vec![json!("rec"), json!(columns.len())];
    list.extend(columns.iter().map(column));
    json!({ "1": { "str": name }, "2": { "str": "poison" }, "7": { "rec": { "1": { "lst": list } } } }).to_string()
}

fn notification(kind: &str, message: &Value) -> Value {
    json!({ "eventId": 7, "eventTime": 1_795_000_000, "eventType": kind, "dbName": "poison", "tableName": "t",
        "message": message.to_string(), "messageFormat": "json-0.2" })
}

fn created(table: &str) -> Value {
    notification("CREATE_TABLE", &json!({ "server": SERVER, "tableObjJson": table }))
}

/// A good notification with one field of its envelope changed.
fn with(field: &str, value: Value) -> String {
    let mut changed = created(&table("t", &[("a", "int")]));
    changed[field] = value;
    changed.to_string()
}

/// The text of a good notification with a piece of it replaced.
fn replaced(from: &str, to: &str) -> String {
    let good = created(&table("t", &[("a", "int")])).to_string();
    assert!(good.contains(from), "{from} in {good}");
    good.replacen(from, to, 1)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn packed(message: &[u8]) -> String {
    let mut value = created("");
    value["messageFormat"] = json!("gzip(json-2.0)");
    value["message"] = json!(STANDARD.encode(message));
    value.to_string()
}

/// About 14 MB that unpack to 10 GiB: members of 64 MiB of zeros, one behind the other.
pub fn bomb() -> String {
    packed(&gzip(&vec![0; 64 << 20]).repeat(160))
}

/// Unpacks to a little less than is allowed, and says more than may be written.
fn swelling() -> String {
    let comment = "c".repeat(15 << 20);
    let message = json!({ "server": SERVER, "tableObjJson": table("swelling", &[("a", "int"), ("b", &comment)]) });
    packed(&gzip(message.to_string().as_bytes()))
}

fn datum() -> Vec<u8> {
    let message = json!({ "server": SERVER, "tableObjJson": table("framed", &[("a", "int")]) }).to_string();
    let absent = long(0);
    let fields = [
        long(7),
        [long(0), long(1_795_000_000)].concat(),
        text("CREATE_TABLE"),
        absent.clone(),
        absent.clone(),
        absent.clone(),
        text(&message),
        [long(1), text("json-0.2")].concat(),
        absent,
    ];
    fields.concat()
}

/// All kinds for one topic of notifications.
pub fn kinds(ids: Ids) -> Vec<Kind> {
    let mut all = bytes(ids);
    all.extend(envelopes());
    all.extend(messages());
    all.extend(names());
    all
}

fn bytes(ids: Ids) -> Vec<Kind> {
    let good = created(&table("t", &[("a", "int")])).to_string();
    let half = good.split_at(good.len() / 2).0;
    let whole = datum();
    vec![
        letter("not JSON", "not json", "invalid_json", ""),
        letter("JSON cut off", half, "invalid_json", "/message"),
        letter("JSON that is no object", "[1]", "invalid_json", ""),
        letter("no bytes", "", "invalid_json", ""),
        letter("tombstone", "", "empty_value", "").without_value(),
        letter("wrong magic byte", [b"\x01", &frame(ids.notification, &whole)[1..]].concat(), "invalid_utf8", ""),
        letter("frame cut off", vec![0, 0, 1], "invalid_avro", ""),
        letter("unknown schema id", frame(NO_SCHEMA, &whole), "unknown_schema", ""),
        letter("unknown schema id", frame(u32::MAX, &whole), "unknown_schema", ""),
        letter("Avro cut off", frame(ids.notification, &whole[..40]), "invalid_avro", "/message"),
        letter("bytes behind the datum", frame(ids.notification, &[&whole[..], b"x"].concat()), "invalid_avro", ""),
        letter("Avro of another type", frame(ids.int, &long(1)), "invalid_avro", ""),
        letter(
            "wrong Avro types",
            frame(ids.texts, &[text("7"), text("X"), text("{}")].concat()),
            "invalid_avro",
            "/eventId",
        ),
        letter("Avro number of more than 64 bits", frame(ids.notification, &[0xff; 11]), "invalid_avro", "/eventId"),
        letter("Avro string that is not UTF-8", frame(ids.notification, &bad_text()), "invalid_avro", "/eventType"),
        letter("Avro list of endless nothing", frame(ids.nulls, &long(i64::MAX)), "limit_exceeded", "/extra/249998"),
        meaning("framed Avro", frame(ids.notification, &whole)),
        letter("not UTF-8", b"{\"eventId\":\"\xff\xfe\"}".to_vec(), "invalid_utf8", ""),
        letter(
            "lone surrogate",
            replaced("\"dbName\":\"poison\"", "\"dbName\":\"\\ud800\""),
            "invalid_json",
            "/dbName",
        ),
        letter("NaN in the core", replaced("1795000000", "NaN"), "invalid_json", "/eventTime"),
        letter("number beyond all numbers", replaced("1795000000", "1e400"), "invalid_json", "/eventTime"),
        letter("10,000 levels", with_text("x", &lists(10_000)), "limit_exceeded", &too_deep("/x", 63)),
        letter(
            "1,000,000 values",
            with_text("x", &format!("[1{}]", ",1".repeat(999_999))),
            "limit_exceeded",
            "/x/249991",
        ),
        meaning("keys of JSON twice", replaced("\"eventId\":7", "\"eventId\":6,\"eventId\":7")),
        meaning("no key", created(&table("no_key", &[("a", "int")])).to_string()).keyed(None),
        meaning("key of 1 MB", created(&table("large_key", &[("a", "int")])).to_string())
            .keyed(Some(vec![0xff; 1 << 20])),
        letter("headers of ours, forged", "not json", "invalid_json", "").with_headers(
            Headers::new()
                .with("tributary-reason", "none")
                .with("tributary-attempt", "4294967295")
                .with("x", [0xff, 0]),
        ),
    ]
}

/// The envelope with one more field, the last in its text.
fn with_text(field: &str, value: &str) -> String {
    let good = created(&table("t", &[("a", "int")])).to_string();
    // Before it stand dbName, eventId, eventTime, eventType, message, messageFormat and tableName.
    format!("{},\"{field}\":{value}}}", good.strip_suffix('}').unwrap())
}

fn bad_text() -> Vec<u8> {
    [long(7), long(0), long(1), long(2), vec![0xff, 0xfe]].concat()
}

fn envelopes() -> Vec<Kind> {
    vec![
        letter("no event id", with("eventId", Value::Null), "missing_field", "/eventId"),
        meaning("negative ids", with("eventId", json!(i64::MIN))),
        meaning("ids as texts", with("eventId", json!("9223372036854775807"))),
        letter("huge ids", with("eventId", json!(u64::MAX)), "invalid_field", "/eventId"),
        letter("ids that are no numbers", with("eventId", json!([1])), "invalid_field", "/eventId"),
        letter("broken ids", with("eventId", json!(1.5)), "invalid_field", "/eventId"),
        letter("year -1", with("eventTime", json!(-62_200_000_000_i64)), "invalid_field", "/eventTime"),
        letter("year 99999", with("eventTime", json!(3_093_527_980_800_i64)), "invalid_field", "/eventTime"),
        letter("no event type", with("eventType", json!("")), "missing_field", "/eventType"),
        letter("unknown event type", with("eventType", json!("MELT_TABLE")), "unknown_type", "/eventType"),
        letter("no message", with("message", Value::Null), "missing_field", "/message"),
        letter("message of another type", with("message", json!(7)), "invalid_field", "/message"),
        letter("unknown message format", with("messageFormat", json!("xml")), "unknown_type", "/messageFormat"),
        meaning("event that says nothing", with("eventType", json!("OPEN_TXN"))),
        letter(
            "unknown event type",
            json!({ "eventType": "ON_FIRE", "status": true }).to_string(),
            "unknown_type",
            "/eventType",
        ),
        letter(
            "listener's event without its table",
            json!({ "eventType": "ON_CREATE_TABLE", "status": true }).to_string(),
            "missing_field",
            "/table",
        ),
    ]
}

fn messages() -> Vec<Kind> {
    let deep_message = json!({ "server": SERVER, "x": 0 }).to_string().replace(":0", &format!(":{}", lists(10_000)));
    let deep_thrift = format!("{}{}", "{\"99\":{\"rec\":".repeat(10_000), "}}".repeat(10_000));
    let partitioned = json!({ "1": { "str": "t" }, "2": { "str": "poison" }, "7": { "rec": {} },
        "8": { "lst": ["rec", 1, { "1": { "str": "dt" }, "2": { "str": "date" } }] } });
    let partitions = |list: &str| {
        let message = json!({ "server": SERVER, "tableObjJson": partitioned.to_string(), "partitionListJson": [list] });
        notification("ADD_PARTITION", &message).to_string()
    };
    let member = gzip(b"{}");
    vec![
        letter("message that is not JSON", with("message", json!("{\"server\":")), "invalid_json", "/message/server"),
        letter("10,000 levels", with("message", json!(deep_message)), "limit_exceeded", &too_deep("/message/x", 63)),
        letter("not base64", packed(b"x").replace("eA==", "?"), "invalid_compression", "/message"),
        letter("not gzip", packed(b"no gzip at all"), "invalid_compression", "/message"),
        letter("gzip cut off", packed(&member[..member.len() - 4]), "invalid_compression", "/message"),
        letter("gzip of what is not UTF-8", packed(&gzip(b"\xff")), "invalid_utf8", "/message"),
        letter("gzip bomb", bomb(), "limit_exceeded", "/message"),
        letter("facts larger than their topic takes", swelling(), "limit_exceeded", ""),
        letter("no metastore named", replaced(SERVER, ""), "unknown_instance", "/message/server"),
        letter(
            "no object of the event",
            notification("CREATE_TABLE", &json!({})).to_string(),
            "missing_field",
            "/message/tableObjJson",
        ),
        letter("Thrift JSON broken", created("{\"1\":").to_string(), "invalid_thrift_json", "/message/tableObjJson"),
        letter(
            "Thrift JSON of wrong types",
            created(r#"{"1":{"str":"t"},"2":{"i64":3}}"#).to_string(),
            "invalid_thrift_json",
            "/message/tableObjJson/2/i64",
        ),
        letter("10,000 levels", created(&deep_thrift).to_string(), "limit_exceeded", &thrift_levels(64)),
        letter(
            "counts that are not true",
            partitions(r#"{"1":{"lst":["str",2147483647,"2026-01-01"]}}"#),
            "invalid_thrift_json",
            "/message/partitionListJson/0/1/lst",
        ),
        letter(
            "counts that are not true",
            partitions(r#"{"1":{"lst":["str",-1]}}"#),
            "invalid_thrift_json",
            "/message/partitionListJson/0/1/lst",
        ),
        letter(
            "more partition values than keys",
            partitions(r#"{"1":{"lst":["str",2,"a","b"]}}"#),
            "invalid_field",
            "/message/partitionListJson/0/1",
        ),
        meaning("NaN and Infinity where numbers are texts", statistics()),
    ]
}

fn thrift_levels(levels: usize) -> String {
    format!("/message/tableObjJson{}", "/99/rec".repeat(levels))
}

fn statistics() -> String {
    let stats = json!({ "1": { "rec": { "1": { "tf": 1 }, "2": { "str": "poison" }, "3": { "str": "nan" } } },
        "2": { "lst": ["rec", 1, { "1": { "str": "a" }, "2": { "str": "double" }, "3": { "rec": { "3": { "rec": {
            "1": { "dbl": "NaN" }, "2": { "dbl": "-Infinity" } } } } } }] } });
    let message = json!({ "server": SERVER, "colStatsJson": stats.to_string() });
    notification("UPDATE_TBL_COL_STAT_EVENT", &message).to_string()
}

fn names() -> Vec<Kind> {
    let long_name = "n".repeat(1 << 20);
    let wide: Vec<String> = (0..100_000).map(|n| format!("c{n}")).collect();
    let wide: Vec<(&str, &str)> = wide.iter().map(|name| (name.as_str(), "int")).collect();
    let struct_text = format!("struct<{}>", (0..30_000).map(|n| format!("f{n}:int")).collect::<Vec<_>>().join(","));
    vec![
        letter("empty names", created(&table("", &[])).to_string(), "missing_field", "/message/tableObjJson/1"),
        letter(
            "names of 1 MB",
            created(&table(&long_name, &[])).to_string(),
            "limit_exceeded",
            "/message/tableObjJson/1",
        ),
        letter("column names of 1 MB", created(&table("t", &[(&long_name, "int")])).to_string(), "limit_exceeded", ""),
        letter(
            "100,000 columns",
            created(&table("t", &wide)).to_string(),
            "limit_exceeded",
            "/message/tableObjJson/7/rec/1/lst/83330/1/str",
        ),
        letter("30,000 columns", created(&table("t", wide.get(..30_000).unwrap())).to_string(), "limit_exceeded", ""),
        letter(
            "types of 30,000 fields",
            created(&table("t", &[("a", &struct_text)])).to_string(),
            "limit_exceeded",
            "",
        ),
        meaning("types of 10,000 levels", created(&table("deep_type", &[("a", &"array<".repeat(10_000))])).to_string()),
        meaning(
            "types of 10,000 levels",
            created(&table("deep_array", &[("a", &format!("int{}", "[]".repeat(10_000)))])).to_string(),
        ),
        meaning("U+0000", created(&table("a\0b", &[("c\0d", "int\0")])).to_string()),
    ]
}
