//! The one error body of the API. Knows HTTP statuses; knows no store and no Kafka.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::catalog::CatalogError;

/// Body of every reply that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "code": "dataset_not_found",
    "message": "no dataset has the id 'hive://metastore:9083/sales/order'",
    "request_id": "0190a7c2-54e4-7c3e-9a53-6a3f3f7a1c11",
    "details": {"suggestions": ["hive://metastore:9083/sales/orders"]}
}))]
pub struct Problem {
    /// What kind of error it is; stable, for programs.
    pub code: String,
    /// What is wrong and what to do, for a person.
    pub message: String,
    /// Id of the request, also in the `x-request-id` header and in the log.
    pub request_id: String,
    /// More, by the error's kind (`parameter`, `suggestions`, `limit_bytes`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
}

/// An error on its way to the client; the edge adds the request id and writes the body.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: BTreeMap<String, Value>,
}

impl ApiError {
    /// An error with this status, code and message.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: BTreeMap::new() }
    }

    /// A parameter or body that the client has to change.
    pub fn bad_parameter(parameter: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message).with("parameter", parameter)
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The status it is sent with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reply for the request `request_id`.
    pub(super) fn render(self, request_id: &str) -> Response {
        let problem = Problem {
            code: self.code.to_owned(),
            message: self.message,
            request_id: request_id.to_owned(),
            details: self.details,
        };
        let body = serde_json::to_vec(&problem).expect("a problem has string keys only and always serializes");
        let json = HeaderValue::from_static("application/json");
        (self.status, [(header::CONTENT_TYPE, json)], body).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        let message = error.to_string();
        match error {
            CatalogError::DatasetNotFound { suggestions, .. } => {
                Self::new(StatusCode::NOT_FOUND, "dataset_not_found", message).with("suggestions", suggestions)
            }
            CatalogError::JobNotFound { .. } => Self::new(StatusCode::NOT_FOUND, "job_not_found", message),
            CatalogError::QueryNotFound { .. } => Self::new(StatusCode::NOT_FOUND, "query_not_found", message),
            CatalogError::ColumnNotFound { columns, .. } => {
                Self::new(StatusCode::NOT_FOUND, "column_not_found", message).with("columns", columns)
            }
            CatalogError::Invalid { parameter, .. } => Self::bad_parameter(parameter, message),
            CatalogError::Unavailable { component, source } => {
                // The chain holds host names and SQL; it belongs into the log, not to the client.
                tracing::error!(component, error = %chain(&*source), "a store did not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    format!("{component} does not answer now; try again"),
                )
                .with("component", component)
            }
        }
    }
}

/// The messages of an error and its causes, outermost first.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
