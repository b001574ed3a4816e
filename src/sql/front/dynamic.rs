//! Dynamic SQL: texts that are known, as literals, as joined literals, or through variables set to such before.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::super::types::StatementKind;
use super::script::Script;
use super::tokens::{Source, as_word, is};
use super::{Body, Extra, Piece, parse};

/// Bytes of the texts that variables hold, each.
const TEXT: usize = 1 << 20;
/// Variables that are followed.
const VARIABLES: usize = 200;

/// What EXECUTE runs.
pub(super) enum Found {
    /// This text; `token`: the place of its first literal.
    Text { text: String, token: usize },
    /// Not known from the script.
    Unknown,
}

/// The value of a string literal.
pub(super) fn literal(token: &Token) -> Option<&str> {
    match token {
        Token::SingleQuotedString(text)
        | Token::NationalStringLiteral(text)
        | Token::EscapedStringLiteral(text)
        | Token::DoubleQuotedString(text)
        | Token::TripleDoubleQuotedString(text)
        | Token::TripleSingleQuotedString(text)
        | Token::SingleQuotedRawStringLiteral(text)
        | Token::DoubleQuotedRawStringLiteral(text)
        | Token::TripleDoubleQuotedRawStringLiteral(text)
        | Token::TripleSingleQuotedRawStringLiteral(text) => Some(text),
        Token::DollarQuotedString(text) => Some(&text.value),
        Token::QuoteDelimitedStringLiteral(text) | Token::NationalQuoteDelimitedStringLiteral(text) => {
            Some(&text.value)
        }
        _ => None,
    }
}

/// Bytes before the value of a literal, and whether the value stands in the text as it is.
pub(super) fn quotes(token: &Token) -> (usize, bool) {
    match token {
        Token::DollarQuotedString(text) => (2 + text.tag.as_ref().map_or(0, String::len), true),
        Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => (1, true),
        Token::NationalStringLiteral(_) => (2, true),
        Token::TripleDoubleQuotedString(_) | Token::TripleSingleQuotedString(_) => (3, true),
        _ => (1, false),
    }
}

/// The text that a statement from `start` to `end` executes; `None` if it executes none.
pub(super) fn text(script: &Script<'_>, start: usize, end: usize) -> Option<Found> {
    let first = script.keyword(0);
    let mut from = start + 1;
    match first {
        Keyword::DO => {
            // DO [LANGUAGE x] 'text'; MySQL's DO expression is none.
            let at = (from..end).find(|at| literal(&script.tokens[*at].token).is_some())?;
            if at > from + 2 {
                return None;
            }
            let text = literal(&script.tokens[at].token)?.to_owned();
            return Some(Found::Text { text, token: at });
        }
        Keyword::PREPARE => {
            // PREPARE q AS statement says it itself.
            from =
                (from..end).find(|at| script.is_keyword(*at, Keyword::FROM) || script.is_keyword(*at, Keyword::AS))?;
            if script.is_keyword(from, Keyword::AS)
                || script.tokens.get(from + 1).and_then(as_word).is_some_and(|word| {
                    matches!(
                        word.keyword,
                        Keyword::SELECT
                            | Keyword::WITH
                            | Keyword::INSERT
                            | Keyword::UPDATE
                            | Keyword::DELETE
                            | Keyword::MERGE
                    )
                })
            {
                return None;
            }
            from += 1;
        }
        _ if script.is_keyword(from, Keyword::IMMEDIATE) => from += 1,
        // A routine's or a batch's EXEC.
        _ => {
            let system =
                script.tokens[from..end.min(from + 5)].iter().position(|token| is(Some(token), "SP_EXECUTESQL"));
            if let Some(at) = system {
                from += at + 1;
                // @stmt = N'…'
                if matches!(script.tokens.get(from + 1).map(|token| &token.token), Some(Token::Eq)) {
                    from += 2;
                }
            } else {
                let text = script.tokens.get(from).filter(|_| from < end).map(|token| &token.token)?;
                let called = matches!(text, Token::LParen) || literal(text).is_some();
                let plpgsql = script.routine
                    && as_word(&script.tokens[from]).is_some_and(|word| {
                        script.texts_of.contains_key(&word.value.to_ascii_lowercase())
                            || word.keyword == Keyword::FORMAT
                    });
                if !called && !plpgsql {
                    return None;
                }
            }
        }
    }
    let stop = (from..end)
        .find(|at| script.is_keyword(*at, Keyword::USING) || script.is_keyword(*at, Keyword::INTO))
        .unwrap_or(end);
    if from >= stop {
        return None;
    }
    Some(match value(script, from, stop, true) {
        Some((text, token)) => Found::Text { text, token },
        None => Found::Unknown,
    })
}

/// What is known of a text that is made at run time.
pub(super) fn unknown() -> Body {
    let note = "the text of dynamic SQL is made at run time".to_owned();
    Body::Extra(Extra::Opaque { kind: StatementKind::Call, note })
}

/// The query that stands in a text between two places, which is read.
pub(super) fn query(script: &Script<'_>, from: usize, end: usize, kind: StatementKind, out: &mut Vec<Piece>) {
    let stop = (from..end).find(|at| is(script.tokens.get(*at), "USING")).unwrap_or(end);
    let query = value(script, from, stop, true).and_then(|(text, _)| {
        if !script.effort.spend(text.len() / 4) {
            return None;
        }
        let (_, tokens) = Source::read(&text, script.dialect());
        parse::query(script.dialect(), script.effort, tokens)
    });
    let body = match query {
        Some(query) => Body::Extra(Extra::Reads { kind, query }),
        None => unknown(),
    };
    if let Some(place) = script.tokens.get(from).map(|token| token.span.start) {
        out.push(script.piece(place, stop.max(from + 1) - 1, body));
    }
}

/// The text of an expression of literals and known variables. `prefix`: what follows a comma is somebody else's.
fn value(script: &Script<'_>, from: usize, end: usize, prefix: bool) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut place = None;
    let mut depth = 0_usize;
    let mut concat = false;
    for at in from..end {
        let token = &script.tokens[at];
        if let Some(part) = literal(&token.token) {
            text.push_str(part);
            place.get_or_insert(at);
        } else {
            match &token.token {
                Token::Plus | Token::StringConcat => {}
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.checked_sub(1)?,
                Token::Comma if depth == 0 && prefix => break,
                Token::Comma if concat && depth == 1 => {}
                Token::Colon | Token::AtSign => {}
                Token::Word(word) if word.value.eq_ignore_ascii_case("CONCAT") => concat = true,
                Token::Word(word) => {
                    text.push_str(script.texts_of.get(&word.value.to_ascii_lowercase())?);
                    place.get_or_insert(at);
                }
                Token::Placeholder(name) => {
                    let name = name.trim_start_matches([':', '@', '$']).to_ascii_lowercase();
                    text.push_str(script.texts_of.get(&name)?);
                    place.get_or_insert(at);
                }
                _ => return None,
            }
        }
        if text.len() > TEXT {
            return None;
        }
    }
    Some((text, place?))
}

/// Keeps what a statement sets a variable to: SET v = …, DECLARE v … = …, v := …, SELECT @v = ….
pub(super) fn remember(script: &mut Script<'_>, start: usize, end: usize) {
    let mut sign = None;
    for at in start..end.min(start + 10) {
        match &script.tokens[at].token {
            Token::Eq | Token::Assignment => {
                sign = Some(at);
                break;
            }
            Token::Word(word) if word.keyword == Keyword::DEFAULT => {
                sign = Some(at);
                break;
            }
            Token::Word(word) if matches!(word.keyword, Keyword::FROM | Keyword::WHERE | Keyword::TABLE) => return,
            _ => {}
        }
    }
    let Some(sign) = sign else { return };
    let first = script.tokens.get(start).and_then(as_word).map_or(Keyword::NoKeyword, |word| word.keyword);
    let named = match first {
        Keyword::SET | Keyword::SELECT => start + 1,
        Keyword::DECLARE => start + 1,
        _ if is(script.tokens.get(start), "LET") => start + 1,
        _ if script.routine => start,
        _ => return,
    };
    let named = (named..sign).find_map(|at| as_word(&script.tokens[at])).map(|word| word.value.to_ascii_lowercase());
    let Some(name) = named else { return };
    // SET @v += '…'
    let adds = sign > 0 && script.tokens[sign - 1].token == Token::Plus;
    match value(script, sign + 1, end, true) {
        Some((text, _)) if script.texts_of.len() < VARIABLES => {
            let text = if adds {
                match script.texts_of.get(&name) {
                    Some(before) if before.len() + text.len() <= TEXT => format!("{before}{text}"),
                    _ => return,
                }
            } else {
                text
            };
            script.texts_of.insert(name, text);
        }
        _ => {
            script.texts_of.remove(&name);
        }
    }
}
