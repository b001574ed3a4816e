//! Changes to the tokens of a statement that the parser refused, so that what matters for lineage can be read.
//!
//! Each step leaves out or rewrites what no lineage depends on, or says the same in words that the parser knows. Steps
//! go from what is surely harmless to what is a guess; after each one that changed something the parser is asked again.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::Dialect;
use super::routine::closing;
use super::tokens::{as_word, is, word};

mod create;
mod operators;
mod phrases;
mod pivots;
mod relations;
mod scalars;
mod tables;
mod tail;
mod transforms;
mod values;
mod vendor;
mod writes;

pub(super) use self::phrases::prefix_aliases;
pub(super) use self::relations::table_arguments;
pub(super) use self::tables::bare_hints;
pub(super) use self::values::shorten;
pub(super) use self::vendor::versions;
pub(super) use self::writes::verbs;

/// A change; tells whether it changed anything.
pub(super) type Step = fn(&mut Vec<TokenWithSpan>, Dialect) -> bool;

/// All changes, in order; each sees what the ones before it left.
pub(super) const STEPS: [Step; 10] = [
    values::placeholders,
    tables::policies,
    phrases::rewrite,
    writes::rewrite,
    relations::rewrite,
    operators::rewrite,
    create::skeleton,
    tables::hints,
    tail::clauses,
    create::bare,
];

/// Whether a pass that moves the tokens behind each change may go on after so many of them.
fn may_go_on(changes: usize, tokens: &[TokenWithSpan]) -> bool {
    changes * tokens.len() < 4_000_000
}

/// A word that stands where another token stood.
fn make(text: &str, at: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan { token: word(text), span: at.span }
}

/// A token that stands where another one stood.
fn sign(token: Token, at: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan { token, span: at.span }
}

fn symbol(tokens: &[TokenWithSpan], at: usize, token: &Token) -> bool {
    tokens.get(at).is_some_and(|found| found.token == *token)
}

fn keyword(tokens: &[TokenWithSpan], at: usize) -> Keyword {
    tokens.get(at).and_then(as_word).map_or(Keyword::NoKeyword, |word| word.keyword)
}

/// Whether these unquoted words stand at a place.
fn words(tokens: &[TokenWithSpan], at: usize, texts: &[&str]) -> bool {
    texts.iter().enumerate().all(|(nth, text)| is(tokens.get(at + nth), text))
}

/// Whether one of these unquoted words stands at a place.
fn one_of(tokens: &[TokenWithSpan], at: usize, texts: &[&str]) -> bool {
    texts.iter().any(|text| is(tokens.get(at), text))
}

/// Behind the bracket at a place, or the place itself if there is none.
fn behind(tokens: &[TokenWithSpan], at: usize) -> usize {
    if symbol(tokens, at, &Token::LParen) { closing(tokens, at, tokens.len()) } else { at }
}

/// The first place from `from` on and outside of brackets that `found` takes.
fn outside(tokens: &[TokenWithSpan], from: usize, found: impl Fn(usize) -> bool) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        if depth == 0 && found(at) {
            return Some(at);
        }
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth == 0 => return None,
            Token::RParen | Token::RBracket => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where the brackets around a place close, or the end.
fn level_end(tokens: &[TokenWithSpan], from: usize) -> usize {
    outside(tokens, from, |at| symbol(tokens, at, &Token::RParen)).unwrap_or(tokens.len())
}

/// Commas between two places, outside of brackets.
fn commas(tokens: &[TokenWithSpan], from: usize, to: usize) -> Vec<usize> {
    let mut depth = 0_usize;
    let mut places = Vec::new();
    for (at, token) in tokens.iter().enumerate().take(to).skip(from) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => places.push(at),
            _ => {}
        }
    }
    places
}

/// Writes CROSS JOIN at these places of a list of tables, which are in order.
fn cross_join(tokens: &mut Vec<TokenWithSpan>, places: &[usize]) {
    for at in places.iter().rev() {
        let place = tokens[*at].clone();
        tokens.splice(*at..=*at, [make("CROSS", &place), make("JOIN", &place)]);
    }
}

/// Cuts the ranges out; they are in order and do not overlap.
fn cut(tokens: &mut Vec<TokenWithSpan>, ranges: &[(usize, usize)]) -> bool {
    if ranges.is_empty() {
        return false;
    }
    let mut ranges = ranges.iter().peekable();
    let mut at = 0;
    tokens.retain(|_| {
        while ranges.peek().is_some_and(|(_, end)| *end <= at) {
            ranges.next();
        }
        let keep = ranges.peek().is_none_or(|(start, _)| at < *start);
        at += 1;
        keep
    });
    true
}
