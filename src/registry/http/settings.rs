//! Paths under `/config` and `/mode`.

use axum::extract::Path;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::decide::{Command, ConfigUpdate, ExistingVersions, Reply};
use super::super::error::RegistryError;
use super::super::snapshot::GLOBAL_CONTEXT;
use super::super::types::{Config, Mode, Subject};
use super::access::Operation;
use super::params::{Body, Params, unreadable};
use super::subjects::unreachable_reply;
use super::{App, ok};
use crate::schema::Level;

/// The name a level has in requests; in stored and shown configuration it is `compatibilityLevel`.
const REQUESTED_LEVEL: &str = "compatibility";
const SHOWN_LEVEL: &str = "compatibilityLevel";

/// `GET /config`
pub(super) async fn config(app: App, params: Params) -> Result<Response, RegistryError> {
    show_config(&app, None, &params).await
}

/// `GET /config/{subject}`
pub(super) async fn subject_config(
    app: App,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    show_config(&app, Subject::scope(&subject), &params).await
}

async fn show_config(app: &App, scope: Option<Subject>, params: &Params) -> Result<Response, RegistryError> {
    may_see(app, scope.as_ref())?;
    let config = app.registry.read(|snapshot| match (snapshot.config(scope.as_ref()), &scope) {
        _ if params.is("defaultToGlobal") => Ok(snapshot.effective_config(scope.as_ref())),
        (Some(config), _) => Ok(config.clone()),
        (None, Some(scope)) if scope.as_str() != GLOBAL_CONTEXT => {
            Err(RegistryError::CompatibilityNotConfigured(scope.to_string()))
        }
        (None, _) => Ok(Config::default()),
    });
    Ok(ok(&with_level(config.await?)))
}

/// `PUT /config`
pub(super) async fn set_config(app: App, Body(body): Body<Map<String, Value>>) -> Result<Response, RegistryError> {
    change_config(&app, None, body).await
}

/// `PUT /config/{subject}`
pub(super) async fn set_subject_config(
    app: App,
    Path(subject): Path<String>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, RegistryError> {
    change_config(&app, Subject::scope(&subject), body).await
}

/// `DELETE /config`
pub(super) async fn delete_config(app: App) -> Result<Response, RegistryError> {
    reset_config(&app, None).await
}

/// `DELETE /config/{subject}`
pub(super) async fn delete_subject_config(app: App, Path(subject): Path<String>) -> Result<Response, RegistryError> {
    reset_config(&app, Subject::scope(&subject)).await
}

/// `GET /mode`
pub(super) async fn mode(app: App, params: Params) -> Result<Response, RegistryError> {
    shown_mode(&app, None, &params).await
}

/// `GET /mode/{subject}`
pub(super) async fn subject_mode(
    app: App,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    shown_mode(&app, Subject::scope(&subject), &params).await
}

async fn shown_mode(app: &App, scope: Option<Subject>, params: &Params) -> Result<Response, RegistryError> {
    may_see(app, scope.as_ref())?;
    let mode = app.registry.read(|snapshot| match (snapshot.mode(scope.as_ref()), &scope) {
        (Some(mode), _) => Ok(mode),
        (None, _) if params.is("defaultToGlobal") => Ok(snapshot.effective_mode(scope.as_ref())),
        (None, Some(scope)) if scope.as_str() != GLOBAL_CONTEXT => {
            Err(RegistryError::ModeNotConfigured(scope.to_string()))
        }
        (None, _) => Ok(Mode::default()),
    });
    Ok(show_mode(Some(mode.await?)))
}

/// The body of a mode request.
#[derive(Deserialize)]
pub(super) struct ModeBody {
    /// Absent or null resets it.
    #[serde(default)]
    mode: Option<String>,
}

/// `PUT /mode`
pub(super) async fn set_mode(app: App, params: Params, Body(body): Body<ModeBody>) -> Result<Response, RegistryError> {
    change_mode(&app, None, &params, &body).await
}

/// `PUT /mode/{subject}`
pub(super) async fn set_subject_mode(
    app: App,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<ModeBody>,
) -> Result<Response, RegistryError> {
    change_mode(&app, Subject::scope(&subject), &params, &body).await
}

/// `DELETE /mode`
pub(super) async fn delete_mode(app: App, params: Params) -> Result<Response, RegistryError> {
    reset_mode(&app, None, &params).await
}

/// `DELETE /mode/{subject}`
pub(super) async fn delete_subject_mode(
    app: App,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    reset_mode(&app, Subject::scope(&subject), &params).await
}

/// Settings are seen by who may see what they are of, and by who may change them.
fn may_see(app: &App, scope: Option<&Subject>) -> Result<(), RegistryError> {
    if app.who.may_scope(Operation::Config, scope) { Ok(()) } else { app.who.check_scope(Operation::Read, scope) }
}

async fn change_config(
    app: &App,
    subject: Option<Subject>,
    mut body: Map<String, Value>,
) -> Result<Response, RegistryError> {
    app.who.check_scope(Operation::Config, subject.as_ref())?;
    // The name that answers have is none that requests have.
    body.remove(SHOWN_LEVEL);
    if let Some(level) = body.remove(REQUESTED_LEVEL) {
        if !level.is_string() && !level.is_null() {
            return Err(RegistryError::InvalidLevel);
        }
        body.insert(SHOWN_LEVEL.to_owned(), level);
    }
    let cleared = body.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.clone()).collect();
    let set: Config = match serde_json::from_value(Value::Object(body)) {
        Ok(set) => set,
        Err(error) => return Ok(unreadable(&error)),
    };
    let update = Box::new(ConfigUpdate { set, cleared });
    match app.write(Command::SetConfig { subject, update }).await? {
        Reply::Config(config) => {
            let mut echo = serde_json::to_value(&*config).unwrap_or_default();
            if let Some(fields) = echo.as_object_mut()
                && let Some(level) = fields.remove(SHOWN_LEVEL)
            {
                fields.insert(REQUESTED_LEVEL.to_owned(), level);
            }
            Ok(ok(&echo))
        }
        other => unreachable_reply(&other),
    }
}

async fn reset_config(app: &App, subject: Option<Subject>) -> Result<Response, RegistryError> {
    app.who.check_scope(Operation::Config, subject.as_ref())?;
    match app.write(Command::DeleteConfig { subject }).await? {
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
    app.who.check_scope(Operation::Config, subject.as_ref())?;
    subject.as_ref().map_or(Ok(()), Subject::check)?;
    let existing = if params.is("force") { ExistingVersions::Keep } else { ExistingVersions::Refuse };
    let mode = body.mode.as_deref().map(str::parse).transpose()?;
    match app.write(Command::SetMode { subject, mode, existing }).await? {
        // The request is echoed as it came.
        Reply::Mode(_) => Ok(ok(&serde_json::json!({"mode": body.mode}))),
        other => unreachable_reply(&other),
    }
}

async fn reset_mode(app: &App, subject: Option<Subject>, params: &Params) -> Result<Response, RegistryError> {
    app.who.check_scope(Operation::Config, subject.as_ref())?;
    match app.write(Command::DeleteMode { subject, recursive: params.is("recursive") }).await? {
        Reply::Mode(mode) => Ok(show_mode(mode)),
        other => unreachable_reply(&other),
    }
}

fn show_mode(mode: Option<Mode>) -> Response {
    match mode {
        Some(mode) => ok(&serde_json::json!({"mode": mode})),
        None => ok(&serde_json::json!({})),
    }
}

/// Where nothing is set the level is the default one, and it is shown.
fn with_level(mut config: Config) -> Config {
    config.compatibility_level.get_or_insert_with(|| Level::default().to_string());
    config
}
