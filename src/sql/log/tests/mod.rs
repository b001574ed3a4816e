//! Expectations are worked out by hand from the records and the vendors' descriptions of the columns.

mod fixtures;
mod hostile;
mod rows;

use serde_json::Value;

use super::*;
use crate::model::fact::Origin;

/// An installation with one instance of each platform that does not name its own.
fn config() -> LogConfig {
    let one = |instance: &str| LogInstances { instance: Some(instance.to_owned()), ..LogInstances::default() };
    let platforms = [
        ("snowflake", one("snowflake://org-account")),
        ("redshift", one("redshift://cluster.eu-west-1:5439")),
        (
            "databricks",
            LogInstances {
                instance: None,
                servers: [("6051".to_owned(), "unitycatalog://adb-6051.example".to_owned())].into(),
            },
        ),
        ("postgres", one("postgres://127.0.0.1:15498")),
        ("hive", one("hive://metastore:9083")),
    ];
    LogConfig {
        platforms: platforms.into_iter().map(|(name, instances)| (name.to_owned(), instances)).collect(),
        ..LogConfig::default()
    }
}

fn raw(value: &[u8]) -> RawRecord<'_> {
    let origin = Origin { topic: "warehouse.query-logs".to_owned(), partition: 0, offset: 0 };
    // 2026-11-21T06:17:05Z
    RawRecord { origin, timestamp_ms: Some(1_795_241_825_000), key: None, value: Some(value) }
}

fn line(value: &str) -> LogLine<'_> {
    decode(&raw(value.as_bytes()), &config()).unwrap_or_else(|fault| panic!("{fault}\n{value}"))
}

fn fault(value: &str) -> Rejection {
    decode(&raw(value.as_bytes()), &config()).expect_err(value)
}

fn query(value: &str) -> QueryEvent<'_> {
    match line(value) {
        LogLine::Query(event) => *event,
        other => panic!("no query: {other:?}"),
    }
}

/// `db.schema.t(a, b<s.t.x)`: tables with their columns and where these come from.
fn shown(accesses: Option<&Vec<Access>>) -> Option<Vec<String>> {
    let column = |column: &AccessedColumn| {
        let sources = column.sources.iter().map(|source| format!("<{}.{}", source.table, source.column));
        format!("{}{}", column.name, sources.collect::<String>())
    };
    let table = |access: &Access| {
        let columns: Vec<String> = access.columns.iter().map(column).collect();
        if columns.is_empty() { access.table.to_string() } else { format!("{}({})", access.table, columns.join(", ")) }
    };
    accesses.map(|accesses| accesses.iter().map(table).collect())
}

fn reads(event: &QueryEvent<'_>) -> Option<Vec<String>> {
    shown(event.reads.as_ref())
}

fn writes(event: &QueryEvent<'_>) -> Option<Vec<String>> {
    shown(event.writes.as_ref())
}

fn some<const N: usize>(texts: [&str; N]) -> Option<Vec<String>> {
    Some(texts.into_iter().map(str::to_owned).collect())
}

fn job(event: &QueryEvent<'_>) -> Option<String> {
    event.named_job.as_ref().map(|job| format!("{}:{}", job.tool, job.name))
}

fn micros_of(text: &str) -> i64 {
    crate::codec::time::parse_micros(text).unwrap()
}
