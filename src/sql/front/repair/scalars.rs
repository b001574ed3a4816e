//! ClickHouse's WITH of values.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::tokens::as_word;
use super::{keyword, make, may_go_on, one_of, symbol};

/// `WITH expression AS name`: the expression goes where the name stands.
pub(super) fn scalars(tokens: &mut Vec<TokenWithSpan>) -> bool {
    if keyword(tokens, 0) != Keyword::WITH
        && !tokens.iter().any(|token| as_word(token).is_some_and(|w| w.keyword == Keyword::WITH))
    {
        return false;
    }
    let mut changes = 0_usize;
    let mut from = 0;
    while let Some(with) = (from..tokens.len()).find(|at| keyword(tokens, *at) == Keyword::WITH) {
        from = with + 1;
        if !may_go_on(changes, tokens) || changes > 100 {
            break;
        }
        let mut item = with + 1;
        let mut left = false;
        loop {
            // A common table: name AS (, name (columns) AS (.
            let end = item_end(tokens, item);
            let table = as_word(&tokens[item.min(tokens.len() - 1)]).is_some()
                && (keyword(tokens, item + 1) == Keyword::AS && symbol(tokens, item + 2, &Token::LParen));
            let alias = (item + 1..end).rev().find(|at| keyword(tokens, *at) == Keyword::AS);
            let (Some(alias), false) = (alias, table) else {
                left |= table;
                if symbol(tokens, end, &Token::Comma) && table {
                    item = end + 1;
                    continue;
                }
                break;
            };
            let Some(name) = tokens.get(alias + 1).and_then(as_word).map(|word| word.value.clone()) else { break };
            if alias + 2 != end {
                break;
            }
            let expression = tokens[item..alias].to_vec();
            let more = symbol(tokens, end, &Token::Comma);
            tokens.drain(item..end + usize::from(more));
            changes += 1;
            substitute(tokens, item, &name, &expression);
            if !more || changes > 100 || item >= tokens.len() {
                break;
            }
        }
        if !left && item == with + 1 && changes > 0 {
            tokens.remove(with);
        } else if item > 0 && symbol(tokens, item - 1, &Token::Comma) {
            tokens.remove(item - 1);
        }
    }
    changes > 0
}

/// The comma or main statement behind an item of WITH.
fn item_end(tokens: &[TokenWithSpan], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => return at,
            Token::Word(word)
                if depth == 0 && at > from && matches!(word.keyword, Keyword::SELECT | Keyword::INSERT) =>
            {
                return at;
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Puts an expression in brackets where its name stands; an item of a select list keeps the name.
fn substitute(tokens: &mut Vec<TokenWithSpan>, from: usize, name: &str, expression: &[TokenWithSpan]) {
    let mut lists = vec![false];
    let mut out = Vec::with_capacity(tokens.len() + expression.len());
    out.extend_from_slice(&tokens[..from.min(tokens.len())]);
    for at in from..tokens.len() {
        let token = &tokens[at];
        match &token.token {
            Token::LParen => lists.push(false),
            Token::RParen if lists.len() > 1 => {
                lists.pop();
            }
            Token::Word(word) => {
                let list = lists.last_mut().expect("the outermost level is never taken away");
                match word.keyword {
                    Keyword::SELECT => *list = true,
                    Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER | Keyword::HAVING => *list = false,
                    _ => {}
                }
                let alone = !symbol(tokens, at + 1, &Token::Period)
                    && !symbol(tokens, at + 1, &Token::LParen)
                    && (at == 0 || !symbol(tokens, at - 1, &Token::Period))
                    && (at == 0 || !one_of(tokens, at - 1, &["AS", "FROM", "JOIN", "INTO"]));
                if alone && word.value == name && out.len() < 100_000 {
                    let begins = at > 0
                        && (symbol(tokens, at - 1, &Token::Comma) || one_of(tokens, at - 1, &["SELECT", "DISTINCT"]));
                    let ends = tokens.get(at + 1).is_none_or(|next| {
                        matches!(next.token, Token::Comma | Token::RParen)
                            || one_of(tokens, at + 1, &["FROM", "WHERE", "UNION"])
                    });
                    let item = *list && begins && ends;
                    out.push(TokenWithSpan { token: Token::LParen, span: token.span });
                    out.extend_from_slice(expression);
                    out.push(TokenWithSpan { token: Token::RParen, span: token.span });
                    if item {
                        out.push(make("AS", token));
                        out.push(token.clone());
                    }
                    continue;
                }
            }
            _ => {}
        }
        out.push(token.clone());
    }
    *tokens = out;
}
