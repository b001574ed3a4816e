//! From schema text to nodes, by the Avro 1.12 specification as the Java library reads it.
//! Knows nothing of canonical text or compatibility.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::super::json::Json;
use super::super::{ResolvedReference, SchemaError, Validation};
use super::{Field, FullName, Named, Node, NodeId, Primitive, Properties, defaults};

const SCHEMA_RESERVED: &[&str] =
    &["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const FIELD_RESERVED: &[&str] = &["default", "doc", "name", "order", "type", "aliases"];

/// Longest full name of a type, in bytes. Each type keeps its own, and each mention may be written in full.
const MAX_FULL_NAME: usize = 1024;
/// Most bytes of full names, full aliases and paths to defaults that one schema may have: a short text can hold many.
const MAX_NAME_BYTES: usize = 32 * 1024 * 1024;

/// Parses the references, then the text, into one arena: (nodes, root, first own node).
pub(super) fn parse(
    text: &str,
    references: &[ResolvedReference],
    validation: Validation,
) -> Result<(Vec<Node>, NodeId, u32), SchemaError> {
    let mut parser = Parser { nodes: Vec::new(), names: HashMap::new(), checks: Vec::new(), name_bytes: 0, validation };
    for reference in references {
        // A referenced schema was judged when it was registered; here it only has to be readable.
        parser.validation = if validation == Validation::Strict { Validation::Lenient } else { validation };
        parser
            .document(&reference.schema)
            .map_err(|source| SchemaError::Reference { name: reference.name.clone(), source: Box::new(source) })?;
    }
    parser.validation = validation;
    parser.checks.clear();
    let own = parser.nodes.len() as u32;
    let root = parser.document(text)?;
    parser.check_defaults()?;
    Ok((parser.nodes, root, own))
}

struct Parser {
    nodes: Vec<Node>,
    names: HashMap<FullName, NodeId>,
    /// Defaults to validate once every name is known: (field's schema, default, path, field name).
    checks: Vec<(NodeId, Json, String, String)>,
    /// Against [`MAX_NAME_BYTES`].
    name_bytes: usize,
    validation: Validation,
}

/// Where the parser stands, and the namespace that names are read in. A chain, as only errors ask for the whole path.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    token: Token<'a>,
    namespace: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> From<&'a str> for Token<'a> {
    fn from(key: &'a str) -> Self {
        Token::Key(key)
    }
}

impl From<usize> for Token<'_> {
    fn from(index: usize) -> Self {
        Token::Index(index)
    }
}

impl Place<'_> {
    fn below<'b>(&'b self, token: impl Into<Token<'b>>) -> Place<'b> {
        Place { above: Some(self), token: token.into(), namespace: self.namespace }
    }

    /// As a JSON pointer.
    fn path(&self) -> String {
        let Some(above) = self.above else { return String::new() };
        let mut path = above.path();
        path.push('/');
        match self.token {
            Token::Key(key) => path.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Token::Index(index) => path.push_str(&index.to_string()),
        }
        path
    }

    fn invalid(&self, message: impl Into<String>) -> SchemaError {
        SchemaError::Invalid { path: self.path(), message: message.into() }
    }
}

impl Parser {
    fn document(&mut self, text: &str) -> Result<NodeId, SchemaError> {
        let place = Place { above: None, token: Token::Index(0), namespace: None };
        // Avro allows a primitive's bare name as a schema text, without quotes.
        if let Some(primitive) = Primitive::from_name(text.trim()) {
            return Ok(self.add(Node::Primitive(primitive, Vec::new())));
        }
        let json = Json::parse(text)?;
        self.schema(&json, &place)
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        id
    }

    fn schema(&mut self, json: &Json, place: &Place) -> Result<NodeId, SchemaError> {
        match json {
            Json::String(name) => self.mention(name, place),
            Json::Array(branches) => self.union(branches, place),
            Json::Object(_) => self.object(json, place),
            _ => Err(place.invalid("a schema is a name, an object or a list of branches")),
        }
    }

    /// A type by its name.
    fn mention(&mut self, name: &str, place: &Place) -> Result<NodeId, SchemaError> {
        if let Some(primitive) = Primitive::from_name(name) {
            return Ok(self.add(Node::Primitive(primitive, Vec::new())));
        }
        let full = FullName::written(name, place.namespace);
        let bare = FullName { name: full.name.clone(), namespace: None };
        let fallback = if name.contains('.') { None } else { self.names.get(&bare) };
        match self.names.get(&full).or(fallback) {
            Some(id) => Ok(*id),
            None if self.validation == Validation::Unresolved => {
                self.charge(name.len() + full.namespace.as_ref().map_or(0, String::len))?;
                Ok(self.add(Node::Unresolved(full)))
            }
            None => Err(place.invalid(format!("undefined name \"{name}\""))),
        }
    }

    fn union(&mut self, branches: &[Json], place: &Place) -> Result<NodeId, SchemaError> {
        let mut ids = Vec::with_capacity(branches.len());
        let mut seen = HashSet::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let place = place.below(index);
            let id = self.schema(branch, &place)?;
            let key = match self.nodes.get(id.0 as usize) {
                Some(Node::Union(_)) => return Err(place.invalid("a union may not contain a union directly")),
                Some(node) => node.named().map_or_else(|| node.type_name(), |named| named.name.to_string().into()),
                None => Cow::Borrowed(""),
            };
            if seen.contains(&key) {
                return Err(place.invalid(format!("duplicate in union: {}", key.to_ascii_lowercase())));
            }
            seen.insert(key);
            ids.push(id);
        }
        Ok(self.add(Node::Union(ids)))
    }

    fn object(&mut self, json: &Json, place: &Place) -> Result<NodeId, SchemaError> {
        let kind = json.get("type").ok_or_else(|| place.invalid("no \"type\""))?;
        let Some(kind) = kind.as_str() else {
            // {"type": {…}} is the inner schema; Java drops the outer attributes, too.
            return self.schema(kind, &place.below("type"));
        };
        if let Some(primitive) = Primitive::from_name(kind) {
            let properties = properties(json, SCHEMA_RESERVED, &[]);
            return Ok(self.add(Node::Primitive(primitive, properties)));
        }
        match kind {
            "record" => self.record(json, "record", place),
            "error" => self.record(json, "error", place),
            "enum" => self.enumeration(json, place),
            "fixed" => self.fixed(json, place),
            "array" => {
                let items = json.get("items").ok_or_else(|| place.invalid("array without \"items\""))?;
                let items = self.schema(items, &place.below("items"))?;
                Ok(self.add(Node::Array { items, properties: properties(json, SCHEMA_RESERVED, &[]) }))
            }
            "map" => {
                let values = json.get("values").ok_or_else(|| place.invalid("map without \"values\""))?;
                let values = self.schema(values, &place.below("values"))?;
                Ok(self.add(Node::Map { values, properties: properties(json, SCHEMA_RESERVED, &[]) }))
            }
            name => self.mention(name, &place.below("type")),
        }
    }

    fn record(&mut self, json: &Json, keyword: &'static str, place: &Place) -> Result<NodeId, SchemaError> {
        let named = self.named(json, place)?;
        let Some(Json::Array(written)) = json.get("fields") else {
            return Err(place.invalid("record without a list of \"fields\""));
        };
        let properties = properties(json, SCHEMA_RESERVED, &[]);
        let name = named.name.clone();
        // The record is known by name before its fields are read: that is what makes it recursive.
        let id = self.define(&name, Node::Record { named, fields: Vec::new(), keyword, properties }, place)?;
        let mut fields = Vec::with_capacity(written.len());
        let mut seen = HashSet::with_capacity(written.len());
        let inner = Place { namespace: name.namespace.as_deref(), ..*place };
        let below = inner.below("fields");
        for (index, json) in written.iter().enumerate() {
            let place = below.below(index);
            let field = self.field(json, &place)?;
            if !seen.insert(json.get("name").and_then(Json::as_str)) {
                return Err(place.invalid(format!("duplicate field \"{}\" in record {name}", field.name)));
            }
            fields.push(field);
        }
        if let Some(Node::Record { fields: slot, .. }) = self.nodes.get_mut(id.0 as usize) {
            *slot = fields;
        }
        Ok(id)
    }

    fn field(&mut self, json: &Json, place: &Place) -> Result<Field, SchemaError> {
        let name = text(json, "name", place)?.ok_or_else(|| place.invalid("field without \"name\""))?;
        self.check_name(&name, place)?;
        let schema = json.get("type").ok_or_else(|| place.invalid(format!("field \"{name}\" without \"type\"")))?;
        let schema = self.schema(schema, &place.below("type"))?;
        let default = json.get("default").cloned();
        let is_new = |_: &&Json| self.validation == Validation::Strict;
        if let Some(default) = default.as_ref().filter(is_new)
            && !defaults::fits_plainly(&self.nodes, schema, default)
        {
            let path = place.path();
            self.charge(path.len())?;
            self.checks.push((schema, default.clone(), path, name.clone()));
        }
        let order = text(json, "order", place)?.map(|order| order.to_ascii_lowercase());
        if let Some(order) = &order
            && !["ascending", "descending", "ignore"].contains(&order.as_str())
        {
            return Err(place.invalid(format!("unknown order \"{order}\"")));
        }
        let aliases = strings(json, "aliases", place)?.unwrap_or_default();
        Ok(Field {
            name,
            schema,
            doc: text_or_none(json, "doc"),
            default,
            order: order.filter(|order| order != "ascending"),
            aliases,
            properties: properties(json, FIELD_RESERVED, &[]),
        })
    }

    fn enumeration(&mut self, json: &Json, place: &Place) -> Result<NodeId, SchemaError> {
        let named = self.named(json, place)?;
        let symbols =
            strings(json, "symbols", place)?.ok_or_else(|| place.invalid("enum without a list of \"symbols\""))?;
        let mut seen = HashSet::new();
        for symbol in &symbols {
            self.check_name(symbol, &place.below("symbols"))?;
            if !seen.insert(symbol) {
                return Err(place.below("symbols").invalid(format!("duplicate enum symbol \"{symbol}\"")));
            }
        }
        let default = text(json, "default", place)?;
        if let Some(default) = &default
            && !seen.contains(default)
        {
            return Err(place
                .below("default")
                .invalid(format!("enum default \"{default}\" is not one of its symbols")));
        }
        let name = named.name.clone();
        let properties = properties(json, SCHEMA_RESERVED, &["default"]);
        self.define(&name, Node::Enum { named, symbols, default, properties }, place)
    }

    fn fixed(&mut self, json: &Json, place: &Place) -> Result<NodeId, SchemaError> {
        let named = self.named(json, place)?;
        let size = json.get("size").and_then(Json::as_i64).filter(|size| *size <= i64::from(i32::MAX));
        let size = size.and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or_else(|| place.invalid("fixed without a valid \"size\""))?;
        let name = named.name.clone();
        self.define(&name, Node::Fixed { named, size, properties: properties(json, SCHEMA_RESERVED, &[]) }, place)
    }

    fn named(&mut self, json: &Json, place: &Place) -> Result<Named, SchemaError> {
        let written = text(json, "name", place)?.ok_or_else(|| place.invalid("no \"name\""))?;
        let namespace = text(json, "namespace", place)?;
        let enclosing = namespace.as_deref().or(place.namespace);
        if written.len() + enclosing.map_or(0, str::len) > MAX_FULL_NAME {
            return Err(place.invalid(format!("the full name of a type is longer than {MAX_FULL_NAME} bytes")));
        }
        let name = FullName::written(&written, enclosing);
        self.check_name(&name.name, place)?;
        if name.namespace.is_none() && Primitive::from_name(&name.name).is_some() {
            return Err(place.invalid(format!("a type may not have the name of the primitive \"{name}\"")));
        }
        let aliases = strings(json, "aliases", place)?.unwrap_or_default();
        let space = name.namespace.as_ref().map_or(0, String::len);
        self.charge(name.name.len() + space + aliases.iter().map(|alias| alias.len() + space).sum::<usize>())?;
        let aliases =
            aliases.iter().map(|alias| FullName::written(alias, name.namespace.as_deref())).collect::<Vec<_>>();
        Ok(Named { name, doc: text_or_none(json, "doc"), aliases })
    }

    fn define(&mut self, name: &FullName, node: Node, place: &Place) -> Result<NodeId, SchemaError> {
        if self.names.contains_key(name) {
            return Err(place.invalid(format!("the name \"{name}\" is defined twice")));
        }
        let id = self.add(node);
        self.names.insert(name.clone(), id);
        Ok(id)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), SchemaError> {
        self.name_bytes = self.name_bytes.saturating_add(bytes);
        if self.name_bytes > MAX_NAME_BYTES {
            return Err(SchemaError::TooLarge { limit: MAX_NAME_BYTES, unit: "bytes of full names" });
        }
        Ok(())
    }

    fn check_name(&self, name: &str, place: &Place) -> Result<(), SchemaError> {
        if self.validation != Validation::Strict {
            return Ok(());
        }
        let mut characters = name.chars();
        let first = characters.next().ok_or_else(|| place.invalid("empty name"))?;
        if !(first.is_ascii_alphabetic() || first == '_') {
            return Err(place.invalid(format!("illegal first character in name \"{name}\"")));
        }
        if characters.any(|character| !(character.is_ascii_alphanumeric() || character == '_')) {
            return Err(place.invalid(format!("illegal character in name \"{name}\"")));
        }
        Ok(())
    }

    fn check_defaults(&self) -> Result<(), SchemaError> {
        if self.validation != Validation::Strict {
            return Ok(());
        }
        let mut steps = 0;
        for (schema, default, path, field) in &self.checks {
            if !defaults::fits(&self.nodes, *schema, default, &mut steps) {
                if steps > defaults::MAX_STEPS {
                    return Err(SchemaError::TooLarge { limit: defaults::MAX_STEPS, unit: "steps to check defaults" });
                }
                let mut text = String::new();
                default.write(&mut text);
                return Err(SchemaError::Invalid {
                    path: format!("{path}/default"),
                    message: format!("invalid default for field {field}: {text} does not fit its type"),
                });
            }
        }
        Ok(())
    }
}

fn properties(json: &Json, reserved: &[&str], more: &[&str]) -> Properties {
    let Json::Object(members) = json else { return Vec::new() };
    let kept = members.iter().filter(|(key, value)| {
        *value != Json::Null && !reserved.contains(&key.as_str()) && !more.contains(&key.as_str())
    });
    kept.cloned().collect()
}

/// A text attribute; another type of value is an error.
fn text(json: &Json, key: &str, place: &Place) -> Result<Option<String>, SchemaError> {
    match json.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(place.below(key).invalid(format!("\"{key}\" is not a text"))),
    }
}

/// A text attribute; another type of value counts as absent, as Java reads `doc`.
fn text_or_none(json: &Json, key: &str) -> Option<String> {
    json.get(key).and_then(Json::as_str).map(str::to_owned)
}

fn strings(json: &Json, key: &str, place: &Place) -> Result<Option<Vec<String>>, SchemaError> {
    let items = match json.get(key) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Array(items)) => items,
        Some(_) => return Err(place.below(key).invalid(format!("\"{key}\" is not a list of texts"))),
    };
    let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    texts.map(Some).ok_or_else(|| place.below(key).invalid(format!("\"{key}\" is not a list of texts")))
}
