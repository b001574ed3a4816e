//! Who may do what: principals, how they prove who they are, and their permissions by subject prefix. Knows no HTTP.
//!
//! A permission covers subjects by the beginning of their full stored name, contexts included. Nothing is allowed that no
//! permission says.

mod certificate;
mod file;
mod password;

pub use certificate::PeerNames;
pub use file::{AccessError, parse, read};
pub use password::{hash_password, hash_token};

use std::sync::Arc;

use certificate::CertificateRule;
use password::Verifier;
use secrecy::SecretString;

use super::super::error::RegistryError;
use super::super::snapshot::GLOBAL_CONTEXT;
use super::super::types::{DEFAULT_CONTEXT, Subject};

/// Who asks without saying who it is.
pub const ANONYMOUS: &str = "anonymous";

/// What a permission allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Seeing schemas, versions and names.
    Read,
    /// Registering schemas; includes reading and checking, as the answers to a registration show both.
    Write,
    /// Deleting versions, subjects and contexts.
    Delete,
    /// Checking a schema against a subject's versions.
    Compatibility,
    /// Changing levels, modes and other settings, and what overrides them.
    Config,
}

impl Operation {
    const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Delete, Self::Compatibility, Self::Config];

    /// As access files write it.
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Compatibility => "compatibility",
            Self::Config => "config",
        }
    }

    /// Whether a permission for this one allows `other`.
    fn includes(self, other: Self) -> bool {
        self == other || (self == Self::Write && matches!(other, Self::Read | Self::Compatibility))
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Delete => "Delete",
            Self::Compatibility => "ReadCompatibility",
            Self::Config => "WriteCompatibility",
        })
    }
}

/// The subjects that a permission covers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Prefix {
    /// Every subject of every context, and the settings that hold for more than one context.
    Everything,
    /// Subjects of the default context whose names begin so.
    Default(String),
    /// Subjects of a named context: the beginning of the full name.
    Named(String),
}

impl Prefix {
    /// # Errors
    /// The text would cover subjects of contexts that it does not name.
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Everything);
        }
        if let Some(name) = text.strip_prefix(":.:") {
            return if name.starts_with(':') { Err(misplaced(text)) } else { Ok(Self::Default(name.to_owned())) };
        }
        match text.strip_prefix(":.").and_then(|rest| rest.split_once(':')) {
            Some(_) if text.starts_with(GLOBAL_CONTEXT) => {
                Err(format!("{GLOBAL_CONTEXT} holds for every context, so only the empty prefix covers it"))
            }
            Some(_) => Ok(Self::Named(text.to_owned())),
            None if text.starts_with(':') => Err(misplaced(text)),
            None => Ok(Self::Default(text.to_owned())),
        }
    }

    fn covers(&self, subject: &Subject) -> bool {
        // A name as the topic gives it back: one that hides a context in itself lies in that context.
        let subject = Subject::from_stored(subject.as_str());
        match self {
            Self::Everything => true,
            Self::Default(prefix) => {
                let is_whole_context = subject.as_str().is_empty();
                subject.context() == DEFAULT_CONTEXT && !is_whole_context && subject.name().starts_with(prefix)
            }
            Self::Named(prefix) => subject.as_str().starts_with(prefix),
        }
    }

    fn touches(&self, context: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Default(_) => context == DEFAULT_CONTEXT,
            Self::Named(prefix) => Subject::from_stored(prefix).context() == context,
        }
    }
}

fn misplaced(text: &str) -> String {
    format!("prefix {text:?} names no context; write \":.context:\" with both colons, or \":.:\" for the default one")
}

/// Operations on the subjects of a prefix.
#[derive(Debug, Clone)]
struct Permission {
    prefix: Prefix,
    operations: Vec<Operation>,
}

/// Somebody who asks.
#[derive(Debug)]
pub struct Principal {
    name: String,
    permissions: Vec<Permission>,
}

impl Principal {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn may(&self, operation: Operation, subject: &Subject) -> bool {
        self.permissions.iter().any(|permission| {
            permission.operations.iter().any(|given| given.includes(operation)) && permission.prefix.covers(subject)
        })
    }

    fn sees(&self, context: &str) -> bool {
        self.permissions.iter().any(|permission| {
            let reads = permission.operations.iter().any(|given| given.includes(Operation::Read));
            reads && permission.prefix.touches(context)
        })
    }
}

/// What a request brings to say who asks.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// HTTP basic authentication.
    Password {
        /// Who it says it is.
        name: String,
        /// The proof.
        password: SecretString,
    },
    /// A bearer token.
    Token(SecretString),
}

/// One principal and how it proves who it is.
#[derive(Debug)]
struct Entry {
    principal: Arc<Principal>,
    /// PHC string.
    password: Option<String>,
    /// SHA-256 of each token.
    tokens: Vec<[u8; 32]>,
    certificates: Vec<CertificateRule>,
}

/// All principals.
#[derive(Debug)]
pub struct Access {
    entries: Vec<Entry>,
    verifier: Verifier,
}

impl Access {
    fn of(entries: Vec<Entry>) -> Self {
        let example = entries.iter().find_map(|entry| entry.password.clone());
        Self { verifier: Verifier::new(example), entries }
    }

    /// Who has this name.
    pub fn named(&self, name: &str) -> Option<Arc<Principal>> {
        self.entry(name).map(|entry| entry.principal.clone())
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.principal.name == name)
    }

    /// Who asks without credentials, if that is allowed.
    pub fn anonymous(&self) -> Option<Arc<Principal>> {
        self.named(ANONYMOUS)
    }

    /// Who has a verified certificate with these names: the first whose rules fit.
    pub fn certified(&self, names: &PeerNames) -> Option<Arc<Principal>> {
        let fits = |entry: &&Entry| entry.certificates.iter().any(|rule| rule.fits(names));
        self.entries.iter().find(fits).map(|entry| entry.principal.clone())
    }

    /// Who has these credentials, as far as that costs nothing to find out.
    pub fn known(&self, credentials: &Credentials) -> Known {
        match credentials {
            Credentials::Token(token) => {
                let digest = password::token_digest(token);
                let mut found = None;
                // Every digest is compared, so that the time tells nothing about which one fits.
                for entry in &self.entries {
                    for known in &entry.tokens {
                        if password::equal(known, &digest) {
                            found = Some(entry.principal.clone());
                        }
                    }
                }
                found.map_or(Known::Refused, Known::Is)
            }
            Credentials::Password { name, password } => {
                let hash = self.entry(name).and_then(|entry| entry.password.as_deref());
                match (hash, self.named(name)) {
                    (Some(hash), Some(principal)) if self.verifier.remembers(hash, password) => Known::Is(principal),
                    _ => Known::Unknown,
                }
            }
        }
    }

    /// Who has this name and password. Takes tens of milliseconds, as long for a name that nobody has.
    pub async fn verified(&self, name: &str, password: &SecretString) -> Option<Arc<Principal>> {
        let hash = self.entry(name).and_then(|entry| entry.password.as_deref());
        let is_right = self.verifier.verify(hash, password).await;
        if is_right { self.named(name) } else { None }
    }
}

/// What is known of credentials without computing a password's hash.
#[derive(Debug)]
pub enum Known {
    /// They are this principal's.
    Is(Arc<Principal>),
    /// They are nobody's.
    Refused,
    /// The password has to be verified.
    Unknown,
}

/// The principal of a request; none where there is no access control.
#[derive(Debug, Clone)]
pub struct Who(Option<Arc<Principal>>);

impl Who {
    /// Everybody, where nobody has to say who it is.
    pub fn anyone() -> Self {
        Self(None)
    }

    /// Somebody.
    pub fn is(principal: Arc<Principal>) -> Self {
        Self(Some(principal))
    }

    /// Somebody without a name or a permission.
    pub fn nobody() -> Self {
        Self::is(Arc::new(Principal { name: String::new(), permissions: Vec::new() }))
    }

    /// The principal's name, where there is one.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref().map(Principal::name)
    }

    /// Whether an operation on a subject or a named context is allowed.
    pub fn may(&self, operation: Operation, subject: &Subject) -> bool {
        self.0.as_ref().is_none_or(|principal| principal.may(operation, subject))
    }

    /// Whether it may read anything in a context.
    pub fn sees(&self, context: &str) -> bool {
        self.0.as_ref().is_none_or(|principal| principal.sees(context))
    }

    /// Refuses what is not allowed.
    ///
    /// # Errors
    /// The operation is not allowed on the subject.
    pub fn check(&self, operation: Operation, subject: &Subject) -> Result<(), RegistryError> {
        if self.may(operation, subject) { Ok(()) } else { Err(self.denied(operation, subject.as_str())) }
    }

    /// As [`Self::may`] for what settings are of; none is the default context, whose settings reach into all others.
    pub fn may_scope(&self, operation: Operation, scope: Option<&Subject>) -> bool {
        self.may(operation, scope.unwrap_or(&Subject::from_stored("")))
    }

    /// As [`Self::check`] for what settings are of.
    ///
    /// # Errors
    /// The operation is not allowed there.
    pub fn check_scope(&self, operation: Operation, scope: Option<&Subject>) -> Result<(), RegistryError> {
        self.check(operation, scope.unwrap_or(&Subject::from_stored("")))
    }

    /// The refusal of an operation. It names what was asked for, not where an alias leads.
    pub fn denied(&self, operation: Operation, subject: &str) -> RegistryError {
        tracing::info!(principal = self.name(), %operation, subject, "denied");
        RegistryError::Denied { operation, subject: subject.to_owned() }
    }
}

#[cfg(test)]
mod tests;
