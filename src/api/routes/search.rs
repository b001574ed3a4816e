//! Search.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::AppState;
use crate::api::extract::Params;
use crate::api::problem::{ApiError, Problem};
use crate::catalog::view::SearchPage;
use crate::catalog::{SearchQuery, filter};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct SearchParams {
    /// Words to find in names, columns, descriptions, tags, owners; empty finds all.
    #[serde(default)]
    #[param(example = "orders")]
    q: String,
    /// `key:value,key:value`; keys are platform, kind (type), owner, tag (tags), existence, container (database),
    /// format. One key's values are alternatives, different keys must all hold. A value with a comma stands in double
    /// quotes, `\"` and `\\` inside. Without `existence` confirmed and dropped datasets are found.
    #[serde(default)]
    #[param(example = "platform:hive,tag:pii")]
    filters: String,
    /// Results on a page, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Results to skip; with `limit` at most 10,000.
    offset: Option<usize>,
}

/// Search datasets.
#[utoipa::path(get, path = "/api/v1/search", tag = "catalog", params(SearchParams), responses(
    (status = 200, body = SearchPage),
    (status = 400, body = Problem, description = "A filter or limit is wrong; the message names the part"),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn search(
    State(state): State<AppState>,
    Params(params): Params<SearchParams>,
) -> Result<Json<SearchPage>, ApiError> {
    let filters = filter::parse(&params.filters).map_err(|error| {
        ApiError::bad_parameter("filters", error.to_string()).with("part", error.part.clone()).with("at", error.at)
    })?;
    let query = SearchQuery {
        text: params.q,
        filters,
        limit: params.limit.unwrap_or(SearchQuery::DEFAULT_LIMIT),
        offset: params.offset.unwrap_or(0),
    };
    Ok(Json(state.parts.catalog.search(query).await?))
}
