//! dbt's artifacts as far as they are needed: manifest versions 4 to 12 and Fusion's, run results, catalog, sources.
//!
//! A manifest is megabytes, most of them macros: what is not named here is skipped, and each node is read by itself.
//! Fields other than those that identify a node are read leniently: one of another type counts as absent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A field that counts as absent if it is null or of another type than expected.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

/// An object's members in their order, each unread. Null counts as empty.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Members::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, raw)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((name.0, raw));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_any(MembersVisitor)
    }
}

/// A name that borrows where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// One text or several, as dbt takes tags and owners.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<String>),
    #[default]
    None,
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match lenient(deserializer)? {
        Words::One(word) => vec![word],
        Words::Several(words) => words,
        Words::None => Vec::new(),
    })
}

/// What every artifact says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    #[serde(deserialize_with = "lenient")]
    pub dbt_schema_version: String,
    #[serde(deserialize_with = "lenient")]
    pub generated_at: String,
    #[serde(deserialize_with = "lenient")]
    pub invocation_id: String,
    #[serde(deserialize_with = "lenient")]
    pub project_name: String,
    #[serde(deserialize_with = "lenient")]
    pub adapter_type: String,
}

/// `manifest.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Manifest<'a> {
    #[serde(borrow)]
    pub nodes: Members<'a>,
    #[serde(borrow)]
    pub sources: Members<'a>,
    #[serde(borrow)]
    pub exposures: Members<'a>,
    #[serde(borrow)]
    pub metrics: Members<'a>,
    #[serde(borrow)]
    pub semantic_models: Members<'a>,
    #[serde(borrow)]
    pub saved_queries: Members<'a>,
    #[serde(borrow)]
    pub unit_tests: Members<'a>,
    #[serde(borrow)]
    pub groups: Members<'a>,
    /// Of a part of a manifest: where the nodes lie that others parts hold.
    #[serde(deserialize_with = "lenient")]
    pub relations: std::collections::BTreeMap<String, Relation>,
}

/// Where a node lies, as a part of a manifest tells it of nodes in other parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Relation {
    #[serde(deserialize_with = "lenient")]
    pub database: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub schema: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// Of an ephemeral model: the nodes that are read through it.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
}

/// A node of a manifest, whatever its resource type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node<'a> {
    pub unique_id: String,
    pub resource_type: String,
    #[serde(deserialize_with = "lenient")]
    pub package_name: String,
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub alias: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub identifier: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub database: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub schema: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub original_file_path: String,
    #[serde(deserialize_with = "lenient")]
    pub description: String,
    #[serde(deserialize_with = "words")]
    pub tags: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub meta: Map<String, Value>,
    #[serde(deserialize_with = "lenient")]
    pub config: NodeConfig,
    #[serde(borrow)]
    pub columns: Option<&'a RawValue>,
    #[serde(deserialize_with = "lenient")]
    pub group: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub access: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub contract: Contract,
    #[serde(deserialize_with = "lenient")]
    pub depends_on: DependsOn,
    #[serde(deserialize_with = "lenient")]
    pub compiled_code: Option<String>,
    /// Before dbt 1.3.
    #[serde(deserialize_with = "lenient")]
    pub compiled_sql: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub raw_code: Option<String>,
    /// Before dbt 1.3.
    #[serde(deserialize_with = "lenient")]
    pub raw_sql: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub language: Option<String>,
    /// Of versioned models.
    #[serde(deserialize_with = "lenient")]
    pub version: Value,
    #[serde(deserialize_with = "lenient")]
    pub deprecation_date: Option<String>,
    /// Of sources.
    #[serde(deserialize_with = "lenient")]
    pub source_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub source_description: String,
    #[serde(deserialize_with = "lenient")]
    pub loader: String,
    #[serde(deserialize_with = "lenient")]
    pub loaded_at_field: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub freshness: Value,
    /// Of tests.
    #[serde(deserialize_with = "lenient")]
    pub test_metadata: Option<TestMetadata>,
    #[serde(deserialize_with = "lenient")]
    pub column_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub attached_node: Option<String>,
    /// Of exposures, and of metrics.
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub kind: String,
    #[serde(deserialize_with = "lenient")]
    pub owner: Person,
    #[serde(deserialize_with = "lenient")]
    pub url: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub label: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub maturity: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeConfig {
    #[serde(deserialize_with = "lenient")]
    pub materialized: String,
    #[serde(deserialize_with = "words")]
    pub tags: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub meta: Map<String, Value>,
    #[serde(deserialize_with = "lenient")]
    pub contract: Contract,
    #[serde(deserialize_with = "lenient")]
    pub group: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub severity: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Contract {
    #[serde(deserialize_with = "lenient")]
    pub enforced: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DependsOn {
    #[serde(deserialize_with = "lenient")]
    pub nodes: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TestMetadata {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub kwargs: Map<String, Value>,
}

/// Owner of a group or exposure.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Person {
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(deserialize_with = "words")]
    pub email: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub owner: Person,
}

/// A documented column.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeColumn {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub description: String,
    #[serde(deserialize_with = "lenient")]
    pub data_type: Option<String>,
    #[serde(deserialize_with = "words")]
    pub tags: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub meta: Map<String, Value>,
    #[serde(deserialize_with = "lenient")]
    pub config: ColumnConfig,
    #[serde(deserialize_with = "lenient")]
    pub constraints: Vec<Constraint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ColumnConfig {
    #[serde(deserialize_with = "words")]
    pub tags: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub meta: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Constraint {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub kind: String,
}

/// `run_results.json` and `sources.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Results<'a> {
    #[serde(borrow)]
    pub results: Vec<&'a RawValue>,
    #[serde(deserialize_with = "lenient")]
    pub args: RunArgs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunArgs {
    /// The command.
    #[serde(deserialize_with = "lenient")]
    pub which: String,
    #[serde(deserialize_with = "lenient")]
    pub target: Option<String>,
}

/// What became of one node in one invocation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeResult {
    pub unique_id: String,
    pub status: String,
    #[serde(deserialize_with = "lenient")]
    pub message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub failures: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub execution_time: Option<f64>,
    #[serde(deserialize_with = "lenient")]
    pub relation_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub adapter_response: Map<String, Value>,
    #[serde(deserialize_with = "lenient")]
    pub timing: Vec<Timing>,
    /// The same in log lines.
    #[serde(deserialize_with = "lenient")]
    pub timing_info: Vec<Timing>,
    /// The number of failures in log lines, where it may be a text.
    #[serde(deserialize_with = "lenient")]
    pub num_failures: Value,
    /// Of freshness results.
    #[serde(deserialize_with = "lenient")]
    pub max_loaded_at: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub snapshotted_at: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub max_loaded_at_time_ago_in_s: Option<f64>,
    #[serde(deserialize_with = "lenient")]
    pub criteria: Value,
    #[serde(deserialize_with = "lenient")]
    pub error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timing {
    #[serde(deserialize_with = "lenient")]
    pub started_at: String,
    #[serde(deserialize_with = "lenient")]
    pub completed_at: String,
}

/// `catalog.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Catalog<'a> {
    #[serde(borrow)]
    pub nodes: Members<'a>,
    #[serde(borrow)]
    pub sources: Members<'a>,
    /// What went wrong while reading the warehouse's own catalog.
    #[serde(deserialize_with = "lenient")]
    pub errors: Value,
}

/// A table of a catalog.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CatalogTable<'a> {
    #[serde(deserialize_with = "lenient")]
    pub metadata: TableMetadata,
    #[serde(borrow)]
    pub columns: Members<'a>,
    #[serde(borrow)]
    pub stats: Members<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TableMetadata {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub kind: String,
    #[serde(deserialize_with = "lenient")]
    pub database: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub schema: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub comment: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub owner: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CatalogColumn {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub data_type: String,
    #[serde(deserialize_with = "lenient")]
    pub index: Value,
    #[serde(deserialize_with = "lenient")]
    pub comment: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Statistic {
    #[serde(deserialize_with = "lenient")]
    pub value: Value,
}

/// A whole number of either spelling: dbt's JSON has `40`, `40.0` and `"40"`.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e18).map(|n| n as i64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
