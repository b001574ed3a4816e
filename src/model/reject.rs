//! Why a record can never succeed.

use std::fmt;

/// A verdict on one record: it goes to the dead-letter topic with this reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message} (at {path})")]
pub struct Rejection {
    /// What kind of fault it is; also the dead letter's `reason` header and a metric label.
    pub code: ReasonCode,
    /// What is wrong and what to do about it, for a person.
    pub message: String,
    /// Where in the value the first violation lies, as a JSON pointer or Avro field path; `""` is the whole value.
    pub path: String,
}

impl Rejection {
    /// A rejection at `path` of the record's value.
    pub fn new(code: ReasonCode, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: path.into() }
    }

    /// The same rejection seen from an enclosing value: `prefix` is put before the path.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }
}

/// The closed set of dead-letter reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasonCode {
    /// The value is null where a value is required.
    EmptyValue,
    /// Not JSON, or JSON of the wrong shape.
    InvalidJson,
    /// Bytes are not UTF-8 where text is required.
    InvalidUtf8,
    /// Not base64, not gzip, or a broken stream.
    InvalidCompression,
    /// A Thrift JSON value does not follow the protocol.
    InvalidThriftJson,
    /// The Confluent frame is broken, or the Avro datum does not fit its schema.
    InvalidAvro,
    /// The registry does not know the schema id.
    UnknownSchema,
    /// A required field is missing.
    MissingField,
    /// A field has a value outside its domain.
    InvalidField,
    /// An event or message type we do not know.
    UnknownType,
    /// A configured size or depth limit is exceeded.
    LimitExceeded,
    /// The record names an instance that is not configured.
    UnknownInstance,
    /// The stage itself broke over the record: a defect of this program. Replay it after the repair.
    Defect,
}

impl ReasonCode {
    /// The code as it stands in headers, metrics and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyValue => "empty_value",
            Self::InvalidJson => "invalid_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidCompression => "invalid_compression",
            Self::InvalidThriftJson => "invalid_thrift_json",
            Self::InvalidAvro => "invalid_avro",
            Self::UnknownSchema => "unknown_schema",
            Self::MissingField => "missing_field",
            Self::InvalidField => "invalid_field",
            Self::UnknownType => "unknown_type",
            Self::LimitExceeded => "limit_exceeded",
            Self::UnknownInstance => "unknown_instance",
            Self::Defect => "defect",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
