//! What a new writer puts right: keys that an aborted transaction has left with another record than the committed one.
//!
//! Who reads the topic without isolation, as Confluent's registry does, takes an aborted record for the newest of its
//! key. So the committed state of the key is written once more, or a tombstone where there is none. Pure.

use super::format::{self, Record, SchemaValue};
use super::log::KeyValue;
use super::snapshot::Snapshot;
use super::types::SchemaVersion;

/// The records that take the place of aborted ones; the snapshot is the committed state.
pub(super) fn records(snapshot: &Snapshot, aborted: Vec<KeyValue>) -> Vec<KeyValue> {
    let mut repaired = Vec::new();
    for (key, value) in aborted {
        // Only our own records are ever aborted, and those can be read.
        let Ok(record) = format::decode(&key, value.as_deref()) else { continue };
        match record {
            Record::Schema(subject, version, _) => {
                let committed = snapshot.versions(&subject).and_then(|versions| versions.get(version));
                repaired.push(committed.map_or((key, None), again));
            }
            Record::Config(subject, _) => {
                let committed = snapshot.config(subject.as_ref()).cloned();
                repaired.push(format::encode(&Record::Config(subject, committed)));
            }
            Record::Mode(subject, _) => {
                let committed = snapshot.mode(subject.as_ref());
                repaired.push(format::encode(&Record::Mode(subject, committed)));
            }
            Record::Context(context, _) => {
                let exists = snapshot.is_named_context(&context);
                repaired.push(format::encode(&Record::Context(context, exists)));
            }
            // An earlier, committed watermark had the same key: what it deleted is said by each version from now on.
            Record::DeleteSubject(subject, _) => {
                repaired.push((key, None));
                repaired.extend(snapshot.in_scope(Some(&subject)).map(again));
            }
            Record::ClearSubject(scope) => {
                repaired.push((key, None));
                let deleted = snapshot.in_scope(scope.as_ref()).filter(|version| version.deleted);
                repaired.extend(deleted.map(again));
            }
            Record::Noop => {}
        }
    }
    repaired
}

fn again(version: &SchemaVersion) -> KeyValue {
    let value = SchemaValue::new(&version.subject, version.version, version.id, &version.content, version.deleted);
    format::encode(&Record::Schema(version.subject.clone(), version.version, Some(value)))
}

#[cfg(test)]
mod tests {
    use super::super::types::{Config, Mode, Subject};
    use super::*;

    fn subject(name: &str) -> Subject {
        Subject::parse(name).unwrap()
    }

    fn schema(name: &str, version: i32, id: i32, deleted: bool) -> Record {
        let value = format!(
            r#"{{"subject":"{name}","version":{version},"id":{id},"schema":"{{\"type\":\"fixed\",\"name\":\"F\",\"size\":{id}}}","deleted":{deleted}}}"#
        );
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{name}","version":{version},"magic":1}}"#);
        format::decode(key.as_bytes(), Some(value.as_bytes())).unwrap()
    }

    fn state(records: Vec<Record>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for record in records {
            snapshot.apply(record, 0);
        }
        snapshot
    }

    /// What a reader without isolation believes in the end.
    fn read_by_anybody(committed: &[Record], aborted: &[Record]) -> Snapshot {
        let before = state(committed.to_vec());
        let repaired = records(&before, aborted.iter().map(format::encode).collect());
        let repaired = repaired.into_iter().map(|(key, value)| format::decode(&key, value.as_deref()).unwrap());
        state(committed.iter().chain(aborted).cloned().chain(repaired).collect())
    }

    fn seen(snapshot: &Snapshot) -> Vec<(String, i32, i32, bool)> {
        let mut all: Vec<_> = snapshot
            .in_scope(None)
            .map(|version| (version.subject.to_string(), version.version, version.id, version.deleted))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_version_that_never_was_goes_and_one_that_was_comes_back() {
        let committed = [schema("a", 1, 1, false), schema("b", 1, 2, false)];
        let aborted = [schema("c", 1, 3, false), schema("a", 1, 1, true), Record::Schema(subject("b"), 1, None)];
        assert_eq!(
            seen(&read_by_anybody(&committed, &aborted)),
            [("a".to_owned(), 1, 1, false), ("b".to_owned(), 1, 2, false)]
        );
    }

    #[test]
    fn a_deletion_of_a_subject_that_never_was_is_taken_back_but_not_an_earlier_one() {
        let committed = [
            schema("a", 1, 1, false),
            schema("a", 2, 2, false),
            Record::DeleteSubject(subject("a"), 2),
            schema("a", 3, 3, false),
        ];
        let restored = read_by_anybody(&committed, &[Record::DeleteSubject(subject("a"), 3)]);
        let expected = [("a".to_owned(), 1, 1, true), ("a".to_owned(), 2, 2, true), ("a".to_owned(), 3, 3, false)];
        assert_eq!(seen(&restored), expected);
        // Compaction leaves one record of a key: without the earlier watermark the versions say it themselves.
        let repaired =
            records(&state(committed.to_vec()), vec![format::encode(&Record::DeleteSubject(subject("a"), 3))]);
        assert_eq!(repaired.iter().filter(|(_, value)| value.is_none()).count(), 1);
        let compacted = repaired.iter().map(|(key, value)| format::decode(key, value.as_deref()).unwrap());
        assert_eq!(seen(&state(compacted.collect())), expected);
        let cleared = read_by_anybody(&committed, &[Record::ClearSubject(Some(subject("a")))]);
        assert_eq!(seen(&cleared), expected);
    }

    #[test]
    fn settings_are_as_they_were() {
        let full = Config { compatibility_level: Some("FULL".to_owned()), ..Config::default() };
        let none = Config { compatibility_level: Some("NONE".to_owned()), ..Config::default() };
        let committed = [
            Record::Config(Some(subject("a")), Some(full.clone())),
            Record::Mode(None, Some(Mode::Readonly)),
            Record::Context(".kept".to_owned(), true),
        ];
        let aborted = [
            Record::Config(Some(subject("a")), Some(none.clone())),
            Record::Config(Some(subject("b")), Some(none)),
            Record::Mode(None, None),
            Record::Mode(Some(subject("b")), Some(Mode::Import)),
            Record::Context(".kept".to_owned(), false),
            Record::Context(".new".to_owned(), true),
            Record::Noop,
        ];
        let restored = read_by_anybody(&committed, &aborted);
        assert_eq!(restored.config(Some(&subject("a"))), Some(&full));
        assert_eq!(restored.config(Some(&subject("b"))), None);
        assert_eq!((restored.mode(None), restored.mode(Some(&subject("b")))), (Some(Mode::Readonly), None));
        assert_eq!((restored.is_named_context(".kept"), restored.is_named_context(".new")), (true, false));
    }
}
