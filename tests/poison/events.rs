//! Poison on the topic of OpenLineage events.

use serde_json::{Value, json};
use tributary::kafka::Headers;

use super::kinds::{Ids, Kind, NO_SCHEMA, frame, lists, long, text, too_deep};

pub const TOPIC: &str = "openlineage.events";

fn letter(name: &'static str, value: impl Into<Vec<u8>>, reason: &'static str, path: &str) -> Kind {
    Kind::letter(name, TOPIC, value, (reason, path))
}

fn meaning(name: &'static str, value: impl Into<Vec<u8>>) -> Kind {
    Kind::meaning(name, TOPIC, value)
}

/// A good event: one job reads one dataset and writes another.
fn event() -> Value {
    json!({
        "eventTime": "2026-11-21T06:17:05.656Z", "eventType": "COMPLETE", "producer": "https://poison",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": "01a1fcc0-76ad-79b1-bb4b-64590305dead", "facets": {} },
        "job": { "namespace": "poison", "name": "job", "facets": {} },
        "inputs": [{ "namespace": "s3://poison", "name": "in", "facets": {} }],
        "outputs": [{ "namespace": "s3://poison", "name": "out", "facets": {} }],
    })
}

/// The good event with the value at a place changed.
fn with(path: &str, value: Value) -> String {
    let mut changed = event();
    *changed.pointer_mut(path).unwrap_or_else(|| panic!("{path} is in the event")) = value;
    changed.to_string()
}

/// The good event with its text replaced where it says `"0"`, after that was put at a place.
fn with_text(path: &str, value: &str) -> String {
    let marked = with(path, json!("here"));
    assert_eq!(marked.matches("\"here\"").count(), 1);
    marked.replace("\"here\"", value)
}

/// The good event with one facet more.
fn with_facet(of: &str, name: &str, value: &str) -> String {
    with_text(&format!("{of}/facets"), &format!("{{\"{name}\":{value}}}"))
}

/// A datum whose event is a text.
fn datum(event: &str) -> Vec<u8> {
    let mut out = [long(1), text(event)].concat();
    // eventType, eventTime, producer, schemaURL, run, job and dataset are null; inputs and outputs end at once.
    out.extend([0; 9]);
    out
}

/// A datum of a run event with facets as texts.
fn typed_datum(facet: &str) -> Vec<u8> {
    let given = |value: &str| [long(1), text(value)].concat();
    let no_facets = long(0);
    let one_facet = [long(1), text("f"), text(facet), long(0)].concat();
    let parts = [
        long(0),
        given("COMPLETE"),
        given("2026-11-21T06:17:05.656Z"),
        given("https://poison"),
        given("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"),
        [long(1), text("01a1fcc0-76ad-79b1-bb4b-64590305dea1"), one_facet].concat(),
        [long(1), text("poison"), text("framed"), no_facets].concat(),
        long(0),
        long(0),
        long(0),
    ];
    parts.concat()
}

/// All kinds.
pub fn kinds(ids: Ids) -> Vec<Kind> {
    let mut all = bytes(ids);
    all.extend(core());
    all.extend(facets());
    all.extend(many());
    all
}

fn bytes(ids: Ids) -> Vec<Kind> {
    let good = event().to_string();
    let whole = datum(&good);
    // It ends with the quote of a key inside of the job.
    let half = good.split_at(good.find("\"job\"").unwrap() + 20).0;
    let endless = [vec![0; 8], long(i64::MIN), long(1)].concat();
    vec![
        letter("not JSON", "not json", "invalid_json", ""),
        letter("JSON cut off", half, "invalid_json", "/job"),
        letter("JSON that is no object", "[1]", "invalid_json", ""),
        letter("no bytes", "", "invalid_json", ""),
        letter("tombstone", "", "empty_value", "").without_value(),
        letter("wrong magic byte", [b"\x01", &frame(ids.event, &whole)[1..]].concat(), "invalid_utf8", ""),
        letter("frame cut off", vec![0, 0, 1], "invalid_avro", ""),
        letter("unknown schema id", frame(NO_SCHEMA, &whole), "unknown_schema", ""),
        letter("Avro cut off", frame(ids.event, &whole[..whole.len() / 2]), "invalid_avro", "/event"),
        letter("bytes behind the datum", frame(ids.event, &[&whole[..], b"x"].concat()), "invalid_avro", ""),
        letter("Avro of another type", frame(ids.int, &long(1)), "invalid_avro", ""),
        letter("wrong Avro types", frame(ids.event, &long(9)), "invalid_avro", "/event"),
        letter(
            "Avro string that is not UTF-8",
            frame(ids.event, &[long(1), long(2), vec![0xff, 0xfe]].concat()),
            "invalid_avro",
            "/event",
        ),
        letter("Avro list of endless nothing", frame(ids.nulls, &long(i64::MAX)), "limit_exceeded", "/extra/249998"),
        letter("Avro block counts out of range", frame(ids.event, &endless), "invalid_avro", "/inputs"),
        letter("framed facet that is not JSON", frame(ids.event, &typed_datum("{")), "invalid_json", "/run/facets/f"),
        letter(
            "10,000 levels",
            frame(ids.event, &typed_datum(&lists(10_000))),
            "limit_exceeded",
            &too_deep("/run/facets/f", 64),
        ),
        letter("JSON that is no object", frame(ids.event, &datum("[]")), "invalid_json", ""),
        meaning("framed Avro", frame(ids.event, &whole)),
        meaning("framed Avro", frame(ids.event, &typed_datum("{\"x\":1}"))),
        letter("not UTF-8", b"{\"eventTime\":\"\xff\xfe\"}".to_vec(), "invalid_utf8", ""),
        letter("lone surrogate", with_text("/job/name", "\"\\udfff\""), "invalid_json", "/job/name"),
        letter("10,000 levels", with_text("/job", &lists(10_000)), "limit_exceeded", &too_deep("/job", 63)),
        letter("keys of JSON twice", with_text("/run/runId", "\"x\",\"runId\":\"x\""), "invalid_json", ""),
        meaning("no key", with("/job/name", json!("no key"))).keyed(None),
        meaning("key of 1 MB", with("/job/name", json!("large key"))).keyed(Some(vec![0xff; 1 << 20])),
        letter("headers of ours, forged", "not json", "invalid_json", "").with_headers(
            Headers::new().with("tributary-path", "/none").with("tributary-attempt", "4294967295").with("x", [0xff, 0]),
        ),
    ]
}

fn core() -> Vec<Kind> {
    let both = {
        let mut both = event();
        both.as_object_mut().unwrap().remove("run");
        both.as_object_mut().unwrap().remove("eventType");
        both["schemaURL"] = json!("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent");
        both["dataset"] = both["inputs"][0].clone();
        both.to_string()
    };
    vec![
        letter("no event time", with("/eventTime", Value::Null), "missing_field", "/eventTime"),
        letter("times that are none", with("/eventTime", json!("yesterday")), "invalid_field", "/eventTime"),
        letter("times that are none", with("/eventTime", json!(1_795_241_825_656_i64)), "invalid_field", "/eventTime"),
        letter("year -1", with("/eventTime", json!("-0001-01-01T00:00:00Z")), "invalid_field", "/eventTime"),
        letter("year 99999", with("/eventTime", json!("99999-01-01T00:00:00Z")), "invalid_field", "/eventTime"),
        letter("year 99999", with("/eventTime", json!("+99999-01-01T00:00:00Z")), "invalid_field", "/eventTime"),
        letter("unknown event type", with("/eventType", json!("EXPLODED")), "invalid_field", "/eventType"),
        letter("no producer", with("/producer", Value::Null), "missing_field", "/producer"),
        letter("huge ids", with("/run/runId", json!("9".repeat(1 << 20))), "invalid_field", "/run/runId"),
        letter("negative ids", with("/run/runId", json!("-1")), "invalid_field", "/run/runId"),
        letter("ids that are no texts", with("/run/runId", json!(7)), "invalid_field", "/run/runId"),
        letter("no job", with("/job", Value::Null), "missing_field", "/job"),
        letter("parts of another type", with("/job", json!([])), "invalid_field", "/job"),
        letter("parts of another type", with("/inputs", json!({})), "invalid_field", "/inputs"),
        letter("parts of another type", with("/outputs/0/facets", json!(1)), "invalid_field", "/outputs/0/facets"),
        letter("job and dataset in one event", both, "invalid_field", "/dataset"),
        letter("empty names", with("/job/name", json!("")), "missing_field", "/job/name"),
        letter("empty names", with("/job/namespace", json!("")), "missing_field", "/job/namespace"),
        meaning("empty names of datasets", with("/inputs/0/name", json!(""))),
        letter("names of 1 MB", with("/job/name", json!("n".repeat(1 << 20))), "limit_exceeded", "/job/name"),
        letter("names of 1 MB", with("/inputs/0/name", json!("n".repeat(1 << 20))), "limit_exceeded", "/inputs/0/name"),
        letter(
            "names of 1 MB",
            with("/outputs/0/namespace", json!("s".repeat(1 << 20))),
            "limit_exceeded",
            "/outputs/0/namespace",
        ),
        // Each part is within the limit, what encoding makes of it is not.
        letter(
            "ids longer than an index takes",
            with("/inputs/0/name", json!("%".repeat(1_000))),
            "limit_exceeded",
            "",
        ),
        meaning("U+0000", with("/inputs/0/name", json!("a\0b"))),
        meaning("U+0000", with_facet("/outputs/0", "documentation", r#"{"description":"a\u0000b"}"#)),
    ]
}

fn facets() -> Vec<Kind> {
    let wide = |columns: usize| {
        let fields: Vec<Value> = (0..columns).map(|n| json!({ "name": format!("c{n}") })).collect();
        with_facet("/outputs/0", "schema", &json!({ "fields": fields }).to_string())
    };
    let mut nested = json!({ "name": "x" });
    for _ in 0..40 {
        nested = json!({ "name": "x", "fields": [nested] });
    }
    let many: Vec<String> = (0..300).map(|n| format!("\"f{n}\":{{}}")).collect();
    vec![
        meaning("facet of 10,000 levels", with_facet("/run", "deep", &lists(10_000))),
        meaning("facet of 10,000 levels", with_facet("/inputs/0", "schema", &lists(10_000))),
        meaning(
            "NaN and Infinity in facets",
            with_facet("/outputs/0", "outputStatistics", r#"{"rowCount":NaN,"size":-Infinity}"#),
        ),
        meaning(
            "number beyond all numbers, in a facet",
            with_facet("/outputs/0", "outputStatistics", r#"{"rowCount":1e999}"#),
        ),
        meaning("lone surrogate in a facet", with_facet("/outputs/0", "documentation", r#"{"description":"\ud800"}"#)),
        meaning(
            "keys of JSON twice, in a facet",
            with_facet("/outputs/0", "documentation", r#"{"description":"a","description":"b"}"#),
        ),
        meaning("facet of 1 MB", with_facet("/run", "large", &json!("x".repeat(1 << 20)).to_string())),
        letter(
            "300 facets",
            with_text("/run/facets", &format!("{{{}}}", many.join(","))),
            "limit_exceeded",
            "/run/facets",
        ),
        letter("100,000 columns", wide(100_000), "limit_exceeded", ""),
        letter(
            "columns of 40 levels",
            with_facet("/outputs/0", "schema", &json!({ "fields": [nested] }).to_string()),
            "limit_exceeded",
            "",
        ),
        letter(
            "column names of 1 MB",
            with_facet("/outputs/0", "schema", &json!({ "fields": [{ "name": "n".repeat(1 << 20) }] }).to_string()),
            "limit_exceeded",
            "",
        ),
        meaning(
            "types of 10,000 levels",
            with_facet(
                "/outputs/0",
                "schema",
                &json!({ "fields": [{ "name": "a", "type": "array<".repeat(10_000) }] }).to_string(),
            ),
        ),
    ]
}

fn many() -> Vec<Kind> {
    let datasets = |count: usize, prefix: &str| -> Value {
        (0..count).map(|n| json!({ "namespace": "s3://poison", "name": format!("{prefix}{n}") })).collect()
    };
    let product = {
        let mut product = event();
        (product["inputs"], product["outputs"]) = (datasets(300, "in"), datasets(300, "out"));
        product.to_string()
    };
    // Names of the columns of a wide table, as often as there are columns: what is looked up one by one takes for ever.
    let (fields, lineage): (Vec<Value>, serde_json::Map<String, Value>) = (0..20_000)
        .map(|n| {
            let input = json!({ "namespace": "s3://poison", "name": "in", "field": format!("c{n}") });
            (json!({ "name": format!("c{n}") }), (format!("c{n}"), json!({ "inputFields": [input] })))
        })
        .unzip();
    let wide = json!({ "schema": { "fields": fields }, "columnLineage": { "fields": lineage } });
    let again = {
        let mut again = event();
        let one = json!({ "namespace": "s3://poison", "name": "in", "facets": { "schema": { "fields": fields } } });
        let more = json!({ "namespace": "s3://poison", "name": "in" });
        again["inputs"] = std::iter::once(one).chain(std::iter::repeat_n(more, 50_000)).collect();
        again["outputs"] = json!([]);
        again.to_string()
    };
    vec![
        letter(
            "1,000,000 values",
            with_text("/inputs", &format!("[{{}}{}]", ",{}".repeat(499_999))),
            "limit_exceeded",
            "",
        ),
        letter(
            "1,000,000 values",
            with_facet("/run", "x", &format!("[1{}]", ",1".repeat(999_999))),
            "limit_exceeded",
            "",
        ),
        letter("90,000 edges of lineage", product, "limit_exceeded", ""),
        meaning("one dataset named 50,000 times", again),
        meaning("20,000 columns with lineage", with("/outputs/0/facets", wide)),
        letter(
            "facts larger than their topic takes",
            with_facet("/outputs/0", "documentation", &json!({ "description": "d".repeat(10 << 20) }).to_string()),
            "limit_exceeded",
            "",
        ),
    ]
}
