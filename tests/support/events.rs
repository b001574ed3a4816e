//! Real events, multiplied: the recorded metastore and Spark run as if several of them existed side by side.

use std::io::Read;

use flate2::read::GzDecoder;

/// A raw record to produce.
#[derive(Clone, Debug)]
pub struct Event {
    pub topic: &'static str,
    pub key: Option<String>,
    pub value: String,
}

const HMS: &[u8] = include_bytes!("../../demo/hms-notifications.jsonl.gz");
const OPENLINEAGE: &[u8] = include_bytes!("../../demo/openlineage-events.jsonl.gz");

fn lines(gzipped: &[u8]) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(gzipped).read_to_string(&mut text).expect("the bundled events are gzipped text");
    text.lines().map(str::to_owned).collect()
}

/// The recorded run as the `copy`-th site: another metastore, another lake, other run ids. Copy 0 is the recording itself.
pub fn site(copy: usize) -> Vec<Event> {
    let localise = |line: String| {
        if copy == 0 {
            return line;
        }
        line.replace("hms-1.lake", &format!("hms-1.lake{copy}"))
            .replace("viewfs://lake", &format!("viewfs://lake{copy}"))
            .replace("etl-shop", &format!("etl-shop-{copy}"))
            .replace("01a1fcc", &format!("01a1f{copy:02}"))
            .replace("127.0.0.1", &format!("127.0.{copy}.1"))
    };
    let hms = lines(HMS).into_iter().map(|line| {
        let envelope: serde_json::Value = serde_json::from_str(&line).expect("a recorded notification is JSON");
        let name = |field: &str| envelope[field].as_str().unwrap_or_default().to_owned();
        let key = format!("{}.{}", name("dbName"), name("tableName"));
        Event { topic: "hms.notifications", key: Some(key), value: localise(line) }
    });
    let openlineage = lines(OPENLINEAGE).into_iter().map(|line| {
        let value = localise(line);
        let event: serde_json::Value = serde_json::from_str(&value).expect("a recorded run event is JSON");
        let root = &event["run"]["facets"]["parent"]["root"]["job"];
        let job = if root.is_object() { root } else { &event["job"] };
        let text = |field: &str| job[field].as_str().unwrap_or_default();
        let key = format!("run:{}/{}", text("namespace"), text("name"));
        Event { topic: "openlineage.events", key: Some(key), value }
    });
    hms.chain(openlineage).collect()
}

/// Records that can never succeed, one of each kind, for both raw topics.
pub fn poison() -> Vec<Event> {
    let of = |topic, value: &str| Event { topic, key: Some("poison".to_owned()), value: value.to_owned() };
    vec![
        of("hms.notifications", "not json"),
        of(
            "hms.notifications",
            r#"{"eventId":1,"eventTime":1,"eventType":"CREATE_TABLE","message":"{","messageFormat":"json-0.2"}"#,
        ),
        of("openlineage.events", r#"{"eventType":"COMPLETE"}"#),
        of(
            "openlineage.events",
            r#"{"eventTime":"2026-01-01T00:00:00Z","eventType":"COMPLETE","producer":"https://x","schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent","run":{"runId":"not-a-uuid"},"job":{"namespace":"n","name":"j"}}"#,
        ),
    ]
}
