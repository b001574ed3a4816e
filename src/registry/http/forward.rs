//! Sends a change to the node that writes. Forwarding is for speed alone: if that node does not answer, this one takes
//! the topic over and writes by itself, and the broker's fence sees to it that only one of them does.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceExt as _;

use super::super::error::RegistryError;
use super::super::handle::{OtherWriter, RegistryHandle};
use super::access::Who;
use super::http_error;
use super::node_proof::NodeSecret;

/// Marks a request that has been forwarded: it goes no further. The reference's header.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("x-forward");
/// The mark by which the sender knows the receiver as the writer. Stopped long enough, that one may no longer be it, and
/// the sender has carried out the request by itself.
pub(super) const FORWARDED_SINCE: HeaderName = HeaderName::from_static("x-forward-since");
/// How long the writer may be silent before it is asked whether it lives.
const SILENCE: Duration = Duration::from_millis(500);
/// How long a writer that lives may take for one request.
const PATIENCE: Duration = Duration::from_secs(25);
/// A path that any registry answers from memory.
const SIGN_OF_LIFE: &str = "/v1/metadata/version";
/// What a forwarded request says of the client's.
const FORWARDED_HEADERS: [HeaderName; 4] =
    [header::ACCEPT, header::CONTENT_TYPE, header::AUTHORIZATION, HeaderName::from_static("x-request-id")];

tokio::task_local! {
    /// The mark in a forwarded request, while it is answered.
    static TERM: i64;
}

/// The mark since which this node has to have been the writer for the present request.
pub(super) fn term() -> Option<i64> {
    TERM.try_with(|mark| *mark).ok()
}

/// Put on a response by which a route says that another node writes.
#[derive(Debug, Clone)]
pub(super) struct Elsewhere(OtherWriter);

/// The response that says so. No client sees it.
pub(super) fn elsewhere(writer: OtherWriter) -> Response {
    let mut response = http_error(StatusCode::MISDIRECTED_REQUEST, "HTTP 421 Misdirected Request");
    response.extensions_mut().insert(Elsewhere(writer));
    response
}

/// The routes twice: with changes written by this node, and with changes left to the writer.
#[derive(Clone)]
pub(super) struct Relay {
    registry: RegistryHandle,
    here: Router,
    at_the_writer: Router,
    client: reqwest::Client,
    secret: Option<NodeSecret>,
}

/// What became of a forwarded request.
enum Sent {
    Answered(Response),
    /// It never reached the writer.
    Not,
    /// It may have been carried out.
    Unsure,
}

impl Relay {
    /// A way to other nodes that makes its connections with `client`.
    ///
    /// # Errors
    /// The client cannot be made.
    pub(super) fn new(
        registry: RegistryHandle,
        [here, at_the_writer]: [Router; 2],
        client: reqwest::ClientBuilder,
        secret: Option<NodeSecret>,
    ) -> Result<Self, reqwest::Error> {
        let client = client.connect_timeout(SILENCE).no_proxy().build()?;
        Ok(Self { registry, here, at_the_writer, client, secret })
    }

    /// Answers a request, here or by the writer.
    pub(super) async fn answer(self, request: Request) -> Response {
        let may_change = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if request.headers().contains_key(FORWARDED) {
            let mark = request.headers().get(FORWARDED_SINCE).and_then(|mark| mark.to_str().ok()?.parse().ok());
            return match mark {
                Some(mark) => TERM.scope(mark, run(self.here, request)).await,
                None => run(self.here, request).await,
            };
        }
        if !may_change || self.registry.writer_elsewhere().is_none() {
            return run(self.here, request).await;
        }
        let (parts, body) = request.into_parts();
        // The gate has read it and limited its size.
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return http_error(StatusCode::BAD_REQUEST, "request body is not readable");
        };
        let again = || Request::from_parts(parts.clone(), Body::from(body.clone()));
        let mut response = run(self.at_the_writer.clone(), again()).await;
        let Some(Elsewhere(writer)) = response.extensions_mut().remove() else { return response };
        let sent = self.send(&writer, &parts, &body).await;
        let outcome = match sent {
            Sent::Answered(_) => "answered",
            Sent::Not => "unreachable",
            Sent::Unsure => "silent",
        };
        metrics::counter!("registry_forwarded_requests_total", "outcome" => outcome).increment(1);
        match sent {
            Sent::Answered(response) => {
                // What this node has confirmed it also shows; if it cannot, the change is made all the same.
                if response.status().is_success()
                    && let Err(error) = self.registry.refresh().await
                {
                    tracing::warn!(%error, "a forwarded change cannot be read back yet");
                }
                response
            }
            Sent::Not => run(self.here, again()).await,
            Sent::Unsure => match run(self.here, again()).await {
                // "Not there any more" may be the doing of this very request.
                response if response.status() == StatusCode::NOT_FOUND => {
                    RegistryError::ForwardingFailed(writer.url).into_response()
                }
                response => response,
            },
        }
    }

    async fn send(&self, writer: &OtherWriter, parts: &Parts, body: &Bytes) -> Sent {
        let url = &*writer.url;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let principal = parts.extensions.get::<Who>().and_then(Who::name);
        let proof = self.secret.as_ref().map(|secret| {
            let mark = writer.mark.to_string();
            secret.headers(principal, (&parts.method, &parts.uri), (body, &mark), SystemTime::now())
        });
        let mut request = self.client.request(parts.method.clone(), format!("{url}{path}")).body(body.clone());
        for name in FORWARDED_HEADERS {
            for value in parts.headers.get_all(&name) {
                request = request.header(&name, value);
            }
        }
        for (name, value) in proof.into_iter().flatten() {
            request = request.header(name, value);
        }
        let request = request.header(FORWARDED, "true").header(FORWARDED_SINCE, writer.mark).timeout(PATIENCE);
        let mut answer = std::pin::pin!(async {
            let response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, response.bytes().await?))
        });
        loop {
            match tokio::time::timeout(SILENCE, &mut answer).await {
                Ok(Ok((_, _, bytes))) if cannot_write(&bytes) => return Sent::Unsure,
                Ok(Ok((status, mut headers, bytes))) => {
                    let mut response = (status, bytes).into_response();
                    for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
                        let value: Option<HeaderValue> = headers.remove(&name);
                        value.map(|value| response.headers_mut().insert(name, value));
                    }
                    return Sent::Answered(response);
                }
                Ok(Err(error)) => {
                    tracing::info!(url, %error, "the writer of the schemas topic cannot be asked");
                    return if error.is_connect() { Sent::Not } else { Sent::Unsure };
                }
                Err(_) if self.is_alive(url).await => {}
                Err(_) => {
                    tracing::info!(url, "the writer of the schemas topic is silent");
                    return Sent::Unsure;
                }
            }
        }
    }

    async fn is_alive(&self, url: &str) -> bool {
        let sign = self.client.get(format!("{url}{SIGN_OF_LIFE}")).timeout(SILENCE).send();
        sign.await.is_ok()
    }
}

/// Whether an answer says that the writer could not write: then it is no better than a silent one.
fn cannot_write(answer: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error_code: u32,
    }
    serde_json::from_slice::<Refusal>(answer).is_ok_and(|refusal| (50_001..=50_004).contains(&refusal.error_code))
}

async fn run(router: Router, request: Request) -> Response {
    router.oneshot(request).await.unwrap_or_else(|never| match never {})
}
