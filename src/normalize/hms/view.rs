//! The query of a view, as each engine leaves it in the metastore. Knows no events.
//!
//! - Hive writes `viewOriginalText`, and `viewExpandedText` with names resolved and stars expanded.
//! - Spark writes the query as it was in both; what unqualified names mean stands in the parameters
//!   `view.catalogAndNamespace.*` (2.x: `view.default.database`), what its columns were called in `view.query.out.*`.
//! - Trino and Presto write `/* Presto View: <base64 of JSON> */`; the metastore's columns are a stand-in.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::names::identifier;
use crate::codec::hms::thrift::Object;
use crate::model::fact::{Column, STATEMENT_BYTES, SqlText};

/// What Spark calls the catalog that is the metastore.
const SPARK_CATALOG: &str = "spark_catalog";
/// Columns and parts of names read at most: bounds what foreign counts can cost.
const MAX_PARTS: usize = 10_000;

/// A view as Trino and Presto keep it (`ConnectorViewDefinition` in JSON).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TrinoView {
    original_sql: String,
    #[serde(default)]
    catalog: Option<String>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    columns: Vec<TrinoColumn>,
}

#[derive(Debug, Deserialize)]
struct TrinoColumn {
    name: String,
    #[serde(default, rename = "type")]
    data_type: String,
    #[serde(default)]
    comment: Option<String>,
}

/// Whether the metastore has the table as a view.
pub fn is_view(table: &Object) -> bool {
    matches!(table.text("tableType"), Some("VIRTUAL_VIEW" | "MATERIALIZED_VIEW"))
}

/// The dialect of a view's text.
pub fn dialect(parameters: &BTreeMap<String, String>) -> &'static str {
    let is_true = |key: &str| parameters.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_true("presto_view") || is_true("trino_view") {
        "trino"
    } else if parameters.contains_key("spark.sql.create.version")
        || parameters.keys().any(|key| key.starts_with("view."))
    {
        "spark"
    } else {
        "hive"
    }
}

/// The columns of a view whose columns in the metastore are Trino's stand-in.
pub fn columns(table: &Object) -> Option<Vec<Column>> {
    let view = trino(table.non_empty("viewOriginalText").filter(|_| is_view(table))?)?;
    let column = |column: TrinoColumn| Column {
        name: column.name.to_lowercase(),
        data_type: column.data_type,
        description: column.comment,
        ..Column::default()
    };
    (!view.columns.is_empty()).then(|| view.columns.into_iter().map(column).collect())
}

/// The query with what is needed to bind it; `columns` are the view's own. `None` if there is none, or one that is too
/// long.
pub fn sql(table: &Object, parameters: &BTreeMap<String, String>, columns: &[Column]) -> Option<SqlText> {
    if !is_view(table) {
        return None;
    }
    let text = |field: &str| table.non_empty(field).filter(|text| !text.trim().is_empty());
    let original = text("viewOriginalText");
    let names = columns.iter().map(|column| column.name.clone()).collect();
    let database = identifier(table.text("dbName").unwrap_or_default());
    let sql = match original.and_then(trino) {
        Some(view) => SqlText {
            text: view.original_sql,
            dialect: "trino".to_owned(),
            defaults: vec![view.schema.unwrap_or(database)],
            catalog: view.catalog,
            columns: names,
            query_columns: Vec::new(),
        },
        None => {
            let expanded = text("viewExpandedText").filter(|text| !is_marker(text));
            let dialect = dialect(parameters);
            let defaults = match dialect {
                "spark" => spark_defaults(parameters).unwrap_or_else(|| vec![database]),
                _ => vec![database],
            };
            SqlText {
                text: expanded.or(original.filter(|text| !is_marker(text)))?.to_owned(),
                dialect: dialect.to_owned(),
                defaults,
                catalog: None,
                columns: names,
                query_columns: spark_columns(parameters),
            }
        }
    };
    (sql.text.len() <= STATEMENT_BYTES).then_some(sql)
}

/// What stands in a text where Trino keeps its own.
fn is_marker(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("/* Presto View") || text.starts_with("/* Presto Materialized View")
}

fn trino(text: &str) -> Option<TrinoView> {
    let text = text.trim();
    let rest = text.strip_prefix("/* Presto View: ").or_else(|| text.strip_prefix("/* Presto Materialized View: "))?;
    let packed = rest.strip_suffix("*/")?.trim();
    if packed.len() > 2 * STATEMENT_BYTES {
        return None;
    }
    serde_json::from_slice(&STANDARD.decode(packed).ok()?).ok()
}

/// Catalog and schema in which a view of Spark's was made, without the catalog that is the metastore itself.
fn spark_defaults(parameters: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let parts = numbered(parameters, "view.catalogAndNamespace.numParts", "view.catalogAndNamespace.part.");
    match parts.split_first() {
        Some((catalog, [schema])) if catalog == SPARK_CATALOG => Some(vec![schema.clone()]),
        Some((catalog, namespace)) if !namespace.is_empty() => Some(vec![catalog.clone(), namespace.join(".")]),
        _ => parameters.get("view.default.database").map(|database| vec![database.clone()]),
    }
}

fn spark_columns(parameters: &BTreeMap<String, String>) -> Vec<String> {
    numbered(parameters, "view.query.out.numCols", "view.query.out.col.")
}

/// A list in parameters; empty if it is not whole.
fn numbered(parameters: &BTreeMap<String, String>, count: &str, item: &str) -> Vec<String> {
    let count = parameters.get(count).and_then(|count| count.trim().parse::<usize>().ok()).unwrap_or_default();
    let items = (0..count.min(MAX_PARTS)).map(|nth| parameters.get(&format!("{item}{nth}")).cloned());
    items.collect::<Option<Vec<String>>>().unwrap_or_default()
}
