//! Which dataset an asset is: the one that its URI names, where it names one, else a thing of Airflow's own.

use crate::model::fact::{Entry, Evidence, Existence, ExistenceState, ReportedName, Statement};
use crate::model::id::{EntityId, Identity, NameIssue, ReportedBy, ResolvedName, encode, name_key};

/// Schemes whose URIs give a table as segments of the path, where OpenLineage joins them with dots.
const TABLES: &[&str] = &[
    "postgres",
    "postgresql",
    "redshift",
    "mysql",
    "mariadb",
    "trino",
    "presto",
    "snowflake",
    "oracle",
    "hive",
    "unitycatalog",
    "databricks",
    "mssql",
    "sqlserver",
    "clickhouse",
    "teradata",
    "vertica",
    "db2",
    "cockroachdb",
];
/// Schemes of stores, of which the authority is the namespace and the path the name.
const STORES: &[&str] = &[
    "s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "wasb", "wasbs", "adl", "hdfs", "webhdfs", "viewfs", "dbfs",
    "oss", "cosn", "obs", "kafka",
];
/// The scheme of namespaces of assets that are no dataset of a known system.
const OWN: &str = "airflow-asset";

/// A dataset under the name that an asset gives it.
pub(super) struct Named {
    /// Namespace and name in OpenLineage's spelling.
    pub reported: (String, String),
    /// Its id.
    pub resolved: ResolvedName,
    /// Nobody but Airflow knows it.
    pub is_own: bool,
}

/// The dataset of an asset of the deployment called `airflow`.
pub(super) fn dataset(uri: &str, airflow: &str, identity: &Identity, topic: &str) -> Named {
    let by = ReportedBy { job_namespace: Some(airflow), topic };
    if let Some((namespace, name)) = known_name(uri) {
        let resolved = identity.dataset(&namespace, &name, by);
        if !resolved.issues.contains(&NameIssue::Incomplete) {
            return Named { reported: (namespace, name), resolved, is_own: false };
        }
    }
    let namespace = format!("{OWN}://{}", encode(airflow));
    let name = without_credentials(uri);
    let resolved = identity.dataset(&namespace, &name, by);
    Named { reported: (namespace, name), resolved, is_own: true }
}

impl Named {
    /// The spelling under which it was reported.
    pub fn name_entry(&self) -> Entry {
        let (namespace, name) = &self.reported;
        let issues = self.resolved.issues.iter().map(|issue| issue.as_str().to_owned()).collect();
        let reported = ReportedName { namespace: namespace.clone(), name: name.clone(), issues };
        Entry::keyed(name_key(namespace, name), Statement::Name(reported))
    }

    pub fn id(&self) -> &EntityId {
        &self.resolved.id
    }
}

/// That somebody named it; a register of its own, so that it never hides what is known better.
pub(super) fn mention(state: ExistenceState) -> Entry {
    let existence = Existence { state, evidence: Evidence::Mention, floor: false, scope: None };
    Entry::keyed("mention", Statement::Existence(existence))
}

/// That it is there.
pub(super) fn confirmed(evidence: Evidence) -> Entry {
    let state = ExistenceState::Confirmed;
    Entry::of(Statement::Existence(Existence { state, evidence, floor: false, scope: None }))
}

/// Namespace and name of a table, topic or path, if the URI is of a system that is known.
fn known_name(uri: &str) -> Option<(String, String)> {
    let (scheme, rest) = uri.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_once('/')?;
    if scheme == "file" {
        return Some(("file".to_owned(), format!("/{path}")));
    }
    if STORES.contains(&scheme.as_str()) {
        return (!authority.is_empty() && !path.is_empty())
            .then(|| (format!("{scheme}://{authority}"), path.to_owned()));
    }
    let is_bigquery = scheme == "bigquery";
    if !is_bigquery && !TABLES.contains(&scheme.as_str()) {
        return None;
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    if authority.is_empty() || parts.is_empty() {
        return None;
    }
    if is_bigquery {
        return Some((scheme, [vec![authority.to_owned()], parts].concat().join(".")));
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let quoted: Vec<String> = parts.into_iter().map(quoted).collect();
    Some((format!("{scheme}://{host}"), quoted.join(".")))
}

/// A part of a name in which a dot or a quote would mean something else.
fn quoted(part: String) -> String {
    if part.contains(['.', '"', '`']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part }
}

/// A segment of a URI without its percent escapes; as it is if they make no text.
fn decoded(segment: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = segment.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2)))) {
            (b'%', Some((high, low))) => {
                out.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| segment.to_owned())
}

/// The URI without a password, which belongs into no catalog.
fn without_credentials(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{scheme}://{host}{path}"),
        _ => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(uri: &str, id: &str, own: bool) {
        let named = dataset(uri, "prod", &Identity::default(), "airflow.events");
        assert_eq!((named.id().as_str(), named.is_own), (id, own), "{uri}");
    }

    #[test]
    fn uris_of_known_systems_are_their_datasets() {
        is("postgres://H:5432/shop/public/orders_raw", "postgres://h:5432/shop/public/orders_raw", false);
        is("postgresql://u:secret@h:5432/shop/public/t?x=1", "postgres://h:5432/shop/public/t", false);
        is("mysql://h:3306/shop/t", "mysql://h:3306/shop/t", false);
        is("trino://h:8080/cat/sch/t", "trino://h:8080/cat/sch/t", false);
        is("snowflake://org-acc/DB/S/T", "snowflake://org-acc/db/s/t", false);
        is("bigquery://proj/ds/t", "bigquery://proj/ds/t", false);
        is("s3://bucket/a/b.parquet", "s3://bucket/a/b.parquet", false);
        is("s3a://bucket/a/", "s3://bucket/a", false);
        is("abfss://box@acc.dfs.core.windows.net/x", "abfss://box@acc.dfs.core.windows.net/x", false);
        is("kafka://h:9092/topic", "kafka://h:9092/topic", false);
        is("file:///data/in.csv", "file:///data/in.csv", false);
        is("postgres://h:5432/d/s/my%20table", "postgres://h:5432/d/s/my%20table", false);
        is("postgres://h:5432/d/s/a.b", "postgres://h:5432/d/s/a.b", false);
    }

    #[test]
    fn what_names_no_dataset_is_an_asset_of_its_deployment() {
        is("orders", "airflow-asset://prod/orders", true);
        is("x-team:orders", "airflow-asset://prod/x-team:orders", true);
        // A table needs its schema.
        is("postgres://h:5432/shop/t", "airflow-asset://prod/postgres://h:5432/shop/t", true);
        is("s3://bucket", "airflow-asset://prod/s3://bucket", true);
        let secret = dataset("https://u:secret@h/x", "prod", &Identity::default(), "airflow.events");
        assert!(!secret.id().as_str().contains("secret") && !secret.reported.1.contains("secret"));
    }
}
