//! The usage of a dataset on one day: the sum of what the partitions of the fold have sent of their queries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::fact::{Fact, JoinUse, Origin, UsagePart, UserUse, Version};
use crate::model::id::EntityId;
use crate::model::query::{day_text, usage_expiry};
use crate::model::record::UsageRecord;
use crate::model::state::{State, StateError};

use super::super::registers::{from_json, json, state_key};
use super::counts::largest;
use super::sketch::Sketch;
use super::tally::{before, ordered};
use super::{UsageLimits, order_joins};

/// Where it is noted which datasets have parts of a day.
pub(super) const DAYS: &str = "d";

/// A part as it was received.
#[derive(Serialize, Deserialize)]
struct Register {
    #[serde(rename = "n")]
    version: Version,
    #[serde(rename = "o")]
    origin: Origin,
    #[serde(rename = "p")]
    part: UsagePart,
}

fn part_key(dataset: &EntityId, day: i64, part: &str) -> Vec<u8> {
    state_key(&[dataset.as_str(), "us", &ordered(day), part])
}

fn day_key(day: i64, dataset: &str) -> Vec<u8> {
    state_key(&["", DAYS, &ordered(day), dataset])
}

/// Puts a part in the place of its former one. Returns whether it is newer.
pub(super) fn receive(
    fact: &Fact,
    (day, part): (i64, i32),
    usage: &UsagePart,
    state: &mut dyn State,
) -> Result<bool, StateError> {
    let key = part_key(&fact.entity, day, &part.to_string());
    let known: Option<Register> = state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()?;
    if known.is_some_and(|known| known.version >= fact.version) {
        return Ok(false);
    }
    let register = Register { version: fact.version, origin: fact.origin.clone(), part: usage.clone() };
    state.put(key, json(&register));
    let noted = day_key(day, fact.entity.as_str());
    if state.get(&noted)?.is_none() {
        state.put(noted, b"1".to_vec());
    }
    Ok(true)
}

/// The record of a dataset and day; `None` if no query used it.
pub(super) fn record(
    dataset: &EntityId,
    day: i64,
    limits: &UsageLimits,
    state: &dyn State,
) -> Result<Option<UsageRecord>, StateError> {
    let mut parts = Vec::new();
    for (key, bytes) in state.scan(&part_key(dataset, day, ""))? {
        let register: Register = from_json(&key, &bytes)?;
        parts.push(register);
    }
    let newest = parts.iter().max_by_key(|register| (register.version, &register.origin));
    let Some(origin) = newest.map(|register| register.origin.clone()) else { return Ok(None) };
    let sum =
        |field: fn(&UsagePart) -> i64| parts.iter().map(|register| field(&register.part)).fold(0, i64::saturating_add);
    let (queries, writes) = (sum(|part| part.queries), sum(|part| part.writes));
    if queries <= 0 && writes <= 0 {
        return Ok(None);
    }
    let names = |field: fn(&UsagePart) -> &BTreeMap<String, i64>| {
        let mut all: BTreeMap<String, i64> = BTreeMap::new();
        for (name, count) in parts.iter().flat_map(|register| field(&register.part)) {
            *all.entry(name.clone()).or_default() += count;
        }
        largest(&all, limits.shown_columns)
    };
    let (users, distinct_users, users_exact) = users(parts.iter().map(|register| &register.part), limits);
    let mut joins: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for join in parts.iter().flat_map(|register| &register.part.joins) {
        *joins.entry((&join.column, &join.other, &join.other_column)).or_default() += join.queries;
    }
    let mut joins: Vec<JoinUse> = joins
        .into_iter()
        .map(|((column, other, other_column), queries)| JoinUse {
            column: column.to_owned(),
            other: other.to_owned(),
            other_column: other_column.to_owned(),
            queries,
        })
        .collect();
    order_joins(&mut joins);
    joins.truncate(limits.shown_joins);
    Ok(Some(UsageRecord {
        dataset: dataset.as_str().to_owned(),
        day: day_text(day),
        queries,
        failed: sum(|part| part.failed),
        writes,
        rows: sum(|part| part.rows),
        bytes: sum(|part| part.bytes),
        duration_us: sum(|part| part.duration_us),
        distinct_users,
        users_exact,
        users,
        columns: names(|part| &part.columns),
        filters: names(|part| &part.filters),
        joins,
        expires_at: usage_expiry(day),
        origin,
    }))
}

/// Users with the most queries, how many there are, and whether that was counted.
fn users<'a>(parts: impl Iterator<Item = &'a UsagePart>, limits: &UsageLimits) -> (Vec<UserUse>, i64, bool) {
    let mut all: BTreeMap<&str, UserUse> = BTreeMap::new();
    let mut sketch: Option<Sketch> = None;
    for part in parts {
        for theirs in &part.users {
            let user =
                all.entry(&theirs.user).or_insert_with(|| UserUse { user: theirs.user.clone(), ..UserUse::default() });
            user.queries += theirs.queries;
            user.failed += theirs.failed;
            for (column, count) in &theirs.columns {
                *user.columns.entry(column.clone()).or_default() += count;
            }
        }
        if let Some(theirs) = part.sketch.as_deref().and_then(Sketch::parse) {
            sketch.get_or_insert_with(Sketch::empty).join(&theirs);
        }
    }
    let listed = all.len() as i64;
    let distinct = sketch.as_mut().map(|sketch| {
        all.keys().for_each(|user| sketch.add(user));
        sketch.estimate().max(listed)
    });
    let mut users: Vec<UserUse> = all.into_values().collect();
    users.sort_by(|a, b| before(a, b).cmp(&before(b, a)).reverse());
    users.truncate(limits.shown_users);
    for user in &mut users {
        user.columns = largest(&user.columns, limits.columns_of_user);
    }
    (users, distinct.unwrap_or(listed), distinct.is_none())
}

/// The record's key.
pub(super) fn record_key(dataset: &str, day: i64) -> String {
    format!("{dataset}|{}", day_text(day))
}

/// Forgets the parts of a day.
pub(super) fn forget(dataset: &str, day: i64, state: &mut dyn State) -> Result<(), StateError> {
    let dataset = EntityId::from_canonical(dataset);
    for (key, _) in state.scan(&part_key(&dataset, day, ""))? {
        state.delete(key);
    }
    state.delete(day_key(day, dataset.as_str()));
    Ok(())
}
