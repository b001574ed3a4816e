//! LOCATION symlinks: an entity that lies where a table lies is a name of that table.
//!
//! Whose location a path is, only the path's owner knows, and it may learn it later. So the entity asks, once; the path
//! answers with everything it knows and, from then on, with everything it learns.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Aspect, EntityKind, Entry, Fact, Source, Statement, Symlink, Version};
use crate::model::id::EntityId;

use super::FoldOutput;
use super::registers::Core;

/// The paths that an entity has as LOCATION symlinks.
pub(super) fn links(core: &Core) -> BTreeSet<EntityId> {
    let said = core.mentions.values().filter_map(|mention| mention.said.get(&Aspect::Symlink));
    let is_location =
        |value: &Statement| matches!(value, Statement::Symlink(Symlink { kind, .. }) if kind == "LOCATION");
    let links = said.flatten().filter(|(_, value)| is_location(value)).map(|(id, _)| id.as_str());
    links.filter(|id| *id != core.entity.as_str()).map(EntityId::from_canonical).collect()
}

/// Entities that want to know whose location this path is.
pub(super) fn askers(core: &Core) -> BTreeSet<EntityId> {
    let asked = core.regs.keys().filter(|key| key.aspect == Aspect::LocationAsked);
    asked.map(|key| EntityId::from_canonical(key.sub_key.as_str())).collect()
}

/// Entities before and after a fact.
type Sides<'a> = (&'a BTreeSet<EntityId>, &'a BTreeSet<EntityId>);

/// Asks the paths that were not among the links before.
pub(super) fn ask(fact: &Fact, core: &Core, (before, links): Sides<'_>, out: &mut FoldOutput) {
    for path in links.difference(before) {
        let entry = Entry::keyed(core.entity.as_str(), Statement::LocationAsked(true));
        // Who asked first, and when, makes no difference.
        out.forwarded.push(Fact { version: Version::MIN, ..sent(fact, core, path, vec![entry]) });
    }
}

/// Tells new askers everything, and those that were there before what is new.
pub(super) fn answer(fact: &Fact, core: &Core, (before, askers): Sides<'_>, out: &mut FoldOutput) {
    if askers.is_empty() {
        return;
    }
    let mut known: BTreeMap<(Source, Version), Fact> = BTreeMap::new();
    for (key, slots) in core.regs.iter().filter(|(key, _)| key.aspect == Aspect::AliasOf && key.sender.is_empty()) {
        for slot in slots {
            let entry =
                Entry { aspect: key.aspect, sub_key: key.sub_key.clone(), value: slot.value.as_deref().cloned() };
            let answer = known.entry((key.source.clone(), slot.version)).or_insert_with(|| Fact {
                source: key.source.clone(),
                version: slot.version,
                origin: slot.origin.clone(),
                ..sent(fact, core, &core.entity, Vec::new())
            });
            answer.entries.push(entry);
        }
    }
    for asker in askers {
        let is_news = |answer: &&Fact| {
            !before.contains(asker) || (fact.source == answer.source && fact.version == answer.version)
        };
        let news = known.values().filter(is_news);
        out.forwarded.extend(news.map(|answer| Fact { entity: asker.clone(), ..answer.clone() }));
    }
}

fn sent(fact: &Fact, core: &Core, to: &EntityId, entries: Vec<Entry>) -> Fact {
    Fact {
        entity: to.clone(),
        kind: EntityKind::Dataset,
        source: fact.source.clone(),
        version: fact.version,
        origin: fact.origin.clone(),
        via: vec![core.entity.clone()],
        entries,
    }
}
