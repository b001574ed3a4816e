//! The routes, one file per resource, and the document they make.

mod datasets;
mod events;
mod impact;
mod jobs;
mod lineage;
mod search;
mod system;
mod unresolved;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::health::StatusSource;
use super::{AppState, MetricsRenderer};

pub use system::ReadyReport;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tributary catalog API",
        description = "Find datasets, read their schema with its history, walk their lineage, and send OpenLineage events. \
            Ids stand in paths percent-encoded; where a proxy decodes `%2F`, use the `?id=` forms. \
            Errors have one body, `Problem`. Every reply carries `x-request-id`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&BearerScheme),
    security((), ("bearer" = [])),
    tags(
        (name = "catalog", description = "Datasets, jobs, search"),
        (name = "lineage", description = "Lineage, both ways"),
        (name = "system", description = "Health and metrics"),
    )
)]
struct Document;

struct BearerScheme;

impl utoipa::Modify for BearerScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Needed if the server has a token file; health checks and the page stay open."))
            .build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Every route with its part of the document.
pub(super) fn all() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(search::search))
        .routes(routes!(datasets::dataset))
        .routes(routes!(datasets::dataset_by_query))
        .routes(routes!(datasets::schema_history))
        .routes(routes!(datasets::schema_history_by_query))
        .routes(routes!(lineage::lineage, events::post_event))
        .routes(routes!(lineage::closure))
        .routes(routes!(impact::impact))
        .routes(routes!(events::post_batch))
        .routes(routes!(jobs::job))
        .routes(routes!(jobs::job_by_query))
        .routes(routes!(jobs::runs))
        .routes(routes!(jobs::runs_by_query))
        .routes(routes!(jobs::changes))
        .routes(routes!(unresolved::unresolved))
        .routes(routes!(usage::usage))
        .routes(routes!(usage::usage_by_query))
        .routes(routes!(usage::queries))
        .routes(routes!(usage::queries_by_query))
        .routes(routes!(usage::query))
        .routes(routes!(usage::query_by_query))
        .routes(routes!(system::live))
        .routes(routes!(system::live_alias))
        .routes(routes!(system::ready))
        .routes(routes!(system::metrics))
        .route("/api/v1/openapi.json", get(system::openapi))
        .route("/", get(|| async { asset("text/html; charset=utf-8", include_str!("../../../ui/index.html")) }))
        .route("/app.js", get(|| async { asset("text/javascript; charset=utf-8", include_str!("../../../ui/app.js")) }))
        .route("/app.css", get(|| async { asset("text/css; charset=utf-8", include_str!("../../../ui/app.css")) }))
}

/// Metrics and health for a listener of their own.
pub(super) fn admin(status: Arc<dyn StatusSource>, metrics: MetricsRenderer) -> Router {
    let render = move || async move { system::metrics_response(&metrics) };
    let live = || async { system::live_response() };
    Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(live))
        .route("/livez", get(live))
        .route("/readyz", get(move || async move { system::ready_response(&*status) }))
}

/// A file of the built-in page. It may load and call nothing but this server.
fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    const POLICY: &str =
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text)
}
