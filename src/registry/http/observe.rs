//! Counts and times requests by operation, and checks by their result. Knows routes and statuses, nothing of schemas
//! beyond their language.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::super::decide::RegisterRequest;
use super::forward::Elsewhere;
use crate::schema::{Level, SchemaType};

/// Outermost layer of the routes: one count and one time for each request.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let operation = operation(request.method(), request.extensions().get::<MatchedPath>());
    let response = next.run(request).await;
    if response.extensions().get::<Elsewhere>().is_some() {
        return response;
    }
    let status = response.status().as_str().to_owned();
    metrics::counter!("registry_requests_total", "operation" => operation.clone(), "status" => status).increment(1);
    metrics::histogram!("registry_request_duration_seconds", "operation" => operation)
        .record(started.elapsed().as_secs_f64());
    response
}

/// What became of a schema that was compared with earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compatibility {
    /// It fits.
    Kept,
    /// It does not.
    Broken,
}

/// Counts a check, of a registration or of a client that only asks.
pub(super) fn compatibility(language: &'static str, level: Level, result: Compatibility) {
    let result = match result {
        Compatibility::Kept => "compatible",
        Compatibility::Broken => "incompatible",
    };
    let level = level.to_string();
    metrics::counter!("registry_compatibility_checks_total", "type" => language, "level" => level, "result" => result)
        .increment(1);
}

/// The language of a request's schema, as a label: what is no language is one of few values, too.
pub(super) fn language(request: &RegisterRequest) -> &'static str {
    let named = request.schema_type.as_deref().filter(|name| !name.is_empty()).unwrap_or("AVRO");
    named.parse().map_or("unknown", SchemaType::as_str)
}

/// Method and route. Paths and methods that nobody serves must not become labels: their values are unbounded.
fn operation(method: &Method, route: Option<&MatchedPath>) -> String {
    let served = matches!(*method, Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE);
    match route {
        Some(route) if served => format!("{method} {}", route.as_str()),
        _ => "unmatched".to_owned(),
    }
}
