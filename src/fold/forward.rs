//! Forwards: what belongs to another entity goes there, with its version unchanged and this entity in `via`.
//!
//! Two reasons: the entity was renamed away (what was said before belongs to the new name), or it is only a name of a
//! table (a path at a table's location, or one with a TABLE symlink). A route depends on the registers alone; when it
//! changes, the former target is told to withdraw what came through here, and the right one gets it.
//!
//! Names may lead in a circle, or on and on. What cannot go on stays where it is and is shown there; nothing is dropped.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Aspect, Entry, Fact, Joined, Origin, Source, Statement, Version};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::FoldOutput;
use super::bulk::{self, Touched};
use super::entity::{is_mention, is_version_free};
use super::history;
use super::registers::{Core, Place, RegKey, place};
use super::routes::{Lane, Routes, claim_of, sender_key};
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
    /// A claim travels alone: it is withdrawn alone.
    claim: Option<EntityId>,
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
            claim: claim_of(entry.aspect, &entry.sub_key, entry.value.as_ref()),
        };
        self.facts.entry(stamp).or_default().push(entry);
    }

    fn send(self, sender: &EntityId, fact: &Fact, out: &mut FoldOutput) {
        for (stamp, mut entries) in self.facts {
            let step = Step { renamed: stamp.joined.is_some(), claim: stamp.claim.as_ref() };
            let Some(via) = next_via(&stamp.via, sender, &stamp.to, step) else { continue };
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

/// What goes on.
#[derive(Clone, Copy)]
struct Step<'a> {
    /// A rename brought it here, or takes it away.
    renamed: bool,
    claim: Option<&'a EntityId>,
}

/// The chain of names with this one added; `None` where it cannot go on: in a circle, and over too many names. Renames
/// follow time and make no circle: a name that comes again only means that the table is called so again, so the loop is
/// cut out. A claim may come back to whom it is about, who learns by it of the circle.
fn next_via(via: &[EntityId], sender: &EntityId, to: &EntityId, step: Step<'_>) -> Option<Vec<EntityId>> {
    let mut chain: Vec<EntityId> = via.iter().filter(|id| *id != sender).cloned().collect();
    chain.push(sender.clone());
    if let Some(at) = chain.iter().position(|id| id == to) {
        if step.renamed {
            chain.drain(..=at);
        } else if step.claim != Some(to) {
            return None;
        }
    }
    if chain.len() > MAX_HOPS {
        if !step.renamed {
            return None;
        }
        // The first reported name and the newest ones.
        chain.drain(1..=chain.len() - MAX_HOPS);
    }
    Some(chain)
}

/// A target, and what brings something to it.
type Way = (EntityId, Lane);

/// The ways that a register's statement takes.
fn ways<'a>(routes: &'a Routes, own: &EntityId, key: &RegKey, slot: &Slot) -> Vec<(Way, Option<&'a Boundary>)> {
    let claim = claim_of(key.aspect, &key.sub_key, slot.value.as_deref());
    let targets = routes.of_slot(&key.source, slot, claim.is_some()).into_iter();
    targets
        .filter(|(to, boundary)| {
            let step = Step { renamed: slot.joined.is_some() || boundary.is_some(), claim: claim.as_ref() };
            next_via(&slot.via, own, to, step).is_some()
        })
        .map(|(to, boundary)| {
            let lane = match (&claim, boundary) {
                (Some(claim), _) => Lane::Claim(claim.clone()),
                (None, Some(boundary)) => Lane::Renamed(boundary.version),
                (None, None) => Lane::Said,
            };
            ((to.clone(), lane), boundary)
        })
        .collect()
}

/// Whether the entity is a name of another and holds statements that cannot go on to it.
pub(super) fn is_stuck(core: &Core, routes: &Routes) -> bool {
    let targets = routes.alias_targets();
    if targets.is_empty() {
        return false;
    }
    let plain = Step { renamed: false, claim: None };
    let stays = |via: &[EntityId]| targets.iter().any(|to| next_via(via, &core.entity, to, plain).is_none());
    let slots = core.regs.iter().filter(|(key, _)| travels(key.aspect));
    let mut slots = slots.flat_map(|(key, slots)| slots.iter().map(move |slot| (key, slot)));
    let is_claim = |key: &RegKey, slot: &Slot| claim_of(key.aspect, &key.sub_key, slot.value.as_deref()).is_some();
    slots.any(|(key, slot)| {
        let goes = routes.of_slot(&key.source, slot, false).iter().any(|(_, boundary)| boundary.is_none());
        slot.joined.is_none() && slot.value.is_some() && goes && !is_claim(key, slot) && stays(&slot.via)
    }) || core.mentions.values().any(|mention| stays(&mention.via))
}

fn travels(aspect: Aspect) -> bool {
    !matches!(
        aspect,
        Aspect::AliasOf
            | Aspect::RenamedTo
            | Aspect::LocationMoved
            | Aspect::LocationAsked
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
    (before, routes): (&Routes, &Routes),
    touched: &[(Aspect, Touched)],
    withdrawn: &Withdrawn,
    state: &dyn State,
    out: &mut FoldOutput,
) -> Result<Begun, StateError> {
    if routes.is_home() && before == routes {
        return Ok(Begun::new());
    }
    if before == routes && withdrawn.slots.is_empty() && withdrawn.mentions == 0 {
        let mut parcel = Parcel::default();
        forward_entries(fact, routes, touched, &mut parcel);
        parcel.send(&core.entity, fact, out);
        return Ok(Begun::new());
    }
    let all = everything(fact, core, state)?;
    let own = &core.entity;
    let is_new = |key: &RegKey, slot: &Slot| {
        slot.version == fact.version && key.source == fact.source && key.sender == super::entity::sender_of(fact)
    };
    let mut sent: BTreeSet<(Way, usize)> = BTreeSet::new();
    let mut due: BTreeSet<(Way, usize)> = BTreeSet::new();
    // Where something went by a rename.
    let mut renamed: BTreeSet<Way> = BTreeSet::new();
    let mut ways_before = |key: &RegKey, slot: &Slot| -> Vec<Way> {
        let ways = ways(before, own, key, slot);
        renamed.extend(ways.iter().filter(|(_, boundary)| boundary.is_some()).map(|(way, _)| way.clone()));
        ways.into_iter().map(|(way, _)| way).collect()
    };
    for (nth, (key, slot)) in all.iter().enumerate() {
        if !is_new(key, slot) {
            sent.extend(ways_before(key, slot).into_iter().map(|way| (way, nth)));
        }
        due.extend(ways(routes, own, key, slot).into_iter().map(|(way, _)| (way, nth)));
    }
    let mut lost: BTreeSet<Way> = sent.difference(&due).map(|(way, _)| way.clone()).collect();
    for (key, slot) in &withdrawn.slots {
        lost.extend(ways_before(key, slot));
    }
    let (old_aliases, new_aliases) = (before.alias_targets(), routes.alias_targets());
    lost.extend(old_aliases.difference(&new_aliases).map(|id| ((*id).clone(), Lane::Said)));
    if withdrawn.mentions > 0 {
        lost.extend(old_aliases.iter().map(|id| ((*id).clone(), Lane::Said)));
    }
    let (old_notices, new_notices) = (before.notices(own), routes.notices(own));
    for ((to, lane), notice) in &old_notices {
        if new_notices.get(&(*to, lane.clone())) != Some(notice) {
            lost.insert(((*to).clone(), lane.clone()));
        }
    }
    let chain = chain_of(fact, own);
    // A withdrawal goes no further than what it withdraws has gone; else it would run around a circle for ever.
    lost.retain(|way| {
        let comes_back = matches!(&way.1, Lane::Claim(claim) if *claim == way.0);
        renamed.contains(way) || (chain.len() <= MAX_HOPS && (comes_back || !chain.contains(&way.0)))
    });
    let is_lost = |way: &Way| {
        let with_all = matches!(way.1, Lane::Renamed(_)) && lost.contains(&(way.0.clone(), Lane::Said));
        with_all || lost.contains(way)
    };

    let mut parcel = Parcel::default();
    for ((to, lane), notice) in new_notices {
        let way = (to.clone(), lane);
        if is_lost(&way) || !old_notices.contains_key(&(to, way.1)) {
            let origin = fact.origin.clone();
            let slot = Slot { version: notice.version, joined: None, via: Vec::new(), origin, value: None };
            let entry = Entry::keyed(own.as_str(), Statement::Alias(notice.alias));
            parcel.add(to, notice.boundary, notice.source, &slot, entry);
        }
    }
    // Ways on which more goes than this fact: only when all of it has come can the target say what is new.
    let mut begun: BTreeSet<Way> = BTreeSet::new();
    let is_first = |(to, lane): &Way| match lane {
        Lane::Said => !old_aliases.contains(to),
        _ => !old_notices.contains_key(&(to, lane.clone())),
    };
    for (nth, (key, slot)) in all.iter().enumerate() {
        for (way, boundary) in ways(routes, own, key, slot) {
            let again = is_lost(&way) || (is_first(&way) && !is_new(key, slot));
            if again && matches!(way.1, Lane::Said | Lane::Renamed(_)) {
                begun.insert(way.clone());
            }
            if is_lost(&way) || !sent.contains(&(way.clone(), nth)) {
                let entry =
                    Entry { aspect: key.aspect, sub_key: key.sub_key.clone(), value: slot.value.as_deref().cloned() };
                parcel.add(&way.0, boundary, &key.source, slot, entry);
            }
        }
    }
    for to in new_aliases {
        let way = (to.clone(), Lane::Said);
        if is_lost(&way) || !old_aliases.contains(to) {
            send_mentions(core, to, &mut parcel);
            if core.mentions.values().any(|mention| mention.first != fact.version) {
                begun.insert(way);
            }
        } else {
            forward_mentions(fact, to, &mut parcel);
        }
    }
    if fact.entries.iter().any(|entry| entry.value == Some(Statement::Resending(true))) {
        // What was withdrawn here comes back and goes on.
        begun.extend(lost.iter().filter(|(_, lane)| matches!(lane, Lane::Said | Lane::Renamed(_))).cloned());
    }
    for way in lost.union(&begun) {
        let key = sender_key(own, &way.1);
        let mut entries = Vec::new();
        if lost.contains(way) {
            entries.push(Entry::keyed(key.as_str(), Statement::Withdraw(true)));
        }
        if begun.contains(way) {
            entries.push(Entry::keyed(key.as_str(), Statement::Resending(true)));
        }
        out.forwarded.push(marked(fact, &chain, &way.0, entries));
    }
    parcel.send(own, fact, out);
    Ok(begun.into_iter().map(|(to, lane)| (to, sender_key(own, &lane))).collect())
}

/// The entities through which a withdrawal has come, with this one.
fn chain_of(fact: &Fact, own: &EntityId) -> Vec<EntityId> {
    let is_mark = |entry: &Entry| matches!(entry.aspect, Aspect::Withdraw | Aspect::Resending);
    let before = if fact.entries.iter().any(is_mark) { fact.via.as_slice() } else { &[] };
    before.iter().chain([own]).cloned().collect()
}

fn marked(fact: &Fact, chain: &[EntityId], to: &EntityId, entries: Vec<Entry>) -> Fact {
    Fact {
        entity: to.clone(),
        kind: fact.kind,
        source: fact.source.clone(),
        version: fact.version,
        origin: fact.origin.clone(),
        via: chain.to_vec(),
        entries,
    }
}

/// That everything has been sent.
pub(super) fn end(fact: &Fact, begun: Begun, out: &mut FoldOutput) {
    let chain = chain_of(fact, &fact.entity);
    for (to, key) in begun {
        let entries = vec![Entry::keyed(key, Statement::Resending(false))];
        out.forwarded.push(marked(fact, &chain, &to, entries));
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
    let mention = is_mention(fact);
    for entry in fact.entries.iter().filter(|entry| travels(entry.aspect) && !is_version_free(mention, entry)) {
        let known = place(entry.aspect) == Place::Bulk
            && !touched.iter().any(|(aspect, change)| *aspect == entry.aspect && change.sub_key == entry.sub_key);
        if known {
            continue;
        }
        let claim = claim_of(entry.aspect, &entry.sub_key, entry.value.as_ref());
        for (to, boundary) in routes.of_slot(&fact.source, &slot, claim.is_some()) {
            parcel.add(to, boundary, &fact.source, &slot, entry.clone());
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
