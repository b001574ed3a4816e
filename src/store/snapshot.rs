//! What the lineage graph starts from: edges, aliases, dataset states and the positions they belong to, in one snapshot.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::positions::{self, Position};
use super::{Store, StoreError};
use crate::model::edge::{ColumnEdgeRef, OriginRef, TableEdgeRef};
use crate::model::fact::Origin;
use crate::model::record::AliasRecord;

/// A row that the lineage graph is built of. Edges and aliases come with the first 16 bytes of the SHA-256 of their key.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphRow<'a> {
    /// Of `catalog.lineage`.
    Table([u8; 16], TableEdgeRef<'a>),
    /// Of `catalog.column-lineage`; unmapped ones take no part in the graph.
    Column([u8; 16], ColumnEdgeRef<'a>),
    /// Of `catalog.aliases`.
    Alias([u8; 16], AliasRecord),
    /// Of `catalog.datasets`, where it is more to lineage than a name.
    Dataset {
        /// Dataset id.
        id: &'a str,
        /// virtual or ignored.
        existence: &'a str,
    },
}

/// Takes rows as they come.
type Visit<'v> = dyn FnMut(GraphRow<'_>) + Send + 'v;

impl Store {
    /// Hands lineage as the sink `sink` has written it to `visit`, row by row, all of one REPEATABLE READ transaction;
    /// answers the positions it belongs to.
    ///
    /// # Errors
    /// As the database answers; `visit` may then have seen a part.
    pub async fn graph_snapshot(&self, sink: &str, visit: &mut Visit<'_>) -> Result<Vec<Position>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *transaction).await?;
        let positions = positions::read(&mut transaction, sink).await?;
        for (query, read) in QUERIES {
            // Rows are read while the server makes the next ones, and none is kept: memory stays small.
            let mut rows = sqlx::query(query).fetch(&mut *transaction);
            while let Some(row) = rows.try_next().await? {
                read(&row, visit)?;
            }
        }
        transaction.commit().await?;
        Ok(positions)
    }
}

type ReadRow = fn(&PgRow, &mut Visit<'_>) -> Result<(), sqlx::Error>;

/// Aliases and dataset states first, so that edges find their ends at once; table edges before the columns' edges, which
/// take their times. Columns are read by their place and texts borrowed: a start waits for a million rows.
const QUERIES: [(&str, ReadRow); 4] = [
    (
        "SELECT key, alias, canonical, kind, valid_from, valid_to, reason, origin_topic, origin_partition, origin_offset \
         FROM aliases",
        alias,
    ),
    ("SELECT id, existence FROM datasets WHERE existence IN ('virtual', 'ignored')", dataset),
    (
        "SELECT key, job_id, source_id, target_id, kind, confidence, stale, last_seen, \
         origin_topic, origin_partition, origin_offset FROM lineage_edges",
        table_edge,
    ),
    (
        "SELECT key, job_id, target_id, target_field, source_id, source_field, transformations, description, masking, \
         confidence, stale, last_seen, origin_topic, origin_partition, origin_offset \
         FROM column_lineage_edges WHERE NOT unmapped",
        column_edge,
    ),
];

fn micros(row: &PgRow, column: usize) -> Result<Option<i64>, sqlx::Error> {
    Ok(row.try_get::<Option<DateTime<Utc>>, _>(column)?.map(|time| time.timestamp_micros()))
}

/// Topic, partition and offset, which stand side by side.
fn origin(row: &PgRow, first: usize) -> Result<OriginRef<'_>, sqlx::Error> {
    Ok(OriginRef { topic: row.try_get(first)?, partition: row.try_get(first + 1)?, offset: row.try_get(first + 2)? })
}

fn table_edge(row: &PgRow, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    let edge = TableEdgeRef {
        job: row.try_get(1)?,
        source: row.try_get(2)?,
        target: row.try_get(3)?,
        kind: row.try_get(4)?,
        confidence: row.try_get(5)?,
        stale: row.try_get(6)?,
        last_seen: row.try_get::<DateTime<Utc>, _>(7)?.timestamp_micros(),
        origin: origin(row, 8)?,
    };
    visit(GraphRow::Table(row.try_get(0)?, edge));
    Ok(())
}

fn column_edge(row: &PgRow, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    let Json(transformations) = row.try_get::<Json<Vec<String>>, _>(6)?;
    let edge = ColumnEdgeRef {
        job: row.try_get(1)?,
        target: row.try_get(2)?,
        target_field: row.try_get(3)?,
        source: row.try_get(4)?,
        source_field: row.try_get(5)?,
        transformations: &transformations,
        description: row.try_get(7)?,
        masking: row.try_get(8)?,
        confidence: row.try_get(9)?,
        stale: row.try_get(10)?,
        last_seen: micros(row, 11)?,
        origin: origin(row, 12)?,
    };
    visit(GraphRow::Column(row.try_get(0)?, edge));
    Ok(())
}

fn alias(row: &PgRow, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    let origin = origin(row, 7)?;
    let record = AliasRecord {
        alias: row.try_get(1)?,
        canonical: row.try_get(2)?,
        kind: row.try_get(3)?,
        valid_from: micros(row, 4)?,
        valid_to: micros(row, 5)?,
        reason: row.try_get(6)?,
        origin: Origin { topic: origin.topic.to_owned(), partition: origin.partition, offset: origin.offset },
    };
    visit(GraphRow::Alias(row.try_get(0)?, record));
    Ok(())
}

fn dataset(row: &PgRow, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    visit(GraphRow::Dataset { id: row.try_get(0)?, existence: row.try_get(1)? });
    Ok(())
}
