//! COPY, LOAD, UNLOAD, EXPORT: rows between tables, queries and files.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::StatementKind;
use super::extra::{columns, place};
use super::parse::{self, Effort};
use super::tokens::{Source, as_word, is};
use super::{Body, Extra, Place, dynamic, routine};

/// UNLOAD ('query') TO 'path', UNLOAD (query) TO 'path'.
pub(super) fn unload(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    if tokens.get(1)?.token != Token::LParen {
        return None;
    }
    let close = routine::closing(tokens, 1, tokens.len());
    let inner = tokens.get(2..close.checked_sub(1)?)?;
    let from = match inner {
        [text] if dynamic::literal(&text.token).is_some() => {
            let text = dynamic::literal(&text.token)?;
            let (_, tokens) = Source::read(text, source.dialect);
            Place::Query(parse::query(source.dialect, effort, tokens)?)
        }
        _ => Place::Query(parse::query(source.dialect, effort, inner.to_vec())?),
    };
    let to = tokens[close..].iter().position(|token| is(Some(token), "TO"))? + close + 1;
    let (to, _) = place(source, tokens, to)?;
    Some(Body::Extra(Extra::Load { kind: StatementKind::Unload, from, to, columns: Vec::new() }))
}

/// The others, where the parser refuses.
pub(super) fn load(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let first = as_word(&tokens[0])?.keyword;
    let mut at = 1;
    if let Some(body) = utility(source, tokens) {
        return Some(body);
    }
    // COPY [INTO] target [(columns)] FROM source; COPY source TO path; LOAD DATA … 'path' … INTO TABLE target.
    if first == Keyword::LOAD || is(tokens.first(), "IMPORT") {
        let into = tokens.iter().position(|token| ["INTO", "OVERWRITE"].iter().any(|word| is(Some(token), word)))?;
        let mut name = into + 1;
        while ["TABLE", "FILES", "OVERWRITE"].iter().any(|word| is(tokens.get(name), word)) {
            name += 1;
        }
        let (to, next) = place(source, tokens, name)?;
        let (columns, _) = columns(tokens, next);
        let from = files(tokens);
        return Some(Body::Extra(Extra::Load { kind: StatementKind::Copy, from, to, columns }));
    }
    if is(tokens.first(), "EXPORT") {
        return exported(source, effort, tokens);
    }
    while ["INTO", "BINARY"].iter().any(|word| is(tokens.get(at), word)) {
        at += 1;
    }
    let (subject, next) = operand(source, effort, tokens, at)?;
    let (listed, next) = columns(tokens, next);
    let from = tokens[next..].iter().position(|token| is(Some(token), "FROM")).map(|at| at + next);
    let to = tokens[next..].iter().position(|token| is(Some(token), "TO")).map(|at| at + next);
    let (kind, from, to) = match (from, to) {
        (Some(from), to) if to.is_none_or(|to| from < to) => {
            (StatementKind::Copy, operand(source, effort, tokens, from + 1)?.0, subject)
        }
        (_, Some(to)) => (StatementKind::Unload, subject, operand(source, effort, tokens, to + 1)?.0),
        _ => return None,
    };
    let kind = if matches!(to, Place::Path(_) | Place::Client) { StatementKind::Unload } else { kind };
    Some(Body::Extra(Extra::Load { kind, from, to, columns: listed }))
}

/// A query in brackets or a place.
fn operand(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan], at: usize) -> Option<(Place, usize)> {
    if tokens.get(at)?.token != Token::LParen {
        return place(source, tokens, at);
    }
    let close = routine::closing(tokens, at, tokens.len());
    let query = parse::query(source.dialect, effort, tokens.get(at + 1..close.checked_sub(1)?)?.to_vec())?;
    Some((Place::Query(query), close))
}

/// EXPORT DATA OPTIONS (uri = '…') AS query; EXPORT TABLE t TO 'path'.
fn exported(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    // EXPORT TABLE t PARTITION (d = 'x') TO 'path'; EXPORT DATA OPTIONS (format = 'x', uri = 'path') AS …
    let behind = |word: &str| {
        let at = tokens.iter().position(|token| is(Some(token), word))?;
        tokens[at..].iter().find_map(|token| dynamic::literal(&token.token))
    };
    let path = behind("URI").or_else(|| behind("TO")).or_else(|| {
        tokens.iter().find_map(|token| dynamic::literal(&token.token)).filter(|_| !is(tokens.get(1), "DATA"))
    });
    let to = match path {
        Some(path) => Place::Path(path.to_owned()),
        // EXPORT TO x.del OF DEL SELECT … of Db2
        None if is(tokens.get(1), "TO") => bare_path(source, tokens, 2).map_or(Place::Client, Place::Path),
        None => Place::Client,
    };
    let from = if is(tokens.get(1), "TABLE") {
        place(source, tokens, 2)?.0
    } else {
        let at = tokens.iter().position(|token| is(Some(token), "SELECT") || is(Some(token), "WITH"))?;
        Place::Query(parse::query(source.dialect, effort, tokens[at..].to_vec())?)
    };
    Some(Body::Extra(Extra::Load { kind: StatementKind::Unload, from, to, columns: Vec::new() }))
}

/// What LOAD reads: the files listed as `uris`, else what comes behind FROM, INPATH or INFILE, else the first literal.
fn files(tokens: &[TokenWithSpan]) -> Place {
    let uris = tokens.iter().position(|token| is(Some(token), "URIS"));
    if let Some(at) = uris {
        let listed = tokens[at..].iter().take_while(|token| !matches!(token.token, Token::RBracket | Token::RParen));
        let paths = listed.filter_map(|token| dynamic::literal(&token.token).map(str::to_owned)).collect();
        return Place::Paths(paths);
    }
    let path = tokens.iter().find_map(|token| dynamic::literal(&token.token));
    path.map_or(Place::Client, |path| Place::Path(path.to_owned()))
}

/// A path without quotes, up to OF.
fn bare_path(source: &Source<'_>, tokens: &[TokenWithSpan], from: usize) -> Option<String> {
    let of = tokens.iter().skip(from).take(40).position(|token| is(Some(token), "OF"))? + from;
    if of == from {
        return None;
    }
    let text = &source.text[source.offset(tokens[from].span.start)..source.offset(tokens[of - 1].span.end)];
    Some(text.to_owned())
}

/// LOAD FROM x.del OF DEL INSERT INTO t and IMPORT FROM x.del OF DEL INSERT INTO t of Db2.
fn utility(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    if !is(tokens.get(1), "FROM") {
        return None;
    }
    let into = tokens.iter().position(|token| is(Some(token), "INTO"))?;
    let (to, next) = place(source, tokens, into + 1)?;
    let (columns, _) = columns(tokens, next);
    let cursor = tokens.windows(2).any(|pair| is(pair.first(), "OF") && is(pair.last(), "CURSOR"));
    let from = match dynamic::literal(&tokens.get(2)?.token) {
        Some(text) => Place::Path(text.to_owned()),
        None if cursor => Place::Client,
        None => Place::Path(bare_path(source, tokens, 2)?),
    };
    Some(Body::Extra(Extra::Load { kind: StatementKind::Copy, from, to, columns }))
}
