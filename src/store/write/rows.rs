//! Rows of one table, held by column, as one UNNEST upsert takes them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::Query;

/// The values of one column.
enum Cells<'a> {
    Text(Vec<Option<Cow<'a, str>>>),
    Json(Vec<Option<String>>),
    Int(Vec<i32>),
    Big(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Time(Vec<Option<DateTime<Utc>>>),
    Hash(Vec<[u8; 16]>),
}

impl Cells<'_> {
    fn sql_type(&self) -> &'static str {
        match self {
            // JSON travels as text: the server parses it once either way.
            Self::Text(_) | Self::Json(_) => "text[]",
            Self::Int(_) => "int4[]",
            Self::Big(_) => "int8[]",
            Self::Bool(_) => "bool[]",
            Self::Time(_) => "timestamptz[]",
            Self::Hash(_) => "bytea[]",
        }
    }
}

/// What happens to a row that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// Replaced if its `row_hash` differs.
    ReplaceIfChanged,
    /// The table's rows were deleted before: a conflict is an error.
    Fail,
}

/// Rows of a table. Every row names the same columns in the same order.
pub(super) struct Rows<'a> {
    table: &'static str,
    key: &'static str,
    on_conflict: OnConflict,
    columns: Vec<(&'static str, Cells<'a>)>,
    cursor: usize,
    len: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(table: &'static str, key: &'static str, on_conflict: OnConflict) -> Self {
        Self { table, key, on_conflict, columns: Vec::new(), cursor: 0, len: 0 }
    }

    /// Ends a row.
    pub(super) fn end(&mut self) {
        debug_assert_eq!(self.cursor, self.columns.len(), "rows of {} differ in their columns", self.table);
        self.cursor = 0;
        self.len += 1;
    }

    fn cell(&mut self, name: &'static str, empty: impl FnOnce() -> Cells<'a>) -> &mut Cells<'a> {
        if self.cursor == self.columns.len() {
            self.columns.push((name, empty()));
        }
        self.cursor += 1;
        let (known, cells) = self.columns.get_mut(self.cursor - 1).expect("pushed if it was missing");
        debug_assert_eq!(*known, name, "rows of {} differ in their columns", self.table);
        cells
    }

    pub(super) fn text(&mut self, name: &'static str, value: impl Into<Cow<'a, str>>) {
        self.opt_text(name, Some(value.into()));
    }

    pub(super) fn opt_text(&mut self, name: &'static str, value: Option<Cow<'a, str>>) {
        if let Cells::Text(cells) = self.cell(name, || Cells::Text(Vec::new())) {
            cells.push(value);
        }
    }

    pub(super) fn json(&mut self, name: &'static str, value: String) {
        self.opt_json(name, Some(value));
    }

    pub(super) fn opt_json(&mut self, name: &'static str, value: Option<String>) {
        if let Cells::Json(cells) = self.cell(name, || Cells::Json(Vec::new())) {
            cells.push(value);
        }
    }

    pub(super) fn int(&mut self, name: &'static str, value: i32) {
        if let Cells::Int(cells) = self.cell(name, || Cells::Int(Vec::new())) {
            cells.push(value);
        }
    }

    pub(super) fn opt_big(&mut self, name: &'static str, value: Option<i64>) {
        if let Cells::Big(cells) = self.cell(name, || Cells::Big(Vec::new())) {
            cells.push(value);
        }
    }

    pub(super) fn opt_bool(&mut self, name: &'static str, value: Option<bool>) {
        if let Cells::Bool(cells) = self.cell(name, || Cells::Bool(Vec::new())) {
            cells.push(value);
        }
    }

    pub(super) fn opt_time(&mut self, name: &'static str, value: Option<DateTime<Utc>>) {
        if let Cells::Time(cells) = self.cell(name, || Cells::Time(Vec::new())) {
            cells.push(value);
        }
    }

    pub(super) fn hash(&mut self, name: &'static str, value: [u8; 16]) {
        if let Cells::Hash(cells) = self.cell(name, || Cells::Hash(Vec::new())) {
            cells.push(value);
        }
    }

    fn statement(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let values: Vec<String> = self
            .columns
            .iter()
            .map(|(name, cells)| match cells {
                Cells::Json(_) => format!("u.\"{name}\"::jsonb"),
                _ => format!("u.\"{name}\""),
            })
            .collect();
        let arrays: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, (_, cells))| format!("${}::{}", index + 1, cells.sql_type()))
            .collect();
        let mut sql = format!(
            "INSERT INTO {table} AS t ({names}) SELECT {values} FROM UNNEST({arrays}) AS u({names})",
            table = self.table,
            names = names.join(", "),
            values = values.join(", "),
            arrays = arrays.join(", "),
        );
        if self.on_conflict == OnConflict::ReplaceIfChanged {
            let set: Vec<String> = names.iter().map(|name| format!("{name} = EXCLUDED.{name}")).collect();
            sql.push_str(&format!(
                " ON CONFLICT ({}) DO UPDATE SET {} WHERE t.row_hash <> EXCLUDED.row_hash",
                self.key,
                set.join(", ")
            ));
        }
        sql
    }

    /// Writes the rows; answers how many the server changed.
    pub(super) async fn write(self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        if self.len == 0 {
            return Ok(0);
        }
        // Only names from this program's code stand in the statement; all values are bound.
        let mut query: Query<'_, Postgres, PgArguments> = sqlx::query(AssertSqlSafe(self.statement()));
        for (_, cells) in self.columns {
            query = match cells {
                Cells::Text(values) => query.bind(values),
                Cells::Json(values) => query.bind(values),
                Cells::Int(values) => query.bind(values),
                Cells::Big(values) => query.bind(values),
                Cells::Bool(values) => query.bind(values),
                Cells::Time(values) => query.bind(values),
                Cells::Hash(values) => query.bind(values),
            };
        }
        Ok(query.execute(connection).await?.rows_affected())
    }
}
