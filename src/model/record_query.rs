//! Records of queries and of how datasets are used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fact::{JoinUse, Origin, UserUse};

/// `catalog.queries`, key: `instance|query id`, both encoded as in ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryRecord {
    /// Id of the query's entity.
    pub id: String,
    /// Platform.
    pub platform: String,
    /// Namespace of its server's datasets.
    pub instance: String,
    /// The server's own id.
    pub query_id: String,
    /// Session.
    pub session: Option<String>,
    /// Who asked.
    pub user: Option<String>,
    /// With which program.
    pub application: Option<String>,
    /// Start.
    pub started_at: i64,
    /// End.
    pub ended_at: i64,
    /// success, failed, cancelled.
    pub status: String,
    /// Error text.
    pub error: Option<String>,
    /// SELECT, INSERT, …; empty if not known.
    pub statement_type: String,
    /// Of the text without its literals; empty without a text.
    pub fingerprint: String,
    /// The text, redacted.
    pub text: Option<String>,
    /// The job that it is a run of.
    pub job: Option<String>,
    /// Datasets read.
    pub reads: Vec<String>,
    /// Datasets written.
    pub writes: Vec<String>,
    /// Rows returned or written.
    pub rows: Option<i64>,
    /// Bytes read.
    pub bytes: Option<i64>,
    /// How long it took.
    pub duration_us: Option<i64>,
    /// `dataset@schema-hash` of the schemas its names were bound to.
    pub bound: Vec<String>,
    /// The source that is counted.
    pub source: String,
    /// When readers stop seeing it.
    pub expires_at: i64,
    /// Cause.
    pub origin: Origin,
}

/// `catalog.usage`, key: `dataset id|day`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Dataset id, as the queries named it.
    pub dataset: String,
    /// `YYYY-MM-DD`, UTC, by the end of the query.
    pub day: String,
    /// Queries that read it.
    pub queries: i64,
    /// Of these, those that did not succeed.
    pub failed: i64,
    /// Queries that wrote it.
    pub writes: i64,
    /// Rows that its readers returned or wrote, together.
    pub rows: i64,
    /// Bytes that its readers read, also of other datasets.
    pub bytes: i64,
    /// How long its readers took, together.
    pub duration_us: i64,
    /// How many users read it.
    pub distinct_users: i64,
    /// Whether that is a count; else an estimate.
    pub users_exact: bool,
    /// Users with the most queries, then by name.
    pub users: Vec<UserUse>,
    /// Queries by column used, the most used columns.
    pub columns: BTreeMap<String, i64>,
    /// Queries by column filtered by, the most used columns.
    pub filters: BTreeMap<String, i64>,
    /// Most frequent joins, then by name.
    pub joins: Vec<JoinUse>,
    /// When readers stop seeing it.
    pub expires_at: i64,
    /// Cause.
    pub origin: Origin,
}
