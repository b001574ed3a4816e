//! Schemas that Spark keeps in table parameters (`spark.sql.sources.schema*`). Knows nothing else of tables.
//!
//! Spark writes its schema as JSON, split into parts where the metastore limits a value's length, because the
//! metastore's own columns cannot hold upper-case names or are a stand-in (`col array<string>` of Delta tables).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::fact::Column;

const PREFIX: &str = "spark.sql.sources.";
/// Parts and partition columns read at most: bounds what foreign counts can cost.
const MAX_PARTS: usize = 10_000;
/// Nesting of types read at most; below it a type stays text.
const MAX_DEPTH: usize = 50;

/// Data source (`delta`, `parquet`, `iceberg`, …), lower case.
pub fn provider(parameters: &BTreeMap<String, String>) -> Option<String> {
    parameters.get(&format!("{PREFIX}provider")).map(|name| name.to_lowercase())
}

/// The schema in the parameters; `None` if there is none or it cannot be read, empty if Spark stored an empty one.
pub fn columns(parameters: &BTreeMap<String, String>) -> Option<Vec<Column>> {
    let text = match parameters.get(&format!("{PREFIX}schema")) {
        Some(text) => text.clone(),
        None => numbered(parameters, "schema.numParts", "schema.part.")?.concat(),
    };
    let schema: Value = serde_json::from_str(&text).ok()?;
    let mut columns = fields(&schema, MAX_DEPTH)?;
    let keys = numbered(parameters, "schema.numPartCols", "schema.partCol.").unwrap_or_default();
    let keys: BTreeSet<String> = keys.iter().map(|key| key.to_lowercase()).collect();
    for column in &mut columns {
        column.partition_key = keys.contains(&column.name.to_lowercase());
    }
    Some(columns)
}

fn numbered(parameters: &BTreeMap<String, String>, count: &str, item: &str) -> Option<Vec<String>> {
    let count: usize = parameters.get(&format!("{PREFIX}{count}"))?.trim().parse().ok()?;
    (0..count.min(MAX_PARTS)).map(|index| parameters.get(&format!("{PREFIX}{item}{index}")).cloned()).collect()
}

fn fields(structure: &Value, depth: usize) -> Option<Vec<Column>> {
    structure.get("fields")?.as_array()?.iter().map(|field| column(field, depth)).collect()
}

fn column(field: &Value, depth: usize) -> Option<Column> {
    let data_type = field.get("type")?;
    let metadata = |key: &str| field.get("metadata")?.get(key)?.as_str();
    Some(Column {
        name: field.get("name")?.as_str()?.to_owned(),
        // char and varchar are strings to Spark; their declared type stands in the metadata.
        data_type: metadata("__CHAR_VARCHAR_TYPE_STRING").map_or_else(|| type_name(data_type, depth), str::to_owned),
        description: metadata("comment").map(str::to_owned),
        nullable: field.get("nullable").and_then(Value::as_bool),
        partition_key: false,
        fields: nested(data_type, depth.checked_sub(1)?).unwrap_or_default(),
    })
}

/// Fields below a type: of a struct its fields, of an array `[]`, of a map `{}`, where these hold a struct.
fn nested(data_type: &Value, depth: usize) -> Option<Vec<Column>> {
    let below = |name: &str, key: &str| {
        let element = data_type.get(key)?;
        let fields = nested(element, depth.checked_sub(1)?)?;
        let data_type = type_name(element, depth);
        Some(vec![Column { name: name.to_owned(), data_type, fields, ..Column::default() }])
    };
    match data_type.get("type")?.as_str()? {
        "struct" => fields(data_type, depth.checked_sub(1)?),
        "array" => below("[]", "elementType"),
        "map" => below("{}", "valueType"),
        "udt" => nested(data_type.get("sqlType")?, depth.checked_sub(1)?),
        _ => None,
    }
}

/// A type in SQL spelling.
fn type_name(data_type: &Value, depth: usize) -> String {
    if let Some(name) = data_type.as_str() {
        let sql = match name {
            "long" => "bigint",
            "integer" => "int",
            "short" => "smallint",
            "byte" => "tinyint",
            other => other,
        };
        return sql.to_owned();
    }
    let Some(depth) = depth.checked_sub(1) else { return data_type.to_string() };
    let inner = |key: &str| data_type.get(key).map_or_else(String::new, |element| type_name(element, depth));
    match data_type.get("type").and_then(Value::as_str) {
        Some("struct") => {
            let fields = data_type.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let field = |field: &Value| {
                let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
                format!("{name}:{}", field.get("type").map_or_else(String::new, |inner| type_name(inner, depth)))
            };
            format!("struct<{}>", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
        Some("array") => format!("array<{}>", inner("elementType")),
        Some("map") => format!("map<{},{}>", inner("keyType"), inner("valueType")),
        Some("udt") => inner("sqlType"),
        _ => data_type.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned())).collect()
    }

    #[test]
    fn parts_are_joined_and_partition_columns_marked() {
        let parameters = parameters(&[
            ("schema.numParts", "2"),
            (
                "schema.part.0",
                r#"{"type":"struct","fields":[{"name":"Id","type":"long","nullable":false,"metadata":{"com"#,
            ),
            ("schema.part.1", r#"ment":"key"}},{"name":"day","type":"date","nullable":true,"metadata":{}}]}"#),
            ("schema.numPartCols", "1"),
            ("schema.partCol.0", "day"),
        ]);
        let columns = columns(&parameters).unwrap();
        assert_eq!(columns.len(), 2);
        assert_eq!((columns[0].name.as_str(), columns[0].data_type.as_str()), ("Id", "bigint"));
        assert_eq!(columns[0].description.as_deref(), Some("key"));
        assert_eq!(columns[0].nullable, Some(false));
        assert!(columns[1].partition_key && !columns[0].partition_key);
    }

    #[test]
    fn nested_types_become_sql_text_and_fields() {
        let schema = r#"{"type":"struct","fields":[{"name":"a","nullable":true,"metadata":{},"type":{"type":"array",
            "containsNull":true,"elementType":{"type":"struct","fields":[{"name":"x","type":"integer","nullable":true,
            "metadata":{}},{"name":"m","type":{"type":"map","keyType":"string","valueType":"decimal(5,2)"},
            "nullable":true,"metadata":{}}]}}}]}"#;
        let columns = columns(&parameters(&[("schema", schema)])).unwrap();
        assert_eq!(columns[0].data_type, "array<struct<x:int,m:map<string,decimal(5,2)>>>");
        let element = &columns[0].fields[0];
        assert_eq!(element.name, "[]");
        assert_eq!(element.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["x", "m"]);
    }

    #[test]
    fn what_is_missing_or_broken_is_no_schema() {
        assert_eq!(columns(&parameters(&[])), None);
        assert_eq!(columns(&parameters(&[("schema", "{")])), None);
        assert_eq!(columns(&parameters(&[("schema.numParts", "2"), ("schema.part.0", "{}")])), None);
        let empty = parameters(&[("schema", r#"{"type":"struct","fields":[]}"#)]);
        assert_eq!(columns(&empty), Some(Vec::new()));
    }

    #[test]
    fn bottomless_types_end() {
        let mut data_type = r#""string""#.to_owned();
        for _ in 0..60 {
            data_type = format!(r#"{{"type":"array","elementType":{data_type}}}"#);
        }
        let schema = format!(r#"{{"type":"struct","fields":[{{"name":"a","type":{data_type}}}]}}"#);
        let columns = columns(&parameters(&[("schema", &schema)])).unwrap();
        assert!(columns[0].data_type.starts_with("array<array<"));
    }
}
