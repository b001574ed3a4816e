//! A map that is cheap to clone and to change: a tree over the hashes of the keys, whose parts clones share, and a change
//! copies the few parts on the way to one entry. The snapshot needs both, as each write publishes a new one while readers
//! keep the old.

use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::slice;
use std::sync::Arc;

/// Hash bits that a branch looks at, and the parts it has for them.
const BITS: u32 = 2;
const WIDTH: usize = 1 << BITS;
/// Most entries of a leaf, unless their hashes are the same.
const MAX_LEAF: usize = 16;
/// A branch whose leaves hold no more than this becomes a leaf again.
const MERGED: usize = MAX_LEAF / 2;

/// A persistent map. Iteration has no order.
#[derive(Debug, Clone)]
pub struct Shards<K, V> {
    root: Arc<Node<K, V>>,
    len: usize,
}

#[derive(Debug, Clone)]
enum Node<K, V> {
    /// Sorted by key.
    Leaf(Vec<(K, V)>),
    Branch([Arc<Node<K, V>>; WIDTH]),
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Self {
        Node::Leaf(Vec::new())
    }
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { root: Arc::default(), len: 0 }
    }
}

impl<K: Ord + Hash + Clone, V: Clone> Shards<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (mut node, mut hash) = (&*self.root, hash(key));
        loop {
            match node {
                Node::Leaf(entries) => return entries.get(place(entries, key).ok()?).map(|(_, value)| value),
                Node::Branch(parts) => node = parts.get(part(hash))?,
            }
            hash >>= BITS;
        }
    }

    /// The value of a key, to be changed in place: the first change after a clone copies it.
    pub fn get_mut<Q: Ord + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        // Nothing is copied for a key that is not there.
        self.get(key)?;
        let (mut node, mut hash) = (Arc::make_mut(&mut self.root), hash(key));
        loop {
            match node {
                Node::Leaf(entries) => {
                    let place = place(entries, key).ok()?;
                    return entries.get_mut(place).map(|(_, value)| value);
                }
                Node::Branch(parts) => node = Arc::make_mut(parts.get_mut(part(hash))?),
            }
            hash >>= BITS;
        }
    }

    /// Sets a key.
    pub fn insert(&mut self, key: K, value: V) {
        let hash = hash(&key);
        if insert(&mut self.root, hash, 0, key, value) {
            self.len += 1;
        }
    }

    /// Forgets a key.
    pub fn remove<Q: Ord + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if self.get(key).is_some() {
            remove(&mut self.root, hash(key), key);
            self.len -= 1;
        }
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        Iter { nodes: vec![slice::from_ref(&self.root).iter()], leaf: [].iter() }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }
}

/// Sets a key below a node; true where it is new.
fn insert<K: Ord + Hash + Clone, V: Clone>(
    node: &mut Arc<Node<K, V>>,
    hashed: u64,
    used: u32,
    key: K,
    value: V,
) -> bool {
    let node = Arc::make_mut(node);
    match node {
        Node::Branch(parts) => {
            let part = parts.get_mut(part(hashed)).expect("a part is a number below the width");
            insert(part, hashed >> BITS, used + BITS, key, value)
        }
        Node::Leaf(entries) => match place(entries, &key) {
            Ok(place) => {
                entries.splice(place..=place, [(key, value)]);
                false
            }
            Err(place) => {
                // Leaves are many and small: none keeps room that it may never need.
                entries.reserve_exact(1);
                entries.insert(place, (key, value));
                if entries.len() > MAX_LEAF && used < u64::BITS {
                    *node = split(std::mem::take(entries), used);
                }
                true
            }
        },
    }
}

fn split<K: Hash, V>(entries: Vec<(K, V)>, used: u32) -> Node<K, V> {
    let mut leaves: [Vec<(K, V)>; WIDTH] = std::array::from_fn(|_| Vec::new());
    for (key, value) in entries {
        let leaf = leaves.get_mut(part(hash(&key) >> used)).expect("a part is a number below the width");
        leaf.push((key, value));
    }
    Node::Branch(leaves.map(|mut leaf| {
        leaf.shrink_to_fit();
        Arc::new(Node::Leaf(leaf))
    }))
}

/// Forgets a key that is below a node.
fn remove<K: Ord + Clone + Borrow<Q>, V: Clone, Q: Ord + ?Sized>(node: &mut Arc<Node<K, V>>, hashed: u64, key: &Q) {
    let node = Arc::make_mut(node);
    match node {
        Node::Leaf(entries) => {
            if let Ok(place) = place(entries, key) {
                entries.remove(place);
            }
        }
        Node::Branch(parts) => {
            remove(parts.get_mut(part(hashed)).expect("a part is a number below the width"), hashed >> BITS, key);
            let mut few = Vec::new();
            for part in &*parts {
                match &**part {
                    Node::Leaf(entries) if few.len() + entries.len() <= MERGED => few.extend(entries.iter().cloned()),
                    _ => return,
                }
            }
            few.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            few.shrink_to_fit();
            *node = Node::Leaf(few);
        }
    }
}

fn place<K: Borrow<Q>, V, Q: Ord + ?Sized>(entries: &[(K, V)], key: &Q) -> Result<usize, usize> {
    entries.binary_search_by(|(other, _)| other.borrow().cmp(key))
}

fn part(hash: u64) -> usize {
    hash as usize % WIDTH
}

fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Where an iteration stands: what is left at each level, and in the leaf.
struct Iter<'a, K, V> {
    nodes: Vec<slice::Iter<'a, Arc<Node<K, V>>>>,
    leaf: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            match self.nodes.last_mut()?.next().map(Arc::as_ref) {
                Some(Node::Leaf(entries)) => self.leaf = entries.iter(),
                Some(Node::Branch(parts)) => self.nodes.push(parts.iter()),
                None => drop(self.nodes.pop()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

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
        *map.get_mut(&9).unwrap() = 90;
        assert_eq!((before.get(&7), before.get(&8), before.get(&9)), (Some(&7), Some(&8), Some(&9)));
        assert_eq!((map.get(&7), map.get(&8), map.get(&9)), (Some(&70), None, Some(&90)));
        assert_eq!((before.iter().count(), map.iter().count()), (1_000, 999));
        assert_eq!((before.len(), map.len()), (1_000, 999));
    }

    #[test]
    fn what_is_emptied_is_one_leaf_again() {
        let mut map = Shards::default();
        (0..1_000).for_each(|number| map.insert(number, ()));
        assert!(matches!(&*map.root, Node::Branch(_)));
        (0..1_000).for_each(|number| map.remove(&number));
        assert!(matches!(&*map.root, Node::Leaf(entries) if entries.is_empty()));
    }

    /// A key of which many have the same hash.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    struct Alike(u16);

    impl Hash for Alike {
        fn hash<H: Hasher>(&self, state: &mut H) {
            (self.0 % 3).hash(state);
        }
    }

    fn is_as_a_sorted_map<K: Ord + Hash + Copy + std::fmt::Debug>(
        steps: Vec<(u8, u16)>,
        key: impl Fn(u16) -> K,
    ) -> Result<(), TestCaseError> {
        let (mut map, mut model) = (Shards::default(), BTreeMap::new());
        let mut earlier = Vec::new();
        for (nth, (step, number)) in steps.into_iter().enumerate() {
            let key = key(number);
            match step {
                0..=4 => {
                    map.insert(key, nth);
                    model.insert(key, nth);
                }
                5..=7 => {
                    map.remove(&key);
                    model.remove(&key);
                }
                8 => match (map.get_mut(&key), model.get_mut(&key)) {
                    (Some(one), Some(other)) => (*one, *other) = (nth, nth),
                    (one, other) => prop_assert_eq!(one, other),
                },
                _ => earlier.push((map.clone(), model.clone())),
            }
            prop_assert_eq!(map.get(&key), model.get(&key));
        }
        earlier.push((map, model));
        for (map, model) in earlier {
            prop_assert_eq!(map.len(), model.len());
            let entries: BTreeMap<K, usize> = map.iter().map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!((map.iter().count(), entries), (model.len(), model));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0..10_u8, 0..200_u16), 0..600)) {
            is_as_a_sorted_map(steps, |number| number)?;
        }

        #[test]
        fn it_is_a_map_whatever_the_hashes(steps in proptest::collection::vec((0..10_u8, 0..60_u16), 0..200)) {
            is_as_a_sorted_map(steps, Alike)?;
        }
    }
}
