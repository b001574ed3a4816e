//! How the process ends: the codes of sysexits(3), one reason each, and 1 and 2 as grep(1) and diff(1) have them for
//! commands that answer a question.

use std::fmt;
use std::process::ExitCode;

/// A failed command: what a person reads, and the code that scripts read.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// What happened, with causes.
    pub error: anyhow::Error,
}

/// The documented exit codes besides 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// 1: the question was answered, and the answer is no.
    Negative,
    /// 2: a command that answers by its exit code could not find out.
    Unanswered,
    /// 64: the command line is wrong.
    Usage,
    /// 69: a service does not answer or a prerequisite is missing.
    Unavailable,
    /// 70: something went wrong inside.
    Internal,
    /// 75: it may work later.
    Temporary,
    /// 78: the configuration is wrong.
    Configuration,
}

impl Reason {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Negative => 1,
            Self::Unanswered => 2,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Temporary => 75,
            Self::Configuration => 78,
        }
    }
}

impl From<Reason> for ExitCode {
    fn from(reason: Reason) -> Self {
        Self::from(reason.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Many of our errors show their cause themselves; the chain leaves out what was said already.
        let mut said = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            if !said.contains(&cause) {
                said.push_str("\n  because: ");
                said.push_str(&cause);
            }
        }
        f.write_str(&said)
    }
}

/// Says what kind of failure an error is.
pub trait Because<T> {
    /// Ends the command for `reason` if this is an error.
    fn because(self, reason: Reason) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Because<T> for Result<T, E> {
    fn because(self, reason: Reason) -> Result<T, Failure> {
        self.map_err(|error| Failure { reason, error: error.into() })
    }
}

/// Errors that nobody has classified are internal.
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { reason: Reason::Internal, error: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let inner = std::io::Error::other("disk full");
        let outer = anyhow::Error::from(inner).context("could not write state: disk full").context("fold stopped");
        let text = Failure { reason: Reason::Internal, error: outer }.to_string();
        assert_eq!(text, "fold stopped\n  because: could not write state: disk full");
    }
}
