//! Extractors whose rejections are problems that name the parameter.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::ApiError;

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::from_request_parts(parts, state).await.map(|Query(value)| Self(value)).map_err(|rejection| {
            let message = match &rejection {
                QueryRejection::FailedToDeserializeQueryString(error) => {
                    format!(
                        "the query string is malformed: {}",
                        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
                    )
                }
                other => other.to_string(),
            };
            ApiError::bad_parameter("query", message)
        })
    }
}

/// An entity id from the path, percent-decoded once.
pub(super) struct PathId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<String>::from_request_parts(parts, state).await.map(|Path(id)| Self(id)).map_err(|rejection| {
            let status = match &rejection {
                PathRejection::FailedToDeserializePathParams(_) => StatusCode::BAD_REQUEST,
                other => other.status(),
            };
            ApiError::new(status, "invalid_parameter", "the id is not percent-encoded UTF-8").with("parameter", "id")
        })
    }
}
