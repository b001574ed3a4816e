//! Contexts: their list, and paths below `/contexts/{context}` as other spellings of paths at the root.

use axum::extract::{Path, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::super::decide::{Command, Reply};
use super::super::error::RegistryError;
use super::super::types::{DEFAULT_CONTEXT, Subject};
use super::access::Operation;
use super::params::Params;
use super::subjects::unreachable_reply;
use super::{App, http_error, ok};

/// `GET /contexts`
pub(super) async fn list(app: App, params: Params) -> Result<Response, RegistryError> {
    let prefix = params.get("contextPrefix").unwrap_or_default();
    let names = app.registry.snapshot().contexts();
    Ok(ok(&params.page()?.of(names.into_iter().filter(|name| name.starts_with(prefix) && app.who.sees(name)))))
}

/// `DELETE /contexts/{context}`
pub(super) async fn delete(app: App, Path(context): Path<String>) -> Result<Response, RegistryError> {
    let scope = Subject::from_stored(&format!(":{}:", dotted(&context)));
    if scope.context() == DEFAULT_CONTEXT && scope.is_context() {
        return Ok(super::not_allowed(Method::DELETE).await);
    }
    if !scope.is_context() {
        return Err(RegistryError::InvalidSubject(context.trim_matches(':').to_owned()));
    }
    app.who.check(Operation::Delete, &scope)?;
    match app.write(Command::DeleteContext { context: scope }).await? {
        Reply::ContextDeleted => Ok(StatusCode::NO_CONTENT.into_response()),
        other => unreachable_reply(&other),
    }
}

/// Rewrites a request below `/contexts/{context}`; others stay as they are.
///
/// # Errors
/// The path names what cannot be a context; the response says so.
pub(super) fn rewrite(mut request: Request) -> Result<Request, Response> {
    if let Some((context, _)) = request.uri().path().strip_prefix("/contexts/").and_then(|path| path.split_once('/')) {
        let context = context.strip_prefix(':').unwrap_or(context);
        let context = context.strip_suffix(':').unwrap_or(context);
        if context.contains(':') {
            let message = format!("Context name '{context}' cannot contain a colon");
            return Err(http_error(StatusCode::BAD_REQUEST, &message));
        }
    }
    for rule in [without_slash, rewritten] {
        if let Some(uri) = rule(request.uri()) {
            *request.uri_mut() = uri;
        }
    }
    Ok(request)
}

/// A path with a slash at its end is the path without it.
fn without_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{path}{query}").parse().ok()
}

fn rewritten(uri: &Uri) -> Option<Uri> {
    let (context, rest) = uri.path().strip_prefix("/contexts/")?.split_once('/')?;
    let context = dotted(context);
    let prefix = if context == DEFAULT_CONTEXT { String::new() } else { format!(":{context}:") };
    let mut segments: Vec<String> = rest.split('/').map(str::to_owned).collect();
    let mut query = uri.query().unwrap_or_default().to_owned();
    let subject_at = match segments.first().map(String::as_str) {
        Some("subjects" | "config" | "mode") => Some(1),
        Some("compatibility") => Some(2),
        _ => None,
    };
    match subject_at {
        Some(at) if segments.len() > at => {
            let subject = segments.get_mut(at)?;
            if ![":.", "%3A.", "%3a."].iter().any(|mark| subject.starts_with(mark)) {
                *subject = format!("{prefix}{subject}");
            }
        }
        Some(_) if segments.first().is_some_and(|first| first == "subjects") => {
            let scope = if prefix.is_empty() { ":.:".to_owned() } else { prefix };
            query = with_prefix(&query, "subjectPrefix", &scope);
        }
        Some(_) if !prefix.is_empty() => segments.push(prefix),
        Some(_) => {}
        None => {
            let name = if segments.len() == 1 { "subjectPrefix" } else { "subject" };
            let scope = if prefix.is_empty() { ":.:".to_owned() } else { prefix };
            query = with_prefix(&query, name, &scope);
        }
    }
    let question = if query.is_empty() { "" } else { "?" };
    format!("/{}{question}{query}", segments.join("/")).parse().ok()
}

/// A context's name with its leading dot, however a path writes it.
fn dotted(context: &str) -> String {
    let plain = context.trim_matches(':');
    if plain.starts_with('.') { plain.to_owned() } else { format!(".{plain}") }
}

/// The query with `prefix` put before the value of `name`, or as its value.
fn with_prefix(query: &str, name: &str, prefix: &str) -> String {
    let mut found = false;
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if key == name => {
                found = true;
                let has_context =
                    [":.", ":*:", "%3A.", "%3a.", "%3A*", "%3a*"].iter().any(|mark| value.starts_with(mark));
                format!("{key}={}{value}", if has_context { "" } else { prefix })
            }
            _ => pair.to_owned(),
        })
        .collect();
    if !found {
        pairs.push(format!("{name}={prefix}"));
    }
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_a_context_become_paths_at_the_root() {
        for (from, to) in [
            ("/contexts/.c/subjects", "/subjects?subjectPrefix=:.c:"),
            ("/contexts/.c/subjects?subjectPrefix=a&deleted=true", "/subjects?subjectPrefix=:.c:a&deleted=true"),
            ("/contexts/.c/subjects/a/versions/1", "/subjects/:.c:a/versions/1"),
            ("/contexts/c/subjects/a", "/subjects/:.c:a"),
            ("/contexts/:.c:/subjects/a", "/subjects/:.c:a"),
            ("/contexts/.c/schemas/ids/1", "/schemas/ids/1?subject=:.c:"),
            ("/contexts/.c/schemas/ids/1?subject=a", "/schemas/ids/1?subject=:.c:a"),
            ("/contexts/.c/schemas", "/schemas?subjectPrefix=:.c:"),
            ("/contexts/.c/config", "/config/:.c:"),
            ("/contexts/.c/mode/a", "/mode/:.c:a"),
            ("/contexts/./config/a", "/config/a"),
            ("/contexts/.c/compatibility/subjects/a/versions", "/compatibility/subjects/:.c:a/versions"),
        ] {
            assert_eq!(rewritten(&from.parse().unwrap()).unwrap().to_string(), to, "{from}");
        }
        assert!(rewritten(&"/contexts".parse().unwrap()).is_none());
        assert!(rewritten(&"/subjects/contexts/versions".parse().unwrap()).is_none());
    }
}
