//! Other names of datasets and when they hold.

use foldhash::HashMap;
use smallvec::SmallVec;

use super::EdgeKey;
use super::names::NameId;
use crate::model::record::AliasRecord;

/// Most hops from a name to its canonical id; renames and locations chain no further in the fold either.
const MAX_HOPS: usize = 8;
/// Times of edges are floored to whole hours, those of aliases are not.
const HOUR_MICROS: i64 = 3_600_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    from: i64,
    to: i64,
    canonical: NameId,
    /// A renamed name meant something else before; a location meant the same data before it was registered.
    rename: bool,
    key: EdgeKey,
}

#[derive(Debug, Default)]
pub(super) struct Aliases {
    by_key: HashMap<EdgeKey, NameId>,
    by_name: HashMap<NameId, Vec<Interval>>,
    into: HashMap<NameId, Vec<NameId>>,
}

impl Aliases {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Adds or replaces; answers the name that the key stood for before.
    pub(super) fn put(
        &mut self,
        key: EdgeKey,
        alias: NameId,
        canonical: NameId,
        record: &AliasRecord,
    ) -> Option<NameId> {
        let before = self.remove(key);
        let interval = Interval {
            from: record.valid_from.unwrap_or(i64::MIN),
            to: record.valid_to.unwrap_or(i64::MAX),
            canonical,
            rename: record.kind == "rename",
            key,
        };
        let intervals = self.by_name.entry(alias).or_default();
        let place = intervals.partition_point(|other| *other < interval);
        intervals.insert(place, interval);
        self.by_key.insert(key, alias);
        self.into.entry(canonical).or_default().push(alias);
        before
    }

    pub(super) fn remove(&mut self, key: EdgeKey) -> Option<NameId> {
        let alias = self.by_key.remove(&key)?;
        let intervals = self.by_name.get_mut(&alias)?;
        if let Some(place) = intervals.iter().position(|interval| interval.key == key) {
            let gone = intervals.remove(place);
            if let Some(names) = self.into.get_mut(&gone.canonical)
                && let Some(place) = names.iter().position(|name| *name == alias)
            {
                names.swap_remove(place);
            }
        }
        Some(alias)
    }

    /// The canonical name at a time. A cycle ends at the name where it would close.
    pub(super) fn resolve(&self, name: NameId, at: i64) -> NameId {
        let mut seen = SmallVec::<[NameId; MAX_HOPS + 1]>::new();
        seen.push(name);
        let mut current = name;
        while seen.len() <= MAX_HOPS {
            match self.step(current, at) {
                Some(next) if !seen.contains(&next) => {
                    seen.push(next);
                    current = next;
                }
                _ => break,
            }
        }
        current
    }

    fn step(&self, name: NameId, at: i64) -> Option<NameId> {
        let intervals = self.by_name.get(&name)?;
        let hour_end = at.saturating_add(HOUR_MICROS);
        intervals
            .iter()
            .rev()
            .find(|interval| interval.from < hour_end && (at < interval.to || interval.to == i64::MAX))
            .or_else(|| intervals.iter().find(|interval| !interval.rename && interval.from >= hour_end))
            .map(|interval| interval.canonical)
    }

    /// `name` and every name that may resolve through it.
    pub(super) fn names_through(&self, name: NameId) -> Vec<NameId> {
        let mut found = vec![name];
        let mut next = 0;
        while let Some(current) = found.get(next).copied() {
            next += 1;
            for alias in self.into.get(&current).into_iter().flatten() {
                if !found.contains(alias) {
                    found.push(*alias);
                }
            }
        }
        found
    }
}
