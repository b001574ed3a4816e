//! What texts have in common that differ only in values: the same dashboard, shown for another day.
//!
//! More is left in than in a fingerprint, for whoever has worked out what one text does wants to know it of the other: only
//! literals are taken out that cannot matter for that, those that a column is compared with or calculated with, and by which
//! rows are limited. Every place in the text stays where it is.

use super::super::types::Dialect;
use super::lex::{Kind, Lexeme, lexemes};

/// The bytes of `text`, with each character of such a literal replaced: texts of the same shape read and write the same
/// tables and columns in the same places.
pub(in crate::sql) fn shape(text: &str, dialect: Dialect) -> Vec<u8> {
    let lexemes = lexemes(text, dialect);
    let mut shape = text.as_bytes().to_vec();
    let mut reader = Reader::default();
    for lexeme in lexemes.iter().filter(|lexeme| !matches!(lexeme.kind, Kind::Space | Kind::Comment)) {
        let written = &text[lexeme.start..lexeme.end];
        if lexeme.kind == Kind::Literal && reader.is_value(written) && is_plain(written) {
            for byte in &mut shape[lexeme.start..lexeme.end] {
                *byte = match *byte {
                    b'0'..=b'9' => b'0',
                    known @ (b'\'' | b'.') => known,
                    _ => b'x',
                };
            }
        }
        reader.pass(lexeme, written);
    }
    shape
}

/// Whether a literal is what it looks like in every dialect, whatever stands in it.
fn is_plain(literal: &str) -> bool {
    match literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(content) => content.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\')),
        None => literal.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'),
    }
}

/// What came before a place in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    /// A name, a value, or something in brackets: an operator may follow it.
    Value,
    /// A comparison of a value.
    Compared,
    /// A calculation with a value.
    Calculated,
    /// LIMIT.
    Limit,
    #[default]
    Other,
}

/// Reads a text from its beginning to its end.
#[derive(Debug, Default)]
struct Reader {
    last: Last,
    /// Whether a value came before the operator that is being read.
    operated: bool,
    /// The operator, if one has just been read, and where it ends.
    operator: String,
    operator_end: usize,
    /// Whether this is a condition, outside of the open brackets.
    is_condition: bool,
    /// The same in brackets around this place.
    around: Vec<bool>,
    /// The AND of a BETWEEN is still to come.
    between: bool,
}

/// Words after which a condition is written.
const CONDITIONS: [&str; 5] = ["where", "on", "having", "qualify", "when"];
/// Words that end one, if it goes so far.
const OTHERS: [&str; 24] = [
    "select",
    "from",
    "join",
    "using",
    "group",
    "order",
    "set",
    "values",
    "then",
    "else",
    "end",
    "insert",
    "update",
    "delete",
    "merge",
    "with",
    "union",
    "except",
    "intersect",
    "window",
    "into",
    "returning",
    "call",
    "execute",
];
/// Words that go before a string and make another literal of it.
const TYPES: [&str; 4] = ["date", "timestamp", "time", "datetime"];

impl Reader {
    /// Whether a literal that comes now is no more than a value.
    fn is_value(&self, literal: &str) -> bool {
        match self.last {
            Last::Compared => self.is_condition,
            Last::Calculated | Last::Limit => !literal.starts_with('\''),
            Last::Value | Last::Other => false,
        }
    }

    fn pass(&mut self, lexeme: &Lexeme, written: &str) {
        match lexeme.kind {
            Kind::Word => self.word(written),
            Kind::Symbol => self.symbol(lexeme, written),
            Kind::Name | Kind::Literal | Kind::Body { .. } => self.last = Last::Value,
            Kind::Space | Kind::Comment | Kind::Rest => self.last = Last::Other,
        }
    }

    fn word(&mut self, written: &str) {
        let is = |word: &&str| written.eq_ignore_ascii_case(word);
        self.last = if CONDITIONS.iter().any(&is) {
            self.is_condition = true;
            Last::Other
        } else if OTHERS.iter().any(&is) {
            self.is_condition = false;
            Last::Other
        } else if is(&"between") {
            self.between = true;
            Last::Compared
        } else if is(&"and") {
            if std::mem::take(&mut self.between) { Last::Compared } else { Last::Other }
        } else if is(&"limit") {
            Last::Limit
        } else if is(&"or") || is(&"not") {
            Last::Other
        } else if self.last == Last::Compared && TYPES.iter().any(&is) {
            Last::Compared
        } else {
            Last::Value
        };
    }

    fn symbol(&mut self, lexeme: &Lexeme, written: &str) {
        if !matches!(written, "=" | "<" | ">" | "!" | "+" | "-" | "*" | "/" | "%") {
            self.last = match written {
                "(" => {
                    self.around.push(self.is_condition);
                    Last::Other
                }
                ")" => {
                    self.is_condition = self.around.pop().unwrap_or_default();
                    Last::Value
                }
                "," | ";" => {
                    self.is_condition = false;
                    Last::Other
                }
                "]" => Last::Value,
                _ => Last::Other,
            };
            return;
        }
        let goes_on = !self.operator.is_empty() && self.operator_end == lexeme.start;
        if !goes_on {
            self.operator.clear();
            self.operated = self.last == Last::Value;
        }
        self.operator.push_str(written);
        self.operator_end = lexeme.end;
        self.last = match self.operator.as_str() {
            _ if !self.operated => Last::Other,
            "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" | "==" => Last::Compared,
            "+" | "-" | "*" | "/" | "%" => Last::Calculated,
            _ => Last::Other,
        };
    }
}
