//! What has been sent of a dataset and day, as it lies in the state: read without copying a text, because it is summed up
//! with those of other partitions each time that one of them changes.

use std::collections::BTreeMap;

use crate::model::fact::{PartUser, UsagePart};

use super::form::{FormError, Reader, Writer};

/// Numbers of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub queries: i64,
    pub failed: i64,
    pub writes: i64,
    pub rows: i64,
    pub bytes: i64,
    pub duration_us: i64,
    pub distinct_users: i64,
}

/// Users of a part. Names once each, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Users<'b> {
    pub names: Vec<&'b str>,
    pub users: Vec<User<'b>>,
    /// Places of names and counts, of one user after the other.
    columns: Vec<(usize, i64)>,
    pub sketch: Option<&'b str>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct User<'b> {
    pub user: &'b str,
    pub queries: i64,
    pub failed: i64,
    /// Where its columns are.
    columns: std::ops::Range<usize>,
}

/// A join: column, other dataset, its column.
pub(super) type Join<'b> = (&'b str, &'b str, &'b str);

/// A part. Every list is in the order of its names, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Part<'b> {
    pub sums: Sums,
    pub users: Users<'b>,
    pub columns: Vec<(&'b str, i64)>,
    pub filters: Vec<(&'b str, i64)>,
    pub joins: Vec<(Join<'b>, i64)>,
}

impl Sums {
    pub fn write(&self, out: &mut Writer) {
        let sums =
            [self.queries, self.failed, self.writes, self.rows, self.bytes, self.duration_us, self.distinct_users];
        sums.into_iter().for_each(|sum| out.number(sum));
    }

    /// What [`Sums::write`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Ok(Self {
            queries: from.number()?,
            failed: from.number()?,
            writes: from.number()?,
            rows: from.number()?,
            bytes: from.number()?,
            duration_us: from.number()?,
            distinct_users: from.number()?,
        })
    }
}

impl<'b> Users<'b> {
    /// Nobody yet, with columns of these names.
    pub fn new(names: Vec<&'b str>) -> Self {
        Self { names, ..Self::default() }
    }

    /// One user more, with columns by the places of their names.
    pub fn add(&mut self, (user, queries, failed): (&'b str, i64, i64), columns: impl Iterator<Item = (usize, i64)>) {
        let first = self.columns.len();
        self.columns.extend(columns);
        self.users.push(User { user, queries, failed, columns: first..self.columns.len() });
    }

    /// Columns of one of its users: place of the name, and count.
    pub fn columns(&self, user: &User<'_>) -> impl Iterator<Item = (usize, i64)> {
        self.columns.get(user.columns.clone()).unwrap_or_default().iter().copied()
    }

    pub fn write(&self, out: &mut Writer) {
        out.length(self.names.len());
        self.names.iter().for_each(|name| out.text(name));
        out.length(self.users.len());
        for user in &self.users {
            out.text(user.user);
            out.number(user.queries);
            out.number(user.failed);
            out.length(user.columns.len());
            for (name, count) in self.columns(user) {
                out.length(name);
                out.number(count);
            }
        }
        out.flag(self.sketch.is_some());
        if let Some(sketch) = self.sketch {
            out.text(sketch);
        }
    }

    /// What [`Users::write`] wrote.
    pub fn read(from: &mut Reader<'b>) -> Result<Self, FormError> {
        let mut users = Self::new(from.list(Reader::text)?);
        for _ in 0..from.length()? {
            let (user, queries, failed) = (from.text()?, from.number()?, from.number()?);
            let first = users.columns.len();
            for _ in 0..from.length()? {
                let name = usize::try_from(from.unsigned()?).map_err(|_| FormError::Number)?;
                if name >= users.names.len() {
                    return Err(FormError::Name(name));
                }
                users.columns.push((name, from.number()?));
            }
            users.users.push(User { user, queries, failed, columns: first..users.columns.len() });
        }
        users.sketch = if from.flag()? { Some(from.text()?) } else { None };
        Ok(users)
    }

    fn of(part: &'b UsagePart) -> Self {
        let mut users = Self::new(part.names.iter().map(String::as_str).collect());
        for user in &part.users {
            let columns = user.columns.iter().map(|(name, count)| (*name as usize, *count));
            users.add((&user.user, user.queries, user.failed), columns);
        }
        users.sketch = part.sketch.as_deref();
        users
    }

    /// The names and the users as they are sent.
    pub fn owned(&self) -> (Vec<String>, Vec<PartUser>) {
        let users = self.users.iter().map(|user| {
            let columns = self.columns(user).map(|(name, count)| (u32::try_from(name).unwrap_or(u32::MAX), count));
            let columns = columns.collect();
            PartUser { user: user.user.to_owned(), queries: user.queries, failed: user.failed, columns }
        });
        (self.names.iter().map(|name| (*name).to_owned()).collect(), users.collect())
    }

    /// With what has changed.
    fn with(&self, change: &Self) -> Self {
        let sources = [self, change];
        let mut users = Vec::with_capacity(self.users.len() + change.users.len());
        merge(&self.users, &change.users, |user| user.user, |user, source| users.push((user, source)));
        users.retain(|(user, _)| user.queries > 0);
        let mut places = sources.map(|source| vec![usize::MAX; source.names.len()]);
        let mut used: Vec<(&'b str, usize, usize)> = Vec::with_capacity(self.names.len() + change.names.len());
        for (user, source) in &users {
            for (name, _) in sources[*source].columns(user) {
                if let (Some(place), Some(text)) = (places[*source].get_mut(name), sources[*source].names.get(name))
                    && *place == usize::MAX
                {
                    *place = 0;
                    used.push((text, *source, name));
                }
            }
        }
        used.sort_unstable();
        let mut all = Self::new(Vec::with_capacity(used.len()));
        for (text, source, name) in used {
            if all.names.last() != Some(&text) {
                all.names.push(text);
            }
            places[source][name] = all.names.len() - 1;
        }
        for (user, source) in users {
            let columns = sources[source].columns(user).map(|(name, count)| (places[source][name], count));
            all.add((user.user, user.queries, user.failed), columns);
        }
        all.sketch = match change.sketch {
            None => self.sketch,
            Some("") => None,
            sketch => sketch,
        };
        all
    }
}

impl<'b> Part<'b> {
    /// As it was sent.
    pub fn of(part: &'b UsagePart) -> Self {
        let counts =
            |counts: &'b BTreeMap<String, i64>| counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let joins = part.joins.iter().map(|join| {
            let name = (join.column.as_str(), join.other.as_str(), join.other_column.as_str());
            (name, join.queries)
        });
        Self {
            sums: Sums {
                queries: part.queries,
                failed: part.failed,
                writes: part.writes,
                rows: part.rows,
                bytes: part.bytes,
                duration_us: part.duration_us,
                distinct_users: part.distinct_users,
            },
            users: Users::of(part),
            columns: counts(&part.columns),
            filters: counts(&part.filters),
            joins: joins.collect(),
        }
    }

    /// With what has changed: a count of 0 takes a name out.
    pub fn with(&self, change: &Self) -> Self {
        Self {
            sums: change.sums,
            users: self.users.with(&change.users),
            columns: counted_anew(&self.columns, &change.columns),
            filters: counted_anew(&self.filters, &change.filters),
            joins: counted_anew(&self.joins, &change.joins),
        }
    }

    pub fn write(&self, out: &mut Writer) {
        self.sums.write(out);
        self.users.write(out);
        for counts in [&self.columns, &self.filters] {
            out.length(counts.len());
            for (name, count) in counts {
                out.text(name);
                out.number(*count);
            }
        }
        out.length(self.joins.len());
        for ((column, other, other_column), queries) in &self.joins {
            [column, other, other_column].into_iter().for_each(|name| out.text(name));
            out.number(*queries);
        }
    }

    /// What [`Part::write`] wrote.
    pub fn read(from: &mut Reader<'b>) -> Result<Self, FormError> {
        Ok(Self {
            sums: Sums::read(from)?,
            users: Users::read(from)?,
            columns: from.list(counted)?,
            filters: from.list(counted)?,
            joins: from.list(|from| Ok(((from.text()?, from.text()?, from.text()?), from.number()?)))?,
        })
    }
}

fn counted<'b>(from: &mut Reader<'b>) -> Result<(&'b str, i64), FormError> {
    Ok((from.text()?, from.number()?))
}

fn counted_anew<N: Copy + Ord>(known: &[(N, i64)], changes: &[(N, i64)]) -> Vec<(N, i64)> {
    let mut all = Vec::with_capacity(known.len() + changes.len());
    merge(known, changes, |(name, _)| *name, |count, _| all.push(*count));
    all.retain(|(_, count)| *count > 0);
    all
}

/// Goes through two lists in the order of their names; `take` gets each item, and 0 for what is known, 1 for a change. Of
/// what is in both it gets the change.
fn merge<'l, T, N: Ord>(
    known: &'l [T],
    changes: &'l [T],
    name: impl Fn(&'l T) -> N,
    mut take: impl FnMut(&'l T, usize),
) {
    let mut known = known.iter().peekable();
    for change in changes {
        while let Some(item) = known.next_if(|item| name(item) < name(change)) {
            take(item, 0);
        }
        known.next_if(|item| name(item) == name(change));
        take(change, 1);
    }
    known.for_each(|item| take(item, 0));
}
