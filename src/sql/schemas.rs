//! What is known of the catalog's datasets where SQL is bound: columns and view texts by dataset id.
//!
//! Filled from the records of `catalog.datasets`, whoever reads them. Columns are taken over only where a source has named
//! all of them: a star over a part of a table's columns would be a wrong answer. Names are kept once each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::types::ColumnDef;
use crate::model::record::DatasetRecord;

/// Columns that are kept of all datasets together: some 500 MB.
const MAX_COLUMNS: usize = 8_000_000;

/// A dataset as far as binding asks.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its id.
    pub id: Arc<str>,
    /// Its columns, in order; empty if they are not known.
    pub columns: Arc<[ColumnDef]>,
    /// Its defining query, if it is a view.
    pub view: Option<Arc<str>>,
    /// Of columns and view text: 16 hex digits.
    pub hash: Arc<str>,
}

/// The schemas of the catalog's datasets.
#[derive(Debug)]
pub struct Schemas {
    by_id: HashMap<Arc<str>, Entry>,
    /// Other ids of a dataset.
    others: HashMap<Arc<str>, Arc<str>>,
    texts: HashSet<Arc<str>>,
    columns: usize,
    most_columns: usize,
    left_out: u64,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    others: Box<[Arc<str>]>,
}

impl Default for Schemas {
    fn default() -> Self {
        Self::with_limit(MAX_COLUMNS)
    }
}

impl Schemas {
    /// Nothing yet; keeps up to `most_columns` columns.
    pub fn with_limit(most_columns: usize) -> Self {
        Self {
            by_id: HashMap::new(),
            others: HashMap::new(),
            texts: HashSet::new(),
            columns: 0,
            most_columns,
            left_out: 0,
        }
    }

    /// Takes over the newest record of a dataset.
    pub fn put(&mut self, record: &DatasetRecord) {
        self.remove(&record.id);
        let view = record.view_expanded.as_deref().or(record.view_original.as_deref());
        let top = record.columns.iter().filter(|column| column.depth == 0 && !record.authority.is_empty());
        let count = top.clone().count();
        if count == 0 && view.is_none() {
            return;
        }
        if self.columns + count > self.most_columns {
            self.left_out += 1;
            return;
        }
        let mut hash = Sha256::new();
        let mut columns = Vec::with_capacity(count);
        for column in top {
            hash.update(column.name.as_bytes());
            hash.update([0]);
            hash.update(column.data_type.as_bytes());
            hash.update([0]);
            columns.push(ColumnDef { name: self.text(&column.name), data_type: self.text(&column.data_type) });
        }
        hash.update(view.unwrap_or_default().as_bytes());
        let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.columns += count;
        let id: Arc<str> = record.id.as_str().into();
        let others: Box<[Arc<str>]> = record.aliases.iter().map(|other| other.as_str().into()).collect();
        for other in &others {
            self.others.insert(Arc::clone(other), Arc::clone(&id));
        }
        let known =
            Known { id: Arc::clone(&id), columns: columns.into(), view: view.map(Arc::from), hash: hash.into() };
        self.by_id.insert(id, Entry { known, others });
    }

    /// Forgets a dataset.
    pub fn remove(&mut self, id: &str) {
        let Some(entry) = self.by_id.remove(id) else { return };
        self.columns -= entry.known.columns.len();
        for other in &entry.others {
            if self.others.get(other).is_some_and(|to| **to == *id) {
                self.others.remove(other);
            }
        }
    }

    /// What is known of the dataset with this id, or with this as one of its other ids.
    pub fn get(&self, id: &str) -> Option<&Known> {
        let entry = self.by_id.get(id).or_else(|| self.by_id.get(self.others.get(id)?));
        entry.map(|entry| &entry.known)
    }

    /// Datasets of which something is known.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Records that were not taken over because there are too many columns already.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// One copy of each name and type: there are few distinct ones.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.texts.get(text) {
            return Arc::clone(kept);
        }
        let kept: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&kept));
        kept
    }
}

#[cfg(test)]
pub(in crate::sql) mod tests {
    use super::*;
    use crate::model::fact::Origin;
    use crate::model::record::ColumnRecord;

    /// A dataset's record with these columns.
    pub(in crate::sql) fn dataset(id: &str, columns: &[&str]) -> DatasetRecord {
        let column = |(ordinal, name): (usize, &&str)| ColumnRecord {
            path: (*name).to_owned(),
            name: (*name).to_owned(),
            ordinal: ordinal as i32,
            data_type: "int".to_owned(),
            ..ColumnRecord::default()
        };
        DatasetRecord {
            id: id.to_owned(),
            platform: String::new(),
            name: String::new(),
            container: None,
            kind: "table".to_owned(),
            existence: "confirmed".to_owned(),
            incarnation: 1,
            names: Vec::new(),
            aliases: Vec::new(),
            columns: columns.iter().enumerate().map(column).collect(),
            authority: "hms/x".to_owned(),
            schema_version: 1,
            description: None,
            owners: Vec::new(),
            tags: Vec::new(),
            location: None,
            format: None,
            table_format: None,
            properties: Default::default(),
            view_original: None,
            view_expanded: None,
            constraints: Default::default(),
            facets: Default::default(),
            native: Default::default(),
            issues: Vec::new(),
            provenance: Default::default(),
            first_seen: 0,
            last_seen: 0,
            origin: Origin { topic: String::new(), partition: 0, offset: 0 },
        }
    }

    fn names(schemas: &Schemas, id: &str) -> Vec<String> {
        schemas.get(id).map(|known| known.columns.iter().map(|c| c.name.to_string()).collect()).unwrap_or_default()
    }

    #[test]
    fn the_newest_record_counts_and_other_ids_lead_to_it() {
        let mut schemas = Schemas::default();
        let mut record = dataset("hive://h/db/t", &["a", "b"]);
        record.aliases = vec!["s3://b/t".to_owned()];
        schemas.put(&record);
        assert_eq!(names(&schemas, "hive://h/db/t"), ["a", "b"]);
        assert_eq!(names(&schemas, "s3://b/t"), ["a", "b"]);
        let before = schemas.get("s3://b/t").unwrap().hash.clone();
        schemas.put(&dataset("hive://h/db/t", &["a", "c"]));
        assert_eq!(names(&schemas, "hive://h/db/t"), ["a", "c"]);
        assert_ne!(schemas.get("hive://h/db/t").unwrap().hash, before);
        assert!(schemas.get("s3://b/t").is_none());
        schemas.remove("hive://h/db/t");
        assert!(schemas.is_empty() && schemas.columns == 0);
    }

    #[test]
    fn a_part_of_the_columns_is_not_taken_for_all() {
        let mut schemas = Schemas::default();
        let mut record = dataset("hive://h/db/t", &["a"]);
        record.authority = String::new();
        schemas.put(&record);
        assert!(schemas.get("hive://h/db/t").is_none());
        record.view_original = Some("select 1".to_owned());
        schemas.put(&record);
        let known = schemas.get("hive://h/db/t").unwrap();
        assert!(known.columns.is_empty() && known.view.as_deref() == Some("select 1"));
    }

    #[test]
    fn it_holds_so_many_columns_and_counts_what_it_leaves_out() {
        let mut schemas = Schemas::with_limit(3);
        schemas.put(&dataset("hive://h/db/a", &["a", "b"]));
        schemas.put(&dataset("hive://h/db/b", &["a", "b"]));
        assert_eq!((schemas.len(), schemas.left_out()), (1, 1));
        schemas.remove("hive://h/db/a");
        schemas.put(&dataset("hive://h/db/b", &["a", "b"]));
        assert_eq!((schemas.len(), schemas.left_out()), (1, 1));
    }
}
