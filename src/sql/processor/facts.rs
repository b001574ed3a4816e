//! What a query did → facts: the query itself; its job with a run that holds its lineage; the datasets that it named, made
//! and dropped. What the same job or dataset has been told of within an hour is not told again.

use std::collections::BTreeSet;

use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::Normalised;
use super::super::log::QueryEvent;
use super::super::types::Dialect;
use super::effect::{Ddl, Effect, Effects, Made};
use super::kept::{DAY, HOUR, Kept, Kind};
use super::names::{Named, job_namespace};
use super::{TEXT_BYTES, cut};
use crate::model::check::{FactLimits, check_made};
use crate::model::fact::{
    Columns, Completeness, DatasetUse, EntityKind, Entry, Evidence, Existence, ExistenceState, Fact, Job, Origin,
    QueryRun, ReportedName, RunEvent, Source, Statement, Version, ViewText, WriteMark,
};
use crate::model::id::{EntityId, Identity, name_key};
use crate::model::reject::Rejection;
use crate::model::state::StateError;

/// How long readers see a query.
const QUERY_TTL: i64 = 30 * DAY;
/// Told facts are remembered so long: late records of an hour find them.
const TOLD_FOR: i64 = DAY;

/// Names of runs: what ran, what it did, in which hour.
const RUNS: Uuid = Uuid::from_u128(0x6f1c_5a0e_8a53_5b1d_9a4e_2f0b_7c64_d3a1);

/// A query with what is known of it besides the log's own words.
pub(super) struct Counted<'a> {
    pub event: &'a QueryEvent<'a>,
    /// Its instance in canonical spelling.
    pub instance: &'a str,
    /// Event time, not later than an hour after the broker took its record.
    pub time: i64,
    pub origin: Origin,
    /// First bytes of the hash of its record.
    pub hash: u64,
    pub fingerprint: String,
    /// As it is stored.
    pub text: Option<String>,
    /// Texts of jobs, by statement.
    pub bound: Vec<String>,
}

/// The job of a flow.
pub(super) struct JobText {
    pub fingerprint: String,
    pub text: String,
}

impl JobText {
    /// Of a statement that was normalised.
    pub fn of(normalised: &Normalised) -> Self {
        let text = cut(&normalised.text, TEXT_BYTES).to_owned();
        Self { fingerprint: normalised.fingerprint.clone(), text }
    }
}

/// Leaves out the columns of a fact that says too much: lineage of tables is better than none.
pub(super) fn without_columns(fact: &mut Fact) {
    for entry in &mut fact.entries {
        match &mut entry.value {
            Some(Statement::Run(run)) => run.column_edges.clear(),
            Some(Statement::Declared(declared)) => declared.columns.clear(),
            _ => {}
        }
    }
}

/// Makes the facts of one query.
pub(super) struct Teller<'a, 'k> {
    pub identity: &'a Identity,
    pub limits: &'a FactLimits,
    pub kept: &'a mut Kept<'k>,
    pub counted: Counted<'a>,
}

impl Teller<'_, '_> {
    /// The facts; `job_text` says what a flow's statement is called and reads.
    pub fn tell(
        mut self,
        effects: &Effects,
        text: &str,
        mut job_text: impl FnMut(&Effect) -> JobText,
    ) -> Result<Result<Vec<Fact>, Rejection>, StateError> {
        let mut facts = Vec::new();
        let mut jobs: Vec<EntityId> = Vec::new();
        for flow in effects.flows.iter().filter(|flow| !flow.inputs.is_empty() && !flow.outputs.is_empty()) {
            let (job, run, fact) = self.job(flow, job_text(flow))?;
            facts.extend(fact);
            for output in &flow.outputs {
                let mark = WriteMark {
                    time: self.counted.time,
                    job: job.clone(),
                    run: run.clone(),
                    rows: self.counted.event.rows_written,
                    bytes: None,
                };
                if self.is_news(&["w", output.as_str()])? {
                    facts.push(self.dataset(output, vec![Entry::of(Statement::Write(mark))]));
                }
            }
            jobs.push(job);
        }
        let mut datasets = self.datasets(effects, text)?;
        for fact in facts.iter_mut().filter(|fact| fact.kind == EntityKind::Dataset) {
            // One fact for each entity and record.
            if let Some(at) = datasets.iter().position(|one| one.entity == fact.entity) {
                fact.entries.append(&mut datasets.remove(at).entries);
            }
        }
        facts.append(&mut datasets);
        let mut all = vec![self.query(effects, jobs.first())];
        all.append(&mut merged(facts));
        for fact in &mut all {
            let Err(fault) = check_made(fact, self.limits) else { continue };
            without_columns(fact);
            if check_made(fact, self.limits).is_err() {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(all))
    }

    fn query(&self, effects: &Effects, job: Option<&EntityId>) -> Fact {
        let Counted { event, instance, time, .. } = &self.counted;
        let reads = effects.reads.iter().map(|(dataset, used)| DatasetUse {
            dataset: dataset.clone(),
            columns: used.columns.iter().cloned().collect(),
            filters: used.filters.iter().cloned().collect(),
            joins: used.joins.iter().cloned().collect(),
        });
        let kind = effects.kind.map(|kind| serde_json::to_value(kind).unwrap_or_default());
        let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_uppercase();
        let told = event.statement_type.as_deref().filter(|told| !told.is_empty());
        let run = QueryRun {
            platform: event.platform.as_str().to_owned(),
            instance: (*instance).to_owned(),
            query_id: event.query_id.to_string(),
            session: event.session_id.as_deref().map(str::to_owned),
            user: event.user.as_deref().map(str::to_owned),
            application: event.application.as_deref().map(str::to_owned),
            start: event.start.min(*time),
            end: *time,
            status: event.status.as_str().to_owned(),
            error: event.error.as_deref().map(str::to_owned),
            statement_type: told.map_or(kind, str::to_uppercase),
            fingerprint: self.counted.fingerprint.clone(),
            text: self.counted.text.clone(),
            job: job.cloned(),
            reads: reads.collect(),
            writes: effects.writes.iter().cloned().collect(),
            rows: event.rows_written.filter(|rows| *rows > 0).or(event.rows_read),
            bytes: event.bytes_read,
            duration_us: event.duration_us,
            richness: event.richness,
            bound: self.counted.bound.clone(),
            expires_at: time.saturating_add(QUERY_TTL),
        };
        let id = EntityId::query(instance, &event.query_id);
        self.fact(id, EntityKind::Query, vec![Entry::of(Statement::Query(run))])
    }

    /// The job of a flow, the id of its run, and the fact, unless it was told this hour.
    fn job(&mut self, flow: &Effect, text: JobText) -> Result<(EntityId, String, Option<Fact>), StateError> {
        let Counted { event, instance, time, .. } = &self.counted;
        let dbt = event.named_job.as_ref().filter(|job| job.tool == "dbt" && !job.name.is_empty());
        let (namespace, name) = match dbt {
            Some(job) => (job_namespace(self.identity, instance), job.name.clone()),
            None => ((*instance).to_owned(), text.fingerprint),
        };
        let id = EntityId::job(&namespace, &name);
        let hour = time.div_euclid(HOUR);
        let edges = edge_hash(flow);
        let run_id = Uuid::new_v5(&RUNS, format!("{id}|{edges}|{hour}").as_bytes()).to_string();
        let (end, instance) = (*time, (*instance).to_owned());
        let (platform, dialect) = (event.platform.as_str().to_owned(), event.dialect);
        let facet = json!({ "query": event.query_id, "bound": self.counted.bound });
        let is_dbt = dbt.is_some();
        if !self.is_news(&["j", id.as_str(), &edges])? {
            return Ok((id, run_id, None));
        }
        let job = Job {
            namespace,
            name,
            integration: if is_dbt { "DBT".to_owned() } else { platform.to_uppercase() },
            job_type: if is_dbt { String::new() } else { "QUERY".to_owned() },
            processing: "BATCH".to_owned(),
            // A model's text is its manifest's to tell.
            sql: (!is_dbt && !text.text.is_empty()).then_some(text.text),
            dialect: (!is_dbt).then(|| dialect_name(dialect)),
            ..Job::default()
        };
        let run = RunEvent {
            run_id: run_id.clone(),
            state: "COMPLETE".to_owned(),
            time: end,
            engine: Some(platform),
            facets: [("query_log".to_owned(), facet)].into(),
            inputs: flow.inputs.iter().cloned().collect(),
            outputs: flow.outputs.iter().cloned().collect(),
            column_edges: flow.edges.iter().cloned().collect(),
            ..RunEvent::default()
        };
        let key = crate::model::id::join_key(&[&run_id, "COMPLETE"]);
        let entries = vec![Entry::of(Statement::Job(job)), Entry::keyed(key, Statement::Run(run))];
        drop(instance);
        Ok((id.clone(), run_id, Some(self.fact(id, EntityKind::Job, entries))))
    }

    /// Facts of the datasets that were named, written, made and dropped.
    fn datasets(&mut self, effects: &Effects, text: &str) -> Result<Vec<Fact>, StateError> {
        let mut facts = Vec::new();
        let mut named: BTreeSet<&EntityId> = effects.reads.keys().chain(&effects.writes).collect();
        named.extend(effects.flows.iter().flat_map(|flow| flow.inputs.iter().chain(&flow.outputs)));
        named.extend(effects.ddl.iter().map(|ddl| &ddl.dataset));
        for id in named {
            let mut entries = Vec::new();
            // Of several, the last one counts. Made and dropped things change too quickly for once an hour.
            let made = effects.ddl.iter().rev().find(|ddl| ddl.dataset == *id);
            if let Some(ddl) = made {
                entries.extend(self.made(ddl, text));
            } else if effects.writes.contains(id) {
                if self.is_news(&["o", id.as_str()])? {
                    entries.push(existence(ExistenceState::Confirmed, Evidence::Ddl, false));
                }
            } else if self.is_news(&["m", id.as_str()])? {
                entries.push(existence(ExistenceState::Referenced, Evidence::Mention, false));
            }
            if entries.is_empty() {
                continue;
            }
            entries.extend(effects.names.get(id).map(reported));
            facts.push(self.dataset(id, entries));
        }
        Ok(facts)
    }

    fn made(&self, ddl: &Ddl, text: &str) -> Vec<Entry> {
        let Made::Created { kind, columns, span } = &ddl.what else {
            return vec![existence(ExistenceState::Dropped, Evidence::Ddl, true)];
        };
        let mut entries = vec![existence(ExistenceState::Confirmed, Evidence::Ddl, false)];
        entries.extend(kind.map(|kind| Entry::of(Statement::DatasetKind(kind.to_owned()))));
        if !columns.is_empty() && columns.len() <= self.limits.columns {
            let columns = Columns { completeness: Completeness::Complete, columns: columns.clone() };
            entries.push(Entry::of(Statement::Columns(columns)));
        }
        let definition =
            text.get(span.0..span.1).filter(|text| !text.is_empty() && kind.is_some_and(|kind| kind.ends_with("view")));
        entries.extend(definition.map(|definition| {
            let dialect = dialect_name(self.counted.event.dialect);
            Entry::of(Statement::ViewText(ViewText { original: Some(definition.to_owned()), expanded: None, dialect }))
        }));
        entries
    }

    /// Whether this was not told in this hour; it is from now on.
    fn is_news(&mut self, what: &[&str]) -> Result<bool, StateError> {
        let time = self.counted.time;
        let hour = time.div_euclid(HOUR).to_string();
        let name: Vec<&str> = what.iter().copied().chain([hour.as_str()]).collect();
        if self.kept.get(Kind::Told, &name, time)?.is_some() {
            return Ok(false);
        }
        self.kept.put(Kind::Told, &name, time.saturating_add(TOLD_FOR), b"");
        Ok(true)
    }

    fn dataset(&self, id: &EntityId, entries: Vec<Entry>) -> Fact {
        self.fact(id.clone(), EntityKind::Dataset, entries)
    }

    fn fact(&self, entity: EntityId, kind: EntityKind, entries: Vec<Entry>) -> Fact {
        let Counted { event, time, origin, hash, .. } = &self.counted;
        Fact {
            entity,
            kind,
            source: Source::query_log(event.platform.as_str()),
            version: Version { epoch: 0, time: *time, seq: i64::from(event.richness), hash: *hash },
            origin: origin.clone(),
            via: Vec::new(),
            entries,
        }
    }
}

/// One fact for each entity; what was said first under a register stands.
fn merged(facts: Vec<Fact>) -> Vec<Fact> {
    let mut all: Vec<Fact> = Vec::with_capacity(facts.len());
    for fact in facts {
        match all.iter_mut().find(|known| known.entity == fact.entity) {
            None => all.push(fact),
            Some(known) => {
                for entry in fact.entries {
                    let same = |one: &Entry| one.aspect == entry.aspect && one.sub_key == entry.sub_key;
                    if !known.entries.iter().any(same) {
                        known.entries.push(entry);
                    }
                }
            }
        }
    }
    all
}

fn existence(state: ExistenceState, evidence: Evidence, floor: bool) -> Entry {
    // That somebody read it says nothing against its having been made.
    let sub_key = if evidence == Evidence::Mention { "mention" } else { "" };
    Entry::keyed(sub_key, Statement::Existence(Existence { state, evidence, floor, scope: None }))
}

fn reported(named: &Named) -> Entry {
    let issues = named.issues.iter().map(|issue| issue.as_str().to_owned()).collect();
    let (namespace, name) = (named.namespace.clone(), named.name.clone());
    Entry::keyed(name_key(&namespace, &name), Statement::Name(ReportedName { namespace, name, issues }))
}

/// The job of a flow whose text is not told, or lies in a record of another partition: what it connects is its name.
pub(super) fn connecting(flow: &Effect) -> JobText {
    let tables = Effect { edges: Default::default(), ..flow.clone() };
    JobText { fingerprint: edge_hash(&tables), text: String::new() }
}

/// Hash of what a flow connects: 16 hex digits.
pub(super) fn edge_hash(flow: &Effect) -> String {
    let mut hash = Sha256::new();
    for (mark, ids) in [("<", &flow.inputs), (">", &flow.outputs)] {
        for id in ids {
            hash.update(mark.as_bytes());
            hash.update(id.as_str().as_bytes());
            hash.update([0]);
        }
    }
    for edge in &flow.edges {
        let texts = [edge.target.as_str(), &edge.target_field, edge.source.as_str(), &edge.source_field, &edge.subtype];
        for text in texts {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The dialect's own name.
pub(super) fn dialect_name(dialect: Dialect) -> String {
    serde_json::to_value(dialect).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
