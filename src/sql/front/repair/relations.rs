//! What stands in FROM, in words that the parser knows.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::super::dynamic::literal;
use super::super::routine::closing;
use super::super::tokens::as_word;
use super::{
    behind, commas, cross_join, cut, keyword, level_end, make, may_go_on, one_of, outside, pivots, sign, symbol,
    vendor, words,
};

/// All rewritings.
pub(super) fn rewrite(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = past(tokens);
    changed |= changing(tokens);
    changed |= json_tables(tokens);
    changed |= arguments(tokens);
    changed |= words_before(tokens, dialect);
    changed |= match dialect {
        Dialect::ClickHouse => using(tokens),
        Dialect::DuckDb => unpivots(tokens) | vendor::samples(tokens),
        Dialect::MySql => lists(tokens) | into_file(tokens),
        Dialect::TSql => vendor::bulk(tokens),
        Dialect::Teradata => vendor::operators(tokens),
        _ => false,
    };
    changed
}

/// Where an expression that names a point in time ends: before a word that can be no part of it.
fn point(tokens: &[TokenWithSpan], from: usize) -> usize {
    let mut at = from;
    let mut operand = false;
    while let Some(token) = tokens.get(at) {
        match &token.token {
            Token::LParen if at == from || operand || !matches!(tokens[at - 1].token, Token::RParen) => {
                at = closing(tokens, at, tokens.len());
                operand = true;
                continue;
            }
            Token::Comma | Token::RParen | Token::LParen | Token::SemiColon => return at,
            Token::Word(word) => {
                let unit = word.quote_style.is_none()
                    && [
                        "DAY", "DAYS", "HOUR", "HOURS", "MINUTE", "MINUTES", "SECOND", "SECONDS", "MONTH", "YEAR",
                        "AT", "TIME", "ZONE",
                    ]
                    .iter()
                    .any(|unit| word.value.eq_ignore_ascii_case(unit));
                let prefix = one_of(tokens, at, &["TIMESTAMP", "DATE", "INTERVAL", "CURRENT", "SCN"]);
                if operand && !unit {
                    return at;
                }
                if matches!(
                    word.keyword,
                    Keyword::WHERE
                        | Keyword::JOIN
                        | Keyword::ON
                        | Keyword::AS
                        | Keyword::GROUP
                        | Keyword::ORDER
                        | Keyword::UNION
                ) {
                    return at;
                }
                operand = !prefix && !one_of(tokens, at, &["AT", "ZONE"]) || unit;
            }
            Token::Number(..) | Token::Placeholder(_) => operand = true,
            other if literal(other).is_some() => operand = true,
            Token::Period => operand = false,
            _ => operand = false,
        }
        at += 1;
    }
    at
}

/// AS OF TIMESTAMP x - 1, FOR SYSTEM_TIME BETWEEN x AND y, VERSIONS BETWEEN SCN x AND y, FOR PORTION OF p FROM x TO y.
fn past(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut ranges = Vec::new();
    let mut at = 1;
    while at < tokens.len() {
        let period = ["SYSTEM_TIME", "BUSINESS_TIME", "APPLICATION_TIME", "SYSTEM_VERSION", "TIMESTAMP", "VERSION"];
        let next;
        if one_of(tokens, at, &["FOR"]) && one_of(tokens, at + 1, &period) {
            next = at + 2;
        } else if words(tokens, at, &["FOR", "PORTION", "OF"]) {
            next = at + 4;
        } else if one_of(tokens, at, &["VERSIONS"]) && one_of(tokens, at + 1, &["BETWEEN", "PERIOD"]) {
            next = at + 1;
        } else if words(tokens, at, &["AS", "OF"]) && one_of(tokens, at + 2, &["TIMESTAMP", "SCN", "PERIOD", "SYSTEM"])
        {
            next = at;
        } else {
            at += 1;
            continue;
        }
        let mut end = next;
        if one_of(tokens, end, &["ALL"]) {
            end += 1;
        } else if words(tokens, end, &["AS", "OF"]) {
            end = point(tokens, end + 2);
        } else if one_of(tokens, end, &["BETWEEN", "FROM"]) {
            end = point(tokens, end + 1);
            if one_of(tokens, end, &["AND", "TO"]) {
                end = point(tokens, end + 1);
            }
        } else if one_of(tokens, end, &["CONTAINED"]) {
            end = behind(tokens, end + 2);
        } else {
            at += 1;
            continue;
        }
        ranges.push((at, end.max(at + 1)));
        at = end.max(at + 1);
    }
    cut(tokens, &ranges)
}

/// FINAL TABLE (INSERT …) of Db2: the rows as they were written.
fn changing(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 3 < tokens.len() && may_go_on(changes, tokens) {
        if one_of(tokens, at, &["FINAL", "NEW", "OLD"])
            && one_of(tokens, at + 1, &["TABLE"])
            && symbol(tokens, at + 2, &Token::LParen)
            && one_of(tokens, at + 3, &["INSERT", "UPDATE", "DELETE", "MERGE"])
        {
            let end = closing(tokens, at + 2, tokens.len());
            let place = tokens[at].clone();
            let returning = [make("RETURNING", &place), TokenWithSpan { token: Token::Mul, span: place.span }];
            tokens.splice(end - 1..end - 1, returning);
            tokens.drain(at..at + 2);
            changes += 1;
        }
        at += 1;
    }
    changes > 0
}

/// JSON_TABLE (value, 'path' AS p PASSING x AS y COLUMNS (…)) without what stands between path and COLUMNS.
fn json_tables(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut ranges = Vec::new();
    for at in 1..tokens.len() {
        if !one_of(tokens, at, &["JSON_TABLE"]) || !symbol(tokens, at + 1, &Token::LParen) {
            continue;
        }
        let end = closing(tokens, at + 1, tokens.len());
        let Some(columns) = outside(&tokens[..end], at + 2, |at| one_of(tokens, at, &["COLUMNS"])) else { continue };
        let path = (at + 2..columns)
            .rev()
            .find(|at| literal(&tokens[*at].token).is_some() && symbol(tokens, at - 1, &Token::Comma));
        if let Some(path) = path
            && path + 1 < columns
        {
            ranges.push((path + 1, columns));
        }
    }
    cut(tokens, &ranges)
}

/// MODEL and TABLE arguments of table functions, before the parser reads TABLE (t) as a call.
pub(in super::super) fn table_arguments(tokens: &mut Vec<TokenWithSpan>) {
    if tokens.iter().any(|token| as_word(token).is_some_and(|word| word.keyword == Keyword::TABLE)) {
        arguments(tokens);
    }
}

fn arguments(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 2;
    while at + 1 < tokens.len() && may_go_on(changes, tokens) {
        at += 1;
        let here = at - 1;
        let place = tokens[here].clone();
        let called = symbol(tokens, here - 1, &Token::LParen)
            && as_word(&tokens[here - 2]).is_some_and(|word| word.keyword == Keyword::NoKeyword);
        let argument = symbol(tokens, here - 1, &Token::RArrow) || called;
        if one_of(tokens, here, &["MODEL"]) && called && as_word(&tokens[at]).is_some() {
            let mut end = at + 1;
            while symbol(tokens, end, &Token::Period) {
                end += 2;
            }
            if symbol(tokens, end, &Token::Comma) {
                end += 1;
            }
            tokens.drain(here..end.min(tokens.len()));
            at = here.max(2);
            changes += 1;
            continue;
        }
        if one_of(tokens, here, &["DESCRIPTOR"]) && symbol(tokens, at, &Token::LParen) {
            let end = closing(tokens, at, tokens.len());
            tokens.splice(here..end, [make("NULL", &place)]);
            changes += 1;
            continue;
        }
        let listed = symbol(tokens, here - 1, &Token::Comma) && as_word(&tokens[at]).is_some();
        if !one_of(tokens, here, &["TABLE"]) || !(argument || listed) {
            continue;
        }
        // TABLE (query), TABLE (name), TABLE name, with how it is cut up.
        let (from, to, next) = if symbol(tokens, at, &Token::LParen) {
            let end = closing(tokens, at, tokens.len());
            (at + 1, end - 1, end)
        } else if as_word(&tokens[at]).is_some() {
            let mut end = at + 1;
            while symbol(tokens, end, &Token::Period) {
                end += 2;
            }
            (at, end.min(tokens.len()), end.min(tokens.len()))
        } else {
            continue;
        };
        if from >= to {
            continue;
        }
        // PARTITION BY a, b: what follows is another argument only if it is named.
        let is_list = one_of(tokens, next, &["PARTITION", "ORDER"]);
        let ends = |at: usize| match tokens[at].token {
            Token::RParen => true,
            Token::Comma => !is_list || symbol(tokens, at + 2, &Token::RArrow),
            _ => false,
        };
        let end = outside(tokens, next, ends).unwrap_or(tokens.len());
        let sign = |token| sign(token, &place);
        let mut out = vec![sign(Token::LParen)];
        if !matches!(keyword(tokens, from), Keyword::SELECT | Keyword::WITH | Keyword::VALUES) {
            out.extend([make("SELECT", &place), sign(Token::Mul), make("FROM", &place)]);
        }
        out.extend_from_slice(&tokens[from..to]);
        out.push(sign(Token::RParen));
        tokens.splice(here..end, out);
        changes += 1;
    }
    changes > 0
}

/// Words before a table or a join that change nothing.
fn words_before(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut changed = false;
    let mut ranges = Vec::new();
    for at in 1..tokens.len().saturating_sub(1) {
        let begins = one_of(tokens, at - 1, &["FROM", "JOIN"]) || symbol(tokens, at - 1, &Token::Comma);
        if begins
            && one_of(tokens, at, &["STREAM"])
            && as_word(&tokens[at + 1]).is_some_and(|word| word.keyword != Keyword::AS)
        {
            ranges.push((at, at + 1));
        } else if begins
            && one_of(tokens, at, &["TABLE"])
            && symbol(tokens, at + 1, &Token::LParen)
            && one_of(tokens, at + 2, &["SELECT", "WITH"])
        {
            tokens[at] = make("LATERAL", &tokens[at].clone());
            changed = true;
        } else if one_of(tokens, at, &["PASTE"]) && one_of(tokens, at + 1, &["JOIN"]) {
            tokens[at] = make("CROSS", &tokens[at].clone());
            changed = true;
        } else if one_of(tokens, at, &["LATERAL"]) && one_of(tokens, at + 1, &["JOIN"]) {
            ranges.push((at, at + 1));
        } else if begins && one_of(tokens, at, &["GRAPH_TABLE"]) && symbol(tokens, at + 1, &Token::LParen) {
            let end = closing(tokens, at + 1, tokens.len());
            ranges.push((at + 2, end - 1));
        } else if symbol(tokens, at + 1, &Token::LParen)
            && match dialect {
                Dialect::ClickHouse => {
                    one_of(tokens, at, &["APPLY"]) && matches!(tokens[at - 1].token, Token::Mul | Token::RParen)
                }
                Dialect::Teradata => one_of(tokens, at, &["RETURNS"]) && symbol(tokens, at - 1, &Token::RParen),
                _ => false,
            }
        {
            ranges.push((at, behind(tokens, at + 1)));
        } else if one_of(tokens, at, &["EXPAND"]) && one_of(tokens, at + 1, &["ON"]) && dialect == Dialect::Teradata {
            let end =
                outside(tokens, at, |at| one_of(tokens, at, &["WHERE", "ORDER", "GROUP"])).unwrap_or(tokens.len());
            ranges.push((at, end));
        }
    }
    // A bracket inside of a range that is cut already.
    let mut last = 0;
    ranges.retain(|(from, to)| {
        let keeps = *from >= last && to > from;
        if keeps {
            last = *to;
        }
        keeps
    });
    cut(tokens, &ranges) | changed
}

/// USING a, b without brackets.
fn using(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 1 < tokens.len() && may_go_on(changes, tokens) {
        at += 1;
        if !one_of(tokens, at - 1, &["USING"]) || as_word(&tokens[at]).is_none() {
            continue;
        }
        let span = tokens[at].span;
        let mut end = at + 1;
        while symbol(tokens, end, &Token::Comma) && tokens.get(end + 1).and_then(as_word).is_some() {
            end += 2;
        }
        tokens.insert(end, TokenWithSpan { token: Token::RParen, span });
        tokens.insert(at, TokenWithSpan { token: Token::LParen, span });
        changes += 1;
    }
    changes > 0
}

/// UNPIVOT t ON a, b INTO NAME n VALUE v of DuckDB.
fn unpivots(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let Some(at) = pivots::statement(tokens, &["UNPIVOT", "PIVOT_LONGER"]) else { return false };
    let end = level_end(tokens, at);
    let find = |from: usize, text: &str| outside(&tokens[..end], from, |at| one_of(tokens, at, &[text]));
    let Some(on) = find(at, "ON") else { return false };
    let into = find(on, "INTO").unwrap_or(end);
    let place = tokens[at].clone();
    let sign = |token| sign(token, &place);
    let name = find(into.min(end), "NAME")
        .map_or_else(|| vec![make("name", &place)], |at| tokens[at + 1..(at + 2).min(end)].to_vec());
    let value = find(into.min(end), "VALUE").map_or_else(
        || vec![make("value", &place)],
        |at| {
            let stop = outside(&tokens[..end], at, |at| one_of(tokens, at, &["ORDER", "LIMIT"])).unwrap_or(end);
            tokens[at + 1..stop].to_vec()
        },
    );
    let columns = tokens[on + 1..into].to_vec();
    let mut out = vec![make("SELECT", &place), sign(Token::Mul)];
    // Which columns COLUMNS (…) takes is not known here.
    let listed = !columns.iter().any(|token| {
        matches!(token.token, Token::Mul)
            || as_word(token).is_some_and(|word| word.value.eq_ignore_ascii_case("COLUMNS"))
    });
    if !listed {
        for column in [&name, &value] {
            out.push(sign(Token::Comma));
            out.push(make("NULL", &place));
            out.push(make("AS", &place));
            out.extend(column.iter().take(1).cloned());
        }
    }
    out.push(make("FROM", &place));
    out.extend_from_slice(&tokens[at + 1..on]);
    if listed {
        out.push(make("UNPIVOT", &place));
        out.push(sign(Token::LParen));
        let several = value.len() > 1;
        if several {
            out.push(sign(Token::LParen));
        }
        out.extend(value);
        if several {
            out.push(sign(Token::RParen));
        }
        out.push(make("FOR", &place));
        out.extend(name);
        out.push(make("IN", &place));
        out.push(sign(Token::LParen));
        out.extend(columns);
        out.push(sign(Token::RParen));
        out.push(sign(Token::RParen));
    }
    tokens.splice(at..end, out);
    true
}

/// FROM (t, u) of MySQL: a cross join.
fn lists(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut places = Vec::new();
    for at in 1..tokens.len() {
        if !symbol(tokens, at, &Token::LParen)
            || !one_of(tokens, at - 1, &["FROM", "JOIN"])
            || one_of(tokens, at + 1, &["SELECT", "WITH"])
        {
            continue;
        }
        let end = closing(tokens, at, tokens.len());
        places.extend(commas(tokens, at + 1, end.saturating_sub(1)));
    }
    places.sort_unstable();
    places.dedup();
    let changed = !places.is_empty() && may_go_on(places.len(), tokens);
    if changed {
        cross_join(tokens, &places);
    }
    changed
}

/// SELECT a INTO OUTFILE 'path' … FROM t.
fn into_file(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let Some(at) =
        outside(tokens, 1, |at| one_of(tokens, at, &["INTO"]) && one_of(tokens, at + 1, &["OUTFILE", "DUMPFILE"]))
    else {
        return false;
    };
    let Some(end) = outside(tokens, at, |at| one_of(tokens, at, &["FROM"])) else { return false };
    tokens.drain(at..end);
    true
}
