//! Objects of an event and where they lie, so that a fault can be named. Knows no field by itself.

use serde_json::{Map, Value};

use crate::codec::time::parse_micros;
use crate::model::check::is_time;
use crate::model::reject::{ReasonCode, Rejection};

/// A JSON object within an event.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    /// Its fields.
    pub fields: &'a Map<String, Value>,
    path: String,
}

impl<'a> Part<'a> {
    /// `value`, which lies at `path`, as an object.
    pub fn of(value: &'a Value, path: &str) -> Result<Self, Rejection> {
        match value {
            Value::Object(fields) => Ok(Self { fields, path: path.to_owned() }),
            _ => Err(invalid(path, "must be an object")),
        }
    }

    /// The pointer to a field.
    pub fn path_of(&self, field: &str) -> String {
        format!("{}/{}", self.path, field.replace('~', "~0").replace('/', "~1"))
    }

    /// A field that is there; `null` is not.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// A text, if it is there.
    pub fn text(&self, field: &str) -> Result<Option<&'a str>, Rejection> {
        self.typed(field, Value::as_str, "a string")
    }

    /// A text that must be there and say something.
    pub fn required_text(&self, field: &str) -> Result<&'a str, Rejection> {
        self.text(field)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(field))
    }

    /// A whole number, if it is there.
    pub fn whole(&self, field: &str) -> Result<Option<i64>, Rejection> {
        self.typed(field, Value::as_i64, "a whole number")
    }

    /// A date-time in microseconds, if it is there.
    pub fn time(&self, field: &str) -> Result<Option<i64>, Rejection> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        match parse_micros(text).filter(|micros| is_time(*micros)) {
            Some(micros) => Ok(Some(micros)),
            None => Err(invalid(self.path_of(field), "must be a date-time such as 2026-01-31T12:00:00+00:00")),
        }
    }

    /// An object, if it is there.
    pub fn part(&self, field: &str) -> Result<Option<Part<'a>>, Rejection> {
        self.get(field).map(|value| Part::of(value, &self.path_of(field))).transpose()
    }

    /// The items of a list with their pointers; none if it is not there.
    pub fn items(&self, field: &str) -> Result<Vec<(&'a Value, String)>, Rejection> {
        let items = self.typed(field, Value::as_array, "a list")?.into_iter().flatten().enumerate();
        Ok(items.map(|(index, item)| (item, format!("{}/{index}", self.path_of(field)))).collect())
    }

    /// The fields other than `known` that are not null, as JSON; `None` if there are none.
    pub fn rest(&self, known: &[&str]) -> Option<Map<String, Value>> {
        let is_rest = |(name, value): &(&String, &Value)| !value.is_null() && !known.contains(&name.as_str());
        let rest: Map<String, Value> =
            self.fields.iter().filter(is_rest).map(|(name, value)| (name.clone(), value.clone())).collect();
        (!rest.is_empty()).then_some(rest)
    }

    pub fn missing(&self, field: &str) -> Rejection {
        Rejection::new(ReasonCode::MissingField, self.path_of(field), "the envelope of Airflow events requires it")
    }

    fn typed<T>(
        &self,
        field: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, Rejection> {
        let Some(value) = self.get(field) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| invalid(self.path_of(field), &format!("must be {expected}")))
    }
}

pub(super) fn invalid(path: impl Into<String>, message: &str) -> Rejection {
    Rejection::new(ReasonCode::InvalidField, path, message)
}
