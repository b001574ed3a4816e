//! What the catalog needs of the search index and the lineage graph, so that both can be replaced in tests.

use std::collections::{BTreeMap, BTreeSet};

use super::SearchQuery;
use super::view::Level;

/// An error of a store behind a port.
pub type PortError = Box<dyn std::error::Error + Send + Sync>;

/// Full-text search over datasets. Called on a blocking thread.
pub trait SearchIndex: Send + Sync {
    /// The best hits of the page that the query asks for, and the facets over all of them.
    fn find(&self, query: &SearchQuery) -> Result<Found, PortError>;
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// How many there are in all.
    pub total: usize,
    /// This page, best first.
    pub hits: Vec<Hit>,
    /// Field → (value, count), most first.
    pub facets: BTreeMap<String, Vec<(String, u64)>>,
}

/// One hit.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Dataset id.
    pub id: String,
    /// Score.
    pub score: f64,
    /// Field → HTML-escaped text with `<em>` around what matched.
    pub highlights: BTreeMap<String, String>,
}

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Against the flow of data.
    Up,
    /// With it.
    Down,
}

/// The lineage graph in memory; ends of its edges are canonical.
pub trait LineageGraph: Send + Sync {
    /// Walks from `starts` (`dataset` or `dataset#column`, by `level`), at most `depth` hops.
    fn walk(&self, starts: &[String], way: Way, depth: usize, level: Level) -> Walked;

    /// The columns of a dataset that have lineage, as nodes.
    fn column_nodes(&self, dataset: &str) -> Vec<String>;
}

/// What a walk in one direction reached. Nodes are `dataset` or `dataset#column`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Node → hops; the starts are not among them.
    pub distance: BTreeMap<String, usize>,
    /// (read, written), as data flows.
    pub edges: BTreeSet<(String, String)>,
    /// Whether nodes lie behind the last hop.
    pub more: bool,
}
