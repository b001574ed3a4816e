//! How datasets are used, and queries.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::AppState;
use crate::api::extract::{Params, PathId};
use crate::api::problem::{ApiError, Problem};
use crate::catalog::view::{DatasetUsage, QueryList, QueryView};

/// Rows on a page, or in a list, if the question does not say.
const DEFAULT_LIMIT: usize = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DayParams {
    /// First day, UTC; 29 days before the last one if absent.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Last day, UTC; today if absent.
    #[param(example = "2026-11-30")]
    to: Option<String>,
    /// Users, columns and joins that are listed, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct UsageParams {
    /// Any spelling of the dataset's id.
    #[param(example = "hive://metastore:9083/sales/orders")]
    id: String,
    /// First day, UTC; 29 days before the last one if absent.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Last day, UTC; today if absent.
    #[param(example = "2026-11-30")]
    to: Option<String>,
    /// Users, columns and joins that are listed, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct QueryPageParams {
    /// Queries, and frequent texts, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Queries to skip.
    offset: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DatasetQueriesParams {
    /// Any spelling of the dataset's id.
    #[param(example = "hive://metastore:9083/sales/orders")]
    dataset: String,
    /// Queries, and frequent texts, 1 to 100; 20 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Queries to skip.
    offset: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct QueryParams {
    /// The query's id.
    #[param(example = "query://snowflake:%2F%2Forg-account/01b2c3d4")]
    id: String,
}

/// How a dataset was used: its days, users, columns and joins.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/usage", tag = "catalog",
    params(("id" = String, Path, description = "Any spelling of the id, percent-encoded",
        example = "hive%3A%2F%2Fmetastore%3A9083%2Fsales%2Forders"), DayParams),
    responses(
        (status = 200, body = DatasetUsage),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(in crate::api) async fn usage(
    State(state): State<AppState>,
    PathId(id): PathId,
    Params(params): Params<DayParams>,
) -> Result<Json<DatasetUsage>, ApiError> {
    let days = (params.from.as_deref(), params.to.as_deref());
    Ok(Json(state.parts.catalog.usage(&id, days, params.limit.unwrap_or(DEFAULT_LIMIT)).await?))
}

/// How a dataset was used, with the id as a parameter.
#[utoipa::path(get, path = "/api/v1/usage", tag = "catalog", params(UsageParams), responses(
    (status = 200, body = DatasetUsage),
    (status = 400, body = Problem),
    (status = 404, body = Problem),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn usage_by_query(
    State(state): State<AppState>,
    Params(params): Params<UsageParams>,
) -> Result<Json<DatasetUsage>, ApiError> {
    let days = (params.from.as_deref(), params.to.as_deref());
    Ok(Json(state.parts.catalog.usage(&params.id, days, params.limit.unwrap_or(DEFAULT_LIMIT)).await?))
}

/// The queries that read or wrote a dataset, newest first, and those that come again and again.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/queries", tag = "catalog",
    params(("id" = String, Path, description = "Any spelling of the id, percent-encoded",
        example = "hive%3A%2F%2Fmetastore%3A9083%2Fsales%2Forders"), QueryPageParams),
    responses(
        (status = 200, body = QueryList),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(in crate::api) async fn queries(
    State(state): State<AppState>,
    PathId(id): PathId,
    Params(page): Params<QueryPageParams>,
) -> Result<Json<QueryList>, ApiError> {
    let (limit, offset) = (page.limit.unwrap_or(DEFAULT_LIMIT), page.offset.unwrap_or(0));
    Ok(Json(state.parts.catalog.queries(&id, limit, offset).await?))
}

/// The queries of a dataset, with its id as a parameter.
#[utoipa::path(get, path = "/api/v1/dataset-queries", tag = "catalog", params(DatasetQueriesParams), responses(
    (status = 200, body = QueryList),
    (status = 400, body = Problem),
    (status = 404, body = Problem),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn queries_by_query(
    State(state): State<AppState>,
    Params(params): Params<DatasetQueriesParams>,
) -> Result<Json<QueryList>, ApiError> {
    let (limit, offset) = (params.limit.unwrap_or(DEFAULT_LIMIT), params.offset.unwrap_or(0));
    Ok(Json(state.parts.catalog.queries(&params.dataset, limit, offset).await?))
}

/// A query.
#[utoipa::path(get, path = "/api/v1/queries/{id}", tag = "catalog",
    params(("id" = String, Path, description = "Query id, percent-encoded",
        example = "query%3A%2F%2Fsnowflake%3A%252F%252Forg-account%2F01b2c3d4")),
    responses((status = 200, body = QueryView), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(in crate::api) async fn query(
    State(state): State<AppState>,
    PathId(id): PathId,
) -> Result<Json<QueryView>, ApiError> {
    Ok(Json(state.parts.catalog.query(&id).await?))
}

/// A query, with the id as a parameter.
#[utoipa::path(get, path = "/api/v1/queries", tag = "catalog", params(QueryParams),
    responses((status = 200, body = QueryView), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(in crate::api) async fn query_by_query(
    State(state): State<AppState>,
    Params(params): Params<QueryParams>,
) -> Result<Json<QueryView>, ApiError> {
    Ok(Json(state.parts.catalog.query(&params.id).await?))
}
