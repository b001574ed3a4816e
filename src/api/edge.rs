//! What every request passes on its way in and out: request id, token, time limit, panic guard, metrics, security
//! headers, and the problem body for errors. Knows no route's business.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::auth::BearerToken;
use super::problem::ApiError;

/// Name of the request id header, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id taken over from a client, bytes.
const MAX_REQUEST_ID: usize = 128;

/// What the edge needs to know.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) token: Option<Arc<BearerToken>>,
    pub(super) time_limit: Duration,
}

/// Outermost layer: gives the request its id, measures it and writes the problem body if it failed.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    // A path that no route takes must not become a label: its values are unbounded.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let mut response = next.run(request).instrument(tracing::info_span!("request", request_id = %id)).await;
    let status = response.status();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let headers = std::mem::take(response.headers_mut());
        response = error.render(&id);
        keep_headers(&headers, response.headers_mut());
    } else if status.is_client_error() || status.is_server_error() {
        response = explain(response, &id);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let elapsed = started.elapsed();
    metrics::counter!("api_requests_total", "route" => route.clone(), "status" => status.as_str().to_owned())
        .increment(1);
    metrics::histogram!("api_request_duration_seconds", "route" => route.clone()).record(elapsed.as_secs_f64());
    tracing::debug!(request_id = %id, %method, route, status = status.as_u16(), ms = elapsed.as_millis(), "answered");
    response
}

/// Refuses requests without the configured token; health checks and the page itself stay open.
pub(super) async fn authenticate(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/" | "/app.js" | "/app.css" | "/healthz" | "/livez" | "/readyz");
    match &edge.token {
        Some(token) if !open && !token.admits(request.headers()) => {
            let error = ApiError::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send the header 'authorization: Bearer <token>'",
            );
            let mut response = error.into_response();
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        _ => next.run(request).await,
    }
}

/// Ends a request that takes too long.
pub(super) async fn limit_time(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    tokio::time::timeout(edge.time_limit, next.run(request)).await.unwrap_or_else(|_elapsed| {
        let message = format!("no answer within {} ms; ask for less or try again", edge.time_limit.as_millis());
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message).into_response()
    })
}

/// The reply after a handler panicked.
pub(super) fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = text, "a handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed on this request").into_response()
}

/// A problem body for errors that the framework raised by itself.
fn explain(response: Response, id: &str) -> Response {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if is_json {
        return response;
    }
    let status = response.status();
    let (code, message) = match status {
        StatusCode::NOT_FOUND => ("not_found", "no such path; see /api/v1/openapi.json"),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this path takes other methods; see the allow header"),
        StatusCode::PAYLOAD_TOO_LARGE => ("payload_too_large", "the body is over the size limit"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "send application/json"),
        _ if status.is_server_error() => ("internal", "the server failed on this request"),
        _ => ("bad_request", "the request is malformed"),
    };
    let headers = response.headers().clone();
    let mut explained = ApiError::new(status, code, message).render(id);
    keep_headers(&headers, explained.headers_mut());
    explained
}

/// Keeps what an error reply says besides its body.
fn keep_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [header::ALLOW, header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
}

/// The client's request id if it is short, printable ASCII; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| (1..=MAX_REQUEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}
