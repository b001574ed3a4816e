//! A version of a subject as registries show it, and all of them read page by page.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::super::exit::Failure;
use super::{Answered, read};
use crate::registry::rest::{Resource, RestClient};
use crate::registry::types::{SchemaReference, Subject};

/// How many entries are asked for at once. Servers may give fewer.
const PAGE: usize = 500;

/// A version of a subject. What is free in form stays as the registry gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// Its subject.
    pub subject: String,
    /// Its number in the subject.
    pub version: i32,
    /// Its id in the subject's context.
    pub id: i32,
    /// Its language; registries leave AVRO out.
    #[serde(default = "avro", deserialize_with = "avro_if_null")]
    pub schema_type: String,
    /// Its references.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "none_if_null")]
    pub references: Vec<SchemaReference>,
    /// Its data contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Its rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<Value>,
    /// Its text.
    pub schema: String,
    /// Whether it is soft-deleted.
    #[serde(default, deserialize_with = "none_if_null")]
    pub deleted: bool,
    /// Other names of its subject, where the registry says them; no part of the entry.
    #[serde(default, skip_serializing, deserialize_with = "none_if_null")]
    pub aliases: Vec<String>,
}

fn avro() -> String {
    "AVRO".to_owned()
}

fn avro_if_null<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_else(avro))
}

fn none_if_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

impl Entry {
    /// What names it.
    pub fn key(&self) -> (Subject, i32) {
        (Subject::from_stored(&self.subject), self.version)
    }

    /// Whether the other is the same schema under the same id.
    pub fn is_same_schema(&self, other: &Entry) -> bool {
        self.id == other.id
            && self.schema_type == other.schema_type
            && self.schema == other.schema
            && self.references == other.references
            && self.metadata == other.metadata
            && self.rule_set == other.rule_set
    }

    /// What it refers to, by subject and version.
    pub fn targets(&self) -> impl Iterator<Item = (Subject, i32)> {
        let owner = Subject::from_stored(&self.subject);
        self.references.iter().map(move |reference| (owner.sibling(&reference.subject), reference.version))
    }
}

/// The prefix of subjects of all contexts; without one the default context alone is listed.
const ANY_SUBJECT: &str = ":*:";

/// Which entries are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// Subjects that begin so.
    pub prefix: Option<&'a str>,
    /// One of each subject.
    pub latest: bool,
    /// Soft-deleted ones, too.
    pub deleted: bool,
}

/// All entries that are wanted, by subject and version.
pub(super) fn all(client: &RestClient, wanted: Wanted<'_>) -> Result<Vec<Entry>, Failure> {
    pages(wanted, |offset| {
        let resource = Resource::new(&["schemas"]).flag("latestOnly", wanted.latest).flag("deleted", wanted.deleted);
        let resource = resource.flag("aliases", true).with("subjectPrefix", wanted.prefix.unwrap_or(ANY_SUBJECT));
        let resource = resource.with("offset", &offset.to_string()).with("limit", &PAGE.to_string());
        read(client.get(&resource).answered()?, "the list of schemas")
    })
}

/// Every entry of the registry, soft-deleted ones marked: not every registry says which are.
pub(super) fn everything(client: &RestClient) -> Result<Vec<Entry>, Failure> {
    let before = all(client, Wanted::default())?;
    let with_deleted = all(client, Wanted { deleted: true, ..Wanted::default() })?;
    let after = all(client, Wanted::default())?;
    Ok(marked(before, with_deleted, &after))
}

/// The entries of three lists in a row: of live ones, with the deleted ones, of live ones again.
fn marked(before: Vec<Entry>, with_deleted: Vec<Entry>, after: &[Entry]) -> Vec<Entry> {
    let shown: BTreeSet<_> = with_deleted.iter().map(Entry::key).collect();
    let after: BTreeSet<_> = after.iter().map(Entry::key).collect();
    // What is deleted or registered in between is shown as live.
    let live: BTreeSet<_> = before.iter().map(Entry::key).chain(after.iter().cloned()).collect();
    let mut entries = with_deleted;
    for entry in &mut entries {
        entry.deleted = entry.deleted || !live.contains(&entry.key());
    }
    // Karapace takes the word the other way round, and leaves out what it is asked to add.
    let left_out = before.into_iter().filter(|entry| !shown.contains(&entry.key()) && after.contains(&entry.key()));
    entries.extend(left_out.map(|entry| Entry { deleted: true, ..entry }));
    entries.sort_by_key(Entry::key);
    entries
}

fn pages(wanted: Wanted<'_>, page: impl Fn(usize) -> Result<Vec<Entry>, Failure>) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let mut seen = BTreeSet::new();
    let mut offset = 0;
    loop {
        let got = page(offset)?;
        offset += got.len();
        let before = seen.len();
        // Some registries know neither offset nor prefix: they give everything, again and again.
        let over = got.len() > PAGE;
        for entry in got {
            if fits(&entry.subject, wanted.prefix) && seen.insert(entry.key()) {
                entries.push(entry);
            } else if !fits(&entry.subject, wanted.prefix) {
                seen.insert(entry.key());
            }
        }
        if over || seen.len() == before {
            break;
        }
    }
    entries.sort_by_key(Entry::key);
    Ok(entries)
}

/// Whether a subject has a prefix; the registry knows best what prefixes with contexts mean.
fn fits(subject: &str, prefix: Option<&str>) -> bool {
    prefix.is_none_or(|prefix| prefix.starts_with(':') || subject.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn entry(subject: &str, version: i32) -> Entry {
        let text = format!(r#"{{"subject":"{subject}","version":{version},"id":1,"schema":"\"int\"","ts":1}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn read_all(server: &[Entry], most: usize, wanted: Wanted<'_>) -> (Vec<(String, i32)>, Vec<usize>) {
        let asked = RefCell::new(Vec::new());
        let got = pages(wanted, |offset| {
            asked.borrow_mut().push(offset);
            Ok(server.iter().skip(offset).take(PAGE.min(most)).cloned().collect())
        });
        let got = got.unwrap().into_iter().map(|entry| (entry.subject, entry.version)).collect();
        (got, asked.into_inner())
    }

    #[test]
    fn a_server_that_gives_fewer_than_asked_for_is_read_to_its_end() {
        let server: Vec<Entry> = ["a", "b", "c"].iter().flat_map(|name| [entry(name, 1), entry(name, 2)]).collect();
        let (got, asked) = read_all(&server, 4, Wanted::default());
        assert_eq!(got.len(), 6);
        assert_eq!(asked, [0, 4, 6]);
        let (got, _) = read_all(&server, 4, Wanted { prefix: Some("c"), ..Wanted::default() });
        assert_eq!(got, [("c".to_owned(), 1), ("c".to_owned(), 2)]);
    }

    #[test]
    fn a_server_without_pages_is_read_once() {
        let few: Vec<Entry> = (1..=3).map(|version| entry("s", version)).collect();
        let all = |_| Ok(few.clone());
        assert_eq!(pages(Wanted::default(), all).unwrap().len(), 3);
        let many: Vec<Entry> = (1..=600).map(|version| entry("s", version)).collect();
        let calls = RefCell::new(0);
        let all = |_| {
            *calls.borrow_mut() += 1;
            Ok(many.clone())
        };
        assert_eq!(pages(Wanted::default(), all).unwrap().len(), 600);
        assert_eq!(*calls.borrow(), 1);
    }

    #[test]
    fn soft_deleted_entries_are_those_of_one_list_only() {
        let list = |names: &[&str]| names.iter().map(|name| entry(name, 1)).collect::<Vec<_>>();
        let told = |before: &[&str], with_deleted: &[&str], after: &[&str]| {
            let entries = marked(list(before), list(with_deleted), &list(after));
            entries
                .iter()
                .map(|entry| format!("{}{}", entry.subject, if entry.deleted { "-" } else { "" }))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&["a"], &["a", "b"], &["a"]), ["a", "b-"]);
        assert_eq!(told(&["a", "b"], &["a"], &["a", "b"]), ["a", "b-"], "the other way round");
        // Registered, soft-deleted and deleted for good while the lists were read.
        assert_eq!(told(&["a"], &["a", "n"], &["a", "n"]), ["a", "n"]);
        assert_eq!(told(&["a", "s"], &["a", "s"], &["a"]), ["a", "s"]);
        assert_eq!(told(&["a", "g"], &["a"], &["a"]), ["a"]);
    }

    #[test]
    fn what_registries_leave_out_has_its_meaning() {
        let bare = entry("s", 1);
        assert_eq!((bare.schema_type.as_str(), bare.deleted, bare.references.len()), ("AVRO", false, 0));
        let nulls = r#"{"subject":"s","version":1,"id":1,"schemaType":null,"references":null,"metadata":null,
            "ruleSet":null,"schema":"\"int\"","deleted":null}"#;
        assert_eq!(serde_json::from_str::<Entry>(nulls).unwrap(), bare);
    }
}
