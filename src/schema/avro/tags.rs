//! Tags inside a schema's text: the attribute `confluent:tags` of records and fields.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::json::Json;
use super::super::{EntityKind, EntityTags, SchemaError};
use super::FullName;

/// The attribute that holds them.
const TAGS: &str = "confluent:tags";

/// The schema with tags added to and taken from its records and fields.
///
/// # Errors
/// An entity is not in the schema.
pub(super) fn tagged(schema: &Json, add: &[EntityTags], remove: &[EntityTags]) -> Result<Json, SchemaError> {
    let mut wanted = Wanted::default();
    for (entities, change) in [(add, Change::Add), (remove, Change::Remove)] {
        for entity in entities {
            let by_path = if entity.kind == EntityKind::Record { &mut wanted.records } else { &mut wanted.fields };
            let path = entity.path.trim_start_matches('.');
            by_path.entry(path).or_default().push((change, &entity.tags));
        }
    }
    let mut schema = schema.clone();
    let mut found = HashSet::new();
    visit(&mut schema, None, &wanted, &mut found);
    let is_there = |entity: &&EntityTags| found.contains(&(entity.kind, entity.path.trim_start_matches('.')));
    match add.iter().chain(remove).find(|entity| !is_there(entity)) {
        None => Ok(schema),
        Some(entity) => {
            let message = "no record or field of the schema has this path; write a record as its full name and a field \
                           as that name, a dot and the field's";
            Err(SchemaError::Invalid { path: entity.path.clone(), message: message.to_owned() })
        }
    }
}

/// The records and fields that have tags, in written order.
pub(super) fn entities(schema: &Json) -> Vec<EntityTags> {
    let mut found = Vec::new();
    collect(schema, None, &mut found);
    found
}

#[derive(Clone, Copy)]
enum Change {
    Add,
    Remove,
}

/// Changes in their order, by the path of what they are for: one walk through the schema makes them all.
type ByPath<'a> = HashMap<&'a str, Vec<(Change, &'a BTreeSet<String>)>>;

#[derive(Default)]
struct Wanted<'a> {
    records: ByPath<'a>,
    fields: ByPath<'a>,
}

fn collect(schema: &Json, enclosing: Option<&str>, found: &mut Vec<EntityTags>) {
    let members = match schema {
        Json::Array(branches) => return branches.iter().for_each(|branch| collect(branch, enclosing, found)),
        Json::Object(members) => members,
        _ => return,
    };
    let text = |key: &str| schema.get(key).and_then(Json::as_str);
    let name = text("name").filter(|_| matches!(text("type"), Some("record" | "error")));
    let Some(name) = name.map(|name| FullName::written(name, text("namespace").or(enclosing))) else {
        let parts = members.iter().filter(|(key, _)| matches!(key.as_str(), "type" | "items" | "values"));
        return parts.for_each(|(_, part)| collect(part, enclosing, found));
    };
    let mut note = |path: String, kind: EntityKind, part: &Json| {
        let tags = tags_of(part);
        if !tags.is_empty() {
            found.push(EntityTags { path, kind, tags: tags.into_iter().collect() });
        }
    };
    note(name.to_string(), EntityKind::Record, schema);
    let Some(Json::Array(fields)) = schema.get("fields") else { return };
    for field in fields {
        if let Some(text) = field.get("name").and_then(Json::as_str) {
            note(format!("{name}.{text}"), EntityKind::Field, field);
        }
    }
    for of in fields.iter().filter_map(|field| field.get("type")) {
        collect(of, name.namespace.as_deref(), found);
    }
}

fn tags_of(part: &Json) -> Vec<String> {
    match part.get(TAGS) {
        Some(Json::Array(tags)) => tags.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Makes the changes wherever their entities are, and notes which are anywhere.
fn visit<'a>(
    schema: &mut Json,
    enclosing: Option<&str>,
    wanted: &Wanted<'a>,
    found: &mut HashSet<(EntityKind, &'a str)>,
) {
    let members = match schema {
        Json::Array(branches) => {
            return branches.iter_mut().for_each(|branch| visit(branch, enclosing, wanted, found));
        }
        Json::Object(members) => members,
        _ => return,
    };
    let text = |key: &str| members.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_str());
    let is_record = matches!(text("type"), Some("record" | "error"));
    let name = text("name").map(|name| FullName::written(name, text("namespace").or(enclosing)));
    let Some(name) = name.filter(|_| is_record) else {
        let parts = members.iter_mut().filter(|(key, _)| matches!(key.as_str(), "type" | "items" | "values"));
        return parts.for_each(|(_, part)| visit(part, enclosing, wanted, found));
    };
    let full = name.to_string();
    if let Some((path, changes)) = wanted.records.get_key_value(full.as_str()) {
        changes.iter().for_each(|(change, tags)| retag(members, tags, *change));
        found.insert((EntityKind::Record, path));
    }
    for field in fields(members) {
        let Json::Object(field) = field else { continue };
        let text = field.iter().find(|(key, _)| key == "name").and_then(|(_, value)| value.as_str());
        let path = text.map(|text| format!("{full}.{text}")).unwrap_or_default();
        if let Some((path, changes)) = wanted.fields.get_key_value(path.as_str()) {
            changes.iter().for_each(|(change, tags)| retag(field, tags, *change));
            found.insert((EntityKind::Field, path));
        }
        if let Some((_, of)) = field.iter_mut().find(|(key, _)| key == "type") {
            visit(of, name.namespace.as_deref(), wanted, found);
        }
    }
}

fn fields(record: &mut [(String, Json)]) -> &mut [Json] {
    match record.iter_mut().find(|(key, _)| key == "fields") {
        Some((_, Json::Array(fields))) => fields,
        _ => &mut [],
    }
}

fn retag(members: &mut Vec<(String, Json)>, changed: &BTreeSet<String>, change: Change) {
    let mut tags: Vec<String> = match members.iter().find(|(key, _)| key == TAGS) {
        Some((_, Json::Array(tags))) => tags.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    match change {
        Change::Add => {
            let known: HashSet<&String> = tags.iter().collect();
            let new: Vec<String> = changed.iter().filter(|tag| !known.contains(tag)).cloned().collect();
            tags.extend(new);
        }
        Change::Remove => tags.retain(|tag| !changed.contains(tag)),
    }
    let value = Json::Array(tags.into_iter().map(Json::String).collect());
    match members.iter().position(|(key, _)| key == TAGS) {
        Some(at) if value == Json::Array(Vec::new()) => drop(members.remove(at)),
        Some(_) => members.iter_mut().filter(|(key, _)| key == TAGS).for_each(|(_, old)| *old = value.clone()),
        None if value == Json::Array(Vec::new()) => {}
        None => members.push((TAGS.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
        {"name":"id","type":"long","confluent:tags":["KEY"]},
        {"name":"by","type":["null",{"type":"record","name":"Customer","fields":[{"name":"mail","type":"string"}]}],
         "default":null},
        {"name":"lines","type":{"type":"array","items":{"type":"record","name":"other.Line","fields":[
            {"name":"sku","type":"string"}]}}}]}"#;

    fn entity(path: &str, kind: EntityKind, tags: &[&str]) -> EntityTags {
        EntityTags { path: path.to_owned(), kind, tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
    }

    #[test]
    fn records_and_fields_at_any_depth_are_tagged_and_untagged() {
        let schema = Json::parse(SCHEMA).unwrap();
        let add = [
            entity("shop.Order", EntityKind::Record, &["SALES"]),
            entity(".shop.Order.id", EntityKind::Field, &["PII", "KEY"]),
            entity("shop.Customer.mail", EntityKind::Field, &["PII"]),
            entity("other.Line", EntityKind::Record, &["LINE"]),
        ];
        let found = tagged(&schema, &add, &[]).unwrap();
        let mut text = String::new();
        found.write(&mut text);
        assert!(text.contains(r#""confluent:tags":["KEY","PII"]"#), "what was there stays in front: {text}");
        assert!(text.contains(r#"{"name":"mail","type":"string","confluent:tags":["PII"]}"#), "{text}");
        assert!(text.ends_with(r#","confluent:tags":["SALES"]}"#), "{text}");
        assert_eq!(
            entities(&found),
            [
                entity("shop.Order", EntityKind::Record, &["SALES"]),
                entity("shop.Order.id", EntityKind::Field, &["KEY", "PII"]),
                entity("shop.Customer.mail", EntityKind::Field, &["PII"]),
                entity("other.Line", EntityKind::Record, &["LINE"]),
            ]
        );
        let back = tagged(&found, &[], &add).unwrap();
        assert_eq!(entities(&back), []);
    }

    #[test]
    fn changes_of_one_entity_are_made_in_their_order() {
        let schema = Json::parse(SCHEMA).unwrap();
        let order = |tags: &[&str]| entity("shop.Order", EntityKind::Record, tags);
        let found = tagged(&schema, &[order(&["A"]), order(&["B", "A"])], &[order(&["A"])]).unwrap();
        assert_eq!(entities(&found)[0], order(&["B"]));
    }

    #[test]
    fn an_entity_that_is_not_there_is_named() {
        let schema = Json::parse(SCHEMA).unwrap();
        for (path, kind) in [
            ("shop.Order.nothing", EntityKind::Field),
            ("shop.Order.id", EntityKind::Record),
            ("Order", EntityKind::Record),
            ("other.Line.sku.deeper", EntityKind::Field),
        ] {
            let refused = tagged(&schema, &[entity(path, kind, &["X"])], &[]).unwrap_err();
            assert!(refused.to_string().contains(path), "{refused}");
        }
    }
}
