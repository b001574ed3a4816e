//! The fields of an Avro schema as columns.

use super::super::SchemaError;
use super::super::fields::{Collector, Declared, Open, SchemaField, either, element, map_value};
use super::{AvroSchema, Node, NodeId, Primitive, Properties};
use crate::schema::json::Json;

/// All fields, outer ones first.
pub(super) fn fields(schema: &AvroSchema) -> Result<Vec<SchemaField>, SchemaError> {
    let mut walk = Walk { schema, open: Open::new(), found: Collector::default() };
    walk.node(schema.root(), "")?;
    Ok(walk.found.finish())
}

struct Walk<'a> {
    schema: &'a AvroSchema,
    open: Open<NodeId>,
    found: Collector,
}

impl Walk<'_> {
    fn node(&mut self, id: NodeId, path: &str) -> Result<(), SchemaError> {
        match self.schema.node(id) {
            Node::Record { fields, .. } => {
                if !self.open.enter(id, path)? {
                    return Ok(());
                }
                for field in fields {
                    let data_type = type_text(self.schema, field.schema);
                    let (name, former) = (&field.name, &field.aliases);
                    let path = self.found.add(path, Declared { name, data_type, former, number: None })?;
                    self.node(field.schema, &path)?;
                }
                self.open.leave();
                Ok(())
            }
            Node::Array { items, .. } => self.node(*items, &element(path)),
            Node::Map { values, .. } => self.node(*values, &map_value(path)),
            Node::Union(branches) => branches.iter().try_for_each(|branch| self.node(*branch, path)),
            _ => Ok(()),
        }
    }
}

/// A type in a word, without what its records hold; null is no type of a column.
fn type_text(schema: &AvroSchema, id: NodeId) -> String {
    match schema.node(id) {
        Node::Primitive(primitive, properties) => logical(properties).unwrap_or_else(|| primitive.as_str().to_owned()),
        Node::Array { items, .. } => format!("array<{}>", type_text(schema, *items)),
        Node::Map { values, .. } => format!("map<{}>", type_text(schema, *values)),
        Node::Union(branches) => {
            let is_null = |id: &&NodeId| matches!(schema.node(**id), Node::Primitive(Primitive::Null, _));
            let branches = branches.iter().filter(|id| !is_null(id));
            let texts: Vec<String> = branches.map(|id| type_text(schema, *id)).collect();
            if texts.is_empty() { "null".to_owned() } else { either(texts.iter().map(String::as_str)) }
        }
        Node::Record { .. } => "record".to_owned(),
        Node::Enum { .. } => "enum".to_owned(),
        Node::Fixed { size, properties, .. } => logical(properties).unwrap_or_else(|| format!("fixed({size})")),
        Node::Unresolved(name) => name.to_string(),
    }
}

/// The logical type: what it is stored as does not change what it means.
fn logical(properties: &Properties) -> Option<String> {
    let get = |name: &str| properties.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let name = get("logicalType").and_then(Json::as_str)?;
    let number = |name: &str| get(name).and_then(Json::as_i64);
    Some(match number("precision") {
        Some(precision) => format!("{name}({precision},{})", number("scale").unwrap_or(0)),
        None => name.to_owned(),
    })
}
