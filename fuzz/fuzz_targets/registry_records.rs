//! Records of the schemas' topic, one after the other, as a registry reads them at its start.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::registry::format::{decode, encode};
use tributary::registry::query;
use tributary::registry::snapshot::{Deleted, Snapshot};
use tributary::registry::types::{SchemaVersion, Subject};
use tributary::registry::versions::Versions;
use tributary_fuzz::schemas::SEPARATOR;

/// Separates a key from its value: no text in UTF-8 has this byte either.
const COLON: u8 = 0xfe;

fuzz_target!(|input: &[u8]| {
    let (mut snapshot, mut again) = (Snapshot::default(), Snapshot::default());
    for (at, bytes) in (0..).zip(input.split(|byte| *byte == SEPARATOR)) {
        let mut parts = bytes.splitn(2, |byte| *byte == COLON);
        let (key, value) = (parts.next().unwrap_or_default(), parts.next());
        match decode(key, value) {
            Ok(record) => {
                let (key, value) = encode(&record);
                let read = decode(&key, value.as_deref()).expect("what is written can be read");
                assert_eq!(record, read);
                snapshot.apply(record.clone(), at);
                again.apply(record, at);
                again.apply(read, at);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let seen = ask(&snapshot);
    assert_eq!(seen, ask(&again), "a record that comes twice says no more");
});

/// Asks for everything, and answers with what can be compared.
fn ask(snapshot: &Snapshot) -> Vec<(String, i32, i32, bool, bool)> {
    let mut seen = Vec::new();
    for name in query::subjects(snapshot, ":*:", Deleted::Shown) {
        let subject = Subject::from_stored(&name);
        snapshot.aliased(subject.clone());
        snapshot.effective_mode(Some(&subject));
        snapshot.effective_config(Some(&subject));
        for version in snapshot.versions(&subject).into_iter().flat_map(Versions::iter) {
            assert_eq!(version.subject, subject);
            seen.push(row(snapshot, version));
        }
    }
    snapshot.contexts();
    snapshot.aliases();
    seen
}

fn row(snapshot: &Snapshot, version: &SchemaVersion) -> (String, i32, i32, bool, bool) {
    let id = snapshot.id(version.subject.context(), version.id).expect("an id in use is known");
    assert!(id.versions.contains(&(version.subject.clone(), version.version)), "an id knows who uses it");
    snapshot.referrers(&version.subject, version.version).for_each(drop);
    let readable = snapshot.parsed(version).is_ok();
    (version.subject.to_string(), version.version, version.id, version.deleted, readable)
}
