//! What can go wrong with the database, by what the caller has to do.

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL or an option is wrong.
    #[error("database url is not valid; expected postgres://user:password@host:port/database")]
    Configuration {
        /// What is wrong.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("database schema could not be migrated")]
    Migration {
        /// The step's error.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// Somebody else moved a position: nothing of the batch was written. Read positions again and continue from there.
    #[error(
        "position of {sink} on {topic}[{partition}] is {found:?}, not {expected:?}: somebody else writes; \
         read the stored positions again"
    )]
    PositionMoved {
        /// The sink.
        sink: String,
        /// The catalog topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// What the batch starts from; `None` for a partition never written.
        expected: Option<i64>,
        /// What is stored.
        found: Option<i64>,
    },
    /// The topic was deleted and made again: stored positions mean nothing in it.
    #[error(
        "topic {topic} was recreated (id {found} is stored, the broker says {expected}); \
         run `tributary rebuild postgres`"
    )]
    TopicRecreated {
        /// The catalog topic.
        topic: String,
        /// Its id now.
        expected: String,
        /// The stored id.
        found: String,
    },
    /// A table is not there, or not as it was made.
    #[error(
        "the catalog's tables are not complete ({0}); `tributary rebuild postgres` makes them again from the topics"
    )]
    Incomplete(#[source] sqlx::Error),
    /// The database refused or did not answer.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // Undefined table, column, function or schema.
        let code = error.as_database_error().and_then(|fault| fault.code());
        match code.as_deref() {
            Some("42P01" | "42703" | "42883" | "3F000") => Self::Incomplete(error),
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Whether the same call may succeed later: the database is unreachable, overloaded, restarting, out of space, or
    /// another transaction was in the way. After a transient error of a write its outcome is unknown until the
    /// positions are read again.
    pub fn is_transient(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(fault) => fault.code().is_some_and(|code| {
                // connection, transaction rollback, resources, lock and busy, operator intervention, system error
                // and a transaction that was left alone for too long
                ["08", "40", "53", "55", "57", "58", "25P03"].iter().any(|class| code.starts_with(class))
            }),
            _ => false,
        }
    }
}

/// SQLSTATE and message if the data themselves are at fault: data exception (22), integrity constraint (23), or a
/// limit of the server such as an index entry's size (54).
pub(super) fn data_fault(error: &sqlx::Error) -> Option<(String, String)> {
    let fault = error.as_database_error()?;
    let code = fault.code()?;
    ["22", "23", "54"]
        .iter()
        .any(|class| code.starts_with(class))
        .then(|| (code.into_owned(), fault.message().to_owned()))
}
