//! How the queries of this partition used one dataset on one day: counted exactly, so that a query can be taken out.
//!
//! In the state: a total, which is what is sent to the dataset, and one record for each user, so that there may be any
//! number of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::fact::{JoinUse, Origin, UsagePart, UserUse};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::super::registers::{from_json, json, key_part, state_key};
use super::UsageLimits;
use super::counts::{Counts, MAX_NAME, largest};
use super::seen::{Contribution, Read};
use super::sketch::Sketch;

/// Separates the names of a join.
const SEPARATOR: char = '\0';

/// A number in a state key: sorts as the number does.
pub(super) fn ordered(number: i64) -> String {
    format!("{:016x}", (number as u64) ^ (1 << 63))
}

/// Where totals lie.
pub(super) const TOTALS: &str = "t";
/// Where users lie.
pub(super) const USERS: &str = "u";

/// The key of a total.
pub(super) fn total_key(day: i64, dataset: &str) -> Vec<u8> {
    state_key(&["", TOTALS, &ordered(day), dataset])
}

/// The key of a user; of all users, with an empty name.
pub(super) fn user_key(day: i64, dataset: &str, user: &str) -> Vec<u8> {
    state_key(&["", USERS, &ordered(day), dataset, user])
}

/// The total of a dataset and day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Total {
    /// Queries ever added or taken out: the version of what is sent. The same whenever the same facts are read again.
    #[serde(rename = "v")]
    applied: i64,
    #[serde(rename = "q")]
    queries: i64,
    #[serde(rename = "f")]
    failed: i64,
    #[serde(rename = "w")]
    writes: i64,
    #[serde(rename = "n")]
    rows: i64,
    #[serde(rename = "b")]
    bytes: i64,
    #[serde(rename = "t")]
    duration_us: i64,
    #[serde(rename = "u")]
    users: i64,
    /// The users with the most queries, in order.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    listed: Vec<UserUse>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    sketch: Option<String>,
    #[serde(rename = "c", default)]
    columns: Counts,
    #[serde(rename = "i", default)]
    filters: Counts,
    #[serde(rename = "j", default)]
    joins: Counts,
}

/// What one user did with the dataset on the day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Using {
    #[serde(rename = "q")]
    queries: i64,
    #[serde(rename = "f", default)]
    failed: i64,
    #[serde(rename = "c", default)]
    columns: Counts,
}

impl Using {
    fn shown(&self, user: &str, limits: &UsageLimits) -> UserUse {
        UserUse {
            user: user.to_owned(),
            queries: self.queries,
            failed: self.failed,
            columns: largest(self.columns.names(), limits.columns_of_user),
        }
    }
}

/// A user as it was when the batch began and as it is now.
#[derive(Clone, Debug)]
struct Known {
    before: i64,
    now: Using,
    dirty: bool,
}

/// A total and the users that were needed of it.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    day: i64,
    dataset: EntityId,
    total: Total,
    users: BTreeMap<String, Known>,
}

impl Tally {
    /// Loads the total.
    pub fn load(day: i64, dataset: &EntityId, state: &dyn State) -> Result<Self, StateError> {
        let key = total_key(day, dataset.as_str());
        let total = state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()?.unwrap_or_default();
        Ok(Self { day, dataset: dataset.clone(), total, users: BTreeMap::new() })
    }

    /// Users held in memory.
    pub fn weight(&self) -> usize {
        1 + self.users.len()
    }

    /// Adds a query that wrote the dataset, or takes it out.
    pub fn write(&mut self, by: i64) {
        self.total.applied += 1;
        self.total.writes += by;
    }

    /// Adds a query that read the dataset with `by` 1, or takes it out with -1.
    pub fn read(
        &mut self,
        query: &Contribution,
        read: &Read,
        by: i64,
        limits: &UsageLimits,
        state: &dyn State,
    ) -> Result<(), StateError> {
        let failed = if query.failed { by } else { 0 };
        let total = &mut self.total;
        total.applied += 1;
        total.queries += by;
        total.failed += failed;
        total.rows = total.rows.saturating_add(query.rows.saturating_mul(by));
        total.bytes = total.bytes.saturating_add(query.bytes.saturating_mul(by));
        total.duration_us = total.duration_us.saturating_add(query.duration_us.saturating_mul(by));
        for column in &read.columns {
            total.columns.add(column, by, limits.names);
        }
        for column in &read.filters {
            total.filters.add(column, by, limits.names);
        }
        for (column, other, other_column) in &read.joins {
            if column.len().max(other_column.len()) <= MAX_NAME {
                let name = format!("{}{SEPARATOR}{other}{SEPARATOR}{other_column}", key_part(column));
                total.joins.add_long(&name, by, limits.joins);
            }
        }
        let Some(user) = query.user.as_deref().filter(|user| !user.is_empty() && user.len() <= MAX_NAME) else {
            return Ok(());
        };
        if !self.users.contains_key(user) {
            let key = user_key(self.day, self.dataset.as_str(), user);
            let now: Using = state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()?.unwrap_or_default();
            self.users.insert(user.to_owned(), Known { before: now.queries, now, dirty: false });
        }
        if let Some(known) = self.users.get_mut(user) {
            known.dirty = true;
            known.now.queries += by;
            known.now.failed += failed;
            for column in &read.columns {
                known.now.columns.add(column, by, limits.names_of_user);
            }
        }
        Ok(())
    }

    /// Writes what changed; answers the version and what is sent to the dataset.
    pub fn save(&mut self, limits: &UsageLimits, state: &mut dyn State) -> Result<(i64, UsagePart), StateError> {
        let mut fewer = false;
        let mut new = Vec::new();
        for (user, known) in self.users.iter_mut().filter(|(_, known)| known.dirty) {
            let key = user_key(self.day, self.dataset.as_str(), user);
            if known.now.queries > 0 {
                state.put(key, json(&known.now));
            } else if known.before > 0 {
                state.delete(key);
            }
            fewer |= known.now.queries < known.before;
            match (known.before > 0, known.now.queries > 0) {
                (false, true) => {
                    self.total.users += 1;
                    new.push(user.clone());
                }
                (true, false) => self.total.users -= 1,
                _ => {}
            }
            let listed = &mut self.total.listed;
            listed.retain(|listed| listed.user != *user);
            if known.now.queries > 0 {
                let shown = known.now.shown(user, limits);
                let place = listed.partition_point(|other| before(other, &shown));
                listed.insert(place, shown);
                listed.truncate(limits.users);
            }
            (known.before, known.dirty) = (known.now.queries, false);
        }
        self.users.retain(|_, known| known.now.queries > 0);
        let all_listed = usize::try_from(self.total.users).is_ok_and(|users| users <= limits.users);
        if all_listed {
            self.total.sketch = None;
        }
        // Who is listed cannot be told from those listed, once one of them has fewer queries than before.
        let unknown = if all_listed { self.total.listed.len() as i64 != self.total.users } else { fewer };
        let sketch = self.total.sketch.as_deref().and_then(Sketch::parse);
        match sketch {
            Some(mut sketch) if !all_listed && !fewer => {
                new.iter().for_each(|user| sketch.add(user));
                self.total.sketch = Some(sketch.text());
            }
            _ if unknown || !all_listed => self.list_anew(all_listed, limits, state)?,
            _ => {}
        }
        state.put(total_key(self.day, self.dataset.as_str()), json(&self.total));
        Ok((self.total.applied, self.part()))
    }

    /// Goes through all users.
    fn list_anew(&mut self, all: bool, limits: &UsageLimits, state: &dyn State) -> Result<(), StateError> {
        let prefix = user_key(self.day, self.dataset.as_str(), "");
        let mut sketch = Sketch::empty();
        let mut listed: Vec<UserUse> = Vec::new();
        for (key, bytes) in state.scan(&prefix)? {
            let user = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default());
            let using: Using = from_json(&key, &bytes)?;
            sketch.add(&user);
            let shown = using.shown(&user, limits);
            let place = listed.partition_point(|other| before(other, &shown));
            if place < limits.users {
                listed.insert(place, shown);
                listed.truncate(limits.users);
            }
        }
        self.total.listed = listed;
        self.total.sketch = (!all).then(|| sketch.text());
        Ok(())
    }

    fn part(&self) -> UsagePart {
        let total = &self.total;
        let mut joins: Vec<JoinUse> =
            total.joins.names().iter().filter_map(|(name, count)| join(name, *count)).collect();
        super::order_joins(&mut joins);
        UsagePart {
            queries: total.queries,
            failed: total.failed,
            writes: total.writes,
            rows: total.rows,
            bytes: total.bytes,
            duration_us: total.duration_us,
            distinct_users: total.users,
            users: total.listed.clone(),
            sketch: total.sketch.clone(),
            columns: total.columns.names().clone(),
            filters: total.filters.names().clone(),
            joins,
        }
    }
}

/// Whether `a` is listed before `b`.
pub(super) fn before(a: &UserUse, b: &UserUse) -> bool {
    (std::cmp::Reverse(a.queries), &a.user) < (std::cmp::Reverse(b.queries), &b.user)
}

fn join(name: &str, queries: i64) -> Option<JoinUse> {
    let mut parts = name.splitn(3, SEPARATOR).map(str::to_owned);
    Some(JoinUse { column: parts.next()?, other: parts.next()?, other_column: parts.next()?, queries })
}

/// What is to be sent of a tally, and because of which record.
pub(super) struct Due {
    pub tally: Tally,
    pub origin: Origin,
}
