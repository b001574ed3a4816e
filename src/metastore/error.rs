//! Why a metastore did not answer, with where and what was asked.

use std::io;

/// A failed call or connection.
#[derive(Debug, thiserror::Error)]
pub enum MetastoreError {
    /// The address is none.
    #[error("{text:?} is no address of a metastore: {reason}; write it as thrift://host:9083")]
    Address {
        /// As given.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody listens there, or the name has no address.
    #[error("could not connect to {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It speaks, but not plain Thrift.
    #[error("{address} does not speak plain Thrift: {what}")]
    Protocol {
        /// Where.
        address: String,
        /// What it speaks and what to do.
        what: String,
    },
    /// The connection broke, a time limit passed or the bytes are no answer.
    #[error("{call} of {address}: {source}")]
    Broken {
        /// Where.
        address: String,
        /// Method.
        call: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The metastore answered with an exception.
    #[error("{call} of {address}: {kind}: {message}")]
    Exception {
        /// Where.
        address: String,
        /// Method.
        call: String,
        /// Name of the exception.
        kind: String,
        /// Its message.
        message: String,
    },
    /// This version does not have the call.
    #[error("{address} does not know the call {call}")]
    UnknownCall {
        /// Where.
        address: String,
        /// Method.
        call: String,
    },
}

impl MetastoreError {
    /// Whether the same call may succeed later: the metastore is away, restarts or its database is.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Address { .. } | Self::Protocol { .. } | Self::UnknownCall { .. } => false,
            Self::Connect { .. } | Self::Broken { .. } | Self::Exception { .. } => true,
        }
    }

    /// Whether the connection can no longer be used.
    pub(super) fn breaks(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Protocol { .. })
    }

    /// Whether the metastore says that what was asked for is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Exception { kind, .. } if matches!(kind.as_str(), "NoSuchObjectException" | "UnknownDBException" | "UnknownTableException"))
    }
}
