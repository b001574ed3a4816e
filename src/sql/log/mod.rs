//! Records of `warehouse.query-logs`, each platform's in its own shape → one vocabulary. Pure; knows neither the
//! catalog nor any other record: pairing lines of a session is the stage's.
//!
//! A record is JSON (or a csvlog line of Postgres) in a shape that its fields give away, or wrapped into
//! `{"platform": "snowflake", "instance": "snowflake://org-account", "record": {…}}`, which says what the shape does
//! not. Platforms that have no decoder of their own use the common shape, see [`common`]. Fields that nobody asks for
//! are ignored, so that a vendor may add some; what is asked for and cannot be read is a rejection with its place, or
//! is absent where the query can do without.
//!
//! | platform | shapes | instance by |
//! |---|---|---|
//! | Snowflake | rows of QUERY_HISTORY, of ACCESS_HISTORY, of both joined | ORGANIZATION_NAME and ACCOUNT_NAME, settings |
//! | BigQuery | audit log v1 and v2, INFORMATION_SCHEMA.JOBS, jobs of the REST API | the job's project |
//! | Redshift | SYS_QUERY_HISTORY, STL_QUERY, SVL_STATEMENTTEXT and alike | settings |
//! | Databricks | system.query.history, system.access.{table,column}_lineage, the REST API's query history | settings, by workspace |
//! | Trino | QueryCompletedEvent (Kafka or HTTP listener), rows of Starburst's query log | the coordinator's address |
//! | Postgres | jsonlog, csvlog | settings |
//! | Hive | LineageLogger, proto logging hook, query history table, audit JSON | settings |
//!
//! `settings` is `sources.query_logs.<platform>`: `instance` for all records that name none, `servers` from what
//! records name (an account, workspace, project, address) to the instance.

mod bigquery;
mod comment;
pub mod common;
mod databricks;
mod event;
mod files;
mod hive;
mod postgres;
mod read;
mod redshift;
mod shape;
mod snowflake;
#[cfg(test)]
mod tests;
mod trino;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::codec::{Limits, json};
use crate::model::raw::{RawRecord, utf8};
use crate::model::reject::{ReasonCode, Rejection};

pub use event::{
    Access, AccessPart, AccessedColumn, DurationLine, LogLine, NamedJob, Platform, QueryEvent, QueryStatus,
};
pub use files::{Record, Records};
use read::Fields;
use shape::Shape;

/// What an installation decides about reading query logs.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Instances by platform (`snowflake`, `postgres`, …); `common` is for records that name no platform.
    pub platforms: BTreeMap<String, LogInstances>,
    /// Values in one record.
    pub json: Limits,
    /// Longest id of a query or session and longest name of a user, bytes.
    pub name_bytes: usize,
}

/// The servers whose logs come in, of one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogInstances {
    /// Namespace of the datasets of records that name no server, e.g. `redshift://cluster.region:5439`.
    pub instance: Option<String>,
    /// From a server as records name it to the namespace of its datasets.
    pub servers: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { platforms: BTreeMap::new(), json: Limits::default(), name_bytes: 2_000 }
    }
}

/// Decodes one record.
///
/// # Errors
/// A rejection with the path of the first fault: no JSON, no shape that is known, a field that cannot be read, no
/// instance, too many values.
pub fn decode<'a>(record: &RawRecord<'a>, config: &LogConfig) -> Result<LogLine<'a>, Rejection> {
    let value = record.required("a query log record")?;
    let received = record.timestamp_ms.and_then(|ms| ms.checked_mul(1_000));
    decode_value(value, received, Instances::Configured(config), config)
}

/// The key under which a record of a query log belongs into its topic: `platform|session`, else user, else query id, so
/// that the lines of a session meet. None for what is no query.
pub fn key(value: &[u8]) -> Option<String> {
    let config = LogConfig::default();
    let (platform, of) = match decode_value(value, Some(0), Instances::Any, &config).ok()? {
        LogLine::Query(event) => {
            let of = event.session_id.or(event.user).unwrap_or(event.query_id);
            (event.platform, of)
        }
        LogLine::Accessed(part) => (part.platform, part.user.unwrap_or(part.query_id)),
        LogLine::Duration(line) => (Platform::Postgres, line.session_id),
        LogLine::SessionEnd { platform, session_id, .. } => (platform, session_id),
        LogLine::NoOp(_) => return None,
    };
    Some(format!("{platform}|{of}"))
}

fn decode_value<'a>(
    value: &'a [u8],
    received: Option<i64>,
    instances: Instances<'_>,
    config: &LogConfig,
) -> Result<LogLine<'a>, Rejection> {
    let text = utf8(value)?;
    let cx = Context { instances, told: None, received };
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    let line = match text.as_bytes().first() {
        Some(b'{') => {
            json::check_values(text, config.json)?;
            decode_object(text, cx)?
        }
        Some(b'0'..=b'9') => postgres::csv(text, &cx)?,
        Some(b'[') => {
            let message = "a list of records: send each as a record of its own, as `tributary produce` does";
            return Err(Rejection::new(ReasonCode::InvalidJson, "", message));
        }
        _ => {
            let message = "neither a JSON object nor a csvlog line of Postgres";
            return Err(Rejection::new(ReasonCode::InvalidJson, "", message));
        }
    };
    finish(line, config)
}

fn decode_object<'a>(text: &'a str, mut cx: Context<'_, 'a>) -> Result<LogLine<'a>, Rejection> {
    let fields = Fields::parse(text)?;
    let Some(platform) = fields.text(&["platform"]) else {
        return decode_shape(&fields, text, shape::of(&fields)?, &cx);
    };
    let platform = Platform::named(&platform);
    cx.told = fields.text(&["instance"]);
    let Some(inner) = fields.raw("record") else { return common::decode(&fields, Some(platform), &cx) };
    let within = |fault: Rejection| fault.within("/record");
    let inner = inner.get();
    if inner.starts_with('"') {
        if platform != Platform::Postgres {
            let message = "a record in a text: only a csvlog line of Postgres may be one";
            return Err(Rejection::new(ReasonCode::InvalidField, "/record", message));
        }
        let line = serde_json::from_str::<read::Scalar<'a>>(inner).map_err(|error| read::not_json(&error))?;
        return match line.0 {
            Some(Cow::Borrowed(line)) => postgres::csv(line, &cx).map_err(within),
            Some(Cow::Owned(line)) => postgres::csv_owned(&line, &cx).map_err(within),
            None => Err(read::missing("/record", "a record in its envelope")),
        };
    }
    let fields = Fields::parse(inner).map_err(within)?;
    let shape = shape::within(&platform, &fields).map_err(within)?;
    match shape {
        Shape::Common => common::decode(&fields, Some(platform), &cx).map_err(within),
        shape => decode_shape(&fields, inner, shape, &cx).map_err(within),
    }
}

fn decode_shape<'a>(
    fields: &Fields<'a>,
    text: &'a str,
    shape: Shape,
    cx: &Context<'_, 'a>,
) -> Result<LogLine<'a>, Rejection> {
    match shape {
        Shape::Snowflake => snowflake::decode(fields, cx),
        Shape::BigQueryAudit => bigquery::audit::decode(text, cx),
        Shape::BigQueryJob => bigquery::rest::decode(text, cx),
        Shape::BigQueryRow => bigquery::row::decode(fields, cx),
        Shape::RedshiftHistory => redshift::history(fields, cx),
        Shape::RedshiftText => redshift::statement_text(fields, cx),
        Shape::DatabricksHistory => databricks::history(fields, cx),
        Shape::DatabricksLineage => databricks::lineage(fields, cx),
        Shape::TrinoEvent => trino::wrapped(text, cx),
        Shape::TrinoBareEvent => trino::bare(text, cx),
        Shape::TrinoRow => trino::row(fields, cx),
        Shape::PostgresJson => postgres::json(fields, cx),
        Shape::HiveLineage => hive::lineage(text, cx),
        Shape::HiveHook => hive::hook(text, cx),
        Shape::HiveRow => hive::row(fields, cx),
        Shape::Common => common::decode(fields, None, cx),
    }
}

/// What all platforms have in common is done once: jobs named in comments, durations, times that go backwards.
fn finish<'a>(mut line: LogLine<'a>, config: &LogConfig) -> Result<LogLine<'a>, Rejection> {
    let bound = |text: &str, what: &str| {
        if text.len() <= config.name_bytes {
            return Ok(());
        }
        let message = format!("{what} of {} bytes, the limit (limits.name_bytes) is {}", text.len(), config.name_bytes);
        Err(Rejection::new(ReasonCode::LimitExceeded, "", message))
    };
    match &mut line {
        LogLine::Query(event) => {
            bound(&event.query_id, "a query id")?;
            bound(event.session_id.as_deref().unwrap_or_default(), "a session id")?;
            bound(event.user.as_deref().unwrap_or_default(), "a user name")?;
            bound(&event.instance, "an instance")?;
            let found = event.text.as_deref().map(comment::of_text).unwrap_or_default();
            event.named_job = event.named_job.take().or(found.job);
            if let Some(application) = found.application {
                event.application = Some(Cow::Owned(application));
            }
            if event.status != QueryStatus::Running {
                event.end = event.end.map(|end| end.max(event.start));
                let took = event.end.map(|end| end.saturating_sub(event.start)).filter(|took| *took > 0);
                event.duration_us = event.duration_us.or(took);
            }
            event.richness = event.rank();
        }
        LogLine::Accessed(part) => {
            bound(&part.query_id, "a query id")?;
            bound(part.user.as_deref().unwrap_or_default(), "a user name")?;
        }
        LogLine::Duration(DurationLine { session_id, .. }) | LogLine::SessionEnd { session_id, .. } => {
            bound(session_id, "a session id")?;
        }
        LogLine::NoOp(_) => {}
    }
    Ok(line)
}

/// Where instances come from.
#[derive(Clone, Copy, Debug)]
enum Instances<'c> {
    /// The record, else the settings.
    Configured(&'c LogConfig),
    /// No matter where: only a key is wanted.
    Any,
}

/// What is known of a record beside its fields.
#[derive(Debug)]
struct Context<'c, 'a> {
    instances: Instances<'c>,
    /// The envelope's instance.
    told: Option<Cow<'a, str>>,
    /// When the broker took the record, µs.
    received: Option<i64>,
}

impl Context<'_, '_> {
    /// The instance: as the envelope says, as the settings say of the first of `servers` that they know, `own` as the
    /// record itself says, or the platform's one instance by the settings.
    fn instance(
        &self,
        platform: &Platform,
        servers: &[Option<&str>],
        own: Option<String>,
    ) -> Result<String, Rejection> {
        if let Some(told) = &self.told {
            return Ok(told.clone().into_owned());
        }
        let Instances::Configured(config) = self.instances else { return Ok(String::new()) };
        let known = config.platforms.get(platform.as_str());
        let server = servers.iter().flatten().find_map(|server| known?.servers.get(*server));
        if let Some(instance) = server.cloned().or(own).or_else(|| known?.instance.clone()) {
            return Ok(instance);
        }
        let named: Vec<&str> = servers.iter().copied().flatten().collect();
        let message = match named.first() {
            None => format!(
                "the record does not say which {platform} it comes from: set sources.query_logs.{platform}.instance, or \
                 send it as {{\"platform\": \"{platform}\", \"instance\": \"…\", \"record\": {{…}}}}"
            ),
            Some(server) => format!(
                "nothing says what instance {server:?} is: set it in sources.query_logs.{platform}.servers, or \
                 sources.query_logs.{platform}.instance for all"
            ),
        };
        Err(Rejection::new(ReasonCode::UnknownInstance, "", message))
    }

    /// The platform of records that name none, by the scheme of the instance that the settings give to such.
    fn common_platform(&self) -> Result<(Platform, String), Rejection> {
        let Instances::Configured(config) = self.instances else {
            return Ok((Platform::Common("common".into()), String::new()));
        };
        let instance = config.platforms.get("common").and_then(|known| known.instance.clone()).ok_or_else(|| {
            let message = "the record does not name its platform: add \"platform\" and \"instance\", or set \
                           sources.query_logs.common.instance for all such records";
            Rejection::new(ReasonCode::UnknownInstance, "", message)
        })?;
        let scheme = instance.split("://").next().unwrap_or_default();
        Ok((Platform::named(scheme), instance))
    }

    /// When a query began: `start`, else `end`, else (of logs that keep no times) when the broker took the record.
    fn start(&self, start: Option<i64>, end: Option<i64>, path: &str) -> Result<i64, Rejection> {
        start.or(end).or(self.received).ok_or_else(|| read::missing(path, "the time at which the query began or ended"))
    }
}
