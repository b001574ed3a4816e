//! How the queries of this partition used one dataset on one day: counted exactly, so that a query can be taken out.
//!
//! In the state: a total, which is what is sent to the dataset, and one record for each user, so that there may be any
//! number of them.

use std::collections::BTreeMap;

use crate::model::fact::{JoinUse, Origin, PartUser, UsagePart};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::super::registers::{key_part, state_key};
use super::UsageLimits;
use super::counts::{Counts, MAX_NAME, Names, Numbered};
use super::form::{FormError, Reader, Writer, unreadable, whole};
use super::part::{Sums, Users, write_sums, write_users};
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
    /// Queries ever added or taken out: the version of what is sent. The same whenever the same facts are read again.
    applied: i64,
    queries: i64,
    failed: i64,
    writes: i64,
    rows: i64,
    bytes: i64,
    duration_us: i64,
    users: i64,
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
/// there nothing is made.
fn list(listed: &mut Vec<Listed>, user: &str, using: &Using, names: &Names, limits: &UsageLimits) {
    let place = listed.partition_point(|other| before((other.queries, &other.user), (using.queries, user)));
    if place < limits.users {
        let columns = using.columns.largest(limits.columns_of_user, names);
        let shown = Listed { user: user.to_owned(), queries: using.queries, failed: using.failed, columns };
        listed.insert(place, shown);
        listed.truncate(limits.users);
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
    names: Names,
    users: BTreeMap<String, Known>,
    /// Users that were needed before those of `users`; they go at the next turn.
    older: BTreeMap<String, Known>,
    dirty: Vec<String>,
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
        Ok(Self { day, dataset: dataset.clone(), total, names, users, older, dirty })
    }

    /// Bytes that it takes in memory, at most, roughly.
    pub fn weight(&self) -> usize {
        let columns = self.names.len().min(MAX_NAMES_WEIGHED) * size_of::<(u32, i64)>();
        let users = self.users.len() + self.older.len();
        2_000 + self.names.len() * 100 + users * (200 + columns) + self.total.listed.len() * 300
    }

    /// Forgets the users that were not needed since the last turn.
    pub fn turn(&mut self) {
        self.older = std::mem::take(&mut self.users);
    }

    /// Adds a query that wrote the dataset, or takes it out.
    pub fn write(&mut self, by: i64) {
        self.total.applied = self.total.applied.saturating_add(1);
        self.total.writes = self.total.writes.saturating_add(by);
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
        total.queries = total.queries.saturating_add(by);
        total.failed = total.failed.saturating_add(failed);
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
                listed.remove(place);
            }
            if now > 0 {
                list(listed, &user, &known.now, &self.names, limits);
            }
            (known.before, known.dirty) = (now, false);
            if now <= 0 {
                self.users.remove(&user);
            }
            match (before > 0, now > 0) {
                (false, true) => {
                    self.total.users = self.total.users.saturating_add(1);
                    new.push(user);
                }
                (true, false) => self.total.users = self.total.users.saturating_sub(1),
                _ => {}
            }
        }
        let all_listed = usize::try_from(self.total.users).is_ok_and(|users| users <= limits.users);
        if all_listed {
            self.total.sketch = None;
        }
        // Who is listed cannot be told from those listed, once one of them has fewer queries than before.
        let unknown = if all_listed { self.total.listed.len() as i64 != self.total.users } else { fewer };
        match &mut self.total.sketch {
            Some(sketch) if !all_listed && !fewer => new.iter().for_each(|user| sketch.add(user)),
            _ if unknown || !all_listed => self.list_anew(all_listed, limits, state)?,
            _ => {}
        }
        let part = self.part();
        state.put(total_key(self.day, self.dataset.as_str()), self.total.write(&part));
        Ok((self.total.applied, part))
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
        self.total.listed = listed;
        self.total.sketch = (!all).then_some(sketch);
        Ok(())
    }

    fn part(&self) -> UsagePart {
        let total = &self.total;
        let mut joins: Vec<JoinUse> =
            total.joins.names().iter().filter_map(|(name, count)| join(name, *count)).collect();
        super::order_joins(&mut joins);
        let (names, users) = self.listed();
        UsagePart {
            queries: total.queries,
            failed: total.failed,
            writes: total.writes,
            rows: total.rows,
            bytes: total.bytes,
            duration_us: total.duration_us,
            distinct_users: total.users,
            names,
            users,
            sketch: total.sketch.as_ref().map(Sketch::text),
            columns: total.columns.names().clone(),
            filters: total.filters.names().clone(),
            joins,
        }
    }

    /// Who is listed, and the names of the columns shown of them.
    fn listed(&self) -> (Vec<String>, Vec<PartUser>) {
        let mut used = vec![false; self.names.len()];
        for (number, _) in self.total.listed.iter().flat_map(|listed| &listed.columns) {
            if let Some(used) = used.get_mut(*number as usize) {
                *used = true;
            }
        }
        let numbers = 0..u32::try_from(used.len()).unwrap_or(u32::MAX);
        let mut names: Vec<u32> = numbers.zip(&used).filter(|(_, used)| **used).map(|(number, _)| number).collect();
        names.sort_unstable_by_key(|number| self.names.text(*number));
        let mut places = vec![0; used.len()];
        for (place, number) in (0_u32..).zip(&names) {
            if let Some(known) = places.get_mut(*number as usize) {
                *known = place;
            }
        }
        let users = self.total.listed.iter().map(|listed| {
            let place = |number: u32| places.get(number as usize).copied().unwrap_or_default();
            let mut columns: Vec<_> = listed.columns.iter().map(|(number, count)| (place(*number), *count)).collect();
            columns.sort_unstable();
            PartUser { user: listed.user.clone(), queries: listed.queries, failed: listed.failed, columns }
        });
        (names.iter().map(|number| self.names.text(*number).to_owned()).collect(), users.collect())
    }
}

impl Total {
    /// As a record of the state; `part` is what is sent of it.
    fn write(&self, part: &UsagePart) -> Vec<u8> {
        let mut out = Writer::new(16_000);
        out.number(self.applied);
        write_sums(part, &mut out);
        write_users(part, &mut out);
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
            queries: sums.queries,
            failed: sums.failed,
            writes: sums.writes,
            rows: sums.rows,
            bytes: sums.bytes,
            duration_us: sums.duration_us,
            users: sums.distinct_users,
            listed: listed.collect(),
            sketch: users.sketch.and_then(Sketch::parse),
            columns: Counts::read(from)?,
            filters: Counts::read(from)?,
            joins: Counts::read(from)?,
        })
    }
}

/// Whether a user with so many queries and this name is listed before another one.
pub(super) fn before(a: (i64, &str), b: (i64, &str)) -> bool {
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
