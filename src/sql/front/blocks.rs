//! Blocks of procedural languages: BEGIN, IF, WHILE, LOOP, FOR, REPEAT and CASE as statements.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::super::types::Dialect;
use super::script::{BLOCKS, Script};
use super::tokens::{as_word, is};
use super::{Piece, batch, rows};

impl Script<'_> {
    /// BEGIN of a transaction.
    pub fn transaction(&self) -> bool {
        match self.peek(1) {
            None => true,
            Some(token) => match &token.token {
                Token::SemiColon => self.blocks == 0 && !self.routine && !self.has_end(),
                Token::Word(_) => {
                    matches!(
                        self.keyword(1),
                        Keyword::TRANSACTION
                            | Keyword::WORK
                            | Keyword::TRAN
                            | Keyword::ISOLATION
                            | Keyword::READ
                            | Keyword::DEFERRED
                            | Keyword::IMMEDIATE
                            | Keyword::EXCLUSIVE
                    ) || self.next_is(1, "DISTRIBUTED")
                        || self.next_is(1, "CONCURRENT")
                }
                _ => false,
            },
        }
    }

    /// `BEGIN;` opens a block in some scripts that end with END; elsewhere a transaction.
    fn has_end(&self) -> bool {
        matches!(self.dialect(), Dialect::Snowflake | Dialect::BigQuery)
            && self.tokens[self.at..self.end].iter().rev().take(3).any(|token| is(Some(token), "END"))
    }

    /// BEGIN … [EXCEPTION …] END, from BEGIN on.
    pub fn block(&mut self, out: &mut Vec<Piece>) {
        self.at += 1;
        if self.next_is(0, "NOT") && self.next_is(1, "ATOMIC") {
            self.at += 2;
        } else if ["ATOMIC", "TRY", "CATCH"].iter().any(|word| self.next_is(0, word)) {
            self.at += 1;
        }
        let routine = std::mem::replace(&mut self.routine, true);
        self.body(out);
        self.handlers(out);
        self.close();
        self.routine = routine;
    }

    /// Statements one block deeper.
    fn body(&mut self, out: &mut Vec<Piece>) {
        self.blocks += 1;
        self.sequence(out);
        self.blocks -= 1;
    }

    fn handlers(&mut self, out: &mut Vec<Piece>) {
        if self.keyword(0) != Keyword::EXCEPTION {
            return;
        }
        self.at += 1;
        while self.keyword(0) == Keyword::WHEN {
            self.skip_to(|script, at| {
                script.tokens.get(at).and_then(as_word).is_some_and(|w| w.keyword == Keyword::THEN)
            });
            self.at += 1;
            self.body(out);
        }
    }

    /// END with what follows it.
    fn close(&mut self) {
        if self.keyword(0) != Keyword::END {
            return;
        }
        self.at += 1;
        if self.dialect() == Dialect::TSql {
            if self.next_is(0, "TRY") || self.next_is(0, "CATCH") {
                self.at += 1;
            }
            return;
        }
        let mut words = 0;
        while words < 2 && matches!(self.peek(words).map(|token| &token.token), Some(Token::Word(_))) {
            words += 1;
        }
        let ended = match self.peek(words).map(|token| &token.token) {
            None | Some(Token::SemiColon | Token::Div) => true,
            Some(_) => false,
        };
        if ended {
            self.at += words;
        } else if ["IF", "LOOP", "WHILE", "FOR", "CASE", "REPEAT"].iter().any(|word| self.next_is(0, word)) {
            self.at += 1;
        }
    }

    /// IF.
    pub fn branch(&mut self, out: &mut Vec<Piece>) {
        self.at += 1;
        if self.dialect() == Dialect::TSql {
            self.condition(out, |script, at| batch::starts(script.tokens.get(at)));
            self.one(out);
            // A semicolon may stand before ELSE.
            if self.symbol(0, &Token::SemiColon) && self.keyword(1) == Keyword::ELSE {
                self.at += 1;
            }
            if self.keyword(0) == Keyword::ELSE {
                self.at += 1;
                self.one(out);
            }
            return;
        }
        let then = |script: &Self, at: usize| script.is_keyword(at, Keyword::THEN);
        self.condition(out, then);
        self.at += 1;
        loop {
            self.body(out);
            if self.next_is(0, "ELSIF") || self.keyword(0) == Keyword::ELSEIF {
                self.at += 1;
                self.condition(out, then);
                self.at += 1;
            } else if self.keyword(0) == Keyword::ELSE {
                self.at += 1;
            } else {
                break;
            }
        }
        self.close();
    }

    /// One statement or block of T-SQL, one block deeper.
    fn one(&mut self, out: &mut Vec<Piece>) {
        if self.blocks >= BLOCKS || self.at >= self.end {
            return;
        }
        self.blocks += 1;
        if !self.closes(0) && self.effort.statement() {
            self.item(out);
        }
        self.blocks -= 1;
    }

    /// WHILE, LOOP, FOR, REPEAT.
    pub fn repeat(&mut self, out: &mut Vec<Piece>, body: &[&str]) {
        if self.blocks >= BLOCKS {
            return self.plain(out);
        }
        if self.dialect() == Dialect::TSql {
            self.at += 1;
            self.condition(out, |script, at| batch::starts(script.tokens.get(at)));
            return self.one(out);
        }
        let mut rows = None;
        if !body.iter().any(|word| self.next_is(0, word)) {
            let start = self.at;
            let mut read = Vec::new();
            self.at += 1;
            self.condition(&mut read, |script, at| {
                at < script.end && body.iter().any(|word| is(script.tokens.get(at), word))
            });
            rows = rows::over(self, start, self.at, &mut read);
            out.append(&mut read);
        }
        self.at += 1;
        match rows {
            Some(rows) => {
                let mut pieces = Vec::new();
                self.body(&mut pieces);
                out.push(rows.around(pieces));
            }
            None => self.body(out),
        }
        if self.keyword(0) == Keyword::UNTIL {
            self.at += 1;
            self.condition(out, |script, at| script.is_keyword(at, Keyword::END));
        }
        self.close();
    }

    /// CASE as a statement.
    pub fn case(&mut self, out: &mut Vec<Piece>) {
        self.at += 1;
        self.condition(out, |script, at| script.is_keyword(at, Keyword::WHEN));
        loop {
            match self.keyword(0) {
                Keyword::WHEN => {
                    self.at += 1;
                    self.condition(out, |script, at| script.is_keyword(at, Keyword::THEN));
                    self.at += 1;
                    self.body(out);
                }
                Keyword::ELSE => {
                    self.at += 1;
                    self.body(out);
                }
                _ => break,
            }
        }
        self.close();
    }
}
