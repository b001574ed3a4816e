//! Topics that nobody should have written: whatever stands there is applied or passed over, the state stays consistent
//! with itself, and what is decided on it fits.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::decide::{Command, CompatibilityCheck, Deletion, RegisterRequest, Reply, decide};
use super::super::format;
use super::super::log::MemoryLog;
use super::super::snapshot::{Deleted, Snapshot};
use super::super::types::{Config, Mode, Subject, VersionSpec};
use super::super::{RegistryHandle, RegistryOptions};

const SUBJECTS: [&str; 9] = ["a", "b", "c", ":.x:a", ":.x:", ":.x", ":.:a", "", ":.__GLOBAL:"];

type Bytes = (Vec<u8>, Option<Vec<u8>>);

fn subject() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => prop::sample::select(&SUBJECTS[..4]), 1 => prop::sample::select(&SUBJECTS[..])]
}

fn version() -> impl Strategy<Value = i64> {
    let odd = [0, -1, i64::from(i32::MIN), i64::from(i32::MAX), i64::from(i32::MAX) + 1];
    prop_oneof![12 => 1..4_i64, 1 => prop::sample::select(odd.to_vec())]
}

fn schema() -> impl Strategy<Value = String> {
    let deep = r#"{"type":"array","items":"#.repeat(3_000);
    let named = |field: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#);
    let texts = [
        "\"int\"".to_owned(),
        "\"long\"".to_owned(),
        " {\"type\": \"int\"}".to_owned(),
        named("\"string\""),
        named("\"a\""),
        named("\"R\""),
        "{\"type\":\"object\"}".to_owned(),
        "syntax = \"proto3\";\nimport \"a\";\nmessage M { M m = 1; }\n".to_owned(),
        String::new(),
        "{".to_owned(),
        deep,
    ];
    prop::sample::select(texts.to_vec())
}

fn schema_value() -> impl Strategy<Value = Value> {
    let types = prop::sample::select(vec!["AVRO", "AVRO", "JSON", "PROTOBUF", "THRIFT"]);
    let references = prop::collection::vec((subject(), version()), 0..3);
    let ids = prop_oneof![12 => 1..4_i64, 1 => prop::sample::select(vec![0, -1, i64::from(i32::MAX)])];
    let owner = prop::option::weighted(0.2, "[xy]");
    (types, schema(), references, ids, any::<bool>(), owner).prop_map(
        |(kind, schema, references, id, deleted, owner)| {
            let references: Vec<Value> = references
                .into_iter()
                .map(|(subject, version)| json!({"name": "a", "subject": subject, "version": version}))
                .collect();
            let mut value = json!({"id": id, "schemaType": kind, "schema": schema, "deleted": deleted});
            if !references.is_empty() {
                value["references"] = json!(references);
            }
            if let Some(owner) = owner {
                value["metadata"] = json!({"properties": {"owner": owner}});
            }
            value
        },
    )
}

/// A record as registries write it, but for the numbers and names in it.
fn record() -> impl Strategy<Value = (Value, Value)> {
    let plain = |kind: &'static str, value: BoxedStrategy<Value>| {
        (subject(), value).prop_map(move |(subject, mut value)| {
            if value.is_object() {
                value["subject"] = json!(subject);
            }
            (json!({"keytype": kind, "subject": subject, "magic": 0}), value)
        })
    };
    let level =
        prop::sample::select(vec!["NONE", "FULL", "ODD"]).prop_map(|level| json!({"compatibilityLevel": level}));
    let alias = subject().prop_map(|subject| json!({"alias": subject}));
    let mode = prop::sample::select(vec!["IMPORT", "READONLY", "ODD"]).prop_map(|mode| json!({"mode": mode}));
    let schema = (subject(), version(), prop::option::weighted(0.8, schema_value()), prop::bool::weighted(0.05));
    prop_oneof![
        12 => schema.prop_map(|(subject, version, value, is_strange)| {
            let key = json!({"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1});
            let Some(mut value) = value else { return (key, Value::Null) };
            value["subject"] = json!(if is_strange { "other" } else { subject });
            value["version"] = json!(version);
            (key, value)
        }),
        2 => plain("DELETE_SUBJECT", version().prop_map(|version| json!({"version": version})).boxed()),
        1 => plain("CLEAR_SUBJECT", Just(json!({})).boxed()),
        1 => plain("CONFIG", prop_oneof![level, alias, Just(Value::Null)].boxed()),
        1 => plain("MODE", prop_oneof![mode, Just(Value::Null)].boxed()),
        1 => plain("WHAT", Just(json!({})).boxed()),
        1 => Just((json!({"keytype": "CONTEXT", "tenant": "default", "context": ".x"}), json!({"context": ".x"}))),
    ]
}

/// A record, now and then with a byte changed, cut short, or with anything for a value.
fn bytes() -> impl Strategy<Value = Bytes> {
    let text = |value: &Value| value.to_string().into_bytes();
    let damage = prop::option::weighted(0.15, (any::<prop::sample::Index>(), any::<Option<u8>>(), any::<bool>()));
    (record(), damage).prop_map(move |((key, value), damage)| {
        let (mut key, mut value) = (text(&key), if value.is_null() { None } else { Some(text(&value)) });
        if let Some((at, byte, is_key)) = damage {
            let part = if is_key { &mut key } else { value.get_or_insert_default() };
            match byte {
                Some(byte) if !part.is_empty() => {
                    let at = at.index(part.len());
                    part[at] = byte;
                }
                _ => part.truncate(at.index(part.len() + 1)),
            }
        }
        (key, value)
    })
}

fn consistent(snapshot: &Snapshot) {
    let mut used = BTreeSet::new();
    for (subject, versions) in snapshot.subjects() {
        let context = subject.context();
        assert!(!versions.is_empty(), "{subject} is there without a version");
        for version in versions.iter() {
            let number = &version.version;
            assert_eq!((&version.subject, version.version), (subject, *number));
            assert!(*number >= 1 && version.id >= 0);
            assert!(version.id <= snapshot.max_id(context));
            let entry = snapshot.id(context, version.id).expect("the id of a version is known");
            assert!(entry.versions.contains(&(subject.clone(), *number)), "{subject} {number} is not in its id");
            assert_eq!(entry.content.schema_type, version.content.schema_type);
            let known = snapshot.id_of(context, &version.content.key).expect("content is found by what it is");
            assert!(snapshot.id(context, known).is_some(), "content is said to have id {known}, which is none");
            let known = snapshot.id_of_md5(context, &version.content.md5).expect("content is found by its hash");
            assert!(snapshot.id(context, known).is_some(), "a hash is said to have id {known}, which is none");
            used.insert((context.to_owned(), version.id));
            for reference in &version.content.references {
                let target = subject.sibling(&reference.subject);
                let mut referrers = snapshot.referrers(&target, reference.version);
                assert!(referrers.any(|user| (&user.subject, user.version) == (subject, *number)));
            }
            // Cycles, gaps and texts that are no schema are errors, if anything.
            let _ = snapshot.resolve(subject, &version.content.references, Deleted::Shown);
            let _ = snapshot.parsed(version);
        }
        for (version, user) in
            versions.iter().flat_map(|v| snapshot.referrers(subject, v.version).map(move |user| (&v.version, user)))
        {
            let refers =
                user.content.references.iter().any(|reference| {
                    user.subject.sibling(&reference.subject) == *subject && reference.version == *version
                });
            assert!(refers, "{} {} does not refer to {subject} {version}", user.subject, user.version);
        }
    }
    assert_eq!(snapshot.schema_count(), used.len(), "ids are those of versions");
}

/// What clients ask for next, decided and applied.
fn goes_on(snapshot: &mut Snapshot) {
    for name in ["a", "b", ":.x:a"] {
        let subject = Subject::from_stored(name);
        let request = |schema: &str, compatibility| RegisterRequest {
            schema: schema.to_owned(),
            compatibility,
            ..RegisterRequest::default()
        };
        let commands = [
            Command::Register {
                subject: subject.clone(),
                request: Box::new(request("\"int\"", CompatibilityCheck::Enforced)),
            },
            Command::Register {
                subject: subject.clone(),
                request: Box::new(request("\"bytes\"", CompatibilityCheck::Skipped)),
            },
            Command::DeleteVersion { subject: subject.clone(), version: VersionSpec::Latest, deletion: Deletion::Soft },
            Command::DeleteSubject { subject: subject.clone(), deletion: Deletion::Soft },
            Command::DeleteSubject { subject: subject.clone(), deletion: Deletion::Permanent },
        ];
        for command in commands {
            let Ok(decision) = decide(snapshot, &command) else { continue };
            for record in decision.records {
                snapshot.apply(record, 0);
            }
            consistent(snapshot);
            // An alias leads elsewhere.
            if let Reply::Registered { subject, id, version } = decision.reply {
                let found = snapshot.version(&subject, VersionSpec::Number(version), Deleted::Hidden);
                assert_eq!(found.map(|found| found.id).ok(), Some(id), "{name}: what was registered is there");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_topic_holds_the_state_is_consistent(records in prop::collection::vec(bytes(), 0..25)) {
        let mut snapshot = Snapshot::default();
        for (key, value) in records {
            if let Ok(record) = format::decode(&key, value.as_deref()) {
                // What we write of it is the same to us.
                let (key, value) = format::encode(&record);
                prop_assert_eq!(&format::decode(&key, value.as_deref()).unwrap(), &record);
                snapshot.apply(record, 0);
            }
        }
        consistent(&snapshot);
        goes_on(&mut snapshot);
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(key in prop::collection::vec(any::<u8>(), 0..60), value in any::<Option<Vec<u8>>>()) {
        let _ = format::decode(&key, value.as_deref());
    }
}

#[test]
fn what_is_passed_over_is_counted() {
    let log = MemoryLog::default();
    let schema = |name: &str, kind: &str, schema: &str| {
        let key = json!({"keytype": "SCHEMA", "subject": name, "version": 1, "magic": 1});
        let value =
            json!({"subject": name, "version": 1, "id": 1, "schemaType": kind, "schema": schema, "deleted": false});
        (key.to_string().into_bytes(), Some(value.to_string().into_bytes()))
    };
    log.put(vec![
        schema("a", "AVRO", "\"int\""),
        schema("b", "AVRO", "\"long\""),
        schema("c", "THRIFT", "struct S {}"),
        schema("d", "AVRO", "{\"type\":\"int\"}"),
        (b"{".to_vec(), None),
    ]);
    let node = RegistryHandle::start(Arc::new(log), &RegistryOptions::default()).unwrap();
    let snapshot = node.snapshot();
    let found: BTreeSet<&str> = snapshot.subjects().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(found, BTreeSet::from(["a", "d"]), "id 1 is int, however that is spelled");
    assert_eq!(node.skipped_records(), 3);
}

/// Found by the property: the id's own content was compared by its spelling alone.
#[test]
fn what_is_registered_under_an_id_of_several_contracts_is_there() {
    let mut snapshot = Snapshot::default();
    let mut put = |name: &str, metadata: Value, deleted: bool| {
        let key = json!({"keytype": "SCHEMA", "subject": name, "version": 1, "magic": 1}).to_string();
        let value = json!({"subject": name, "version": 1, "id": 3, "metadata": metadata,
            "schema": " {\"type\": \"int\"}", "deleted": deleted});
        let record = format::decode(key.as_bytes(), Some(value.to_string().as_bytes())).unwrap();
        assert!(snapshot.apply(record, 0));
    };
    put("b", Value::Null, false);
    put("a", json!({"properties": {"owner": "x"}}), true);
    consistent(&snapshot);
    goes_on(&mut snapshot);
}

#[test]
fn damaged_settings_leave_those_before_them() {
    let mut snapshot = Snapshot::default();
    let subject = Subject::from_stored("s");
    let mut take = |kind: &str, value: &str| {
        let key = format!(r#"{{"keytype":"{kind}","subject":"s","magic":0}}"#);
        let record = format::decode(key.as_bytes(), Some(value.as_bytes()));
        record.is_ok_and(|record| {
            snapshot.apply(record, 0);
            true
        })
    };
    assert!(take("CONFIG", r#"{"compatibilityLevel":"FULL"}"#));
    assert!(take("MODE", r#"{"mode":"READONLY"}"#));
    for (kind, value) in [
        ("CONFIG", r#"{"compatibilityLevel":"SOMETIMES"}"#),
        ("CONFIG", r#"{"compatibilityLevel":7}"#),
        ("CONFIG", "junk"),
        ("MODE", r#"{"mode":"SOMEHOW"}"#),
        ("MODE", "{}"),
        ("MODE", "junk"),
    ] {
        assert!(!take(kind, value), "{kind} {value}");
    }
    let full = Config { compatibility_level: Some("FULL".to_owned()), ..Config::default() };
    assert_eq!(snapshot.config(Some(&subject)), Some(&full));
    assert_eq!(snapshot.mode(Some(&subject)), Some(Mode::Readonly));
}
