//! dbt's artifacts and structured log lines → facts. Pure; knows neither Kafka nor what the catalog holds.
//!
//! A manifest declares: datasets with their docs, owners, tags and contracts, one job for each node with its lineage,
//! and what each test is about; it is a listing of its project and target. A catalog tells columns as the warehouse has
//! them. Run results, freshness results and log lines tell what became of nodes. None of them holds the server's name,
//! and results do not say which table a test is about: the first comes from an envelope or from configuration, the
//! second meets its manifest in the fold, in whatever order they come.

mod catalog;
mod log;
mod manifest;
pub(in crate::normalize) mod names;
mod node;
mod results;
pub mod split;
#[cfg(test)]
mod tests;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::codec::Limits;
use crate::codec::time::parse_micros;
use crate::model::check::{FactLimits, checked, is_time};
use crate::model::fact::{Source, Version};
use crate::model::id::Identity;
use crate::model::raw::{Normalized, RawRecord, hash, utf8};
use crate::model::reject::{ReasonCode, Rejection};
use crate::normalize::openlineage::collect::Collector;

pub use names::DbtNamespace;
use names::{Home, Wanted};
use wire::Metadata;

/// What an installation decides about reading dbt's records.
#[derive(Clone, Debug)]
pub struct DbtConfig {
    /// Names, instances, rewrites.
    pub identity: Arc<Identity>,
    /// Where the tables of each project lie.
    pub namespaces: Vec<DbtNamespace>,
    /// Nesting of values that are kept as they are.
    pub json: Limits,
    /// What the facts of a record may say.
    pub facts: FactLimits,
}

impl Default for DbtConfig {
    fn default() -> Self {
        Self {
            identity: Arc::new(Identity::default()),
            namespaces: Vec::new(),
            json: Limits::default(),
            facts: FactLimits::default(),
        }
    }
}

/// Turns raw records of dbt into facts.
#[derive(Clone, Debug)]
pub struct DbtNormalizer {
    config: DbtConfig,
}

/// The first look at a record: what it is, and where it says so.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Outer<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    /// Of envelopes.
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    artifact: Option<&'a RawValue>,
    #[serde(borrow)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow)]
    project: Option<&'a RawValue>,
    #[serde(borrow)]
    target: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
    #[serde(borrow)]
    relations: Option<&'a RawValue>,
    /// Of log lines: since dbt 1.4, before that, and Fusion's.
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(rename = "type", borrow)]
    line_type: Option<&'a RawValue>,
    #[serde(borrow)]
    record_type: Option<&'a RawValue>,
    #[serde(borrow)]
    event_type: Option<&'a RawValue>,
}

/// What an envelope adds to an artifact.
#[derive(Clone, Debug, Default)]
struct Told {
    namespace: Option<String>,
    project: Option<String>,
    target: Option<String>,
    /// This part, from 0, and how many there are.
    part: u32,
    parts: u32,
}

/// What kind of record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Manifest,
    RunResults,
    Catalog,
    Sources,
    Log,
}

impl Kind {
    /// By the word of an envelope or of a schema's URL.
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "manifest" | "manifest.part" => Self::Manifest,
            "run_results" | "run-results" => Self::RunResults,
            "catalog" | "catalog.part" => Self::Catalog,
            "sources" => Self::Sources,
            "log" => Self::Log,
            _ => return None,
        })
    }

    /// By `https://schemas.getdbt.com/dbt/<kind>/v<n>.json`.
    fn of_schema(url: &str) -> Option<Self> {
        Self::of(url.rsplit('/').nth(1)?)
    }
}

/// Text in a field, if it is one.
fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw?.get()).ok()
}

fn owned(raw: Option<&RawValue>) -> Option<String> {
    text(raw).map(Cow::into_owned).filter(|text| !text.is_empty())
}

impl DbtNormalizer {
    /// A normalizer for one installation.
    pub fn new(config: DbtConfig) -> Self {
        Self { config }
    }

    /// The facts of one record.
    ///
    /// # Errors
    /// A [`Rejection`] if the record is no artifact and no log line of dbt, or nobody says where its tables lie.
    pub fn normalize(&self, record: &RawRecord<'_>) -> Result<Normalized, Rejection> {
        let value = record.required("a dbt record")?;
        let json = utf8(value)?;
        let seen = Seen { config: &self.config, record, hash: hash(value) };
        checked(seen.record(json)?, &self.config.facts)
    }
}

/// One record under way.
struct Seen<'a> {
    config: &'a DbtConfig,
    record: &'a RawRecord<'a>,
    hash: u64,
}

impl Seen<'_> {
    fn record(&self, json: &str) -> Result<Normalized, Rejection> {
        let outer: Outer<'_> = read(json, "")?;
        let Some(artifact) = outer.artifact else {
            return self.artifact(json, &outer, None, Told { parts: 1, ..Told::default() });
        };
        let word = owned(outer.kind).unwrap_or_default();
        let kind = Kind::of(&word).ok_or_else(|| {
            let word: String = word.chars().take(80).collect();
            let message = format!(
                "{word:?} is no kind of dbt record; one of manifest, manifest.part, run_results, catalog, catalog.part, \
                 sources, log"
            );
            Rejection::new(ReasonCode::UnknownType, "/kind", message)
        })?;
        let number = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<u32>(raw.get()).ok());
        let is_part = word.ends_with(".part");
        let (part, parts) = (number(outer.part), number(outer.parts));
        let (part, parts) = match (is_part, part, parts) {
            (false, ..) => (0, 1),
            (true, Some(part), Some(parts)) if part < parts => (part, parts),
            (true, ..) => {
                let message = "a part says which one of how many it is: `part` from 0, below `parts`";
                return Err(Rejection::new(ReasonCode::InvalidField, "/part", message));
            }
        };
        let told = Told {
            namespace: owned(outer.namespace),
            project: owned(outer.project),
            target: owned(outer.target),
            part,
            parts,
        };
        let inner: Outer<'_> = read(artifact.get(), "/artifact")?;
        self.artifact(artifact.get(), &Outer { relations: outer.relations, ..inner }, Some(kind), told)
            .map_err(|fault| fault.within("/artifact"))
    }

    fn artifact(&self, json: &str, outer: &Outer<'_>, kind: Option<Kind>, told: Told) -> Result<Normalized, Rejection> {
        let metadata: Metadata =
            outer.metadata.map(|raw| read(raw.get(), "/metadata")).transpose()?.unwrap_or_default();
        let is_line = text(outer.line_type).is_some_and(|word| word == "log_line");
        let kind = match kind.or_else(|| Kind::of_schema(&metadata.dbt_schema_version)) {
            Some(kind) => kind,
            None if outer.info.is_some() || is_line || outer.record_type.is_some() => Kind::Log,
            None => {
                let url: String = metadata.dbt_schema_version.chars().take(120).collect();
                let message = format!(
                    "neither an artifact (metadata.dbt_schema_version is {url:?}) nor a log line of dbt; an artifact of \
                     another kind needs an envelope with `kind`"
                );
                return Err(Rejection::new(ReasonCode::UnknownType, "/metadata/dbt_schema_version", message));
            }
        };
        match kind {
            Kind::Log if outer.record_type.is_some() => log::fusion_line(self, json, &told),
            Kind::Log if outer.info.is_none() => log::old_line(self, json, &told),
            Kind::Log => log::line(self, json, &told),
            Kind::Manifest => {
                let mut manifest: wire::Manifest<'_> = read(json, "")?;
                if let Some(relations) = outer.relations {
                    manifest.relations = read(relations.get(), "/relations")?;
                }
                manifest::facts(self, &metadata, &manifest, &told)
            }
            Kind::Catalog => catalog::facts(self, &metadata, &read(json, "")?, &told),
            Kind::RunResults | Kind::Sources => results::facts(self, &metadata, &read(json, "")?, &told),
        }
    }

    /// When an artifact was made, microseconds.
    fn time(&self, metadata: &Metadata) -> Result<i64, Rejection> {
        self.parsed_time(&metadata.generated_at, "/metadata/generated_at")
    }

    fn parsed_time(&self, text: &str, path: &str) -> Result<i64, Rejection> {
        parse_micros(text).filter(|time| is_time(*time)).ok_or_else(|| {
            let text: String = text.chars().take(80).collect();
            let message = format!("{text:?} is no ISO 8601 date-time such as 2026-01-31T12:00:00Z");
            Rejection::new(ReasonCode::InvalidField, path, message)
        })
    }

    fn version(&self, time: i64) -> Version {
        Version { epoch: 0, time, seq: 0, hash: self.hash }
    }

    fn collector(&self, source: &str, time: i64) -> Collector {
        Collector::new(Source::parse(source), self.version(time), self.record.origin.clone())
    }

    /// The home of an artifact's nodes. `packages`: those that its nodes belong to, most frequent first.
    fn home(&self, told: &Told, metadata: &Metadata, packages: &[&str]) -> Result<Home<'_>, Rejection> {
        let project = told.project.as_deref().or(Some(metadata.project_name.as_str())).filter(|name| !name.is_empty());
        let named = project.map(|project| vec![project]);
        let projects = named.as_deref().unwrap_or(packages);
        let adapter = Some(metadata.adapter_type.as_str()).filter(|adapter| !adapter.is_empty());
        let wanted = Wanted { projects, target: told.target.as_deref(), adapter };
        let configured = names::configured(&self.config.namespaces, wanted);
        let namespace = match (&told.namespace, configured) {
            (Some(namespace), _) => namespace.clone(),
            (None, Some(entry)) => entry.namespace.clone(),
            (None, None) => return Err(names::unknown_namespace(wanted)),
        };
        if namespace.len() > self.config.facts.name_bytes {
            let message = format!("a namespace of {} bytes, the limit (limits.name_bytes) is less", namespace.len());
            return Err(Rejection::new(ReasonCode::LimitExceeded, "/namespace", message));
        }
        let jobs = self.config.identity.namespace(&namespace);
        let adapter = match adapter {
            Some(adapter) => adapter.to_owned(),
            None => jobs.split(':').next().unwrap_or_default().to_owned(),
        };
        Ok(Home {
            identity: &self.config.identity,
            topic: &self.record.origin.topic,
            jobs,
            namespace,
            // Of several packages the configured one is the project.
            project: project
                .or(configured.and_then(|entry| entry.project.as_deref()))
                .or(projects.first().copied())
                .unwrap_or_default()
                .to_owned(),
            target: told.target.clone().or_else(|| configured.and_then(|entry| entry.target.clone())),
            adapter,
        })
    }
}

/// Reads JSON into a type of ours.
fn read<'a, T: Deserialize<'a>>(json: &'a str, path: &str) -> Result<T, Rejection> {
    serde_json::from_str(json)
        .map_err(|error| Rejection::new(ReasonCode::InvalidJson, path, format!("not what dbt writes here: {error}")))
}

/// Text without the escape sequences by which terminals colour it.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        // CSI: parameters and intermediates, then one final byte.
        rest = match after.strip_prefix('[') {
            Some(sequence) => {
                let end = sequence.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
                end.and_then(|at| sequence.get(at + 1..)).unwrap_or_default()
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// A text that dbt writes for nothing counts as nothing.
fn said(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty() && *text != "None")
}
