//! A registry's REST face from the other side: JSON calls to any path of any make. Knows no commands.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::client::{Login, escaped};
use super::tls::ClientTls;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole answer; a page of large schemas takes its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// How much of an answer that nobody understands is shown, in characters.
const SHOWN_CHARS: usize = 300;
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The address cannot be used.
    #[error("{url}: {why}")]
    Address {
        /// As given, without a login.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing answers there, or not in time.
    #[error("no answer from the schema registry at {url}: {source}")]
    Unreachable {
        /// The registry.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The registry refuses, or it is in trouble.
    #[error("{message} (error {code} from {call})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The registry's `error_code`; the status where it gives none.
        code: u32,
        /// What it says.
        message: String,
        /// Method and URL.
        call: String,
    },
    /// What answers is no registry, or not one of a kind that is known here.
    #[error("{call} did not answer as a schema registry does: {why}")]
    Foreign {
        /// Method and URL.
        call: String,
        /// What is wrong with the answer.
        why: String,
    },
}

impl RestError {
    /// The registry's `error_code`, where it answered with an error.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The HTTP status of an error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the answer is "there is no such thing", and not "there is no such path".
    pub fn is_missing(&self) -> bool {
        self.code().is_some_and(|code| (40401..=40499).contains(&code))
    }
}

/// A path below a registry's URL, with its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    path: String,
    query: String,
}

impl Resource {
    /// The path of these segments; each is escaped, so that a subject with a slash stays one.
    pub fn new(segments: &[&str]) -> Self {
        let path = segments.iter().map(|segment| format!("/{}", escaped(segment))).collect();
        Self { path, query: String::new() }
    }

    /// With a query parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(&format!("{name}={}", escaped(value)));
        self
    }

    /// With a query parameter that is true, if it is.
    #[must_use]
    pub fn flag(self, name: &str, is_set: bool) -> Self {
        if is_set { self.with(name, "true") } else { self }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.path, self.query)
    }
}

/// A way to a registry. Calls wait for their answer, so it is for threads outside an asynchronous runtime.
pub struct RestClient {
    http: Client,
    /// Connections live as long as their runtime: one for all calls.
    runtime: Runtime,
    bases: Vec<Url>,
    login: Option<Login>,
}

impl RestClient {
    /// The registry at one or several URLs, separated by commas; a call goes to the first that takes the connection.
    ///
    /// # Errors
    /// No URL is given, one is none, or the client cannot be made.
    pub fn new(urls: &str, login: Option<Login>, tls: &ClientTls) -> Result<Self, RestError> {
        let given = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        let bases: Vec<Url> = given.map(base).collect::<Result<_, _>>()?;
        let unusable = |why: String| RestError::Address { url: urls.to_owned(), why };
        if bases.is_empty() {
            return Err(unusable("no schema registry URL is given".to_owned()));
        }
        let builder = tls.for_urls(bases.iter().map(Url::as_str)).client();
        let builder = builder.map_err(|error| unusable(error.to_string()))?;
        let mut builder = builder.connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_TIMEOUT);
        if bases.iter().all(is_loopback) {
            // A proxy has its own loopback.
            builder = builder.no_proxy();
        }
        let http = builder.build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let no_client = |error: &dyn std::error::Error| RestError::Address {
            url: bases.first().map(shown).unwrap_or_default(),
            why: format!("the HTTP client cannot be made: {error}"),
        };
        Ok(Self {
            http: http.map_err(|error| no_client(&error))?,
            runtime: runtime.map_err(|error| no_client(&error))?,
            login,
            bases,
        })
    }

    /// The registry's first URL, as it may be shown.
    pub fn url(&self) -> String {
        self.bases.first().map(shown).unwrap_or_default()
    }

    /// `GET`
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn get(&self, resource: &Resource) -> Result<Value, RestError> {
        self.call(&Method::GET, resource, None)
    }

    /// As [`Self::get`]; none where the registry says that there is no such thing.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn find(&self, resource: &Resource) -> Result<Option<Value>, RestError> {
        match self.get(resource) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `POST`
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn post(&self, resource: &Resource, body: &Value) -> Result<Value, RestError> {
        self.call(&Method::POST, resource, Some(body))
    }

    /// `PUT`
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn put(&self, resource: &Resource, body: &Value) -> Result<Value, RestError> {
        self.call(&Method::PUT, resource, Some(body))
    }

    /// `DELETE`
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn delete(&self, resource: &Resource) -> Result<Value, RestError> {
        self.call(&Method::DELETE, resource, None)
    }

    fn call(&self, method: &Method, resource: &Resource, body: Option<&Value>) -> Result<Value, RestError> {
        let mut last = None;
        for base in &self.bases {
            match self.runtime.block_on(self.exchange(base, method, resource, body)) {
                // Nothing has been sent yet, so another server may be asked even to write.
                Err(RestError::Unreachable { url, source }) if source.is_connect() => {
                    last = Some(RestError::Unreachable { url, source });
                }
                outcome => return outcome,
            }
        }
        let none = || RestError::Address { url: String::new(), why: "no schema registry URL is given".to_owned() };
        Err(last.unwrap_or_else(none))
    }

    async fn exchange(
        &self,
        base: &Url,
        method: &Method,
        resource: &Resource,
        body: Option<&Value>,
    ) -> Result<Value, RestError> {
        let url = address(base, resource)?;
        let call = format!("{method} {}", shown(&url));
        let unreachable = |source: reqwest::Error| RestError::Unreachable {
            url: shown(base),
            // The URL is said already, and it may hold a login.
            source: source.without_url(),
        };
        let mut request =
            self.http.request(method.clone(), url).header("accept", format!("{MEDIA_TYPE}, application/json"));
        request = match &self.login {
            Some(Login::Basic { username, password }) => {
                request.basic_auth(username, password.as_ref().map(ExposeSecret::expose_secret))
            }
            Some(Login::Token(token)) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        if let Some(body) = body {
            request = request.header("content-type", MEDIA_TYPE).body(body.to_string());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(RestError::Foreign { call, why: format!("it is larger than {MAX_ANSWER_BYTES} bytes") });
            }
            bytes.extend_from_slice(&chunk);
        }
        outcome(status, &bytes, call)
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error_code: u32,
    #[serde(default)]
    message: String,
}

fn outcome(status: StatusCode, bytes: &[u8], call: String) -> Result<Value, RestError> {
    if status.is_success() {
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        return serde_json::from_slice(bytes)
            .map_err(|error| RestError::Foreign { call, why: format!("{error}: {}", beginning(bytes)) });
    }
    let (code, message) = match serde_json::from_slice::<ErrorBody>(bytes) {
        Ok(ErrorBody { error_code, message }) => (error_code, message),
        Err(_) if bytes.is_empty() => (u32::from(status.as_u16()), format!("HTTP {status}")),
        Err(_) => (u32::from(status.as_u16()), format!("HTTP {status}: {}", beginning(bytes))),
    };
    Err(RestError::Refused { status: status.as_u16(), code, message, call })
}

fn beginning(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(SHOWN_CHARS).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn base(text: &str) -> Result<Url, RestError> {
    let refused = |url: String, why: &str| RestError::Address { url, why: why.to_owned() };
    let mut url = Url::parse(text).map_err(|error| refused(text.to_owned(), &format!("this is no URL: {error}")))?;
    match url.scheme() {
        "http" | "https" => {}
        _ => return Err(refused(shown(&url), "a schema registry's URL begins with http:// or https://")),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// The URL of a resource.
fn address(base: &Url, resource: &Resource) -> Result<Url, RestError> {
    let path = format!("{}{}", base.path().trim_end_matches('/'), resource.path);
    let mut url = base.clone();
    url.set_path(&path);
    // `.` and `..` mean something in a URL however they are escaped: a subject of that name would lead elsewhere.
    if url.path() != path {
        let why = "a path in a URL cannot hold this name".to_owned();
        return Err(RestError::Address { url: format!("{}{}", shown(base), resource.path), why });
    }
    url.set_query(resource.query.strip_prefix('?'));
    Ok(url)
}

/// A URL without its login.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have a login.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base_url: &str, resource: &Resource) -> String {
        address(&base(base_url).unwrap(), resource).unwrap().to_string()
    }

    #[test]
    fn names_stay_one_segment() {
        let resource = Resource::new(&["subjects", ":.c:a/b c?d%", "versions"]).flag("deleted", true).with("x", "ä&b");
        let path = "/subjects/:.c:a%2Fb%20c%3Fd%25/versions?deleted=true&x=%C3%A4%26b";
        assert_eq!(url("http://h:1", &resource), format!("http://h:1{path}"));
        assert_eq!(url("http://h:1/sr/", &resource), format!("http://h:1/sr{path}"));
        assert_eq!(url("http://h:1/", &Resource::new(&["mode"]).flag("force", false)), "http://h:1/mode");
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_refused() {
        for name in [".", "..", ""] {
            let refused = address(&base("http://h:1").unwrap(), &Resource::new(&["subjects", name, "versions"]));
            match name {
                "" => assert_eq!(refused.unwrap().path(), "/subjects//versions"),
                _ => assert!(refused.unwrap_err().to_string().contains("cannot hold this name"), "{name}"),
            }
        }
    }

    #[test]
    fn logins_are_not_shown() {
        let base = base("http://user:secret@h:1/sr/").unwrap();
        assert_eq!(shown(&base), "http://h:1/sr");
        let client = RestClient::new("http://user:secret@127.0.0.1:1", None, &ClientTls::default()).unwrap();
        let error = client.get(&Resource::new(&["subjects"])).unwrap_err();
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            said.push_str(&error.to_string());
            cause = error.source();
        }
        assert!(said.starts_with("no answer from the schema registry at http://127.0.0.1:1: "), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn unusable_urls_say_why() {
        for (text, why) in [
            ("", "no schema registry URL is given"),
            (" , ", "no schema registry URL is given"),
            ("localhost", "this is no URL"),
            ("ftp://h", "begins with http://"),
        ] {
            let error = RestClient::new(text, None, &ClientTls::default()).err().unwrap().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn answers_become_values_or_typed_errors() {
        let of = |status: u16, body: &str| {
            outcome(StatusCode::from_u16(status).unwrap(), body.as_bytes(), "GET http://h/x".to_owned())
        };
        assert_eq!(of(200, "[1]").unwrap(), serde_json::json!([1]));
        assert_eq!(of(204, "").unwrap(), Value::Null);
        let error = of(404, r#"{"error_code":40401,"message":"Subject 's' not found."}"#).unwrap_err();
        assert!(error.is_missing());
        assert_eq!((error.status(), error.code()), (Some(404), Some(40401)));
        assert_eq!(error.to_string(), "Subject 's' not found. (error 40401 from GET http://h/x)");
        let error = of(404, "<html>\n nothing </html>").unwrap_err();
        assert!(!error.is_missing(), "a path that is not there says nothing of a subject");
        assert_eq!(error.to_string(), "HTTP 404 Not Found: <html> nothing </html> (error 404 from GET http://h/x)");
        let error = of(200, "hello").unwrap_err().to_string();
        assert!(error.starts_with("GET http://h/x did not answer as a schema registry does: "), "{error}");
    }
}
