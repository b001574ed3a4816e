//! Each record as a row of its table. The only place that knows both the structs and the columns.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::rows::Rows;
use crate::model::fact::{Origin, Owner};
use crate::model::record::*;
use crate::store::text::{self, Cleaner};

/// A value that no transaction can store.
#[derive(Debug)]
pub(super) struct OutOfRange {
    /// The field.
    pub(super) field: &'static str,
    /// Microseconds since the epoch.
    pub(super) micros: i64,
}

fn time(field: &'static str, micros: i64) -> Result<Option<DateTime<Utc>>, OutOfRange> {
    text::time(micros).map(Some).ok_or(OutOfRange { field, micros })
}

fn opt_time(field: &'static str, micros: Option<i64>) -> Result<Option<DateTime<Utc>>, OutOfRange> {
    micros.map_or(Ok(None), |micros| time(field, micros))
}

/// Checks every time of a record, so that a bad one is put aside before SQL sees the batch.
pub(super) fn check_times(record: &CatalogRecord) -> Result<(), OutOfRange> {
    let required: &[(&'static str, i64)] = &match record {
        CatalogRecord::Dataset(r) => [("first_seen", r.first_seen), ("last_seen", r.last_seen)],
        CatalogRecord::Job(r) => [("first_seen", r.first_seen), ("last_seen", r.last_seen)],
        CatalogRecord::Lineage(r) => [("first_seen", r.first_seen), ("last_seen", r.last_seen)],
        CatalogRecord::SchemaVersion(r) => [("time", r.time), ("time", r.time)],
        CatalogRecord::Run(r) => [("expires_at", r.expires_at), ("expires_at", r.expires_at)],
        CatalogRecord::Quality(r) => [("time", r.time), ("time", r.time)],
        CatalogRecord::Change(r) => [("time", r.time), ("time", r.time)],
        CatalogRecord::Query(r) => [("ended_at", r.ended_at), ("expires_at", r.expires_at)],
        CatalogRecord::Usage(r) => [("expires_at", r.expires_at), ("expires_at", r.expires_at)],
        _ => [("", 0), ("", 0)],
    };
    for (field, micros) in required {
        time(field, *micros)?;
    }
    let optional: Vec<(&'static str, Option<i64>)> = match record {
        CatalogRecord::DatasetStats(r) => vec![("last_write", r.last_write)],
        CatalogRecord::Query(r) => vec![("started_at", Some(r.started_at))],
        CatalogRecord::Alias(r) => vec![("valid_from", r.valid_from), ("valid_to", r.valid_to)],
        CatalogRecord::ColumnLineage(r) => vec![("first_seen", r.first_seen), ("last_seen", r.last_seen)],
        CatalogRecord::Run(r) => vec![
            ("started_at", r.started_at),
            ("ended_at", r.ended_at),
            ("nominal_start", r.nominal_start),
            ("nominal_end", r.nominal_end),
        ],
        _ => vec![],
    };
    for (field, micros) in optional {
        opt_time(field, micros)?;
    }
    Ok(())
}

/// Writes the cells of one row, cleaned.
pub(super) struct RowWriter<'r, 'a> {
    pub(super) rows: &'r mut Rows<'a>,
    pub(super) cleaner: &'r mut Cleaner,
}

impl<'a> RowWriter<'_, 'a> {
    fn text(&mut self, name: &'static str, value: &'a str) {
        let value: Cow<'a, str> = self.cleaner.text(value);
        self.rows.text(name, value);
    }
    fn opt_text(&mut self, name: &'static str, value: &'a Option<String>) {
        let value = value.as_deref().map(|value| self.cleaner.text(value));
        self.rows.opt_text(name, value);
    }
    fn json(&mut self, name: &'static str, value: &impl serde::Serialize) {
        let value = self.cleaner.json(value);
        self.rows.json(name, value);
    }
    fn json_map(&mut self, name: &'static str, value: &std::collections::BTreeMap<String, String>) {
        let value = self.cleaner.json_map(value);
        self.rows.json(name, value);
    }
    fn opt_json_text(&mut self, name: &'static str, value: Option<&str>) {
        let value = value.map(|value| self.cleaner.json_text(value));
        self.rows.opt_json(name, value);
    }
    fn int(&mut self, name: &'static str, value: i32) {
        self.rows.int(name, value);
    }
    fn big(&mut self, name: &'static str, value: Option<i64>) {
        self.rows.opt_big(name, value);
    }
    fn bool(&mut self, name: &'static str, value: bool) {
        self.rows.opt_bool(name, Some(value));
    }
    fn time(&mut self, name: &'static str, micros: impl Into<Option<i64>>) {
        self.rows.opt_time(name, micros.into().and_then(text::time));
    }
    fn origin(&mut self, origin: &'a Origin) {
        self.text("origin_topic", &origin.topic);
        self.int("origin_partition", origin.partition);
        self.big("origin_offset", Some(origin.offset));
    }
    fn end(&mut self, row_hash: [u8; 16]) {
        self.rows.hash("row_hash", row_hash);
        self.rows.end();
    }

    pub(super) fn dataset(&mut self, r: &'a DatasetRecord, row_hash: [u8; 16], children: &DatasetHashes) {
        self.text("id", &r.id);
        let folded = self.cleaner.text(&r.id).to_lowercase();
        self.rows.text("folded_id", folded);
        self.text("platform", &r.platform);
        self.text("name", &r.name);
        self.opt_text("container_id", &r.container);
        self.text("kind", &r.kind);
        self.text("existence", &r.existence);
        self.int("incarnation", r.incarnation);
        self.json("names", &r.names);
        self.json("aliases", &r.aliases);
        self.text("authority", &r.authority);
        self.int("schema_version", r.schema_version);
        self.int("column_count", i32::try_from(r.columns.len()).unwrap_or(i32::MAX));
        self.opt_text("description", &r.description);
        self.opt_text("location", &r.location);
        self.opt_text("format", &r.format);
        self.opt_text("table_format", &r.table_format);
        self.json("properties", &r.properties);
        self.opt_text("view_original", &r.view_original);
        self.opt_text("view_expanded", &r.view_expanded);
        self.json_map("constraints", &r.constraints);
        self.json_map("facets", &r.facets);
        self.json_map("native", &r.native);
        self.json("issues", &r.issues);
        self.json("provenance", &r.provenance);
        self.time("first_seen", r.first_seen);
        self.time("last_seen", r.last_seen);
        self.origin(&r.origin);
        self.rows.hash("columns_hash", children.columns);
        self.rows.hash("tags_hash", children.tags);
        self.rows.hash("owners_hash", children.owners);
        self.end(row_hash);
    }

    pub(super) fn column(&mut self, r: &'a DatasetRecord, ordinal: i32, column: &'a ColumnRecord) {
        self.text("dataset_id", &r.id);
        self.int("ordinal", ordinal);
        self.text("path", &column.path);
        self.text("name", &column.name);
        self.int("depth", column.depth);
        self.text("data_type", &column.data_type);
        self.text("canonical_type", &column.canonical_type);
        self.opt_text("description", &column.description);
        self.rows.opt_bool("nullable", column.nullable);
        self.bool("partition_key", column.partition_key);
        self.json("conflicts", &column.conflicts);
        self.origin(&r.origin);
        self.rows.end();
    }

    pub(super) fn dataset_tag(&mut self, r: &'a DatasetRecord, ordinal: i32, key: &'a str, value: &'a str) {
        self.text("dataset_id", &r.id);
        self.int("ordinal", ordinal);
        self.text("tag", key);
        self.text("value", value);
        self.origin(&r.origin);
        self.rows.end();
    }

    pub(super) fn column_tag(
        &mut self,
        r: &'a DatasetRecord,
        ordinal: i32,
        path: &'a str,
        key: &'a str,
        value: &'a str,
    ) {
        self.text("dataset_id", &r.id);
        self.int("ordinal", ordinal);
        self.text("path", path);
        self.text("tag", key);
        self.text("value", value);
        self.origin(&r.origin);
        self.rows.end();
    }

    pub(super) fn owner(
        &mut self,
        kind: &'static str,
        id: &'a str,
        ordinal: i32,
        owner: &'a Owner,
        origin: &'a Origin,
    ) {
        self.text("entity_kind", kind);
        self.text("entity_id", id);
        self.int("ordinal", ordinal);
        self.text("name", &owner.name);
        self.text("role", &owner.role);
        self.origin(origin);
        self.rows.end();
    }

    pub(super) fn stats(&mut self, r: &'a DatasetStatsRecord, row_hash: [u8; 16]) {
        self.text("id", &r.id);
        self.big("row_count", r.rows);
        self.big("size_bytes", r.bytes);
        self.big("files", r.files);
        self.time("last_write", r.last_write);
        self.opt_text("last_job", &r.last_job);
        self.opt_text("last_run", &r.last_run);
        self.opt_text("dataset_version", &r.dataset_version);
        self.json_map("column_stats", &r.column_stats);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn container(&mut self, r: &'a ContainerRecord, row_hash: [u8; 16], owners: [u8; 16]) {
        self.text("id", &r.id);
        self.text("platform", &r.platform);
        self.text("name", &r.name);
        self.text("existence", &r.existence);
        self.opt_text("description", &r.description);
        self.opt_text("location", &r.location);
        self.json("properties", &r.properties);
        self.json_map("native", &r.native);
        self.origin(&r.origin);
        self.rows.hash("owners_hash", owners);
        self.end(row_hash);
    }

    pub(super) fn partition(&mut self, key: [u8; 16], r: &'a PartitionRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("dataset_id", &r.dataset);
        self.text("name", &r.name);
        self.json("values", &r.values);
        self.opt_text("location", &r.location);
        self.json("properties", &r.properties);
        self.opt_json_text("native", Some(&r.native));
        self.json_map("column_stats", &r.column_stats);
        self.text("source", &r.source);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn function(&mut self, r: &'a FunctionRecord, row_hash: [u8; 16]) {
        self.text("id", &r.id);
        self.text("name", &r.name);
        self.text("existence", &r.existence);
        self.json_map("native", &r.native);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn schema_version(&mut self, key: [u8; 16], r: &'a SchemaVersionRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("dataset_id", &r.dataset);
        self.text("source", &r.source);
        self.text("version", &r.version);
        self.time("time", r.time);
        self.json("columns", &r.columns);
        self.text("schema_hash", &r.schema_hash);
        self.json("changes", &r.changes);
        self.bool("breaking", r.breaking);
        self.text("level", &r.level);
        self.bool("late", r.late);
        self.int("incarnation", r.incarnation);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn job(&mut self, r: &'a JobRecord, row_hash: [u8; 16], owners: [u8; 16]) {
        self.text("id", &r.id);
        self.text("namespace", &r.namespace);
        self.text("name", &r.name);
        self.text("integration", &r.integration);
        self.text("job_type", &r.job_type);
        self.text("processing", &r.processing);
        self.opt_text("parent_id", &r.parent);
        self.opt_text("description", &r.description);
        self.json("tags", &r.tags);
        self.opt_text("source_location", &r.source_location);
        self.opt_text("source_code", &r.source_code);
        self.opt_text("sql", &r.sql);
        self.opt_text("dialect", &r.dialect);
        self.text("definition_hash", &r.definition_hash);
        self.json("dependencies", &r.dependencies);
        self.json_map("facets", &r.facets);
        self.time("first_seen", r.first_seen);
        self.time("last_seen", r.last_seen);
        self.origin(&r.origin);
        self.rows.hash("owners_hash", owners);
        self.end(row_hash);
    }

    pub(super) fn run(&mut self, key: [u8; 16], r: &'a RunRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("id", &r.id);
        self.text("job_id", &r.job);
        self.text("state", &r.state);
        self.time("started_at", r.started_at);
        self.time("ended_at", r.ended_at);
        self.time("nominal_start", r.nominal_start);
        self.time("nominal_end", r.nominal_end);
        self.opt_text("parent_run", &r.parent_run);
        self.opt_text("parent_job", &r.parent_job);
        self.opt_text("root_run", &r.root_run);
        self.opt_text("error", &r.error);
        self.opt_text("engine", &r.engine);
        self.json("inputs", &r.inputs);
        self.json("outputs", &r.outputs);
        self.json("dataset_versions", &r.dataset_versions);
        self.json_map("facets", &r.facets);
        self.time("expires_at", r.expires_at);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn lineage(&mut self, key: [u8; 16], r: &'a LineageRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("job_id", &r.job);
        self.text("source_id", &r.source);
        self.text("target_id", &r.target);
        self.text("kind", &r.kind);
        self.int("confidence", r.confidence);
        self.time("first_seen", r.first_seen);
        self.time("last_seen", r.last_seen);
        self.big("runs", Some(r.runs));
        self.bool("stale", r.stale);
        self.text("run", &r.run);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn column_lineage(&mut self, key: [u8; 16], r: &'a ColumnLineageRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("job_id", &r.job);
        self.text("target_id", &r.target);
        self.text("target_field", &r.target_field);
        self.text("source_id", &r.source);
        self.text("source_field", &r.source_field);
        self.json("transformations", &r.transformations);
        self.text("description", &r.description);
        self.bool("masking", r.masking);
        self.int("confidence", r.confidence);
        self.bool("unmapped", r.unmapped);
        self.bool("stale", r.stale);
        self.time("first_seen", r.first_seen);
        self.time("last_seen", r.last_seen);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn alias(&mut self, key: [u8; 16], r: &'a AliasRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("alias", &r.alias);
        self.text("canonical", &r.canonical);
        self.text("kind", &r.kind);
        self.time("valid_from", r.valid_from);
        self.time("valid_to", r.valid_to);
        self.text("reason", &r.reason);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn quality(&mut self, key: [u8; 16], r: &'a QualityRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("dataset_id", &r.dataset);
        self.text("check_name", &r.check);
        self.text("status", &r.status);
        self.opt_text("field", &r.field);
        self.opt_json_text("value", Some(&r.value));
        self.time("time", r.time);
        self.text("run", &r.run);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn query(&mut self, key: [u8; 16], r: &'a QueryRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("id", &r.id);
        self.text("platform", &r.platform);
        self.text("instance", &r.instance);
        self.text("query_id", &r.query_id);
        self.opt_text("session", &r.session);
        self.opt_text("user_name", &r.user);
        self.opt_text("application", &r.application);
        self.time("started_at", r.started_at);
        self.time("ended_at", r.ended_at);
        self.text("status", &r.status);
        self.opt_text("error", &r.error);
        self.text("statement_type", &r.statement_type);
        self.text("fingerprint", &r.fingerprint);
        self.opt_text("query_text", &r.text);
        self.opt_text("job_id", &r.job);
        self.json("reads", &r.reads);
        self.json("writes", &r.writes);
        self.big("row_count", r.rows);
        self.big("bytes_read", r.bytes);
        self.big("duration_us", r.duration_us);
        self.json("bound", &r.bound);
        self.text("source", &r.source);
        self.time("expires_at", r.expires_at);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    /// One dataset that a query read or wrote.
    pub(super) fn query_dataset(&mut self, key: [u8; 16], r: &'a QueryRecord, dataset: &'a str) {
        self.text("dataset_id", dataset);
        self.time("ended_at", r.ended_at);
        self.rows.hash("query_key", key);
        self.text("fingerprint", &r.fingerprint);
        self.time("expires_at", r.expires_at);
        self.rows.end();
    }

    pub(super) fn usage(&mut self, key: [u8; 16], r: &'a UsageRecord, row_hash: [u8; 16]) {
        self.rows.hash("key", key);
        self.text("dataset_id", &r.dataset);
        self.text("day", &r.day);
        self.big("queries", Some(r.queries));
        self.big("failed", Some(r.failed));
        self.big("writes", Some(r.writes));
        self.big("row_count", Some(r.rows));
        self.big("bytes_read", Some(r.bytes));
        self.big("duration_us", Some(r.duration_us));
        self.big("distinct_users", Some(r.distinct_users));
        self.bool("users_exact", r.users_exact);
        self.json("users", &r.users);
        self.json("columns", &r.columns);
        self.json("filters", &r.filters);
        self.json("joins", &r.joins);
        self.time("expires_at", r.expires_at);
        self.origin(&r.origin);
        self.end(row_hash);
    }

    pub(super) fn change(&mut self, r: &'a ChangeRecord, row_hash: [u8; 16]) {
        self.text("id", &r.id);
        self.text("entity_id", &r.entity);
        self.text("kind", &r.kind);
        self.opt_json_text("before", r.before.as_deref());
        self.opt_json_text("after", r.after.as_deref());
        self.bool("breaking", r.breaking);
        self.time("time", r.time);
        self.text("source", &r.source);
        self.origin(&r.origin);
        self.end(row_hash);
    }
}

/// Hashes of a dataset's child rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DatasetHashes {
    pub(super) columns: [u8; 16],
    pub(super) tags: [u8; 16],
    pub(super) owners: [u8; 16],
}

/// Hash of child rows as they would be written, origin aside.
pub(super) fn child_hash(value: &impl serde::Serialize) -> [u8; 16] {
    let json = serde_json::to_vec(value).expect("records have no failing serializers");
    text::hash(&json)
}
