//! Datasets with all that belongs to them, schema versions, aliases and unresolved names.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::rows::{
    AliasRow, ColumnRow, DatasetRow, OwnerRow, PartitionRow, QualityRow, SchemaVersionRow, StatsRow, TagRow,
};
use super::{ReadError, Reader, reading};
use crate::model::fact::{Owner, Tag};
use crate::model::record::{
    AliasRecord, ColumnRecord, DatasetRecord, DatasetStatsRecord, PartitionRecord, QualityRecord, SchemaVersionRecord,
};

/// Partitions that a page shows.
const SHOWN_PARTITIONS: i64 = 20;

/// One dataset with everything a page shows, all of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetBundle {
    /// Its head.
    pub dataset: DatasetRecord,
    /// Aliases that lead or led to it.
    pub aliases: Vec<AliasRecord>,
    /// Measures.
    pub stats: Option<DatasetStatsRecord>,
    /// Checks, by name.
    pub quality: Vec<QualityRecord>,
    /// How many partitions it has.
    pub partition_count: i64,
    /// The last of them by name.
    pub partitions: Vec<PartitionRecord>,
    /// Event time of the newest version of the authority's schema.
    pub last_schema_change: Option<i64>,
    /// Whether there is another dataset whose id differs only by case.
    pub has_case_twin: bool,
}

/// A dataset as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetCard {
    /// Id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Platform.
    pub platform: String,
    /// Kind.
    pub kind: String,
    /// Existence.
    pub existence: String,
    /// Container id.
    pub container: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Location.
    pub location: Option<String>,
    /// Last event time, microseconds.
    pub last_seen: i64,
    /// Top-level columns, by place.
    pub columns: Vec<String>,
    /// Owners.
    pub owners: Vec<Owner>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Rows.
    pub rows: Option<i64>,
    /// Bytes.
    pub bytes: Option<i64>,
    /// Files.
    pub files: Option<i64>,
}

/// One page of the names that nobody confirms.
#[derive(Clone, Debug, PartialEq)]
pub struct UnresolvedPage {
    /// How many there are.
    pub total: i64,
    /// By id.
    pub datasets: Vec<DatasetRecord>,
    /// Ids among them from which another one differs only by case.
    pub case_twins: BTreeSet<String>,
}

/// Datasets that are there, or that somebody names, whose ids differ only by case; but not below the prefixes in `$1`.
const CASE_TWINS: &str = "WITH live AS (
        SELECT id, folded_id FROM datasets d WHERE existence IN ('confirmed', 'referenced')
        AND NOT EXISTS (SELECT 1 FROM unnest($1::text[]) AS prefix WHERE starts_with(d.id, prefix))
    ), twins AS (
        SELECT id FROM live WHERE folded_id IN (SELECT folded_id FROM live GROUP BY folded_id HAVING count(*) > 1)
    )";

#[derive(FromRow)]
struct CardRow {
    id: String,
    name: String,
    platform: String,
    kind: String,
    existence: String,
    container_id: Option<String>,
    description: Option<String>,
    location: Option<String>,
    last_seen: DateTime<Utc>,
    row_count: Option<i64>,
    size_bytes: Option<i64>,
    files: Option<i64>,
}

const SELECT_TAGS: &str = "SELECT dataset_id, tag, value, path FROM (
        SELECT dataset_id, 0 AS part, ordinal, tag, value, NULL::text AS path FROM dataset_tags WHERE dataset_id = ANY($1)
        UNION ALL
        SELECT dataset_id, 1, ordinal, tag, value, path FROM column_tags WHERE dataset_id = ANY($1)
    ) AS both_kinds ORDER BY dataset_id, part, ordinal";

impl Reader {
    /// The dataset with this id and everything its page shows. Where case counts by configuration, in ids below
    /// `case_counts`, a difference in case is none in question.
    pub async fn dataset(&self, id: &str, case_counts: &[String]) -> Result<Option<DatasetBundle>, ReadError> {
        let mut snapshot = self.snapshot().await?;
        let connection: &mut PgConnection = &mut snapshot;
        let mut found = heads(connection, &[id.to_owned()]).await?;
        let Some(dataset) = found.pop() else {
            return Ok(None);
        };
        let aliases = aliases(connection, &[id.to_owned()]).await?;
        let stats: Option<StatsRow> = sqlx::query_as("SELECT * FROM dataset_stats WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(reading("dataset statistics"))?;
        let quality: Vec<QualityRow> =
            sqlx::query_as("SELECT * FROM dataset_quality WHERE dataset_id = $1 ORDER BY check_name")
                .bind(id)
                .fetch_all(&mut *connection)
                .await
                .map_err(reading("quality checks"))?;
        let partition_count: i64 = sqlx::query_scalar("SELECT count(*) FROM partitions WHERE dataset_id = $1")
            .bind(id)
            .fetch_one(&mut *connection)
            .await
            .map_err(reading("partitions"))?;
        let partitions: Vec<PartitionRow> =
            sqlx::query_as("SELECT * FROM partitions WHERE dataset_id = $1 ORDER BY name DESC LIMIT $2")
                .bind(id)
                .bind(SHOWN_PARTITIONS)
                .fetch_all(&mut *connection)
                .await
                .map_err(reading("partitions"))?;
        let last_schema_change: Option<DateTime<Utc>> = sqlx::query_scalar(
            "SELECT \"time\" FROM schema_versions WHERE dataset_id = $1 AND source = $2 ORDER BY version DESC LIMIT 1",
        )
        .bind(id)
        .bind(&dataset.authority)
        .fetch_optional(&mut *connection)
        .await
        .map_err(reading("schema versions"))?;
        let has_case_twin: bool = sqlx::query_scalar(
            "SELECT EXISTS (
                 SELECT 1 FROM datasets d JOIN datasets o ON o.folded_id = d.folded_id AND o.id <> d.id
                 WHERE d.id = $1 AND d.existence IN ('confirmed', 'referenced')
                   AND o.existence IN ('confirmed', 'referenced')
                   AND NOT EXISTS (SELECT 1 FROM unnest($2::text[]) AS prefix WHERE starts_with(d.id, prefix)))",
        )
        .bind(id)
        .bind(case_counts)
        .fetch_one(&mut *connection)
        .await
        .map_err(reading("datasets"))?;
        Ok(Some(DatasetBundle {
            has_case_twin,
            dataset,
            aliases,
            stats: stats.map(Into::into),
            quality: quality.into_iter().map(Into::into).collect(),
            partition_count,
            partitions: partitions.into_iter().map(Into::into).collect(),
            last_schema_change: last_schema_change.map(|time| time.timestamp_micros()),
        }))
    }

    /// The heads with these ids, by id; without what other tables hold but columns, owners and tags.
    pub async fn datasets(&self, ids: &[String]) -> Result<Vec<DatasetRecord>, ReadError> {
        heads(&mut *self.snapshot().await?, ids).await
    }

    /// Which of `ids` are datasets.
    pub async fn existing(&self, ids: &[String]) -> Result<Vec<String>, ReadError> {
        sqlx::query_scalar("SELECT id FROM datasets WHERE id = ANY($1) ORDER BY id")
            .bind(ids)
            .fetch_all(&self.pool)
            .await
            .map_err(reading("datasets"))
    }

    /// Aliases whose other name is one of `names`.
    pub async fn aliases_named(&self, names: &[String]) -> Result<Vec<AliasRecord>, ReadError> {
        aliases_named(&mut *self.connection().await?, names).await
    }

    /// Datasets whose last segment is one of `segments` (lower case), confirmed ones first, at most `limit`.
    pub async fn ids_by_last_segment(&self, segments: &[String], limit: i64) -> Result<Vec<String>, ReadError> {
        sqlx::query_scalar(
            "SELECT id FROM datasets WHERE lower(substring(id FROM '[^/]*$')) = ANY($1)
             ORDER BY existence <> 'confirmed', id LIMIT $2",
        )
        .bind(segments)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("datasets"))
    }

    /// (id, name, platform, kind, existence) of the datasets with these ids.
    pub async fn names(&self, ids: &[String]) -> Result<Vec<[String; 5]>, ReadError> {
        let rows: Vec<(String, String, String, String, String)> =
            sqlx::query_as("SELECT id, name, platform, kind, existence FROM datasets WHERE id = ANY($1)")
                .bind(ids)
                .fetch_all(&self.pool)
                .await
                .map_err(reading("datasets"))?;
        Ok(rows
            .into_iter()
            .map(|(id, name, platform, kind, existence)| [id, name, platform, kind, existence])
            .collect())
    }

    /// What lists show of the datasets with these ids, by id.
    pub async fn cards(&self, ids: &[String]) -> Result<Vec<DatasetCard>, ReadError> {
        let mut snapshot = self.snapshot().await?;
        let connection: &mut PgConnection = &mut snapshot;
        let rows: Vec<CardRow> = sqlx::query_as(
            "SELECT d.id, d.name, d.platform, d.kind, d.existence, d.container_id, d.description, d.location, d.last_seen,
                    s.row_count, s.size_bytes, s.files
             FROM datasets d LEFT JOIN dataset_stats s ON s.id = d.id WHERE d.id = ANY($1) ORDER BY d.id",
        )
        .bind(ids)
        .fetch_all(&mut *connection)
        .await
        .map_err(reading("datasets"))?;
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT dataset_id, name FROM columns WHERE dataset_id = ANY($1) AND depth = 0 ORDER BY dataset_id, ordinal",
        )
        .bind(ids)
        .fetch_all(&mut *connection)
        .await
        .map_err(reading("columns"))?;
        let mut columns = grouped(columns.into_iter());
        let mut owners = owners(connection, "dataset", ids).await?;
        let mut tags = tags(connection, ids).await?;
        let cards = rows.into_iter().map(|row| DatasetCard {
            columns: columns.remove(&row.id).unwrap_or_default(),
            owners: owners.remove(&row.id).unwrap_or_default(),
            tags: tags.remove(&row.id).unwrap_or_default(),
            id: row.id,
            name: row.name,
            platform: row.platform,
            kind: row.kind,
            existence: row.existence,
            container: row.container_id,
            description: row.description,
            location: row.location,
            last_seen: row.last_seen.timestamp_micros(),
            rows: row.row_count,
            bytes: row.size_bytes,
            files: row.files,
        });
        Ok(cards.collect())
    }

    /// All schema versions of a dataset, by source and place in it.
    pub async fn schema_versions(&self, dataset: &str) -> Result<Vec<SchemaVersionRecord>, ReadError> {
        let rows: Vec<SchemaVersionRow> =
            sqlx::query_as("SELECT * FROM schema_versions WHERE dataset_id = $1 ORDER BY source, version")
                .bind(dataset)
                .fetch_all(&self.pool)
                .await
                .map_err(reading("schema versions"))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Datasets that are only mentioned, have issues, or differ from another one only by case (but not in ids below
    /// `case_counts`), by id.
    pub async fn unresolved(
        &self,
        case_counts: &[String],
        limit: i64,
        offset: i64,
    ) -> Result<UnresolvedPage, ReadError> {
        const LISTED: &str = "FROM datasets WHERE existence = 'referenced'
             OR (issues <> '[]'::jsonb AND existence <> 'ignored') OR id IN (SELECT id FROM twins)";
        let mut snapshot = self.snapshot().await?;
        let connection: &mut PgConnection = &mut snapshot;
        let count = format!("{CASE_TWINS} SELECT count(*) {LISTED}");
        let total: i64 = sqlx::query_scalar(AssertSqlSafe(count))
            .bind(case_counts)
            .fetch_one(&mut *connection)
            .await
            .map_err(reading("unresolved names"))?;
        let list =
            format!("{CASE_TWINS} SELECT id, id IN (SELECT id FROM twins) {LISTED} ORDER BY id LIMIT $2 OFFSET $3");
        let rows: Vec<(String, bool)> = sqlx::query_as(AssertSqlSafe(list))
            .bind(case_counts)
            .bind(limit)
            .bind(offset)
            .fetch_all(&mut *connection)
            .await
            .map_err(reading("unresolved names"))?;
        let ids: Vec<String> = rows.iter().map(|(id, _)| id.clone()).collect();
        let case_twins = rows.into_iter().filter(|(_, twin)| *twin).map(|(id, _)| id).collect();
        Ok(UnresolvedPage { total, datasets: heads(connection, &ids).await?, case_twins })
    }
}

pub(super) async fn heads(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<DatasetRecord>, ReadError> {
    let rows: Vec<DatasetRow> = sqlx::query_as("SELECT * FROM datasets WHERE id = ANY($1) ORDER BY id")
        .bind(ids)
        .fetch_all(&mut *connection)
        .await
        .map_err(reading("datasets"))?;
    let columns: Vec<ColumnRow> =
        sqlx::query_as("SELECT * FROM columns WHERE dataset_id = ANY($1) ORDER BY dataset_id, ordinal")
            .bind(ids)
            .fetch_all(&mut *connection)
            .await
            .map_err(reading("columns"))?;
    let mut columns: BTreeMap<String, Vec<ColumnRecord>> =
        grouped(columns.into_iter().map(|row| (row.dataset_id.clone(), row.into())));
    let mut owners = owners(connection, "dataset", ids).await?;
    let mut tags = tags(connection, ids).await?;
    let records = rows.into_iter().map(|row| {
        let id = row.id().to_owned();
        row.record(
            columns.remove(&id).unwrap_or_default(),
            owners.remove(&id).unwrap_or_default(),
            tags.remove(&id).unwrap_or_default(),
        )
    });
    Ok(records.collect())
}

pub(super) async fn owners(
    connection: &mut PgConnection,
    kind: &str,
    ids: &[String],
) -> Result<BTreeMap<String, Vec<Owner>>, ReadError> {
    let rows: Vec<OwnerRow> = sqlx::query_as(
        "SELECT entity_id, name, role FROM owners WHERE entity_kind = $1 AND entity_id = ANY($2) ORDER BY entity_id, ordinal",
    )
    .bind(kind)
    .bind(ids)
    .fetch_all(connection)
    .await
    .map_err(reading("owners"))?;
    Ok(grouped(rows.into_iter().map(|row| (row.entity_id.clone(), row.into()))))
}

async fn tags(connection: &mut PgConnection, ids: &[String]) -> Result<BTreeMap<String, Vec<Tag>>, ReadError> {
    let rows: Vec<TagRow> =
        sqlx::query_as(SELECT_TAGS).bind(ids).fetch_all(connection).await.map_err(reading("tags"))?;
    Ok(grouped(rows.into_iter().map(|row| (row.dataset_id.clone(), row.into()))))
}

async fn aliases(connection: &mut PgConnection, canonical: &[String]) -> Result<Vec<AliasRecord>, ReadError> {
    let rows: Vec<AliasRow> =
        sqlx::query_as("SELECT * FROM aliases WHERE canonical = ANY($1) ORDER BY alias, valid_from NULLS FIRST")
            .bind(canonical)
            .fetch_all(connection)
            .await
            .map_err(reading("aliases"))?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn aliases_named(
    connection: &mut PgConnection,
    names: &[String],
) -> Result<Vec<AliasRecord>, ReadError> {
    let rows: Vec<AliasRow> =
        sqlx::query_as("SELECT * FROM aliases WHERE alias = ANY($1) ORDER BY alias, valid_from NULLS FIRST, canonical")
            .bind(names)
            .fetch_all(connection)
            .await
            .map_err(reading("aliases"))?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Values by key, in their order.
pub(super) fn grouped<T>(pairs: impl Iterator<Item = (String, T)>) -> BTreeMap<String, Vec<T>> {
    let mut groups: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}
