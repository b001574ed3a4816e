//! Reader of Thrift's JSON protocol (`TJSONProtocol`), the form of the `*Json` strings in metastore messages.
//!
//! A struct is an object keyed by field id, each value `{type: value}`; `lst` is `[element type, n, …]`, `map` is
//! `[key type, value type, n, {…}]`, `tf` is 0 or 1. The text is not always JSON: a map whose keys are lists (skewed
//! column values) has arrays in the place of keys, so this is a reader of its own. Field types are checked against
//! [`super::thrift`]; depth is bounded. Knows nothing of events.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::thrift::{Object, Struct, Wire, key_text};
use crate::codec::json::{Allowance, pointer, too_deep};
use crate::model::reject::{ReasonCode, Rejection};

/// Reads one struct; structs, lists and maps nest as deep as `allowance` says, and each value is taken from it.
///
/// # Errors
/// `invalid_thrift_json` or `limit_exceeded`; the path is a JSON pointer into `text`, the message names the field.
pub fn read(schema: &Struct, text: &str, allowance: &mut Allowance) -> Result<Object, Rejection> {
    let depth_left = allowance.limits().depth;
    let mut reader = Reader { text, position: 0, depth_left, allowance };
    let fields = reader.structure(Some(schema))?;
    reader.skip_space();
    if reader.position < text.len() {
        return Err(reader.fault("text after the end of the struct"));
    }
    Ok(Object(fields))
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    depth_left: usize,
    allowance: &'a mut Allowance,
}

impl<'a> Reader<'a> {
    fn structure(&mut self, schema: Option<&Struct>) -> Result<Map<String, Value>, Rejection> {
        self.enter()?;
        self.expect(b'{')?;
        let mut fields = Map::new();
        if !self.take(b'}') {
            loop {
                let key = self.string()?;
                let Ok(id) = key.parse::<i16>() else {
                    return Err(self.fault(&format!("field id {key:?} is not a number")));
                };
                let field = schema.and_then(|schema| schema.field(id));
                self.expect(b':')?;
                self.expect(b'{')?;
                let code = self.string()?;
                self.expect(b':')?;
                let value = self.value(&code, field.map(|field| &field.wire)).map_err(|mut rejection| {
                    if let (Some(schema), Some(field)) = (schema, field) {
                        rejection.message = format!("{}.{}: {}", schema.name, field.name, rejection.message);
                    }
                    rejection.within(&format!("/{id}/{code}"))
                })?;
                self.expect(b'}')?;
                let name = field.map_or_else(|| format!("field_{id}"), |field| field.name.to_owned());
                fields.insert(name, value);
                if self.take(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.depth_left += 1;
        Ok(fields)
    }

    fn value(&mut self, code: &str, wire: Option<&Wire>) -> Result<Value, Rejection> {
        self.allowance.take()?;
        let fits = match wire {
            None => true,
            Some(Wire::Bool) => code == "tf",
            Some(Wire::Int) => matches!(code, "i8" | "i16" | "i32" | "i64"),
            Some(Wire::Double) => code == "dbl",
            Some(Wire::Text) => code == "str",
            Some(Wire::Struct(_)) => code == "rec",
            Some(Wire::List(_)) => matches!(code, "lst" | "set"),
            Some(Wire::Map(_)) => code == "map",
        };
        if let (false, Some(wire)) = (fits, wire) {
            return Err(self.fault(&format!("expected {}, found type {code:?}", wire.name())));
        }
        match code {
            "tf" | "i8" | "i16" | "i32" | "i64" => self.integer(),
            "dbl" => self.double(),
            "str" => Ok(Value::String(self.string()?.into_owned())),
            "rec" => {
                let schema = if let Some(Wire::Struct(schema)) = wire { Some(*schema) } else { None };
                Ok(Value::Object(self.structure(schema)?))
            }
            "lst" | "set" => self.list(if let Some(Wire::List(element)) = wire { Some(element) } else { None }),
            "map" => self.map(if let Some(Wire::Map(element)) = wire { Some(element) } else { None }),
            other => Err(self.fault(&format!("unknown type {other:?}"))),
        }
    }

    fn list(&mut self, wire: Option<&Wire>) -> Result<Value, Rejection> {
        self.enter()?;
        self.expect(b'[')?;
        let code = self.string()?;
        self.expect(b',')?;
        let announced = self.count()?;
        let mut items = Vec::new();
        while !self.take(b']') {
            self.expect(b',')?;
            let index = items.len();
            // An empty list may carry any element type, so the check is made per element.
            items.push(self.value(&code, wire).map_err(|fault| fault.within(&format!("/{}", index + 2)))?);
        }
        self.check_count(announced, items.len())?;
        self.depth_left += 1;
        Ok(Value::Array(items))
    }

    fn map(&mut self, wire: Option<&Wire>) -> Result<Value, Rejection> {
        self.enter()?;
        self.expect(b'[')?;
        let key_code = self.string()?;
        self.expect(b',')?;
        let value_code = self.string()?;
        self.expect(b',')?;
        let announced = self.count()?;
        self.expect(b',')?;
        self.expect(b'{')?;
        let mut map = Map::new();
        let mut found = 0;
        if !self.take(b'}') {
            loop {
                let key = match &*key_code {
                    "lst" | "set" | "map" | "rec" => key_text(&self.value(&key_code, None)?),
                    _ => self.string()?.into_owned(),
                };
                self.expect(b':')?;
                let value =
                    self.value(&value_code, wire).map_err(|fault| fault.within(&format!("/3/{}", pointer(&key))))?;
                map.insert(key, value);
                found += 1;
                if self.take(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.expect(b']')?;
        self.check_count(announced, found)?;
        self.depth_left += 1;
        Ok(Value::Object(map))
    }

    fn check_count(&self, announced: usize, found: usize) -> Result<(), Rejection> {
        if announced == found {
            return Ok(());
        }
        Err(self.fault(&format!("announces {announced} elements but has {found}")))
    }

    fn enter(&mut self) -> Result<(), Rejection> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            return Err(too_deep("", self.allowance.limits()));
        };
        self.depth_left = left;
        Ok(())
    }

    fn count(&mut self) -> Result<usize, Rejection> {
        let number = self.bare_or_quoted()?;
        number.parse().map_err(|_| self.fault(&format!("{number:?} is not a count")))
    }

    fn integer(&mut self) -> Result<Value, Rejection> {
        let number = self.bare_or_quoted()?;
        // Some writers put a JSON boolean where the protocol has 0 or 1.
        match &*number {
            "true" => Ok(Value::from(1)),
            "false" => Ok(Value::from(0)),
            digits => {
                digits.parse::<i64>().map(Value::from).map_err(|_| self.fault(&format!("{number:?} is not an integer")))
            }
        }
    }

    fn double(&mut self) -> Result<Value, Rejection> {
        let number = self.bare_or_quoted()?;
        if matches!(&*number, "NaN" | "Infinity" | "-Infinity") {
            return Ok(Value::String(number.into_owned()));
        }
        let parsed = number.parse::<f64>().ok().and_then(Number::from_f64);
        parsed.map(Value::Number).ok_or_else(|| self.fault(&format!("{number:?} is not a number")))
    }

    fn bare_or_quoted(&mut self) -> Result<Cow<'a, str>, Rejection> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        let rest = self.rest();
        let end = rest
            .bytes()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(self.fault("expected a number"));
        }
        self.position += end;
        Ok(Cow::Borrowed(rest.get(..end).unwrap_or_default()))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Rejection> {
        self.skip_space();
        let rest = self.rest();
        let Some(body) = rest.strip_prefix('"') else {
            return Err(self.fault("expected a string"));
        };
        let mut escaped = false;
        let mut bytes = body.bytes().enumerate();
        let end = loop {
            match bytes.next() {
                Some((end, b'"')) => break end,
                Some((_, b'\\')) => {
                    escaped = true;
                    bytes.next();
                }
                Some(_) => {}
                None => return Err(self.fault("string without an end")),
            }
        };
        let raw = body.get(..end).unwrap_or_default();
        if !escaped {
            self.position += end + 2;
            return Ok(Cow::Borrowed(raw));
        }
        // Escapes are rare and fiddly (surrogate pairs), so serde_json decodes them.
        let quoted = rest.get(..end + 2).unwrap_or_default();
        match serde_json::from_str::<String>(quoted) {
            Ok(text) => {
                self.position += end + 2;
                Ok(Cow::Owned(text))
            }
            Err(error) => Err(self.fault(&format!("broken string: {error}"))),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_ascii_start().len();
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.rest().bytes().next()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Rejection> {
        if self.take(byte) {
            return Ok(());
        }
        let expected = char::from(byte);
        Err(self.fault(&match self.rest().chars().next() {
            Some(found) => format!("expected {expected:?}, found {found:?}"),
            None => format!("expected {expected:?}, found the end"),
        }))
    }

    fn fault(&self, what: &str) -> Rejection {
        Rejection::new(ReasonCode::InvalidThriftJson, "", format!("{what} (byte {})", self.position))
    }
}
