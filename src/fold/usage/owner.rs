//! The usage of a dataset on one day: the sum of what the partitions of the fold have sent of their queries.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use crate::model::fact::{Fact, JoinUse, Origin, Statement, UsagePart, UserUse};
use crate::model::id::EntityId;
use crate::model::query::{day_text, usage_expiry};
use crate::model::record::UsageRecord;
use crate::model::state::{State, StateError};

use super::super::registers::{from_json, json, state_key};
use super::UsageLimits;
use super::counts::{keep_largest, largest};
use super::form::{FormError, Reader, Writer, unreadable, whole};
use super::part::{Part, Sums, User};
use super::sketch::Sketch;
use super::tally::ordered;

/// Where it is noted which datasets have parts of a day.
pub(super) const DAYS: &str = "d";

fn part_key(dataset: &EntityId, day: i64, part: &str) -> Vec<u8> {
    state_key(&[dataset.as_str(), "us", &ordered(day), part])
}

/// What a partition has sent, put together.
#[derive(Debug)]
struct Register<'b> {
    /// Its version. 0 before the first one that could be applied.
    version: i64,
    origin: Origin,
    /// Whether changes wait whose predecessors have not come.
    waiting: bool,
    part: Part<'b>,
}

impl<'b> Register<'b> {
    /// Of a partition that `fact` is the first one to come from.
    fn new(fact: &Fact) -> Self {
        Self { version: 0, origin: fact.origin.clone(), waiting: false, part: Part::default() }
    }

    fn read(from: &mut Reader<'b>) -> Result<Self, FormError> {
        Ok(Self { version: from.number()?, origin: from.origin()?, waiting: from.flag()?, part: Part::read(from)? })
    }

    /// Counts as they are at the fact's version.
    fn apply(&mut self, fact: &Fact, change: &'b UsagePart) {
        // What is all replaces what is known.
        let known = if change.since == 0 { Part::default() } else { std::mem::take(&mut self.part) };
        self.part = known.with(&Part::of(change));
        (self.version, self.origin) = (fact.version.seq, fact.origin.clone());
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Writer::new(16_000);
        out.number(self.version);
        out.origin(&self.origin);
        out.flag(self.waiting);
        self.part.write(&mut out);
        out.finish()
    }
}

/// Where changes lie that came before those that they follow: only if one of these was put aside as a dead letter, for a
/// partition's facts come in order.
fn waiting_key(dataset: &EntityId, day: i64, rest: &str) -> Vec<u8> {
    state_key(&[dataset.as_str(), "uw", &ordered(day), rest])
}

fn day_key(day: i64, dataset: &str) -> Vec<u8> {
    state_key(&["", DAYS, &ordered(day), dataset])
}

/// Applies what a partition has sent. Returns whether the register is another one now.
pub(super) fn receive(
    fact: &Fact,
    (day, part): (i64, i32),
    change: &UsagePart,
    state: &mut dyn State,
) -> Result<bool, StateError> {
    let key = part_key(&fact.entity, day, &part.to_string());
    let bytes = state.get(&key)?;
    let known = bytes.as_deref().map(|bytes| whole(bytes, Register::read)).transpose().map_err(unreadable(&key))?;
    let mut register = known.unwrap_or_else(|| Register::new(fact));
    if fact.version.seq <= register.version {
        return Ok(false);
    }
    if bytes.is_none() {
        state.put(day_key(day, fact.entity.as_str()), b"1".to_vec());
    }
    if change.since > register.version {
        state.put(waiting_key(&fact.entity, day, &format!("{part}|{}", ordered(change.since))), json(fact));
        if !register.waiting {
            register.waiting = true;
            state.put(key, register.write());
        }
        return Ok(false);
    }
    let mut waiting: Vec<(Vec<u8>, Fact)> = Vec::new();
    if register.waiting {
        for (key, bytes) in state.scan(&waiting_key(&fact.entity, day, &format!("{part}|")))? {
            let fact = from_json(&key, &bytes)?;
            waiting.push((key, fact));
        }
    }
    register.apply(fact, change);
    register.waiting = false;
    for (key, fact) in &waiting {
        for change in fact.entries.iter().filter_map(|entry| entry.value.as_ref()) {
            let Statement::Usage(change) = change else { continue };
            if change.since > register.version {
                register.waiting = true;
                continue;
            }
            if fact.version.seq > register.version {
                register.apply(fact, change);
            }
            state.delete(key.clone());
        }
    }
    state.put(key, register.write());
    Ok(true)
}

/// The record of a dataset and day; `None` if no query used it.
pub(super) fn record(
    dataset: &EntityId,
    day: i64,
    limits: &UsageLimits,
    state: &dyn State,
) -> Result<Option<UsageRecord>, StateError> {
    let registers = state.scan(&part_key(dataset, day, ""))?;
    let mut parts = Vec::with_capacity(registers.len());
    let mut newest = None;
    for (key, bytes) in &registers {
        let register = whole(bytes, Register::read).map_err(unreadable(key))?;
        newest = newest.max(Some((register.version, register.origin)));
        parts.push(register.part);
    }
    let Some((_, origin)) = newest else { return Ok(None) };
    let sum = |field: fn(&Sums) -> i64| parts.iter().map(|part| field(&part.sums)).fold(0, i64::saturating_add);
    let (queries, writes) = (sum(|sums| sums.queries), sum(|sums| sums.writes));
    if queries <= 0 && writes <= 0 {
        return Ok(None);
    }
    let (users, distinct_users, users_exact) = users(&parts, limits);
    let mut joins = added(parts.iter().flat_map(|part| &part.joins).copied());
    keep_largest(&mut joins, limits.shown_joins, Ord::cmp);
    let shown = joins.into_iter().map(|((column, other, other_column), queries)| JoinUse {
        column: column.to_owned(),
        other: other.to_owned(),
        other_column: other_column.to_owned(),
        queries,
    });
    let mut joins: Vec<JoinUse> = shown.collect();
    // The most frequent first, then by name.
    joins.sort_by(|a, b| b.queries.cmp(&a.queries).then_with(|| a.cmp(b)));
    Ok(Some(UsageRecord {
        dataset: dataset.as_str().to_owned(),
        day: day_text(day),
        queries,
        failed: sum(|sums| sums.failed),
        writes,
        rows: sum(|sums| sums.rows),
        bytes: sum(|sums| sums.bytes),
        duration_us: sum(|sums| sums.duration_us),
        distinct_users,
        users_exact,
        users,
        columns: names(parts.iter().flat_map(|part| &part.columns).copied().collect(), limits.shown_columns),
        filters: names(parts.iter().flat_map(|part| &part.filters).copied().collect(), limits.shown_columns),
        joins,
        expires_at: usage_expiry(day),
        origin,
    }))
}

/// Counts of the same thing together.
fn added<N: Hash + Eq>(counts: impl Iterator<Item = (N, i64)>) -> Vec<(N, i64)> {
    let mut all: HashMap<N, i64, FixedState> = HashMap::default();
    for (name, count) in counts {
        let known = all.entry(name).or_default();
        *known = known.saturating_add(count);
    }
    all.into_iter().collect()
}

fn names(counts: Vec<(&str, i64)>, limit: usize) -> BTreeMap<String, i64> {
    largest(&together(counts).into_iter().collect::<BTreeMap<_, _>>(), limit)
}

/// A user of one or more parts.
struct Sum<'p> {
    user: &'p str,
    queries: i64,
    failed: i64,
    /// Part and user in it.
    uses: SmallVec<[(&'p Part<'p>, &'p User<'p>); 4]>,
}

/// Users with the most queries, how many there are, and whether that was counted. Columns are added up for those only
/// that are shown.
fn users(parts: &[Part<'_>], limits: &UsageLimits) -> (Vec<UserUse>, i64, bool) {
    let mut places: HashMap<&str, usize, FixedState> = HashMap::default();
    let mut all: Vec<Sum<'_>> = Vec::new();
    for (part, theirs) in parts.iter().flat_map(|part| part.users.users.iter().map(move |user| (part, user))) {
        let place = *places.entry(theirs.user).or_insert(all.len());
        if place == all.len() {
            all.push(Sum { user: theirs.user, queries: 0, failed: 0, uses: SmallVec::new() });
        }
        if let Some(sum) = all.get_mut(place) {
            sum.queries = sum.queries.saturating_add(theirs.queries);
            sum.failed = sum.failed.saturating_add(theirs.failed);
            sum.uses.push((part, theirs));
        }
    }
    let mut sketch: Option<Sketch> = None;
    for theirs in parts.iter().filter_map(|part| part.users.sketch.and_then(Sketch::parse)) {
        sketch.get_or_insert_with(Sketch::empty).join(&theirs);
    }
    let listed = all.len() as i64;
    let distinct = sketch.as_mut().map(|sketch| {
        all.iter().for_each(|user| sketch.add(user.user));
        sketch.estimate().max(listed)
    });
    all.sort_unstable_by_key(|sum| (Reverse(sum.queries), sum.user));
    all.truncate(limits.shown_users);
    let shown = all.iter().map(|sum| {
        let columns = sum.uses.iter().flat_map(|(part, user)| {
            let counts = part.users.columns(user);
            counts.filter_map(|(name, count)| Some((*part.users.names.get(name)?, count)))
        });
        let mut columns = together(columns.collect());
        keep_largest(&mut columns, limits.columns_of_user, Ord::cmp);
        UserUse {
            user: sum.user.to_owned(),
            queries: sum.queries,
            failed: sum.failed,
            columns: columns.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    });
    (shown.collect(), distinct.unwrap_or(listed), distinct.is_none())
}

/// Counts of the same thing together, of lists that are sorted already, one after the other.
fn together(mut counts: Vec<(&str, i64)>) -> Vec<(&str, i64)> {
    counts.sort_by_key(|(name, _)| *name);
    counts.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(next.1);
        }
        same
    });
    counts
}

/// The record's key.
pub(super) fn record_key(dataset: &str, day: i64) -> String {
    format!("{dataset}|{}", day_text(day))
}

/// Forgets the parts of a day.
pub(super) fn forget(dataset: &str, day: i64, state: &mut dyn State) -> Result<(), StateError> {
    let dataset = EntityId::from_canonical(dataset);
    for prefix in [part_key(&dataset, day, ""), waiting_key(&dataset, day, "")] {
        for (key, _) in state.scan(&prefix)? {
            state.delete(key);
        }
    }
    state.delete(day_key(day, dataset.as_str()));
    Ok(())
}
