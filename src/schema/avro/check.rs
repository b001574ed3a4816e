//! Whether a reader's schema can read a writer's data: schema resolution of the Avro specification, judged and reported
//! as Java Avro's compatibility check does. Knows nodes only.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::Incompatibility;
use super::{AvroSchema, Field, Named, Node, NodeId, Primitive};

/// Most units of work of one check: a pair of nodes, a field, an alias or a symbol that is looked at. Pairs are
/// remembered, so real schemas stay far below.
const MAX_WORK: usize = 5_000_000;
/// What an incompatibility costs that a pair passes on: all are copied, and remembered with the pair.
const FOUND_WORK: usize = 20;
/// As many bytes of its texts count as a unit.
const BYTES_PER_UNIT: usize = 16;
/// Deepest nesting that is compared. A text cannot nest deeper, only long chains of named types can.
const MAX_LEVELS: usize = 400;
/// Most incompatibilities that are listed.
const MAX_FOUND: usize = 1_000;

/// Everything in which `reader` cannot read data of `writer`. Past [`MAX_WORK`] that is one: that it cannot be told.
pub(super) fn incompatibilities(reader: &AvroSchema, writer: &AvroSchema) -> Vec<Incompatibility> {
    // Equal texts need no comparison; with references the same text may mean different types.
    if reader.own == 0 && writer.own == 0 && reader.canonical == writer.canonical {
        return Vec::new();
    }
    let mut check = Check { reader, writer, known: HashMap::new(), path: Vec::new(), level: 0, work: 0 };
    let mut found = check.pair(reader.root(), writer.root());
    if check.is_spent() {
        check.path.clear();
        return vec![check.too_large()];
    }
    found.truncate(MAX_FOUND);
    found
}

struct Check<'a> {
    reader: &'a AvroSchema,
    writer: &'a AvroSchema,
    /// Result per pair; `None` while it is being compared, which breaks recursion: assumed compatible till disproved.
    known: HashMap<(NodeId, NodeId), Option<Vec<Incompatibility>>>,
    path: Vec<String>,
    level: usize,
    /// Units of work done so far.
    work: usize,
}

impl Check<'_> {
    /// Takes so many units of work; answers whether there were that many left.
    fn spend(&mut self, units: usize) -> bool {
        self.work = self.work.saturating_add(units);
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.work > MAX_WORK
    }

    fn too_large(&self) -> Incompatibility {
        self.found("TYPE_MISMATCH", "schemas are too large to compare".to_owned(), DIFFERENT_TYPE)
    }

    fn at(&mut self, token: impl ToString, reader: NodeId, writer: NodeId) -> Vec<Incompatibility> {
        self.path.push(token.to_string());
        let found = self.pair(reader, writer);
        self.path.pop();
        found
    }

    fn pair(&mut self, reader: NodeId, writer: NodeId) -> Vec<Incompatibility> {
        if !self.spend(1) {
            return Vec::new();
        }
        if let Some(known) = self.known.get(&(reader, writer)) {
            let found = known.clone().unwrap_or_default();
            self.spend(weight(&found));
            return found;
        }
        if self.level >= MAX_LEVELS {
            return vec![self.too_large()];
        }
        self.known.insert((reader, writer), None);
        self.level += 1;
        let mut found = self.compare(reader, writer);
        self.level -= 1;
        found.truncate(MAX_FOUND);
        if self.spend(weight(&found)) {
            self.known.insert((reader, writer), Some(found.clone()));
        }
        found
    }

    fn compare(&mut self, reader_id: NodeId, writer_id: NodeId) -> Vec<Incompatibility> {
        let (reader, writer) = (self.reader.node(reader_id), self.writer.node(writer_id));
        match (reader, writer) {
            (Node::Primitive(read, _), Node::Primitive(written, _)) if reads(*read, *written) => Vec::new(),
            (Node::Array { items: read, .. }, Node::Array { items: written, .. }) => self.at("items", *read, *written),
            (Node::Map { values: read, .. }, Node::Map { values: written, .. }) => self.at("values", *read, *written),
            (Node::Fixed { named: read, size, .. }, Node::Fixed { named: written, size: expected, .. }) => {
                let mut found = self.names(read, written);
                if size != expected {
                    let message = format!("expected: {expected}, found: {size}");
                    found.push(self.found_at("size", "FIXED_SIZE_MISMATCH", message, DIFFERENT_SIZE));
                }
                found
            }
            (
                Node::Enum { named: read, symbols, default, .. },
                Node::Enum { named: written, symbols: written_symbols, .. },
            ) => {
                let mut found = self.names(read, written);
                if !self.spend(symbols.len() + written_symbols.len()) {
                    return found;
                }
                let known: HashSet<&str> = symbols.iter().map(String::as_str).collect();
                let missing: BTreeSet<&str> =
                    written_symbols.iter().map(String::as_str).filter(|symbol| !known.contains(symbol)).collect();
                // A reader with a default takes it for every symbol it does not know.
                if !missing.is_empty() && default.is_none() {
                    let message = format!("[{}]", missing.into_iter().collect::<Vec<_>>().join(", "));
                    found.push(self.found_at("symbols", "MISSING_ENUM_SYMBOLS", message, MISSING_SYMBOLS));
                }
                found
            }
            (Node::Record { named: read, fields, .. }, Node::Record { named: written, fields: written_fields, .. }) => {
                let mut found = self.names(read, written);
                found.extend(self.fields(fields, written_fields, writer_id));
                found
            }
            (Node::Union(_), Node::Union(branches)) => {
                let mut found = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    if self.is_full(&found) {
                        break;
                    }
                    if !self.at(index, reader_id, *branch).is_empty() {
                        let message =
                            format!("reader union lacking writer type: {}", self.writer.node(*branch).type_name());
                        found.push(self.found_at(&index.to_string(), "MISSING_UNION_BRANCH", message, MISSING_BRANCH));
                    }
                }
                found
            }
            (_, Node::Union(branches)) => {
                let mut found = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    if self.is_full(&found) {
                        break;
                    }
                    found.extend(self.at(index, reader_id, *branch));
                }
                found
            }
            (Node::Union(branches), _) => {
                for (index, branch) in branches.iter().enumerate() {
                    if self.at(index, *branch, writer_id).is_empty() {
                        return Vec::new();
                    }
                }
                let message = format!("reader union lacking writer type: {}", writer.type_name());
                vec![self.found("MISSING_UNION_BRANCH", message, MISSING_BRANCH)]
            }
            _ => vec![self.mismatch(reader, writer)],
        }
    }

    /// Whether looking further would change nothing: no more is listed, or the work is spent.
    fn is_full(&self, found: &[Incompatibility]) -> bool {
        found.len() >= MAX_FOUND || self.is_spent()
    }

    fn names(&mut self, reader: &Named, writer: &Named) -> Vec<Incompatibility> {
        self.spend(reader.aliases.len());
        if reader.name.name == writer.name.name || reader.aliases.contains(&writer.name) {
            return Vec::new();
        }
        vec![self.found_at("name", "NAME_MISMATCH", format!("expected: {}", writer.name), DIFFERENT_NAME)]
    }

    fn fields(&mut self, reader: &[Field], writer: &[Field], writer_record: NodeId) -> Vec<Incompatibility> {
        if !self.spend(writer.len()) {
            return Vec::new();
        }
        let by_name: HashMap<&str, &Field> = writer.iter().map(|field| (field.name.as_str(), field)).collect();
        let mut found = Vec::new();
        self.path.push("fields".to_owned());
        for (index, field) in reader.iter().enumerate() {
            if self.is_full(&found) || !self.spend(1 + field.aliases.len()) {
                break;
            }
            self.path.push(index.to_string());
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let mut candidates = names.filter_map(|name| by_name.get(name.as_str()));
            match candidates.next() {
                Some(written) => {
                    if let Some(second) = candidates.find(|other| other.name != written.name) {
                        let message = format!(
                            "reader field {} matches the writer's fields {} and {}",
                            field.name, written.name, second.name
                        );
                        found.push(self.found("NAME_MISMATCH", message, DIFFERENT_NAME));
                    } else {
                        found.extend(self.at("type", field.schema, written.schema));
                    }
                }
                None if field.default.is_some() => {}
                None => {
                    // Java takes an enum's own default for the field's and then compares the enum with the record,
                    // which never fits; the report is its, too.
                    let node = self.reader.node(field.schema);
                    if matches!(node, Node::Enum { default: Some(_), .. }) {
                        found.extend(self.at("type", field.schema, writer_record));
                    } else {
                        found.push(self.found(
                            "READER_FIELD_MISSING_DEFAULT_VALUE",
                            field.name.clone(),
                            MISSING_DEFAULT,
                        ));
                    }
                }
            }
            self.path.pop();
        }
        self.path.pop();
        found
    }

    fn mismatch(&self, reader: &Node, writer: &Node) -> Incompatibility {
        let message =
            format!("reader type: {} not compatible with writer type: {}", reader.type_name(), writer.type_name());
        self.found("TYPE_MISMATCH", message, DIFFERENT_TYPE)
    }

    fn found_at(&self, token: &str, kind: &'static str, message: String, description: &str) -> Incompatibility {
        let tokens = self.path.iter().map(String::as_str).chain(std::iter::once(token));
        describe(kind, pointer(tokens), message, description)
    }

    fn found(&self, kind: &'static str, message: String, description: &str) -> Incompatibility {
        describe(kind, pointer(self.path.iter().map(String::as_str)), message, description)
    }
}

const DIFFERENT_NAME: &str = "The name of the schema has changed (path '{path}')";
const DIFFERENT_SIZE: &str =
    "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} schema";
const MISSING_SYMBOLS: &str =
    "The {reader} schema is missing enum symbols '{info}' at path '{path}' in the {writer} schema";
const MISSING_DEFAULT: &str = "The field '{info}' at path '{path}' in the {reader} schema has no default value and is \
                               missing in the {writer} schema";
const DIFFERENT_TYPE: &str =
    "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema";
const MISSING_BRANCH: &str =
    "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema";

/// What passing these on costs, in units of work.
fn weight(found: &[Incompatibility]) -> usize {
    let bytes = |found: &Incompatibility| found.location.len() + found.message.len() + found.description.len();
    found.iter().map(|found| FOUND_WORK + bytes(found) / BYTES_PER_UNIT).sum()
}

fn describe(kind: &'static str, location: String, message: String, description: &str) -> Incompatibility {
    let description = description.replace("{path}", &location).replace("{info}", &message);
    Incompatibility { kind, location, message, description }
}

fn pointer<'a>(tokens: impl Iterator<Item = &'a str>) -> String {
    let path: Vec<&str> = tokens.collect();
    format!("/{}", path.join("/"))
}

/// Whether a primitive reads another: itself or by promotion.
fn reads(reader: Primitive, writer: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    reader == writer
        || matches!(
            (reader, writer),
            (Long, Int) | (Float, Int | Long) | (Double, Int | Long | Float) | (Bytes, String) | (String, Bytes)
        )
}
