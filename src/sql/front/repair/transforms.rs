//! Hive's calls of scripts as calls of a function.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::dynamic::literal;
use super::super::routine::closing;
use super::super::tokens::as_word;
use super::{make, may_go_on, one_of, outside, sign, symbol};

/// SELECT TRANSFORM (a, b) USING 'script' AS (c, d), MAP a, b USING 'script' AS c, d: each result comes of all that goes in.
pub(super) fn transforms(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changed = false;
    // Each word that may begin one is followed to the end of its statement.
    let mut looks = 0_usize;
    let mut at = 0;
    while at < tokens.len() && may_go_on(looks, tokens) {
        if one_of(tokens, at, &["TRANSFORM", "MAP", "REDUCE"]) {
            looks += 1;
            if let Some((end, call)) = transform(tokens, at) {
                tokens.splice(at..end, call);
                changed = true;
            }
        }
        at += 1;
    }
    changed
}

/// What stands for the call of a script at a place, and where that ends.
fn transform(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, Vec<TokenWithSpan>)> {
    let selected = at > 0 && one_of(tokens, at - 1, &["SELECT"]);
    if !selected && one_of(tokens, at, &["TRANSFORM"]) {
        return None;
    }
    let using = outside(tokens, at + 1, |at| one_of(tokens, at, &["USING"]))?;
    literal(&tokens.get(using + 1)?.token)?;
    let bracket = symbol(tokens, at + 1, &Token::LParen);
    // How rows go to the script stands behind what goes in.
    let format = outside(tokens, at + 1, |at| one_of(tokens, at, &["ROW", "RECORDWRITER"]));
    let inner = match format.map_or(using, |format| format.min(using)) {
        end if bracket && closing(tokens, at + 1, end) == end => at + 2..end - 1,
        end => at + 1..end,
    };
    let next = ["FROM", "WHERE", "GROUP", "CLUSTER", "SORT", "DISTRIBUTE", "INSERT"];
    let end = outside(tokens, using, |at| one_of(tokens, at, &next) || symbol(tokens, at, &Token::RParen))
        .unwrap_or(tokens.len());
    let place = &tokens[at];
    let sign = |token| sign(token, place);
    let names = match (using..end).find(|at| one_of(tokens, *at, &["AS"])) {
        Some(found) => {
            let open = found + 1 + usize::from(symbol(tokens, found + 1, &Token::LParen));
            let listed = open..if open > found + 1 { closing(tokens, found + 1, end) - 1 } else { end };
            let begins = |at: &usize| *at == open || symbol(tokens, at - 1, &Token::Comma);
            listed.filter(begins).filter(|at| as_word(&tokens[*at]).is_some()).map(|at| tokens[at].clone()).collect()
        }
        None => vec![make("key", place), make("value", place)],
    };
    let mut call = Vec::new();
    if !selected {
        call.push(make("SELECT", place));
    }
    for (nth, name) in names.into_iter().take(100).enumerate() {
        if nth > 0 {
            call.push(sign(Token::Comma));
        }
        call.extend([make("transform_script", place), sign(Token::LParen)]);
        call.extend_from_slice(&tokens[inner.clone()]);
        call.extend([sign(Token::RParen), make("AS", place), name]);
    }
    Some((end, call))
}
