//! Queries of warehouses, and how datasets are used.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{FromRow, Row};

use super::rows::{OriginRow, micros};
use super::{ReadError, Reader, reading};
use crate::model::fact::{JoinUse, UserUse};
use crate::model::id::EntityId;
use crate::model::query::query_record_key;
use crate::model::record::{QueryRecord, UsageRecord};
use crate::store::text;

/// Newest queries of a dataset among which the most frequent ones are looked for: a dataset may have very many.
const RECENT: i64 = 10_000;

#[derive(FromRow)]
pub(super) struct QueryRow {
    id: String,
    platform: String,
    instance: String,
    query_id: String,
    session: Option<String>,
    user_name: Option<String>,
    application: Option<String>,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    status: String,
    error: Option<String>,
    statement_type: String,
    fingerprint: String,
    query_text: Option<String>,
    job_id: Option<String>,
    reads: Json<Vec<String>>,
    writes: Json<Vec<String>>,
    row_count: Option<i64>,
    bytes_read: Option<i64>,
    duration_us: Option<i64>,
    bound: Json<Vec<String>>,
    source: String,
    expires_at: DateTime<Utc>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<QueryRow> for QueryRecord {
    fn from(row: QueryRow) -> Self {
        Self {
            id: row.id,
            platform: row.platform,
            instance: row.instance,
            query_id: row.query_id,
            session: row.session,
            user: row.user_name,
            application: row.application,
            started_at: micros(row.started_at),
            ended_at: micros(row.ended_at),
            status: row.status,
            error: row.error,
            statement_type: row.statement_type,
            fingerprint: row.fingerprint,
            text: row.query_text,
            job: row.job_id,
            reads: row.reads.0,
            writes: row.writes.0,
            rows: row.row_count,
            bytes: row.bytes_read,
            duration_us: row.duration_us,
            bound: row.bound.0,
            source: row.source,
            expires_at: micros(row.expires_at),
            origin: row.origin.into(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct UsageRow {
    dataset_id: String,
    day: String,
    queries: i64,
    failed: i64,
    writes: i64,
    row_count: i64,
    bytes_read: i64,
    duration_us: i64,
    distinct_users: i64,
    users_exact: bool,
    users: Json<Vec<UserUse>>,
    columns: Json<BTreeMap<String, i64>>,
    filters: Json<BTreeMap<String, i64>>,
    joins: Json<Vec<JoinUse>>,
    expires_at: DateTime<Utc>,
    #[sqlx(flatten)]
    origin: OriginRow,
}

impl From<UsageRow> for UsageRecord {
    fn from(row: UsageRow) -> Self {
        Self {
            dataset: row.dataset_id,
            day: row.day,
            queries: row.queries,
            failed: row.failed,
            writes: row.writes,
            rows: row.row_count,
            bytes: row.bytes_read,
            duration_us: row.duration_us,
            distinct_users: row.distinct_users,
            users_exact: row.users_exact,
            users: row.users.0,
            columns: row.columns.0,
            filters: row.filters.0,
            joins: row.joins.0,
            expires_at: micros(row.expires_at),
            origin: row.origin.into(),
        }
    }
}

/// One page of a dataset's queries.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryPage {
    /// Newest first.
    pub recent: Vec<QueryRecord>,
    /// Whether more follow.
    pub has_more: bool,
    /// Texts that come again and again among the newest queries, the most frequent first.
    pub frequent: Vec<FrequentQuery>,
}

/// Queries of one fingerprint.
#[derive(Clone, Debug, PartialEq)]
pub struct FrequentQuery {
    /// How many there are among the newest queries of the dataset.
    pub queries: i64,
    /// The newest of them.
    pub last: QueryRecord,
}

/// Names that mean a dataset, each with the time in which it does. Queries and usage keep the name that was used. The
/// dataset's own name meant another one before that was renamed away.
macro_rules! names {
    () => {
        "WITH RECURSIVE names (name, since, until, hops) AS (
            SELECT $1::text COLLATE \"C\", '-infinity'::timestamptz, 'infinity'::timestamptz, 0
            UNION
            SELECT a.alias, greatest(n.since, a.valid_from), least(n.until, a.valid_to), n.hops + 1
            FROM names n JOIN aliases a ON a.canonical = n.name
            WHERE n.hops < 8 AND greatest(n.since, a.valid_from) < least(n.until, a.valid_to)
        ), away AS (
            SELECT coalesce(valid_from, '-infinity') AS since, coalesce(valid_to, 'infinity') AS until
            FROM aliases WHERE alias = $1 AND canonical <> $1 AND kind = 'rename'
        )"
    };
}

/// Days of a dataset; a day in which a name changed hands goes to whom it belonged at its end.
const USAGE: &str = concat!(
    names!(),
    " SELECT u.* FROM dataset_usage_daily u
      WHERE u.dataset_id IN (SELECT name FROM names) AND u.day BETWEEN $2 AND $3 AND u.expires_at > $4
        AND EXISTS (SELECT 1 FROM names n WHERE n.name = u.dataset_id
                    AND (u.day || 'T23:59:59Z')::timestamptz >= n.since
                    AND (u.day || 'T23:59:59Z')::timestamptz < n.until)
        AND NOT EXISTS (SELECT 1 FROM away WHERE u.dataset_id = $1
                        AND (u.day || 'T23:59:59Z')::timestamptz >= away.since
                        AND (u.day || 'T23:59:59Z')::timestamptz < away.until)
      ORDER BY u.day, u.dataset_id"
);

/// The newest uses under each name, as many as are wanted of all: from the end of the index, however many there are.
macro_rules! newest {
    ($count:literal) => {
        concat!(
            "SELECT d.ended_at, d.query_key, d.fingerprint FROM names n CROSS JOIN LATERAL (
                 SELECT u.ended_at, u.query_key, u.fingerprint FROM query_datasets u
                 WHERE u.dataset_id = n.name AND u.ended_at >= n.since AND u.ended_at < n.until AND u.expires_at > $2
                   AND NOT EXISTS (SELECT 1 FROM away WHERE u.dataset_id = $1
                                   AND u.ended_at >= away.since AND u.ended_at < away.until)
                 ORDER BY u.ended_at DESC, u.query_key DESC LIMIT ",
            $count,
            ") d GROUP BY d.ended_at, d.query_key, d.fingerprint ORDER BY d.ended_at DESC, d.query_key DESC"
        )
    };
}

const RECENT_QUERIES: &str = concat!(
    names!(),
    " SELECT q.* FROM (",
    newest!("$3::bigint + $4::bigint"),
    " LIMIT $3 OFFSET $4) newest JOIN query_logs q ON q.key = newest.query_key
      ORDER BY q.ended_at DESC, q.key DESC"
);

const FREQUENT_QUERIES: &str = concat!(
    names!(),
    ", newest AS (",
    newest!("$3::bigint"),
    " LIMIT $3), frequent AS (
          SELECT fingerprint, count(*) AS times, (array_agg(query_key ORDER BY ended_at DESC, query_key DESC))[1] AS query_key
          FROM newest WHERE fingerprint <> '' GROUP BY fingerprint ORDER BY times DESC, fingerprint LIMIT $4
      )
      SELECT f.times, q.* FROM frequent f JOIN query_logs q ON q.key = f.query_key
      ORDER BY f.times DESC, f.fingerprint"
);

impl Reader {
    /// The days of a dataset from `from` to `to` (`YYYY-MM-DD`, both inclusive), under all its names, that have not expired
    /// by `as_of`, by day and name.
    pub async fn usage(
        &self,
        dataset: &str,
        (from, to): (&str, &str),
        as_of: DateTime<Utc>,
    ) -> Result<Vec<UsageRecord>, ReadError> {
        let rows: Vec<UsageRow> = sqlx::query_as(USAGE)
            .bind(dataset)
            .bind(from)
            .bind(to)
            .bind(as_of)
            .fetch_all(&self.pool)
            .await
            .map_err(reading("usage"))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The queries that read or wrote a dataset, under all its names, and have not expired by `as_of`.
    pub async fn queries(
        &self,
        dataset: &str,
        (limit, offset): (i64, i64),
        frequent: i64,
        as_of: DateTime<Utc>,
    ) -> Result<QueryPage, ReadError> {
        let mut snapshot = self.snapshot().await?;
        let rows: Vec<QueryRow> = sqlx::query_as(RECENT_QUERIES)
            .bind(dataset)
            .bind(as_of)
            .bind(limit.saturating_add(1))
            .bind(offset)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(reading("queries"))?;
        let mut recent: Vec<QueryRecord> = rows.into_iter().map(Into::into).collect();
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = recent.len() > shown;
        recent.truncate(shown);
        let rows = sqlx::query(FREQUENT_QUERIES)
            .bind(dataset)
            .bind(as_of)
            .bind(RECENT)
            .bind(frequent)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(reading("queries"))?;
        let frequent = rows.iter().map(|row| {
            let last = QueryRow::from_row(row)?.into();
            Ok(FrequentQuery { queries: row.try_get("times")?, last })
        });
        let frequent = frequent.collect::<Result<_, sqlx::Error>>().map_err(reading("queries"))?;
        Ok(QueryPage { recent, has_more, frequent })
    }

    /// The query with this id, unless it has expired by `as_of`.
    pub async fn query(&self, id: &str, as_of: DateTime<Utc>) -> Result<Option<QueryRecord>, ReadError> {
        let key = text::hash(query_record_key(&EntityId::from_canonical(id)).as_bytes());
        let row: Option<QueryRow> = sqlx::query_as("SELECT * FROM query_logs WHERE key = $1 AND expires_at > $2")
            .bind(key)
            .bind(as_of)
            .fetch_optional(&self.pool)
            .await
            .map_err(reading("queries"))?;
        Ok(row.map(Into::into))
    }
}
