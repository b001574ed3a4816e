//! Reading rows of foreign writers: fields in any case, scalars in any type, lists as JSON or as JSON in a text.
//!
//! Only what a decoder asks for is turned into values; the rest of a record, however large, is passed over.

mod names;
mod parts;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::codec::time::parse_micros;
use crate::model::check::is_time;
use crate::model::reject::{ReasonCode, Rejection};

pub(in crate::sql::log) use names::{dotted, table};
pub(in crate::sql::log) use parts::{Element, List, Part, Word, elements, list};

/// Fields of most rows.
const USUAL_FIELDS: usize = 48;

/// The fields of an object by name, each as raw JSON.
#[derive(Debug)]
pub(in crate::sql::log) struct Fields<'a>(Vec<(Name<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(USUAL_FIELDS);
                while let Some(field) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'a> Fields<'a> {
    /// Reads an object.
    pub fn parse(text: &'a str) -> Result<Self, Rejection> {
        serde_json::from_str(text).map_err(|error| not_json(&error))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.0.as_ref())
    }

    /// The field called `name` (lower case) in any case, unless it is null. Of doubled names the last one counts.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let mut fields = self.0.iter().rev();
        let (_, raw) = fields.find(|(field, _)| field.0.eq_ignore_ascii_case(name))?;
        (raw.get() != "null").then_some(*raw)
    }

    /// A scalar as text; `None` for what is absent, null, empty, an object or a list.
    pub fn text(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        names.iter().find_map(|name| scalar(self.raw(name)?))
    }

    /// A whole number, perhaps written as a text or with a fraction.
    pub fn integer(&self, names: &[&str]) -> Option<i64> {
        integer(&self.text(names)?)
    }

    /// A number.
    pub fn number(&self, names: &[&str]) -> Option<f64> {
        number(&self.text(names)?)
    }

    /// A time; `None` if none of the fields is there.
    ///
    /// # Errors
    /// `invalid_field` for what is no time.
    pub fn time(&self, names: &[&str]) -> Result<Option<i64>, Rejection> {
        for name in names {
            if let Some(text) = self.raw(name).and_then(scalar) {
                return time(&text, &format!("/{}", self.spelling(name))).map(Some);
            }
        }
        Ok(None)
    }

    /// The field's name as the record writes it.
    fn spelling(&self, name: &str) -> String {
        let same = |(field, _): &&(Name<'a>, &'a RawValue)| field.0.eq_ignore_ascii_case(name);
        let written = self.0.iter().rev().find(same).map_or(name, |(field, _)| &field.0);
        crate::codec::json::pointer(written)
    }
}

/// A field's name.
#[derive(Debug)]
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// A scalar of any JSON type as text; what is null, empty, a list or an object is none.
#[derive(Debug, Default)]
pub(in crate::sql::log) struct Scalar<'a>(pub Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scalar")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar((!text.is_empty()).then_some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar((!text.is_empty()).then(|| Cow::Owned(text.to_owned()))))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar(Some(Cow::Borrowed(if value { "true" } else { "false" }))))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl<'a> Scalar<'a> {
    /// The text.
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// As a whole number.
    pub fn integer(&self) -> Option<i64> {
        integer(self.text()?)
    }

    /// As a number.
    pub fn number(&self) -> Option<f64> {
        number(self.text()?)
    }

    /// As a time.
    ///
    /// # Errors
    /// `invalid_field` at `path` for what is no time.
    pub fn time(&self, path: &str) -> Result<Option<i64>, Rejection> {
        self.text().map(|text| time(text, path)).transpose()
    }
}

/// A raw scalar as text; none if it is null, empty, a list or an object.
pub(in crate::sql::log) fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => {
            let inner = text.get(1..text.len() - 1)?;
            if inner.is_empty() {
                return None;
            }
            if inner.contains('\\') {
                return serde_json::from_str::<Scalar<'_>>(text).ok()?.0;
            }
            Some(Cow::Borrowed(inner))
        }
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(text)),
    }
}

/// A whole number; a fraction is cut.
pub(in crate::sql::log) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let number = number(text)?;
        let in_range = number.abs() < 9e18;
        #[expect(clippy::cast_possible_truncation, reason = "in range, and a fraction is to be cut")]
        in_range.then_some(number as i64)
    })
}

/// A finite number.
pub(in crate::sql::log) fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// `amount` of `unit_us` microseconds each, in microseconds; none if negative or beyond what numbers hold.
pub(in crate::sql::log) fn micros(amount: f64, unit_us: f64) -> Option<i64> {
    let micros = (amount * unit_us).round();
    #[expect(clippy::cast_possible_truncation, reason = "in range")]
    (0.0..9e18).contains(&micros).then_some(micros as i64)
}

/// A time as text or as a number since the epoch, whose size tells seconds, milli-, micro- and nanoseconds apart.
///
/// # Errors
/// `invalid_field` at `path` for what is no time, or lies before year 0 or after 9999.
pub(in crate::sql::log) fn time(text: &str, path: &str) -> Result<i64, Rejection> {
    let text = text.trim();
    let read = if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) {
        epoch(text)
    } else {
        None
    };
    read.or_else(|| parse_micros(text)).filter(|&micros| is_time(micros)).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        let message = format!(
            "{shown:?} is no time: give a date and time with its zone (2026-01-31 12:00:00+00:00) or a number since 1970"
        );
        Rejection::new(ReasonCode::InvalidField, path, message)
    })
}

fn epoch(text: &str) -> Option<i64> {
    // 1e11 s is the year 5138; 1e11 ms is 1973.
    if let Ok(whole) = text.parse::<i64>() {
        return match whole.unsigned_abs() {
            0..100_000_000_000 => whole.checked_mul(1_000_000),
            100_000_000_000..100_000_000_000_000 => whole.checked_mul(1_000),
            100_000_000_000_000..100_000_000_000_000_000 => Some(whole),
            _ => Some(whole / 1_000),
        };
    }
    let value = number(text)?;
    let unit = match value.abs() {
        0.0..1e11 => 1e6,
        1e11..1e14 => 1e3,
        1e14..1e17 => 1.0,
        _ => 1e-3,
    };
    #[expect(clippy::cast_possible_truncation, reason = "in range")]
    ((value * unit).abs() < 9e18).then_some((value * unit).round() as i64)
}

/// An id for a record that has none: the same for the same content.
pub(in crate::sql::log) fn content_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("content-{hex}")
}

/// The rejection of what is not JSON.
pub(in crate::sql::log) fn not_json(error: &serde_json::Error) -> Rejection {
    Rejection::new(ReasonCode::InvalidJson, "", format!("not a JSON object: {error}"))
}

/// The rejection of a record that lacks what it must have; `path` is the field's usual place.
pub(in crate::sql::log) fn missing(path: &str, what: &str) -> Rejection {
    Rejection::new(ReasonCode::MissingField, path, format!("a query log record needs {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_unit_are_told_apart() {
        // 2026-11-21T06:17:05Z
        let base = 1_795_241_825_000_000;
        for text in
            ["1795241825", "1795241825000", "1795241825000000", "1795241825000000000", "1795241825.0", "1.795241825e12"]
        {
            assert_eq!(time(text, "").unwrap(), base, "{text}");
        }
        assert_eq!(time("1795241825.25", "").unwrap(), base + 250_000);
        assert_eq!(time("2026-11-20 22:17:05.500 -0800", "").unwrap(), base + 500_000);
        for text in ["", "yesterday", "9999999999999999999999", "NaN", "2026-11-21", "-"] {
            let fault = time(text, "/x").unwrap_err();
            assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::InvalidField, "/x"), "{text}");
        }
    }

    #[test]
    fn fields_are_found_in_any_case_and_type() {
        let fields =
            Fields::parse(r#"{"A":1,"b":"2","C":null,"d":"","e":"x\ny","f":3.5,"a":"7","g":[1],"h":true}"#).unwrap();
        assert_eq!(fields.text(&["a"]).as_deref(), Some("7"), "the last one counts");
        assert_eq!(fields.integer(&["c", "B"]), Some(2));
        assert_eq!(fields.text(&["c"]), None);
        assert_eq!(fields.text(&["d"]), None);
        assert_eq!(fields.text(&["e"]).as_deref(), Some("x\ny"));
        assert_eq!(fields.integer(&["f"]), Some(3));
        assert_eq!(fields.text(&["g"]), None);
        assert_eq!(fields.text(&["h"]).as_deref(), Some("true"));
        assert_eq!(list::<String>(fields.raw("g")), Some(vec!["1".to_owned()]));
    }
}
