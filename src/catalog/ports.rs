//! What the catalog needs of the search index and the lineage graph, so that both can be replaced in tests.

use std::sync::{Arc, PoisonError, RwLock};

use super::SearchQuery;
use super::filter::FilterKey;
use crate::graph::{Direction, Graph, Level, Walk, WalkLimits};
use crate::search::{self, FilterField, Found, SearchRequest, Searcher};

/// An error of a store behind a port.
pub type PortError = Box<dyn std::error::Error + Send + Sync>;

/// Full-text search over datasets. Called on a blocking thread.
pub trait SearchIndex: Send + Sync {
    /// The best hits of the page that the query asks for, and the facets over all of them.
    fn find(&self, query: &SearchQuery) -> Result<Found, PortError>;
}

impl SearchIndex for Searcher {
    fn find(&self, query: &SearchQuery) -> Result<Found, PortError> {
        let filters = query.filters.iter().map(|filter| search::Filter {
            field: match filter.key {
                FilterKey::Platform => FilterField::Platform,
                FilterKey::Kind => FilterField::Kind,
                FilterKey::Owner => FilterField::Owner,
                FilterKey::Tag => FilterField::Tag,
                FilterKey::Existence => FilterField::Existence,
                FilterKey::Container => FilterField::Container,
                FilterKey::Format => FilterField::Format,
            },
            value: filter.value.clone(),
        });
        let request = SearchRequest {
            text: query.text.clone(),
            filters: filters.collect(),
            limit: query.limit,
            offset: query.offset,
        };
        Ok(self.search(&request)?)
    }
}

/// The lineage graph in memory.
pub trait LineageGraph: Send + Sync {
    /// See [`Graph::walk`].
    fn walk(&self, starts: &[&str], level: Level, direction: Direction, limits: WalkLimits) -> Walk;

    /// How many datasets lie before or behind one, at any depth. See [`Graph::reach`].
    fn reach(&self, dataset: &str, direction: Direction) -> usize;

    /// See [`Graph::column_nodes`].
    fn column_nodes(&self, dataset: &str) -> Vec<String>;

    /// See [`Graph::resolve`].
    fn resolve(&self, id: &str, at: i64) -> String;
}

/// A graph that a follower changes while the catalog reads it. A follower that panicked leaves it as it was between two
/// records: still right, only no longer fed, which readiness tells.
impl LineageGraph for RwLock<Graph> {
    fn walk(&self, starts: &[&str], level: Level, direction: Direction, limits: WalkLimits) -> Walk {
        self.read().unwrap_or_else(PoisonError::into_inner).walk(starts, level, direction, limits)
    }

    fn reach(&self, dataset: &str, direction: Direction) -> usize {
        self.read().unwrap_or_else(PoisonError::into_inner).reach(dataset, direction).len()
    }

    fn column_nodes(&self, dataset: &str) -> Vec<String> {
        self.read().unwrap_or_else(PoisonError::into_inner).column_nodes(dataset)
    }

    fn resolve(&self, id: &str, at: i64) -> String {
        self.read().unwrap_or_else(PoisonError::into_inner).resolve(id, at)
    }
}

/// A store behind a port that can be exchanged while it is asked: who asks sees the one before or the one after.
pub struct Exchange<T: ?Sized>(RwLock<Arc<T>>);

impl<T: ?Sized> Exchange<T> {
    /// Starts with `first`.
    pub fn new(first: Arc<T>) -> Self {
        Self(RwLock::new(first))
    }

    /// The one that is asked now.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets `next` be asked from now on.
    pub fn replace(&self, next: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

impl SearchIndex for Exchange<dyn SearchIndex> {
    fn find(&self, query: &SearchQuery) -> Result<Found, PortError> {
        self.now().find(query)
    }
}

impl LineageGraph for Exchange<dyn LineageGraph> {
    fn walk(&self, starts: &[&str], level: Level, direction: Direction, limits: WalkLimits) -> Walk {
        self.now().walk(starts, level, direction, limits)
    }

    fn reach(&self, dataset: &str, direction: Direction) -> usize {
        self.now().reach(dataset, direction)
    }

    fn column_nodes(&self, dataset: &str) -> Vec<String> {
        self.now().column_nodes(dataset)
    }

    fn resolve(&self, id: &str, at: i64) -> String {
        self.now().resolve(id, at)
    }
}
