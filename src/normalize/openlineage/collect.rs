//! Collects entries into facts: one fact per entity of an event, one entry per register.

use std::collections::HashMap;

use crate::model::fact::{EntityKind, Entry, Fact, Origin, Source, Version};
use crate::model::id::EntityId;

/// The facts of one event, in the order in which their entities came up.
pub(super) struct Collector {
    source: Source,
    version: Version,
    origin: Origin,
    facts: Vec<Fact>,
    by_entity: HashMap<EntityId, usize>,
}

impl Collector {
    pub fn new(source: Source, version: Version, origin: Origin) -> Self {
        Self { source, version, origin, facts: Vec::new(), by_entity: HashMap::new() }
    }

    /// Adds entries to the fact of `entity`; what was said first under a register stands.
    pub fn add(&mut self, entity: &EntityId, kind: EntityKind, entries: impl IntoIterator<Item = Entry>) {
        let index = *self.by_entity.entry(entity.clone()).or_insert(self.facts.len());
        if index == self.facts.len() {
            self.facts.push(Fact {
                entity: entity.clone(),
                kind,
                source: self.source.clone(),
                version: self.version,
                origin: self.origin.clone(),
                via: Vec::new(),
                entries: Vec::new(),
            });
        }
        let Some(fact) = self.facts.get_mut(index) else { return };
        // Wide partial schemas have an entry per column, so a scan per entry would be quadratic.
        let mut taken: std::collections::HashSet<_> =
            fact.entries.iter().map(|entry| (entry.aspect, entry.sub_key.clone())).collect();
        fact.entries.extend(entries.into_iter().filter(|entry| taken.insert((entry.aspect, entry.sub_key.clone()))));
    }

    /// The facts that say something.
    pub fn finish(mut self) -> Vec<Fact> {
        self.facts.retain(|fact| !fact.entries.is_empty());
        self.facts
    }
}
