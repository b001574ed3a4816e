//! What facts say of queries, and of how a dataset is used by them (design: model §4).
//!
//! A query is an entity of its own, so that one told of by several sources is counted once, from the richest of them.
//! Times are microseconds since 1970.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{EntityId, encode, join_key};

/// How long readers see how a dataset was used on a day, from the end of that day.
pub const USAGE_TTL: i64 = 400 * DAY;

const DAY: i64 = 86_400 * 1_000_000;

impl EntityId {
    /// The id of a query: `query://<enc(instance)>/<enc(query id)>`.
    pub fn query(instance: &str, query_id: &str) -> Self {
        Self::from_canonical(format!("query://{}/{}", encode(instance), encode(query_id)))
    }
}

/// One query that has ended, as one source tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueryRun {
    /// snowflake, bigquery, redshift, databricks, trino, postgres, hive, ….
    pub platform: String,
    /// Namespace of its server's datasets, e.g. `snowflake://org-account`.
    pub instance: String,
    /// The server's own id of the query.
    pub query_id: String,
    /// Session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With which program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Start.
    pub start: i64,
    /// End: the query's event time, whose day it counts to.
    pub end: i64,
    /// success, failed, cancelled.
    pub status: String,
    /// Error text of one that did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// SELECT, INSERT, …; empty if not known.
    #[serde(default)]
    pub statement_type: String,
    /// Of the text without its literals, 16 hex digits; empty without a text.
    #[serde(default)]
    pub fingerprint: String,
    /// The text with its literals redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The job that it is a run of, if it has lineage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<EntityId>,
    /// What it read, by the names it used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<DatasetUse>,
    /// What it wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<EntityId>,
    /// Rows returned or written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<i64>,
    /// How much the source knows of it: of several, the largest is counted.
    #[serde(default)]
    pub richness: u8,
    /// Schemas its names were bound to, `dataset@schema-hash`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<String>,
    /// From this time on readers do not see it.
    pub expires_at: i64,
}

/// How a query used a dataset that it read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DatasetUse {
    /// The dataset.
    pub dataset: EntityId,
    /// Paths of the columns it used in any way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Paths of those it filtered by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// What it was joined by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<JoinedColumn>,
}

/// A column of a dataset that was compared with a column of another one in a join.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JoinedColumn {
    /// Path of the column.
    pub column: String,
    /// The other dataset; the same one in a self-join.
    pub other: EntityId,
    /// Path of its column.
    pub other_column: String,
}

/// How the queries of one partition of the fold used a dataset on one day (UTC). Sub-key: [`usage_key`]. Each query
/// counts once, however often its text names the dataset.
///
/// Counts are those of the fact's version (`seq`). Sums are always there; of what is counted by name only what is not as it
/// was at version `since`, and 0 for what is not counted or listed any more. Lists are in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsagePart {
    /// The version that was sent before; 0 if this is all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub since: i64,
    /// Queries that read it.
    pub queries: i64,
    /// Of these, those that did not succeed.
    #[serde(default)]
    pub failed: i64,
    /// Queries that wrote it.
    #[serde(default)]
    pub writes: i64,
    /// Rows that its readers returned or wrote, together.
    #[serde(default)]
    pub rows: i64,
    /// Bytes that its readers read, also of other datasets.
    #[serde(default)]
    pub bytes: i64,
    /// How long its readers took, together.
    #[serde(default)]
    pub duration_us: i64,
    /// How many users read it.
    #[serde(default)]
    pub distinct_users: i64,
    /// Columns that `users` name, each once, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Users: of all those with the most queries, up to the configured bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<PartUser>,
    /// Only where there are more users than are listed: a HyperLogLog of all of them, in base64; empty if there are no more
    /// of them any more, absent if it is as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<String>,
    /// Queries by column used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, i64>,
    /// Queries by column filtered by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filters: BTreeMap<String, i64>,
    /// Queries by join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<JoinUse>,
}

/// One user in a [`UsagePart`]: there are many of them with the same columns, so that these are named by their place in
/// [`UsagePart::names`], and fields are short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartUser {
    /// The user.
    #[serde(rename = "u")]
    pub user: String,
    /// Queries of theirs that read it.
    #[serde(rename = "q")]
    pub queries: i64,
    /// Of these, those that did not succeed.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    pub failed: i64,
    /// Their queries by column used: place of its name, queries.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<(u32, i64)>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// One user of a dataset on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUse {
    /// The user.
    pub user: String,
    /// Queries of theirs that read it.
    pub queries: i64,
    /// Of these, those that did not succeed.
    pub failed: i64,
    /// Their queries by column used.
    pub columns: BTreeMap<String, i64>,
}

/// A join in which a dataset took part on one day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JoinUse {
    /// Path of its column.
    pub column: String,
    /// The other dataset.
    pub other: String,
    /// Path of the other dataset's column.
    pub other_column: String,
    /// Queries with this join.
    pub queries: i64,
}

/// The key of a query's record: `instance|query id`, both encoded as in its id.
pub fn query_record_key(query: &EntityId) -> String {
    let path = query.as_str().strip_prefix("query://").unwrap_or(query.as_str());
    let (instance, id) = path.split_once('/').unwrap_or(("", path));
    join_key(&[instance, id])
}

/// The day, UTC, of an event time: days since 1970.
pub fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY)
}

/// When readers stop seeing how a dataset was used on a day.
pub fn usage_expiry(day: i64) -> i64 {
    (day + 1).saturating_mul(DAY).saturating_add(USAGE_TTL)
}

/// When a day begins.
pub fn day_start(day: i64) -> i64 {
    day.saturating_mul(DAY)
}

/// A day as `YYYY-MM-DD` in the Gregorian calendar.
pub fn day_text(day: i64) -> String {
    // Years begin in March here, so that the leap day is the last one of a year; eras are the calendar's 400 years.
    let since = day + 719_468;
    let era = since.div_euclid(146_097);
    let day_of_era = since.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

/// The day of a text as [`day_text`] writes it; `None` for every other text.
pub fn parse_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let of_march = if month > 2 { month - 3 } else { month + 9 };
    let year_of_march = year - i64::from(month <= 2);
    let year_of_era = year_of_march.rem_euclid(400);
    let day_of_year = (153 * of_march.rem_euclid(12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let number = year_of_march.div_euclid(400) * 146_097 + day_of_era - 719_468;
    (day_text(number) == text).then_some(number)
}

/// The sub-key of a [`UsagePart`]: `YYYY-MM-DD|<part>`.
pub fn usage_key(day: i64, part: i32) -> String {
    format!("{}|{part}", day_text(day))
}

/// Day and part of a [`usage_key`].
pub fn split_usage_key(key: &str) -> Option<(i64, i32)> {
    let (day, part) = key.split_once('|')?;
    Some((parse_day(day)?, part.parse().ok().filter(|part| *part >= 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let known = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_783, "2026-11-26"),
            (-719_528, "0000-01-01"),
            (2_932_896, "9999-12-31"),
        ];
        for (day, text) in known {
            assert_eq!((day_text(day).as_str(), parse_day(text)), (text, Some(day)));
        }
        for day in (-800_000..3_000_000).step_by(997).filter(|day| *day >= -719_528 && *day <= 2_932_896) {
            assert_eq!(parse_day(&day_text(day)), Some(day));
        }
        for text in ["", "2026", "2026-13-01", "2026-02-29", "2026-2-9", "2026-01-00", "2026-01-01-01", "+026-01-01"] {
            assert_eq!(parse_day(text), None, "{text}");
        }
        assert_eq!(day_of(-1), -1);
        assert_eq!(day_of(86_400_000_000), 1);
    }

    #[test]
    fn keys_name_their_day_and_part() {
        assert_eq!(usage_key(20_783, 3), "2026-11-26|3");
        assert_eq!(split_usage_key("2026-11-26|3"), Some((20_783, 3)));
        for key in ["2026-11-26", "2026-11-26|", "2026-11-26|x", "2026-11-26|-1", "x|1"] {
            assert_eq!(split_usage_key(key), None, "{key}");
        }
        let id = EntityId::query("snowflake://org-account", "01b/2");
        assert_eq!(id.as_str(), "query://snowflake:%2F%2Forg-account/01b%2F2");
        assert_eq!(query_record_key(&id), "snowflake:%2F%2Forg-account|01b%2F2");
    }
}
