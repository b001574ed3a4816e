//! Keys that other writers spell otherwise than we do. Compaction compares bytes: a tombstone under our spelling leaves
//! their record in place, and once it is compacted away itself, what was deleted would be back. So a tombstone is written
//! under every spelling that the topic holds. Pure.

use std::collections::{BTreeSet, HashMap};

use super::format::{self, Record};
use super::log::KeyValue;

/// Our spelling of a key → the others that have a record.
#[derive(Debug, Default)]
pub(super) struct Spellings(HashMap<Vec<u8>, BTreeSet<Vec<u8>>>);

impl Spellings {
    /// Takes note of a record of the topic and of its key as it stands there.
    pub(super) fn see(&mut self, key: &[u8], record: &Record, is_tombstone: bool) {
        let ours = format::key(record);
        // What has no meaning here is nobody's other spelling.
        if ours == key || *record == Record::Noop {
            return;
        }
        let others = self.0.entry(ours).or_default();
        match is_tombstone {
            true => others.remove(key),
            false => others.insert(key.to_owned()),
        };
    }

    /// The record, and a tombstone under the other spellings of its key where it is one.
    pub(super) fn everywhere(&self, record: KeyValue) -> Vec<KeyValue> {
        let others = self.0.get(&record.0).filter(|_| record.1.is_none());
        let others: Vec<KeyValue> = others.into_iter().flatten().map(|key| (key.clone(), None)).collect();
        std::iter::once(record).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tombstones_reach_every_spelling_that_has_a_record() {
        let ours = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#.to_vec();
        let theirs = br#"{"subject":"s","version":1,"magic":1,"keytype":"SCHEMA"}"#.to_vec();
        let value = br#"{"subject":"s","version":1,"id":1,"schema":"\"int\"","deleted":false}"#.as_slice();
        let mut spellings = Spellings::default();
        let mut see = |key: &[u8], value: Option<&[u8]>| {
            spellings.see(key, &format::decode(key, value).unwrap(), value.is_none());
            spellings.everywhere((ours.clone(), None))
        };
        assert_eq!(see(&ours, Some(value)), [(ours.clone(), None)]);
        assert_eq!(see(&theirs, Some(value)), [(ours.clone(), None), (theirs.clone(), None)]);
        assert_eq!(see(&theirs, None), [(ours.clone(), None)]);
        see(&theirs, Some(value));
        let kept = (ours.clone(), Some(value.to_vec()));
        assert_eq!(spellings.everywhere(kept.clone()), [kept], "only a tombstone can uncover what it does not reach");
    }

    #[test]
    fn a_subject_of_null_is_none() {
        let key = br#"{"keytype":"CONFIG","subject":null,"magic":0}"#;
        let value = br#"{"compatibilityLevel":"FULL"}"#.as_slice();
        let mut spellings = Spellings::default();
        spellings.see(key, &format::decode(key, Some(value)).unwrap(), false);
        let ours = format::encode(&Record::Config(None, None));
        assert_eq!(spellings.everywhere(ours.clone()), [ours, (key.to_vec(), None)]);
    }
}
