//! What a write does: from a snapshot and a command to records and a reply, or a refusal. Free of I/O and clocks, so
//! that every rule of the registry can be tested without a topic.

mod register;

#[cfg(test)]
mod tests;

pub use register::{CompatibilityCheck, Normalize, RegisterRequest, check_compatibility, lookup};

use super::error::RegistryError;
use super::format::{Record, SchemaValue};
use super::snapshot::{Deleted, Snapshot};
use super::types::{Config, Mode, Subject, VersionSpec};

/// A write.
#[derive(Debug, Clone)]
pub enum Command {
    /// Adds a version to a subject, or finds the one with this content.
    Register {
        /// Subject.
        subject: Subject,
        /// The schema.
        request: Box<RegisterRequest>,
    },
    /// Deletes a subject.
    DeleteSubject {
        /// Subject.
        subject: Subject,
        /// Soft or for good.
        deletion: Deletion,
    },
    /// Deletes a version.
    DeleteVersion {
        /// Subject.
        subject: Subject,
        /// Version.
        version: VersionSpec,
        /// Soft or for good.
        deletion: Deletion,
    },
    /// Sets configuration of a subject, or of all.
    SetConfig {
        /// Subject; none for all.
        subject: Option<Subject>,
        /// What changes; absent fields stay.
        update: Box<Config>,
    },
    /// Resets configuration.
    DeleteConfig {
        /// Subject; none for all.
        subject: Option<Subject>,
    },
    /// Sets the mode.
    SetMode {
        /// Subject; none for all.
        subject: Option<Subject>,
        /// The new mode.
        mode: Mode,
        /// Whether IMPORT may be set on subjects that have versions.
        existing: ExistingVersions,
    },
    /// Resets the mode.
    DeleteMode {
        /// Subject; none for all.
        subject: Option<Subject>,
    },
}

/// How a delete deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Hides; the id stays readable.
    Soft,
    /// Forgets what was soft-deleted before.
    Permanent,
}

/// What mode IMPORT does about versions that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingVersions {
    /// They refuse it.
    Refuse,
    /// It is set all the same.
    Keep,
}

/// The answer to a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The version that has the content now.
    Registered {
        /// Subject.
        subject: Subject,
        /// Its version.
        version: i32,
        /// Its id.
        id: i32,
    },
    /// Deleted versions of a subject.
    DeletedVersions(Vec<i32>),
    /// A deleted version.
    DeletedVersion(i32),
    /// Configuration: as it was asked for, or as it was before its deletion.
    Config(Box<Config>),
    /// Mode: the new one, or the one before its deletion.
    Mode(Mode),
}

/// Records to write and the reply to give once they are committed. Without records nothing needs to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// In order.
    pub records: Vec<Record>,
    /// For the client.
    pub reply: Reply,
}

impl Decision {
    fn nothing(reply: Reply) -> Self {
        Self { records: Vec::new(), reply }
    }
}

/// Decides a command.
///
/// # Errors
/// The command is not allowed in this state; nothing is to be written.
pub fn decide(snapshot: &Snapshot, command: &Command) -> Result<Decision, RegistryError> {
    match command {
        Command::Register { subject, request } => register::register(snapshot, subject, request),
        Command::DeleteSubject { subject, deletion } => delete_subject(snapshot, subject, *deletion),
        Command::DeleteVersion { subject, version, deletion } => delete_version(snapshot, subject, *version, *deletion),
        Command::SetConfig { subject, update } => set_config(snapshot, subject.as_ref(), update),
        Command::DeleteConfig { subject } => {
            writable(snapshot, subject.as_ref())?;
            let old = snapshot.config(subject.as_ref()).cloned();
            let old = match (&old, subject) {
                (None, Some(subject)) => return Err(RegistryError::SubjectNotFound(subject.to_string())),
                _ => old.unwrap_or_default(),
            };
            let records = vec![Record::Config(subject.clone(), None)];
            Ok(Decision { records, reply: Reply::Config(Box::new(old)) })
        }
        Command::SetMode { subject, mode, existing } => set_mode(snapshot, subject.as_ref(), *mode, *existing),
        Command::DeleteMode { subject } => {
            let Some(old) = snapshot.mode(subject.as_ref()) else {
                return match subject {
                    Some(subject) => Err(RegistryError::SubjectNotFound(subject.to_string())),
                    None => Ok(Decision::nothing(Reply::Mode(Mode::default()))),
                };
            };
            Ok(Decision { records: vec![Record::Mode(subject.clone(), None)], reply: Reply::Mode(old) })
        }
    }
}

/// Refuses a write that the subject's mode does not take.
fn writable(snapshot: &Snapshot, subject: Option<&Subject>) -> Result<(), RegistryError> {
    match snapshot.effective_mode(subject) {
        Mode::Readonly | Mode::ReadonlyOverride => Err(RegistryError::OperationNotPermitted(match subject {
            Some(subject) => format!("Subject {subject} in context {} is in read-only mode", subject.context()),
            None => "The registry is in read-only mode".to_owned(),
        })),
        Mode::Readwrite | Mode::Forward | Mode::Import => Ok(()),
    }
}

fn delete_subject(snapshot: &Snapshot, subject: &Subject, deletion: Deletion) -> Result<Decision, RegistryError> {
    writable(snapshot, Some(subject))?;
    let versions = snapshot.versions(subject).ok_or_else(|| RegistryError::SubjectNotFound(subject.to_string()))?;
    let live: Vec<i32> = snapshot.live(subject).map(|version| version.version).collect();
    match (deletion, live.last()) {
        (Deletion::Soft, None) => Err(RegistryError::SubjectSoftDeleted(subject.clone())),
        (Deletion::Soft, Some(last)) => {
            for version in &live {
                unreferenced(snapshot, subject, *version, deletion)?;
            }
            let records = vec![Record::DeleteSubject(subject.clone(), *last)];
            Ok(Decision { records, reply: Reply::DeletedVersions(live) })
        }
        (Deletion::Permanent, Some(_)) => Err(RegistryError::SubjectNotSoftDeleted(subject.clone())),
        (Deletion::Permanent, None) => {
            let all: Vec<i32> = versions.keys().copied().collect();
            for version in &all {
                unreferenced(snapshot, subject, *version, deletion)?;
            }
            let mut records: Vec<Record> =
                all.iter().map(|version| Record::Schema(subject.clone(), *version, None)).collect();
            if snapshot.config(Some(subject)).is_some() {
                records.push(Record::Config(Some(subject.clone()), None));
            }
            if snapshot.mode(Some(subject)).is_some() {
                records.push(Record::Mode(Some(subject.clone()), None));
            }
            Ok(Decision { records, reply: Reply::DeletedVersions(all) })
        }
    }
}

fn delete_version(
    snapshot: &Snapshot,
    subject: &Subject,
    version: VersionSpec,
    deletion: Deletion,
) -> Result<Decision, RegistryError> {
    writable(snapshot, Some(subject))?;
    let seen = match (version, deletion) {
        (VersionSpec::Latest, Deletion::Soft) => Deleted::Hidden,
        _ => Deleted::Shown,
    };
    let found = snapshot.version(subject, version, seen)?;
    let number = found.version;
    match (deletion, found.deleted) {
        (Deletion::Soft, true) => return Err(RegistryError::VersionSoftDeleted(subject.clone(), number)),
        (Deletion::Permanent, false) => return Err(RegistryError::VersionNotSoftDeleted(subject.clone(), number)),
        _ => unreferenced(snapshot, subject, number, deletion)?,
    }
    let value = match deletion {
        Deletion::Soft => Some(SchemaValue::new(subject, number, found.id, &found.content, true)),
        Deletion::Permanent => None,
    };
    let records = vec![Record::Schema(subject.clone(), number, value)];
    Ok(Decision { records, reply: Reply::DeletedVersion(number) })
}

/// Refuses to delete what a live (before a permanent delete: any) schema refers to.
fn unreferenced(snapshot: &Snapshot, subject: &Subject, version: i32, deletion: Deletion) -> Result<(), RegistryError> {
    let blocked =
        snapshot.referrers(subject, version).any(|referrer| deletion == Deletion::Permanent || !referrer.deleted);
    if blocked {
        return Err(RegistryError::ReferenceExists { subject: subject.clone(), version });
    }
    Ok(())
}

fn set_config(snapshot: &Snapshot, subject: Option<&Subject>, update: &Config) -> Result<Decision, RegistryError> {
    writable(snapshot, subject)?;
    if let Some(level) = &update.compatibility_level
        && level.parse::<crate::schema::Level>().is_err()
    {
        return Err(RegistryError::InvalidLevel);
    }
    for rules in [&update.default_rule_set, &update.override_rule_set].into_iter().flatten() {
        rules.validate()?;
    }
    let mut update = update.clone();
    update.compatibility_level = update.compatibility_level.map(|level| level.to_ascii_uppercase());
    let merged = snapshot.config(subject).cloned().unwrap_or_default().merged(&update);
    let records = vec![Record::Config(subject.cloned(), Some(merged))];
    Ok(Decision { records, reply: Reply::Config(Box::new(update)) })
}

fn set_mode(
    snapshot: &Snapshot,
    subject: Option<&Subject>,
    mode: Mode,
    existing: ExistingVersions,
) -> Result<Decision, RegistryError> {
    let mut records = Vec::new();
    if mode == Mode::Import && snapshot.mode(subject) != Some(Mode::Import) && existing == ExistingVersions::Refuse {
        let blocked = match subject {
            // A subject without a name stands for its context, none at all for the default context.
            Some(subject) if !subject.name().is_empty() => snapshot.live(subject).next().is_some(),
            other => {
                let context = other.map_or(super::types::DEFAULT_CONTEXT, Subject::context);
                let mut subjects = snapshot.subjects().filter(|(subject, _)| subject.context() == context);
                subjects.any(|(_, versions)| versions.values().any(|version| !version.deleted))
            }
        };
        if blocked {
            return Err(RegistryError::OperationNotPermitted(match subject {
                Some(subject) => format!("Cannot import since found existing subjects: {subject} has live versions"),
                None => "Cannot import since found existing subjects".to_owned(),
            }));
        }
        if let Some(subject) = subject
            && snapshot.versions(subject).is_some()
        {
            records.push(Record::ClearSubject(subject.clone()));
        }
    }
    records.push(Record::Mode(subject.cloned(), Some(mode)));
    Ok(Decision { records, reply: Reply::Mode(mode) })
}
