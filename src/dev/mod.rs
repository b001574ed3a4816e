//! Real servers as child processes on loopback: Kafka with transactions and Postgres, for `demo`, `up --dev` and tests;
//! and a Hive metastore for tests.
//!
//! Nothing is imitated here: the jars are Apache Kafka's and Hive's, the binaries Postgres'. Children end with their owner, however
//! it ends. May not know the catalog, rdkafka or sqlx.

mod child;
mod kafka;
mod maven;
mod metastore;
mod ports;
mod postgres;
mod proxied;
pub mod proxy;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

pub use kafka::KafkaServer;
pub use metastore::{MetastoreOptions, MetastoreServer};
pub use ports::free_address;
pub use postgres::PostgresServer;
pub use proxied::ProxiedStack;

/// Whether data outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Kept for the next start.
    Kept,
    /// Removed at the end; Postgres does not wait for the disk.
    ThrownAway,
}

/// Which servers to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// Both.
    All,
    /// Kafka only.
    Kafka,
    /// Postgres only.
    Postgres,
}

/// Running servers; they stop when this is dropped.
#[derive(Debug)]
pub struct Stack {
    kafka: Option<KafkaServer>,
    postgres: Option<PostgresServer>,
    /// Declared last: servers stop before their data goes.
    _thrown_away: Option<ThrownAway>,
}

impl Stack {
    /// Starts `servers` with data under `folder`, which is kept: the next start continues with it.
    ///
    /// # Errors
    /// Names what is missing on the machine and the ways out, or shows the end of the server's log.
    pub fn start(servers: Servers, folder: &Path) -> Result<Self, DevError> {
        let folder = std::path::absolute(folder).map_err(|e| DevError::io("find", folder, e))?;
        Self::start_in(servers, &folder, &folder.join("cache"), Durability::Kept, None, None)
    }

    /// Starts `servers` on ports and folders of their own, which go with them. Jars are kept in `cache`.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn throw_away(servers: Servers, cache: &Path) -> Result<Self, DevError> {
        Self::throw_away_behind(servers, cache, None)
    }

    /// The same; with the port of a proxy, Kafka has a second listener for it.
    fn throw_away_behind(servers: Servers, cache: &Path, kafka_proxy: Option<u16>) -> Result<Self, DevError> {
        let folder = new_folder()?;
        let cache = std::path::absolute(cache).map_err(|e| DevError::io("find", cache, e))?;
        let thrown_away = ThrownAway(folder.clone());
        Self::start_in(servers, &folder, &cache, Durability::ThrownAway, Some(thrown_away), kafka_proxy)
    }

    fn start_in(
        servers: Servers,
        folder: &Path,
        cache: &Path,
        durability: Durability,
        thrown_away: Option<ThrownAway>,
        kafka_proxy: Option<u16>,
    ) -> Result<Self, DevError> {
        fs::create_dir_all(folder).map_err(|e| DevError::io("create", folder, e))?;
        fs::create_dir_all(cache).map_err(|e| DevError::io("create", cache, e))?;
        // The JVM takes seconds to start, Postgres a fraction of one: side by side they take as long as the JVM.
        let (kafka, postgres) = std::thread::scope(|scope| {
            let kafka = (servers != Servers::Postgres)
                .then(|| scope.spawn(|| KafkaServer::start(&folder.join("kafka"), cache, kafka_proxy)));
            let postgres =
                (servers != Servers::Kafka).then(|| PostgresServer::start(&folder.join("postgres"), cache, durability));
            (kafka.map(|thread| thread.join().expect("the thread returns errors and does not panic")), postgres)
        });
        Ok(Self { kafka: kafka.transpose()?, postgres: postgres.transpose()?, _thrown_away: thrown_away })
    }

    /// `host:port` of Kafka, if it was started.
    pub fn bootstrap_servers(&self) -> Option<String> {
        self.kafka.as_ref().map(KafkaServer::bootstrap_servers)
    }

    /// URL of the database with user and password, if Postgres was started.
    pub fn database_url(&self) -> Option<String> {
        self.postgres.as_ref().map(PostgresServer::database_url)
    }

    /// Kafka, to be hurt.
    pub fn kafka(&mut self) -> Option<&mut KafkaServer> {
        self.kafka.as_mut()
    }

    /// Postgres, to be hurt.
    pub fn postgres(&mut self) -> Option<&mut PostgresServer> {
        self.postgres.as_mut()
    }
}

/// A folder that was not there: a process of the same id may have left one.
fn new_folder() -> Result<PathBuf, DevError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let name = format!("tributary-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DevError::io("create", &folder, error)),
        }
    }
}

#[derive(Debug)]
struct ThrownAway(PathBuf);

impl Drop for ThrownAway {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The machine lacks something.
    #[error(
        "{what} is not on this machine, and it is needed to start the servers that are not configured.\nWays out:\n  \
         - install it: `apt-get install openjdk-17-jdk-headless maven postgresql`\n  \
         - use a Kafka you have: set KAFKA_BOOTSTRAP_SERVERS=host:port\n  \
         - use a Postgres you have: set DATABASE_URL=postgres://user:password@host:port/database\n  \
         - with Docker: `docker compose up`"
    )]
    Prerequisite {
        /// What.
        what: String,
    },
    /// Maven did not deliver.
    #[error("maven could not fetch {}:\n{output}", .artifacts.join(", "))]
    Maven {
        /// Coordinates.
        artifacts: Vec<String>,
        /// Its words.
        output: String,
    },
    /// A download is not what was pinned.
    #[error("{} has SHA-256 {found}, expected {pinned}; delete it and look at where it came from", .file.display())]
    Checksum {
        /// The file.
        file: PathBuf,
        /// Expected.
        pinned: String,
        /// Found.
        found: String,
    },
    /// A folder that should hold Postgres does not.
    #[error("{} does not hold `initdb` and `postgres`; set PG_BIN_DIR to the folder that does", .folder.display())]
    NoBinaries {
        /// The folder.
        folder: PathBuf,
    },
    /// A server ended or did not answer in time.
    #[error("{server} did not start: {message}")]
    NotReady {
        /// Which.
        server: &'static str,
        /// What it said.
        message: String,
    },
    /// A file operation failed.
    #[error("could not {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl DevError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    fn prerequisite(what: &str) -> Self {
        Self::Prerequisite { what: what.to_owned() }
    }
}
