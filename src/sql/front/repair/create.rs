//! CREATE TABLE and CREATE VIEW without what no lineage depends on.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::super::routine::closing;
use super::super::tokens::as_word;
use super::{behind, keyword, make, one_of, outside, sign, symbol};

/// What a CREATE statement says that matters.
struct Parts {
    replace: bool,
    temporary: bool,
    materialized: bool,
    view: bool,
    recursive: bool,
    if_not_exists: bool,
    /// Tokens of the name.
    name: (usize, usize),
    /// Tokens of the columns, with brackets.
    columns: Option<(usize, usize)>,
    /// Target of ClickHouse's materialized views: tokens of the name.
    to: Option<(usize, usize)>,
    /// Where the query begins.
    query: Option<usize>,
    /// LIKE or CLONE and the other table's name.
    like: Option<(usize, usize)>,
}

fn parts(tokens: &[TokenWithSpan]) -> Option<Parts> {
    let replaces = keyword(tokens, 0) == Keyword::REPLACE && one_of(tokens, 1, &["TABLE", "VIEW"]);
    if keyword(tokens, 0) != Keyword::CREATE && !replaces {
        return None;
    }
    let mut at = 1;
    let (mut replace, mut temporary, mut materialized, mut recursive) = (replaces, false, false, false);
    let view = loop {
        let word = as_word(tokens.get(at)?)?.value.to_ascii_uppercase();
        match word.as_str() {
            "TABLE" => break false,
            "VIEW" | "DICTIONARY" => break true,
            "REPLACE" | "ALTER" => replace = true,
            "TEMP" | "TEMPORARY" | "VOLATILE" => temporary = true,
            "MATERIALIZED" => materialized = true,
            "RECURSIVE" => recursive = true,
            "OR" | "GLOBAL" | "LOCAL" | "PRIVATE" | "TRANSIENT" | "MULTISET" | "SET" | "EXTERNAL" | "DYNAMIC"
            | "SECURE" | "FORCE" | "NOFORCE" | "EDITIONABLE" | "NONEDITIONABLE" | "UNLOGGED" | "HYBRID" | "ICEBERG"
            | "LIVE" | "STREAMING" | "REFRESH" | "FOREIGN" | "ROW" | "COLUMN" | "INSERT" | "EVENT" | "MANAGED"
            | "SHARDED" | "BLOCKCHAIN" | "IMMUTABLE" | "SNAPSHOT" | "INTERACTIVE" | "FACT" | "DIMENSION" | "NO"
            | "WINDOW" | "EDITIONING" | "NOT" | "BIGFILE" => {}
            // ALGORITHM = x, DEFINER = a@b, SQL SECURITY x
            "ALGORITHM" | "DEFINER" | "SQL" | "SECURITY" => {
                at = (at + 1..tokens.len().min(at + 8)).find(|next| {
                    one_of(tokens, *next, &["VIEW", "TABLE", "SQL", "DEFINER", "ALGORITHM"])
                        && !symbol(tokens, next - 1, &Token::Eq)
                })?;
                continue;
            }
            _ => return None,
        }
        at += 1;
    };
    at += 1;
    let mut if_not_exists = false;
    if one_of(tokens, at, &["IF"]) {
        if_not_exists = true;
        at += 3;
    }
    let start = at;
    loop {
        as_word(tokens.get(at)?)?;
        at += 1;
        if symbol(tokens, at, &Token::Period) {
            at += 1;
        } else {
            break;
        }
    }
    let name = (start, at);
    // CREATE TABLE f(…) of a table function, or a call such as IDENTIFIER('t'), is for the parser.
    let mut columns = None;
    let mut to = None;
    let mut like = None;
    let mut query = None;
    let mut next = at;
    while next < tokens.len() {
        match &tokens[next].token {
            Token::LParen => {
                let end = closing(tokens, next, tokens.len());
                let inner = keyword(tokens, next + 1);
                if columns.is_none() && matches!(inner, Keyword::SELECT | Keyword::WITH) {
                    query = Some(next);
                    break;
                }
                if columns.is_none() && (next == at || to.is_some_and(|(_, end)| end == next)) {
                    columns = Some((next, end));
                }
                next = end.max(next + 1);
                continue;
            }
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::AS => {
                    let mut begin = next + 1;
                    // AS (SELECT …), AS SELECT, AS WITH, AS TABLE, AS FROM; `FROM t` alone, too.
                    while symbol(tokens, begin, &Token::LParen) {
                        begin += 1;
                    }
                    if matches!(
                        keyword(tokens, begin),
                        Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::FROM | Keyword::TABLE
                    ) || one_of(tokens, begin, &["SEL", "LOCKING", "LOCK"])
                    {
                        query = Some(next + 1);
                        break;
                    }
                }
                Keyword::SELECT => {
                    query = Some(next);
                    break;
                }
                Keyword::WITH
                    if symbol(tokens, next + 2, &Token::LParen)
                        && !one_of(tokens, next + 1, &["TAG", "SERDEPROPERTIES", "PROPERTIES"])
                        || matches!(keyword(tokens, next + 2), Keyword::AS)
                            && !one_of(tokens, next + 1, &["SCHEMABINDING", "ENCRYPTION", "VIEW_METADATA"]) =>
                {
                    query = Some(next);
                    break;
                }
                Keyword::TO if materialized && to.is_none() => {
                    let start = next + 1;
                    let mut end = start;
                    while as_word(tokens.get(end)?).is_some() {
                        end += 1;
                        if symbol(tokens, end, &Token::Period) {
                            end += 1;
                        } else {
                            break;
                        }
                    }
                    to = Some((start, end));
                    next = end;
                    continue;
                }
                _ if next == at && one_of(tokens, next, &["SHALLOW", "DEEP"]) => at += 1,
                Keyword::LIKE | Keyword::CLONE | Keyword::COPY if like.is_none() && next == at => {
                    let mut end = next + 1;
                    while tokens.get(end).and_then(as_word).is_some() {
                        end += 1;
                        if symbol(tokens, end, &Token::Period) {
                            end += 1;
                        } else {
                            break;
                        }
                    }
                    like = Some((next, end));
                }
                _ => {}
            },
            _ => {}
        }
        next += 1;
    }
    materialized &= view;
    Some(Parts { replace, temporary, materialized, view, recursive, if_not_exists, name, columns, to, query, like })
}

/// Keeps kind, name, columns and query.
pub(super) fn skeleton(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    rebuild(tokens, dialect, false)
}

/// The same, with the columns reduced to names and types.
pub(super) fn bare(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    rebuild(tokens, dialect, true)
}

fn rebuild(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect, bare: bool) -> bool {
    let Some(parts) = parts(tokens) else { return false };
    let place = tokens[0].clone();
    let mut out = vec![make("CREATE", &place)];
    if parts.replace && dialect != Dialect::Postgres {
        out.push(make("OR", &place));
        out.push(make("REPLACE", &place));
    }
    if parts.temporary {
        out.push(make("TEMPORARY", &place));
    }
    if parts.materialized {
        out.push(make("MATERIALIZED", &place));
    }
    out.push(make(if parts.view { "VIEW" } else { "TABLE" }, &place));
    if parts.if_not_exists {
        for text in ["IF", "NOT", "EXISTS"] {
            out.push(make(text, &place));
        }
    }
    out.extend_from_slice(&tokens[parts.name.0..parts.name.1]);
    if let Some((start, end)) = parts.to {
        out.push(make("TO", &place));
        out.extend_from_slice(&tokens[start..end]);
    }
    if let Some((start, end)) = parts.like {
        let like = keyword(tokens, start) == Keyword::LIKE;
        out.push(make(if like { "LIKE" } else { "CLONE" }, &place));
        out.extend_from_slice(&tokens[start + 1..end]);
    }
    // The columns behind TO say the types of what the query gives.
    if let Some((start, end)) = parts.columns
        && parts.to.is_none()
    {
        if parts.view || (bare && parts.query.is_some()) {
            names(&tokens[start..end], &mut out, !parts.view);
        } else if bare {
            types(&tokens[start..end], &mut out);
        } else {
            out.extend_from_slice(&tokens[start..end]);
        }
    }
    if let Some(query) = parts.query {
        out.push(make("AS", &place));
        // Behind a query in brackets stand options only.
        let end = if symbol(tokens, query, &Token::LParen) {
            let end = behind(tokens, query);
            if one_of(tokens, end, &["UNION", "EXCEPT", "INTERSECT", "MINUS"]) { tokens.len() } else { end }
        } else {
            outside(tokens, query, |at| {
                (keyword(tokens, at) == Keyword::WITH
                    && at > query
                    && one_of(tokens, at + 1, &["DATA", "NO", "CHECK", "READ", "CASCADED", "LOCAL", "NOROW"]))
                    || (keyword(tokens, at) == Keyword::PRIMARY && one_of(tokens, at + 1, &["INDEX"]))
                    || (keyword(tokens, at) == Keyword::ON && one_of(tokens, at + 1, &["COMMIT"]))
            })
            .unwrap_or(tokens.len())
        };
        if parts.recursive {
            recursive(tokens, &parts, (query, end), &mut out);
        } else {
            out.extend_from_slice(&tokens[query..end]);
        }
    }
    let changed = out.len() != tokens.len() || out.iter().zip(tokens.iter()).any(|(a, b)| a.token != b.token);
    *tokens = out;
    changed
}

/// A recursive view is a recursive common table of its own name.
fn recursive(tokens: &[TokenWithSpan], parts: &Parts, query: (usize, usize), out: &mut Vec<TokenWithSpan>) {
    let place = tokens[0].clone();
    let name = tokens[parts.name.1 - 1].clone();
    let sign = |token| sign(token, &place);
    out.extend([make("WITH", &place), make("RECURSIVE", &place), name.clone()]);
    if let Some((start, end)) = parts.columns {
        names(&tokens[start..end], out, false);
    }
    out.extend([make("AS", &place), sign(Token::LParen)]);
    out.extend_from_slice(&tokens[query.0..query.1]);
    out.extend([sign(Token::RParen), make("SELECT", &place), sign(Token::Mul), make("FROM", &place), name]);
}

/// The comma-separated parts inside of brackets.
fn items(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let inner = &tokens[1..tokens.len().saturating_sub(1).max(1)];
    let (mut depth, mut angle) = (0_usize, 0_usize);
    let mut items = Vec::new();
    let mut start = 0;
    for (at, token) in inner.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Lt => angle += 1,
            Token::Gt => angle = angle.saturating_sub(1),
            Token::ShiftRight => angle = angle.saturating_sub(2),
            Token::Comma if depth == 0 && angle == 0 => {
                items.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&inner[start..]);
    items.retain(|item| !item.is_empty());
    items
}

fn constraint(item: &[TokenWithSpan]) -> bool {
    matches!(
        keyword(item, 0),
        Keyword::CONSTRAINT
            | Keyword::PRIMARY
            | Keyword::UNIQUE
            | Keyword::FOREIGN
            | Keyword::CHECK
            | Keyword::INDEX
            | Keyword::KEY
            | Keyword::LIKE
            | Keyword::EXCLUDE
            | Keyword::PERIOD
    ) && item.len() > 1
        && !symbol(item, 1, &Token::Comma)
        || matches!(keyword(item, 0), Keyword::PROJECTION)
}

/// `(name, name)`, with a type if asked for.
fn names(tokens: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>, typed: bool) {
    out.push(tokens[0].clone());
    let mut first = true;
    for item in items(tokens) {
        if constraint(item) || as_word(&item[0]).is_none() {
            continue;
        }
        if !first {
            out.push(TokenWithSpan { token: Token::Comma, span: item[0].span });
        }
        first = false;
        out.push(item[0].clone());
        if typed {
            out.push(make("VARCHAR", &item[0]));
        }
    }
    if first {
        out.pop();
    } else {
        out.push(tokens[tokens.len() - 1].clone());
    }
}

/// `(name type, name type)`.
fn types(tokens: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) {
    out.push(tokens[0].clone());
    let mut first = true;
    for item in items(tokens) {
        if constraint(item) || as_word(&item[0]).is_none() {
            continue;
        }
        if !first {
            out.push(TokenWithSpan { token: Token::Comma, span: item[0].span });
        }
        first = false;
        out.push(item[0].clone());
        match item.get(1).and_then(as_word) {
            Some(_) => {
                out.push(item[1].clone());
                if symbol(item, 2, &Token::LParen) {
                    out.extend_from_slice(&item[2..closing(item, 2, item.len())]);
                } else if symbol(item, 2, &Token::Lt) {
                    let mut depth = 0_usize;
                    for token in &item[2..] {
                        out.push(token.clone());
                        match token.token {
                            Token::Lt => depth += 1,
                            Token::Gt => depth = depth.saturating_sub(1),
                            Token::ShiftRight => depth = depth.saturating_sub(2),
                            _ => {}
                        }
                        if depth == 0 {
                            break;
                        }
                    }
                }
            }
            None => out.push(make("VARCHAR", &item[0])),
        }
    }
    if first {
        out.pop();
    } else {
        out.push(tokens[tokens.len() - 1].clone());
    }
}
