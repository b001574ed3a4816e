//! A dataset's schema history.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OriginView;

/// All versions of a dataset's schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SchemaHistory {
    /// The id as asked for.
    pub dataset_id: String,
    /// The id under which the catalog keeps it.
    pub canonical_id: String,
    /// The source whose sequence is the dataset's history; empty if none made a complete statement.
    pub authority: String,
    /// The authority's versions, oldest first.
    pub versions: Vec<SchemaVersionView>,
    /// What other sources stated, oldest first; numbered within each source.
    pub others: Vec<SchemaVersionView>,
    /// How many versions of the authority there are.
    pub total: usize,
}

/// One version of a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SchemaVersion)]
pub struct SchemaVersionView {
    /// Number within its source, from 1, by rank of the versions there are now.
    pub ordinal: usize,
    /// Who stated it.
    pub source: String,
    /// Its place in the source's order; sorts as text.
    pub version: String,
    /// Event time.
    pub time: String,
    /// initial, major, minor, patch, authority_changed.
    #[schema(example = "major")]
    pub level: String,
    /// Whether it breaks readers of the one before.
    pub breaking: bool,
    /// Whether it took its place behind a newer one.
    pub late: bool,
    /// How often the dataset had been created by then.
    pub incarnation: i32,
    /// Differences to its predecessor of the same source.
    pub changes: Vec<ColumnChangeView>,
    /// Columns.
    pub columns: Vec<SchemaColumn>,
    /// Hash of the canonical columns.
    pub schema_hash: String,
    /// The record.
    pub origin: OriginView,
}

/// A column of a schema version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchemaColumn {
    /// Path.
    pub path: String,
    /// Type as the source writes it.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may be null; absent if unknown.
    pub nullable: Option<bool>,
    /// Comment.
    pub description: Option<String>,
    /// Whether it is a partition key.
    pub partition_key: bool,
}

/// A difference between two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ColumnChange, example = json!({"kind": "type_narrowed", "path": "amount", "before": "bigint", "after": "int", "breaking": true}))]
pub struct ColumnChangeView {
    /// added, dropped, renamed, type_widened, type_narrowed, type_changed, nullability, reordered, comment,
    /// partition_key, location.
    pub kind: String,
    /// Path of the column.
    pub path: String,
    /// Before.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
    /// Whether it breaks readers.
    pub breaking: bool,
}
