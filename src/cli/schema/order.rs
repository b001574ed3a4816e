//! The order of an export: what is referred to comes before what refers to it, and versions ascend. Pure.

use std::collections::BTreeMap;

use super::entry::Entry;
use crate::registry::types::Subject;

/// Puts entries into an order in which they can be registered one after the other; by subject and version where
/// nothing else is asked for, so that equal registries give equal exports.
pub(super) fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(Entry::key);
    let places: BTreeMap<(Subject, i32), usize> =
        entries.iter().enumerate().map(|(place, entry)| (entry.key(), place)).collect();
    let needs: Vec<Vec<usize>> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| {
            let earlier = place
                .checked_sub(1)
                .filter(|earlier| entries.get(*earlier).is_some_and(|before| before.subject == entry.subject));
            let targets = entry.targets().filter_map(|target| places.get(&target).copied());
            earlier.into_iter().chain(targets).collect()
        })
        .collect();
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let mut seen = vec![false; entries.len()];
    let mut ordered = Vec::with_capacity(entries.len());
    // A stack of our own: a long history is a long chain of needs.
    let mut waiting: Vec<(usize, bool)> = Vec::new();
    for start in 0..entries.len() {
        waiting.push((start, false));
        while let Some((place, is_ready)) = waiting.pop() {
            if is_ready {
                ordered.extend(entries.get_mut(place).and_then(Option::take));
                continue;
            }
            // A circle, which no registry makes, ends here, too.
            if seen.get_mut(place).is_none_or(|seen| std::mem::replace(seen, true)) {
                continue;
            }
            waiting.push((place, true));
            let needed = needs.get(place).map(Vec::as_slice).unwrap_or_default();
            waiting.extend(needed.iter().rev().map(|needed| (*needed, false)));
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(subject: &str, version: i32, refers_to: &[(&str, i32)]) -> Entry {
        let references: Vec<_> = refers_to
            .iter()
            .map(|(subject, version)| serde_json::json!({"name": "n", "subject": subject, "version": version}))
            .collect();
        let value = serde_json::json!({
            "subject": subject, "version": version, "id": 1, "schema": "\"int\"", "references": references,
        });
        serde_json::from_value(value).unwrap()
    }

    fn order(entries: Vec<Entry>) -> Vec<String> {
        in_order(entries).iter().map(|entry| format!("{}/{}", entry.subject, entry.version)).collect()
    }

    #[test]
    fn without_references_it_is_by_subject_and_version() {
        let entries = vec![entry("b", 10, &[]), entry("a", 2, &[]), entry("b", 9, &[]), entry("a", 1, &[])];
        assert_eq!(order(entries), ["a/1", "a/2", "b/9", "b/10"]);
    }

    #[test]
    fn what_is_referred_to_comes_first_with_its_earlier_versions() {
        let entries = vec![
            entry("a", 1, &[]),
            entry("a", 2, &[("z", 2)]),
            entry("m", 1, &[]),
            entry("z", 1, &[]),
            entry("z", 2, &[("m", 1)]),
            entry("z", 3, &[("a", 2)]),
        ];
        assert_eq!(order(entries), ["a/1", "z/1", "m/1", "z/2", "a/2", "z/3"]);
    }

    #[test]
    fn references_inside_a_context_stay_there() {
        let entries = vec![entry(":.c:a", 1, &[("z", 1)]), entry(":.c:z", 1, &[]), entry("z", 1, &[])];
        assert_eq!(order(entries), [":.c:z/1", ":.c:a/1", "z/1"]);
    }

    #[test]
    fn circles_and_missing_targets_lose_nothing() {
        let entries = vec![entry("a", 1, &[("b", 1)]), entry("b", 1, &[("a", 1), ("gone", 4)])];
        assert_eq!(order(entries), ["b/1", "a/1"]);
        let long: Vec<Entry> = (1..=50_000).map(|version| entry("s", version, &[])).collect();
        assert_eq!(order(long).len(), 50_000);
    }
}
