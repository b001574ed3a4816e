//! Poison ends as a dead letter, once, with everything a person needs; replayed after a repair, the catalog ends where
//! it would have been (invariant 6).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use tributary::dev::free_address;
use tributary::kafka::{Admin, OutgoingRecord, Producer};

use crate::support::events::{self, Event};
use crate::support::site::{PATIENCE, STAGES, Site};

/// A notification of the recording is up to some 10 KB; this limit refuses the larger ones.
const LOW_LIMIT: (&str, &str) = ("TRIBUTARY_LIMITS__RECORD_BYTES", "4KiB");

fn letters(site: &Site) -> Vec<Value> {
    let listed = site.expect_success(&["dlq", "list", "--json"]);
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Those that were sent back or dropped too.
fn all_letters(site: &Site) -> Vec<Value> {
    let listed = site.expect_success(&["dlq", "list", "--all", "--json"]);
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count_by<'a>(letters: impl IntoIterator<Item = &'a Value>, field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for letter in letters {
        let value = letter[field].as_str().map_or_else(|| letter[field].to_string(), str::to_owned);
        *counts.entry(value).or_default() += 1;
    }
    counts
}

fn dead_topic(letter: &Value) -> &str {
    letter["source"]["topic"].as_str().unwrap()
}

#[test]
fn dead_letters_are_written_once_and_come_back_after_a_repair() {
    let site = Site::start();
    let mut sent: Vec<Event> = events::site(0);
    sent.extend(events::poison());
    let size = |event: &Event| event.value.len() + event.key.as_ref().map_or(0, String::len);
    let large = |topic: &str| sent.iter().filter(|event| event.topic == topic && size(event) > 4096).count();
    let (large_hms, large_openlineage) = (large("hms.notifications"), large("openlineage.events"));
    assert!(large_hms > 0 && large_openlineage > 0, "{large_hms} and {large_openlineage} are over the limit");

    site.produce(&sent);
    let first = site.spawn(&STAGES, &[LOW_LIMIT]);
    let poisoned = site.quiet_digest();
    first.terminate();
    let before = letters(&site);
    let reasons = count_by(&before, "reason");
    assert_eq!(reasons["limit_exceeded"], large_hms + large_openlineage);
    assert_eq!(before.len(), large_hms + large_openlineage + events::poison().len(), "{reasons:?}");

    // Each letter says what, where, and which record; each record has one letter.
    let sources: BTreeSet<String> = before.iter().map(|letter| letter["source"].to_string()).collect();
    assert_eq!(sources.len(), before.len());
    for letter in &before {
        assert_eq!(letter["source"], letter["origin"], "not replayed yet: {letter}");
        assert_eq!((letter["attempt"].as_u64(), letter["stage"].as_str()), (Some(1), Some("normalize")), "{letter}");
        assert!(!letter["message"].as_str().unwrap().is_empty() && letter["path"].is_string(), "{letter}");
    }
    let path_of = |reason: &str, topic: &str| {
        let mut found = before.iter().filter(|letter| letter["reason"] == reason && dead_topic(letter) == topic);
        found.next().map(|letter| letter["path"].as_str().unwrap().to_owned())
    };
    assert_eq!(path_of("invalid_json", "hms.notifications").as_deref(), Some(""));
    assert_eq!(path_of("invalid_field", "openlineage.events").as_deref(), Some("/run/runId"));
    let place = before[0]["place"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&site.expect_success(&["dlq", "show", place])).unwrap();
    assert!(sent.iter().any(|event| Some(event.value.as_str()) == shown["value"].as_str()), "{shown}");

    // The limit is raised and the letters go back, those of a topic at a time, while the stages run.
    let repaired = site.spawn(&STAGES, &[]);
    for (topic, letters) in [("hms.notifications", large_hms + 2), ("openlineage.events", large_openlineage + 2)] {
        let said = site.expect_success(&["dlq", "replay", topic]);
        assert!(said.contains(&format!("{letters} dead letters sent back to {topic}")), "{said}");
    }
    let replayed = site.quiet_digest();
    assert_ne!(replayed["class_a"], poisoned["class_a"], "what was too large is in the catalog now");

    // What is wrong for good is back: second attempt, first origin, another place in the log. What was sent back is not
    // listed any more, and not forgotten.
    let after = letters(&site);
    assert_eq!(count_by(&after, "attempt"), BTreeMap::from([("2".into(), 4)]));
    let all = all_letters(&site);
    assert_eq!(count_by(&all, "state"), BTreeMap::from([("open".into(), 4), ("replayed".into(), before.len())]));
    for letter in &after {
        assert_ne!(letter["source"], letter["origin"]);
        let first = before.iter().find(|first| first["source"] == letter["origin"]).unwrap();
        assert_eq!((&letter["reason"], &letter["path"]), (&first["reason"], &first["path"]));
    }
    // A second replay takes only what was not sent back yet.
    let said = site.expect_success(&["dlq", "replay", "hms.notifications"]);
    assert!(said.contains("2 dead letters sent back"), "{said}");
    assert_eq!(site.quiet_digest()["class_a"], replayed["class_a"]);

    // Everything once more, none of it refused now: if the replay had lost or bent anything, this would mend it.
    site.produce(&sent);
    assert_eq!(site.quiet_digest()["class_a"], replayed["class_a"]);
    repaired.terminate();
    site.assert_tables_equal_topics();
}

/// As Avro writes it: a zigzag number in groups of seven bits.
fn long(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// The schema of a listener that frames its notifications; our reader schema takes the rest from its defaults.
const LISTENER: &str = r#"{"type":"record","name":"Listener","fields":[
    {"name":"eventId","type":"long"},{"name":"eventTime","type":"long"},{"name":"eventType","type":"string"},
    {"name":"dbName","type":"string"},{"name":"tableName","type":"string"},{"name":"message","type":"string"},
    {"name":"messageFormat","type":"string"}]}"#;

/// A notification as that listener frames it.
fn framed(event: &Event, schema_id: u32) -> OutgoingRecord {
    let envelope: Value = serde_json::from_str(&event.value).unwrap();
    let mut bytes = vec![0];
    bytes.extend(schema_id.to_be_bytes());
    long(&mut bytes, envelope["eventId"].as_i64().unwrap());
    long(&mut bytes, envelope["eventTime"].as_i64().unwrap());
    for field in ["eventType", "dbName", "tableName", "message", "messageFormat"] {
        let text = envelope[field].as_str().unwrap_or_default();
        long(&mut bytes, i64::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    }
    OutgoingRecord::new(event.topic, event.key.clone().map(String::into_bytes), Some(bytes))
}

/// Speaks to a schema registry of this site; status and body.
fn registry(address: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// The id that the registry will give to the next new schema.
fn next_schema_id(address: &str) -> u32 {
    (1..).find(|id| registry(address, "GET", &format!("/schemas/ids/{id}"), "").0 == 404).unwrap()
}

fn register_listener(address: &str) -> u32 {
    let body = serde_json::json!({ "schema": LISTENER }).to_string();
    let (status, answer) = registry(address, "POST", "/subjects/listener-value/versions", &body);
    assert_eq!(status, 200, "{answer}");
    u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
}

/// Everything that will be rejected for one of three reasons, or for none; and what never can succeed.
struct Mixed {
    plain: Vec<Event>,
    /// Notifications whose writer nobody knows yet.
    framed: Vec<Event>,
}

impl Mixed {
    fn new() -> Self {
        let (hms, others): (Vec<Event>, Vec<Event>) =
            events::site(0).into_iter().partition(|event| event.topic == "hms.notifications");
        // Every fifth table's notifications come framed, so that order within a table stays what it was.
        let is_framed = |event: &Event| event.key.as_ref().is_some_and(|key| key.len() % 5 == 0);
        let (framed, hms): (Vec<Event>, Vec<Event>) = hms.into_iter().partition(is_framed);
        assert!(framed.len() > 10 && hms.len() > 100, "{} framed, {} not", framed.len(), hms.len());
        let plain = hms.into_iter().chain(others).chain(events::poison()).collect();
        Self { plain, framed }
    }

    fn produce(&self, site: &Site, schema_id: u32) {
        site.produce(&self.plain);
        let producer = Producer::new(&site.kafka()).unwrap();
        self.framed.iter().for_each(|event| drop(producer.send(&framed(event, schema_id)).unwrap()));
        producer.flush(PATIENCE).unwrap();
    }
}

#[test]
fn letters_of_several_kinds_are_decided_on_one_by_one_and_end_as_if_never_poisoned() {
    let mixed = Mixed::new();
    let (calm, id) = {
        let site = Site::start();
        let address = free_address().unwrap();
        let mut running = site.spawn(&["up"], &[("TRIBUTARY_REGISTRY__LISTEN", &address)]);
        running.wait_until("the registry answers", |_| TcpStream::connect(&address).is_ok());
        let id = register_listener(&address);
        mixed.produce(&site, id);
        let digest = site.quiet_digest();
        running.terminate();
        assert_eq!(letters(&site).len(), events::poison().len());
        (digest, id)
    };

    let site = Site::start();
    let address = free_address().unwrap();
    let settings = [("TRIBUTARY_REGISTRY__LISTEN", address.as_str()), LOW_LIMIT];
    let mut running = site.spawn(&["up"], &settings);
    running.wait_until("the registry answers", |_| TcpStream::connect(&address).is_ok());
    assert_eq!(next_schema_id(&address), id, "both sites register the same schemas");
    mixed.produce(&site, id);
    let poisoned = site.quiet_digest();
    assert_ne!(poisoned["class_a"], calm["class_a"]);
    running.terminate();
    let before = letters(&site);
    let open = |topic: &str, reason: &str| {
        letters(&site).iter().filter(|letter| dead_topic(letter) == topic && letter["reason"] == reason).count()
    };
    let (hms, openlineage) = ("hms.notifications", "openlineage.events");
    let (large, unknown, large_runs) =
        (open(hms, "limit_exceeded"), open(hms, "unknown_schema"), open(openlineage, "limit_exceeded"));
    assert!(large > 3 && unknown > 3 && large_runs > 3, "{large} {unknown} {large_runs}");

    // The causes are mended.
    let mut running = site.spawn(&["up"], &[("TRIBUTARY_REGISTRY__LISTEN", &address)]);
    running.wait_until("the registry answers", |_| TcpStream::connect(&address).is_ok());
    assert_eq!(register_listener(&address), id);

    // By reason: those alone go, once; the rest stays where it is. A rehearsal does nothing.
    let replay = |args: &[&str]| site.expect_success(&[&["dlq", "replay"], args].concat());
    let said = replay(&[hms, "--reason", "limit_exceeded", "--dry-run"]);
    assert!(said.contains(&format!("{large} dead letters of {hms} would be replayed")), "{said}");
    assert_eq!(letters(&site), before);
    let mut killed = site.command(&["dlq", "replay", hms, "--reason", "limit_exceeded"]);
    let killed = killed.env("TRIBUTARY_FAILPOINTS", "dlq.commit.before=kill@1").output().unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert_eq!(letters(&site), before, "a killed replay has sent nothing");
    let said = replay(&[hms, "--reason", "limit_exceeded"]);
    assert!(said.contains(&format!("{large} dead letters sent back to {hms}")), "{said}");
    assert_eq!((open(hms, "limit_exceeded"), open(hms, "unknown_schema")), (0, unknown));
    assert_eq!(open(openlineage, "limit_exceeded"), large_runs);
    assert!(replay(&[hms, "--reason", "limit_exceeded"]).starts_with("0 dead letters"));

    // Given up, with a word why: neither listed nor sent back, and still to be found.
    let said = site.expect_success(&["dlq", "drop", hms, "--reason", "invalid_json", "--note", "noise of a test"]);
    assert!(said.contains("2 dead letters of hms.notifications dropped"), "{said}");
    assert_eq!(open(hms, "invalid_json"), 0);
    let dropped: Vec<Value> = all_letters(&site).into_iter().filter(|letter| letter["state"] == "dropped").collect();
    assert!(dropped.len() == 2 && dropped[0]["note"] == "noise of a test", "{dropped:?}");

    // The rest of the topic: what was sent back or given up does not go again. Killed after its commit, it is done.
    let mut killed = site.command(&["dlq", "replay", hms]);
    let killed = killed.env("TRIBUTARY_FAILPOINTS", "dlq.commit.after=kill@1").output().unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    site.quiet_digest();
    assert_eq!(open(hms, "unknown_schema"), 0);
    let left: Vec<Value> = letters(&site).into_iter().filter(|letter| dead_topic(letter) == hms).collect();
    assert!(left.is_empty(), "what was given up was sent back: {left:?}");

    // By time, by place, and by what is left.
    assert!(replay(&[openlineage, "--until", "2020-01-01"]).starts_with("0 dead letters"));
    assert!(replay(&[openlineage, "--since", "2100-01-01T00:00:00Z"]).starts_with("0 dead letters"));
    let one = before.iter().find(|one| dead_topic(one) == openlineage && one["reason"] == "limit_exceeded").unwrap();
    let place = one["place"].as_str().unwrap();
    assert!(replay(&[place]).starts_with("1 dead letters sent back to openlineage.events"));
    let again = site.run(&["dlq", "replay", place]);
    assert_eq!(again.status.code(), Some(64), "{again:?}");
    let said = replay(&[openlineage, "--since", "2d", "--reason", "limit_exceeded"]);
    assert!(said.starts_with(&format!("{} dead letters", large_runs - 1)), "{said}");

    let mended = site.quiet_digest();
    assert_eq!((&mended["class_a"], &mended["class_b"]), (&calm["class_a"], &calm["class_b"]));
    let facts = site.facts_of_raw_records();
    assert!(facts.values().all(|times| *times == 1), "a record was sent back twice");
    running.terminate();
    site.assert_tables_equal_topics();
}

#[test]
fn a_letter_that_keeps_only_the_head_is_sent_back_whole() {
    let site = Site::start();
    // The owner of the raw topic lets records in that are larger than what its dead-letter topic takes.
    let larger = [("max.message.bytes".to_owned(), (32 << 20).to_string())].into();
    Admin::new(&site.kafka()).unwrap().alter_configs("hms.notifications", &larger).unwrap();
    let mut events = events::site(0).into_iter().filter(|event| event.topic == "hms.notifications");
    let mut large = events.find(|event| event.value.contains("CREATE_TABLE")).unwrap();
    let padding = "x".repeat(18 << 20);
    large.value = large.value.replacen('{', &format!(r#"{{"padding":"{padding}","#), 1);
    site.produce(std::slice::from_ref(&large));
    let running = site.spawn(&STAGES, &[]);
    let poisoned = site.quiet_digest();
    running.terminate();
    let cut = letters(&site);
    assert_eq!(cut.len(), 1, "{cut:?}");
    assert!(cut[0]["truncated_bytes"].as_u64().unwrap() > 18 << 20, "{}", cut[0]);
    let raised = [("TRIBUTARY_LIMITS__RECORD_BYTES", "32MiB"), ("TRIBUTARY_LIMITS__DECOMPRESSED_BYTES", "32MiB")];
    let running = site.spawn(&STAGES, &raised);
    let said = site.expect_success(&["dlq", "replay", "hms.notifications"]);
    assert!(said.contains("1 dead letters sent back"), "{said}");
    assert_ne!(site.quiet_digest()["class_a"], poisoned["class_a"]);
    running.terminate();
}
