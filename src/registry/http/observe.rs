//! Counts and times requests by operation. Knows routes and statuses, nothing of schemas.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::forward::Elsewhere;

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

/// Method and route. Paths and methods that nobody serves must not become labels: their values are unbounded.
fn operation(method: &Method, route: Option<&MatchedPath>) -> String {
    let served = matches!(*method, Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE);
    match route {
        Some(route) if served => format!("{method} {}", route.as_str()),
        _ => "unmatched".to_owned(),
    }
}
