//! The vocabulary of SQL lineage: what goes in and what comes out.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A dialect of SQL: chooses the parser, the folding of names and the arity of table names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Standard SQL, and whatever is not named here.
    Ansi,
    /// Amazon Athena (Trino with Hive's DDL).
    Athena,
    /// Google BigQuery.
    BigQuery,
    /// ClickHouse.
    ClickHouse,
    /// Databricks.
    Databricks,
    /// IBM Db2.
    Db2,
    /// DuckDB.
    DuckDb,
    /// Apache Hive, Impala.
    Hive,
    /// MySQL, MariaDB, SingleStore, Doris, StarRocks.
    MySql,
    /// Oracle.
    Oracle,
    /// PostgreSQL, Greenplum, Materialize, RisingWave, CockroachDB, Vertica.
    Postgres,
    /// Amazon Redshift.
    Redshift,
    /// Snowflake.
    Snowflake,
    /// Apache Spark.
    Spark,
    /// SQLite.
    Sqlite,
    /// Teradata.
    Teradata,
    /// Trino, Presto, Starburst, Dremio, Drill.
    Trino,
    /// Microsoft SQL Server, Synapse, Fabric.
    TSql,
}

impl Dialect {
    /// By any name in use for it, in any case; `None` for a name that nobody knows.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "" | "ansi" | "generic" | "sql" | "standard" | "exasol" => Self::Ansi,
            "athena" => Self::Athena,
            "bigquery" => Self::BigQuery,
            "clickhouse" => Self::ClickHouse,
            "databricks" | "unitycatalog" => Self::Databricks,
            "db2" => Self::Db2,
            "duckdb" | "motherduck" => Self::DuckDb,
            "hive" | "impala" => Self::Hive,
            "mysql" | "mariadb" | "singlestore" | "doris" | "starrocks" => Self::MySql,
            "oracle" => Self::Oracle,
            "postgres" | "postgresql" | "greenplum" | "materialize" | "risingwave" | "cockroachdb" | "vertica"
            | "netezza" => Self::Postgres,
            "redshift" => Self::Redshift,
            "snowflake" => Self::Snowflake,
            "spark" | "sparksql" | "spark2" | "spark3" => Self::Spark,
            "sqlite" => Self::Sqlite,
            "teradata" => Self::Teradata,
            "trino" | "presto" | "starburst" | "dremio" | "drill" => Self::Trino,
            "tsql" | "mssql" | "sqlserver" | "synapse" | "fabric" => Self::TSql,
            _ => return None,
        })
    }
}

/// A table by its resolved name: parts from the outermost to the table, folded by the dialect's rules (lower case where
/// unquoted names are case-insensitive). A path, URL or stage is one part, as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Catalog or database, schema, table; as many as are known.
    pub parts: Vec<Arc<str>>,
}

impl fmt::Display for TableName {
    /// Parts joined by dots, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.parts.iter().enumerate() {
            if nth > 0 {
                f.write_str(".")?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// A column, or a path inside of one, of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnRef {
    /// The table.
    pub table: TableName,
    /// The column's name, `*` where a star could not be expanded. A path inside is joined by dots.
    pub column: Arc<str>,
}

/// How values of a source come into a target, as OpenLineage names it (ColumnLineageDatasetFacet, transformation subtypes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Transformation {
    /// The value itself.
    Identity,
    /// A value computed from it, row by row.
    Transformation,
    /// A value computed over many rows.
    Aggregation,
    /// Indirect: chooses among values (CASE, IF, COALESCE's condition).
    Conditional,
    /// Indirect: partitions, orders or frames a window.
    Window,
    /// Indirect: WHERE, HAVING, QUALIFY.
    Filter,
    /// Indirect: a join's condition.
    Join,
    /// Indirect: GROUP BY.
    GroupBy,
    /// Indirect: ORDER BY.
    Sort,
}

/// One source of a target column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceColumn {
    /// Which.
    pub column: ColumnRef,
    /// How; the strongest, where it comes in several ways (Aggregation over Transformation over Identity).
    pub how: Transformation,
}

/// What a column of an output is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnLineage {
    /// The written table; `None` for the result of a plain query.
    pub table: Option<TableName>,
    /// The written column; an expression's text or a generated name where it has none.
    pub column: Arc<str>,
    /// Base columns whose values flow into it, sorted, without doubles. May be empty (constants).
    pub sources: Vec<SourceColumn>,
}

/// Columns that decide which rows there are, or in what order, rather than their values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IndirectUse {
    /// The column.
    pub column: ColumnRef,
    /// `Filter`, `Join`, `GroupBy`, `Sort` or `Window`.
    pub how: Transformation,
}

/// Two columns that a join equates.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JoinUse {
    /// One side; the smaller one.
    pub left: ColumnRef,
    /// The other.
    pub right: ColumnRef,
}

/// What kind of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "SQL's own words")]
pub enum StatementKind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Truncate,
    CreateTable,
    CreateTableAs,
    CreateView,
    CreateMaterializedView,
    CreateOther,
    Alter,
    Rename,
    Swap,
    Drop,
    Copy,
    Unload,
    Use,
    Set,
    Call,
    Procedure,
    Transaction,
    Grant,
    Show,
    Explain,
    Comment,
    Analyze,
    Other,
}

/// How much of the statement the answer covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// All of it: every name resolved, every star expanded.
    Complete,
    /// A part is missing; each note says which part, and why.
    Partial {
        /// What is missing, for a person.
        notes: Vec<String>,
    },
    /// Nothing is known but what stands in the other fields.
    Failed {
        /// The parser's words, or the limit that was exceeded.
        reason: String,
        /// Where.
        at: Position,
    },
}

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// What one statement reads, writes and derives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLineage {
    /// Where it begins.
    pub at: Position,
    /// Byte range in the script.
    pub span: (usize, usize),
    /// What it is.
    pub kind: StatementKind,
    /// How much of it is covered.
    pub status: Status,
    /// Base tables read, sorted, without doubles; no CTEs, no temporary tables, no table functions.
    pub inputs: Vec<TableName>,
    /// Tables created or written, sorted, without doubles; no temporary tables.
    pub outputs: Vec<TableName>,
    /// Subjects without data flow (DROP, ALTER, TRUNCATE, …).
    pub subjects: Vec<TableName>,
    /// Column lineage, in the order of the target's columns.
    pub columns: Vec<ColumnLineage>,
    /// Columns that filter, join, group and sort; sorted, without doubles.
    pub indirect: Vec<IndirectUse>,
    /// Equated columns of joins; sorted, without doubles.
    pub joins: Vec<JoinUse>,
    /// Columns that a CREATE TABLE declares (name, type as written), for the schema of its output.
    pub declares: Vec<ColumnDef>,
    /// (old name, new name), in order: what a rename or an exchange of names did. Both ways for an exchange.
    #[serde(default)]
    pub renames: Vec<(TableName, TableName)>,
}

/// A column as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Name.
    pub name: Arc<str>,
    /// Type as written; empty if unknown.
    pub data_type: Arc<str>,
}

/// What is known of tables beyond the text.
pub trait Catalog {
    /// The columns of a table, in order; `None` if unknown. `name` is as resolved, possibly with fewer parts than the
    /// catalog's own; an implementation may complete it.
    fn columns(&self, name: &TableName) -> Option<Arc<[ColumnDef]>>;
    /// The defining query of a view through which lineage is to go; `None` for tables.
    fn view(&self, name: &TableName) -> Option<Arc<str>>;
}

/// Nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCatalog;

impl Catalog for NoCatalog {
    fn columns(&self, _name: &TableName) -> Option<Arc<[ColumnDef]>> {
        None
    }
    fn view(&self, _name: &TableName) -> Option<Arc<str>> {
        None
    }
}

/// Where unqualified names belong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// Database (catalog).
    pub database: Option<Arc<str>>,
    /// Schemas in the order in which they are searched; the first is where things are created.
    pub schemas: Vec<Arc<str>>,
}

/// Bounds of the work on one script; what lies beyond them is `Failed` or `Partial`, never cut silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a script.
    pub text_bytes: usize,
    /// Statements in a script.
    pub statements: usize,
    /// Nesting of queries and expressions.
    pub depth: usize,
    /// Column edges of a statement.
    pub edges: usize,
    /// Steps of binding in a script (names looked up, sources merged): what bounds the time.
    pub steps: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes: 4 << 20, statements: 10_000, depth: 100, edges: 200_000, steps: 2_000_000 }
    }
}
