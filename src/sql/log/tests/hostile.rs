//! What no platform writes.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_query_log_says_what_to_do() {
    for (value, code, path, hint) in [
        ("", ReasonCode::InvalidJson, "", "csvlog"),
        ("null", ReasonCode::InvalidJson, "", "JSON object"),
        ("[{}]", ReasonCode::InvalidJson, "", "tributary produce"),
        ("{\"a\":", ReasonCode::InvalidJson, "", "line 1"),
        ("{\"a\":1}", ReasonCode::UnknownType, "", "platform"),
        ("2026-11-21 05:51:57.302 UTC,a,b", ReasonCode::InvalidJson, "", "23 columns"),
        (
            r#"{"QUERY_ID":"1","WAREHOUSE_NAME":"w","statement_id":"2","statement_text":"x"}"#,
            ReasonCode::InvalidField,
            "",
            "snowflake or databricks",
        ),
        (
            r#"{"platform":"redshift","record":{"error_severity":"LOG","message":"x"}}"#,
            ReasonCode::InvalidField,
            "/record",
            "shape of postgres",
        ),
        (r#"{"platform":"snowflake","record":"text"}"#, ReasonCode::InvalidField, "/record", "csvlog"),
        (r#"{"platform":"snowflake","record":[1]}"#, ReasonCode::InvalidJson, "/record", "object"),
        (
            r#"{"QUERY_ID":"1","WAREHOUSE_NAME":"w","Start_Time":"soon"}"#,
            ReasonCode::InvalidField,
            "/Start_Time",
            "no time",
        ),
        (r#"{"eventPayload":{"endTime":"x"}}"#, ReasonCode::InvalidField, "/eventPayload/endTime", "no time"),
        (r#"{"eventPayload":7}"#, ReasonCode::MissingField, "/eventPayload", "eventPayload"),
    ] {
        let fault = fault(value);
        assert_eq!((fault.code, fault.path.as_str()), (code, path), "{value}: {fault}");
        assert!(fault.message.contains(hint), "{value}: {}", fault.message);
    }
    let empty = RawRecord { value: None, ..raw(b"") };
    assert_eq!(decode(&empty, &config()).unwrap_err().code, ReasonCode::EmptyValue);
    assert_eq!(decode(&raw(b"\xff{}"), &config()).unwrap_err().code, ReasonCode::InvalidUtf8);
}

#[test]
fn names_and_values_are_bounded() {
    let row = |id: &str, list: &str| {
        format!(r#"{{"QUERY_ID":"{id}","WAREHOUSE_NAME":"w","START_TIME":0,"DIRECT_OBJECTS_ACCESSED":{list}}}"#)
    };
    assert!(decode(&raw(row(&"x".repeat(2000), "[]").as_bytes()), &config()).is_ok());
    assert_eq!(fault(&row(&"x".repeat(2001), "[]")).code, ReasonCode::LimitExceeded);
    let mut small = config();
    small.json.values = 1000;
    let list = format!("[{}{{}}]", "{},".repeat(1000));
    let record = row("1", &list);
    assert_eq!(decode(&raw(record.as_bytes()), &small).unwrap_err().code, ReasonCode::LimitExceeded);
    // What nobody asks for may be nested as deeply as it likes.
    let deep = row("1", &format!("null,\"x\":{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(decode(&raw(deep.as_bytes()), &config()).is_ok());
    // What is asked for is read to a depth, and is absent beyond it.
    let deep = row("1", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(decode(&raw(deep.as_bytes()), &config()).is_ok());
}

#[test]
fn an_end_before_the_start_is_none() {
    let event = query(
        r#"{"QUERY_ID":"1","WAREHOUSE_NAME":"w","START_TIME":"2026-01-01 00:00:01Z","END_TIME":"2026-01-01 00:00:00Z"}"#,
    );
    assert_eq!((event.end, event.duration_us), (Some(event.start), None));
}

/// Records of each shape, to be broken.
fn seeds() -> Vec<String> {
    let mut seeds: Vec<String> = include_str!("../../../../tests/fixtures/query_logs/postgres_jsonlog.jsonl")
        .lines()
        .step_by(9)
        .map(str::to_owned)
        .collect();
    seeds.extend(
        [
            r#"{"QUERY_ID":"1","QUERY_TEXT":"x","WAREHOUSE_NAME":"w","START_TIME":0,"OBJECTS_MODIFIED":[{"objectName":"A.B","columns":[{"columnName":"c","directSources":[{"objectName":"A.D","columnName":"e"}]}]}]}"#,
            r#"{"protoPayload":{"metadata":{"jobChange":{"job":{"jobName":"projects/p/jobs/j","jobConfig":{"queryConfig":{"query":"x"},"labels":{"a":"b"}},"jobStats":{"startTime":"2026-01-01T00:00:00Z"}}}}}}"#,
            r#"{"project_id":"p","job_id":"j","user_email":"u","creation_time":"2026-01-01 00:00:00 UTC","query":"x","labels":[{"key":"k","value":"v"}],"referenced_tables":[{"project_id":"p","dataset_id":"d","table_id":"t"}]}"#,
            r#"{"eventPayload":{"metadata":{"queryId":"q","query":"x","tables":[{"catalog":"c","schema":"s","table":"t","columns":[{"column":"a"}]}]},"context":{"user":"u"},"ioMetadata":{"inputs":[],"output":{"catalogName":"c","columns":[{"columnName":"a","sourceColumns":[{"catalog":"c"}]}]}},"createTime":0,"endTime":1}}"#,
            r#"{"version":"1.0","timestamp":1,"queryText":"x","edges":[{"sources":[1],"targets":[0],"edgeType":"PROJECTION"}],"vertices":[{"id":0,"vertexType":"COLUMN","vertexId":"a.b.c"},{"id":1,"vertexType":"COLUMN","vertexId":"a.b.d"}]}"#,
            r#"{"platform":"postgres","record":"2026-11-21 05:56:39.006 UTC,u,d,1,h,s.1,3,idle,t,v,0,LOG,00000,\"statement: select \"\"1\"\"\",,,,,,,,,dbt,client backend,,0"}"#,
            r#"{"platform":"oracle","instance":"i","text":"/* {\"app\": \"dbt\"} */ x","start":1,"reads":[{"table":["a"],"columns":["b"]}],"job":{"tool":"t","name":"n"}}"#,
        ]
        .map(str::to_owned),
    );
    seeds
}

proptest! {
    #[test]
    fn broken_records_are_judged(at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:0-9a-z\\\\é*/'-]{0,4}") {
        let seeds = seeds();
        let mut text = at.get(&seeds).clone();
        let (mut from, mut to) = (cut.index(text.len()), to.index(text.len()));
        while !text.is_char_boundary(from) { from -= 1; }
        while !text.is_char_boundary(to) { to -= 1; }
        // Often a small change, sometimes a large one.
        let range = if to % 3 == 0 { from.min(to)..from.max(to) } else { from..from };
        text.replace_range(range, &with);
        let _ = decode(&raw(text.as_bytes()), &config());
        let _ = key(text.as_bytes());
        prop_assert!(Records::new(text.as_bytes()).all(|record| record.is_ok()));
    }

    #[test]
    fn any_value_in_any_field_is_judged(at in any::<prop::sample::Index>(), field in any::<prop::sample::Index>(), value in value()) {
        let seeds = seeds();
        let mut record: Value = serde_json::from_str(at.get::<String>(&seeds)).unwrap();
        let fields = record.as_object_mut().unwrap();
        let names: Vec<String> = fields.keys().cloned().collect();
        fields.insert(field.get(&names).clone(), value);
        let text = record.to_string();
        if let Ok(LogLine::Query(event)) = decode(&raw(text.as_bytes()), &config()) {
            prop_assert!(event.end.is_none_or(|end| end >= event.start || event.status == QueryStatus::Running));
            prop_assert!(event.duration_us.is_none_or(|duration| duration >= 0));
        }
    }

    #[test]
    fn any_text_is_judged(text in "\\PC{0,200}") {
        let _ = decode(&raw(text.as_bytes()), &config());
        prop_assert!(Records::new(text.as_bytes()).all(|record| record.is_ok()));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::from("2026-11-21T06:17:05Z")),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z_]{0,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
