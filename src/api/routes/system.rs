//! Health, metrics, the OpenAPI document.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::api::health::{ComponentState, ComponentStatus, StatusSource};
use crate::api::{AppState, MetricsRenderer};

/// Whether the process can do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyReport {
    /// `ready` if every part is, else the worst state of a part.
    pub status: ComponentState,
    /// The parts.
    pub components: Vec<ComponentStatus>,
}

/// The process lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::api) struct LiveReport {
    /// `ok`.
    status: String,
}

/// Whether the process lives; asks nothing else.
#[utoipa::path(get, path = "/healthz", tag = "system", security(()), responses((status = 200, body = LiveReport)))]
pub(in crate::api) async fn live() -> Response {
    live_response()
}

/// The same as `/healthz`.
#[utoipa::path(get, path = "/livez", tag = "system", security(()), responses((status = 200, body = LiveReport)))]
pub(in crate::api) async fn live_alias() -> Response {
    live_response()
}

pub(super) fn live_response() -> Response {
    Json(LiveReport { status: "ok".to_owned() }).into_response()
}

/// Whether every part of the process does its work.
#[utoipa::path(get, path = "/readyz", tag = "system", security(()), responses(
    (status = 200, body = ReadyReport),
    (status = 503, body = ReadyReport, description = "A part starts, is degraded or failed; it says why"),
))]
pub(in crate::api) async fn ready(State(state): State<AppState>) -> Response {
    ready_response(&*state.parts.status)
}

pub(super) fn ready_response(source: &dyn StatusSource) -> Response {
    let rank = |state: ComponentState| match state {
        ComponentState::Ready => 0,
        ComponentState::Degraded => 1,
        ComponentState::Starting => 2,
        ComponentState::Failed => 3,
    };
    let components = source.components();
    let worst = components.iter().map(|part| part.state).max_by_key(|state| rank(*state));
    let status = worst.unwrap_or(ComponentState::Ready);
    let code = if status == ComponentState::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(ReadyReport { status, components })).into_response()
}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "system", responses((status = 200, body = String, content_type = "text/plain")))]
pub(in crate::api) async fn metrics(State(state): State<AppState>) -> Response {
    metrics_response(&state.parts.metrics)
}

pub(super) fn metrics_response(render: &MetricsRenderer) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render()).into_response()
}

/// The document of this API.
pub(in crate::api) async fn openapi(Extension(document): Extension<Arc<OpenApi>>) -> Json<OpenApi> {
    Json(document.as_ref().clone())
}
