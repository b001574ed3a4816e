//! Procedures, functions and triggers, dynamic SQL, and the statements of procedural languages that hold queries.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::{Dialect, StatementKind};
use super::dynamic::{self, literal};
use super::plain::into_variables;
use super::script::{BLOCKS, Script, as_query};
use super::tokens::{as_word, is};
use super::{Body, Extra, Piece, RowsOf, batch, parse, rows};

/// CREATE or ALTER of something with a body. False: it is something else, nothing was consumed.
pub(super) fn definition(script: &mut Script<'_>, out: &mut Vec<Piece>) -> bool {
    let start = script.at;
    let Some(object) = (1..9).find(|ahead| {
        ["PROCEDURE", "PROC", "FUNCTION", "TRIGGER", "PACKAGE", "EVENT", "TASK", "ALERT", "MACRO"]
            .iter()
            .any(|word| script.next_is(*ahead, word))
    }) else {
        return false;
    };
    // Nothing but adjectives may stand before: CREATE TABLE task is no task.
    let adjectives = (1..object).all(|ahead| {
        [
            "OR",
            "REPLACE",
            "ALTER",
            "SECURE",
            "TEMPORARY",
            "TEMP",
            "EDITIONABLE",
            "NONEDITIONABLE",
            "TABLE",
            "AGGREGATE",
            "EXTERNAL",
            "CONSTRAINT",
            "PRIVATE",
            "DEFINER",
            "INSTEAD",
            "WINDOW",
        ]
        .iter()
        .any(|word| script.next_is(ahead, word))
            || !matches!(script.peek(ahead).map(|token| &token.token), Some(Token::Word(_)))
            || matches!(script.peek(ahead - 1).map(|token| &token.token), Some(Token::Eq | Token::AtSign))
    });
    if !adjectives || (script.next_is(object - 1, "TABLE") && !script.next_is(object, "FUNCTION")) {
        return false;
    }
    let trigger = script.next_is(object, "TRIGGER");
    let named = script.next_is(object, "TASK") || script.next_is(object, "ALERT") || script.next_is(object, "EVENT");
    let Some(body) = body_of(script, start + object + 1, trigger, named) else { return false };
    let statements = script.next_is(object, "MACRO");
    if statements && (script.dialect() != Dialect::Teradata || script.tokens[body].token != Token::LParen) {
        return false;
    }
    let rows = if trigger { rows::changed(script.dialect(), &script.tokens[start + object..body]) } else { None };
    let mut pieces = Vec::new();
    let place = script.tokens[start].span.start;
    script.at = body;
    let texts = script.texts_of.clone();
    let last = match script.tokens.get(body).and_then(literal_token) {
        Some(text) => {
            let end = script.find(body, |_, _| false);
            let language = language(&script.tokens[start..end]);
            let token = script.tokens[body].clone();
            match language.as_deref() {
                None | Some("sql" | "plpgsql" | "plsql" | "pltsql" | "nzplsql") => {
                    let (prefix, exact) = dynamic::quotes(&token.token);
                    pieces = script.inner(&text, &token, prefix, exact);
                }
                Some(other) => pieces.push(script.piece(
                    place,
                    end - 1,
                    Body::Extra(Extra::Opaque {
                        kind: StatementKind::Procedure,
                        note: format!("the body is written in {other}"),
                    }),
                )),
            }
            script.at = end;
            end - 1
        }
        // Teradata's macros: statements in brackets.
        None if statements => {
            let end = script.end;
            let close = closing(&script.tokens, body, end);
            script.end = close.saturating_sub(1).max(body + 1);
            script.at = body + 1;
            script.sequence(&mut pieces);
            script.at = close;
            script.end = end;
            close.saturating_sub(1)
        }
        None => {
            let routine = std::mem::replace(&mut script.routine, true);
            block(script, &mut pieces);
            script.routine = routine;
            script.at.saturating_sub(1)
        }
    };
    script.texts_of = texts;
    if let Some((table, names)) = rows {
        pieces = vec![script.piece(place, last, Body::Rows { names, of: RowsOf::Table(table), pieces })];
    }
    let body = Body::Block { kind: StatementKind::Procedure, pieces };
    out.push(script.piece(place, last, body));
    true
}

/// The statements of a body that begins here.
fn block(script: &mut Script<'_>, out: &mut Vec<Piece>) {
    if script.dialect() == Dialect::TSql {
        if script.keyword(0) == Keyword::RETURN {
            return expression(script, out);
        }
        // The body of a T-SQL routine goes to the end of the batch.
        while script.at < script.end {
            let before = script.at;
            script.sequence(out);
            if script.at == before {
                script.at += 1;
            }
        }
        return;
    }
    match script.keyword(0) {
        Keyword::RETURN => return expression(script, out),
        Keyword::BEGIN => return script.block(out),
        Keyword::DECLARE => {
            script.at += 1;
            script.declarations(out);
        }
        Keyword::SELECT
        | Keyword::WITH
        | Keyword::INSERT
        | Keyword::UPDATE
        | Keyword::DELETE
        | Keyword::MERGE
        | Keyword::CALL
        | Keyword::REPLACE
        | Keyword::SET => return script.plain(out),
        _ if matches!(script.peek(0).map(|token| &token.token), Some(Token::LParen)) => return expression(script, out),
        _ => script.declarations(out),
    }
    if script.keyword(0) == Keyword::BEGIN {
        script.block(out);
    }
}

/// RETURN … or a bracketed body.
fn expression(script: &mut Script<'_>, out: &mut Vec<Piece>) {
    let start = script.at;
    script.skip_to(|_, _| false);
    reads(script, start, script.at, StatementKind::Select, out);
}

/// PROCEDURE or FUNCTION inside of a package or a declaration section.
pub(super) fn member(script: &mut Script<'_>, out: &mut Vec<Piece>) {
    let place = script.tokens[script.at].span.start;
    match body_of(script, script.at + 1, false, false) {
        Some(body) if script.nesting < BLOCKS => {
            script.at = body;
            let mut pieces = Vec::new();
            script.nesting += 1;
            block(script, &mut pieces);
            script.nesting -= 1;
            let body = Body::Block { kind: StatementKind::Procedure, pieces };
            out.push(script.piece(place, script.at.saturating_sub(1), body));
        }
        _ => script.skip_to(|_, _| false),
    }
}

/// Where the body of a routine begins.
fn body_of(script: &Script<'_>, from: usize, trigger: bool, named: bool) -> Option<usize> {
    let dialect = script.dialect();
    let mut row = !trigger;
    let mut depth = 0_usize;
    let mut at = from;
    while at < script.end {
        let token = &script.tokens[at];
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::SemiColon if depth == 0 => return None,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() && at > from => match word.keyword {
                Keyword::AS | Keyword::IS => {
                    let before = script.tokens.get(at - 1);
                    let renamed = ["NEW", "OLD", "NEW_TABLE", "OLD_TABLE", "ROW", "TABLE"];
                    let caller = trigger && renamed.iter().any(|word| is(before, word))
                        || is(before, "EXECUTE")
                        || is(before, "EXEC")
                        || before.and_then(as_word).is_some_and(|word| word.value.starts_with('@'));
                    if !caller && at + 1 < script.end {
                        if is(script.tokens.get(at + 1), "LANGUAGE") || is(script.tokens.get(at + 1), "EXTERNAL") {
                            return None;
                        }
                        return Some(at + 1);
                    }
                }
                Keyword::BEGIN | Keyword::DECLARE => return Some(at),
                Keyword::RETURN if !matches!(dialect, Dialect::Oracle | Dialect::Snowflake) => return Some(at),
                Keyword::ROW | Keyword::STATEMENT => row = true,
                Keyword::DO if named => return Some(at + 1),
                // A trigger that changes the new row.
                Keyword::SET if trigger && row && dialect == Dialect::MySql => return Some(at),
                Keyword::SELECT
                | Keyword::INSERT
                | Keyword::UPDATE
                | Keyword::DELETE
                | Keyword::CALL
                | Keyword::MERGE
                | Keyword::REPLACE
                    if row
                        && !named
                        && !is(script.tokens.get(at - 1), "OR")
                        && matches!(
                            dialect,
                            Dialect::MySql | Dialect::Db2 | Dialect::Teradata | Dialect::Databricks
                        ) =>
                {
                    return Some(at);
                }
                _ => {}
            },
            _ => {}
        }
        at += 1;
    }
    None
}

/// The language that a routine says it is written in.
fn language(tokens: &[TokenWithSpan]) -> Option<String> {
    let at = tokens.iter().position(|token| is(Some(token), "LANGUAGE"))?;
    match &tokens.get(at + 1)?.token {
        Token::Word(word) => Some(word.value.to_ascii_lowercase()),
        Token::SingleQuotedString(text) => Some(text.to_ascii_lowercase()),
        _ => None,
    }
}

fn literal_token(token: &TokenWithSpan) -> Option<String> {
    literal(&token.token).map(str::to_owned)
}

/// EXECUTE, EXEC, PREPARE, DO. False: an ordinary statement, nothing was consumed.
pub(super) fn dynamic(script: &mut Script<'_>, out: &mut Vec<Piece>) -> bool {
    let start = script.at;
    let place = script.tokens[start].span.start;
    let end = if script.dialect() == Dialect::TSql {
        batch::boundary(&script.tokens, start, script.end)
    } else {
        script.find(start, |script, at| script.blocks > 0 && script.is_keyword(at, Keyword::END))
    };
    let Some(found) = dynamic::text(script, start, end) else { return false };
    let body = match found {
        dynamic::Found::Text { text, token } => {
            let token = script.tokens[token].clone();
            let (prefix, exact) = dynamic::quotes(&token.token);
            let exact = exact && literal(&token.token) == Some(text.as_str());
            let mut pieces = script.inner(&text, &token, prefix, exact);
            // Outside of routines its result is the statement's.
            if !script.routine && script.next_is(1, "IMMEDIATE") {
                script.at = end.max(start + 1);
                out.append(&mut pieces);
                return true;
            }
            Body::Block { kind: StatementKind::Call, pieces }
        }
        dynamic::Found::Unknown => dynamic::unknown(),
    };
    script.at = end.max(start + 1);
    out.push(script.piece(place, script.at - 1, body));
    true
}

/// Behind the bracket that closes the one at `open`.
pub(super) fn closing(tokens: &[TokenWithSpan], open: usize, end: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().take(end).skip(open) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    end
}

/// Whether a query begins with the first of these tokens. WITH HOLD, WITH RETURN, WITH REPLACE and WITH [NO] DATA begin none,
/// unless that is what a common table expression is called.
pub(super) fn begins_query(tokens: &[TokenWithSpan]) -> bool {
    match tokens.first().and_then(as_word).map(|word| word.keyword) {
        Some(Keyword::SELECT) => true,
        Some(Keyword::WITH) => {
            let is_option = ["HOLD", "RETURN", "REPLACE", "NO", "DATA"].iter().any(|word| is(tokens.get(1), word));
            let is_named = is(tokens.get(2), "AS") || tokens.get(2).is_some_and(|token| token.token == Token::LParen);
            !is_option || is_named
        }
        _ => false,
    }
}

/// The queries in something that is none: each goes out as one that is only read.
pub(super) fn reads(script: &mut Script<'_>, start: usize, end: usize, kind: StatementKind, out: &mut Vec<Piece>) {
    let perform = is(script.tokens.get(start), "PERFORM");
    if perform && end > start + 1 {
        let tokens = as_query(&script.tokens[start + 1..end]);
        return query(script, tokens, StatementKind::Select, out);
    }
    let mut at = start;
    let mut open = Vec::new();
    while at < end {
        match &script.tokens[at].token {
            Token::LParen => open.push(at),
            Token::RParen => {
                open.pop();
            }
            _ if begins_query(&script.tokens[at..end]) => {
                let close = open.last().map_or(end, |open| closing(&script.tokens, *open, end) - 1).max(at + 1);
                let mut tokens = script.tokens[at..close.min(end)].to_vec();
                if script.routine
                    && script.dialect() != Dialect::TSql
                    && let Some((from, to)) = into_variables(&tokens, 0, tokens.len())
                {
                    tokens.drain(from..to);
                }
                query(script, tokens, kind, out);
                at = close;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

pub(super) fn query(script: &Script<'_>, tokens: Vec<TokenWithSpan>, kind: StatementKind, out: &mut Vec<Piece>) {
    let Some(first) = tokens.first() else { return };
    let start = first.span.start;
    let end = tokens[tokens.len() - 1].span.end;
    let body = match parse::query(script.dialect(), script.effort, tokens.clone()) {
        Some(query) => Body::Extra(Extra::Reads { kind, query }),
        None => parse::failed(&tokens, kind, "a query inside of a statement could not be read".to_owned()),
    };
    let span = (script.source.offset(start), script.source.offset(end));
    out.push(Piece { at: script.source.position(start), span: script.source.outer(span), body });
}
