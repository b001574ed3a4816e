//! Every row of every table as the record it was written from: for comparing the tables with the topics.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row};

use super::datasets::{heads, owners};
use super::rows::{
    AliasRow, ChangeRow, ColumnLineageRow, JobRow, LineageRow, OriginRow, PartitionRow, QualityRow, RunRow,
    SchemaVersionRow, StatsRow, texts,
};
use super::usage::{QueryRow, UsageRow};
use super::{ReadError, Reader, reading};
use crate::model::record::{CatalogRecord, ContainerRecord, FunctionRecord};
use crate::store::Position;
use crate::store::positions;

/// Rows handled at a time: memory stays small whatever the catalog's size.
const FETCH: &str = "FETCH 2000 FROM all_rows";

/// A table without child tables, its key column, and how a row of it becomes a record.
type Plain = (&'static str, &'static str, fn(&PgRow) -> Result<CatalogRecord, sqlx::Error>);

const PLAIN: [Plain; 12] = [
    ("dataset_stats", "id", |row| Ok(CatalogRecord::DatasetStats(Box::new(StatsRow::from_row(row)?.into())))),
    ("partitions", "key", |row| Ok(CatalogRecord::Partition(Box::new(PartitionRow::from_row(row)?.into())))),
    ("functions", "id", |row| Ok(CatalogRecord::Function(Box::new(FunctionRow::from_row(row)?.into())))),
    ("schema_versions", "key", |row| {
        Ok(CatalogRecord::SchemaVersion(Box::new(SchemaVersionRow::from_row(row)?.into())))
    }),
    ("runs", "key", |row| Ok(CatalogRecord::Run(Box::new(RunRow::from_row(row)?.into())))),
    ("lineage_edges", "key", |row| Ok(CatalogRecord::Lineage(Box::new(LineageRow::from_row(row)?.into())))),
    ("column_lineage_edges", "key", |row| {
        Ok(CatalogRecord::ColumnLineage(Box::new(ColumnLineageRow::from_row(row)?.into())))
    }),
    ("aliases", "key", |row| Ok(CatalogRecord::Alias(Box::new(AliasRow::from_row(row)?.into())))),
    ("dataset_quality", "key", |row| Ok(CatalogRecord::Quality(Box::new(QualityRow::from_row(row)?.into())))),
    ("query_logs", "key", |row| Ok(CatalogRecord::Query(Box::new(QueryRow::from_row(row)?.into())))),
    ("dataset_usage_daily", "key", |row| Ok(CatalogRecord::Usage(Box::new(UsageRow::from_row(row)?.into())))),
    ("changes", "id", |row| Ok(CatalogRecord::Change(Box::new(ChangeRow::from_row(row)?.into())))),
];

#[derive(FromRow)]
struct ContainerRow {
    id: String,
    platform: String,
    name: String,
    existence: String,
    description: Option<String>,
    location: Option<String>,
    properties: Json<BTreeMap<String, String>>,
    native: Json<BTreeMap<String, Value>>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

#[derive(FromRow)]
struct FunctionRow {
    id: String,
    name: String,
    existence: String,
    native: Json<BTreeMap<String, Value>>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<FunctionRow> for FunctionRecord {
    fn from(row: FunctionRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            existence: row.existence,
            native: texts(row.native),
            origin: row.origin.into(),
        }
    }
}

impl Reader {
    /// Hands every row of every table to `visit` as its record, all of one moment, with its key: the Kafka key where the
    /// table has it, else the hexadecimal hash of it that the table has instead. Answers where the sink `sink` stood at
    /// that moment.
    ///
    /// # Errors
    /// As the database answers; `visit` may then have seen a part.
    pub async fn each_record(
        &self,
        sink: &str,
        visit: &mut (dyn FnMut(String, CatalogRecord) + Send),
    ) -> Result<Vec<Position>, ReadError> {
        let mut snapshot = self.snapshot().await?;
        let connection: &mut PgConnection = &mut snapshot;
        let positions = positions::read(connection, sink).await.map_err(|error| match error {
            crate::store::StoreError::Database(source) => reading("positions")(source),
            other => reading("positions")(sqlx::Error::Protocol(other.to_string())),
        })?;
        for ids in ids(connection, "datasets").await?.chunks(1_000) {
            for record in heads(connection, ids).await? {
                visit(record.id.clone(), CatalogRecord::Dataset(Box::new(record)));
            }
        }
        for ids in ids(connection, "containers").await?.chunks(1_000) {
            containers(connection, ids, visit).await?;
        }
        for ids in ids(connection, "jobs").await?.chunks(1_000) {
            jobs(connection, ids, visit).await?;
        }
        for (table, key, record) in PLAIN {
            let declare = format!("DECLARE all_rows NO SCROLL CURSOR FOR SELECT * FROM {table}");
            sqlx::query(AssertSqlSafe(declare)).execute(&mut *connection).await.map_err(reading(table))?;
            loop {
                // Not prepared: a statement's plan would outlive its cursor.
                let rows = sqlx::query(FETCH).persistent(false).fetch_all(&mut *connection).await;
                let rows = rows.map_err(reading(table))?;
                if rows.is_empty() {
                    break;
                }
                for row in &rows {
                    visit(key_of(row, key).map_err(reading(table))?, record(row).map_err(reading(table))?);
                }
            }
            sqlx::query("CLOSE all_rows").execute(&mut *connection).await.map_err(reading(table))?;
        }
        Ok(positions)
    }
}

fn key_of(row: &PgRow, column: &str) -> Result<String, sqlx::Error> {
    if column == "id" {
        return row.try_get(column);
    }
    Ok(row.try_get::<Vec<u8>, _>(column)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn ids(connection: &mut PgConnection, table: &'static str) -> Result<Vec<String>, ReadError> {
    let sql = format!("SELECT id FROM {table} ORDER BY id");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(reading(table))
}

async fn containers(
    connection: &mut PgConnection,
    ids: &[String],
    visit: &mut (dyn FnMut(String, CatalogRecord) + Send),
) -> Result<(), ReadError> {
    let mut owners = owners(connection, "container", ids).await?;
    let rows: Vec<ContainerRow> = sqlx::query_as("SELECT * FROM containers WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(&mut *connection)
        .await
        .map_err(reading("containers"))?;
    for row in rows {
        let record = ContainerRecord {
            owners: owners.remove(&row.id).unwrap_or_default(),
            platform: row.platform,
            name: row.name,
            existence: row.existence,
            description: row.description,
            location: row.location,
            properties: row.properties.0,
            native: texts(row.native),
            origin: row.origin.into(),
            id: row.id,
        };
        visit(record.id.clone(), CatalogRecord::Container(Box::new(record)));
    }
    Ok(())
}

async fn jobs(
    connection: &mut PgConnection,
    ids: &[String],
    visit: &mut (dyn FnMut(String, CatalogRecord) + Send),
) -> Result<(), ReadError> {
    let mut owners = owners(connection, "job", ids).await?;
    let rows: Vec<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(&mut *connection)
        .await
        .map_err(reading("jobs"))?;
    for row in rows {
        let owners = owners.remove(&row.id).unwrap_or_default();
        let record = row.record(owners);
        visit(record.id.clone(), CatalogRecord::Job(Box::new(record)));
    }
    Ok(())
}
