//! The text of a schema: attributes kept, order and spacing fixed, as Java Avro's `Schema.toString` writes it.
//! This is the text the registry stores and by which it recognises equal schemas; it is not Avro's "parsing canonical
//! form", which drops documentation, defaults and aliases.

use std::collections::HashSet;

use super::super::json::{Json, write_string};
use super::{AvroSchema, Field, FullName, Named, Node, NodeId, Primitive, Properties};

/// Logical types that the language gives a meaning to.
const LOGICAL_TYPES: [&str; 13] = [
    "big-decimal",
    "date",
    "decimal",
    "duration",
    "local-timestamp-micros",
    "local-timestamp-millis",
    "local-timestamp-nanos",
    "time-micros",
    "time-millis",
    "timestamp-micros",
    "timestamp-millis",
    "timestamp-nanos",
    "uuid",
];

/// Which text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Attributes in written order, referenced types by name.
    Canonical,
    /// As canonical, without differences that carry no meaning: keys of attributes and aliases are sorted, a logical
    /// type comes before other attributes, and a type's empty documentation is left out.
    Normalized,
    /// As canonical, with referenced types written out at their first mention.
    Resolved,
}

/// Writes the schema.
pub(super) fn text(schema: &AvroSchema, form: Form) -> String {
    let mut writer = Writer { schema, form, written: HashSet::new(), out: String::new() };
    writer.node(schema.root(), None);
    writer.out
}

struct Writer<'a> {
    schema: &'a AvroSchema,
    form: Form,
    written: HashSet<NodeId>,
    out: String,
}

impl Writer<'_> {
    fn node(&mut self, id: NodeId, namespace: Option<&str>) {
        let schema = self.schema;
        let node = schema.node(id);
        if let Some(named) = node.named() {
            let referenced = id.0 < schema.own && self.form != Form::Resolved;
            if referenced && id != schema.root() || !self.written.insert(id) {
                return write_string(&qualified(&named.name, namespace), &mut self.out);
            }
        }
        match node {
            Node::Primitive(primitive, properties) if properties.is_empty() => {
                write_string(primitive.as_str(), &mut self.out);
            }
            Node::Primitive(primitive, properties) => {
                self.open(primitive.as_str());
                self.close(properties);
            }
            Node::Array { items, properties } => {
                self.open("array");
                self.key("items");
                self.node(*items, namespace);
                self.close(properties);
            }
            Node::Map { values, properties } => {
                self.open("map");
                self.key("values");
                self.node(*values, namespace);
                self.close(properties);
            }
            Node::Union(branches) => {
                self.out.push('[');
                for (index, branch) in branches.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.node(*branch, namespace);
                }
                self.out.push(']');
            }
            Node::Record { named, fields, keyword, properties } => {
                self.open(if self.form == Form::Normalized { "record" } else { keyword });
                self.named(named, namespace);
                self.key("fields");
                self.out.push('[');
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.field(field, named.name.namespace.as_deref());
                }
                self.out.push(']');
                self.properties(properties);
                self.aliases(named);
                self.out.push('}');
            }
            Node::Enum { named, symbols, default, properties } => {
                self.open("enum");
                self.named(named, namespace);
                self.key("symbols");
                self.texts(symbols);
                self.text("default", default.as_deref());
                self.properties(properties);
                self.aliases(named);
                self.out.push('}');
            }
            Node::Fixed { named, size, properties } => {
                self.open("fixed");
                self.named(named, namespace);
                self.key("size");
                self.out.push_str(&size.to_string());
                self.properties(properties);
                self.aliases(named);
                self.out.push('}');
            }
            Node::Unresolved(name) => write_string(&qualified(name, namespace), &mut self.out),
        }
    }

    fn field(&mut self, field: &Field, namespace: Option<&str>) {
        self.out.push_str("{\"name\":");
        write_string(&field.name, &mut self.out);
        self.key("type");
        self.node(field.schema, namespace);
        self.text("doc", field.doc.as_deref());
        if let Some(default) = &field.default {
            self.key("default");
            self.json(default);
        }
        self.text("order", field.order.as_deref());
        if !field.aliases.is_empty() {
            self.key("aliases");
            let mut aliases = field.aliases.clone();
            self.sort(&mut aliases);
            self.texts(&aliases);
        }
        self.close(&field.properties);
    }

    fn open(&mut self, kind: &str) {
        self.out.push_str("{\"type\":");
        write_string(kind, &mut self.out);
    }

    fn key(&mut self, key: &str) {
        self.out.push(',');
        write_string(key, &mut self.out);
        self.out.push(':');
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            write_string(value, &mut self.out);
        }
    }

    fn texts(&mut self, texts: &[String]) {
        self.out.push('[');
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write_string(text, &mut self.out);
        }
        self.out.push(']');
    }

    fn named(&mut self, named: &Named, enclosing: Option<&str>) {
        self.key("name");
        write_string(&named.name.name, &mut self.out);
        match named.name.namespace.as_deref() {
            Some(namespace) if enclosing == Some(namespace) => {}
            Some(namespace) => self.text("namespace", Some(namespace)),
            None if enclosing.is_some() => self.text("namespace", Some("")),
            None => {}
        }
        let doc = named.doc.as_deref().filter(|doc| self.form != Form::Normalized || !doc.is_empty());
        self.text("doc", doc);
    }

    fn aliases(&mut self, named: &Named) {
        if named.aliases.is_empty() {
            return;
        }
        let namespace = named.name.namespace.as_deref();
        let mut aliases: Vec<&FullName> = named.aliases.iter().collect();
        if self.form == Form::Normalized {
            aliases.sort_by_key(|alias| alias.to_string());
            aliases.dedup();
        }
        let aliases: Vec<String> = aliases.into_iter().map(|alias| qualified(alias, namespace)).collect();
        self.key("aliases");
        self.texts(&aliases);
    }

    fn sort(&self, texts: &mut Vec<String>) {
        if self.form == Form::Normalized {
            texts.sort_unstable();
            texts.dedup();
        }
    }

    fn properties(&mut self, properties: &Properties) {
        let mut properties: Vec<&(String, Json)> = properties.iter().collect();
        if self.form == Form::Normalized {
            let logical = properties.iter().find(|(key, _)| key == "logicalType");
            let logical = logical.and_then(|(_, name)| name.as_str()).unwrap_or_default();
            properties.sort_by(|left, right| rank(left, logical).cmp(&rank(right, logical)));
        }
        for (key, value) in properties {
            self.key(key);
            self.json(value);
        }
    }

    fn close(&mut self, properties: &Properties) {
        self.properties(properties);
        self.out.push('}');
    }

    fn json(&mut self, value: &Json) {
        match self.form {
            Form::Normalized => value.sorted().write(&mut self.out),
            _ => value.write(&mut self.out),
        }
    }
}

/// Where a normalised text has an attribute beside the logical type of this name.
fn rank<'a>((key, value): &'a (String, Json), logical: &str) -> (usize, &'a str) {
    let first = match (key.as_str(), logical) {
        ("logicalType", known) if LOGICAL_TYPES.contains(&known) => 0,
        ("precision", "decimal") => 1,
        ("scale", "decimal") if *value != Json::Number("0".to_owned()) => 2,
        _ => 3,
    };
    (first, key)
}

/// The name as written inside `namespace`: short where it means the same and is not a type's keyword.
fn qualified(name: &FullName, namespace: Option<&str>) -> String {
    let keyword = Primitive::from_name(&name.name).is_some()
        || ["record", "error", "enum", "array", "map", "union", "fixed"].contains(&name.name.as_str());
    if name.namespace.as_deref() == namespace && !keyword { name.name.clone() } else { name.to_string() }
}
