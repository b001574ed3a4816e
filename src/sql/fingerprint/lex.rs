//! Cuts a text into words, literals and the rest, by what a dialect takes for a quote or a comment.

use super::super::types::Dialect;

/// What a part of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space.
    Space,
    /// A comment.
    Comment,
    /// An unquoted name or keyword, a placeholder.
    Word,
    /// A quoted name.
    Name,
    /// An operator, a bracket.
    Symbol,
    /// A number or string.
    Literal,
    /// A dollar-quoted string and the bytes between its quotes.
    Body { content: (usize, usize) },
    /// What follows a quote that never ends, or data that follow a statement.
    Rest,
}

/// A part of a text; the parts follow each other without gaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexeme {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// All parts of a text.
pub(super) fn lexemes(text: &str, dialect: Dialect) -> Vec<Lexeme> {
    let mut scanner =
        Scanner { text, bytes: text.as_bytes(), dialect, at: 0, out: Vec::with_capacity(text.len() / 4 + 1) };
    while scanner.at < scanner.bytes.len() {
        let start = scanner.at;
        let kind = scanner.next();
        debug_assert!(scanner.at > start, "each part has at least one byte");
        scanner.out.push(Lexeme { kind, start, end: scanner.at });
        if kind == Kind::Word {
            scanner.data();
        }
    }
    scanner.out
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    dialect: Dialect,
    at: usize,
    out: Vec<Lexeme>,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Kind {
        let first = self.peek(0);
        match first {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                while self.at < self.bytes.len() && self.peek(0).is_ascii_whitespace() || self.peek(0) == 0x0b {
                    self.at += 1;
                }
                Kind::Space
            }
            b'-' if self.peek(1) == b'-' => self.line(),
            b'#' if matches!(self.dialect, Dialect::MySql | Dialect::BigQuery) => self.line(),
            b'/' if self.peek(1) == b'/' && self.dialect == Dialect::Snowflake => self.line(),
            b'/' if self.peek(1) == b'*' => self.block(),
            b'\'' => self.quoted(b'\'', self.escapes(), self.triples()),
            b'"' if self.double_is_literal() => self.quoted(b'"', self.escapes(), self.triples()),
            b'"' => self.name(b'"'),
            b'`' => self.name(b'`'),
            b'[' if self.dialect == Dialect::TSql => self.name(b']'),
            b'$' if self.dollars() => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() && !self.after_name() => self.number(),
            b':' | b'@' | b'&' | b'$' | b'?' if word_byte(self.peek(1)) && !self.peek(1).is_ascii_digit() => {
                self.at += 1;
                self.word();
                Kind::Word
            }
            _ if word_byte(first) => {
                let start = self.at;
                self.word();
                self.prefixed(start)
            }
            _ => {
                self.at += if first == b':' && self.peek(1) == b':' { 2 } else { 1 };
                Kind::Symbol
            }
        }
    }

    fn double_is_literal(&self) -> bool {
        matches!(
            self.dialect,
            Dialect::MySql | Dialect::BigQuery | Dialect::Hive | Dialect::Spark | Dialect::Databricks
        )
    }

    fn escapes(&self) -> bool {
        matches!(
            self.dialect,
            Dialect::MySql
                | Dialect::BigQuery
                | Dialect::Hive
                | Dialect::Spark
                | Dialect::Databricks
                | Dialect::Snowflake
                | Dialect::ClickHouse
        )
    }

    fn triples(&self) -> bool {
        self.dialect == Dialect::BigQuery
    }

    fn dollars(&self) -> bool {
        !matches!(
            self.dialect,
            Dialect::MySql | Dialect::TSql | Dialect::Oracle | Dialect::BigQuery | Dialect::Teradata | Dialect::Db2
        )
    }

    fn nests(&self) -> bool {
        matches!(
            self.dialect,
            Dialect::Postgres
                | Dialect::Redshift
                | Dialect::TSql
                | Dialect::DuckDb
                | Dialect::ClickHouse
                | Dialect::Ansi
                | Dialect::Databricks
                | Dialect::Spark
        )
    }

    fn after_name(&self) -> bool {
        self.out.last().is_some_and(|last| matches!(last.kind, Kind::Word | Kind::Name))
    }

    fn line(&mut self) -> Kind {
        while self.at < self.bytes.len() && self.peek(0) != b'\n' {
            self.at += 1;
        }
        Kind::Comment
    }

    fn block(&mut self) -> Kind {
        self.at += 2;
        let mut depth = 1_usize;
        while self.at < self.bytes.len() && depth > 0 {
            match (self.peek(0), self.peek(1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                }
                (b'/', b'*') if self.nests() => {
                    depth += 1;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
        Kind::Comment
    }

    /// A string from its opening quote on.
    fn quoted(&mut self, quote: u8, escapes: bool, triples: bool) -> Kind {
        if triples && self.peek(1) == quote && self.peek(2) == quote {
            self.at += 3;
            while self.at < self.bytes.len() {
                if escapes && self.peek(0) == b'\\' {
                    self.at += 2;
                } else if self.peek(0) == quote && self.peek(1) == quote && self.peek(2) == quote {
                    self.at += 3;
                    return Kind::Literal;
                } else {
                    self.at += 1;
                }
            }
            return self.rest();
        }
        self.at += 1;
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            if escapes && byte == b'\\' {
                self.at += 2;
            } else if byte == quote {
                self.at += 1;
                if self.peek(0) != quote {
                    return Kind::Literal;
                }
                self.at += 1;
            } else {
                self.at += 1;
            }
        }
        self.rest()
    }

    fn rest(&mut self) -> Kind {
        self.at = self.bytes.len();
        Kind::Rest
    }

    fn name(&mut self, quote: u8) -> Kind {
        self.at += 1;
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            self.at += 1;
            if byte == quote {
                if self.peek(0) != quote {
                    return Kind::Name;
                }
                self.at += 1;
            }
        }
        Kind::Rest
    }

    /// `$$…$$`, `$tag$…$tag$`, or a placeholder.
    fn dollar(&mut self) -> Kind {
        let start = self.at;
        let mut end = start + 1;
        while end < self.bytes.len() && word_byte(self.bytes[end]) && self.bytes[end] != b'$' {
            end += 1;
        }
        let number = self.bytes.get(start + 1).is_some_and(u8::is_ascii_digit);
        if self.bytes.get(end) != Some(&b'$') || number {
            self.at = end.max(start + 1);
            return if end > start + 1 { Kind::Word } else { Kind::Symbol };
        }
        let tag = &self.text[start..=end];
        let from = end + 1;
        match self.text[from..].find(tag) {
            Some(length) => {
                self.at = from + length + tag.len();
                Kind::Body { content: (from, from + length) }
            }
            None => self.rest(),
        }
    }

    fn number(&mut self) -> Kind {
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            let exponent = matches!(byte, b'+' | b'-')
                && matches!(self.bytes[self.at - 1], b'e' | b'E')
                && self.peek(1).is_ascii_digit();
            if !(word_byte(byte) || byte == b'.' || exponent) {
                break;
            }
            self.at += 1;
        }
        Kind::Literal
    }

    fn word(&mut self) {
        while self.at < self.bytes.len() && word_byte(self.peek(0)) {
            self.at += 1;
        }
    }

    /// A word that is the prefix of a string is a part of it.
    fn prefixed(&mut self, start: usize) -> Kind {
        let quote = self.peek(0);
        if quote == b'&'
            && self.at == start + 1
            && self.peek(1) == b'\''
            && self.bytes[start].eq_ignore_ascii_case(&b'u')
        {
            self.at += 1;
            return self.quoted(b'\'', false, false);
        }
        if quote != b'\'' && !(quote == b'"' && self.double_is_literal()) {
            return Kind::Word;
        }
        let prefix = self.text[start..self.at].to_ascii_lowercase();
        match prefix.as_str() {
            "q" | "nq" if self.dialect == Dialect::Oracle => self.delimited(),
            "e" => self.quoted(quote, true, self.triples()),
            "n" | "b" | "x" | "r" | "rb" | "br" | "u" => self.quoted(quote, self.escapes(), self.triples()),
            _ if prefix.starts_with('_') => self.quoted(quote, self.escapes(), false),
            _ => Kind::Word,
        }
    }

    /// Oracle's q'[…]'.
    fn delimited(&mut self) -> Kind {
        let Some(open) = self.text[self.at + 1..].chars().next() else { return self.rest() };
        let close = match open {
            '[' => ']',
            '{' => '}',
            '(' => ')',
            '<' => '>',
            other => other,
        };
        let from = self.at + 1 + open.len_utf8();
        let end = format!("{close}'");
        match self.text[from..].find(&end) {
            Some(length) => {
                self.at = from + length + end.len();
                Kind::Literal
            }
            None => self.rest(),
        }
    }

    /// Data behind COPY … FROM STDIN and INSERT … FORMAT are no SQL.
    fn data(&mut self) {
        let Some(last) = self.out.last() else { return };
        let word = &self.text[last.start..last.end];
        if word.eq_ignore_ascii_case("stdin") {
            // The rest of the statement is short: options, and the semicolon.
            let near = &self.bytes[self.at..self.bytes.len().min(self.at + 256)];
            let Some(line) = near.iter().position(|byte| *byte == b'\n') else { return };
            let start = self.at + line + 1;
            let Some(semicolon) = self.text[self.at..start].rfind(';') else { return };
            let semicolon = self.at + semicolon;
            let end = self.text[start..].find("\n\\.").map_or(self.text.len(), |end| start + end + 3);
            self.out.push(Lexeme { kind: Kind::Space, start: self.at, end: semicolon });
            self.out.push(Lexeme { kind: Kind::Symbol, start: semicolon, end: semicolon + 1 });
            self.out.push(Lexeme { kind: Kind::Comment, start: semicolon + 1, end });
            self.at = end;
        } else if word.eq_ignore_ascii_case("format") && self.dialect == Dialect::ClickHouse {
            let inserts = self
                .out
                .iter()
                .find(|lexeme| lexeme.kind == Kind::Word)
                .is_some_and(|lexeme| self.text[lexeme.start..lexeme.end].eq_ignore_ascii_case("insert"));
            if !inserts || self.peek(0) == b'(' {
                return;
            }
            let name = self.text[self.at..].trim_start();
            let name_start = self.text.len() - name.len();
            let length = name.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(name.len());
            let end = name_start + length;
            self.out.push(Lexeme { kind: Kind::Space, start: self.at, end: name_start });
            if length > 0 && !name.starts_with(|letter: char| letter.is_ascii_digit()) {
                self.out.push(Lexeme { kind: Kind::Word, start: name_start, end });
            }
            let rest = self.text[end..].trim_start();
            if !rest.is_empty() && !rest.starts_with(';') {
                self.out.push(Lexeme { kind: Kind::Space, start: end, end: self.text.len() - rest.len() });
                self.out.push(Lexeme { kind: Kind::Rest, start: self.text.len() - rest.len(), end: self.text.len() });
                self.at = self.text.len();
            } else {
                self.at = end;
            }
        }
    }
}

/// A byte of a word; all that is not ASCII counts as letters.
fn word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#') || byte >= 0x80
}
