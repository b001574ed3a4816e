//! Differences between two lists of columns, judged for those who read the data.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::record::ColumnChange;
use crate::model::types::{ColumnType, FlatField, TypeChange};

/// What changed from `before` to `after`; `location` holds both locations where both are known.
pub(super) fn changes(before: &[FlatField], after: &[FlatField], location: Option<(&str, &str)>) -> Vec<ColumnChange> {
    let old: BTreeMap<String, &FlatField> = before.iter().map(|field| (field.path.to_lowercase(), field)).collect();
    let new: BTreeMap<String, &FlatField> = after.iter().map(|field| (field.path.to_lowercase(), field)).collect();
    let mut out = Vec::new();
    let renamed = renamed(before, after, &old, &new);
    if let Some((from, to)) = renamed {
        out.push(change("renamed", &to.path, Some(from.path.clone()), Some(to.path.clone()), true));
    }
    let is_renamed = |path: &str| {
        renamed.is_some_and(|(from, to)| {
            [from, to].iter().any(|field| {
                let own = field.path.to_lowercase();
                path == own || path.strip_prefix(&own).is_some_and(|rest| rest.starts_with('.'))
            })
        })
    };
    for (path, field) in old.iter().filter(|(path, _)| !new.contains_key(*path) && !is_renamed(path)) {
        if !is_implied(path, &old, &new) {
            out.push(change("dropped", &field.path, Some(field.data_type.clone()), None, true));
        }
    }
    for (path, field) in new.iter().filter(|(path, _)| !old.contains_key(*path) && !is_renamed(path)) {
        if !is_implied(path, &new, &old) {
            out.push(change("added", &field.path, None, Some(field.data_type.clone()), false));
        }
    }
    for (path, from) in &old {
        if let Some(to) = new.get(path) {
            compare(from, to, &mut out);
        }
    }
    if is_reordered(before, after) {
        out.push(change("reordered", "", None, None, false));
    }
    if let Some((from, to)) = location.filter(|(from, to)| from != to) {
        out.push(change("location", "", Some(from.to_owned()), Some(to.to_owned()), false));
    }
    out
}

/// Major if readers break, patch if only comments, order or place changed, else minor.
pub(super) fn level(changes: &[ColumnChange]) -> &'static str {
    let is_patch = |change: &ColumnChange| matches!(change.kind.as_str(), "comment" | "reordered" | "location");
    if changes.iter().any(|change| change.breaking) {
        "major"
    } else if changes.iter().all(is_patch) {
        "patch"
    } else {
        "minor"
    }
}

/// Differences that remain between two sources with their own ways of writing: names and types only.
pub(super) fn normalised(changes: Vec<ColumnChange>) -> Vec<ColumnChange> {
    let counts = |change: &ColumnChange| {
        matches!(change.kind.as_str(), "added" | "dropped" | "renamed") || change.kind.starts_with("type_")
    };
    changes.into_iter().filter(counts).collect()
}

fn change(kind: &str, path: &str, before: Option<String>, after: Option<String>, breaking: bool) -> ColumnChange {
    ColumnChange { kind: kind.to_owned(), path: path.to_owned(), before, after, breaking }
}

fn compare(from: &FlatField, to: &FlatField, out: &mut Vec<ColumnChange>) {
    let texts = || (Some(from.data_type.clone()), Some(to.data_type.clone()));
    // What nests is compared field by field.
    let kind = if nests_alike(&from.kind, &to.kind) { TypeChange::Same } else { from.kind.change_to(&to.kind) };
    let (name, breaking) = match kind {
        TypeChange::Same => ("", false),
        TypeChange::Widened => ("type_widened", false),
        TypeChange::Narrowed => ("type_narrowed", true),
        TypeChange::Changed => ("type_changed", true),
    };
    if !name.is_empty() {
        let (before, after) = texts();
        out.push(change(name, &to.path, before, after, breaking));
    }
    if let (Some(a), Some(b)) = (from.nullable, to.nullable)
        && a != b
    {
        out.push(change("nullability", &to.path, Some(a.to_string()), Some(b.to_string()), false));
    }
    let text = |field: &FlatField| field.description.clone().filter(|text| !text.is_empty());
    if text(from) != text(to) {
        out.push(change("comment", &to.path, text(from), text(to), false));
    }
    if from.partition_key != to.partition_key {
        let (before, after) = (from.partition_key.to_string(), to.partition_key.to_string());
        out.push(change("partition_key", &to.path, Some(before), Some(after), false));
    }
}

fn nests_alike(a: &ColumnType, b: &ColumnType) -> bool {
    match (a, b) {
        (ColumnType::Struct(_), ColumnType::Struct(_)) => true,
        (ColumnType::Array(a), ColumnType::Array(b)) | (ColumnType::Map(_, a), ColumnType::Map(_, b)) => {
            nests_alike(a, b)
        }
        _ => false,
    }
}

/// A nested field whose parent came or went with it, or changed its kind, is told with the parent.
fn is_implied(path: &str, here: &BTreeMap<String, &FlatField>, there: &BTreeMap<String, &FlatField>) -> bool {
    let Some((parent, _)) = path.rsplit_once('.') else { return false };
    match (here.get(parent), there.get(parent)) {
        (Some(a), Some(b)) => !nests_alike(&a.kind, &b.kind),
        _ => true,
    }
}

/// One column went and one came in its place with the same type, and nothing else came or went: a rename. Anything
/// less clear is told as dropped and added.
fn renamed<'a>(
    before: &'a [FlatField],
    after: &'a [FlatField],
    old: &BTreeMap<String, &FlatField>,
    new: &BTreeMap<String, &FlatField>,
) -> Option<(&'a FlatField, &'a FlatField)> {
    let top = |fields: &'a [FlatField]| fields.iter().filter(|field| field.depth == 0).enumerate();
    let mut gone = top(before).filter(|(_, field)| !new.contains_key(&field.path.to_lowercase()));
    let mut come = top(after).filter(|(_, field)| !old.contains_key(&field.path.to_lowercase()));
    let ((from_at, from), (to_at, to)) = gone.next().zip(come.next())?;
    let only = gone.next().is_none() && come.next().is_none();
    let same = from_at == to_at && from.kind == to.kind && from.kind != ColumnType::Unknown;
    (only && same && from.partition_key == to.partition_key).then_some((from, to))
}

/// Whether the columns that both lists have stand in another order.
fn is_reordered(before: &[FlatField], after: &[FlatField]) -> bool {
    let names = |fields: &[FlatField]| -> Vec<String> {
        fields.iter().filter(|field| field.depth == 0).map(|field| field.path.to_lowercase()).collect()
    };
    let (old, new) = (names(before), names(after));
    let (in_old, in_new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let kept = old.iter().filter(|name| in_new.contains(name));
    !kept.eq(new.iter().filter(|name| in_old.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fact::Column;
    use crate::model::types::flatten;

    fn list(columns: &[(&str, &str)]) -> Vec<FlatField> {
        let column = |(name, kind): &(&str, &str)| Column {
            name: (*name).to_owned(),
            data_type: (*kind).to_owned(),
            ..Column::default()
        };
        flatten(&columns.iter().map(column).collect::<Vec<_>>())
    }

    fn said(before: &[(&str, &str)], after: &[(&str, &str)]) -> (Vec<String>, &'static str) {
        let changes = changes(&list(before), &list(after), None);
        let level = level(&changes);
        (changes.into_iter().map(|change| format!("{} {}", change.kind, change.path)).collect(), level)
    }

    #[test]
    fn each_kind_of_change_has_its_level() {
        let base = [("a", "int"), ("b", "string")];
        for (after, expected, level) in [
            (&[("a", "int"), ("b", "string"), ("c", "date")][..], &["added c"][..], "minor"),
            (&[("a", "int")], &["dropped b"], "major"),
            (&[("a", "bigint"), ("b", "string")], &["type_widened a"], "minor"),
            (&[("a", "smallint"), ("b", "string")], &["type_narrowed a"], "major"),
            (&[("a", "date"), ("b", "string")], &["type_changed a"], "major"),
            (&[("b", "string"), ("a", "int")], &["reordered "], "patch"),
            (&[("a", "int"), ("bb", "string")], &["renamed bb"], "major"),
            (&[("a", "int"), ("bb", "date")], &["dropped b", "added bb"], "major"),
            (&[("A", "integer"), ("b", "varchar")], &[], "patch"),
        ] {
            assert_eq!(said(&base, after), (expected.iter().map(|s| (*s).to_owned()).collect(), level), "{after:?}");
        }
    }

    #[test]
    fn nested_fields_are_told_once() {
        let before = [("s", "struct<x:int,y:array<struct<z:int>>>")];
        let deeper = [("s", "struct<x:int,y:array<struct<z:bigint,w:int>>>")];
        assert_eq!(said(&before, &deeper).0, ["added s.y.[].w", "type_widened s.y.[].z"]);
        assert_eq!(said(&before, &[("s", "string")]).0, ["type_changed s"]);
        assert_eq!(said(&before, &[("t", "int")]).0, ["dropped s", "added t"]);
    }
}
