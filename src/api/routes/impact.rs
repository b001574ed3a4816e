//! What is made of columns that change.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::HeaderMap;

use super::events;
use crate::api::AppState;
use crate::api::problem::{ApiError, Problem};
use crate::catalog::view::{ImpactQuery, ImpactView};

/// What is made of columns of a dataset or topic, and by which ways.
///
/// A question, though a `POST`: a schema has more columns than a URL can hold. Column lineage that the newest runs no
/// longer report does not count.
#[utoipa::path(post, path = "/api/v1/lineage/impact", tag = "lineage", request_body = ImpactQuery, responses(
    (status = 200, body = ImpactView),
    (status = 400, body = Problem),
    (status = 404, body = Problem, description = "A dataset that is named is unknown"),
    (status = 413, body = Problem),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn impact(
    State(state): State<AppState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<ImpactView>, ApiError> {
    let body = events::body(&state, &headers, request).await?;
    let query: ImpactQuery = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_parameter("body", format!("the question cannot be read: {error}")))?;
    Ok(Json(state.parts.catalog.impact(&query).await?))
}
