//! From two derivations, before and after a fact, to what is published: only what a reader could notice.

use std::collections::BTreeMap;

use crate::model::fact::Origin;
use crate::model::record::{CatalogOutput, CatalogRecord, CatalogTopic};

/// Records of one entity by topic and key.
pub(super) type Derived = BTreeMap<(CatalogTopic, String), CatalogRecord>;

/// Publishes the differences. Both sides are pure functions of the registers, so nothing has to be remembered of
/// what was published before.
pub(super) fn publish(owner: &str, mut before: Derived, after: Derived, out: &mut Vec<CatalogOutput>) {
    for ((topic, key), record) in after {
        let old = before.remove(&(topic, key.clone()));
        if old.is_none_or(|old| differs(old, &record)) {
            out.push(CatalogOutput { topic, key, owner: owner.to_owned(), value: Some(record) });
        }
    }
    for (topic, key) in before.into_keys() {
        out.push(CatalogOutput { topic, key, owner: owner.to_owned(), value: None });
    }
}

fn differs(mut before: CatalogRecord, after: &CatalogRecord) -> bool {
    let mut after = after.clone();
    blank_origins(&mut before);
    blank_origins(&mut after);
    before != after
}

/// Removes what says only where a value came from: two records that differ in nothing else are the same.
pub fn blank_origins(record: &mut CatalogRecord) {
    let origin = match record {
        CatalogRecord::Dataset(r) => {
            for provenance in r.provenance.values_mut() {
                provenance.origin = nowhere();
            }
            &mut r.origin
        }
        CatalogRecord::DatasetStats(r) => &mut r.origin,
        CatalogRecord::Container(r) => &mut r.origin,
        CatalogRecord::Partition(r) => &mut r.origin,
        CatalogRecord::Function(r) => &mut r.origin,
        CatalogRecord::SchemaVersion(r) => &mut r.origin,
        CatalogRecord::Job(r) => &mut r.origin,
        CatalogRecord::Run(r) => &mut r.origin,
        CatalogRecord::Lineage(r) => &mut r.origin,
        CatalogRecord::ColumnLineage(r) => &mut r.origin,
        CatalogRecord::Alias(r) => &mut r.origin,
        CatalogRecord::Quality(r) => &mut r.origin,
        CatalogRecord::Change(r) => &mut r.origin,
    };
    *origin = nowhere();
}

fn nowhere() -> Origin {
    Origin { topic: String::new(), partition: 0, offset: 0 }
}
