//! Counts by name, bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longer names are not counted by name: no database knows such ones, and the state must stay small.
pub(super) const MAX_NAME: usize = 256;

/// How often each name was counted. Of more names than fit, those whose hashes are the smallest are kept, each with its
/// whole count: which these are depends on no order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    names: BTreeMap<String, i64>,
    /// Names with this hash or a larger one have not fitted.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    beyond: Option<u64>,
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
            *count += by;
            if *count <= 0 {
                self.names.remove(name);
            }
            return;
        }
        if by <= 0 || self.beyond.is_some_and(|beyond| hash(name) >= beyond) {
            return;
        }
        self.names.insert(name.to_owned(), by);
        while self.names.len() > limit {
            let Some((largest, gone)) = self.names.keys().map(|name| (hash(name), name)).max() else { return };
            let gone = gone.clone();
            self.names.remove(&gone);
            self.beyond = Some(largest);
        }
    }

    /// All names.
    pub fn names(&self) -> &BTreeMap<String, i64> {
        &self.names
    }
}

/// The `limit` largest counts, equal ones by name.
pub(super) fn largest(counts: &BTreeMap<String, i64>, limit: usize) -> BTreeMap<String, i64> {
    if counts.len() <= limit {
        return counts.clone();
    }
    let mut all: Vec<(&String, i64)> = counts.iter().map(|(name, count)| (name, *count)).collect();
    all.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    all.into_iter().take(limit).map(|(name, count)| (name.clone(), count)).collect()
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
        let forwards = counted(&mut names.iter().chain(&names));
        let backwards = counted(&mut names.iter().rev().chain(names.iter().rev()));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.names().len(), 10);
        assert!(forwards.names().values().all(|count| *count == 2));
    }

    #[test]
    fn what_is_taken_out_leaves_no_trace() {
        let mut counts = Counts::default();
        counts.add("a", 1, 10);
        let before = counts.clone();
        counts.add("b", 1, 10);
        counts.add("a", 1, 10);
        counts.add("b", -1, 10);
        counts.add("a", -1, 10);
        counts.add("never", -1, 10);
        counts.add(&"n".repeat(MAX_NAME + 1), 1, 10);
        assert_eq!(counts, before);
        let many = [("a", 2), ("b", 3), ("c", 2)].map(|(name, count)| (name.to_owned(), count)).into();
        assert_eq!(largest(&many, 2).into_iter().collect::<Vec<_>>(), [("a".to_owned(), 2), ("b".to_owned(), 3)]);
    }
}
