//! Whether a JSON default fits the type of its field. Knows nodes and JSON only.

use std::collections::HashMap;

use super::super::json::Json;
use super::{Node, NodeId, Primitive};

/// Deepest nesting of a default; schemas are finite but may be recursive.
const MAX_DEPTH: usize = 128;
/// Most steps the defaults of one schema may take together: unions and records within records can multiply.
pub(super) const MAX_STEPS: usize = 1_000_000;

/// Whether `value` is a valid default for the type `schema`: by JSON type, unions by any branch, as Java judges it.
/// `steps` counts the work over all defaults of a schema; past [`MAX_STEPS`] nothing fits any more.
pub(super) fn fits(nodes: &[Node], schema: NodeId, value: &Json, steps: &mut usize) -> bool {
    check(nodes, schema, value, 0, steps)
}

/// Whether it needs no further look: a value without parts that fits a type whose names may not all be known yet.
pub(super) fn fits_plainly(nodes: &[Node], schema: NodeId, value: &Json) -> bool {
    !matches!(value, Json::Array(_) | Json::Object(_)) && fits(nodes, schema, value, &mut 0)
}

fn check(nodes: &[Node], schema: NodeId, value: &Json, depth: usize, steps: &mut usize) -> bool {
    *steps += 1;
    if depth > MAX_DEPTH || *steps > MAX_STEPS {
        return false;
    }
    let depth = depth + 1;
    match nodes.get(schema.0 as usize) {
        Some(Node::Primitive(primitive, _)) => match (primitive, value) {
            (Primitive::Null, Json::Null) | (Primitive::Boolean, Json::Bool(_)) => true,
            (Primitive::Int, Json::Number(_)) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            (Primitive::Long, Json::Number(_)) => value.as_i64().is_some(),
            (Primitive::Float | Primitive::Double, Json::Number(_)) => true,
            (Primitive::Bytes | Primitive::String, Json::String(_)) => true,
            _ => false,
        },
        Some(Node::Enum { .. } | Node::Fixed { .. }) => matches!(value, Json::String(_)),
        Some(Node::Array { items, .. }) => match value {
            Json::Array(values) => values.iter().all(|value| check(nodes, *items, value, depth, steps)),
            _ => false,
        },
        Some(Node::Map { values, .. }) => match value {
            Json::Object(members) => members.iter().all(|(_, value)| check(nodes, *values, value, depth, steps)),
            _ => false,
        },
        Some(Node::Union(branches)) => branches.iter().any(|branch| check(nodes, *branch, value, depth, steps)),
        Some(Node::Record { fields, .. }) => {
            let Json::Object(members) = value else { return false };
            *steps += members.len();
            let members: HashMap<&str, &Json> = members.iter().map(|(key, value)| (key.as_str(), value)).collect();
            fields.iter().all(|field| match members.get(field.name.as_str()).copied().or(field.default.as_ref()) {
                Some(value) => check(nodes, field.schema, value, depth, steps),
                None => false,
            })
        }
        Some(Node::Unresolved(_)) | None => true,
    }
}
