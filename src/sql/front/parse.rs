//! The straight path: cut at semicolons, give each statement to the parser.

use sqlparser::ast::Statement;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::{Limits, StatementKind};
use super::guess;
use super::tokens::{Source, grammar};
use super::{Body, Piece};

/// The pieces of a tokenized text.
pub(super) fn script(source: &Source<'_>, mut tokens: Vec<TokenWithSpan>, limits: &Limits) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut depth = 0_usize;
    let mut deepest = 0_usize;
    let mut at = 0;
    while at <= tokens.len() {
        match tokens.get(at).map(|token| &token.token) {
            Some(Token::LParen | Token::LBracket) => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            Some(Token::RParen | Token::RBracket) => depth = depth.saturating_sub(1),
            Some(Token::SemiColon) | None if depth == 0 || at == tokens.len() => {
                if at > start {
                    pieces.push(statement(source, &mut tokens, start, at, deepest, limits));
                }
                start = at + 1;
                depth = 0;
                deepest = 0;
            }
            _ => {}
        }
        at += 1;
    }
    pieces
}

fn statement(
    source: &Source<'_>,
    tokens: &mut Vec<TokenWithSpan>,
    start: usize,
    end: usize,
    deepest: usize,
    limits: &Limits,
) -> Piece {
    let at = source.position(tokens[start].span.start);
    let span = (source.offset(tokens[start].span.start), source.offset(tokens[end - 1].span.end));
    let kind = guess::kind(&tokens[start..end]);
    let result = if deepest > limits.depth {
        Err(format!("nested {deepest} deep; the limit is {}", limits.depth))
    } else {
        let own: Vec<TokenWithSpan> = if start == 0 && end == tokens.len() {
            std::mem::take(tokens)
        } else {
            tokens[start..end].iter_mut().map(|token| std::mem::replace(token, TokenWithSpan::new_eof())).collect()
        };
        whole(source, own, limits).map_err(|error| error.to_string())
    };
    let body = match result {
        Ok(statement) => Body::Parsed(Box::new(statement)),
        Err(reason) => failed(&source.again(span), kind, reason),
    };
    Piece { at, span: source.outer(span), body }
}

fn failed(tokens: &[TokenWithSpan], kind: StatementKind, reason: String) -> Body {
    let (reads, writes) = guess::names(tokens);
    Body::Failed { kind, reason, reads, writes }
}

/// One statement that is all of the tokens.
pub(super) fn whole(
    source: &Source<'_>,
    tokens: Vec<TokenWithSpan>,
    limits: &Limits,
) -> Result<Statement, ParserError> {
    let mut parser =
        Parser::new(grammar(source.dialect)).with_recursion_limit(limits.depth * 3).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement()?;
    let rest = parser.peek_token_ref();
    if rest.token == Token::EOF {
        Ok(statement)
    } else {
        Err(ParserError::ParserError(format!(
            "Expected: end of statement, found: {} at {}",
            rest.token, rest.span.start
        )))
    }
}
