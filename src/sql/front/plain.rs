//! Statements that are no blocks: what they set, run and read, and where one ends that no semicolon ends.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::{Dialect, StatementKind};
use super::dynamic::{self};
use super::routine::{closing, query, reads};
use super::script::{Script, parsed};
use super::tokens::{as_word, is};
use super::{Body, Extra, Piece, batch, parse, rows};

/// A statement that is no block.
pub(super) fn statement(script: &mut Script<'_>, start: usize, end: usize, out: &mut Vec<Piece>) {
    let first = script.tokens.get(start).and_then(as_word).map_or(Keyword::NoKeyword, |word| word.keyword);
    dynamic::remember(script, start, end);
    if script.routine {
        rows::remember(script, start, end);
    }
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
            // RETURN QUERY EXECUTE 'text', OPEN c FOR EXECUTE 'text', OPEN c FOR 'text'
            let executes = |at: &usize| {
                is(script.tokens.get(*at), "EXECUTE")
                    || is(script.tokens.get(*at), "FOR")
                        && script.tokens.get(at + 1).is_some_and(|next| dynamic::literal(&next.token).is_some())
            };
            let opens = matches!(first, Keyword::RETURN | Keyword::OPEN);
            return match (start + 1..end.min(start + 5)).find(executes).filter(|_| opens) {
                Some(at) => dynamic::query(script, at + 1, end, StatementKind::Set, out),
                None => reads(script, start, end, StatementKind::Set, out),
            };
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
pub(super) fn into_variables(tokens: &[TokenWithSpan], start: usize, end: usize) -> Option<(usize, usize)> {
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
