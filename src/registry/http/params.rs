//! Query parameters and bodies as clients send them: booleans in any case, unknown properties ignored, sizes limited.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::decide::{CompatibilityCheck, Deletion, Normalize, RegisterRequest};
use super::super::error::RegistryError;
use super::super::query::{Format, Page};
use super::super::snapshot::Deleted;
use super::super::types::{Metadata, RuleSet, SchemaReference};
use super::{MAX_BODY_BYTES, http_error};

/// The query parameters of a request, in order.
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let Query(pairs) = Query::try_from_uri(&parts.uri)
            .map_err(|_| http_error(StatusCode::BAD_REQUEST, "unreadable query parameters"))?;
        Ok(Self(pairs))
    }
}

impl Params {
    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is true.
    pub(super) fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn deleted(&self) -> Deleted {
        match (self.is("deletedOnly"), self.is("deleted")) {
            (true, _) => Deleted::Only,
            (_, true) => Deleted::Shown,
            _ => Deleted::Hidden,
        }
    }

    pub(super) fn deletion(&self) -> Deletion {
        if self.is("permanent") { Deletion::Permanent } else { Deletion::Soft }
    }

    pub(super) fn format(&self) -> Format {
        match self.get("format") {
            Some("resolved") => Format::Resolved,
            Some("serialized") => Format::Serialized,
            _ => Format::Stored,
        }
    }

    /// The part of a list; a limit that is not positive is none.
    ///
    /// # Errors
    /// Offset or limit is no number.
    pub(super) fn page(&self) -> Result<Page, RegistryError> {
        let number = |name: &str| match self.get(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value.parse::<i64>().map(Some).map_err(|_| RegistryError::NoSuchPath),
        };
        let positive = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        let limit = positive(number("limit")?).filter(|limit| *limit > 0);
        Ok(Page { offset: positive(number("offset")?).unwrap_or(0), limit })
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        let too_large =
            || RegistryError::TooLarge(format!("the request is larger than {MAX_BODY_BYTES} bytes")).into_response();
        let bytes = to_bytes(request.into_body(), MAX_BODY_BYTES).await.map_err(|_| too_large())?;
        if bytes.is_empty() || bytes.trim_ascii() == b"null" {
            return Err(http_error(StatusCode::UNPROCESSABLE_ENTITY, "the request has no body"));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| http_error(StatusCode::BAD_REQUEST, &format!("request body is not readable: {error}")))
    }
}

/// The body of register, lookup and compatibility requests.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SchemaBody {
    schema: Option<String>,
    schema_type: Option<String>,
    references: Option<Vec<SchemaReference>>,
    metadata: Option<Metadata>,
    rule_set: Option<RuleSet>,
    version: Option<i32>,
    id: Option<i32>,
}

impl SchemaBody {
    pub(super) fn request(self, params: &Params) -> RegisterRequest {
        RegisterRequest {
            schema: self.schema.unwrap_or_default(),
            schema_type: self.schema_type,
            references: self.references.unwrap_or_default(),
            metadata: self.metadata,
            rule_set: self.rule_set,
            version: self.version,
            id: self.id,
            normalize: if params.is("normalize") { Normalize::Always } else { Normalize::Configured },
            compatibility: if params.is("force") { CompatibilityCheck::Skipped } else { CompatibilityCheck::Enforced },
            lineage: None,
        }
    }
}
