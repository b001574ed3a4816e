//! Field paths and ids of columns: `dataset#a.b`, nested fields joined by dots.

use super::encode::{decode_with, encode_into};
use super::{EntityId, IdError};

/// The step to the element of an array.
pub const ARRAY_ELEMENT: &str = "[]";
/// The step to the value of a map.
pub const MAP_VALUE: &str = "{}";

fn reserved_in_path(byte: u8) -> bool {
    matches!(byte, b'.' | b'%')
}

fn reserved_in_column(byte: u8) -> bool {
    reserved_in_path(byte) || super::encode::RESERVED(byte)
}

/// The path of a field: names joined by `.`, with `.` and `%` encoded inside a name. [`ARRAY_ELEMENT`] and
/// [`MAP_VALUE`] stand for themselves.
pub fn field_path<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().fold(String::new(), |path, name| child_path(&path, name))
}

/// The path of field `name` inside the field at `path`; at the top level `path` is empty.
pub fn child_path(path: &str, name: &str) -> String {
    let mut out = String::with_capacity(path.len() + name.len() + 1);
    if !path.is_empty() {
        out.push_str(path);
        out.push('.');
    }
    encode_into(&mut out, name, reserved_in_path);
    out
}

/// The names on a path; the inverse of [`field_path`].
pub fn split_field_path(path: &str) -> Result<Vec<String>, IdError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('.').map(|name| decode_escapes(name, reserved_in_path)).collect()
}

/// Dots are split off before, so here only `%` can start an escape.
fn decode_escapes(name: &str, reserved: fn(u8) -> bool) -> Result<String, IdError> {
    decode_with(name, reserved)
}

/// The id of a column: `dataset#path`, safe inside composite keys.
pub fn column_id(dataset: &EntityId, path: &str) -> String {
    let mut out = String::with_capacity(dataset.as_str().len() + path.len() + 1);
    out.push_str(dataset.as_str());
    out.push('#');
    // The path's own escapes stay; what else ids reserve is added.
    encode_into(&mut out, path, |byte| byte != b'%' && super::encode::RESERVED(byte));
    out
}

/// Dataset and field path of a column's id; the inverse of [`column_id`].
pub fn split_column_id(id: &str) -> Result<(EntityId, String), IdError> {
    let (dataset, path) = id.split_once('#').ok_or_else(|| IdError::Encoding { text: id.to_owned(), at: id.len() })?;
    let names: Result<Vec<String>, IdError> = if path.is_empty() {
        Ok(Vec::new())
    } else {
        path.split('.').map(|name| decode_escapes(name, reserved_in_column)).collect()
    };
    Ok((EntityId::from_canonical(dataset), field_path(names?.iter().map(String::as_str))))
}
