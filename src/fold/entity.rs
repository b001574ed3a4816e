//! One fact about a dataset, container or function: into the registers, then the difference of the heads.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Aspect, Columns, Completeness, EntityKind, Entry, Evidence, Fact, Joined, Statement};
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::model::state::{State, StateError};

use super::bulk::{self, Touched};
use super::cache::{Cache, Weigh, weigh};
use super::changes::Resending;
use super::forward::{self, Withdrawn};
use super::output::{Derived, publish};
use super::partitions::{Context, Partitions};
use super::registers::{Core, Place, RegKey, json, place};
use super::routes::Lane;
use super::slots::Slot;
use super::view::View;
use super::{FoldConfig, FoldOutcome, FoldOutput, changes, container, dataset, history, listing, located, routes};

/// A fact with what its entries have in common.
struct Incoming<'a> {
    fact: &'a Fact,
    joined: Option<Joined>,
    sender: String,
    mention: bool,
}

impl<'a> Incoming<'a> {
    fn of(fact: &'a Fact) -> Self {
        let joined = joined_of(fact).cloned();
        let sender = sender_of(fact);
        Self { fact, joined, sender, mention: is_mention(fact) }
    }

    fn slot(&self, value: Option<&Statement>) -> Slot {
        Slot {
            version: self.fact.version,
            joined: self.joined.clone(),
            via: self.fact.via.clone(),
            origin: self.fact.origin.clone(),
            value: value.cloned().map(std::sync::Arc::new),
        }
    }
}

fn joined_of(fact: &Fact) -> Option<&Joined> {
    fact.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Joined(joined)) => Some(joined),
        _ => None,
    })
}

/// Who forwarded the fact, and how; empty for what was said of the entity itself.
pub(super) fn sender_of(fact: &Fact) -> String {
    let claim = fact.entries.iter().find_map(|e| routes::claim_of(e.aspect, &e.sub_key, e.value.as_ref()));
    let asked = |entry: &Entry| matches!(entry.aspect, Aspect::LocationAsked | Aspect::AliasOf);
    let lane = match (claim, joined_of(fact)) {
        (Some(claim), _) => Lane::Claim(claim),
        (None, _) if fact.entries.iter().any(asked) => Lane::Asked,
        (None, Some(joined)) => Lane::Renamed(joined.version),
        (None, None) => Lane::Said,
    };
    fact.via.last().map(|id| routes::sender_key(id, &lane)).unwrap_or_default()
}

/// Whether the source only read or named the entity. A run may read and write the same dataset; then it speaks as its
/// writer.
pub(super) fn is_mention(fact: &Fact) -> bool {
    let mut evidence = fact.entries.iter().filter_map(|entry| match &entry.value {
        Some(Statement::Existence(existence)) => Some(existence.evidence),
        _ => None,
    });
    let mut only = false;
    evidence.all(|evidence| {
        only = true;
        evidence == Evidence::Mention
    }) && only
}

/// Whether a statement is joined with its likes instead of replacing the former one: spellings always, and the plain
/// statements of a fact that is a `mention`.
pub(super) fn is_version_free(mention: bool, entry: &Entry) -> bool {
    match &entry.value {
        Some(Statement::Name(_) | Statement::Symlink(_)) => true,
        Some(Statement::Columns(Columns { completeness, .. })) => *completeness == Completeness::Partial && mention,
        Some(Statement::Existence(existence)) => existence.evidence == Evidence::Mention && !existence.floor,
        Some(Statement::DatasetKind(_) | Statement::Format(_) | Statement::Location(_)) => mention,
        _ => false,
    }
}

/// What is known of an entity: its registers and what they publish.
#[derive(Debug)]
pub(super) struct Known {
    kind: EntityKind,
    core: Core,
    column_stats: ColumnStats,
    derived: Derivation,
}

/// Registers of the table's own column statistics, by column.
type ColumnStats = BTreeMap<String, bulk::Registers>;

fn load_column_stats(entity: &EntityId, state: &dyn State) -> Result<ColumnStats, StateError> {
    bulk::load_all(entity, Aspect::ColumnStats.as_str(), state)
}

impl Known {
    fn load(config: &FoldConfig, fact: &Fact, state: &dyn State) -> Result<Self, StateError> {
        let core = Core::load(&fact.entity, state)?;
        let column_stats = load_column_stats(&fact.entity, state)?;
        let derived = Derivation::of(config, fact, View::of(&core), &column_stats);
        Ok(Self { kind: fact.kind, core, column_stats, derived })
    }
}

impl Weigh for Known {
    /// The registers hold at least what is published, in several versions.
    fn weight(&self) -> usize {
        let slots: usize = self.core.regs.values().map(Vec::len).sum();
        let said: usize = self.core.mentions.values().flat_map(|m| m.said.values()).map(BTreeMap::len).sum();
        (slots + said) * 300 + 3 * self.derived.records.values().map(weigh).sum::<usize>()
    }
}

/// Applies a fact about anything but a job or a scope.
pub(super) fn apply(
    config: &FoldConfig,
    cache: &mut Cache<Known>,
    fact: &Fact,
    state: &mut dyn State,
    out: &mut FoldOutput,
) -> Result<FoldOutcome, StateError> {
    let incoming = Incoming::of(fact);
    let known = match cache.take(&fact.entity, state.epoch()).filter(|known| known.kind == fact.kind) {
        Some(known) => known,
        None => Known::load(config, fact, state)?,
    };
    let Known { mut core, mut column_stats, derived: before, .. } = known;
    let known_to_scope = core.names_scope(&fact.source);

    let mut changed = false;
    let mut touched: Vec<(Aspect, Touched)> = Vec::new();
    let mut withdrawn = Withdrawn::default();
    let mut senders = Vec::new();
    let mut resending = Resending::of(fact);
    let mut points = Vec::new();
    for entry in &fact.entries {
        match entry.aspect {
            // What SQL means is told by the stage that binds it.
            Aspect::Joined | Aspect::Sql => {}
            Aspect::Withdraw => {
                let (slots, mentions) = core.withdraw(&entry.sub_key);
                changed |= !slots.is_empty() || mentions > 0;
                withdrawn.slots.extend(slots);
                withdrawn.mentions += mentions;
                senders.push(entry.sub_key.clone());
            }
            Aspect::Resending => changed = true,
            _ if is_version_free(incoming.mention, entry) => {
                let said = entry.value.clone().map(|value| (entry.sub_key.clone(), value));
                let seen = (fact.version, &fact.origin, fact.via.as_slice());
                changed |= core.mention(&fact.source, &incoming.sender, seen, said);
            }
            aspect if place(aspect) == Place::Bulk => {}
            aspect => {
                let sub_key = if matches!(aspect, Aspect::RenamedTo | Aspect::LocationMoved) {
                    // Every rename stays a boundary of its own.
                    fact.version.sortable()
                } else {
                    entry.sub_key.clone()
                };
                let sender = incoming.sender.clone();
                let key = RegKey { aspect, sub_key, source: fact.source.clone(), sender };
                let slot = incoming.slot(entry.value.as_ref());
                points.extend(history::candidate(fact, &slot, &key, &core));
                changed |= core.insert(key, slot, config.history);
            }
        }
    }

    let in_bulk: Vec<&Entry> = fact.entries.iter().filter(|entry| place(entry.aspect) == Place::Bulk).collect();
    if !changed && in_bulk.is_empty() && points.is_empty() {
        let known = Known { kind: fact.kind, core, column_stats, derived: before };
        cache.put(&fact.entity, state.epoch(), known);
        return Ok(FoldOutcome::NoOp("unchanged"));
    }

    let view = View::of(&core);
    let history_context = history_context(&view);
    let whole_table = partition_context(&view) != before.context || !senders.is_empty();
    let seen = view.seen;
    // Read before this fact's partitions are written, so that both sides of the difference are at hand.
    let all_partitions = if whole_table { Partitions::all(&fact.entity, state)? } else { Partitions::default() };
    // The history is read only where it may change: a new schema, or another table under this name.
    let compared = !whole_table && resending.is_empty();
    let mut history = if points.is_empty() && compared && history_context == before.history {
        None
    } else {
        Some(history::Points::load(&fact.entity, state)?)
    };
    for sender in &senders {
        for (group, aspect) in forward::BULK_GROUPS {
            withdrawn.slots.extend(bulk::withdraw(&fact.entity, (group, aspect), sender, state)?);
        }
        withdrawn.slots.extend(history::withdraw(&core, sender, state)?);
    }
    changed |= !withdrawn.slots.is_empty();
    for entry in in_bulk {
        let slot = incoming.slot(entry.value.as_ref());
        let register = (entry.aspect, entry.sub_key.as_str());
        let speaker = (&fact.source, incoming.sender.as_str());
        let result = bulk::insert(&fact.entity, register, speaker, slot, config.history, state)?;
        touched.extend(result.map(|touched| (entry.aspect, touched)));
    }
    changed |= !touched.is_empty();
    if let Some(history) = &mut history {
        changed |= history.update(&fact.entity, points, &senders, state);
    }
    if !changed {
        let known = Known { kind: fact.kind, core, column_stats, derived: before };
        cache.put(&fact.entity, state.epoch(), known);
        return Ok(FoldOutcome::NoOp("unchanged"));
    }
    let (mut old, mut new) = (before.records, Derived::new());
    if let Some(history) = history {
        let ordinal = history.derive(&core, (&before.history, &history_context), (&mut old, &mut new));
        core.set_schema_version(ordinal);
        resending.told_elsewhere = history.keys_through(&resending.sender, fact);
    }
    core.save(state);
    if !senders.is_empty() || touched.iter().any(|(aspect, _)| *aspect == Aspect::ColumnStats) {
        column_stats = load_column_stats(&fact.entity, state)?;
    }
    let after = Derivation::of(config, fact, View { core: &core, seen }, &column_stats);
    new.extend(after.records.iter().map(|(key, record)| (key.clone(), record.clone())));
    let sides = (&before.context, &after.context);
    all_partitions.derive(fact, &touched, &senders, sides, state, (&mut old, &mut new))?;
    quality_sides(fact, &touched, (&mut old, &mut new));
    let (published, forwarded) = (out.records.len(), out.forwarded.len());
    let was_unsettled = core.unsettled.is_some();
    let mut owed = forward::Begun::new();
    if fact.kind == EntityKind::Dataset {
        let sides = (&old, &new);
        owed = changes::tell_dataset(fact, sides, &resending, &mut core.unsettled, state, &mut out.records)?;
    }
    publish(fact.entity.as_str(), old, new, &mut out.records);
    let routes = (&before.routes, &after.routes);
    let begun = forward::forward(fact, &core, routes, &touched, &withdrawn, state, out)?;
    let key = changes::unsettled_key(&fact.entity);
    match &mut core.unsettled {
        Some(unsettled) if resending.begins.is_some() => unsettled.pass_on(&resending, begun),
        _ => owed.extend(begun),
    }
    match &core.unsettled {
        Some(unsettled) if !resending.is_empty() => state.put(key, json(unsettled)),
        None if was_unsettled => state.delete(key),
        _ => {}
    }
    forward::end(fact, owed, out);
    located::ask(fact, &core, (&before.links, &after.links), out);
    located::answer(fact, &core, (&before.askers, &after.askers), out);
    // The scope's owner remembers who was ever reported in it.
    if let Some(scope) = listing::scope_of(fact).filter(|_| fact.via.is_empty() && !known_to_scope) {
        out.forwarded.push(listing::membership(fact, scope));
    }
    let known = Known { kind: fact.kind, core, column_stats, derived: after };
    cache.put(&fact.entity, state.epoch(), known);
    let quiet = out.records.len() == published && out.forwarded.len() == forwarded;
    Ok(if quiet { FoldOutcome::NoOp("recorded") } else { FoldOutcome::Applied })
}

/// What an entity's core publishes, what its partitions depend on, and to whom it speaks.
#[derive(Debug)]
struct Derivation {
    records: Derived,
    context: Context,
    history: history::Context,
    routes: routes::Routes,
    links: BTreeSet<EntityId>,
    askers: BTreeSet<EntityId>,
}

impl Derivation {
    fn of(config: &FoldConfig, fact: &Fact, view: View<'_>, column_stats: &ColumnStats) -> Self {
        let id = fact.entity.as_str();
        let mut records = Derived::new();
        match fact.kind {
            EntityKind::Container => {
                if let Some(record) = container::container(&view, &fact.origin) {
                    records.insert((CatalogTopic::Containers, id.to_owned()), CatalogRecord::Container(record.into()));
                }
            }
            EntityKind::Function => {
                if let Some(record) = container::function(&view, &fact.origin) {
                    records.insert((CatalogTopic::Functions, id.to_owned()), CatalogRecord::Function(record.into()));
                }
            }
            _ => {
                let shown = is_shown(&view);
                if let Some(record) = shown.then(|| dataset::head(&view, config, &fact.origin)).flatten() {
                    records.insert((CatalogTopic::Datasets, id.to_owned()), CatalogRecord::Dataset(record.into()));
                }
                let column_stats = bulk::column_stats(column_stats, &view.seen.eras);
                let stats = shown.then(|| dataset::stats(&view, &column_stats, &fact.origin)).flatten();
                if let Some(record) = stats {
                    let key = (CatalogTopic::DatasetStats, id.to_owned());
                    records.insert(key, CatalogRecord::DatasetStats(record.into()));
                }
                for record in routes::alias_records(&view, &fact.origin) {
                    let from = record.valid_from.map_or_else(|| "-".to_owned(), |time| time.to_string());
                    let key = format!("{}|{}|{from}", record.alias, record.canonical);
                    records.insert((CatalogTopic::Aliases, key), CatalogRecord::Alias(record.into()));
                }
            }
        }
        Self {
            records,
            context: partition_context(&view),
            history: history_context(&view),
            links: located::links(view.core),
            askers: located::askers(view.core),
            routes: view.seen.routes,
        }
    }
}

fn history_context(view: &View<'_>) -> history::Context {
    let shown = is_shown(view);
    history::Context { eras: view.seen.eras.clone(), provider: dataset::provider(view), shown }
}

/// Whether the entity shows anything under its own id: it is neither renamed away nor only a name of another, unless
/// that other cannot be reached.
fn is_shown(view: &View<'_>) -> bool {
    let routes = &view.seen.routes;
    view.is_reborn() && (routes.alias_targets().is_empty() || forward::is_stuck(view.core, routes))
}

fn partition_context(view: &View<'_>) -> Context {
    use crate::model::fact::ExistenceState;
    let there = view.existence().is_some_and(|state| state != ExistenceState::Dropped);
    Context { visible: there && view.is_reborn(), eras: view.seen.eras.clone() }
}

/// Adds the checks that a fact touches to both sides.
fn quality_sides(fact: &Fact, touched: &[(Aspect, Touched)], (old, new): (&mut Derived, &mut Derived)) {
    for (_, change) in touched.iter().filter(|(aspect, _)| *aspect == Aspect::Quality) {
        let key = (CatalogTopic::Quality, format!("{}|{}", fact.entity.as_str(), change.sub_key));
        for (side, registers) in [(&mut *old, &change.before), (&mut *new, &change.after)] {
            if let Some(record) = bulk::quality(&fact.entity, &change.sub_key, registers, &fact.origin) {
                side.insert(key.clone(), CatalogRecord::Quality(record.into()));
            }
        }
    }
}
