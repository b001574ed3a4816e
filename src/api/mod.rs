//! The HTTP API: routes, errors, OpenAPI, the edge every request passes, and one built-in page.
//!
//! Use cases are [`crate::catalog`]'s; this module turns requests into calls and answers into JSON. It knows neither
//! Postgres nor Kafka: events leave through [`EventProducer`], states come through [`StatusSource`].

mod auth;
mod edge;
mod extract;
mod health;
mod ingest;
mod problem;
mod routes;
mod server;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
pub use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi as Document;

use crate::catalog::Catalog;

pub use auth::BearerToken;
pub use edge::REQUEST_ID;
pub use health::{ComponentState, ComponentStatus, StatusSource};
pub use ingest::{EventProducer, OPENLINEAGE_TOPIC, ProduceError, ProduceFuture, Receipt, event_key};
pub use problem::{ApiError, Problem};
pub use routes::ReadyReport;
pub use server::{ServeError, bind, serve};

/// Where the API listens if nothing else is configured: only this machine reaches it.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Limits and access of the API.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// Largest request body, before and after unpacking, bytes. At most what the topic takes.
    pub body_limit: usize,
    /// Longest time for one answer.
    pub time_limit: Duration,
    /// The token that requests must carry; without one everybody who reaches the port may read.
    pub token: Option<Arc<BearerToken>>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { body_limit: 8 << 20, time_limit: Duration::from_secs(30), token: None }
    }
}

/// Renders the process' metrics in Prometheus' text format.
pub type MetricsRenderer = Arc<dyn Fn() -> String + Send + Sync>;

/// What the handlers work with.
#[derive(Clone)]
pub struct ApiParts {
    /// Answers the questions.
    pub catalog: Arc<Catalog>,
    /// Takes OpenLineage events.
    pub producer: Arc<dyn EventProducer>,
    /// Knows the state of the process.
    pub status: Arc<dyn StatusSource>,
    /// Renders the metrics.
    pub metrics: MetricsRenderer,
}

/// State of the routes.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) parts: ApiParts,
    pub(crate) body_limit: usize,
}

/// The whole API as a service.
pub fn router(parts: ApiParts, options: ApiOptions) -> Router {
    let state = AppState { parts, body_limit: options.body_limit };
    let edge = edge::Edge { token: options.token, time_limit: options.time_limit };
    let (routes, document) = routes::all().split_for_parts();
    let app = routes
        .with_state(state)
        .layer(Extension(Arc::new(document)))
        .layer(axum::extract::DefaultBodyLimit::max(options.body_limit));
    guarded(app, edge)
}

/// `/metrics` and the health checks alone, for a listener of their own; open to everybody who reaches it.
pub fn admin_router(status: Arc<dyn StatusSource>, metrics: MetricsRenderer) -> Router {
    let edge = edge::Edge { token: None, time_limit: Duration::from_secs(10) };
    guarded(routes::admin(status, metrics), edge)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> Document {
    routes::all().into_openapi()
}

/// Puts the edge around routes; the outermost layer stands last. `route_layer` would miss unmatched paths.
fn guarded(app: Router, edge: edge::Edge) -> Router {
    app.layer(from_fn_with_state(edge.clone(), edge::limit_time))
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(from_fn_with_state(edge, edge::authenticate))
        .layer(from_fn(edge::observe))
}

#[cfg(test)]
mod tests;
