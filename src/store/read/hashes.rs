//! What the tables hold, row by row, for comparing them with the topics they are views of.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row};

use super::{ReadError, Reader, reading};
use crate::codec::avro::{EncodeError, encode_record};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::store::{content_hash, text};

/// Table and key column of a topic.
fn table_of(topic: CatalogTopic) -> (&'static str, &'static str) {
    match topic {
        CatalogTopic::Datasets => ("datasets", "id"),
        CatalogTopic::DatasetStats => ("dataset_stats", "id"),
        CatalogTopic::Containers => ("containers", "id"),
        CatalogTopic::Partitions => ("partitions", "key"),
        CatalogTopic::Functions => ("functions", "id"),
        CatalogTopic::Schemas => ("schema_versions", "key"),
        CatalogTopic::Jobs => ("jobs", "id"),
        CatalogTopic::Runs => ("runs", "key"),
        CatalogTopic::Lineage => ("lineage_edges", "key"),
        CatalogTopic::ColumnLineage => ("column_lineage_edges", "key"),
        CatalogTopic::Aliases => ("aliases", "key"),
        CatalogTopic::Quality => ("dataset_quality", "key"),
        CatalogTopic::Queries => ("query_logs", "key"),
        CatalogTopic::Usage => ("dataset_usage_daily", "key"),
        CatalogTopic::Changes => ("changes", "id"),
    }
}

/// The row that a record of `topic` under Kafka key `key` has, whatever its value; for a change see [`row_of`].
pub fn row_key(topic: CatalogTopic, key: &str) -> String {
    match table_of(topic) {
        (_, "id") => key.to_owned(),
        _ => hex(&text::hash(key.as_bytes())),
    }
}

/// The row that `record` becomes: its key and its hash, as [`Reader::row_hashes`] tells them.
///
/// # Errors
/// If the record does not fit its own schema.
pub fn row_of(key: &str, record: &CatalogRecord) -> Result<(String, String), EncodeError> {
    let row = match record {
        // Changes share their entity's key and are rows of their own.
        CatalogRecord::Change(change) => change.id.clone(),
        _ => row_key(record.topic(), key),
    };
    Ok((row, hex(&content_hash(&encode_record(record, 0)?))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Reader {
    /// The rows of a topic's table: the hash of the record that each was written from, by key.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn row_hashes(&self, topic: CatalogTopic) -> Result<BTreeMap<String, String>, ReadError> {
        let (table, key) = table_of(topic);
        let key = if key == "id" { key.to_owned() } else { format!("encode({key}, 'hex')") };
        let sql = format!("SELECT {key}, encode(row_hash, 'hex') FROM {table}");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await.map_err(reading(table))?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, _>>().map_err(reading(table))
    }

    /// Records that sinks have put aside.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn rejects(&self) -> Result<i64, ReadError> {
        let row = sqlx::query("SELECT count(*) FROM sink_rejects").fetch_one(&self.pool).await;
        row.and_then(|row| row.try_get(0)).map_err(reading("sink_rejects"))
    }
}
