//! What the fold remembers of entities between facts, so that a busy entity is neither read nor derived anew each time.
//!
//! Only a shortcut: everything in it can be had from the state, and nothing in it outlives its state's [`Epoch`].

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::model::id::EntityId;
use crate::model::state::Epoch;

/// The entities used last, with what is known of them.
#[derive(Debug)]
pub(super) struct Cache<T> {
    entries: Option<LruCache<EntityId, (Epoch, T)>>,
}

impl<T> Cache<T> {
    /// Room for `entities`; none remembers nothing.
    pub fn new(entities: usize) -> Self {
        Self { entries: NonZeroUsize::new(entities).map(LruCache::new) }
    }

    /// Takes out what is known of `entity`; who does not put it back has forgotten it.
    pub fn take(&mut self, entity: &EntityId, epoch: &Epoch) -> Option<T> {
        let (known_in, known) = self.entries.as_mut()?.pop(entity)?;
        (known_in == *epoch).then_some(known)
    }

    /// Remembers `known`, which is what the state says.
    pub fn put(&mut self, entity: &EntityId, epoch: &Epoch, known: T) {
        if let Some(entries) = &mut self.entries {
            entries.put(entity.clone(), (epoch.clone(), known));
        }
    }
}

impl<T> Clone for Cache<T> {
    /// A copy begins without memories: they are cheap to make again, and who copies wants another one.
    fn clone(&self) -> Self {
        Self::new(self.entries.as_ref().map_or(0, |entries| entries.cap().get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
