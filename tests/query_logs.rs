//! Query logs over real Kafka: every query is counted once, whatever is killed and however often its log is sent again.
//!
//! The log is that of a real Postgres: 2,520 lines of 238 sessions, of dbt, Airflow, Trino and people.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::Value;
use tributary::codec::avro::Decoder;
use tributary::kafka::{Isolation, LogReader};
use tributary::model::record::{CatalogRecord, CatalogTopic};
use tributary::sql::log;
use tributary::topology::schemas::RegistrySchemas;
use tributary::topology::snapshot;

use crate::support::events::Event;
use crate::support::site::Site;

const DAY: &[u8] = include_bytes!("fixtures/query_logs/postgres_day.jsonl.gz");
const DB: (&str, &str) = ("TRIBUTARY_SOURCES__QUERY_LOGS__POSTGRES__INSTANCE", "postgres://db:5432");
const STAGES: [&str; 4] = ["run", "sql", "fold", "postgres"];

fn lines() -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(DAY).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn events() -> Vec<Event> {
    let key = |line: &String| log::key(line.as_bytes());
    lines().into_iter().map(|line| Event { topic: "warehouse.query-logs", key: key(&line), value: line }).collect()
}

/// How many queries the log tells of, by a reading of its own: each line with a statement is one; an error whose statement
/// was not logged before, because it is none, is one more.
fn queries_told() -> usize {
    let mut count = 0;
    let mut open: BTreeMap<String, String> = BTreeMap::new();
    for line in lines() {
        let line: Value = serde_json::from_str(&line).unwrap();
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let (session, message) = (text("session_id"), text("message"));
        let statement =
            message.split_once(": ").filter(|(head, _)| *head == "statement" || head.starts_with("execute "));
        match (text("error_severity").as_str(), statement) {
            ("LOG", Some((_, statement))) => {
                count += 1;
                open.insert(session, statement.to_owned());
            }
            ("ERROR", _) if open.remove(&session) != Some(text("statement")) => count += 1,
            _ => {}
        }
    }
    count
}

/// What is counted: queries, and by dataset and day who read and wrote.
#[derive(Debug, PartialEq)]
struct Counts {
    queries: usize,
    by_status: BTreeMap<String, usize>,
    /// Queries, failed ones, writes, users.
    usage: BTreeMap<String, (i64, i64, i64, i64)>,
    edges: usize,
}

fn counts(site: &Site) -> Counts {
    let reader = LogReader::new(&site.kafka(), Isolation::Committed).unwrap();
    let decoder = Decoder::new(Arc::new(RegistrySchemas(site.registry())));
    let latest = |topic| snapshot::latest(&reader, &decoder, topic).unwrap();
    let mut by_status: BTreeMap<String, usize> = BTreeMap::new();
    let queries = latest(CatalogTopic::Queries);
    for record in queries.values() {
        let CatalogRecord::Query(query) = record else { panic!("a query is expected") };
        *by_status.entry(query.status.clone()).or_default() += 1;
    }
    let usage = latest(CatalogTopic::Usage);
    let usage = usage.into_iter().map(|(key, record)| match record {
        CatalogRecord::Usage(day) => (key, (day.queries, day.failed, day.writes, day.distinct_users)),
        _ => panic!("usage is expected"),
    });
    Counts { queries: queries.len(), by_status, usage: usage.collect(), edges: latest(CatalogTopic::Lineage).len() }
}

#[test]
fn a_day_of_queries_is_counted_once_through_kills_and_replays() {
    let told = queries_told();
    assert_eq!(told, 857);

    let site = Site::start();
    site.produce(&events());
    let running = site.spawn(&STAGES, &[DB]);
    site.quiet_digest();
    let undisturbed = counts(&site);
    assert_eq!(undisturbed.queries, told);
    assert_eq!(undisturbed.by_status["failed"], 9, "as many errors as the log has");
    assert!(undisturbed.edges > 0 && undisturbed.usage.len() > 10, "{undisturbed:?}");
    assert!(undisturbed.usage.keys().all(|key| !key.contains("__dbt_tmp") && !key.contains("__dbt_backup")));
    assert_eq!(site.committed_records(&["warehouse.query-logs.dlq", "catalog.facts.dlq"]), 0);

    // The day again: nothing changes.
    site.produce(&events());
    site.quiet_digest();
    assert_eq!(counts(&site), undisturbed);
    running.terminate();
    site.assert_tables_equal_topics();

    // The same day, killed on the way.
    drop(site);
    let site = Site::start();
    site.produce(&events());
    for failpoint in ["stage.commit.after=kill@2", "stage.send_offsets.after=kill@3", "stage.apply.after=kill@1200"] {
        let mut killed = site.spawn(&STAGES, &[DB, ("TRIBUTARY_FAILPOINTS", failpoint)]);
        // One whose point is not reached any more is killed all the same.
        killed.wait_end(std::time::Duration::from_secs(20));
    }
    let running = site.spawn(&STAGES, &[DB]);
    site.quiet_digest();
    let disturbed = counts(&site);
    running.terminate();
    assert_eq!(disturbed.queries, told);
    assert_eq!(disturbed.by_status, undisturbed.by_status);
    assert_eq!(disturbed.usage, undisturbed.usage);
}
