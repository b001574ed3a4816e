//! Slots: one source's statements in one register, their order, and how a register's list is kept short.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::model::fact::{Existence, ExistenceState, Joined, LocationMoved, Origin, Source, Statement, Version};
use crate::model::id::EntityId;

use super::registers::json;

/// Creates and drops that are remembered beyond the ordinary limit, because they are floors.
const MAX_FLOORS: usize = 64;

/// One statement in a register, at its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Slot {
    #[serde(rename = "n")]
    pub version: Version,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Joined>,
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<EntityId>,
    #[serde(rename = "o")]
    pub origin: Origin,
    #[serde(rename = "v")]
    pub value: Option<Arc<Statement>>,
}

/// Total order of one source's statements inside an entity: by the rename that brought them, inside of that by the one
/// before, and at last by their own versions.
pub(super) type Order = SmallVec<[(u32, i64, u8, i64, u64); 2]>;

impl Slot {
    /// Place in the order of `source`.
    pub fn order(&self, source: &Source) -> Order {
        let own = self.version;
        let step = |by: &Source, at: Version| {
            let is_own = by == source;
            // Across sources only event times compare.
            let epoch = if is_own { at.epoch } else { own.epoch };
            (epoch, at.time, u8::from(is_own), at.seq, at.hash)
        };
        let mut order = Order::new();
        if let Some(joined) = &self.joined {
            order.push(step(&joined.source, joined.version));
            order.extend(joined.earlier.iter().map(|(by, at)| step(by, *at)));
        }
        order.push(step(source, own));
        // What a source says at the rename itself comes after everything that the rename brought.
        order.push((u32::MAX, i64::MAX, u8::MAX, i64::MAX, u64::MAX));
        order
    }

    /// Whether the statement was here before the entity was renamed at `boundary`.
    pub fn before(&self, source: &Source, boundary: &Boundary) -> bool {
        let (era_source, era) = match &self.joined {
            Some(joined) => (&joined.source, joined.version),
            None => (source, self.version),
        };
        if *era_source == boundary.source { era < boundary.version } else { era.time < boundary.version.time }
    }

    /// The existence it states, if that is its aspect.
    pub fn existence(&self) -> Option<&Existence> {
        match self.value.as_deref() {
            Some(Statement::Existence(existence)) => Some(existence),
            _ => None,
        }
    }
}

/// A rename away: everything before it belongs to `to`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Boundary {
    pub source: Source,
    pub version: Version,
    pub to: EntityId,
    /// The rename moved the table's data, and what lies below it.
    pub moved: Option<LocationMoved>,
}

/// Puts `slot` where it belongs in a register's list. Returns whether the list changed.
pub(super) fn insert_slot(slots: &mut Vec<Slot>, slot: Slot, source: &Source, limit: usize) -> bool {
    let order = slot.order(source);
    match slots.binary_search_by(|known| known.order(source).cmp(&order)) {
        Ok(at) => {
            let Some(known) = slots.get_mut(at) else { return false };
            // The same record says the same; should it not, the larger value wins whatever comes first.
            if known.value == slot.value || json(&known.value) >= json(&slot.value) {
                return false;
            }
            *known = slot;
            true
        }
        Err(at) => {
            slots.insert(at, slot);
            let trimmed = trim(slots, limit);
            trimmed != Some(at)
        }
    }
}

/// Shortens a list that is too long. Returns the place of the removed slot.
fn trim(slots: &mut Vec<Slot>, limit: usize) -> Option<usize> {
    let is_floor = |slot: &Slot| slot.existence().is_some_and(|existence| existence.floor);
    let floors = slots.iter().filter(|slot| is_floor(slot)).count();
    let plain = slots.len() - floors;
    if plain <= limit && floors <= MAX_FLOORS {
        return None;
    }
    // The middle of three equal statements says nothing that its neighbours do not say.
    let repeated = (1..slots.len().saturating_sub(1)).find(|&at| {
        let triple = (slots.get(at - 1), slots.get(at), slots.get(at + 1));
        matches!(triple, (Some(a), Some(b), Some(c)) if !is_floor(b) && a.value == b.value && b.value == c.value)
    });
    let oldest = || slots.iter().position(|slot| is_floor(slot) == (floors > MAX_FLOORS));
    let at = repeated.or_else(oldest)?;
    slots.remove(at);
    Some(at)
}

/// How much a version-free statement says; the larger one is kept.
pub(super) fn informs(statement: &Statement) -> (u8, Vec<u8>) {
    let weight = match statement {
        Statement::Columns(columns) => columns.columns.iter().fold(0u8, |sum, column| {
            sum.saturating_add(u8::from(column.description.is_some()))
                .saturating_add(2 * u8::from(!column.data_type.is_empty()))
                .saturating_add(4 * u8::from(!column.fields.is_empty()))
        }),
        Statement::Existence(existence) => match existence.state {
            ExistenceState::Confirmed => 4,
            ExistenceState::Referenced => 3,
            ExistenceState::Virtual => 2,
            ExistenceState::Ignored => 1,
            ExistenceState::Dropped => 0,
        },
        _ => 0,
    };
    (weight, json(statement))
}
