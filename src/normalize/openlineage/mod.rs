//! OpenLineage events of specification 1.x and 2.x → facts. Pure; knows neither Kafka nor what the catalog holds.
//!
//! One event gives one fact for its job (with run and lineage) and one for each dataset. Datasets keep the id of the name
//! they were reported under; that a path is a table's location is known to the fold. The core of an event is checked
//! strictly, facets leniently: a facet that does not parse is kept as JSON and never costs the event.

mod collect;
mod columns;
mod dataset;
mod envelope;
mod facets;
mod job;
mod run;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::codec::Limits;
use crate::codec::json;
use crate::model::check::{FactLimits, check_made};
use crate::model::fact::{
    Aspect, EntityKind, Entry, ExistenceState, ReportedName, Source, SqlText, Statement, Version,
};
use crate::model::id::{EntityId, Identity, ReportedBy, join_key, name_key};
use crate::model::raw::{Normalized, RawRecord};
use crate::model::reject::{ReasonCode, Rejection};

use collect::Collector;
use dataset::{Context, Named, Parts, Role};
use envelope::{Dataset, Event, Job, Run, State, Subject};
use facets::Keep;
use job::{JobFacets, Shape};

/// What an installation decides about reading events.
#[derive(Clone, Debug)]
pub struct OpenLineageConfig {
    /// Names, instances, rewrites.
    pub identity: Arc<Identity>,
    /// A facet without a place of its own that is larger than this, in bytes of JSON, is kept as its size and beginning.
    pub max_facet_bytes: usize,
    /// Nesting of facets without a place of their own, and values in one event.
    pub json: Limits,
    /// What the facts of an event may say.
    pub facts: FactLimits,
}

impl Default for OpenLineageConfig {
    fn default() -> Self {
        Self {
            identity: Arc::new(Identity::default()),
            max_facet_bytes: 64 * 1024,
            json: Limits::default(),
            facts: FactLimits::default(),
        }
    }
}

/// Turns raw OpenLineage records into facts.
#[derive(Clone, Debug)]
pub struct OpenLineageNormalizer {
    config: OpenLineageConfig,
}

impl OpenLineageNormalizer {
    /// A normalizer for one installation.
    pub fn new(config: OpenLineageConfig) -> Self {
        Self { config }
    }

    /// Normalises a record whose value is a JSON event. Rejects what breaks the specification's core.
    pub fn normalize(&self, record: &RawRecord<'_>) -> Result<Normalized, Rejection> {
        let value = record.value.ok_or_else(|| {
            Rejection::new(
                ReasonCode::EmptyValue,
                "",
                "an OpenLineage record has a value; tombstones mean nothing here",
            )
        })?;
        self.normalize_json(record, value)
    }

    /// Normalises a record whose event was decoded from another format into `json`.
    pub fn normalize_json(&self, record: &RawRecord<'_>, json: &[u8]) -> Result<Normalized, Rejection> {
        let text = std::str::from_utf8(json).map_err(|error| {
            let message = format!("byte {} is not UTF-8", error.valid_up_to());
            Rejection::new(ReasonCode::InvalidUtf8, "", message)
        })?;
        json::check_values(text, self.config.json)?;
        let hash = hash(record.value.unwrap_or(json));
        match self.decode(text) {
            Ok(event) => self.checked(self.facts(record, event, hash)),
            // Python writes NaN and Infinity, which JSON does not have; they mean that a number is unknown.
            Err(rejection) => match without_non_numbers(text) {
                Some(mended) => {
                    let event = self.decode(&mended)?;
                    self.checked(self.facts(record, event, hash))
                }
                None => Err(rejection),
            },
        }
    }

    fn decode<'a>(&self, text: &'a str) -> Result<Event<'a>, Rejection> {
        let event = envelope::decode(text, self.config.json)?;
        event.check(&self.config.facts)?;
        Ok(event)
    }

    fn checked(&self, normalized: Normalized) -> Result<Normalized, Rejection> {
        if let Normalized::Facts(facts) = &normalized {
            facts.iter().try_for_each(|fact| check_made(fact, &self.config.facts))?;
        }
        Ok(normalized)
    }

    fn facts(&self, record: &RawRecord<'_>, event: Event<'_>, hash: u64) -> Normalized {
        let version = |seq| Version { epoch: 0, time: event.time, seq, hash };
        let topic = record.origin.topic.as_str();
        let collector = |integration: &str, seq| {
            Collector::new(Source::openlineage(integration), version(seq), record.origin.clone())
        };
        match &event.subject {
            Subject::Run { run, job, inputs, outputs } => {
                let known = JobFacets::of(job, Some(run), &event.producer);
                let facts = collector(&known.integration, run.state.rank());
                let names = Names::new(&self.config.identity, Some(&job.namespace), topic);
                self.run(&Seen { time: event.time, run, job, inputs, outputs, known }, names, facts)
            }
            Subject::Job { job, inputs, outputs } => {
                let known = JobFacets::of(job, None, &event.producer);
                let facts = collector(&known.integration, 0);
                let names = Names::new(&self.config.identity, Some(&job.namespace), topic);
                // A design-time statement: one run that stands for all, replaced by the job's next statement.
                let id = EntityId::job(&job.namespace, &job.name);
                let run = &Run {
                    id: uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, id.as_str().as_bytes()).to_string(),
                    state: State::Complete,
                    facets: envelope::Facets::default(),
                };
                let seen = Seen { time: event.time, run, job, inputs, outputs, known };
                self.job_with_lineage(&seen, &job.name, RunKind::Declared, names, facts)
            }
            Subject::Dataset(dataset) => {
                let facts = collector(&job::integration("", &event.producer), 0);
                self.declared_dataset(&event, dataset, Names::new(&self.config.identity, None, topic), facts)
            }
        }
    }

    fn run(&self, seen: &Seen<'_>, mut names: Names<'_>, facts: Collector) -> Normalized {
        let Seen { run, job, inputs, outputs, .. } = *seen;
        let name = match Shape::of(job, &seen.known) {
            Shape::Plain => job.name.to_string(),
            Shape::DbtNode { unique_id } => unique_id,
            Shape::SparkStatement { .. } if inputs.is_empty() && outputs.is_empty() => {
                return Normalized::NoOp("run_without_datasets");
            }
            Shape::SparkStatement { application, node } => {
                let written = names.kept(outputs);
                let is_over = matches!(run.state, State::Complete | State::Fail | State::Abort);
                if written.is_empty() && (!is_over || names.kept(inputs).is_empty()) {
                    // What it will write is not known yet, so neither is which job it is; or it reads nothing of interest.
                    return self.mentions(seen, names, facts);
                }
                match written.as_slice() {
                    [] => format!("{application}.{node}"),
                    written => format!("{application}.{}.{}", job::spark_verb(&node), written.join(",")),
                }
            }
            Shape::DbtSql { parent, ordinal, of_test } => {
                return dbt_sql(run, job, &parent, &ordinal, of_test, facts);
            }
            Shape::DbtTest => return self.dbt_test(seen, names, facts),
        };
        self.job_with_lineage(seen, &name, RunKind::Observed, names, facts)
    }

    fn job_with_lineage(
        &self,
        seen: &Seen<'_>,
        name: &str,
        kind: RunKind,
        mut names: Names<'_>,
        mut facts: Collector,
    ) -> Normalized {
        let Seen { run, job, inputs, outputs, ref known, .. } = *seen;
        let keep = self.keep();
        let id = EntityId::job(&job.namespace, name);
        let (mut said, dependencies) = run::run_event(run, seen.time, known, keep);
        let succeeded = known.succeeded(run.state);
        let cx = Context {
            time: seen.time,
            job: Some(&id),
            run: Some(&run.id),
            schemas_are_complete: known.integration != "dbt",
            keep,
        };
        let (read_as, written_as) = match (kind, succeeded) {
            (RunKind::Observed, true) => (Role::Input, Role::Written),
            (RunKind::Declared, _) => (Role::Input, Role::Planned),
            (RunKind::Observed, false) => (Role::Mention, Role::Mention),
        };
        // The job's fact comes first; its entries are complete only after the datasets are read.
        facts.add(&id, EntityKind::Job, []);
        let (mut read, mut written) = (serde_json::Map::new(), serde_json::Map::new());
        for output in outputs {
            let named = names.of(&output.namespace, &output.name);
            let parts = self.dataset(&mut facts, output, &named, written_as, &cx, &mut names);
            if named.ignored {
                continue;
            }
            said.dataset_versions.extend(parts.version.map(|version| (named.id.clone(), version)));
            if let Some(lineage) = &parts.lineage {
                let complete = cx.schemas_are_complete;
                let edges = columns::edges(lineage, &named, &parts.columns, complete, |ns, name| names.of(ns, name));
                said.column_edges.extend(edges);
            }
            written.extend(parts.of_run.map(|value| (named.id.to_string(), value)));
            said.outputs.push(named.id);
        }
        for input in inputs {
            let named = names.of(&input.namespace, &input.name);
            let parts = self.dataset(&mut facts, input, &named, read_as, &cx, &mut names);
            if named.ignored {
                continue;
            }
            said.dataset_versions.extend(parts.version.map(|version| (named.id.clone(), version)));
            read.extend(parts.of_run.map(|value| (named.id.to_string(), value)));
            said.inputs.push(named.id);
        }
        for (name, of_datasets) in [("inputs", read), ("outputs", written)] {
            if !of_datasets.is_empty() {
                said.facets.insert(name.to_owned(), Value::Object(of_datasets));
            }
        }
        // Many producers name upstreams in column lineage only.
        for (namespace, name, source) in names.lineage_sources(&said.column_edges) {
            facts.add(&source, EntityKind::Dataset, mention_entries(&namespace, &name, names.of(&namespace, &name)));
            said.inputs.push(source);
        }
        for ids in [&mut said.inputs, &mut said.outputs] {
            ids.sort();
            ids.dedup();
        }
        let mut entries = run::job_entries(job, name, known, keep);
        if name != &*job.name {
            let reported =
                ReportedName { namespace: job.namespace.to_string(), name: job.name.to_string(), issues: Vec::new() };
            entries.push(Entry::keyed(name_key(&job.namespace, &job.name), Statement::Name(reported)));
        }
        let key = join_key(&[&said.run_id, &said.state]);
        entries.push(Entry::keyed(key, Statement::Run(said)));
        entries.extend(dependencies);
        facts.add(&id, EntityKind::Job, entries);
        Normalized::Facts(facts.finish())
    }

    /// Adds what an event says of one dataset.
    fn dataset(
        &self,
        facts: &mut Collector,
        dataset: &Dataset<'_>,
        named: &Named,
        role: Role,
        cx: &Context<'_>,
        names: &mut Names<'_>,
    ) -> Parts {
        let mut parts = dataset::read(dataset, named, role, cx, |namespace, name| names.fresh(namespace, name));
        facts.add(&named.id, EntityKind::Dataset, std::mem::take(&mut parts.entries));
        if let Some(former) = &parts.renamed_from {
            let old = names.of(&former.namespace, &former.name);
            if old.id != named.id {
                facts.add(&old.id, EntityKind::Dataset, [Entry::of(Statement::RenamedTo(named.id.clone()))]);
            }
        }
        parts
    }

    /// Only that the datasets were named.
    fn mentions(&self, seen: &Seen<'_>, mut names: Names<'_>, mut facts: Collector) -> Normalized {
        let cx = self.context(seen.time, None);
        for dataset in seen.inputs.iter().chain(seen.outputs) {
            let named = names.of(&dataset.namespace, &dataset.name);
            self.dataset(&mut facts, dataset, &named, Role::Mention, &cx, &mut names);
        }
        Normalized::Facts(facts.finish())
    }

    /// A dbt test says how good data is, and nothing of what it makes on the way.
    fn dbt_test(&self, seen: &Seen<'_>, mut names: Names<'_>, mut facts: Collector) -> Normalized {
        let cx = self.context(seen.time, Some(&seen.run.id));
        for dataset in seen.inputs.iter().chain(seen.outputs) {
            let named = names.of(&dataset.namespace, &dataset.name);
            let parts = dataset::read(dataset, &named, Role::Mention, &cx, |ns, name| names.fresh(ns, name));
            let is_quality =
                |entry: &Entry| matches!(entry.aspect, Aspect::Quality | Aspect::ColumnStats | Aspect::Stats);
            facts.add(&named.id, EntityKind::Dataset, parts.entries.into_iter().filter(is_quality));
        }
        match facts.finish() {
            none if none.is_empty() => Normalized::NoOp("test_without_results"),
            facts => Normalized::Facts(facts),
        }
    }

    fn declared_dataset(
        &self,
        event: &Event<'_>,
        dataset: &Dataset<'_>,
        mut names: Names<'_>,
        mut facts: Collector,
    ) -> Normalized {
        let named = names.of(&dataset.namespace, &dataset.name);
        self.dataset(&mut facts, dataset, &named, Role::Declared, &self.context(event.time, None), &mut names);
        Normalized::Facts(facts.finish())
    }

    fn context<'a>(&self, time: i64, run: Option<&'a str>) -> Context<'a> {
        Context { time, job: None, run, schemas_are_complete: true, keep: self.keep() }
    }

    fn keep(&self) -> Keep {
        Keep { bytes: self.config.max_facet_bytes, json: self.config.json }
    }
}

/// One event about a job, taken apart.
struct Seen<'a> {
    /// Event time, microseconds.
    time: i64,
    run: &'a Run<'a>,
    job: &'a Job<'a>,
    inputs: &'a [Dataset<'a>],
    outputs: &'a [Dataset<'a>],
    known: JobFacets,
}

/// Whether a run was seen or stands for a job's declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunKind {
    Observed,
    Declared,
}

/// The ids of one event's names, each worked out once.
struct Names<'a> {
    identity: &'a Identity,
    by: ReportedBy<'a>,
    known: HashMap<(String, String), Named>,
}

impl<'a> Names<'a> {
    fn new(identity: &'a Identity, job_namespace: Option<&'a str>, topic: &'a str) -> Self {
        Self { identity, by: ReportedBy { job_namespace, topic }, known: HashMap::new() }
    }

    fn of(&mut self, namespace: &str, name: &str) -> Named {
        let key = (namespace.to_owned(), name.to_owned());
        self.known.entry(key).or_insert_with(|| self.identity.dataset(namespace, name, self.by)).clone()
    }

    /// The ids of `datasets` that are not ignored, sorted, each once.
    fn kept(&mut self, datasets: &[Dataset<'_>]) -> Vec<String> {
        let names = datasets.iter().map(|dataset| self.of(&dataset.namespace, &dataset.name));
        let kept: std::collections::BTreeSet<String> =
            names.filter(|named| !named.ignored).map(|named| named.id.to_string()).collect();
        kept.into_iter().collect()
    }

    /// Without remembering: for names that stand once in an event.
    fn fresh(&self, namespace: &str, name: &str) -> Named {
        self.identity.dataset(namespace, name, self.by)
    }

    /// The reported names of the datasets that `edges` read, each dataset once.
    fn lineage_sources(&self, edges: &[crate::model::fact::ColumnEdge]) -> Vec<(String, String, EntityId)> {
        let read: std::collections::HashSet<&EntityId> = edges.iter().map(|edge| &edge.source).collect();
        let mut sources: Vec<_> = self
            .known
            .iter()
            .filter(|(_, named)| read.contains(&named.id))
            .map(|((namespace, name), named)| (namespace.clone(), name.clone(), named.id.clone()))
            .collect();
        sources.sort();
        sources
    }
}

fn mention_entries(namespace: &str, name: &str, named: Named) -> [Entry; 2] {
    let issues = named.issues.iter().map(|issue| issue.as_str().to_owned()).collect();
    let reported = ReportedName { namespace: namespace.to_owned(), name: name.to_owned(), issues };
    [Entry::keyed(name_key(namespace, name), Statement::Name(reported)), dataset::mention(ExistenceState::Referenced)]
}

/// A statement that a dbt node ran: text of the node, not a job.
fn dbt_sql(
    run: &Run<'_>,
    job: &Job<'_>,
    parent: &EntityId,
    ordinal: &str,
    of_test: bool,
    mut facts: Collector,
) -> Normalized {
    let sql = job.facets.get("sql").and_then(|raw| serde_json::from_str::<facets::Sql>(raw.get()).ok());
    let Some(sql) = sql.filter(|_| run.state == State::Complete && !of_test) else {
        return Normalized::NoOp("dbt_sql_statement");
    };
    let text = SqlText { text: sql.query, dialect: sql.dialect.unwrap_or_default(), defaults: Vec::new() };
    facts.add(parent, EntityKind::Job, [Entry::keyed(format!("sql.{ordinal}"), Statement::Sql(text))]);
    Normalized::Facts(facts.finish())
}

fn hash(value: &[u8]) -> u64 {
    Sha256::digest(value).iter().take(8).fold(0, |hash, &byte| (hash << 8) | u64::from(byte))
}

/// The text with the bare words `NaN`, `Infinity` and `-Infinity` outside strings replaced by `null`; `None` if there
/// are none.
fn without_non_numbers(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut found) = (false, false, false);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !in_string && rest.starts_with(word));
        if let Some(tail) = word.and_then(|word| rest.strip_prefix(word)) {
            found = true;
            out.push_str("null");
            rest = tail;
            continue;
        }
        match character {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && character == '\\' && !escaped;
        out.push(character);
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
    }
    found.then_some(out)
}
