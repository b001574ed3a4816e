//! OpenLineage events of specification 1.x and 2.x → facts. Pure; knows neither Kafka nor what the catalog holds.
//!
//! One event gives one fact for its job (with run and lineage) and one for each dataset. Datasets keep the id of the name
//! they were reported under; that a path is a table's location is known to the fold. The core of an event is checked
//! strictly, facets leniently: a facet that does not parse is kept as JSON and never costs the event.

pub(in crate::normalize) mod airflow;
pub(in crate::normalize) mod collect;
mod columns;
mod dataset;
mod envelope;
mod facets;
mod job;
mod run;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod text_tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::codec::Limits;
use crate::codec::json;
use crate::model::check::{FactLimits, checked};
use crate::model::fact::{
    Aspect, EntityKind, Entry, ExistenceState, ReportedName, Source, SqlText, Statement, Version,
};
use crate::model::id::{EntityId, Identity, NameIssue, ReportedBy, join_key, name_key};
use crate::model::raw::{self, Normalized, RawRecord, utf8};
use crate::model::reject::Rejection;

use super::dbt::DbtNamespace;
use super::dbt::names::{Wanted, configured, resource_type, run_id as dbt_run_id};
use collect::Collector;
use dataset::{Context, Named, Parts, Role};
use envelope::{Dataset, Event, Job, Run, State, Subject};
use facets::Keep;
use job::{JobFacets, Shape};
pub use text::{QueryKind, QueryKinds};

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
    /// Where the tables of dbt projects lie, for events of dbt that name no dataset.
    pub dbt: Vec<DbtNamespace>,
    /// Which queries are of one kind: jobs that are called by a query's id become one job for each kind, which is the one
    /// that the query log tells of. Without it they stay a job for each query.
    pub query_kinds: Option<QueryKinds>,
}

impl Default for OpenLineageConfig {
    fn default() -> Self {
        Self {
            identity: Arc::new(Identity::default()),
            max_facet_bytes: 64 * 1024,
            json: Limits::default(),
            facts: FactLimits::default(),
            dbt: Vec::new(),
            query_kinds: None,
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
        self.normalize_json(record, record.required("an OpenLineage record")?)
    }

    /// Normalises a record whose event was decoded from another format into `json`.
    pub fn normalize_json(&self, record: &RawRecord<'_>, json: &[u8]) -> Result<Normalized, Rejection> {
        let text = utf8(json)?;
        json::check_values(text, self.config.json)?;
        let hash = raw::hash(record.value.unwrap_or(json));
        match self.decode(text) {
            Ok(event) => checked(self.facts(record, event, hash), &self.config.facts),
            // Python writes NaN and Infinity, which JSON does not have; they mean that a number is unknown.
            Err(rejection) => match without_non_numbers(text) {
                Some(mended) => {
                    let event = self.decode(&mended)?;
                    checked(self.facts(record, event, hash), &self.config.facts)
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
                let reported_run = run.id.as_str();
                let kinds = self.config.query_kinds;
                let query = kinds.and_then(|kinds| text::query_kind(job, &known.integration, kinds));
                let seen = Seen { time: event.time, run, reported_run, job, inputs, outputs, known, query };
                self.run(&seen, names, facts)
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
                let seen =
                    Seen { time: event.time, run, reported_run: &run.id, job, inputs, outputs, known, query: None };
                self.job_with_lineage(&seen, (&job.namespace, &job.name), RunKind::Declared, names, facts)
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
            Shape::Plain => match &seen.query {
                Some(query) => {
                    // As the query log calls its server.
                    let instance = self.config.identity.instances().find(&job.namespace);
                    let namespace = instance.map_or(&*job.namespace, |instance| instance.namespace.as_str());
                    let job = (namespace, query.name.as_str());
                    return self.job_with_lineage(seen, job, RunKind::Observed, names, facts);
                }
                None => job.name.to_string(),
            },
            Shape::DbtNode { unique_id } => return self.dbt_node(seen, &unique_id, names, facts),
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
            Shape::DbtSql { unique_id, ordinal } => return self.dbt_sql(seen, &unique_id, &ordinal, facts),
            Shape::DbtTest => return self.dbt_test(seen, names, facts),
        };
        self.job_with_lineage(seen, (&job.namespace, &name), RunKind::Observed, names, facts)
    }

    /// A dbt node is one job, whatever its producer calls it and whoever else tells of it: manifests, results, query
    /// logs. It is known by where its datasets lie and by dbt's unique id; the job namespace is only a user's word.
    fn dbt_node(&self, seen: &Seen<'_>, unique_id: &str, names: Names<'_>, facts: Collector) -> Normalized {
        let dbt: facets::DbtRun = seen.run.facets.get("dbt_run").map(read_leniently).unwrap_or_default();
        let of_dataset = seen.outputs.iter().chain(seen.inputs).next().map(|dataset| &*dataset.namespace);
        let namespace = of_dataset.or_else(|| self.dbt_namespace(dbt.project_name.as_deref(), unique_id));
        let namespace = namespace.map(|namespace| self.config.identity.namespace(namespace));
        let namespace = namespace.unwrap_or_else(|| seen.job.namespace.to_string());
        // The same run is told by dbt's own results, which know nothing of OpenLineage's run ids.
        let id = match dbt.invocation_id.filter(|id| !id.is_empty()) {
            Some(invocation) => dbt_run_id(&invocation, unique_id),
            None => seen.run.id.clone(),
        };
        let run = Run { id, state: seen.run.state, facets: seen.run.facets.clone() };
        let seen = Seen { run: &run, known: seen.known.clone(), query: None, ..*seen };
        self.job_with_lineage(&seen, (&namespace, unique_id), RunKind::Observed, names, facts)
    }

    /// Where the tables of a dbt project lie by configuration.
    fn dbt_namespace(&self, project: Option<&str>, unique_id: &str) -> Option<&str> {
        let package = unique_id.split('.').nth(1);
        let projects: Vec<&str> = project.or(package).into_iter().collect();
        let wanted = Wanted { projects: &projects, ..Wanted::default() };
        configured(&self.config.dbt, wanted).map(|entry| entry.namespace.as_str())
    }

    /// A statement that a dbt node ran: text of the node, not a job. Its event names no dataset, so only configuration
    /// tells whose text it is; manifests and query logs tell the same.
    fn dbt_sql(&self, seen: &Seen<'_>, unique_id: &str, ordinal: &str, mut facts: Collector) -> Normalized {
        let sql = text::sql(&seen.job.facets);
        let is_of_node = matches!(resource_type(unique_id), "model" | "seed" | "snapshot");
        let sql = sql.filter(|_| seen.run.state == State::Complete && is_of_node);
        let dbt: facets::DbtRun = seen.run.facets.get("dbt_run").map(read_leniently).unwrap_or_default();
        let namespace = self.dbt_namespace(dbt.project_name.as_deref(), unique_id);
        let Some((sql, namespace)) = sql.zip(namespace) else { return Normalized::NoOp("dbt_sql_statement") };
        let parent = EntityId::job(&self.config.identity.namespace(namespace), unique_id);
        let text = SqlText { text: sql.query, dialect: sql.dialect.unwrap_or_default(), ..SqlText::default() };
        facts.add(&parent, EntityKind::Job, [Entry::keyed(format!("sql.{ordinal}"), Statement::Sql(text))]);
        Normalized::Facts(facts.finish())
    }

    fn job_with_lineage(
        &self,
        seen: &Seen<'_>,
        (namespace, name): (&str, &str),
        kind: RunKind,
        mut names: Names<'_>,
        mut facts: Collector,
    ) -> Normalized {
        let Seen { run, job, inputs, outputs, ref known, .. } = *seen;
        let keep = self.keep();
        let id = EntityId::job(namespace, name);
        let (mut said, dependencies) = run::run_event(run, seen.time, known, keep);
        if seen.reported_run != run.id {
            said.facets.insert("reported_run".to_owned(), Value::from(seen.reported_run));
        }
        let succeeded = known.succeeded(run.state);
        said.facets.extend(airflow::attempt(run));
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
                // dbt's relations have all their parts: a bare name is a common table expression that its parser let out.
                let is_dbt = known.integration == "dbt";
                let source = |ns: &str, name: &str| {
                    let source = names.of(ns, name);
                    let leaked = is_dbt && source.issues.contains(&NameIssue::Incomplete);
                    Named { ignored: source.ignored || leaked, ..source }
                };
                let edges = columns::edges(lineage, &named, &parts.columns, complete, source);
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
        let mut entries = run::job_entries(job, (namespace, name), known, keep);
        if let Some(query) = &seen.query {
            for entry in &mut entries {
                if let Some(Statement::Job(job)) = &mut entry.value {
                    job.sql = Some(query.text.clone());
                }
            }
        } else if (namespace, name) != (&*job.namespace, &*job.name) {
            let reported =
                ReportedName { namespace: job.namespace.to_string(), name: job.name.to_string(), issues: Vec::new() };
            entries.push(Entry::keyed(name_key(&job.namespace, &job.name), Statement::Name(reported)));
        }
        entries.extend(airflow::schedule(run));
        if succeeded || kind == RunKind::Declared {
            let text = text::statement(job, run, &known.integration, &said);
            entries.extend(text.map(|text| Entry::of(Statement::Sql(text))));
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
    /// The run's id as its producer gives it.
    reported_run: &'a str,
    job: &'a Job<'a>,
    inputs: &'a [Dataset<'a>],
    outputs: &'a [Dataset<'a>],
    known: JobFacets,
    /// Of the query that is the job.
    query: Option<QueryKind>,
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

/// A facet that counts as empty if it does not parse.
fn read_leniently<T: serde::de::DeserializeOwned + Default>(raw: &serde_json::value::RawValue) -> T {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// The text with the bare words `NaN`, `Infinity` and `-Infinity` outside strings replaced by `null`; `None` if there
/// are none.
pub(in crate::normalize) fn without_non_numbers(text: &str) -> Option<String> {
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
