//! Rows that have a name in a procedural language: the record of a loop over a query, a trigger's new and old row.

use std::rc::Rc;

use sqlparser::ast::{Expr, Ident, Value};

use crate::sql::front::{Piece, RowsOf};
use crate::sql::types::{StatementKind, StatementLineage};

use super::Binder;
use super::names::{Sym, TableId};
use super::relation::Relation;
use super::scope::FromItem;
use super::sources::Sources;

/// A name for a row, in sight of the statements around which it stands.
pub(super) struct Row {
    key: Sym,
    /// What it is a row of. Who uses the row reads the tables.
    relation: Rc<Relation>,
    tables: Rc<[TableId]>,
    /// T-SQL's `inserted` can be read as a table; the record of a loop cannot.
    table: bool,
}

impl Binder<'_> {
    /// Binds what rows are of, and then the pieces in which the names stand for them.
    pub(super) fn rows(
        &mut self,
        piece: &Piece,
        names: &[Ident],
        of: &RowsOf,
        pieces: &[Piece],
        out: &mut Vec<StatementLineage>,
    ) {
        let relation = match of {
            RowsOf::Query(query) => self.query(query, None),
            RowsOf::Table(name) => self.read_named(name).1,
        };
        let mut tables = self.answer.inputs.clone();
        tables.sort_unstable();
        tables.dedup();
        let tables = Rc::from(tables);
        let table = matches!(of, RowsOf::Table(_));
        if !table {
            out.push(self.finish(piece, StatementKind::Other, None));
        }
        let before = self.rows.len();
        for name in names {
            let key = self.names.fold_key(name);
            self.rows.push(Row { key, relation: Rc::clone(&relation), tables: Rc::clone(&tables), table });
        }
        self.inner(pieces, out);
        self.rows.truncate(before);
    }

    /// The row that a name stands for, whose tables are then read.
    pub(super) fn row(&mut self, key: Sym) -> Option<Rc<Relation>> {
        self.named_row(key, false)
    }

    fn named_row(&mut self, key: Sym, as_table: bool) -> Option<Rc<Relation>> {
        let row = self.rows.iter().rev().find(|row| row.key == key && (row.table || !as_table))?;
        let (relation, tables) = (Rc::clone(&row.relation), Rc::clone(&row.tables));
        self.step(tables.len());
        if !self.is_exhausted() {
            tables.iter().for_each(|table| self.read(*table));
        }
        Some(relation)
    }

    /// A trigger's rows, read as a table.
    pub(super) fn row_table(&mut self, key: Sym) -> Option<Rc<Relation>> {
        self.named_row(key, true)
    }

    /// What `r.a` is made of if `r` is a row. The outer `None`: it is none.
    pub(super) fn row_column(&mut self, parts: &[Sym]) -> Option<Option<Sources>> {
        let (first, path) = parts.split_first()?;
        let key = self.names.key(*first);
        let relation = self.row(key)?;
        Some(self.item_column(&FromItem::new(Some(key), None, relation), path))
    }

    /// What a whole row is made of.
    pub(super) fn whole_row(&mut self, key: Sym) -> Option<Sources> {
        let relation = self.row(key)?;
        Some(relation.all_sources(&mut self.names))
    }

    /// The name behind a colon, as Oracle's triggers and Snowflake's scripts write it, if it is a row's.
    pub(super) fn bound_row(&mut self, root: &Expr) -> Option<Ident> {
        let Expr::Value(value) = root else { return None };
        let Value::Placeholder(text) = &value.value else { return None };
        if self.rows.is_empty() {
            return None;
        }
        let ident = Ident::new(text.strip_prefix(':')?);
        let key = self.names.fold_key(&ident);
        self.rows.iter().any(|row| row.key == key).then_some(ident)
    }
}
