//! What is sent of a dataset and day, as it lies in the state: read without copying a text, because it is summed up with
//! those of other partitions each time that one of them changes.

use crate::model::fact::UsagePart;

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

/// Users of a part.
#[derive(Clone, Debug)]
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

/// A part.
#[derive(Clone, Debug)]
pub(super) struct Part<'b> {
    pub sums: Sums,
    pub users: Users<'b>,
    pub columns: Vec<(&'b str, i64)>,
    pub filters: Vec<(&'b str, i64)>,
    pub joins: Vec<((&'b str, &'b str, &'b str), i64)>,
}

/// Writes all of `part`.
pub(super) fn write(part: &UsagePart, out: &mut Writer) {
    write_sums(part, out);
    write_users(part, out);
    for counts in [&part.columns, &part.filters] {
        out.length(counts.len());
        for (name, count) in counts {
            out.text(name);
            out.number(*count);
        }
    }
    out.length(part.joins.len());
    for join in &part.joins {
        [&join.column, &join.other, &join.other_column].into_iter().for_each(|name| out.text(name));
        out.number(join.queries);
    }
}

pub(super) fn write_sums(part: &UsagePart, out: &mut Writer) {
    let sums = [part.queries, part.failed, part.writes, part.rows, part.bytes, part.duration_us, part.distinct_users];
    sums.into_iter().for_each(|sum| out.number(sum));
}

pub(super) fn write_users(part: &UsagePart, out: &mut Writer) {
    out.length(part.names.len());
    part.names.iter().for_each(|name| out.text(name));
    out.length(part.users.len());
    for user in &part.users {
        out.text(&user.user);
        out.number(user.queries);
        out.number(user.failed);
        out.length(user.columns.len());
        for (name, count) in &user.columns {
            out.unsigned((*name).into());
            out.number(*count);
        }
    }
    out.flag(part.sketch.is_some());
    if let Some(sketch) = &part.sketch {
        out.text(sketch);
    }
}

impl Sums {
    /// What [`write_sums`] wrote.
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
    /// What [`write_users`] wrote.
    pub fn read(from: &mut Reader<'b>) -> Result<Self, FormError> {
        let names = from.list(Reader::text)?;
        let mut columns = Vec::new();
        let users = from.list(|from| {
            let (user, queries, failed) = (from.text()?, from.number()?, from.number()?);
            let first = columns.len();
            for _ in 0..from.length()? {
                let name = usize::try_from(from.unsigned()?).map_err(|_| FormError::Number)?;
                if name >= names.len() {
                    return Err(FormError::Name(name));
                }
                columns.push((name, from.number()?));
            }
            Ok(User { user, queries, failed, columns: first..columns.len() })
        })?;
        let sketch = if from.flag()? { Some(from.text()?) } else { None };
        Ok(Self { names, users, columns, sketch })
    }

    /// Columns of one of its users: place of the name, and count.
    pub fn columns(&self, user: &User<'_>) -> impl Iterator<Item = (usize, i64)> {
        self.columns.get(user.columns.clone()).unwrap_or_default().iter().copied()
    }
}

impl<'b> Part<'b> {
    /// What [`write`] wrote.
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
