//! The REST face of the registry: Confluent's paths, parameters, bodies and error codes. Knows no rules: it translates
//! requests to queries and commands, and their outcomes to JSON.

pub mod access;
mod contexts;
mod forward;
mod gate;
mod heavy;
mod limit;
mod negotiate;
mod node_proof;
mod observe;
mod params;
mod schemas;
mod serve;
mod settings;
mod sight;
mod subjects;

#[cfg(test)]
mod conformity_tests;
#[cfg(test)]
mod forward_tests;
#[cfg(test)]
mod lineage_tests;
#[cfg(test)]
mod node_tests;
#[cfg(test)]
mod security_tests;
#[cfg(test)]
mod semantics_tests;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use serde::Serialize;

use super::decide::{Command, Reply};
use super::error::RegistryError;
use super::handle::RegistryHandle;
use super::snapshot::Snapshot;
use super::tls::{ClientTls, TlsError};
use super::types::Subject;
use crate::schema::Level;
use access::{Operation, Who};
use forward::Relay;
use gate::Gate;
use heavy::Heavy;
use params::Params;

pub use gate::Guards;
pub use limit::Rate;
pub use node_proof::NodeSecret;
pub use serve::{Listener, ServeError};

/// Largest request body unless another limit is set, in bytes; larger ones are answered with 42209.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// What all requests share.
#[derive(Clone)]
struct Shared {
    registry: RegistryHandle,
    identity: Identity,
    writes: Writes,
    heavy: Heavy,
}

/// The registry, as the principal of one request may use it.
struct App {
    registry: RegistryHandle,
    writes: Writes,
    heavy: Heavy,
    who: Who,
}

impl FromRequestParts<Shared> for App {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Self::Rejection> {
        // A request that has not come through the gate may do nothing.
        let who = parts.extensions.get::<Who>().cloned().unwrap_or_else(Who::nobody);
        let Shared { registry, writes, heavy, .. } = shared.clone();
        Ok(Self { registry, writes, heavy, who })
    }
}

/// Where a request's changes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// By this node, whoever was the writer before.
    Here,
    /// By the present writer; if that is another node the request is refused with `Elsewhere`.
    AtTheWriter,
}

impl App {
    /// The subject that a path names, by itself or by its alias, for an operation that is allowed on it.
    fn subject(&self, operation: Operation, text: &str) -> Result<Subject, RegistryError> {
        self.who.named(operation, &self.registry.snapshot(), text)
    }

    /// Decides and writes a command, unless another node is to.
    async fn write(&self, command: Command) -> Result<Reply, RegistryError> {
        let registration = registration(&self.registry, &command);
        let command = match registration {
            None => command,
            Some(_) => {
                let registry = self.registry.clone();
                let decided = self.heavy.run(move || (registry.already(&command), command)).await?;
                match decided {
                    (Some(reply), _) => return Ok(reply),
                    (None, command) => command,
                }
            }
        };
        if self.writes == Writes::AtTheWriter
            && let Some(writer) = self.registry.writer_elsewhere()
        {
            return Err(RegistryError::Elsewhere(writer));
        }
        let outcome = self.registry.submit(command, forward::term()).await;
        if let Some((schema_type, level)) = registration {
            match &outcome {
                Ok(_) => observe::compatibility(schema_type, level, observe::Compatibility::Kept),
                Err(RegistryError::Incompatible { .. }) => {
                    observe::compatibility(schema_type, level, observe::Compatibility::Broken);
                }
                Err(_) => {}
            }
        }
        outcome
    }

    /// As [`RegistryHandle::read`], for queries that parse nothing unless their parameters ask for it.
    async fn show<T: Send + 'static>(
        &self,
        params: Params,
        query: impl Fn(&Snapshot, &Params) -> Result<T, RegistryError> + Send + Sync + 'static,
    ) -> Result<T, RegistryError> {
        match params.need_parsing() {
            true => self.think(move |snapshot| query(snapshot, &params)).await,
            false => self.registry.read(|snapshot| query(snapshot, &params)).await,
        }
    }

    /// As [`RegistryHandle::read`], beside the threads that serve requests: for queries that may take long.
    async fn think<T: Send + 'static>(
        &self,
        query: impl Fn(&Snapshot) -> Result<T, RegistryError> + Send + Sync + 'static,
    ) -> Result<T, RegistryError> {
        self.heavy.read(&self.registry, query).await
    }
}

/// What a registration is measured by: its schema's language and the level it is held to.
fn registration(registry: &RegistryHandle, command: &Command) -> Option<(&'static str, Level)> {
    match command {
        Command::Register { subject, request } => {
            Some((observe::language(request), registry.snapshot().level(subject)))
        }
        _ => None,
    }
}

/// How the registry names itself under `/v1/metadata`.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Id of the Kafka cluster that holds the topic.
    pub kafka_cluster: String,
    /// Name of the group of registries.
    pub registry_cluster: String,
}

/// How the registry is served.
#[derive(Clone, Default)]
pub struct ServeOptions {
    /// How it names itself.
    pub identity: Identity,
    /// Who may do what, and how much.
    pub guards: Guards,
    /// How other nodes are reached.
    pub nodes: ClientTls,
}

/// The registry's routes, at the root, open to everybody.
pub fn router(registry: RegistryHandle) -> Router {
    let options = ServeOptions::default();
    router_with(registry, options).expect("a client without certificates has nothing to fail at")
}

/// As [`router`], guarded.
///
/// # Errors
/// The certificates for connections to other nodes cannot be used.
pub fn router_with(registry: RegistryHandle, options: ServeOptions) -> Result<Router, TlsError> {
    let ServeOptions { identity, guards, nodes } = options;
    let heavy = Heavy::new();
    let (shared, named) = (registry.clone(), identity);
    let app =
        |writes| routes(Shared { registry: shared.clone(), identity: named.clone(), writes, heavy: heavy.clone() });
    let both = [app(Writes::Here), app(Writes::AtTheWriter)];
    let relay = Relay::new(registry, both, nodes.client()?, guards.node_secret.clone()).map_err(TlsError::Client)?;
    let gate = Arc::new(Gate::new(guards));
    Ok(Router::new().fallback(move |request: Request| {
        let (gate, relay) = (gate.clone(), relay.clone());
        async move {
            match gate.admit(request).await.and_then(contexts::rewrite) {
                // A path below /contexts/{context} is another spelling of a path at the root, so it is rewritten before
                // routing.
                Ok(request) => negotiate::with_options(relay.answer(request).await),
                Err(refusal) => refusal,
            }
        }
    }))
}

fn routes(app: Shared) -> Router {
    Router::new()
        .route("/", get(empty).post(empty))
        .route("/contexts", get(contexts::list))
        .route("/contexts/{context}", delete(contexts::delete))
        .route("/schemas", get(schemas::list))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text_by_id))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects_of_id))
        .route("/schemas/ids/{id}/versions", get(schemas::versions_of_id))
        .route("/schemas/guids/{guid}", get(schemas::by_guid))
        .route("/schemas/guids/{guid}/ids", get(schemas::ids_of_guid))
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(subjects::lookup).delete(subjects::delete))
        .route("/subjects/{subject}/metadata", get(subjects::latest_with_metadata))
        .route("/subjects/{subject}/versions", get(subjects::versions).post(subjects::register))
        .route("/subjects/{subject}/versions/{version}", get(subjects::version).delete(subjects::delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(subjects::referenced_by))
        .route("/subjects/{subject}/versions/{version}/tags", post(subjects::tag))
        .route("/compatibility/subjects/{subject}/versions", post(subjects::check_history))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(subjects::check_version))
        .route("/config", get(settings::config).put(settings::set_config).delete(settings::delete_config))
        .route(
            "/config/{subject}",
            get(settings::subject_config).put(settings::set_subject_config).delete(settings::delete_subject_config),
        )
        .route("/mode", get(settings::mode).put(settings::set_mode).delete(settings::delete_mode))
        .route(
            "/mode/{subject}",
            get(settings::subject_mode).merge(put(settings::set_subject_mode)).delete(settings::delete_subject_mode),
        )
        .route("/v1/metadata/id", get(metadata_id))
        .route("/v1/metadata/version", get(metadata_version))
        .route("/v1/metadata/deployment", get(metadata_deployment))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn(negotiate::layer))
        .layer(middleware::from_fn(observe::layer))
        .with_state(app)
}

/// A JSON body; the media type is set by `negotiate`.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("responses have string keys and no failing serialisers");
    (status, [(header::CONTENT_TYPE, negotiate::PREFERRED)], bytes).into_response()
}

fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error_code: u32,
    message: &'a str,
}

/// An error that is HTTP's, not the registry's: its code is the status.
fn http_error(status: StatusCode, message: &str) -> Response {
    json(status, &ErrorBody { error_code: u32::from(status.as_u16()), message })
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        if let RegistryError::Elsewhere(writer) = self {
            return forward::elsewhere(writer);
        }
        let code = self.code();
        // Codes are the status, most of them followed by two digits.
        let status = u16::try_from(if code < 1_000 { code } else { code / 100 })
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        metrics::counter!("registry_errors_total", "code" => code.to_string()).increment(1);
        if status.is_server_error() {
            tracing::warn!(code, error = ?self, "registry request failed");
        }
        json(status, &ErrorBody { error_code: code, message: &self.to_string() })
    }
}

async fn empty() -> Response {
    ok(&serde_json::json!({}))
}

async fn not_found(uri: Uri) -> Response {
    // Clients ask for associations of a topic and go on without where there are none.
    if uri.path().starts_with("/associations") {
        return RegistryError::AssociationNotFound("No associations found".to_owned()).into_response();
    }
    http_error(StatusCode::NOT_FOUND, "HTTP 404 Not Found")
}

/// Another method than those of a path. Which ones it has is put on by the router.
async fn not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    http_error(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed")
}

async fn metadata_id(State(app): State<Shared>) -> Response {
    ok(&serde_json::json!({"scope": {"path": [], "clusters": {
        "kafka-cluster": app.identity.kafka_cluster,
        "schema-registry-cluster": app.identity.registry_cluster,
    }}}))
}

async fn metadata_deployment() -> Response {
    ok(&serde_json::json!({"attributes": []}))
}

async fn metadata_version() -> Response {
    ok(&serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "commitId": ""}))
}
