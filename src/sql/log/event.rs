//! One record of a query log as every platform's decoder gives it: the vocabulary between logs and the sql stage.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::super::types::{ColumnRef, Defaults, Dialect, TableName};

/// Whose log it is: chooses the decoder, the dialect of texts and the settings `sources.query_logs.<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Platform {
    /// Snowflake.
    Snowflake,
    /// Google BigQuery.
    BigQuery,
    /// Amazon Redshift.
    Redshift,
    /// Databricks.
    Databricks,
    /// Trino, Starburst, Presto.
    Trino,
    /// PostgreSQL.
    Postgres,
    /// Apache Hive.
    Hive,
    /// Any other platform, by the name that a record of the common shape gives; lower case.
    Common(Arc<str>),
}

impl Platform {
    /// By the names in use for it, in any case. Every other name is a platform of the common shape.
    pub fn named(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "snowflake" => Self::Snowflake,
            "bigquery" => Self::BigQuery,
            "redshift" => Self::Redshift,
            "databricks" | "unitycatalog" => Self::Databricks,
            "trino" | "starburst" | "presto" => Self::Trino,
            "postgres" | "postgresql" => Self::Postgres,
            "hive" => Self::Hive,
            other => Self::Common(other.into()),
        }
    }

    /// As it stands in keys, sources and settings.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Snowflake => "snowflake",
            Self::BigQuery => "bigquery",
            Self::Redshift => "redshift",
            Self::Databricks => "databricks",
            Self::Trino => "trino",
            Self::Postgres => "postgres",
            Self::Hive => "hive",
            Self::Common(name) => name,
        }
    }

    /// The dialect of its texts; standard SQL for a platform that nobody knows.
    pub fn dialect(&self) -> Dialect {
        Dialect::named(self.as_str()).unwrap_or(Dialect::Ansi)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QueryStatus {
    /// It did what it says.
    Success,
    /// It failed; what it would have written was not.
    Failed,
    /// Somebody or a timeout stopped it.
    Cancelled,
    /// It has begun; this record does not say how it ended.
    Running,
}

impl QueryStatus {
    /// As it stands in facts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Running => "running",
        }
    }
}

/// A table that a query read or wrote, as the platform itself says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The table, complete as far as the platform tells, in the case in which unquoted names are resolved. A path or
    /// URL is one part.
    pub table: TableName,
    /// The columns touched; empty if the platform does not say which.
    pub columns: Vec<AccessedColumn>,
}

/// A column that a query read or wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessedColumn {
    /// Name.
    pub name: Arc<str>,
    /// Of a written column: the columns whose values came into it. Empty if there are none or the platform does not say.
    pub sources: Vec<ColumnRef>,
}

/// The tool and its job behind a query, as a comment, tag, label or column names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedJob {
    /// The tool: `dbt`, `airflow`, `databricks`, `looker`, …; lower case.
    pub tool: String,
    /// The job in the tool's own words: a dbt unique id (`model.shop.orders`), `dag.task` of Airflow, a job's id.
    pub name: String,
    /// The tool's run, if it is told: dbt's invocation id, Airflow's run id.
    pub run: Option<String>,
}

/// One query as one record of a log tells of it. Times are microseconds since the epoch.
///
/// Its identity is (`instance`, `query_id`): several records may tell of one query, the one with the largest `richness`
/// is the one to count.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryEvent<'a> {
    /// Whose log.
    pub platform: Platform,
    /// Namespace of its datasets: `snowflake://org-account`, `bigquery://project`, `postgres://host:5432`.
    pub instance: String,
    /// The platform's id of the query; made of the record's content where it has none.
    pub query_id: Cow<'a, str>,
    /// Session, if the log has them.
    pub session_id: Option<Cow<'a, str>>,
    /// Who asked.
    pub user: Option<Cow<'a, str>>,
    /// In which role.
    pub role: Option<Cow<'a, str>>,
    /// With which program: the client's name, or what a comment of it says.
    pub application: Option<Cow<'a, str>>,
    /// When it began.
    pub start: i64,
    /// When it ended; never before `start`.
    pub end: Option<i64>,
    /// How it ended.
    pub status: QueryStatus,
    /// What went wrong, in the platform's words: `code: message`.
    pub error: Option<Cow<'a, str>>,
    /// The text, comments included.
    pub text: Option<Cow<'a, str>>,
    /// The platform cut the text.
    pub truncated: bool,
    /// The platform's word for the kind of statement.
    pub statement_type: Option<Cow<'a, str>>,
    /// The text's dialect.
    pub dialect: Dialect,
    /// Where its unqualified names belong, unless its session says otherwise.
    pub defaults: Defaults,
    /// Rows read, or returned if the platform counts these.
    pub rows_read: Option<i64>,
    /// Rows inserted, updated and deleted.
    pub rows_written: Option<i64>,
    /// Bytes read.
    pub bytes_read: Option<i64>,
    /// How long it took, by the platform's own count; else the time between start and end.
    pub duration_us: Option<i64>,
    /// What it cost in the platform's own unit: credits (Snowflake), bytes billed (BigQuery), CPU seconds (Trino).
    pub cost: Option<f64>,
    /// What it read. `None`: the platform does not say, ask the text.
    pub reads: Option<Vec<Access>>,
    /// What it wrote. `None`: the platform does not say, ask the text.
    pub writes: Option<Vec<Access>>,
    /// The job that it is part of.
    pub named_job: Option<NamedJob>,
    /// How much the record says; see [`QueryEvent::rank`].
    pub richness: u8,
}

impl<'a> QueryEvent<'a> {
    /// An event of which no more is known than that it was.
    pub(in crate::sql) fn new(platform: Platform, instance: String, query_id: Cow<'a, str>, start: i64) -> Self {
        let dialect = platform.dialect();
        Self {
            platform,
            instance,
            query_id,
            session_id: None,
            user: None,
            role: None,
            application: None,
            start,
            end: None,
            status: QueryStatus::Success,
            error: None,
            text: None,
            truncated: false,
            statement_type: None,
            dialect,
            defaults: Defaults::default(),
            rows_read: None,
            rows_written: None,
            bytes_read: None,
            duration_us: None,
            cost: None,
            reads: None,
            writes: None,
            named_job: None,
            richness: 0,
        }
    }

    /// How much the record says, for choosing among several of one query: its outcome before all (64), then its whole
    /// text (32), without which nobody knows what was asked, then column lineage (16), lists of what it read and wrote
    /// (8), a cut text (4), its duration (2), a user (1).
    pub fn rank(&self) -> u8 {
        let has_sources = |access: &Access| access.columns.iter().any(|column| !column.sources.is_empty());
        let weigh = |is_so: bool, weight: u8| if is_so { weight } else { 0 };
        weigh(self.status != QueryStatus::Running, 64)
            + weigh(self.writes.iter().flatten().any(has_sources), 16)
            + weigh(self.reads.is_some() || self.writes.is_some(), 8)
            + weigh(self.text.is_some() && !self.truncated, 32)
            + weigh(self.text.is_some() && self.truncated, 4)
            + weigh(self.duration_us.is_some(), 2)
            + weigh(self.user.is_some(), 1)
    }
}

/// Tables that a query read or wrote, told apart from the query: Databricks has a row for each pair of tables or
/// columns. Further records of the same statement add to it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessPart<'a> {
    /// Whose log.
    pub platform: Platform,
    /// As in [`QueryEvent`].
    pub instance: String,
    /// The query.
    pub query_id: Cow<'a, str>,
    /// Who asked.
    pub user: Option<Cow<'a, str>>,
    /// When.
    pub at: i64,
    /// What it read.
    pub reads: Vec<Access>,
    /// What it wrote.
    pub writes: Vec<Access>,
    /// The job that it is part of.
    pub named_job: Option<NamedJob>,
}

/// The second line that Postgres writes of a statement, once it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationLine<'a> {
    /// As in [`QueryEvent`].
    pub instance: String,
    /// The session: the duration is that of its latest statement without one.
    pub session_id: Cow<'a, str>,
    /// The line's number in its session; larger than that of the statement's line.
    pub line: i64,
    /// When the statement ended.
    pub end: i64,
    /// How long it took.
    pub duration_us: i64,
    /// The command tag (`SELECT`, `CREATE TABLE AS`).
    pub statement_type: Option<Cow<'a, str>>,
}

/// What one record of `warehouse.query-logs` is.
#[derive(Clone, Debug, PartialEq)]
pub enum LogLine<'a> {
    /// A query. With status `Running` it has begun: Postgres and Hive tell the outcome in a later record of its
    /// session. Postgres: a [`DurationLine`] means success; a failed query of the same text in the same session is the
    /// same query; where durations are not logged, the session's next statement or end means success. Hive's hook: the
    /// later record has the same query id and no text.
    Query(Box<QueryEvent<'a>>),
    /// A part of what a query of another record read and wrote.
    Accessed(AccessPart<'a>),
    /// A statement of Postgres succeeded.
    Duration(DurationLine<'a>),
    /// A session ended: its temporary tables are gone.
    SessionEnd {
        /// Whose log.
        platform: Platform,
        /// As in [`QueryEvent`].
        instance: String,
        /// The session.
        session_id: Cow<'a, str>,
        /// When.
        at: i64,
    },
    /// Valid, but no query; counted under this reason.
    NoOp(&'static str),
}
