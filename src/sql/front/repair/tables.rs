//! What stands beside table names: hints, samples, versions, partitions, modifiers of joins.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::super::types::Dialect;
use super::super::tokens::as_word;
use super::{behind, cut, keyword, make, may_go_on, one_of, outside, symbol, words};

/// Hints of T-SQL.
const HINTS: [&str; 19] = [
    "NOLOCK",
    "READUNCOMMITTED",
    "UPDLOCK",
    "HOLDLOCK",
    "ROWLOCK",
    "TABLOCK",
    "TABLOCKX",
    "PAGLOCK",
    "READPAST",
    "XLOCK",
    "NOWAIT",
    "SERIALIZABLE",
    "REPEATABLEREAD",
    "READCOMMITTED",
    "FORCESEEK",
    "FORCESCAN",
    "NOEXPAND",
    "INDEX",
    "SNAPSHOT",
];

/// `FROM t (NOLOCK)` would be read as a call: out it goes before the parser sees it.
pub(in super::super) fn bare_hints(tokens: &mut Vec<TokenWithSpan>) {
    let mut ranges = Vec::new();
    let mut at = 1;
    while at < tokens.len() {
        if symbol(tokens, at, &Token::LParen)
            && one_of(tokens, at + 1, &HINTS)
            && as_word(&tokens[at - 1]).is_some()
            && (symbol(tokens, at + 2, &Token::RParen) || symbol(tokens, at + 2, &Token::Comma))
        {
            let end = behind(tokens, at);
            let hints = tokens[at + 1..end - 1]
                .iter()
                .enumerate()
                .all(|(nth, token)| token.token == Token::Comma || one_of(tokens, at + 1 + nth, &HINTS));
            if hints {
                let with = keyword(tokens, at - 1) == Keyword::WITH;
                ranges.push((at - usize::from(with), end));
                at = end;
                continue;
            }
        }
        at += 1;
    }
    cut(tokens, &ranges);
}

/// Drops them.
pub(super) fn hints(tokens: &mut Vec<TokenWithSpan>, dialect: Dialect) -> bool {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = phrase(tokens, at, dialect);
        if end > at {
            ranges.push((at, end));
            at = end;
        } else {
            at += 1;
        }
    }
    let mut changed = cut(tokens, &ranges);
    changed |= crossed(tokens);
    changed |= links(tokens);
    changed
}

/// Policies and tags of Snowflake: [WITH] MASKING POLICY p [USING (…)], ROW ACCESS POLICY p ON (…), TAG (…).
pub(super) fn policies(tokens: &mut Vec<TokenWithSpan>, _: Dialect) -> bool {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let what = at + usize::from(one_of(tokens, at, &["WITH"]));
        let policy = match () {
            () if one_of(tokens, what, &["MASKING", "PROJECTION", "AGGREGATION", "JOIN", "PRIVACY", "STORAGE"])
                && one_of(tokens, what + 1, &["POLICY"]) =>
            {
                Some(what + 2)
            }
            () if words(tokens, what, &["ROW", "ACCESS", "POLICY"]) => Some(what + 3),
            () => None,
        };
        let end = match policy {
            Some(name) => {
                let mut end = name + 1;
                while symbol(tokens, end, &Token::Period) {
                    end += 2;
                }
                while one_of(tokens, end, &["USING", "ON", "ENTITY", "ALLOWED", "KEY", "JOIN", "KEYS"])
                    || (one_of(tokens, end - 1, &["USING", "ON", "KEY", "KEYS"]) && symbol(tokens, end, &Token::LParen))
                {
                    end = if symbol(tokens, end, &Token::LParen) { behind(tokens, end) } else { end + 1 };
                }
                end.min(tokens.len())
            }
            None if one_of(tokens, what, &["TAG"]) && symbol(tokens, what + 1, &Token::LParen) && what > at => {
                behind(tokens, what + 1)
            }
            None => at,
        };
        if end > at {
            ranges.push((at, end));
            at = end;
        } else {
            at += 1;
        }
    }
    cut(tokens, &ranges)
}

/// Where the phrase at a place ends that may be dropped.
fn phrase(tokens: &[TokenWithSpan], at: usize, dialect: Dialect) -> usize {
    let Some(word) = as_word(&tokens[at]) else {
        // Oracle's outer joins.
        return if symbol(tokens, at, &Token::LParen)
            && symbol(tokens, at + 1, &Token::Plus)
            && symbol(tokens, at + 2, &Token::RParen)
        {
            at + 3
        } else {
            at
        };
    };
    if word.quote_style.is_some() || at == 0 {
        return at;
    }
    let bracket = symbol(tokens, at + 1, &Token::LParen);
    let text = word.value.to_ascii_uppercase();
    // Behind a table or its alias.
    let table = as_word(&tokens[at - 1])
        .is_some_and(|word| !matches!(word.keyword, Keyword::SELECT | Keyword::FROM | Keyword::JOIN))
        || symbol(tokens, at - 1, &Token::RParen);
    match text.as_str() {
        "WITH" if bracket && table && !symbol(tokens, at - 1, &Token::Comma) => behind(tokens, at + 1),
        "AT" | "BEFORE" | "CHANGES" | "SAMPLE" | "TABLESAMPLE" if bracket && table => {
            let mut end = behind(tokens, at + 1);
            while one_of(tokens, end, &["SEED", "REPEATABLE", "ROWS", "PERCENT"]) {
                end = behind(tokens, end + 1);
            }
            end
        }
        "TABLESAMPLE" | "SAMPLE" if table => {
            let mut end = at + 1;
            while one_of(tokens, end, &["BERNOULLI", "SYSTEM", "RESERVOIR", "ROW", "BLOCK"]) {
                end += 1;
            }
            if matches!(tokens.get(end).map(|token| &token.token), Some(Token::Number(..))) {
                end += 1;
            }
            while dialect == Dialect::Teradata
                && symbol(tokens, end, &Token::Comma)
                && matches!(tokens.get(end + 1).map(|token| &token.token), Some(Token::Number(..)))
            {
                end += 2;
            }
            behind(tokens, end)
        }
        "PARTITION" | "SUBPARTITION"
            if table && one_of(tokens, at + 1, &["FOR"]) && symbol(tokens, at + 2, &Token::LParen) =>
        {
            behind(tokens, at + 2)
        }
        "PARTITION" | "SUBPARTITION" if bracket && table && matches!(dialect, Dialect::Oracle | Dialect::MySql) => {
            behind(tokens, at + 1)
        }
        "USE" | "FORCE" | "IGNORE" if one_of(tokens, at + 1, &["INDEX", "KEY"]) => {
            let mut end = at + 2;
            if one_of(tokens, end, &["FOR"]) {
                end += 1;
                while one_of(tokens, end, &["JOIN", "ORDER", "GROUP", "BY"]) {
                    end += 1;
                }
            }
            behind(tokens, end)
        }
        "VERSION" | "TIMESTAMP" | "SYSTEM_VERSION" | "SYSTEM_TIME" if words(tokens, at + 1, &["AS", "OF"]) => {
            let mut end = at + 3;
            if one_of(tokens, end, &["TIMESTAMP", "DATE"]) {
                end += 1;
            }
            if symbol(tokens, end + 1, &Token::LParen) {
                behind(tokens, end + 1)
            } else {
                behind(tokens, end).max(end + 1)
            }
        }
        "FOR" if one_of(tokens, at + 1, &["SYSTEM_TIME", "VERSION", "TIMESTAMP", "SYSTEM_VERSION"]) => {
            let mut end = at + 2;
            if one_of(tokens, end, &["ALL"]) {
                return end + 1;
            }
            if words(tokens, end, &["AS", "OF"]) {
                end += 2;
            }
            if one_of(tokens, end, &["TIMESTAMP", "DATE"]) {
                end += 1;
            }
            if symbol(tokens, end + 1, &Token::LParen) {
                behind(tokens, end + 1)
            } else {
                behind(tokens, end).max(end + 1)
            }
        }
        "AS" if one_of(tokens, at + 1, &["OF"]) && one_of(tokens, at + 2, &["TIMESTAMP", "SCN"]) => {
            let end = at + 3;
            if symbol(tokens, end + 1, &Token::LParen) {
                behind(tokens, end + 1)
            } else {
                behind(tokens, end).max(end + 1)
            }
        }
        "SIBLINGS" if one_of(tokens, at - 1, &["ORDER"]) => at + 1,
        "ASOF" | "POSITIONAL" if dialect == Dialect::DuckDb && one_of(tokens, at + 1, &["JOIN", "LEFT"]) => at + 1,
        "FINAL" if table && dialect == Dialect::ClickHouse => at + 1,
        "GLOBAL" if one_of(tokens, at + 1, &["IN", "NOT", "JOIN", "LEFT", "INNER", "ANY", "ALL", "RIGHT", "FULL"]) => {
            at + 1
        }
        "ANY" | "ALL" | "ASOF" | "SEMI" | "ANTI"
            if dialect == Dialect::ClickHouse
                && one_of(tokens, at + 1, &["JOIN", "LEFT", "INNER", "RIGHT", "FULL"]) =>
        {
            at + 1
        }
        "ANY" | "ALL"
            if dialect == Dialect::ClickHouse
                && one_of(tokens, at - 1, &["LEFT", "INNER", "RIGHT"])
                && one_of(tokens, at + 1, &["JOIN"]) =>
        {
            at + 1
        }
        "KEEP" if bracket && one_of(tokens, at + 2, &["DENSE_RANK"]) => behind(tokens, at + 1),
        "BROADCAST" | "LOOP" | "HASH" | "MERGE" | "REMOTE" | "DIRECTED"
            if one_of(tokens, at + 1, &["JOIN"])
                && one_of(tokens, at - 1, &["INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS"]) =>
        {
            at + 1
        }
        "SQL_NO_CACHE"
        | "SQL_CALC_FOUND_ROWS"
        | "HIGH_PRIORITY"
        | "SQL_SMALL_RESULT"
        | "SQL_BIG_RESULT"
        | "SQL_BUFFER_RESULT"
        | "LOW_PRIORITY"
        | "DELAYED"
        | "QUICK"
            if one_of(tokens, at - 1, &["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "DISTINCT", "ALL"]) =>
        {
            at + 1
        }
        "IGNORE" if one_of(tokens, at - 1, &["UPDATE", "DELETE", "INSERT"]) => at + 1,
        "ONLY" if one_of(tokens, at - 1, &["FROM", "UPDATE", "JOIN"]) => at + 1,
        "TABLE" if one_of(tokens, at - 1, &["FROM", "UPDATE"]) && !bracket => at + 1,
        _ => at,
    }
}

/// CROSS JOIN … ON is an inner join.
fn crossed(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 0;
    while at < tokens.len() && may_go_on(changes, tokens) {
        if one_of(tokens, at, &["CROSS", "STRAIGHT_JOIN"]) {
            let straight = one_of(tokens, at, &["STRAIGHT_JOIN"]);
            if straight {
                tokens[at] = make("JOIN", &tokens[at].clone());
                changes += 1;
            } else if one_of(tokens, at + 1, &["JOIN"]) {
                let next = outside(tokens, at + 2, |at| {
                    symbol(tokens, at, &Token::Comma)
                        || one_of(
                            tokens,
                            at,
                            &["ON", "JOIN", "WHERE", "GROUP", "ORDER", "HAVING", "UNION", "LIMIT", "CROSS"],
                        )
                });
                if next.is_some_and(|next| one_of(tokens, next, &["ON"])) {
                    tokens.remove(at);
                    changes += 1;
                }
            }
        }
        at += 1;
    }
    changes > 0
}

/// `table@link`.
fn links(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 1 < tokens.len() && may_go_on(changes, tokens) {
        let joined =
            tokens[at].span.start == tokens[at - 1].span.end && tokens[at + 1].span.start == tokens[at].span.end;
        if tokens[at].token == Token::AtSign
            && joined
            && let (Token::Word(table), Token::Word(link)) = (&tokens[at - 1].token, &tokens[at + 1].token)
        {
            let mut both = table.clone();
            both.value = format!("{}@{}", table.value, link.value);
            both.keyword = Keyword::NoKeyword;
            tokens[at - 1].token = Token::Word(both);
            tokens.drain(at..at + 2);
            changes += 1;
        } else {
            at += 1;
        }
    }
    changes > 0
}
