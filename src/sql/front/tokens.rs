//! Tokens with their places.
//!
//! A text is cut into tokens once. White space and comments go: the parser would skip them at every look, and only
//! stages (`@stage/path`, ended by a blank) need one kept. Where the tokenizer gives up, it goes on behind the place,
//! a few times; a literal that never ends ends the text.

use std::cell::Cell;

use sqlparser::ast::Ident;
use sqlparser::dialect::{
    BigQueryDialect, ClickHouseDialect, DatabricksDialect, Dialect as Grammar, DuckDbDialect, GenericDialect,
    HiveDialect, MsSqlDialect, MySqlDialect, OracleDialect, PostgreSqlDialect, RedshiftSqlDialect, SQLiteDialect,
    SnowflakeDialect, SparkSqlDialect, TeradataDialect,
};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use super::super::types::{Dialect, Position};

/// Places where the tokenizer may go on after an error, per text.
const RESUMPTIONS: usize = 16;

/// The parser's grammar of a dialect.
pub(super) fn grammar(dialect: Dialect) -> &'static dyn Grammar {
    match dialect {
        Dialect::Ansi | Dialect::Athena | Dialect::Trino | Dialect::Db2 => &GenericDialect {},
        Dialect::BigQuery => &BigQueryDialect {},
        Dialect::ClickHouse => &ClickHouseDialect {},
        Dialect::Databricks => &DatabricksDialect {},
        Dialect::DuckDb => &DuckDbDialect {},
        Dialect::Hive => &HiveDialect {},
        Dialect::MySql => &MySqlDialect {},
        Dialect::Oracle => &OracleDialect {},
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::Redshift => &RedshiftSqlDialect {},
        Dialect::Snowflake => &SnowflakeDialect {},
        Dialect::Spark => &SparkSqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Teradata => &TeradataDialect {},
        Dialect::TSql => &MsSqlDialect {},
    }
}

/// A text whose tokens tell lines and columns; turns them into byte offsets and positions.
pub(super) struct Source<'a> {
    /// The text.
    pub text: &'a str,
    /// Its dialect.
    pub dialect: Dialect,
    /// Why the tokens are not all of the text.
    pub damage: Option<String>,
    /// Where the text begins in the script that it is a part of.
    base: Position,
    base_offset: usize,
    /// Where everything is said to be, if the text does not stand in the script as it is.
    fixed: Option<(Position, (usize, usize))>,
    lines: Vec<usize>,
    ascii: bool,
    last: Cell<(u64, u64, usize)>,
}

impl<'a> Source<'a> {
    /// A whole text and its tokens.
    pub fn read(text: &'a str, dialect: Dialect) -> (Self, Vec<TokenWithSpan>) {
        Self::read_at(text, dialect, Position { line: 1, column: 1 }, 0)
    }

    /// A text inside of another one, which begins there at `base`, `base_offset`.
    pub fn read_at(text: &'a str, dialect: Dialect, base: Position, base_offset: usize) -> (Self, Vec<TokenWithSpan>) {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        let ascii = text.is_ascii();
        let mut source = Self {
            text,
            dialect,
            damage: None,
            base,
            base_offset,
            fixed: None,
            lines,
            ascii,
            last: Cell::new((1, 1, 0)),
        };
        let (tokens, damage) = source.tokenize(0);
        source.damage = damage;
        (source, tokens)
    }

    /// The tokens from a byte offset to the end, with places in the whole text.
    fn tokenize(&self, from: usize) -> (Vec<TokenWithSpan>, Option<String>) {
        let mut tokens = Vec::with_capacity((self.text.len() - from) / 4 + 4);
        let mut damage = None;
        let mut from = from;
        for _ in 0..RESUMPTIONS {
            let rest = &self.text[from..];
            let start = self.location(from);
            let kept = tokens.len();
            let mut part = Vec::with_capacity(rest.len() / 4 + 4);
            let result = Tokenizer::new(grammar(self.dialect), rest).tokenize_with_location_into_buf(&mut part);
            if start.line > 1 || start.column > 1 {
                for token in &mut part {
                    shift(&mut token.span.start, start);
                    shift(&mut token.span.end, start);
                }
            }
            let end = part.last().map_or(start, |token: &TokenWithSpan| token.span.end);
            tokens.append(&mut part);
            let Err(error) = result else { break };
            damage.get_or_insert_with(|| error.message.clone());
            // What follows an opening quote is no SQL.
            if error.message.starts_with("Unterminated") || error.message.contains("EOF") {
                break;
            }
            let next = self.offset(end);
            let Some(skipped) = self.text[next..].chars().next() else { break };
            tokens.truncate(tokens.len().max(kept));
            from = next + skipped.len_utf8();
        }
        compact(&mut tokens);
        (tokens, damage)
    }

    /// The tokens of a byte range, once more: the parser does not give back what it was given.
    pub fn again(&self, span: (usize, usize)) -> Vec<TokenWithSpan> {
        let start = self.location(span.0);
        let mut tokens = Vec::new();
        // An error was told of when the whole text was read.
        let _ = Tokenizer::new(grammar(self.dialect), &self.text[span.0..span.1])
            .tokenize_with_location_into_buf(&mut tokens);
        for token in &mut tokens {
            shift(&mut token.span.start, start);
            shift(&mut token.span.end, start);
        }
        compact(&mut tokens);
        tokens
    }

    /// Byte offset of a token's place in this text.
    pub fn offset(&self, location: Location) -> usize {
        let line = (location.line.max(1) as usize - 1).min(self.lines.len() - 1);
        let start = self.lines[line];
        let column = location.column.max(1) as usize - 1;
        if self.ascii {
            return (start + column).min(self.text.len());
        }
        // Offsets are asked for from left to right: a long line is walked once.
        let (last_line, last_column, last_offset) = self.last.get();
        let (from, skip) = if last_line == location.line && last_column <= location.column {
            (last_offset, (location.column - last_column) as usize)
        } else {
            (start, column)
        };
        let offset = self.text[from..].char_indices().nth(skip).map_or(self.text.len(), |(at, _)| from + at);
        self.last.set((location.line, location.column, offset));
        offset
    }

    fn location(&self, offset: usize) -> Location {
        let line = self.lines.partition_point(|start| *start <= offset) - 1;
        let column = self.text[self.lines[line]..offset].chars().count();
        Location { line: line as u64 + 1, column: column as u64 + 1 }
    }

    /// Place in the outermost script.
    pub fn position(&self, location: Location) -> Position {
        if let Some((place, _)) = self.fixed {
            return place;
        }
        let line = location.line.max(1) as u32;
        let column = location.column.max(1) as u32;
        if line == 1 {
            Position { line: self.base.line, column: self.base.column + column - 1 }
        } else {
            Position { line: self.base.line + line - 1, column }
        }
    }

    /// Where the text ends.
    pub fn end(&self) -> Position {
        self.position(self.location(self.text.len()))
    }

    /// A text that a literal of this one holds, and its tokens. `prefix`: bytes of the literal before the text. Not
    /// `exact`: the text does not stand there letter by letter, and all of it is said to be where the literal begins.
    pub fn inner<'b>(
        &self,
        text: &'b str,
        literal: &TokenWithSpan,
        prefix: usize,
        exact: bool,
    ) -> (Source<'b>, Vec<TokenWithSpan>) {
        let start = self.offset(literal.span.start) + prefix;
        let stands = exact && self.text.get(start..).is_some_and(|rest| rest.starts_with(text));
        let place = self.position(literal.span.start);
        if stands && self.fixed.is_none() {
            let base = Position { line: place.line, column: place.column + prefix as u32 };
            return Source::read_at(text, self.dialect, base, start + self.base_offset);
        }
        let span = (self.offset(literal.span.start), self.offset(literal.span.end));
        let fixed = Some((place, self.outer(span)));
        let (mut source, tokens) = Source::read_at(text, self.dialect, place, 0);
        source.fixed = fixed;
        (source, tokens)
    }

    /// Byte range in the outermost script.
    pub fn outer(&self, span: (usize, usize)) -> (usize, usize) {
        match self.fixed {
            Some((_, span)) => span,
            None => (span.0 + self.base_offset, span.1 + self.base_offset),
        }
    }
}

fn shift(place: &mut Location, start: Location) {
    if place.line == 1 {
        place.column += start.column - 1;
    }
    place.line += start.line - 1;
}

/// White space goes, but for the first blank behind a stage; names that the tokenizer tears apart come together.
fn compact(tokens: &mut Vec<TokenWithSpan>) {
    let mut stage = false;
    tokens.retain(|token| match &token.token {
        Token::Whitespace(Whitespace::Space | Whitespace::Tab | Whitespace::Newline) => std::mem::take(&mut stage),
        Token::Whitespace(_) => false,
        Token::AtSign => {
            stage = true;
            true
        }
        _ => true,
    });
}

/// An unquoted word, as the tokenizer would give it.
pub(super) fn word(text: &str) -> Token {
    Token::make_word(text, None)
}

/// The word of a token.
pub(super) fn as_word(token: &TokenWithSpan) -> Option<&Word> {
    match &token.token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

/// Whether a token is this unquoted word; `text` in upper case.
pub(super) fn is(token: Option<&TokenWithSpan>, text: &str) -> bool {
    token.and_then(as_word).is_some_and(|word| word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

/// A token as an identifier.
pub(super) fn ident(word: &Word, token: &TokenWithSpan) -> Ident {
    Ident { value: word.value.clone(), quote_style: word.quote_style, span: token.span }
}
