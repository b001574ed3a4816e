//! Paths under `/schemas`.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::super::error::RegistryError;
use super::super::query::{self, SchemaView};
use super::super::snapshot::Snapshot;
use super::super::types::{SchemaVersion, Subject};
use super::super::versions::Versions;
use super::access::Who;
use super::params::Params;
use super::{App, negotiate, ok};

/// Most entries of the lists that are long and heavy.
pub(super) const MAX_PAGE: usize = 1_000;

/// A number in a path; anything else is no path of ours.
fn number(text: &str) -> Result<i32, RegistryError> {
    text.trim().parse().map_err(|_| RegistryError::NoSuchPath)
}

/// `GET /schemas/types`
pub(super) async fn types() -> Response {
    ok(&["JSON", "PROTOBUF", "AVRO"])
}

/// `GET /schemas`
pub(super) async fn list(app: App, params: Params) -> Result<Response, RegistryError> {
    let snapshot = app.registry.snapshot();
    let names = query::subjects(&snapshot, params.get("subjectPrefix").unwrap_or_default(), params.deleted());
    let mut found: Vec<&SchemaVersion> = Vec::new();
    let names = names.iter().map(|name| Subject::from_stored(name)).filter(|subject| app.who.reads(subject));
    let names: Vec<Subject> = names.collect();
    for subject in &names {
        let versions = snapshot.versions(subject).into_iter().flat_map(Versions::iter);
        let mut shown = versions.filter(|version| params.deleted().lists(version));
        match params.is("latestOnly") {
            true => found.extend(shown.next_back()),
            false => found.extend(shown),
        }
    }
    if let Some(executor) = params.get("ruleType").filter(|text| !text.is_empty()) {
        found.retain(|version| version.content.rule_set.as_ref().is_some_and(|rules| rules.has_type(executor)));
    }
    // No subject here has an association: those that ask for one get the subjects without only where they say so.
    let by_association = ["resourceType", "associationType", "lifecycle"].iter().any(|name| params.get(name).is_some());
    if by_association && !params.all("lifecycle").any(|lifecycle| lifecycle == "NONE") {
        found.clear();
    }
    let page = params.page()?.at_most(MAX_PAGE).of(found);
    let aliases = if params.is("aliases") { snapshot.aliases() } else { BTreeMap::new() };
    let mut views = Vec::with_capacity(page.len());
    for version in page {
        let mut view = SchemaView::of(&snapshot, version, query::Format::Stored)?;
        let others = aliases.get(&version.subject).into_iter().flatten();
        view.aliases = others.filter(|alias| app.who.reads(&Subject::from_stored(alias))).cloned().collect();
        views.push(view);
    }
    Ok(ok(&views))
}

/// A version as a request wants to see it.
pub(super) fn view(snapshot: &Snapshot, version: &SchemaVersion, params: &Params) -> Result<SchemaView, RegistryError> {
    let mut view = SchemaView::of(snapshot, version, params.format())?;
    let wanted: Vec<&str> = params.tags().collect();
    if !wanted.is_empty() {
        view.schema_tags = Some(query::schema_tags(snapshot, version, &wanted)?).filter(|found| !found.is_empty());
    }
    if params.get("referenceFormat") == Some("qualified") {
        for reference in &mut view.references {
            reference.subject = version.subject.sibling(&reference.subject).to_string();
        }
    }
    Ok(view)
}

/// `GET /schemas/ids/{id}`
pub(super) async fn by_id(app: App, Path(id): Path<String>, params: Params) -> Result<Response, RegistryError> {
    let view = with_id(&app, number(&id)?, params, |snapshot, version, params| {
        let mut view = view(snapshot, version, params)?;
        view.id = None;
        view.max_id = params.is("fetchMaxId").then(|| snapshot.max_id(version.subject.context()));
        Ok(view)
    });
    Ok(ok(&view.await?))
}

/// `GET /schemas/ids/{id}/schema`
pub(super) async fn text_by_id(app: App, Path(id): Path<String>, params: Params) -> Result<Response, RegistryError> {
    let text = with_id(&app, number(&id)?, params, |snapshot, version, params| {
        query::text(snapshot, version, params.format())
    });
    Ok(raw(text.await?))
}

/// A schema's text as the body.
pub(super) fn raw(text: String) -> Response {
    ([(header::CONTENT_TYPE, negotiate::PREFERRED)], text).into_response()
}

/// `GET /schemas/ids/{id}/subjects`
pub(super) async fn subjects_of_id(
    app: App,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let id = number(&id)?;
    let names = app.registry.read(|snapshot| {
        let uses = query::uses_of_id(snapshot, id, in_subject(snapshot, &params).as_ref(), params.deleted())?;
        let uses = uses.iter().filter(|version| app.who.reads(&version.subject));
        let mut names: Vec<String> = uses.map(|version| version.subject.to_string()).collect();
        names.dedup();
        Ok(names)
    });
    Ok(ok(&params.page()?.of(names.await?)))
}

/// `GET /schemas/ids/{id}/versions`
pub(super) async fn versions_of_id(
    app: App,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, RegistryError> {
    let id = number(&id)?;
    let pairs = app.registry.read(|snapshot| {
        let uses = query::uses_of_id(snapshot, id, in_subject(snapshot, &params).as_ref(), params.deleted())?;
        let pair =
            |version: &&SchemaVersion| serde_json::json!({"subject": version.subject.as_str(), "version": version.version});
        Ok(uses.iter().filter(|version| app.who.reads(&version.subject)).map(pair).collect::<Vec<_>>())
    });
    Ok(ok(&params.page()?.of(pairs.await?)))
}

/// `GET /schemas/guids/{guid}`
pub(super) async fn by_guid(app: App, Path(guid): Path<String>, params: Params) -> Result<Response, RegistryError> {
    let who = app.who.clone();
    let view = app.show(params, move |snapshot, params| {
        let unknown = || RegistryError::GuidNotFound(guid.clone());
        // Whether somebody has a certain schema is not told to who may not see it.
        let version = ids(&who, snapshot, &guid).into_iter().next().map(|(_, version)| version).ok_or_else(unknown)?;
        who.may_resolve(snapshot, version, params)?;
        let view = SchemaView::of(snapshot, version, params.format())?;
        // A guid stands for the schema wherever it is.
        Ok(SchemaView { subject: None, version: None, id: None, ..view })
    });
    Ok(ok(&view.await?))
}

/// `GET /schemas/guids/{guid}/ids`
pub(super) async fn ids_of_guid(app: App, Path(guid): Path<String>) -> Result<Response, RegistryError> {
    let found = app.registry.read(|snapshot| match ids(&app.who, snapshot, &guid) {
        ids if ids.is_empty() => Err(RegistryError::SchemaNotFound),
        ids => Ok(ids.into_iter().map(|(context, version)| (context, version.id)).collect::<Vec<_>>()),
    });
    // The reading goes to the topic's end before the list is empty.
    let found = match found.await {
        Err(RegistryError::SchemaNotFound) => Vec::new(),
        found => found?,
    };
    let found: Vec<_> =
        found.into_iter().map(|(context, id)| serde_json::json!({"context": context, "id": id})).collect();
    Ok(ok(&found))
}

/// The contexts that have a schema, each with a version of it that may be read.
fn ids<'a>(who: &Who, snapshot: &'a Snapshot, guid: &str) -> Vec<(String, &'a SchemaVersion)> {
    let Ok(guid) = uuid::Uuid::parse_str(guid) else { return Vec::new() };
    let holder = |context: String| {
        let id = snapshot.id_of_md5(&context, guid.as_bytes())?;
        let scope = Subject::from_stored(&format!(":{context}:"));
        let version = query::by_id(snapshot, id, Some(&scope), |subject| who.reads(subject)).ok()?;
        Some((context, version))
    };
    snapshot.contexts().into_iter().filter_map(holder).collect()
}

async fn with_id<T: Send + 'static>(
    app: &App,
    id: i32,
    params: Params,
    show: impl Fn(&Snapshot, &SchemaVersion, &Params) -> Result<T, RegistryError> + Send + Sync + 'static,
) -> Result<T, RegistryError> {
    let who = app.who.clone();
    let found = app.show(params, move |snapshot, params| {
        let subject = in_subject(snapshot, params);
        let by_id = |reads: &dyn Fn(&Subject) -> bool| query::by_id(snapshot, id, subject.as_ref(), reads);
        let version = by_id(&|subject| who.reads(subject)).map_err(|missing| match by_id(&|_| true) {
            Ok(_) => RegistryError::IdDenied(id),
            Err(_) => missing,
        })?;
        who.may_resolve(snapshot, version, params)?;
        show(snapshot, version, params)
    });
    found.await
}

/// The subject or context that ids are looked for in, by itself or by its alias.
fn in_subject(snapshot: &Snapshot, params: &Params) -> Option<Subject> {
    let named = params.get("subject").filter(|text| !text.is_empty()).map(Subject::from_stored);
    named.map(|subject| snapshot.aliased(subject))
}
