//! What the lineage graph starts from: edges, aliases, dataset states and the positions they belong to, in one snapshot.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::positions::{self, Position};
use super::{Store, StoreError};
use crate::model::fact::Origin;
use crate::model::record::{AliasRecord, ColumnLineageRecord, LineageRecord};

/// A row that the lineage graph is built of. Edges and aliases come with the first 16 bytes of the SHA-256 of their key.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphRow {
    /// Of `catalog.lineage`.
    Lineage([u8; 16], LineageRecord),
    /// Of `catalog.column-lineage`.
    ColumnLineage([u8; 16], ColumnLineageRecord),
    /// Of `catalog.aliases`.
    Alias([u8; 16], AliasRecord),
    /// Of `catalog.datasets`, where it is more to lineage than a name.
    Dataset {
        /// Dataset id.
        id: String,
        /// virtual or ignored.
        existence: String,
    },
}

impl Store {
    /// Hands lineage as the sink `sink` has written it to `visit`, row by row, all of one REPEATABLE READ transaction;
    /// answers the positions it belongs to.
    ///
    /// # Errors
    /// As the database answers; `visit` may then have seen a part.
    pub async fn graph_snapshot(
        &self,
        sink: &str,
        visit: &mut (dyn FnMut(GraphRow) + Send),
    ) -> Result<Vec<Position>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *transaction).await?;
        let positions = positions::read(&mut transaction, sink).await?;
        for (query, read) in QUERIES {
            // Rows are read while the server makes the next ones, and none is kept: memory stays small.
            let mut rows = sqlx::query(query).fetch(&mut *transaction);
            while let Some(row) = rows.try_next().await? {
                visit(read(&row)?);
            }
        }
        transaction.commit().await?;
        Ok(positions)
    }
}

type ReadRow = fn(&PgRow) -> Result<GraphRow, sqlx::Error>;

/// Aliases and dataset states first, so that edges find their ends at once; table edges before the columns' edges, which
/// take their times.
const QUERIES: [(&str, ReadRow); 4] = [
    ("SELECT * FROM aliases", alias),
    ("SELECT id, existence FROM datasets WHERE existence IN ('virtual', 'ignored')", dataset),
    ("SELECT * FROM lineage_edges", lineage),
    ("SELECT * FROM column_lineage_edges", column_lineage),
];

fn micros(row: &PgRow, column: &str) -> Result<i64, sqlx::Error> {
    Ok(row.try_get::<DateTime<Utc>, _>(column)?.timestamp_micros())
}

fn opt_micros(row: &PgRow, column: &str) -> Result<Option<i64>, sqlx::Error> {
    Ok(row.try_get::<Option<DateTime<Utc>>, _>(column)?.map(|time| time.timestamp_micros()))
}

fn origin(row: &PgRow) -> Result<Origin, sqlx::Error> {
    Ok(Origin {
        topic: row.try_get("origin_topic")?,
        partition: row.try_get("origin_partition")?,
        offset: row.try_get("origin_offset")?,
    })
}

fn lineage(row: &PgRow) -> Result<GraphRow, sqlx::Error> {
    let record = LineageRecord {
        job: row.try_get("job_id")?,
        source: row.try_get("source_id")?,
        target: row.try_get("target_id")?,
        kind: row.try_get("kind")?,
        confidence: row.try_get("confidence")?,
        first_seen: micros(row, "first_seen")?,
        last_seen: micros(row, "last_seen")?,
        runs: row.try_get("runs")?,
        stale: row.try_get("stale")?,
        run: row.try_get("run")?,
        origin: origin(row)?,
    };
    Ok(GraphRow::Lineage(row.try_get("key")?, record))
}

fn column_lineage(row: &PgRow) -> Result<GraphRow, sqlx::Error> {
    let record = ColumnLineageRecord {
        job: row.try_get("job_id")?,
        target: row.try_get("target_id")?,
        target_field: row.try_get("target_field")?,
        source: row.try_get("source_id")?,
        source_field: row.try_get("source_field")?,
        transformations: row.try_get::<sqlx::types::Json<Vec<String>>, _>("transformations")?.0,
        description: row.try_get("description")?,
        masking: row.try_get("masking")?,
        confidence: row.try_get("confidence")?,
        unmapped: row.try_get("unmapped")?,
        stale: row.try_get("stale")?,
        first_seen: opt_micros(row, "first_seen")?,
        last_seen: opt_micros(row, "last_seen")?,
        origin: origin(row)?,
    };
    Ok(GraphRow::ColumnLineage(row.try_get("key")?, record))
}

fn alias(row: &PgRow) -> Result<GraphRow, sqlx::Error> {
    let record = AliasRecord {
        alias: row.try_get("alias")?,
        canonical: row.try_get("canonical")?,
        kind: row.try_get("kind")?,
        valid_from: opt_micros(row, "valid_from")?,
        valid_to: opt_micros(row, "valid_to")?,
        reason: row.try_get("reason")?,
        origin: origin(row)?,
    };
    Ok(GraphRow::Alias(row.try_get("key")?, record))
}

fn dataset(row: &PgRow) -> Result<GraphRow, sqlx::Error> {
    Ok(GraphRow::Dataset { id: row.try_get(0)?, existence: row.try_get(1)? })
}
