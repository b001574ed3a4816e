//! Values of the compacted catalog topics and of `catalog.changes`.
//!
//! Each struct is one Avro record (`schemas/<topic>-value.avsc`, same field names and order); times are microseconds
//! since the epoch (`timestamp-micros`), JSON inside strings is marked. Keys are listed at each record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fact::{Origin, Owner, Tag};
pub use super::record_query::{QueryRecord, UsageRecord};

/// Said by whom, from which record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The source.
    pub source: String,
    /// The raw record.
    pub origin: Origin,
    /// Ids it was forwarded through.
    pub via: Vec<String>,
}

/// One column of a head or schema version; nested fields follow their parent with a longer path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnRecord {
    /// Field path: `.`-joined, `. %` encoded inside a field, `[]` and `{}` for element and map value.
    pub path: String,
    /// Name as displayed.
    pub name: String,
    /// 0 for a top-level column.
    pub depth: i32,
    /// Place among all columns of the record.
    pub ordinal: i32,
    /// Type as the source writes it.
    pub data_type: String,
    /// Type in canonical spelling.
    pub canonical_type: String,
    /// Description, from the best source.
    pub description: Option<String>,
    /// Nullability, `None` if unknown.
    pub nullable: Option<bool>,
    /// A partition key.
    pub partition_key: bool,
    /// Sources that contradict this column, with what they say.
    pub conflicts: Vec<String>,
}

/// `catalog.datasets`, key: dataset id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Id.
    pub id: String,
    /// hive, viewfs, s3, postgres, ….
    pub platform: String,
    /// Display name, best source's spelling.
    pub name: String,
    /// Container id, if it has one.
    pub container: Option<String>,
    /// table, view, ….
    pub kind: String,
    /// confirmed, dropped, referenced, virtual, ignored.
    pub existence: String,
    /// How often it was created.
    pub incarnation: i32,
    /// Reported spellings, `namespace|name`, sorted.
    pub names: Vec<String>,
    /// Ids that forward to it.
    pub aliases: Vec<String>,
    /// Columns of the authority, annotated by others.
    pub columns: Vec<ColumnRecord>,
    /// The source whose columns these are; empty if none made a complete statement.
    pub authority: String,
    /// Ordinal of the current schema version, from 1; 0 if none.
    pub schema_version: i32,
    /// Description.
    pub description: Option<String>,
    /// Owners.
    pub owners: Vec<Owner>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Location.
    pub location: Option<String>,
    /// Format name.
    pub format: Option<String>,
    /// Table format (iceberg, delta, hive).
    pub table_format: Option<String>,
    /// Properties.
    pub properties: BTreeMap<String, String>,
    /// View text as written.
    pub view_original: Option<String>,
    /// View text expanded.
    pub view_expanded: Option<String>,
    /// Constraints, sub-key → JSON.
    pub constraints: BTreeMap<String, String>,
    /// Unknown facets, name → JSON.
    pub facets: BTreeMap<String, String>,
    /// Each source's own fields, source → JSON.
    pub native: BTreeMap<String, String>,
    /// Why it stands on the unresolved list: incomplete, loopback, case_collision (spellings of it could be two things;
    /// ids that differ only by case are found by who reads all of them), ambiguous_location, cycle.
    pub issues: Vec<String>,
    /// Per aspect which source said it.
    pub provenance: BTreeMap<String, Provenance>,
    /// First event time seen.
    pub first_seen: i64,
    /// Last event time seen, whole hours.
    pub last_seen: i64,
    /// The record that caused this value.
    pub origin: Origin,
}

/// `catalog.dataset-stats`, key: dataset id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetStatsRecord {
    /// Dataset id.
    pub id: String,
    /// Rows.
    pub rows: Option<i64>,
    /// Bytes.
    pub bytes: Option<i64>,
    /// Files.
    pub files: Option<i64>,
    /// Last successful write.
    pub last_write: Option<i64>,
    /// Job of it.
    pub last_job: Option<String>,
    /// Run of it.
    pub last_run: Option<String>,
    /// Version of the data as its producer names it.
    pub dataset_version: Option<String>,
    /// Column statistics, sub-key → JSON.
    pub column_stats: BTreeMap<String, String>,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.containers`, key: container id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Id.
    pub id: String,
    /// Platform.
    pub platform: String,
    /// Display name.
    pub name: String,
    /// confirmed, dropped, referenced.
    pub existence: String,
    /// Description.
    pub description: Option<String>,
    /// Owners.
    pub owners: Vec<Owner>,
    /// Location.
    pub location: Option<String>,
    /// Properties.
    pub properties: BTreeMap<String, String>,
    /// Each source's own fields, source → JSON.
    pub native: BTreeMap<String, String>,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.partitions`, key: `dataset id|sub-key`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// Dataset id.
    pub dataset: String,
    /// Sub-key: Hive's escaped name, id-encoded.
    pub name: String,
    /// Values in key order.
    pub values: Vec<String>,
    /// Location, `None` if unknown.
    pub location: Option<String>,
    /// Properties.
    pub properties: BTreeMap<String, String>,
    /// The source's own fields, JSON.
    pub native: String,
    /// Column statistics, column (encoded as in ids) → JSON.
    pub column_stats: BTreeMap<String, String>,
    /// The source.
    pub source: String,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.functions`, key: function id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// Id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// confirmed or dropped.
    pub existence: String,
    /// Each source's own fields, source → JSON.
    pub native: BTreeMap<String, String>,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.schemas`, key: `dataset id|source|sortable version`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaVersionRecord {
    /// Dataset id.
    pub dataset: String,
    /// Who stated it.
    pub source: String,
    /// [`super::fact::Version::sortable`].
    pub version: String,
    /// Event time.
    pub time: i64,
    /// Columns.
    pub columns: Vec<ColumnRecord>,
    /// Hash of the canonical columns.
    pub schema_hash: String,
    /// Differences to its predecessor of the same source.
    pub changes: Vec<ColumnChange>,
    /// Whether one of them breaks readers.
    pub breaking: bool,
    /// `initial`, `major`, `minor`, `patch`, `authority_changed`.
    pub level: String,
    /// Whether it took its place behind a later one.
    pub late: bool,
    /// Incarnation it belongs to.
    pub incarnation: i32,
    /// Cause.
    pub origin: Origin,
}

/// One difference between two schema versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChange {
    /// added, dropped, renamed, type_widened, type_narrowed, type_changed, nullability, reordered, comment,
    /// partition_key, location.
    pub kind: String,
    /// Field path.
    pub path: String,
    /// Before, if there was one.
    pub before: Option<String>,
    /// After, if there is one.
    pub after: Option<String>,
    /// Whether it breaks readers.
    pub breaking: bool,
}

/// `catalog.jobs`, key: job id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Id.
    pub id: String,
    /// Namespace as reported.
    pub namespace: String,
    /// Name as reported.
    pub name: String,
    /// Integration.
    pub integration: String,
    /// Job type.
    pub job_type: String,
    /// BATCH or STREAMING.
    pub processing: String,
    /// Enclosing job.
    pub parent: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Owners.
    pub owners: Vec<Owner>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Source code location.
    pub source_location: Option<String>,
    /// Source code.
    pub source_code: Option<String>,
    /// SQL.
    pub sql: Option<String>,
    /// SQL dialect.
    pub dialect: Option<String>,
    /// Hash of the definition (sql, source, type).
    pub definition_hash: String,
    /// Job dependencies, job id → `direction/kind`.
    pub dependencies: BTreeMap<String, String>,
    /// Unknown job facets, name → JSON.
    pub facets: BTreeMap<String, String>,
    /// First event time.
    pub first_seen: i64,
    /// Last event time, whole hours.
    pub last_seen: i64,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.runs`, key: `job id|run id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Run id.
    pub id: String,
    /// Job id.
    pub job: String,
    /// By rank: FAIL, ABORT, COMPLETE, RUNNING, START, OTHER.
    pub state: String,
    /// First START, if seen.
    pub started_at: Option<i64>,
    /// Terminal event, if seen.
    pub ended_at: Option<i64>,
    /// Nominal start.
    pub nominal_start: Option<i64>,
    /// Nominal end.
    pub nominal_end: Option<i64>,
    /// Enclosing run.
    pub parent_run: Option<String>,
    /// Enclosing job.
    pub parent_job: Option<String>,
    /// Outermost run.
    pub root_run: Option<String>,
    /// Error text.
    pub error: Option<String>,
    /// Engine.
    pub engine: Option<String>,
    /// Datasets read.
    pub inputs: Vec<String>,
    /// Datasets written.
    pub outputs: Vec<String>,
    /// Dataset id → version.
    pub dataset_versions: BTreeMap<String, String>,
    /// Other run facets, name → JSON.
    pub facets: BTreeMap<String, String>,
    /// When readers stop seeing it.
    pub expires_at: i64,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.lineage`, key: `job id|source id|target id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineageRecord {
    /// Supporter.
    pub job: String,
    /// Read dataset, as reported.
    pub source: String,
    /// Written dataset, as reported.
    pub target: String,
    /// `write`, or `modifies` for a self-edge.
    pub kind: String,
    /// 0–100.
    pub confidence: i32,
    /// First success, whole hours.
    pub first_seen: i64,
    /// Last success, whole hours.
    pub last_seen: i64,
    /// At least so many successful runs: the largest power of two not above the exact count.
    pub runs: i64,
    /// Absent from the newest runs but not retired.
    pub stale: bool,
    /// Newest supporting run.
    pub run: String,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.column-lineage`, key: `job id|target id#field|source id#field`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnLineageRecord {
    /// Supporter.
    pub job: String,
    /// Written dataset.
    pub target: String,
    /// Written field; empty for a dependency of the whole dataset.
    pub target_field: String,
    /// Read dataset.
    pub source: String,
    /// Read field.
    pub source_field: String,
    /// Transformations, `KIND/SUBTYPE`, sorted.
    pub transformations: Vec<String>,
    /// The producer's words.
    pub description: String,
    /// Whether values are hidden.
    pub masking: bool,
    /// 0–100.
    pub confidence: i32,
    /// The key is no column of the target.
    pub unmapped: bool,
    /// Absent from the newest runs but not retired.
    pub stale: bool,
    /// First success, whole hours; `None` in records of a time when it was not kept.
    pub first_seen: Option<i64>,
    /// Last success, whole hours; `None` where that is the `last_seen` of the table edge under the same job, source and
    /// target, so that a run whose columns are as before changes no record of theirs.
    pub last_seen: Option<i64>,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.aliases`, key: `alias id|canonical id|valid_from`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// The other name.
    pub alias: String,
    /// What it names.
    pub canonical: String,
    /// location, symlink, rename, name.
    pub kind: String,
    /// From this event time; `None` = always.
    pub valid_from: Option<i64>,
    /// Until this event time; `None` = still.
    pub valid_to: Option<i64>,
    /// Why.
    pub reason: String,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.quality`, key: `dataset id|check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityRecord {
    /// Dataset id.
    pub dataset: String,
    /// Check name.
    pub check: String,
    /// passed, failed, measured.
    pub status: String,
    /// Field path.
    pub field: Option<String>,
    /// JSON.
    pub value: String,
    /// When.
    pub time: i64,
    /// Run.
    pub run: String,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.changes`, key: entity id. Append-only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// Hash of (entity, kind, before, after, source, version); no two changes share one (see `fold/changes.rs`).
    pub id: String,
    /// Entity id.
    pub entity: String,
    /// created, dropped, recreated, renamed, schema_changed, owners_changed, description_changed, tags_changed,
    /// location_changed, lineage_added, lineage_retired, run_failed.
    pub kind: String,
    /// JSON before, if any.
    pub before: Option<String>,
    /// JSON after, if any.
    pub after: Option<String>,
    /// Whether it breaks readers.
    pub breaking: bool,
    /// Event time.
    pub time: i64,
    /// The source.
    pub source: String,
    /// Cause.
    pub origin: Origin,
}

/// Any record of a compacted topic or a change.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogRecord {
    /// `catalog.datasets`
    Dataset(Box<DatasetRecord>),
    /// `catalog.dataset-stats`
    DatasetStats(Box<DatasetStatsRecord>),
    /// `catalog.containers`
    Container(Box<ContainerRecord>),
    /// `catalog.partitions`
    Partition(Box<PartitionRecord>),
    /// `catalog.functions`
    Function(Box<FunctionRecord>),
    /// `catalog.schemas`
    SchemaVersion(Box<SchemaVersionRecord>),
    /// `catalog.jobs`
    Job(Box<JobRecord>),
    /// `catalog.runs`
    Run(Box<RunRecord>),
    /// `catalog.lineage`
    Lineage(Box<LineageRecord>),
    /// `catalog.column-lineage`
    ColumnLineage(Box<ColumnLineageRecord>),
    /// `catalog.aliases`
    Alias(Box<AliasRecord>),
    /// `catalog.quality`
    Quality(Box<QualityRecord>),
    /// `catalog.queries`
    Query(Box<QueryRecord>),
    /// `catalog.usage`
    Usage(Box<UsageRecord>),
    /// `catalog.changes`
    Change(Box<ChangeRecord>),
}

/// The output topics of the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CatalogTopic {
    /// `catalog.datasets`
    Datasets,
    /// `catalog.dataset-stats`
    DatasetStats,
    /// `catalog.containers`
    Containers,
    /// `catalog.partitions`
    Partitions,
    /// `catalog.functions`
    Functions,
    /// `catalog.schemas`
    Schemas,
    /// `catalog.jobs`
    Jobs,
    /// `catalog.runs`
    Runs,
    /// `catalog.lineage`
    Lineage,
    /// `catalog.column-lineage`
    ColumnLineage,
    /// `catalog.aliases`
    Aliases,
    /// `catalog.quality`
    Quality,
    /// `catalog.queries`
    Queries,
    /// `catalog.usage`
    Usage,
    /// `catalog.changes`
    Changes,
}

impl CatalogTopic {
    /// All, in a fixed order.
    pub const ALL: [Self; 15] = [
        Self::Datasets,
        Self::DatasetStats,
        Self::Containers,
        Self::Partitions,
        Self::Functions,
        Self::Schemas,
        Self::Jobs,
        Self::Runs,
        Self::Lineage,
        Self::ColumnLineage,
        Self::Aliases,
        Self::Quality,
        Self::Queries,
        Self::Usage,
        Self::Changes,
    ];

    /// The Kafka topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Datasets => "catalog.datasets",
            Self::DatasetStats => "catalog.dataset-stats",
            Self::Containers => "catalog.containers",
            Self::Partitions => "catalog.partitions",
            Self::Functions => "catalog.functions",
            Self::Schemas => "catalog.schemas",
            Self::Jobs => "catalog.jobs",
            Self::Runs => "catalog.runs",
            Self::Lineage => "catalog.lineage",
            Self::ColumnLineage => "catalog.column-lineage",
            Self::Aliases => "catalog.aliases",
            Self::Quality => "catalog.quality",
            Self::Queries => "catalog.queries",
            Self::Usage => "catalog.usage",
            Self::Changes => "catalog.changes",
        }
    }
}

impl CatalogRecord {
    /// The topic it belongs to.
    pub fn topic(&self) -> CatalogTopic {
        match self {
            Self::Dataset(_) => CatalogTopic::Datasets,
            Self::DatasetStats(_) => CatalogTopic::DatasetStats,
            Self::Container(_) => CatalogTopic::Containers,
            Self::Partition(_) => CatalogTopic::Partitions,
            Self::Function(_) => CatalogTopic::Functions,
            Self::SchemaVersion(_) => CatalogTopic::Schemas,
            Self::Job(_) => CatalogTopic::Jobs,
            Self::Run(_) => CatalogTopic::Runs,
            Self::Lineage(_) => CatalogTopic::Lineage,
            Self::ColumnLineage(_) => CatalogTopic::ColumnLineage,
            Self::Alias(_) => CatalogTopic::Aliases,
            Self::Quality(_) => CatalogTopic::Quality,
            Self::Query(_) => CatalogTopic::Queries,
            Self::Usage(_) => CatalogTopic::Usage,
            Self::Change(_) => CatalogTopic::Changes,
        }
    }
}

/// One output of the fold: a new value or a tombstone under a key, placed by its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogOutput {
    /// Topic.
    pub topic: CatalogTopic,
    /// Record key, UTF-8.
    pub key: String,
    /// Owner entity: the partition is murmur2 of it.
    pub owner: String,
    /// New value, or `None` for a tombstone.
    pub value: Option<CatalogRecord>,
}
