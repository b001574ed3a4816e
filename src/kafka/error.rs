//! Errors of Kafka operations, each with what can be done about it.

use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Try again, for ever: a broker is away, a leader moves, a time-out.
    Transient,
    /// This client was replaced by another with the same transactional or instance id; it must not write any more.
    Fenced,
    /// Trying again cannot help: configuration, authorisation, a missing topic, a lost offset.
    Fatal,
}

/// A failed Kafka operation.
#[derive(Debug, thiserror::Error)]
#[error("{context}: {source}")]
pub struct KafkaError {
    /// What can be done.
    pub class: Class,
    /// What was tried, with topic, group or id.
    pub context: String,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl KafkaError {
    /// Wraps a native error, classified by its code.
    pub(super) fn new(context: impl Into<String>, source: Native) -> Self {
        Self { class: classify(&source), context: context.into(), source: Box::new(source) }
    }

    /// Wraps an error code of a single topic, partition or group.
    pub(super) fn code(context: impl Into<String>, code: Code) -> Self {
        Self { class: classify_code(code), context: context.into(), source: Box::new(code) }
    }

    /// An error of our own making.
    pub(super) fn other(class: Class, context: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, context: context.into(), source: message.into().into() }
    }

    /// The code of the broker or of librdkafka, as its name (`TopicAlreadyExists`), if it has one.
    pub fn code_name(&self) -> Option<String> {
        self.native_code().map(|code| format!("{code:?}"))
    }

    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        self.class == Class::Transient
    }

    pub(super) fn native_code(&self) -> Option<Code> {
        let source: &(dyn std::error::Error + 'static) = self.source.as_ref();
        source.downcast_ref::<Native>().and_then(native_code).or_else(|| source.downcast_ref::<Code>().copied())
    }
}

fn native_code(error: &Native) -> Option<Code> {
    match error {
        Native::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    }
}

fn classify(error: &Native) -> Class {
    match error {
        Native::ClientConfig(..) | Native::ClientCreation(_) | Native::Nul(_) => Class::Fatal,
        Native::Transaction(inner) if inner.is_fatal() => match classify_code(inner.code()) {
            Class::Fenced => Class::Fenced,
            _ => Class::Fatal,
        },
        Native::MessageConsumptionFatal(code) => match classify_code(*code) {
            Class::Fenced => Class::Fenced,
            _ => Class::Fatal,
        },
        other => native_code(other).map_or(Class::Transient, classify_code),
    }
}

/// Everything that is not known to be hopeless is tried again: an unknown code must not end a process.
fn classify_code(code: Code) -> Class {
    match code {
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::FencedInstanceId => Class::Fenced,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::PolicyViolation
        | Code::TopicAlreadyExists
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InvalidTransactionTimeout
        | Code::UnsupportedVersion
        | Code::UnsupportedForMessageFormat
        | Code::AutoOffsetReset
        | Code::OffsetOutOfRange
        | Code::NoOffset
        | Code::UnknownPartition
        | Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::MessageSizeTooLarge
        | Code::InvalidArgument
        | Code::State => Class::Fatal,
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_away_is_transient_and_a_second_writer_fences() {
        for (code, class) in [
            (Code::BrokerTransportFailure, Class::Transient),
            (Code::AllBrokersDown, Class::Transient),
            (Code::CoordinatorLoadInProgress, Class::Transient),
            (Code::ProducerFenced, Class::Fenced),
            (Code::FencedInstanceId, Class::Fenced),
            (Code::OffsetOutOfRange, Class::Fatal),
            (Code::TopicAuthorizationFailed, Class::Fatal),
        ] {
            assert_eq!(KafkaError::code("x", code).class, class, "{code:?}");
        }
        assert_eq!(
            KafkaError::code("create a", Code::TopicAlreadyExists).code_name().as_deref(),
            Some("TopicAlreadyExists")
        );
    }
}
