//! From SQL to table and column lineage, for many dialects, aware of the catalog. Pure. Layer 1.
//!
//! A text becomes pieces (statements with their places, or what is known of those that the parser refuses), each
//! piece is bound in a [`Session`] against a [`Catalog`], and gives a [`StatementLineage`]. A bad statement never fails
//! its script: it says `Failed` with a position, and the others go on.

mod analyse;
mod bind;
mod explain;
mod fingerprint;
mod front;
mod lines;
pub mod log;
pub mod processor;
mod schemas;
mod session;
mod types;

pub use analyse::{Options, ScriptLineage, analyse, merge};
pub use explain::explain;
use fingerprint::shape;
pub use fingerprint::{Normalised, normalise};
pub use lines::Lines;
pub use schemas::{Known, Schemas};
pub use session::Session;
pub use types::{
    Catalog, ColumnDef, ColumnLineage, ColumnRef, Defaults, Dialect, IndirectUse, JoinUse, Limits, NoCatalog, Position,
    SourceColumn, StatementKind, StatementLineage, Status, TableName, Transformation,
};
