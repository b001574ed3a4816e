//! Queries and, as rows of their own, the datasets they used: a dataset is asked for its newest queries.

use std::collections::{BTreeSet, HashMap};

use sqlx::{PgConnection, Row};

use super::Prepared;
use super::rows::{OnConflict, Rows};
use super::tables::RowWriter;
use crate::model::record::CatalogRecord;
use crate::store::text::Cleaner;

/// By the index of the rows, which begins with the dataset: an index of the queries' keys would cost each query more
/// than finding these rows costs the few that go.
const UNLINK: &str = "DELETE FROM query_datasets d
    USING (SELECT key, ended_at, jsonb_array_elements_text(reads || writes) AS dataset_id
           FROM query_logs WHERE key = ANY($1)) q
    WHERE d.dataset_id = q.dataset_id AND d.ended_at = q.ended_at AND d.query_key = q.key";

/// Writes the rows of queries; answers how many changed.
pub(super) async fn write(
    connection: &mut PgConnection,
    part: &[Prepared<'_>],
    cleaner: &mut Cleaner,
) -> Result<u64, sqlx::Error> {
    let keys: Vec<[u8; 16]> = part.iter().filter(|p| p.write.value.is_some()).map(|p| p.key_hash).collect();
    let select = "SELECT key, row_hash FROM query_logs WHERE key = ANY($1)";
    let mut stored: HashMap<[u8; 16], [u8; 16]> = HashMap::new();
    for row in sqlx::query(select).bind(&keys).fetch_all(&mut *connection).await? {
        stored.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let mut rows = Rows::new("query_logs", "key", OnConflict::ReplaceIfChanged);
    let mut datasets = Rows::new("query_datasets", "", OnConflict::Fail);
    let mut replaced = Vec::new();
    for p in part {
        let Some(CatalogRecord::Query(record)) = &p.write.value else { continue };
        match stored.get(&p.key_hash) {
            Some(hash) if *hash == p.row_hash => continue,
            Some(_) => replaced.push(p.key_hash),
            None => {}
        }
        RowWriter { rows: &mut rows, cleaner }.query(p.key_hash, record, p.row_hash);
        let used: BTreeSet<&str> = record.reads.iter().chain(&record.writes).map(String::as_str).collect();
        for dataset in used {
            RowWriter { rows: &mut datasets, cleaner }.query_dataset(p.key_hash, record, dataset);
        }
    }
    if !replaced.is_empty() {
        sqlx::query(UNLINK).bind(&replaced).execute(&mut *connection).await?;
    }
    let changed = rows.write(connection).await?;
    datasets.write(connection).await?;
    Ok(changed)
}

/// Deletes queries.
pub(super) async fn delete(connection: &mut PgConnection, gone: &[&Prepared<'_>]) -> Result<(), sqlx::Error> {
    let keys: Vec<[u8; 16]> = gone.iter().map(|p| p.key_hash).collect();
    for sql in [UNLINK, "DELETE FROM query_logs WHERE key = ANY($1)"] {
        sqlx::query(sql).bind(&keys).execute(&mut *connection).await?;
    }
    Ok(())
}
