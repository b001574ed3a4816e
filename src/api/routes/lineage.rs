//! Lineage.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::AppState;
use crate::api::extract::Params;
use crate::api::problem::{ApiError, Problem};
use crate::catalog::LineageQuery;
use crate::catalog::view::{ClosureView, Direction, Level, LineageView};

/// Hops if the question does not say.
const DEFAULT_DEPTH: u32 = 3;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct LineageParams {
    /// Any spelling of the dataset's id.
    #[param(example = "hive://metastore:9083/sales/orders")]
    dataset: String,
    /// upstream, downstream or both; both if absent.
    #[param(inline)]
    direction: Option<Direction>,
    /// Hops, 1 to 1000; 3 if absent.
    #[param(minimum = 1, maximum = 1000, value_type = Option<usize>, example = 3)]
    depth: Option<String>,
    /// Start at this column (its path); the level is then `column`.
    column: Option<String>,
    /// table or column; table if absent.
    #[param(inline)]
    level: Option<Level>,
}

/// Lineage around a dataset or a column.
#[utoipa::path(get, path = "/api/v1/lineage", tag = "lineage", params(LineageParams), responses(
    (status = 200, body = LineageView),
    (status = 400, body = Problem),
    (status = 404, body = Problem, description = "The dataset or the column is unknown"),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn lineage(
    State(state): State<AppState>,
    Params(params): Params<LineageParams>,
) -> Result<Json<LineageView>, ApiError> {
    let depth = match params.depth.as_deref() {
        None => DEFAULT_DEPTH,
        Some(text) => text.parse().map_err(|_| {
            ApiError::bad_parameter(
                "depth",
                format!("depth '{text}' is no number from 1 to {}", crate::catalog::MAX_DEPTH),
            )
        })?,
    };
    let level = match (params.level, &params.column) {
        (Some(Level::Table), Some(_)) => {
            return Err(ApiError::bad_parameter("level", "a column has lineage at level=column only"));
        }
        (Some(level), _) => level,
        (None, Some(_)) => Level::Column,
        (None, None) => Level::Table,
    };
    let query = LineageQuery {
        dataset: params.dataset,
        direction: params.direction.unwrap_or(Direction::Both),
        depth,
        level,
        column: params.column,
    };
    Ok(Json(state.parts.catalog.lineage(query).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ClosureParams {
    /// Any spelling of the dataset's id.
    #[param(example = "hive://metastore:9083/sales/orders")]
    dataset: String,
}

/// How many datasets a dataset is made of and how many are made of it, at any depth.
#[utoipa::path(get, path = "/api/v1/lineage/closure", tag = "lineage", params(ClosureParams), responses(
    (status = 200, body = ClosureView),
    (status = 400, body = Problem),
    (status = 404, body = Problem, description = "The dataset is unknown"),
    (status = 503, body = Problem),
))]
pub(in crate::api) async fn closure(
    State(state): State<AppState>,
    Params(params): Params<ClosureParams>,
) -> Result<Json<ClosureView>, ApiError> {
    Ok(Json(state.parts.catalog.closure(&params.dataset).await?))
}
