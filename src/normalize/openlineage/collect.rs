//! Collects entries into facts: one fact per entity of an event, one entry per register.

use std::collections::{HashMap, HashSet};

use crate::model::fact::{Aspect, EntityKind, Entry, Fact, Origin, Source, Version};
use crate::model::id::EntityId;

/// The facts of one event, in the order in which their entities came up.
pub(in crate::normalize) struct Collector {
    source: Source,
    version: Version,
    origin: Origin,
    facts: Vec<Fact>,
    by_entity: HashMap<EntityId, Place>,
}

/// A fact under way.
struct Place {
    index: usize,
    /// Registers that it fills: wide partial schemas have an entry per column, and an event may name a dataset often.
    taken: HashSet<(Aspect, String)>,
}

impl Collector {
    pub fn new(source: Source, version: Version, origin: Origin) -> Self {
        Self { source, version, origin, facts: Vec::new(), by_entity: HashMap::new() }
    }

    /// Adds entries to the fact of `entity`; what was said first under a register stands.
    pub fn add(&mut self, entity: &EntityId, kind: EntityKind, entries: impl IntoIterator<Item = Entry>) {
        let place = self.by_entity.entry(entity.clone()).or_insert_with(|| {
            self.facts.push(Fact {
                entity: entity.clone(),
                kind,
                source: self.source.clone(),
                version: self.version,
                origin: self.origin.clone(),
                via: Vec::new(),
                entries: Vec::new(),
            });
            Place { index: self.facts.len() - 1, taken: HashSet::new() }
        });
        let Some(fact) = self.facts.get_mut(place.index) else { return };
        let new = entries.into_iter().filter(|entry| place.taken.insert((entry.aspect, entry.sub_key.clone())));
        fact.entries.extend(new);
    }

    /// The facts that say something.
    pub fn finish(mut self) -> Vec<Fact> {
        self.facts.retain(|fact| !fact.entries.is_empty());
        self.facts
    }
}
