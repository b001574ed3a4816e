//! What the fold remembers of entities between facts, so that a busy entity is neither read nor derived anew each time.
//!
//! Only a shortcut: everything in it can be had from the state, and nothing in it outlives its state's [`Epoch`].

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::model::id::EntityId;
use crate::model::record::CatalogRecord;
use crate::model::state::Epoch;

/// Memory that all entities of one cache may take, by their own estimates: a few wide tables must not take it all.
const MAX_WEIGHT: usize = 32 << 20;

/// What knows roughly how much memory it takes.
pub(super) trait Weigh {
    /// Bytes, roughly.
    fn weight(&self) -> usize;
}

/// The entities used last, with what is known of them.
#[derive(Debug)]
pub(super) struct Cache<T> {
    entries: Option<LruCache<EntityId, Entry<T>>>,
    weight: usize,
}

#[derive(Debug)]
struct Entry<T> {
    epoch: Epoch,
    known: T,
    weight: usize,
}

impl<T: Weigh> Cache<T> {
    /// Room for `entities`; none remembers nothing.
    pub fn new(entities: usize) -> Self {
        Self { entries: NonZeroUsize::new(entities).map(LruCache::new), weight: 0 }
    }

    /// Takes out what is known of `entity`; who does not put it back has forgotten it.
    pub fn take(&mut self, entity: &EntityId, epoch: &Epoch) -> Option<T> {
        let entry = self.entries.as_mut()?.pop(entity)?;
        self.weight -= entry.weight;
        (entry.epoch == *epoch).then_some(entry.known)
    }

    /// Remembers `known`, which is what the state says, if there is room for it.
    pub fn put(&mut self, entity: &EntityId, epoch: &Epoch, known: T) {
        let Some(entries) = &mut self.entries else { return };
        let weight = known.weight();
        if weight > MAX_WEIGHT / 4 {
            return;
        }
        let entry = Entry { epoch: epoch.clone(), known, weight };
        self.weight += weight;
        if let Some((_, gone)) = entries.push(entity.clone(), entry) {
            self.weight -= gone.weight;
        }
        while self.weight > MAX_WEIGHT
            && let Some((_, gone)) = entries.pop_lru()
        {
            self.weight -= gone.weight;
        }
    }
}

impl<T: Weigh> Clone for Cache<T> {
    /// A copy begins without memories: they are cheap to make again, and who copies wants another one.
    fn clone(&self) -> Self {
        Self::new(self.entries.as_ref().map_or(0, |entries| entries.cap().get()))
    }
}

/// Roughly what a record takes: its lists and maps, which may be long.
pub(super) fn weigh(record: &CatalogRecord) -> usize {
    let texts = |map: &BTreeMap<String, String>| map.iter().map(|(k, v)| k.len() + v.len() + 100).sum::<usize>();
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match record {
        CatalogRecord::Dataset(record) => {
            let columns =
                record.columns.iter().map(|c| 300 + c.path.len() + c.data_type.len() + c.canonical_type.len());
            let names = record.names.iter().chain(&record.aliases).map(|name| name.len() + 50);
            let maps = [&record.properties, &record.constraints, &record.facets, &record.native];
            let views = optional(&record.view_original) + optional(&record.view_expanded);
            columns.chain(names).chain(maps.map(texts)).sum::<usize>() + views + optional(&record.description)
        }
        CatalogRecord::DatasetStats(record) => texts(&record.column_stats),
        CatalogRecord::Container(record) => texts(&record.properties) + texts(&record.native),
        CatalogRecord::Function(record) => texts(&record.native),
        CatalogRecord::Job(record) => {
            let maps = texts(&record.facets) + texts(&record.dependencies);
            maps + optional(&record.sql) + optional(&record.source_code)
        }
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for &str {
        fn weight(&self) -> usize {
            1
        }
    }

    impl Weigh for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    #[test]
    fn heavy_entities_make_room_and_the_heaviest_find_none() {
        let id = |nth: usize| EntityId::from_canonical(nth.to_string());
        let epoch = Epoch::begin();
        let mut cache = Cache::new(100);
        for nth in 0..5 {
            cache.put(&id(nth), &epoch, MAX_WEIGHT / 4);
        }
        cache.put(&id(9), &epoch, MAX_WEIGHT / 4 + 1);
        let known: Vec<bool> = (0..10).map(|nth| cache.take(&id(nth), &epoch).is_some()).collect();
        assert_eq!(known, [false, true, true, true, true, false, false, false, false, false]);
        assert_eq!(cache.weight, 0);
    }

    #[test]
    fn nothing_is_remembered_beyond_its_epoch_or_its_room() {
        let (a, b, c) = ("a", "b", "c");
        let id = |name: &str| EntityId::from_canonical(name);
        let epoch = Epoch::begin();
        let mut cache = Cache::new(2);
        for name in [a, b, c] {
            cache.put(&id(name), &epoch, name);
        }
        assert_eq!(cache.take(&id(a), &epoch), None, "the oldest made room");
        assert_eq!(cache.take(&id(b), &epoch.clone()), Some(b));
        assert_eq!(cache.take(&id(b), &epoch), None, "it was taken out");
        assert_eq!(cache.take(&id(c), &Epoch::begin()), None, "another epoch");
        let mut none = Cache::new(0);
        none.put(&id(a), &epoch, a);
        assert_eq!(none.take(&id(a), &epoch), None);
    }
}
