//! What a principal sees of the registry's content, asked where the subject is known: behind aliases, names without a
//! context, ids and references.

use super::super::error::RegistryError;
use super::super::query::{self, Format};
use super::super::snapshot::Snapshot;
use super::super::types::{SchemaReference, SchemaVersion, Subject};
use super::access::{Operation, Who};
use super::params::Params;

impl Who {
    /// The subject that a path names, by itself or by its alias, for an operation that is allowed on it.
    pub(super) fn named(
        &self,
        operation: Operation,
        snapshot: &Snapshot,
        text: &str,
    ) -> Result<Subject, RegistryError> {
        let subject = snapshot.aliased(Subject::from_stored(text));
        if self.may(operation, &subject) { Ok(subject) } else { Err(self.denied(operation, text)) }
    }

    /// Whether a subject may be read.
    pub(super) fn reads(&self, subject: &Subject) -> bool {
        self.may(Operation::Read, subject)
    }

    /// What was found of a subject, unless it may not be read: a name without a context is looked for in all of them.
    pub(super) fn visible<T>(&self, subject: &Subject, found: Result<T, RegistryError>) -> Result<T, RegistryError> {
        if self.reads(subject) { found } else { Err(unreadable(subject.as_str())) }
    }

    /// Refuses references of a schema of `owner` to what may not be read.
    pub(super) fn may_use(&self, owner: &Subject, references: &[SchemaReference]) -> Result<(), RegistryError> {
        let hidden = references.iter().find(|reference| !self.reads(&owner.sibling(&reference.subject)));
        hidden.map_or(Ok(()), |reference| Err(unreadable(&reference.subject)))
    }

    /// Refuses to write out in place what may not be read.
    pub(super) fn may_resolve(
        &self,
        snapshot: &Snapshot,
        version: &SchemaVersion,
        params: &Params,
    ) -> Result<(), RegistryError> {
        if params.format() != Format::Resolved {
            return Ok(());
        }
        let hidden = query::reached(snapshot, version).into_iter().find(|version| !self.reads(&version.subject));
        hidden.map_or(Ok(()), |version| Err(unreadable(version.subject.as_str())))
    }
}

/// What may not be seen, without a word in the log: the asker has not asked for it by name.
fn unreadable(subject: &str) -> RegistryError {
    RegistryError::Denied { operation: Operation::Read, subject: subject.to_owned() }
}
