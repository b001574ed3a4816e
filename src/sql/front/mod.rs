//! From a text to its statements: splitting, parsing, and what is known of what the parser refuses.
//!
//! In: a text and its dialect. Out: [`Piece`]s in the order of the text; bodies of procedures and the texts of dynamic
//! SQL are nested pieces. Nothing here knows what a name stands for. A statement that cannot be read is a
//! [`Body::Failed`] with what a scan of its tokens found; it never takes its neighbours with it.

use sqlparser::ast::{Ident, ObjectName, Query, Statement};

use self::tokens::Source;
use super::types::{Dialect, Limits, Position, StatementKind};

mod batch;
mod blocks;
mod dynamic;
mod extra;
mod guess;
mod load;
mod parse;
mod plain;
mod prepare;
mod repair;
mod routine;
mod rows;
mod script;
#[cfg(test)]
mod tests;
mod tokens;
mod vendor;

/// One statement of a text.
#[derive(Debug)]
pub(in crate::sql) struct Piece {
    /// Where it begins.
    pub at: Position,
    /// Byte range in the text.
    pub span: (usize, usize),
    /// What it says.
    pub body: Body,
}

/// What a statement says, as far as it could be read.
#[derive(Debug)]
pub(in crate::sql) enum Body {
    /// A statement of the parser's.
    Parsed(Box<Statement>),
    /// A statement that no tree of the parser's carries.
    Extra(Extra),
    /// A procedure, function or block whose statements could be found, or one statement that stands for several
    /// (multi-table inserts: kind `Insert`, one INSERT per piece).
    Block {
        /// What stands around the pieces.
        kind: StatementKind,
        /// The statements, in order.
        pieces: Vec<Piece>,
    },
    /// Statements in which names stand for rows.
    Rows {
        /// The names.
        names: Vec<Ident>,
        /// What they are rows of.
        of: RowsOf,
        /// The statements, in order.
        pieces: Vec<Piece>,
    },
    /// Not read.
    Failed {
        /// By the first words.
        kind: StatementKind,
        /// The parser's words, or the limit that was exceeded.
        reason: String,
        /// Names that seem to be read.
        reads: Vec<ObjectName>,
        /// Names that seem to be written.
        writes: Vec<ObjectName>,
    },
}

/// What a named row is a row of.
#[derive(Debug)]
pub(in crate::sql) enum RowsOf {
    /// A query that a loop goes over.
    Query(Box<Query>),
    /// A trigger's table.
    Table(ObjectName),
}

/// Statements that the parser has no tree for.
#[derive(Debug)]
pub(in crate::sql) enum Extra {
    /// USE in a spelling of its own: what becomes the default.
    Use {
        /// Database, where said.
        database: Option<Ident>,
        /// Schema, where said.
        schema: Option<Ident>,
    },
    /// Two tables exchange their names (ALTER … SWAP WITH, EXCHANGE TABLES a AND b).
    Swap {
        /// One.
        left: ObjectName,
        /// The other.
        right: ObjectName,
    },
    /// RENAME TABLE a TO b, c TO d: one after the other.
    Rename {
        /// (old name, new name). A new name of one part stays in the schema of the old one.
        pairs: Vec<(ObjectName, ObjectName)>,
    },
    /// Rows go over as they are, every column to the one of the same name (EXCHANGE PARTITION, ATTACH PARTITION FROM,
    /// ALTER TABLE … APPEND FROM).
    Exchange {
        /// Gets the rows.
        target: ObjectName,
        /// Gives them.
        source: ObjectName,
    },
    /// COPY, LOAD, UNLOAD, EXPORT, IMPORT: rows between tables, queries and files.
    Load {
        /// `Copy` or `Unload`.
        kind: StatementKind,
        /// From where.
        from: Place,
        /// To where.
        to: Place,
        /// Columns of the table that are written or read; empty: all.
        columns: Vec<Ident>,
    },
    /// A query that is read without giving a result of its own: conditions of IF and WHILE, values of variables,
    /// results of a routine, cursors. Its tables are inputs; its columns are no targets.
    Reads {
        /// What asks for it.
        kind: StatementKind,
        /// The query.
        query: Box<Query>,
    },
    /// A statement without data flow; `subjects` are the tables it is about.
    Utility {
        /// What it is.
        kind: StatementKind,
        /// About what.
        subjects: Vec<ObjectName>,
    },
    /// Something is done that the text does not show (dynamic SQL built at run time, routines in other languages).
    Opaque {
        /// What it is.
        kind: StatementKind,
        /// For a person: what is not known.
        note: String,
    },
}

/// Where rows come from or go to.
#[derive(Debug)]
pub(in crate::sql) enum Place {
    /// A table.
    Table(ObjectName),
    /// A file, URL or stage, as written (without quotes).
    Path(String),
    /// Several of them.
    Paths(Vec<String>),
    /// A query.
    Query(Box<Query>),
    /// The client's side (STDIN, STDOUT, a program).
    Client,
}

/// The statements of a text.
pub(in crate::sql) fn pieces(text: &str, dialect: Dialect, limits: &Limits) -> Vec<Piece> {
    if text.len() > limits.text_bytes {
        let reason = format!("the text has {} bytes; the limit is {}", text.len(), limits.text_bytes);
        let body = Body::Failed { kind: StatementKind::Other, reason, reads: Vec::new(), writes: Vec::new() };
        return vec![Piece { at: Position { line: 1, column: 1 }, span: (0, text.len()), body }];
    }
    let text = prepare::prepare(text, dialect);
    let (source, tokens) = Source::read(&text, dialect);
    script::pieces(&source, tokens, limits)
}
