//! Usage of datasets and pages of queries out of their records. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::CatalogError;
use super::view::{
    ColumnCount, ColumnUsage, DatasetUsage, FrequentQueryView, JoinUsage, QueryList, QueryView, UsageCounts, UsageDay,
    UserUsage, time,
};
use crate::model::query::{day_text, parse_day};
use crate::model::record::{QueryRecord, UsageRecord};
use crate::store::read::QueryPage;

/// Days shown if the question does not say.
const DEFAULT_DAYS: i64 = 30;
/// Days that one answer may span: usage is kept no longer.
pub const MAX_USAGE_DAYS: i64 = 400;

/// The days asked for: both ends, or what is meant without them when it is `today` (days since 1970).
pub(super) fn days(from: Option<&str>, to: Option<&str>, today: i64) -> Result<(String, String), CatalogError> {
    let parse = |parameter: &'static str, text: Option<&str>| {
        let day = text.map(|text| {
            let message = || format!("'{text}' is no day; write it as 2026-11-26");
            parse_day(text).ok_or_else(|| CatalogError::invalid(parameter, message()))
        });
        day.transpose()
    };
    let to = parse("to", to)?.unwrap_or(today);
    let from = parse("from", from)?.unwrap_or(to - DEFAULT_DAYS + 1);
    if from > to {
        return Err(CatalogError::invalid("from", format!("{} is after {}", day_text(from), day_text(to))));
    }
    if to - from >= MAX_USAGE_DAYS {
        let message = format!("{} days are asked for, at most {MAX_USAGE_DAYS} can be", to - from + 1);
        return Err(CatalogError::invalid("from", message));
    }
    Ok((day_text(from), day_text(to)))
}

/// The usage of a dataset in `records`, which are sorted by day and may be of several names of it.
pub(super) fn usage(
    dataset_id: &str,
    canonical_id: &str,
    (from, to): (String, String),
    records: &[UsageRecord],
    top: usize,
) -> DatasetUsage {
    let days = records.chunk_by(|a, b| a.day == b.day).filter_map(|parts| {
        let day = parts.first()?.day.clone();
        Some(UsageDay { day, counts: counts(parts) })
    });
    let mut columns: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut joins: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for record in records {
        for (column, queries) in &record.columns {
            columns.entry(column).or_default().0 += queries;
        }
        for (column, queries) in &record.filters {
            columns.entry(column).or_default().1 += queries;
        }
        for join in &record.joins {
            *joins.entry((&join.column, &join.other, &join.other_column)).or_default() += join.queries;
        }
    }
    let columns = columns
        .into_iter()
        .map(|(column, (queries, filters))| ColumnUsage { column: column.to_owned(), queries, filters })
        .collect();
    let joins = joins
        .into_iter()
        .map(|((column, other, other_column), queries)| JoinUsage {
            column: column.to_owned(),
            other: other.to_owned(),
            other_column: other_column.to_owned(),
            queries,
        })
        .collect();
    DatasetUsage {
        dataset_id: dataset_id.to_owned(),
        canonical_id: canonical_id.to_owned(),
        from,
        to,
        total: counts(records),
        days: days.collect(),
        users: first(users(records), top, |user| user.queries),
        columns: first(columns, top, |column: &ColumnUsage| column.queries),
        joins: first(joins, top, |join: &JoinUsage| join.queries),
    }
}

/// Users by name, each with their columns.
fn users(records: &[UsageRecord]) -> Vec<UserUsage> {
    let mut users: BTreeMap<&str, (i64, i64, BTreeMap<&str, i64>)> = BTreeMap::new();
    for user in records.iter().flat_map(|record| &record.users) {
        let (queries, failed, columns) = users.entry(&user.user).or_default();
        *queries += user.queries;
        *failed += user.failed;
        for (column, count) in &user.columns {
            *columns.entry(column).or_default() += count;
        }
    }
    let view = |(user, (queries, failed, columns)): (&str, (i64, i64, BTreeMap<&str, i64>))| {
        let columns = columns.into_iter().map(|(column, queries)| ColumnCount { column: column.to_owned(), queries });
        let columns = first(columns.collect(), usize::MAX, |column: &ColumnCount| column.queries);
        UserUsage { user: user.to_owned(), queries, failed, columns }
    };
    users.into_iter().map(view).collect()
}

/// The `top` largest; equal ones stay in their order.
fn first<T>(mut all: Vec<T>, top: usize, count: impl Fn(&T) -> i64) -> Vec<T> {
    all.sort_by_key(|item| Reverse(count(item)));
    all.truncate(top);
    all
}

/// The sum of some days or names.
fn counts(records: &[UsageRecord]) -> UsageCounts {
    let sum = |field: fn(&UsageRecord) -> i64| records.iter().map(field).fold(0, i64::saturating_add);
    // One record counts its own users; over several, they are those whose names are known.
    let (users, users_exact) = match records {
        [only] => (only.distinct_users, only.users_exact),
        several => {
            let listed = users(several).len() as i64;
            let all_listed =
                |record: &UsageRecord| record.users_exact && record.users.len() as i64 == record.distinct_users;
            let largest = several.iter().map(|record| record.distinct_users).max().unwrap_or(0);
            (listed.max(largest), several.iter().all(all_listed))
        }
    };
    UsageCounts {
        queries: sum(|record| record.queries),
        failed: sum(|record| record.failed),
        writes: sum(|record| record.writes),
        users,
        users_exact,
        rows: sum(|record| record.rows),
        bytes: sum(|record| record.bytes),
        duration_ms: sum(|record| record.duration_us) / 1_000,
    }
}

/// A page of queries.
pub(super) fn queries(dataset_id: &str, canonical_id: &str, page: QueryPage) -> QueryList {
    QueryList {
        dataset_id: dataset_id.to_owned(),
        canonical_id: canonical_id.to_owned(),
        queries: page.recent.into_iter().map(query).collect(),
        has_more: page.has_more,
        frequent: page
            .frequent
            .into_iter()
            .map(|frequent| FrequentQueryView { queries: frequent.queries, last: query(frequent.last) })
            .collect(),
    }
}

/// A query.
pub(super) fn query(record: QueryRecord) -> QueryView {
    QueryView {
        id: record.id,
        platform: record.platform,
        instance: record.instance,
        query_id: record.query_id,
        session: record.session,
        user: record.user,
        application: record.application,
        started_at: time(record.started_at),
        ended_at: time(record.ended_at),
        status: record.status,
        error: record.error,
        statement_type: record.statement_type,
        fingerprint: record.fingerprint,
        text: record.text,
        job_id: record.job,
        reads: record.reads,
        writes: record.writes,
        rows: record.rows,
        bytes: record.bytes,
        duration_ms: record.duration_us.map(|micros| micros / 1_000),
        source: record.source,
        expires_at: time(record.expires_at),
        origin: record.origin.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fact::{Origin, UserUse};

    fn day(day: &str, users: &[(&str, i64)], distinct_users: i64, users_exact: bool) -> UsageRecord {
        let user = |(name, queries): &(&str, i64)| UserUse {
            user: (*name).to_owned(),
            queries: *queries,
            failed: 0,
            columns: [("c".to_owned(), *queries), ("d".to_owned(), 1)].into(),
        };
        UsageRecord {
            dataset: "d".into(),
            day: day.into(),
            queries: users.iter().map(|(_, queries)| queries).sum(),
            failed: 1,
            writes: 0,
            rows: 10,
            bytes: 0,
            duration_us: 1_500,
            distinct_users,
            users_exact,
            users: users.iter().map(user).collect(),
            columns: [("c".to_owned(), 3), ("d".to_owned(), 4)].into(),
            filters: [("d".to_owned(), 1), ("e".to_owned(), 1)].into(),
            joins: Vec::new(),
            expires_at: 0,
            origin: Origin { topic: String::new(), partition: 0, offset: 0 },
        }
    }

    #[test]
    fn days_and_names_are_summed_up() {
        let records = [
            day("2026-11-25", &[("ann", 2), ("bob", 1)], 2, true),
            day("2026-11-26", &[("bob", 3)], 1, true),
            day("2026-11-26", &[("eve", 1)], 1, true),
        ];
        let range = || ("2026-11-25".to_owned(), "2026-11-26".to_owned());
        let view = usage("x", "d", range(), &records, 2);
        assert_eq!((view.total.queries, view.total.users, view.total.users_exact), (7, 3, true));
        assert_eq!((view.total.rows, view.total.duration_ms), (30, 4));
        let days: Vec<_> =
            view.days.iter().map(|day| (day.day.as_str(), day.counts.queries, day.counts.users)).collect();
        assert_eq!(days, [("2026-11-25", 3, 2), ("2026-11-26", 4, 2)]);
        let users: Vec<_> = view.users.iter().map(|user| (user.user.as_str(), user.queries)).collect();
        assert_eq!(users, [("bob", 4), ("ann", 2)], "the first two");
        assert_eq!(view.users[0].columns[0], ColumnCount { column: "c".into(), queries: 4 });
        let columns: Vec<_> = view.columns.iter().map(|c| (c.column.as_str(), c.queries, c.filters)).collect();
        assert_eq!(columns, [("d", 12, 3), ("c", 9, 0)]);
        let rough = [day("2026-11-25", &[("ann", 2)], 900, false), day("2026-11-26", &[("bob", 3)], 1, true)];
        let total = usage("x", "d", range(), &rough, 2).total;
        assert_eq!((total.users, total.users_exact), (900, false));
    }

    #[test]
    fn days_are_within_reason() {
        let today = parse_day("2026-11-26").expect("a day");
        let plain = days(None, None, today).expect("the last thirty");
        assert_eq!(plain, ("2026-10-28".to_owned(), "2026-11-26".to_owned()));
        assert_eq!(days(None, Some("2026-01-30"), today).expect("thirty").0, "2026-01-01");
        for (from, to) in
            [(Some("2026-11-27"), None), (Some("2025-10-22"), None), (Some("yesterday"), None), (None, Some(""))]
        {
            assert!(matches!(days(from, to, today), Err(CatalogError::Invalid { .. })), "{from:?} {to:?}");
        }
        assert!(days(Some("2025-10-23"), None, today).is_ok());
    }
}
