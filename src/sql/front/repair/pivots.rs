//! PIVOT in words of its own, and semantic views.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::super::routine::closing;
use super::super::tokens::as_word;
use super::{behind, cut, keyword, level_end, make, one_of, outside, symbol};

/// Where one of these words is a statement: inside of FROM (PIVOT …), of WITH x AS (PIVOT …), of CREATE … AS PIVOT …, or
/// alone.
pub(super) fn statement(tokens: &[TokenWithSpan], texts: &[&str]) -> Option<usize> {
    (0..tokens.len()).find(|at| {
        one_of(tokens, *at, texts)
            && (!symbol(tokens, at + 1, &Token::LParen) || one_of(tokens, at + 2, &["SELECT", "FROM", "WITH"]))
            && (*at == 0 || symbol(tokens, at - 1, &Token::LParen) || one_of(tokens, at - 1, &["AS", "FROM"]))
    })
}

/// PIVOT t ON c USING f(x) GROUP BY g of DuckDB: SELECT g, f(x) FROM t GROUP BY g.
pub(super) fn pivots(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let Some(at) = statement(tokens, &["PIVOT", "PIVOT_WIDER"]) else { return false };
    let end = level_end(tokens, at);
    let find = |text: &str| outside(&tokens[..end], at, |at| one_of(tokens, at, &[text]));
    let (on, using, group) = (find("ON"), find("USING"), find("GROUP"));
    let source_end = on.or(using).or(group).unwrap_or(end);
    let place = tokens[at].clone();
    let comma = TokenWithSpan { token: Token::Comma, span: place.span };
    let mut out = vec![make("SELECT", &place)];
    if let Some(group) = group {
        out.extend_from_slice(&tokens[(group + 2).min(end)..end]);
        out.push(comma);
    } else {
        out.push(TokenWithSpan { token: Token::Mul, span: place.span });
        out.push(comma);
    }
    let listed = on.and_then(|on| {
        let open = (on..using.or(group)?).find(|at| keyword(tokens, *at) == Keyword::IN)? + 1;
        let close = behind(tokens, open);
        let values: Vec<&str> =
            tokens[open..close].iter().filter_map(|token| super::super::dynamic::literal(&token.token)).collect();
        (group.is_some() && !values.is_empty() && values.len() <= 200).then_some(values)
    });
    match (using, listed) {
        // One column for each listed value, named after it.
        (Some(using), Some(values)) => {
            let aggregate = &tokens[using + 1..group.unwrap_or(end).max(using + 1)];
            let alias = outside(aggregate, 0, |at| keyword(aggregate, at) == Keyword::AS);
            for (nth, value) in values.iter().enumerate() {
                if nth > 0 {
                    out.push(TokenWithSpan { token: Token::Comma, span: place.span });
                }
                out.extend_from_slice(&aggregate[..alias.unwrap_or(aggregate.len())]);
                out.push(make("AS", &place));
                let name = match alias.and_then(|at| aggregate.get(at + 1)).and_then(as_word) {
                    Some(word) => format!("{value}_{}", word.value),
                    None => (*value).to_owned(),
                };
                let name = Word { value: name, quote_style: Some('"'), keyword: Keyword::NoKeyword };
                out.push(TokenWithSpan { token: Token::Word(name), span: place.span });
            }
        }
        (Some(using), None) => out.extend_from_slice(&tokens[using + 1..group.unwrap_or(end).max(using + 1)]),
        (None, _) => out.push(TokenWithSpan { token: Token::Number("1".to_owned(), false), span: place.span }),
    }
    out.push(make("FROM", &place));
    out.extend_from_slice(&tokens[at + 1..source_end]);
    if let Some(group) = group {
        out.extend_from_slice(&tokens[group..end]);
    }
    tokens.splice(at..end, out);
    true
}

/// PIVOT (… FOR a IN (…) b IN (…) GROUP BY c) of DuckDB: the first column that is turned stands for all.
pub(super) fn pivot_columns(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut ranges = Vec::new();
    for at in 1..tokens.len() {
        if !one_of(tokens, at, &["PIVOT"]) || !symbol(tokens, at + 1, &Token::LParen) {
            continue;
        }
        let end = closing(tokens, at + 1, tokens.len());
        let Some(first) = outside(&tokens[..end], at + 2, |at| one_of(tokens, at, &["IN"])) else { continue };
        let from = behind(tokens, first + 1);
        if from > first + 1 && from + 1 < end && !one_of(tokens, from, &["DEFAULT"]) {
            ranges.push((from, end - 1));
        }
    }
    cut(tokens, &ranges)
}

/// SEMANTIC_VIEW (v METRICS a DIMENSIONS f(b) AS c): named expressions are columns of the view.
pub(super) fn semantic_views(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut ranges = Vec::new();
    for at in 1..tokens.len() {
        if !one_of(tokens, at, &["SEMANTIC_VIEW"]) || !symbol(tokens, at + 1, &Token::LParen) {
            continue;
        }
        let end = closing(tokens, at + 1, tokens.len());
        let mut start = None;
        let mut next = at + 2;
        while next + 1 < end {
            if one_of(tokens, next, &["METRICS", "DIMENSIONS", "FACTS"]) || symbol(tokens, next, &Token::Comma) {
                start = Some(next + 1);
            } else if symbol(tokens, next, &Token::LParen) {
                next = behind(tokens, next);
                continue;
            } else if one_of(tokens, next, &["AS"])
                && let Some(start) = start
            {
                ranges.push((start, next + 1));
            }
            next += 1;
        }
    }
    cut(tokens, &ranges)
}
