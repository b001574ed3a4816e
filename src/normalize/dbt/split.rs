//! A file of dbt → records for the topic: log files by line, artifacts whole while they fit, large manifests and
//! catalogs in parts.
//!
//! A part is an envelope `{"kind": "manifest.part", "part": n, "parts": m, "relations": {…}, "artifact": {…}}` whose
//! artifact has the metadata and some of the nodes, and what is needed of the others: where they lie. The parts are the
//! pages of one listing, which counts once all of them are there. Pure; the command line reads the file and sends.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::model::reject::{ReasonCode, Rejection};

use super::manifest::{packages, relation};
use super::names::package;
use super::wire::{Members, Metadata, Node, Relation};
use super::{Outer, owned, read, text};

/// What the person who sends a file adds to it.
#[derive(Clone, Debug, Default)]
pub struct Sent<'a> {
    /// Namespace of its datasets.
    pub namespace: Option<&'a str>,
    /// Name of the project.
    pub project: Option<&'a str>,
    /// Target.
    pub target: Option<&'a str>,
    /// Largest record, bytes.
    pub max_bytes: usize,
}

/// A record: its key is the invocation's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Kafka key, if the record names its invocation.
    pub key: Option<String>,
    /// JSON.
    pub value: String,
}

/// Members of a manifest or catalog that parts divide among them, and those that each part has.
const DIVIDED: [&str; 7] =
    ["nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries", "unit_tests"];

/// The invocation that a record names.
pub fn key(json: &str) -> Option<String> {
    let outer: Outer<'_> = serde_json::from_str(json).ok()?;
    let field = |raw: Option<&RawValue>, name: &str| {
        let value: BTreeMap<String, &RawValue> = serde_json::from_str(raw?.get()).ok()?;
        owned(value.get(name).copied())
    };
    if let Some(artifact) = outer.artifact {
        return key(artifact.get());
    }
    let invocation = field(outer.metadata, "invocation_id").or_else(|| field(outer.info, "invocation_id"));
    invocation.or_else(|| {
        let line: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        ["invocation_id", "trace_id"].iter().find_map(|name| owned(line.get(*name).copied()))
    })
}

/// The records of one artifact or log line.
///
/// # Errors
/// It is not JSON, or one node is larger than a record may be.
pub fn split(json: &str, sent: &Sent<'_>) -> Result<Vec<Part>, Rejection> {
    let outer: Outer<'_> = read(json, "")?;
    let key = key(json);
    let schema = outer.metadata.map(|raw| read::<Metadata>(raw.get(), "/metadata")).transpose()?.unwrap_or_default();
    let kind = schema.dbt_schema_version.rsplit('/').nth(1).unwrap_or_default().replace('-', "_");
    let is_line = outer.info.is_some() || outer.record_type.is_some() || text(outer.line_type).is_some();
    let kind = if kind.is_empty() && is_line { "log".to_owned() } else { kind };
    let tells = sent.namespace.is_some() || sent.project.is_some() || sent.target.is_some();
    let value = if tells && outer.artifact.is_none() && !kind.is_empty() {
        envelope(&kind, sent, None, None, json)
    } else {
        json.to_owned()
    };
    if value.len() <= sent.max_bytes {
        return Ok(vec![Part { key, value }]);
    }
    match kind.as_str() {
        "manifest" | "catalog" => {
            let values = divided(json, &kind, sent)?;
            Ok(values.into_iter().map(|value| Part { key: key.clone(), value }).collect())
        }
        _ => Err(too_large("", value.len(), sent)),
    }
}

fn too_large(path: &str, bytes: usize, sent: &Sent<'_>) -> Rejection {
    let message = format!("{bytes} bytes, and a record of its topic may have {}", sent.max_bytes);
    Rejection::new(ReasonCode::LimitExceeded, path, message)
}

fn envelope(
    kind: &str,
    sent: &Sent<'_>,
    page: Option<(usize, usize)>,
    relations: Option<&BTreeMap<String, Relation>>,
    artifact: &str,
) -> String {
    let mut head = serde_json::Map::new();
    head.insert("kind".to_owned(), Value::from(kind));
    let told = [("namespace", sent.namespace), ("project", sent.project), ("target", sent.target)];
    head.extend(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))));
    if let Some((part, parts)) = page {
        head.insert("part".to_owned(), json!(part));
        head.insert("parts".to_owned(), json!(parts));
    }
    if let Some(relations) = relations {
        head.insert("relations".to_owned(), json!(relations));
    }
    let head = Value::Object(head).to_string();
    // The artifact goes in as it stands; JSON of it would have to be read and written for nothing.
    format!("{},\"artifact\":{artifact}}}", head.strip_suffix('}').unwrap_or(&head))
}

/// One member of a divided object.
struct Item<'a> {
    field: &'static str,
    unique_id: Cow<'a, str>,
    raw: &'a RawValue,
    reads: Vec<String>,
}

fn divided(json: &str, kind: &str, sent: &Sent<'_>) -> Result<Vec<String>, Rejection> {
    let top: Members<'_> = read(json, "")?;
    let member = |name: &str| top.0.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut places: BTreeMap<String, Relation> = BTreeMap::new();
    for field in DIVIDED {
        let Some(raw) = member(field) else { continue };
        let members: Members<'_> = read(raw.get(), &format!("/{field}"))?;
        for (unique_id, raw) in members.0 {
            let mut reads = Vec::new();
            if kind == "manifest" {
                let mut node: Node<'_> = read(raw.get(), &format!("/{field}/{unique_id}"))?;
                if node.resource_type.is_empty() {
                    node.resource_type = super::names::resource_type(&unique_id).to_owned();
                }
                places.extend(relation(&node).map(|relation| (unique_id.to_string(), relation)));
                reads = std::mem::take(&mut node.depends_on.nodes);
                reads.extend(node.attached_node);
            }
            items.push(Item { field, unique_id, raw, reads });
        }
    }
    // A part has to know also what its nodes read through ephemeral models.
    for item in &mut items {
        let mut at = 0;
        while let Some(unique_id) = item.reads.get(at).cloned() {
            let through = places.get(&unique_id).map(|relation| relation.reads.clone()).unwrap_or_default();
            let new: Vec<String> = through.into_iter().filter(|id| !item.reads.contains(id)).collect();
            item.reads.extend(new);
            at += 1;
        }
    }
    // Parts must agree on the project, which neither old manifests nor catalogs name.
    let metadata: Metadata =
        member("metadata").map(|raw| read(raw.get(), "/metadata")).transpose()?.unwrap_or_default();
    let all = packages(items.iter().filter_map(|item| package(&item.unique_id))).first().map(|name| (*name).to_owned());
    let project = sent.project.or(all.as_deref().filter(|_| metadata.project_name.is_empty()));
    let sent = &Sent { project, ..sent.clone() };
    // Every part says whose it is, who owns its groups, and what went wrong.
    let common: Vec<(&str, &str)> =
        ["metadata", "groups", "errors"].into_iter().filter_map(|name| Some((name, member(name)?.get()))).collect();
    let head: usize = 4_096 + common.iter().map(|(name, text)| name.len() + text.len() + 8).sum::<usize>();
    let of_relation = |id: &str| places.get(id).map_or(0, |relation| id.len() + json!(relation).to_string().len() + 8);
    let mut parts: Vec<Vec<Item<'_>>> = Vec::new();
    let (mut part, mut bytes): (Vec<Item<'_>>, usize) = (Vec::new(), head);
    for item in items {
        let relations: usize = item.reads.iter().map(|id| of_relation(id)).sum();
        let own = item.unique_id.len() * 2 + item.raw.get().len() + 16 + relations;
        if head + own > sent.max_bytes {
            return Err(too_large(&format!("/{}/{}", item.field, item.unique_id), head + own, sent));
        }
        if bytes + own > sent.max_bytes {
            parts.push(std::mem::take(&mut part));
            bytes = head;
        }
        bytes += own;
        part.push(item);
    }
    parts.push(part);
    let count = parts.len();
    let written = parts.iter().enumerate().map(|(nth, part)| {
        let own: BTreeSet<&str> = part.iter().map(|item| item.unique_id.as_ref()).collect();
        let read = part.iter().flat_map(|item| &item.reads).filter(|id| !own.contains(id.as_str()));
        let relations: BTreeMap<String, Relation> =
            read.filter_map(|id| Some((id.clone(), places.get(id)?.clone()))).collect();
        let mut fields: Vec<String> = common.iter().map(|(name, text)| format!("{}:{text}", json!(name))).collect();
        for field in DIVIDED {
            let members = part.iter().filter(|item| item.field == field);
            let members: Vec<String> =
                members.map(|item| format!("{}:{}", json!(item.unique_id), item.raw.get())).collect();
            if !members.is_empty() {
                fields.push(format!("{}:{{{}}}", json!(field), members.join(",")));
            }
        }
        let artifact = format!("{{{}}}", fields.join(","));
        envelope(&format!("{kind}.part"), sent, Some((nth, count)), Some(&relations), &artifact)
    });
    Ok(written.collect())
}
