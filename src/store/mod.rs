//! Postgres as a view of the catalog topics: connection, migrations, atomic batch writes, positions, snapshots.
//!
//! The only user of sqlx. Knows records and their Kafka keys; may not know Kafka, the fold or HTTP.

mod copy;
mod error;
mod positions;
pub mod read;
pub mod rebuild;
mod rejects;
mod snapshot;
mod stored;
mod text;
mod write;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

pub use error::StoreError;
pub use positions::{Position, PositionDelta, PositionKey};
pub use snapshot::GraphRow;
pub use stored::as_stored;
pub use write::{BatchOutcome, CatalogWrite, Undecodable, content_hash};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How to reach Postgres.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `postgres://user:password@host:port/database?options`, as libpq writes it.
    pub url: String,
    /// Most connections at a time.
    pub max_connections: u32,
    /// How long to wait for a connection before the call fails as unavailable.
    pub acquire_timeout: Duration,
    /// The schema of the tables; `None` = as the URL and the server's search path say.
    pub schema: Option<String>,
}

impl StoreOptions {
    /// Sensible defaults for a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), max_connections: 8, acquire_timeout: Duration::from_secs(10), schema: None }
    }

    /// What each connection starts with.
    fn connect_options(&self) -> Result<PgConnectOptions, StoreError> {
        let options = PgConnectOptions::from_str(&self.url)
            .map_err(|source| StoreError::Configuration { source })?
            .application_name("tributary")
            .log_slow_statements("warn".parse().expect("the name of a level"), SLOW);
        Ok(match &self.schema {
            // Rows and positions are lost together in a crash of the server, so nothing has to wait for the disk.
            Some(schema) => options.options([("search_path", schema.as_str()), ("synchronous_commit", "off")]),
            None => options,
        })
    }
}

/// Statements that take longer are told; reading a large graph at the start may take some seconds and is none of them.
const SLOW: Duration = Duration::from_secs(30);

/// Large values (usage, schemas, texts) are written anew often: LZ4 costs a fraction of what the server's default does. Not
/// every server is built with it.
const FAST_COMPRESSION: &str = "SELECT set_config(name, 'lz4', false) FROM pg_settings \
     WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)";

/// A pool of connections to the catalog's database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    /// Whether `sink_rejects` may hold something.
    has_rejects: Arc<AtomicBool>,
}

impl Store {
    /// Connects; does not migrate.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] if the URL is wrong, else as the database answers.
    pub async fn connect(options: &StoreOptions) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::query(FAST_COMPRESSION).execute(connection).await.map(drop) })
            })
            .connect_with(options.connect_options()?)
            .await?;
        Ok(Self { pool, has_rejects: Arc::default() })
    }

    /// Brings the schema up to date. Several processes may call it at once; one of them migrates.
    ///
    /// # Errors
    /// [`StoreError::Migration`] if the database was migrated by a newer program or a step fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATIONS.run(&self.pool).await.map_err(|source| StoreError::Migration { source })
    }

    /// Whether the database answers a trivial query.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Answers the questions of readers.
    pub fn reader(&self) -> read::Reader {
        read::Reader::new(self.pool().clone())
    }

    /// The pool, for reads of this module.
    pub(in crate::store) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Closes all connections after their current work.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
