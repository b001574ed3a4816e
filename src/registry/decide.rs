//! What a write does: from a snapshot and a command to records and a reply, or a refusal. Free of I/O and clocks, so
//! that every rule of the registry can be tested without a topic.

mod register;
mod reserved;

#[cfg(test)]
mod tests;

pub use register::{
    Check, CompatibilityCheck, Normalize, RegisterRequest, Tags, VERSION_PROPERTY, check_compatibility, lookup,
};

use std::collections::BTreeSet;

use super::error::RegistryError;
use super::format::{Record, SchemaValue};
use super::snapshot::{Deleted, GLOBAL_CONTEXT, Snapshot};
use super::types::{Config, DEFAULT_CONTEXT, Mode, Subject, VersionSpec};

/// Ways to compare schemas that a configuration may name.
const POLICIES: [&str; 3] = ["STRICT", "LENIENT", "LOGICAL"];

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
        /// Subject or context; none for the default context.
        subject: Option<Subject>,
        /// What changes; fields of which it says nothing stay.
        update: Box<ConfigUpdate>,
    },
    /// Resets configuration.
    DeleteConfig {
        /// Subject or context; none for the default context.
        subject: Option<Subject>,
    },
    /// Sets the mode.
    SetMode {
        /// Subject or context; none for the default context.
        subject: Option<Subject>,
        /// The new mode; none resets it.
        mode: Option<Mode>,
        /// Whether IMPORT may be set on subjects that have versions.
        existing: ExistingVersions,
    },
    /// Resets the mode.
    DeleteMode {
        /// Subject or context; none for the default context.
        subject: Option<Subject>,
        /// Whether the modes of a context's subjects go, too.
        recursive: bool,
    },
    /// Deletes an empty context.
    DeleteContext {
        /// The context, as a subject without a name.
        context: Subject,
    },
}

/// A change of configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigUpdate {
    /// Fields that get a value.
    pub set: Config,
    /// Fields that lose theirs, by their names in JSON.
    pub cleared: BTreeSet<String>,
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
    /// Configuration: as it is now, or as it was before its deletion.
    Config(Box<Config>),
    /// Mode: the new one, or the one before its deletion; none where there is none.
    Mode(Option<Mode>),
    /// A context is gone.
    ContextDeleted,
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
    let named = |subject: &Subject| snapshot.aliased(subject.clone());
    match command {
        Command::Register { subject, request } => {
            subject.check()?;
            register::register(snapshot, &named(subject), request)
        }
        Command::DeleteSubject { subject, deletion } => delete_subject(snapshot, &named(subject), *deletion),
        Command::DeleteVersion { subject, version, deletion } => {
            delete_version(snapshot, &named(subject), *version, *deletion)
        }
        Command::SetConfig { subject, update } => set_config(snapshot, subject.as_ref(), update),
        Command::DeleteConfig { subject } => {
            let old = snapshot.config(subject.as_ref()).cloned();
            let old = match (&old, subject) {
                (None, Some(subject)) if !is_global(subject) => {
                    return Err(RegistryError::SubjectNotFound(subject.to_string()));
                }
                _ => old.unwrap_or_default(),
            };
            writable(snapshot, subject.as_ref())?;
            let records = vec![Record::Config(subject.clone(), None)];
            Ok(Decision { records, reply: Reply::Config(Box::new(old)) })
        }
        Command::SetMode { subject, mode, existing } => set_mode(snapshot, subject.as_ref(), *mode, *existing),
        Command::DeleteMode { subject, recursive } => delete_mode(snapshot, subject.as_ref(), *recursive),
        Command::DeleteContext { context } => delete_context(snapshot, context),
    }
}

/// Refuses a write that the subject's mode does not take.
fn writable(snapshot: &Snapshot, subject: Option<&Subject>) -> Result<(), RegistryError> {
    match snapshot.effective_mode(subject) {
        Mode::Readonly | Mode::ReadonlyOverride => {
            Err(RegistryError::OperationNotPermitted(format!("Subject {} is in read-only mode", place(subject))))
        }
        Mode::Readwrite | Mode::Forward | Mode::Import => Ok(()),
    }
}

/// A subject and its context, as refusals name them: the default context has no name.
fn place(subject: Option<&Subject>) -> String {
    let context = subject.and_then(Subject::context_subject).unwrap_or_default();
    format!("{} in context {context}", subject.map_or("null", Subject::as_str))
}

fn delete_subject(snapshot: &Snapshot, subject: &Subject, deletion: Deletion) -> Result<Decision, RegistryError> {
    let versions = snapshot.versions(subject).ok_or_else(|| RegistryError::SubjectNotFound(subject.to_string()))?;
    let live: Vec<i32> = snapshot.live(subject).map(|version| version.version).collect();
    // Versions of one subject may refer to each other: all of them go.
    let unreferenced = |version: &i32| unreferenced(snapshot, subject, *version, deletion, Some(subject));
    match (deletion, live.last()) {
        (Deletion::Soft, None) => Err(RegistryError::SubjectSoftDeleted(subject.clone())),
        (Deletion::Soft, Some(last)) => {
            writable(snapshot, Some(subject))?;
            live.iter().try_for_each(unreferenced)?;
            let records = vec![Record::DeleteSubject(subject.clone(), *last)];
            Ok(Decision { records, reply: Reply::DeletedVersions(live) })
        }
        (Deletion::Permanent, _) => {
            writable(snapshot, Some(subject))?;
            for version in versions.iter() {
                unreferenced(&version.version)?;
                if !version.deleted {
                    return Err(RegistryError::SubjectNotSoftDeleted(subject.clone()));
                }
            }
            let all: Vec<i32> = versions.iter().map(|version| version.version).collect();
            let mut records: Vec<Record> =
                all.iter().rev().map(|version| Record::Schema(subject.clone(), *version, None)).collect();
            records.extend(settings_of(snapshot, subject));
            Ok(Decision { records, reply: Reply::DeletedVersions(all) })
        }
    }
}

/// Records that reset the settings of a subject that is gone.
fn settings_of(snapshot: &Snapshot, subject: &Subject) -> impl Iterator<Item = Record> {
    let config = snapshot.config(Some(subject)).map(|_| Record::Config(Some(subject.clone()), None));
    let mode = snapshot.mode(Some(subject)).map(|_| Record::Mode(Some(subject.clone()), None));
    config.into_iter().chain(mode)
}

fn delete_version(
    snapshot: &Snapshot,
    subject: &Subject,
    version: VersionSpec,
    deletion: Deletion,
) -> Result<Decision, RegistryError> {
    let found = snapshot.version(subject, version, Deleted::Shown)?;
    let number = found.version;
    if deletion == Deletion::Soft && found.deleted {
        return Err(RegistryError::VersionSoftDeleted(subject.clone(), number));
    }
    writable(snapshot, Some(subject))?;
    unreferenced(snapshot, subject, number, deletion, None)?;
    if deletion == Deletion::Permanent && !found.deleted {
        return Err(RegistryError::VersionNotSoftDeleted(subject.clone(), number));
    }
    let value = match deletion {
        Deletion::Soft => Some(SchemaValue::new(subject, number, found.id, &found.content, true)),
        Deletion::Permanent => None,
    };
    let mut records = vec![Record::Schema(subject.clone(), number, value)];
    let is_last = snapshot.versions(subject).is_some_and(|versions| versions.len() == 1);
    if deletion == Deletion::Permanent && is_last {
        records.extend(settings_of(snapshot, subject));
    }
    Ok(Decision { records, reply: Reply::DeletedVersion(number) })
}

/// Refuses to delete what a live (before a permanent delete: any) schema of a subject other than `besides` refers to.
fn unreferenced(
    snapshot: &Snapshot,
    subject: &Subject,
    version: i32,
    deletion: Deletion,
    besides: Option<&Subject>,
) -> Result<(), RegistryError> {
    let mut referrers =
        snapshot.referrers(subject, version).filter(|referrer| besides.is_none_or(|gone| *gone != referrer.subject));
    if referrers.any(|referrer| deletion == Deletion::Permanent || !referrer.deleted) {
        return Err(RegistryError::ReferenceExists { subject: subject.clone(), version });
    }
    Ok(())
}

fn set_config(
    snapshot: &Snapshot,
    subject: Option<&Subject>,
    update: &ConfigUpdate,
) -> Result<Decision, RegistryError> {
    if let Some(level) = &update.set.compatibility_level
        && level.parse::<crate::schema::Level>().is_err()
    {
        return Err(RegistryError::InvalidLevel);
    }
    if let Some(alias) = update.set.alias.as_deref().filter(|alias| !alias.is_empty()) {
        Subject::parse(alias)?;
    }
    for rules in [&update.set.default_rule_set, &update.set.override_rule_set].into_iter().flatten() {
        rules.validate()?;
    }
    subject.map_or(Ok(()), Subject::check)?;
    writable(snapshot, subject)?;
    let (mut set, mut cleared) = (update.set.clone(), update.cleared.clone());
    set.compatibility_level = set.compatibility_level.map(|level| level.to_ascii_uppercase());
    if let Some(policy) = set.compatibility_policy.take() {
        set.compatibility_policy = Some(policy.to_ascii_uppercase()).filter(|name| POLICIES.contains(&name.as_str()));
        // A policy that nobody knows is none.
        cleared.extend(set.compatibility_policy.is_none().then(|| "compatibilityPolicy".to_owned()));
    }
    let kept = snapshot.config(subject).cloned().unwrap_or_default().without(&cleared);
    let config = kept.merged(&set);
    let records = vec![Record::Config(subject.cloned(), Some(config.clone()))];
    Ok(Decision { records, reply: Reply::Config(Box::new(config)) })
}

fn set_mode(
    snapshot: &Snapshot,
    subject: Option<&Subject>,
    mode: Option<Mode>,
    existing: ExistingVersions,
) -> Result<Decision, RegistryError> {
    subject.map_or(Ok(()), Subject::check)?;
    if mode == Some(Mode::Forward) && subject.map(Subject::as_str) != Some(GLOBAL_CONTEXT) {
        return Err(RegistryError::InvalidMode("Forward mode only supported on global level"));
    }
    let mut records = Vec::new();
    let is_new = snapshot.effective_mode(subject) != Mode::Import;
    if mode == Some(Mode::Import) && is_new && existing == ExistingVersions::Refuse {
        if snapshot.in_scope(subject).any(|version| !version.deleted) {
            return Err(RegistryError::OperationNotPermitted("Cannot import since found existing subjects".to_owned()));
        }
        // What is left of earlier schemas would stand in the way of their ids and versions.
        for version in snapshot.in_scope(subject) {
            if snapshot.referrers(&version.subject, version.version).next().is_some() {
                return Err(RegistryError::ReferenceExists {
                    subject: version.subject.clone(),
                    version: version.version,
                });
            }
            records.push(Record::Schema(version.subject.clone(), version.version, None));
        }
        records.push(Record::ClearSubject(subject.cloned()));
    }
    records.push(Record::Mode(subject.cloned(), mode));
    Ok(Decision { records, reply: Reply::Mode(mode) })
}

fn delete_mode(snapshot: &Snapshot, subject: Option<&Subject>, recursive: bool) -> Result<Decision, RegistryError> {
    let own = snapshot.mode(subject);
    // The default context and that of all contexts have a mode even where none is set.
    let old = own.or_else(|| subject.is_none_or(is_global).then(Mode::default));
    if let (None, Some(subject), false) = (old, subject, recursive) {
        return Err(RegistryError::SubjectNotFound(subject.to_string()));
    }
    let mut records: Vec<Record> = own.iter().map(|_| Record::Mode(subject.cloned(), None)).collect();
    if recursive && subject.is_none_or(Subject::is_context) {
        let within = snapshot.modes_in(subject.map_or(DEFAULT_CONTEXT, Subject::context));
        let others = within.filter(|other| Some(other) != subject);
        records.extend(others.map(|other| Record::Mode(Some(other), None)));
    }
    Ok(Decision { records, reply: Reply::Mode(old) })
}

fn is_global(subject: &Subject) -> bool {
    subject.as_str() == GLOBAL_CONTEXT
}

fn delete_context(snapshot: &Snapshot, context: &Subject) -> Result<Decision, RegistryError> {
    if snapshot.in_scope(Some(context)).next().is_some() {
        return Err(RegistryError::ContextNotEmpty(context.to_string()));
    }
    if !snapshot.is_named_context(context.context()) {
        return Ok(Decision::nothing(Reply::ContextDeleted));
    }
    let records = vec![Record::Context(context.context().to_owned(), false)];
    Ok(Decision { records, reply: Reply::ContextDeleted })
}
