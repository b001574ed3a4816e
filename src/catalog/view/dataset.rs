//! A dataset's page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{OriginView, OwnerView, Supporter, TagView};

/// Everything the catalog knows of one dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatasetPage {
    /// The id as asked for.
    #[schema(example = "hive://metastore:9083/sales/orders")]
    pub dataset_id: String,
    /// The id under which the catalog keeps it.
    #[schema(example = "hive://metastore:9083/sales/orders")]
    pub canonical_id: String,
    /// How the id asked for led here: `id` as it stands, `spelling` by the platform's rules or an instance's other
    /// name, `alias`.
    pub resolved_by: String,
    /// Display name.
    #[schema(example = "sales.orders")]
    pub name: String,
    /// table, view, materialized_view, topic, path, ….
    #[serde(rename = "type")]
    #[schema(example = "table")]
    pub kind: String,
    /// hive, postgres, s3, kafka, ….
    #[schema(example = "hive")]
    pub platform: String,
    /// Id of the database or schema it is in.
    pub container: Option<String>,
    /// First of two names before the table's, as the specification has them.
    pub database: Option<String>,
    /// The name before the table's where there are two.
    pub schema: Option<String>,
    /// confirmed, dropped, referenced (only lineage knows it), virtual, ignored.
    #[schema(example = "confirmed")]
    pub existence: String,
    /// How often it was created.
    pub incarnation: i32,
    /// Spellings under which sources reported it.
    pub names: Vec<ReportedNameView>,
    /// Other ids that lead to it.
    pub aliases: Vec<AliasView>,
    /// Description, of the best source.
    pub description: Option<String>,
    /// Owners.
    pub owners: Vec<OwnerView>,
    /// Tags on the whole and on columns.
    pub tags: Vec<TagView>,
    /// Columns in order, nested fields after their parent.
    pub columns: Vec<ColumnView>,
    /// The source whose columns these are; empty if none made a complete statement.
    #[schema(example = "hms/metastore")]
    pub authority: String,
    /// Number of the current schema version, from 1; 0 if there is none.
    pub schema_version: i32,
    /// When the schema last changed.
    pub last_schema_change: Option<String>,
    /// Where the data lies.
    pub location: Option<String>,
    /// Storage format.
    pub format: Option<String>,
    /// Layer above files: iceberg, delta, hudi, hive.
    pub table_format: Option<String>,
    /// Properties.
    pub properties: BTreeMap<String, String>,
    /// View text as written.
    pub view_original: Option<String>,
    /// View text with names resolved.
    pub view_expanded: Option<String>,
    /// Keys and checks: `type/name/seq` → fields by their own names.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub constraints: BTreeMap<String, Value>,
    /// Measures.
    pub statistics: DatasetStatistics,
    /// Quality checks, newest outcome each.
    pub quality: QualityView,
    /// Partitions.
    pub partitions: PartitionSummary,
    /// What feeds it and what it feeds, one hop; more under `/api/v1/lineage`.
    pub lineage: LineageSummary,
    /// Facets that have no place of their own, name → JSON.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub facets: BTreeMap<String, Value>,
    /// Each source's own fields, source → JSON.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub native: BTreeMap<String, Value>,
    /// Why it stands on the list of unresolved names.
    pub issues: Vec<String>,
    /// Which source said what, from which record; aspect → statement.
    pub provenance: BTreeMap<String, ProvenanceView>,
    /// The sources that speak on this page, with the newest record of each and their aspects.
    pub sources: Vec<SourceView>,
    /// First event time seen.
    pub first_seen: String,
    /// Last event time seen, whole hours.
    pub last_seen: String,
    /// The record that caused the page's present state.
    pub origin: OriginView,
}

/// A spelling of a dataset's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportedName)]
pub struct ReportedNameView {
    /// Namespace.
    pub namespace: String,
    /// Name in it.
    pub name: String,
}

/// An id that leads, or led, to a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Alias)]
pub struct AliasView {
    /// The other id.
    pub alias: String,
    /// location, symlink, rename, name.
    pub kind: String,
    /// From this event time; absent = always.
    pub valid_from: Option<String>,
    /// Until this event time; absent = still.
    pub valid_to: Option<String>,
    /// Why.
    pub reason: String,
    /// The record that said so; absent where only the dataset's head names the alias.
    pub origin: Option<OriginView>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Column)]
pub struct ColumnView {
    /// Path, `.`-joined; `[]` and `{}` for array element and map value.
    #[schema(example = "address.city")]
    pub path: String,
    /// Name.
    pub name: String,
    /// 0 for a column, more for a nested field.
    pub depth: i32,
    /// Place among all columns and fields.
    pub ordinal: i32,
    /// Type as its source writes it.
    #[serde(rename = "type")]
    #[schema(example = "decimal(10,2)")]
    pub data_type: String,
    /// Type in one spelling for all platforms.
    pub canonical_type: String,
    /// Description, of the best source.
    pub description: Option<String>,
    /// Whether it may be null; absent if unknown.
    pub nullable: Option<bool>,
    /// Whether it is a partition key.
    pub partition_key: bool,
    /// Names of its tags.
    pub tags: Vec<String>,
    /// Who says so.
    pub source: String,
    /// What other sources say instead.
    pub conflicts: Vec<String>,
}

/// Who said something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Provenance)]
pub struct ProvenanceView {
    /// The source.
    #[schema(example = "openlineage/spark")]
    pub source: String,
    /// Its record.
    pub origin: OriginView,
    /// Ids through which it came here.
    pub via: Vec<String>,
}

/// One source and its part of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Source)]
pub struct SourceView {
    /// The source.
    pub source: String,
    /// What it says.
    pub aspects: Vec<String>,
    /// Its records behind them, each once.
    pub origins: Vec<OriginView>,
}

/// Measures of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatasetStatistics {
    /// Rows.
    pub row_count: Option<i64>,
    /// Bytes.
    pub size_bytes: Option<i64>,
    /// Files.
    pub file_count: Option<i64>,
    /// Top-level columns.
    pub column_count: usize,
    /// Last successful write.
    pub last_write: Option<String>,
    /// Job of the last write.
    pub last_job: Option<String>,
    /// Run of the last write.
    pub last_run: Option<String>,
    /// The data's version as its producer names it.
    pub dataset_version: Option<String>,
    /// Column statistics; `column` or `partition|column` → JSON.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub columns: BTreeMap<String, Value>,
}

/// Quality of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Quality)]
pub struct QualityView {
    /// When the newest check ran.
    pub last_checked: Option<String>,
    /// Checks.
    pub checks: Vec<QualityCheck>,
}

/// Outcome of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QualityCheck {
    /// Name.
    pub name: String,
    /// passed, failed, measured.
    pub status: String,
    /// Path of the column it is about.
    pub column: Option<String>,
    /// Measure or assertion.
    #[schema(value_type = Object)]
    pub value: Value,
    /// When.
    pub time: String,
    /// The run that checked.
    pub run: String,
    /// The record.
    pub origin: OriginView,
}

/// Partitions of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartitionSummary {
    /// How many there are.
    pub count: i64,
    /// Partition keys in order.
    pub keys: Vec<String>,
    /// The last ones by name, at most 20.
    pub last: Vec<PartitionView>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Partition)]
pub struct PartitionView {
    /// Name as the metastore writes it, encoded as an id.
    pub name: String,
    /// Values in key order.
    pub values: Vec<String>,
    /// Where it lies.
    pub location: Option<String>,
    /// Column statistics, column → JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Object>)]
    pub columns: BTreeMap<String, Value>,
    /// The record.
    pub origin: OriginView,
}

/// One hop of lineage in both directions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageSummary {
    /// Datasets it is made of, by job.
    pub upstream: Vec<Neighbour>,
    /// Datasets made of it, by job.
    pub downstream: Vec<Neighbour>,
}

/// A neighbour in the lineage graph, by job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Neighbour {
    /// The other dataset, by canonical id.
    pub dataset_id: String,
    /// Ephemeral datasets in between, in order of the flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// write, or modifies where a job changes a dataset in place.
    pub kind: String,
    /// The job between.
    #[serde(flatten)]
    pub supporter: Supporter,
}
