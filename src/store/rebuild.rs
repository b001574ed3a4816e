//! The catalog's tables built anew beside those that are read, and put in their place in one transaction.
//!
//! A second schema holds the new tables; the sink writes them as it writes the others, so that a killed rebuild goes on
//! where its positions stand. The exchange keeps what others have built on ours: grants, and everything that reads the
//! `catalog_*` views, which stay the same objects. May not know Kafka.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{Store, StoreError, StoreOptions};

mod swap;

pub use swap::{Held, Swapped};

/// Where the new tables are built.
pub const STAGING: &str = "tributary_rebuild";

/// One rebuild per database: the key of its advisory lock.
const LOCK: i64 = 0x7472_6962_7265_6264;

/// A leftover older than this may lack deletions whose tombstones Kafka has dropped since.
const LEFTOVER_HOURS: i32 = 24;

/// Why the tables could not be built anew or exchanged.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another process does the same.
    #[error("another `tributary rebuild postgres` is at work on this database; wait for it, or end it")]
    Running,
    /// Objects of others read our tables directly and would go with them.
    #[error(
        "these read the catalog's tables directly and would be cut off: {}; let them read the `catalog_*` views, or drop \
         them and make them again afterwards", .objects.join(", ")
    )]
    Dependents {
        /// What reads what.
        objects: Vec<String>,
    },
    /// Somebody holds the tables.
    #[error("the new tables are ready, but others hold the old ones{by}; run the command again to exchange them")]
    Busy {
        /// Who, as far as it is known.
        by: String,
    },
    /// The role may not make a schema.
    #[error(
        "{role} may not create a schema in database {database}, where the new tables are built; \
         run GRANT CREATE ON DATABASE {database} TO {role}"
    )]
    NotAllowed {
        /// The role.
        role: String,
        /// The database.
        database: String,
    },
    /// The database refused or did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A rebuild that has begun. Dropped, it leaves the new tables where they are, and the next one goes on with them.
#[derive(Debug)]
pub struct Rebuild {
    /// Holds the advisory lock; the server lets go of it when the connection ends, however it ends.
    guard: PgConnection,
    live: String,
    staged: Store,
    options: StoreOptions,
}

impl Rebuild {
    /// Takes the lock and opens the new tables; those that an earlier rebuild has left are kept if they are young.
    ///
    /// # Errors
    /// [`RebuildError::Running`], [`RebuildError::Dependents`], [`RebuildError::NotAllowed`], or as the database answers.
    pub async fn begin(options: &StoreOptions) -> Result<Self, RebuildError> {
        let mut guard = PgConnection::connect_with(&options.connect_options()?).await?;
        let locked: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut guard).await?;
        if !locked {
            return Err(RebuildError::Running);
        }
        let live: Option<String> = sqlx::query_scalar("SELECT current_schema()::text").fetch_one(&mut guard).await?;
        let live = live.unwrap_or_else(|| "public".to_owned());
        if leftover_is_old(&mut guard).await? {
            drop_staging(&mut guard).await?;
        }
        create_staging(&mut guard).await?;
        let staged_options = StoreOptions { schema: Some(STAGING.to_owned()), ..options.clone() };
        let staged = Store::connect(&staged_options).await?;
        staged.migrate().await?;
        let rebuild = Self { guard, live, staged, options: options.clone() };
        rebuild.check_dependents().await?;
        Ok(rebuild)
    }

    /// The new tables.
    pub fn staged(&self) -> &Store {
        &self.staged
    }

    /// Empties the new tables: what an earlier rebuild has left does not fit the topics any more.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn start_over(&mut self) -> Result<(), RebuildError> {
        drop_staging(&mut self.guard).await?;
        create_staging(&mut self.guard).await?;
        Ok(self.staged.migrate().await?)
    }

    /// Copies changes whose records retention has taken from their topic: the old table is the last to know them.
    /// Returns how many.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn keep_changes(&mut self) -> Result<u64, RebuildError> {
        if !tables(&mut self.guard, &self.live).await?.iter().any(|name| name == "changes") {
            return Ok(0);
        }
        // An old table may have been made by an older program, with fewer columns.
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'changes'
             INTERSECT
             SELECT column_name::text FROM information_schema.columns WHERE table_schema = $2 AND table_name = 'changes'",
        )
        .bind(&self.live)
        .bind(STAGING)
        .fetch_all(&mut self.guard)
        .await?;
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        let columns = columns.join(", ");
        let sql = format!(
            "INSERT INTO {STAGING}.changes ({columns}) SELECT {columns} FROM {}.changes ON CONFLICT (id) DO NOTHING",
            quoted(&self.live)
        );
        Ok(sqlx::query(AssertSqlSafe(sql)).execute(&mut self.guard).await?.rows_affected())
    }

    /// Tells the planner about the new tables; without it their first queries would be planned blindly.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn analyze(&mut self) -> Result<(), RebuildError> {
        for table in tables(&mut self.guard, STAGING).await? {
            let sql = format!("ANALYZE {STAGING}.{}", quoted(&table));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut self.guard).await?;
        }
        Ok(())
    }

    /// Indexes, triggers and constraints that others have put on the old tables, each with what makes it again. They go
    /// with the old tables.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn additions(&mut self) -> Result<Vec<String>, RebuildError> {
        let sql = "
            SELECT indexdef FROM pg_indexes i WHERE schemaname = $1
                AND EXISTS (SELECT FROM pg_tables t WHERE t.schemaname = $2 AND t.tablename = i.tablename)
                AND NOT EXISTS (SELECT FROM pg_indexes s WHERE s.schemaname = $2 AND s.indexname = i.indexname)
            UNION ALL
            SELECT pg_get_triggerdef(g.oid) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
                WHERE NOT g.tgisinternal AND c.relnamespace = to_regnamespace(quote_ident($1))
                AND EXISTS (SELECT FROM pg_tables t WHERE t.schemaname = $2 AND t.tablename = c.relname)
            UNION ALL
            SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', $1, c.relname, k.conname, pg_get_constraintdef(k.oid))
                FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
                WHERE k.contype IN ('c', 'f') AND c.relnamespace = to_regnamespace(quote_ident($1))
                AND EXISTS (SELECT FROM pg_tables t WHERE t.schemaname = $2 AND t.tablename = c.relname)";
        let rows = sqlx::query_scalar(sql).bind(&self.live).bind(STAGING).fetch_all(&mut self.guard).await?;
        Ok(rows)
    }

    /// Keeps the sink that writes the old tables from moving on, and answers where it stands; nothing if there is no
    /// old table.
    ///
    /// # Errors
    /// [`RebuildError::Busy`] if a transaction holds its positions for long.
    pub async fn hold(&mut self, sink: &str) -> Result<Held, RebuildError> {
        swap::hold(&self.options, &self.live, sink).await
    }

    /// Views and foreign keys of others on the old tables.
    async fn check_dependents(&self) -> Result<(), RebuildError> {
        let sql = "
            SELECT DISTINCT format('view %s.%s (reads %s)', dn.nspname, dc.relname, sc.relname) AS what
            FROM pg_depend d
            JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
            JOIN pg_class dc ON dc.oid = r.ev_class JOIN pg_namespace dn ON dn.oid = dc.relnamespace
            JOIN pg_class sc ON sc.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
            WHERE sc.relnamespace = to_regnamespace(quote_ident($1)) AND sc.relkind = 'r' AND dc.oid <> sc.oid
              AND EXISTS (SELECT FROM pg_tables t WHERE t.schemaname = $2 AND t.tablename = sc.relname)
              AND NOT (dn.nspname = $1 AND EXISTS
                  (SELECT FROM pg_views v WHERE v.schemaname = $2 AND v.viewname = dc.relname))
            UNION
            SELECT format('foreign key %s of table %s', k.conname, k.conrelid::regclass)
            FROM pg_constraint k JOIN pg_class sc ON sc.oid = k.confrelid
            WHERE k.contype = 'f' AND sc.relnamespace = to_regnamespace(quote_ident($1))
              AND EXISTS (SELECT FROM pg_tables t WHERE t.schemaname = $2 AND t.tablename = sc.relname)
            ORDER BY 1";
        let mut connection = self.staged.pool().acquire().await.map_err(StoreError::from)?;
        let objects: Vec<String> =
            sqlx::query_scalar(sql).bind(&self.live).bind(STAGING).fetch_all(&mut *connection).await?;
        if objects.is_empty() { Ok(()) } else { Err(RebuildError::Dependents { objects }) }
    }
}

/// The tables of a schema, by name.
async fn tables(connection: &mut PgConnection, schema: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY tablename")
        .bind(schema)
        .fetch_all(connection)
        .await
}

/// An identifier as SQL takes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn leftover_is_old(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if !tables(connection, STAGING).await?.iter().any(|name| name == "positions") {
        // Ended before its tables were there; or not even that.
        return Ok(true);
    }
    let sql = format!(
        "SELECT coalesce(min(updated_at) < now() - make_interval(hours => {LEFTOVER_HOURS}), false) FROM {STAGING}.positions"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await
}

async fn drop_staging(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = format!("DROP SCHEMA IF EXISTS {STAGING} CASCADE");
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

async fn create_staging(connection: &mut PgConnection) -> Result<(), RebuildError> {
    let sql = format!("CREATE SCHEMA IF NOT EXISTS {STAGING}");
    match sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await {
        Err(sqlx::Error::Database(fault)) if fault.code().as_deref() == Some("42501") => {
            let row = sqlx::query("SELECT current_user::text, current_database()::text").fetch_one(connection).await?;
            Err(RebuildError::NotAllowed { role: row.try_get(0)?, database: row.try_get(1)? })
        }
        outcome => Ok(outcome.map(drop)?),
    }
}
