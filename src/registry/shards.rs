//! A map that is cheap to clone and to change: entries are spread over shared parts, and a change copies one part.
//! The snapshot needs both, as each write publishes a new one while readers keep the old.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

const PARTS: usize = 64;

/// A persistent map. Iteration is ordered within a part only.
#[derive(Debug, Clone)]
pub struct Shards<K, V> {
    parts: Arc<[Arc<BTreeMap<K, V>>; PARTS]>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { parts: Arc::new(std::array::from_fn(|_| Arc::default())) }
    }
}

impl<K: Ord + Hash + Clone, V: Clone> Shards<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.parts.get(part(key)).and_then(|part| part.get(key))
    }

    /// Sets a key.
    pub fn insert(&mut self, key: K, value: V) {
        self.part_mut(part(&key)).insert(key, value);
    }

    /// Forgets a key.
    pub fn remove<Q: Ord + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.part_mut(part(key)).remove(key);
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    fn part_mut(&mut self, part: usize) -> &mut BTreeMap<K, V> {
        let parts = Arc::make_mut(&mut self.parts);
        Arc::make_mut(parts.get_mut(part).expect("the hash is taken modulo the number of parts"))
    }
}

fn part<Q: Hash + ?Sized>(key: &Q) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % PARTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut map = Shards::default();
        for number in 0..1_000 {
            map.insert(number, number);
        }
        let before = map.clone();
        map.insert(7, 70);
        map.remove(&8);
        assert_eq!((before.get(&7), before.get(&8)), (Some(&7), Some(&8)));
        assert_eq!((map.get(&7), map.get(&8)), (Some(&70), None));
        assert_eq!((before.iter().count(), map.iter().count()), (1_000, 999));
        assert_eq!((before.len(), map.len()), (1_000, 999));
    }
}
