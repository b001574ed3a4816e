//! Media types: which bodies are taken, which are given, and that every error is JSON.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::http_error;

/// The media type a client gets that has no wish.
pub(super) const PREFERRED: &str = "application/vnd.schemaregistry.v1+json";
/// Media types given, best first.
const GIVEN: [&str; 3] = [PREFERRED, "application/vnd.schemaregistry+json", "application/json"];

/// Refuses unknown media types and labels responses.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let Some(media_type) = choose(header_text(&request, header::ACCEPT).unwrap_or_default()) else {
        return http_error(StatusCode::NOT_ACCEPTABLE, "HTTP 406 Not Acceptable");
    };
    let has_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if has_body && !header_text(&request, header::CONTENT_TYPE).is_none_or(takes) {
        return http_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "HTTP 415 Unsupported Media Type");
    }
    let mut response = next.run(request).await;
    let labelled = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PREFERRED);
    if !labelled && (response.status().is_client_error() || response.status().is_server_error()) {
        // An extractor's own refusal, in plain text.
        let status = response.status();
        response = http_error(status, &format!("HTTP {status}"));
    }
    if response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}

/// Tells that a path takes OPTIONS, too: every one does, so the routes do not know.
pub(super) fn with_options(mut response: Response) -> Response {
    let allowed = response.headers().get(header::ALLOW).and_then(|value| value.to_str().ok());
    let allowed = allowed.and_then(|allowed| HeaderValue::from_str(&format!("{allowed},OPTIONS")).ok());
    if let Some(allowed) = allowed {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn header_text(request: &Request, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn takes(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/octet-stream")
        || GIVEN.iter().any(|given| media_type.eq_ignore_ascii_case(given))
}

/// The media type for an Accept header: the one with the highest weight, ours first among equals.
fn choose(accept: &str) -> Option<&'static str> {
    if accept.trim().is_empty() {
        return Some(PREFERRED);
    }
    let mut best: Option<(f32, &'static str)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_range = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0_f32);
        for given in GIVEN {
            let fits =
                media_range == "*/*" || media_range == "application/*" || media_range.eq_ignore_ascii_case(given);
            let better = best.is_none_or(|(known, media_type)| {
                weight > known || (weight == known && rank(given) < rank(media_type))
            });
            if fits && weight > 0.0 && better {
                best = Some((weight, given));
            }
        }
    }
    best.map(|(_, media_type)| media_type)
}

fn rank(media_type: &str) -> usize {
    GIVEN.iter().position(|given| *given == media_type).unwrap_or(GIVEN.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers_of_real_clients() {
        for (accept, media_type) in [
            ("", Some(PREFERRED)),
            ("*/*", Some(PREFERRED)),
            (
                "application/vnd.schemaregistry.v1+json,application/vnd.schemaregistry+json,application/json",
                Some(PREFERRED),
            ),
            ("application/json", Some("application/json")),
            ("application/json, */*;q=0.1", Some("application/json")),
            ("text/html, application/vnd.schemaregistry+json;q=0.5", Some("application/vnd.schemaregistry+json")),
            ("text/html", None),
        ] {
            assert_eq!(choose(accept), media_type, "{accept}");
        }
    }
}
