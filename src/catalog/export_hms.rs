//! The catalog's view of one metastore as one JSON document, to be compared with the metastore itself.
//!
//! Pure function over records: catalogs, databases, tables with all Thrift fields by name, their partitions and
//! constraints, functions. Unset fields are absent, booleans are 0 or 1 as in Thrift's JSON. What other sources said
//! about the same tables does not show.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::fact::{Aspect, Source};
use crate::model::record::{ContainerRecord, DatasetRecord, FunctionRecord, PartitionRecord};
use crate::normalize::hms::COLUMNS_FACET;
use crate::normalize::hms::names::{DEFAULT_CATALOG, HiveName, Metastore};

/// Groups of constraints in the document, by the `type` in their statements.
const CONSTRAINT_GROUPS: [&str; 6] = ["primaryKeys", "foreignKeys", "notNull", "unique", "default", "check"];

/// The document for `instance` (`hive://host:9083`); an empty one if that is no namespace.
///
/// Records of other instances and sources, and dropped entities, are left out. The database `default` of the default
/// catalog exists without any event and is added; its location follows from those of the others, if there are any.
pub fn export_hms(
    instance: &str,
    containers: &[ContainerRecord],
    datasets: &[DatasetRecord],
    partitions: &[PartitionRecord],
    functions: &[FunctionRecord],
) -> Value {
    let Ok(metastore) = Metastore::new(instance) else {
        return json!({ "catalogs": [], "databases": [], "tables": [], "functions": [] });
    };
    let source = Source::hms(&metastore.namespace());
    let view = View { source: source.as_str(), metastore };
    let mut databases = view.databases(containers);
    let tables = view.tables(datasets, partitions);
    let functions = view.functions(functions);
    seed_default(&mut databases, &tables);
    json!({
        "catalogs": catalogs(&databases),
        "databases": databases.into_values().collect::<Vec<_>>(),
        "tables": tables,
        "functions": functions,
    })
}

struct View<'a> {
    source: &'a str,
    metastore: Metastore,
}

type ByName = BTreeMap<HiveName, Value>;

impl View<'_> {
    /// The metastore's own fields, if it speaks of the entity at all.
    fn native(&self, native: &BTreeMap<String, String>) -> Option<Map<String, Value>> {
        serde_json::from_str(native.get(self.source)?).ok()
    }

    fn databases(&self, containers: &[ContainerRecord]) -> ByName {
        let mut databases = ByName::new();
        for record in containers.iter().filter(|record| record.existence == "confirmed") {
            let (Some(name), Some(mut database)) = (self.metastore.parse(&record.id), self.native(&record.native))
            else {
                continue;
            };
            database.entry("parameters").or_insert_with(|| json!({}));
            databases.insert(name, Value::Object(database));
        }
        databases
    }

    fn tables(&self, datasets: &[DatasetRecord], partitions: &[PartitionRecord]) -> Vec<Value> {
        let mut by_table: BTreeMap<&str, Vec<&PartitionRecord>> = BTreeMap::new();
        for record in partitions.iter().filter(|record| record.source == self.source) {
            by_table.entry(&record.dataset).or_default().push(record);
        }
        let renamed: BTreeMap<&str, &str> = datasets
            .iter()
            .flat_map(|record| record.aliases.iter().map(|alias| (alias.as_str(), record.id.as_str())))
            .collect();
        let mut tables = ByName::new();
        for record in datasets.iter().filter(|record| record.existence == "confirmed") {
            let (Some(name), Some(native)) = (self.metastore.parse(&record.id), self.native(&record.native)) else {
                continue;
            };
            let table = self.table(record, native);
            let is_partitioned =
                table.get("partitionKeys").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty());
            let mut entry = Map::new();
            entry.insert("catName".to_owned(), json!(name.catalog));
            entry.insert("dbName".to_owned(), json!(name.database));
            entry.insert("tableName".to_owned(), json!(name.name));
            entry.insert("table".to_owned(), Value::Object(table));
            entry.insert("constraints".to_owned(), self.constraints(record, &name, &renamed));
            if is_partitioned {
                let mut partitions = by_table.remove(record.id.as_str()).unwrap_or_default();
                partitions.sort_by(|a, b| a.values.cmp(&b.values));
                entry.insert("partitionCount".to_owned(), json!(partitions.len()));
                let partitions = partitions.into_iter().map(partition).collect();
                entry.insert("partitions".to_owned(), Value::Array(partitions));
            }
            tables.insert(name, Value::Object(entry));
        }
        tables.into_values().collect()
    }

    fn table(&self, record: &DatasetRecord, mut table: Map<String, Value>) -> Map<String, Value> {
        let is_ours = |aspect: Aspect| {
            record.provenance.get(aspect.as_str()).is_none_or(|provenance| provenance.source == self.source)
        };
        let parameters = if is_ours(Aspect::Properties) { json!(record.properties) } else { json!({}) };
        table.insert("parameters".to_owned(), parameters);
        // Events carry grants and the client's view of a session table; a metastore does not answer them.
        table.remove("privileges");
        table.remove("temporary");
        if is_ours(Aspect::ViewText) {
            let texts = [("viewOriginalText", &record.view_original), ("viewExpandedText", &record.view_expanded)];
            for (field, text) in texts {
                if let Some(text) = text {
                    table.insert(field.to_owned(), json!(text));
                }
            }
        }
        table
    }

    fn constraints(&self, record: &DatasetRecord, name: &HiveName, renamed: &BTreeMap<&str, &str>) -> Value {
        let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for text in record.constraints.values() {
            let Ok(constraint) = serde_json::from_str::<Value>(text) else { continue };
            let kind = constraint.get("type").and_then(Value::as_str).unwrap_or_default();
            let Some(group) = CONSTRAINT_GROUPS.into_iter().find(|group| *group == kind) else { continue };
            let stated = constraint.get("stated").and_then(Value::as_str).unwrap_or_default();
            let changed_after = |facet: &str| {
                let facet = record.facets.get(facet).and_then(|text| serde_json::from_str::<Value>(text).ok());
                facet.is_some_and(|facet| facet.get("version").and_then(Value::as_str) > Some(stated))
            };
            let columns = constraint.get("columns").and_then(Value::as_array).into_iter().flatten();
            for column in columns.filter_map(Value::as_object) {
                let field = if column.contains_key("fktable_name") { "fkcolumn_name" } else { "column_name" };
                let about = column.get(field).and_then(Value::as_str).unwrap_or_default();
                if changed_after(&format!("{COLUMNS_FACET}/{about}")) {
                    continue;
                }
                let mut column = self.constraint(column, name, renamed);
                if changed_after(COLUMNS_FACET) {
                    column.remove(field);
                }
                groups.entry(group).or_default().push(Value::Object(column));
            }
        }
        json!(groups)
    }

    /// Constraints follow their tables through renames, which no event tells.
    fn constraint(
        &self,
        column: &Map<String, Value>,
        name: &HiveName,
        renamed: &BTreeMap<&str, &str>,
    ) -> Map<String, Value> {
        let mut column = column.clone();
        let own = if column.contains_key("fktable_name") { "fktable" } else { "table" };
        column.insert(format!("{own}_db"), json!(name.database));
        column.insert(format!("{own}_name"), json!(name.name));
        let text = |field: &str| column.get(field).and_then(Value::as_str);
        if let (Some(database), Some(table)) = (text("pktable_db"), text("pktable_name")) {
            let id = self.metastore.table(&name.catalog, database, table);
            let parent = renamed.get(id.as_str()).and_then(|id| self.metastore.parse(id));
            if let Some(parent) = parent {
                column.insert("pktable_db".to_owned(), json!(parent.database));
                column.insert("pktable_name".to_owned(), json!(parent.name));
            }
        }
        column
    }

    fn functions(&self, functions: &[FunctionRecord]) -> Vec<Value> {
        let mut sorted = ByName::new();
        for record in functions.iter().filter(|record| record.existence == "confirmed") {
            if let (Some(name), Some(native)) = (self.metastore.parse(&record.id), self.native(&record.native)) {
                sorted.insert(name, Value::Object(native));
            }
        }
        sorted.into_values().collect()
    }
}

fn partition(record: &PartitionRecord) -> Value {
    let native: Map<String, Value> = serde_json::from_str(&record.native).unwrap_or_default();
    let mut partition = Map::new();
    partition.insert("values".to_owned(), json!(record.values));
    partition.extend(record.location.as_ref().map(|location| ("location".to_owned(), json!(location))));
    partition.insert("parameters".to_owned(), json!(record.properties));
    let sd = native.get("sd").and_then(Value::as_object);
    for (from, field) in [(sd, "cols"), (sd, "inputFormat"), (Some(&native), "createTime")] {
        if let Some(value) = from.and_then(|object| object.get(field)) {
            partition.insert(field.to_owned(), value.clone());
        }
    }
    Value::Object(partition)
}

/// A metastore creates this database when it starts for the first time and writes no event.
fn seed_default(databases: &mut ByName, tables: &[Value]) {
    let name = HiveName { catalog: DEFAULT_CATALOG.to_owned(), database: "default".to_owned(), name: String::new() };
    if databases.contains_key(&name) {
        return;
    }
    let has_catalogs = databases.values().any(|database| database.get("catalogName").is_some())
        || tables.iter().any(|entry| entry.pointer("/table/catName").is_some());
    let mut database = json!({
        "name": "default",
        "description": "Default Hive database",
        "parameters": {},
        "ownerName": "public",
        "ownerType": 2,
    });
    if let Some(fields) = database.as_object_mut() {
        fields.extend(warehouse(databases, tables).map(|uri| ("locationUri".to_owned(), json!(uri))));
        fields.extend(has_catalogs.then(|| ("catalogName".to_owned(), json!(DEFAULT_CATALOG))));
    }
    databases.insert(name, database);
}

/// The warehouse directory, which is the default database's location: the directory in which most databases lie as
/// `<name>.db`, as far as databases or tables tell their locations.
fn warehouse(databases: &ByName, tables: &[Value]) -> Option<String> {
    let mut votes: BTreeMap<String, usize> = BTreeMap::new();
    let mut vote = |location: Option<&str>, suffix: String| {
        if let Some(directory) = location.and_then(|uri| uri.trim_end_matches('/').strip_suffix(&suffix)) {
            *votes.entry(directory.to_owned()).or_default() += 1;
        }
    };
    for (name, database) in databases.iter().filter(|(name, _)| name.catalog == DEFAULT_CATALOG) {
        vote(database.get("locationUri").and_then(Value::as_str), format!("/{}.db", name.database));
    }
    for entry in tables.iter().filter(|entry| entry.get("catName").is_some_and(|name| name == DEFAULT_CATALOG)) {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let location = entry.pointer("/table/sd/location").and_then(Value::as_str);
        let suffix = match text("dbName") {
            "default" => format!("/{}", text("tableName")),
            database => format!("/{database}.db/{}", text("tableName")),
        };
        vote(location, suffix);
    }
    let most = *votes.values().max()?;
    votes.into_iter().find(|(_, count)| *count == most).map(|(directory, _)| directory)
}

/// A catalog shows by its databases; creating one emits nothing else.
fn catalogs(databases: &ByName) -> Vec<Value> {
    let names: BTreeSet<&str> = databases.keys().map(|name| name.catalog.as_str()).collect();
    let catalog = |name: &str| {
        let default = HiveName { catalog: name.to_owned(), database: "default".to_owned(), name: String::new() };
        let mut catalog = Map::new();
        catalog.insert("name".to_owned(), json!(name));
        if name == DEFAULT_CATALOG {
            catalog.insert("description".to_owned(), json!("Default catalog, for Hive"));
        }
        let location = databases.get(&default).and_then(|database| database.get("locationUri"));
        catalog.extend(location.map(|uri| ("locationUri".to_owned(), uri.clone())));
        Value::Object(catalog)
    };
    names.into_iter().map(catalog).collect()
}
