//! JSON text as schemas need it: key order, number spelling and depth are kept in hand.
//! Knows nothing of schemas. `serde_json::Value` loses the order of keys, and a schema's canonical text depends on it.

use std::collections::HashMap;
use std::fmt::Write as _;

/// Deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 256;

/// Most members of an object that are looked through one by one for a name.
const FEW_MEMBERS: usize = 16;

/// A JSON value with object keys in their written order.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number in its canonical spelling: integers as written, others as Java's `Double.toString` writes them.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; a repeated key keeps its first place and its last value.
    Object(Vec<(String, Json)>),
}

/// Text that is not JSON, or nested deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct JsonError {
    /// What was wrong.
    pub message: &'static str,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
}

impl Json {
    /// Parses one JSON document.
    ///
    /// # Errors
    /// The text is not JSON, has trailing text or is nested too deeply.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut parser = Parser { text, bytes: text.as_bytes(), at: 0 };
        let value = parser.value(0)?;
        parser.space();
        if parser.at < parser.bytes.len() {
            return Err(parser.error("unexpected text after the value"));
        }
        Ok(value)
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of an integer within `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Compact JSON text, as Jackson writes it.
    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(text) => out.push_str(text),
            Json::String(text) => write_string(text, out),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The same value with the keys of all objects sorted.
    pub fn sorted(&self) -> Json {
        match self {
            Json::Array(items) => Json::Array(items.iter().map(Json::sorted).collect()),
            Json::Object(members) => {
                let mut members: Vec<_> = members.iter().map(|(key, value)| (key.clone(), value.sorted())).collect();
                members.sort_by(|left, right| left.0.cmp(&right.0));
                Json::Object(members)
            }
            other => other.clone(),
        }
    }
}

/// Writes a JSON string literal, escaping what JSON requires and nothing else.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    if !text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(text);
        return out.push('"');
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if (control as u32) < 0x20 => {
                write!(out, "\\u{:04X}", control as u32).expect("a String takes all text");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn error(&self, message: &'static str) -> JsonError {
        JsonError { message, offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error("unexpected character")),
            None => Err(self.error("unexpected end of text")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        if self.bytes.get(self.at..self.at + word.len()) != Some(word.as_bytes()) {
            return Err(self.error("unexpected character"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        // Where names are, for large objects only: most have a handful of keys.
        let mut places: HashMap<String, usize> = HashMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.error("expected a colon"));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            let known = match places.get(&key) {
                None if members.len() <= FEW_MEMBERS => members.iter().position(|(name, _)| *name == key),
                known => known.copied(),
            };
            match known.and_then(|place| members.get_mut(place)) {
                Some(member) => member.1 = value,
                None => {
                    if members.len() == FEW_MEMBERS {
                        places.extend(members.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)));
                    }
                    if members.len() >= FEW_MEMBERS {
                        places.insert(key.clone(), members.len());
                    }
                    members.push((key, value));
                }
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.error("expected a comma or a closing brace")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.error("expected a comma or a closing bracket")),
            }
        }
    }

    /// The string at the cursor; serde_json unescapes what is not plain, surrogate pairs included.
    fn string(&mut self) -> Result<String, JsonError> {
        let start = self.at;
        self.at += 1;
        let mut is_plain = true;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_plain = false;
                    self.at += 2;
                }
                Some(byte) => {
                    is_plain &= byte >= b' ';
                    self.at += 1;
                }
                None => return Err(self.error("unterminated string")),
            }
        }
        self.at += 1;
        if is_plain {
            return Ok(self.text.get(start + 1..self.at - 1).unwrap_or_default().to_owned());
        }
        let literal = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(literal).map_err(|_| JsonError { message: "malformed string", offset: start })
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let literal = self.text.get(start..self.at).unwrap_or_default();
        let malformed = JsonError { message: "malformed number", offset: start };
        // serde_json judges the grammar (no leading zeros, no `1.`); the value itself is kept as text.
        let Ok(number) = serde_json::from_str::<f64>(literal) else { return Err(malformed) };
        if literal.contains(['.', 'e', 'E']) {
            return Ok(Json::Number(java_double(number)));
        }
        Ok(Json::Number(if literal == "-0" { "0".to_owned() } else { literal.to_owned() }))
    }
}

/// A double as Java's `Double.toString` spells it, so that a default like `1.0` keeps the text the reference gives it.
fn java_double(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{number:?}");
    }
    let text = format!("{number:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        let mut out = String::new();
        Json::parse(text).unwrap().write(&mut out);
        out
    }

    #[test]
    fn keeps_key_order_and_drops_space() {
        assert_eq!(
            round(" { \"b\" : 1 , \"a\" : [ true , null , \"x\\u00e9\\n\" ] } "),
            "{\"b\":1,\"a\":[true,null,\"xé\\n\"]}"
        );
    }

    #[test]
    fn a_repeated_key_keeps_its_place_and_takes_the_last_value() {
        assert_eq!(round("{\"a\":1,\"b\":2,\"a\":3}"), "{\"a\":3,\"b\":2}");
        for repeated in [0, FEW_MEMBERS - 1, FEW_MEMBERS, FEW_MEMBERS + 20] {
            let members = |count: usize, changed: &str| {
                let value = |place| if place == repeated { changed } else { "1" };
                let members: Vec<_> = (0..count).map(|place| format!("\"k{place}\":{}", value(place))).collect();
                members.join(",")
            };
            let all = 2 * FEW_MEMBERS + 10;
            let twice = format!("{{{},\"k{repeated}\":2}}", members(all, "1"));
            assert_eq!(round(&twice), format!("{{{}}}", members(all, "2")), "of {all} the one at {repeated}");
            let at_once = format!("{{{},\"k{repeated}\":2}}", members(repeated + 1, "1"));
            assert_eq!(round(&at_once), format!("{{{}}}", members(repeated + 1, "2")), "the last of {repeated}");
        }
    }

    #[test]
    fn numbers_are_spelled_as_java_does() {
        assert_eq!(
            round("[1, -0, 1.0, 1e3, 1e10, 1.5E-7, 0.001, 12345678901234567890123]"),
            "[1,0,1.0,1000.0,1.0E10,1.5E-7,0.001,12345678901234567890123]"
        );
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["", "{", "[1,]", "{\"a\"}", "01", "1.", "tru", "\"a", "\"\\", "1 2", "{a:1}", "\"\u{1}\"", "'a'"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(Json::parse(&deep(100_000)).unwrap_err().message, "nested too deeply");
    }
}
