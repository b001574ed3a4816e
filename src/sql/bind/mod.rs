//! Binding: from a statement's syntax tree to what it reads, writes and derives.
//!
//! # How names, relations and sources are represented
//! All names of a script are interned (`names`): a [`names::Sym`] is a spelling and knows its lower-case twin, by which names are
//! compared; a [`names::TableId`] is a table by its full name; a [`names::ColumnId`] is a column of such a table.
//!
//! A *source set* (`sources`) is a sorted slice of base columns, each with how it comes in. Sets are shared, so that
//! handing a column on through twenty subqueries costs twenty copies of a pointer.
//!
//! A *relation* (`relation`) is what a FROM item offers and a query yields: named columns, each with its source set, and
//! stars for columns that nobody told us of.
//!
//! A *scope* (`scope`) is what the expressions of one SELECT see: its FROM items, merged columns, aliases and windows,
//! and the scope around it. Common table expressions stand on a stack of the binder, the innermost last.
//!
//! Queries are bound from the inside out and each once: `query` (WITH, set operations), `select` (the select list and
//! its stars), `from` and `tables` (FROM items), `pipe` (pipe syntax), `expr` and `functions`. Statements: `dml`,
//! `ddl`, `statement`. What a statement writes goes through `write`.
//!
//! Work is counted in steps; a statement that needs more than its share ends with what it has, and says so.

mod calls;
mod clauses;
mod ddl;
mod dml;
mod expr;
mod from;
mod functions;
mod insert;
mod load;
mod merge;
mod names;
mod pattern;
mod pipe;
mod pivot;
mod query;
mod relation;
mod rows;
mod scope;
mod select;
mod settings;
mod sources;
mod stars;
mod statement;
mod tables;
mod temps;
#[cfg(test)]
mod tests;
mod types;
mod write;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::sql::analyse::Options;
use crate::sql::session::Session;
use crate::sql::types::{Catalog, ColumnDef, Dialect, Transformation};

pub(in crate::sql) use names::Relied;
use names::{ColumnId, Names, Sym, TableId};
use relation::Relation;
use rows::Row;
use sources::Sources;

/// A common table expression in sight.
struct Cte {
    key: Sym,
    relation: Rc<Relation>,
    /// Whether anything read it.
    used: bool,
}

/// A temporary table or view of the session, with the base columns it is made of.
#[derive(Clone)]
struct Temp {
    relation: Rc<Relation>,
    bases: Vec<TableId>,
    /// Its columns are declared, not taken from the first query that fills it.
    declared: bool,
}

/// A written column and what it is made of.
struct Derived {
    table: Option<TableId>,
    column: Sym,
    sources: Sources,
}

/// What is gathered about one statement.
#[derive(Default)]
struct Answer {
    inputs: Vec<TableId>,
    outputs: Vec<TableId>,
    subjects: Vec<TableId>,
    columns: Vec<Derived>,
    indirect: Vec<(ColumnId, Transformation)>,
    joins: Vec<(ColumnId, ColumnId)>,
    declares: Vec<ColumnDef>,
    renames: Vec<(TableId, TableId)>,
    notes: Vec<String>,
    ambiguous: Vec<Sym>,
    unknown: Vec<Sym>,
    exhausted: bool,
    too_deep: bool,
}

/// Binds the statements of one script, in order.
pub(in crate::sql) struct Binder<'a> {
    dialect: Dialect,
    catalog: &'a dyn Catalog,
    options: &'a Options,
    session: &'a mut Session,
    names: Names,
    answer: Answer,
    ctes: Vec<Cte>,
    /// Expressions below it belong to a query outside of the view being expanded.
    cte_base: usize,
    /// Keys of lambda parameters and variables in sight.
    locals: Vec<Sym>,
    /// Named rows in sight, the innermost last.
    rows: Vec<Row>,
    /// Inside of how many functions that take lambdas.
    higher_order: usize,
    steps: usize,
    depth: usize,
    /// Off where only the tables of a subquery matter.
    want_columns: bool,
    /// Inside of a procedure's or block's body.
    in_body: usize,
    views: Vec<TableId>,
    temps: HashMap<TableId, Temp, FixedState>,
    /// Temporary tables by their bare name.
    bare_temps: HashMap<Sym, TableId, FixedState>,
    dropped_temps: Vec<TableId>,
    generated: usize,
    /// The query being bound had an INTO that made a table.
    into_target: bool,
    nothing: Rc<Relation>,
}

impl<'a> Binder<'a> {
    pub(in crate::sql) fn new(
        dialect: Dialect,
        session: &'a mut Session,
        catalog: &'a dyn Catalog,
        options: &'a Options,
    ) -> Self {
        Self {
            dialect,
            catalog,
            options,
            session,
            names: Names::new(dialect),
            answer: Answer::default(),
            ctes: Vec::new(),
            cte_base: 0,
            locals: Vec::new(),
            rows: Vec::new(),
            higher_order: 0,
            steps: 0,
            depth: 0,
            want_columns: true,
            in_body: 0,
            views: Vec::new(),
            temps: HashMap::default(),
            bare_temps: HashMap::default(),
            dropped_temps: Vec::new(),
            generated: 0,
            into_target: false,
            nothing: Rc::new(Relation::default()),
        }
    }

    /// Counts work.
    fn step(&mut self, steps: usize) {
        self.steps += steps;
        if self.steps > self.options.limits.steps {
            self.answer.exhausted = true;
        }
    }

    fn exhaust(&mut self) {
        self.answer.exhausted = true;
    }

    fn is_exhausted(&self) -> bool {
        self.answer.exhausted
    }

    /// Goes one level down; `false` if that is too deep or the work is used up.
    fn enter(&mut self) -> bool {
        self.step(1);
        if self.answer.exhausted {
            return false;
        }
        // One level of a query takes up to four of ours.
        if self.depth >= self.options.limits.depth.saturating_mul(4) {
            self.answer.too_deep = true;
            return false;
        }
        self.depth += 1;
        true
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn note(&mut self, note: impl Into<String>) {
        if self.answer.notes.len() < 20 {
            self.answer.notes.push(note.into());
        }
    }

    fn note_ambiguous(&mut self, name: Sym) {
        if self.answer.ambiguous.len() < 8 && !self.answer.ambiguous.contains(&name) {
            self.answer.ambiguous.push(name);
        }
    }

    fn note_unknown(&mut self, name: Sym) {
        if self.answer.unknown.len() < 8 && !self.answer.unknown.contains(&name) {
            self.answer.unknown.push(name);
        }
    }

    /// The session that is bound in.
    pub(in crate::sql) fn session(&mut self) -> &mut Session {
        self.session
    }

    /// Gives the session back what goes on in it. Returns what was relied on of it.
    pub(in crate::sql) fn end(&mut self) -> Relied {
        if self.options.remember {
            self.save_temps();
        }
        self.names.relied
    }

    /// A name for a select item that has none.
    fn generated_name(&mut self) -> Sym {
        let name = format!("_c{}", self.generated);
        self.generated += 1;
        self.names.intern(&name)
    }

    /// The type of a base column, as the catalog has it.
    fn data_type(&mut self, column: ColumnId) -> Option<Arc<str>> {
        let (table, name) = self.names.column_parts(column);
        let columns = self.catalog.columns(self.names.table_name(table))?;
        let name = self.names.text(name);
        columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).map(|column| Arc::clone(&column.data_type))
    }
}
