//! What a search finds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a search finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchPage {
    /// The query as asked.
    #[schema(example = "orders")]
    pub query: String,
    /// How many there are in all.
    pub total_results: usize,
    /// The same number under the name that Marquez' clients read.
    #[serde(rename = "totalCount")]
    pub total_count: usize,
    /// This page, best first.
    pub results: Vec<SearchResult>,
    /// Counts by value of a field over all results.
    pub facets: BTreeMap<String, Vec<FacetCount>>,
}

/// One hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResult {
    /// Id.
    #[schema(example = "hive://metastore:9083/sales/orders")]
    pub dataset_id: String,
    /// Display name.
    pub name: String,
    /// table, view, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// Platform.
    pub platform: String,
    /// Container id.
    pub container: Option<String>,
    /// confirmed, referenced, ….
    pub existence: String,
    /// Description.
    pub description: Option<String>,
    /// First owner who is a person or team.
    pub owner: Option<String>,
    /// Names of its tags.
    pub tags: Vec<String>,
    /// Where the data lies.
    pub location: Option<String>,
    /// Last event time seen, whole hours.
    pub last_updated: Option<String>,
    /// Rows.
    pub row_count: Option<i64>,
    /// Bytes.
    pub size_bytes: Option<i64>,
    /// Files.
    pub file_count: Option<i64>,
    /// Top-level columns.
    pub column_count: usize,
    /// Score of the text match; comparable within one answer.
    pub relevance_score: f64,
    /// Fields with `<em>` around what matched; HTML-escaped otherwise.
    pub highlighted_fields: BTreeMap<String, String>,
}

/// How many results have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FacetCount {
    /// Value.
    pub value: String,
    /// Results that have it.
    pub count: u64,
}
