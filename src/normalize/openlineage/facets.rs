//! The facets that have a place in the model, typed; and what is done with those that do not parse.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::codec::Limits;
use crate::codec::json;

/// Producers that do not know a size write Java's largest long.
const UNKNOWN: i64 = i64::MAX;

/// A count or size: whole, not negative, not the stand-in for unknown. Numbers of other kinds count as unknown.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    let whole = number
        .and_then(|n| n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && *f < 9e18).map(|f| f as i64)));
    Ok(whole.filter(|&n| (0..UNKNOWN).contains(&n)))
}

/// JSON `null` where the specification has a default.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

macro_rules! facet {
    ($( $name:ident { $( $(#[$attr:meta])* $field:ident: $type:ty, )* } )+) => {
        $(
            #[derive(Clone, Debug, Default, Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub(super) struct $name { $( $(#[$attr])* pub $field: $type, )* }
        )+
    };
}

facet! {
    Schema { #[serde(default, deserialize_with = "or_default")] fields: Vec<SchemaField>, }
    SchemaField {
        name: String,
        #[serde(default, rename = "type", deserialize_with = "or_default")] data_type: String,
        #[serde(default)] description: Option<String>,
        #[serde(default, rename = "ordinal_position", deserialize_with = "count")] ordinal_position: Option<i64>,
        #[serde(default, deserialize_with = "or_default")] fields: Vec<SchemaField>,
    }
    ColumnLineage {
        #[serde(default, deserialize_with = "or_default")] fields: BTreeMap<String, LineageField>,
        #[serde(default, deserialize_with = "or_default")] dataset: Vec<InputField>,
    }
    LineageField {
        #[serde(default, deserialize_with = "or_default")] input_fields: Vec<InputField>,
        #[serde(default)] transformation_description: Option<String>,
        #[serde(default)] transformation_type: Option<String>,
    }
    InputField {
        namespace: String,
        name: String,
        field: String,
        #[serde(default, deserialize_with = "or_default")] transformations: Vec<Transformation>,
    }
    Transformation {
        #[serde(default, rename = "type", deserialize_with = "or_default")] kind: String,
        #[serde(default, deserialize_with = "or_default")] subtype: String,
        #[serde(default, deserialize_with = "or_default")] description: String,
        #[serde(default, deserialize_with = "or_default")] masking: bool,
    }
    Symlinks { #[serde(default, deserialize_with = "or_default")] identifiers: Vec<Identifier>, }
    Identifier {
        namespace: String,
        name: String,
        #[serde(default, rename = "type", deserialize_with = "or_default")] kind: String,
    }
    Lifecycle { lifecycle_state_change: String, #[serde(default)] previous_identifier: Option<Identifier>, }
    Ownership { #[serde(default, deserialize_with = "or_default")] owners: Vec<FacetOwner>, }
    FacetOwner { name: String, #[serde(default, rename = "type", deserialize_with = "or_default")] role: String, }
    Documentation { description: String, #[serde(default)] content_type: Option<String>, }
    Tags { #[serde(default, deserialize_with = "or_default")] tags: Vec<FacetTag>, }
    FacetTag {
        key: String,
        #[serde(default, deserialize_with = "or_default")] value: String,
        #[serde(default)] field: Option<String>,
    }
    Storage { storage_layer: String, #[serde(default, deserialize_with = "or_default")] file_format: String, }
    DatasetVersion { dataset_version: String, }
    DatasetType { dataset_type: String, #[serde(default)] sub_type: Option<String>, }
    DataSource { #[serde(default)] name: Option<String>, #[serde(default)] uri: Option<String>, }
    Statistics {
        #[serde(default, deserialize_with = "count")] row_count: Option<i64>,
        #[serde(default, deserialize_with = "count")] size: Option<i64>,
        #[serde(default, deserialize_with = "count")] file_count: Option<i64>,
    }
    QualityMetrics {
        #[serde(default, deserialize_with = "count")] row_count: Option<i64>,
        #[serde(default, deserialize_with = "count")] bytes: Option<i64>,
        #[serde(default, deserialize_with = "count")] file_count: Option<i64>,
        #[serde(default)] last_updated: Option<String>,
        #[serde(default, deserialize_with = "or_default")] column_metrics: BTreeMap<String, Value>,
    }
    Assertions { assertions: Vec<Assertion>, }
    Assertion {
        assertion: String,
        success: bool,
        #[serde(default)] column: Option<String>,
        #[serde(default)] name: Option<String>,
        #[serde(flatten)] details: serde_json::Map<String, Value>,
    }
    IcebergCommit { commit_metrics: IcebergCommitMetrics, }
    IcebergCommitMetrics {
        #[serde(default, deserialize_with = "count")] total_records: Option<i64>,
        #[serde(default, deserialize_with = "count")] total_files_size_in_bytes: Option<i64>,
        #[serde(default, deserialize_with = "count")] total_data_files: Option<i64>,
    }
    JobType {
        #[serde(default, deserialize_with = "or_default")] integration: String,
        #[serde(default, deserialize_with = "or_default")] job_type: String,
        #[serde(default, deserialize_with = "or_default")] processing_type: String,
        #[serde(default)] emission_pattern: Option<Value>,
    }
    Sql { query: String, #[serde(default)] dialect: Option<String>, }
    SourceCode { source_code: String, #[serde(default)] language: Option<String>, }
    SourceCodeLocation {
        url: String,
        #[serde(default)] repo_url: Option<String>,
        #[serde(default)] path: Option<String>,
        #[serde(default)] version: Option<String>,
    }
    Parent { run: RunRef, job: JobRef, #[serde(default)] root: Option<Root>, }
    Root { run: RunRef, #[serde(default)] job: Option<JobRef>, }
    RunRef { run_id: String, }
    JobRef { namespace: String, name: String, }
    NominalTime { nominal_start_time: String, #[serde(default)] nominal_end_time: Option<String>, }
    ErrorMessage { message: String, }
    ExtractionError { errors: Vec<OneExtractionError>, }
    OneExtractionError { error_message: String, }
    SparkException { stack_trace: String, }
    Engine {
        #[serde(default, deserialize_with = "or_default")] name: String,
        version: String,
        #[serde(default)] openlineage_adapter_version: Option<Value>,
    }
    Dependencies {
        #[serde(default, deserialize_with = "or_default")] upstream: Vec<Dependency>,
        #[serde(default, deserialize_with = "or_default")] downstream: Vec<Dependency>,
    }
    Dependency {
        job: JobRef,
        #[serde(default, rename = "dependency_type", deserialize_with = "or_default")] kind: String,
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct DbtNode {
    #[serde(default)]
    pub unique_id: Option<String>,
}

/// The run facet in which dbt-ol names the invocation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DbtRun {
    pub invocation_id: Option<String>,
    pub project_name: Option<String>,
}

/// The dataset facet in which dbt-ol shows the model's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DbtModel {
    pub config: DbtModelConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DbtModelConfig {
    pub materialized: Option<String>,
}

/// Whether the producer withdraws the facet.
pub(super) fn is_deleted(raw: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Marker {
        #[serde(default)]
        _deleted: Option<Value>,
    }
    // Almost no facet is; looking for the word first avoids a second parse.
    raw.get().contains("\"_deleted\"")
        && serde_json::from_str::<Marker>(raw.get()).is_ok_and(|marker| marker._deleted == Some(Value::Bool(true)))
}

/// How large facets may be that are kept as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// Bytes of JSON.
    pub bytes: usize,
    /// Nesting and values.
    pub json: Limits,
}

impl Keep {
    /// The same for a facet that is put `levels` deep into a value.
    pub fn inside(self, levels: usize) -> Self {
        Self { json: Limits { depth: self.json.depth.saturating_sub(levels), ..self.json }, ..self }
    }
}

/// A facet as JSON for keeping. What JSON values cannot hold (numbers out of range, broken surrogates) and what is over
/// a limit is kept as its size and beginning; the raw record has the whole.
pub(super) fn kept(raw: &RawValue, keep: Keep) -> Value {
    let text = raw.get();
    let parsed = if text.len() <= keep.bytes { json::parse(text, keep.json).ok() } else { None };
    parsed.unwrap_or_else(|| {
        let beginning: String = text.chars().take(1024.min(keep.bytes)).collect();
        serde_json::json!({ "_truncated": true, "bytes": text.len(), "beginning": beginning })
    })
}

/// A known facet that does not parse: kept as it is, with the reason beside it.
pub(super) fn malformed(raw: &RawValue, error: &serde_json::Error, keep: Keep) -> Value {
    match kept(raw, keep.inside(1)) {
        Value::Object(mut object) => {
            object.insert("_malformed".to_owned(), Value::String(error.to_string()));
            Value::Object(object)
        }
        other => serde_json::json!({ "_malformed": error.to_string(), "value": other }),
    }
}
