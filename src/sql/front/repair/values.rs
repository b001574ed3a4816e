//! Literals and placeholders.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::super::dynamic::literal;
use super::super::tokens::as_word;
use super::{behind, cut, is, keyword, may_go_on, symbol};

/// Rows of a VALUES list and items of an IN list that stay.
const KEPT: usize = 4;

/// Shortens lists that hold nothing but literals: many rows of VALUES, many items in brackets.
pub(in super::super) fn shorten(tokens: &mut Vec<TokenWithSpan>) {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if keyword(tokens, at) == Keyword::VALUES && symbol(tokens, at + 1, &Token::LParen) {
            let (mut row, mut rows) = (at + 1, 0);
            let mut from = None;
            while symbol(tokens, row, &Token::LParen) {
                let end = behind(tokens, row);
                rows += 1;
                if rows == KEPT {
                    from = Some(end);
                }
                let plain = tokens[row..end].iter().all(constant);
                if !plain {
                    from = None;
                    rows = 0;
                }
                row = end;
                if !symbol(tokens, row, &Token::Comma) {
                    break;
                }
                row += 1;
            }
            if let Some(from) = from
                && from < row
            {
                ranges.push((from, row));
            }
            at = row.max(at + 1);
            continue;
        }
        if symbol(tokens, at, &Token::LParen) && at > 0 && keyword(tokens, at - 1) == Keyword::IN {
            let end = behind(tokens, at);
            let inner = at + 1..end.saturating_sub(1);
            if inner.len() > 8 * KEPT && tokens[inner.clone()].iter().all(flat) {
                // Items and commas take turns: an odd count stays.
                ranges.push((inner.start + 2 * KEPT - 1, inner.end));
                at = end;
                continue;
            }
        }
        at += 1;
    }
    cut(tokens, &ranges);
}

fn flat(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Comma | Token::Number(..) | Token::Placeholder(_)) || literal(&token.token).is_some()
}

fn constant(token: &TokenWithSpan) -> bool {
    flat(token)
        || matches!(token.token, Token::LParen | Token::RParen | Token::Minus | Token::Plus)
        || as_word(token).is_some_and(|word| {
            matches!(word.keyword, Keyword::NULL | Keyword::TRUE | Keyword::FALSE | Keyword::DEFAULT)
        })
}

/// Bind variables and leftovers of templates become what the parser takes for a value or a name.
pub(super) fn placeholders(tokens: &mut Vec<TokenWithSpan>, _: Dialect) -> bool {
    let mut changes = 0_usize;
    let mut at = 0;
    while at < tokens.len() && may_go_on(changes, tokens) {
        // %(name)s and %s
        if tokens[at].token == Token::Mod {
            if symbol(tokens, at + 1, &Token::LParen)
                && symbol(tokens, at + 3, &Token::RParen)
                && joined(tokens, at + 4)
                && as_word(&tokens[at + 4]).is_some_and(|word| word.value.len() == 1)
            {
                replace(tokens, at, 5);
                changes += 1;
            } else if joined(tokens, at + 1)
                && as_word(&tokens[at + 1]).is_some_and(|word| matches!(word.value.as_str(), "s" | "d" | "i" | "f"))
                && (at == 0 || !operand(&tokens[at - 1]))
            {
                replace(tokens, at, 2);
                changes += 1;
            }
        }
        // AS :name, and :name where no value may stand.
        if tokens[at].token == Token::Colon
            && joined(tokens, at + 1)
            && as_word(&tokens[at + 1]).is_some()
            && at > 0
            && (keyword(tokens, at - 1) == Keyword::AS
                || matches!(keyword(tokens, at - 1), Keyword::FROM | Keyword::JOIN | Keyword::INTO | Keyword::TABLE))
        {
            tokens.remove(at);
            changes += 1;
        }
        // a ?:: INT of Databricks: a cast that may fail.
        if matches!(&tokens[at].token, Token::Placeholder(text) if text == "?")
            && symbol(tokens, at + 1, &Token::DoubleColon)
            && at > 0
            && operand(&tokens[at - 1])
        {
            tokens.remove(at);
            changes += 1;
        }
        // &name and &&name. of Oracle's clients
        if matches!(tokens[at].token, Token::Ampersand | Token::Overlap)
            && joined(tokens, at + 1)
            && as_word(&tokens[at + 1]).is_some()
            && (at == 0 || !operand(&tokens[at - 1]))
        {
            tokens.remove(at);
            changes += 1;
        }
        at += 1;
    }
    changes += values_of_queries(tokens);
    // 'a' 'b' is one literal.
    let mut at = 1;
    while at < tokens.len() && may_go_on(changes, tokens) {
        // OPTIONS ('path' '/x') holds pairs.
        if at > 1
            && symbol(tokens, at - 2, &Token::LParen)
            && at > 2
            && as_word(&tokens[at - 3])
                .is_some_and(|word| matches!(word.keyword, Keyword::OPTIONS | Keyword::TBLPROPERTIES))
        {
            at = behind(tokens, at - 2).max(at + 1);
            continue;
        }
        if let (Token::SingleQuotedString(before), Token::SingleQuotedString(after)) =
            (&tokens[at - 1].token, &tokens[at].token)
        {
            let both = format!("{before}{after}");
            tokens[at - 1].token = Token::SingleQuotedString(both);
            tokens.remove(at);
            changes += 1;
        } else {
            at += 1;
        }
    }
    changes > 0
}

/// VALUES (SELECT …) of Db2 is a row of one query.
fn values_of_queries(tokens: &mut Vec<TokenWithSpan>) -> usize {
    let mut changes = 0;
    let mut at = 0;
    while at < tokens.len() && may_go_on(changes, tokens) {
        if keyword(tokens, at) == Keyword::VALUES
            && symbol(tokens, at + 1, &Token::LParen)
            && matches!(keyword(tokens, at + 2), Keyword::SELECT | Keyword::WITH)
        {
            let end = behind(tokens, at + 1);
            let span = tokens[at].span;
            tokens.insert(end - 1, TokenWithSpan { token: Token::RParen, span });
            tokens.insert(at + 1, TokenWithSpan { token: Token::LParen, span });
            changes += 1;
        }
        at += 1;
    }
    changes
}

/// Whether nothing stands between a token and the one before it.
fn joined(tokens: &[TokenWithSpan], at: usize) -> bool {
    at > 0 && at < tokens.len() && tokens[at].span.start == tokens[at - 1].span.end
}

fn replace(tokens: &mut Vec<TokenWithSpan>, at: usize, count: usize) {
    tokens.drain(at + 1..at + count);
    tokens[at].token = Token::Placeholder("?".to_owned());
}

/// Whether an operator behind this token is one of two operands.
fn operand(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Number(..) | Token::RParen | Token::RBracket | Token::Placeholder(_) => true,
        Token::Word(word) => word.keyword == Keyword::NoKeyword || is(Some(token), "END"),
        other => literal(other).is_some(),
    }
}
