//! Operators and phrases inside of expressions, in words that the parser knows.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::super::dynamic::literal;
use super::super::routine::closing;
use super::super::tokens::{as_word, word};
use super::scalars;
use super::{cut, keyword, make, may_go_on, one_of, sign, symbol, words};

/// Units of durations.
const UNITS: [&str; 14] = [
    "YEAR",
    "YEARS",
    "MONTH",
    "MONTHS",
    "DAY",
    "DAYS",
    "HOUR",
    "HOURS",
    "MINUTE",
    "MINUTES",
    "SECOND",
    "SECONDS",
    "MICROSECOND",
    "MICROSECONDS",
];

/// All of them.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = infix(tokens, dialect);
    changed |= dropped(tokens, dialect);
    changed |= kept(tokens);
    changed |= match dialect {
        Dialect::ClickHouse => ternary(tokens) | scalars::scalars(tokens),
        Dialect::DuckDb => comprehensions(tokens) | lists(tokens),
        Dialect::Snowflake => objects(tokens),
        _ => false,
    };
    changed
}

/// Whether an operator may stand behind this token.
fn operand(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Number(..) | Token::RParen | Token::RBracket | Token::Placeholder(_) => true,
        Token::Word(word) => {
            word.quote_style.is_some() || word.keyword == Keyword::NoKeyword || word.keyword == Keyword::END
        }
        other => literal(other).is_some(),
    }
}

/// Words and signs between two operands.
fn infix(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = false;
    let mut ranges = Vec::new();
    for at in 1..tokens.len().saturating_sub(1) {
        let becomes = match &tokens[at].token {
            Token::Word(_) if !operand(&tokens[at - 1]) && !one_of(tokens, at - 1, &["NOT"]) => None,
            Token::Word(word) if word.quote_style.is_none() => {
                let next = !matches!(tokens[at + 1].token, Token::Comma | Token::RParen | Token::Period | Token::Eq);
                match word.value.to_ascii_uppercase().as_str() {
                    "DIV" if next => Some(Token::Div),
                    "MOD" if next && !symbol(tokens, at + 1, &Token::LParen) => Some(Token::Mod),
                    "CONCAT" if next && dialect == Dialect::Db2 => Some(Token::StringConcat),
                    _ => None,
                }
            }
            // `**` and `NOT=`, `^=` of Teradata
            Token::Mul if tokens[at + 1].token == Token::Mul && operand(&tokens[at - 1]) => {
                ranges.push((at, at + 1));
                None
            }
            Token::Eq
                if dialect == Dialect::Teradata
                    && (tokens[at - 1].token == Token::Caret || one_of(tokens, at - 1, &["NOT"])) =>
            {
                ranges.push((at - 1, at));
                Some(Token::Neq)
            }
            _ => None,
        };
        if let Some(token) = becomes {
            tokens[at].token = token;
            changed = true;
        }
    }
    cut(tokens, &ranges) | changed
}

/// What changes no value's sources.
fn dropped(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = false;
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = phrase(tokens, at, dialect);
        if end > at {
            ranges.push((at, end));
            at = end;
            continue;
        }
        // CURRENT DATE and its like of Db2
        if one_of(tokens, at, &["CURRENT"]) && one_of(tokens, at + 1, &["DATE", "TIMESTAMP", "TIME"]) {
            let name = match keyword(tokens, at + 1) {
                Keyword::DATE => "CURRENT_DATE",
                Keyword::TIME => "CURRENT_TIME",
                _ => "CURRENT_TIMESTAMP",
            };
            tokens[at].token = word(name);
            ranges.push((at + 1, at + 2));
            changed = true;
            at += 2;
            continue;
        }
        // `#1` of DuckDB: a column by its place.
        if dialect == Dialect::DuckDb
            && symbol(tokens, at, &Token::Sharp)
            && matches!(tokens.get(at + 1).map(|token| &token.token), Some(Token::Number(..)))
        {
            tokens[at].token = Token::Placeholder("?".to_owned());
            ranges.push((at + 1, at + 2));
            at += 2;
            continue;
        }
        at += 1;
    }
    cut(tokens, &ranges) | changed
}

/// Where a phrase that begins at a place ends; the place itself if none does.
fn phrase(tokens: &[TokenWithSpan], at: usize, dialect: Dialect) -> usize {
    let before = |texts: &[&str]| at > 0 && one_of(tokens, at - 1, texts);
    let Some(found) = as_word(&tokens[at]) else {
        // CASE_N (…, NO CASE OR UNKNOWN)
        if dialect == Dialect::Teradata
            && symbol(tokens, at, &Token::Comma)
            && (words(tokens, at + 1, &["NO", "CASE"])
                || words(tokens, at + 1, &["NO", "RANGE"])
                || one_of(tokens, at + 1, &["UNKNOWN"]))
        {
            let mut end = at + 2;
            while one_of(tokens, end, &["CASE", "RANGE", "OR", "UNKNOWN"]) {
                end += 1;
            }
            return end;
        }
        return at;
    };
    if found.quote_style.is_some() {
        return at;
    }
    match found.value.to_ascii_uppercase().as_str() {
        "SYMMETRIC" | "ASYMMETRIC" if before(&["BETWEEN"]) => at + 1,
        // Frames.
        "EXCLUDE" if before(&["ROW", "FOLLOWING", "PRECEDING"]) => {
            let mut end = at + 1;
            while one_of(tokens, end, &["CURRENT", "ROW", "GROUP", "TIES", "NO", "OTHERS"]) {
                end += 1;
            }
            end
        }
        "APPROXIMATE" if one_of(tokens, at + 1, &["COUNT", "PERCENTILE_DISC"]) => at + 1,
        "PRIOR" if dialect == Dialect::Oracle && at > 0 && !before(&["AS"]) => at + 1,
        "RUNNING" | "FINAL"
            if symbol(tokens, at + 2, &Token::LParen)
                && one_of(tokens, at + 1, &["FIRST", "LAST", "SUM", "AVG", "MIN", "MAX", "COUNT"]) =>
        {
            at + 1
        }
        "DESC" | "ASC"
            if dialect == Dialect::Teradata && symbol(tokens, at + 1, &Token::RParen) && old_window(tokens, at) =>
        {
            at + 1
        }
        // Durations: 1 DAY of Db2, (a - b) DAY(4) TO SECOND of Teradata.
        "DAY" | "DAYS" | "MONTH" | "MONTHS" | "YEAR" | "YEARS" | "HOUR" | "HOURS" | "MINUTE" | "MINUTES" | "SECOND"
        | "SECONDS" | "MICROSECOND" | "MICROSECONDS"
            if at > 0
                && match dialect {
                    Dialect::Db2 => {
                        operand(&tokens[at - 1]) && !symbol(tokens, at + 1, &Token::LParen) && !interval(tokens, at)
                    }
                    Dialect::Teradata => symbol(tokens, at - 1, &Token::RParen),
                    _ => false,
                } =>
        {
            let mut end = at + 1;
            if symbol(tokens, end, &Token::LParen) {
                end = closing(tokens, end, tokens.len());
            }
            if one_of(tokens, end, &["TO"]) && one_of(tokens, end + 1, &UNITS) {
                end += 2;
                if symbol(tokens, end, &Token::LParen) {
                    end = closing(tokens, end, tokens.len());
                }
            }
            end
        }
        "SUBSET" if symbol(tokens, at + 2, &Token::Eq) && symbol(tokens, at + 3, &Token::LParen) => {
            let mut end = closing(tokens, at + 3, tokens.len());
            while symbol(tokens, end, &Token::Comma) && symbol(tokens, end + 2, &Token::Eq) {
                end = closing(tokens, end + 3, tokens.len());
            }
            end
        }
        "WITH"
            if before(&["SELECT"])
                && symbol(tokens, at + 3, &Token::LParen)
                && one_of(tokens, at + 2, &["OPTIONS"]) =>
        {
            closing(tokens, at + 3, tokens.len())
        }
        // Behind a recursive table.
        "SEARCH" | "CYCLE" if at > 0 && symbol(tokens, at - 1, &Token::RParen) => {
            let ends = |end: usize| {
                matches!(
                    keyword(tokens, end),
                    Keyword::SELECT
                        | Keyword::INSERT
                        | Keyword::UPDATE
                        | Keyword::DELETE
                        | Keyword::MERGE
                        | Keyword::VALUES
                        | Keyword::FROM
                ) || symbol(tokens, end, &Token::LParen)
                    || symbol(tokens, end, &Token::Comma)
                        && (keyword(tokens, end + 2) == Keyword::AS || symbol(tokens, end + 2, &Token::LParen))
            };
            (at + 1..tokens.len()).find(|end| ends(*end)).unwrap_or(at)
        }
        _ => at,
    }
}

/// Whether a unit ends INTERVAL '1' DAY.
fn interval(tokens: &[TokenWithSpan], at: usize) -> bool {
    at > 1 && one_of(tokens, at - 2, &["INTERVAL"])
}

/// Whether the bracket around a place is that of RANK (a DESC) or a moving aggregate.
fn old_window(tokens: &[TokenWithSpan], at: usize) -> bool {
    let mut depth = 0_usize;
    for open in (1..at).rev().take(64) {
        match tokens[open].token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => {
                return one_of(
                    tokens,
                    open - 1,
                    &["RANK", "CSUM", "MSUM", "MAVG", "MDIFF", "MLINREG", "QUANTILE", "PERCENT_RANK"],
                );
            }
            Token::LParen => depth -= 1,
            _ => {}
        }
    }
    false
}

/// `max(a) KEEP (DENSE_RANK FIRST ORDER BY b)` looks at b as WITHIN GROUP does.
fn kept(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 4 < tokens.len() && may_go_on(changes, tokens) {
        if one_of(tokens, at, &["KEEP"])
            && symbol(tokens, at + 1, &Token::LParen)
            && one_of(tokens, at + 2, &["DENSE_RANK"])
            && one_of(tokens, at + 3, &["FIRST", "LAST"])
        {
            let place = tokens[at].clone();
            let open = tokens[at + 1].clone();
            tokens.splice(at..at + 4, [make("WITHIN", &place), make("GROUP", &place), open]);
            changes += 1;
        }
        at += 1;
    }
    changes > 0
}

/// `a ? b : c`: the value comes of all three.
fn ternary(tokens: &mut [TokenWithSpan]) -> bool {
    let mut changed = false;
    for at in 1..tokens.len() {
        let question = match &tokens[at].token {
            Token::Question => true,
            Token::Placeholder(text) => text == "?",
            _ => false,
        };
        if !question || !operand(&tokens[at - 1]) {
            continue;
        }
        let mut depth = 0_usize;
        let colon = (at + 1..tokens.len()).find(|next| {
            match tokens[*next].token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && tokens[*next].token == Token::Colon
        });
        if let Some(colon) = colon {
            tokens[at].token = Token::Plus;
            tokens[colon].token = Token::Plus;
            changed = true;
        }
    }
    changed
}

/// `[f(x) FOR x IN list IF c(x)]` is list_transform (list, x -> (f(x), c(x))).
fn comprehensions(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 0;
    while at < tokens.len() && may_go_on(changes, tokens) {
        at += 1;
        if tokens[at - 1].token != Token::LBracket {
            continue;
        }
        let open = at - 1;
        let mut depth = 0_usize;
        let (mut of, mut condition, mut end) = (None, None, None);
        for (next, token) in tokens.iter().enumerate().skip(at) {
            match &token.token {
                Token::RBracket | Token::RParen | Token::RBrace if depth == 0 => {
                    end = Some(next);
                    break;
                }
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
                Token::Word(word) if depth == 0 && word.keyword == Keyword::FOR && of.is_none() => of = Some(next),
                Token::Word(word) if depth == 0 && word.keyword == Keyword::IF && of.is_some() => {
                    condition = Some(next)
                }
                _ => {}
            }
        }
        let (Some(of), Some(end)) = (of, end) else { continue };
        if !one_of(tokens, of + 2, &["IN"]) || !symbol(tokens, end, &Token::RBracket) {
            continue;
        }
        let place = tokens[open].clone();
        let sign = |token| sign(token, &place);
        let mut out = vec![make("list_transform", &place), sign(Token::LParen)];
        out.extend_from_slice(tokens.get(of + 3..condition.unwrap_or(end)).unwrap_or_default());
        out.push(sign(Token::Comma));
        out.push(tokens[of + 1].clone());
        out.push(sign(Token::Arrow));
        out.push(sign(Token::LParen));
        out.extend_from_slice(&tokens[at..of]);
        if let Some(condition) = condition {
            out.push(sign(Token::Comma));
            out.extend_from_slice(&tokens[condition + 1..end]);
        }
        out.push(sign(Token::RParen));
        out.push(sign(Token::RParen));
        tokens.splice(open..=end, out);
        changes += 1;
    }
    changes > 0
}

/// `x IN [1, 2]` and `x IN list`.
fn lists(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 1 < tokens.len() && may_go_on(changes, tokens) {
        at += 1;
        if keyword(tokens, at - 1) != Keyword::IN
            || at < 2
            || !operand(&tokens[at - 2]) && !one_of(tokens, at - 2, &["NOT"])
        {
            continue;
        }
        let end = match &tokens[at].token {
            Token::LBracket => {
                let mut depth = 0_usize;
                (at..tokens.len()).find(|next| {
                    match tokens[*next].token {
                        Token::LBracket => depth += 1,
                        Token::RBracket => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    depth == 0
                })
            }
            Token::Word(word) if word.keyword == Keyword::NoKeyword && !symbol(tokens, at + 1, &Token::LParen) => {
                let mut end = at;
                while symbol(tokens, end + 1, &Token::Period) && end + 2 < tokens.len() {
                    end += 2;
                }
                Some(end)
            }
            _ => None,
        };
        let Some(end) = end else { continue };
        let span = tokens[at].span;
        tokens.insert(end + 1, TokenWithSpan { token: Token::RParen, span });
        tokens.insert(at, TokenWithSpan { token: Token::LParen, span });
        changes += 1;
    }
    changes > 0
}

/// `{*}` is object_construct (*).
fn objects(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 0;
    while at + 2 < tokens.len() && may_go_on(changes, tokens) {
        if tokens[at].token == Token::LBrace {
            let star = if tokens[at + 1].token == Token::Mul { at + 1 } else { at + 3 };
            if symbol(tokens, star, &Token::Mul)
                && symbol(tokens, star + 1, &Token::RBrace)
                && (star == at + 1 || symbol(tokens, at + 2, &Token::Period))
            {
                let place = tokens[at].clone();
                tokens[star + 1].token = Token::RParen;
                tokens[at].token = Token::LParen;
                tokens.insert(at, make("object_construct", &place));
                changes += 1;
            }
        }
        at += 1;
    }
    changes > 0
}
