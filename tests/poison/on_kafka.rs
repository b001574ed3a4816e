//! All kinds together, between good records, over real Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tributary::codec::avro::{encode_record, subject_of};
use tributary::kafka::{Admin, Headers, Isolation, KafkaConfig, LogReader, OutgoingRecord, Producer, partition_for};
use tributary::model::fact::Origin;
use tributary::model::record::{CatalogRecord, CatalogTopic, ContainerRecord};
use tributary::stage::DeadLetter;
use tributary::topology::schemas::register_all;

use super::kinds::{self, Becomes, Ids, Kind};
use super::{PARTITIONS, events, facts, notifications};
use crate::support::events::{self as recorded, Event};
use crate::support::site::{Running, STAGES, Site};
use crate::support::wire;

const RAW: [&str; 2] = [notifications::TOPIC, events::TOPIC];
const DEAD_LETTERS: [&str; 3] = ["hms.notifications.dlq", "openlineage.events.dlq", "catalog.facts.dlq"];
/// What all poison together may take on top of an idle process.
const MEMORY: u64 = 256 << 20;

/// A record to be produced, and what is expected of it.
struct Sent {
    kind: Option<Kind>,
    record: OutgoingRecord,
}

/// Topics that take what is over our own limits, as those of others may.
fn site() -> (Site, Ids) {
    let site = Site::start();
    let admin = Admin::new(&site.kafka()).unwrap();
    for topic in RAW {
        admin.alter_configs(topic, &BTreeMap::from([("max.message.bytes".into(), (64 << 20).to_string())])).unwrap();
    }
    let registry = site.registry();
    let ours = register_all(&registry).unwrap();
    let own = |topic: &str| registry.register_blocking(&format!("{topic}-value"), subject_of(topic).unwrap().current());
    let foreign = |name: &str| {
        let (_, schema) = kinds::FOREIGN.into_iter().find(|(foreign, _)| *foreign == name).unwrap();
        registry.register_blocking(&format!("poison-{name}"), schema).unwrap().unsigned_abs()
    };
    let ids = Ids {
        notification: own(notifications::TOPIC).unwrap().unsigned_abs(),
        event: own(events::TOPIC).unwrap().unsigned_abs(),
        fact: ours.facts,
        dataset: ours.records[&CatalogTopic::Datasets],
        container: ours.records[&CatalogTopic::Containers],
        int: foreign("int"),
        texts: foreign("texts"),
        nulls: foreign("nulls"),
    };
    (site, ids)
}

/// Larger than the broker's own default allows, and than ours.
fn huge(topic: &'static str) -> Kind {
    let value = format!("{{\"x\":\"{}\"}}", "x".repeat(50_000_000));
    Kind::letter("50 MB", topic, value, ("limit_exceeded", ""))
}

fn raw_kinds(ids: Ids) -> Vec<Kind> {
    let all = notifications::kinds(ids).into_iter().chain(events::kinds(ids));
    all.chain(RAW.map(huge)).collect()
}

/// The recorded events in their order, with poison between them: each poisoned record is followed in its partition by a
/// good one.
fn mixed(kinds: Vec<Kind>) -> Vec<Sent> {
    let mut waiting: BTreeMap<&str, Vec<Kind>> = BTreeMap::new();
    for kind in kinds.into_iter().rev() {
        waiting.entry(kind.topic).or_default().push(kind);
    }
    let good = recorded::site(0);
    let mut out = Vec::new();
    for (nth, Event { topic, key, value }) in good.into_iter().enumerate() {
        let partition = partition_for(key.as_deref().unwrap_or_default().as_bytes(), PARTITIONS);
        if nth % 3 == 0
            && let Some(kind) = waiting.get_mut(topic).and_then(Vec::pop)
        {
            let record = OutgoingRecord::new(topic, kind.key.clone(), kind.value.clone());
            let record = record.with_headers(kind.headers.clone()).to_partition(partition);
            out.push(Sent { kind: Some(kind), record });
        }
        let record = OutgoingRecord::new(topic, key.map(String::into_bytes), Some(value.into_bytes()));
        out.push(Sent { kind: None, record });
    }
    assert!(waiting.values().all(Vec::is_empty), "there are fewer good records than kinds of poison");
    out
}

/// Produces in order; returns the poisoned ones with the place where each lies.
fn produce(site: &Site, records: Vec<Sent>) -> Vec<(Kind, Origin)> {
    let properties = BTreeMap::from([("queue.buffering.max.kbytes".to_owned(), "131072".to_owned())]);
    let producer = Producer::new(&KafkaConfig::new(site.bootstrap_servers(), properties).unwrap()).unwrap();
    let mut placed = Vec::new();
    for Sent { kind, record } in records {
        let delivery = producer.send(&record).unwrap();
        if let Some(kind) = kind {
            let delivered = delivery.wait().unwrap();
            let topic = kind.topic.to_owned();
            placed.push((kind, Origin { topic, partition: delivered.partition, offset: delivered.offset }));
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    placed
}

fn wait_quiet(site: &Site) {
    site.expect_success(&["status", "--wait-quiet", "--timeout", "300"]);
}

fn letters(site: &Site) -> Vec<DeadLetter> {
    let reader = LogReader::new(&site.kafka(), Isolation::Committed).unwrap();
    let mut letters = Vec::new();
    for topic in DEAD_LETTERS {
        reader.read_topic(topic, &mut |record| letters.push(DeadLetter::parse(&record).unwrap())).unwrap();
    }
    letters
}

/// Each poisoned record has one letter, which says what is written down and carries what was received; nothing else has.
fn compare(placed: &[(Kind, Origin)], letters: &[DeadLetter]) {
    let expected = placed.iter().filter(|(kind, _)| kind.becomes != Becomes::Meaning).count();
    let mut by_source: BTreeMap<&Origin, &DeadLetter> = BTreeMap::new();
    for letter in letters {
        assert!(by_source.insert(&letter.source, letter).is_none(), "two letters of {:?}", letter.source);
    }
    for (kind, origin) in placed {
        let what = format!("{} at {origin:?}", kind.name);
        let Becomes::Letter(reason, path) = &kind.becomes else {
            assert!(!by_source.contains_key(origin), "{what} has a letter: {:?}", by_source[origin].message);
            continue;
        };
        let letter = by_source.get(origin).unwrap_or_else(|| panic!("{what} has no letter"));
        assert_eq!(
            (letter.reason.as_str(), letter.path.as_str()),
            (*reason, path.as_str()),
            "{what}: {}",
            letter.message
        );
        assert_eq!(letter.origin, letter.source, "{what}");
        assert!(!letter.message.is_empty() && letter.timestamp_ms.is_some(), "{what}");
        let stage = if kind.topic == facts::TOPIC { "fold" } else { "normalize" };
        assert_eq!(letter.stage, stage, "{what}");
        let foreign = kind.headers.iter().filter(|header| !header.name.starts_with("tributary-"));
        assert!(letter.headers.iter().eq(foreign), "{what}: {:?}", letter.headers);
        let value = kind.value.as_deref();
        match letter.truncated_bytes {
            None => assert!(letter.value.as_deref() == value, "{what} carries another value"),
            // By reference: the head, the size, and the place where the whole still lies.
            Some(size) => {
                assert_eq!((kind.name, Some(size as usize)), ("50 MB", value.map(<[u8]>::len)));
                assert!(value.unwrap().starts_with(letter.value.as_deref().unwrap()), "{what}");
            }
        }
        assert!(letter.truncated_bytes.is_some() || letter.key == kind.key, "{what} carries another key");
    }
    assert_eq!(letters.len(), expected, "nothing else is a dead letter");
}

/// A process for each role, with how much memory it took when it had nothing to do.
struct Watched(BTreeMap<&'static str, (Running, u64)>);

impl Watched {
    fn start(site: &Site) -> Self {
        let roles = [
            ("normalize", &["run", "normalize"][..], 1),
            ("statements", &["run", "statements"], 2),
            ("fold", &["run", "fold"], 1),
            ("postgres", &["run", "postgres"], 1),
            ("views", &["api"], 2),
        ];
        let mut watched = BTreeMap::new();
        for (name, args, tasks) in roles {
            // A backtrace reads the debug information of the whole binary, which is larger than all poison.
            let mut process = site.spawn_in(name, args, &[("RUST_BACKTRACE", "0")]);
            process.wait_until("all tasks run", |process| process.tasks_running() >= tasks);
            watched.insert(name, process);
        }
        wait_quiet(site);
        let idle = |(name, process): (&'static str, Running)| {
            let idle = memory(&process, "VmRSS");
            // From now on the high-water mark is that of this work.
            std::fs::write(format!("/proc/{}/clear_refs", process.pid()), "5").unwrap();
            (name, (process, idle))
        };
        Self(watched.into_iter().map(idle).collect())
    }

    fn of(&self, role: &str) -> &Running {
        &self.0[role].0
    }

    fn assert_bounded(&self) {
        let mib = |bytes: u64| bytes >> 20;
        let peaks = self.0.iter().map(|(name, (process, idle))| (*name, mib(*idle), mib(memory(process, "VmHWM"))));
        let peaks: Vec<_> = peaks.collect();
        eprintln!("MiB when idle and at most: {peaks:?}");
        assert!(peaks.iter().all(|(_, idle, peak)| *peak <= idle + mib(MEMORY)), "{peaks:?}");
    }
}

fn memory(process: &Running, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn container(id: &str) -> CatalogRecord {
    let name = id.to_owned();
    CatalogRecord::Container(Box::new(ContainerRecord {
        id: id.to_owned(),
        platform: "hive".to_owned(),
        name,
        existence: "confirmed".to_owned(),
        description: None,
        owners: Vec::new(),
        location: None,
        properties: BTreeMap::new(),
        native: BTreeMap::new(),
        origin: Origin { topic: "foreign".to_owned(), partition: 0, offset: 0 },
    }))
}

/// Poison for the readers of the catalog's topics: key, value, and the reason of its row in `sink_rejects`.
fn for_sinks(ids: Ids) -> Vec<Kind> {
    let of = |topic: &'static str, key: &str, value: Vec<u8>, reason: &'static str| {
        Kind::letter("poison for sinks", topic, value, (reason, "")).keyed(Some(key.as_bytes().to_vec()))
    };
    let right = encode_record(&container("hive://poison:9083/b"), ids.container).unwrap();
    let cut = right.split_at(right.len() - 3).0.to_vec();
    let zero = encode_record(&container("hive://poison:9083/z\0"), ids.container).unwrap();
    let mut all = vec![
        of("catalog.containers", "hive://poison:9083/a", b"{}".to_vec(), "invalid_avro"),
        of("catalog.containers", "hive://poison:9083/c", cut, "invalid_avro"),
        of("catalog.containers", "hive://poison:9083/d", kinds::frame(ids.int, &kinds::long(1)), "invalid_avro"),
        of("catalog.containers", "hive://poison:9083/e", kinds::frame(kinds::NO_SCHEMA, &right[5..]), "unknown_schema"),
        // Two rows of one id in one batch, if the keys were believed.
        of("catalog.containers", "hive://poison:9083/b", right.clone(), ""),
        of("catalog.containers", "hive://poison:9083/f", right.clone(), "invalid_field"),
        // No text for Postgres, and no id either: ids encode what is below U+0020.
        of("catalog.containers", "hive://poison:9083/z\0", zero, "22021"),
        of("catalog.datasets", "hive://poison:9083/d/t", right, "invalid_avro"),
        of("catalog.changes", "hive://poison:9083/d/t", b"\0".to_vec(), "invalid_avro"),
    ];
    let compacted = CatalogTopic::ALL.into_iter().filter(|topic| *topic != CatalogTopic::Changes);
    all.extend(compacted.map(|topic| of(topic.name(), "poison", b"not framed".to_vec(), "invalid_avro")));
    let bytes = vec![0xff, 0xfe];
    all.push(of("catalog.lineage", "", b"{}".to_vec(), "invalid_utf8").keyed(Some(bytes)));
    all
}

#[test]
fn every_kind_on_every_topic_ends_where_it_should_and_costs_the_good_records_nothing() {
    // The measure: the good records, and the odd ones that have a meaning.
    let (site, ids) = site();
    let odd = raw_kinds(ids).into_iter().filter(|kind| kind.becomes == Becomes::Meaning).collect();
    produce(&site, mixed(odd));
    let calm = site.spawn(&STAGES, &[]);
    wait_quiet(&site);
    let expected = site.quiet_digest();
    calm.terminate();
    assert_eq!(letters(&site).len(), 0);
    drop(site);

    let (site, ids) = self::site();
    let watched = Watched::start(&site);
    let mut placed = produce(&site, mixed(raw_kinds(ids)));
    let foreign_facts = facts::kinds(ids).into_iter().map(|kind| {
        let partition = kind.key.as_deref().map_or(0, |key| partition_for(key, PARTITIONS));
        let record = OutgoingRecord::new(kind.topic, kind.key.clone(), kind.value.clone()).to_partition(partition);
        Sent { kind: Some(kind), record }
    });
    placed.extend(produce(&site, foreign_facts.collect()));

    // A header whose name is not UTF-8 costs nothing but its name.
    let headers = Headers::new().with("\u{fffd}", "");
    let kind = Kind::letter("header that is not UTF-8", events::TOPIC, "{}", ("missing_field", "/eventTime"));
    let offset = wire::produce(&site.bootstrap_servers(), events::TOPIC, 0, b"poison", b"{}", (b"\xff\xfe", b"v"));
    let mut unreadable = Kind { headers, ..kind };
    unreadable.headers = nameless();
    placed.push((unreadable, Origin { topic: events::TOPIC.to_owned(), partition: 0, offset }));

    wait_quiet(&site);
    let digest = site.quiet_digest();
    watched.assert_bounded();
    compare(&placed, &letters(&site));
    assert_eq!(digest["class_a"], expected["class_a"], "{digest}\n{expected}");
    assert_eq!(site.rejected_rows(), 0, "nothing of it reaches the tables' limits");
    for (stage, inputs) in [("normalize", &RAW[..]), ("fold", &["catalog.facts"])] {
        let dealt_with = watched.of(stage).outcomes(stage).values().sum::<u64>();
        assert_eq!(dealt_with, site.committed_records(inputs), "{stage}");
    }
    sinks_leave_poison_out(&site, ids, &watched, &expected);
}

/// A header of which nothing could be read.
fn nameless() -> Headers {
    let mut headers = Headers::new();
    headers.push_header(tributary::kafka::Header { name: "\u{fffd}".to_owned(), value: None });
    headers
}

/// Undecodable values on the catalog's own topics: each has its row, each view says so, and all go on.
fn sinks_leave_poison_out(site: &Site, ids: Ids, watched: &Watched, expected: &serde_json::Value) {
    let kinds = for_sinks(ids);
    let sent = |kind: Kind, value: Option<Vec<u8>>| {
        let partition = partition_for(kind.key.as_deref().unwrap_or_default(), PARTITIONS);
        let record = OutgoingRecord::new(kind.topic, kind.key.clone(), value).to_partition(partition);
        Sent { kind: Some(kind), record }
    };
    let placed = produce(site, kinds.iter().cloned().map(|kind| sent(kind.clone(), kind.value)).collect());
    wait_quiet(site);
    let rows: BTreeSet<(String, i32, i64, String)> = site.rejects().into_iter().collect();
    let refused = placed.iter().filter_map(|(kind, origin)| match &kind.becomes {
        Becomes::Letter(reason, _) if !reason.is_empty() => {
            Some((origin.topic.clone(), origin.partition, origin.offset, (*reason).to_owned()))
        }
        _ => None,
    });
    assert_eq!(rows, refused.collect());
    let ready = watched.of("postgres").readiness();
    assert!(ready.contains("put aside in the table sink_rejects"), "{ready}");
    let ready = watched.of("views").readiness();
    assert_eq!(ready.matches("are left out, the last of catalog.").count(), 2, "search and lineage: {ready}");

    // A digest of a catalog that cannot be read is refused, with the place and the way out.
    let refusal = site.run(&["digest", "--json", "--timeout", "60"]);
    let said = String::from_utf8_lossy(&refusal.stderr).into_owned();
    assert!(!refusal.status.success() && said.contains("is not a catalog record"), "{said}");
    assert!(said.contains("Write a right value or a tombstone for its key"), "{said}");
    produce(site, kinds.into_iter().map(|kind| sent(kind, None)).collect());
    assert_eq!(site.quiet_digest()["class_a"], expected["class_a"]);
    site.assert_tables_equal_topics();
}
