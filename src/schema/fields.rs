//! A schema's fields as a flat list of column paths, and what became of them from one schema to the next. For questions
//! about columns, not about reading and writing: which of them are gone, have another name or another type.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::{ParsedSchema, SchemaError};
use crate::model::id::{ARRAY_ELEMENT, MAP_VALUE, child_path};

/// Most fields of a schema that are listed, nested ones among them.
pub const MAX_FIELDS: usize = 20_000;
/// How deep fields nest in each other before the rest is left out; columns of datasets do not nest deeper either.
const MAX_LEVELS: usize = 32;
/// Most pairs of a type and a path that are walked.
const MAX_PLACES: usize = 100_000;

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaField {
    /// Its column path: names joined by dots, `[]` for the step into an array, `{}` into a map.
    pub path: String,
    /// What its values are, in the words of the language; whether they may be null or absent is left out.
    pub data_type: String,
    /// Names that it had before, as the schema says.
    former: Vec<String>,
    /// What identifies it besides its name.
    number: Option<i32>,
}

impl SchemaField {
    /// The path of what it lies in, and its name as it stands in paths.
    fn place(&self) -> (&str, &str) {
        self.path.rsplit_once('.').unwrap_or(("", &self.path))
    }
}

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldChange {
    /// It is gone.
    Removed,
    /// It has another name.
    Renamed {
        /// New path.
        to: String,
    },
    /// It has another type.
    Retyped {
        /// Old type.
        from: String,
        /// New type.
        to: String,
    },
}

/// A field that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedField {
    /// Its path in the old schema. Fields inside of it have changed with it and are not listed.
    pub path: String,
    /// How.
    pub change: FieldChange,
}

/// The fields of `old` that are gone, have another name or another type in `new`, in the order of `old`. Types are not
/// compared across languages.
///
/// # Errors
/// A schema has too many fields.
pub fn changed_fields(old: &dyn ParsedSchema, new: &dyn ParsedSchema) -> Result<Vec<ChangedField>, SchemaError> {
    let (before, after) = (old.fields()?, new.fields()?);
    let same_language = old.schema_type() == new.schema_type();
    let present: HashMap<&str, &SchemaField> = after.iter().map(|field| (field.path.as_str(), field)).collect();
    let renames = Renames::of(&after);
    let mut changed: Vec<ChangedField> = Vec::new();
    let mut gone: HashSet<&str> = HashSet::new();
    for field in &before {
        let mut above = field.path.match_indices('.').filter_map(|(dot, _)| field.path.get(..dot));
        if above.any(|path| gone.contains(path)) {
            continue;
        }
        let change = match present.get(field.path.as_str()) {
            Some(now) if !same_language || now.data_type == field.data_type => continue,
            Some(now) => FieldChange::Retyped { from: field.data_type.clone(), to: now.data_type.clone() },
            None => match renames.new_path(field).filter(|_| same_language) {
                Some(to) => FieldChange::Renamed { to: to.to_owned() },
                None => FieldChange::Removed,
            },
        };
        gone.insert(&field.path);
        changed.push(ChangedField { path: field.path.clone(), change });
    }
    Ok(changed)
}

/// New paths, by what identifies a field inside of what lies around it.
struct Renames<'a> {
    by_name: HashMap<(&'a str, &'a str), &'a str>,
    by_number: HashMap<(&'a str, i32), &'a str>,
}

impl<'a> Renames<'a> {
    fn of(fields: &'a [SchemaField]) -> Self {
        let mut renames = Self { by_name: HashMap::new(), by_number: HashMap::new() };
        for field in fields {
            let (parent, _) = field.place();
            for former in &field.former {
                renames.by_name.entry((parent, former)).or_insert(&field.path);
            }
            if let Some(number) = field.number {
                renames.by_number.entry((parent, number)).or_insert(&field.path);
            }
        }
        renames
    }

    fn new_path(&self, old: &SchemaField) -> Option<&'a str> {
        let (parent, name) = old.place();
        let by_number = || old.number.and_then(|number| self.by_number.get(&(parent, number)));
        self.by_name.get(&(parent, name)).or_else(by_number).copied()
    }
}

/// What a language says of one field.
pub(super) struct Declared<'a> {
    pub(super) name: &'a str,
    pub(super) data_type: String,
    pub(super) former: &'a [String],
    pub(super) number: Option<i32>,
}

/// Gathers the fields of a schema, outer ones before those inside of them.
#[derive(Default)]
pub(super) struct Collector {
    fields: Vec<SchemaField>,
    by_path: HashMap<String, usize>,
}

impl Collector {
    /// Adds a field below `parent`; returns its path. One that is there already, as from two branches of a union, is of
    /// both types.
    pub(super) fn add(&mut self, parent: &str, declared: Declared<'_>) -> Result<String, SchemaError> {
        let path = child_path(parent, declared.name);
        if let Some(known) = self.by_path.get(&path).and_then(|index| self.fields.get_mut(*index)) {
            if !known.data_type.split('|').any(|kind| kind == declared.data_type) {
                known.data_type = either([known.data_type.as_str(), declared.data_type.as_str()]);
            }
            return Ok(path);
        }
        if self.fields.len() >= MAX_FIELDS {
            return Err(SchemaError::TooLarge { limit: MAX_FIELDS, unit: "fields, nested ones among them" });
        }
        self.by_path.insert(path.clone(), self.fields.len());
        self.fields.push(SchemaField {
            path: path.clone(),
            data_type: declared.data_type,
            former: declared.former.iter().map(|name| child_path("", name)).collect(),
            number: declared.number,
        });
        Ok(path)
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<SchemaField> {
        self.fields
    }
}

/// Several types as one: sorted, each once.
pub(super) fn either<'a>(types: impl IntoIterator<Item = &'a str>) -> String {
    let mut types: Vec<&str> = types.into_iter().flat_map(|text| text.split('|')).collect();
    types.sort_unstable();
    types.dedup();
    types.join("|")
}

/// Types with fields that are being walked, so that one inside of itself, the depth and repetitions have an end.
pub(super) struct Open<T> {
    stack: Vec<T>,
    /// Unions and combinations may lead to the same type at the same path in many ways.
    seen: HashSet<(T, String)>,
}

impl<T: Clone + Eq + Hash> Open<T> {
    pub(super) fn new() -> Self {
        Self { stack: Vec::new(), seen: HashSet::new() }
    }

    /// Enters a type at a path. Not one that is being walked already or was walked there before, nor too deep.
    pub(super) fn enter(&mut self, one: T, path: &str) -> Result<bool, SchemaError> {
        if self.stack.len() >= MAX_LEVELS || self.stack.contains(&one) {
            return Ok(false);
        }
        if self.seen.len() >= MAX_PLACES {
            return Err(SchemaError::TooLarge { limit: MAX_PLACES, unit: "places of types" });
        }
        let is_new = self.seen.insert((one.clone(), path.to_owned()));
        if is_new {
            self.stack.push(one);
        }
        Ok(is_new)
    }

    pub(super) fn leave(&mut self) {
        self.stack.pop();
    }
}

/// The path of what an array at `path` holds.
pub(super) fn element(path: &str) -> String {
    child_path(path, ARRAY_ELEMENT)
}

/// The path of what a map at `path` holds.
pub(super) fn map_value(path: &str) -> String {
    child_path(path, MAP_VALUE)
}

#[cfg(test)]
mod tests;
