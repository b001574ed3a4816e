//! Semantic changes of `catalog.changes`, from the difference of two derivations.
//!
//! What is told is told once. A consumer that remembers ids must be able to drop what it has seen before and lose
//! nothing, so two transitions never share an id, although a statement that goes away and comes back with its own
//! version may make the same transition twice. And what only changes its way here is no news: from its withdrawal until
//! everything is re-sent nothing is told, then the difference to what was before, if there is one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::fact::{Fact, Source, Statement, Version};
use crate::model::id::EntityId;
use crate::model::record::{
    CatalogOutput, CatalogRecord, CatalogTopic, ChangeRecord, DatasetRecord, LineageRecord, SchemaVersionRecord,
};
use crate::model::state::{State, StateError};

use super::dataset::json_text;
use super::forward::Begun;
use super::output::Derived;
use super::registers::{from_json, json, state_key};

/// A change that is still to be told.
struct Change {
    kind: &'static str,
    before: Option<String>,
    after: Option<String>,
    breaking: bool,
    /// The record it is about, where one fact may make the same change to several.
    about: Option<String>,
}

impl Change {
    fn new(kind: &'static str, before: Option<String>, after: Option<String>) -> Self {
        Self { kind, before, after, breaking: false, about: None }
    }

    /// From one value to another.
    fn of<T: Serialize>(kind: &'static str, before: &T, after: &T) -> Self {
        Self::new(kind, Some(json_text(before)), Some(json_text(after)))
    }

    /// `again` tells a transition from one that an earlier fact may have made under the same version.
    fn tell(self, fact: &Fact, again: Option<u64>) -> CatalogOutput {
        let entity = fact.entity.as_str();
        let again = again.map(|nth| nth.to_string());
        let mut hash = Sha256::new();
        for part in [
            Some(entity),
            Some(self.kind),
            self.before.as_deref(),
            self.after.as_deref(),
            Some(fact.source.as_str()),
            Some(&fact.version.sortable()),
            self.about.as_deref(),
            again.as_deref(),
        ] {
            // The length keeps neighbours apart, and nothing apart from an empty text.
            hash.update(part.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        let id = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let record = ChangeRecord {
            id,
            entity: entity.to_owned(),
            kind: self.kind.to_owned(),
            before: self.before,
            after: self.after,
            breaking: self.breaking,
            time: fact.version.time,
            source: fact.source.as_str().to_owned(),
            origin: fact.origin.clone(),
        };
        CatalogOutput {
            topic: CatalogTopic::Changes,
            key: entity.to_owned(),
            owner: entity.to_owned(),
            value: Some(CatalogRecord::Change(record.into())),
        }
    }
}

/// What of a dataset's derivation changes are made of.
struct Side<'a> {
    head: Option<&'a DatasetRecord>,
    /// Names it was renamed to, and how often.
    renames: BTreeMap<&'a str, usize>,
    /// Its schema versions by key; only the later side has their content.
    schemas: BTreeMap<&'a str, Option<&'a SchemaVersionRecord>>,
}

impl<'a> Side<'a> {
    fn of(derived: &'a Derived) -> Self {
        let mut side = Self { head: None, renames: BTreeMap::new(), schemas: BTreeMap::new() };
        for ((_, key), record) in derived {
            match record {
                CatalogRecord::Dataset(record) => side.head = Some(record),
                CatalogRecord::Alias(alias) if alias.kind == "rename" => {
                    *side.renames.entry(&alias.canonical).or_default() += 1;
                }
                CatalogRecord::SchemaVersion(version) => {
                    side.schemas.insert(key, Some(version));
                }
                _ => {}
            }
        }
        side
    }

    fn kept(&self) -> Kept {
        Kept {
            head: self.head.cloned(),
            renames: self.renames.iter().map(|(to, times)| ((*to).to_owned(), *times)).collect(),
            schemas: self.schemas.keys().map(|key| (*key).to_owned()).collect(),
        }
    }
}

/// A [`Side`] that waits in the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    head: Option<DatasetRecord>,
    renames: BTreeMap<String, usize>,
    schemas: BTreeSet<String>,
}

impl Kept {
    fn side(&self) -> Side<'_> {
        Side {
            head: self.head.as_ref(),
            renames: self.renames.iter().map(|(to, times)| (to.as_str(), *times)).collect(),
            schemas: self.schemas.iter().map(|key| (key.as_str(), None)).collect(),
        }
    }
}

/// Something is about to send the entity everything it has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Unsettled {
    /// Who has not finished, by the whole way on which it came: so nobody waits for itself, however names lead in
    /// circles. With whom this entity has made wait in turn.
    open: BTreeMap<String, Begun>,
    /// What readers were told last.
    told: Kept,
}

impl Unsettled {
    /// Notes whom the entity has begun to send everything on its part.
    pub fn pass_on(&mut self, resending: &Resending, begun: Begun) {
        if let Some(waiting) = resending.begins.as_ref().and_then(|way| self.open.get_mut(way)) {
            waiting.extend(begun);
        }
    }
}

/// That a sender begins, or ends, with a fact to send everything it has.
#[derive(Default)]
pub(super) struct Resending {
    /// The way on which it begins.
    pub begins: Option<String>,
    /// The way on which it ends.
    pub ends: Option<String>,
    /// Key of the sender that ends.
    pub sender: String,
    /// Schema versions that came from it: they were told under the name they come from.
    pub told_elsewhere: BTreeSet<String>,
}

impl Resending {
    /// As a mark in `fact` says, if there is one.
    pub fn of(fact: &Fact) -> Self {
        let mut resending = Self::default();
        for entry in &fact.entries {
            let Some(Statement::Resending(begins)) = entry.value else { continue };
            let via = fact.via.iter().map(EntityId::as_str).chain([entry.sub_key.as_str()]);
            // Ids hold no spaces.
            let way = Some(via.collect::<Vec<_>>().join(" "));
            if begins {
                resending.begins = way;
            } else {
                (resending.ends, resending.sender) = (way, entry.sub_key.clone());
            }
        }
        resending
    }

    pub fn is_empty(&self) -> bool {
        self.begins.is_none() && self.ends.is_none()
    }
}

/// Where [`Unsettled`] lies, among what is loaded with every event.
pub(super) fn unsettled_key(entity: &EntityId) -> Vec<u8> {
    state_key(&[entity.as_str(), "c", "u"])
}

/// Tells what became of a dataset, or keeps it until nothing is on its way any more. Leaves in `unsettled` what goes on
/// waiting; returns whom a wait that has ended had made wait.
pub(super) fn tell_dataset(
    fact: &Fact,
    (old, new): (&Derived, &Derived),
    resending: &Resending,
    unsettled: &mut Option<Unsettled>,
    state: &mut dyn State,
    out: &mut Vec<CatalogOutput>,
) -> Result<Begun, StateError> {
    let (old, new) = (Side::of(old), Side::of(new));
    if unsettled.is_none() && resending.is_empty() {
        tell(fact, of_dataset(&fact.entity, &old, &new), state, out)?;
        return Ok(Begun::new());
    }
    let mut waiting = unsettled.take().unwrap_or_else(|| Unsettled { open: BTreeMap::new(), told: old.kept() });
    if let Some(way) = &resending.begins {
        waiting.open.entry(way.clone()).or_default();
    }
    let owed = resending.ends.as_ref().and_then(|way| waiting.open.remove(way)).unwrap_or_default();
    waiting.told.schemas.extend(resending.told_elsewhere.iter().cloned());
    if waiting.open.is_empty() {
        tell(fact, of_dataset(&fact.entity, &waiting.told.side(), &new), state, out)?;
    } else {
        *unsettled = Some(waiting);
    }
    Ok(owed)
}

/// What the ids of an entity's changes must differ from: every version up to here may have told something.
#[derive(Serialize, Deserialize)]
struct Told {
    newest: (Version, Source),
    /// How often something was told under a version that was not the newest.
    again: u64,
}

fn tell(
    fact: &Fact,
    changes: Vec<Change>,
    state: &mut dyn State,
    out: &mut Vec<CatalogOutput>,
) -> Result<(), StateError> {
    if changes.is_empty() {
        return Ok(());
    }
    let key = state_key(&[fact.entity.as_str(), "t"]);
    let before: Option<Told> = state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()?;
    let this = (fact.version, fact.source.clone());
    let (told, again) = match before {
        None => (Told { newest: this, again: 0 }, None),
        Some(before) if before.newest < this => (Told { newest: this, ..before }, None),
        Some(before) => (Told { again: before.again + 1, ..before }, Some(before.again + 1)),
    };
    state.put(key, json(&told));
    out.extend(changes.into_iter().map(|change| change.tell(fact, again)));
    Ok(())
}

/// Changes of a dataset.
fn of_dataset(id: &EntityId, old: &Side<'_>, new: &Side<'_>) -> Vec<Change> {
    let mut out = Vec::new();
    for (to, times) in &new.renames {
        if old.renames.get(to).is_none_or(|before| before < times) {
            out.push(Change::new("renamed", Some(json_text(id)), Some(json_text(to))));
        }
    }
    let there = |record: Option<&DatasetRecord>| record.is_some_and(|record| record.existence == "confirmed");
    if let Some(after) = new.head.filter(|_| there(new.head) && !there(old.head)) {
        let again = old.head.is_some_and(|record| record.existence == "dropped") || after.incarnation > 1;
        out.push(Change::new(if again { "recreated" } else { "created" }, None, Some(json_text(&after.kind))));
    }
    let (Some(before), Some(after)) = (old.head, new.head) else { return out };
    if before.existence != "dropped" && after.existence == "dropped" {
        out.push(Change::new("dropped", Some(json_text(&before.existence)), None));
    }
    if before.description != after.description {
        out.push(Change::of("description_changed", &before.description, &after.description));
    }
    if before.owners != after.owners {
        out.push(Change::of("owners_changed", &before.owners, &after.owners));
    }
    if before.tags != after.tags {
        out.push(Change::of("tags_changed", &before.tags, &after.tags));
    }
    if before.location != after.location {
        out.push(Change::of("location_changed", &before.location, &after.location));
    }
    for (key, version) in &new.schemas {
        if let Some(schema) = version.filter(|schema| schema.level != "initial" && !old.schemas.contains_key(key)) {
            out.push(Change {
                breaking: schema.breaking,
                about: Some((*key).to_owned()),
                ..Change::new("schema_changed", None, Some(json_text(&schema.changes)))
            });
        }
    }
    out
}

/// Changes of a job: edges and failed runs. Facts of jobs are never re-sent, so their versions suffice.
pub(super) fn tell_job(fact: &Fact, old: &Derived, new: &Derived, out: &mut Vec<CatalogOutput>) {
    let named = |edge: &LineageRecord| Some(json_text(&[&edge.source, &edge.target]));
    let mut changes = Vec::new();
    for (key, record) in new {
        match (record, old.get(key)) {
            (CatalogRecord::Lineage(edge), None) => changes.push(Change::new("lineage_added", None, named(edge))),
            (CatalogRecord::Run(run), before) if run.state == "FAIL" => {
                let known = matches!(before, Some(CatalogRecord::Run(before)) if before.state == "FAIL");
                if !known {
                    let text = json_text(&serde_json::json!({ "run": run.id, "error": run.error }));
                    changes.push(Change::new("run_failed", None, Some(text)));
                }
            }
            _ => {}
        }
    }
    for (key, record) in old {
        if let CatalogRecord::Lineage(edge) = record
            && !new.contains_key(key)
        {
            changes.push(Change::new("lineage_retired", named(edge), None));
        }
    }
    out.extend(changes.into_iter().map(|change| change.tell(fact, None)));
}
