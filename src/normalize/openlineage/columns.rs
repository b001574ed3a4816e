//! Columns and column lineage of a dataset.

use std::collections::{HashMap, HashSet};

use crate::model::fact::{Column, ColumnEdge};
use crate::model::id::{ARRAY_ELEMENT, MAP_VALUE, child_path, field_path};

use super::dataset::Named;
use super::facets::{ColumnLineage, InputField, LineageField, Schema, SchemaField};

/// Columns that table formats add to every scan; nobody's schema has them.
const METADATA_COLUMNS: &[&str] = &[
    "_file",
    "_pos",
    "_deleted",
    "_spec_id",
    "_partition",
    "_metadata",
    "_change_type",
    "_change_ordinal",
    "_commit_snapshot_id",
    "_commit_version",
    "_commit_timestamp",
    "_row_id",
    "_last_updated_sequence_number",
];

fn is_metadata(name: &str) -> bool {
    METADATA_COLUMNS.contains(&name)
}

/// The columns of a schema facet. Its depth is bounded by the JSON parser.
pub(super) fn columns(schema: Schema) -> Vec<Column> {
    let mut fields = schema.fields;
    // Where all say their place, the place counts.
    if fields.iter().all(|field| field.ordinal_position.is_some()) {
        fields.sort_by_key(|field| field.ordinal_position);
    }
    fields.into_iter().filter(|field| !is_metadata(&field.name)).map(column).collect()
}

fn column(field: SchemaField) -> Column {
    let mut data_type = field.data_type;
    let nested_kind = data_type.split(['<', '(']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let fields = match (nested_kind.as_str(), field.fields) {
        ("array" | "list", elements) if elements.len() == 1 => renamed(elements, ARRAY_ELEMENT),
        ("map", mut entry) if entry.len() == 2 => {
            let value = entry.split_off(1);
            // The key has no place among the fields, so the type names it.
            if let ("map", Some(key), Some(value)) =
                (data_type.to_ascii_lowercase().as_str(), entry.first(), value.first())
            {
                data_type = format!("map<{},{}>", key.data_type, value.data_type);
            }
            renamed(value, MAP_VALUE)
        }
        (_, fields) => fields.into_iter().map(column).collect(),
    };
    Column {
        name: field.name,
        data_type,
        description: field.description.filter(|text| !text.is_empty()),
        nullable: None,
        partition_key: false,
        fields,
    }
}

fn renamed(fields: Vec<SchemaField>, name: &str) -> Vec<Column> {
    fields.into_iter().map(|field| Column { name: name.to_owned(), ..column(field) }).collect()
}

/// The fields of a schema, for facets that name them.
pub(super) struct FieldNames {
    known: Known,
    /// Top-level names as the schema spells them, by themselves or by their lower case.
    spelled: HashMap<String, String>,
    folds_case: bool,
}

impl FieldNames {
    pub fn of(columns: &[Column], folds_case: bool) -> Self {
        let key = |name: &str| if folds_case { name.to_lowercase() } else { name.to_owned() };
        let spelled = columns.iter().rev().map(|column| (key(&column.name), column.name.clone())).collect();
        Self { known: Known::of(columns), spelled, folds_case }
    }

    /// The path of a field that a facet names, spelled as the schema spells it.
    pub fn path(&self, name: &str) -> String {
        let key = if self.folds_case { name.to_lowercase() } else { name.to_owned() };
        match self.spelled.get(&key) {
            Some(spelled) => child_path("", spelled),
            None => lineage_path(name, &self.known, false),
        }
    }
}

/// The path of a field that column lineage names. A dot in the name separates struct fields only where the dataset's
/// own columns say so, since names may hold dots.
fn lineage_path(name: &str, columns: &Known, folds_case: bool) -> String {
    let name = if folds_case { name.to_lowercase() } else { name.to_owned() };
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    if !columns.has(&name) && columns.has_struct(first) {
        parts.fold(child_path("", first), |path, part| child_path(&path, part))
    } else {
        field_path([name.as_str()])
    }
}

/// A dataset's own columns by name: lineage names them as often as there are fields, and tables can be wide.
#[derive(Default)]
struct Known {
    /// By name in ASCII lower case: whether one of that name has fields.
    ascii: HashMap<String, bool>,
    lower: HashSet<String>,
}

impl Known {
    fn of(columns: &[Column]) -> Self {
        let mut known = Self::default();
        for column in columns {
            *known.ascii.entry(column.name.to_ascii_lowercase()).or_default() |= !column.fields.is_empty();
            known.lower.insert(column.name.to_lowercase());
        }
        known
    }

    fn is_empty(&self) -> bool {
        self.ascii.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.ascii.contains_key(&name.to_ascii_lowercase())
    }

    fn has_struct(&self, name: &str) -> bool {
        self.ascii.get(&name.to_ascii_lowercase()).copied().unwrap_or_default()
    }

    fn has_lower(&self, name: &str) -> bool {
        self.lower.contains(&name.to_lowercase())
    }
}

/// The edges that a column-lineage facet of `target` states, sorted and without doubles.
pub(super) fn edges(
    facet: &ColumnLineage,
    target: &Named,
    columns: &[Column],
    complete: bool,
    mut resolve: impl FnMut(&str, &str) -> Named,
) -> Vec<ColumnEdge> {
    let mut edges = Vec::new();
    let columns = Known::of(columns);
    for (name, field) in facet.fields.iter().filter(|(name, _)| !is_metadata(name)) {
        let top = name.split('.').next().unwrap_or_default();
        let is_known = columns.has_lower(name) || columns.has(top);
        let unmapped = complete && !columns.is_empty() && !is_known;
        let path = lineage_path(name, &columns, target.folds_case);
        for input in &field.input_fields {
            push(&mut edges, input, Some(field), target, &path, unmapped, &mut resolve);
        }
    }
    for input in &facet.dataset {
        push(&mut edges, input, None, target, "", false, &mut resolve);
    }
    edges.sort();
    edges.dedup();
    edges
}

fn push(
    edges: &mut Vec<ColumnEdge>,
    input: &InputField,
    field: Option<&LineageField>,
    target: &Named,
    target_field: &str,
    unmapped: bool,
    resolve: &mut impl FnMut(&str, &str) -> Named,
) {
    if is_metadata(&input.field) {
        return;
    }
    let source = resolve(&input.namespace, &input.name);
    if source.ignored {
        return;
    }
    let edge = |kind: &str, subtype: &str, description: &str, masking| ColumnEdge {
        target: target.id.clone(),
        target_field: target_field.to_owned(),
        source: source.id.clone(),
        source_field: lineage_path(&input.field, &Known::default(), source.folds_case),
        kind: kind.to_uppercase(),
        subtype: subtype.to_uppercase(),
        description: description.to_owned(),
        masking,
        unmapped,
    };
    if !input.transformations.is_empty() {
        let of = |t: &super::facets::Transformation| edge(&t.kind, &t.subtype, &t.description, t.masking);
        edges.extend(input.transformations.iter().map(of));
        return;
    }
    // Before version 1.1 of the facet there was one transformation for all inputs of a field.
    let old_type = field.and_then(|field| field.transformation_type.as_deref()).unwrap_or_default();
    let description = field.and_then(|field| field.transformation_description.as_deref()).unwrap_or_default();
    match old_type.to_uppercase().as_str() {
        "MASKED" => edges.push(edge("DIRECT", "TRANSFORMATION", description, true)),
        "" if field.is_none() => edges.push(edge("INDIRECT", "", description, false)),
        "" => edges.push(edge("", "", description, false)),
        subtype => edges.push(edge("DIRECT", subtype, description, false)),
    }
}
