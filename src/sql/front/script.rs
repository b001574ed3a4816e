//! A text as a sequence of statements, with the blocks of procedural languages.
//!
//! Cuts at semicolons outside of brackets, and follows BEGIN … END, IF, WHILE, LOOP, FOR, REPEAT, CASE and DECLARE of
//! T-SQL, PL/SQL, PL/pgSQL, MySQL, BigQuery, Snowflake, Db2 and Databricks as far as needed to find the statements in
//! them. Conditions are read where they hold queries.

use std::collections::HashMap;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::super::types::{Dialect, Limits, StatementKind};
use super::parse::{self, Effort};
use super::tokens::{Source, as_word, is, word};
use super::{Body, Extra, Piece, batch, plain, routine};

/// Texts inside of texts (bodies of routines, dynamic SQL).
const TEXTS: usize = 6;
/// Blocks inside of blocks.
pub(super) const BLOCKS: usize = 64;

/// The pieces of a tokenized text.
pub(super) fn pieces(source: &Source<'_>, tokens: Vec<TokenWithSpan>, limits: &Limits) -> Vec<Piece> {
    let effort = Effort::new(limits);
    let mut out = Vec::new();
    let mut script = Script::new(source, &effort, tokens, false, 0);
    script.batches(&mut out);
    if let Some(damage) = &source.damage
        && !out.iter().any(|piece| matches!(piece.body, Body::Failed { .. }))
    {
        let at = source.text.len();
        let body =
            Body::Failed { kind: StatementKind::Other, reason: damage.clone(), reads: Vec::new(), writes: Vec::new() };
        out.push(Piece { at: source.end(), span: source.outer((at, at)), body });
    }
    out
}

/// Walks over the tokens of one text.
pub(super) struct Script<'a> {
    pub source: &'a Source<'a>,
    pub effort: &'a Effort<'a>,
    pub tokens: Vec<TokenWithSpan>,
    /// The next token.
    pub at: usize,
    /// Where the batch ends.
    pub end: usize,
    /// In the body of a routine or block: SELECT … INTO goes into variables.
    pub routine: bool,
    /// Texts around this one.
    pub texts: usize,
    /// Blocks around the next token.
    pub blocks: usize,
    /// Statements around the next one.
    pub nesting: usize,
    /// Texts of variables, by their names in lower case.
    pub texts_of: HashMap<String, String>,
    /// Queries of cursors, by their names in lower case.
    pub cursors: HashMap<String, Vec<TokenWithSpan>>,
}

impl<'a> Script<'a> {
    pub fn new(
        source: &'a Source<'a>,
        effort: &'a Effort<'a>,
        tokens: Vec<TokenWithSpan>,
        routine: bool,
        texts: usize,
    ) -> Self {
        let end = tokens.len();
        Self {
            source,
            effort,
            tokens,
            at: 0,
            end,
            routine,
            texts,
            blocks: 0,
            nesting: 0,
            texts_of: HashMap::new(),
            cursors: HashMap::new(),
        }
    }

    /// All of the text, batch by batch.
    pub fn batches(&mut self, out: &mut Vec<Piece>) {
        let all = self.tokens.len();
        let go = if self.dialect() == Dialect::TSql { batch::separators(&self.tokens) } else { Vec::new() };
        for separator in go.into_iter().chain([all]) {
            self.end = separator;
            while self.at < self.end {
                let before = self.at;
                self.sequence(out);
                // An END that closes nothing.
                if self.at == before {
                    self.at += 1;
                }
            }
            self.at = separator + 1;
            // GO 5
            if separator < all && matches!(self.tokens.get(self.at).map(|token| &token.token), Some(Token::Number(..)))
            {
                self.at += 1;
            }
        }
    }

    pub fn dialect(&self) -> Dialect {
        self.source.dialect
    }

    /// The token `ahead` of the next one.
    pub fn peek(&self, ahead: usize) -> Option<&TokenWithSpan> {
        if self.at + ahead < self.end { self.tokens.get(self.at + ahead) } else { None }
    }

    pub fn keyword(&self, ahead: usize) -> Keyword {
        self.peek(ahead).and_then(as_word).map_or(Keyword::NoKeyword, |word| word.keyword)
    }

    pub fn next_is(&self, ahead: usize, text: &str) -> bool {
        is(self.peek(ahead), text)
    }

    pub fn symbol(&self, ahead: usize, token: &Token) -> bool {
        self.peek(ahead).is_some_and(|next| next.token == *token)
    }

    /// Statements up to a word that ends a block, or the end.
    pub fn sequence(&mut self, out: &mut Vec<Piece>) {
        while self.at < self.end {
            if self.symbol(0, &Token::SemiColon) || self.symbol(0, &Token::Div) {
                self.at += 1;
                continue;
            }
            if self.blocks > 0 && self.closes(0) {
                return;
            }
            if !self.effort.statement() {
                let at = self.tokens[self.at].span.start;
                out.push(self.piece(at, self.end - 1, self.too_many()));
                self.at = self.end;
                return;
            }
            let before = self.at;
            self.item(out);
            if self.at == before {
                self.at += 1;
            }
        }
    }

    fn too_many(&self) -> Body {
        Body::Failed {
            kind: StatementKind::Other,
            reason: format!("more than {} statements", self.effort.limits.statements),
            reads: Vec::new(),
            writes: Vec::new(),
        }
    }

    /// Whether the word ends a sequence of statements inside of a block.
    pub fn closes(&self, ahead: usize) -> bool {
        match self.keyword(ahead) {
            Keyword::END | Keyword::ELSE | Keyword::ELSEIF | Keyword::WHEN | Keyword::UNTIL | Keyword::EXCEPTION => {
                true
            }
            Keyword::NoKeyword => self.next_is(ahead, "ELSIF"),
            _ => false,
        }
    }

    pub fn item(&mut self, out: &mut Vec<Piece>) {
        // The parser would recurse over nested blocks without a bound of its own.
        if self.nesting >= BLOCKS {
            let reason = format!("blocks nested more than {BLOCKS} deep");
            let body = parse::failed(&self.tokens[self.at..self.end], StatementKind::Other, reason);
            out.push(self.piece(self.tokens[self.at].span.start, self.end - 1, body));
            self.at = self.end;
            return;
        }
        self.nesting += 1;
        self.begin(out);
        self.nesting -= 1;
    }

    /// A statement, or what opens a block.
    fn begin(&mut self, out: &mut Vec<Piece>) {
        let next = self.keyword(0);
        match next {
            Keyword::SELECT | Keyword::INSERT | Keyword::WITH | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE => {
                self.plain(out);
            }
            Keyword::BEGIN if self.transaction() => self.plain(out),
            Keyword::BEGIN if self.blocks < BLOCKS => self.block(out),
            Keyword::DECLARE => self.declare(out),
            Keyword::IF => self.branch(out),
            Keyword::WHILE | Keyword::FOR => self.repeat(out, &["DO", "LOOP"]),
            Keyword::CASE => self.case(out),
            Keyword::CREATE | Keyword::ALTER | Keyword::REPLACE => {
                if !routine::definition(self, out) {
                    self.plain(out);
                }
            }
            Keyword::EXECUTE | Keyword::EXEC | Keyword::PREPARE | Keyword::DO => {
                if !routine::dynamic(self, out) {
                    self.plain(out);
                }
            }
            Keyword::ELSE | Keyword::END if self.blocks == 0 && self.dialect() == Dialect::TSql => self.at += 1,
            _ => {
                // Labels: <<name>> and name: BEGIN.
                if self.symbol(0, &Token::ShiftLeft) && self.symbol(2, &Token::ShiftRight) {
                    self.at += 3;
                } else if self.symbol(1, &Token::Colon)
                    && ["BEGIN", "LOOP", "WHILE", "REPEAT", "FOR"].iter().any(|word| self.next_is(2, word))
                {
                    self.at += 2;
                } else if self.next_is(0, "LOOP") {
                    self.repeat(out, &["LOOP"]);
                } else if self.next_is(0, "FOREACH") {
                    self.repeat(out, &["DO", "LOOP"]);
                } else if self.next_is(0, "REPEAT") && !self.symbol(1, &Token::LParen) {
                    self.repeat(out, &["REPEAT"]);
                } else if self.next_is(0, "FORALL") {
                    self.skip_to(|script, at| batch::starts(script.tokens.get(at)));
                } else if self.routine && (self.next_is(0, "PROCEDURE") || self.next_is(0, "FUNCTION")) {
                    routine::member(self, out);
                } else {
                    self.plain(out);
                }
            }
        }
    }

    pub fn is_keyword(&self, at: usize, keyword: Keyword) -> bool {
        at < self.end && self.tokens.get(at).and_then(as_word).is_some_and(|word| word.keyword == keyword)
    }

    /// Goes to a token outside of brackets and CASE expressions, or to the end of the statement.
    pub fn skip_to(&mut self, found: impl Fn(&Self, usize) -> bool) {
        self.at = self.find(self.at, found);
    }

    /// A token outside of brackets and CASE expressions, or the end of the statement.
    pub fn find(&self, from: usize, found: impl Fn(&Self, usize) -> bool) -> usize {
        let (mut depth, mut cases) = (0_usize, 0_usize);
        let mut at = from;
        while at < self.end {
            if depth == 0 && cases == 0 && found(self, at) {
                return at;
            }
            match &self.tokens[at].token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::SemiColon => return at,
                Token::Word(word) if depth == 0 && word.keyword == Keyword::CASE => cases += 1,
                Token::Word(word) if depth == 0 && word.keyword == Keyword::END => cases = cases.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        at
    }

    /// A condition: read for its queries.
    pub fn condition(&mut self, out: &mut Vec<Piece>, ends: impl Fn(&Self, usize) -> bool) {
        let start = self.at;
        self.skip_to(ends);
        routine::reads(self, start, self.at, StatementKind::Other, out);
    }

    fn declare(&mut self, out: &mut Vec<Piece>) {
        let section = matches!(self.dialect(), Dialect::Oracle | Dialect::Snowflake)
            || (matches!(self.dialect(), Dialect::Postgres | Dialect::Redshift | Dialect::Ansi | Dialect::DuckDb)
                && (self.routine || self.keyword(1) == Keyword::BEGIN));
        if section {
            self.at += 1;
            return self.declarations(out);
        }
        if self.dialect() != Dialect::TSql {
            // DECLARE CONTINUE HANDLER FOR … statement
            let handler = (1..4).any(|ahead| self.next_is(ahead, "HANDLER"));
            if handler {
                self.at += 3;
                self.skip_to(|script, at| {
                    batch::starts(script.tokens.get(at)) || script.is_keyword(at, Keyword::BEGIN)
                });
                return;
            }
        }
        self.plain(out);
    }

    /// Declarations before BEGIN.
    pub fn declarations(&mut self, out: &mut Vec<Piece>) {
        let routine = std::mem::replace(&mut self.routine, true);
        while self.at < self.end && self.keyword(0) != Keyword::BEGIN {
            if self.symbol(0, &Token::SemiColon) {
                self.at += 1;
            } else if self.next_is(0, "PROCEDURE") || self.next_is(0, "FUNCTION") {
                routine::member(self, out);
            } else if self.closes(0) || self.keyword(0) == Keyword::CREATE || !self.effort.statement() {
                break;
            } else {
                self.plain(out);
            }
        }
        self.routine = routine;
    }

    /// A statement that is no block: up to its semicolon, or in a block up to the word that closes it.
    pub fn plain(&mut self, out: &mut Vec<Piece>) {
        let start = self.at;
        let end = if self.dialect() == Dialect::TSql {
            batch::boundary(&self.tokens, start, self.end)
        } else {
            self.end_of(start)
        };
        self.at = end.max(start + 1);
        plain::statement(self, start, self.at, out);
    }

    /// The semicolon behind a statement, or the word that closes the block around it. No semicolon stands in brackets:
    /// a bracket that stays open must not swallow the rest.
    fn end_of(&self, start: usize) -> usize {
        let (mut depth, mut cases) = (0_usize, 0_usize);
        for at in start..self.end {
            match &self.tokens[at].token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                Token::SemiColon => return at,
                Token::Word(word) if self.blocks > 0 && depth == 0 => match word.keyword {
                    Keyword::CASE => cases += 1,
                    Keyword::END if cases > 0 => cases -= 1,
                    Keyword::END if at > start => return at,
                    _ => {}
                },
                _ => {}
            }
        }
        self.end
    }

    /// The tokens of a statement, out of the script.
    pub fn take(&mut self, start: usize, end: usize) -> Vec<TokenWithSpan> {
        if start == 0 && end == self.tokens.len() {
            // What is left is looked at by nobody but the walk, which stands at the end.
            return std::mem::take(&mut self.tokens);
        }
        self.tokens[start..end]
            .iter_mut()
            .map(|token| {
                let gone = TokenWithSpan { token: Token::EOF, span: token.span };
                std::mem::replace(token, gone)
            })
            .collect()
    }

    /// A piece from a place up to the token `last`.
    pub fn piece(&self, start: Location, last: usize, body: Body) -> Piece {
        let end = self.tokens.get(last).map_or(start, |token| token.span.end);
        let span = (self.source.offset(start), self.source.offset(end));
        Piece { at: self.source.position(start), span: self.source.outer(span), body }
    }

    /// The pieces of a text inside of this one.
    pub fn inner(&self, text: &str, place: &TokenWithSpan, prefix: usize, exact: bool) -> Vec<Piece> {
        if self.texts >= TEXTS || !self.effort.spend(text.len() / 4) {
            let body = Body::Extra(Extra::Opaque {
                kind: StatementKind::Call,
                note: "a text inside of too many texts".to_owned(),
            });
            return vec![self.piece(place.span.start, usize::MAX, body)];
        }
        let (source, tokens) = self.source.inner(text, place, prefix, exact);
        let mut script = Script::new(&source, self.effort, tokens, true, self.texts + 1);
        let mut out = Vec::new();
        script.batches(&mut out);
        out
    }
}

/// `SELECT` before tokens: an expression as a query.
pub(super) fn as_query(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut query = Vec::with_capacity(tokens.len() + 1);
    query.push(TokenWithSpan { token: word("SELECT"), span: tokens[0].span });
    query.extend_from_slice(tokens);
    query
}

/// One statement, by the parser.
pub(super) fn parsed(script: &mut Script<'_>, start: usize, end: usize) -> Piece {
    let tokens = script.take(start, end);
    parse::statement(script.source, script.effort, tokens)
}
