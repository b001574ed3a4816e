//! Canonical column types: one tree for Hive, Spark, SQL and OpenLineage spellings, and paths of nested fields.
//!
//! Pure text work on foreign input: bounded depth, never fails; what it cannot read stays a named type of its own.

mod parse;

use super::fact::Column;
use super::id::child_path;

/// How deep types nest before the rest is kept as text.
pub const MAX_DEPTH: usize = 32;
/// How many fields are flattened of one dataset; facts with more are refused before they come here.
pub const MAX_FIELDS: usize = 100_000;

/// A type in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// The source does not say.
    Unknown,
    /// `bigint`, `decimal(10,2)`, …: canonical name, parameters as far as known.
    Plain {
        /// Canonical name, lower case.
        name: String,
        /// Precision and scale, or length; empty if unknown.
        params: Vec<u32>,
    },
    /// Sequence of one type.
    Array(Box<Self>),
    /// Key and value.
    Map(Box<Self>, Box<Self>),
    /// Named fields in order.
    Struct(Vec<TypeField>),
    /// One of several.
    Union(Vec<Self>),
}

/// A field of a struct type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeField {
    /// Name as written, without quotes.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Comment inside the type text.
    pub comment: Option<String>,
}

/// What became of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeChange {
    /// Nothing a reader could notice, as far as is known.
    Same,
    /// Every old value fits.
    Widened,
    /// Some old values do not fit.
    Narrowed,
    /// Another type.
    Changed,
}

impl ColumnType {
    /// Reads a type in any of the known spellings.
    pub fn parse(text: &str) -> Self {
        parse::parse(text)
    }

    /// The type of a column with its nested fields, where the source nests them.
    pub fn of_column(column: &Column) -> Self {
        of_column(column, 0)
    }

    /// Canonical spelling.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Unknown => {}
            Self::Plain { name, params } => {
                out.push_str(name);
                if !params.is_empty() {
                    let params: Vec<String> = params.iter().map(u32::to_string).collect();
                    out.push('(');
                    out.push_str(&params.join(","));
                    out.push(')');
                }
            }
            Self::Array(element) => {
                out.push_str("array<");
                element.write(out);
                out.push('>');
            }
            Self::Map(key, value) => {
                out.push_str("map<");
                key.write(out);
                out.push(',');
                value.write(out);
                out.push('>');
            }
            Self::Struct(fields) => {
                out.push_str("struct<");
                for (nth, field) in fields.iter().enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    out.push_str(&field.name.to_lowercase());
                    out.push(':');
                    field.kind.write(out);
                }
                out.push('>');
            }
            Self::Union(kinds) => {
                out.push_str("union<");
                for (nth, kind) in kinds.iter().enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    kind.write(out);
                }
                out.push('>');
            }
        }
    }

    /// What happens to a reader of `self` when the type becomes `after`.
    pub fn change_to(&self, after: &Self) -> TypeChange {
        use ColumnType::{Array, Map, Plain, Struct, Union, Unknown};
        match (self, after) {
            (Unknown, _) | (_, Unknown) => TypeChange::Same,
            (Plain { name: a, params: p }, Plain { name: b, params: q }) => plain_change((a, p), (b, q)),
            (Array(a), Array(b)) => a.change_to(b),
            (Map(k, v), Map(l, w)) => worse(k.change_to(l), v.change_to(w)),
            (Struct(a), Struct(b)) => struct_change(a, b),
            (Union(a), Union(b)) if a.len() == b.len() => {
                a.iter().zip(b).fold(TypeChange::Same, |sum, (a, b)| worse(sum, a.change_to(b)))
            }
            // A producer that names only the outer kind says nothing about the inner one.
            (Plain { name, .. }, Array(_)) | (Array(_), Plain { name, .. }) if name == "array" => TypeChange::Same,
            (Plain { name, .. }, Map(..)) | (Map(..), Plain { name, .. }) if name == "map" => TypeChange::Same,
            (Plain { name, .. }, Struct(_)) | (Struct(_), Plain { name, .. }) if name == "struct" => TypeChange::Same,
            _ => TypeChange::Changed,
        }
    }

    /// Whether the two do not contradict each other: unknown parts equal anything.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.change_to(other) == TypeChange::Same
    }
}

fn worse(a: TypeChange, b: TypeChange) -> TypeChange {
    match (a, b) {
        (TypeChange::Same, other) | (other, TypeChange::Same) => other,
        (a, b) if a == b => a,
        _ => TypeChange::Changed,
    }
}

fn struct_change(before: &[TypeField], after: &[TypeField]) -> TypeChange {
    let same_names =
        before.len() == after.len() && before.iter().zip(after).all(|(a, b)| a.name.eq_ignore_ascii_case(&b.name));
    if !same_names {
        return TypeChange::Changed;
    }
    before.iter().zip(after).fold(TypeChange::Same, |sum, (a, b)| worse(sum, a.kind.change_to(&b.kind)))
}

const INTEGERS: [&str; 4] = ["tinyint", "smallint", "int", "bigint"];

fn plain_change((a, p): (&str, &[u32]), (b, q): (&str, &[u32])) -> TypeChange {
    if a == b {
        return params_change(a, p, q);
    }
    let rank = |name: &str| INTEGERS.iter().position(|n| *n == name);
    match (rank(a), rank(b)) {
        (Some(x), Some(y)) => return if x < y { TypeChange::Widened } else { TypeChange::Narrowed },
        (Some(x), None) if matches!(b, "double" | "decimal") || (b == "float" && x < 2) => return TypeChange::Widened,
        (None, Some(_)) if matches!(a, "double" | "float" | "decimal") => return TypeChange::Narrowed,
        _ => {}
    }
    match (a, b) {
        ("float", "double") | ("date", "timestamp") | ("varchar" | "char", "string") | ("char", "varchar") => {
            TypeChange::Widened
        }
        ("double", "float") | ("timestamp", "date") | ("string", "varchar" | "char") | ("varchar", "char") => {
            TypeChange::Narrowed
        }
        _ => TypeChange::Changed,
    }
}

fn params_change(name: &str, before: &[u32], after: &[u32]) -> TypeChange {
    if before == after || before.is_empty() || after.is_empty() {
        return TypeChange::Same;
    }
    let part = |list: &[u32], nth: usize| i64::from(list.get(nth).copied().unwrap_or(0));
    let (scale_before, scale_after) = (part(before, 1), part(after, 1));
    // For decimals both the digits before the point and those behind it must still fit.
    let whole = |list: &[u32]| if name == "decimal" { part(list, 0) - part(list, 1) } else { part(list, 0) };
    let (whole_before, whole_after) = (whole(before), whole(after));
    match (whole_after >= whole_before, scale_after >= scale_before) {
        (true, true) if (whole_after, scale_after) == (whole_before, scale_before) => TypeChange::Same,
        (true, true) => TypeChange::Widened,
        (false, false) => TypeChange::Narrowed,
        _ if whole_after <= whole_before && scale_after <= scale_before => TypeChange::Narrowed,
        _ => TypeChange::Changed,
    }
}

fn of_column(column: &Column, depth: usize) -> ColumnType {
    if column.fields.is_empty() || depth > MAX_DEPTH {
        return ColumnType::parse(&column.data_type);
    }
    let child = |name: &str| column.fields.iter().find(|f| f.name == name).map(|f| of_column(f, depth + 1));
    if let Some(element) = child("[]") {
        return ColumnType::Array(Box::new(element));
    }
    if let Some(value) = child("{}") {
        let key = match ColumnType::parse(&column.data_type) {
            ColumnType::Map(key, _) => *key,
            _ => ColumnType::Unknown,
        };
        return ColumnType::Map(Box::new(key), Box::new(value));
    }
    let fields = column
        .fields
        .iter()
        .map(|f| TypeField { name: f.name.clone(), kind: of_column(f, depth + 1), comment: f.description.clone() })
        .collect();
    ColumnType::Struct(fields)
}

/// One field of a flattened list of columns; parents come before their children.
#[derive(Clone, Debug, PartialEq)]
pub struct FlatField {
    /// Path from the dataset.
    pub path: String,
    /// Name as displayed.
    pub name: String,
    /// 0 for a column.
    pub depth: usize,
    /// As the source writes it; canonical text where only the type's text of an outer column has it.
    pub data_type: String,
    /// Parsed.
    pub kind: ColumnType,
    /// Comment.
    pub description: Option<String>,
    /// Nullability.
    pub nullable: Option<bool>,
    /// Partition key.
    pub partition_key: bool,
}

/// Flattens columns with their nested fields, from nested lists as well as from type text; at most [`MAX_FIELDS`].
pub fn flatten(columns: &[Column]) -> Vec<FlatField> {
    let mut out = Vec::new();
    for column in columns {
        flatten_column(column, "", 0, &mut out);
    }
    out
}

/// How many fields [`flatten`] would make; exact if they are more than `enough`, else at least the named ones.
pub fn count_fields(columns: &[Column], enough: usize) -> usize {
    fn nodes(column: &Column) -> usize {
        1 + column.fields.iter().map(nodes).sum::<usize>()
    }
    // A field that only a type's text names stands behind one of these.
    fn separators(column: &Column) -> usize {
        let own = column.data_type.bytes().filter(|byte| matches!(byte, b',' | b'<' | b'(')).count();
        own + column.fields.iter().map(separators).sum::<usize>()
    }
    let nodes: usize = columns.iter().map(nodes).sum();
    let at_most = nodes + columns.iter().map(separators).sum::<usize>();
    if nodes > enough || at_most <= enough { nodes } else { flatten(columns).len() }
}

fn flatten_column(column: &Column, parent: &str, depth: usize, out: &mut Vec<FlatField>) {
    if out.len() >= MAX_FIELDS || depth > MAX_DEPTH {
        return;
    }
    let path = child_path(parent, &column.name);
    let kind = of_column(column, depth);
    out.push(FlatField {
        path: path.clone(),
        name: column.name.clone(),
        depth,
        data_type: column.data_type.clone(),
        kind: kind.clone(),
        description: column.description.clone(),
        nullable: column.nullable,
        partition_key: column.partition_key,
    });
    if column.fields.is_empty() {
        flatten_type(&kind, &path, depth + 1, out);
    }
    for field in &column.fields {
        flatten_column(field, &path, depth + 1, out);
    }
}

fn flatten_type(kind: &ColumnType, parent: &str, depth: usize, out: &mut Vec<FlatField>) {
    if out.len() >= MAX_FIELDS || depth > MAX_DEPTH {
        return;
    }
    let mut child = |name: &str, kind: &ColumnType, comment: Option<String>| {
        let path = child_path(parent, name);
        out.push(FlatField {
            path: path.clone(),
            name: name.to_owned(),
            depth,
            data_type: kind.canonical(),
            kind: kind.clone(),
            description: comment,
            nullable: None,
            partition_key: false,
        });
        flatten_type(kind, &path, depth + 1, out);
    };
    match kind {
        ColumnType::Struct(fields) => {
            for field in fields {
                child(&field.name, &field.kind, field.comment.clone());
            }
        }
        // Element and value are fields of their own only where something nests in them.
        ColumnType::Array(element) if nests(element) => child("[]", element, None),
        ColumnType::Map(_, value) if nests(value) => child("{}", value, None),
        _ => {}
    }
}

fn nests(kind: &ColumnType) -> bool {
    match kind {
        ColumnType::Struct(_) => true,
        ColumnType::Array(inner) | ColumnType::Map(_, inner) => nests(inner),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
