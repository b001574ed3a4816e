//! The one writer of an index: gathers changes and commits them with the positions they bring it to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tantivy::directory::MmapDirectory;
use tantivy::{Index, IndexReader, ReloadPolicy, TantivyDocument, Term};

use super::document::{self, Indexed};
use super::fields::{self, FORMAT, Fields};
use super::query::Searcher;
use super::{SearchError, facets};
use crate::failpoint;
use crate::model::record::{DatasetRecord, DatasetStatsRecord};

/// Memory for documents that are not yet in a segment.
const WRITER_BYTES: usize = 64 << 20;

/// Where the index stands in a partition of a catalog topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IndexPosition {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Kafka's id of the topic, if it was known.
    pub topic_id: Option<String>,
    /// Offset of the next record.
    pub next_offset: i64,
}

/// The commit payload: what a commit stands for.
#[derive(Serialize, Deserialize)]
struct Payload {
    format: u32,
    positions: Vec<IndexPosition>,
}

/// A change of the index.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexOp {
    /// A dataset's new value.
    PutDataset(Box<DatasetRecord>),
    /// A dataset's tombstone.
    RemoveDataset(String),
    /// New statistics.
    PutStats(Box<DatasetStatsRecord>),
    /// A tombstone of statistics.
    RemoveStats(String),
}

impl IndexOp {
    /// The dataset's id.
    fn id(&self) -> &str {
        match self {
            Self::PutDataset(record) => &record.id,
            Self::PutStats(record) => &record.id,
            Self::RemoveDataset(id) | Self::RemoveStats(id) => id,
        }
    }
}

/// Writes an index. One per folder: tantivy holds a lock file.
pub struct IndexWriter {
    writer: tantivy::IndexWriter<TantivyDocument>,
    index: Index,
    reader: IndexReader,
    fields: Fields,
    /// Changes since the last commit, as they will stand.
    pending: BTreeMap<String, Indexed>,
    positions: Vec<IndexPosition>,
}

impl IndexWriter {
    /// Opens the index in `folder`, or makes one. An index of another format, a damaged one or one that cannot be
    /// opened is deleted and starts empty, without positions.
    ///
    /// # Errors
    /// If the folder cannot be used or another process writes the index.
    pub fn open(folder: &Path) -> Result<Self, SearchError> {
        let (index, positions) = match existing(folder)? {
            Some(found) => found,
            None => (create(folder)?, Vec::new()),
        };
        let (_, fields) = fields::schema();
        fields::prepare(&index);
        let writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { writer, index, reader, fields, pending: BTreeMap::new(), positions })
    }

    /// A searcher over what is committed; it sees each later commit of this writer.
    pub fn searcher(&self) -> Searcher {
        Searcher::new(self.index.clone(), self.reader.clone(), self.fields)
    }

    /// Where the last commit stands.
    pub fn positions(&self) -> &[IndexPosition] {
        &self.positions
    }

    /// How many documents the next commit will change.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes a change; nobody sees it before the next commit.
    ///
    /// # Errors
    /// If the document as it stands cannot be read.
    pub fn apply(&mut self, op: IndexOp) -> Result<(), SearchError> {
        let id = op.id().to_owned();
        let mut indexed = match self.pending.remove(&id) {
            Some(indexed) => indexed,
            None => self.committed(&id)?.unwrap_or_default(),
        };
        match op {
            IndexOp::PutDataset(record) => indexed.dataset = Some(*record),
            IndexOp::RemoveDataset(_) => indexed.dataset = None,
            IndexOp::PutStats(record) => indexed.stats = Some(*record),
            IndexOp::RemoveStats(_) => indexed.stats = None,
        }
        self.pending.insert(id, indexed);
        Ok(())
    }

    /// Makes all changes visible together with the positions they lead to.
    ///
    /// # Errors
    /// If the index cannot be written; then nothing of it is visible and the changes are kept for the next commit.
    pub fn commit(&mut self, positions: Vec<IndexPosition>) -> Result<(), SearchError> {
        for (id, indexed) in &self.pending {
            self.writer.delete_term(Term::from_field_text(self.fields.id, id));
            if indexed.dataset.is_some() || indexed.stats.is_some() {
                self.writer.add_document(document::build(&self.fields, self.index.tokenizers(), id, indexed)?)?;
            }
        }
        let payload = serde_json::to_string(&Payload { format: FORMAT, positions: positions.clone() })
            .expect("positions have no failing serializers");
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&payload);
        failpoint::hit("search.commit.before");
        prepared.commit()?;
        failpoint::hit("search.commit.after");
        self.reader.reload()?;
        self.pending.clear();
        self.positions = positions;
        Ok(())
    }

    /// Forgets the changes since the last commit.
    ///
    /// # Errors
    /// If the index cannot be rolled back.
    pub fn rollback(&mut self) -> Result<(), SearchError> {
        self.writer.rollback()?;
        self.pending.clear();
        Ok(())
    }

    fn committed(&self, id: &str) -> Result<Option<Indexed>, SearchError> {
        let searcher = self.reader.searcher();
        let Some(address) = facets::document_of(&searcher, self.fields.id, id)? else { return Ok(None) };
        let document: TantivyDocument = searcher.doc(address)?;
        document::read(&self.fields, &document).map(Some)
    }
}

/// The index in a folder and its positions, if it is one of ours and undamaged.
pub(super) fn existing(folder: &Path) -> Result<Option<(Index, Vec<IndexPosition>)>, SearchError> {
    if !folder.join("meta.json").exists() {
        return Ok(None);
    }
    let opened = Index::open_in_dir(folder).ok().filter(|index| index.schema() == fields::schema().0);
    let Some(index) = opened else { return Ok(None) };
    // Files are read in place, and whatever a damaged one says would be believed.
    if index.validate_checksum().map_or(true, |damaged| !damaged.is_empty()) {
        tracing::warn!(folder = %folder.display(), "the search index is damaged and is filled again from the topics");
        return Ok(None);
    }
    let Some(payload) = index.load_metas()?.payload else { return Ok(Some((index, Vec::new()))) };
    match serde_json::from_str::<Payload>(&payload) {
        Ok(payload) if payload.format == FORMAT => Ok(Some((index, payload.positions))),
        _ => Ok(None),
    }
}

fn create(folder: &Path) -> Result<Index, SearchError> {
    let fault = |source| SearchError::Folder { path: PathBuf::from(folder), source };
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(fault)?;
    }
    std::fs::create_dir_all(folder).map_err(fault)?;
    let directory = MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
    Ok(Index::create(directory, fields::schema().0, tantivy::IndexSettings::default())?)
}
