//! Edges as the lineage graph takes them: borrowed, of a record or of a row, without what only pages show.

use super::fact::Origin;
use super::record::{ColumnLineageRecord, LineageRecord};

/// [`Origin`], borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginRef<'a> {
    /// Topic of the raw record.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
}

/// Of `catalog.lineage`; fields as in [`LineageRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableEdgeRef<'a> {
    /// Supporter.
    pub job: &'a str,
    /// Read dataset, as reported.
    pub source: &'a str,
    /// Written dataset, as reported.
    pub target: &'a str,
    /// `write` or `modifies`.
    pub kind: &'a str,
    /// 0–100.
    pub confidence: i32,
    /// Absent from the newest runs but not retired.
    pub stale: bool,
    /// Microseconds since the epoch, whole hours.
    pub last_seen: i64,
    /// Cause.
    pub origin: OriginRef<'a>,
}

/// Of `catalog.column-lineage`; fields as in [`ColumnLineageRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnEdgeRef<'a> {
    /// Supporter.
    pub job: &'a str,
    /// Written dataset.
    pub target: &'a str,
    /// Written field; empty for a dependency of the whole dataset.
    pub target_field: &'a str,
    /// Read dataset.
    pub source: &'a str,
    /// Read field.
    pub source_field: &'a str,
    /// `KIND/SUBTYPE`, sorted.
    pub transformations: &'a [String],
    /// The producer's words.
    pub description: &'a str,
    /// Whether values are hidden.
    pub masking: bool,
    /// 0–100.
    pub confidence: i32,
    /// Absent from the newest runs but not retired.
    pub stale: bool,
    /// Microseconds since the epoch, whole hours; `None` where the table edge beside it knows.
    pub last_seen: Option<i64>,
    /// Cause.
    pub origin: OriginRef<'a>,
}

impl<'a> From<&'a Origin> for OriginRef<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self { topic: &origin.topic, partition: origin.partition, offset: origin.offset }
    }
}

impl<'a> From<&'a LineageRecord> for TableEdgeRef<'a> {
    fn from(record: &'a LineageRecord) -> Self {
        Self {
            job: &record.job,
            source: &record.source,
            target: &record.target,
            kind: &record.kind,
            confidence: record.confidence,
            stale: record.stale,
            last_seen: record.last_seen,
            origin: (&record.origin).into(),
        }
    }
}

impl<'a> From<&'a ColumnLineageRecord> for ColumnEdgeRef<'a> {
    fn from(record: &'a ColumnLineageRecord) -> Self {
        Self {
            job: &record.job,
            target: &record.target,
            target_field: &record.target_field,
            source: &record.source,
            source_field: &record.source_field,
            transformations: &record.transformations,
            description: &record.description,
            masking: record.masking,
            confidence: record.confidence,
            stale: record.stale,
            last_seen: record.last_seen,
            origin: (&record.origin).into(),
        }
    }
}
