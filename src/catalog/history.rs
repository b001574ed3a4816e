//! A dataset's schema history out of its records. Pure.

use std::collections::BTreeMap;

use super::view::{ColumnChangeView, SchemaColumn, SchemaHistory, SchemaVersionView, time};
use crate::model::record::SchemaVersionRecord;

/// The history of `canonical_id`: the authority's own sequence, and apart from it what others stated.
pub(super) fn history(
    dataset_id: &str,
    canonical_id: &str,
    authority: &str,
    records: Vec<SchemaVersionRecord>,
) -> SchemaHistory {
    let mut by_source: BTreeMap<String, Vec<SchemaVersionRecord>> = BTreeMap::new();
    for record in records {
        by_source.entry(record.source.clone()).or_default().push(record);
    }
    let views =
        |numbered: Vec<(i64, SchemaVersionView)>| numbered.into_iter().map(|(_, view)| view).collect::<Vec<_>>();
    let versions = views(numbered(by_source.remove(authority).unwrap_or_default()));
    let mut others: Vec<_> = by_source.into_values().flat_map(numbered).collect();
    others.sort_by(|(a_time, a), (b_time, b)| (a_time, &a.source, a.ordinal).cmp(&(b_time, &b.source, b.ordinal)));
    let others = views(others);
    SchemaHistory {
        dataset_id: dataset_id.to_owned(),
        canonical_id: canonical_id.to_owned(),
        authority: authority.to_owned(),
        total: versions.len(),
        versions,
        others,
    }
}

/// One source's versions in its own order. Numbers are ranks among what there is now, so a late version shifts them.
fn numbered(mut records: Vec<SchemaVersionRecord>) -> Vec<(i64, SchemaVersionView)> {
    records.sort_by(|a, b| a.version.cmp(&b.version));
    records.into_iter().enumerate().map(|(rank, record)| (record.time, version(rank + 1, record))).collect()
}

fn version(ordinal: usize, record: SchemaVersionRecord) -> SchemaVersionView {
    SchemaVersionView {
        ordinal,
        source: record.source,
        version: record.version,
        time: time(record.time),
        level: record.level,
        breaking: record.breaking,
        late: record.late,
        incarnation: record.incarnation,
        changes: record
            .changes
            .into_iter()
            .map(|change| ColumnChangeView {
                kind: change.kind,
                path: change.path,
                before: change.before,
                after: change.after,
                breaking: change.breaking,
            })
            .collect(),
        columns: record
            .columns
            .into_iter()
            .map(|column| SchemaColumn {
                path: column.path,
                data_type: column.data_type,
                nullable: column.nullable,
                description: column.description,
                partition_key: column.partition_key,
            })
            .collect(),
        schema_hash: record.schema_hash,
        origin: record.origin.into(),
    }
}
