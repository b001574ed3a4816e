//! The views of the catalog topics, as sinks of the stage runtime: Postgres, the search index, the lineage graph, and the
//! schemas that the stages bind SQL against.
//!
//! Each decodes catalog records and hands them to its store together with the positions they lead to, so that both move
//! or neither. May not know how records come about; what a view looks like is the store's own business.

mod decode;
mod lineage;
mod memory;
mod postgres;
mod schemas;
mod search;

#[cfg(test)]
mod tests;

pub use lineage::{LineageSink, LoadedGraph, SharedGraph};
pub use postgres::PostgresSink;
pub use schemas::{SchemaSink, SharedSchemas};
pub use search::{SearchSink, SearchSinkOptions, VisiblePositions};

use crate::model::record::CatalogTopic;

/// Topics of the `postgres` sink: all of them.
pub const POSTGRES_TOPICS: [CatalogTopic; 15] = CatalogTopic::ALL;
/// Topics that the search index follows.
pub const SEARCH_TOPICS: [CatalogTopic; 2] = [CatalogTopic::Datasets, CatalogTopic::DatasetStats];
/// Topics that the lineage graph follows.
pub const LINEAGE_TOPICS: [CatalogTopic; 4] =
    [CatalogTopic::Datasets, CatalogTopic::Lineage, CatalogTopic::ColumnLineage, CatalogTopic::Aliases];
