//! Schema history: change points of each source, kept for good, and the versions that the authority's own sequence
//! makes of them. A late point takes its place; its neighbours' differences are derived anew.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::fact::{
    Aspect, Column, Columns, Completeness, Existence, Fact, Joined, Origin, Source, Statement, Version,
};
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic, SchemaVersionRecord};
use crate::model::state::{State, StateError};
use crate::model::types::flatten;

use super::columns::{real_columns, to_record};
use super::diff::{changes, level, normalised};
use super::output::Derived;
use super::precedence;
use super::registers::{Core, RegKey, from_json, json, state_key};
use super::routes::is_from;
use super::slots::Slot;
use super::view::Eras;

/// A statement of all columns that differs from its predecessor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    version: Version,
    joined: Option<Joined>,
    via: Vec<EntityId>,
    origin: Origin,
    source: Source,
    sender: String,
    completeness: Completeness,
    columns: Vec<Column>,
    location: Option<String>,
    late: bool,
}

impl Point {
    fn slot(&self) -> Slot {
        let columns = Columns { completeness: self.completeness, columns: self.columns.clone() };
        Slot {
            version: self.version,
            joined: self.joined.clone(),
            via: self.via.clone(),
            origin: self.origin.clone(),
            value: Some(std::sync::Arc::new(Statement::Columns(columns))),
        }
    }

    /// Whether a later point adds nothing. Where it does not say a place, it is where it was.
    fn says_as_much_as(&self, later: &Self) -> bool {
        let stays = later.location.is_none() || later.location == self.location;
        stays && self.columns == later.columns && self.completeness == later.completeness
    }

    /// Place among all points of an entity: the era first, so that a name's former table comes before the present one.
    fn place(&self) -> (i64, Version, &Source, &str) {
        let era = self.joined.as_ref().map_or(self.version.time, |joined| joined.version.time);
        (era, self.version, &self.source, &self.sender)
    }

    /// Key of the version in `catalog.schemas`.
    fn record_key(&self, dataset: &EntityId) -> String {
        format!("{}|{}|{}", dataset.as_str(), self.source.as_str(), self.version.sortable())
    }

    fn key(&self, entity: &EntityId) -> Vec<u8> {
        let parts = [entity.as_str(), "s", &self.version.sortable(), self.source.as_str(), &self.sender];
        state_key(&parts)
    }
}

/// A statement that may be a change point: its register's neighbour says otherwise.
pub(super) fn candidate(fact: &Fact, slot: &Slot, key: &RegKey, core: &Core) -> Option<Point> {
    let Some(Statement::Columns(columns)) = slot.value.as_deref() else { return None };
    if key.aspect != Aspect::Columns || !key.sub_key.is_empty() || columns.completeness == Completeness::Partial {
        return None;
    }
    let order = slot.order(&key.source);
    let known = core.regs.get(key);
    let location = fact.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Location(location)) => Some(location.clone()),
        _ => None,
    });
    let before = |slots: &'_ [Slot]| slots.iter().rev().find(|known| known.order(&key.source) < order).cloned();
    let located = core.regs.get(&RegKey { aspect: Aspect::Location, ..key.clone() });
    let earlier = |slots: Option<&Vec<Slot>>| slots.and_then(|slots| before(slots)).and_then(|slot| slot.value);
    let said = |location: &String| Statement::Location(location.clone());
    let moved = location.as_ref().is_some_and(|at| earlier(located).is_some_and(|before| *before != said(at)));
    if earlier(known) == slot.value && !moved {
        return None;
    }
    Some(Point {
        version: slot.version,
        joined: slot.joined.clone(),
        via: slot.via.clone(),
        origin: slot.origin.clone(),
        source: key.source.clone(),
        sender: key.sender.clone(),
        completeness: columns.completeness,
        columns: real_columns(&key.source, columns),
        location,
        late: known.is_some_and(|slots| slots.last().is_some_and(|last| last.order(&key.source) > order)),
    })
}

fn load(entity: &EntityId, state: &dyn State) -> Result<Vec<Point>, StateError> {
    let mut points = Vec::new();
    for (key, bytes) in state.scan(&state_key(&[entity.as_str(), "s", ""]))? {
        points.push(from_json::<Point>(&key, &bytes)?);
    }
    points.sort_by(|a, b| a.place().cmp(&b.place()));
    Ok(points)
}

/// Points that go to another entity with a rename.
pub(super) fn travelling(core: &Core, state: &dyn State) -> Result<Vec<(RegKey, Slot)>, StateError> {
    let mut out = Vec::new();
    for point in load(&core.entity, state)? {
        let (source, sender) = (point.source.clone(), point.sender.clone());
        let key = RegKey { aspect: Aspect::Columns, sub_key: String::new(), source, sender };
        let known = core.regs.get(&key).is_some_and(|slots| slots.iter().any(|slot| slot.version == point.version));
        if !known {
            let slot = point.slot();
            let location = point.location.clone().map(|at| std::sync::Arc::new(Statement::Location(at)));
            if location.is_some() {
                out.push((
                    RegKey { aspect: Aspect::Location, ..key.clone() },
                    Slot { value: location, ..slot.clone() },
                ));
            }
            out.push((key, slot));
        }
    }
    Ok(out)
}

/// Deletes the points that `sender` forwarded here; returns them.
pub(super) fn withdraw(core: &Core, sender: &str, state: &mut dyn State) -> Result<Vec<(RegKey, Slot)>, StateError> {
    let mut out = Vec::new();
    for point in load(&core.entity, state)?.into_iter().filter(|point| is_from(&point.sender, sender)) {
        state.delete(point.key(&core.entity));
        let (source, from) = (point.source.clone(), point.sender.clone());
        let key = RegKey { aspect: Aspect::Columns, sub_key: String::new(), source, sender: from };
        out.push((key, point.slot()));
    }
    Ok(out)
}

/// What the versions of an entity depend on besides its points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Context {
    pub eras: Eras,
    /// Layer above files, which ranks the sources.
    pub provider: String,
    /// Whether the entity shows anything under its own id.
    pub shown: bool,
}

/// Points of an entity before and after a fact.
pub(super) struct Points {
    before: Vec<Point>,
    after: Vec<Point>,
}

impl Points {
    /// Loads them before anything is withdrawn.
    pub fn load(entity: &EntityId, state: &dyn State) -> Result<Self, StateError> {
        let before = load(entity, state)?;
        Ok(Self { after: before.clone(), before })
    }

    /// Adds candidates that differ from their neighbour; removes what was withdrawn. Returns whether any was added.
    pub fn update(
        &mut self,
        entity: &EntityId,
        candidates: Vec<Point>,
        withdrawn: &[String],
        state: &mut dyn State,
    ) -> bool {
        self.after.retain(|point| !withdrawn.iter().any(|sender| is_from(&point.sender, sender)));
        let mut added = false;
        for point in candidates {
            let at = self.after.partition_point(|known| known.place() < point.place());
            let is_known = self.after.get(at).is_some_and(|known| known.place() == point.place());
            let earlier = self.after.iter().take(at).rev().find(|known| known.source == point.source);
            if is_known || earlier.is_some_and(|earlier| earlier.says_as_much_as(&point)) {
                continue;
            }
            state.put(point.key(entity), json(&point));
            self.after.insert(at, point);
            added = true;
        }
        added
    }

    /// Keys of the versions that came through `sender`, less what `fact` itself says.
    pub fn keys_through(&self, sender: &str, fact: &Fact) -> BTreeSet<String> {
        let came = self.after.iter().filter(|point| !sender.is_empty() && is_from(&point.sender, sender));
        let others = came.filter(|point| point.version != fact.version || point.source != fact.source);
        others.map(|point| point.record_key(&fact.entity)).collect()
    }

    /// Puts the versions of both sides into the derivations; returns the ordinal of the newest one afterwards.
    pub fn derive(
        &self,
        core: &Core,
        (before, after): (&Context, &Context),
        (old, new): (&mut Derived, &mut Derived),
    ) -> i32 {
        versions(core, &self.before, before, old);
        versions(core, &self.after, after, new)
    }
}

/// Walks the points in order: only the authority's own sequence makes versions, and rank decides who that is.
fn versions(core: &Core, points: &[Point], context: &Context, out: &mut Derived) -> i32 {
    if !context.shown {
        return 0;
    }
    let platform = core.entity.platform();
    let mut current: Option<(u16, &Point)> = None;
    let mut ordinal = 0;
    for point in points.iter().filter(|point| !context.eras.is_away(&point.source, &point.slot())) {
        let rank = precedence::columns(&point.source, point.completeness, platform, &context.provider);
        let mut found = Vec::new();
        let version_level = match current {
            None => "initial",
            Some((best, known)) if (rank, &point.source) > (best, &known.source) => continue,
            Some((_, known)) => {
                let taken_over = known.source != point.source;
                let location = known.location.as_deref().zip(point.location.as_deref());
                found = changes(&flatten(&known.columns), &flatten(&point.columns), location);
                if taken_over {
                    found = normalised(found);
                }
                current = Some((rank, point));
                match (found.is_empty(), taken_over) {
                    (true, _) => continue,
                    (false, true) => "authority_changed",
                    (false, false) => level(&found),
                }
            }
        };
        current = Some((rank, point));
        ordinal += 1;
        let record = to_version(core, point, found, version_level);
        let key = point.record_key(&core.entity);
        out.insert((CatalogTopic::Schemas, key), CatalogRecord::SchemaVersion(record.into()));
    }
    ordinal
}

fn to_version(
    core: &Core,
    point: &Point,
    changes: Vec<crate::model::record::ColumnChange>,
    level: &str,
) -> SchemaVersionRecord {
    let fields = flatten(&point.columns);
    let canonical: Vec<_> =
        fields.iter().map(|f| (f.path.to_lowercase(), f.kind.canonical(), f.nullable, f.partition_key)).collect();
    let schema_hash = Sha256::digest(json(&canonical)).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let breaking = level != "authority_changed" && changes.iter().any(|change| change.breaking);
    SchemaVersionRecord {
        dataset: core.entity.as_str().to_owned(),
        source: point.source.as_str().to_owned(),
        version: point.version.sortable(),
        time: point.version.time,
        columns: fields.iter().enumerate().map(|(ordinal, field)| to_record(field, ordinal)).collect(),
        schema_hash,
        changes,
        breaking,
        level: level.to_owned(),
        late: point.late,
        incarnation: incarnation(core, point),
        origin: point.origin.clone(),
    }
}

/// How often the source had created the entity by then, at least 1.
fn incarnation(core: &Core, point: &Point) -> i32 {
    let created = core
        .regs
        .iter()
        .filter(|(key, _)| key.aspect == Aspect::Existence && key.source == point.source && key.sender == point.sender)
        .flat_map(|(_, slots)| slots)
        .filter(|slot| slot.version <= point.version)
        .filter(|slot| slot.existence().is_some_and(Existence::creates))
        .count();
    i32::try_from(created).unwrap_or(i32::MAX).max(1)
}
