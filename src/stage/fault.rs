//! The three ways a step can fail. There is no fourth.

use crate::kafka::{Class, KafkaError};
use crate::model::reject::Rejection;
use crate::model::state::StateError;

/// Any error, with its causes.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a record or a task cannot go on, and therefore what happens next.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// This record can never succeed: it goes to the dead-letter topic, and the task goes on.
    #[error(transparent)]
    Poison(#[from] Rejection),
    /// Something outside does not answer: the batch is undone and done again, for ever, with back-off.
    #[error("{0}")]
    Transient(#[source] Cause),
    /// Trying again cannot help: the task ends with this reason.
    #[error("{0}")]
    Fatal(#[source] Cause),
}

impl Fault {
    /// A fatal fault with a message of our own.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self::Fatal(message.into().into())
    }

    /// The chain of causes as one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // `{0}` shows the first cause already.
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

impl From<KafkaError> for Fault {
    fn from(error: KafkaError) -> Self {
        match error.class {
            Class::Transient => Self::Transient(error.into()),
            Class::Fenced | Class::Fatal => Self::Fatal(error.into()),
        }
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Self::Fatal(error.into())
    }
}
