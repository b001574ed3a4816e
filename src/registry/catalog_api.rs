//! Column lineage from a catalog elsewhere, over its HTTP API. Knows the question's and the answer's JSON, no catalog.

use std::time::Duration;

use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::impact::{LineageError, LineageFuture, LineageQuestion, LineageSource, Reach, request};
use super::tls::{ClientTls, Trust};

/// How long a connection may take; the whole answer has the registry's own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A catalog's API.
pub struct CatalogApi {
    http: Client,
    url: Url,
    token: Option<SecretString>,
    clusters: Vec<String>,
}

impl CatalogApi {
    /// The catalog at a base URL. `clusters` are the names of the Kafka cluster whose topics the registry describes, as
    /// `kafka://host:port`.
    ///
    /// # Errors
    /// The URL cannot be used, or the client cannot be made.
    pub fn new(url: &str, token: Option<SecretString>, clusters: Vec<String>) -> Result<Self, LineageError> {
        let unusable = |why: &dyn std::fmt::Display| LineageError(format!("the catalog's URL cannot be used: {why}"));
        let path = format!("{}/api/v1/lineage/impact", url.trim_end_matches('/'));
        let url = Url::parse(&path).map_err(|error| unusable(&error))?;
        let tls = ClientTls { trust: Trust::System, identity: None }.for_urls([url.as_str()]);
        let mut builder = tls.client().map_err(|error| unusable(&error))?.connect_timeout(CONNECT_TIMEOUT);
        if super::rest::is_loopback(&url) {
            // A proxy has its own loopback.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| unusable(&error))?;
        Ok(Self { http, url, token, clusters })
    }

    async fn ask(&self, question: &LineageQuestion) -> Result<Reach, LineageError> {
        let silent = |error: reqwest::Error| {
            tracing::warn!(%error, "the catalog did not answer about lineage");
            LineageError("the catalog does not answer".to_owned())
        };
        let mut asked = self.http.post(self.url.clone()).header("content-type", "application/json");
        if let Some(token) = &self.token {
            asked = asked.bearer_auth(token.expose_secret());
        }
        let body = request(question, &self.clusters).to_string();
        let mut response = asked.body(body).send().await.map_err(silent)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silent)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(LineageError(format!("the catalog's answer is larger than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let said = serde_json::from_slice(&bytes).map(|Problem { message }| message).unwrap_or_default();
            return Err(LineageError(format!("the catalog answers {status}: {said}")));
        }
        let unread = |error: serde_json::Error| LineageError(format!("the catalog's answer cannot be read: {error}"));
        serde_json::from_slice(&bytes).map_err(unread)
    }
}

/// The body of the API's errors.
#[derive(Deserialize)]
struct Problem {
    message: String,
}

impl LineageSource for CatalogApi {
    fn reach<'a>(&'a self, question: &'a LineageQuestion) -> LineageFuture<'a> {
        Box::pin(self.ask(question))
    }
}
