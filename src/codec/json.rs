//! JSON of foreign writers, read within limits: so deep, so many values, no more. Knows no formats above JSON.
//!
//! The limits are checked while reading, so that a text cannot make more of itself in memory than they allow; a fault
//! names its place as a JSON pointer. Of doubled keys the last one counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Limits;
use crate::model::reject::{ReasonCode, Rejection};

/// What is left of a record's limits while its parts are read one after the other.
#[derive(Clone, Debug)]
pub struct Allowance {
    limits: Limits,
    values_left: usize,
}

impl Allowance {
    /// All of it.
    pub fn new(limits: Limits) -> Self {
        Self { limits, values_left: limits.values }
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes one value.
    ///
    /// # Errors
    /// `limit_exceeded` if there were as many already.
    pub fn take(&mut self) -> Result<(), Rejection> {
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| too_many("", self.limits))?;
        Ok(())
    }

    /// Reads `text` as one JSON value.
    ///
    /// # Errors
    /// `invalid_json`, or `limit_exceeded` for what is nested too deeply or holds too many values; with the path.
    pub fn parse(&mut self, text: &str) -> Result<Value, Rejection> {
        let (depth_left, values_left) = (self.limits.depth, self.values_left);
        let mut budget = Budget { depth_left, values_left, path: Vec::new(), over: None };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = ValueSeed(&mut budget).deserialize(&mut deserializer);
        self.values_left = budget.values_left;
        read.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
            let path = budget.path.iter().rev().map(|step| format!("/{}", pointer(step))).collect::<String>();
            match budget.over {
                Some(Limit::Depth) => too_deep(path, self.limits),
                Some(Limit::Values) => too_many(path, self.limits),
                None => Rejection::new(ReasonCode::InvalidJson, path, format!("not JSON: {error}")),
            }
        })
    }
}

/// Reads `text` as one JSON value within `limits`.
///
/// # Errors
/// As [`Allowance::parse`].
pub fn parse(text: &str, limits: Limits) -> Result<Value, Rejection> {
    Allowance::new(limits).parse(text)
}

/// Refuses a text that holds more values than `limits` allow, without reading them: for texts that are read into types
/// of our own, each value of which takes memory. Counts an empty list or object for two.
///
/// # Errors
/// `limit_exceeded` at the root.
pub fn check_values(text: &str, limits: Limits) -> Result<(), Rejection> {
    // Each value but the first needs a character of its own and one that parts it from its neighbour.
    if text.len() / 2 < limits.values {
        return Ok(());
    }
    let mut values = 1_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b'[' | b'{' => values += 1,
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    if values > limits.values { Err(too_many(String::new(), limits)) } else { Ok(()) }
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// A name as a JSON pointer's segment (RFC 6901).
pub fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The rejection of what is nested too deeply.
pub fn too_deep(path: impl Into<String>, limits: Limits) -> Rejection {
    let message = format!("nested deeper than {} levels, the limit (limits.depth)", limits.depth);
    Rejection::new(ReasonCode::LimitExceeded, path, message)
}

/// The rejection of a record with too many values.
pub fn too_many(path: impl Into<String>, limits: Limits) -> Rejection {
    let message = format!("more than {} values, the limit (limits.values)", limits.values);
    Rejection::new(ReasonCode::LimitExceeded, path, message)
}

#[derive(Clone, Copy)]
enum Limit {
    Depth,
    Values,
}

struct Budget {
    depth_left: usize,
    values_left: usize,
    /// Steps from a fault outwards.
    path: Vec<String>,
    over: Option<Limit>,
}

impl Budget {
    fn take_value<E: Error>(&mut self) -> Result<(), E> {
        match self.values_left.checked_sub(1) {
            Some(left) => self.values_left = left,
            None => return Err(self.exceed(Limit::Values)),
        }
        Ok(())
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        match self.depth_left.checked_sub(1) {
            Some(left) => self.depth_left = left,
            None => return Err(self.exceed(Limit::Depth)),
        }
        Ok(())
    }

    fn exceed<E: Error>(&mut self, limit: Limit) -> E {
        self.over = Some(limit);
        E::custom("limit exceeded")
    }
}

struct ValueSeed<'b>(&'b mut Budget);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.take_value()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut items = Vec::new();
        loop {
            match seq.next_element_seed(ValueSeed(self.0)) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => {
                    self.0.path.push(items.len().to_string());
                    return Err(error);
                }
            }
        }
        self.0.depth_left += 1;
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            match map.next_value_seed(ValueSeed(self.0)) {
                Ok(value) => fields.insert(name, value),
                Err(error) => {
                    self.0.path.push(name);
                    return Err(error);
                }
            };
        }
        self.0.depth_left += 1;
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(depth: usize, values: usize) -> Limits {
        Limits { depth, values }
    }

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn both_limits_hold_at_the_limit_and_not_one_over_it() {
        assert!(parse(&nested(64), limits(64, 100)).is_ok());
        let fault = parse(&nested(65), limits(64, 100)).unwrap_err();
        assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::LimitExceeded, "/0".repeat(64).as_str()));
        let text = r#"{"a":[1,2,{"b":null}]}"#;
        assert!(parse(text, limits(3, 6)).is_ok());
        let fault = parse(text, limits(3, 5)).unwrap_err();
        assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::LimitExceeded, "/a/2/b"));
    }

    #[test]
    fn values_are_counted_before_they_are_read() {
        let text = format!("[{}1]", "1,".repeat(999));
        assert!(check_values(&text, limits(1, 1001)).is_ok());
        assert_eq!(check_values(&text, limits(1, 1000)).unwrap_err().code, ReasonCode::LimitExceeded);
        let text = format!(r#"["{}\"[[[{{{{,,"]"#, ",".repeat(100));
        assert!(check_values(&text, limits(1, 2)).is_ok(), "what stands in strings is no value");
    }

    #[test]
    fn faults_are_named_by_their_place() {
        for (text, path) in [
            ("", ""),
            ("{\"a\":tru}", "/a"),
            ("{\"a/b\":[0,{\"~\":\"\\ud800\"}]}", "/a~1b/1/~0"),
            ("[1e999]", "/0"),
            ("{} {}", ""),
            ("[1,]", "/1"),
        ] {
            let fault = parse(text, limits(64, 100)).unwrap_err();
            assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::InvalidJson, path), "{text}");
        }
    }

    /// Any JSON value, not too large.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
            Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
            _ => 1,
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(value in value()) {
            let text = value.to_string();
            let values = count(&value);
            prop_assert_eq!(&parse(&text, limits(64, values)).unwrap(), &serde_json::from_str::<Value>(&text).unwrap());
            prop_assert!(values == 1 || parse(&text, limits(64, values - 1)).is_err());
        }
    }
}
