//! Statements without their literals: what they have in common, and what may be stored of them.
//!
//! Works on any text, also on what no parser reads, in one pass. Where a dialect leaves it open whether something is a
//! literal, it is one. Comments go, for they may hold what was a literal yesterday.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use self::lex::{Kind, Lexeme};
use super::types::Dialect;
pub(super) use shape::shape;

mod lex;
mod shape;
#[cfg(test)]
mod tests;

/// Bodies inside of bodies that are looked into.
const DEPTH: usize = 3;

/// A text without its literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// For comparing: literals are `?`, lists of them and further rows of VALUES are left out, words are in lower case,
    /// white space and comments are one blank.
    pub text: String,
    /// The first 16 hex digits of the SHA-256 of `text`.
    pub fingerprint: String,
    /// For people: as written, but literals are `?`, comments are left out, and of the rows of VALUES only the first one
    /// stays, with the number of all: `(?, ?) /* × 3 */`.
    pub redacted: String,
}

/// A text without its literals.
pub fn normalise(text: &str, dialect: Dialect) -> Normalised {
    let mut writer = Writer { text: String::new(), redacted: String::with_capacity(text.len().min(1 << 16)) };
    writer.all(text, dialect, 0);
    let mut normal = writer.text;
    normal.truncate(normal.trim_end_matches([' ', ';']).len());
    let digest = Sha256::digest(normal.as_bytes());
    let mut fingerprint = String::with_capacity(16);
    for byte in &digest[..8] {
        let _ = write!(fingerprint, "{byte:02x}");
    }
    writer.redacted.truncate(writer.redacted.trim_end().len());
    Normalised { text: normal, fingerprint, redacted: writer.redacted }
}

struct Writer {
    text: String,
    redacted: String,
}

impl Writer {
    fn all(&mut self, text: &str, dialect: Dialect, depth: usize) {
        let lexemes = lex::lexemes(text, dialect);
        let mut closes = None;
        let foreign = depth < DEPTH && foreign_language(text, &lexemes);
        let mut at = 0;
        while at < lexemes.len() {
            let lexeme = &lexemes[at];
            let written = &text[lexeme.start..lexeme.end];
            match lexeme.kind {
                Kind::Space => self.redacted.push_str(written),
                Kind::Comment => {
                    if !self.redacted.ends_with(char::is_whitespace) && !self.redacted.is_empty() {
                        self.redacted.push(' ');
                    }
                }
                Kind::Word => {
                    self.redacted.push_str(written);
                    let word = written.to_lowercase();
                    self.token(&word);
                    match word.as_str() {
                        "in" => {
                            if let Some(end) = literals(&lexemes, text, at + 1, "(", ")") {
                                self.list("(?)");
                                at = end;
                            }
                        }
                        "values" => {
                            let closes = closes.get_or_insert_with(|| brackets(&lexemes, text));
                            at = self.rows(&lexemes, closes, text, at);
                        }
                        _ => {}
                    }
                }
                Kind::Name => {
                    self.redacted.push_str(written);
                    self.token(written);
                }
                Kind::Symbol if written == "[" => {
                    if let Some(end) = literals(&lexemes, text, at, "[", "]") {
                        self.list("[?]");
                        at = end;
                    } else {
                        self.redacted.push_str(written);
                        self.token(written);
                    }
                }
                Kind::Symbol => {
                    self.redacted.push_str(written);
                    self.token(written);
                }
                Kind::Body { content } if depth < DEPTH && !foreign && introduces(text, &lexemes, at) => {
                    let (from, to) = content;
                    self.redacted.push_str(&text[lexeme.start..from]);
                    self.token("$$");
                    self.all(&text[from..to], dialect, depth + 1);
                    self.redacted.push_str(&text[to..lexeme.end]);
                    self.token("$$");
                }
                Kind::Literal | Kind::Body { .. } | Kind::Rest => {
                    self.sign();
                    self.redacted.push('?');
                    self.token("?");
                }
            }
            at += 1;
        }
    }

    /// The sign of a number belongs to the literal.
    fn sign(&mut self) {
        for sign in ['-', '+'] {
            let Some(before) = self.text.strip_suffix(sign) else { continue };
            let before = before.trim_end();
            let binary =
                before.ends_with(|last: char| {
                    last.is_alphanumeric() || matches!(last, '_' | ')' | ']' | '?' | '"' | '`' | '\'')
                }) && !is_operator_word(before.rsplit(|letter: char| !letter.is_alphanumeric()).next().unwrap_or(""));
            if !binary {
                let length = before.len();
                self.text.truncate(length);
            }
            return;
        }
    }

    /// A token of the normal text, with a blank before it where one belongs.
    fn token(&mut self, token: &str) {
        let tight = matches!(token, "." | "," | ")" | ";" | "::" | "]")
            || self.text.is_empty()
            || self.text.ends_with(['.', '(', '['])
            || self.text.ends_with("::");
        if !tight {
            self.text.push(' ');
        }
        self.text.push_str(token);
    }

    /// A list of literals, of any length.
    fn list(&mut self, list: &str) {
        if !self.redacted.ends_with(char::is_whitespace) && list.starts_with('(') {
            self.redacted.push(' ');
        }
        self.redacted.push_str(list);
        self.token(list);
    }

    /// Rows of VALUES: the first stays. Returns the place of the last token that was seen to.
    fn rows(&mut self, lexemes: &[Lexeme], closes: &[usize], text: &str, values: usize) -> usize {
        let Some(first) = open(lexemes, text, values + 1, "(") else { return values };
        let first_end = closes[first];
        if first_end == lexemes.len() {
            return values;
        }
        let (mut rows, mut last) = (1_usize, first_end);
        while let Some(comma) = open(lexemes, text, last + 1, ",")
            && let Some(row) = open(lexemes, text, comma + 1, "(")
        {
            // A row that never ends is a row, too.
            rows += 1;
            last = closes[row].min(lexemes.len() - 1);
        }
        self.redacted.push_str(" (");
        self.token("(");
        self.row(lexemes, text, first + 1, first_end);
        self.redacted.push(')');
        self.token(")");
        if rows > 1 {
            let _ = write!(self.redacted, " /* × {rows} */");
        }
        last
    }

    fn row(&mut self, lexemes: &[Lexeme], text: &str, from: usize, to: usize) {
        for lexeme in &lexemes[from..to] {
            let written = &text[lexeme.start..lexeme.end];
            match lexeme.kind {
                Kind::Space | Kind::Comment => {
                    if !self.redacted.ends_with([' ', '(']) {
                        self.redacted.push(' ');
                    }
                }
                Kind::Word | Kind::Name | Kind::Symbol => {
                    self.redacted.push_str(written);
                    if lexeme.kind == Kind::Word {
                        self.token(&written.to_lowercase());
                    } else {
                        self.token(written);
                    }
                }
                Kind::Literal | Kind::Body { .. } | Kind::Rest => {
                    self.sign();
                    self.redacted.push('?');
                    self.token("?");
                }
            }
        }
    }
}

fn is_operator_word(word: &str) -> bool {
    matches!(
        word,
        "select"
            | "where"
            | "and"
            | "or"
            | "not"
            | "in"
            | "like"
            | "between"
            | "when"
            | "then"
            | "else"
            | "by"
            | "on"
            | "limit"
            | "offset"
            | "values"
            | "set"
            | "return"
            | "case"
            | "having"
            | "is"
            | "as"
            | "top"
            | "default"
    )
}

/// The next token from `from` on that is no space or comment, if it is this symbol.
fn open(lexemes: &[Lexeme], text: &str, from: usize, symbol: &str) -> Option<usize> {
    let at = (from..lexemes.len()).find(|at| !matches!(lexemes[*at].kind, Kind::Space | Kind::Comment))?;
    let lexeme = &lexemes[at];
    (lexeme.kind == Kind::Symbol && &text[lexeme.start..lexeme.end] == symbol).then_some(at)
}

/// For each opening bracket the one that closes it, or the number of lexemes.
fn brackets(lexemes: &[Lexeme], text: &str) -> Vec<usize> {
    let mut closes = vec![lexemes.len(); lexemes.len()];
    let mut open = Vec::new();
    for (at, lexeme) in lexemes.iter().enumerate() {
        if lexeme.kind == Kind::Symbol {
            match &text[lexeme.start..lexeme.end] {
                "(" => open.push(at),
                ")" => {
                    if let Some(start) = open.pop() {
                        closes[start] = at;
                    }
                }
                _ => {}
            }
        }
    }
    closes
}

/// The end of a bracketed list of nothing but literals.
fn literals(lexemes: &[Lexeme], text: &str, from: usize, start: &str, end: &str) -> Option<usize> {
    let at = open(lexemes, text, from, start)?;
    let mut found = false;
    for (at, lexeme) in lexemes.iter().enumerate().skip(at + 1) {
        match lexeme.kind {
            Kind::Space | Kind::Comment => {}
            Kind::Literal => found = true,
            Kind::Symbol => match &text[lexeme.start..lexeme.end] {
                "," | "-" | "+" => {}
                symbol if symbol == end => return found.then_some(at),
                _ => return None,
            },
            _ => return None,
        }
    }
    None
}

/// Whether the word before a dollar-quoted text says that it is SQL.
fn introduces(text: &str, lexemes: &[Lexeme], at: usize) -> bool {
    let before = lexemes[..at].iter().rev().find(|lexeme| !matches!(lexeme.kind, Kind::Space | Kind::Comment));
    before.is_some_and(|lexeme| {
        lexeme.kind == Kind::Word
            && ["as", "do", "immediate"].iter().any(|word| text[lexeme.start..lexeme.end].eq_ignore_ascii_case(word))
    })
}

/// Whether a routine says that its body is not SQL.
fn foreign_language(text: &str, lexemes: &[Lexeme]) -> bool {
    let mut words = lexemes.iter().filter(|lexeme| !matches!(lexeme.kind, Kind::Space | Kind::Comment));
    while let Some(lexeme) = words.next() {
        if lexeme.kind == Kind::Word && text[lexeme.start..lexeme.end].eq_ignore_ascii_case("language") {
            let sql = words.next().is_some_and(|next| {
                ["sql", "plpgsql"].iter().any(|name| text[next.start..next.end].eq_ignore_ascii_case(name))
            });
            if !sql {
                return true;
            }
        }
    }
    false
}
