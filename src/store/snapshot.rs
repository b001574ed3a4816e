//! What the lineage graph starts from: edges, aliases, dataset states and the positions they belong to, in one snapshot.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::positions::{self, Position};
use super::{Store, StoreError};
use crate::model::fact::Origin;
use crate::model::record::{AliasRecord, ColumnLineageRecord, LineageRecord};

/// What the graph needs to know of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// Dataset id.
    pub id: String,
    /// confirmed, dropped, referenced, virtual, ignored.
    pub existence: String,
}

/// A consistent state of lineage. Each row comes with the hash of its Kafka key (see [`crate::graph::EdgeKey`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphSnapshot {
    /// Where the `postgres` sink stood in each partition.
    pub positions: Vec<Position>,
    /// `catalog.lineage`.
    pub lineage: Vec<([u8; 16], LineageRecord)>,
    /// `catalog.column-lineage`.
    pub column_lineage: Vec<([u8; 16], ColumnLineageRecord)>,
    /// `catalog.aliases`.
    pub aliases: Vec<([u8; 16], AliasRecord)>,
    /// Existence of each dataset.
    pub datasets: Vec<NodeState>,
}

impl Store {
    /// Reads lineage as the sink `sink` has written it, in one REPEATABLE READ transaction.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn graph_snapshot(&self, sink: &str) -> Result<GraphSnapshot, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *transaction).await?;
        let snapshot = GraphSnapshot {
            positions: positions::read(&mut transaction, sink).await?,
            lineage: lineage(&mut transaction).await?,
            column_lineage: column_lineage(&mut transaction).await?,
            aliases: aliases(&mut transaction).await?,
            datasets: datasets(&mut transaction).await?,
        };
        transaction.commit().await?;
        Ok(snapshot)
    }
}

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

async fn lineage(connection: &mut PgConnection) -> Result<Vec<([u8; 16], LineageRecord)>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM lineage_edges").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
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
            Ok((row.try_get("key")?, record))
        })
        .collect()
}

async fn column_lineage(connection: &mut PgConnection) -> Result<Vec<([u8; 16], ColumnLineageRecord)>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM column_lineage_edges").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
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
                origin: origin(row)?,
            };
            Ok((row.try_get("key")?, record))
        })
        .collect()
}

async fn aliases(connection: &mut PgConnection) -> Result<Vec<([u8; 16], AliasRecord)>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM aliases").fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let record = AliasRecord {
                alias: row.try_get("alias")?,
                canonical: row.try_get("canonical")?,
                kind: row.try_get("kind")?,
                valid_from: opt_micros(row, "valid_from")?,
                valid_to: opt_micros(row, "valid_to")?,
                reason: row.try_get("reason")?,
                origin: origin(row)?,
            };
            Ok((row.try_get("key")?, record))
        })
        .collect()
}

async fn datasets(connection: &mut PgConnection) -> Result<Vec<NodeState>, sqlx::Error> {
    let rows = sqlx::query("SELECT id, existence FROM datasets").fetch_all(connection).await?;
    rows.iter().map(|row| Ok(NodeState { id: row.try_get(0)?, existence: row.try_get(1)? })).collect()
}
