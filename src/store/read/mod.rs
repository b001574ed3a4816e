//! Reading the Postgres views of the catalog, as the records they were written from.
//!
//! Bound parameters only, unexpired rows only. Knows tables; knows nothing of what the answers are shown for.

mod all;
mod datasets;
mod hashes;
mod jobs;
mod lineage;
mod rows;
mod usage;

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Transaction};

pub use datasets::{DatasetBundle, DatasetCard, UnresolvedPage};
pub use hashes::{row_key, row_of};
pub use jobs::{JobBundle, RunPage};
pub use usage::{FrequentQuery, QueryPage};

/// Reads the catalog's tables. Cheap to clone: all clones share the pool.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: PgPool,
}

/// Postgres did not answer, or answered with a row that is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}")]
pub struct ReadError {
    what: &'static str,
    #[source]
    source: sqlx::Error,
}

/// Names what was read in an error.
fn reading(what: &'static str) -> impl FnOnce(sqlx::Error) -> ReadError {
    move |source| ReadError { what, source }
}

impl Reader {
    /// Reads over `pool`; a role that may only SELECT suffices.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Reads from the server at `url` (`postgres://user@host:port/database`), which is reached on first use; each
    /// question waits at most `patience` for a connection.
    pub fn connect_lazy(url: &str, patience: Duration) -> Result<Self, ReadError> {
        let options = PgPoolOptions::new().acquire_timeout(patience);
        options.connect_lazy(url).map(Self::new).map_err(reading("the address of postgres"))
    }

    /// A connection for one statement that helpers share with transactions.
    async fn connection(&self) -> Result<PoolConnection<Postgres>, ReadError> {
        self.pool.acquire().await.map_err(reading("the catalog"))
    }

    /// A transaction whose statements all see the same state.
    async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, ReadError> {
        let mut transaction = self.pool.begin().await.map_err(reading("the catalog"))?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut *transaction)
            .await
            .map_err(reading("the catalog"))?;
        Ok(transaction)
    }
}
