//! Clauses at the end of a query that change no lineage.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::{behind, keyword, one_of, outside, symbol, words};

/// Cuts them off, outside of brackets; and closes brackets that stay open.
pub(super) fn clauses(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = false;
    while tokens.last().is_some_and(|token| matches!(token.token, Token::Comma | Token::Backslash | Token::Div)) {
        tokens.pop();
        changed = true;
    }
    changed |= model(tokens);
    let found = outside(tokens, 1, |at| tail(tokens, at, dialect));
    if let Some(at) = found {
        tokens.truncate(at);
        changed = true;
    }
    changed | output(tokens, dialect)
}

fn tail(tokens: &[TokenWithSpan], at: usize, dialect: Dialect) -> bool {
    let next = |texts: &[&str]| one_of(tokens, at + 1, texts);
    match keyword(tokens, at) {
        Keyword::OPTION => symbol(tokens, at + 1, &Token::LParen),
        Keyword::FOR => {
            next(&["XML", "JSON", "BROWSE", "READ", "FETCH", "UPDATE", "SHARE", "KEY", "NO"])
                && !words(tokens, at.saturating_sub(1), &["CURSOR"])
        }
        Keyword::WITH => {
            next(&["UR", "CS", "RS", "RR", "NC", "DATA", "TIES", "SCHEMA", "TOTALS", "ROLLUP", "CUBE"])
                || (next(&["NO"]) && one_of(tokens, at + 2, &["DATA", "SCHEMA"]))
        }
        Keyword::SETTINGS | Keyword::FORMAT => dialect == Dialect::ClickHouse,
        Keyword::INTO => next(&["OUTFILE", "DUMPFILE"]),
        Keyword::LOCK => next(&["IN"]),
        Keyword::LOG => next(&["ERRORS"]),
        Keyword::SAMPLE => dialect == Dialect::Teradata,
        Keyword::USING => next(&["SAMPLE"]),
        Keyword::OPTIMIZE => next(&["FOR"]),
        Keyword::RETURNING => true,
        Keyword::LIMIT | Keyword::OFFSET | Keyword::FETCH => true,
        _ => {
            (one_of(tokens, at, &["QUERYNO", "REJECT"]) && at > 1)
                || words(tokens, at, &["REMOVE", "DUPLICATES"])
                || words(tokens, at, &["ELSE", "IGNORE"])
        }
    }
}

/// MODEL of Oracle: from the word to the end of its brackets.
fn model(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let Some(at) = (1..tokens.len()).find(|at| {
        one_of(tokens, *at, &["MODEL"])
            && one_of(
                tokens,
                at + 1,
                &["PARTITION", "DIMENSION", "RETURN", "IGNORE", "KEEP", "UNIQUE", "REFERENCE", "MAIN"],
            )
    }) else {
        return false;
    };
    let mut end = at + 1;
    while let Some(token) = tokens.get(end) {
        match token.token {
            Token::LParen => end = behind(tokens, end),
            Token::Word(_) if !one_of(tokens, end, &["ORDER", "UNION", "MINUS", "INTERSECT"]) => end += 1,
            _ => break,
        }
    }
    tokens.drain(at..end);
    true
}

/// OUTPUT … [INTO t] of T-SQL.
fn output(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    if dialect != Dialect::TSql {
        return false;
    }
    let Some(at) = outside(tokens, 1, |at| one_of(tokens, at, &["OUTPUT"])) else { return false };
    let end = outside(tokens, at + 1, |at| {
        one_of(tokens, at, &["FROM", "WHERE", "VALUES", "SELECT", "DEFAULT", "EXEC", "EXECUTE"])
    })
    .unwrap_or(tokens.len());
    tokens.drain(at..end);
    true
}
