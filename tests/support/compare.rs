//! Says whether the views of a site hold what its topics hold, and whether its stages account for every record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection, PgConnection, Row};
use tributary::codec::avro::{Decoder, encode_record};
use tributary::kafka::{Isolation, KafkaConfig, LogReader};
use tributary::model::fact::{Aspect, Entry};
use tributary::model::record::{CatalogRecord, CatalogTopic, ChangeRecord, DatasetRecord};
use tributary::registry::{KafkaLog, RegistryClient, RegistryHandle, RegistryOptions};
use tributary::topology::schemas::RegistrySchemas;
use tributary::topology::snapshot;

use super::site::Site;

/// Table and key column of each topic.
const TABLES: [(CatalogTopic, &str, &str); 15] = [
    (CatalogTopic::Datasets, "datasets", "id"),
    (CatalogTopic::DatasetStats, "dataset_stats", "id"),
    (CatalogTopic::Containers, "containers", "id"),
    (CatalogTopic::Partitions, "partitions", "key"),
    (CatalogTopic::Functions, "functions", "id"),
    (CatalogTopic::Schemas, "schema_versions", "key"),
    (CatalogTopic::Jobs, "jobs", "id"),
    (CatalogTopic::Runs, "runs", "key"),
    (CatalogTopic::Lineage, "lineage_edges", "key"),
    (CatalogTopic::ColumnLineage, "column_lineage_edges", "key"),
    (CatalogTopic::Aliases, "aliases", "key"),
    (CatalogTopic::Quality, "dataset_quality", "key"),
    (CatalogTopic::Queries, "query_logs", "key"),
    (CatalogTopic::Usage, "dataset_usage_daily", "key"),
    (CatalogTopic::Changes, "changes", "id"),
];

/// Values as text by topic and key.
pub type Entries = BTreeMap<&'static str, BTreeMap<String, String>>;

/// What the log of changes tells of each entity, in its order.
pub type Told = BTreeMap<String, Vec<ChangeRecord>>;

/// What two catalogs differ in: keys that only one has, and how many values are not the same text.
pub fn differences(expected: &Entries, found: &Entries) -> String {
    let mut text = String::new();
    for (topic, expected) in expected {
        let found = &found[topic];
        let missing: Vec<_> = expected.iter().filter(|(key, _)| !found.contains_key(*key)).collect();
        let extra: Vec<_> = found.iter().filter(|(key, _)| !expected.contains_key(*key)).collect();
        if !missing.is_empty() || !extra.is_empty() {
            text.push_str(&format!("{topic}: {} missing, {} too many\n", missing.len(), extra.len()));
            missing.iter().take(10).for_each(|(key, value)| text.push_str(&format!("  - {key}: {value}\n")));
            extra.iter().take(10).for_each(|(key, value)| text.push_str(&format!("  + {key}: {value}\n")));
        }
        let changed = expected.iter().filter_map(|(key, value)| Some((key, value, found.get(key)?)));
        let changed = changed.map(|(key, value, other)| first_difference(key, value, other));
        changed.filter(|line| !line.is_empty()).take(10).for_each(|line| text.push_str(&line));
    }
    text
}

/// Where two texts part, origins apart.
pub fn first_difference(key: &str, value: &str, other: &str) -> String {
    let origin = Regex::new(r"Origin \{[^}]*\}").unwrap();
    let (value, other) = (origin.replace_all(value, "@"), origin.replace_all(other, "@"));
    let Some(at) = value.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at) else {
        return String::new();
    };
    let around = |text: &str| {
        let from = text[..at].char_indices().rev().nth(80).map_or(0, |(from, _)| from);
        text[from..].chars().take(240).collect::<String>()
    };
    format!("  ~ {key}\n      expected …{}\n      found    …{}\n", around(&value), around(&other))
}

/// As the store makes its hashes: the first 16 bytes of a SHA-256.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn row_hash(record: &CatalogRecord) -> String {
    // Without the frame of five bytes.
    short_hash(&encode_record(record, 0).unwrap()[5..])
}

impl Site {
    pub fn kafka(&self) -> KafkaConfig {
        KafkaConfig::plain(self.bootstrap_servers()).unwrap()
    }

    /// Decodes by the schemas that this site's registry holds.
    fn decoder(&self) -> Decoder {
        Decoder::new(Arc::new(RegistrySchemas(self.registry())))
    }

    /// Committed records of a topic: transaction markers and aborted records do not count.
    pub fn committed_records(&self, topics: &[&str]) -> u64 {
        let reader = LogReader::new(&self.kafka(), Isolation::Committed).unwrap();
        let mut count = 0;
        for topic in topics {
            reader.read_topic(topic, &mut |_| count += 1).unwrap();
        }
        count
    }

    /// Asserts that each table has exactly the rows of its topic's latest values, with the same content; for a site
    /// that is quiet. Returns the number of rows by table.
    pub fn assert_tables_equal_topics(&self) -> BTreeMap<&'static str, usize> {
        let reader = LogReader::new(&self.kafka(), Isolation::Committed).unwrap();
        let decoder = self.decoder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut counts = BTreeMap::new();
        for (topic, table, key) in TABLES {
            let mut expected: BTreeMap<String, String> = BTreeMap::new();
            snapshot::read_topic(&reader, &decoder, topic, &mut |name, value| {
                let row = match &value {
                    Some(CatalogRecord::Change(change)) => change.id.clone(),
                    _ if key == "id" => name,
                    _ => short_hash(name.as_bytes()),
                };
                match value {
                    Some(record) => expected.insert(row, row_hash(&record)),
                    None => expected.remove(&row),
                };
            })
            .unwrap();
            let found: BTreeMap<String, String> = runtime.block_on(self.rows(table, key));
            let missing: Vec<_> = expected.iter().filter(|(row, _)| !found.contains_key(*row)).take(5).collect();
            let extra: Vec<_> = found.iter().filter(|(row, _)| !expected.contains_key(*row)).take(5).collect();
            let other: Vec<_> =
                expected.iter().filter(|(row, hash)| found.get(*row).is_some_and(|f| f != *hash)).take(5).collect();
            assert!(
                found == expected,
                "{table} has {} rows, {} has {}; missing {missing:?}, extra {extra:?}, other content {other:?}",
                found.len(),
                topic.name(),
                expected.len(),
            );
            counts.insert(table, found.len());
        }
        counts
    }

    async fn rows(&self, table: &str, key: &str) -> BTreeMap<String, String> {
        let mut connection = PgConnection::connect(&self.stack.database_url().unwrap()).await.unwrap();
        let name = if key == "id" { key.to_owned() } else { format!("encode({key}, 'hex')") };
        let sql = format!("SELECT {name}, encode(row_hash, 'hex') FROM {table}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let count = rows.len();
        let rows: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(rows.len(), count, "keys of {table} are unique");
        rows
    }

    /// How often each fact that a raw record became was written, by a hash of all that it says, its origin included.
    /// Facts that fold has sent on to other entities are left out.
    pub fn facts_of_raw_records(&self) -> BTreeMap<String, u64> {
        let reader = LogReader::new(&self.kafka(), Isolation::Committed).unwrap();
        let decoder = self.decoder();
        let mut facts = BTreeMap::new();
        reader
            .read_topic("catalog.facts", &mut |record| {
                let fact = decoder.fact(record.value.as_deref().unwrap()).unwrap();
                if fact.via.is_empty() {
                    *facts.entry(short_hash(format!("{fact:?}").as_bytes())).or_default() += 1;
                }
            })
            .unwrap();
        facts
    }

    /// What is told of each entity. Asserts that no reader sees an id twice, and that the last change of a kind leads to
    /// what the head says; for a site that is quiet.
    pub fn told(&self) -> Told {
        let reader = LogReader::new(&self.kafka(), Isolation::Committed).unwrap();
        let decoder = self.decoder();
        let (mut told, mut ids) = (Told::new(), BTreeSet::new());
        snapshot::read_topic(&reader, &decoder, CatalogTopic::Changes, &mut |entity, value| {
            let Some(CatalogRecord::Change(change)) = value else { panic!("a change of {entity} has no value") };
            assert!(ids.insert(change.id.clone()), "told twice: {change:?}");
            told.entry(entity).or_default().push(*change);
        })
        .unwrap();
        let (mut heads, mut left) = (BTreeMap::<String, DatasetRecord>::new(), BTreeSet::new());
        snapshot::read_topic(&reader, &decoder, CatalogTopic::Datasets, &mut |id, value| match value {
            Some(CatalogRecord::Dataset(head)) => {
                heads.insert(id, *head);
            }
            _ => {
                left.insert(id);
            }
        })
        .unwrap();
        // A head that went away may come back otherwise than it was; that it is there again is what is told then.
        for (id, changes) in told.iter().filter(|(id, _)| !left.contains(*id)) {
            let Some(head) = heads.get(id) else { continue };
            let json = |value: serde_json::Result<String>| value.unwrap();
            let says = [
                ("description_changed", json(serde_json::to_string(&head.description))),
                ("owners_changed", json(serde_json::to_string(&head.owners))),
                ("tags_changed", json(serde_json::to_string(&head.tags))),
                ("location_changed", json(serde_json::to_string(&head.location))),
            ];
            for (kind, value) in says {
                let last = changes.iter().rev().find(|change| change.kind == kind);
                assert!(last.is_none_or(|last| last.after.as_deref() == Some(&*value)), "{value} in the end: {last:?}");
            }
        }
        told
    }

    /// Entities of which all facts come straight from one raw topic: each is told of in one order, however the stages
    /// take turns.
    pub fn entities_of_one_topic(&self) -> BTreeSet<String> {
        let reader = LogReader::new(&self.kafka(), Isolation::Committed).unwrap();
        let decoder = self.decoder();
        let mut topics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        reader
            .read_topic("catalog.facts", &mut |record| {
                let fact = decoder.fact(record.value.as_deref().unwrap()).unwrap();
                // That a path is a name of the table comes from elsewhere, and is not told as a change.
                let is_name = |entry: &Entry| {
                    matches!(entry.aspect, Aspect::Alias | Aspect::Joined | Aspect::Withdraw | Aspect::Resending)
                };
                if !fact.via.is_empty() && fact.entries.iter().all(is_name) {
                    return;
                }
                let by = if fact.via.is_empty() { fact.origin.topic } else { "forwarded".to_owned() };
                let topics = topics.entry(fact.entity.to_string()).or_default();
                topics.insert(by);
            })
            .unwrap();
        let only = |topics: &BTreeSet<String>| topics.len() == 1 && !topics.contains("forwarded");
        topics.into_iter().filter(|(_, topics)| only(topics)).map(|(entity, _)| entity).collect()
    }

    /// The latest value of each key of the catalog topics but the changes, for finding out why two digests differ.
    pub fn entries(&self) -> Entries {
        let reader = LogReader::new(&self.kafka(), Isolation::Committed).unwrap();
        let decoder = self.decoder();
        let topics = CatalogTopic::ALL.into_iter().filter(|topic| *topic != CatalogTopic::Changes);
        topics
            .map(|topic| {
                let latest = snapshot::latest(&reader, &decoder, topic).unwrap();
                (topic.name(), latest.into_iter().map(|(key, record)| (key, format!("{record:?}"))).collect())
            })
            .collect()
    }

    /// The registry, asked in this process.
    pub fn registry(&self) -> RegistryClient {
        let log = KafkaLog::new(self.kafka(), "_schemas", "tests");
        RegistryClient::InProcess(RegistryHandle::start(Arc::new(log), &RegistryOptions::default()).unwrap())
    }

    /// Rows that the sink has put aside: topic, partition, offset, reason.
    pub fn rejects(&self) -> Vec<(String, i32, i64, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.stack.database_url().unwrap()).await.unwrap();
            let sql = "SELECT topic, partition, record_offset, reason FROM sink_rejects";
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
        })
    }

    /// SQL transactions that their owners have left alone for a while.
    pub fn idle_transactions(&self) -> i64 {
        self.count(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
             AND clock_timestamp() - state_change > interval '300 ms'",
        )
    }

    /// Rows that the sink has put aside.
    pub fn rejected_rows(&self) -> i64 {
        self.count("SELECT count(*) FROM sink_rejects")
    }

    fn count(&self, sql: &'static str) -> i64 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.stack.database_url().unwrap()).await.unwrap();
            sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
        })
    }
}
