//! What the lineage graph starts from: edges, aliases, dataset states and the positions they belong to, in one snapshot.

use sqlx::Row;

use super::copy::{self, Fields};
use super::positions::{self, Position};
use super::{Store, StoreError};
use crate::model::edge::{ColumnEdgeRef, OriginRef, TableEdgeRef};
use crate::model::fact::Origin;
use crate::model::record::AliasRecord;

/// A row that the lineage graph is built of. Edges and aliases come with the first 16 bytes of the SHA-256 of their key.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphRow<'a> {
    /// Comes first, if at all: how many edges there are, as the server last estimated.
    Sizes {
        /// Of tables.
        edges: usize,
        /// Of columns.
        column_edges: usize,
    },
    /// Of `catalog.lineage`.
    Table([u8; 16], TableEdgeRef<'a>),
    /// Of `catalog.column-lineage`; unmapped ones take no part in the graph.
    Column([u8; 16], ColumnEdgeRef<'a>),
    /// Of `catalog.aliases`.
    Alias([u8; 16], AliasRecord),
    /// Of `catalog.datasets`, where it is more to lineage than a name.
    Dataset {
        /// Dataset id.
        id: &'a str,
        /// virtual or ignored.
        existence: &'a str,
    },
}

/// Takes rows as they come.
type Visit<'v> = dyn FnMut(GraphRow<'_>) + Send + 'v;

impl Store {
    /// Hands lineage as the sink `sink` has written it to `visit`, row by row, all of one REPEATABLE READ transaction;
    /// answers the positions it belongs to.
    ///
    /// # Errors
    /// As the database answers; `visit` may then have seen a part.
    pub async fn graph_snapshot(&self, sink: &str, visit: &mut Visit<'_>) -> Result<Vec<Position>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *transaction).await?;
        let positions = positions::read(&mut transaction, sink).await?;
        let sizes = sqlx::query(SIZES).fetch_one(&mut *transaction).await?;
        // Tables that nobody has analyzed have -1.
        let size = |column| Ok::<_, sqlx::Error>(usize::try_from(sizes.try_get::<i64, _>(column)?).unwrap_or(0));
        let (edges, column_edges) = (size(0)?, size(1)?);
        if edges.max(column_edges) > 0 {
            visit(GraphRow::Sizes { edges, column_edges });
        }
        for (statement, read) in STATEMENTS {
            // Rows are read while the server makes the next ones, and none is kept: memory stays small.
            copy::read(&mut transaction, statement, &mut |row| read(row, visit)).await?;
        }
        transaction.commit().await?;
        Ok(positions)
    }
}

const SIZES: &str = "SELECT (SELECT reltuples::bigint FROM pg_class WHERE oid = 'lineage_edges'::regclass),
    (SELECT reltuples::bigint FROM pg_class WHERE oid = 'column_lineage_edges'::regclass)";

type ReadRow = fn(&mut Fields<'_>, &mut Visit<'_>) -> Result<(), sqlx::Error>;

/// Aliases and dataset states first, so that edges find their ends at once; table edges before the columns' edges, which
/// take their times. Each function takes the columns in the order of its statement.
const STATEMENTS: [(&str, ReadRow); 4] = [
    (
        "COPY (SELECT key, alias, canonical, kind, valid_from, valid_to, reason, \
         origin_topic, origin_partition, origin_offset FROM aliases) TO STDOUT (FORMAT binary)",
        alias,
    ),
    (
        "COPY (SELECT id, existence FROM datasets WHERE existence IN ('virtual', 'ignored')) TO STDOUT (FORMAT binary)",
        dataset,
    ),
    (
        "COPY (SELECT key, job_id, source_id, target_id, kind, confidence, stale, last_seen, \
         origin_topic, origin_partition, origin_offset FROM lineage_edges) TO STDOUT (FORMAT binary)",
        table_edge,
    ),
    (
        "COPY (SELECT key, job_id, target_id, target_field, source_id, source_field, transformations, description, \
         masking, confidence, stale, last_seen, origin_topic, origin_partition, origin_offset \
         FROM column_lineage_edges WHERE NOT unmapped) TO STDOUT (FORMAT binary)",
        column_edge,
    ),
];

fn origin<'d>(row: &mut Fields<'d>) -> Result<OriginRef<'d>, sqlx::Error> {
    Ok(OriginRef { topic: row.text()?, partition: row.int()?, offset: row.big()? })
}

fn table_edge(row: &mut Fields<'_>, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    let key = row.bytes()?;
    let edge = TableEdgeRef {
        job: row.text()?,
        source: row.text()?,
        target: row.text()?,
        kind: row.text()?,
        confidence: row.int()?,
        stale: row.bool()?,
        last_seen: row.micros()?,
        origin: origin(row)?,
    };
    visit(GraphRow::Table(key, edge));
    Ok(())
}

fn column_edge(row: &mut Fields<'_>, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    let key = row.bytes()?;
    let (job, target, target_field) = (row.text()?, row.text()?, row.text()?);
    let (source, source_field) = (row.text()?, row.text()?);
    let transformations: Vec<String> = row.jsonb()?;
    let edge = ColumnEdgeRef {
        job,
        target,
        target_field,
        source,
        source_field,
        transformations: &transformations,
        description: row.text()?,
        masking: row.bool()?,
        confidence: row.int()?,
        stale: row.bool()?,
        last_seen: row.opt_micros()?,
        origin: origin(row)?,
    };
    visit(GraphRow::Column(key, edge));
    Ok(())
}

fn alias(row: &mut Fields<'_>, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    let key = row.bytes()?;
    let record = AliasRecord {
        alias: row.text()?.to_owned(),
        canonical: row.text()?.to_owned(),
        kind: row.text()?.to_owned(),
        valid_from: row.opt_micros()?,
        valid_to: row.opt_micros()?,
        reason: row.text()?.to_owned(),
        origin: Origin { topic: row.text()?.to_owned(), partition: row.int()?, offset: row.big()? },
    };
    visit(GraphRow::Alias(key, record));
    Ok(())
}

fn dataset(row: &mut Fields<'_>, visit: &mut Visit<'_>) -> Result<(), sqlx::Error> {
    visit(GraphRow::Dataset { id: row.text()?, existence: row.text()? });
    Ok(())
}
