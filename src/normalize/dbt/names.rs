//! Which names dbt's nodes have in the catalog: ids of their relations, jobs, runs and checks.
//!
//! An artifact names databases, schemas and tables, but not the server; that is what configuration or an envelope adds.

use serde::Deserialize;
use uuid::Uuid;

use crate::model::id::{EntityId, Identity, ReportedBy, ResolvedName, encode};
use crate::model::reject::{ReasonCode, Rejection};

use super::wire::Relation;

/// Where the tables of a dbt project lie; one entry of the setting `dbt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DbtNamespace {
    /// Name of the project; absent: of every project.
    #[serde(default)]
    pub project: Option<String>,
    /// Target of `profiles.yml`; absent: every target.
    #[serde(default)]
    pub target: Option<String>,
    /// Adapter (`postgres`, `snowflake`, …); absent: every adapter.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Namespace of its datasets, such as `postgres://host:5432`.
    pub namespace: String,
}

/// What is known of an artifact's or event's home.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::normalize) struct Wanted<'a> {
    /// Candidates for the project's name: it, or packages of its nodes.
    pub projects: &'a [&'a str],
    pub target: Option<&'a str>,
    pub adapter: Option<&'a str>,
}

/// The configured namespace; `None` if no entry fits, or entries that fit disagree. An entry that names the project
/// is better than one for all.
pub(in crate::normalize) fn configured<'a>(all: &'a [DbtNamespace], wanted: Wanted<'_>) -> Option<&'a DbtNamespace> {
    let fits = |said: &Option<String>, wanted: Option<&str>| match (said, wanted) {
        (Some(said), Some(wanted)) => said == wanted,
        _ => true,
    };
    let fitting = |named: bool| {
        let mut entries = all.iter().filter(move |entry| {
            fits(&entry.target, wanted.target)
                && fits(&entry.adapter, wanted.adapter)
                && entry.project.is_some() == named
                && entry.project.as_deref().is_none_or(|project| wanted.projects.contains(&project))
        });
        let first = entries.next()?;
        entries.all(|other| other.namespace == first.namespace).then_some(first)
    };
    fitting(true).or_else(|| fitting(false))
}

/// Where an artifact's nodes live.
#[derive(Clone, Debug)]
pub(super) struct Home<'a> {
    pub identity: &'a Identity,
    pub topic: &'a str,
    /// Namespace of its datasets as it was told.
    pub namespace: String,
    /// The same in canonical spelling: namespace of its jobs.
    pub jobs: String,
    pub project: String,
    pub target: Option<String>,
    pub adapter: String,
}

impl Home<'_> {
    /// The id of a relation.
    pub fn relation(&self, relation: &Relation) -> Named {
        let parts = [relation.database.as_deref(), relation.schema.as_deref(), Some(relation.name.as_str())];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        let parts: Vec<&str> = parts.collect();
        let quotes = QUOTING.iter().any(|scheme| self.namespace.starts_with(scheme));
        // The last part keeps its dots anyway.
        let outer = parts.len().saturating_sub(1);
        let part = |(nth, part): (usize, &&str)| if quotes && nth < outer { quoted(part) } else { (*part).to_owned() };
        self.named(parts.iter().enumerate().map(part).collect::<Vec<_>>().join("."))
    }

    /// The id of a relation as dbt renders it in SQL.
    pub fn rendered(&self, relation: &str) -> Named {
        self.named(relation.to_owned())
    }

    fn named(&self, name: String) -> Named {
        let by = ReportedBy { job_namespace: Some(&self.jobs), topic: self.topic };
        let resolved = self.identity.dataset(&self.namespace, &name, by);
        Named { namespace: self.namespace.clone(), name, resolved }
    }

    /// The id of what is no relation: exposures, metrics, semantic models, saved queries.
    pub fn abstract_node(&self, unique_id: &str) -> Named {
        let namespace = format!("dbt://{}", encode(&self.project));
        let by = ReportedBy { job_namespace: Some(&self.jobs), topic: self.topic };
        let resolved = self.identity.dataset(&namespace, unique_id, by);
        Named { namespace, name: unique_id.to_owned(), resolved }
    }

    /// The id of a node's job.
    pub fn job(&self, unique_id: &str) -> EntityId {
        EntityId::job(&self.jobs, unique_id)
    }

    /// The id under which a test's or a freshness check's outcome meets what it is about.
    pub fn check(&self, unique_id: &str) -> EntityId {
        EntityId::from_canonical(format!("check://{}/{}", encode(&self.jobs), encode(unique_id)))
    }

    /// The scope of a kind of artifact's listings, and the source of its statements.
    pub fn scope(&self, artifact: &str) -> (EntityId, String) {
        let target = self.target.as_deref().filter(|target| !target.is_empty());
        let of = match target {
            Some(target) => format!("{artifact}/{}/{}", encode(&self.project), encode(target)),
            None => format!("{artifact}/{}", encode(&self.project)),
        };
        // The same project may be deployed to several servers.
        let scope = format!("dbt://{}/{of}", encode(&self.jobs));
        (EntityId::from_canonical(scope), format!("dbt/{of}"))
    }
}

/// A reported name with its id.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub namespace: String,
    pub name: String,
    pub resolved: ResolvedName,
}

/// Schemes of namespaces whose names may hold quoted parts.
const QUOTING: [&str; 8] =
    ["postgres:", "redshift:", "snowflake:", "trino:", "databricks:", "unitycatalog:", "oracle:", "hive:"];

/// A part of a name; one that could be taken for two is quoted.
fn quoted(part: &str) -> String {
    if part.contains(['.', '"']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part.to_owned() }
}

/// The id of a node's run in an invocation: log lines, run results and OpenLineage events tell of the same one.
pub(in crate::normalize) fn run_id(invocation: &str, unique_id: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("dbt:{invocation}/{unique_id}").as_bytes()).hyphenated().to_string()
}

/// The resource type that a unique id begins with.
pub(in crate::normalize) fn resource_type(unique_id: &str) -> &str {
    unique_id.split('.').next().unwrap_or_default()
}

/// The package that a unique id names.
pub(super) fn package(unique_id: &str) -> Option<&str> {
    unique_id.split('.').nth(1).filter(|package| !package.is_empty())
}

/// The rejection of an artifact whose server nobody names.
pub(super) fn unknown_namespace(wanted: Wanted<'_>) -> Rejection {
    let shorten = |text: &str| -> String { text.chars().take(80).collect() };
    let projects: Vec<String> = wanted.projects.iter().take(5).map(|project| shorten(project)).collect();
    let of =
        |word: &str, said: Option<&str>| said.map(|said| format!(", {word} {}", shorten(said))).unwrap_or_default();
    let message = format!(
        "nobody says on which server the tables of dbt project {}{}{} lie: set `dbt` (project, target, adapter, namespace) \
         so that exactly one namespace fits, or send it in an envelope with `namespace`",
        if projects.is_empty() { "(unnamed)".to_owned() } else { projects.join(" or ") },
        of("target", wanted.target),
        of("adapter", wanted.adapter),
    );
    Rejection::new(ReasonCode::UnknownInstance, "", message)
}
