//! Full-text search over datasets: index, atomic commits with positions, ranked queries with facets and highlights.
//!
//! The only user of tantivy. Knows dataset and statistics records; may not know Kafka, Postgres or HTTP. The index is a
//! view: its folder can be deleted at any time and is filled again from the topics.

mod document;
mod facets;
mod fields;
mod home;
mod inspect;
mod query;
mod rank;
mod tokenize;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use document::Indexed;
pub use home::IndexHome;
pub use inspect::IndexContent;
pub use query::{Filter, FilterField, Found, Hit, SearchRequest, Searcher};
pub use writer::{IndexOp, IndexPosition, IndexWriter};

/// A fault of the index.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The folder cannot be used.
    #[error("search index in {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The index refused.
    #[error("search index: {0}")]
    Index(#[from] tantivy::TantivyError),
    /// A stored document cannot be read: delete the folder, it is filled again.
    #[error("search index holds a document it cannot read; delete its folder to rebuild it")]
    Damaged,
    /// The writer's thread has ended after an earlier error.
    #[error("search index writer has stopped: {0}")]
    Stopped(String),
}
