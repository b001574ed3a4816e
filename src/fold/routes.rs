//! Routes: where an entity's statements belong, from its renames, locations and symlinks. Pure functions of registers.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Alias, Aspect, ExistenceState, Origin, Source, Statement, Symlink, Version};
use crate::model::id::EntityId;
use crate::model::record::AliasRecord;

use super::registers::{Core, RegKey};
use super::slots::{Boundary, Slot};
use super::view::{View, is_about_name};

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
    /// The names of which this is one lead in a circle back to it, and of all in the circle it has the best id. What is
    /// said of it stays here; that it is a name goes on around the circle, or nobody could tell that there is one.
    closes_circle: bool,
}

impl Routes {
    pub fn of(core: &Core) -> Self {
        let locations = locations(core);
        let symlink = if locations.is_empty() { symlink(core) } else { None };
        let closes_circle = circles(core).any(|slot| {
            let others = slot.via.iter().map(|id| goodness(id.as_str())).min();
            // Where a rename is part of the circle, not all in it can stay what they are.
            slot.joined.is_some() || others.is_none_or(|best| best >= goodness(core.entity.as_str()))
        });
        Self { boundaries: core.boundaries(), locations, symlink, closes_circle }
    }

    /// Nothing goes anywhere.
    pub fn is_home(&self) -> bool {
        self.boundaries.is_empty() && self.locations.is_empty() && self.symlink.is_none()
    }

    /// Tables that this entity is only a name of.
    pub fn alias_targets(&self) -> BTreeSet<&EntityId> {
        if self.closes_circle {
            return BTreeSet::new();
        }
        let symlink = self.symlink.iter().map(|(to, _)| to);
        self.locations.iter().map(|location| &location.to).chain(symlink).collect()
    }

    /// Notices that the targets show: who else is called so, why, and with what doubts. Their versions, too, depend on
    /// the registers alone.
    pub fn notices(&self, own: &EntityId) -> BTreeMap<(&EntityId, Lane), Notice<'_>> {
        let mut out = BTreeMap::new();
        let claim = || Lane::Claim(own.clone());
        for location in &self.locations {
            let others = self.locations.iter().filter(|other| other.to != location.to && overlap(other, location));
            let shared_with = others.map(|other| other.to.clone()).collect();
            let alias = Alias { kind: location.kind.clone(), shared_with };
            let version = Version { time: location.from, ..Version::MIN };
            out.insert((&location.to, claim()), Notice { alias, source: &location.source, version, boundary: None });
        }
        if let Some((to, source)) = &self.symlink {
            let alias = Alias { kind: "symlink".to_owned(), shared_with: Vec::new() };
            out.insert((to, claim()), Notice { alias, source, version: Version::MIN, boundary: None });
        }
        for boundary in &self.boundaries {
            let alias = Alias { kind: "rename".to_owned(), shared_with: Vec::new() };
            let (source, version) = (&boundary.source, boundary.version);
            out.insert(
                (&boundary.to, Lane::Renamed(boundary.version)),
                Notice { alias, source, version, boundary: Some(boundary) },
            );
        }
        out
    }

    /// Where a versioned statement goes, and as of which rename; `claim`: it says that something is a name.
    pub fn of_slot(&self, source: &Source, slot: &Slot, claim: bool) -> Vec<(&EntityId, Option<&Boundary>)> {
        let mut away = self.boundaries.iter().filter(|boundary| slot.before(source, boundary));
        if source.family() == "person" {
            // Kept at every name the thing had.
            return away.map(|boundary| (&boundary.to, Some(boundary))).collect();
        }
        if !is_about_name(source)
            && let Some(boundary) = away.next()
        {
            return vec![(&boundary.to, Some(boundary))];
        }
        if self.closes_circle && !claim {
            return Vec::new();
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

/// What brings something to a target. Taking back one of them must not touch the others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// What is said of a name of the target.
    Said,
    /// By a rename. A name that is used again may send to the same target by several renames; what travels by one
    /// rename can only cause what travels by later ones, so taking back ends.
    Renamed(Version),
    /// That the entity is a name. Each such claim goes its own way, so that it ends even in a circle.
    Claim(EntityId),
    /// Questions about locations, and their answers.
    Asked,
}

/// How the target of a forwarded fact tells its senders apart. Ids hold no `|`.
pub(super) fn sender_key(sender: &EntityId, lane: &Lane) -> String {
    match lane {
        Lane::Said => sender.as_str().to_owned(),
        Lane::Renamed(version) => format!("{sender}@{}", version.sortable()),
        Lane::Claim(claim) => format!("{sender}|{claim}"),
        Lane::Asked => format!("{sender}|?"),
    }
}

/// Which entity a statement says to be a name, if it does. Former names are no claims: what was said of them came along.
pub(super) fn claim_of(aspect: Aspect, sub_key: &str, value: Option<&Statement>) -> Option<EntityId> {
    match value {
        Some(Statement::Alias(alias)) if aspect == Aspect::Alias && alias.kind != "rename" => {
            Some(EntityId::from_canonical(sub_key))
        }
        _ => None,
    }
}

/// Claims of the entity itself that came back to it.
pub(super) fn circles(core: &Core) -> impl Iterator<Item = &Slot> {
    let own = core.regs.iter().filter(|(key, _)| key.aspect == Aspect::Alias && key.sub_key == core.entity.as_str());
    own.filter_map(|(_, slots)| slots.last()).filter(|slot| slot.value.is_some())
}

/// Whether a sender's key is covered by a withdrawal: of one lane, or of everything an entity sent.
pub(super) fn is_from(sender: &str, withdrawn: &str) -> bool {
    const LANE: usize = 57;
    let lane = |rest: &str| rest.is_empty() || (rest.len() == LANE && rest.starts_with('@'));
    sender.strip_prefix(withdrawn).is_some_and(lane)
}

/// What a target shows of another name of it.
#[derive(Clone, PartialEq)]
pub(super) struct Notice<'a> {
    pub alias: Alias,
    pub source: &'a Source,
    pub version: Version,
    pub boundary: Option<&'a Boundary>,
}

fn overlap(a: &Location, b: &Location) -> bool {
    let ends_after = |x: &Location, y: &Location| x.until.is_none_or(|end| end > y.from);
    ends_after(a, b) && ends_after(b, a)
}

/// Whether a metastore says that the entity is a table of its own.
fn is_owned(core: &Core) -> bool {
    core.regs.iter().any(|(key, slots)| {
        key.aspect == Aspect::Existence && key.source.family() == "hms" && slots.iter().any(|s| s.value.is_some())
    })
}

/// Tables whose location this entity is, or has by a LOCATION symlink.
fn locations(core: &Core) -> Vec<Location> {
    let mut by_table: BTreeMap<&str, Vec<(&Source, &Slot)>> = BTreeMap::new();
    let owned = is_owned(core);
    let located = |key: &RegKey| key.aspect == Aspect::AliasOf && (!owned || key.sender.is_empty());
    for (key, slots) in core.regs.iter().filter(|(key, _)| located(key)) {
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
    if is_owned(core) {
        return None;
    }
    let own = goodness(core.entity.as_str());
    let mut candidates = Vec::new();
    for (source, _, id, value) in core.mentioned(Aspect::Symlink) {
        let Statement::Symlink(Symlink { kind, instance, .. }) = value.as_ref() else { continue };
        let usable = kind.eq_ignore_ascii_case("table") && id != core.entity.as_str();
        if usable && (*instance || goodness(id) < own) {
            candidates.push((!instance, goodness(id), source));
        }
    }
    let (_, (_, _, id), source) = candidates.into_iter().min()?;
    Some((EntityId::from_canonical(id), source.clone()))
}

/// Which of several names stands for the thing: names in catalogs, then in databases, then by id. The smaller is better.
fn goodness(id: &str) -> (bool, bool, String) {
    let scheme = id.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_catalog = matches!(scheme, "hive" | "glue" | "unitycatalog");
    (!is_catalog, EntityId::from_canonical(id).container().is_none(), id.to_owned())
}

/// Records of `catalog.aliases` that this entity owns.
pub(super) fn alias_records(view: &View<'_>, origin: &Origin) -> Vec<AliasRecord> {
    let (core, routes) = (view.core, &view.seen.routes);
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
    if routes.closes_circle {
        return out;
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
