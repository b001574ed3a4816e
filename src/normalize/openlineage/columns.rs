//! Columns and column lineage of a dataset.

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

/// The path of a field of `columns` that a facet names, spelled as the schema spells it.
pub(super) fn field_of(name: &str, columns: &[Column], folds_case: bool) -> String {
    let same = |column: &&Column| column.name == name || (folds_case && column.name.eq_ignore_ascii_case(name));
    match columns.iter().find(same) {
        Some(column) => child_path("", &column.name),
        None => lineage_path(name, columns, false),
    }
}

/// The path of a field that column lineage names. A dot in the name separates struct fields only where the dataset's
/// own columns say so, since names may hold dots.
fn lineage_path(name: &str, columns: &[Column], folds_case: bool) -> String {
    let name = if folds_case { name.to_lowercase() } else { name.to_owned() };
    let same = |column: &Column, part: &str| column.name.eq_ignore_ascii_case(part);
    let is_column = columns.iter().any(|column| same(column, &name));
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    let in_struct = columns.iter().any(|column| same(column, first) && !column.fields.is_empty());
    if !is_column && in_struct {
        parts.fold(child_path("", first), |path, part| child_path(&path, part))
    } else {
        field_path([name.as_str()])
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
    for (name, field) in facet.fields.iter().filter(|(name, _)| !is_metadata(name)) {
        let top = name.split('.').next().unwrap_or_default();
        let is_known =
            columns.iter().any(|c| c.name.to_lowercase() == name.to_lowercase() || c.name.eq_ignore_ascii_case(top));
        let unmapped = complete && !columns.is_empty() && !is_known;
        let path = lineage_path(name, columns, target.folds_case);
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
        source_field: lineage_path(&input.field, &[], source.folds_case),
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
