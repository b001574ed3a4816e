//! The digest: one hash per topic over the latest value of each key, for comparing two catalogs.
//!
//! Class A (heads, runs, lineage, …) is a pure function of the set of accepted facts, class B (schema histories) of the
//! input order, class C (changes, dead letters) is append-only. What may differ between equal catalogs is left out: origins
//! and offsets, forwarding paths, version ordinals, lateness. Pure: callers bring records, a clock if they want one.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::record::{CatalogRecord, CatalogTopic};

/// Fields that say where or in which order something arrived, not what is known; left out at every depth.
const ARRIVAL_FIELDS: [&str; 4] = ["origin", "via", "schema_version", "late"];

/// Maps whose keys are the users' own words: not searched for arrival fields.
const FREE_MAPS: [&str; 9] = [
    "properties",
    "constraints",
    "facets",
    "native",
    "dataset_versions",
    "dependencies",
    "column_stats",
    "columns",
    "filters",
];

/// Digest classes of the design, §9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum DigestClass {
    /// A pure function of the set of facts.
    A,
    /// A function of the order of input.
    B,
    /// Append-only.
    C,
}

/// The class of a topic.
pub fn class_of(topic: CatalogTopic) -> DigestClass {
    match topic {
        CatalogTopic::Schemas => DigestClass::B,
        CatalogTopic::Changes => DigestClass::C,
        _ => DigestClass::A,
    }
}

/// One line of a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicDigest {
    /// Topic name.
    pub topic: String,
    /// Its class.
    pub class: DigestClass,
    /// Live keys (class C: distinct records).
    pub entries: usize,
    /// SHA-256 over the sorted canonical entries, hex.
    pub sha256: String,
}

/// A digest of the whole catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// Per topic, in the topics' order.
    pub topics: Vec<TopicDigest>,
    /// Over all of class A, hex.
    pub class_a: String,
    /// Over all of class B, hex.
    pub class_b: String,
    /// Over all of class C, hex.
    pub class_c: String,
}

/// Collects records and hashes them; keeps one hash per key.
#[derive(Debug, Default)]
pub struct DigestBuilder {
    /// Only what has not expired at this time, microseconds.
    as_of: Option<i64>,
    topics: BTreeMap<CatalogTopic, BTreeMap<String, [u8; 32]>>,
    /// Append-only records, counted: a doubled one changes the digest.
    appended: BTreeMap<String, BTreeMap<[u8; 32], u64>>,
}

impl DigestBuilder {
    /// A digest of what readers see at `as_of` (microseconds), or of everything.
    pub fn new(as_of: Option<i64>) -> Self {
        Self { as_of, ..Self::default() }
    }

    /// Takes the next value of `key`, in log order; `None` is a tombstone.
    pub fn observe(&mut self, topic: CatalogTopic, key: &str, value: Option<&CatalogRecord>) {
        if class_of(topic) == DigestClass::C {
            if let Some(record) = value {
                self.observe_appended(topic.name(), &canonical(record).to_string());
            }
            return;
        }
        let entries = self.topics.entry(topic).or_default();
        match value {
            Some(record) if !self.as_of.is_some_and(|now| expired(record, now)) => {
                entries.insert(key.to_owned(), Sha256::digest(canonical(record).to_string()).into());
            }
            _ => {
                entries.remove(key);
            }
        }
    }

    /// Takes a record of an append-only log (class C), such as a dead letter, in a form that leaves out where it lies.
    pub fn observe_appended(&mut self, log: &str, canonical: &str) {
        *self.appended.entry(log.to_owned()).or_default().entry(Sha256::digest(canonical).into()).or_default() += 1;
    }

    /// The digest of everything observed.
    pub fn finish(self) -> Digest {
        let mut lines = Vec::new();
        for topic in CatalogTopic::ALL.into_iter().filter(|topic| class_of(*topic) != DigestClass::C) {
            let entries = self.topics.get(&topic);
            let mut hasher = Sha256::new();
            for (key, value) in entries.into_iter().flatten() {
                hasher.update((key.len() as u64).to_be_bytes());
                hasher.update(key);
                hasher.update(value);
            }
            lines.push(TopicDigest {
                topic: topic.name().to_owned(),
                class: class_of(topic),
                entries: entries.map_or(0, BTreeMap::len),
                sha256: hex(&hasher.finalize()),
            });
        }
        for (log, entries) in &self.appended {
            let mut hasher = Sha256::new();
            for (value, count) in entries {
                hasher.update(value);
                hasher.update(count.to_be_bytes());
            }
            lines.push(TopicDigest {
                topic: log.clone(),
                class: DigestClass::C,
                entries: entries.values().map(|count| *count as usize).sum(),
                sha256: hex(&hasher.finalize()),
            });
        }
        let combined = |class: DigestClass| {
            let mut hasher = Sha256::new();
            for line in lines.iter().filter(|line| line.class == class) {
                hasher.update(&line.topic);
                hasher.update(&line.sha256);
            }
            hex(&hasher.finalize())
        };
        Digest {
            class_a: combined(DigestClass::A),
            class_b: combined(DigestClass::B),
            class_c: combined(DigestClass::C),
            topics: lines,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.topics {
            writeln!(f, "{:?} {:<28} {:>8}  {}", line.class, line.topic, line.entries, line.sha256)?;
        }
        writeln!(f, "A {}", self.class_a)?;
        writeln!(f, "B {}", self.class_b)?;
        write!(f, "C {}", self.class_c)
    }
}

fn expired(record: &CatalogRecord, now: i64) -> bool {
    match record {
        CatalogRecord::Run(run) => run.expires_at <= now,
        CatalogRecord::Query(query) => query.expires_at <= now,
        CatalogRecord::Usage(usage) => usage.expires_at <= now,
        _ => false,
    }
}

/// What a digest sees of a record: its fields in canonical order, without those that say how it arrived.
pub fn canonical(record: &CatalogRecord) -> Value {
    let value = match record {
        CatalogRecord::Dataset(record) => serde_json::to_value(record),
        CatalogRecord::DatasetStats(record) => serde_json::to_value(record),
        CatalogRecord::Container(record) => serde_json::to_value(record),
        CatalogRecord::Partition(record) => serde_json::to_value(record),
        CatalogRecord::Function(record) => serde_json::to_value(record),
        CatalogRecord::SchemaVersion(record) => serde_json::to_value(record),
        CatalogRecord::Job(record) => serde_json::to_value(record),
        CatalogRecord::Run(record) => serde_json::to_value(record),
        CatalogRecord::Lineage(record) => serde_json::to_value(record),
        CatalogRecord::ColumnLineage(record) => serde_json::to_value(record),
        CatalogRecord::Alias(record) => serde_json::to_value(record),
        CatalogRecord::Quality(record) => serde_json::to_value(record),
        CatalogRecord::Query(record) => serde_json::to_value(record),
        CatalogRecord::Usage(record) => serde_json::to_value(record),
        CatalogRecord::Change(record) => serde_json::to_value(record),
    };
    let mut value = value.expect("catalog records have string keys only");
    strip_arrival(&mut value);
    value
}

fn strip_arrival(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !ARRIVAL_FIELDS.contains(&name.as_str()));
            for (name, field) in fields.iter_mut() {
                match (name.as_str(), field) {
                    // By aspect; aspects are called as the maps that hold them.
                    ("provenance", Value::Object(aspects)) => aspects.values_mut().for_each(strip_arrival),
                    (name, field) if !FREE_MAPS.contains(&name) => strip_arrival(field),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip_arrival),
        _ => {}
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fact::Origin;
    use crate::model::record::AliasRecord;

    fn alias(reason: &str, offset: i64) -> CatalogRecord {
        CatalogRecord::Alias(Box::new(AliasRecord {
            alias: "s3://b/a".into(),
            canonical: "hive://h:9083/d/t".into(),
            kind: "location".into(),
            valid_from: Some(1),
            valid_to: None,
            reason: reason.into(),
            origin: Origin { topic: "hms.notifications".into(), partition: 0, offset },
        }))
    }

    fn digest(values: &[(&str, Option<CatalogRecord>)]) -> Digest {
        let mut builder = DigestBuilder::new(None);
        for (key, value) in values {
            builder.observe(CatalogTopic::Aliases, key, value.as_ref());
        }
        builder.finish()
    }

    #[test]
    fn offsets_and_overwritten_values_do_not_count_but_content_does() {
        let plain = digest(&[("k", Some(alias("same", 1)))]);
        let later = digest(&[
            ("k", Some(alias("old", 1))),
            ("gone", Some(alias("x", 2))),
            ("gone", None),
            ("k", Some(alias("same", 9))),
        ]);
        assert_eq!(plain, later);
        assert_ne!(plain.class_a, digest(&[("k", Some(alias("other", 1)))]).class_a);
        assert_ne!(plain.class_a, digest(&[("l", Some(alias("same", 1)))]).class_a);
        assert_eq!(plain.class_b, digest(&[]).class_b);
    }

    #[test]
    fn where_an_aspect_came_from_does_not_count_whatever_it_is_called() {
        let stripped = |offset: i64| {
            let mut value = serde_json::json!({
                "properties": {"origin": "a word of the user"},
                "provenance": {"properties": {"source": "hms", "origin": {"offset": offset}}},
            });
            strip_arrival(&mut value);
            value
        };
        assert_eq!(stripped(1), stripped(2));
        assert_eq!(stripped(1)["properties"]["origin"], "a word of the user");
        assert_eq!(stripped(1)["provenance"]["properties"]["source"], "hms");
    }

    #[test]
    fn a_doubled_append_changes_class_c() {
        let of = |times: usize| {
            let mut builder = DigestBuilder::new(None);
            (0..times).for_each(|_| builder.observe_appended("x.dlq", "bytes"));
            builder.finish()
        };
        assert_ne!(of(1).class_c, of(2).class_c);
        assert_eq!(of(1).class_a, of(2).class_a);
    }
}
