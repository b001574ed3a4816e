//! The properties of a JSON schema as columns.

use std::collections::{BTreeSet, HashMap};

use super::super::SchemaError;
use super::super::fields::{Collector, Declared, Open, SchemaField, element, map_value};
use super::JsonSchema;
use super::model::{Arena, Criterion, Kind, NodeId};

/// The type of what nothing is said about.
const ANY: &str = "any";
/// How deep combinations and arrays are looked into for a type.
const MAX_DEPTH: usize = 32;

/// All properties, outer ones first.
pub(super) fn fields(schema: &JsonSchema) -> Result<Vec<SchemaField>, SchemaError> {
    let (open, types) = (Open::new(), HashMap::new());
    let mut walk = Walk { arena: &schema.arena, open, types, found: Collector::default() };
    walk.node(schema.root, "")?;
    Ok(walk.found.finish())
}

struct Walk<'a> {
    arena: &'a Arena,
    open: Open<NodeId>,
    /// Types by node: combinations of combinations mention the same ones over and over.
    types: HashMap<NodeId, BTreeSet<String>>,
    found: Collector,
}

impl Walk<'_> {
    fn node(&mut self, id: NodeId, path: &str) -> Result<(), SchemaError> {
        let Some(id) = self.arena.follow(id) else { return Ok(()) };
        let arena = self.arena;
        let has_parts = !matches!(arena.node(id).kind, Kind::String(_) | Kind::Number(_) | Kind::Boolean | Kind::Null);
        if !has_parts || !self.open.enter(id, path)? {
            return Ok(());
        }
        match &arena.node(id).kind {
            Kind::Object(rules) => {
                for (name, value) in &rules.properties {
                    let data_type = self.type_text(*value);
                    let path = self.found.add(path, Declared { name, data_type, former: &[], number: None })?;
                    self.node(*value, &path)?;
                }
                for value in rules.patterns.iter().map(|(_, value)| value).chain(&rules.additional) {
                    self.node(*value, &map_value(path))?;
                }
            }
            Kind::Array(rules) => {
                for item in rules.all.iter().chain(&rules.tuple).chain(&rules.additional) {
                    self.node(*item, &element(path))?;
                }
            }
            Kind::Combined { parts, .. } => parts.iter().try_for_each(|part| self.node(*part, path))?,
            Kind::Conditional(parts) => parts.iter().flatten().try_for_each(|part| self.node(*part, path))?,
            _ => {}
        }
        self.open.leave();
        Ok(())
    }

    /// A type in a word, without what its objects hold; null is no type of a column.
    fn type_text(&mut self, id: NodeId) -> String {
        let types: Vec<String> = self.types(id, 0).into_iter().filter(|name| name != "null").collect();
        if types.is_empty() { "null".to_owned() } else { types.join("|") }
    }

    fn types(&mut self, id: NodeId, depth: usize) -> BTreeSet<String> {
        let one = |name: &str| BTreeSet::from([name.to_owned()]);
        let Some(id) = self.arena.follow(id).filter(|_| depth < MAX_DEPTH) else { return one(ANY) };
        if let Some(known) = self.types.get(&id) {
            return known.clone();
        }
        // What a type says of itself while it is being read adds nothing.
        self.types.insert(id, BTreeSet::new());
        let arena = self.arena;
        let types = match &arena.node(id).kind {
            Kind::String(_) => one("string"),
            Kind::Number(rules) => one(if rules.integer { "integer" } else { "number" }),
            Kind::Boolean => one("boolean"),
            Kind::Null => one("null"),
            Kind::Enum(values) => values.iter().map(|value| value_type(value).to_owned()).collect(),
            Kind::Const(value) => one(value_type(value)),
            Kind::Object(_) => one("object"),
            Kind::Array(rules) => {
                let items = rules.all.iter().chain(&rules.tuple);
                let items: BTreeSet<String> = items.flat_map(|item| self.types(*item, depth + 1)).collect();
                match items.is_empty() {
                    true => one("array"),
                    false => one(&format!("array<{}>", items.into_iter().collect::<Vec<_>>().join(","))),
                }
            }
            Kind::Combined { criterion, parts, .. } => {
                let mut all: BTreeSet<String> = parts.iter().flat_map(|part| self.types(*part, depth + 1)).collect();
                // What must hold besides says nothing where something else does.
                if *criterion == Criterion::All && all.len() > 1 {
                    all.remove(ANY);
                }
                all
            }
            Kind::True | Kind::Empty | Kind::False | Kind::Not(_) | Kind::Conditional(_) => one(ANY),
            Kind::Ref(_) | Kind::Foreign(_) => one(ANY),
        };
        self.types.insert(id, types.clone());
        types
    }
}

/// The type of a value that is given as text.
fn value_type(text: &str) -> &'static str {
    match text.bytes().next() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(b'n') | None => "null",
        Some(_) if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => "number",
        Some(_) => "integer",
    }
}
