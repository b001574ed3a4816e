//! Paths under `/subjects` and `/compatibility`.

use axum::extract::Path;
use axum::response::Response;
use serde::Serialize;

use super::super::decide::{self, Command, RegisterRequest, Reply};
use super::super::error::RegistryError;
use super::super::impact::{self, Impact, Reach};
use super::super::query::{self, SchemaView};
use super::super::snapshot::{Deleted, Snapshot};
use super::super::tags::{self, TagRequest};
use super::super::types::{SchemaVersion, Subject, VersionSpec};
use super::access::{Operation, Who};
use super::params::{Body, Params, SchemaBody};
use super::schemas::{MAX_PAGE, raw, view};
use super::{App, observe, ok};

/// The prefix of subjects of all contexts.
const ALL_CONTEXTS: &str = ":*:";

/// `GET /subjects`
pub(super) async fn list(app: App, params: Params) -> Result<Response, RegistryError> {
    let prefix = params.get("subjectPrefix").unwrap_or(ALL_CONTEXTS);
    let names = query::subjects(&app.registry.snapshot(), prefix, params.deleted());
    Ok(ok(&params.page()?.of(names.into_iter().filter(|name| app.who.reads(&Subject::from_stored(name))))))
}

/// `POST /subjects/{subject}`
pub(super) async fn lookup(
    app: App,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<SchemaBody>,
) -> Result<Response, RegistryError> {
    let (who, request) = (app.who.clone(), body.request(&params));
    let view = app.think(move |snapshot| {
        let subject = who.named(Operation::Read, snapshot, &subject)?;
        let found = snapshot.somewhere(&subject, |subject| {
            who.may_use(subject, &request.references)?;
            who.visible(subject, decide::lookup(snapshot, subject, &request, params.deleted()))
        })?;
        who.may_resolve(snapshot, found, &params)?;
        SchemaView::of(snapshot, found, params.format())
    });
    Ok(ok(&view.await?))
}

/// `DELETE /subjects/{subject}`
pub(super) async fn delete(app: App, Path(subject): Path<String>, params: Params) -> Result<Response, RegistryError> {
    app.subject(Operation::Delete, &subject)?;
    let subject = Subject::from_stored(&subject);
    match app.write(Command::DeleteSubject { subject, deletion: params.deletion() }).await? {
        Reply::DeletedVersions(versions) => Ok(ok(&versions)),
        other => unreachable_reply(&other),
    }
}

/// `GET /subjects/{subject}/versions`
pub(super) async fn versions(app: App, Path(subject): Path<String>, params: Params) -> Result<Response, RegistryError> {
    let numbers = app.registry.read(|snapshot| {
        let subject = app.who.named(Operation::Read, snapshot, &subject)?;
        let numbers = query::versions(snapshot, &subject, params.deleted())?;
        Ok(if params.is("deletedAsNegative") { query::signed_versions(snapshot, &subject) } else { numbers })
    });
    Ok(ok(&params.page()?.of(numbers.await?)))
}

/// `POST /subjects/{subject}/versions`
pub(super) async fn register(
    app: App,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<SchemaBody>,
) -> Result<Response, RegistryError> {
    let request = Box::new(body.request(&params));
    let resolved = app.subject(Operation::Write, &subject)?;
    if request.overrides() {
        app.subject(Operation::Config, &subject)?;
    }
    app.who.may_use(&resolved, &request.references)?;
    add_version(&app, Subject::from_stored(&subject), request, &params).await
}

/// `POST /subjects/{subject}/versions/{version}/tags`
pub(super) async fn tag(
    app: App,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
    Body(body): Body<TagRequest>,
) -> Result<Response, RegistryError> {
    let who = app.who.clone();
    let named = subject.clone();
    let subject = Subject::from_stored(&subject);
    subject.check()?;
    let spec = version.parse()?;
    let request = app.think(move |snapshot| {
        let subject = who.named(Operation::Write, snapshot, &named)?;
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
    app.who.may_resolve(&snapshot, found, params)?;
    let mut view = SchemaView::of(&snapshot, found, params.format())?;
    (view.subject, view.deleted) = (None, None);
    Ok(ok(&view))
}

/// `GET /subjects/{subject}/versions/{version}`
pub(super) async fn version(
    app: App,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    let (who, spec) = (app.who.clone(), version.parse()?);
    let shown = app.show(params, move |snapshot, params| {
        let found = version_of(&who, snapshot, &subject, spec, params.deleted())?;
        who.may_resolve(snapshot, found, params)?;
        view(snapshot, found, params)
    });
    Ok(ok(&shown.await?))
}

fn version_of<'a>(
    who: &Who,
    snapshot: &'a Snapshot,
    subject: &str,
    version: VersionSpec,
    deleted: Deleted,
) -> Result<&'a SchemaVersion, RegistryError> {
    let subject = who.named(Operation::Read, snapshot, subject)?;
    snapshot.somewhere(&subject, |subject| who.visible(subject, snapshot.version(subject, version, deleted)))
}

/// `GET /subjects/{subject}/versions/{version}/schema`
pub(super) async fn version_text(
    app: App,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    let (who, spec) = (app.who.clone(), version.parse()?);
    let text = app.show(params, move |snapshot, params| {
        let found = version_of(&who, snapshot, &subject, spec, params.deleted())?;
        who.may_resolve(snapshot, found, params)?;
        query::text(snapshot, found, params.format())
    });
    Ok(raw(text.await?))
}

/// `GET /subjects/{subject}/versions/{version}/referencedby`
pub(super) async fn referenced_by(
    app: App,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    let spec = version.parse()?;
    let ids = app.registry.read(|snapshot| {
        let found = version_of(&app.who, snapshot, &subject, spec, Deleted::Shown)?;
        let referrers = snapshot.referrers(&found.subject, found.version);
        let shown = referrers.filter(|referrer| params.deleted() != Deleted::Hidden || !referrer.deleted);
        let shown = shown.filter(|referrer| app.who.reads(&referrer.subject));
        let mut ids: Vec<i32> = shown.map(|referrer| referrer.id).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    });
    Ok(ok(&params.page()?.at_most(MAX_PAGE).of(ids.await?)))
}

/// `DELETE /subjects/{subject}/versions/{version}`
pub(super) async fn delete_version(
    app: App,
    Path((subject, version)): Path<(String, String)>,
    params: Params,
) -> Result<Response, RegistryError> {
    app.subject(Operation::Delete, &subject)?;
    let (subject, version) = (Subject::from_stored(&subject), version.parse()?);
    match app.write(Command::DeleteVersion { subject, version, deletion: params.deletion() }).await? {
        Reply::DeletedVersion(version) => Ok(ok(&version)),
        other => unreachable_reply(&other),
    }
}

/// `GET /subjects/{subject}/metadata`
pub(super) async fn latest_with_metadata(
    app: App,
    Path(subject): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let who = app.who.clone();
    let view = app.show(params, move |snapshot, params| {
        let subject = who.named(Operation::Read, snapshot, &subject)?;
        let wanted: Vec<(&str, &str)> = params.all("key").zip(params.all("value")).collect();
        query::versions(snapshot, &subject, params.deleted())?;
        let has = |version: &&SchemaVersion| {
            version.content.metadata.as_ref().is_some_and(|metadata| {
                wanted.iter().all(|(key, value)| metadata.properties.get(*key).is_some_and(|found| found == value))
            })
        };
        let versions = snapshot.versions(&subject).into_iter().flat_map(|versions| versions.iter().rev());
        let mut shown = versions.filter(|version| params.deleted() != Deleted::Hidden || !version.deleted);
        let found = shown.find(has).ok_or(RegistryError::SchemaNotFound)?;
        who.may_resolve(snapshot, found, params)?;
        SchemaView::of(snapshot, found, params.format())
    });
    Ok(ok(&view.await?))
}

/// `POST /compatibility/subjects/{subject}/versions`
pub(super) async fn check_history(
    app: App,
    Path(subject): Path<String>,
    params: Params,
    Body(body): Body<SchemaBody>,
) -> Result<Response, RegistryError> {
    check(&app, &subject, None, &params, body).await
}

/// `POST /compatibility/subjects/{subject}/versions/{version}`
pub(super) async fn check_version(
    app: App,
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
    let who = app.who.clone();
    let result = app.think(move |snapshot| {
        let named = subject.as_str();
        let subject = who.named(Operation::Compatibility, snapshot, named)?;
        if verbose || wanted {
            // The messages quote the older schema, and the impact names its columns.
            who.named(Operation::Read, snapshot, named)?;
        }
        who.may_use(&subject, &request.references)?;
        let check = decide::Check::new(snapshot, &subject, version, &request)?;
        let messages = check.messages()?;
        let level = snapshot.level(&subject);
        let question = match wanted || (level.checks_lineage() && messages.is_empty()) {
            true => check.lineage_question()?,
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
