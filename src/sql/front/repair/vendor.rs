//! What single vendors write in FROM.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::super::dynamic::literal;
use super::super::routine::closing;
use super::super::tokens::as_word;
use super::{behind, cut, make, may_go_on, one_of, outside, sign, symbol, words};

/// USING SAMPLE 10% of DuckDB, up to what may stand behind it.
pub(super) fn samples(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut ranges = Vec::new();
    let mut at = 1;
    while at < tokens.len() && may_go_on(ranges.len(), tokens) {
        if words(tokens, at, &["USING", "SAMPLE"]) {
            let ends = |at: usize| {
                one_of(tokens, at, &["ORDER", "LIMIT", "OFFSET", "UNION", "EXCEPT", "INTERSECT"])
                    || symbol(tokens, at, &Token::RParen)
            };
            let end = outside(tokens, at, ends).unwrap_or(tokens.len());
            ranges.push((at, end));
            at = end;
        }
        at += 1;
    }
    cut(tokens, &ranges)
}

/// t@v3 and t@20190101000000000 of Delta: the table as it was. Spark takes it for one word.
pub(in super::super) fn versions(tokens: &mut Vec<TokenWithSpan>) {
    let is_version = |text: &str| {
        let number = text.strip_prefix(['v', 'V']).unwrap_or(text);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut ranges = Vec::new();
    for at in 1..tokens.len() {
        match &tokens[at].token {
            Token::AtSign if as_word(&tokens[at - 1]).is_some() => {
                let version = match tokens.get(at + 1).map(|token| &token.token) {
                    Some(Token::Number(text, _)) => is_version(text),
                    Some(Token::Word(word)) => is_version(&word.value),
                    _ => false,
                };
                if version {
                    ranges.push((at, at + 2));
                }
            }
            Token::Word(word) if word.quote_style.is_none() => {
                if let Some((name, version)) = word.value.split_once('@')
                    && !name.is_empty()
                    && is_version(version)
                {
                    tokens[at] = make(name, &tokens[at]);
                }
            }
            _ => {}
        }
    }
    cut(tokens, &ranges);
}

/// f (ON t PARTITION BY a ON (SELECT …) AS x USING …) of Teradata's table operators: f of these tables and queries.
pub(super) fn operators(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 2 < tokens.len() && may_go_on(changes, tokens) {
        at += 1;
        if !symbol(tokens, at - 1, &Token::LParen)
            || !one_of(tokens, at, &["ON"])
            || as_word(&tokens[at - 2]).is_none_or(|word| word.keyword != Keyword::NoKeyword)
        {
            continue;
        }
        let end = closing(tokens, at - 1, tokens.len()) - 1;
        let place = tokens[at].clone();
        let sign = |token| sign(token, &place);
        let mut inputs = Vec::new();
        let mut next = at;
        while let Some(on) = outside(&tokens[..end], next, |at| one_of(tokens, at, &["ON"])) {
            if !inputs.is_empty() {
                inputs.push(sign(Token::Comma));
            }
            let from = on + 1;
            next = behind(tokens, from).min(end);
            if next > from {
                inputs.extend_from_slice(&tokens[from..next]);
                continue;
            }
            next = (from + 1).min(end);
            while next < end && symbol(tokens, next, &Token::Period) {
                next = (next + 2).min(end);
            }
            inputs.extend([sign(Token::LParen), make("SELECT", &place), sign(Token::Mul), make("FROM", &place)]);
            inputs.extend_from_slice(&tokens[from.min(next)..next]);
            inputs.push(sign(Token::RParen));
        }
        tokens.splice(at..end, inputs);
        changes += 1;
    }
    changes > 0
}

/// OPENROWSET (BULK 'path', …) reads the file.
pub(super) fn bulk(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let mut changes = 0_usize;
    let mut at = 1;
    while at + 3 < tokens.len() && may_go_on(changes, tokens) {
        if one_of(tokens, at, &["OPENROWSET"])
            && symbol(tokens, at + 1, &Token::LParen)
            && one_of(tokens, at + 2, &["BULK"])
            && let Some(path) = literal(&tokens[at + 3].token).map(str::to_owned)
        {
            let end = closing(tokens, at + 1, tokens.len());
            let path = file(&path, &tokens[at]);
            tokens.splice(at..end, [path]);
            changes += 1;
        }
        at += 1;
    }
    changes > 0
}

/// A token that names a file as a table.
fn file(text: &str, place: &TokenWithSpan) -> TokenWithSpan {
    let word = Word { value: text.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
    TokenWithSpan { token: Token::Word(word), span: place.span }
}
