//! The lineage graph in memory: datasets and columns, both directions, names resolved, changed edge by edge.
//!
//! Pure. Fed with records of `catalog.lineage`, `catalog.column-lineage`, `catalog.aliases` and with the existence of
//! datasets, in any order; its state depends only on the latest record of each key. May not know Kafka, the store or
//! who asks. Edges keep the ends that were reported; walks see the canonical ones, by the aliases that held when the
//! edge was last seen.

mod alias;
mod columns;
mod fingerprint;
mod layer;
mod names;
mod paths;
mod walk;

#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use crate::model::edge::{ColumnEdgeRef, TableEdgeRef};
use crate::model::fact::Origin;
use crate::model::record::{AliasRecord, ColumnLineageRecord, LineageRecord};

use alias::Aliases;
use columns::Columns;
use layer::{Ends, Layer};
use names::{Interner, NameId, Part};

pub use paths::{ColumnPath, PathLimits, PathStep};
pub use walk::{Direction, Level, Supporter, Walk, WalkEdge, WalkLimits, WalkNode};

/// Most edges that room is made for unseen: the number is an estimate, and may be far off.
const MOST_RESERVED: usize = 4 << 20;

/// Identity of an edge or alias: the first 16 bytes of the SHA-256 of its Kafka key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey(pub [u8; 16]);

impl EdgeKey {
    /// Of a Kafka key.
    pub fn of(key: &str) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(digest.get(..16).expect("a SHA-256 has 32 bytes"));
        Self(short)
    }
}

/// What a dataset is to lineage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeKind {
    /// Known, or only mentioned.
    #[default]
    Plain,
    /// Ephemeral: walks pass through it and do not show it.
    Virtual,
    /// Matches an ignore pattern: walks stop before it.
    Ignored,
}

impl NodeKind {
    /// From the existence of a dataset record.
    pub fn from_existence(existence: &str) -> Self {
        match existence {
            "virtual" => Self::Virtual,
            "ignored" => Self::Ignored,
            _ => Self::Plain,
        }
    }
}

/// What an edge says besides its ends.
#[derive(Clone, Debug, PartialEq)]
struct EdgeInfo {
    job: NameId,
    kind: NameId,
    confidence: i32,
    stale: bool,
    /// Microseconds; the aliases that hold at this time give the edge its ends. A column edge may have that of the table
    /// edge beside it; where neither is known, it is `i64::MAX` and the newest hold.
    last_seen: i64,
    /// The time is that of the table edge.
    is_borrowed: bool,
    /// Transformations, joined by `,`; empty for table edges.
    transformations: NameId,
    masking: bool,
    origin_topic: NameId,
    origin_partition: i32,
    origin_offset: i64,
}

/// How large the graph is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphSize {
    /// Table edges.
    pub edges: usize,
    /// Column edges.
    pub column_edges: usize,
    /// Aliases.
    pub aliases: usize,
    /// Datasets named by any of them.
    pub datasets: usize,
}

/// The lineage graph.
#[derive(Debug, Default)]
pub struct Graph {
    names: Interner,
    aliases: Aliases,
    kinds: Vec<NodeKind>,
    tables: Layer,
    columns: Columns,
    fields: Layer,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for so many more table and column edges: growing step by step would hold the larger part of them twice for
    /// a moment.
    pub fn reserve(&mut self, edges: usize, column_edges: usize) {
        self.tables.reserve(edges.min(MOST_RESERVED));
        self.fields.reserve(column_edges.min(MOST_RESERVED));
    }

    /// How large it is.
    pub fn size(&self) -> GraphSize {
        GraphSize {
            edges: self.tables.len(),
            column_edges: self.fields.len(),
            aliases: self.aliases.len(),
            datasets: self.tables.nodes(),
        }
    }

    /// Adds or replaces a table edge.
    pub fn put_lineage(&mut self, key: EdgeKey, record: &LineageRecord) {
        self.put_table_edge(key, record.into());
    }

    /// As [`Self::put_lineage`], of borrowed parts.
    pub fn put_table_edge(&mut self, key: EdgeKey, edge: TableEdgeRef<'_>) {
        let info = EdgeInfo {
            job: self.names.part(Part::Job, edge.job),
            kind: self.names.part(Part::Kind, edge.kind),
            confidence: edge.confidence,
            stale: edge.stale,
            last_seen: edge.last_seen,
            is_borrowed: false,
            transformations: self.names.part(Part::Transformations, ""),
            masking: false,
            origin_topic: self.names.part(Part::Topic, edge.origin.topic),
            origin_partition: edge.origin.partition,
            origin_offset: edge.origin.offset,
        };
        let (source, target) = (self.names.part(Part::Source, edge.source), self.names.part(Part::Target, edge.target));
        let ends = (self.resolved(source, info.last_seen), self.resolved(target, info.last_seen));
        let (job, seen) = (info.job, info.last_seen);
        let is_news = self.tables.by_key(key).is_none_or(|edge| edge.info.last_seen != seen);
        self.tables.put(key, (source, target), ends, info);
        if is_news {
            self.retime_columns(job, (source, target), seen);
        }
    }

    /// Removes a table edge, if it is there.
    pub fn remove_lineage(&mut self, key: EdgeKey) {
        let Some(edge) = self.tables.by_key(key) else { return };
        let (job, reported) = (edge.info.job, edge.reported);
        self.tables.remove(key);
        self.retime_columns(job, reported, i64::MAX);
    }

    /// Adds or replaces a column edge. Unmapped ones take no part in walks.
    pub fn put_column_lineage(&mut self, key: EdgeKey, record: &ColumnLineageRecord) {
        if record.unmapped {
            self.remove_column_lineage(key);
            return;
        }
        self.put_column_edge(key, record.into());
    }

    /// As [`Self::put_column_lineage`], of borrowed parts and mapped.
    pub fn put_column_edge(&mut self, key: EdgeKey, edge: ColumnEdgeRef<'_>) {
        let job = self.names.part(Part::Job, edge.job);
        let datasets = (self.names.part(Part::Source, edge.source), self.names.part(Part::Target, edge.target));
        let of_table = || self.tables.reported(job, datasets).map_or(i64::MAX, |edge| edge.info.last_seen);
        let last_seen = edge.last_seen.unwrap_or_else(of_table);
        let transformations = match edge.transformations {
            [one] => self.names.part(Part::Transformations, one),
            some => self.names.part(Part::Transformations, &some.join(",")),
        };
        let info = EdgeInfo {
            job,
            kind: self.names.part(Part::Kind, edge.description),
            confidence: edge.confidence,
            stale: edge.stale,
            last_seen,
            is_borrowed: edge.last_seen.is_none(),
            transformations,
            masking: edge.masking,
            origin_topic: self.names.part(Part::Topic, edge.origin.topic),
            origin_partition: edge.origin.partition,
            origin_offset: edge.origin.offset,
        };
        let fields = (
            self.names.part(Part::SourceField, edge.source_field),
            self.names.part(Part::TargetField, edge.target_field),
        );
        let source = self.columns.intern(datasets.0, fields.0);
        let target = self.columns.intern(datasets.1, fields.1);
        let ends = (self.resolved_column(source, last_seen), self.resolved_column(target, last_seen));
        self.fields.put(key, (source, target), ends, info);
    }

    /// Removes a column edge, if it is there.
    pub fn remove_column_lineage(&mut self, key: EdgeKey) {
        self.fields.remove(key);
    }

    /// Adds or replaces an alias and moves the edges whose ends it names.
    pub fn put_alias(&mut self, key: EdgeKey, record: &AliasRecord) {
        let (alias, canonical) = (self.names.intern(&record.alias), self.names.intern(&record.canonical));
        let before = self.aliases.put(key, alias, canonical, record);
        self.relink(alias);
        if let Some(before) = before.filter(|before| *before != alias) {
            self.relink(before);
        }
    }

    /// Removes an alias, if it is there.
    pub fn remove_alias(&mut self, key: EdgeKey) {
        if let Some(alias) = self.aliases.remove(key) {
            self.relink(alias);
        }
    }

    /// Says what a dataset is; a dataset nobody spoke of is plain.
    pub fn put_node(&mut self, id: &str, kind: NodeKind) {
        if kind == NodeKind::Plain && self.names.get(id).is_none() {
            return;
        }
        let index = self.names.intern(id).index();
        if self.kinds.len() <= index {
            self.kinds.resize(index + 1, NodeKind::Plain);
        }
        if let Some(known) = self.kinds.get_mut(index) {
            *known = kind;
        }
    }

    /// The canonical id for a name at a time (microseconds since the epoch); the name itself if nothing renames it.
    pub fn resolve(&self, id: &str, at: i64) -> String {
        self.names.get(id).map_or_else(|| id.to_owned(), |name| self.names.text(self.resolved(name, at)).to_owned())
    }

    fn kind(&self, name: NameId) -> NodeKind {
        self.kinds.get(name.index()).copied().unwrap_or_default()
    }

    fn resolved(&self, name: NameId, at: i64) -> NameId {
        self.aliases.resolve(name, at)
    }

    fn resolved_column(&mut self, column: NameId, at: i64) -> NameId {
        let (dataset, field) = self.columns.parts(column);
        let canonical = self.aliases.resolve(dataset, at);
        if canonical == dataset { column } else { self.columns.intern(canonical, field) }
    }

    /// Gives the column edges beside a table edge its time, where they have none of their own, and the ends that they had
    /// then.
    fn retime_columns(&mut self, job: NameId, (source, target): Ends, last_seen: i64) {
        for column in self.columns.of_dataset(target) {
            for number in self.fields.reported_by(column) {
                let Some(edge) = self.fields.edge(number) else { continue };
                let is_beside = edge.info.job == job
                    && edge.info.is_borrowed
                    && edge.reported.1 == column
                    && self.columns.parts(edge.reported.0).0 == source;
                if is_beside && let Some((source, target)) = self.fields.retime(number, last_seen) {
                    let ends = (self.resolved_column(source, last_seen), self.resolved_column(target, last_seen));
                    self.fields.relink(number, ends);
                }
            }
        }
    }

    /// Resolves again the edges whose reported ends may pass through `alias`.
    fn relink(&mut self, alias: NameId) {
        for name in self.aliases.names_through(alias) {
            for edge in self.tables.reported_by(name) {
                let Some(((source, target), last_seen)) = self.tables.reported_ends(edge) else { continue };
                let ends = (self.resolved(source, last_seen), self.resolved(target, last_seen));
                self.tables.relink(edge, ends);
            }
            for column in self.columns.of_dataset(name) {
                for edge in self.fields.reported_by(column) {
                    let Some(((source, target), seen)) = self.fields.reported_ends(edge) else { continue };
                    let ends = (self.resolved_column(source, seen), self.resolved_column(target, seen));
                    self.fields.relink(edge, ends);
                }
            }
        }
    }

    fn origin(&self, info: &EdgeInfo) -> Origin {
        Origin {
            topic: self.names.text(info.origin_topic).to_owned(),
            partition: info.origin_partition,
            offset: info.origin_offset,
        }
    }
}
