//! INSERT, UPDATE, DELETE and MERGE in words that the parser knows.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::super::dynamic::literal;
use super::super::routine::closing;
use super::super::tokens::{as_word, is, word};
use super::{behind, commas, cross_join, cut, keyword, make, one_of, outside, symbol, words};

/// What T-SQL's grammar would be read wrongly for, before the parser sees it: TOP behind the verb, variables that take
/// an assigned value, DELETE without FROM.
pub(in super::super) fn verbs(tokens: &mut Vec<TokenWithSpan>) {
    let first = keyword(tokens, 0);
    if !matches!(first, Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE) {
        return;
    }
    if one_of(tokens, 1, &["TOP"]) && symbol(tokens, 2, &Token::LParen) {
        let mut end = behind(tokens, 2);
        if one_of(tokens, end, &["PERCENT"]) {
            end += 1;
        }
        tokens.drain(1..end);
    }
    // The table of another server, which only a query names.
    let target = 1 + usize::from(one_of(tokens, 1, &["INTO"]));
    if one_of(tokens, target, &["OPENQUERY", "OPENROWSET"]) && symbol(tokens, target + 1, &Token::LParen) {
        let end = behind(tokens, target + 1);
        let place = tokens[target].clone();
        tokens.splice(target..end, [make("?", &place)]);
    }
    if first == Keyword::UPDATE {
        let mut ranges = Vec::new();
        let set = outside(tokens, 1, |at| keyword(tokens, at) == Keyword::SET).unwrap_or(tokens.len());
        let mut at = set + 1;
        while at + 3 < tokens.len() {
            if (symbol(tokens, at - 1, &Token::Comma) || at == set + 1)
                && as_word(&tokens[at]).is_some_and(|word| word.value.starts_with('@'))
                && symbol(tokens, at + 1, &Token::Eq)
                && as_word(&tokens[at + 2]).is_some()
                && symbol(tokens, at + 3, &Token::Eq)
            {
                ranges.push((at, at + 2));
                at += 2;
            }
            at += 1;
        }
        cut(tokens, &ranges);
    }
    if first == Keyword::DELETE
        && as_word(&tokens[1.min(tokens.len() - 1)]).is_some()
        && !one_of(tokens, 1, &["FROM"])
        && outside(tokens, 1, |at| one_of(tokens, at, &["OUTPUT"])).is_some()
        && outside(tokens, 1, |at| one_of(tokens, at, &["FROM"])).is_none()
    {
        let place = tokens[0].clone();
        tokens.insert(1, make("FROM", &place));
    }
}

/// All rewritings of refused statements.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    match keyword(tokens, 0) {
        Keyword::INSERT | Keyword::REPLACE => inserted(tokens, dialect),
        Keyword::UPDATE => updated(tokens, dialect),
        Keyword::MERGE => merged(tokens, dialect),
        _ => false,
    }
}

/// Behind the dotted name at a place.
fn name_end(tokens: &[TokenWithSpan], from: usize) -> usize {
    let mut at = from + 1;
    while symbol(tokens, at, &Token::Period) && at + 1 < tokens.len() {
        at += 2;
    }
    at
}

fn inserted(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = false;
    if let Some(at) = (1..tokens.len().min(4)).find(|at| one_of(tokens, *at, &["DIRECTORY"])) {
        return directory(tokens, at);
    }
    let mut target = 1;
    while one_of(tokens, target, &["INTO", "TABLE", "OVERWRITE"]) {
        target += 1;
    }
    // INSERT INTO t VALUES r of PL/SQL: the whole row of a record.
    if dialect == Dialect::Oracle
        && let [.., values, record] = tokens.as_slice()
        && is(Some(values), "VALUES")
        && as_word(record).is_some()
    {
        let (place, record) = (values.clone(), record.clone());
        let star = [Token::Period, Token::Mul].map(|token| TokenWithSpan { token, span: record.span });
        tokens.truncate(tokens.len() - 2);
        tokens.extend([make("SELECT", &place), record]);
        tokens.extend(star);
        return true;
    }
    let open = name_end(tokens, target);
    if open < tokens.len() && symbol(tokens, open, &Token::LParen) {
        let end = behind(tokens, open);
        if symbol(tokens, open + 1, &Token::Mul) {
            // (* EXCEPT (b)) of ClickHouse
            tokens.drain(open..end);
            changed = true;
        } else if dialect == Dialect::Teradata
            && end == tokens.len()
            && !one_of(tokens, open + 1, &["SELECT", "WITH", "SEL"])
        {
            let place = tokens[open].clone();
            tokens.insert(open, make("VALUES", &place));
            changed = true;
        }
    }
    changed
}

/// INSERT OVERWRITE [LOCAL] DIRECTORY ['path'] USING format [OPTIONS (…)] query.
fn directory(tokens: &mut Vec<TokenWithSpan>, at: usize) -> bool {
    let Some(query) = outside(tokens, at, |at| {
        matches!(
            keyword(tokens, at),
            Keyword::SELECT | Keyword::WITH | Keyword::FROM | Keyword::VALUES | Keyword::TABLE
        )
    }) else {
        return false;
    };
    let head = &tokens[at + 1..query];
    let path = match head.first() {
        Some(token) if literal(&token.token).is_some() => Some(token.clone()),
        _ => head
            .iter()
            .enumerate()
            .find(|(nth, _)| {
                one_of(head, *nth, &["PATH"])
                    || literal(&head[*nth].token).is_some_and(|text| text.eq_ignore_ascii_case("path"))
            })
            .and_then(|(nth, _)| head[nth + 1..].iter().find(|token| literal(&token.token).is_some()))
            .cloned(),
    };
    let Some(path) = path else { return false };
    let unchanged = head.len() == 1;
    tokens.splice(at + 1..query, [path]);
    !unchanged
}

fn updated(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let Some(set) = outside(tokens, 1, |at| keyword(tokens, at) == Keyword::SET) else { return false };
    // UPDATE t, u SET of MySQL: a join.
    let joins = commas(tokens, 1, set);
    let joins = joins.get(joins.len().saturating_sub(200)..).unwrap_or_default();
    cross_join(tokens, joins);
    let mut changed = !joins.is_empty();
    // SET list[1] = x
    let mut ranges = Vec::new();
    let mut open = None;
    for at in 1..tokens.len().saturating_sub(1) {
        match tokens[at].token {
            Token::LBracket => open = Some(at),
            Token::RBracket if symbol(tokens, at + 1, &Token::Eq) => {
                if let Some(open) = open.take()
                    && open > 1
                    && (symbol(tokens, open - 2, &Token::Comma) || one_of(tokens, open - 2, &["SET"]))
                {
                    ranges.push((open, at + 1));
                }
            }
            _ => {}
        }
    }
    changed |= cut(tokens, &ranges);
    // UPDATE … ELSE INSERT … of Teradata
    if dialect == Dialect::Teradata
        && let Some(at) = outside(tokens, 1, |at| words(tokens, at, &["ELSE", "INSERT"]))
    {
        tokens.truncate(at);
        changed = true;
    }
    changed
}

fn merged(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = false;
    if words(tokens, 1, &["WITH", "SCHEMA", "EVOLUTION"]) {
        tokens.drain(1..4);
        changed = true;
    }
    let mut at = 1;
    let mut using = 0;
    while at < tokens.len() {
        let place = tokens[at].clone();
        let star = TokenWithSpan { token: Token::Mul, span: place.span };
        if one_of(tokens, at, &["USING"]) {
            using += 1;
            // MERGE … USING source USING (columns)
            if using == 2 && symbol(tokens, at + 1, &Token::LParen) {
                let end = behind(tokens, at + 1);
                tokens.splice(at..end, [make("ON", &place), make("TRUE", &place)]);
                changed = true;
            }
        }
        let branch = at > 0 && one_of(tokens, at - 1, &["THEN"]);
        if branch && one_of(tokens, at, &["INSERT", "UPDATE"]) {
            let insert = one_of(tokens, at, &["INSERT"]);
            let mut next = at + 1;
            if one_of(tokens, next, &["ALL"]) {
                next += 1;
            }
            if words(tokens, next, &["BY", "NAME"]) || words(tokens, next, &["BY", "POSITION"]) {
                next += 2;
            }
            let bare = next >= tokens.len()
                || one_of(tokens, next, &["WHEN", "RETURNING"])
                || matches!(tokens[next].token, Token::SemiColon);
            if (bare || next > at + 1)
                && !symbol(tokens, next, &Token::LParen)
                && !one_of(tokens, next, &["SET", "VALUES"])
            {
                if symbol(tokens, next, &Token::Mul) {
                    next += 1;
                }
                let mut all = Vec::new();
                if !insert {
                    all.push(make("SET", &place));
                }
                all.push(star);
                tokens.splice(at + 1..next, all);
                changed = true;
            } else if insert && dialect == Dialect::Teradata && symbol(tokens, at + 1, &Token::LParen) {
                let end = closing(tokens, at + 1, tokens.len());
                if !one_of(tokens, end, &["VALUES"]) {
                    tokens.insert(at + 1, TokenWithSpan { token: word("VALUES"), span: place.span });
                    changed = true;
                }
            }
        }
        at += 1;
    }
    changed
}
