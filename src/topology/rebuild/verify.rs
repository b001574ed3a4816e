//! Compares a view with the topics that it was built from, at the position where it stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::digest::{Digest, DigestBuilder};
use crate::codec::avro::DecodeError;
use crate::graph::EdgeKey;
use crate::kafka::{Isolation, LogReader, Record};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::topology::quiet::Offsets;

use super::fill::marks;
use super::{RebuildError, Source};

/// Hands out the catalog records of `topics` up to `position`, in log order per partition; records that nobody can decode
/// are left out, as sinks put them aside.
pub(super) fn read_topics(
    source: &Source,
    topics: &[CatalogTopic],
    position: &Offsets,
    each: &mut dyn FnMut(CatalogTopic, &str, Option<CatalogRecord>),
) -> Result<(), RebuildError> {
    let reader = LogReader::new(&source.kafka, Isolation::Committed)?;
    for topic in topics {
        let log = marks(reader.admin(), &[topic.name().to_owned()])?;
        for (partition, low) in log.low {
            let Some(to) = position.get(&partition) else { continue };
            let mut failure: Option<RebuildError> = None;
            reader.read_range(&partition, low, *to, &mut |record: Record| {
                if failure.is_some() {
                    return;
                }
                let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { return };
                match record.value.as_deref().map(|value| source.decoder.record(*topic, value)).transpose() {
                    Ok(value) => each(*topic, key, value),
                    Err(DecodeError::Rejected(_)) => {}
                    Err(unavailable) => failure = Some(RebuildError::Missing(unavailable.to_string())),
                }
            })?;
            if let Some(error) = failure {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// The key under which a table or the graph knows a record: the id, or the hash of the Kafka key.
pub(super) fn view_key(topic: CatalogTopic, key: &str) -> String {
    match topic {
        CatalogTopic::Datasets
        | CatalogTopic::DatasetStats
        | CatalogTopic::Containers
        | CatalogTopic::Functions
        | CatalogTopic::Jobs
        | CatalogTopic::Changes => key.to_owned(),
        _ => EdgeKey::of(key).0.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Two digests of the same topics: nothing if classes A and B are equal, else what differs.
pub(super) fn differences(topics: &Digest, view: &Digest) -> Vec<String> {
    if topics.class_a == view.class_a && topics.class_b == view.class_b {
        return Vec::new();
    }
    let found: BTreeMap<&str, _> = view.topics.iter().map(|line| (line.topic.as_str(), line)).collect();
    let lines = topics.topics.iter().filter_map(|line| {
        let other = found.get(line.topic.as_str())?;
        (other.sha256 != line.sha256).then(|| {
            format!(
                "{}: {} entries in the topic, {} in the view, or other contents",
                line.topic, line.entries, other.entries
            )
        })
    });
    lines.collect()
}

/// A digest as a person compares it.
pub(super) fn said(digest: &Digest) -> String {
    let short = |hash: &str| hash.chars().take(16).collect::<String>();
    format!("digests A {}… and B {}… are those of the topics", short(&digest.class_a), short(&digest.class_b))
}

/// Digests of topics and view, filled in by the two readers of a comparison.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) topics: DigestBuilder,
    pub(super) view: DigestBuilder,
    /// Changes that the topics hold and the view does not: those are append-only, and the view may know older ones.
    pub(super) missing_changes: BTreeSet<String>,
}

impl Comparison {
    pub(super) fn finish(self, view: &'static str) -> Result<String, RebuildError> {
        let (topics, found) = (self.topics.finish(), self.view.finish());
        let mut differences = differences(&topics, &found);
        if let Some(first) = self.missing_changes.first() {
            differences.push(format!("{} changes are missing, {first} among them", self.missing_changes.len()));
        }
        if differences.is_empty() { Ok(said(&topics)) } else { Err(RebuildError::Differs { view, differences }) }
    }
}
