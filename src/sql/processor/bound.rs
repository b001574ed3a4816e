//! The catalog as binding sees it: schemas by name, with a note of what was asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::schemas::{Known, Schemas};
use super::super::types::{Catalog, ColumnDef, TableName};
use super::names::Names;

/// Looks names up in the schemas of the catalog.
pub(super) struct Bound<'a> {
    schemas: &'a Schemas,
    names: &'a Names<'a>,
    asked: RefCell<BTreeMap<TableName, Option<Hash>>>,
}

/// Of the schema that a name was bound to: dataset and hash.
pub(super) type Hash = (Arc<str>, Arc<str>);

/// What was asked while a text was bound; as long as all of it is answered alike, so is the text.
pub(super) type Asked = Vec<(TableName, Option<Hash>)>;

impl<'a> Bound<'a> {
    pub fn new(schemas: &'a Schemas, names: &'a Names<'a>) -> Self {
        Self { schemas, names, asked: RefCell::default() }
    }

    /// Everything that was asked, sorted.
    pub fn asked(self) -> Asked {
        self.asked.into_inner().into_iter().collect()
    }

    /// Whether each name would be answered as it was.
    pub fn still_holds(&self, asked: &Asked) -> bool {
        asked.iter().all(|(table, hash)| match (self.known(table), hash) {
            (Some(known), Some((id, hash))) => known.id == *id && known.hash == *hash,
            (None, None) => true,
            _ => false,
        })
    }

    fn known(&self, table: &TableName) -> Option<&'a Known> {
        self.schemas.get(self.names.dataset(table)?.id.as_str())
    }

    fn look_up(&self, table: &TableName) -> Option<&'a Known> {
        let known = self.known(table);
        let hash = known.map(|known| (Arc::clone(&known.id), Arc::clone(&known.hash)));
        self.asked.borrow_mut().insert(table.clone(), hash);
        known
    }
}

impl Catalog for Bound<'_> {
    fn columns(&self, name: &TableName) -> Option<Arc<[ColumnDef]>> {
        let known = self.look_up(name)?;
        (!known.columns.is_empty()).then(|| Arc::clone(&known.columns))
    }

    /// Lineage ends at views: they are datasets of the catalog, with lineage of their own.
    fn view(&self, _name: &TableName) -> Option<Arc<str>> {
        None
    }
}
