//! Topics that Karapace wrote, and that it went on with after us: `tests/fixtures/registry/karapace`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::decide::{Command, Deletion, RegisterRequest, Reply};
use super::super::log::{KeyValue, MemoryLog};
use super::super::types::Subject;
use super::super::{RegistryHandle, RegistryOptions};

const TOPIC: &str = include_str!("../../../tests/fixtures/registry/karapace/topic.jsonl");
const OLD_KEYS: &str = include_str!("../../../tests/fixtures/registry/karapace/topic-old-keys.jsonl");

fn records(text: &str) -> Vec<KeyValue> {
    let record = |line: &str| {
        let fields: BTreeMap<String, Option<String>> = serde_json::from_str(line).unwrap();
        let bytes = |name: &str| fields[name].clone().map(String::into_bytes);
        (bytes("key").unwrap(), bytes("value"))
    };
    text.lines().map(record).collect()
}

fn log(records: Vec<KeyValue>) -> MemoryLog {
    let log = MemoryLog::default();
    log.put(records);
    log
}

fn start(log: &MemoryLog) -> RegistryHandle {
    let node = RegistryHandle::start(Arc::new(log.clone()), &RegistryOptions::default()).unwrap();
    assert_eq!(node.skipped_records(), 0);
    node
}

/// What is left of a topic once it is compacted and tombstones have had their time.
fn compacted(log: &MemoryLog) -> Vec<KeyValue> {
    let all: Vec<KeyValue> = log.records().into_iter().map(|record| (record.key.unwrap(), record.value)).collect();
    let newest: BTreeMap<&[u8], usize> = all.iter().enumerate().map(|(at, (key, _))| (key.as_slice(), at)).collect();
    let stays = |at: usize, (key, value): &KeyValue| newest[key.as_slice()] == at && value.is_some();
    all.iter().enumerate().filter(|(at, record)| stays(*at, record)).map(|(_, record)| record.clone()).collect()
}

fn subject(name: &str) -> Subject {
    Subject::parse(name).unwrap()
}

fn register(node: &RegistryHandle, name: &str, schema: &str) -> (i32, i32) {
    let request = RegisterRequest { schema: schema.to_owned(), ..RegisterRequest::default() };
    let command = Command::Register { subject: subject(name), request: Box::new(request) };
    match node.write_blocking(command).unwrap() {
        Reply::Registered { version, id, .. } => (version, id),
        other => panic!("{other:?}"),
    }
}

/// Subject → versions as `version:id`, soft-deleted ones with a minus.
fn versions(node: &RegistryHandle) -> BTreeMap<String, String> {
    let snapshot = node.snapshot();
    let line = |(subject, versions): (&Subject, &super::super::versions::Versions)| {
        let deleted = |deleted| if deleted { "-" } else { "" };
        let all = versions.iter().map(|v| format!("{}{}:{}", deleted(v.deleted), v.version, v.id));
        (subject.to_string(), all.collect::<Vec<_>>().join(" "))
    };
    snapshot.subjects().map(line).collect()
}

fn expected(lines: &[(&str, &str)]) -> BTreeMap<String, String> {
    lines.iter().map(|(subject, versions)| ((*subject).to_owned(), (*versions).to_owned())).collect()
}

#[test]
fn a_topic_of_karapace_is_read_and_continued() {
    let log = log(records(TOPIC));
    let node = start(&log);
    let all = [
        ("a/b c", "1:19"),
        ("address", "-1:4"),
        ("again-value", "-1:17 3:17 4:18"),
        ("basket-value", "1:7"),
        ("copy-kara", "1:1 2:2"),
        ("copy-ours", "1:1 2:2"),
        ("events-value", "-1:10 3:12 4:23 5:26"),
        ("item", "1:6"),
        ("kara-basket", "1:7"),
        ("kara-person", "1:8"),
        ("orders-copy", "1:1"),
        ("orders-value", "1:1 2:2 3:3 4:22 5:25"),
        ("ours-basket", "1:7"),
        ("ours-person", "1:24"),
        ("person-value", "1:8 2:9"),
        ("primitive", "1:20"),
        ("primitive2", "1:21"),
        ("soft-value", "-2:14 3:13"),
    ];
    assert_eq!(versions(&node), expected(&all));
    let level = |name: Option<&str>| {
        node.snapshot().config(name.map(subject).as_ref()).and_then(|config| config.compatibility_level.clone())
    };
    assert_eq!(level(None).as_deref(), Some("BACKWARD"));
    let levels = ["person-value", "orders-value", "ours-person", "kara-person"].map(|name| level(Some(name)));
    assert_eq!(levels.map(Option::unwrap), ["NONE", "BACKWARD_TRANSITIVE", "FULL", "FULL"]);
    assert_eq!((level(Some("orders-copy")), level(Some("gone-config"))), (None, None), "deleted, by an empty value");
    let users = node.snapshot().referrers(&subject("item"), 1).map(|version| version.id).collect::<Vec<_>>();
    assert_eq!(users, [7, 7, 7]);
    for (_, versions) in node.snapshot().subjects() {
        for version in versions.iter() {
            node.snapshot().parsed(version).unwrap();
        }
    }

    // The same schema, spelled as clients do; a new one in an old subject; a new subject.
    let order = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"}]}"#;
    assert_eq!(register(&node, "orders-value", order), (1, 1));
    assert_eq!(register(&node, "primitive", "\"long\""), (2, 27));
    assert_eq!(register(&node, "other", order), (1, 1));
    // Empty values are no tombstones to Kafka: they stay, and must not bring anything back.
    let all = versions(&node);
    drop(node);
    assert_eq!(versions(&start(&super::karapace::log(compacted(&log)))), all);
}

#[test]
fn what_is_deleted_stays_so_however_keys_are_spelled() {
    let log = log(records(OLD_KEYS));
    let node = start(&log);
    let found = [("kept-value", "1:2"), ("old-value", "-1:2 2:3"), ("seed", "1:1"), ("soft-value", "-1:4")];
    assert_eq!(versions(&node), expected(&found));
    assert_eq!(node.snapshot().config(None).unwrap().compatibility_level.as_deref(), Some("FULL"));

    let delete = |command| drop(node.write_blocking(command).unwrap());
    delete(Command::DeleteSubject { subject: subject("soft-value"), deletion: Deletion::Permanent });
    delete(Command::DeleteSubject { subject: subject("old-value"), deletion: Deletion::Soft });
    delete(Command::DeleteSubject { subject: subject("old-value"), deletion: Deletion::Permanent });
    delete(Command::DeleteConfig { subject: None });
    let left = expected(&[("kept-value", "1:2"), ("seed", "1:1")]);
    assert_eq!(versions(&node), left);
    drop(node);
    let again = start(&super::karapace::log(compacted(&log)));
    assert_eq!(versions(&again), left);
    assert_eq!(again.snapshot().config(None), None);
    assert_eq!(again.snapshot().config(Some(&subject("old-value"))), None);
}
