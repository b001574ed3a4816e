//! The notification envelope and its message body: what a tailer of the metastore's event log puts on the topic.
//!
//! Field names are taken without regard to case and underscores, numbers may be strings, unknown fields are ignored.
//! Knows no event types.

use std::cell::RefCell;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::HmsLimits;
use super::event::check_name;
use super::synthetic::ListingMark;
use super::thrift::{Object, Struct, json_type};
use super::tjson;
use crate::codec::json::Allowance;
use crate::model::reject::{ReasonCode, Rejection};

/// Seconds of the year 10000: what is larger is milliseconds or nonsense.
const MAX_EVENT_TIME: i64 = 253_402_300_800;

/// Parses a raw value into a JSON object.
///
/// # Errors
/// `invalid_utf8`, `invalid_json`; `limit_exceeded` for JSON that is nested too deeply or holds too many values.
pub fn parse_object(value: &[u8], allowance: &mut Allowance) -> Result<Map<String, Value>, Rejection> {
    let text = std::str::from_utf8(value).map_err(|error| {
        Rejection::new(ReasonCode::InvalidUtf8, "", format!("not UTF-8 from byte {}", error.valid_up_to()))
    })?;
    object_from(text, "", allowance)
}

fn object_from(text: &str, path: &str, allowance: &mut Allowance) -> Result<Map<String, Value>, Rejection> {
    match allowance.parse(text).map_err(|fault| fault.within(path))? {
        Value::Object(object) => Ok(object),
        other => Err(Rejection::new(
            ReasonCode::InvalidJson,
            path,
            format!("expected a JSON object, found {}", json_type(&other)),
        )),
    }
}

/// One notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Id in the event log; not unique under concurrent writers.
    pub event_id: i64,
    /// Seconds since the epoch.
    pub event_time: i64,
    /// Type, e.g. `CREATE_TABLE`.
    pub event_type: String,
    /// Catalog, where the version has catalogs.
    pub catalog: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// Table.
    pub table: Option<String>,
    /// Message, encoded as `message_format` says.
    pub message: Option<Value>,
    /// `json-0.2`, `gzip(json-2.0)`, or unset.
    pub message_format: Option<String>,
    /// The listing that it belongs to, if no metastore wrote it.
    pub listing: Option<ListingMark>,
}

impl Envelope {
    /// From the fields of a raw value.
    ///
    /// # Errors
    /// `missing_field`, `invalid_field` with the path of the field.
    pub fn from_object(object: Map<String, Value>) -> Result<Self, Rejection> {
        let mut fields = Map::new();
        for (key, value) in object {
            let plain: String =
                key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
            if !value.is_null() {
                fields.insert(plain, value);
            }
        }
        let event_time = required_int(&fields, "eventTime")?;
        if !(0..MAX_EVENT_TIME).contains(&event_time) {
            return Err(Rejection::new(
                ReasonCode::InvalidField,
                "/eventTime",
                format!("{event_time} is no time in seconds since 1970; milliseconds must be divided by 1000"),
            ));
        }
        let Some(event_type) = text(&fields, "eventType")?.filter(|text| !text.is_empty()) else {
            return Err(missing("/eventType"));
        };
        Ok(Self {
            event_id: required_int(&fields, "eventId")?,
            event_time,
            event_type,
            catalog: text(&fields, "catName")?,
            database: text(&fields, "dbName")?,
            table: text(&fields, "tableName")?,
            message_format: text(&fields, "messageFormat")?,
            listing: listing_mark(&fields)?,
            message: fields.remove("message"),
        })
    }

    /// Decodes the message, which is gone from the envelope afterwards: it may be large.
    ///
    /// # Errors
    /// `missing_field` without a message, `invalid_compression`, `limit_exceeded` if it unpacks to more than allowed,
    /// `invalid_json`, `unknown_type` for an unknown format.
    pub fn body(&mut self, limits: HmsLimits, mut allowance: Allowance) -> Result<Body, Rejection> {
        let path = "/message";
        let text = match self.message.take() {
            None => return Err(missing(path)),
            Some(Value::String(text)) => text,
            Some(Value::Object(fields)) => return Ok(Body { fields, limits, allowance: RefCell::new(allowance) }),
            Some(other) => {
                return Err(Rejection::new(
                    ReasonCode::InvalidField,
                    path,
                    format!("expected a string, found {}", json_type(&other)),
                ));
            }
        };
        let format = self.message_format.as_deref().unwrap_or_default();
        let fields = if format.starts_with("json") || (format.is_empty() && text.trim_start().starts_with('{')) {
            check_size(text.len(), limits)?;
            object_from(&text, path, &mut allowance)?
        } else if format.starts_with("gzip(json") || format.is_empty() {
            object_from(&gunzip(text, limits)?, path, &mut allowance)?
        } else {
            return Err(Rejection::new(
                ReasonCode::UnknownType,
                "/messageFormat",
                format!("message format {format:?} is neither json-0.2 nor gzip(json-2.0)"),
            ));
        };
        Ok(Body { fields, limits, allowance: RefCell::new(allowance) })
    }
}

fn check_size(bytes: usize, limits: HmsLimits) -> Result<(), Rejection> {
    if bytes <= limits.max_message_bytes {
        return Ok(());
    }
    Err(too_large("/message", limits))
}

/// The rejection of a message that is larger than allowed.
pub(super) fn too_large(path: &str, limits: HmsLimits) -> Rejection {
    let message =
        format!("the message has more than {} bytes, the limit (limits.decompressed_bytes)", limits.max_message_bytes);
    Rejection::new(ReasonCode::LimitExceeded, path, message)
}

fn gunzip(text: String, limits: HmsLimits) -> Result<String, Rejection> {
    let fault = |what: String| Rejection::new(ReasonCode::InvalidCompression, "/message", what);
    let packed = STANDARD.decode(text.trim()).map_err(|error| fault(format!("not base64: {error}")))?;
    drop(text);
    let mut unpacked = Vec::new();
    // One byte more than allowed tells a full message from an endless one without unpacking it.
    let allowed = u64::try_from(limits.max_message_bytes).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(packed.as_slice())
        .take(allowed)
        .read_to_end(&mut unpacked)
        .map_err(|error| fault(format!("not gzip: {error}")))?;
    check_size(unpacked.len(), limits)?;
    String::from_utf8(unpacked).map_err(|error| {
        let from = error.utf8_error().valid_up_to();
        Rejection::new(ReasonCode::InvalidUtf8, "/message", format!("not UTF-8 from byte {from} of the unpacked text"))
    })
}

fn listing_mark(fields: &Map<String, Value>) -> Result<Option<ListingMark>, Rejection> {
    let Some(mark) = fields.get("listing") else { return Ok(None) };
    let wrong = |name: &str, expected: &str| {
        Rejection::new(ReasonCode::InvalidField, format!("/listing/{name}"), format!("expected {expected}"))
    };
    let id = mark.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).ok_or_else(|| wrong("id", "a name"))?;
    let taken = mark.get("taken").and_then(Value::as_i64).filter(|taken| (0..MAX_EVENT_TIME).contains(taken));
    let taken = taken.ok_or_else(|| wrong("taken", "a time in seconds since 1970"))?;
    Ok(Some(ListingMark { id: id.to_owned(), taken }))
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Rejection> {
    match fields.get(&name.to_ascii_lowercase()) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(Rejection::new(
            ReasonCode::InvalidField,
            format!("/{name}"),
            format!("expected a string, found {}", json_type(other)),
        )),
    }
}

fn required_int(fields: &Map<String, Value>, name: &str) -> Result<i64, Rejection> {
    let path = format!("/{name}");
    let number = match fields.get(&name.to_ascii_lowercase()) {
        None => return Err(missing(&path)),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    number.ok_or_else(|| Rejection::new(ReasonCode::InvalidField, path, "expected an integer"))
}

/// A missing field at `path`.
pub(super) fn missing(path: &str) -> Rejection {
    Rejection::new(ReasonCode::MissingField, path, "required field is missing or empty")
}

/// A decoded message; its readers give rejections with paths from the record's root.
#[derive(Clone, Debug)]
pub struct Body {
    fields: Map<String, Value>,
    limits: HmsLimits,
    allowance: RefCell<Allowance>,
}

impl Body {
    /// What the record may cost.
    pub fn limits(&self) -> HmsLimits {
        self.limits
    }

    /// A string; numbers are accepted.
    pub fn text(&self, name: &str) -> Result<Option<String>, Rejection> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.wrong(name, "a string", other)),
        }
    }

    /// A name that must be there and say something.
    pub fn required_text(&self, name: &str) -> Result<String, Rejection> {
        let path = || format!("/message/{name}");
        let text = self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(&path()))?;
        check_name(&text, self.limits).map_err(|fault| fault.within(&path()))?;
        Ok(text)
    }

    /// A list of anything; absent is empty.
    pub fn list(&self, name: &str) -> Result<&[Value], Rejection> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(name, "a list", other)),
        }
    }

    /// A list of strings; absent is empty.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Rejection> {
        let items = self.list(name)?.iter().enumerate();
        items
            .map(|(index, item)| {
                let wrong = || self.wrong(&format!("{name}/{index}"), "a string", item);
                item.as_str().map(str::to_owned).ok_or_else(wrong)
            })
            .collect()
    }

    /// A map of strings; numbers and booleans become text, nulls are left out.
    pub fn map(&self, name: &str) -> Result<Option<Map<String, Value>>, Rejection> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map.clone())),
            Some(other) => Err(self.wrong(name, "an object", other)),
        }
    }

    /// A Thrift object in a string; unset, null or empty is `None`.
    pub fn object(&self, name: &str, schema: &Struct) -> Result<Option<Object>, Rejection> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(value) => self.thrift(name, value, schema).map(Some),
        }
    }

    /// A Thrift object in a string that must be there.
    pub fn required_object(&self, name: &str, schema: &Struct) -> Result<Object, Rejection> {
        self.object(name, schema)?.ok_or_else(|| missing(&format!("/message/{name}")))
    }

    /// A list of Thrift objects in strings; absent is empty.
    pub fn objects(&self, name: &str, schema: &Struct) -> Result<Vec<Object>, Rejection> {
        let items = self.list(name)?.iter().enumerate();
        items.map(|(index, value)| self.thrift(&format!("{name}/{index}"), value, schema)).collect()
    }

    /// Whether the field is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    fn thrift(&self, name: &str, value: &Value, schema: &Struct) -> Result<Object, Rejection> {
        let Some(text) = value.as_str() else {
            return Err(self.wrong(name, "a string with Thrift JSON", value));
        };
        tjson::read(schema, text, &mut self.allowance.borrow_mut())
            .map_err(|fault| fault.within(&format!("/message/{name}")))
    }

    fn wrong(&self, name: &str, expected: &str, found: &Value) -> Rejection {
        Rejection::new(
            ReasonCode::InvalidField,
            format!("/message/{name}"),
            format!("expected {expected}, found {}", json_type(found)),
        )
    }
}
