//! Names that stand for rows: the record of a loop over a query or cursor, a trigger's new and old row.

use sqlparser::ast::{Ident, ObjectName, Query};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::{Dialect, Position, StatementKind};
use super::routine::{self, closing};
use super::script::Script;
use super::tokens::{as_word, ident, is};
use super::{Body, Extra, Piece, RowsOf, dynamic, guess};

/// Cursors that are followed.
const CURSORS: usize = 200;
/// Names of a trigger's rows: new and old, and what they are called otherwise, as rows and as tables.
const NAMES: usize = 6;

/// Keeps the query of a cursor or result set that a statement declares: CURSOR c IS …, c CURSOR FOR …, r RESULTSET := (…).
pub(super) fn remember(script: &mut Script<'_>, start: usize, end: usize) {
    let marker = |at: &usize| is(script.tokens.get(*at), "CURSOR") || is(script.tokens.get(*at), "RESULTSET");
    let Some(at) = (start..end.min(start + 4)).find(marker) else { return };
    let name = if at == start { at + 1 } else { at - 1 };
    let Some(name) = script.tokens.get(name).and_then(as_word).map(|word| word.value.to_ascii_lowercase()) else {
        return;
    };
    if script.cursors.len() >= CURSORS {
        return;
    }
    let begins = |at: &usize| routine::begins_query(&script.tokens[*at..end]);
    let Some(from) = (at + 1..end).find(begins) else {
        // c CURSOR FOR r: of a result set.
        let last = script.tokens[start..end].last().and_then(as_word).map(|word| word.value.to_ascii_lowercase());
        if let Some(query) = last.and_then(|last| script.cursors.get(&last)).cloned() {
            script.cursors.insert(name, query);
        }
        return;
    };
    let bracket = (at + 1..from).rev().find(|at| script.tokens[*at].token == Token::LParen);
    let to = match bracket.map(|open| closing(&script.tokens, open, end)) {
        Some(close) if close > from => close - 1,
        _ => end,
    };
    let query = script.tokens[from..to].to_vec();
    script.cursors.insert(name, query);
}

/// A loop over the rows of a query.
pub(super) struct Loop {
    at: Position,
    span: (usize, usize),
    record: Ident,
    query: Box<Query>,
}

impl Loop {
    /// The loop with its statements.
    pub fn around(self, pieces: Vec<Piece>) -> Piece {
        let body = Body::Rows { names: vec![self.record], of: RowsOf::Query(self.query), pieces };
        Piece { at: self.at, span: self.span, body }
    }
}

/// The loop whose head goes from `start` to `end`, if it has a record. `read`: what was found to read in the head; what the
/// loop goes over is taken from there.
pub(super) fn over(script: &Script<'_>, start: usize, end: usize, read: &mut Vec<Piece>) -> Option<Loop> {
    let tokens = &script.tokens[start..end];
    let [first, name, preposition, over, ..] = tokens else { return None };
    let record = ident(as_word(name)?, name);
    if !is(Some(first), "FOR") || !(is(Some(preposition), "IN") || is(Some(preposition), "AS")) {
        return None;
    }
    let query = tokens[3..].iter().position(|token| token.token != Token::LParen);
    let direct = query.is_some_and(|at| routine::begins_query(&tokens[3 + at..])) || is(Some(preposition), "AS");
    if is(Some(over), "EXECUTE") {
        dynamic::query(script, start + 4, end, StatementKind::Other, read);
    } else if !direct {
        let cursor = script.cursors.get(&as_word(over)?.value.to_ascii_lowercase())?;
        routine::query(script, cursor.clone(), StatementKind::Other, read);
    }
    match read.pop()? {
        Piece { at, span, body: Body::Extra(Extra::Reads { query, .. }) } if read.is_empty() => {
            Some(Loop { at, span, record, query })
        }
        other => {
            read.push(other);
            None
        }
    }
}

/// A trigger's table and the names of its rows, from what stands before its body.
pub(super) fn changed(dialect: Dialect, head: &[TokenWithSpan]) -> Option<(ObjectName, Vec<Ident>)> {
    let on = head.iter().position(|token| is(Some(token), "ON"))?;
    let (table, next) = guess::name(head, on + 1)?;
    // Triggers on a database or schema are told of no rows.
    if ["DATABASE", "SCHEMA", "ALL"].iter().any(|word| is(head.get(on + 1), word)) {
        return None;
    }
    let usual = if dialect == Dialect::TSql { ["inserted", "deleted"] } else { ["new", "old"] };
    let mut names: Vec<Ident> = usual.map(Ident::new).into();
    let Some(referencing) = head[next..].iter().position(|token| is(Some(token), "REFERENCING")) else {
        return Some((table, names));
    };
    let mut at = next + referencing + 1;
    while names.len() < NAMES && ["NEW", "OLD", "NEW_TABLE", "OLD_TABLE"].iter().any(|word| is(head.get(at), word)) {
        at += 1;
        while ["ROW", "TABLE", "AS"].iter().any(|word| is(head.get(at), word)) {
            at += 1;
        }
        let Some((word, token)) = head.get(at).and_then(|token| Some((as_word(token)?, token))) else { break };
        names.push(ident(word, token));
        at += 1;
    }
    Some((table, names))
}
