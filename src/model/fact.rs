//! Facts: what one source says about one entity in one raw record (design: model §1).
//!
//! A fact is an envelope plus [`Entry`]s. Each entry becomes one register of the fold: its key is
//! (entity, aspect, sub-key, source), its value the [`Statement`], its version the fact's.
//! `None` as a statement is a tombstone: the source takes back what it said under that sub-key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::EntityId;
pub use super::query::{DatasetUse, JoinUse, JoinedColumn, PartUser, QueryRun, UsagePart, UserUse};

/// What kind of thing an id names; chooses the fold rules and the output topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// Table, view, topic, file path, …
    Dataset,
    /// Database or schema.
    Container,
    /// A function of a metastore.
    Function,
    /// A job with its runs and lineage.
    Job,
    /// The scope of a listing; also a check (`check://…`), which only leads its outcomes to datasets.
    Scope,
    /// One execution of a statement, as query logs tell it.
    Query,
}

/// Who speaks: `hms/<instance>`, `openlineage/<integration>`, `query_log/<platform>`, `listing/<scope>`, `person`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Source(String);

impl Source {
    /// A metastore's notification stream.
    pub fn hms(instance: &str) -> Self {
        Self(format!("hms/{instance}"))
    }
    /// An OpenLineage producer, by integration in lower case (`spark`, `airflow`, `dbt`, `trino`, `flink`, …, else `other`).
    pub fn openlineage(integration: &str) -> Self {
        Self(format!("openlineage/{integration}"))
    }
    /// The query log of a platform (`snowflake`, `postgres`, …).
    pub fn query_log(platform: &str) -> Self {
        Self(format!("query_log/{platform}"))
    }
    /// A person's assertion through `catalog.commands`.
    pub fn person() -> Self {
        Self("person".to_owned())
    }
    /// From its written form.
    pub fn parse(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The part before the slash: `hms`, `openlineage`, `person`, ….
    pub fn family(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }
    /// The part after the slash, or empty.
    pub fn detail(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, detail)| detail)
    }
}

/// Total order of one source's statements. Compare only within a source; across sources compare [`Version::time`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "VersionParts", into = "VersionParts")]
pub struct Version {
    /// Configured epoch of the source: raised when a metastore is rebuilt and its event ids start again.
    pub epoch: u32,
    /// Event time, microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// HMS: event id. OpenLineage: run-state rank. Others 0.
    pub seq: i64,
    /// First 8 bytes (big endian) of the SHA-256 of the raw value: breaks ties the same way everywhere.
    pub hash: u64,
}

/// A version as it is written: a state holds very many.
type VersionParts = (u32, i64, i64, u64);

impl From<VersionParts> for Version {
    fn from((epoch, time, seq, hash): VersionParts) -> Self {
        Self { epoch, time, seq, hash }
    }
}

impl From<Version> for VersionParts {
    fn from(Version { epoch, time, seq, hash }: Version) -> Self {
        (epoch, time, seq, hash)
    }
}

impl Version {
    /// Older than every real version.
    pub const MIN: Self = Self { epoch: 0, time: i64::MIN, seq: i64::MIN, hash: 0 };

    /// Fixed-width text that sorts as the version does: 8+16+16+16 hex digits (signed parts offset by 2^63).
    pub fn sortable(&self) -> String {
        let offset = |n: i64| (n as u64) ^ (1 << 63);
        format!("{:08x}{:016x}{:016x}{:016x}", self.epoch, offset(self.time), offset(self.seq), self.hash)
    }

    /// The inverse of [`Version::sortable`].
    pub fn from_sortable(text: &str) -> Option<Self> {
        let part = |from: usize, to: usize| u64::from_str_radix(text.get(from..to)?, 16).ok();
        let signed = |n: u64| (n ^ (1 << 63)) as i64;
        (text.len() == 56).then_some(())?;
        Some(Self {
            epoch: u32::try_from(part(0, 8)?).ok()?,
            time: signed(part(8, 24)?),
            seq: signed(part(24, 40)?),
            hash: part(40, 56)?,
        })
    }
}

/// The raw record that caused something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// Raw topic (a replayed dead letter keeps its first origin).
    pub topic: String,
    /// Partition of it.
    pub partition: i32,
    /// Offset in it.
    pub offset: i64,
}

/// What one source says about one entity in one raw record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Whom it is about; the Kafka key.
    pub entity: EntityId,
    /// What kind of entity.
    pub kind: EntityKind,
    /// Who says so.
    pub source: Source,
    /// Its place in the source's order.
    pub version: Version,
    /// The record it came from.
    pub origin: Origin,
    /// Entities through which the fact was forwarded, the first reported one first. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<EntityId>,
    /// What it says; at most one entry per (aspect, sub-key).
    pub entries: Vec<Entry>,
}

/// One register's new content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which register family.
    pub aspect: Aspect,
    /// Which register in it; empty where the aspect has only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sub_key: String,
    /// The statement, or `None` to take it back.
    pub value: Option<Statement>,
}

impl Entry {
    /// A statement under the empty sub-key.
    pub fn of(value: Statement) -> Self {
        Self { aspect: value.aspect(), sub_key: String::new(), value: Some(value) }
    }
    /// A statement under `sub_key`.
    pub fn keyed(sub_key: impl Into<String>, value: Statement) -> Self {
        Self { aspect: value.aspect(), sub_key: sub_key.into(), value: Some(value) }
    }
    /// A retraction.
    pub fn retract(aspect: Aspect, sub_key: impl Into<String>) -> Self {
        Self { aspect, sub_key: sub_key.into(), value: None }
    }
}

macro_rules! statements {
    ($( $(#[doc = $doc:literal])+ $name:ident($type:ty) = $tag:literal, )+) => {
        /// The families of registers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Aspect { $( $(#[doc = $doc])+ #[serde(rename = $tag)] $name, )+ }

        impl Aspect {
            /// Every aspect.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// Its name in facts and state keys.
            pub fn as_str(self) -> &'static str { match self { $(Self::$name => $tag,)+ } }
        }

        /// One statement about one entity.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Statement { $( $(#[doc = $doc])+ #[serde(rename = $tag)] $name($type), )+ }

        impl Statement {
            /// The family it belongs to.
            pub fn aspect(&self) -> Aspect { match self { $(Self::$name(_) => Aspect::$name,)+ } }
        }
    };
}

statements! {
    /// That the entity exists, was dropped, or was only mentioned.
    Existence(Existence) = "existence",
    /// Columns of a dataset. Sub-key empty for complete statements; for partial ones, the column's path with one column each.
    Columns(Columns) = "columns",
    /// Free text about the entity.
    Description(String) = "description",
    /// Owners, all that this source knows.
    Owners(Vec<Owner>) = "owners",
    /// Tags, all that this source gives (a source retracts only its own).
    Tags(Vec<Tag>) = "tags",
    /// Where the data lies, a URI as the source spells it.
    Location(String) = "location",
    /// Storage format.
    Format(Format) = "format",
    /// Free key-value properties, all of this source.
    Properties(BTreeMap<String, String>) = "properties",
    /// Text of a view.
    ViewText(ViewText) = "view_text",
    /// table, view, materialized_view, external_table, topic, file, path, dashboard, model, ….
    DatasetKind(String) = "dataset_kind",
    /// The source's own remaining fields by their own names, for exact re-export and display (HMS: the Thrift object
    /// less what other aspects hold).
    Native(Value) = "native",
    /// A key or check constraint; sub-key is its name, which is all that a drop tells (HMS: `{"type", "columns"}` with
    /// the Thrift structs by names, one for each column).
    Constraint(Value) = "constraint",
    /// A partition; sub-key is Hive's escaped partition name encoded as an id.
    Partition(Partition) = "partition",
    /// Column statistics of a table or partition; sub-key `column` or `partition|column`.
    ColumnStats(Value) = "column_stats",
    /// Row count, size and the like, as of the fact's event time.
    Stats(Stats) = "stats",
    /// A successful write, for freshness.
    Write(WriteMark) = "write",
    /// A facet we have no place for; sub-key is its name.
    Facet(Value) = "facet",
    /// A spelling under which the source reported the entity; sub-key `namespace|name`.
    Name(ReportedName) = "name",
    /// Another name that the producer gives for the dataset (OpenLineage symlinks facet); sub-key is the other id.
    Symlink(Symlink) = "symlink",
    /// The data set's version as the producer names it (Iceberg snapshot, Delta version).
    DatasetVersion(String) = "dataset_version",
    /// A quality check; sub-key is the check's name.
    Quality(Quality) = "quality",
    /// From this version on the entity is called otherwise.
    RenamedTo(EntityId) = "renamed_to",
    /// With [`Statement::RenamedTo`]: the rename moved the data. What is forwarded by it and lies below `from` (partitions)
    /// lies below `to` afterwards; sources do not report that one by one.
    LocationMoved(LocationMoved) = "location_moved",
    /// This id (a path) is a name of a table; sub-key is the table's id.
    AliasOf(AliasOf) = "alias_of",
    /// A job's description.
    Job(Job) = "job",
    /// What a complete declarative source says that a job reads and writes: edges that older runs bear out and that are
    /// not among these are gone.
    Declared(DeclaredLineage) = "declared",
    /// What a check is about that its results name only by the check's own id. With [`EntityKind::Scope`].
    Subject(Subject) = "subject",
    /// One event of a run; sub-key is `run id|state` so that states of a run are registers of their own.
    Run(RunEvent) = "run",
    /// A job→job edge; sub-key is the other job's id.
    JobDependency(JobDependency) = "job_dependency",
    /// SQL text to be parsed by the `sql` stage.
    Sql(SqlText) = "statement",
    /// A page of a complete listing of a scope; sub-key is the page number.
    Listing(ListingPage) = "listing",
    /// The entity in sub-key was once reported in this scope by this source.
    Member(bool) = "member",
    /// Withdraw everything that reached this entity through the id in sub-key.
    Withdraw(bool) = "withdraw",
    /// The id in sub-key begins (`true`) or ends (`false`) to send everything that it has for this entity: only then is
    /// told what became of it. Only in facts that the fold forwards.
    Resending(bool) = "resending",
    /// Since when a forwarded fact belongs to this entity; only in facts that the fold forwards.
    Joined(Joined) = "joined",
    /// The id in sub-key is another name of this entity; only in facts that the fold forwards.
    Alias(Alias) = "alias",
    /// The entity in sub-key has a LOCATION symlink to this path and has to know whose location that is; only in facts
    /// that the fold forwards.
    LocationAsked(bool) = "location_asked",
    /// One query; the entity is the query itself.
    Query(QueryRun) = "query",
    /// How the queries of one partition of the fold used the dataset on one day; sub-key `YYYY-MM-DD|<partition>`. Only
    /// in facts that the fold forwards.
    Usage(UsagePart) = "usage",
}

/// State of being.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Existence {
    /// What the source knows.
    pub state: ExistenceState,
    /// On what evidence.
    pub evidence: Evidence,
    /// Sets the source's floor: everything it said before this version is void (drop, create).
    #[serde(default)]
    pub floor: bool,
    /// The listing scope the entity belongs to, where the source has listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<EntityId>,
}

impl Existence {
    /// Whether the entity came into being by this: a listing finds what was there before.
    pub fn creates(&self) -> bool {
        self.floor && self.state == ExistenceState::Confirmed && self.evidence != Evidence::Listing
    }
}

/// See [`Existence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistenceState {
    /// It is there.
    Confirmed,
    /// It was there and is gone.
    Dropped,
    /// Somebody read it or named it.
    Referenced,
    /// Ephemeral: lineage passes through it.
    Virtual,
    /// Matches an ignore pattern.
    Ignored,
}

/// On what evidence a source speaks of existence; precedence is decided by the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The owning system's own event.
    Owner,
    /// A complete listing.
    Listing,
    /// Registered by a person or through the API.
    Registered,
    /// Output of a successful run.
    Output,
    /// DDL in a query log.
    Ddl,
    /// Input of a run, or named in column lineage.
    Mention,
}

/// A statement about columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    /// How much it claims.
    pub completeness: Completeness,
    /// In order.
    pub columns: Vec<Column>,
}

/// How much a statement about columns claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// All columns, and no others.
    Complete,
    /// These columns are there; types and comments annotate; others may exist.
    Partial,
    /// Stands in for columns kept elsewhere (Delta's dummy column in HMS).
    Placeholder,
}

/// A column, possibly nested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name as displayed.
    pub name: String,
    /// Type as the source writes it; empty if it does not say.
    #[serde(default)]
    pub data_type: String,
    /// Comment or documentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether NULL is allowed; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nullable: Option<bool>,
    /// A partition key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partition_key: bool,
    /// Fields of a struct, element `[]` of an array, value `{}` of a map, where the source nests them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Column>,
}

/// An owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// Name as given (`user:x`, `team:y`, or plain).
    pub name: String,
    /// Role (`OWNER`, `MAINTAINER`, …); `TECHNICAL` for the account that owns a metastore object.
    pub role: String,
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// Key or label.
    pub key: String,
    /// Value, often empty.
    #[serde(default)]
    pub value: String,
    /// Column path if it is a column's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Storage format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// parquet, orc, avro, text, iceberg, delta, ….
    pub name: String,
    /// Layer above files: iceberg, delta, hudi, hive; empty if none.
    #[serde(default)]
    pub table_format: String,
    /// Hive's input format class or the producer's file format word.
    #[serde(default)]
    pub detail: String,
}

/// Text of a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewText {
    /// As written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// With names resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expanded: Option<String>,
    /// SQL dialect.
    pub dialect: String,
}

/// A partition of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Values in the order of the partition keys.
    pub values: Vec<String>,
    /// Where it lies; `None` if the source does not say.
    pub location: Option<String>,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// The source's remaining fields by their own names.
    pub native: Value,
}

/// Measures of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// Column metrics and other producer fields.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub extra: Value,
}

/// A successful write of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteMark {
    /// When, microseconds since the epoch.
    pub time: i64,
    /// The job that wrote.
    pub job: EntityId,
    /// The run that wrote.
    pub run: String,
    /// Rows written by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes written by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// A spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedName {
    /// Namespace as reported.
    pub namespace: String,
    /// Name as reported.
    pub name: String,
    /// Why the name cannot be trusted: `incomplete`, `loopback`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<String>,
}

/// Another name of a dataset by its producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symlink {
    /// `TABLE` or `LOCATION`.
    pub kind: String,
    /// Whether its namespace is a name of a configured instance.
    pub instance: bool,
    /// The spelling.
    pub namespace: String,
    /// The spelling.
    pub name: String,
}

/// A move of data that goes with a rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationMoved {
    /// Former location of the table, as the source spells it.
    pub from: String,
    /// New location of the table.
    pub to: String,
}

impl LocationMoved {
    /// Where something lies after the move that lay at `location` before; `None` if it stays.
    pub fn apply(&self, location: &str) -> Option<String> {
        let (from, to) = (self.from.trim_end_matches('/'), self.to.trim_end_matches('/'));
        let below = location.strip_prefix(from)?;
        (below.is_empty() || below.starts_with('/')).then(|| format!("{to}{below}"))
    }
}

/// A path that is a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasOf {
    /// `location`, or `name` for a configured other name.
    pub kind: String,
    /// Event time from which it holds, microseconds.
    pub valid_from: i64,
}

/// The rename that brought a forwarded fact to its entity: era decisions (floors, later renames) are made by it,
/// not by the fact's own, older version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Joined {
    /// Who renamed.
    pub source: Source,
    /// When, in that source's order.
    pub version: Version,
    /// Renames that had brought it to former names, newest first: they still tell what was before a drop there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<(Source, Version)>,
}

/// Another name of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// `rename`, `location`, `symlink`, `name`.
    pub kind: String,
    /// Other entities that have the same other name at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<EntityId>,
}

/// A quality check's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// `passed`, `failed`, `measured`; `warn` (failed within what is tolerated), `error` (could not be checked).
    pub status: String,
    /// Column path, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Measure or assertion details.
    pub value: Value,
    /// The run that checked.
    pub run: String,
}

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Namespace as reported.
    pub namespace: String,
    /// Name as reported.
    pub name: String,
    /// Integration and job type, e.g. `SPARK`, `SQL_JOB`, `BATCH`; empty if not said.
    #[serde(default)]
    pub integration: String,
    /// Job type facet.
    #[serde(default)]
    pub job_type: String,
    /// `BATCH` or `STREAMING`; empty if not said.
    #[serde(default)]
    pub processing: String,
    /// The job that encloses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<EntityId>,
    /// Where its source code lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_location: Option<String>,
    /// Source code or SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_code: Option<String>,
    /// Its SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Dialect of its SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
}

/// What one event says of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// The run's id.
    pub run_id: String,
    /// START, RUNNING, COMPLETE, ABORT, FAIL, OTHER.
    pub state: String,
    /// When, microseconds.
    pub time: i64,
    /// Nominal start, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominal_start: Option<i64>,
    /// Nominal end, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominal_end: Option<i64>,
    /// Enclosing run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run: Option<String>,
    /// Enclosing job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_job: Option<EntityId>,
    /// Outermost run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_run: Option<String>,
    /// Error message of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Engine, e.g. `spark 3.5.6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Other run facets by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<String, Value>,
    /// Datasets read, by resolved id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<EntityId>,
    /// Datasets written, by resolved id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<EntityId>,
    /// Dataset versions read or written, by dataset id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dataset_versions: BTreeMap<EntityId, String>,
    /// Column lineage of this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "super::packed_edges")]
    pub column_edges: Vec<ColumnEdge>,
}

/// One column-level dependency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnEdge {
    /// Written dataset.
    pub target: EntityId,
    /// Written field's path; empty for an indirect dependency of the whole dataset.
    pub target_field: String,
    /// Read dataset.
    pub source: EntityId,
    /// Read field's path.
    pub source_field: String,
    /// `DIRECT` or `INDIRECT`; empty if the producer does not say.
    pub kind: String,
    /// IDENTITY, TRANSFORMATION, AGGREGATION, JOIN, FILTER, GROUP_BY, SORT, WINDOW, CONDITIONAL, ….
    pub subtype: String,
    /// The producer's words.
    pub description: String,
    /// Whether the transformation hides values.
    pub masking: bool,
    /// The key is no column of the target's schema.
    pub unmapped: bool,
}

/// Lineage of a job as its definition declares it: everything read goes into everything written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredLineage {
    /// Datasets read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<EntityId>,
    /// Datasets that are read through virtual ones among `inputs`: no edges of their own, but whoever reports them is
    /// right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<EntityId>,
    /// Datasets written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<EntityId>,
    /// What the columns of the written datasets are made of, where the definition tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "super::packed_edges")]
    pub columns: Vec<ColumnEdge>,
}

/// What a check is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Name of the check among those of a dataset.
    pub check: String,
    /// The datasets it checks.
    pub datasets: Vec<EntityId>,
    /// Column path, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Its definition: an object.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

/// A job that waits for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDependency {
    /// `upstream` or `downstream`.
    pub direction: String,
    /// The producer's dependency type.
    pub kind: String,
}

/// SQL with what is needed to bind its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlText {
    /// The text.
    pub text: String,
    /// Dialect.
    pub dialect: String,
    /// Default database and schema.
    pub defaults: Vec<String>,
    /// What the text calls the catalog in which the tables of its own server lie. Names in front of which another one
    /// stands lie elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// What the columns of a query's result are called, by position; empty: as in the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// What they are called in the query itself, where its text may leave them to a star; empty: as in `columns`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query_columns: Vec<String>,
}

/// Longer texts are not bound, bytes: no person writes them, and each would cost as much as thousands of others.
pub const STATEMENT_BYTES: usize = 1 << 20;

/// Last segment of the scope of a listing of containers.
pub const CONTAINERS_SCOPE: &str = "@databases";
/// Last segment of the scope of a listing of functions.
pub const FUNCTIONS_SCOPE: &str = "@functions";

/// What the members of a scope are: a scope has members of one kind, datasets unless its id says otherwise.
pub fn kind_of_members(scope: &EntityId) -> EntityKind {
    match scope.as_str().rsplit('/').next() {
        Some(CONTAINERS_SCOPE) => EntityKind::Container,
        Some(FUNCTIONS_SCOPE) => EntityKind::Function,
        _ => EntityKind::Dataset,
    }
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingPage {
    /// Which listing; all its pages share it.
    pub listing: String,
    /// This page, from 0.
    pub page: u32,
    /// How many there are.
    pub pages: u32,
    /// Entities on this page.
    pub members: Vec<EntityId>,
}
