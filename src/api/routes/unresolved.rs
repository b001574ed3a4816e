//! Names that could not be resolved.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::AppState;
use crate::api::extract::Params;
use crate::api::problem::{ApiError, Problem};
use crate::catalog::view::UnresolvedList;

/// Rows on a page if the question does not say.
const DEFAULT_LIMIT: usize = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct UnresolvedParams {
    /// Rows, 1 to 100; 50 if absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Rows to skip.
    offset: Option<usize>,
}

/// Names that no owner of data confirms, with the datasets they could mean.
#[utoipa::path(get, path = "/api/v1/unresolved", tag = "catalog", params(UnresolvedParams), responses(
    (status = 200, body = UnresolvedList),
    (status = 400, body = Problem),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn unresolved(
    State(state): State<AppState>,
    Params(params): Params<UnresolvedParams>,
) -> Result<Json<UnresolvedList>, ApiError> {
    let (limit, offset) = (params.limit.unwrap_or(DEFAULT_LIMIT), params.offset.unwrap_or(0));
    Ok(Json(state.parts.catalog.unresolved(limit, offset).await?))
}
