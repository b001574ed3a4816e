//! Names of tables in SQL and in access lists → ids of datasets.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::super::types::{Defaults, Dialect, TableName};
use crate::model::id::{Canon, EntityId, Identity, NameIssue, ReportedBy};

/// Schemas of engines about themselves, on whatever platform.
const SYSTEM_SCHEMAS: &[&str] = &["information_schema", "pg_catalog", "pg_toast", "pg_internal", "performance_schema"];

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A dataset of the catalog.
    Dataset(Named),
    /// What an engine keeps about itself, or makes for one query: the catalog does not want it. It stays in the text.
    Internal,
}

/// A dataset by the name that a query used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub id: EntityId,
    /// Columns are called by their names in lower case.
    pub folds_case: bool,
    /// As reported.
    pub namespace: String,
    pub name: String,
    pub issues: Vec<NameIssue>,
}

impl Named {
    /// The path of one of its columns. A path inside of one comes joined by dots.
    pub fn column(&self, name: &str) -> String {
        if self.folds_case { name.to_lowercase() } else { name.to_owned() }
    }
}

/// The names of one query, each worked out once.
pub(super) struct Names<'a> {
    identity: &'a Identity,
    instance: &'a str,
    dialect: Dialect,
    defaults: &'a Defaults,
    topic: &'a str,
    /// What the text calls the catalog of the instance's own tables.
    catalog: Option<&'a str>,
    /// The only datasets that there are.
    among: Option<&'a BTreeSet<EntityId>>,
    known: RefCell<HashMap<TableName, Place>>,
}

impl<'a> Names<'a> {
    pub fn new(
        identity: &'a Identity,
        instance: &'a str,
        dialect: Dialect,
        defaults: &'a Defaults,
        topic: &'a str,
    ) -> Self {
        Self { identity, instance, dialect, defaults, topic, catalog: None, among: None, known: RefCell::default() }
    }

    /// The instance's own tables lie in the catalog `own` of the text; those of other catalogs lie elsewhere.
    pub fn in_catalog(mut self, own: Option<&'a str>) -> Self {
        self.catalog = own;
        self
    }

    /// Every name stands for one of `datasets`, or for none of the catalog's: somebody who knows has told which ones the
    /// text is about, so also the end of a name finds its dataset if it is the only one.
    pub fn among(mut self, datasets: &'a BTreeSet<EntityId>) -> Self {
        self.among = Some(datasets);
        self
    }

    /// What `table` stands for.
    pub fn place(&self, table: &TableName) -> Place {
        if let Some(known) = self.known.borrow().get(table) {
            return known.clone();
        }
        let place = match self.among {
            None => self.find(table),
            Some(datasets) => self.one_of(table, datasets),
        };
        self.known.borrow_mut().insert(table.clone(), place.clone());
        place
    }

    /// The dataset that `table` stands for, unless it is none of the catalog's.
    pub fn dataset(&self, table: &TableName) -> Option<Named> {
        match self.place(table) {
            Place::Dataset(named) => Some(named),
            Place::Internal => None,
        }
    }

    fn find(&self, table: &TableName) -> Place {
        let parts: Vec<&str> = table.parts.iter().map(|part| &**part).collect();
        if let [one] = parts.as_slice() {
            if one.contains("://") {
                return self.uri(one);
            }
            if one.starts_with('/') {
                return self.named("file", (*one).to_owned());
            }
            if let Some(stage) = one.strip_prefix('@') {
                return self.stage(stage);
            }
        }
        if parts.is_empty() || self.is_internal(&parts) {
            return Place::Internal;
        }
        let parts = match (self.catalog, parts.as_slice()) {
            (Some(own), [catalog, rest @ ..]) if rest.len() > 1 => {
                if !catalog.eq_ignore_ascii_case(own) {
                    // Which server that is nobody has said; a rewrite may.
                    let scheme = if self.dialect == Dialect::Spark { "spark" } else { "trino" };
                    let all: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
                    return self.named(&format!("{scheme}://"), self.joined(&all));
                }
                rest.to_vec()
            }
            _ => parts,
        };
        let mut all = self.missing_parts(parts.len());
        all.extend(parts.iter().map(|part| (*part).to_owned()));
        self.named(self.instance, self.joined(&all))
    }

    fn one_of(&self, table: &TableName, datasets: &BTreeSet<EntityId>) -> Place {
        let place = self.find(table);
        if matches!(&place, Place::Dataset(named) if datasets.contains(&named.id)) {
            return place;
        }
        let parts: Vec<String> = table.parts.iter().map(|part| part.to_lowercase()).collect();
        let ends = |canon: &Canon| {
            let segments = canon.segments().iter().rev();
            canon.segments().len() >= parts.len()
                && segments.zip(parts.iter().rev()).all(|(segment, part)| segment.to_lowercase() == *part)
        };
        let mut found = datasets.iter().filter_map(|id| Some((id, Canon::parse(id.as_str()).ok()?)));
        let mut found = found.by_ref().filter(|(_, canon)| !parts.is_empty() && ends(canon));
        let (Some((id, canon)), None) = (found.next(), found.next()) else { return Place::Internal };
        let namespace = format!("{}://{}", canon.scheme(), canon.authority());
        match self.named(&namespace, self.joined(canon.segments())) {
            Place::Dataset(named) => Place::Dataset(Named { id: id.clone(), ..named }),
            Place::Internal => Place::Internal,
        }
    }

    /// Default database and schema in front of a name that has none.
    fn missing_parts(&self, given: usize) -> Vec<String> {
        let (database, schema) = (self.defaults.database.as_deref(), self.defaults.schemas.first().map(|s| &**s));
        let outer = match (given, database, schema) {
            (1, Some(database), Some(schema)) => vec![database, schema],
            (1, None, Some(schema)) => vec![schema],
            (2, Some(database), _) => vec![database],
            _ => Vec::new(),
        };
        // Hive's and MySQL's names have two parts, and their dialects know no database above.
        let two_parts =
            matches!(self.dialect, Dialect::Hive | Dialect::MySql | Dialect::ClickHouse | Dialect::Teradata);
        let outer =
            if two_parts && given + outer.len() > 2 { outer.get(1..).unwrap_or_default().to_vec() } else { outer };
        outer.into_iter().map(str::to_owned).collect()
    }

    /// A stage of Snowflake: a place of files beside the tables. What is named in it belongs to it.
    fn stage(&self, stage: &str) -> Place {
        let name = stage.split('/').next().unwrap_or_default();
        if name.is_empty() || name.starts_with('~') || name.starts_with('%') {
            return Place::Internal;
        }
        let mut parts: Vec<String> = name.split('.').map(|part| part.trim_matches('"').to_owned()).collect();
        if let Some(last) = parts.last_mut() {
            last.insert(0, '@');
        }
        let mut all = self.missing_parts(parts.len());
        all.append(&mut parts);
        self.named(self.instance, self.joined(&all))
    }

    fn uri(&self, uri: &str) -> Place {
        let path = uri.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let namespace = uri.get(..uri.len() - path.len()).unwrap_or(uri).trim_end_matches('/');
        // A wildcard stands for files of one folder.
        let path = match path.split_once('*') {
            Some((head, _)) => head.rsplit_once('/').map_or("", |(folder, _)| folder),
            None => path,
        };
        self.named(namespace, path.to_owned())
    }

    fn named(&self, namespace: &str, name: String) -> Place {
        let by = ReportedBy { job_namespace: Some(self.instance), topic: self.topic };
        let resolved = self.identity.dataset(namespace, &name, by);
        if resolved.ignored {
            return Place::Internal;
        }
        Place::Dataset(Named {
            id: resolved.id,
            folds_case: resolved.folds_case,
            namespace: namespace.to_owned(),
            name,
            issues: resolved.issues,
        })
    }

    /// The name in one text; quotes keep dots inside a part.
    fn joined(&self, parts: &[String]) -> String {
        let is_bigquery = self.dialect == Dialect::BigQuery;
        let quoted = |part: &String| {
            if !is_bigquery && part.contains(['.', '"', '`']) {
                format!("\"{}\"", part.replace('"', "\"\""))
            } else {
                part.clone()
            }
        };
        parts.iter().map(quoted).collect::<Vec<_>>().join(".")
    }

    fn is_internal(&self, parts: &[&str]) -> bool {
        let Some((table, outer)) = parts.split_last() else { return true };
        let (table, outer): (String, Vec<String>) =
            (table.to_lowercase(), outer.iter().map(|part| part.to_lowercase()).collect());
        if outer.iter().any(|part| SYSTEM_SCHEMAS.contains(&part.as_str())) || table.starts_with("information_schema.")
        {
            return true;
        }
        let database = outer.first().filter(|_| outer.len() > 1).map(String::as_str);
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| table.starts_with(prefix));
        match self.dialect {
            Dialect::Postgres => starts(&["pg_"]) || outer.iter().any(|part| part.starts_with("pg_temp")),
            Dialect::Redshift => starts(&["pg_", "stl_", "stv_", "svl_", "svv_", "svcs_", "sys_"]),
            // `t$partitions` and alike; the catalog of the engine itself.
            Dialect::Trino | Dialect::Athena => table.contains('$') || database == Some("system"),
            Dialect::Databricks => database == Some("system"),
            Dialect::Snowflake => database == Some("snowflake"),
            // Results of queries, kept for a day in datasets without a name; scripts' own tables.
            Dialect::BigQuery => {
                outer.last().is_some_and(|dataset| dataset.starts_with('_')) || starts(&["anon", "__tables__"])
            }
            Dialect::MySql => outer.last().is_some_and(|schema| matches!(schema.as_str(), "mysql" | "sys")),
            Dialect::TSql => outer.last().is_some_and(|schema| schema == "sys") || starts(&["#"]),
            Dialect::ClickHouse => outer.last().is_some_and(|schema| schema == "system"),
            Dialect::Oracle => outer.last().is_some_and(|schema| schema == "sys") || table == "dual",
            _ => false,
        }
    }
}

/// The namespace of the jobs of a server: as dbt's manifests name it too.
pub(super) fn job_namespace(identity: &Identity, instance: &str) -> String {
    // Datasets of all of BigQuery's projects lie in one namespace.
    let instance = if instance.starts_with("bigquery://") { "bigquery" } else { instance };
    identity.namespace(instance)
}
