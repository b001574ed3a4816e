//! What an index holds, document by document: for comparing it with the topics it is made of.

use std::path::Path;

use tantivy::{Index, ReloadPolicy, TantivyDocument};

use super::SearchError;
use super::document::{self, Indexed};
use super::fields::{self, Fields};
use super::writer::{self, IndexPosition};

/// The last commit of an index that nobody writes.
pub struct IndexContent {
    index: Index,
    fields: Fields,
    positions: Vec<IndexPosition>,
}

impl IndexContent {
    /// The index in `folder`; `None` if there is none, or one that this program does not read.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(folder: &Path) -> Result<Option<Self>, SearchError> {
        let Some((index, positions)) = writer::existing(folder)? else { return Ok(None) };
        let (_, fields) = fields::schema();
        Ok(Some(Self { index, fields, positions }))
    }

    /// Where it stands.
    pub fn positions(&self) -> &[IndexPosition] {
        &self.positions
    }

    /// Hands out every document, in no order.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn each(&self, visit: &mut dyn FnMut(Indexed)) -> Result<(), SearchError> {
        let reader = self.index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        for segment in reader.searcher().segment_readers() {
            let store = segment.get_store_reader(1).map_err(tantivy::TantivyError::from)?;
            for document in store.iter::<TantivyDocument>(segment.alive_bitset()) {
                visit(document::read(&self.fields, &document?)?);
            }
        }
        Ok(())
    }
}
