//! Rows as the tables have them, and the records they stand for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use crate::model::fact::{Origin, Owner, Tag};
use crate::model::record::{
    AliasRecord, ChangeRecord, ColumnChange, ColumnLineageRecord, ColumnRecord, DatasetRecord, DatasetStatsRecord,
    JobRecord, LineageRecord, PartitionRecord, Provenance, QualityRecord, RunRecord, SchemaVersionRecord,
};

/// Where a row comes from.
#[derive(FromRow)]
pub(super) struct OriginRow {
    origin_topic: String,
    origin_partition: i32,
    origin_offset: i64,
}

impl From<OriginRow> for Origin {
    fn from(row: OriginRow) -> Self {
        Self { topic: row.origin_topic, partition: row.origin_partition, offset: row.origin_offset }
    }
}

pub(super) fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// JSON as text; a JSON string stands for the text in it.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

pub(super) fn texts(map: Json<BTreeMap<String, Value>>) -> BTreeMap<String, String> {
    map.0.into_iter().map(|(key, value)| (key, text(value))).collect()
}

#[derive(FromRow)]
pub(super) struct DatasetRow {
    id: String,
    platform: String,
    name: String,
    container_id: Option<String>,
    kind: String,
    existence: String,
    incarnation: i32,
    names: Json<Vec<String>>,
    aliases: Json<Vec<String>>,
    authority: String,
    schema_version: i32,
    description: Option<String>,
    location: Option<String>,
    format: Option<String>,
    table_format: Option<String>,
    properties: Json<BTreeMap<String, String>>,
    view_original: Option<String>,
    view_expanded: Option<String>,
    constraints: Json<BTreeMap<String, Value>>,
    facets: Json<BTreeMap<String, Value>>,
    native: Json<BTreeMap<String, Value>>,
    issues: Json<Vec<String>>,
    provenance: Json<BTreeMap<String, Provenance>>,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl DatasetRow {
    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The record with what other tables hold of it.
    pub(super) fn record(self, columns: Vec<ColumnRecord>, owners: Vec<Owner>, tags: Vec<Tag>) -> DatasetRecord {
        DatasetRecord {
            id: self.id,
            platform: self.platform,
            name: self.name,
            container: self.container_id,
            kind: self.kind,
            existence: self.existence,
            incarnation: self.incarnation,
            names: self.names.0,
            aliases: self.aliases.0,
            columns,
            authority: self.authority,
            schema_version: self.schema_version,
            description: self.description,
            owners,
            tags,
            location: self.location,
            format: self.format,
            table_format: self.table_format,
            properties: self.properties.0,
            view_original: self.view_original,
            view_expanded: self.view_expanded,
            constraints: texts(self.constraints),
            facets: texts(self.facets),
            native: texts(self.native),
            issues: self.issues.0,
            provenance: self.provenance.0,
            first_seen: micros(self.first_seen),
            last_seen: micros(self.last_seen),
            origin: self.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct ColumnRow {
    pub(super) dataset_id: String,
    ordinal: i32,
    path: String,
    name: String,
    depth: i32,
    data_type: String,
    canonical_type: String,
    description: Option<String>,
    nullable: Option<bool>,
    partition_key: bool,
    conflicts: Json<Vec<String>>,
}

impl From<ColumnRow> for ColumnRecord {
    fn from(row: ColumnRow) -> Self {
        Self {
            path: row.path,
            name: row.name,
            depth: row.depth,
            ordinal: row.ordinal,
            data_type: row.data_type,
            canonical_type: row.canonical_type,
            description: row.description,
            nullable: row.nullable,
            partition_key: row.partition_key,
            conflicts: row.conflicts.0,
        }
    }
}

#[derive(FromRow)]
pub(super) struct OwnerRow {
    pub(super) entity_id: String,
    name: String,
    role: String,
}

impl From<OwnerRow> for Owner {
    fn from(row: OwnerRow) -> Self {
        Self { name: row.name, role: row.role }
    }
}

#[derive(FromRow)]
pub(super) struct TagRow {
    pub(super) dataset_id: String,
    tag: String,
    value: String,
    path: Option<String>,
}

impl From<TagRow> for Tag {
    fn from(row: TagRow) -> Self {
        Self { key: row.tag, value: row.value, field: row.path }
    }
}

#[derive(FromRow)]
pub(super) struct StatsRow {
    id: String,
    row_count: Option<i64>,
    size_bytes: Option<i64>,
    files: Option<i64>,
    last_write: Option<DateTime<Utc>>,
    last_job: Option<String>,
    last_run: Option<String>,
    dataset_version: Option<String>,
    column_stats: Json<BTreeMap<String, Value>>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<StatsRow> for DatasetStatsRecord {
    fn from(row: StatsRow) -> Self {
        Self {
            id: row.id,
            rows: row.row_count,
            bytes: row.size_bytes,
            files: row.files,
            last_write: row.last_write.map(micros),
            last_job: row.last_job,
            last_run: row.last_run,
            dataset_version: row.dataset_version,
            column_stats: texts(row.column_stats),
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct PartitionRow {
    dataset_id: String,
    name: String,
    values: Json<Vec<String>>,
    location: Option<String>,
    properties: Json<BTreeMap<String, String>>,
    native: Json<Value>,
    column_stats: Json<BTreeMap<String, Value>>,
    source: String,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<PartitionRow> for PartitionRecord {
    fn from(row: PartitionRow) -> Self {
        Self {
            dataset: row.dataset_id,
            name: row.name,
            values: row.values.0,
            location: row.location,
            properties: row.properties.0,
            native: text(row.native.0),
            column_stats: texts(row.column_stats),
            source: row.source,
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct SchemaVersionRow {
    dataset_id: String,
    source: String,
    version: String,
    time: DateTime<Utc>,
    columns: Json<Vec<ColumnRecord>>,
    schema_hash: String,
    changes: Json<Vec<ColumnChange>>,
    breaking: bool,
    level: String,
    late: bool,
    incarnation: i32,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<SchemaVersionRow> for SchemaVersionRecord {
    fn from(row: SchemaVersionRow) -> Self {
        Self {
            dataset: row.dataset_id,
            source: row.source,
            version: row.version,
            time: micros(row.time),
            columns: row.columns.0,
            schema_hash: row.schema_hash,
            changes: row.changes.0,
            breaking: row.breaking,
            level: row.level,
            late: row.late,
            incarnation: row.incarnation,
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct QualityRow {
    dataset_id: String,
    check_name: String,
    status: String,
    field: Option<String>,
    value: Json<Value>,
    time: DateTime<Utc>,
    run: String,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<QualityRow> for QualityRecord {
    fn from(row: QualityRow) -> Self {
        Self {
            dataset: row.dataset_id,
            check: row.check_name,
            status: row.status,
            field: row.field,
            value: text(row.value.0),
            time: micros(row.time),
            run: row.run,
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct AliasRow {
    alias: String,
    canonical: String,
    kind: String,
    valid_from: Option<DateTime<Utc>>,
    valid_to: Option<DateTime<Utc>>,
    reason: String,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<AliasRow> for AliasRecord {
    fn from(row: AliasRow) -> Self {
        Self {
            alias: row.alias,
            canonical: row.canonical,
            kind: row.kind,
            valid_from: row.valid_from.map(micros),
            valid_to: row.valid_to.map(micros),
            reason: row.reason,
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct LineageRow {
    job_id: String,
    source_id: String,
    target_id: String,
    kind: String,
    confidence: i32,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    runs: i64,
    stale: bool,
    run: String,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<LineageRow> for LineageRecord {
    fn from(row: LineageRow) -> Self {
        Self {
            job: row.job_id,
            source: row.source_id,
            target: row.target_id,
            kind: row.kind,
            confidence: row.confidence,
            first_seen: micros(row.first_seen),
            last_seen: micros(row.last_seen),
            runs: row.runs,
            stale: row.stale,
            run: row.run,
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct ColumnLineageRow {
    job_id: String,
    target_id: String,
    target_field: String,
    source_id: String,
    source_field: String,
    transformations: Json<Vec<String>>,
    description: String,
    masking: bool,
    confidence: i32,
    unmapped: bool,
    stale: bool,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<ColumnLineageRow> for ColumnLineageRecord {
    fn from(row: ColumnLineageRow) -> Self {
        Self {
            job: row.job_id,
            target: row.target_id,
            target_field: row.target_field,
            source: row.source_id,
            source_field: row.source_field,
            transformations: row.transformations.0,
            description: row.description,
            masking: row.masking,
            confidence: row.confidence,
            unmapped: row.unmapped,
            stale: row.stale,
            first_seen: row.first_seen.map(micros),
            last_seen: row.last_seen.map(micros),
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct JobRow {
    pub(super) id: String,
    namespace: String,
    name: String,
    integration: String,
    job_type: String,
    processing: String,
    parent_id: Option<String>,
    description: Option<String>,
    tags: Json<Vec<Tag>>,
    source_location: Option<String>,
    source_code: Option<String>,
    sql: Option<String>,
    dialect: Option<String>,
    definition_hash: String,
    dependencies: Json<BTreeMap<String, String>>,
    facets: Json<BTreeMap<String, Value>>,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl JobRow {
    /// The record with the owners, which another table holds.
    pub(super) fn record(self, owners: Vec<Owner>) -> JobRecord {
        JobRecord {
            id: self.id,
            namespace: self.namespace,
            name: self.name,
            integration: self.integration,
            job_type: self.job_type,
            processing: self.processing,
            parent: self.parent_id,
            description: self.description,
            owners,
            tags: self.tags.0,
            source_location: self.source_location,
            source_code: self.source_code,
            sql: self.sql,
            dialect: self.dialect,
            definition_hash: self.definition_hash,
            dependencies: self.dependencies.0,
            facets: texts(self.facets),
            first_seen: micros(self.first_seen),
            last_seen: micros(self.last_seen),
            origin: self.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct RunRow {
    id: String,
    job_id: String,
    state: String,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    nominal_start: Option<DateTime<Utc>>,
    nominal_end: Option<DateTime<Utc>>,
    parent_run: Option<String>,
    parent_job: Option<String>,
    root_run: Option<String>,
    error: Option<String>,
    engine: Option<String>,
    inputs: Json<Vec<String>>,
    outputs: Json<Vec<String>>,
    dataset_versions: Json<BTreeMap<String, String>>,
    facets: Json<BTreeMap<String, Value>>,
    expires_at: DateTime<Utc>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<RunRow> for RunRecord {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.id,
            job: row.job_id,
            state: row.state,
            started_at: row.started_at.map(micros),
            ended_at: row.ended_at.map(micros),
            nominal_start: row.nominal_start.map(micros),
            nominal_end: row.nominal_end.map(micros),
            parent_run: row.parent_run,
            parent_job: row.parent_job,
            root_run: row.root_run,
            error: row.error,
            engine: row.engine,
            inputs: row.inputs.0,
            outputs: row.outputs.0,
            dataset_versions: row.dataset_versions.0,
            facets: texts(row.facets),
            expires_at: micros(row.expires_at),
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct ChangeRow {
    id: String,
    entity_id: String,
    kind: String,
    before: Option<Json<Value>>,
    after: Option<Json<Value>>,
    breaking: bool,
    time: DateTime<Utc>,
    source: String,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<ChangeRow> for ChangeRecord {
    fn from(row: ChangeRow) -> Self {
        Self {
            id: row.id,
            entity: row.entity_id,
            kind: row.kind,
            before: row.before.map(|value| text(value.0)),
            after: row.after.map(|value| text(value.0)),
            breaking: row.breaking,
            time: micros(row.time),
            source: row.source,
            origin: row.origin.into(),
        }
    }
}
