//! What a request passes before its route: who asks, how often, and a body that comes in time. Knows credentials and
//! limits; what the principal may do is asked where the subject is known.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use secrecy::SecretString;

use super::super::error::RegistryError;
use super::access::{Access, Credentials, Known, PeerNames, Principal, Who};
use super::forward::{FORWARDED, FORWARDED_SINCE};
use super::limit::{Limiter, Payer, Rate};
use super::node_proof::{self, NodeSecret, Proven};
use super::{ErrorBody, MAX_BODY_BYTES, http_error, json};

/// Wrong passwords from one address: each costs a hash.
const WRONG_PASSWORDS: Rate = Rate { per_second: 1, burst: 20 };
/// `error_code` of a request beyond the rate.
const TOO_MANY: u32 = 42901;

/// How the registry's REST face guards itself.
#[derive(Clone)]
pub struct Guards {
    /// Who may do what; without it everybody may do everything.
    pub access: Option<Arc<ArcSwap<Access>>>,
    /// The secret of all nodes of this registry, by which they believe each other.
    pub node_secret: Option<NodeSecret>,
    /// Limit for each principal, and for each address without one.
    pub rate: Option<Rate>,
    /// Largest request body, in bytes; larger ones are answered with 42209.
    pub body_limit: usize,
    /// Longest time for a request's body to arrive.
    pub read_timeout: Duration,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            access: None,
            node_secret: None,
            rate: None,
            body_limit: MAX_BODY_BYTES,
            read_timeout: Duration::from_secs(30),
        }
    }
}

/// The other end of a connection; the listener puts it on each request.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Of its verified certificate.
    pub(super) names: Option<Arc<PeerNames>>,
}

/// Guards, and what they remember.
pub(super) struct Gate {
    guards: Guards,
    rate: Option<Limiter<Payer>>,
    wrong_passwords: Limiter<Payer>,
}

impl Gate {
    pub(super) fn new(guards: Guards) -> Self {
        Self { rate: guards.rate.map(Limiter::new), wrong_passwords: Limiter::new(WRONG_PASSWORDS), guards }
    }

    /// The request with [`Who`] asks and with its body read, or a refusal.
    pub(super) async fn admit(&self, mut request: Request) -> Result<Request, Response> {
        // Nobody else may have put one there.
        request.extensions_mut().remove::<Who>();
        let peer = request.extensions().get::<Peer>().cloned();
        let peer = peer.unwrap_or(Peer { address: Ipv4Addr::UNSPECIFIED.into(), names: None });
        let proven = self.forwarded(&mut request)?;
        let who = self.who(request.headers(), &peer, proven.as_ref()).await?;
        // The node that forwards has counted it.
        if let (Some(rate), None) = (&self.rate, &proven) {
            let payer = who.name().filter(|name| *name != super::access::ANONYMOUS);
            let payer = payer.map_or_else(|| Payer::at(peer.address), |name| Payer::Principal(name.to_owned()));
            rate.take(payer, Instant::now()).map_err(too_many)?;
        }
        request.extensions_mut().insert(who);
        self.with_body(request, proven.as_ref()).await
    }

    /// What the node proves that has forwarded the request. Where nodes have a secret, requests that others call forwarded
    /// are not.
    fn forwarded(&self, request: &mut Request) -> Result<Option<Proven>, Response> {
        let Some(secret) = &self.guards.node_secret else {
            node_proof::strip(request.headers_mut());
            return Ok(None);
        };
        let target = (request.method(), request.uri());
        let proven = secret.verify(request.headers(), target, SystemTime::now());
        node_proof::strip(request.headers_mut());
        match proven {
            Ok(Some(proven)) if request.headers().contains_key(FORWARDED) => Ok(Some(proven)),
            Ok(_) => {
                request.headers_mut().remove(FORWARDED);
                request.headers_mut().remove(FORWARDED_SINCE);
                Ok(None)
            }
            // Not passed on as the client's own: two nodes with two secrets would send it to and fro.
            Err(_) => {
                let message =
                    "the proof of the node that forwards is not valid: is registry.node_secret the same everywhere?";
                Err(refused("unproven", http_error(StatusCode::UNAUTHORIZED, message)))
            }
        }
    }

    async fn who(&self, headers: &HeaderMap, peer: &Peer, proven: Option<&Proven>) -> Result<Who, Response> {
        let Some(access) = &self.guards.access else { return Ok(Who::anyone()) };
        let access = access.load_full();
        let behalf = proven.and_then(|proven| access.named(&proven.principal));
        let found = match (behalf, headers.contains_key(header::AUTHORIZATION)) {
            (Some(principal), _) => Some(principal),
            (None, true) => self.by_header(&access, headers, peer).await?,
            (None, false) => {
                let certified = peer.names.as_deref().and_then(|names| access.certified(names));
                certified.or_else(|| access.anonymous())
            }
        };
        found.map(Who::is).ok_or_else(unauthenticated)
    }

    async fn by_header(
        &self,
        access: &Access,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Option<Arc<Principal>>, Response> {
        let Some(credentials) = credentials(headers) else { return Ok(None) };
        match (access.known(&credentials), credentials) {
            (Known::Is(principal), _) => Ok(Some(principal)),
            (Known::Unknown, Credentials::Password { name, password }) => {
                let payer = Payer::at(peer.address);
                self.wrong_passwords.peek(&payer, Instant::now()).map_err(too_many)?;
                let found = access.verified(&name, &password).await;
                if found.is_none() {
                    let _ = self.wrong_passwords.take(payer, Instant::now());
                    // A name that nobody has may be a password in the wrong place.
                    let known = access.named(&name).is_some();
                    tracing::info!(principal = known.then_some(&*name), peer = %peer.address, "wrong password");
                }
                Ok(found)
            }
            _ => Ok(None),
        }
    }

    async fn with_body(&self, request: Request, proven: Option<&Proven>) -> Result<Request, Response> {
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(request);
        }
        let limit = self.guards.body_limit;
        let too_large = || {
            let message = format!("the request is larger than {limit} bytes");
            refused("too_large", RegistryError::TooLarge(message).into_response())
        };
        let told = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if told.is_some_and(|length: u64| usize::try_from(length).is_ok_and(|length| length > limit)) {
            return Err(too_large());
        }
        let (parts, body) = request.into_parts();
        let bytes = tokio::time::timeout(self.guards.read_timeout, to_bytes(body, limit)).await;
        let bytes = bytes.map_err(|_| {
            let message = "the request's body did not arrive in time";
            refused("slow", http_error(StatusCode::REQUEST_TIMEOUT, message))
        })?;
        let bytes = bytes.map_err(|_| too_large())?;
        if proven.is_some_and(|proven| !proven.holds_for(&bytes)) {
            return Err(refused("unproven", http_error(StatusCode::UNAUTHORIZED, "the proof is for another body")));
        }
        Ok(Request::from_parts(parts, Body::from(bytes)))
    }
}

/// What the Authorization header says, if it is understood.
fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let text = all.next()?.to_str().ok()?;
    // Of two headers none is the one that was meant.
    if all.next().is_some() {
        return None;
    }
    let (scheme, given) = text.split_once(' ')?;
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Token(SecretString::from(given)));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(given).or_else(|_| STANDARD_NO_PAD.decode(given)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(Credentials::Password { name: name.to_owned(), password: SecretString::from(password) })
}

/// Counts a refusal.
fn refused(reason: &'static str, response: Response) -> Response {
    metrics::counter!("registry_refused_requests_total", "reason" => reason).increment(1);
    response
}

fn unauthenticated() -> Response {
    let mut response = http_error(StatusCode::UNAUTHORIZED, "Unauthorized");
    for scheme in ["Basic realm=\"schema registry\", charset=\"UTF-8\"", "Bearer realm=\"schema registry\""] {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    refused("unauthenticated", response)
}

fn too_many(wait: Duration) -> Response {
    let body = ErrorBody { error_code: TOO_MANY, message: "Too many requests; wait as Retry-After says" };
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, &body);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    refused("rate", response)
}
