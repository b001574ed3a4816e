//! What an import has to do, found out before anything is written. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::dump::{self, Line, Numbered, Scope};
use super::entry::Entry;
use crate::registry::types::Subject;

/// What is to be written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan<'a> {
    /// Versions to register, in order, with the number of their line.
    pub register: Vec<(usize, &'a Entry)>,
    /// Versions to soft-delete after that, in order: those that refer to others before them.
    pub delete: Vec<(usize, &'a Entry)>,
    /// Versions that are there as they should be.
    pub present: usize,
    /// Where mode IMPORT has to be set for that.
    pub scopes: BTreeSet<Scope>,
}

/// Why an import is not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Obstacle {
    /// The target is in use.
    #[error(
        "the registry has live versions that are not in the export ({count}, such as {example}); import into an empty \
         registry, or give --into-existing to add to them"
    )]
    InUse {
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// A version is there under another id.
    #[error("line {line}: {name} has id {id} in the export and id {there} in the registry")]
    OtherId {
        /// The line.
        line: usize,
        /// Subject and version.
        name: String,
        /// The export's id.
        id: i32,
        /// The registry's id.
        there: i32,
    },
    /// A version comes twice.
    #[error("line {line}: {name} is on line {first} already")]
    Twice {
        /// The line.
        line: usize,
        /// Subject and version.
        name: String,
        /// The line before.
        first: usize,
    },
}

/// How people name a version.
pub(super) fn name(entry: &Entry) -> String {
    format!("{} version {}", entry.subject, entry.version)
}

/// What brings `lines` into a registry that holds `there`.
pub(super) fn plan<'a>(lines: &'a [Numbered], there: &[Entry], may_be_in_use: bool) -> Result<Plan<'a>, Obstacle> {
    let there: BTreeMap<(Subject, i32), &Entry> = there.iter().map(|entry| (entry.key(), entry)).collect();
    let mut first_lines: BTreeMap<(Subject, i32), usize> = BTreeMap::new();
    let mut plan = Plan::default();
    for (line, entry) in lines.iter().filter_map(|(number, line)| match line {
        Line::Schema(entry) => Some((*number, entry)),
        Line::Config { .. } | Line::Mode { .. } => None,
    }) {
        if let Some(first) = first_lines.insert(entry.key(), line) {
            return Err(Obstacle::Twice { line, name: name(entry), first });
        }
        let found = there.get(&entry.key());
        if let Some(found) = found.filter(|found| found.id != entry.id) {
            return Err(Obstacle::OtherId { line, name: name(entry), id: entry.id, there: found.id });
        }
        // A deleted version that has to live is registered once more. What differs otherwise is sent, too: the registry
        // refuses it if the id stands for another schema.
        let stays = found.is_some_and(|found| found.is_same_schema(entry) && (!found.deleted || entry.deleted));
        if !stays {
            plan.register.push((line, entry));
            plan.scopes.insert(dump::context_scope(&entry.subject));
        }
        let is_deleted = stays && found.is_some_and(|found| found.deleted);
        match entry.deleted && !is_deleted {
            true => plan.delete.push((line, entry)),
            false if stays => plan.present += 1,
            false => {}
        }
    }
    plan.delete.reverse();
    let mut strangers =
        there.values().filter(|entry| !entry.deleted && !first_lines.contains_key(&entry.key())).peekable();
    if let Some(example) = strangers.peek().filter(|_| !may_be_in_use).map(|entry| name(entry)) {
        return Err(Obstacle::InUse { count: strangers.count(), example });
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(subject: &str, version: i32, id: i32, deleted: bool) -> Entry {
        let value = serde_json::json!({
            "subject": subject, "version": version, "id": id, "schema": format!("text {id}"), "deleted": deleted,
        });
        serde_json::from_value(value).unwrap()
    }

    fn lines(entries: &[Entry]) -> Vec<Numbered> {
        (1..).zip(entries.iter().cloned().map(Line::Schema)).collect()
    }

    fn numbers(part: &[(usize, &Entry)]) -> Vec<usize> {
        part.iter().map(|(line, _)| *line).collect()
    }

    #[test]
    fn an_empty_registry_gets_everything_and_what_refers_is_deleted_first() {
        let export = lines(&[entry("a", 1, 1, true), entry("b", 1, 2, true), entry(":.c:d", 1, 1, false)]);
        let plan = plan(&export, &[], false).unwrap();
        assert_eq!((numbers(&plan.register), numbers(&plan.delete), plan.present), (vec![1, 2, 3], vec![2, 1], 0));
        assert_eq!(plan.scopes, BTreeSet::from([None, Some(":.c:".to_owned())]));
    }

    #[test]
    fn a_second_run_does_what_the_first_left() {
        let export = lines(&[
            entry("a", 1, 1, true),
            entry("a", 2, 2, true),
            entry("a", 3, 3, false),
            entry("a", 4, 4, false),
            entry("a", 5, 5, false),
        ]);
        let there = [
            entry("a", 1, 1, true),
            entry("a", 2, 2, false),
            entry("a", 3, 3, false),
            // Deleted here and live there.
            entry("a", 4, 4, true),
        ];
        let plan = plan(&export, &there, false).unwrap();
        assert_eq!((numbers(&plan.register), numbers(&plan.delete), plan.present), (vec![4, 5], vec![2], 2));
    }

    #[test]
    fn nothing_to_do_needs_no_mode() {
        let there = [entry("a", 1, 1, true), entry("a", 2, 2, false)];
        let export = lines(&there);
        assert_eq!(plan(&export, &there, false).unwrap(), Plan { present: 2, ..Plan::default() });
    }

    #[test]
    fn a_registry_in_use_is_refused_unless_that_is_meant() {
        let export = lines(&[entry("a", 1, 1, false)]);
        let there = [entry("a", 1, 1, false), entry("b", 1, 2, false), entry("b", 2, 3, false), entry("c", 1, 4, true)];
        let obstacle = plan(&export, &there, false).unwrap_err();
        assert_eq!(obstacle, Obstacle::InUse { count: 2, example: "b version 1".to_owned() });
        assert_eq!(plan(&export, &there, true).unwrap().present, 1);
    }

    #[test]
    fn contradictions_are_found_before_anything_is_written() {
        let export = lines(&[entry("a", 1, 1, false)]);
        let obstacle = plan(&export, &[entry("a", 1, 9, false)], true).unwrap_err();
        assert_eq!(obstacle.to_string(), "line 1: a version 1 has id 1 in the export and id 9 in the registry");
        let twice = lines(&[entry("a", 1, 1, false), entry("a", 1, 1, false)]);
        assert_eq!(plan(&twice, &[], false).unwrap_err().to_string(), "line 2: a version 1 is on line 1 already");
    }
}
