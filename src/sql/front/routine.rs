//! Procedures, functions and triggers, dynamic SQL, and the statements of procedural languages that hold queries.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::{Dialect, StatementKind};
use super::dynamic::{self, literal};
use super::script::{BLOCKS, Script, as_query, parsed};
use super::tokens::{as_word, is};
use super::{Body, Extra, Piece, batch, parse};

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
                    let caller = is(before, "EXECUTE")
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
            let pieces = script.inner(&text, &token, prefix, exact);
            Body::Block { kind: StatementKind::Call, pieces }
        }
        dynamic::Found::Unknown => Body::Extra(Extra::Opaque {
            kind: StatementKind::Call,
            note: "the text of dynamic SQL is made at run time".to_owned(),
        }),
    };
    script.at = end.max(start + 1);
    out.push(script.piece(place, script.at - 1, body));
    true
}

/// A statement that is no block.
pub(super) fn statement(script: &mut Script<'_>, start: usize, end: usize, out: &mut Vec<Piece>) {
    let first = script.tokens.get(start).and_then(as_word).map_or(Keyword::NoKeyword, |word| word.keyword);
    dynamic::remember(script, start, end);
    match first {
        Keyword::SELECT | Keyword::WITH if script.routine && script.dialect() != Dialect::TSql => {
            if let Some((from, to)) = into_variables(&script.tokens, start, end) {
                let mut tokens = script.take(start, end);
                tokens.drain(from - start..to - start);
                return query(script, tokens, StatementKind::Select, out);
            }
        }
        Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE if script.routine => {
            let returning = script.tokens[start..end].iter().position(|token| is(Some(token), "RETURNING"));
            if let Some(at) = returning
                && let Some((from, _)) = into_variables(&script.tokens, start + at, end)
            {
                let mut tokens = script.take(start, end);
                tokens.truncate(from - start);
                out.push(parse::statement(script.source, script.effort, tokens));
                return;
            }
        }
        Keyword::DECLARE if script.dialect() == Dialect::TSql => return declare(script, start, end, out),
        Keyword::DECLARE | Keyword::SET | Keyword::RETURN | Keyword::OPEN | Keyword::FETCH | Keyword::CLOSE
            if script.routine || first == Keyword::DECLARE =>
        {
            return reads(script, start, end, StatementKind::Set, out);
        }
        Keyword::INSERT if script.dialect() == Dialect::TSql => {
            if let Some(at) = executed(&script.tokens, start, end) {
                return result_of(script, start, at, end, out);
            }
        }
        Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE | Keyword::SELECT | Keyword::WITH => {}
        _ if script.routine && local(script, start, end) => {
            return reads(script, start, end, StatementKind::Set, out);
        }
        _ => {}
    }
    let whole = (script.tokens[start].span.start, script.tokens[end - 1].span.end);
    let piece = parsed(script, start, end);
    if matches!(piece.body, Body::Failed { .. }) && script.dialect() != Dialect::TSql {
        let span = (script.source.offset(whole.0), script.source.offset(whole.1));
        if unseparated(script, span, out) {
            return;
        }
    }
    out.push(piece);
}

/// Statements without semicolons between them: each begins a line with a verb that the one before cannot hold there.
fn unseparated(script: &Script<'_>, span: (usize, usize), out: &mut Vec<Piece>) -> bool {
    let tokens = script.source.again(span);
    let mut cuts = vec![0];
    let mut at = 0;
    while at < tokens.len() {
        let next = batch::boundary(&tokens, at, tokens.len());
        if next >= tokens.len() || next <= at {
            break;
        }
        let verb = tokens.get(next).and_then(as_word).is_some_and(|word| {
            matches!(
                word.keyword,
                Keyword::SELECT
                    | Keyword::INSERT
                    | Keyword::UPDATE
                    | Keyword::DELETE
                    | Keyword::MERGE
                    | Keyword::CREATE
                    | Keyword::DROP
                    | Keyword::ALTER
                    | Keyword::TRUNCATE
            )
        });
        if !verb || tokens[next - 1].span.end.line >= tokens[next].span.start.line {
            return false;
        }
        cuts.push(next);
        at = next;
    }
    if cuts.len() < 2 {
        return false;
    }
    cuts.push(tokens.len());
    let mut pieces = Vec::new();
    for pair in cuts.windows(2) {
        if !script.effort.statement() {
            return false;
        }
        pieces.push(parse::statement(script.source, script.effort, tokens[pair[0]..pair[1]].to_vec()));
    }
    let read = pieces.iter().filter(|piece| !matches!(piece.body, Body::Failed { .. })).count();
    if read == 0 {
        return false;
    }
    out.append(&mut pieces);
    true
}

/// EXEC of INSERT … EXEC.
fn executed(tokens: &[TokenWithSpan], start: usize, end: usize) -> Option<usize> {
    let mut depth = 0_usize;
    (start + 1..end).find(|at| {
        match tokens[*at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (is(tokens.get(*at), "EXEC") || is(tokens.get(*at), "EXECUTE"))
    })
}

/// INSERT t EXEC …: the rows of a known text, or rows that nothing is known of.
fn result_of(script: &mut Script<'_>, start: usize, exec: usize, end: usize, out: &mut Vec<Piece>) {
    let place = script.tokens[start].span.start;
    let at = std::mem::replace(&mut script.at, exec);
    let found = dynamic::text(script, exec, end);
    script.at = at;
    if let Some(dynamic::Found::Text { text, .. }) = found {
        let (_, query) = super::tokens::Source::read(&text, script.dialect());
        if matches!(query.first().and_then(as_word).map(|word| word.keyword), Some(Keyword::SELECT | Keyword::WITH)) {
            let mut tokens = script.tokens[start..exec].to_vec();
            tokens.extend(query);
            if let Some(statement) = parse::any(script.dialect(), script.effort, tokens) {
                out.push(script.piece(place, end - 1, Body::Parsed(Box::new(statement))));
                return;
            }
        }
    }
    let tokens = script.tokens[start..end].to_vec();
    let name = (1..4).find(|at| !is(tokens.get(*at), "INTO")).unwrap_or(1);
    let body = match super::extra::place(script.source, &tokens, name) {
        Some((to, _)) => Body::Extra(Extra::Load {
            kind: StatementKind::Insert,
            from: super::Place::Client,
            to,
            columns: Vec::new(),
        }),
        None => parse::failed(&tokens, StatementKind::Insert, "the written table could not be read".to_owned()),
    };
    out.push(script.piece(place, end - 1, body));
}

/// Whether a statement of a routine changes nothing but variables.
fn local(script: &Script<'_>, start: usize, end: usize) -> bool {
    let assigned = script.tokens[start..end.min(start + 8)].iter().any(|token| token.token == Token::Assignment);
    let first = &script.tokens[start];
    assigned
        || ["LET", "PERFORM", "CURSOR", "RAISE", "NULL", "EXIT", "CONTINUE", "LEAVE", "ITERATE", "SIGNAL", "RESIGNAL",
            "GET", "PRAGMA", "TYPE", "SUBTYPE", "ASSERT", "PRINT", "GOTO", "BREAK", "THROW", "RAISERROR", "WAITFOR",
            "YIELD", "PIPE", "AWAIT", "ASYNC", "CANCEL", "DEALLOCATE"]
            .iter()
            .any(|word| is(Some(first), word))
        // A declaration (name type) or a call (name(…)): no keyword begins it.
        || as_word(first).is_some_and(|word| word.keyword == Keyword::NoKeyword && !word.value.is_empty())
            && !["RENAME", "UNDROP", "EXCHANGE", "UPSERT", "SEL", "DEL", "INS", "UPD", "MSCK", "ADD", "LIST"]
                .iter()
                .any(|word| is(Some(first), word))
}

/// The part `[BULK COLLECT] INTO variables` outside of brackets.
fn into_variables(tokens: &[TokenWithSpan], start: usize, end: usize) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        if at >= end {
            return None;
        }
        match &tokens[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.keyword == Keyword::INTO => break,
            _ => {}
        }
        at += 1;
    }
    let mut from = at;
    if from >= start + 2 && is(tokens.get(from - 1), "COLLECT") && is(tokens.get(from - 2), "BULK") {
        from -= 2;
    }
    at += 1;
    if is(tokens.get(at), "STRICT") {
        at += 1;
    }
    loop {
        while matches!(tokens.get(at).map(|token| &token.token), Some(Token::Colon | Token::AtSign)) {
            at += 1;
        }
        if !matches!(tokens.get(at).map(|token| &token.token), Some(Token::Word(_) | Token::Placeholder(_))) {
            return None;
        }
        at += 1;
        while matches!(tokens.get(at).map(|token| &token.token), Some(Token::Period))
            && matches!(tokens.get(at + 1).map(|token| &token.token), Some(Token::Word(_)))
        {
            at += 2;
        }
        if at < end && matches!(tokens.get(at).map(|token| &token.token), Some(Token::Comma)) {
            at += 1;
        } else {
            return Some((from, at.min(end)));
        }
    }
}

/// DECLARE of T-SQL: table variables are temporary tables, cursors and values may be queries.
fn declare(script: &mut Script<'_>, start: usize, end: usize, out: &mut Vec<Piece>) {
    let mut at = start;
    while at < end {
        if is(script.tokens.get(at), "TABLE")
            && at > start
            && matches!(script.tokens.get(at + 1).map(|token| &token.token), Some(Token::LParen))
        {
            let name = if is(script.tokens.get(at - 1), "AS") { at - 2 } else { at - 1 };
            let close = closing(&script.tokens, at + 1, end);
            if name > start {
                let mut tokens = Vec::new();
                for text in ["CREATE", "TEMPORARY", "TABLE"] {
                    tokens.push(TokenWithSpan { token: super::tokens::word(text), span: script.tokens[start].span });
                }
                tokens.push(script.tokens[name].clone());
                tokens.extend_from_slice(&script.tokens[at + 1..close]);
                out.push(parse::statement(script.source, script.effort, tokens));
            }
            at = close;
            continue;
        }
        at += 1;
    }
    reads(script, start, end, StatementKind::Set, out);
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
            Token::Word(word)
                if matches!(word.keyword, Keyword::SELECT | Keyword::WITH) && word.quote_style.is_none() =>
            {
                // WITH HOLD, WITH RETURN, WITH REPLACE begin no query.
                let option = ["HOLD", "RETURN", "REPLACE", "DATA", "NO"];
                if word.keyword == Keyword::WITH && option.iter().any(|word| is(script.tokens.get(at + 1), word)) {
                    at += 1;
                    continue;
                }
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

fn query(script: &Script<'_>, tokens: Vec<TokenWithSpan>, kind: StatementKind, out: &mut Vec<Piece>) {
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
