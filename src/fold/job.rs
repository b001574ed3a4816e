//! One fact about a job: its head, one of its runs, and what the run means for lineage.
//!
//! A job's head and its support lie in one record, because every event of a job moves both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::fact::{ExistenceState, Fact, Job, Origin, Source, Statement, Version};
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic, JobRecord};
use crate::model::state::{State, StateError};

use super::cache::{Cache, Weigh, weigh};
use super::output::{Derived, publish};
use super::registers::{from_json, hash_text, json, state_key};
use super::run::{EdgeSet, Run};
use super::support::Support;
use super::view::whole_hour;
use super::{FoldOutcome, FoldOutput, changes, precedence};
use crate::model::fact::Aspect;

/// Values up to this many bytes lie in the job's record itself.
const INLINE_BYTES: usize = 1_000;
/// The families of fields that are limited, and to how many; of all others a job has few.
const LIMITED: [(&str, usize); 3] = [("facet/", 2_000), ("job_dependency/", 2_000), ("name/", 20)];

/// One field as one source states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Field {
    #[serde(rename = "n")]
    version: Version,
    /// The value, or the hash under which it lies apart; neither if it was taken back.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

/// The record of a job in the state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct JobState {
    /// Field, then source.
    fields: BTreeMap<String, BTreeMap<Source, Field>>,
    support: Support,
    first: Option<i64>,
    last: Option<i64>,
}

impl JobState {
    /// Whether the head of `other` is certainly the same. The versions of a field decide nothing where only one source
    /// speaks, and they move with every event.
    fn shows_as(&self, other: &Self) -> bool {
        let hour = |state: &Self| whole_hour(state.last.unwrap_or(0));
        self.first == other.first
            && hour(self) == hour(other)
            && self.fields.len() == other.fields.len()
            && self.fields.iter().zip(&other.fields).all(|((name, before), (other_name, after))| {
                name == other_name
                    && match (before.first_key_value(), after.first_key_value()) {
                        (Some((one, before_field)), Some((other, after_field)))
                            if before.len() == 1 && after.len() == 1 =>
                        {
                            one == other && before_field.says(after_field)
                        }
                        _ => before == after,
                    }
            })
    }
}

impl Field {
    fn says(&self, other: &Self) -> bool {
        self.value == other.value && self.hash == other.hash
    }
}

/// What is known of a job: its record in the state, and what is published of it.
#[derive(Debug)]
pub(super) struct Known {
    state: JobState,
    head: CatalogRecord,
}

impl Weigh for Known {
    fn weight(&self) -> usize {
        (self.state.fields.len() + self.state.support.hashes().count()) * 300 + 2 * weigh(&self.head)
    }
}

/// Applies a fact about a job.
pub(super) fn apply(
    cache: &mut Cache<Known>,
    fact: &Fact,
    state: &mut dyn State,
    out: &mut FoldOutput,
) -> Result<FoldOutcome, StateError> {
    let job = &fact.entity;
    let key = state_key(&[job.as_str(), "j"]);
    let head_key = (CatalogTopic::Jobs, job.as_str().to_owned());
    let known = match cache.take(job, state.epoch()) {
        Some(known) => Some(known),
        None => match state.get(&key)? {
            Some(bytes) => {
                let known: JobState = from_json(&key, &bytes)?;
                let head = head(job, &known, state, &fact.origin)?;
                Some(Known { state: known, head })
            }
            None => None,
        },
    };
    let before = known.as_ref().map(|known| &known.state);
    let mut after = before.cloned().unwrap_or_default();
    let (mut old, mut new) = (Derived::new(), Derived::new());

    let mut changed = false;
    let streaming = fact.entries.iter().any(
        |entry| matches!(&entry.value, Some(Statement::Job(job)) if job.processing.eq_ignore_ascii_case("STREAMING")),
    );
    for entry in &fact.entries {
        match &entry.value {
            Some(Statement::Run(event)) => {
                let run_before = Run::load(job, &event.run_id, state)?;
                let Some(run) = Run::join(job, event, streaming, fact, run_before.as_ref(), state)? else { continue };
                changed = true;
                support(job, &mut after.support, run_before.as_ref(), &run, state)?;
                let key = (CatalogTopic::Runs, format!("{}|{}", job.as_str(), run.id));
                if let Some(run) = &run_before {
                    old.insert(key.clone(), CatalogRecord::Run(run.record(job, &fact.origin).into()));
                }
                new.insert(key, CatalogRecord::Run(run.record(job, &fact.origin).into()));
            }
            Some(Statement::Declared(lineage)) => {
                changed |= after.support.declared.take(job, fact, Some(lineage), state)?;
            }
            Some(Statement::Existence(existence)) if existence.state == ExistenceState::Dropped => {
                changed |= after.support.declared.take(job, fact, None, state)?;
            }
            _ => changed |= describe(job, fact, entry, &mut after, state)?,
        }
    }
    let time = fact.version.time;
    after.first = Some(after.first.map_or(time, |first| first.min(time)));
    after.last = Some(after.last.map_or(time, |last| last.max(time)));
    let moved = before != Some(&after);
    if moved {
        state.put(key, json(&after));
    }
    let head_after = match &known {
        Some(known) if known.state.shows_as(&after) => None,
        _ => Some(head(job, &after, state, &fact.origin)?),
    };
    let support_before = before.map(|before| before.support.clone()).unwrap_or_default();
    if support_before != after.support
        && (support_before.glance().is_none() || support_before.glance() != after.support.glance())
    {
        put_lineage(job, &support_before, state, &fact.origin, &mut old)?;
        put_lineage(job, &after.support, state, &fact.origin, &mut new)?;
    }
    let head = match (known, head_after) {
        (Some(known), None) => known.head,
        (known, Some(head)) => {
            old.extend(known.map(|known| (head_key.clone(), known.head)));
            new.insert(head_key, head.clone());
            head
        }
        (None, None) => head(job, &after, state, &fact.origin)?,
    };
    cache.put(job, state.epoch(), Known { state: after, head });
    if !changed && !moved {
        return Ok(FoldOutcome::NoOp("unchanged"));
    }
    let published = out.records.len();
    changes::tell_job(fact, &old, &new, &mut out.records);
    publish(job.as_str(), old, new, &mut out.records);
    let quiet = out.records.len() == published;
    Ok(if quiet { FoldOutcome::NoOp("recorded") } else { FoldOutcome::Applied })
}

/// Counts the run, or counts anew where it takes back what it supported.
fn support(
    job: &EntityId,
    support: &mut Support,
    before: Option<&Run>,
    after: &Run,
    state: &mut dyn State,
) -> Result<(), StateError> {
    let counts = |run: &&Run| run.succeeded && !run.set.is_silent();
    match (before.filter(counts), Some(after).filter(counts)) {
        (None, None) => {}
        (None, Some(run)) => {
            support.add(run, &run.intern(job, state)?);
        }
        (Some(old), Some(run))
            if old.set == run.set
                && run.first <= old.first
                && run.last >= old.last
                && old.is_parsed() == run.is_parsed() =>
        {
            support.extend(run, &run.intern(job, state)?);
        }
        (Some(_), _) => {
            support.forget_runs();
            for run in Run::load_all(job, state)?.iter().filter(counts) {
                support.add(run, &run.intern(job, state)?);
            }
        }
    }
    Ok(())
}

fn put_lineage(
    job: &EntityId,
    support: &Support,
    state: &dyn State,
    origin: &Origin,
    out: &mut Derived,
) -> Result<(), StateError> {
    let mut sets = BTreeMap::new();
    for hash in support.hashes() {
        sets.insert(hash.clone(), EdgeSet::load(job, hash, state)?);
    }
    support.derive(job, &sets, origin, out);
    Ok(())
}

/// Puts what an entry says of the job itself into its fields. Returns whether a value was stored.
fn describe(
    job: &EntityId,
    fact: &Fact,
    entry: &crate::model::fact::Entry,
    into: &mut JobState,
    state: &mut dyn State,
) -> Result<bool, StateError> {
    let mut fields: Vec<(String, Option<Value>)> = Vec::new();
    match &entry.value {
        Some(Statement::Job(job)) => fields.extend(job_fields(job)),
        Some(
            Statement::Description(_)
            | Statement::Owners(_)
            | Statement::Tags(_)
            | Statement::Facet(_)
            | Statement::JobDependency(_),
        )
        | None => {
            let value = entry.value.as_ref().map(statement_value);
            fields.push((format!("{}/{}", entry.aspect.as_str(), entry.sub_key), value));
        }
        Some(Statement::Name(_)) => fields.push((format!("name/{}", entry.sub_key), Some(Value::Bool(true)))),
        // Statements of SQL are for another stage.
        _ => {}
    }
    let mut stored = false;
    for (name, value) in fields {
        if !make_room(&mut into.fields, &name) {
            continue;
        }
        let of_source = into.fields.entry(name).or_default();
        if of_source.get(&fact.source).is_some_and(|known| known.version >= fact.version) {
            continue;
        }
        let text = value.as_ref().map(json).unwrap_or_default();
        let (value, hash) = if text.len() <= INLINE_BYTES {
            (value, None)
        } else {
            let hash = hash_text(&text);
            let key = state_key(&[job.as_str(), "v", &hash]);
            if state.get(&key)?.is_none() {
                state.put(key, text);
                stored = true;
            }
            (None, Some(hash))
        };
        of_source.insert(fact.source.clone(), Field { version: fact.version, value, hash });
    }
    Ok(stored)
}

/// Whether a field of this name is kept. Of a family that is full the smallest names are, in whatever order they come.
fn make_room(fields: &mut BTreeMap<String, BTreeMap<Source, Field>>, name: &str) -> bool {
    let limited = LIMITED.into_iter().find(|(family, _)| name.starts_with(family));
    let Some((family, most)) = limited else { return true };
    if fields.contains_key(name) {
        return true;
    }
    let of_family = || fields.range(family.to_owned()..).take_while(|(name, _)| name.starts_with(family));
    if of_family().count() < most {
        return true;
    }
    let Some(last) = of_family().last().map(|(name, _)| name.clone()).filter(|last| name < last.as_str()) else {
        return false;
    };
    fields.remove(&last);
    true
}

/// The content of a statement, without its tag.
fn statement_value(statement: &Statement) -> Value {
    let tagged = serde_json::to_value(statement).expect("statements serialize: string keys, no failing impls");
    match tagged {
        Value::Object(map) => map.into_iter().next().map_or(Value::Null, |(_, value)| value),
        other => other,
    }
}

/// Fields that this event names; those it leaves open stay as another event said.
fn job_fields(job: &Job) -> Vec<(String, Option<Value>)> {
    let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
    let fields = [
        ("namespace", text(&job.namespace)),
        ("name", text(&job.name)),
        ("integration", text(&job.integration)),
        ("job_type", text(&job.job_type)),
        ("processing", text(&job.processing)),
        ("parent", job.parent.as_ref().map(|id| Value::from(id.as_str()))),
        ("source_location", job.source_location.as_deref().map(Value::from)),
        ("source_code", job.source_code.as_deref().map(Value::from)),
        ("sql", job.sql.as_deref().map(Value::from)),
        ("dialect", job.dialect.as_deref().map(Value::from)),
    ];
    fields.into_iter().filter(|(_, value)| value.is_some()).map(|(name, v)| (format!("job/{name}"), v)).collect()
}

/// The newest value of a field over all sources, or by rank where the aspect has one.
fn value(
    job: &EntityId,
    of: &JobState,
    name: &str,
    rank: &dyn Fn(&Source) -> u16,
    state: &dyn State,
) -> Result<Option<Value>, StateError> {
    let Some(sources) = of.fields.get(name) else { return Ok(None) };
    let spoken = sources.iter().filter(|(_, field)| field.value.is_some() || field.hash.is_some());
    let best = spoken.min_by_key(|(source, field)| (rank(source), std::cmp::Reverse(field.version.time), *source));
    let Some((_, field)) = best else { return Ok(None) };
    match (&field.value, &field.hash) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, Some(hash)) => {
            let key = state_key(&[job.as_str(), "v", hash]);
            state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()
        }
        (None, None) => Ok(None),
    }
}

/// The record of `catalog.jobs`.
fn head(job: &EntityId, of: &JobState, state: &dyn State, origin: &Origin) -> Result<CatalogRecord, StateError> {
    let get = |name: &str| value(job, of, name, &|_| 0, state);
    let text = |name: &str| -> Result<Option<String>, StateError> {
        Ok(get(&format!("job/{name}"))?.and_then(|value| value.as_str().map(str::to_owned)))
    };
    let ranked = |aspect: Aspect| {
        let name = format!("{}/", aspect.as_str());
        value(job, of, &name, &|source| precedence::aspect(aspect, source), state)
    };
    let mut facets = BTreeMap::new();
    let mut dependencies = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for name in of.fields.keys() {
        names.extend(name.strip_prefix("name/"));
        if let Some(facet) = name.strip_prefix("facet/")
            && let Some(value) = get(name)?
        {
            facets.insert(facet.to_owned(), value.to_string());
        }
        if let Some(other) = name.strip_prefix("job_dependency/")
            && let Some(value) = get(name)?
        {
            let part = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            dependencies.insert(other.to_owned(), format!("{}/{}", part("direction"), part("kind")));
        }
    }
    // The other names under which producers report it, `namespace|name`.
    if !names.is_empty() {
        facets.insert("names".to_owned(), String::from_utf8_lossy(&json(&names)).into_owned());
    }
    let (sql, source_code, job_type) = (text("sql")?, text("source_code")?, text("job_type")?.unwrap_or_default());
    let definition = json(&(&sql, &source_code, &job_type));
    let definition_hash: String = Sha256::digest(definition).iter().take(16).map(|b| format!("{b:02x}")).collect();
    let record = JobRecord {
        id: job.as_str().to_owned(),
        namespace: text("namespace")?.unwrap_or_default(),
        name: text("name")?.unwrap_or_else(|| job.display_name()),
        integration: text("integration")?.unwrap_or_default(),
        job_type,
        processing: text("processing")?.unwrap_or_default(),
        parent: text("parent")?,
        description: ranked(Aspect::Description)?.and_then(|value| value.as_str().map(str::to_owned)),
        owners: typed(ranked(Aspect::Owners)?),
        tags: typed(ranked(Aspect::Tags)?),
        source_location: text("source_location")?,
        source_code,
        sql,
        dialect: text("dialect")?,
        definition_hash,
        dependencies,
        facets,
        first_seen: of.first.unwrap_or(0),
        last_seen: whole_hour(of.last.unwrap_or(0)),
        origin: origin.clone(),
    };
    Ok(CatalogRecord::Job(record.into()))
}

fn typed<T: for<'de> Deserialize<'de>>(value: Option<Value>) -> Vec<T> {
    value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}
