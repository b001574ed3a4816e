//! Small sorted lists of versions. Most subjects and ids have one or two, for which a tree is mostly empty room; those
//! with thousands are searched by halves.

use super::types::{SchemaVersion, Subject};

/// The versions of a subject, soft-deleted ones included, ascending.
#[derive(Debug, Clone, Default)]
pub struct Versions(Vec<SchemaVersion>);

impl Versions {
    /// All, ascending.
    pub fn iter(&self) -> std::slice::Iter<'_, SchemaVersion> {
        self.0.iter()
    }

    /// One by its number.
    pub fn get(&self, number: i32) -> Option<&SchemaVersion> {
        self.0.get(self.place(number).ok()?)
    }

    /// The highest.
    pub fn last(&self) -> Option<&SchemaVersion> {
        self.0.last()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, version: SchemaVersion) {
        match self.place(version.version) {
            Ok(place) => drop(self.0.splice(place..=place, [version])),
            Err(place) => insert_at(&mut self.0, place, version),
        }
    }

    pub(super) fn remove(&mut self, number: i32) -> Option<SchemaVersion> {
        self.place(number).ok().map(|place| self.0.remove(place))
    }

    pub(super) fn delete_up_to(&mut self, number: i32) {
        let deleted = self.0.iter_mut().take_while(|version| version.version <= number);
        deleted.for_each(|version| version.deleted = true);
    }

    fn place(&self, number: i32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, |version| version.version)
    }
}

/// Versions of any subjects by name and number, sorted.
#[derive(Debug, Clone, Default)]
pub struct VersionNames(Vec<(Subject, i32)>);

impl VersionNames {
    /// All, sorted.
    pub fn iter(&self) -> std::slice::Iter<'_, (Subject, i32)> {
        self.0.iter()
    }

    /// Whether this one is there.
    pub fn contains(&self, name: &(Subject, i32)) -> bool {
        self.0.binary_search(name).is_ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, name: (Subject, i32)) {
        if let Err(place) = self.0.binary_search(&name) {
            insert_at(&mut self.0, place, name);
        }
    }

    pub(super) fn remove(&mut self, name: &(Subject, i32)) {
        if let Ok(place) = self.0.binary_search(name) {
            self.0.remove(place);
        }
    }
}

/// Room is made for this one alone while the list is short.
fn insert_at<T>(list: &mut Vec<T>, place: usize, item: T) {
    if list.len() < SHORT {
        list.reserve_exact(1);
    }
    list.insert(place, item);
}

const SHORT: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::types::Content;
    use super::*;
    use crate::schema::SchemaType;

    proptest! {
        #[test]
        fn they_are_a_sorted_map_and_a_sorted_set(steps in proptest::collection::vec((0..3_u8, 1..20_i32), 0..80)) {
            let content = Arc::new(Content::new(SchemaType::Avro, "x".into(), "x", Vec::new(), None, None));
            let subject = Subject::from_stored("s");
            let (mut versions, mut names) = (Versions::default(), VersionNames::default());
            let (mut by_number, mut set) = (BTreeMap::new(), BTreeSet::new());
            for (nth, (step, number)) in steps.into_iter().enumerate() {
                let (id, name) = (nth as i32, (subject.clone(), number));
                match step {
                    0 => {
                        let (subject, content) = (subject.clone(), content.clone());
                        versions.insert(SchemaVersion { subject, version: number, id, content, deleted: false, timestamp: 0 });
                        by_number.insert(number, (id, false));
                        names.insert(name.clone());
                        set.insert(name.clone());
                    }
                    1 => {
                        let gone = versions.remove(number).map(|version| (version.id, version.deleted));
                        prop_assert_eq!(gone, by_number.remove(&number));
                        names.remove(&name);
                        set.remove(&name);
                    }
                    _ => {
                        versions.delete_up_to(number);
                        by_number.range_mut(..=number).for_each(|(_, (_, deleted))| *deleted = true);
                    }
                }
                let found = versions.get(number).map(|version| (version.id, version.deleted));
                prop_assert_eq!(found, by_number.get(&number).copied());
                prop_assert_eq!(names.contains(&name), set.contains(&name));
            }
            let all: Vec<_> = versions.iter().map(|version| (version.version, (version.id, version.deleted))).collect();
            prop_assert_eq!(versions.last().map(|version| version.version), all.last().map(|(number, _)| *number));
            prop_assert_eq!((versions.len(), versions.is_empty()), (all.len(), all.is_empty()));
            prop_assert_eq!(all, by_number.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(names.is_empty(), set.is_empty());
            prop_assert_eq!(names.iter().cloned().collect::<Vec<_>>(), set.into_iter().collect::<Vec<_>>());
        }
    }
}
