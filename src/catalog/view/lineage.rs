//! Lineage around a dataset or a column.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OriginView;

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To what it is made of.
    Upstream,
    /// To what is made of it.
    Downstream,
    /// Both ways, each on its own.
    Both,
}

/// What the nodes of the answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Datasets.
    Table,
    /// Columns.
    Column,
}

/// Lineage around a dataset or a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageView {
    /// The id as asked for.
    pub dataset: String,
    /// The id under which the catalog keeps it.
    pub canonical_id: String,
    /// The column asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// How many hops at most.
    pub depth: u32,
    /// What the nodes are.
    pub level: Level,
    /// The neighbours by distance, as two lists.
    pub lineage: LineageLists,
    /// Datasets (or columns) upstream within `depth`.
    pub total_upstream: usize,
    /// Datasets (or columns) downstream within `depth`.
    pub total_downstream: usize,
    /// All nodes, the one asked for first.
    pub nodes: Vec<LineageNode>,
    /// All edges between them that were walked.
    pub edges: Vec<LineageEdge>,
    /// Whether there is more behind `depth`.
    pub more: bool,
}

/// How much hangs together with a dataset, at any depth and without a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClosureView {
    /// The id as asked for.
    pub dataset: String,
    /// The id under which the catalog keeps it.
    pub canonical_id: String,
    /// Datasets that it is made of, directly or not.
    pub upstream: usize,
    /// Datasets that are made of it, directly or not.
    pub downstream: usize,
}

/// Upstream and downstream apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageLists {
    /// Nearest first.
    pub upstream: Vec<LineageItem>,
    /// Nearest first.
    pub downstream: Vec<LineageItem>,
}

/// A dataset or column at a distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageItem {
    /// The dataset.
    pub dataset_id: String,
    /// The column, at column level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Display name.
    pub name: String,
    /// Platform; empty if the catalog has no page for it.
    pub platform: String,
    /// Hops.
    pub distance: u32,
    /// The job on the shortest way; the first by id if there are several.
    pub transformation: Option<Transformation>,
}

/// The job behind an edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Transformation {
    /// Job.
    pub job_id: String,
    /// Its type as reported.
    pub job_type: String,
    /// Its description.
    pub description: Option<String>,
    /// Its SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Last successful run seen, whole hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageNode {
    /// Dataset id, or `dataset id#column` at column level.
    pub id: String,
    /// The dataset.
    pub dataset_id: String,
    /// The column, at column level; empty stands for the whole dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Display name.
    pub name: String,
    /// Platform; empty if the catalog has no page for it.
    pub platform: String,
    /// table, view, …; empty if the catalog has no page for it.
    #[serde(rename = "type")]
    pub kind: String,
    /// confirmed, dropped, referenced, …; `unknown` if the catalog has no page for it.
    pub existence: String,
    /// Hops upstream; absent if it is not upstream.
    pub upstream_distance: Option<u32>,
    /// Hops downstream; absent if it is not downstream.
    pub downstream_distance: Option<u32>,
}

/// An edge from what is read to what is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageEdge {
    /// Id of the node that is read.
    pub source: String,
    /// Id of the node that is written.
    pub target: String,
    /// write, or modifies for an edge to itself.
    pub kind: String,
    /// The best confidence of its supporters, 0–100.
    pub confidence: i32,
    /// Whether all supporters are stale.
    pub stale: bool,
    /// Ephemeral datasets that it leads through, in order of the flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
    /// The jobs that support it.
    pub supporters: Vec<Supporter>,
    /// Column pairs behind it, at table level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnPair>,
}

/// A job that supports an edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Supporter {
    /// Job.
    pub job_id: String,
    /// Its name.
    pub job_name: String,
    /// Its integration.
    pub integration: String,
    /// 0–100.
    pub confidence: i32,
    /// Absent from the newest runs, not retired.
    pub stale: bool,
    /// The producer's transformations (`DIRECT/IDENTITY`), at column level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transformations: Vec<String>,
    /// Whether values are hidden on the way, at column level.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masking: bool,
    /// First successful run seen; absent at column level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// Last successful run seen, whole hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// At least so many successful runs; absent at column level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<i64>,
    /// Newest supporting run; absent at column level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The record.
    pub origin: OriginView,
}

/// A pair of columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct ColumnPair {
    /// Column read; empty stands for the whole dataset.
    pub source_column: String,
    /// Column written; empty stands for the whole dataset.
    pub target_column: String,
    /// The producer's transformations, `KIND/SUBTYPE`.
    pub transformations: Vec<String>,
    /// Whether values are hidden.
    pub masking: bool,
    /// Whether the target is no column of its dataset's schema.
    pub unmapped: bool,
}
