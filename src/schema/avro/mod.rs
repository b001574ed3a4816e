//! Avro schemas: the node model, and how [`ParsedSchema`] is answered for them. Pure; references arrive as text.
//!
//! Nodes live in an arena: a named type is one node however often it is mentioned, so recursive schemas are finite and
//! a pair of nodes can be remembered by its indexes, as the reference compares object identities.

mod canonical;
mod check;
mod defaults;
mod fields;
mod parse;
mod tags;

#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::json::Json;
use super::{
    EntityTags, Incompatibility, ParsedSchema, ResolvedReference, SchemaError, SchemaField, SchemaType, Validation,
};

/// Index of a node in its schema's arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

/// A name with its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FullName {
    /// Simple name.
    pub name: String,
    /// Namespace, absent when empty.
    pub namespace: Option<String>,
}

impl FullName {
    /// Splits a name as written inside `enclosing`: one with dots carries its own namespace.
    pub fn written(text: &str, enclosing: Option<&str>) -> Self {
        match text.rsplit_once('.') {
            Some((namespace, name)) => {
                let namespace = Some(namespace.to_owned()).filter(|space| !space.is_empty());
                Self { name: name.to_owned(), namespace }
            }
            None => Self {
                name: text.to_owned(),
                namespace: enclosing.filter(|space| !space.is_empty()).map(str::to_owned),
            },
        }
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{namespace}.{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

/// The kinds of type without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Avro's own")]
pub enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl Primitive {
    /// Avro's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Primitive::Null => "null",
            Primitive::Boolean => "boolean",
            Primitive::Int => "int",
            Primitive::Long => "long",
            Primitive::Float => "float",
            Primitive::Double => "double",
            Primitive::Bytes => "bytes",
            Primitive::String => "string",
        }
    }

    /// The primitive with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Primitive::Null,
            "boolean" => Primitive::Boolean,
            "int" => Primitive::Int,
            "long" => Primitive::Long,
            "float" => Primitive::Float,
            "double" => Primitive::Double,
            "bytes" => Primitive::Bytes,
            "string" => Primitive::String,
            _ => return None,
        })
    }
}

/// Attributes the language gives no meaning to (logical types among them), in written order.
pub type Properties = Vec<(String, Json)>;

/// What records, enums and fixed have in common.
#[derive(Debug, Clone)]
pub struct Named {
    /// The type's name.
    pub name: FullName,
    /// Documentation.
    pub doc: Option<String>,
    /// Names a reader also answers to.
    pub aliases: Vec<FullName>,
}

/// A record's field.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name, unique in its record.
    pub name: String,
    /// Type.
    pub schema: NodeId,
    /// Documentation.
    pub doc: Option<String>,
    /// Default; `Some(Json::Null)` is the default null.
    pub default: Option<Json>,
    /// Sort order, only where it is not ascending.
    pub order: Option<String>,
    /// Names of writers' fields that fill this one.
    pub aliases: Vec<String>,
    /// Other attributes.
    pub properties: Properties,
}

/// A type.
#[derive(Debug, Clone)]
pub enum Node {
    /// A type without parts.
    Primitive(Primitive, Properties),
    /// A list.
    Array {
        /// Type of the items.
        items: NodeId,
        /// Other attributes.
        properties: Properties,
    },
    /// A map with string keys.
    Map {
        /// Type of the values.
        values: NodeId,
        /// Other attributes.
        properties: Properties,
    },
    /// One of several types.
    Union(Vec<NodeId>),
    /// A record or an error.
    Record {
        /// Name, doc, aliases.
        named: Named,
        /// Fields in order.
        fields: Vec<Field>,
        /// `record` or `error`.
        keyword: &'static str,
        /// Other attributes.
        properties: Properties,
    },
    /// An enumeration.
    Enum {
        /// Name, doc, aliases.
        named: Named,
        /// Symbols in order.
        symbols: Vec<String>,
        /// What a reader takes for a symbol it does not know.
        default: Option<String>,
        /// Other attributes.
        properties: Properties,
    },
    /// Bytes of fixed length.
    Fixed {
        /// Name, doc, aliases.
        named: Named,
        /// Length in bytes.
        size: u64,
        /// Other attributes.
        properties: Properties,
    },
    /// A name that nothing defines; only in schemas parsed with [`Validation::Unresolved`].
    Unresolved(FullName),
}

impl Node {
    /// The type's name in messages: `RECORD`, `INT`, ….
    fn type_name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Node::Primitive(Primitive::Null, _) => "NULL",
            Node::Primitive(Primitive::Boolean, _) => "BOOLEAN",
            Node::Primitive(Primitive::Int, _) => "INT",
            Node::Primitive(Primitive::Long, _) => "LONG",
            Node::Primitive(Primitive::Float, _) => "FLOAT",
            Node::Primitive(Primitive::Double, _) => "DOUBLE",
            Node::Primitive(Primitive::Bytes, _) => "BYTES",
            Node::Primitive(Primitive::String, _) => "STRING",
            Node::Array { .. } => "ARRAY",
            Node::Map { .. } => "MAP",
            Node::Union(_) => "UNION",
            Node::Record { .. } => "RECORD",
            Node::Enum { .. } => "ENUM",
            Node::Fixed { .. } => "FIXED",
            Node::Unresolved(name) => return Cow::Owned(name.to_string()),
        })
    }

    fn named(&self) -> Option<&Named> {
        match self {
            Node::Record { named, .. } | Node::Enum { named, .. } | Node::Fixed { named, .. } => Some(named),
            _ => None,
        }
    }
}

/// A parsed Avro schema.
#[derive(Debug)]
pub struct AvroSchema {
    nodes: Vec<Node>,
    root: NodeId,
    /// Nodes below this index come from references.
    own: u32,
    canonical: String,
    root_name: Option<String>,
}

impl AvroSchema {
    /// Parses a schema text; `references` must come before those that refer to them.
    ///
    /// # Errors
    /// The text or a reference is no Avro schema by the chosen validation.
    pub fn parse(text: &str, references: &[ResolvedReference], validation: Validation) -> Result<Self, SchemaError> {
        let (nodes, root, own) = parse::parse(text, references, validation)?;
        let mut schema = Self { nodes, root, own, canonical: String::new(), root_name: None };
        schema.canonical = canonical::text(&schema, canonical::Form::Canonical);
        schema.root_name = schema.node(root).named().map(|named| named.name.to_string());
        Ok(schema)
    }

    /// The top-level type.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// A node of this schema.
    ///
    /// # Panics
    /// The id belongs to another schema with more nodes.
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).expect("a node id is only used with the schema that gave it")
    }
}

impl ParsedSchema for AvroSchema {
    fn schema_type(&self) -> SchemaType {
        SchemaType::Avro
    }

    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        canonical::text(self, canonical::Form::Normalized)
    }

    fn resolved(&self) -> String {
        canonical::text(self, canonical::Form::Resolved)
    }

    fn name(&self) -> Option<&str> {
        self.root_name.as_deref()
    }

    fn incompatibilities(&self, writer: &dyn ParsedSchema) -> Vec<Incompatibility> {
        match writer.as_any().downcast_ref::<AvroSchema>() {
            Some(writer) => check::incompatibilities(self, writer),
            None => vec![Incompatibility {
                kind: "TYPE_MISMATCH",
                location: "/".to_owned(),
                message: format!("reader type: AVRO not compatible with writer type: {}", writer.schema_type()),
                description: "The {reader} schema and the {writer} schema are written in different languages"
                    .to_owned(),
            }],
        }
    }

    fn tagged(&self, add: &[EntityTags], remove: &[EntityTags]) -> Result<String, SchemaError> {
        let mut text = String::new();
        tags::tagged(&Json::parse(&self.canonical)?, add, remove)?.write(&mut text);
        Ok(text)
    }

    fn field_names(&self) -> BTreeSet<String> {
        match self.node(self.root) {
            Node::Record { fields, .. } => fields.iter().map(|field| field.name.clone()).collect(),
            _ => BTreeSet::new(),
        }
    }

    fn fields(&self) -> Result<Vec<SchemaField>, SchemaError> {
        fields::fields(self)
    }

    fn tagged_entities(&self) -> Vec<EntityTags> {
        Json::parse(&self.canonical).map(|schema| tags::entities(&schema)).unwrap_or_default()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
