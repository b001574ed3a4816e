//! Jobs, their runs, and changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{OriginView, OwnerView, TagView};

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    /// Id.
    #[schema(example = "job://spark-jobs/nightly.insert")]
    pub job_id: String,
    /// Namespace as reported.
    pub namespace: String,
    /// Name as reported.
    pub name: String,
    /// SPARK, DBT, AIRFLOW, ….
    pub integration: String,
    /// Job type as reported.
    pub job_type: String,
    /// BATCH or STREAMING.
    pub processing: String,
    /// The job that encloses it.
    pub parent: Option<String>,
    /// Jobs that it encloses.
    pub children: Vec<String>,
    /// Description.
    pub description: Option<String>,
    /// Owners.
    pub owners: Vec<OwnerView>,
    /// Tags.
    pub tags: Vec<TagView>,
    /// Where its source code lies.
    pub source_location: Option<String>,
    /// Source code.
    pub source_code: Option<String>,
    /// SQL.
    pub sql: Option<String>,
    /// SQL dialect.
    pub dialect: Option<String>,
    /// Hash of the definition.
    pub definition_hash: String,
    /// Jobs it depends on or that depend on it; job id → `direction/kind`.
    pub dependencies: BTreeMap<String, String>,
    /// Datasets it reads, as lineage edges tell.
    pub inputs: Vec<String>,
    /// Datasets it writes.
    pub outputs: Vec<String>,
    /// Facets that have no place of their own.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub facets: BTreeMap<String, Value>,
    /// First event time.
    pub first_seen: String,
    /// Last event time, whole hours.
    pub last_seen: String,
    /// Its newest run.
    pub last_run: Option<RunView>,
    /// The record.
    pub origin: OriginView,
}

/// Runs of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    /// The job.
    pub job_id: String,
    /// How many runs there are.
    pub total: i64,
    /// This page, newest first.
    pub runs: Vec<RunView>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Run)]
pub struct RunView {
    /// Id.
    pub run_id: String,
    /// FAIL, ABORT, COMPLETE, RUNNING, START, OTHER.
    pub state: String,
    /// First START.
    pub started_at: Option<String>,
    /// End.
    pub ended_at: Option<String>,
    /// Milliseconds between both.
    pub duration_ms: Option<i64>,
    /// Nominal start.
    pub nominal_start: Option<String>,
    /// Nominal end.
    pub nominal_end: Option<String>,
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
    /// Other facets.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub facets: BTreeMap<String, Value>,
    /// The record.
    pub origin: OriginView,
}

/// Changes of an entity or of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeList {
    /// Newest first.
    pub changes: Vec<ChangeView>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeView {
    /// Id.
    pub id: String,
    /// The entity that changed.
    pub entity: String,
    /// created, dropped, recreated, renamed, schema_changed, ….
    pub kind: String,
    /// Before.
    #[schema(value_type = Object)]
    pub before: Option<Value>,
    /// After.
    #[schema(value_type = Object)]
    pub after: Option<Value>,
    /// Whether it breaks readers.
    pub breaking: bool,
    /// Event time.
    pub time: String,
    /// The source.
    pub source: String,
    /// The record.
    pub origin: OriginView,
}
