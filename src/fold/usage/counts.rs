//! Counts by name, bounded.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use sha2::{Digest, Sha256};

use super::form::{FormError, Reader, Writer};

/// Longer names are not counted by name: no database knows such ones, and the state must stay small.
pub(super) const MAX_NAME: usize = 256;

/// How often each name was counted. Of more names than fit, those whose hashes are the smallest are kept, each with its
/// whole count: which these are depends on no order.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    names: BTreeMap<String, Count>,
    /// Names with this hash or a larger one have not fitted.
    beyond: Option<u64>,
    /// Names that were taken out since the changes were asked for last.
    gone: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    queries: i64,
    /// Another one than when the changes were asked for last.
    changed: bool,
}

impl Counts {
    /// Counts a name once more, or once less with `by` -1; keeps at most `limit` names.
    pub fn add(&mut self, name: &str, by: i64, limit: usize) {
        if name.len() > MAX_NAME {
            return;
        }
        self.add_long(name, by, limit);
    }

    /// As [`Counts::add`] for names that are made of several and bounded by whoever made them.
    pub fn add_long(&mut self, name: &str, by: i64, limit: usize) {
        if let Some(count) = self.names.get_mut(name) {
            *count = Count { queries: count.queries.saturating_add(by), changed: true };
            if count.queries <= 0 {
                self.names.remove(name);
                self.gone.push(name.to_owned());
            }
            return;
        }
        if by <= 0 || self.beyond.is_some_and(|beyond| hash(name) >= beyond) {
            return;
        }
        self.names.insert(name.to_owned(), Count { queries: by, changed: true });
        while self.names.len() > limit {
            let Some((largest, gone)) = self.names.keys().map(|name| (hash(name), name)).max() else { return };
            let gone = gone.clone();
            self.names.remove(&gone);
            self.gone.push(gone);
            self.beyond = Some(largest);
        }
    }

    /// What has changed since this was asked last, by name; 0 if it is not counted any more.
    pub fn changes(&mut self) -> BTreeMap<String, i64> {
        let mut changes: BTreeMap<String, i64> = self.gone.drain(..).map(|name| (name, 0)).collect();
        for (name, count) in self.names.iter_mut().filter(|(_, count)| count.changed) {
            count.changed = false;
            changes.insert(name.clone(), count.queries);
        }
        changes
    }

    /// As part of a record of the state.
    pub fn write(&self, out: &mut Writer) {
        write_beyond(self.beyond, out);
        out.length(self.names.len());
        for (name, count) in &self.names {
            out.text(name);
            out.number(count.queries);
        }
    }

    /// What [`Counts::write`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let beyond = read_beyond(from)?;
        let names = from.list(|from| {
            let name = from.text()?.to_owned();
            Ok((name, Count { queries: from.number()?, changed: false }))
        })?;
        Ok(Self { names: names.into_iter().collect(), beyond, gone: Vec::new() })
    }
}

fn write_beyond(beyond: Option<u64>, out: &mut Writer) {
    out.flag(beyond.is_some());
    if let Some(beyond) = beyond {
        out.unsigned(beyond);
    }
}

fn read_beyond(from: &mut Reader<'_>) -> Result<Option<u64>, FormError> {
    if from.flag()? { from.unsigned().map(Some) } else { Ok(None) }
}

/// Names that many counts share, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Arc<str>, u32, FixedState>,
    texts: Vec<Arc<str>>,
}

impl Names {
    /// The name's number.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).expect("so many names do not fit into what is remembered");
        let name: Arc<str> = name.into();
        self.texts.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The name of a number that it gave.
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |name| name)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }
}

/// As [`Counts`], of names by number: there are very many.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbered {
    /// By number.
    counts: Vec<(u32, i64)>,
    beyond: Option<u64>,
}

impl Numbered {
    /// As [`Counts::add`].
    pub fn add(&mut self, number: u32, by: i64, limit: usize, names: &Names) {
        let at = match self.counts.binary_search_by_key(&number, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, count)) = self.counts.get_mut(at) {
                    *count = count.saturating_add(by);
                    if *count <= 0 {
                        self.counts.remove(at);
                    }
                }
                return;
            }
            Err(at) => at,
        };
        if by <= 0 || self.beyond.is_some_and(|beyond| hash(names.text(number)) >= beyond) {
            return;
        }
        self.counts.insert(at, (number, by));
        while self.counts.len() > limit {
            let places = self.counts.iter().enumerate();
            let largest = places.map(|(at, (number, _))| (hash(names.text(*number)), names.text(*number), at)).max();
            let Some((largest, _, at)) = largest else { return };
            self.counts.remove(at);
            self.beyond = Some(largest);
        }
    }

    /// The `limit` largest counts, equal ones by name; in no order.
    pub fn largest(&self, limit: usize, names: &Names) -> Vec<(u32, i64)> {
        let mut all = self.counts.clone();
        keep_largest(&mut all, limit, |a, b| names.text(*a).cmp(names.text(*b)));
        all
    }

    /// As part of a record of the state.
    pub fn write(&self, names: &Names, out: &mut Writer) {
        write_beyond(self.beyond, out);
        out.length(self.counts.len());
        for (number, count) in &self.counts {
            out.text(names.text(*number));
            out.number(*count);
        }
    }

    /// What [`Numbered::write`] wrote.
    pub fn read(from: &mut Reader<'_>, names: &mut Names) -> Result<Self, FormError> {
        let beyond = read_beyond(from)?;
        let mut counts = from.list(|from| Ok((names.number(from.text()?), from.number()?)))?;
        counts.sort_unstable();
        counts.dedup_by_key(|(number, _)| *number);
        Ok(Self { counts, beyond })
    }
}

/// The `limit` largest counts, equal ones by name.
pub(super) fn largest<N: AsRef<str> + Ord>(counts: &BTreeMap<N, i64>, limit: usize) -> BTreeMap<String, i64> {
    let mut all: Vec<(&N, i64)> = counts.iter().map(|(name, count)| (name, *count)).collect();
    keep_largest(&mut all, limit, Ord::cmp);
    all.into_iter().map(|(name, count)| (name.as_ref().to_owned(), count)).collect()
}

/// Keeps the `limit` largest counts, of equal ones those whose names come first; in no order.
pub(super) fn keep_largest<N>(all: &mut Vec<(N, i64)>, limit: usize, by_name: impl Fn(&N, &N) -> Ordering) {
    if all.len() <= limit {
        return;
    }
    if let Some(last) = limit.checked_sub(1) {
        all.select_nth_unstable_by(last, |(a, counted_a), (b, counted_b)| {
            counted_b.cmp(counted_a).then_with(|| by_name(a, b))
        });
    }
    all.truncate(limit);
}

/// The same on every machine and in every version: the state keeps what was decided by it.
pub(super) fn hash(name: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(name).into();
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_too_many_names_depends_on_no_order() {
        let names: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
        let counted = |order: &mut dyn Iterator<Item = &String>| {
            let mut counts = Counts::default();
            order.for_each(|name| counts.add(name, 1, 10));
            counts
        };
        let mut forwards = counted(&mut names.iter().chain(&names));
        let backwards = counted(&mut names.iter().rev().chain(names.iter().rev()));
        assert_eq!(written(&forwards), written(&backwards));
        let kept: Vec<i64> = forwards.changes().into_values().filter(|count| *count > 0).collect();
        assert_eq!(kept, [2; 10]);
    }

    fn written(counts: &Counts) -> Vec<u8> {
        let mut out = Writer::new(0);
        counts.write(&mut out);
        out.finish()
    }

    #[test]
    fn what_is_taken_out_leaves_no_trace() {
        let mut counts = Counts::default();
        counts.add("a", 1, 10);
        let before = written(&counts);
        assert_eq!(counts.changes(), [("a".to_owned(), 1)].into());
        counts.add("b", 1, 10);
        counts.add("a", 1, 10);
        counts.add("b", -1, 10);
        counts.add("a", -1, 10);
        counts.add("never", -1, 10);
        counts.add(&"n".repeat(MAX_NAME + 1), 1, 10);
        assert_eq!(written(&counts), before);
        assert_eq!(counts.changes(), [("a".to_owned(), 1), ("b".to_owned(), 0)].into(), "told, though it is as before");
        assert_eq!(counts.changes(), BTreeMap::new());
        let many = [("a", 2), ("b", 3), ("c", 2)].map(|(name, count)| (name.to_owned(), count)).into();
        assert_eq!(largest(&many, 2).into_iter().collect::<Vec<_>>(), [("a".to_owned(), 2), ("b".to_owned(), 3)]);
    }
}
