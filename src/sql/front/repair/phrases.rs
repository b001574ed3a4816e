//! The same in words that the parser knows.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::super::routine::closing;
use super::super::tokens::as_word;
use super::{behind, cut, keyword, make, may_go_on, one_of, outside, pivots, sign, symbol, transforms, words};

/// All rewritings.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = false;
    if dialect == Dialect::Teradata {
        changed |= teradata(tokens);
        changed |= copied(tokens);
    }
    if keyword(tokens, 0) == Keyword::TABLE && tokens.len() > 1 {
        let place = tokens[0].clone();
        let all = TokenWithSpan { token: Token::Mul, span: place.span };
        tokens.splice(0..1, [make("SELECT", &place), all, make("FROM", &place)]);
        changed = true;
    }
    changed |= set_operations(tokens);
    changed |= typed_literals(tokens);
    changed |= common_tables(tokens);
    changed |= inserted_brackets(tokens);
    changed |= stars(tokens);
    changed |= rows_from(tokens);
    changed |= compound_assignment(tokens);
    changed |= transforms::transforms(tokens);
    changed |= replaced_where(tokens);
    changed |= pivots::pivots(tokens);
    changed |= pivots::pivot_columns(tokens);
    changed |= pivots::semantic_views(tokens);
    changed
}

/// SEL, DEL, INS, UPD; LOCKING … FOR ACCESS; EQ and NE; (TITLE '…'), (FORMAT '…'), (NAMED x).
fn teradata(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    // LOCKING ROW FOR ACCESS SELECT …
    let mut at = 0;
    while at < tokens.len() && may_go_on(changes, tokens) {
        if one_of(tokens, at, &["LOCKING", "LOCK"])
            && let Some(end) = (at + 1..tokens.len().min(at + 14)).find(|end| {
                one_of(tokens, *end, &["ACCESS", "READ", "WRITE", "SHARE", "EXCLUSIVE", "EXCL", "CHECKSUM"])
            })
        {
            let mut end = end + 1;
            while one_of(tokens, end, &["MODE", "NOWAIT", "OVERRIDE"]) {
                end += 1;
            }
            tokens.drain(at..end);
            changes += 1;
            continue;
        }
        let begins = at == 0
            || matches!(tokens[at - 1].token, Token::LParen | Token::RParen)
            || one_of(tokens, at - 1, &["UNION", "ALL", "MINUS", "EXCEPT", "INTERSECT", "AS", "THEN"]);
        let short = [("SEL", "SELECT"), ("DEL", "DELETE"), ("INS", "INSERT"), ("UPD", "UPDATE")];
        for (from, to) in short {
            let query = from == "SEL"
                && tokens
                    .get(at + 1)
                    .is_some_and(|next| matches!(next.token, Token::Word(_) | Token::Mul | Token::Number(..)));
            if (begins || query) && one_of(tokens, at, &[from]) {
                tokens[at] = make(to, &tokens[at].clone());
                changes += 1;
            }
        }
        let operators = [
            ("EQ", Token::Eq),
            ("NE", Token::Neq),
            ("LT", Token::Lt),
            ("LE", Token::LtEq),
            ("GT", Token::Gt),
            ("GE", Token::GtEq),
            ("MOD", Token::Mod),
        ];
        for (from, to) in operators {
            if at > 0
                && one_of(tokens, at, &[from])
                && !symbol(tokens, at + 1, &Token::Comma)
                && !symbol(tokens, at + 1, &Token::RParen)
                && !symbol(tokens, at - 1, &Token::Comma)
                && !one_of(tokens, at - 1, &["SELECT", "AS"])
                && (from != "MOD" || !symbol(tokens, at + 1, &Token::LParen))
            {
                tokens[at].token = to;
                changes += 1;
            }
        }
        if symbol(tokens, at, &Token::LParen)
            && one_of(tokens, at + 1, &["TITLE", "FORMAT", "NAMED", "CASESPECIFIC", "NOT", "UPPERCASE"])
            && at > 0
            && (!one_of(tokens, at + 1, &["NOT"]) || one_of(tokens, at + 2, &["CASESPECIFIC", "CS"]))
            && (as_word(&tokens[at - 1]).is_some() || symbol(tokens, at - 1, &Token::RParen))
        {
            let end = closing(tokens, at, tokens.len());
            if one_of(tokens, at + 1, &["NAMED"]) && end == at + 4 {
                tokens.remove(end - 1);
                tokens[at + 1] = make("AS", &tokens[at + 1].clone());
                tokens.remove(at);
            } else {
                tokens.drain(at..end);
            }
            changes += 1;
            continue;
        }
        at += 1;
    }
    changes > 0
}

/// CREATE TABLE t AS s WITH DATA.
fn copied(tokens: &mut Vec<TokenWithSpan>) -> bool {
    if keyword(tokens, 0) != Keyword::CREATE {
        return false;
    }
    let Some(with) = outside(tokens, 1, |at| words(tokens, at, &["WITH", "DATA"])) else { return false };
    let named = |at: &usize| as_word(&tokens[*at]).is_some() || symbol(tokens, *at, &Token::Period);
    let from = with - (0..with).rev().take_while(named).take_while(|at| !one_of(tokens, *at, &["AS"])).count();
    if from == with || !one_of(tokens, from - 1, &["AS"]) {
        return false;
    }
    let place = tokens[from].clone();
    let sign = |token| sign(token, &place);
    tokens.insert(with, sign(Token::RParen));
    tokens.splice(from..from, [sign(Token::LParen), make("SELECT", &place), sign(Token::Mul), make("FROM", &place)]);
    true
}

/// LEFT|FULL|INNER UNION, STRICT, CORRESPONDING, BY NAME ON (…).
fn set_operations(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 0;
    while at < tokens.len() && may_go_on(changes, tokens) {
        if at > 0
            && one_of(tokens, at, &["LEFT", "FULL", "INNER", "OUTER"])
            && one_of(tokens, at + 1, &["UNION", "EXCEPT", "INTERSECT", "OUTER"])
            && (!one_of(tokens, at + 1, &["OUTER"]) || one_of(tokens, at + 2, &["UNION", "EXCEPT", "INTERSECT"]))
        {
            tokens.remove(at);
            changes += 1;
            continue;
        }
        if one_of(tokens, at, &["UNION", "EXCEPT", "INTERSECT"]) {
            let mut next = at + 1;
            if one_of(tokens, next, &["ALL", "DISTINCT"]) {
                next += 1;
            }
            if one_of(tokens, next, &["STRICT"]) {
                tokens.remove(next);
                changes += 1;
            }
            if one_of(tokens, next, &["CORRESPONDING"]) {
                let place = tokens[next].clone();
                let mut end = next + 1;
                if one_of(tokens, end, &["BY"]) {
                    end = behind(tokens, end + 1);
                }
                let by = [make("BY", &place), make("NAME", &place)];
                tokens.splice(next..end, by);
                changes += 1;
            }
            if words(tokens, next, &["BY", "NAME"]) && one_of(tokens, next + 2, &["ON", "MATCHING"]) {
                let end = behind(tokens, next + 3);
                tokens.drain(next + 2..end);
                changes += 1;
            }
        }
        at += 1;
    }
    changes > 0
}

/// ARRAY<…>[…] and STRUCT<…>(…) without their types.
fn typed_literals(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if one_of(tokens, at, &["ARRAY", "STRUCT"]) && symbol(tokens, at + 1, &Token::Lt) {
            let mut depth = 0_usize;
            let mut end = at + 1;
            while let Some(token) = tokens.get(end) {
                match token.token {
                    Token::Lt => depth += 1,
                    Token::Gt => depth = depth.saturating_sub(1),
                    Token::ShiftRight => depth = depth.saturating_sub(2),
                    _ => {}
                }
                end += 1;
                if depth == 0 {
                    break;
                }
            }
            if symbol(tokens, end, &Token::LBracket) || symbol(tokens, end, &Token::LParen) {
                ranges.push((at + 1, end));
            }
            at = end;
        } else {
            at += 1;
        }
    }
    cut(tokens, &ranges)
}

/// WITH name (SELECT …) of Spark lacks AS.
fn common_tables(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 0;
    let mut with = false;
    while at + 2 < tokens.len() && may_go_on(changes, tokens) {
        with |= keyword(tokens, at) == Keyword::WITH;
        let lists = one_of(tokens, at, &["WITH", "RECURSIVE"]) || (with && symbol(tokens, at, &Token::Comma));
        if lists
            && as_word(&tokens[at + 1]).is_some()
            && symbol(tokens, at + 2, &Token::LParen)
            && matches!(keyword(tokens, at + 3), Keyword::SELECT | Keyword::WITH)
        {
            let place = tokens[at + 2].clone();
            tokens.insert(at + 2, make("AS", &place));
            changes += 1;
        }
        at += 1;
    }
    changes > 0
}

/// INSERT INTO t (SELECT …) and INSERT INTO t (WITH … SELECT …) lose their brackets.
fn inserted_brackets(tokens: &mut Vec<TokenWithSpan>) -> bool {
    if keyword(tokens, 0) != Keyword::INSERT {
        return false;
    }
    let mut changed = false;
    // REPLACE USING, BY NAME and the like stand between the target and the query.
    if let Some(at) = outside(tokens, 1, |at| words(tokens, at, &["BY", "NAME"]))
        && matches!(keyword(tokens, at + 2), Keyword::SELECT | Keyword::WITH | Keyword::FROM | Keyword::TABLE)
    {
        tokens.drain(at..at + 2);
        changed = true;
    }
    let open = (1..tokens.len().saturating_sub(1)).find(|at| {
        symbol(tokens, *at, &Token::LParen) && matches!(keyword(tokens, at + 1), Keyword::SELECT | Keyword::WITH)
    });
    if let Some(open) = open {
        let before = outside(tokens, 1, |at| at == open);
        let end = closing(tokens, open, tokens.len());
        if before.is_some() && end == tokens.len() && symbol(tokens, end - 1, &Token::RParen) {
            tokens.pop();
            tokens.remove(open);
            changed = true;
        }
    }
    changed
}

/// (column).*, t.*::text and EXCEPT(t.column).
fn stars(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 0;
    while at < tokens.len() && may_go_on(changes, tokens) {
        if symbol(tokens, at, &Token::LParen)
            && (at == 0 || as_word(&tokens[at - 1]).is_none_or(|word| word.keyword != Keyword::NoKeyword))
        {
            let end = closing(tokens, at, tokens.len());
            let plain = tokens[at + 1..end.max(at + 2) - 1]
                .iter()
                .all(|token| matches!(token.token, Token::Word(_) | Token::Period));
            if plain && end > at + 2 && symbol(tokens, end, &Token::Period) && symbol(tokens, end + 1, &Token::Mul) {
                tokens.remove(end - 1);
                tokens.remove(at);
                changes += 1;
                continue;
            }
        }
        // A row as text is made of what the row is.
        if at > 0
            && symbol(tokens, at, &Token::Mul)
            && symbol(tokens, at - 1, &Token::Period)
            && symbol(tokens, at + 1, &Token::DoubleColon)
            && tokens.get(at + 2).and_then(as_word).is_some()
        {
            tokens.drain(at + 1..at + 3);
            changes += 1;
        }
        if symbol(tokens, at, &Token::Mul)
            && one_of(tokens, at + 1, &["EXCEPT", "EXCLUDE"])
            && symbol(tokens, at + 2, &Token::LParen)
        {
            let end = closing(tokens, at + 2, tokens.len());
            let mut next = end;
            while next > at + 3 {
                next -= 1;
                // What stands before a dot is the table.
                if symbol(tokens, next, &Token::Period) && as_word(&tokens[next - 1]).is_some() {
                    tokens.drain(next - 1..=next);
                    next -= 1;
                    changes += 1;
                }
            }
        }
        at += 1;
    }
    changes > 0
}

/// ROWS FROM (f(…), g(…)) is f(…).
fn rows_from(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let Some(at) =
        (1..tokens.len()).find(|at| words(tokens, *at, &["ROWS", "FROM"]) && symbol(tokens, at + 2, &Token::LParen))
    else {
        return false;
    };
    let end = closing(tokens, at + 2, tokens.len());
    let Some(inner) = tokens.get(at + 3..end - 1).map(<[TokenWithSpan]>::to_vec) else { return false };
    let first = outside(&inner, 0, |at| inner[at].token == Token::Comma).unwrap_or(inner.len());
    // A function's columns may be declared behind it.
    let first = outside(&inner[..first], 0, |at| one_of(&inner, at, &["AS"])).unwrap_or(first);
    tokens.splice(at..end, inner[..first].iter().cloned());
    true
}

/// SET @x += 1.
fn compound_assignment(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 1 < tokens.len() && may_go_on(changes, tokens) {
        let operator = matches!(
            tokens[at].token,
            Token::Plus
                | Token::Minus
                | Token::Mul
                | Token::Div
                | Token::Mod
                | Token::Pipe
                | Token::Ampersand
                | Token::Caret
        );
        if operator && symbol(tokens, at + 1, &Token::Eq) && as_word(&tokens[at - 1]).is_some() {
            let mut from = at - 1;
            while from >= 2 && symbol(tokens, from - 1, &Token::Period) {
                from -= 2;
            }
            let name = tokens[from..at].to_vec();
            let operator = tokens.remove(at);
            // x = x + …
            let mut insert = name;
            insert.push(operator);
            tokens.splice(at + 1..at + 1, insert);
            changes += 1;
        }
        at += 1;
    }
    changes > 0
}

/// INSERT INTO t REPLACE WHERE condition SELECT …; INSERT … PARTITION (…) IF NOT EXISTS SELECT ….
fn replaced_where(tokens: &mut Vec<TokenWithSpan>) -> bool {
    if keyword(tokens, 0) != Keyword::INSERT {
        return false;
    }
    let Some(at) = outside(tokens, 1, |at| {
        (one_of(tokens, at, &["REPLACE"]) && one_of(tokens, at + 1, &["WHERE", "USING", "ON"]))
            || words(tokens, at, &["IF", "NOT", "EXISTS"])
            || words(tokens, at, &["ROW", "FORMAT"])
            || words(tokens, at, &["STORED", "AS"])
    }) else {
        return false;
    };
    let Some(end) = outside(tokens, at, |at| {
        matches!(keyword(tokens, at), Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE)
    }) else {
        return false;
    };
    tokens.drain(at..end);
    true
}

/// `SELECT x: a` of DuckDB is `SELECT a AS x`, before the parser takes it for a path in a document.
pub(in super::super) fn prefix_aliases(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(|token| token.token == Token::Colon) {
        return;
    }
    let mut changes = 0_usize;
    // Per bracket: whether a select list goes on, and the alias that waits for the end of its expression.
    let mut levels: Vec<(bool, Option<TokenWithSpan>)> = vec![(false, None)];
    let mut out = Vec::with_capacity(tokens.len() + 8);
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let (list, _) = levels.last().cloned().unwrap_or_default();
        let begins =
            at > 0 && (symbol(tokens, at - 1, &Token::Comma) || one_of(tokens, at - 1, &["SELECT", "DISTINCT"]));
        let ends = match &token.token {
            Token::Comma | Token::RParen | Token::SemiColon => true,
            Token::Word(word) => matches!(
                word.keyword,
                Keyword::FROM | Keyword::WHERE | Keyword::UNION | Keyword::GROUP | Keyword::ORDER | Keyword::LIMIT
            ),
            _ => false,
        };
        if ends
            && let Some((_, alias)) = levels.last_mut()
            && let Some(alias) = alias.take()
        {
            out.push(make("AS", &alias));
            out.push(alias);
        }
        match &token.token {
            Token::LParen => levels.push((false, None)),
            Token::RParen if levels.len() > 1 => {
                levels.pop();
            }
            Token::Word(word) => {
                if let Some(level) = levels.last_mut() {
                    match word.keyword {
                        Keyword::SELECT => level.0 = true,
                        Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER => level.0 = false,
                        _ => {}
                    }
                    if list && begins && symbol(tokens, at + 1, &Token::Colon) {
                        level.1 = Some(token.clone());
                        changes += 1;
                        at += 2;
                        continue;
                    }
                }
            }
            _ => {}
        }
        out.push(token.clone());
        at += 1;
    }
    if let Some((_, Some(alias))) = levels.pop() {
        out.push(make("AS", &alias));
        out.push(alias);
    }
    if changes > 0 {
        *tokens = out;
    }
}
