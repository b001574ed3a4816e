//! What is made of columns that change.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A question about columns that change. The dataset is named, or it is the Kafka topic of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"topics": ["orders"], "clusters": ["kafka://broker:9092"], "columns": ["amount"]}))]
pub struct ImpactQuery {
    /// Datasets by any spelling of their ids; all must be known.
    pub datasets: Vec<String>,
    /// If no dataset is named: topics, the likeliest first. The first that is known counts.
    pub topics: Vec<String>,
    /// Where topics are looked for first, as `kafka://host:port`; then in every cluster.
    pub clusters: Vec<String>,
    /// Paths of the columns that change.
    pub columns: Vec<String>,
}

/// What is made of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImpactView {
    /// The datasets found; none if no topic is known.
    pub datasets: Vec<String>,
    /// The columns that something is made of, in the order asked.
    pub columns: Vec<ColumnImpact>,
    /// Whether a limit has left something out.
    pub truncated: bool,
}

/// What is made of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnImpact {
    /// The column as asked for.
    pub column: String,
    /// What is made of it, the nearest first.
    pub affected: Vec<AffectedColumn>,
}

/// A column, or a dataset as a whole, that is made of another column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AffectedColumn {
    /// Dataset id.
    pub dataset: String,
    /// The column; absent if the whole dataset depends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Ids of the jobs on the way.
    pub jobs: Vec<String>,
    /// Owners of the dataset and of the jobs that write it.
    pub owners: Vec<String>,
    /// A shortest way, both ends included.
    pub path: Vec<ImpactStep>,
}

/// A place on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImpactStep {
    /// Dataset id.
    pub dataset: String,
    /// The column; absent if it is the whole dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Ids of the jobs that lead here from the place before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
}
