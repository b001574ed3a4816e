//! Registration, lookup and the compatibility check: everything that takes a schema.

use std::sync::Arc;

use super::super::error::RegistryError;
use super::super::format::{Record, SchemaValue};
use super::super::snapshot::{Deleted, Snapshot};
use super::super::types::{
    Config, Content, Metadata, Mode, RuleSet, SchemaReference, SchemaVersion, Subject, VersionSpec,
};
use super::{Decision, Reply, writable};
use crate::schema::compat::check_history;
use crate::schema::{self, Level, ParsedSchema, SchemaType, Validation};

/// The metadata property in which a compare-and-set version is kept.
const VERSION_PROPERTY: &str = "confluent:version";

/// A schema to register, look up or check.
#[derive(Debug, Clone, Default)]
pub struct RegisterRequest {
    /// The text; empty takes the previous version's.
    pub schema: String,
    /// Language; absent is AVRO.
    pub schema_type: Option<String>,
    /// References.
    pub references: Vec<SchemaReference>,
    /// Data contract; absent inherits.
    pub metadata: Option<Metadata>,
    /// Rules; absent inherits.
    pub rule_set: Option<RuleSet>,
    /// Only as this version: compare and set. 0 and -1 are "the next".
    pub version: Option<i32>,
    /// Only in mode IMPORT: the id to take. -1 is "any".
    pub id: Option<i32>,
    /// Whether spelling without meaning is removed first.
    pub normalize: Normalize,
    /// Whether incompatible schemas are taken.
    pub compatibility: CompatibilityCheck,
}

/// Whether a text is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalize {
    /// As the subject is configured.
    #[default]
    Configured,
    /// Always.
    Always,
}

/// Whether a registration checks compatibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompatibilityCheck {
    /// Against earlier versions, as the subject is configured.
    #[default]
    Enforced,
    /// Not at all.
    Skipped,
}

/// A request made complete: parsed, with what it inherits.
struct Prepared {
    content: Content,
    parsed: Arc<dyn ParsedSchema>,
}

/// Decides a registration.
pub(super) fn register(
    snapshot: &Snapshot,
    subject: &Subject,
    request: &RegisterRequest,
) -> Result<Decision, RegistryError> {
    if subject.name().is_empty() {
        return Err(RegistryError::InvalidSubject(subject.to_string()));
    }
    let mode = snapshot.effective_mode(Some(subject));
    let config = snapshot.effective_config(Some(subject));
    let wanted_id = request.id.filter(|id| *id >= 0);
    let wanted_version = request.version.filter(|version| *version > 0);
    let prepared = prepare(snapshot, subject, request, &config, Purpose::Register)?;
    let content = &prepared.content;
    // What is there already is answered in every mode.
    let same = snapshot.live(subject).rev().find(|version| version.content.key == content.key);
    if let Some(version) = same
        && wanted_id.is_none_or(|id| id == version.id)
        && wanted_version.is_none_or(|wanted| wanted == version.version)
    {
        return Ok(Decision::nothing(Reply::Registered {
            subject: subject.clone(),
            version: version.version,
            id: version.id,
        }));
    }
    writable(snapshot, Some(subject))?;
    let next = snapshot.versions(subject).and_then(|versions| versions.keys().next_back()).map_or(1, |last| last + 1);
    let (version, id) = if mode == Mode::Import {
        let Some(id) = wanted_id else {
            return Err(RegistryError::OperationNotPermitted(format!(
                "Subject {subject} is in import mode and needs an id with each schema"
            )));
        };
        let taken = snapshot.id(subject.context(), id);
        if taken.is_some_and(|entry| entry.content.key != content.key) {
            return Err(RegistryError::OperationNotPermitted(format!(
                "Overwrite new schema with id {id} is not permitted."
            )));
        }
        (wanted_version.unwrap_or(next), id)
    } else {
        if wanted_id.is_some() {
            return Err(RegistryError::OperationNotPermitted(format!("Subject {subject} is not in import mode")));
        }
        if let Some(wanted) = wanted_version
            && wanted != next
        {
            return Err(RegistryError::InvalidSchema(format!(
                "Version is not one more than previous version: {wanted}, expected {next}"
            )));
        }
        if request.compatibility == CompatibilityCheck::Enforced {
            let old = comparable(snapshot, subject, &config, content);
            let details = incompatibilities(snapshot, &*prepared.parsed, &old, level_of(&config))?;
            if !details.is_empty() {
                return Err(RegistryError::Incompatible { subject: subject.clone(), details });
            }
        }
        let id = match snapshot.id_of(subject.context(), &content.key) {
            Some(id) => id,
            None => snapshot.max_id(subject.context()).checked_add(1).ok_or_else(|| {
                RegistryError::OperationNotPermitted("all schema ids of the context are used".to_owned())
            })?,
        };
        (next, id)
    };
    let value = SchemaValue::new(subject, version, id, content, false);
    let records = vec![Record::Schema(subject.clone(), version, Some(value))];
    Ok(Decision { records, reply: Reply::Registered { subject: subject.clone(), version, id } })
}

/// The version of a subject that has this content.
///
/// # Errors
/// No such subject (40401) or schema (40403), or the text is no schema.
pub fn lookup<'a>(
    snapshot: &'a Snapshot,
    subject: &Subject,
    request: &RegisterRequest,
    deleted: Deleted,
) -> Result<&'a SchemaVersion, RegistryError> {
    let shown = |version: &&SchemaVersion| deleted != Deleted::Hidden || !version.deleted;
    let versions = snapshot.versions(subject).filter(|versions| versions.values().any(|version| shown(&version)));
    let versions = versions.ok_or_else(|| RegistryError::SubjectNotFound(subject.to_string()))?;
    let config = snapshot.effective_config(Some(subject));
    let prepared = prepare(snapshot, subject, request, &config, Purpose::Lookup)?;
    let key = prepared.content.key;
    let exact = versions.values().rev().filter(shown).find(|version| version.content.key == key);
    // A lookup that says nothing of metadata and rules means the schema alone.
    let loose = || {
        let asked = &prepared.content;
        versions.values().rev().filter(shown).find(|version| {
            request.metadata.is_none()
                && request.rule_set.is_none()
                && version.content.references == asked.references
                && snapshot.parsed(version).is_ok_and(|parsed| parsed.canonical() == &*asked.schema)
        })
    };
    exact.or_else(loose).ok_or(RegistryError::SchemaNotFound)
}

/// Checks a schema against one version of a subject, or against its history as its level asks; the messages say what is
/// wrong, none means compatible.
///
/// # Errors
/// The numbered version does not exist, or the text is no schema.
pub fn check_compatibility(
    snapshot: &Snapshot,
    subject: &Subject,
    version: Option<VersionSpec>,
    request: &RegisterRequest,
) -> Result<Vec<String>, RegistryError> {
    let old: Option<Vec<&SchemaVersion>> = match version {
        None => None,
        Some(VersionSpec::Latest) => {
            Some(snapshot.version(subject, VersionSpec::Latest, Deleted::Hidden).into_iter().collect())
        }
        Some(number @ VersionSpec::Number(version)) => Some(vec![
            snapshot
                .version(subject, number, Deleted::Hidden)
                .map_err(|_| RegistryError::VersionNotFound(version.to_string()))?,
        ]),
    };
    let config = snapshot.effective_config(Some(subject));
    let prepared = prepare(snapshot, subject, request, &config, Purpose::Lookup)?;
    let old = old.unwrap_or_else(|| comparable(snapshot, subject, &config, &prepared.content));
    incompatibilities(snapshot, &*prepared.parsed, &old, level_of(&config))
}

fn level_of(config: &Config) -> Level {
    config.level().unwrap_or_default()
}

/// Live versions a new schema is compared with: all, or those of its compatibility group.
fn comparable<'a>(
    snapshot: &'a Snapshot,
    subject: &Subject,
    config: &Config,
    content: &Content,
) -> Vec<&'a SchemaVersion> {
    let group = config.compatibility_group.as_deref();
    let value = |metadata: Option<&Metadata>| {
        group.and_then(|group| metadata.and_then(|metadata| metadata.properties.get(group)).cloned())
    };
    let wanted = value(content.metadata.as_ref());
    snapshot.live(subject).filter(|version| value(version.content.metadata.as_ref()) == wanted).collect()
}

fn incompatibilities(
    snapshot: &Snapshot,
    new: &dyn ParsedSchema,
    old: &[&SchemaVersion],
    level: Level,
) -> Result<Vec<String>, RegistryError> {
    if level == Level::None {
        return Ok(Vec::new());
    }
    let considered =
        if level.is_transitive() { old } else { old.get(old.len().saturating_sub(1)..).unwrap_or_default() };
    let mut parsed = Vec::with_capacity(considered.len());
    for version in considered {
        if version.content.schema_type != new.schema_type() {
            return Ok(vec!["Incompatible because of different schema type".to_owned()]);
        }
        parsed.push((version.version, snapshot.parsed(version)?));
    }
    let history: Vec<(i32, &dyn ParsedSchema)> = parsed.iter().map(|(version, schema)| (*version, &**schema)).collect();
    Ok(check_history(new, &history, level))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Inherits and validates.
    Register,
    /// Takes the request as it is.
    Lookup,
}

fn prepare(
    snapshot: &Snapshot,
    subject: &Subject,
    request: &RegisterRequest,
    config: &Config,
    purpose: Purpose,
) -> Result<Prepared, RegistryError> {
    let previous = snapshot.live(subject).next_back();
    let inherits = purpose == Purpose::Register;
    let copied = previous.filter(|_| inherits && request.schema.is_empty());
    let (schema_type, text, references) = match copied {
        Some(previous) => {
            let content = &previous.content;
            (content.schema_type, &*content.schema, content.references.clone())
        }
        None => {
            let schema_type = request.schema_type.as_deref().filter(|text| !text.is_empty()).unwrap_or("AVRO");
            (schema_type.parse::<SchemaType>()?, request.schema.as_str(), request.references.clone())
        }
    };
    if text.trim().is_empty() {
        return Err(RegistryError::InvalidSchema("the schema is empty".to_owned()));
    }
    let resolved = snapshot.resolve(subject, &references)?;
    let strict = purpose == Purpose::Register
        && config.validate_new_schemas != Some(false)
        && snapshot.effective_mode(Some(subject)) != Mode::Import;
    let validation = if strict { Validation::Strict } else { Validation::Lenient };
    let parsed = schema::parse(schema_type, text, &resolved, validation)?;
    let mut references = references;
    for reference in &mut references {
        // "The latest" is a different version tomorrow; what is stored names today's.
        if reference.version == -1 {
            reference.version = snapshot.referenced(subject, reference)?.version;
        }
    }
    let normalize = request.normalize == Normalize::Always || config.normalize == Some(true);
    let canonical = if normalize { parsed.normalized() } else { parsed.canonical().to_owned() };
    let (metadata, rule_set) = if inherits { contract(request, previous, config)? } else { given(request) };
    let content = Content::new(schema_type, canonical.as_str().into(), &canonical, references, metadata, rule_set);
    Ok(Prepared { content, parsed })
}

fn given(request: &RegisterRequest) -> (Option<Metadata>, Option<RuleSet>) {
    (request.metadata.clone(), request.rule_set.clone())
}

/// Metadata and rules of a new version: its own or the previous version's, over the configured defaults, under the
/// configured overrides.
fn contract(
    request: &RegisterRequest,
    previous: Option<&SchemaVersion>,
    config: &Config,
) -> Result<(Option<Metadata>, Option<RuleSet>), RegistryError> {
    let inherited = previous.map(|previous| &previous.content);
    let inherited_metadata = || {
        let mut metadata = inherited.and_then(|content| content.metadata.clone());
        if let Some(metadata) = &mut metadata {
            metadata.properties.remove(VERSION_PROPERTY);
        }
        metadata
    };
    let mut metadata = request.metadata.clone().or_else(inherited_metadata);
    if let Some(defaults) = &config.default_metadata {
        metadata = Some(defaults.clone().merged(&metadata.unwrap_or_default()));
    }
    if let Some(overrides) = &config.override_metadata {
        metadata = Some(metadata.unwrap_or_default().merged(overrides));
    }
    if let Some(version) = request.version.filter(|version| *version > 0) {
        let mut with_version = metadata.unwrap_or_default();
        with_version.properties.insert(VERSION_PROPERTY.to_owned(), version.to_string());
        metadata = Some(with_version);
    }
    let mut rules = request.rule_set.clone().or_else(|| inherited.and_then(|content| content.rule_set.clone()));
    if let Some(defaults) = &config.default_rule_set {
        rules = Some(defaults.merged(&rules.unwrap_or_default()));
    }
    if let Some(overrides) = &config.override_rule_set {
        rules = Some(rules.unwrap_or_default().merged(overrides));
    }
    if let Some(rules) = &rules {
        rules.validate()?;
    }
    Ok((metadata, rules))
}
