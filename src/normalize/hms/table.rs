//! Aspects of a table, partition, database or function from its Thrift object. Knows no events and no ids of others.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::names::identifier;
use super::{spark, view};
use crate::codec::hms::event::strings;
use crate::codec::hms::thrift::Object;
use crate::model::fact::{
    Aspect, Column, Columns, Completeness, Entry, Format, Owner, Partition, Statement, Stats, ViewText,
};

/// What to do about aspects that the object says nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Nothing was said before: the entity is new or its floor is set.
    Omit,
    /// Something may have been said before and is no longer true.
    Retract,
}

/// A table's aspects, without existence.
pub fn table_entries(table: &Object, absent: Absent) -> Vec<Entry> {
    let parameters = parameters(table);
    let sd = table.map("sd").cloned().map(Object).unwrap_or_default();
    let view = ViewText {
        original: table.non_empty("viewOriginalText").map(str::to_owned),
        expanded: table.non_empty("viewExpandedText").map(str::to_owned),
        dialect: view::dialect(&parameters).to_owned(),
    };
    let has_view_text = view.original.is_some() || view.expanded.is_some();
    let columns = columns(table, &sd, &parameters);
    let query = view::sql(table, &parameters, &columns.columns);
    let mut entries = vec![
        Entry::of(Statement::DatasetKind(dataset_kind(table).to_owned())),
        Entry::of(Statement::Columns(columns)),
        Entry::of(Statement::Format(format(&sd, &parameters))),
        Entry::of(Statement::Native(native_table(table))),
    ];
    let optional = [
        (Aspect::Description, parameters.get("comment").cloned().map(Statement::Description)),
        (Aspect::Owners, owners(table.non_empty("owner")).map(Statement::Owners)),
        (Aspect::Location, sd.non_empty("location").map(|uri| Statement::Location(uri.to_owned()))),
        (Aspect::ViewText, has_view_text.then_some(Statement::ViewText(view))),
        (Aspect::Stats, stats(&parameters).map(Statement::Stats)),
        (Aspect::DatasetVersion, iceberg_snapshot(&parameters).map(Statement::DatasetVersion)),
        (Aspect::Properties, Some(Statement::Properties(parameters))),
    ];
    add_optional(&mut entries, optional, absent);
    // Whether a query is to be taken back only those know who know what the table was.
    entries.extend(query.map(|sql| Entry::of(Statement::Sql(sql))));
    entries
}

/// A database's aspects, without existence.
pub fn database_entries(database: &Object, absent: Absent) -> Vec<Entry> {
    // Databases are few: the whole object is kept, so that an export needs nothing that other sources may add to.
    let mut native = database.0.clone();
    native.insert("name".to_owned(), Value::from(identifier(database.text("name").unwrap_or_default())));
    // The metastore fills these in when it stores or serves a database, after the event was made.
    if database.non_empty("ownerName").is_some() {
        native.entry("ownerType").or_insert(json!(1));
    }
    if database.int("createTime").is_some() {
        native.entry("type").or_insert(json!(1));
    }
    let mut entries = vec![Entry::of(Statement::Native(Value::Object(native)))];
    let text = |name: &str| database.non_empty(name).map(str::to_owned);
    let optional = [
        (Aspect::Description, text("description").map(Statement::Description)),
        (Aspect::Owners, owners(database.non_empty("ownerName")).map(Statement::Owners)),
        (Aspect::Location, text("locationUri").map(Statement::Location)),
        (Aspect::Properties, database.map("parameters").map(|map| Statement::Properties(strings(map)))),
    ];
    add_optional(&mut entries, optional, absent);
    entries
}

/// A function's aspects, without existence.
///
/// `catalog` is where the function was created, if the event says.
pub fn function_entries(function: &Object, catalog: Option<&str>) -> Vec<Entry> {
    let mut native = function.0.clone();
    if let Some(catalog) = catalog {
        native.entry("catName").or_insert(json!(catalog));
    }
    for name in ["functionName", "dbName"] {
        native.insert(name.to_owned(), Value::from(identifier(function.text(name).unwrap_or_default())));
    }
    vec![Entry::of(Statement::Native(Value::Object(native)))]
}

fn add_optional<const N: usize>(entries: &mut Vec<Entry>, optional: [(Aspect, Option<Statement>); N], absent: Absent) {
    for (aspect, statement) in optional {
        match (statement, absent) {
            (Some(statement), _) => entries.push(Entry::of(statement)),
            (None, Absent::Retract) => entries.push(Entry::retract(aspect, "")),
            (None, Absent::Omit) => {}
        }
    }
}

/// A partition's statement.
pub fn partition(object: &Object) -> Partition {
    let mut native = object.0.clone();
    for taken in ["values", "parameters", "dbName", "tableName", "catName"] {
        native.remove(taken);
    }
    let location = object.map("sd").and_then(|sd| sd.get("location")).and_then(Value::as_str).map(str::to_owned);
    if let Some(Value::Object(sd)) = native.get_mut("sd") {
        sd.remove("location");
        lower_column_names(sd);
    }
    Partition {
        values: object.texts("values"),
        location,
        properties: parameters(object),
        native: Value::Object(native),
    }
}

/// Names of the partition keys, lower case.
pub fn partition_keys(table: &Object) -> Vec<String> {
    let keys = table.list("partitionKeys").iter();
    keys.filter_map(|key| key.get("name").and_then(Value::as_str)).map(identifier).collect()
}

/// Location of a table, if it has one.
pub fn location(table: &Object) -> Option<&str> {
    table.map("sd")?.get("location")?.as_str().filter(|uri| !uri.is_empty())
}

/// Numbers in parameters that the metastore or a writer keeps up to date.
pub fn stats(parameters: &BTreeMap<String, String>) -> Option<Stats> {
    let number =
        |key: &str| parameters.get(key).and_then(|text| text.trim().parse::<i64>().ok()).filter(|count| *count >= 0);
    let stats =
        Stats { rows: number("numRows"), bytes: number("totalSize"), files: number("numFiles"), extra: Value::Null };
    (stats != Stats::default()).then_some(stats)
}

fn parameters(object: &Object) -> BTreeMap<String, String> {
    object.map("parameters").map(strings).unwrap_or_default()
}

fn owners(name: Option<&str>) -> Option<Vec<Owner>> {
    name.map(|name| vec![Owner { name: name.to_owned(), role: "TECHNICAL".to_owned() }])
}

/// What is left of a table once parameters and view text are told elsewhere. Columns, owner and location stay: other
/// sources annotate or fill in those aspects, and an export has to give the metastore's own.
fn native_table(table: &Object) -> Value {
    let mut native = table.0.clone();
    native.remove("parameters");
    for text in ["viewOriginalText", "viewExpandedText"] {
        if table.non_empty(text).is_some() {
            native.remove(text);
        }
    }
    for name in ["tableName", "dbName"] {
        native.insert(name.to_owned(), Value::from(identifier(table.text(name).unwrap_or_default())));
    }
    if let Some(Value::Object(sd)) = native.get_mut("sd") {
        lower_column_names(sd);
        let no_skew = json!({ "skewedColNames": [], "skewedColValues": [], "skewedColValueLocationMaps": {} });
        let stored = [
            ("bucketCols", json!([])),
            ("sortCols", json!([])),
            ("parameters", json!({})),
            ("skewedInfo", no_skew),
            ("storedAsSubDirectories", json!(0)),
        ];
        fill(sd, stored);
    }
    if let Some(keys) = native.get_mut("partitionKeys") {
        lower(keys, "name");
    }
    fill(&mut native, [("rewriteEnabled", json!(0))]);
    // Table ids came with 4.0, and so did write ids.
    if native.contains_key("id") {
        fill(&mut native, [("writeId", json!(0))]);
    }
    Value::Object(native)
}

/// Values that the metastore stores where the client left a field out; its events show the client's object.
fn fill<const N: usize>(object: &mut Map<String, Value>, stored: [(&str, Value); N]) {
    for (field, value) in stored {
        object.entry(field).or_insert(value);
    }
}

/// The metastore stores names of columns and sort columns in lower case, whatever the client sent and the event says.
fn lower_column_names(sd: &mut Map<String, Value>) {
    for (list, field) in [("cols", "name"), ("sortCols", "col")] {
        if let Some(items) = sd.get_mut(list) {
            lower(items, field);
        }
    }
}

fn lower(items: &mut Value, field: &str) {
    for item in items.as_array_mut().into_iter().flatten() {
        if let Some(Value::String(name)) = item.get_mut(field) {
            *name = name.to_lowercase();
        }
    }
}

fn columns(table: &Object, sd: &Object, parameters: &BTreeMap<String, String>) -> Columns {
    let own = sd.list("cols");
    let provider = spark::provider(parameters);
    if let Some(columns) = view::columns(table) {
        return Columns { completeness: Completeness::Complete, columns };
    }
    let is_dummy = provider.is_some() && is_stand_in(own);
    if (is_dummy || provider.as_deref() == Some("delta"))
        && let Some(columns) = spark::columns(parameters).filter(|columns| !columns.is_empty())
    {
        return Columns { completeness: Completeness::Complete, columns };
    }
    let column = |field: &Value, partition_key: bool| Column {
        name: field.get("name").and_then(Value::as_str).unwrap_or_default().to_lowercase(),
        data_type: field.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
        description: field.get("comment").and_then(Value::as_str).map(str::to_owned),
        partition_key,
        ..Column::default()
    };
    let columns = own.iter().map(|field| column(field, false));
    let keys = table.list("partitionKeys").iter().map(|field| column(field, true));
    Columns {
        completeness: if is_dummy { Completeness::Placeholder } else { Completeness::Complete },
        columns: columns.chain(keys).collect(),
    }
}

/// What Spark puts in the place of columns that it keeps to itself.
fn is_stand_in(columns: &[Value]) -> bool {
    let text = |column: &Value, field: &str| column.get(field).and_then(Value::as_str).map(str::to_lowercase);
    match columns {
        [] => true,
        [only] => {
            text(only, "name").as_deref() == Some("col") && text(only, "type").as_deref() == Some("array<string>")
        }
        _ => false,
    }
}

fn dataset_kind(table: &Object) -> &'static str {
    match table.text("tableType").unwrap_or_default() {
        "EXTERNAL_TABLE" => "external_table",
        "VIRTUAL_VIEW" => "view",
        "MATERIALIZED_VIEW" => "materialized_view",
        "INDEX_TABLE" => "index_table",
        _ => "table",
    }
}

fn is_iceberg(parameters: &BTreeMap<String, String>) -> bool {
    parameters.get("table_type").is_some_and(|kind| kind.eq_ignore_ascii_case("iceberg"))
}

fn iceberg_snapshot(parameters: &BTreeMap<String, String>) -> Option<String> {
    parameters.get("current-snapshot-id").filter(|id| is_iceberg(parameters) && !id.is_empty()).cloned()
}

fn format(sd: &Object, parameters: &BTreeMap<String, String>) -> Format {
    let input = sd.text("inputFormat").unwrap_or_default();
    let serde = sd.map("serdeInfo").and_then(|info| info.get("serializationLib")).and_then(Value::as_str);
    let provider = spark::provider(parameters);
    let parameter = |key: &str| parameters.get(key).map(|text| text.to_lowercase());
    let table_format = if is_iceberg(parameters) {
        "iceberg"
    } else if provider.as_deref() == Some("delta") {
        "delta"
    } else if provider.as_deref().is_some_and(|name| name.contains("hudi")) || input.contains(".hudi.") {
        "hudi"
    } else if input.is_empty() {
        ""
    } else {
        "hive"
    };
    let name = match table_format {
        "iceberg" => parameter("write.format.default").unwrap_or_else(|| "iceberg".to_owned()),
        "delta" => "delta".to_owned(),
        _ => file_format(input, serde.unwrap_or_default())
            .map(str::to_owned)
            .or_else(|| provider.filter(|name| name != "hive"))
            .unwrap_or_default(),
    };
    Format { name, table_format: table_format.to_owned(), detail: input.to_owned() }
}

/// The file format behind Hive's classes; text formats differ by their serialiser only.
fn file_format(input: &str, serde: &str) -> Option<&'static str> {
    let lower = input.to_lowercase();
    let serde = serde.to_lowercase();
    let by_input = [
        ("parquet", "parquet"),
        ("orc", "orc"),
        ("avro", "avro"),
        ("rcfile", "rcfile"),
        ("sequencefile", "sequencefile"),
        ("hbase", "hbase"),
        ("jdbc", "jdbc"),
        ("kafka", "kafka"),
    ];
    if let Some((_, name)) = by_input.iter().find(|(word, _)| lower.contains(word)) {
        return Some(name);
    }
    let by_serde = [
        ("json", "json"),
        ("opencsv", "csv"),
        ("csv", "csv"),
        ("regex", "text"),
        ("parquet", "parquet"),
        ("orc", "orc"),
    ];
    if let Some((_, name)) = by_serde.iter().find(|(word, _)| serde.contains(word)) {
        return Some(name);
    }
    lower.contains("text").then_some("text")
}
