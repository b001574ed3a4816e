//! Forwards: what belongs to another entity goes there, with its version unchanged and this entity in `via`.
//!
//! Two reasons: the entity was renamed away (what was said before belongs to the new name), or it is only a name of a
//! table (a path at a table's location, or one with a TABLE symlink). A route depends on the registers alone; when it
//! changes, the former target is told to withdraw what came through here, and the right one gets it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Aspect, Entry, Fact, Joined, Origin, Source, Statement, Version};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::FoldOutput;
use super::bulk::{self, Touched};
use super::entity::{is_mention, is_version_free};
use super::history;
use super::registers::{Core, Place, RegKey, place};
use super::routes::{Lane, Routes, sender_key};
use super::slots::{Boundary, Slot};

/// Longest chain of names that a fact carries.
const MAX_HOPS: usize = 8;
/// Renames that a statement remembers.
const MAX_RENAMES: usize = 32;

/// Everything that must travel, by (target, sender's fact).
#[derive(Default)]
struct Parcel {
    facts: BTreeMap<Stamp, Vec<Entry>>,
}

/// What facts are grouped by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    to: EntityId,
    version: Version,
    source: Source,
    via: Vec<EntityId>,
    origin: Origin,
    joined: Option<Joined>,
}

impl Parcel {
    fn add(&mut self, to: &EntityId, at: Option<&Boundary>, source: &Source, slot: &Slot, mut entry: Entry) {
        // Partitions move with a managed table; nobody reports that one by one.
        if let (Some(moved), Some(Statement::Partition(partition))) =
            (at.and_then(|boundary| boundary.moved.as_ref()), &mut entry.value)
        {
            let place = partition.location.as_deref().and_then(|location| moved.apply(location));
            partition.location = place.or(partition.location.take());
        }
        let joined = match at {
            Some(boundary) => Some(join(boundary, slot.joined.as_ref())),
            None => slot.joined.clone(),
        };
        let stamp = Stamp {
            to: to.clone(),
            version: slot.version,
            source: source.clone(),
            via: slot.via.clone(),
            origin: slot.origin.clone(),
            joined,
        };
        self.facts.entry(stamp).or_default().push(entry);
    }

    fn send(self, sender: &EntityId, fact: &Fact, out: &mut FoldOutput) {
        for (stamp, mut entries) in self.facts {
            let Some(via) = next_via(&stamp.via, sender, &stamp.to, stamp.joined.is_some()) else { continue };
            if let Some(joined) = stamp.joined {
                entries.push(Entry::of(Statement::Joined(joined)));
            }
            for entry in &mut entries {
                // Membership in a listing belongs to the name under which it was reported.
                if let Some(Statement::Existence(existence)) = &mut entry.value {
                    existence.scope = None;
                }
            }
            out.forwarded.push(Fact {
                entity: stamp.to,
                kind: fact.kind,
                source: stamp.source,
                version: stamp.version,
                origin: stamp.origin,
                via,
                entries,
            });
        }
    }
}

/// The rename on top of those before it.
fn join(boundary: &Boundary, before: Option<&Joined>) -> Joined {
    let mut earlier = Vec::new();
    if let Some(before) = before {
        earlier.push((before.source.clone(), before.version));
        earlier.extend(before.earlier.iter().cloned());
        earlier.truncate(MAX_RENAMES);
    }
    Joined { source: boundary.source.clone(), version: boundary.version, earlier }
}

/// The chain of names with this one added; `None` where it would go in a circle. Renames follow time and cannot: a
/// name that comes again only means that the table is called so again, so the loop is cut out.
fn next_via(via: &[EntityId], sender: &EntityId, to: &EntityId, renamed: bool) -> Option<Vec<EntityId>> {
    let mut chain: Vec<EntityId> = via.iter().filter(|id| *id != sender).cloned().collect();
    chain.push(sender.clone());
    if let Some(at) = chain.iter().position(|id| id == to) {
        if !renamed {
            return None;
        }
        chain.drain(..=at);
    }
    if chain.len() > MAX_HOPS {
        if !renamed {
            return None;
        }
        // The first reported name and the newest ones.
        chain.drain(1..=chain.len() - MAX_HOPS);
    }
    Some(chain)
}

fn travels(aspect: Aspect) -> bool {
    !matches!(
        aspect,
        Aspect::AliasOf
            | Aspect::RenamedTo
            | Aspect::LocationMoved
            | Aspect::Symlink
            | Aspect::Withdraw
            | Aspect::Resending
            | Aspect::Joined
            | Aspect::Quality
            | Aspect::Listing
            | Aspect::Member
    )
}

/// A target, and the key under which it knows this entity as a sender.
pub(super) type Begun = BTreeSet<(EntityId, String)>;

/// Sends on what this fact added, or everything where the routes changed. Returns whom it has begun to send everything:
/// each is owed an [`end`].
pub(super) fn forward(
    fact: &Fact,
    core: &Core,
    before: &Routes,
    touched: &[(Aspect, Touched)],
    withdrawn: &Withdrawn,
    state: &dyn State,
    out: &mut FoldOutput,
) -> Result<Begun, StateError> {
    let routes = Routes::of(core);
    if routes.is_home() && *before == routes {
        return Ok(Begun::new());
    }
    if *before == routes && withdrawn.slots.is_empty() && withdrawn.mentions == 0 {
        let mut parcel = Parcel::default();
        forward_entries(fact, &routes, touched, &mut parcel);
        parcel.send(&core.entity, fact, out);
        return Ok(Begun::new());
    }
    let all = everything(fact, core, state)?;
    let is_new = |key: &RegKey, slot: &Slot| {
        slot.version == fact.version && key.source == fact.source && key.sender == super::entity::sender_of(fact)
    };
    let lane = |(to, boundary): (&EntityId, Option<&Boundary>)| (to.clone(), boundary.map(|b| b.version));
    let mut sent: BTreeSet<((EntityId, Lane), usize)> = BTreeSet::new();
    let mut due: BTreeSet<((EntityId, Lane), usize)> = BTreeSet::new();
    for (nth, (key, slot)) in all.iter().enumerate() {
        if !is_new(key, slot) {
            sent.extend(before.of_slot(&key.source, slot).into_iter().map(|way| (lane(way), nth)));
        }
        due.extend(routes.of_slot(&key.source, slot).into_iter().map(|way| (lane(way), nth)));
    }
    let mut lost: BTreeSet<(EntityId, Lane)> = sent.difference(&due).map(|(way, _)| way.clone()).collect();
    for (key, slot) in &withdrawn.slots {
        lost.extend(before.of_slot(&key.source, slot).into_iter().map(lane));
    }
    let (old_aliases, new_aliases) = (before.alias_targets(), routes.alias_targets());
    lost.extend(old_aliases.difference(&new_aliases).map(|id| ((*id).clone(), None)));
    if withdrawn.mentions > 0 {
        lost.extend(old_aliases.iter().map(|id| ((*id).clone(), None)));
    }
    let (old_notices, new_notices) = (before.notices(), routes.notices());
    for (way, notice) in &old_notices {
        if new_notices.get(way).is_some_and(|new| new != notice) {
            lost.insert((way.0.clone(), way.1));
        }
    }
    let is_lost = |to: &EntityId, lane: Lane| lost.contains(&(to.clone(), lane)) || lost.contains(&(to.clone(), None));

    let mut parcel = Parcel::default();
    for ((to, lane), notice) in new_notices {
        if is_lost(to, lane) || !old_notices.contains_key(&(to, lane)) {
            let origin = fact.origin.clone();
            let slot = Slot { version: notice.version, joined: None, via: Vec::new(), origin, value: None };
            let entry = Entry::keyed(core.entity.as_str(), Statement::Alias(notice.alias));
            parcel.add(to, notice.boundary, notice.source, &slot, entry);
        }
    }
    // Ways on which more goes than this fact: only when all of it has come can the target say what is new.
    let mut begun: BTreeSet<(EntityId, Lane)> = BTreeSet::new();
    let is_first = |to: &EntityId, lane: Lane| !old_notices.contains_key(&(to, lane));
    for (nth, (key, slot)) in all.iter().enumerate() {
        for (to, boundary) in routes.of_slot(&key.source, slot) {
            let way = lane((to, boundary));
            if is_lost(to, way.1) || (is_first(to, way.1) && !is_new(key, slot)) {
                begun.insert(way.clone());
            }
            if is_lost(to, way.1) || !sent.contains(&(way, nth)) {
                let entry =
                    Entry { aspect: key.aspect, sub_key: key.sub_key.clone(), value: slot.value.as_deref().cloned() };
                parcel.add(to, boundary, &key.source, slot, entry);
            }
        }
    }
    for to in new_aliases {
        if is_lost(to, None) || !old_aliases.contains(to) {
            send_mentions(core, to, &mut parcel);
            if core.mentions.values().any(|mention| mention.first != fact.version) {
                begun.insert((to.clone(), None));
            }
        } else {
            forward_mentions(fact, to, &mut parcel);
        }
    }
    if core.unsettled.is_some() {
        // What was withdrawn here may still come back and go on.
        begun.extend(lost.iter().cloned());
    }
    for way in lost.union(&begun) {
        let key = sender_key(&core.entity, way.1);
        let mut entries = Vec::new();
        if lost.contains(way) {
            entries.push(Entry::keyed(key.as_str(), Statement::Withdraw(true)));
        }
        if begun.contains(way) {
            entries.push(Entry::keyed(key.as_str(), Statement::Resending(true)));
        }
        out.forwarded.push(marked(fact, &core.entity, &way.0, entries));
    }
    parcel.send(&core.entity, fact, out);
    Ok(begun.into_iter().map(|(to, lane)| (to, sender_key(&core.entity, lane))).collect())
}

fn marked(fact: &Fact, sender: &EntityId, to: &EntityId, entries: Vec<Entry>) -> Fact {
    Fact {
        entity: to.clone(),
        kind: fact.kind,
        source: fact.source.clone(),
        version: fact.version,
        origin: fact.origin.clone(),
        via: vec![sender.clone()],
        entries,
    }
}

/// That everything has been sent.
pub(super) fn end(fact: &Fact, begun: Begun, out: &mut FoldOutput) {
    for (to, key) in begun {
        out.forwarded.push(marked(
            fact,
            &fact.entity,
            &to,
            vec![Entry::keyed(key.as_str(), Statement::Resending(false))],
        ));
    }
}

/// What a withdrawal removed here.
#[derive(Default)]
pub(super) struct Withdrawn {
    pub slots: Vec<(RegKey, Slot)>,
    pub mentions: usize,
}

/// The entries of one fact, where routes are as before.
fn forward_entries(fact: &Fact, routes: &Routes, touched: &[(Aspect, Touched)], parcel: &mut Parcel) {
    let joined = fact.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Joined(joined)) => Some(joined.clone()),
        _ => None,
    });
    let origin = fact.origin.clone();
    let slot = Slot { version: fact.version, joined, via: fact.via.clone(), origin, value: None };
    let targets = routes.of_slot(&fact.source, &slot);
    let mention = is_mention(fact);
    for entry in fact.entries.iter().filter(|entry| travels(entry.aspect) && !is_version_free(mention, entry)) {
        let known = place(entry.aspect) == Place::Bulk
            && !touched.iter().any(|(aspect, change)| *aspect == entry.aspect && change.sub_key == entry.sub_key);
        if known {
            continue;
        }
        for (to, boundary) in &targets {
            parcel.add(to, *boundary, &fact.source, &slot, entry.clone());
        }
    }
    for to in routes.alias_targets() {
        forward_mentions(fact, to, parcel);
    }
}

fn forward_mentions(fact: &Fact, to: &EntityId, parcel: &mut Parcel) {
    let origin = fact.origin.clone();
    let slot = Slot { version: fact.version, joined: None, via: fact.via.clone(), origin, value: None };
    let mention = is_mention(fact);
    for entry in fact.entries.iter().filter(|entry| travels(entry.aspect) && is_version_free(mention, entry)) {
        parcel.add(to, None, &fact.source, &slot, entry.clone());
    }
}

/// Version-free statements go to every table the entity is a name of: they say nothing that time could contradict.
fn send_mentions(core: &Core, to: &EntityId, parcel: &mut Parcel) {
    for ((source, _), mention) in &core.mentions {
        let slot = Slot {
            version: mention.first,
            joined: None,
            via: mention.via.clone(),
            origin: mention.origin.clone(),
            value: None,
        };
        for (aspect, subs) in mention.said.iter().filter(|(aspect, _)| travels(**aspect)) {
            for (sub_key, value) in subs {
                let value = Some(value.as_ref().clone());
                parcel.add(to, None, source, &slot, Entry { aspect: *aspect, sub_key: sub_key.clone(), value });
            }
        }
    }
}

/// Every versioned statement of the entity that travels, the bulky ones included.
fn everything(fact: &Fact, core: &Core, state: &dyn State) -> Result<Vec<(RegKey, Slot)>, StateError> {
    let mut out: Vec<(RegKey, Slot)> = Vec::new();
    for (key, slots) in core.regs.iter().filter(|(key, _)| travels(key.aspect)) {
        out.extend(slots.iter().map(|slot| (key.clone(), slot.clone())));
    }
    for (group, aspect) in BULK_GROUPS {
        for (sub_key, registers) in bulk::load_all(&fact.entity, group, state)? {
            for ((source, sender), slots) in registers {
                let key = RegKey { aspect, sub_key: sub_key.clone(), source, sender };
                out.extend(slots.into_iter().map(|slot| (key.clone(), slot)));
            }
        }
    }
    out.extend(history::travelling(core, state)?);
    Ok(out)
}

/// Groups of bulky registers that travel.
pub(super) const BULK_GROUPS: [(&str, Aspect); 3] = [
    ("partition", Aspect::Partition),
    ("column_stats", Aspect::ColumnStats),
    ("partition_column_stats", Aspect::ColumnStats),
];
