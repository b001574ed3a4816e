//! Statements that the parser has no tree for.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::{Dialect, StatementKind};
use super::parse::{self, Effort};
use super::tokens::{Source, as_word, ident, is, word};
use super::{Body, Extra, Piece, Place, dynamic, guess, load, routine, vendor};

/// Statements that the parser would read, but not in a form that shows what they do.
pub(super) fn early(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let first = as_word(&tokens[0])?.keyword;
    match first {
        Keyword::INSERT => {
            let at = 1 + usize::from(is(tokens.get(1), "OVERWRITE"));
            let all = is(tokens.get(at), "ALL") || is(tokens.get(at), "FIRST");
            if all { multi_insert(source, effort, tokens, at + 1) } else { vendor::infile(source, tokens) }
        }
        Keyword::FROM | Keyword::WITH => from_first(source, effort, tokens),
        Keyword::UNLOAD => load::unload(source, effort, tokens),
        Keyword::EXEC | Keyword::EXECUTE => renamed_by_procedure(tokens),
        _ => None,
    }
}

/// Statements that the parser refused.
pub(super) fn late(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let first = as_word(&tokens[0])?.value.to_ascii_uppercase();
    if let Some(body) = vendor::late(source, effort, tokens, &first) {
        return Some(body);
    }
    let extra = match first.as_str() {
        "USE" => default(tokens, 1)?,
        "DATABASE" if source.dialect == Dialect::Teradata => {
            let (name, _) = guess::name(tokens, 1)?;
            used(name, "SCHEMA")
        }
        "SET" if is(tokens.get(1), "SCHEMA") || is(tokens.get(1), "CATALOG") => default(tokens, 1)?,
        "SET" if is(tokens.get(1), "CURRENT") && is(tokens.get(2), "SCHEMA") => default(tokens, 2)?,
        // Before a query of Teradata it is a modifier.
        "LOCK" if source.dialect == Dialect::Teradata => return None,
        "ALTER" => return altered(tokens),
        "EXCHANGE" => {
            let (left, next) = guess::name(tokens, 2)?;
            let (right, _) = guess::name(tokens, next + 1)?;
            Extra::Swap { left, right }
        }
        "RENAME" => renames(tokens)?,
        "COPY" | "LOAD" | "IMPORT" | "UNLOAD" | "EXPORT" => return load::load(source, effort, tokens),
        "CREATE" => return created(source, effort, tokens),
        "DROP" | "UNDROP" | "TRUNCATE" => utility(tokens),
        "DECLARE" => return cursor(source, effort, tokens),
        "EXPLAIN" | "REFRESH" | "CLEAR" | "UNCACHE" | "ADD" | "SHOW" | "DESC" | "DESCRIBE" | "LIST" | "LS" | "HELP"
        | "RESET" | "UNSET" | "ANALYZE" | "ANALYSE" | "COLLECT" | "VACUUM" | "OPTIMIZE" | "MSCK" | "INVALIDATE"
        | "COMPUTE" | "GRANT" | "REVOKE" | "DENY" | "COMMENT" | "KILL" | "LOCK" | "UNLOCK" | "PUT" | "GET"
        | "REMOVE" | "RM" | "CALL" | "PURGE" | "FLASHBACK" | "AUDIT" | "BEGIN" | "START" | "COMMIT" | "ROLLBACK"
        | "SAVEPOINT" | "END" | "SYSTEM" | "DBCC" | "CHECKPOINT" | "RECONFIGURE" | "BACKUP" | "RESTORE" | "PRINT"
        | "RAISERROR" | "THROW" | "WAITFOR" | "GOTO" | "RETURN" | "SET" | "LET" | "EXECUTE" | "EXEC" | "FETCH"
        | "OPEN" | "CLOSE" | "DEALLOCATE" | "PREPARE" | "DISCARD" | "LISTEN" | "NOTIFY" | "UNLISTEN" | "PRAGMA"
        | "INSTALL" | "ATTACH" | "DETACH" | "RELOAD" | "REPAIR" | "FSCK" | "DELIMITER" | "HANDLER" | "FLUSH"
        | "CHANGE" | "STOP" | "BREAK" | "CONTINUE" | "EXIT" | "ABORT" | "CANCEL" | "SUSPEND" | "RESUME" | "REINDEX"
        | "CLUSTER" | "SECURITY" | "REASSIGN" | "CHECK" | "CHECKSUM" | "ASSOCIATE" | "NOAUDIT" | "WHENEVER" | "BT"
        | "ET" | "DO" | "SPOOL" | "QUIT" | "HOST" | "APPLY" | "SUMMARIZE" | "GENERATE" | "CONVERT" | "UNDO"
        | "SYNC" => utility(tokens),
        _ => return None,
    };
    Some(Body::Extra(extra))
}

/// USE [DATABASE|SCHEMA|CATALOG|…] name.
fn default(tokens: &[TokenWithSpan], at: usize) -> Option<Extra> {
    let what = as_word(tokens.get(at)?)?.value.to_ascii_uppercase();
    let mut next = at;
    if ["DATABASE", "SCHEMA", "CATALOG", "NAMESPACE"].contains(&what.as_str()) {
        next += 1;
    } else if ["ROLE", "WAREHOUSE", "SECONDARY"].contains(&what.as_str()) {
        return Some(Extra::Utility { kind: StatementKind::Use, subjects: Vec::new() });
    }
    while matches!(tokens.get(next).map(|token| &token.token), Some(Token::Eq)) {
        next += 1;
    }
    let name = match guess::name(tokens, next) {
        Some((name, _)) => name,
        None => {
            let token = tokens.get(next)?;
            let text = dynamic::literal(&token.token)?;
            ObjectName::from(vec![Ident::with_quote_and_span('"', token.span, text)])
        }
    };
    Some(used(name, &what))
}

fn used(name: ObjectName, what: &str) -> Extra {
    let mut parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
    let last = parts.pop();
    let before = parts.pop();
    match what {
        "DATABASE" | "CATALOG" if before.is_none() => Extra::Use { database: last, schema: None },
        _ => Extra::Use { database: before, schema: last },
    }
}

/// ALTER in spellings of its own.
fn altered(tokens: &[TokenWithSpan]) -> Option<Body> {
    let table = tokens.iter().take(6).position(|token| is(Some(token), "TABLE") || is(Some(token), "VIEW"));
    if is(tokens.get(1), "SESSION")
        && let Some(at) = tokens.iter().position(|token| is(Some(token), "CURRENT_SCHEMA"))
        && let Some((name, _)) = guess::name(tokens, at + 2)
    {
        return Some(Body::Extra(used(name, "SCHEMA")));
    }
    let extra = (|| {
        let mut at = table? + 1;
        while ["IF", "EXISTS", "ONLY"].iter().any(|word| is(tokens.get(at), word)) {
            at += 1;
        }
        let (name, next) = guess::name(tokens, at)?;
        let position = |word: &str| tokens[next..].iter().position(|token| is(Some(token), word)).map(|at| at + next);
        if let Some(at) = position("SWAP") {
            let (right, _) = guess::name(tokens, at + 2)?;
            return Some(Extra::Swap { left: name, right });
        }
        if let Some(at) = position("EXCHANGE") {
            let with = tokens[at..].iter().position(|token| is(Some(token), "WITH"))? + at + 1;
            let with = with + usize::from(is(tokens.get(with), "TABLE"));
            let (source, _) = guess::name(tokens, with)?;
            return Some(Extra::Exchange { target: name, source });
        }
        if let Some(at) = position("SWITCH") {
            let to = tokens[at..].iter().position(|token| is(Some(token), "TO"))? + at + 1;
            let (target, _) = guess::name(tokens, to)?;
            return Some(Extra::Exchange { target, source: name });
        }
        if let Some(at) = position("MOVE")
            && let Some(to) = tokens[at..].iter().position(|token| is(Some(token), "TO"))
            && is(tokens.get(at + to + 1), "TABLE")
        {
            let (target, _) = guess::name(tokens, at + to + 2)?;
            return Some(Extra::Exchange { target, source: name });
        }
        if (position("APPEND").is_some() || position("ATTACH").is_some() || position("REPLACE").is_some())
            && let Some(from) = position("FROM")
            && let Some((source, _)) = guess::name(tokens, from + 1)
        {
            return Some(Extra::Exchange { target: name, source });
        }
        if let Some(at) = position("RENAME")
            && is(tokens.get(at + 1), "TO")
        {
            let (new, _) = guess::name(tokens, at + 2)?;
            return Some(Extra::Rename { pairs: vec![(name, new)] });
        }
        Some(Extra::Utility { kind: StatementKind::Alter, subjects: vec![name] })
    })();
    Some(Body::Extra(extra.unwrap_or(Extra::Utility { kind: StatementKind::Alter, subjects: Vec::new() })))
}

/// RENAME [TABLE] a TO b, c TO d.
fn renames(tokens: &[TokenWithSpan]) -> Option<Extra> {
    let mut at = 1;
    while ["TABLE", "TABLES", "VIEW", "OBJECT", "IF", "EXISTS"].iter().any(|word| is(tokens.get(at), word)) {
        at += 1;
    }
    let mut pairs = Vec::new();
    loop {
        let (old, next) = guess::name(tokens, at)?;
        if !["TO", "AS"].iter().any(|word| is(tokens.get(next), word)) {
            return None;
        }
        let (new, next) = guess::name(tokens, next + 1)?;
        pairs.push((old, new));
        if !matches!(tokens.get(next).map(|token| &token.token), Some(Token::Comma)) {
            return Some(Extra::Rename { pairs });
        }
        at = next + 1;
    }
}

/// EXEC sp_rename 'old', 'new'.
fn renamed_by_procedure(tokens: &[TokenWithSpan]) -> Option<Body> {
    let at = tokens.iter().take(6).position(|token| is(Some(token), "SP_RENAME"))?;
    let texts: Vec<(&str, &TokenWithSpan)> =
        tokens[at..].iter().filter_map(|token| Some((dynamic::literal(&token.token)?, token))).collect();
    if texts.len() != 2 && !(texts.len() == 3 && texts[2].0.eq_ignore_ascii_case("OBJECT")) {
        return None;
    }
    let named = |(text, token): &(&str, &TokenWithSpan)| {
        let part = |part: &str| Ident::with_span(token.span, part.trim_matches(['[', ']']));
        ObjectName::from(text.split('.').map(part).collect::<Vec<_>>())
    };
    Some(Body::Extra(Extra::Rename { pairs: vec![(named(&texts[0]), named(&texts[1]))] }))
}

/// A statement without data flow.
pub(super) fn utility(tokens: &[TokenWithSpan]) -> Extra {
    let mut subjects = Vec::new();
    for (at, token) in tokens.iter().enumerate().take(12) {
        let Some(found) = as_word(token) else { continue };
        if found.quote_style.is_none() && matches!(found.keyword, Keyword::TABLE | Keyword::VIEW | Keyword::TABLES) {
            let mut next = at + 1;
            while ["IF", "NOT", "EXISTS"].iter().any(|word| is(tokens.get(next), word)) {
                next += 1;
            }
            subjects.extend(guess::name(tokens, next).map(|(name, _)| name));
            break;
        }
    }
    Extra::Utility { kind: guess::kind(tokens), subjects }
}

/// CREATE of what is neither a table nor a view.
fn created(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let about = ["STREAM", "TAG", "POLICY", "INDEX", "SYNONYM", "ROLE", "SEQUENCE"];
    let object = tokens.iter().take(5).position(|token| about.iter().any(|word| is(Some(token), word)));
    if object.is_some_and(|at| !tokens[..at].iter().any(|token| is(Some(token), "TABLE") || is(Some(token), "VIEW"))) {
        return Some(Body::Extra(Extra::Utility { kind: StatementKind::CreateOther, subjects: Vec::new() }));
    }
    // ALGORITHM = x DEFINER = a@b SQL SECURITY y may stand before VIEW.
    let head = if is(tokens.get(1), "ALGORITHM") || tokens.iter().take(4).any(|token| is(Some(token), "DEFINER")) {
        24
    } else {
        9
    };
    let data = tokens
        .iter()
        .take(head)
        .any(|token| as_word(token).is_some_and(|word| matches!(word.keyword, Keyword::TABLE | Keyword::VIEW)));
    let pipe = tokens.iter().take(5).any(|token| is(Some(token), "PIPE"));
    if pipe && let Some(at) = tokens.iter().position(|token| is(Some(token), "COPY")) {
        return load::load(source, effort, &tokens[at..]);
    }
    if data {
        return None;
    }
    Some(Body::Extra(Extra::Utility { kind: guess::kind(tokens), subjects: Vec::new() }))
}

/// DECLARE c CURSOR FOR query.
fn cursor(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let at = (0..tokens.len()).find(|at| routine::begins_query(&tokens[*at..]))?;
    let query = parse::query(source.dialect, effort, tokens[at..].to_vec())?;
    Some(Body::Extra(Extra::Reads { kind: StatementKind::Set, query }))
}

/// INSERT ALL|FIRST [WHEN … THEN] INTO t (…) VALUES (…) … query: one INSERT for each INTO.
fn multi_insert(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan], from: usize) -> Option<Body> {
    let mut at = from;
    let mut targets = Vec::new();
    let query = loop {
        let token = tokens.get(at)?;
        match as_word(token).map_or(Keyword::NoKeyword, |word| word.keyword) {
            Keyword::WHEN => {
                while !is(tokens.get(at), "THEN") {
                    tokens.get(at)?;
                    at += 1;
                }
                at += 1;
            }
            Keyword::ELSE => at += 1,
            Keyword::INTO => {
                let start = at;
                let (_, mut next) = target(tokens, at + 1)?;
                if matches!(tokens.get(next).map(|token| &token.token), Some(Token::LParen)) {
                    next = routine::closing(tokens, next, tokens.len());
                }
                let head = next;
                let mut values = None;
                if is(tokens.get(next), "VALUES") {
                    let end = routine::closing(tokens, next + 1, tokens.len());
                    values = Some((next + 2, end.checked_sub(1)?));
                    next = end;
                }
                targets.push((start, head, values));
                at = next;
            }
            Keyword::SELECT | Keyword::WITH => break at,
            _ if token.token == Token::LParen => break at,
            _ => return None,
        }
    };
    if targets.is_empty() || targets.len() > 200 {
        return None;
    }
    let span = tokens[0].span;
    let make = |text: &str| TokenWithSpan { token: word(text), span };
    let symbol = |token: Token| TokenWithSpan { token, span };
    let mut pieces = Vec::new();
    for (start, head, values) in targets {
        let mut insert = vec![make("INSERT")];
        insert.extend_from_slice(&tokens[start..head]);
        match values {
            Some((from, to)) if from < to => {
                insert.push(make("SELECT"));
                insert.extend_from_slice(&tokens[from..to]);
                insert.push(make("FROM"));
                insert.push(symbol(Token::LParen));
                insert.extend_from_slice(&tokens[query..]);
                insert.push(symbol(Token::RParen));
                insert.push(make("AS"));
                insert.push(make("multi_insert_source"));
            }
            _ => insert.extend_from_slice(&tokens[query..]),
        }
        pieces.push(parsed(source, effort, insert, &tokens[start]));
    }
    Some(Body::Block { kind: StatementKind::Insert, pieces })
}

/// A dotted name followed by anything.
pub(super) fn target(tokens: &[TokenWithSpan], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        as_word(tokens.get(at)?)?;
        at += 1;
        if matches!(tokens.get(at).map(|token| &token.token), Some(Token::Period)) {
            at += 1;
        } else {
            return Some((from, at));
        }
    }
}

/// [WITH …] FROM source INSERT … SELECT … INSERT … SELECT …: the source goes into each.
fn from_first(source: &Source<'_>, effort: &Effort<'_>, tokens: &[TokenWithSpan]) -> Option<Body> {
    let mut depth = 0_usize;
    let mut from = None;
    let mut inserts = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 => match word.keyword {
                Keyword::FROM if from.is_none() => from = Some(at),
                // Any other statement comes before its FROM.
                Keyword::SELECT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE if from.is_none() => return None,
                Keyword::INSERT if from.is_none() => return None,
                Keyword::INSERT => inserts.push(at),
                _ => {}
            },
            _ => {}
        }
    }
    let from = from?;
    let first = *inserts.first()?;
    let mut pieces = Vec::new();
    for (nth, at) in inserts.iter().enumerate().take(200) {
        let end = inserts.get(nth + 1).copied().unwrap_or(tokens.len());
        let part = &tokens[*at..end];
        let select = part.iter().position(|token| is(Some(token), "SELECT"));
        // WHERE, GROUP BY and so on come behind FROM.
        let mut depth = 0_usize;
        let tail = select.and_then(|select| {
            part.iter().enumerate().skip(select).find_map(|(at, token)| match &token.token {
                Token::LParen => {
                    depth += 1;
                    None
                }
                Token::RParen => {
                    depth = depth.saturating_sub(1);
                    None
                }
                Token::Word(word)
                    if depth == 0
                        && (matches!(
                            word.keyword,
                            Keyword::WHERE
                                | Keyword::GROUP
                                | Keyword::ORDER
                                | Keyword::HAVING
                                | Keyword::LIMIT
                                | Keyword::CLUSTER
                                | Keyword::SORT
                                | Keyword::WINDOW
                                | Keyword::LATERAL
                        ) || word.value.eq_ignore_ascii_case("DISTRIBUTE")) =>
                {
                    Some(at)
                }
                _ => None,
            })
        });
        let tail = tail.unwrap_or(part.len());
        let select = select.unwrap_or(tail);
        let mut insert = part[..select].to_vec();
        insert.extend_from_slice(&tokens[..from]);
        insert.extend_from_slice(&part[select..tail]);
        insert.extend_from_slice(&tokens[from..first]);
        insert.extend_from_slice(&part[tail..]);
        pieces.push(parsed(source, effort, insert, &tokens[*at]));
    }
    Some(Body::Block { kind: StatementKind::Insert, pieces })
}

/// A piece of rewritten tokens that stands at a token.
fn parsed(source: &Source<'_>, effort: &Effort<'_>, tokens: Vec<TokenWithSpan>, place: &TokenWithSpan) -> Piece {
    let kind = guess::kind(&tokens);
    let body = match parse::any(source.dialect, effort, tokens.clone()) {
        Some(statement) => Body::Parsed(Box::new(statement)),
        None => parse::failed(&tokens, kind, "a part of a multi-table insert could not be read".to_owned()),
    };
    let span = (source.offset(place.span.start), source.offset(place.span.end));
    Piece { at: source.position(place.span.start), span: source.outer(span), body }
}

/// A list of columns in brackets at a place.
pub(super) fn columns(tokens: &[TokenWithSpan], at: usize) -> (Vec<Ident>, usize) {
    if !matches!(tokens.get(at).map(|token| &token.token), Some(Token::LParen)) {
        return (Vec::new(), at);
    }
    let end = routine::closing(tokens, at, tokens.len());
    let columns = tokens[at..end].iter().filter_map(|token| Some(ident(as_word(token)?, token))).collect::<Vec<_>>();
    (columns, end)
}

/// A place named by tokens: a literal, a stage, a table.
pub(super) fn place(source: &Source<'_>, tokens: &[TokenWithSpan], at: usize) -> Option<(Place, usize)> {
    let token = tokens.get(at)?;
    if let Some(text) = dynamic::literal(&token.token) {
        return Some((Place::Path(text.to_owned()), at + 1));
    }
    if token.token == Token::AtSign {
        let mut end = at + 1;
        while tokens.get(end).is_some_and(|token| {
            !matches!(token.token, Token::Whitespace(_) | Token::RParen | Token::LParen)
                && token.span.start == tokens[end - 1].span.end
        }) {
            end += 1;
        }
        let text = &source.text[source.offset(token.span.start)..source.offset(tokens[end - 1].span.end)];
        if matches!(tokens.get(end).map(|token| &token.token), Some(Token::Whitespace(_))) {
            return Some((Place::Path(text.to_owned()), end + 1));
        }
        return Some((Place::Path(text.to_owned()), end));
    }
    if ["STDIN", "STDOUT", "PROGRAM"].iter().any(|word| is(Some(token), word)) {
        return Some((Place::Client, at + 1));
    }
    let (_, end) = target(tokens, at)?;
    let mut parts = Vec::new();
    for token in tokens[at..end].iter() {
        parts.extend(as_word(token).map(|word| ident(word, token)));
    }
    Some((Place::Table(ObjectName::from(parts)), end))
}
