//! What a manifest says of one dataset: kind, docs, owners, tags, meta, columns, view text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::fact::{
    Aspect, Column, Columns, Completeness, Entry, Evidence, Existence, ExistenceState, Owner, ReportedName, Statement,
    Tag, ViewText,
};
use crate::model::id::{child_path, name_key};
use crate::model::reject::Rejection;

use super::names::Named;
use super::wire::{Members, Node, NodeColumn, Person};
use super::{read, said};

/// The spelling under which a dataset was reported.
pub(super) fn name_entry(named: &Named) -> Entry {
    let issues = named.resolved.issues.iter().map(|issue| issue.as_str().to_owned()).collect();
    let name = ReportedName { namespace: named.namespace.clone(), name: named.name.clone(), issues };
    Entry::keyed(name_key(&named.namespace, &named.name), Statement::Name(name))
}

/// That an artifact lists the dataset. Of dbt's family, so weaker than whoever owns or wrote the table.
pub(super) fn existence(state: ExistenceState) -> Entry {
    Entry::of(Statement::Existence(Existence { state, evidence: Evidence::Listing, floor: false, scope: None }))
}

/// What a dataset of a node is: [`Statement::DatasetKind`], and whether it exists.
pub(super) fn kind<'a>(node: &'a Node<'_>) -> (&'a str, ExistenceState) {
    let kind = match node.resource_type.as_str() {
        // What it is, the catalog or its owner tells.
        "source" => return ("", ExistenceState::Referenced),
        "seed" | "snapshot" => "table",
        "exposure" if node.kind == "ml" => "ml_model",
        "exposure" if node.kind.is_empty() => "exposure",
        "exposure" => node.kind.as_str(),
        "model" | "" => match node.config.materialized.as_str() {
            "ephemeral" => return ("model", ExistenceState::Virtual),
            "view" => "view",
            "materialized_view" | "materializedview" | "dynamic_table" | "streaming_table" => "materialized_view",
            _ => "table",
        },
        other => other,
    };
    (kind, ExistenceState::Confirmed)
}

/// All entries of a node's dataset. What an earlier manifest may have said and this one does not is taken back.
pub(super) fn entries(
    node: &Node<'_>,
    named: &Named,
    groups: &BTreeMap<String, Person>,
    dialect: &str,
) -> Result<Vec<Entry>, Rejection> {
    let (kind, state) = kind(node);
    let columns = columns(node)?;
    let description = [&node.description, &node.source_description].into_iter().find(|text| !text.trim().is_empty());
    let view = (kind == "view" || kind == "materialized_view").then(|| view_text(node, dialect)).flatten();
    let mut entries =
        vec![name_entry(named), existence(state), Entry::of(Statement::Properties(properties(node, &columns)))];
    let owners = owners(node, groups);
    let tags = tags(node, &columns);
    let optional = [
        (Aspect::Description, description.map(|text| Statement::Description(text.clone()))),
        (Aspect::Owners, (!owners.is_empty()).then_some(Statement::Owners(owners))),
        (Aspect::Tags, (!tags.is_empty()).then_some(Statement::Tags(tags))),
        (Aspect::Columns, stated_columns(node, &columns).map(Statement::Columns)),
    ];
    for (aspect, statement) in optional {
        entries.push(statement.map_or_else(|| Entry::retract(aspect, ""), Entry::of));
    }
    if !kind.is_empty() {
        entries.push(Entry::of(Statement::DatasetKind(kind.to_owned())));
    }
    // A manifest that was parsed but not compiled does not know the text.
    entries.extend(view.map(|text| Entry::of(Statement::ViewText(text))));
    Ok(entries)
}

fn view_text(node: &Node<'_>, dialect: &str) -> Option<ViewText> {
    let expanded = Some(compiled(node)?.to_owned());
    Some(ViewText { original: raw(node).map(str::to_owned), expanded, dialect: dialect.to_owned() })
}

/// The compiled SQL, if the node is SQL and was compiled.
pub(super) fn compiled<'a>(node: &'a Node<'_>) -> Option<&'a str> {
    let is_sql = node.language.as_deref().is_none_or(|language| language == "sql");
    let text = node.compiled_code.as_deref().or(node.compiled_sql.as_deref());
    said(text).filter(|_| is_sql)
}

/// The code as written.
pub(super) fn raw<'a>(node: &'a Node<'_>) -> Option<&'a str> {
    said(node.raw_code.as_deref().or(node.raw_sql.as_deref()))
}

/// Meta of a node: of its configuration, and since long before that its own.
pub(super) fn meta<'a>(own: &'a Map<String, Value>, config: &'a Map<String, Value>) -> BTreeMap<&'a str, &'a Value> {
    config.iter().chain(own).map(|(key, value)| (key.as_str(), value)).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_enforced(node: &Node<'_>) -> bool {
    node.contract.enforced || node.config.contract.enforced
}

/// Meta and what else has no place of its own.
fn properties(node: &Node<'_>, columns: &[NodeColumn]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in meta(&node.meta, &node.config.meta) {
        all.insert(format!("meta.{key}"), plain(value));
    }
    for column in columns {
        for (key, value) in meta(&column.meta, &column.config.meta) {
            all.insert(format!("column.{}.meta.{key}", column.name), plain(value));
        }
    }
    let version = (!node.version.is_null()).then(|| plain(&node.version));
    let freshness = (!node.freshness.is_null()).then(|| node.freshness.to_string());
    let contract = is_enforced(node).then(|| "enforced".to_owned());
    let own = [
        ("unique_id", Some(node.unique_id.as_str())),
        ("package", Some(node.package_name.as_str())),
        ("path", Some(node.original_file_path.as_str())),
        ("materialized", Some(node.config.materialized.as_str())),
        ("group", node.group.as_deref().or(node.config.group.as_deref())),
        ("access", node.access.as_deref()),
        ("contract", contract.as_deref()),
        ("version", version.as_deref()),
        ("deprecation_date", node.deprecation_date.as_deref()),
        ("source", node.source_name.as_deref()),
        ("loader", Some(node.loader.as_str())),
        ("loaded_at_field", node.loaded_at_field.as_deref()),
        ("freshness", freshness.as_deref()),
        ("url", node.url.as_deref()),
        ("label", node.label.as_deref()),
        ("maturity", node.maturity.as_deref()),
    ];
    let own = own.into_iter().filter_map(|(key, value)| Some((format!("dbt.{key}"), said(value)?.to_owned())));
    all.extend(own);
    all
}

/// Owners: of meta, of the group, of an exposure.
pub(super) fn owners(node: &Node<'_>, groups: &BTreeMap<String, Person>) -> Vec<Owner> {
    let mut owners = Vec::new();
    let mut add = |name: &str, role: &str| {
        if !name.trim().is_empty() {
            owners.push(Owner { name: name.trim().to_owned(), role: role.to_owned() });
        }
    };
    let meta = meta(&node.meta, &node.config.meta);
    for value in ["owner", "owners"].iter().filter_map(|key| meta.get(key)) {
        let several = value.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(*value));
        for one in several {
            let named = |key: &str| one.get(key).and_then(Value::as_str);
            if let Some(name) = one.as_str().or_else(|| named("email")).or_else(|| named("name")) {
                add(name, "OWNER");
            }
        }
    }
    let group = node.group.as_deref().or(node.config.group.as_deref());
    if let Some(person) = group.and_then(|group| groups.get(group)) {
        person_names(person).for_each(|name| add(name, "GROUP"));
    }
    person_names(&node.owner).for_each(|name| add(name, "OWNER"));
    owners.sort();
    owners.dedup();
    owners
}

/// A person's addresses, or the name where there is none.
fn person_names(person: &Person) -> impl Iterator<Item = &str> {
    let name = person.name.as_deref().filter(|_| person.email.is_empty());
    person.email.iter().map(String::as_str).chain(name)
}

fn tags(node: &Node<'_>, columns: &[NodeColumn]) -> Vec<Tag> {
    let tag = |key: &String, field: Option<String>| Tag { key: key.clone(), value: String::new(), field };
    let mut tags: Vec<Tag> = node.tags.iter().chain(&node.config.tags).map(|key| tag(key, None)).collect();
    for column in columns {
        let field = child_path("", &column.name);
        tags.extend(column.tags.iter().chain(&column.config.tags).map(|key| tag(key, Some(field.clone()))));
    }
    tags.sort();
    tags.dedup();
    tags
}

/// The documented columns, in the order of the file.
fn columns(node: &Node<'_>) -> Result<Vec<NodeColumn>, Rejection> {
    let Some(raw) = node.columns else { return Ok(Vec::new()) };
    let members: Members<'_> = match serde_json::from_str(raw.get()) {
        Ok(members) => members,
        // A list or the like documents nothing that we know.
        Err(_) => return Ok(Vec::new()),
    };
    let column = |(name, raw): &(std::borrow::Cow<'_, str>, &serde_json::value::RawValue)| {
        let mut column: NodeColumn = read(raw.get(), &format!("/columns/{}", crate::codec::json::pointer(name)))?;
        if column.name.is_empty() {
            column.name = name.to_string();
        }
        Ok(column)
    };
    members.0.iter().map(column).collect()
}

/// An enforced contract names all columns with their types; otherwise those are named that somebody documented.
fn stated_columns(node: &Node<'_>, columns: &[NodeColumn]) -> Option<Columns> {
    if columns.is_empty() {
        return None;
    }
    let enforced = is_enforced(node) && columns.iter().all(|column| said(column.data_type.as_deref()).is_some());
    let column = |column: &NodeColumn| Column {
        name: column.name.clone(),
        data_type: said(column.data_type.as_deref()).unwrap_or_default().to_owned(),
        description: said(Some(&column.description)).map(str::to_owned),
        // Without a contract a constraint is a wish.
        nullable: (enforced && column.constraints.iter().any(|constraint| constraint.kind == "not_null"))
            .then_some(false),
        partition_key: false,
        fields: Vec::new(),
    };
    let completeness = if enforced { Completeness::Complete } else { Completeness::Partial };
    Some(Columns { completeness, columns: columns.iter().map(column).collect() })
}
