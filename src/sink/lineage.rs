//! The lineage topics into the graph in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::memory::Followed;
use crate::codec::avro::Decoder;
use crate::failpoint;
use crate::graph::{EdgeKey, Graph, NodeKind};
use crate::kafka::TopicPartition;
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::stage::{PositionDelta, Sink, SinkError, StageRecord, StoredPosition};
use crate::store::{GraphRow, Position, Store, StoreError};

/// The graph as its readers hold it.
pub type SharedGraph = Arc<RwLock<Graph>>;

/// A graph as a Postgres sink has written it, and where that one stood.
pub struct LoadedGraph {
    graph: Graph,
    positions: Vec<Position>,
}

impl LoadedGraph {
    /// Reads what the Postgres sink `sink` has written.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn read(store: &Store, sink: &str) -> Result<Self, StoreError> {
        let mut graph = Graph::new();
        let positions = store
            .graph_snapshot(sink, &mut |row| match row {
                GraphRow::Sizes { edges, column_edges } => graph.reserve(edges, column_edges),
                GraphRow::Alias(key, record) => graph.put_alias(EdgeKey(key), &record),
                GraphRow::Dataset { id, existence } => graph.put_node(id, NodeKind::from_existence(existence)),
                GraphRow::Table(key, edge) => graph.put_table_edge(EdgeKey(key), edge),
                GraphRow::Column(key, edge) => graph.put_column_edge(EdgeKey(key), edge),
            })
            .await?;
        Ok(Self { graph, positions })
    }
}

/// Keeps a graph up to date. Graph and positions live in this process: after a restart both start over, from Postgres
/// or from the topics.
pub struct LineageSink {
    graph: SharedGraph,
    followed: Followed,
}

impl LineageSink {
    /// A sink with an empty graph that follows the topics from their start.
    pub fn new(decoder: Arc<Decoder>) -> Self {
        Self { graph: SharedGraph::default(), followed: Followed::new("lineage", decoder) }
    }

    /// A sink that goes on from `loaded`.
    pub fn of(decoder: Arc<Decoder>, loaded: LoadedGraph) -> Self {
        let mut sink = Self::new(decoder);
        for position in loaded.positions {
            let key = TopicPartition::new(position.key.topic, position.key.partition);
            let id = position.topic_id.and_then(|id| id.parse().ok());
            sink.followed.start_at(key, position.next_offset, id);
        }
        sink.graph = Arc::new(RwLock::new(loaded.graph));
        sink
    }

    /// The graph, for its readers.
    pub fn graph(&self) -> SharedGraph {
        Arc::clone(&self.graph)
    }
}

impl Sink for LineageSink {
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
        Ok(self.followed.positions(partitions))
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        let decoded = self.followed.take(batch, delta)?;
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        for (read, record) in decoded {
            match record.value {
                Ok(value) => apply(&mut graph, record.topic, &record.key, value),
                Err(why) => self.followed.leave_out(read, &why),
            }
        }
        drop(graph);
        failpoint::hit("graph.apply.after");
        Ok(())
    }

    fn degraded(&self) -> Option<String> {
        self.followed.degraded()
    }
}

fn apply(graph: &mut Graph, topic: CatalogTopic, key: &str, value: Option<CatalogRecord>) {
    let edge = EdgeKey::of(key);
    match (topic, value) {
        (_, Some(CatalogRecord::Dataset(record))) => {
            graph.put_node(&record.id, NodeKind::from_existence(&record.existence));
        }
        (_, Some(CatalogRecord::Lineage(record))) => graph.put_lineage(edge, &record),
        (_, Some(CatalogRecord::ColumnLineage(record))) => graph.put_column_lineage(edge, &record),
        (_, Some(CatalogRecord::Alias(record))) => graph.put_alias(edge, &record),
        (CatalogTopic::Datasets, None) => graph.put_node(key, NodeKind::Plain),
        (CatalogTopic::Lineage, None) => graph.remove_lineage(edge),
        (CatalogTopic::ColumnLineage, None) => graph.remove_column_lineage(edge),
        (CatalogTopic::Aliases, None) => graph.remove_alias(edge),
        _ => {}
    }
}
