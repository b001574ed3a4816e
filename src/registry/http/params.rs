//! Query parameters and bodies as clients send them: booleans in any case, unknown properties ignored, sizes limited.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::decide::{CompatibilityCheck, Deletion, Normalize, RegisterRequest, Tags};
use super::super::error::RegistryError;
use super::super::query::{Format, Page};
use super::super::snapshot::Deleted;
use super::super::tags::TaggedEntity;
use super::super::types::{Metadata, RuleSet, SchemaReference};
use super::http_error;

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

    /// Whether an answer takes more than the stored text.
    pub(super) fn need_parsing(&self) -> bool {
        self.format() != Format::Stored || self.tags().next().is_some()
    }

    /// Tags to find in a schema.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.all("findTags").filter(|tag| !tag.is_empty())
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
        let number = |name: &str| match self.get(name).filter(|value| !value.trim().is_empty()) {
            None => Ok(None),
            Some(value) => value.parse::<i32>().map(Some).map_err(|_| RegistryError::NoSuchPath),
        };
        let positive = |number: Option<i32>| number.and_then(|number| usize::try_from(number).ok());
        let limit = positive(number("limit")?).filter(|limit| *limit > 0);
        Ok(Page { offset: positive(number("offset")?).unwrap_or(0), limit })
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        // The gate has read it and limited its size.
        let gone = |_| http_error(StatusCode::BAD_REQUEST, "request body is not readable");
        let bytes = to_bytes(request.into_body(), usize::MAX).await.map_err(gone)?;
        if bytes.trim_ascii().is_empty() || bytes.trim_ascii() == b"null" {
            return Err(http_error(StatusCode::UNPROCESSABLE_ENTITY, "the request has no body"));
        }
        // By way of a value: of a property given twice the last one counts.
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        if !value.is_object() {
            return Err(http_error(StatusCode::BAD_REQUEST, "request body is no JSON object"));
        }
        serde_json::from_value(value).map(Self).map_err(|error| unreadable(&error))
    }
}

/// A body that is no JSON, or not of the shape that the path takes.
pub(super) fn unreadable(error: &serde_json::Error) -> Response {
    http_error(StatusCode::BAD_REQUEST, &format!("request body is not readable: {error}"))
}

/// A text. The reference's reader takes a number or a boolean for one, too.
fn text_of_scalar<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        scalar @ (Value::Number(_) | Value::Bool(_)) => Ok(Some(scalar.to_string())),
        _ => Err(D::Error::custom("a text is expected, not an array or object")),
    }
}

/// A whole number. The reference's reader takes its text for it, too.
fn number_of_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    let invalid = |_| D::Error::custom("a whole number is expected");
    match Value::deserialize(from)? {
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => text.trim().parse().map(Some).map_err(invalid),
        value => Option::<i32>::deserialize(value).map_err(D::Error::custom),
    }
}

/// The body of register, lookup and compatibility requests.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SchemaBody {
    #[serde(deserialize_with = "text_of_scalar")]
    schema: Option<String>,
    #[serde(deserialize_with = "text_of_scalar")]
    schema_type: Option<String>,
    references: Option<Vec<SchemaReference>>,
    metadata: Option<Metadata>,
    rule_set: Option<RuleSet>,
    #[serde(deserialize_with = "number_of_text")]
    version: Option<i32>,
    #[serde(deserialize_with = "number_of_text")]
    id: Option<i32>,
    schema_tags_to_add: Option<Vec<TaggedEntity>>,
    schema_tags_to_remove: Option<Vec<TaggedEntity>>,
    propagate_schema_tags: Option<bool>,
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
            tags_to_add: TaggedEntity::entities(self.schema_tags_to_add.as_deref()),
            tags_to_remove: TaggedEntity::entities(self.schema_tags_to_remove.as_deref()),
            previous_tags: if self.propagate_schema_tags == Some(true) { Tags::Kept } else { Tags::AsSent },
            normalize: if params.is("normalize") { Normalize::Always } else { Normalize::Configured },
            compatibility: if params.is("force") { CompatibilityCheck::Skipped } else { CompatibilityCheck::Enforced },
            lineage: None,
        }
    }
}
