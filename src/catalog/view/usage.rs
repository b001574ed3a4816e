//! How datasets are used, and queries.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OriginView;

/// How a dataset was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatasetUsage {
    /// As asked for.
    pub dataset_id: String,
    /// Canonical id.
    pub canonical_id: String,
    /// First day, UTC.
    #[schema(example = "2026-11-01")]
    pub from: String,
    /// Last day, UTC.
    #[schema(example = "2026-11-30")]
    pub to: String,
    /// All these days together.
    pub total: UsageCounts,
    /// The days with queries, in order.
    pub days: Vec<UsageDay>,
    /// Users with the most queries.
    pub users: Vec<UserUsage>,
    /// Columns used the most.
    pub columns: Vec<ColumnUsage>,
    /// Joins used the most.
    pub joins: Vec<JoinUsage>,
}

/// Queries of some time, each counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageCounts {
    /// Queries that read the dataset.
    pub queries: i64,
    /// Of these, those that failed or were cancelled.
    pub failed: i64,
    /// Queries that wrote it.
    pub writes: i64,
    /// How many users read it.
    pub users: i64,
    /// Whether `users` was counted; else there are about, or at least, so many.
    pub users_exact: bool,
    /// Rows that its readers returned or wrote.
    pub rows: i64,
    /// Bytes that its readers read, also of other datasets.
    pub bytes: i64,
    /// Milliseconds that its readers took.
    pub duration_ms: i64,
}

/// One day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageDay {
    /// The day, UTC, by the ends of queries.
    #[schema(example = "2026-11-26")]
    pub day: String,
    /// Its queries.
    #[serde(flatten)]
    pub counts: UsageCounts,
}

/// A user of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserUsage {
    /// The user.
    pub user: String,
    /// Their queries.
    pub queries: i64,
    /// Of these, those that failed or were cancelled.
    pub failed: i64,
    /// The columns that they used the most.
    pub columns: Vec<ColumnCount>,
}

/// How often a column was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnCount {
    /// Path of the column.
    pub column: String,
    /// Queries.
    pub queries: i64,
}

/// The use of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnUsage {
    /// Path of the column.
    pub column: String,
    /// Queries that used it in any way.
    pub queries: i64,
    /// Queries that filtered by it.
    pub filters: i64,
}

/// A join in which a dataset took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinUsage {
    /// Path of its column.
    pub column: String,
    /// The other dataset, as the queries named it.
    pub other: String,
    /// Path of the other dataset's column.
    pub other_column: String,
    /// Queries.
    pub queries: i64,
}

/// Queries that read or wrote a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryList {
    /// As asked for.
    pub dataset_id: String,
    /// Canonical id.
    pub canonical_id: String,
    /// This page, newest first.
    pub queries: Vec<QueryView>,
    /// Whether there are older ones.
    pub has_more: bool,
    /// Texts that come most often among its newest 10,000 queries, whatever their literals.
    pub frequent: Vec<FrequentQueryView>,
}

/// Queries of one text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FrequentQuery)]
pub struct FrequentQueryView {
    /// How many there are.
    pub queries: i64,
    /// The newest of them.
    pub last: QueryView,
}

/// A query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Query)]
pub struct QueryView {
    /// Id.
    #[schema(example = "query://snowflake:%2F%2Forg-account/01b2c3d4")]
    pub id: String,
    /// Platform.
    pub platform: String,
    /// The server, as the namespace of its datasets.
    pub instance: String,
    /// The server's own id of it.
    pub query_id: String,
    /// Session.
    pub session: Option<String>,
    /// Who asked.
    pub user: Option<String>,
    /// With which program.
    pub application: Option<String>,
    /// Start.
    pub started_at: String,
    /// End.
    pub ended_at: String,
    /// success, failed, cancelled.
    pub status: String,
    /// Error text.
    pub error: Option<String>,
    /// SELECT, INSERT, …; empty if not known.
    pub statement_type: String,
    /// The same for texts that differ only in literals and spelling; empty without a text.
    pub fingerprint: String,
    /// The text, its literals replaced.
    pub text: Option<String>,
    /// The job that it is a run of.
    pub job_id: Option<String>,
    /// Datasets read.
    pub reads: Vec<String>,
    /// Datasets written.
    pub writes: Vec<String>,
    /// Rows returned or written.
    pub rows: Option<i64>,
    /// Bytes read.
    pub bytes: Option<i64>,
    /// Milliseconds.
    pub duration_ms: Option<i64>,
    /// The source that told most of it.
    pub source: String,
    /// From then on it is not shown any more.
    pub expires_at: String,
    /// The record.
    pub origin: OriginView,
}
