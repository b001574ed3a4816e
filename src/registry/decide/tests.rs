//! The rules of the registry, command by command.

use super::super::snapshot::Snapshot;
use super::super::types::{Content, SchemaReference};
use super::*;
use crate::schema::SchemaType;

/// Runs commands against a snapshot as a writer would: decide, apply.
#[derive(Default)]
struct World {
    snapshot: Snapshot,
    clock: i64,
}

fn subject(text: &str) -> Subject {
    Subject::parse(text).unwrap()
}

fn avro(schema: &str) -> RegisterRequest {
    RegisterRequest { schema: schema.to_owned(), ..RegisterRequest::default() }
}

const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const V2: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]}"#;
const BAD: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"c","type":"int"}]}"#;

impl World {
    fn run(&mut self, command: Command) -> Result<Reply, RegistryError> {
        let decision = decide(&self.snapshot, &command)?;
        for record in decision.records {
            // Through bytes, so that what is written can be read back.
            let (key, value) = super::super::format::encode(&record);
            self.clock += 1;
            self.snapshot.apply(super::super::format::decode(&key, value.as_deref()).unwrap(), self.clock);
        }
        Ok(decision.reply)
    }

    fn register(&mut self, name: &str, request: RegisterRequest) -> Result<(i32, i32), RegistryError> {
        match self.run(Command::Register { subject: subject(name), request: Box::new(request) })? {
            Reply::Registered { version, id, .. } => Ok((version, id)),
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, name: &str, deletion: Deletion) -> Result<Reply, RegistryError> {
        self.run(Command::DeleteSubject { subject: subject(name), deletion })
    }

    fn delete_version(&mut self, name: &str, version: &str, deletion: Deletion) -> Result<Reply, RegistryError> {
        self.run(Command::DeleteVersion { subject: subject(name), version: version.parse()?, deletion })
    }

    fn level(&mut self, name: Option<&str>, level: &str) -> Result<Reply, RegistryError> {
        let set = Config { compatibility_level: Some(level.to_owned()), ..Config::default() };
        let update = Box::new(ConfigUpdate { set, ..ConfigUpdate::default() });
        self.run(Command::SetConfig { subject: name.map(subject), update })
    }

    fn mode(&mut self, name: Option<&str>, mode: Mode) -> Result<Reply, RegistryError> {
        self.run(Command::SetMode { subject: name.map(subject), mode: Some(mode), existing: ExistingVersions::Refuse })
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, RegistryError>) -> u32 {
    result.unwrap_err().code()
}

#[test]
fn registering_is_idempotent_and_ids_are_shared_between_subjects() {
    let mut world = World::default();
    assert_eq!(world.register("a", avro(V1)).unwrap(), (1, 1));
    assert_eq!(world.register("a", avro(V2)).unwrap(), (2, 2));
    assert_eq!(world.register("a", avro(&V1.replace(':', " : "))).unwrap(), (1, 1));
    assert_eq!(world.register("b", avro(V2)).unwrap(), (1, 2));
    assert_eq!(world.register("b", avro("\"string\"")).unwrap_err().code(), 40901);
    assert_eq!(world.register("c", avro("\"string\"")).unwrap(), (1, 3));
    let again = decide(&world.snapshot, &Command::Register { subject: subject("a"), request: Box::new(avro(V1)) });
    assert!(again.unwrap().records.is_empty(), "what exists is not written again");
}

#[test]
fn invalid_schemas_are_refused_with_42201() {
    let mut world = World::default();
    for text in
        ["", "{", "{}", "\"x.Y\"", r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#]
    {
        assert_eq!(code(world.register("a", avro(text))), 42201, "{text}");
    }
    let other = RegisterRequest { schema_type: Some("XML".into()), ..avro(V1) };
    assert_eq!(code(world.register("a", other)), 42201);
    assert!(world.snapshot.versions(&subject("a")).is_none());
}

#[test]
fn incompatible_schemas_name_the_reason_and_the_version() {
    let mut world = World::default();
    world.register("a", avro(V1)).unwrap();
    let error = world.register("a", avro(BAD)).unwrap_err();
    assert_eq!(error.code(), 40901);
    let message = error.to_string();
    assert!(message.starts_with("Schema being registered is incompatible with an earlier schema for subject \"a\""));
    for part in ["READER_FIELD_MISSING_DEFAULT_VALUE", "{oldSchemaVersion: 1}", "compatibility: 'BACKWARD'"] {
        assert!(message.contains(part), "{message}");
    }
    let forced = RegisterRequest { compatibility: CompatibilityCheck::Skipped, ..avro(BAD) };
    assert_eq!(world.register("a", forced).unwrap(), (2, 2));
}

#[test]
fn levels_come_from_subject_then_context_then_all() {
    let mut world = World::default();
    world.register("a", avro(V1)).unwrap();
    world.level(None, "none").unwrap();
    assert_eq!(world.register("a", avro(BAD)).unwrap(), (2, 2));
    world.level(Some("a"), "FULL_TRANSITIVE").unwrap();
    assert_eq!(code(world.register("a", avro("\"int\""))), 40901);
    world.run(Command::DeleteConfig { subject: Some(subject("a")) }).unwrap();
    assert_eq!(world.register("a", avro("\"int\"")).unwrap(), (3, 3));
    world.level(Some(":.c:"), "BACKWARD").unwrap();
    world.register(":.c:a", avro(V1)).unwrap();
    assert_eq!(code(world.register(":.c:a", avro(BAD))), 40901);
    assert_eq!(code(world.level(None, "SOMETIMES")), 42203);
    assert_eq!(code(world.run(Command::DeleteConfig { subject: Some(subject("zz")) })), 40401);
}

#[test]
fn soft_deletes_hide_and_permanent_deletes_forget() {
    let mut world = World::default();
    world.register("a", avro(V1)).unwrap();
    world.register("a", avro(V2)).unwrap();
    assert_eq!(code(world.delete_version("a", "2", Deletion::Permanent)), 40407);
    assert_eq!(world.delete_version("a", "latest", Deletion::Soft).unwrap(), Reply::DeletedVersion(2));
    assert_eq!(code(world.delete_version("a", "2", Deletion::Soft)), 40406);
    assert_eq!(code(world.delete_version("a", "9", Deletion::Soft)), 40402);
    assert_eq!(code(world.delete_version("z", "1", Deletion::Soft)), 40401);
    // The same schema again: same id, next version; the deleted one goes for good.
    assert_eq!(world.register("a", avro(V2)).unwrap(), (3, 2));
    assert_eq!(code(world.delete_version("a", "2", Deletion::Soft)), 40402);
    assert_eq!(code(world.delete("a", Deletion::Permanent)), 40405);
    assert_eq!(world.delete("a", Deletion::Soft).unwrap(), Reply::DeletedVersions(vec![1, 3]));
    assert_eq!(code(world.delete("a", Deletion::Soft)), 40404);
    assert!(world.snapshot.id(".", 1).is_some(), "ids of soft-deleted schemas stay readable");
    world.level(Some("a"), "NONE").unwrap();
    assert_eq!(world.delete("a", Deletion::Permanent).unwrap(), Reply::DeletedVersions(vec![1, 3]));
    assert!(world.snapshot.id(".", 1).is_none());
    assert!(world.snapshot.config(Some(&subject("a"))).is_none());
    assert_eq!(code(world.delete("a", Deletion::Soft)), 40401);
    assert_eq!(world.register("a", avro(V1)).unwrap(), (1, 3), "versions restart, ids do not");
}

#[test]
fn soft_deleted_versions_do_not_count_for_compatibility() {
    let mut world = World::default();
    world.register("a", avro(V1)).unwrap();
    world.delete_version("a", "1", Deletion::Soft).unwrap();
    assert_eq!(world.register("a", avro("\"string\"")).unwrap(), (2, 2));
}

#[test]
fn references_are_resolved_kept_and_guarded() {
    let mut world = World::default();
    let item = r#"{"type":"record","name":"Item","fields":[{"name":"id","type":"long"}]}"#;
    world.register("item", avro(item)).unwrap();
    let order = RegisterRequest {
        references: vec![SchemaReference { name: "Item".into(), subject: "item".into(), version: -1 }],
        ..avro(r#"{"type":"record","name":"Order","fields":[{"name":"i","type":"Item"}]}"#)
    };
    assert_eq!(world.register("order", order.clone()).unwrap(), (1, 2));
    assert_eq!(world.register("order", order.clone()).unwrap(), (1, 2));
    let stored = world.snapshot.version(&subject("order"), VersionSpec::Latest, Deleted::Hidden).unwrap();
    assert_eq!(stored.content.references[0].version, 1, "the latest is pinned");
    assert!(world.snapshot.parsed(stored).unwrap().resolved().contains("\"long\""));
    let users: Vec<i32> = world.snapshot.referrers(&subject("item"), 1).map(|version| version.id).collect();
    assert_eq!(users, [2]);
    assert_eq!(code(world.delete("item", Deletion::Soft)), 42206);
    assert_eq!(code(world.delete_version("item", "1", Deletion::Soft)), 42206);
    world.delete("order", Deletion::Soft).unwrap();
    world.delete("item", Deletion::Soft).unwrap();
    assert_eq!(code(world.delete("item", Deletion::Permanent)), 42206);
    world.delete("order", Deletion::Permanent).unwrap();
    world.delete("item", Deletion::Permanent).unwrap();
    let missing = RegisterRequest {
        references: vec![SchemaReference { name: "X".into(), subject: "nowhere".into(), version: 1 }],
        ..avro("\"X\"")
    };
    assert_eq!(code(world.register("x", missing)), 42201);
}

#[test]
fn texts_that_refer_to_each_other_end() {
    let mut world = World::default();
    let reference =
        |name: &str, subject: &str| SchemaReference { name: name.into(), subject: subject.into(), version: 1 };
    // Only a foreign writer can put a cycle into the topic.
    for (name, other, id) in [("a", "b", 1), ("b", "a", 2)] {
        let value = SchemaValue {
            subject: name.into(),
            version: 1,
            id,
            md5: None,
            schema_type: None,
            references: Some(vec![reference(other, other)]),
            metadata: None,
            rule_set: None,
            schema: format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"f","type":"{other}"}}]}}"#),
            deleted: false,
        };
        world.snapshot.apply(Record::Schema(subject(name), 1, Some(value)), 0);
    }
    let user = RegisterRequest { references: vec![reference("a", "a")], ..avro("\"a\"") };
    assert_eq!(code(world.register("user", user)), 42201);
}

#[test]
fn modes_gate_writes_and_import_takes_ids() {
    let mut world = World::default();
    world.register("a", avro(V1)).unwrap();
    world.mode(Some("a"), Mode::Readonly).unwrap();
    assert_eq!(world.register("a", avro(V1)).unwrap(), (1, 1), "what exists is still answered");
    assert_eq!(code(world.register("a", avro(V2))), 42205);
    assert_eq!(code(world.delete("a", Deletion::Soft)), 42205);
    assert_eq!(code(world.level(Some("a"), "NONE")), 42205);
    assert_eq!(code(world.mode(Some("a"), Mode::Import)), 42205);
    world.run(Command::DeleteMode { subject: Some(subject("a")), recursive: false }).unwrap();
    assert_eq!(code(world.run(Command::DeleteMode { subject: Some(subject("a")), recursive: false })), 40401);

    let with_id =
        |id: i32, version: i32, text: &str| RegisterRequest { id: Some(id), version: Some(version), ..avro(text) };
    assert_eq!(code(world.register("a", with_id(9, 2, V2))), 42205, "ids only in IMPORT");
    world.mode(Some("i"), Mode::Import).unwrap();
    assert_eq!(world.register("i", with_id(100, 7, V1)).unwrap(), (7, 100));
    assert_eq!(world.register("i", with_id(101, 8, "\"string\"")).unwrap(), (8, 101), "no compatibility check");
    world.mode(Some("j"), Mode::Import).unwrap();
    assert_eq!(world.register("j", with_id(101, 1, "\"string\"")).unwrap(), (1, 101), "an id serves many versions");
    assert_eq!(code(world.register("i", avro("\"long\""))), 42205, "an id is needed");
    assert_eq!(code(world.register("i", with_id(101, 9, "\"long\""))), 42205, "an id keeps its content");
    assert_eq!(world.register("b", avro(V2)).unwrap(), (1, 102), "new ids go on after imported ones");
}

#[test]
fn a_version_in_the_request_is_compare_and_set() {
    let mut world = World::default();
    let at = |version: i32, text: &str| RegisterRequest { version: Some(version), ..avro(text) };
    assert_eq!(code(world.register("a", at(2, V1))), 42201);
    assert_eq!(world.register("a", at(1, V1)).unwrap(), (1, 1));
    assert_eq!(code(world.register("a", at(3, V2))), 42201);
    assert_eq!(world.register("a", at(2, V2)).unwrap(), (2, 2));
    let stored = world.snapshot.version(&subject("a"), VersionSpec::Number(2), Deleted::Hidden).unwrap();
    assert_eq!(stored.content.metadata.as_ref().unwrap().properties["confluent:version"], "2");
}

#[test]
fn metadata_and_rules_are_part_of_identity_and_inherited() {
    let mut world = World::default();
    let owned = |owner: &str| {
        let properties = [("owner".to_owned(), owner.to_owned())].into();
        RegisterRequest {
            metadata: Some(super::super::types::Metadata { properties, ..Default::default() }),
            ..avro(V1)
        }
    };
    assert_eq!(world.register("a", owned("me")).unwrap(), (1, 1));
    assert_eq!(world.register("a", owned("you")).unwrap(), (2, 2));
    assert_eq!(world.register("a", avro(V1)).unwrap(), (2, 2), "without metadata the previous version's are meant");
    assert_eq!(world.register("a", avro(V2)).unwrap(), (3, 3));
    let stored = world.snapshot.version(&subject("a"), VersionSpec::Latest, Deleted::Hidden).unwrap();
    assert_eq!(stored.content.metadata.as_ref().unwrap().properties["owner"], "you");
    let rules: super::super::types::RuleSet =
        serde_json::from_str(r#"{"domainRules":[{"name":"r","type":"CEL","mode":"UPGRADE"}]}"#).unwrap();
    assert_eq!(code(world.register("a", RegisterRequest { rule_set: Some(rules), ..avro(V1) })), 42210);
}

#[test]
fn lookup_finds_by_content_only_what_is_there() {
    let mut world = World::default();
    assert_eq!(code(lookup(&world.snapshot, &subject("a"), &avro(V1), Deleted::Hidden)), 40401);
    world.register("a", avro(V1)).unwrap();
    let pretty = V1.replace(',', " , ");
    assert_eq!(lookup(&world.snapshot, &subject("a"), &avro(&pretty), Deleted::Hidden).unwrap().id, 1);
    assert_eq!(code(lookup(&world.snapshot, &subject("a"), &avro(V2), Deleted::Hidden)), 40403);
    assert_eq!(code(lookup(&world.snapshot, &subject("a"), &avro("{"), Deleted::Hidden)), 42201);
    world.delete("a", Deletion::Soft).unwrap();
    assert_eq!(code(lookup(&world.snapshot, &subject("a"), &avro(V1), Deleted::Hidden)), 40401);
    assert_eq!(lookup(&world.snapshot, &subject("a"), &avro(V1), Deleted::Shown).unwrap().id, 1);
}

#[test]
fn checks_answer_for_unknown_subjects_numbers_and_histories() {
    let mut world = World::default();
    let check = |world: &World, version: Option<&str>, text: &str| {
        let version = version.map(|version| version.parse().unwrap());
        check_compatibility(&world.snapshot, &subject("a"), version, &avro(text))
    };
    assert!(check(&world, Some("latest"), V1).unwrap().is_empty());
    assert!(check(&world, None, V1).unwrap().is_empty());
    assert_eq!(code(check(&world, Some("1"), V1)), 40402);
    world.register("a", avro(V1)).unwrap();
    world.register("a", avro(V2)).unwrap();
    assert!(!check(&world, Some("1"), BAD).unwrap().is_empty());
    assert!(check(&world, Some("latest"), V1).unwrap().is_empty());
    assert_eq!(code(check(&world, Some("latest"), "{")), 42201);
    world.level(None, "NONE").unwrap();
    assert!(check(&world, None, "\"int\"").unwrap().is_empty());
}

#[test]
fn contexts_number_their_own_ids() {
    let mut world = World::default();
    assert_eq!(world.register("a", avro(V1)).unwrap(), (1, 1));
    assert_eq!(world.register(":.c:a", avro("\"int\"")).unwrap(), (1, 1));
    assert_eq!(world.register(":.:b", avro(V1)).unwrap(), (1, 1));
    assert!(world.snapshot.versions(&subject("b")).is_some(), "the default context needs no name");
    assert_eq!(subject(":.c:a").context(), ".c");
    assert_eq!(subject(":.c:a").name(), "a");
    assert_eq!(world.snapshot.contexts(), [".", ".c"]);
    assert_eq!(code(world.register(":.c:", avro(V1))), 42208);
    assert_eq!(code(Subject::parse("a\u{1}")), 42208);
}

/// A version as another writer of the topic stores it.
fn foreign(name: &str, version: i32, id: i32, schema: &str) -> Record {
    let (subject, text) = (subject(name), schema.to_owned());
    let content = Content::new(SchemaType::Avro, schema.into(), schema, Vec::new(), None, None);
    let value = SchemaValue { schema: text, ..SchemaValue::new(&subject, version, id, &content, false) };
    Record::Schema(subject, version, Some(value))
}

#[test]
fn another_spelling_of_a_schema_has_its_id() {
    let mut world = World::default();
    world.snapshot.apply(foreign("a", 1, 7, r#"{"type": "string"}"#), 0);
    assert_eq!(world.register("b", avro("\"string\"")).unwrap(), (1, 7));
    assert!(world.snapshot.versions(&subject("b")).is_some(), "what was answered is there");
    // Another schema under that id is passed over, whatever wrote it; a version may be written over.
    world.snapshot.apply(foreign("c", 1, 7, "\"int\""), 0);
    assert!(world.snapshot.versions(&subject("c")).is_none());
    world.snapshot.apply(foreign("d", 1, 9, "\"int\""), 0);
    world.snapshot.apply(foreign("d", 1, 9, "\"long\""), 0);
    let found = world.snapshot.version(&subject("d"), VersionSpec::Latest, Deleted::Hidden).unwrap();
    assert_eq!(&*found.content.schema, "\"long\"");
}

#[test]
fn a_schema_with_two_ids_keeps_the_other_when_one_goes() {
    let mut world = World::default();
    world.snapshot.apply(foreign("a", 1, 1, "\"int\""), 0);
    world.snapshot.apply(foreign("b", 1, 2, "\"int\""), 0);
    world.delete("a", Deletion::Soft).unwrap();
    world.delete("a", Deletion::Permanent).unwrap();
    assert_eq!(world.register("c", avro("\"int\"")).unwrap(), (1, 2));
}

#[test]
fn the_last_version_has_no_next() {
    let mut world = World::default();
    world.snapshot.apply(foreign("a", i32::MAX, 1, "\"int\""), 0);
    assert_eq!(world.register("a", avro("\"int\"")).unwrap(), (i32::MAX, 1), "it is answered all the same");
    assert_eq!(code(world.register("a", avro("\"long\""))), 42205);
}

#[test]
fn equal_texts_of_two_languages_are_two_schemas() {
    let of = |schema_type| Content::new(schema_type, "x".into(), "x", Vec::new(), None, None);
    let (avro, json) = (of(SchemaType::Avro), of(SchemaType::Json));
    assert_ne!(avro.key, json.key);
    assert_eq!(avro.md5, json.md5, "the reference's hash is over the text");
}

#[test]
fn a_group_compares_only_its_own_versions() {
    let mut world = World::default();
    let set = Config { compatibility_group: Some("major".into()), ..Config::default() };
    let update = Box::new(ConfigUpdate { set, ..ConfigUpdate::default() });
    world.run(Command::SetConfig { subject: Some(subject("a")), update }).unwrap();
    let major = |number: &str, text: &str| {
        let properties = [("major".to_owned(), number.to_owned())].into();
        RegisterRequest {
            metadata: Some(super::super::types::Metadata { properties, ..Default::default() }),
            ..avro(text)
        }
    };
    assert_eq!(world.register("a", major("1", V1)).unwrap(), (1, 1));
    assert_eq!(world.register("a", major("2", "\"string\"")).unwrap(), (2, 2));
    assert_eq!(code(world.register("a", major("2", V2))), 40901);
    assert_eq!(world.register("a", major("1", V2)).unwrap(), (3, 3));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn commands() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
        prop::collection::vec((0..6_u8, 0..3_u8, 0..4_u8), 1..40)
    }

    proptest! {
        /// Whatever happens: versions of a subject only grow while it exists, an id has one content, live content has one
        /// live version per subject, and every id in use is at most the highest.
        #[test]
        fn invariants_hold_under_any_commands(commands in commands()) {
            let mut world = World::default();
            world.level(Some(":.__GLOBAL:"), "NONE").unwrap();
            for (kind, name, which) in commands {
                let name = ["a", "b", ":.c:a"][name as usize];
                let text = ["\"int\"", "\"string\"", V1, V2][which as usize];
                let before = world.snapshot.versions(&subject(name)).and_then(|all| all.last().map(|last| last.version));
                let result = match kind {
                    0..=2 => world.register(name, avro(text)).map(|_| ()),
                    3 => world.delete_version(name, &(which + 1).to_string(), Deletion::Soft).map(|_| ()),
                    4 => world.delete(name, Deletion::Soft).map(|_| ()),
                    _ => world.delete(name, Deletion::Permanent).map(|_| ()),
                };
                if let Err(error) = result {
                    prop_assert!(error.is_miss(), "{error}");
                }
                let after = world.snapshot.versions(&subject(name)).and_then(|all| all.last().map(|last| last.version));
                prop_assert!(after.is_none() || after >= before);
                for (subject, versions) in world.snapshot.subjects() {
                    let mut live = std::collections::BTreeSet::new();
                    for version in versions.iter() {
                        let entry = world.snapshot.id(subject.context(), version.id).unwrap();
                        prop_assert_eq!(entry.content.key, version.content.key);
                        prop_assert!(entry.versions.contains(&(subject.clone(), version.version)));
                        prop_assert!(version.id <= world.snapshot.max_id(subject.context()));
                        prop_assert!(version.deleted || live.insert(version.content.key));
                    }
                }
            }
        }
    }
}

#[test]
fn references_are_limited_in_number_and_size() {
    let mut world = World::default();
    let fixed = |at: usize, doc: usize| {
        avro(&format!(r#"{{"type":"fixed","name":"F{at}","doc":"{}","size":1}}"#, "d".repeat(doc)))
    };
    let to = |at: usize| SchemaReference { name: format!("F{at}"), subject: format!("s{at}"), version: 1 };
    for at in 0..3 {
        world.register(&format!("s{at}"), fixed(at, 2_000_000)).unwrap();
    }
    let two = RegisterRequest { references: vec![to(0), to(1)], ..avro("\"int\"") };
    world.register("two", two).unwrap();
    let three = RegisterRequest { references: vec![to(0), to(1), to(2)], ..avro("\"int\"") };
    let refused = world.register("three", three).unwrap_err();
    assert_eq!(refused.code(), 42209);
    assert!(refused.to_string().contains("larger than 4194304 bytes"), "{refused}");
    // The same one over and over is resolved once, and looked up each time.
    let repeated = |count: usize| RegisterRequest { references: vec![to(0); count], ..avro("\"int\"") };
    world.register("many", repeated(400)).unwrap();
    let refused = world.register("many", repeated(401)).unwrap_err();
    assert_eq!(refused.code(), 42209);
    assert!(refused.to_string().contains("more than 400 references"), "{refused}");
}

#[test]
fn a_version_asked_for_once_is_not_asked_for_by_whoever_comes_later() {
    let rules = r#"{"migrationRules":[{"name":"up","mode":"UPGRADE","type":"JSONATA"}]}"#;
    let mut world = World::default();
    let first =
        RegisterRequest { version: Some(1), rule_set: Some(serde_json::from_str(rules).unwrap()), ..avro("\"int\"") };
    let there = world.register("s", first).unwrap();
    assert_eq!(world.register("s", avro("\"int\"")).unwrap(), there);
    assert_eq!(world.register("s", avro("\"int\"")).unwrap(), there);
}
