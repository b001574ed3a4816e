//! Statements of single vendors that the parser has no tree for.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::super::types::{Dialect, StatementKind};
use super::extra::{columns, place, target, utility};
use super::parse::{self, Effort};
use super::tokens::{Source, as_word, is, word};
use super::{Body, Extra, Place, dynamic, guess, routine};

/// Of what the parser refused; `first`: the first word in upper case.
pub(super) fn late(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan], first: &str) -> Option<Body> {
    match first {
        "BULK" => bulk(source, tokens),
        "IMPORT" | "EXPORT"
            if is(tokens.get(1), "FOREIGN") || is(tokens.get(1), "DATABASE") || is(tokens.get(1), "SCHEMA") =>
        {
            Some(Body::Extra(Extra::Utility { kind: guess::kind(tokens), subjects: Vec::new() }))
        }
        "IMPORT" => imported(source, tokens),
        "UPDATE" if is(tokens.get(1), "STATISTICS") => Some(Body::Extra(Extra::Utility {
            kind: StatementKind::Analyze,
            subjects: guess::name(tokens, 2).map(|(name, _)| name).into_iter().collect(),
        })),
        "ALTER" if source.dialect == Dialect::ClickHouse => mutation(source, effort, tokens),
        "CACHE" => cached(source, effort, tokens),
        "CREATE" => created(source, effort, tokens),
        "APPLY" | "AUTO" => changes(tokens, 0),
        "SET" | "SUMMARIZE" | "DESCRIBE" | "DESC" => asked(source, effort, tokens, first),
        "PREPARE" => prepared(source, effort, tokens),
        "WITH" if is(tokens.get(1), "FUNCTION") => functions(source, effort, tokens),
        _ if source.dialect == Dialect::Snowflake => flow(source, effort, tokens),
        _ => None,
    }
}

fn made(source: &Source<'_>, effort: &Effort<'_>, tokens: Vec<TokenWithSpan>) -> Option<Body> {
    parse::any(source.dialect, effort, tokens).map(|statement| Body::Parsed(Box::new(statement)))
}

/// Unquoted words in place of a token.
fn phrase(text: &str, at: &TokenWithSpan) -> Vec<TokenWithSpan> {
    text.split(' ')
        .map(|part| TokenWithSpan { token: if part == "*" { Token::Mul } else { word(part) }, span: at.span })
        .collect()
}

fn load(from: Place, to: Place, columns: Vec<sqlparser::ast::Ident>) -> Body {
    Body::Extra(Extra::Load { kind: StatementKind::Copy, from, to, columns })
}

/// BULK INSERT t FROM 'path'.
fn bulk(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let (to, next) = place(source, tokens, 2)?;
    let from = tokens[next..].iter().find_map(|token| dynamic::literal(&token.token))?;
    Some(load(Place::Path(from.to_owned()), to, Vec::new()))
}

/// IMPORT [EXTERNAL] TABLE t [PARTITION (…)] FROM 'path' of Hive.
fn imported(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let table = tokens.iter().take(4).position(|token| is(Some(token), "TABLE"))?;
    let (to, next) = place(source, tokens, table + 1)?;
    let from = tokens[next..].iter().position(|token| is(Some(token), "FROM"))? + next;
    let path = dynamic::literal(&tokens.get(from + 1)?.token)?;
    Some(load(Place::Path(path.to_owned()), to, Vec::new()))
}

/// INSERT INTO t [(columns)] FROM INFILE 'path' of ClickHouse.
pub(super) fn infile(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    if source.dialect != Dialect::ClickHouse {
        return None;
    }
    let at = tokens.iter().take(200).position(|token| is(Some(token), "INFILE"))?;
    if !is(tokens.get(at - 1), "FROM") {
        return None;
    }
    let name = (1..3).find(|at| !is(tokens.get(*at), "INTO") && !is(tokens.get(*at), "TABLE"))?;
    let (to, next) = place(source, tokens, name)?;
    let (columns, _) = columns(tokens, next);
    let path = dynamic::literal(&tokens.get(at + 1)?.token)?;
    Some(load(Place::Path(path.to_owned()), to, columns))
}

/// ALTER TABLE t UPDATE a = b WHERE c of ClickHouse.
fn mutation(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let at = tokens.iter().take(30).position(|token| is(Some(token), "UPDATE"))?;
    let (from, end) = target(tokens, 2)?;
    let mut out = phrase("UPDATE", &tokens[0]);
    out.extend_from_slice(&tokens[from..end]);
    out.extend(phrase("SET", &tokens[at]));
    out.extend_from_slice(&tokens[at + 1..]);
    made(source, effort, out)
}

/// CACHE [LAZY] TABLE name [OPTIONS (…)] [[AS] query]: a temporary view.
fn cached(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let table = tokens.iter().take(4).position(|token| is(Some(token), "TABLE"))?;
    let query = tokens.iter().position(|token| is(Some(token), "SELECT") || is(Some(token), "WITH"));
    let Some(query) = query else { return Some(Body::Extra(utility(tokens))) };
    let (from, end) = target(tokens, table + 1)?;
    let mut out = phrase("CREATE TEMPORARY VIEW", &tokens[0]);
    out.extend_from_slice(&tokens[from..end]);
    out.extend(phrase("AS", &tokens[0]));
    out.extend_from_slice(&tokens[query..]);
    made(source, effort, out)
}

/// APPLY CHANGES INTO t FROM s, AUTO CDC INTO t FROM s of Databricks.
fn changes(tokens: &[TokenWithSpan], from: usize) -> Option<Body> {
    let into = tokens.iter().skip(from).take(12).position(|token| is(Some(token), "INTO"))? + from;
    let (target, next) = guess::name(tokens, into + 1)?;
    let at = tokens[next..].iter().position(|token| is(Some(token), "FROM"))? + next + 1;
    let mut name = at;
    if is(tokens.get(at), "STREAM") {
        name += 1;
        if matches!(tokens.get(name).map(|token| &token.token), Some(Token::LParen)) {
            name += 1;
        }
    }
    let (source, _) = guess::name(tokens, name)?;
    Some(Body::Extra(Extra::Exchange { target, source }))
}

fn created(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let at = |text: &str, within: usize| tokens.iter().take(within).position(|token| is(Some(token), text));
    let object = tokens.iter().take(8).position(|token| {
        as_word(token).is_some_and(|word| {
            matches!(word.keyword, Keyword::TABLE | Keyword::VIEW)
                || ["MODEL", "DICTIONARY", "FLOW"].iter().any(|text| is(Some(token), text))
        })
    })?;
    let mut name = object + 1;
    while ["IF", "NOT", "EXISTS"].iter().any(|word| is(tokens.get(name), word)) {
        name += 1;
    }
    if is(tokens.get(object), "FLOW") {
        return changes(tokens, object);
    }
    // CREATE MODEL m … AS query, … FROM (query) …
    if is(tokens.get(object), "MODEL") {
        let start = tokens.iter().position(|token| is(Some(token), "SELECT") || is(Some(token), "WITH"))?;
        let open = tokens.get(start - 1).is_some_and(|token| token.token == Token::LParen);
        let end = if open { routine::closing(tokens, start - 1, tokens.len()) - 1 } else { tokens.len() };
        let query = parse::query(source.dialect, effort, tokens[start..end].to_vec())?;
        return Some(Body::Extra(Extra::Reads { kind: StatementKind::CreateOther, query }));
    }
    let (from, end) = target(tokens, name)?;
    if is(tokens.get(object), "DICTIONARY") {
        let to = place(source, tokens, name)?.0;
        let named = |text: &str| {
            let at = tokens.iter().skip(end).position(|token| is(Some(token), text))? + end + 1;
            let text = dynamic::literal(&tokens.get(at)?.token)?;
            Some(sqlparser::ast::Ident::with_quote_and_span('"', tokens[at].span, text))
        };
        let from = match named("TABLE") {
            Some(table) => Place::Table(sqlparser::ast::ObjectName::from(
                named("DB").into_iter().chain([table]).collect::<Vec<_>>(),
            )),
            None => Place::Client,
        };
        return Some(load(from, to, Vec::new()));
    }
    if !is(tokens.get(object), "VIEW") {
        return None;
    }
    // Views that are no queries.
    if is(tokens.get(object.checked_sub(1)?), "SEMANTIC")
        || at("METRICS", 40).is_some_and(|at| is(tokens.get(at - 1), "WITH"))
    {
        return Some(load(Place::Client, place(source, tokens, name)?.0, Vec::new()));
    }
    if at("MATERIALIZED", object).is_some() {
        return None;
    }
    // CREATE TEMPORARY VIEW v [(columns)] USING format OPTIONS (path 'x') of Spark
    let mut using = end;
    if tokens.get(using).is_some_and(|token| token.token == Token::LParen) {
        using = routine::closing(tokens, using, tokens.len());
    }
    if !is(tokens.get(using), "USING") {
        return None;
    }
    let option = |names: &[&str]| {
        tokens.iter().enumerate().skip(using).find_map(|(at, token)| {
            let said = names.iter().any(|name| {
                is(Some(token), name)
                    || dynamic::literal(&token.token).is_some_and(|text| text.eq_ignore_ascii_case(name))
            });
            if !said {
                return None;
            }
            tokens
                .get(at + 1..(at + 3).min(tokens.len()))?
                .iter()
                .find_map(|next| Some((dynamic::literal(&next.token)?, next.span)))
        })
    };
    let mut out = phrase("CREATE TEMPORARY VIEW", &tokens[0]);
    out.extend_from_slice(&tokens[from..end]);
    out.extend(phrase("AS SELECT *", &tokens[0]));
    match option(&["PATH", "DBTABLE"]) {
        Some((path, span)) => {
            out.extend(phrase("FROM", &tokens[0]));
            let word = Word { value: path.to_owned(), quote_style: Some('`'), keyword: Keyword::NoKeyword };
            out.push(TokenWithSpan { token: Token::Word(word), span });
        }
        None => {
            out.pop();
            out.extend(phrase("NULL", &tokens[0]));
        }
    }
    made(source, effort, out)
}

/// A statement that asks for a value or shows something: the first query in it is read.
fn asked(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan], first: &str) -> Option<Body> {
    let at = tokens.iter().position(|token| is(Some(token), "SELECT") || is(Some(token), "WITH"))?;
    let open = tokens.get(at.checked_sub(1)?).is_some_and(|token| token.token == Token::LParen);
    if !open && at != 1 {
        return None;
    }
    let end = if open { routine::closing(tokens, at - 1, tokens.len()).checked_sub(1)? } else { tokens.len() };
    let query = parse::query(source.dialect, effort, tokens.get(at..end)?.to_vec())?;
    let kind = if first == "SET" { StatementKind::Set } else { StatementKind::Show };
    Some(Body::Extra(Extra::Reads { kind, query }))
}

/// PREPARE q FROM statement.
fn prepared(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let at = tokens.iter().take(40).position(|token| is(Some(token), "FROM") || is(Some(token), "AS"))? + 1;
    let word = as_word(tokens.get(at)?)?.keyword;
    match word {
        Keyword::SELECT | Keyword::WITH => {
            let query = parse::query(source.dialect, effort, tokens[at..].to_vec())?;
            Some(Body::Extra(Extra::Reads { kind: StatementKind::Other, query }))
        }
        Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE => {
            made(source, effort, tokens[at..].to_vec())
        }
        _ => None,
    }
}

/// WITH FUNCTION f (…) RETURN … query: functions of a statement's own.
fn functions(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let mut depth = 0_usize;
    let query = tokens.iter().enumerate().skip(2).find_map(|(at, token)| {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let begins = depth == 0
            && (is(Some(token), "SELECT") || (is(Some(token), "WITH") && !is(tokens.get(at + 1), "FUNCTION")));
        begins.then_some(at)
    });
    match query {
        Some(at) => made(source, effort, tokens[at..].to_vec()),
        None => Some(Body::Extra(Extra::Utility { kind: StatementKind::Other, subjects: Vec::new() })),
    }
}

/// `query ->> SELECT … FROM $1` of Snowflake: each statement reads results of those before it.
fn flow(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let mut parts: Vec<Vec<TokenWithSpan>> = Vec::new();
    for part in tokens.split(|token| token.token == Token::LongArrow).take(20) {
        let mut out: Vec<TokenWithSpan> = Vec::with_capacity(part.len());
        for token in part {
            let back = match &token.token {
                Token::Placeholder(text) => text.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()),
                _ => None,
            };
            let named = out.last().is_some_and(|before| {
                before.token == Token::Comma || is(Some(before), "FROM") || is(Some(before), "JOIN")
            });
            let source =
                back.filter(|_| named).and_then(|back| parts.len().checked_sub(back)).and_then(|nth| parts.get(nth));
            match source {
                Some(query)
                    if matches!(
                        query.first().and_then(as_word).map(|word| word.keyword),
                        Some(Keyword::SELECT | Keyword::WITH)
                    ) =>
                {
                    out.push(TokenWithSpan { token: Token::LParen, span: token.span });
                    out.extend_from_slice(query);
                    out.push(TokenWithSpan { token: Token::RParen, span: token.span });
                }
                _ => out.push(token.clone()),
            }
        }
        if out.len() > 100_000 {
            return None;
        }
        parts.push(out);
    }
    if parts.len() < 2 {
        return None;
    }
    made(source, effort, parts.pop()?)
}
