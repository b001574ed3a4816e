//! Forwards: what belongs to another entity goes there, with its version unchanged and this entity in `via`.
//!
//! Two reasons: the entity was renamed away (what was said before belongs to the new name), or it is only a name of a
//! table (a path at a table's location, or one with a TABLE symlink). A route depends on the registers alone; when it
//! changes, the former target is told to withdraw what came through here, and the right one gets it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{
    Alias, Aspect, Entry, ExistenceState, Fact, Joined, Origin, Source, Statement, Symlink, Version,
};
use crate::model::id::EntityId;
use crate::model::record::AliasRecord;
use crate::model::state::{State, StateError};

use super::FoldOutput;
use super::bulk::{self, Touched};
use super::history;
use super::registers::{Boundary, Core, Place, RegKey, Slot, place};
use super::view::View;

/// Longest chain of names that a fact carries.
const MAX_HOPS: usize = 8;

/// A table whose location this entity is.
#[derive(Clone, Debug, PartialEq)]
struct Location {
    to: EntityId,
    kind: String,
    from: i64,
    until: Option<i64>,
    source: Source,
}

/// Where an entity's statements belong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Routes {
    boundaries: Vec<Boundary>,
    locations: Vec<Location>,
    symlink: Option<(EntityId, Source)>,
}

impl Routes {
    pub fn of(core: &Core) -> Self {
        let locations = locations(core);
        let symlink = if locations.is_empty() { symlink(core) } else { None };
        Self { boundaries: core.boundaries(), locations, symlink }
    }

    /// Tables that this entity is only a name of.
    pub fn alias_targets(&self) -> BTreeSet<&EntityId> {
        let symlink = self.symlink.iter().map(|(to, _)| to);
        self.locations.iter().map(|location| &location.to).chain(symlink).collect()
    }

    /// Notices that the targets show: who else is called so, why, and with what doubts. Their versions, too, depend on
    /// the registers alone.
    fn notices(&self) -> BTreeMap<(&EntityId, Lane), Notice<'_>> {
        let mut out = BTreeMap::new();
        for location in &self.locations {
            let others = self.locations.iter().filter(|other| other.to != location.to && overlap(other, location));
            let shared_with = others.map(|other| other.to.clone()).collect();
            let alias = Alias { kind: location.kind.clone(), shared_with };
            let version = Version { time: location.from, ..Version::MIN };
            out.insert((&location.to, None), Notice { alias, source: &location.source, version, boundary: None });
        }
        if let Some((to, source)) = &self.symlink {
            let alias = Alias { kind: "symlink".to_owned(), shared_with: Vec::new() };
            out.insert((to, None), Notice { alias, source, version: Version::MIN, boundary: None });
        }
        for boundary in &self.boundaries {
            let alias = Alias { kind: "rename".to_owned(), shared_with: Vec::new() };
            let (source, version) = (&boundary.source, boundary.version);
            out.insert(
                (&boundary.to, Some(boundary.version)),
                Notice { alias, source, version, boundary: Some(boundary) },
            );
        }
        out
    }

    /// Where a versioned statement goes, and as of which rename.
    fn of_slot(&self, source: &Source, slot: &Slot) -> Vec<(&EntityId, Option<&Boundary>)> {
        let mut away = self.boundaries.iter().filter(|boundary| slot.before(source, boundary));
        if source.family() == "person" {
            // Kept at every name the thing had.
            return away.map(|boundary| (&boundary.to, Some(boundary))).collect();
        }
        if let Some(boundary) = away.next() {
            return vec![(&boundary.to, Some(boundary))];
        }
        self.at_time(slot.version.time).map(|to| vec![(to, None)]).unwrap_or_default()
    }

    /// The table that has its data here at an event time. Before the first and after the last one holds too: clocks
    /// differ, and a run may end after the table was dropped.
    fn at_time(&self, time: i64) -> Option<&EntityId> {
        if let Some((to, _)) = &self.symlink {
            return Some(to);
        }
        let begun = self.locations.iter().filter(|l| l.from <= time);
        let best = begun.max_by_key(|l| (l.until.is_none_or(|end| time < end), l.from, std::cmp::Reverse(&l.to)));
        let first = || self.locations.iter().min_by_key(|l| (l.from, &l.to));
        best.or_else(first).map(|location| &location.to)
    }
}

/// Which rename brings something to a target; `None` for a name of a table. A name that is used again may send to the
/// same target by several renames, and taking back one of them must not touch the others: what travels by one rename
/// can only cause what travels by later ones, so taking back ends.
type Lane = Option<Version>;

/// How the target of a forwarded fact tells its senders apart.
pub(super) fn sender_key(sender: &EntityId, lane: Lane) -> String {
    match lane {
        Some(version) => format!("{sender}@{}", version.sortable()),
        None => sender.as_str().to_owned(),
    }
}

/// Whether a sender's key is covered by a withdrawal: of one lane, or of everything an entity sent.
pub(super) fn is_from(sender: &str, withdrawn: &str) -> bool {
    const LANE: usize = 57;
    let lane = |rest: &str| rest.is_empty() || (rest.len() == LANE && rest.starts_with('@'));
    sender.strip_prefix(withdrawn).is_some_and(lane)
}

#[derive(Clone, PartialEq)]
struct Notice<'a> {
    alias: Alias,
    source: &'a Source,
    version: Version,
    boundary: Option<&'a Boundary>,
}

fn overlap(a: &Location, b: &Location) -> bool {
    let ends_after = |x: &Location, y: &Location| x.until.is_none_or(|end| end > y.from);
    ends_after(a, b) && ends_after(b, a)
}

fn locations(core: &Core) -> Vec<Location> {
    let mut by_table: BTreeMap<&str, Vec<(&Source, &Slot)>> = BTreeMap::new();
    for (key, slots) in core.regs.iter().filter(|(key, _)| key.aspect == Aspect::AliasOf) {
        by_table.entry(&key.sub_key).or_default().extend(slots.iter().map(|slot| (&key.source, slot)));
    }
    let mut out = Vec::new();
    for (table, slots) in by_table {
        let opened = slots.iter().filter_map(|(source, slot)| match slot.value.as_deref() {
            Some(Statement::AliasOf(alias)) => Some((alias.valid_from, slot.version, alias, *source)),
            _ => None,
        });
        let Some((from, _, alias, source)) = opened.min_by_key(|(from, version, _, _)| (*from, *version)) else {
            continue;
        };
        let newest = slots.iter().max_by_key(|(source, slot)| slot.order(source));
        let until = newest.filter(|(_, slot)| slot.value.is_none()).map(|(_, slot)| slot.version.time);
        if table != core.entity.as_str() {
            let to = EntityId::from_canonical(table);
            out.push(Location { to, kind: alias.kind.clone(), from, until, source: source.clone() });
        }
    }
    out
}

/// The best TABLE symlink: one of a configured instance, else of a catalog, else by id. Two entities that point at
/// each other must not both give way, so without an instance only a better id is taken.
fn symlink(core: &Core) -> Option<(EntityId, Source)> {
    let owned = core.regs.iter().any(|(key, slots)| {
        key.aspect == Aspect::Existence && key.source.family() == "hms" && slots.iter().any(|s| s.value.is_some())
    });
    if owned {
        return None;
    }
    let goodness = |id: &str| {
        let scheme = id.split_once(':').map_or("", |(scheme, _)| scheme);
        let is_catalog = matches!(scheme, "hive" | "glue" | "unitycatalog");
        (!is_catalog, EntityId::from_canonical(id).container().is_none(), id.to_owned())
    };
    let own = goodness(core.entity.as_str());
    let view = View { core, eras: super::view::Eras { boundaries: Vec::new(), floors: BTreeMap::new() } };
    let mut candidates = Vec::new();
    for (source, _, id, value) in view.mentioned(Aspect::Symlink) {
        let Statement::Symlink(Symlink { kind, instance, .. }) = value.as_ref() else { continue };
        let usable = kind.eq_ignore_ascii_case("table") && id != core.entity.as_str();
        if usable && (*instance || goodness(id) < own) {
            candidates.push((!instance, goodness(id), source));
        }
    }
    let (_, (_, _, id), source) = candidates.into_iter().min()?;
    Some((EntityId::from_canonical(id), source.clone()))
}

/// Records of `catalog.aliases` that this entity owns.
pub(super) fn alias_records(core: &Core, view: &View<'_>, origin: &Origin) -> Vec<AliasRecord> {
    let routes = Routes::of(core);
    let mut out = Vec::new();
    let record =
        |to: &EntityId, kind: &str, valid_from: Option<i64>, valid_to: Option<i64>, reason: String| AliasRecord {
            alias: core.entity.as_str().to_owned(),
            canonical: to.as_str().to_owned(),
            kind: kind.to_owned(),
            valid_from,
            valid_to,
            reason,
            origin: origin.clone(),
        };
    let mut start = None;
    for (nth, boundary) in routes.boundaries.iter().enumerate() {
        let next = routes.boundaries.get(nth + 1);
        let born = birth(core, boundary, next).or(next.map(|_| boundary.version.time));
        let end = if next.is_none() && !view.is_reborn() { None } else { born };
        let reason = format!("renamed by {}", boundary.source.as_str());
        out.push(record(&boundary.to, "rename", start, end, reason));
        start = Some(end.unwrap_or(boundary.version.time));
    }
    let mut locations: Vec<&Location> = routes.locations.iter().collect();
    locations.sort_by(|a, b| (a.from, &a.to).cmp(&(b.from, &b.to)));
    for (nth, location) in locations.iter().enumerate() {
        let next = locations.get(nth + 1).map(|next| next.from).filter(|next| *next > location.from);
        // The last one's path means it even after it was dropped.
        let from = if nth == 0 { None } else { Some(location.from) };
        out.push(record(&location.to, &location.kind, from, next, "the table's location".to_owned()));
    }
    if let Some((to, _)) = &routes.symlink {
        out.push(record(to, "symlink", None, None, "named by its producer".to_owned()));
    }
    out
}

/// When the name was created anew between two renames.
fn birth(core: &Core, after: &Boundary, until: Option<&Boundary>) -> Option<i64> {
    let existence = core.regs.iter().filter(|(key, _)| key.aspect == Aspect::Existence);
    existence
        .flat_map(|(key, slots)| slots.iter().map(move |slot| (key, slot)))
        .filter(|(key, slot)| {
            !slot.before(&key.source, after)
                && until.is_none_or(|until| slot.before(&key.source, until))
                && slot.existence().is_some_and(|e| e.state == ExistenceState::Confirmed)
        })
        .map(|(_, slot)| slot.joined.as_ref().map_or(slot.version.time, |joined| joined.version.time))
        .min()
}

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
    joined: Option<(Version, Source)>,
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
        let joined = match (at, &slot.joined) {
            (Some(boundary), _) => Some((boundary.version, boundary.source.clone())),
            (None, Some(joined)) => Some((joined.version, joined.source.clone())),
            (None, None) => None,
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
            if let Some((version, source)) = stamp.joined {
                entries.push(Entry::of(Statement::Joined(Joined { source, version })));
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
            | Aspect::Joined
            | Aspect::Quality
            | Aspect::Listing
            | Aspect::Member
    )
}

/// Sends on what this fact added, or everything where the routes changed.
pub(super) fn forward(
    fact: &Fact,
    core: &Core,
    before: &Routes,
    touched: &[(Aspect, Touched)],
    withdrawn: &Withdrawn,
    state: &dyn State,
    out: &mut FoldOutput,
) -> Result<(), StateError> {
    let routes = Routes::of(core);
    if routes.boundaries.is_empty() && routes.alias_targets().is_empty() && *before == routes {
        return Ok(());
    }
    if *before == routes && withdrawn.slots.is_empty() && withdrawn.mentions == 0 {
        let mut parcel = Parcel::default();
        forward_entries(fact, &routes, touched, &mut parcel);
        parcel.send(&core.entity, fact, out);
        return Ok(());
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

    for (target, lane) in &lost {
        out.forwarded.push(Fact {
            entity: target.clone(),
            kind: fact.kind,
            source: fact.source.clone(),
            version: fact.version,
            origin: fact.origin.clone(),
            via: vec![core.entity.clone()],
            entries: vec![Entry {
                aspect: Aspect::Withdraw,
                sub_key: sender_key(&core.entity, *lane),
                value: Some(Statement::Withdraw(true)),
            }],
        });
    }
    let mut parcel = Parcel::default();
    for ((to, lane), notice) in new_notices {
        if is_lost(to, lane) || !old_notices.contains_key(&(to, lane)) {
            let origin = fact.origin.clone();
            let slot = Slot { version: notice.version, joined: None, via: Vec::new(), origin, value: None };
            let entry = Entry::keyed(core.entity.as_str(), Statement::Alias(notice.alias));
            parcel.add(to, notice.boundary, notice.source, &slot, entry);
        }
    }
    for (nth, (key, slot)) in all.iter().enumerate() {
        for (to, boundary) in routes.of_slot(&key.source, slot) {
            let way = lane((to, boundary));
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
        } else {
            forward_mentions(fact, to, &mut parcel);
        }
    }
    parcel.send(&core.entity, fact, out);
    Ok(())
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
    for entry in
        fact.entries.iter().filter(|entry| travels(entry.aspect) && !super::entity::is_version_free(fact, entry))
    {
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
    for entry in
        fact.entries.iter().filter(|entry| travels(entry.aspect) && super::entity::is_version_free(fact, entry))
    {
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
