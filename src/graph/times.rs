//! When column edges were seen: as their records say, else with the table edge that the same job reports.

use std::collections::HashMap;

use super::EdgeKey;
use super::names::NameId;

/// A table edge by what it says, as reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) job: NameId,
    pub(super) source: NameId,
    pub(super) target: NameId,
}

#[derive(Debug, Default)]
struct Seen {
    table: Option<i64>,
    /// Column edges that are as old as the table edge.
    columns: Vec<EdgeKey>,
}

#[derive(Debug, Default)]
pub(super) struct Times {
    pairs: HashMap<Pair, Seen>,
    of_columns: HashMap<EdgeKey, Pair>,
}

impl Times {
    /// Notes when a table edge was seen, or that it is gone; answers the column edges whose time that is, if it is news.
    pub(super) fn table_seen(&mut self, pair: Pair, at: Option<i64>) -> Vec<EdgeKey> {
        let seen = self.pairs.entry(pair).or_default();
        let is_news = std::mem::replace(&mut seen.table, at) != at;
        let columns = if is_news { seen.columns.clone() } else { Vec::new() };
        self.clear(pair);
        columns
    }

    /// The time of a column edge that its record gives the time `own`; `i64::MAX` if it is not known.
    pub(super) fn column_seen(&mut self, key: EdgeKey, pair: Pair, own: Option<i64>) -> i64 {
        self.forget(key);
        if let Some(at) = own {
            return at;
        }
        self.of_columns.insert(key, pair);
        let seen = self.pairs.entry(pair).or_default();
        seen.columns.push(key);
        seen.table.unwrap_or(i64::MAX)
    }

    pub(super) fn forget(&mut self, key: EdgeKey) {
        let Some(pair) = self.of_columns.remove(&key) else { return };
        if let Some(seen) = self.pairs.get_mut(&pair)
            && let Some(at) = seen.columns.iter().position(|column| *column == key)
        {
            seen.columns.swap_remove(at);
        }
        self.clear(pair);
    }

    /// Keeps nothing of pairs of which nothing is known.
    fn clear(&mut self, pair: Pair) {
        if self.pairs.get(&pair).is_some_and(|seen| seen.table.is_none() && seen.columns.is_empty()) {
            self.pairs.remove(&pair);
        }
    }
}
