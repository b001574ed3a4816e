//! Semantic changes of `catalog.changes`, from the difference of two derivations.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::fact::Fact;
use crate::model::record::{CatalogOutput, CatalogRecord, CatalogTopic, ChangeRecord, DatasetRecord, LineageRecord};

use super::dataset::json_text;
use super::output::Derived;

fn change(
    fact: &Fact,
    kind: &str,
    (before, after): (Option<String>, Option<String>),
    breaking: Option<&str>,
) -> CatalogOutput {
    let entity = fact.entity.as_str();
    let mut hash = Sha256::new();
    for part in [Some(entity), Some(kind), before.as_deref(), after.as_deref(), Some(&fact.version.sortable())] {
        // The length keeps neighbours apart, and nothing apart from an empty text.
        hash.update(part.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    let id = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let record = ChangeRecord {
        id,
        entity: entity.to_owned(),
        kind: kind.to_owned(),
        before,
        after,
        breaking: breaking.is_some(),
        time: fact.version.time,
        source: fact.source.as_str().to_owned(),
        origin: fact.origin.clone(),
    };
    CatalogOutput {
        topic: CatalogTopic::Changes,
        key: entity.to_owned(),
        owner: entity.to_owned(),
        value: Some(CatalogRecord::Change(record.into())),
    }
}

fn texts<T: Serialize>(before: &T, after: &T) -> (Option<String>, Option<String>) {
    (Some(json_text(before)), Some(json_text(after)))
}

/// Changes of a dataset.
pub(super) fn of_dataset(fact: &Fact, old: &Derived, new: &Derived, out: &mut Vec<CatalogOutput>) {
    let id = fact.entity.as_str();
    let head = |side: &Derived| match side.get(&(CatalogTopic::Datasets, id.to_owned())) {
        Some(CatalogRecord::Dataset(record)) => Some(record.clone()),
        _ => None,
    };
    let (before, after) = (head(old), head(new));
    for ((topic, key), record) in new {
        if let CatalogRecord::Alias(alias) = record
            && alias.kind == "rename"
            && !old.contains_key(&(*topic, key.clone()))
        {
            out.push(change(fact, "renamed", (Some(json_text(id)), Some(json_text(&alias.canonical))), None));
        }
    }
    let there = |record: &Option<Box<DatasetRecord>>| record.as_ref().is_some_and(|r| r.existence == "confirmed");
    if there(&after) && !there(&before) {
        let again = before.as_ref().is_some_and(|record| record.existence == "dropped")
            || after.as_ref().is_some_and(|record| record.incarnation > 1);
        let kind = if again { "recreated" } else { "created" };
        out.push(change(fact, kind, (None, after.as_ref().map(|record| json_text(&record.kind))), None));
    }
    let (Some(before), Some(after)) = (before, after) else { return };
    if before.existence != "dropped" && after.existence == "dropped" {
        out.push(change(fact, "dropped", (Some(json_text(&before.existence)), None), None));
    }
    if before.description != after.description {
        out.push(change(fact, "description_changed", texts(&before.description, &after.description), None));
    }
    if before.owners != after.owners {
        out.push(change(fact, "owners_changed", texts(&before.owners, &after.owners), None));
    }
    if before.tags != after.tags {
        out.push(change(fact, "tags_changed", texts(&before.tags, &after.tags), None));
    }
    if before.location != after.location {
        out.push(change(fact, "location_changed", texts(&before.location, &after.location), None));
    }
    for ((topic, key), record) in new {
        if let CatalogRecord::SchemaVersion(schema) = record
            && schema.level != "initial"
            && !old.contains_key(&(*topic, key.clone()))
        {
            let breaking = schema.breaking.then_some("schema");
            out.push(change(fact, "schema_changed", (None, Some(json_text(&schema.changes))), breaking));
        }
    }
}

/// Changes of a job: edges and failed runs.
pub(super) fn of_job(fact: &Fact, old: &Derived, new: &Derived, out: &mut Vec<CatalogOutput>) {
    let named = |edge: &LineageRecord| json_text(&[&edge.source, &edge.target]);
    for (key, record) in new {
        match (record, old.get(key)) {
            (CatalogRecord::Lineage(edge), None) => {
                out.push(change(fact, "lineage_added", (None, Some(named(edge))), None));
            }
            (CatalogRecord::Run(run), before) if run.state == "FAIL" => {
                let known = matches!(before, Some(CatalogRecord::Run(before)) if before.state == "FAIL");
                if !known {
                    let text = json_text(&serde_json::json!({ "run": run.id, "error": run.error }));
                    out.push(change(fact, "run_failed", (None, Some(text)), None));
                }
            }
            _ => {}
        }
    }
    for (key, record) in old {
        if let CatalogRecord::Lineage(edge) = record
            && !new.contains_key(key)
        {
            out.push(change(fact, "lineage_retired", (Some(named(edge)), None), None));
        }
    }
}
