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

/// Whether they differ in more than in where their values came from.
fn differs(mut before: CatalogRecord, after: &CatalogRecord) -> bool {
    if let (CatalogRecord::Dataset(before), CatalogRecord::Dataset(after)) = (&mut before, after) {
        for (aspect, provenance) in &mut before.provenance {
            if let Some(now) = after.provenance.get(aspect) {
                provenance.origin.clone_from(&now.origin);
            }
        }
    }
    origin_mut(&mut before).clone_from(origin(after));
    before != *after
}

/// Removes what says only where a value came from: two records that differ in nothing else are the same.
pub fn blank_origins(record: &mut CatalogRecord) {
    let nowhere = || Origin { topic: String::new(), partition: 0, offset: 0 };
    if let CatalogRecord::Dataset(record) = record {
        for provenance in record.provenance.values_mut() {
            provenance.origin = nowhere();
        }
    }
    *origin_mut(record) = nowhere();
}

/// Both accessors of the origin, which every record has.
macro_rules! origin_of {
    ($record:expr, $($reference:tt)+) => {
        match $record {
            CatalogRecord::Dataset(r) => $($reference)+ r.origin,
            CatalogRecord::DatasetStats(r) => $($reference)+ r.origin,
            CatalogRecord::Container(r) => $($reference)+ r.origin,
            CatalogRecord::Partition(r) => $($reference)+ r.origin,
            CatalogRecord::Function(r) => $($reference)+ r.origin,
            CatalogRecord::SchemaVersion(r) => $($reference)+ r.origin,
            CatalogRecord::Job(r) => $($reference)+ r.origin,
            CatalogRecord::Run(r) => $($reference)+ r.origin,
            CatalogRecord::Lineage(r) => $($reference)+ r.origin,
            CatalogRecord::ColumnLineage(r) => $($reference)+ r.origin,
            CatalogRecord::Alias(r) => $($reference)+ r.origin,
            CatalogRecord::Quality(r) => $($reference)+ r.origin,
            CatalogRecord::Query(r) => $($reference)+ r.origin,
            CatalogRecord::Usage(r) => $($reference)+ r.origin,
            CatalogRecord::Change(r) => $($reference)+ r.origin,
        }
    };
}

fn origin(record: &CatalogRecord) -> &Origin {
    origin_of!(record, &)
}

fn origin_mut(record: &mut CatalogRecord) -> &mut Origin {
    origin_of!(record, &mut)
}
