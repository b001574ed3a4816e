//! One statement to the parser: first as it stands, then repaired, then by other grammars.

use std::cell::Cell;

use sqlparser::ast::{Query, Statement};
use sqlparser::dialect::{Dialect as Grammar, GenericDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::{Dialect, Limits, StatementKind};
use super::tokens::{Source, grammar};
use super::{Body, Piece, extra, guess, repair};

/// Tokens that may be given to the parser for one text, all attempts together: what bounds the time.
const TOKENS: usize = 1_000_000;
/// Operators in one list of terms. The parser's trees lean to the left by one level for each.
const CHAIN: usize = 1_500;
/// Nesting that is allowed where more words than `STATEMENTS` may begin a statement inside of another one: the parser's default.
const NESTED: usize = 50;
/// See `NESTED`.
const STATEMENTS: usize = 20;
/// Beyond this many tokens rows of values and lists of literals are shortened before parsing.
const LONG: usize = 2_000;

/// What all pieces of a text share.
pub(super) struct Effort<'a> {
    /// Bounds.
    pub limits: &'a Limits,
    tokens: Cell<usize>,
    statements: Cell<usize>,
}

impl<'a> Effort<'a> {
    /// Nothing spent.
    pub fn new(limits: &'a Limits) -> Self {
        Self { limits, tokens: Cell::new(TOKENS), statements: Cell::new(limits.statements) }
    }

    /// Whether another statement is allowed.
    pub fn statement(&self) -> bool {
        let left = self.statements.get();
        self.statements.set(left.saturating_sub(1));
        left > 0
    }

    /// Whether as many tokens may be worked on.
    pub fn spend(&self, tokens: usize) -> bool {
        let left = self.tokens.get();
        if left < tokens {
            return false;
        }
        self.tokens.set(left - tokens);
        true
    }
}

/// Parses one statement of a text, which is `tokens`.
pub(super) fn statement(source: &Source<'_>, effort: &Effort<'_>, tokens: Vec<TokenWithSpan>) -> Piece {
    let first = tokens[0].span.start;
    let last = tokens[tokens.len() - 1].span.end;
    let at = source.position(first);
    let span = (source.offset(first), source.offset(last));
    let body = body(source, effort, tokens, span);
    Piece { at, span: source.outer(span), body }
}

fn body(source: &Source<'_>, effort: &Effort<'_>, mut tokens: Vec<TokenWithSpan>, span: (usize, usize)) -> Body {
    if tokens.len() > LONG {
        repair::shorten(&mut tokens);
    }
    repair_early(source.dialect, &mut tokens);
    let kind = guess::kind(&tokens);
    if let Err(reason) = bounded(&tokens, effort.limits) {
        return failed(&tokens, kind, reason);
    }
    if let Some(body) = extra::early(source, effort, &tokens) {
        return body;
    }
    // The parser keeps what it is given; a short copy is cheaper than cutting the text again, for the rare refusal.
    let long = tokens.len() > LONG;
    let kept = if long { tokens.clone() } else { Vec::new() };
    if !effort.spend(tokens.len()) {
        return failed(&tokens, kind, "the text asks for too much work".to_owned());
    }
    let reason = match attempt(grammar(source.dialect), tokens, effort.limits) {
        Ok(statement) => return Body::Parsed(Box::new(statement)),
        Err(reason) => reason,
    };
    let mut tokens = if long { kept } else { source.again(span) };
    repair_early(source.dialect, &mut tokens);
    if tokens.is_empty() {
        return failed(&tokens, kind, reason);
    }
    if let Some(body) = extra::late(source, effort, &tokens) {
        return body;
    }
    match repaired(source.dialect, effort, tokens.clone()) {
        Some(statement) => Body::Parsed(Box::new(statement)),
        None => failed(&tokens, kind, source.damage.clone().unwrap_or(reason)),
    }
}

/// What the parser would take for something else.
fn repair_early(dialect: Dialect, tokens: &mut Vec<TokenWithSpan>) {
    match dialect {
        Dialect::TSql => {
            repair::verbs(tokens);
            repair::bare_hints(tokens);
        }
        Dialect::Trino | Dialect::Athena | Dialect::Ansi | Dialect::BigQuery => repair::table_arguments(tokens),
        Dialect::Spark | Dialect::Databricks => {
            repair::versions(tokens);
            repair::table_arguments(tokens);
        }
        Dialect::DuckDb => repair::prefix_aliases(tokens),
        _ => {}
    }
}

/// A statement from tokens that the parser refused as they were.
pub(super) fn repaired(dialect: Dialect, effort: &Effort<'_>, mut tokens: Vec<TokenWithSpan>) -> Option<Statement> {
    for step in repair::STEPS {
        if step(&mut tokens, dialect)
            && effort.spend(tokens.len())
            && let Ok(statement) = attempt(grammar(dialect), tokens.clone(), effort.limits)
        {
            return Some(statement);
        }
    }
    let others: [&dyn Grammar; 3] = [&GenericDialect {}, grammar(Dialect::Databricks), grammar(Dialect::Snowflake)];
    for other in others {
        if !effort.spend(tokens.len()) {
            return None;
        }
        if let Ok(statement) = attempt(other, tokens.clone(), effort.limits) {
            return Some(statement);
        }
    }
    None
}

/// A statement from tokens, by all means.
pub(super) fn any(dialect: Dialect, effort: &Effort<'_>, tokens: Vec<TokenWithSpan>) -> Option<Statement> {
    if tokens.is_empty() || bounded(&tokens, effort.limits).is_err() || !effort.spend(tokens.len()) {
        return None;
    }
    attempt(grammar(dialect), tokens.clone(), effort.limits).ok().or_else(|| repaired(dialect, effort, tokens))
}

/// A query from tokens, by all means.
pub(super) fn query(dialect: Dialect, effort: &Effort<'_>, tokens: Vec<TokenWithSpan>) -> Option<Box<Query>> {
    match any(dialect, effort, tokens)? {
        Statement::Query(query) => Some(query),
        _ => None,
    }
}

/// Not read.
pub(super) fn failed(tokens: &[TokenWithSpan], kind: StatementKind, reason: String) -> Body {
    let (reads, writes) = guess::names(tokens);
    Body::Failed { kind, reason, reads, writes }
}

fn attempt(grammar: &dyn Grammar, tokens: Vec<TokenWithSpan>, limits: &Limits) -> Result<Statement, String> {
    // Statements inside of statements take much more of the stack than what they hold.
    let inner = tokens.iter().filter(|token| nests(&token.token)).count();
    let depth = if inner > STATEMENTS { NESTED } else { limits.depth * 2 };
    let mut parser = Parser::new(grammar).with_recursion_limit(depth).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| error.to_string())?;
    let rest = parser.peek_token_ref();
    if rest.token == Token::EOF {
        Ok(statement)
    } else {
        Err(format!("expected the end of the statement, found {}{}", rest.token, rest.span.start))
    }
}

/// Whether the word may begin a statement that holds another one.
fn nests(token: &Token) -> bool {
    let Token::Word(word) = token else { return false };
    matches!(
        word.keyword,
        Keyword::EXPLAIN
            | Keyword::DESCRIBE
            | Keyword::DESC
            | Keyword::PREPARE
            | Keyword::BEGIN
            | Keyword::IF
            | Keyword::WHILE
            | Keyword::CREATE
    )
}

/// Brackets and chains of operators, counted before anything recurses over them.
fn bounded(tokens: &[TokenWithSpan], limits: &Limits) -> Result<(), String> {
    // Fewer tokens cannot be too deep.
    if tokens.len() <= limits.depth {
        return Ok(());
    }
    let mut levels = vec![Chains::default()];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                // Indexes and calls in a row are a chain, too.
                if let Some(level) = levels.last_mut() {
                    level.operators += 1;
                }
                levels.push(Chains::default());
                if levels.len() > limits.depth {
                    return Err(format!("nested more than {} deep", limits.depth));
                }
            }
            Token::RParen | Token::RBracket | Token::RBrace if levels.len() > 1 => {
                levels.pop();
            }
            token => {
                if let Some(level) = levels.last_mut() {
                    level.count(token);
                }
            }
        }
        if levels.last().is_some_and(|level| level.sets.max(level.terms).max(level.operators) > CHAIN) {
            return Err(format!("more than {CHAIN} operators in a row"));
        }
    }
    Ok(())
}

/// Operators in a row inside of one pair of brackets.
#[derive(Default)]
struct Chains {
    /// UNION and its kind.
    sets: usize,
    /// AND, OR.
    terms: usize,
    /// All others.
    operators: usize,
}

impl Chains {
    fn count(&mut self, token: &Token) {
        match token {
            Token::Comma => (self.terms, self.operators) = (0, 0),
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Period | Token::Placeholder(_) => {}
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => {}
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
                    *self = Self { sets: self.sets + 1, ..Self::default() };
                }
                Keyword::AND | Keyword::OR => (self.terms, self.operators) = (self.terms + 1, 0),
                Keyword::SELECT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::ORDER
                | Keyword::JOIN
                | Keyword::ON
                | Keyword::VALUES
                | Keyword::WHEN => (self.terms, self.operators) = (0, 0),
                _ => self.operators += 1,
            },
            _ => self.operators += 1,
        }
    }
}
