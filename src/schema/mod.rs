//! Schemas as pure values: parse, canonical text, validation and compatibility of AVRO, JSON and PROTOBUF.
//! Knows no subjects, versions, ids, HTTP or Kafka; a schema's references arrive already fetched.
//!
//! One module per schema type implements [`ParsedSchema`]; [`parse`] picks it.

pub mod avro;
pub mod compat;
pub mod fields;
pub mod json;
pub mod json_schema;
pub mod protobuf;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use compat::{Direction, Incompatibility, Level};
pub use fields::{ChangedField, FieldChange, SchemaField, changed_fields};

/// Longest schema text that is parsed, in bytes, with the texts of its references; its canonical text neither is longer.
pub const MAX_SCHEMA_BYTES: usize = 4 * 1024 * 1024;
/// Most references, direct and through other references, one schema may pull in.
pub const MAX_REFERENCES: usize = 400;

/// The language a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaType {
    /// Apache Avro; the default where no type is named.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl SchemaType {
    /// The name the REST API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            SchemaType::Avro => "AVRO",
            SchemaType::Json => "JSON",
            SchemaType::Protobuf => "PROTOBUF",
        }
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for SchemaType {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "AVRO" => Ok(SchemaType::Avro),
            "JSON" => Ok(SchemaType::Json),
            "PROTOBUF" => Ok(SchemaType::Protobuf),
            other => Err(SchemaError::UnknownType(other.to_owned())),
        }
    }
}

/// A schema's reference with the text it points to. References of references come first in the list, each text once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedReference {
    /// Name under which the referring schema knows it (Avro: a full name; JSON, Protobuf: a file or URI).
    pub name: String,
    /// Text of the referenced schema.
    pub schema: String,
}

/// What part of a schema tags are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum EntityKind {
    /// A record, message or object.
    #[serde(rename = "sr_record", alias = "SR_RECORD")]
    Record,
    /// A field.
    #[serde(rename = "sr_field", alias = "SR_FIELD")]
    Field,
}

/// Tags of one part of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTags {
    /// The part: a record's full name, or that, a dot and a field's name.
    pub path: String,
    /// What the path leads to.
    pub kind: EntityKind,
    /// Tags to add or to remove.
    pub tags: BTreeSet<String>,
}

/// How strictly a text is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// What a new schema must satisfy: names by the specification, defaults that fit their types, known types.
    Strict,
    /// What an old, already stored schema must satisfy to be compared: known types only.
    Lenient,
    /// As lenient, and unknown names are taken for references. Good for the canonical text only.
    Unresolved,
}

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not JSON at all.
    #[error("schema is not JSON: {0}")]
    NotJson(#[from] json::JsonError),
    /// Readable, but against the schema language.
    #[error("{message} (at '{path}')")]
    Invalid {
        /// The place: a JSON pointer, or line:column; empty where it cannot be told.
        path: String,
        /// What is wrong there.
        message: String,
    },
    /// The text is too long or pulls in too much.
    #[error("schema is larger than {limit} {unit}")]
    TooLarge {
        /// The limit that was passed.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// A reference's text is no schema.
    #[error("reference '{name}' is not a valid schema: {source}")]
    Reference {
        /// The reference's name.
        name: String,
        /// Why.
        #[source]
        source: Box<SchemaError>,
    },
    /// Not one of the schema types.
    #[error("unknown schema type '{0}'; use AVRO, JSON or PROTOBUF")]
    UnknownType(String),
    /// The language has no place for tags.
    #[error("tags inside the text of a {0} schema cannot be changed; put them into its metadata")]
    NoTags(SchemaType),
}

/// What the registry needs of a parsed schema, whatever its language.
pub trait ParsedSchema: Send + Sync + fmt::Debug {
    /// The language.
    fn schema_type(&self) -> SchemaType;
    /// The text that is stored and returned, and by which equal schemas are recognised.
    fn canonical(&self) -> &str;
    /// The canonical text with spelling differences removed that carry no meaning.
    fn normalized(&self) -> String;
    /// The text with all references written out in place, where the language can.
    fn resolved(&self) -> String;
    /// Its descriptor in base64, where the language has one.
    fn serialized(&self) -> Option<String> {
        None
    }
    /// Full name of the top-level type, if it has one.
    fn name(&self) -> Option<&str>;
    /// What a reader with this schema cannot read of data written with `writer`. Types differ only by mistake of the
    /// caller; then the answer is one incompatibility.
    fn incompatibilities(&self, writer: &dyn ParsedSchema) -> Vec<Incompatibility>;
    /// The text with tags added to and taken from its parts.
    ///
    /// # Errors
    /// A part is not in the schema, or the language has no place for tags.
    fn tagged(&self, _add: &[EntityTags], _remove: &[EntityTags]) -> Result<String, SchemaError> {
        Err(SchemaError::NoTags(self.schema_type()))
    }
    /// Names of the top-level type's fields.
    fn field_names(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
    /// All fields of the top-level type and inside of it, outer ones first.
    ///
    /// # Errors
    /// There are more than are ever listed.
    fn fields(&self) -> Result<Vec<SchemaField>, SchemaError>;
    /// Its parts that have tags inside the text, in written order.
    fn tagged_entities(&self) -> Vec<EntityTags> {
        Vec::new()
    }
    /// For downcasts to the concrete schema.
    fn as_any(&self) -> &dyn Any;
}

/// Parses a schema text of the given type.
///
/// # Errors
/// The text, or one of the references, is no schema by the chosen [`Validation`].
pub fn parse(
    schema_type: SchemaType,
    text: &str,
    references: &[ResolvedReference],
    validation: Validation,
) -> Result<Arc<dyn ParsedSchema>, SchemaError> {
    check_size(text, references)?;
    if references.len() > MAX_REFERENCES {
        return Err(SchemaError::TooLarge { limit: MAX_REFERENCES, unit: "references" });
    }
    let parsed: Arc<dyn ParsedSchema> = match schema_type {
        SchemaType::Avro => Arc::new(avro::AvroSchema::parse(text, references, validation)?),
        SchemaType::Protobuf => Arc::new(protobuf::ProtobufSchema::parse(text, references, validation)?),
        SchemaType::Json => Arc::new(json_schema::JsonSchema::parse(text, references, validation)?),
    };
    // That is what is stored, and what is stored must be readable.
    check_size(parsed.canonical(), references)?;
    Ok(parsed)
}

/// Checks a text against [`MAX_SCHEMA_BYTES`], together with its references.
///
/// # Errors
/// It is longer.
pub fn check_size(text: &str, references: &[ResolvedReference]) -> Result<(), SchemaError> {
    let total = references.iter().map(|reference| reference.schema.len()).sum::<usize>() + text.len();
    if total > MAX_SCHEMA_BYTES {
        return Err(SchemaError::TooLarge { limit: MAX_SCHEMA_BYTES, unit: "bytes" });
    }
    Ok(())
}
