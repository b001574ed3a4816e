//! A batch of records as a fixed sequence of statements, table by table.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};

use super::rows::{OnConflict, Rows};
use super::tables::{DatasetHashes, RowWriter, child_hash};
use super::{BatchOutcome, Prepared, queries};
use crate::model::fact::{Origin, Owner};
use crate::model::record::{CatalogRecord, CatalogTopic, DatasetRecord};
use crate::store::text::Cleaner;

/// Writes `prepared`, which is sorted by topic and key and has no key twice.
pub(super) async fn apply(
    connection: &mut PgConnection,
    prepared: &[Prepared<'_>],
    outcome: &mut BatchOutcome,
) -> Result<(), sqlx::Error> {
    let mut cleaner = Cleaner::default();
    for part in prepared.chunk_by(|a, b| a.write.topic == b.write.topic) {
        let Some(topic) = part.first().map(|first| first.write.topic) else { continue };
        let gone: Vec<&Prepared<'_>> = part.iter().filter(|p| p.write.value.is_none()).collect();
        if !gone.is_empty() {
            delete(connection, topic, &gone).await?;
            outcome.deleted += gone.len() as u64;
        }
        let values = (part.len() - gone.len()) as u64;
        if values == 0 {
            continue;
        }
        let changed = match topic {
            CatalogTopic::Datasets => datasets(connection, part, &mut cleaner).await?,
            CatalogTopic::Containers | CatalogTopic::Jobs => with_owners(connection, topic, part, &mut cleaner).await?,
            CatalogTopic::Queries => queries::write(connection, part, &mut cleaner).await?,
            _ => plain(topic, part, &mut cleaner).write(connection).await?,
        };
        outcome.written += changed;
        outcome.unchanged += values.saturating_sub(changed);
    }
    outcome.replaced_zeros += cleaner.replaced;
    Ok(())
}

/// Table and key column of a topic.
fn table(topic: CatalogTopic) -> (&'static str, &'static str) {
    match topic {
        CatalogTopic::Datasets => ("datasets", "id"),
        CatalogTopic::DatasetStats => ("dataset_stats", "id"),
        CatalogTopic::Containers => ("containers", "id"),
        CatalogTopic::Partitions => ("partitions", "key"),
        CatalogTopic::Functions => ("functions", "id"),
        CatalogTopic::Schemas => ("schema_versions", "key"),
        CatalogTopic::Jobs => ("jobs", "id"),
        CatalogTopic::Runs => ("runs", "key"),
        CatalogTopic::Lineage => ("lineage_edges", "key"),
        CatalogTopic::ColumnLineage => ("column_lineage_edges", "key"),
        CatalogTopic::Aliases => ("aliases", "key"),
        CatalogTopic::Quality => ("dataset_quality", "key"),
        CatalogTopic::Queries => ("query_logs", "key"),
        CatalogTopic::Usage => ("dataset_usage_daily", "key"),
        CatalogTopic::Changes => ("changes", "id"),
    }
}

async fn delete(connection: &mut PgConnection, topic: CatalogTopic, gone: &[&Prepared<'_>]) -> Result<(), sqlx::Error> {
    if topic == CatalogTopic::Queries {
        return queries::delete(connection, gone).await;
    }
    let ids: Vec<&str> = gone.iter().map(|p| p.write.key.as_str()).collect();
    let keys: Vec<[u8; 16]> = gone.iter().map(|p| p.key_hash).collect();
    let by_id: &[&'static str] = match topic {
        CatalogTopic::Datasets => &[
            "DELETE FROM datasets WHERE id = ANY($1)",
            "DELETE FROM columns WHERE dataset_id = ANY($1)",
            "DELETE FROM dataset_tags WHERE dataset_id = ANY($1)",
            "DELETE FROM column_tags WHERE dataset_id = ANY($1)",
            "DELETE FROM owners WHERE entity_id = ANY($1) AND entity_kind = 'dataset'",
        ],
        CatalogTopic::DatasetStats => &["DELETE FROM dataset_stats WHERE id = ANY($1)"],
        CatalogTopic::Containers => &[
            "DELETE FROM containers WHERE id = ANY($1)",
            "DELETE FROM owners WHERE entity_id = ANY($1) AND entity_kind = 'container'",
        ],
        CatalogTopic::Functions => &["DELETE FROM functions WHERE id = ANY($1)"],
        CatalogTopic::Jobs => &[
            "DELETE FROM jobs WHERE id = ANY($1)",
            "DELETE FROM owners WHERE entity_id = ANY($1) AND entity_kind = 'job'",
        ],
        // Others are found by their key's hash. A tombstone among changes names an entity, not a change: it says nothing.
        _ => &[],
    };
    for sql in by_id {
        sqlx::query(*sql).bind(&ids).execute(&mut *connection).await?;
    }
    let by_key = match topic {
        CatalogTopic::Partitions => "DELETE FROM partitions WHERE key = ANY($1)",
        CatalogTopic::Schemas => "DELETE FROM schema_versions WHERE key = ANY($1)",
        CatalogTopic::Runs => "DELETE FROM runs WHERE key = ANY($1)",
        CatalogTopic::Lineage => "DELETE FROM lineage_edges WHERE key = ANY($1)",
        CatalogTopic::ColumnLineage => "DELETE FROM column_lineage_edges WHERE key = ANY($1)",
        CatalogTopic::Aliases => "DELETE FROM aliases WHERE key = ANY($1)",
        CatalogTopic::Quality => "DELETE FROM dataset_quality WHERE key = ANY($1)",
        CatalogTopic::Usage => "DELETE FROM dataset_usage_daily WHERE key = ANY($1)",
        _ => return Ok(()),
    };
    sqlx::query(by_key).bind(&keys).execute(&mut *connection).await?;
    Ok(())
}

/// Rows of the topics that have no child tables.
fn plain<'a>(topic: CatalogTopic, part: &'a [Prepared<'a>], cleaner: &mut Cleaner) -> Rows<'a> {
    let (name, key) = table(topic);
    let mut rows = Rows::new(name, key, OnConflict::ReplaceIfChanged);
    for p in part {
        let mut row = RowWriter { rows: &mut rows, cleaner };
        match &p.write.value {
            Some(CatalogRecord::DatasetStats(r)) => row.stats(r, p.row_hash),
            Some(CatalogRecord::Partition(r)) => row.partition(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::Function(r)) => row.function(r, p.row_hash),
            Some(CatalogRecord::SchemaVersion(r)) => row.schema_version(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::Run(r)) => row.run(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::Lineage(r)) => row.lineage(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::ColumnLineage(r)) => row.column_lineage(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::Alias(r)) => row.alias(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::Quality(r)) => row.quality(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::Usage(r)) => row.usage(p.key_hash, r, p.row_hash),
            Some(CatalogRecord::Change(r)) => row.change(r, p.row_hash),
            // Written by their own functions; `check` has made sure that records lie in their topics.
            Some(
                CatalogRecord::Dataset(_)
                | CatalogRecord::Container(_)
                | CatalogRecord::Job(_)
                | CatalogRecord::Query(_),
            )
            | None => {}
        }
    }
    rows
}

/// Ordinals of child rows: their place in the record's list.
fn ordinal(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

async fn datasets(
    connection: &mut PgConnection,
    part: &[Prepared<'_>],
    cleaner: &mut Cleaner,
) -> Result<u64, sqlx::Error> {
    let records: Vec<(&DatasetRecord, &Prepared<'_>)> = part
        .iter()
        .filter_map(|p| match &p.write.value {
            Some(CatalogRecord::Dataset(record)) => Some((&**record, p)),
            _ => None,
        })
        .collect();
    let ids: Vec<&str> = records.iter().map(|(record, _)| record.id.as_str()).collect();
    let stored = stored_hashes(connection, &ids).await?;

    let mut rows = Rows::new("datasets", "id", OnConflict::ReplaceIfChanged);
    let mut columns = ChildRows::new("columns");
    let mut dataset_tags = ChildRows::new("dataset_tags");
    let mut column_tags = ChildRows::new("column_tags");
    let mut owners = ChildRows::new("owners");
    for (record, p) in &records {
        let before = stored.get(record.id.as_str());
        if before.is_some_and(|before| before.row == p.row_hash) {
            // The children are of the same content.
            continue;
        }
        let before = before.map(|before| before.children);
        let hashes = DatasetHashes {
            columns: child_hash(&record.columns),
            tags: child_hash(&record.tags),
            owners: child_hash(&record.owners),
        };
        RowWriter { rows: &mut rows, cleaner }.dataset(record, p.row_hash, &hashes);
        let is_new = before.is_none();
        if before.is_none_or(|before| before.columns != hashes.columns) {
            columns.replace(&record.id, is_new);
            for (index, column) in record.columns.iter().enumerate() {
                RowWriter { rows: &mut columns.rows, cleaner }.column(record, ordinal(index), column);
            }
        }
        if before.is_none_or(|before| before.tags != hashes.tags) {
            dataset_tags.replace(&record.id, is_new);
            column_tags.replace(&record.id, is_new);
            for (index, tag) in record.tags.iter().enumerate() {
                let (index, key, value) = (ordinal(index), tag.key.as_str(), tag.value.as_str());
                match tag.field.as_deref() {
                    None => RowWriter { rows: &mut dataset_tags.rows, cleaner }.dataset_tag(record, index, key, value),
                    Some(path) => {
                        RowWriter { rows: &mut column_tags.rows, cleaner }.column_tag(record, index, path, key, value);
                    }
                }
            }
        }
        if before.is_none_or(|before| before.owners != hashes.owners) {
            owners.replace(&record.id, is_new);
            add_owners(&mut owners.rows, cleaner, "dataset", &record.id, &record.owners, &record.origin);
        }
    }
    let changed = rows.write(connection).await?;
    columns.write(connection, "DELETE FROM columns WHERE dataset_id = ANY($1)").await?;
    dataset_tags.write(connection, "DELETE FROM dataset_tags WHERE dataset_id = ANY($1)").await?;
    column_tags.write(connection, "DELETE FROM column_tags WHERE dataset_id = ANY($1)").await?;
    owners.write(connection, "DELETE FROM owners WHERE entity_id = ANY($1) AND entity_kind = 'dataset'").await?;
    Ok(changed)
}

/// What a dataset's rows were written from.
struct StoredHashes {
    row: [u8; 16],
    children: DatasetHashes,
}

async fn stored_hashes(
    connection: &mut PgConnection,
    ids: &[&str],
) -> Result<HashMap<String, StoredHashes>, sqlx::Error> {
    let sql = "SELECT id, row_hash, columns_hash, tags_hash, owners_hash FROM datasets WHERE id = ANY($1)";
    let stored = sqlx::query(sql).bind(ids).fetch_all(connection).await?;
    stored
        .iter()
        .map(|row| {
            let children = DatasetHashes { columns: row.try_get(2)?, tags: row.try_get(3)?, owners: row.try_get(4)? };
            Ok((row.try_get(0)?, StoredHashes { row: row.try_get(1)?, children }))
        })
        .collect()
}

/// Containers and jobs: their row and their owners.
async fn with_owners(
    connection: &mut PgConnection,
    topic: CatalogTopic,
    part: &[Prepared<'_>],
    cleaner: &mut Cleaner,
) -> Result<u64, sqlx::Error> {
    let (name, key) = table(topic);
    let (kind, select, delete) = match topic {
        CatalogTopic::Containers => (
            "container",
            "SELECT id, row_hash, owners_hash FROM containers WHERE id = ANY($1)",
            "DELETE FROM owners WHERE entity_id = ANY($1) AND entity_kind = 'container'",
        ),
        _ => (
            "job",
            "SELECT id, row_hash, owners_hash FROM jobs WHERE id = ANY($1)",
            "DELETE FROM owners WHERE entity_id = ANY($1) AND entity_kind = 'job'",
        ),
    };
    let ids: Vec<&str> = part.iter().map(|p| p.write.key.as_str()).collect();
    let mut stored: HashMap<String, ([u8; 16], [u8; 16])> = HashMap::new();
    for row in sqlx::query(select).bind(ids).fetch_all(&mut *connection).await? {
        stored.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
    }
    let mut rows = Rows::new(name, key, OnConflict::ReplaceIfChanged);
    let mut owner_rows = ChildRows::new("owners");
    for p in part {
        let (id, owners, origin) = match &p.write.value {
            Some(CatalogRecord::Container(r)) => (&r.id, &r.owners, &r.origin),
            Some(CatalogRecord::Job(r)) => (&r.id, &r.owners, &r.origin),
            _ => continue,
        };
        let before = stored.get(id);
        if before.is_some_and(|(row, _)| *row == p.row_hash) {
            continue;
        }
        let hash = child_hash(owners);
        let mut row = RowWriter { rows: &mut rows, cleaner };
        match &p.write.value {
            Some(CatalogRecord::Container(r)) => row.container(r, p.row_hash, hash),
            Some(CatalogRecord::Job(r)) => row.job(r, p.row_hash, hash),
            _ => {}
        }
        if before.is_none_or(|(_, owners)| *owners != hash) {
            owner_rows.replace(id, before.is_none());
            add_owners(&mut owner_rows.rows, cleaner, kind, id, owners, origin);
        }
    }
    let changed = rows.write(connection).await?;
    owner_rows.write(connection, delete).await?;
    Ok(changed)
}

fn add_owners<'a>(
    rows: &mut Rows<'a>,
    cleaner: &mut Cleaner,
    kind: &'static str,
    id: &'a str,
    owners: &'a [Owner],
    origin: &'a Origin,
) {
    for (index, owner) in owners.iter().enumerate() {
        RowWriter { rows, cleaner }.owner(kind, id, ordinal(index), owner, origin);
    }
}

/// Child rows of some parents.
struct ChildRows<'a> {
    rows: Rows<'a>,
    /// The parents that lose the rows they have.
    replaced: Vec<&'a str>,
}

impl<'a> ChildRows<'a> {
    fn new(table: &'static str) -> Self {
        Self { rows: Rows::new(table, "", OnConflict::Fail), replaced: Vec::new() }
    }

    /// Announces the rows of a parent. A new one has none yet: they go with their parent.
    fn replace(&mut self, parent: &'a str, is_new: bool) {
        if !is_new {
            self.replaced.push(parent);
        }
    }

    async fn write(self, connection: &mut PgConnection, delete: &'static str) -> Result<(), sqlx::Error> {
        if !self.replaced.is_empty() {
            sqlx::query(delete).bind(&self.replaced).execute(&mut *connection).await?;
        }
        self.rows.write(connection).await?;
        Ok(())
    }
}
