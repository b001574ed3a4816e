//! Paths under `/config` and `/mode`.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::decide::{Command, ExistingVersions, Reply};
use super::super::error::RegistryError;
use super::super::types::{Config, Mode, Subject};
use super::params::{Body, Params};
use super::subjects::unreachable_reply;
use super::{App, ok};
use crate::schema::Level;

/// The name a level has in requests; in stored and shown configuration it is `compatibilityLevel`.
const REQUESTED_LEVEL: &str = "compatibility";

/// `GET /config`
pub(super) async fn config(State(app): State<App>) -> Response {
    ok(&with_level(app.registry.snapshot().effective_config(None)))
}

/// `GET /config/{subject}`
pub(super) async fn subject_config(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let subject = Subject::parse(&subject)?;
    let config = app.registry.read(|snapshot| match snapshot.config(Some(&subject)) {
        Some(config) if !params.is("defaultToGlobal") => Ok(config.clone()),
        _ if params.is("defaultToGlobal") => Ok(with_level(snapshot.effective_config(Some(&subject)))),
        _ => Err(RegistryError::CompatibilityNotConfigured(subject.to_string())),
    });
    Ok(ok(&config.await?))
}

/// `PUT /config`
pub(super) async fn set_config(
    State(app): State<App>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, RegistryError> {
    change_config(&app, None, body).await
}

/// `PUT /config/{subject}`
pub(super) async fn set_subject_config(
    State(app): State<App>,
    Path(subject): Path<String>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, RegistryError> {
    change_config(&app, Some(Subject::parse(&subject)?), body).await
}

/// `DELETE /config`
pub(super) async fn delete_config(State(app): State<App>) -> Result<Response, RegistryError> {
    reset_config(&app, None).await
}

/// `DELETE /config/{subject}`
pub(super) async fn delete_subject_config(
    State(app): State<App>,
    Path(subject): Path<String>,
) -> Result<Response, RegistryError> {
    reset_config(&app, Some(Subject::parse(&subject)?)).await
}

/// `GET /mode`
pub(super) async fn mode(State(app): State<App>) -> Response {
    show_mode(app.registry.snapshot().effective_mode(None))
}

/// `GET /mode/{subject}`
pub(super) async fn subject_mode(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let subject = Subject::parse(&subject)?;
    let mode = app.registry.read(|snapshot| match snapshot.mode(Some(&subject)) {
        Some(mode) => Ok(mode),
        None if params.is("defaultToGlobal") => Ok(snapshot.effective_mode(Some(&subject))),
        None => Err(RegistryError::ModeNotConfigured(subject.to_string())),
    });
    Ok(show_mode(mode.await?))
}

/// The body of a mode request.
#[derive(Deserialize)]
pub(super) struct ModeBody {
    #[serde(default)]
    mode: String,
}

/// `PUT /mode`
pub(super) async fn set_mode(
    State(app): State<App>,
    params: Params,
    Body(body): Body<ModeBody>,
) -> Result<Response, RegistryError> {
    change_mode(&app, None, &params, &body).await
}

/// `PUT /mode/{subject}`
pub(super) async fn set_subject_mode(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<ModeBody>,
) -> Result<Response, RegistryError> {
    change_mode(&app, Some(Subject::parse(&subject)?), &params, &body).await
}

/// `DELETE /mode`
pub(super) async fn delete_mode(State(app): State<App>) -> Result<Response, RegistryError> {
    reset_mode(&app, None).await
}

/// `DELETE /mode/{subject}`
pub(super) async fn delete_subject_mode(
    State(app): State<App>,
    Path(subject): Path<String>,
) -> Result<Response, RegistryError> {
    reset_mode(&app, Some(Subject::parse(&subject)?)).await
}

async fn change_config(
    app: &App,
    subject: Option<Subject>,
    mut body: Map<String, Value>,
) -> Result<Response, RegistryError> {
    if let Some(level) = body.remove(REQUESTED_LEVEL) {
        if !level.is_string() && !level.is_null() {
            return Err(RegistryError::InvalidLevel);
        }
        body.insert("compatibilityLevel".to_owned(), level);
    }
    let update: Config = serde_json::from_value(Value::Object(body))
        .map_err(|error| RegistryError::InvalidRuleSet(format!("unreadable configuration: {error}")))?;
    match app.registry.write(Command::SetConfig { subject, update: Box::new(update) }).await? {
        Reply::Config(config) => {
            let mut echo = serde_json::to_value(&*config).unwrap_or_default();
            if let Some(fields) = echo.as_object_mut()
                && let Some(level) = fields.remove("compatibilityLevel")
            {
                fields.insert(REQUESTED_LEVEL.to_owned(), level);
            }
            Ok(ok(&echo))
        }
        other => unreachable_reply(&other),
    }
}

async fn reset_config(app: &App, subject: Option<Subject>) -> Result<Response, RegistryError> {
    match app.registry.write(Command::DeleteConfig { subject }).await? {
        Reply::Config(config) => Ok(ok(&with_level(*config))),
        other => unreachable_reply(&other),
    }
}

async fn change_mode(
    app: &App,
    subject: Option<Subject>,
    params: &Params,
    body: &ModeBody,
) -> Result<Response, RegistryError> {
    let existing = if params.is("force") { ExistingVersions::Keep } else { ExistingVersions::Refuse };
    match app.registry.write(Command::SetMode { subject, mode: body.mode.parse()?, existing }).await? {
        Reply::Mode(mode) => Ok(show_mode(mode)),
        other => unreachable_reply(&other),
    }
}

async fn reset_mode(app: &App, subject: Option<Subject>) -> Result<Response, RegistryError> {
    match app.registry.write(Command::DeleteMode { subject }).await? {
        Reply::Mode(mode) => Ok(show_mode(mode)),
        other => unreachable_reply(&other),
    }
}

fn show_mode(mode: Mode) -> Response {
    ok(&serde_json::json!({"mode": mode}))
}

/// Where nothing is set the level is the default one, and it is shown.
fn with_level(mut config: Config) -> Config {
    config.compatibility_level.get_or_insert_with(|| Level::default().to_string());
    config
}
