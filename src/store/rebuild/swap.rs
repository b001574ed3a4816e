//! The exchange: one transaction that holds the sink, takes the old tables away and puts the new ones in their place.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{RebuildError, STAGING, quoted, tables};
use crate::failpoint;
use crate::store::positions::{self, Position};
use crate::store::{StoreError, StoreOptions};

/// Where the old tables stand between being taken away and being dropped, within the transaction.
const ASIDE: &str = "tributary_old";

/// How long a batch of the sink, or a reader of its positions, is waited for.
const HOLD_LIMIT: &str = "10s";
/// How long readers are waited for while the sink is held.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
const LOCK_EVERY: Duration = Duration::from_millis(20);

/// The old tables' sink, held within an open transaction. Dropped, it lets go and nothing has changed.
#[derive(Debug)]
pub struct Held {
    connection: PgConnection,
    live: String,
    sink: String,
    /// Where the sink stands in the old tables.
    pub positions: Vec<Position>,
}

/// What an exchange has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// For how long readers and the sink had to wait.
    pub held: Duration,
}

pub(super) async fn hold(options: &StoreOptions, live: &str, sink: &str) -> Result<Held, RebuildError> {
    let mut connection = PgConnection::connect_with(&options.connect_options()?).await?;
    run(&mut connection, "BEGIN").await?;
    let mut positions = Vec::new();
    if tables(&mut connection, live).await?.iter().any(|name| name == "positions") {
        run(&mut connection, format!("SET LOCAL lock_timeout = '{HOLD_LIMIT}'")).await?;
        let lock = format!("LOCK TABLE {}.positions IN ACCESS EXCLUSIVE MODE", quoted(live));
        if let Err(error) = run(&mut connection, lock).await {
            return Err(if is_lock_timeout(&error) { busy(options, live).await } else { error.into() });
        }
        positions = positions::read(&mut connection, sink).await?;
    }
    Ok(Held { connection, live: live.to_owned(), sink: sink.to_owned(), positions })
}

impl Held {
    /// Exchanges the tables. Nobody may write the new ones meanwhile.
    ///
    /// # Errors
    /// [`RebuildError::Busy`] if readers hold the old tables for long; then nothing has changed. After a transient error
    /// the outcome is unknown: if the schema of the new tables is gone, the exchange was done.
    pub async fn swap(mut self, options: &StoreOptions) -> Result<Swapped, RebuildError> {
        let started = Instant::now();
        let new = tables(&mut self.connection, STAGING).await?;
        let old = tables(&mut self.connection, &self.live).await?;
        let old: Vec<String> = old.into_iter().filter(|name| new.contains(name)).collect();
        if !self.lock(&old).await? {
            return Err(busy(options, &self.live).await);
        }
        self.exchange(&new, &old).await?;
        failpoint::hit("rebuild.postgres.swap.before");
        run(&mut self.connection, "COMMIT").await?;
        failpoint::hit("rebuild.postgres.swap.after");
        Ok(Swapped { held: started.elapsed() })
    }

    /// Locks all old tables at once. Never waits for one while it holds others: a reader that holds what we want and
    /// wants what we hold would be ended as a deadlock.
    async fn lock(&mut self, old: &[String]) -> Result<bool, RebuildError> {
        if old.is_empty() {
            return Ok(true);
        }
        let names: Vec<String> = old.iter().map(|name| format!("{}.{}", quoted(&self.live), quoted(name))).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT", names.join(", "));
        let started = Instant::now();
        loop {
            run(&mut self.connection, "SAVEPOINT locks").await?;
            match run(&mut self.connection, lock.as_str()).await {
                Ok(()) => return Ok(true),
                Err(error) if !is_lock_timeout(&error) => return Err(error.into()),
                Err(_) => run(&mut self.connection, "ROLLBACK TO SAVEPOINT locks").await?,
            }
            if started.elapsed() > LOCK_LIMIT {
                return Ok(false);
            }
            tokio::time::sleep(LOCK_EVERY).await;
        }
    }

    async fn exchange(&mut self, new: &[String], old: &[String]) -> Result<(), RebuildError> {
        let live = quoted(&self.live);
        self.keep_others(old).await?;
        self.copy_grants(old).await?;
        let views = self.views().await?;
        run(&mut self.connection, format!("CREATE SCHEMA {ASIDE}")).await?;
        for table in old {
            run(&mut self.connection, format!("ALTER TABLE {live}.{} SET SCHEMA {ASIDE}", quoted(table))).await?;
        }
        for table in new {
            run(&mut self.connection, format!("ALTER TABLE {STAGING}.{} SET SCHEMA {live}", quoted(table))).await?;
        }
        for (name, definition) in &views {
            self.replace_view(name, definition).await?;
            run(&mut self.connection, format!("DROP VIEW {STAGING}.{}", quoted(name))).await?;
        }
        if !old.is_empty() {
            let names: Vec<String> = old.iter().map(|table| format!("{ASIDE}.{}", quoted(table))).collect();
            // Restricted: whatever of others still hangs on them ends the exchange instead of going along.
            if let Err(error) = run(&mut self.connection, format!("DROP TABLE {}", names.join(", "))).await {
                return Err(dependents(error));
            }
        }
        run(&mut self.connection, format!("DROP SCHEMA {ASIDE}")).await?;
        run(&mut self.connection, format!("DROP SCHEMA {STAGING}")).await?;
        Ok(())
    }

    /// Positions and rejects of other sinks: an installation may run several.
    async fn keep_others(&mut self, old: &[String]) -> Result<(), RebuildError> {
        for table in ["positions", "sink_rejects"] {
            if old.iter().any(|name| name == table) {
                let sql = format!(
                    "INSERT INTO {STAGING}.{table} SELECT * FROM {}.{table} WHERE sink <> $1 ON CONFLICT DO NOTHING",
                    quoted(&self.live)
                );
                sqlx::query(AssertSqlSafe(sql)).bind(&self.sink).execute(&mut self.connection).await?;
            }
        }
        Ok(())
    }

    /// Owner and privileges of each old table, those on single columns too.
    async fn copy_grants(&mut self, old: &[String]) -> Result<(), RebuildError> {
        let sql = format!(
            "SELECT format('ALTER TABLE {STAGING}.%I OWNER TO %I', c.relname, pg_get_userbyid(c.relowner))
             FROM pg_class c
             WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relname = ANY($2)
               AND pg_get_userbyid(c.relowner) <> current_user
             UNION ALL
             SELECT format('GRANT %s%s ON {STAGING}.%I TO %s%s', a.privilege_type,
                    CASE WHEN a.attname IS NULL THEN '' ELSE format(' (%I)', a.attname) END, a.relname,
                    CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
             FROM (
                 SELECT c.relname, NULL::name AS attname, c.relowner, x.*
                 FROM pg_class c, aclexplode(c.relacl) x
                 WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relname = ANY($2)
                 UNION ALL
                 SELECT c.relname, t.attname, c.relowner, x.*
                 FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped,
                      aclexplode(t.attacl) x
                 WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relname = ANY($2)
             ) a WHERE a.grantee <> a.relowner"
        );
        let statements: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(&self.live).bind(old).fetch_all(&mut self.connection).await?;
        for statement in statements {
            run(&mut self.connection, statement).await?;
        }
        Ok(())
    }

    /// The new schema's views with their definitions, in which tables go by their bare names.
    async fn views(&mut self) -> Result<Vec<(String, String)>, RebuildError> {
        run(&mut self.connection, format!("SET LOCAL search_path TO {STAGING}")).await?;
        let rows = sqlx::query(
            "SELECT relname::text, pg_get_viewdef(oid) FROM pg_class
             WHERE relnamespace = to_regnamespace($1) AND relkind = 'v' ORDER BY oid",
        )
        .bind(STAGING)
        .fetch_all(&mut self.connection)
        .await?;
        run(&mut self.connection, format!("SET LOCAL search_path TO {}", quoted(&self.live))).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// The view stays the object that it is, with its grants and everything that reads it, and reads the new tables.
    async fn replace_view(&mut self, name: &str, definition: &str) -> Result<(), RebuildError> {
        let sql = format!("CREATE OR REPLACE VIEW {}.{} AS {definition}", quoted(&self.live), quoted(name));
        run(&mut self.connection, sql).await.map_err(|error| match error {
            // Columns are only ever added at the end; a view that lacks one was made by somebody else.
            sqlx::Error::Database(fault) if fault.code().as_deref() == Some("42P16") => RebuildError::Dependents {
                objects: vec![format!("view {name} (it is not as `tributary` made it: {})", fault.message())],
            },
            other => other.into(),
        })
    }
}

async fn run(connection: &mut PgConnection, sql: impl Into<String>) -> Result<(), sqlx::Error> {
    // Only names that are quoted, and statements that the server itself has made, stand in them. Not prepared: they run
    // once.
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(connection).await.map(drop)
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(fault) if fault.code().as_deref() == Some("55P03"))
}

fn dependents(error: sqlx::Error) -> RebuildError {
    match error {
        sqlx::Error::Database(fault) if fault.code().as_deref() == Some("2BP01") => {
            let detail = fault.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|fault| fault.detail());
            RebuildError::Dependents { objects: vec![detail.unwrap_or(fault.message()).to_owned()] }
        }
        other => other.into(),
    }
}

/// Says who holds the old tables, as far as the server tells.
async fn busy(options: &StoreOptions, live: &str) -> RebuildError {
    let holders = async {
        let mut connection = PgConnection::connect_with(&options.connect_options()?).await?;
        let holders: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT format('pid %s (%s)', a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'))
             FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.granted AND c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind = 'r'
               AND a.pid <> pg_backend_pid() AND a.xact_start < now() - interval '1 second'",
        )
        .bind(live)
        .fetch_all(&mut connection)
        .await?;
        Ok::<_, StoreError>(holders)
    };
    let holders = holders.await.unwrap_or_default();
    let by = if holders.is_empty() { String::new() } else { format!(": {}", holders.join(", ")) };
    RebuildError::Busy { by }
}
