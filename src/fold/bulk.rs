//! Registers that may be very many: partitions, column statistics, quality checks. Each event reads those it names;
//! all of them only when the table as a whole is dropped, created anew, renamed or moved.

use std::collections::BTreeMap;

use crate::model::fact::{Aspect, Origin, Source, Statement};
use crate::model::id::EntityId;
use crate::model::record::QualityRecord;
use crate::model::state::{State, StateError};

use super::dataset::json_text;
use super::registers::{RegKey, from_json, json, state_key};
use super::routes::is_from;
use super::slots::{Slot, insert_slot};
use super::view::Eras;

/// All registers under one sub-key: (source, sender) → versions.
pub(super) type Registers = BTreeMap<(Source, String), Vec<Slot>>;

/// The group of keys in which a register lies. Column statistics of partitions lie apart from those of the table.
pub(super) fn group(aspect: Aspect, sub_key: &str) -> &'static str {
    match aspect {
        Aspect::ColumnStats if sub_key.contains('|') => "partition_column_stats",
        other => other.as_str(),
    }
}

/// Loads the registers of one sub-key.
pub(super) fn load(entity: &EntityId, group: &str, sub_key: &str, state: &dyn State) -> Result<Registers, StateError> {
    let prefix = state_key(&[entity.as_str(), "p", group, sub_key, ""]);
    let mut out = Registers::new();
    for (key, bytes) in state.scan(&prefix)? {
        let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        if let Some((source, sender)) = text.split_once('\0') {
            out.insert((Source::parse(source), sender.to_owned()), from_json(&key, &bytes)?);
        }
    }
    Ok(out)
}

/// Loads all registers of a group, by sub-key.
pub(super) fn load_all(
    entity: &EntityId,
    group: &str,
    state: &dyn State,
) -> Result<BTreeMap<String, Registers>, StateError> {
    let prefix = state_key(&[entity.as_str(), "p", group, ""]);
    let mut out: BTreeMap<String, Registers> = BTreeMap::new();
    for (key, bytes) in state.scan(&prefix)? {
        let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        if let [sub_key, source, sender] = text.split('\0').collect::<Vec<_>>().as_slice() {
            out.entry((*sub_key).to_owned())
                .or_default()
                .insert((Source::parse(*source), (*sender).to_owned()), from_json(&key, &bytes)?);
        }
    }
    Ok(out)
}

/// One register that a fact changed.
pub(super) struct Touched {
    pub sub_key: String,
    pub before: Registers,
    pub after: Registers,
}

/// Puts a statement into its register; writes it and returns both sides if that changed anything.
pub(super) fn insert(
    entity: &EntityId,
    (aspect, sub_key): (Aspect, &str),
    (source, sender): (&Source, &str),
    slot: Slot,
    limit: usize,
    state: &mut dyn State,
) -> Result<Option<Touched>, StateError> {
    let group = group(aspect, sub_key);
    let before = load(entity, group, sub_key, state)?;
    let mut after = before.clone();
    let slots = after.entry((source.clone(), sender.to_owned())).or_default();
    if !insert_slot(slots, slot, source, limit) {
        return Ok(None);
    }
    state.put(state_key(&[entity.as_str(), "p", group, sub_key, source.as_str(), sender]), json(slots));
    Ok(Some(Touched { sub_key: sub_key.to_owned(), before, after }))
}

/// Deletes everything in a group that `sender` forwarded here; returns what it was.
pub(super) fn withdraw(
    entity: &EntityId,
    (group, aspect): (&str, Aspect),
    sender: &str,
    state: &mut dyn State,
) -> Result<Vec<(RegKey, Slot)>, StateError> {
    let mut out = Vec::new();
    for (sub_key, registers) in load_all(entity, group, state)? {
        for ((source, from), slots) in registers.into_iter().filter(|((_, from), _)| is_from(from, sender)) {
            state.delete(state_key(&[entity.as_str(), "p", group, &sub_key, source.as_str(), &from]));
            let key = RegKey { aspect, sub_key: sub_key.clone(), source, sender: from };
            out.extend(slots.into_iter().map(|slot| (key.clone(), slot)));
        }
    }
    Ok(out)
}

/// Newest live slot of each source.
pub(super) fn newest<'a>(registers: &'a Registers, eras: &Eras) -> Vec<(&'a Source, &'a Slot)> {
    let mut out: BTreeMap<&Source, &Slot> = BTreeMap::new();
    for ((source, _), slots) in registers {
        let Some(slot) = slots.last().filter(|slot| eras.is_live(source, slot)) else { continue };
        match out.get(source) {
            Some(known) if known.order(source) >= slot.order(source) => {}
            _ => {
                out.insert(source, slot);
            }
        }
    }
    out.into_iter().collect()
}

/// Column statistics, sub-key → JSON.
pub(super) fn column_stats(all: &BTreeMap<String, Registers>, eras: &Eras) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (sub_key, registers) in all {
        let best = newest(registers, eras).into_iter().max_by_key(|(source, slot)| (slot.version.time, *source));
        if let Some(Statement::ColumnStats(value)) = best.and_then(|(_, slot)| slot.value.as_deref()) {
            out.insert(sub_key.clone(), json_text(value));
        }
    }
    out
}

/// The newest outcome of a check. It keeps the name under which it was reported, also after a rename.
pub(super) fn quality(entity: &EntityId, check: &str, registers: &Registers, origin: &Origin) -> Option<QualityRecord> {
    let newest = registers
        .iter()
        .filter_map(|((source, sender), slots)| Some((slots.last()?, source, sender)))
        .max_by_key(|(slot, source, sender)| (slot.version.time, slot.version, *source, *sender));
    let (slot, _, _) = newest?;
    let Some(Statement::Quality(quality)) = slot.value.as_deref() else { return None };
    Some(QualityRecord {
        dataset: entity.as_str().to_owned(),
        check: check.to_owned(),
        status: quality.status.clone(),
        field: quality.field.clone(),
        value: json_text(&quality.value),
        time: slot.version.time,
        run: quality.run.clone(),
        origin: origin.clone(),
    })
}
