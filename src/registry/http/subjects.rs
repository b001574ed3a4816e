//! Paths under `/subjects` and `/compatibility`.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::super::decide::{self, Command, RegisterRequest, Reply};
use super::super::error::RegistryError;
use super::super::impact::{self, Impact, Reach};
use super::super::query::{self, SchemaView};
use super::super::snapshot::{Deleted, Snapshot};
use super::super::tags::{self, TagRequest};
use super::super::types::{SchemaVersion, Subject, VersionSpec};
use super::params::{Body, Params, SchemaBody};
use super::schemas::{MAX_PAGE, raw, view};
use super::{App, observe, ok};

/// The prefix of subjects of all contexts.
const ALL_CONTEXTS: &str = ":*:";

/// The subject that a path names, by itself or by its alias.
fn named(snapshot: &Snapshot, text: &str) -> Subject {
    snapshot.aliased(Subject::from_stored(text))
}

/// `GET /subjects`
pub(super) async fn list(State(app): State<App>, params: Params) -> Result<Response, RegistryError> {
    let prefix = params.get("subjectPrefix").unwrap_or(ALL_CONTEXTS);
    Ok(ok(&params.page()?.of(query::subjects(&app.registry.snapshot(), prefix, params.deleted()))))
}

/// `POST /subjects/{subject}`
pub(super) async fn lookup(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<SchemaBody>,
) -> Result<Response, RegistryError> {
    let request = body.request(&params);
    let view = app.think(move |snapshot| {
        let subject = named(snapshot, &subject);
        let found =
            snapshot.somewhere(&subject, |subject| decide::lookup(snapshot, subject, &request, params.deleted()))?;
        SchemaView::of(snapshot, found, params.format())
    });
    Ok(ok(&view.await?))
}

/// `DELETE /subjects/{subject}`
pub(super) async fn delete(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let subject = Subject::from_stored(&subject);
    match app.write(Command::DeleteSubject { subject, deletion: params.deletion() }).await? {
        Reply::DeletedVersions(versions) => Ok(ok(&versions)),
        other => unreachable_reply(&other),
    }
}

/// `GET /subjects/{subject}/versions`
pub(super) async fn versions(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let numbers = app.registry.read(|snapshot| {
        let subject = named(snapshot, &subject);
        let numbers = query::versions(snapshot, &subject, params.deleted())?;
        Ok(if params.is("deletedAsNegative") { query::signed_versions(snapshot, &subject) } else { numbers })
    });
    Ok(ok(&params.page()?.of(numbers.await?)))
}

/// `POST /subjects/{subject}/versions`
pub(super) async fn register(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<SchemaBody>,
) -> Result<Response, RegistryError> {
    let request = Box::new(body.request(&params));
    add_version(&app, Subject::from_stored(&subject), request, &params).await
}

/// `POST /subjects/{subject}/versions/{version}/tags`
pub(super) async fn tag(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
    Body(body): Body<TagRequest>,
) -> Result<Response, RegistryError> {
    let subject = Subject::from_stored(&subject);
    subject.check()?;
    let (asked, spec) = (subject.clone(), version.parse()?);
    let request = app.think(move |snapshot| {
        let subject = snapshot.aliased(asked.clone());
        tags::registration(snapshot, &subject, spec, &body)
    });
    let request = Box::new(request.await?);
    add_version(&app, subject, request, &params).await
}

async fn add_version(
    app: &App,
    subject: Subject,
    request: Box<RegisterRequest>,
    params: &Params,
) -> Result<Response, RegistryError> {
    let reply = app.write(Command::Register { subject, request }).await?;
    let Reply::Registered { subject, version, .. } = reply else { return unreachable_reply(&reply) };
    let snapshot = app.registry.snapshot();
    // A delete right after the registration may hide the version already, so deleted ones count.
    let found = snapshot.version(&subject, VersionSpec::Number(version), Deleted::Shown)?;
    let mut view = SchemaView::of(&snapshot, found, params.format())?;
    (view.subject, view.deleted) = (None, None);
    Ok(ok(&view))
}

/// `GET /subjects/{subject}/versions/{version}`
pub(super) async fn version(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    let spec = version.parse()?;
    let shown = app.show(params, move |snapshot, params| {
        view(snapshot, version_of(snapshot, &subject, spec, params.deleted())?, params)
    });
    Ok(ok(&shown.await?))
}

fn version_of<'a>(
    snapshot: &'a Snapshot,
    subject: &str,
    version: VersionSpec,
    deleted: Deleted,
) -> Result<&'a SchemaVersion, RegistryError> {
    snapshot.somewhere(&named(snapshot, subject), |subject| snapshot.version(subject, version, deleted))
}

/// `GET /subjects/{subject}/versions/{version}/schema`
pub(super) async fn version_text(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    let spec = version.parse()?;
    let text = app.show(params, move |snapshot, params| {
        query::text(snapshot, version_of(snapshot, &subject, spec, params.deleted())?, params.format())
    });
    Ok(raw(text.await?))
}

/// `GET /subjects/{subject}/versions/{version}/referencedby`
pub(super) async fn referenced_by(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    let spec = version.parse()?;
    let ids = app.registry.read(|snapshot| {
        let found = version_of(snapshot, &subject, spec, Deleted::Shown)?;
        let referrers = snapshot.referrers(&found.subject, found.version);
        let shown = referrers.filter(|referrer| params.deleted() != Deleted::Hidden || !referrer.deleted);
        let mut ids: Vec<i32> = shown.map(|referrer| referrer.id).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    });
    Ok(ok(&params.page()?.at_most(MAX_PAGE).of(ids.await?)))
}

/// `DELETE /subjects/{subject}/versions/{version}`
pub(super) async fn delete_version(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    let (subject, version) = (Subject::from_stored(&subject), version.parse()?);
    match app.write(Command::DeleteVersion { subject, version, deletion: params.deletion() }).await? {
        Reply::DeletedVersion(version) => Ok(ok(&version)),
        other => unreachable_reply(&other),
    }
}

/// `GET /subjects/{subject}/metadata`
pub(super) async fn latest_with_metadata(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let view = app.show(params, move |snapshot, params| {
        let subject = named(snapshot, &subject);
        let wanted: Vec<(&str, &str)> = params.all("key").zip(params.all("value")).collect();
        query::versions(snapshot, &subject, params.deleted())?;
        let has = |version: &&SchemaVersion| {
            version.content.metadata.as_ref().is_some_and(|metadata| {
                wanted.iter().all(|(key, value)| metadata.properties.get(*key).is_some_and(|found| found == value))
            })
        };
        let versions = snapshot.versions(&subject).into_iter().flat_map(|versions| versions.iter().rev());
        let mut shown = versions.filter(|version| params.deleted() != Deleted::Hidden || !version.deleted);
        SchemaView::of(snapshot, shown.find(has).ok_or(RegistryError::SchemaNotFound)?, params.format())
    });
    Ok(ok(&view.await?))
}

/// `POST /compatibility/subjects/{subject}/versions`
pub(super) async fn check_history(
    State(app): State<App>,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<SchemaBody>,
) -> Result<Response, RegistryError> {
    check(&app, &subject, None, &params, body).await
}

/// `POST /compatibility/subjects/{subject}/versions/{version}`
pub(super) async fn check_version(
    State(app): State<App>,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
    Body(body): Body<SchemaBody>,
) -> Result<Response, RegistryError> {
    check(&app, &subject, Some(version.parse()?), &params, body).await
}

async fn check(
    app: &App,
    subject: &str,
    version: Option<VersionSpec>,
    params: &Params,
    body: SchemaBody,
) -> Result<Response, RegistryError> {
    let (subject, request) = (subject.to_owned(), body.request(params));
    let (verbose, wanted) = (params.is("verbose"), params.is("impact"));
    let language = observe::language(&request);
    let result = app.think(move |snapshot| {
        let subject = named(snapshot, &subject);
        let messages = decide::check_compatibility(snapshot, &subject, version, &request)?;
        let level = snapshot.level(&subject);
        let question = match wanted || (level.checks_lineage() && messages.is_empty()) {
            true => decide::lineage_question(snapshot, &subject, version, &request)?,
            false => None,
        };
        Ok((messages, question, level))
    });
    let (mut messages, question, level) = match result.await {
        Ok(checked) => checked,
        Err(error @ RegistryError::InvalidSchema(_)) if verbose => {
            let messages = Some(vec![error.to_string()]);
            return Ok(ok(&Compatibility { is_compatible: false, messages, impact: None }));
        }
        Err(error) => return Err(error),
    };
    let answer = match &question {
        Some(question) => app.registry.lineage(question).await,
        None => Ok(Reach::default()),
    };
    let mut compatible = messages.is_empty();
    match (&question, &answer) {
        (Some(question), Ok(reach)) => {
            let told = impact::messages(question, reach);
            compatible &= !level.checks_lineage() || told.is_empty();
            messages.extend(told);
        }
        (Some(_), Err(error)) if level.checks_lineage() && compatible => {
            return Err(RegistryError::LineageUnavailable(error.to_string()));
        }
        _ => {}
    }
    let result = if compatible { observe::Compatibility::Kept } else { observe::Compatibility::Broken };
    observe::compatibility(language, level, result);
    let impact = wanted.then(|| Impact::of(question.as_ref(), answer));
    Ok(ok(&Compatibility { is_compatible: compatible, messages: verbose.then_some(messages), impact }))
}

/// The answer to a compatibility check. `impact` is there only for those who ask for it.
#[derive(Serialize)]
struct Compatibility {
    is_compatible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impact: Option<Impact>,
}

/// A command's reply is of its own kind; anything else is a defect, answered as such without ending the process.
pub(super) fn unreachable_reply(reply: &Reply) -> Result<Response, RegistryError> {
    let reason = super::super::log::reason(format!("unexpected reply {reply:?}"));
    Err(RegistryError::Store(super::super::log::LogError::Unavailable(reason)))
}
