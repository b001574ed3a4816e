//! Tags inside a schema's text: the attribute `confluent:tags` of records and fields.

use std::collections::BTreeSet;

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
    let mut schema = schema.clone();
    for (entities, change) in [(add, Change::Add), (remove, Change::Remove)] {
        for entity in entities {
            if !visit(&mut schema, None, entity, change) {
                let message = "no record or field of the schema has this path; write a record as its full name and a \
                               field as that name, a dot and the field's";
                return Err(SchemaError::Invalid { path: entity.path.clone(), message: message.to_owned() });
            }
        }
    }
    Ok(schema)
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

/// Applies a change wherever the entity is; answers whether it is anywhere.
fn visit(schema: &mut Json, enclosing: Option<&str>, entity: &EntityTags, change: Change) -> bool {
    let members = match schema {
        Json::Array(branches) => {
            let mut found = false;
            branches.iter_mut().for_each(|branch| found |= visit(branch, enclosing, entity, change));
            return found;
        }
        Json::Object(members) => members,
        _ => return false,
    };
    let text = |key: &str| members.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_str());
    let is_record = matches!(text("type"), Some("record" | "error"));
    let name = text("name").map(|name| FullName::written(name, text("namespace").or(enclosing)));
    let mut found = false;
    if let Some(name) = name.filter(|_| is_record) {
        let full = name.to_string();
        let wanted = entity.path.trim_start_matches('.');
        if entity.kind == EntityKind::Record && wanted == full {
            retag(members, &entity.tags, change);
            found = true;
        }
        let wanted = wanted.strip_prefix(&full).and_then(|rest| rest.strip_prefix('.'));
        for field in fields(members) {
            let Json::Object(field) = field else { continue };
            let is_named = |field: &[(String, Json)], wanted: &str| {
                field.iter().any(|(key, value)| key == "name" && value.as_str() == Some(wanted))
            };
            if entity.kind == EntityKind::Field && wanted.is_some_and(|wanted| is_named(field, wanted)) {
                retag(field, &entity.tags, change);
                found = true;
            }
            if let Some((_, of)) = field.iter_mut().find(|(key, _)| key == "type") {
                found |= visit(of, name.namespace.as_deref(), entity, change);
            }
        }
        return found;
    }
    for (_, part) in members.iter_mut().filter(|(key, _)| matches!(key.as_str(), "type" | "items" | "values")) {
        found |= visit(part, enclosing, entity, change);
    }
    found
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
            let new: Vec<String> = changed.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
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
