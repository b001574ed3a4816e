//! The catalog's use cases: find a dataset, show it, its history, its lineage, and what could not be resolved.
//!
//! Combines the store's reader, the search index and the lineage graph. Knows no HTTP, no SQL, no Kafka; answers in
//! the types of [`view`], which describe themselves for OpenAPI.

mod error;
pub mod filter;
mod history;
mod lineage;
mod page;
mod resolve;
mod search;
mod unresolved;
pub mod view;

pub use error::CatalogError;
pub use lineage::{LineageQuery, MAX_DEPTH};
pub use resolve::InstanceNames;
pub use search::{MAX_LIMIT, MAX_WINDOW, SearchQuery};
