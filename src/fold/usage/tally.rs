//! How the queries of this partition used one dataset on one day: counted exactly, so that a query can be taken out.
//!
//! In the state: a total, of which what has changed is sent to the dataset, and one record for each user, so that there may
//! be any number of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{JoinUse, Origin, PartUser, UsagePart};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::super::registers::{key_part, state_key};
use super::UsageLimits;
use super::counts::{Counts, MAX_NAME, Names, Numbered};
use super::form::{FormError, Reader, Writer, unreadable, whole};
use super::part::{Sums, Users};
use super::seen::{Contribution, Read};
use super::sketch::Sketch;

/// More columns of a user than these are not weighed: hardly anybody uses so many.
const MAX_NAMES_WEIGHED: usize = 200;

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
#[derive(Clone, Debug, Default)]
struct Total {
    /// Queries ever added or taken out: the version of what is sent.
    applied: i64,
    sums: Sums,
    /// The users with the most queries, in order.
    listed: Vec<Listed>,
    sketch: Option<Sketch>,
    columns: Counts,
    filters: Counts,
    joins: Counts,
}

/// A user that is listed, with the columns that are shown.
#[derive(Clone, Debug)]
struct Listed {
    user: String,
    queries: i64,
    failed: i64,
    columns: Vec<(u32, i64)>,
}

/// What one user did with the dataset on the day.
#[derive(Clone, Debug, Default)]
struct Using {
    queries: i64,
    failed: i64,
    columns: Numbered,
}

impl Using {
    fn write(&self, names: &Names) -> Vec<u8> {
        let mut out = Writer::new(1_000);
        out.number(self.queries);
        out.number(self.failed);
        self.columns.write(names, &mut out);
        out.finish()
    }

    fn read(key: &[u8], bytes: &[u8], names: &mut Names) -> Result<Self, StateError> {
        let parse = |from: &mut Reader<'_>| {
            Ok(Self { queries: from.number()?, failed: from.number()?, columns: Numbered::read(from, names)? })
        };
        whole(bytes, parse).map_err(unreadable(key))
    }
}

/// Puts a user that uses it like this where it belongs among those with the most queries; of those that do not belong
/// there nothing is made. Returns the user if it is listed, and who is not any more.
fn list(
    listed: &mut Vec<Listed>,
    user: &str,
    using: &Using,
    names: &Names,
    limits: &UsageLimits,
) -> [Option<String>; 2] {
    let place = listed.partition_point(|other| before((other.queries, &other.user), (using.queries, user)));
    if place >= limits.users {
        return [None, None];
    }
    let columns = using.columns.largest(limits.columns_of_user, names);
    let shown = Listed { user: user.to_owned(), queries: using.queries, failed: using.failed, columns };
    listed.insert(place, shown);
    let out = if listed.len() > limits.users { listed.pop() } else { None };
    [Some(user.to_owned()), out.map(|out| out.user)]
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
    names: Names,
    users: BTreeMap<String, Known>,
    /// Users that were needed before those of `users`; they go at the next turn.
    older: BTreeMap<String, Known>,
    dirty: Vec<String>,
    /// What was sent last.
    sent: Sent,
}

/// What the dataset knows, besides the counts by name.
#[derive(Clone, Debug, Default)]
struct Sent {
    /// The version.
    applied: i64,
    /// The sketch. It is by far the largest of a change's parts, and users who are known do not change it.
    sketch: Option<Sketch>,
    /// Users of whom it may know something else than what is listed now.
    moved: BTreeSet<String>,
}

impl Tally {
    /// Loads the total.
    pub fn load(day: i64, dataset: &EntityId, state: &dyn State) -> Result<Self, StateError> {
        let key = total_key(day, dataset.as_str());
        let mut names = Names::default();
        let total = match state.get(&key)? {
            Some(bytes) => whole(&bytes, |from| Total::read(from, &mut names)).map_err(unreadable(&key))?,
            None => Total::default(),
        };
        let (users, older, dirty) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let sent = Sent { applied: total.applied, sketch: total.sketch.clone(), moved: BTreeSet::new() };
        Ok(Self { day, dataset: dataset.clone(), total, names, users, older, dirty, sent })
    }

    /// Bytes that it takes in memory, at most, roughly.
    pub fn weight(&self) -> usize {
        let columns = self.names.len().min(MAX_NAMES_WEIGHED) * size_of::<(u32, i64)>();
        let users = self.users.len() + self.older.len();
        4_000 + self.names.len() * 100 + users * (200 + columns) + self.total.listed.len() * 300
    }

    /// Forgets the users that were not needed since the last turn.
    pub fn turn(&mut self) {
        self.older = std::mem::take(&mut self.users);
    }

    /// Adds a query that wrote the dataset, or takes it out.
    pub fn write(&mut self, by: i64) {
        self.total.applied = self.total.applied.saturating_add(1);
        self.total.sums.writes = self.total.sums.writes.saturating_add(by);
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
        total.applied = total.applied.saturating_add(1);
        let sums = &mut total.sums;
        sums.queries = sums.queries.saturating_add(by);
        sums.failed = sums.failed.saturating_add(failed);
        sums.rows = sums.rows.saturating_add(query.rows.saturating_mul(by));
        sums.bytes = sums.bytes.saturating_add(query.bytes.saturating_mul(by));
        sums.duration_us = sums.duration_us.saturating_add(query.duration_us.saturating_mul(by));
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
            let known = match self.older.remove(user) {
                Some(known) => known,
                None => {
                    let key = user_key(self.day, self.dataset.as_str(), user);
                    let now = match state.get(&key)? {
                        Some(bytes) => Using::read(&key, &bytes, &mut self.names)?,
                        None => Using::default(),
                    };
                    Known { before: now.queries, now, dirty: false }
                }
            };
            self.users.insert(user.to_owned(), known);
        }
        if let Some(known) = self.users.get_mut(user) {
            if !known.dirty {
                known.dirty = true;
                self.dirty.push(user.to_owned());
            }
            known.now.queries = known.now.queries.saturating_add(by);
            known.now.failed = known.now.failed.saturating_add(failed);
            for column in read.columns.iter().filter(|column| column.len() <= MAX_NAME) {
                let number = self.names.number(column);
                known.now.columns.add(number, by, limits.names_of_user, &self.names);
            }
        }
        Ok(())
    }

    /// Writes what changed; answers the version and what is sent to the dataset.
    pub fn save(&mut self, limits: &UsageLimits, state: &mut dyn State) -> Result<(i64, UsagePart), StateError> {
        let mut fewer = false;
        let mut new = Vec::new();
        for user in std::mem::take(&mut self.dirty) {
            let Some(known) = self.users.get_mut(&user) else { continue };
            let key = user_key(self.day, self.dataset.as_str(), &user);
            let (before, now) = (known.before, known.now.queries);
            if now > 0 {
                state.put(key, known.now.write(&self.names));
            } else if before > 0 {
                state.delete(key);
            }
            fewer |= now < before;
            let listed = &mut self.total.listed;
            if let Some(place) = listed.iter().position(|listed| listed.user == user) {
                self.sent.moved.insert(listed.remove(place).user);
            }
            if now > 0 {
                let listing = list(listed, &user, &known.now, &self.names, limits);
                self.sent.moved.extend(listing.into_iter().flatten());
            }
            (known.before, known.dirty) = (now, false);
            if now <= 0 {
                self.users.remove(&user);
            }
            let all = &mut self.total.sums.distinct_users;
            match (before > 0, now > 0) {
                (false, true) => {
                    *all = all.saturating_add(1);
                    new.push(user);
                }
                (true, false) => *all = all.saturating_sub(1),
                _ => {}
            }
        }
        let users = self.total.sums.distinct_users;
        let all_listed = usize::try_from(users).is_ok_and(|users| users <= limits.users);
        if all_listed {
            self.total.sketch = None;
        }
        // Who is listed cannot be told from those listed, once one of them has fewer queries than before.
        let unknown = if all_listed { self.total.listed.len() as i64 != users } else { fewer };
        match &mut self.total.sketch {
            Some(sketch) if !all_listed && !fewer => new.iter().for_each(|user| sketch.add(user)),
            _ if unknown || !all_listed => self.list_anew(all_listed, limits, state)?,
            _ => {}
        }
        state.put(total_key(self.day, self.dataset.as_str()), self.total.write(self.listed(|_| true)));
        let change = self.change();
        Ok((self.total.applied, change))
    }

    /// Goes through all users.
    fn list_anew(&mut self, all: bool, limits: &UsageLimits, state: &dyn State) -> Result<(), StateError> {
        let prefix = user_key(self.day, self.dataset.as_str(), "");
        let mut sketch = Sketch::empty();
        let mut listed: Vec<Listed> = Vec::new();
        for (key, bytes) in state.scan(&prefix)? {
            let user = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default());
            let using = Using::read(&key, &bytes, &mut self.names)?;
            sketch.add(&user);
            list(&mut listed, &user, &using, &self.names, limits);
        }
        self.sent.moved.extend(self.total.listed.iter().chain(&listed).map(|listed| listed.user.clone()));
        self.total.listed = listed;
        self.total.sketch = (!all).then_some(sketch);
        Ok(())
    }

    /// What has changed since the last time.
    fn change(&mut self) -> UsagePart {
        let now = Sent { applied: self.total.applied, sketch: self.total.sketch.clone(), moved: BTreeSet::new() };
        let sent = std::mem::replace(&mut self.sent, now);
        let sketch = (self.total.sketch != sent.sketch)
            .then(|| self.total.sketch.as_ref().map_or_else(String::new, Sketch::text));
        let users = self.listed(|user| sent.moved.contains(user));
        let gone = |user: &&String| !users.users.iter().any(|listed| listed.user == *user);
        let gone = sent.moved.iter().filter(gone).map(|user| PartUser { user: user.clone(), ..PartUser::default() });
        let gone: Vec<PartUser> = gone.collect();
        let (names, mut users) = users.owned();
        users.extend(gone);
        users.sort_unstable_by(|a, b| a.user.cmp(&b.user));
        let total = &mut self.total;
        let joins = total.joins.changes();
        let mut joins: Vec<JoinUse> = joins.iter().filter_map(|(name, count)| join(name, *count)).collect();
        joins.sort_unstable();
        let sums = total.sums;
        UsagePart {
            since: sent.applied,
            queries: sums.queries,
            failed: sums.failed,
            writes: sums.writes,
            rows: sums.rows,
            bytes: sums.bytes,
            duration_us: sums.duration_us,
            distinct_users: sums.distinct_users,
            names,
            users,
            sketch,
            columns: total.columns.changes(),
            filters: total.filters.changes(),
            joins,
        }
    }

    /// Those of the users listed that are asked for, and the names of the columns shown of them.
    fn listed(&self, is_asked: impl Fn(&str) -> bool) -> Users<'_> {
        let listed: Vec<&Listed> = self.total.listed.iter().filter(|listed| is_asked(&listed.user)).collect();
        let mut numbers: Vec<u32> = Vec::new();
        let mut places = vec![usize::MAX; self.names.len()];
        for (number, _) in listed.iter().flat_map(|listed| &listed.columns) {
            if let Some(place) = places.get_mut(*number as usize).filter(|place| **place == usize::MAX) {
                *place = 0;
                numbers.push(*number);
            }
        }
        numbers.sort_unstable_by_key(|number| self.names.text(*number));
        for (at, number) in numbers.iter().enumerate() {
            if let Some(place) = places.get_mut(*number as usize) {
                *place = at;
            }
        }
        let mut users = Users::new(numbers.iter().map(|number| self.names.text(*number)).collect());
        for listed in listed {
            let place = |number: u32| places.get(number as usize).copied().unwrap_or_default();
            let mut columns: Vec<_> = listed.columns.iter().map(|(number, count)| (place(*number), *count)).collect();
            columns.sort_unstable();
            users.add((&listed.user, listed.queries, listed.failed), columns.into_iter());
        }
        users
    }
}

impl Total {
    /// As a record of the state, with the users listed in it.
    fn write(&self, listed: Users<'_>) -> Vec<u8> {
        let sketch = self.sketch.as_ref().map(Sketch::text);
        let mut listed = listed;
        let mut out = Writer::new(16_000);
        out.number(self.applied);
        self.sums.write(&mut out);
        listed.sketch = sketch.as_deref();
        listed.write(&mut out);
        [&self.columns, &self.filters, &self.joins].into_iter().for_each(|counts| counts.write(&mut out));
        out.finish()
    }

    fn read(from: &mut Reader<'_>, names: &mut Names) -> Result<Self, FormError> {
        let applied = from.number()?;
        let sums = Sums::read(from)?;
        let users = Users::read(from)?;
        let numbers: Vec<u32> = users.names.iter().map(|name| names.number(name)).collect();
        let listed = users.users.iter().map(|user| Listed {
            user: user.user.to_owned(),
            queries: user.queries,
            failed: user.failed,
            columns: users.columns(user).filter_map(|(name, count)| Some((*numbers.get(name)?, count))).collect(),
        });
        Ok(Self {
            applied,
            sums,
            listed: listed.collect(),
            sketch: users.sketch.and_then(Sketch::parse),
            columns: Counts::read(from)?,
            filters: Counts::read(from)?,
            joins: Counts::read(from)?,
        })
    }
}

/// Whether a user with so many queries and this name is listed before another one.
fn before(a: (i64, &str), b: (i64, &str)) -> bool {
    (std::cmp::Reverse(a.0), a.1) < (std::cmp::Reverse(b.0), b.1)
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
