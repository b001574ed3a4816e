//! What the registry refuses, with the reference's error codes. Knows no HTTP beyond the status a code implies.

use std::sync::Arc;

use crate::schema::SchemaError;

use super::handle::OtherWriter;
use super::http::access::Operation;
use super::impact::LineageQuestion;
use super::log::LogError;
use super::types::Subject;

/// A refused or failed request. `code()` is the reference's `error_code`; the message is what its clients see.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RegistryError {
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    #[error("Version {0} not found.")]
    VersionNotFound(String),
    #[error("Schema not found")]
    SchemaNotFound,
    #[error("Schema {0} not found")]
    IdNotFound(i32),
    #[error("Schema {0} not found")]
    GuidNotFound(String),
    #[error("HTTP 404 Not Found")]
    NoSuchPath,
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(Subject),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(Subject),
    #[error("Subject '{0}' Version {1} was soft deleted.Set permanent=true to delete permanently")]
    VersionSoftDeleted(Subject, i32),
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(Subject, i32),
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    CompatibilityNotConfigured(String),
    #[error("Subject '{0}' does not have subject-level mode configured")]
    ModeNotConfigured(String),
    #[error("{0}")]
    AssociationNotFound(String),
    #[error("User is denied operation {operation} on Subject: {subject}")]
    Denied { operation: Operation, subject: String },
    #[error("User is denied operation Read on Schema: {0}")]
    IdDenied(i32),
    #[error("Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        details.join(", "))]
    Incompatible { subject: Subject, details: Vec<String> },
    #[error("{0}")]
    InvalidSchema(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \
         \"latest\""
    )]
    InvalidVersion(String),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, \
         forward_transitive, full_transitive, backward_lineage, and full_lineage"
    )]
    InvalidLevel,
    #[error("{0}")]
    InvalidMode(&'static str),
    #[error("{0}")]
    OperationNotPermitted(String),
    #[error(
        "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
    )]
    ReferenceExists { subject: Subject, version: i32 },
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    #[error("Register operation failed because schema is too large: {0}")]
    TooLarge(String),
    #[error("{0}")]
    InvalidRuleSet(String),
    #[error("The specified context '{0}' is not empty.")]
    ContextNotEmpty(String),
    #[error("Column lineage was not asked for what the schema changes")]
    LineageNotAsked(Box<LineageQuestion>),
    #[error("Column lineage cannot be checked, which the compatibility level asks for: {0}")]
    LineageUnavailable(String),
    #[error("Register operation timed out")]
    Timeout,
    #[error("the writer is {}", .0.url)]
    Elsewhere(OtherWriter),
    #[error("Leader is not known: this node no longer is the one that the request was forwarded to")]
    LeaderChanged,
    #[error("Error while forwarding the request to the leader at {0}: it did not answer, and may have carried it out")]
    ForwardingFailed(Arc<str>),
    #[error("Error in the backend data store: {0}")]
    Store(#[source] LogError),
}

impl RegistryError {
    /// The reference's `error_code`.
    pub fn code(&self) -> u32 {
        match self {
            RegistryError::Denied { .. } | RegistryError::IdDenied(_) => 40301,
            RegistryError::SubjectNotFound(_) => 40401,
            RegistryError::VersionNotFound(_) => 40402,
            RegistryError::SchemaNotFound | RegistryError::IdNotFound(_) | RegistryError::GuidNotFound(_) => 40403,
            RegistryError::NoSuchPath => 404,
            RegistryError::SubjectSoftDeleted(_) => 40404,
            RegistryError::SubjectNotSoftDeleted(_) => 40405,
            RegistryError::VersionSoftDeleted(..) => 40406,
            RegistryError::VersionNotSoftDeleted(..) => 40407,
            RegistryError::CompatibilityNotConfigured(_) => 40408,
            RegistryError::ModeNotConfigured(_) => 40409,
            RegistryError::AssociationNotFound(_) => 40410,
            RegistryError::Incompatible { .. } => 40901,
            RegistryError::InvalidSchema(_) => 42201,
            RegistryError::InvalidVersion(_) => 42202,
            RegistryError::InvalidLevel => 42203,
            RegistryError::InvalidMode(_) => 42204,
            RegistryError::OperationNotPermitted(_) => 42205,
            RegistryError::ReferenceExists { .. } => 42206,
            RegistryError::InvalidSubject(_) => 42208,
            RegistryError::TooLarge(_) => 42209,
            RegistryError::InvalidRuleSet(_) => 42210,
            RegistryError::ContextNotEmpty(_) => 42211,
            RegistryError::Store(_) => 50001,
            RegistryError::Timeout => 50002,
            RegistryError::Elsewhere(_) | RegistryError::ForwardingFailed(_) => 50003,
            RegistryError::LeaderChanged => 50004,
            // None of the reference's, which has nothing like it.
            RegistryError::LineageNotAsked(_) | RegistryError::LineageUnavailable(_) => 50301,
        }
    }

    /// Whether the answer may be another after reading the topic to its end: what is missing may have just been written
    /// through another node.
    pub fn is_miss(&self) -> bool {
        (40401..=40410).contains(&self.code())
    }
}

impl From<SchemaError> for RegistryError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::TooLarge { .. } => RegistryError::TooLarge(error.to_string()),
            other => RegistryError::InvalidSchema(other.to_string()),
        }
    }
}
