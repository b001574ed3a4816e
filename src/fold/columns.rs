//! Columns of a dataset: the authority's list, annotated and contradicted by the others.

use std::collections::BTreeMap;

use crate::model::fact::{Aspect, Column, Columns, Completeness, Source, Statement};
use crate::model::record::ColumnRecord;
use crate::model::types::{FlatField, flatten};

use super::precedence;
use super::slots::Slot;
use super::view::View;

/// Columns that table formats add on reading.
const METADATA_COLUMNS: [&str; 7] =
    ["_file", "_pos", "_deleted", "_spec_id", "_partition", "_metadata", "_change_type"];

/// The columns of a head.
pub(super) struct HeadColumns<'a> {
    pub records: Vec<ColumnRecord>,
    /// Who made the complete statement, if anybody did.
    pub authority: Option<(&'a Source, &'a Slot)>,
    /// Nobody but partial speakers: the best of them.
    pub best_partial: Option<(&'a Source, Option<&'a Slot>)>,
}

/// One source's fields by lower-case path.
struct Speaker<'a> {
    rank: u16,
    source: &'a Source,
    slot: Option<&'a Slot>,
    complete: bool,
    fields: BTreeMap<String, FlatField>,
    order: Vec<String>,
}

/// The statement without columns that are none.
pub(super) fn real_columns(source: &Source, columns: &Columns) -> Vec<Column> {
    let is_real =
        |column: &&Column| source.family() == "hms" || !METADATA_COLUMNS.contains(&column.name.to_lowercase().as_str());
    columns.columns.iter().filter(is_real).cloned().collect()
}

/// Derives the columns of a head.
pub(super) fn derive<'a>(view: &View<'a>, platform: &str, provider: &str) -> HeadColumns<'a> {
    let mut speakers = speakers(view, platform, provider);
    speakers.sort_by(|a, b| (a.rank, a.source).cmp(&(b.rank, b.source)));
    let authority = speakers.iter().position(|speaker| speaker.complete);
    let Some(at) = authority else {
        let best_partial = speakers.first().map(|speaker| (speaker.source, speaker.slot));
        return HeadColumns { records: union(&speakers), authority: None, best_partial };
    };
    let mut records = Vec::new();
    if let Some(main) = speakers.get(at) {
        for path in &main.order {
            let Some(field) = main.fields.get(path) else { continue };
            let mut record = to_record(field, records.len());
            annotate(&mut record, path, at, &speakers);
            records.push(record);
        }
    }
    let authority = speakers.get(at).and_then(|speaker| Some((speaker.source, speaker.slot?)));
    HeadColumns { records, authority, best_partial: None }
}

fn speakers<'a>(view: &View<'a>, platform: &str, provider: &str) -> Vec<Speaker<'a>> {
    let mut out: Vec<Speaker<'a>> = Vec::new();
    let mut partial: BTreeMap<&'a Source, (Option<&'a Slot>, BTreeMap<String, FlatField>)> = BTreeMap::new();
    for (sub_key, said) in view.by_sub(Aspect::Columns) {
        for one in said {
            let Statement::Columns(columns) = one.value else { continue };
            let real = real_columns(one.source, columns);
            if sub_key.is_empty() && columns.completeness != Completeness::Partial {
                let (order, fields) = index(flatten(&real));
                let rank = precedence::columns(one.source, columns.completeness, platform, provider);
                out.push(Speaker { rank, source: one.source, slot: Some(one.slot), complete: true, fields, order });
            } else {
                let entry = partial.entry(one.source).or_default();
                entry.0 = entry.0.max_by_version(one.slot);
                add_partial(&mut entry.1, sub_key, &real);
            }
        }
    }
    for (source, _, sub_key, value) in view.mentioned(Aspect::Columns) {
        let Statement::Columns(columns) = value.as_ref() else { continue };
        let entry = partial.entry(source).or_default();
        add_partial(&mut entry.1, sub_key, &real_columns(source, columns));
    }
    for (source, (slot, fields)) in partial {
        let rank = precedence::columns(source, Completeness::Partial, platform, provider);
        let order = fields.keys().cloned().collect();
        out.push(Speaker { rank, source, slot, complete: false, fields, order });
    }
    out
}

trait Newer<'a> {
    fn max_by_version(self, other: &'a Slot) -> Option<&'a Slot>;
}

impl<'a> Newer<'a> for Option<&'a Slot> {
    fn max_by_version(self, other: &'a Slot) -> Option<&'a Slot> {
        match self {
            Some(slot) if slot.version >= other.version => Some(slot),
            _ => Some(other),
        }
    }
}

fn index(fields: Vec<FlatField>) -> (Vec<String>, BTreeMap<String, FlatField>) {
    let mut order = Vec::with_capacity(fields.len());
    let mut by_path = BTreeMap::new();
    for field in fields {
        let path = field.path.to_lowercase();
        if by_path.insert(path.clone(), field).is_none() {
            order.push(path);
        }
    }
    (order, by_path)
}

/// A partial statement names one column by its path, or several top-level ones. What was stated as versioned stays.
fn add_partial(fields: &mut BTreeMap<String, FlatField>, sub_key: &str, columns: &[Column]) {
    for mut field in flatten(columns) {
        let nested = field.depth > 0;
        if !sub_key.is_empty() {
            // The sub-key is the whole path of the one column; its children hang below it.
            let below = columns.first().map_or(0, |c| crate::model::id::child_path("", &c.name).len());
            let rest = if nested { field.path.get(below..).unwrap_or("").to_owned() } else { String::new() };
            field.path = format!("{sub_key}{rest}");
            field.depth += sub_key.split('.').count() - 1;
        }
        fields.entry(field.path.to_lowercase()).or_insert(field);
    }
}

/// A field as it stands in records.
pub(super) fn to_record(field: &FlatField, ordinal: usize) -> ColumnRecord {
    ColumnRecord {
        path: field.path.clone(),
        name: field.name.clone(),
        depth: i32::try_from(field.depth).unwrap_or(i32::MAX),
        ordinal: i32::try_from(ordinal).unwrap_or(i32::MAX),
        data_type: field.data_type.clone(),
        canonical_type: field.kind.canonical(),
        description: field.description.clone().filter(|text| !text.is_empty()),
        nullable: field.nullable,
        partition_key: field.partition_key,
        conflicts: Vec::new(),
    }
}

/// Fills what the authority does not say and notes who contradicts it.
fn annotate(record: &mut ColumnRecord, path: &str, authority: usize, speakers: &[Speaker<'_>]) {
    let described = speakers
        .iter()
        .filter_map(|s| {
            let text = s.fields.get(path)?.description.as_deref().filter(|text| !text.is_empty())?;
            Some((precedence::aspect(Aspect::Columns, s.source), s.rank, s.source, text))
        })
        .min();
    if let Some((_, _, _, text)) = described {
        record.description = Some(text.to_owned());
    }
    for (_, other) in speakers.iter().enumerate().filter(|(at, _)| *at != authority) {
        let Some(field) = other.fields.get(path) else {
            let absent = other.complete && other.rank < 200 && record.depth == 0;
            if absent {
                record.conflicts.push(format!("{}: no such column", other.source.as_str()));
            }
            continue;
        };
        if record.data_type.is_empty() && !field.data_type.is_empty() {
            record.data_type.clone_from(&field.data_type);
            record.canonical_type = field.kind.canonical();
        }
        record.nullable = record.nullable.or(field.nullable);
        let Some(main) = speakers.get(authority).filter(|main| main.source != other.source) else { continue };
        if main.fields.get(path).is_some_and(|ours| !ours.kind.agrees_with(&field.kind)) {
            record.conflicts.push(format!("{}: {}", other.source.as_str(), field.data_type));
        }
    }
}

/// Without an authority: everything that partial speakers name, by path.
fn union(speakers: &[Speaker<'_>]) -> Vec<ColumnRecord> {
    let mut records: BTreeMap<&str, ColumnRecord> = BTreeMap::new();
    for speaker in speakers {
        for (path, field) in &speaker.fields {
            let record = records.entry(path).or_insert_with(|| to_record(field, 0));
            if record.data_type.is_empty() && !field.data_type.is_empty() {
                record.data_type.clone_from(&field.data_type);
                record.canonical_type = field.kind.canonical();
            }
            record.nullable = record.nullable.or(field.nullable);
            if record.description.is_none() {
                record.description = field.description.clone().filter(|text| !text.is_empty());
            }
        }
    }
    let mut records: Vec<ColumnRecord> = records.into_values().collect();
    for (ordinal, record) in records.iter_mut().enumerate() {
        record.ordinal = i32::try_from(ordinal).unwrap_or(i32::MAX);
    }
    records
}
