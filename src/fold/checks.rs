//! Checks whose results name nothing but the check: the check's owner knows what it is about, and leads each outcome
//! to the datasets, whichever of the two comes first.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::fact::{
    Aspect, EntityKind, Entry, ExistenceState, Fact, Origin, Quality, Source, Statement, Subject, Version,
};
use crate::model::id::{EntityId, encode};
use crate::model::state::{State, StateError};

use super::FoldOutput;
use super::registers::{from_json, json, state_key};

/// What a source says that the check is about; nothing, once it listed the check no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    version: Version,
    subject: Option<Subject>,
}

/// The newest outcome that a source tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Outcome {
    source: Source,
    version: Version,
    origin: Origin,
    quality: Quality,
}

/// Whether the entity is a check.
pub(super) fn is_check(entity: &EntityId) -> bool {
    entity.as_str().starts_with("check://")
}

/// Applies an entry about a check; returns whether anything was recorded.
pub(super) fn apply(
    fact: &Fact,
    entry: &Entry,
    state: &mut dyn State,
    out: &mut FoldOutput,
) -> Result<bool, StateError> {
    match &entry.value {
        Some(Statement::Subject(subject)) => about(fact, Some(subject.clone()), state, out),
        Some(Statement::Existence(existence)) if existence.state == ExistenceState::Dropped => {
            about(fact, None, state, out)
        }
        Some(Statement::Quality(quality)) => outcome(fact, quality, state, out),
        _ => Ok(false),
    }
}

fn all<T: for<'de> Deserialize<'de>>(check: &EntityId, kind: &str, state: &dyn State) -> Result<Vec<T>, StateError> {
    let prefix = state_key(&[check.as_str(), "c", kind, ""]);
    state.scan(&prefix)?.iter().map(|(key, bytes)| from_json(key, bytes)).collect()
}

fn about(
    fact: &Fact,
    subject: Option<Subject>,
    state: &mut dyn State,
    out: &mut FoldOutput,
) -> Result<bool, StateError> {
    let key = state_key(&[fact.entity.as_str(), "c", "about", fact.source.as_str()]);
    let known: Option<Said> = state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()?;
    if known.as_ref().is_some_and(|known| known.version >= fact.version) {
        return Ok(false);
    }
    let before = places(&all::<Said>(&fact.entity, "about", state)?);
    let said = Said { version: fact.version, subject };
    let is_same = known.is_some_and(|known| known.subject == said.subject);
    state.put(key, json(&said));
    if is_same {
        return Ok(true);
    }
    let sayings = all::<Said>(&fact.entity, "about", state)?;
    let after = places(&sayings);
    for outcome in all::<Outcome>(&fact.entity, "outcome", state)? {
        tell(&sayings, &outcome, out);
        for (dataset, check) in before.difference(&after) {
            // Later than the outcome that is taken back, and before any that is to come.
            let newest = outcome.version.max(Version { epoch: outcome.version.epoch, ..fact.version });
            let version = Version { seq: newest.seq.saturating_add(1), ..newest };
            let entry = Entry::retract(Aspect::Quality, encode(check));
            out.forwarded.push(outcome.fact(dataset, version, entry));
        }
    }
    Ok(true)
}

fn outcome(fact: &Fact, quality: &Quality, state: &mut dyn State, out: &mut FoldOutput) -> Result<bool, StateError> {
    let key = state_key(&[fact.entity.as_str(), "c", "outcome", fact.source.as_str()]);
    let known: Option<Outcome> = state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()?;
    if known.is_some_and(|known| known.version >= fact.version) {
        return Ok(false);
    }
    let outcome = Outcome {
        source: fact.source.clone(),
        version: fact.version,
        origin: fact.origin.clone(),
        quality: quality.clone(),
    };
    state.put(key, json(&outcome));
    tell(&all::<Said>(&fact.entity, "about", state)?, &outcome, out);
    Ok(true)
}

/// Where outcomes lie: dataset and name of the check.
fn places(sayings: &[Said]) -> BTreeSet<(EntityId, String)> {
    let subjects = sayings.iter().filter_map(|said| said.subject.as_ref());
    let places = |subject: &Subject| {
        subject.datasets.iter().map(|dataset| (dataset.clone(), subject.check.clone())).collect::<Vec<_>>()
    };
    subjects.flat_map(places).collect()
}

/// Sends an outcome to all datasets that it is about.
fn tell(sayings: &[Said], outcome: &Outcome, out: &mut FoldOutput) {
    let mut told = BTreeSet::new();
    for subject in sayings.iter().filter_map(|said| said.subject.as_ref()) {
        let mut quality = outcome.quality.clone();
        quality.field = quality.field.or_else(|| subject.field.clone());
        if let (Value::Object(into), Value::Object(details)) = (&mut quality.value, &subject.details) {
            for (name, value) in details.iter().filter(|(_, value)| !value.is_null()) {
                into.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        for dataset in &subject.datasets {
            if told.insert((dataset, &subject.check)) {
                let entry = Entry::keyed(encode(&subject.check), Statement::Quality(quality.clone()));
                out.forwarded.push(outcome.fact(dataset, outcome.version, entry));
            }
        }
    }
}

impl Outcome {
    fn fact(&self, dataset: &EntityId, version: Version, entry: Entry) -> Fact {
        Fact {
            entity: dataset.clone(),
            kind: EntityKind::Dataset,
            source: self.source.clone(),
            version,
            origin: self.origin.clone(),
            via: Vec::new(),
            entries: vec![entry],
        }
    }
}
