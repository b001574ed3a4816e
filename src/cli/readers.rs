//! Search, lineage and the catalog of one process, whose index and graph can be exchanged while they answer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::exit::{Because, Failure, Reason};
use super::processes::{POSTGRES_SINK, not_started};
use crate::catalog::Catalog;
use crate::catalog::ports::{Exchange, LineageGraph, SearchIndex};
use crate::search::{IndexHome, Searcher};
use crate::sink::{LineageSink, LoadedGraph, SearchSink, SearchSinkOptions, SharedGraph, VisiblePositions};
use crate::store::{Store, StoreError};
use crate::topology::node::Node;
use crate::topology::quiet::Offsets;

/// Where the index lives within the data directory.
pub(super) const INDEX_FOLDER: &str = "index";

/// What answers readers.
pub(super) struct LiveReaders {
    /// Answers.
    pub catalog: Arc<Catalog>,
    /// Generations of the index.
    pub home: IndexHome,
    index: Arc<Exchange<dyn SearchIndex>>,
    graph: Arc<Exchange<dyn LineageGraph>>,
    visible: Mutex<VisiblePositions>,
}

impl LiveReaders {
    /// How far searches see.
    pub fn searched(&self) -> Offsets {
        let visible = Arc::clone(&self.visible.lock().unwrap_or_else(PoisonError::into_inner));
        visible.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Searches go to another index from now on.
    pub fn replace_index(&self, searcher: Searcher, visible: VisiblePositions) {
        self.index.replace(Arc::new(searcher));
        *self.visible.lock().unwrap_or_else(PoisonError::into_inner) = visible;
    }

    /// Walks go to another graph from now on.
    pub fn replace_graph(&self, graph: SharedGraph) {
        self.graph.replace(graph);
    }
}

/// A graph on its way.
pub(super) type LoadingGraph = JoinHandle<Result<LoadedGraph, StoreError>>;

/// Begins to read the graph, which takes the longest of all that a start has to do. On a thread of the runtime: that one
/// waits for the database itself, and is not woken by another for each few rows.
pub(super) fn load_graph(runtime: &Runtime, store: &Store) -> LoadingGraph {
    let store = store.clone();
    runtime.spawn(async move { LoadedGraph::read(&store, POSTGRES_SINK).await })
}

/// Opens the index, waits for the graph and starts their followers.
pub(super) fn start(
    runtime: &Arc<Runtime>,
    node: &mut Node,
    store: &Store,
    graph: LoadingGraph,
    folder: &Path,
) -> Result<LiveReaders, Failure> {
    let home = IndexHome::open(&folder.join(INDEX_FOLDER)).because(Reason::Internal)?;
    let current = home.current().because(Reason::Internal)?;
    // What a rebuild has left that was never finished, or an index that one has replaced.
    home.clean().because(Reason::Internal)?;
    let search = SearchSink::open(&current, node.decoder().clone(), SearchSinkOptions::default());
    let search = search.because(Reason::Internal)?;
    let index: Arc<Exchange<dyn SearchIndex>> = Arc::new(Exchange::new(Arc::new(search.searcher())));
    let visible = Mutex::new(search.visible());
    node.start_follower("search", Box::new(search)).map_err(not_started)?;
    let loaded = runtime.block_on(graph).because(Reason::Internal)?.because(Reason::Unavailable)?;
    let lineage = LineageSink::of(node.decoder().clone(), loaded);
    let graph: Arc<Exchange<dyn LineageGraph>> = Arc::new(Exchange::new(lineage.graph()));
    node.start_follower("lineage", Box::new(lineage)).map_err(not_started)?;
    let identity = (**node.identity()).clone();
    let ports = (Arc::clone(&index), Arc::clone(&graph));
    let catalog = Arc::new(Catalog::new(store.reader(), ports.0, ports.1, identity));
    Ok(LiveReaders { catalog, home, index, graph, visible })
}
