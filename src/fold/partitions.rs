//! Partitions of a table with the statistics of their columns, on both sides of a fact. A fact reads those that it
//! touches; all of them only where the table changed as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Aspect, Fact, Origin, Source, Statement};
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic, PartitionRecord};
use crate::model::state::{State, StateError};

use super::bulk::{self, Registers, Touched};
use super::dataset::json_text;
use super::output::Derived;
use super::precedence;
use super::registers::{from_json, state_key};
use super::routes::is_from;
use super::slots::Slot;
use super::view::Eras;

/// The group in which statistics of partitions' columns lie, under `partition|column`.
const STATS: &str = "partition_column_stats";

/// What all partitions of a table depend on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Context {
    pub visible: bool,
    pub eras: Eras,
}

/// What is said of one partition.
#[derive(Clone, Default)]
struct Partition {
    registers: Registers,
    /// Statistics by column.
    stats: BTreeMap<String, Registers>,
}

/// Partitions by name, as they were before a fact.
#[derive(Default)]
pub(super) struct Partitions(BTreeMap<String, Partition>);

impl Partitions {
    /// All of the table's; read before a fact's own are written.
    pub fn all(entity: &EntityId, state: &dyn State) -> Result<Self, StateError> {
        let mut all: BTreeMap<String, Partition> = BTreeMap::new();
        for (name, registers) in bulk::load_all(entity, Aspect::Partition.as_str(), state)? {
            all.insert(name, Partition { registers, stats: BTreeMap::new() });
        }
        for (sub_key, registers) in bulk::load_all(entity, STATS, state)? {
            if let Some((name, column)) = sub_key.split_once('|') {
                all.entry(name.to_owned()).or_default().stats.insert(column.to_owned(), registers);
            }
        }
        Ok(Self(all))
    }

    /// Puts the records of these and of the touched ones on both sides; `state` has what the fact wrote.
    pub fn derive(
        self,
        fact: &Fact,
        touched: &[(Aspect, Touched)],
        withdrawn: &[String],
        (context_before, context_after): (&Context, &Context),
        state: &dyn State,
        (old, new): (&mut Derived, &mut Derived),
    ) -> Result<(), StateError> {
        let mut names: BTreeSet<&str> =
            touched.iter().filter_map(|(aspect, change)| touches(*aspect, change)).collect();
        names.extend(self.0.keys().map(String::as_str));
        for name in names {
            let before = match self.0.get(name) {
                Some(known) => known.clone(),
                None => {
                    let mut partition = Partition::load(&fact.entity, name, state)?;
                    partition.set(name, touched, |change| &change.before);
                    partition
                }
            };
            let mut after = before.clone();
            after.withdraw(withdrawn);
            after.set(name, touched, |change| &change.after);
            for (side, partition, context) in [(&mut *old, &before, context_before), (&mut *new, &after, context_after)]
            {
                if let Some(record) = partition.record(&fact.entity, name, context, &fact.origin) {
                    let key = (CatalogTopic::Partitions, format!("{}|{name}", fact.entity.as_str()));
                    side.insert(key, CatalogRecord::Partition(record.into()));
                }
            }
        }
        Ok(())
    }
}

/// The partition that a touched register is about.
fn touches(aspect: Aspect, change: &Touched) -> Option<&str> {
    match aspect {
        Aspect::Partition => Some(&change.sub_key),
        Aspect::ColumnStats => change.sub_key.split_once('|').map(|(name, _)| name),
        _ => None,
    }
}

impl Partition {
    fn load(entity: &EntityId, name: &str, state: &dyn State) -> Result<Self, StateError> {
        let registers = bulk::load(entity, Aspect::Partition.as_str(), name, state)?;
        let prefix = state_key(&[entity.as_str(), "p", STATS, &format!("{name}|")]);
        let mut stats: BTreeMap<String, Registers> = BTreeMap::new();
        for (key, bytes) in state.scan(&prefix)? {
            let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
            if let [column, source, sender] = text.split('\0').collect::<Vec<_>>().as_slice() {
                let of_column = stats.entry((*column).to_owned()).or_default();
                of_column.insert((Source::parse(*source), (*sender).to_owned()), from_json(&key, &bytes)?);
            }
        }
        Ok(Self { registers, stats })
    }

    /// Takes over one side of the touched registers.
    fn set(&mut self, name: &str, touched: &[(Aspect, Touched)], side: impl Fn(&Touched) -> &Registers) {
        for (aspect, change) in touched.iter().filter(|(aspect, change)| touches(*aspect, change) == Some(name)) {
            match change.sub_key.split_once('|').filter(|_| *aspect == Aspect::ColumnStats) {
                Some((_, column)) => {
                    self.stats.insert(column.to_owned(), side(change).clone());
                }
                None => self.registers = side(change).clone(),
            }
        }
    }

    fn withdraw(&mut self, withdrawn: &[String]) {
        for registers in self.stats.values_mut().chain([&mut self.registers]) {
            registers.retain(|(_, sender), _| !withdrawn.iter().any(|gone| is_from(sender, gone)));
        }
    }

    /// The record, if the partition is there.
    fn record(&self, entity: &EntityId, name: &str, context: &Context, origin: &Origin) -> Option<PartitionRecord> {
        if !context.visible {
            return None;
        }
        let (source, slot) = bulk::newest(&self.registers, &context.eras)
            .into_iter()
            .filter(|(_, slot)| slot.value.is_some())
            .min_by_key(|(source, _)| (precedence::aspect(Aspect::Partition, source), *source))?;
        let Some(Statement::Partition(partition)) = slot.value.as_deref() else { return None };
        Some(PartitionRecord {
            dataset: entity.as_str().to_owned(),
            name: name.to_owned(),
            values: partition.values.clone(),
            location: partition.location.clone(),
            properties: partition.properties.clone(),
            native: json_text(&partition.native),
            column_stats: bulk::column_stats(&self.present_stats(), &context.eras),
            source: source.as_str().to_owned(),
            origin: origin.clone(),
        })
    }

    /// The statistics of the present partition: with a partition, its statistics go.
    fn present_stats(&self) -> BTreeMap<String, Registers> {
        let is_gone = |source: &Source, slot: &Slot| {
            let by_source = self.registers.iter().filter(|((by, _), _)| by == source);
            let mut slots = by_source.flat_map(|(_, slots)| slots);
            slots.any(|other| other.value.is_none() && other.order(source) > slot.order(source))
        };
        let mut stats = self.stats.clone();
        for ((source, _), slots) in stats.values_mut().flatten() {
            slots.retain(|slot| !is_gone(source, slot));
        }
        stats
    }
}
