//! Registration, lookup and the compatibility check: everything that takes a schema.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::super::error::RegistryError;
use super::super::format::{Record, SchemaValue};
use super::super::impact::{self, LineageFinding, LineageQuestion};
use super::super::snapshot::{Deleted, Snapshot};
use super::super::types::{
    Config, Content, DEFAULT_CONTEXT, Metadata, Mode, RuleSet, SchemaReference, SchemaVersion, Subject, VersionSpec,
};
use super::super::versions::Versions;
use super::{Decision, Reply, place, reserved, writable};
use crate::schema::{
    self, EntityTags, Level, ParsedSchema, ResolvedReference, SchemaError, SchemaType, Validation, compat,
};

/// The metadata property in which a compare-and-set version is kept.
pub const VERSION_PROPERTY: &str = "confluent:version";

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
    /// Only in modes IMPORT and FORWARD: the id to take. -1 is "any".
    pub id: Option<i32>,
    /// Tags to put into the text before it is registered.
    pub tags_to_add: Vec<EntityTags>,
    /// Tags to take out of it.
    pub tags_to_remove: Vec<EntityTags>,
    /// What becomes of tags inside the previous version's text.
    pub previous_tags: Tags,
    /// Whether spelling without meaning is removed first.
    pub normalize: Normalize,
    /// Whether incompatible schemas are taken.
    pub compatibility: CompatibilityCheck,
    /// What lineage has said about this schema, for levels that ask for it.
    pub lineage: Option<Box<LineageFinding>>,
}

/// What becomes of the previous version's tags in a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tags {
    /// The new text says all.
    #[default]
    AsSent,
    /// They are put into the new text, too.
    Kept,
}

impl RegisterRequest {
    /// Whether it asks for more than a registration gives by itself: no check, or an id of its own.
    pub fn overrides(&self) -> bool {
        self.compatibility == CompatibilityCheck::Skipped || self.id.is_some_and(|id| id >= 0)
    }
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
pub(super) struct Prepared {
    pub(super) content: Content,
    pub(super) parsed: Arc<dyn ParsedSchema>,
}

/// Decides a registration.
pub(super) fn register(
    snapshot: &Snapshot,
    subject: &Subject,
    request: &RegisterRequest,
) -> Result<Decision, RegistryError> {
    if subject.is_context() || is_reserved(subject) {
        return Err(RegistryError::InvalidSubject(subject.to_string()));
    }
    let mode = snapshot.effective_mode(Some(subject));
    let takes_ids = matches!(mode, Mode::Import | Mode::Forward);
    let request = &*with_tags(snapshot, subject, request, takes_ids)?;
    let config = snapshot.effective_config(Some(subject));
    let wanted_id = request.id.filter(|id| *id >= 0);
    let wanted_version = request.version.filter(|version| *version > 0);
    let last = snapshot.versions(subject).and_then(Versions::last).map_or(0, |last| last.version);
    // What is there already is answered in every mode; not where one certain new version is asked for.
    let considered = if request.version == Some(-1) { 1 } else { usize::MAX };
    let live = || snapshot.live(subject).rev().take(considered);
    // A version that only the previous contract asked for is nobody's wish.
    let metadata = request.metadata.as_ref();
    let says = request.version.is_some() || metadata.is_some_and(|said| said.properties.contains_key(VERSION_PROPERTY));
    let asked = if says { request.version } else { Some(-1) };
    let already = |prepared: &Prepared| {
        equivalent(snapshot, live, prepared, asked).filter(|version| {
            wanted_id.is_none_or(|id| id == version.id)
                && (wanted_version.is_none() || takes_ids && wanted_version == Some(version.version))
        })
    };
    let there = |version: &SchemaVersion| {
        let (subject, version, id) = (subject.clone(), version.version, version.id);
        Ok(Decision::nothing(Reply::Registered { subject, version, id }))
    };
    let as_sent = || -> Result<Option<&SchemaVersion>, RegistryError> {
        let sent = prepare(snapshot, subject, request, &config, Purpose::Lookup)?;
        Ok(already(&sent))
    };
    let may_look = !takes_ids && !request.schema.trim().is_empty() && !has_contract(&config);
    // Before what it would inherit is put on: that may have changed since.
    if may_look
        && completes(request, snapshot.live(subject).next_back())
        && let Some(version) = as_sent()?
    {
        return there(version);
    }
    let used_up = || RegistryError::OperationNotPermitted("all versions of the subject are used".to_owned());
    let next = last.checked_add(1).ok_or_else(used_up);
    let purpose = if takes_ids { Purpose::Import } else { Purpose::Register { next: next.as_ref().ok().copied() } };
    let prepared = match prepare(snapshot, subject, request, &config, purpose) {
        // What is there is answered even where it would not be taken in any more.
        Err(error @ RegistryError::InvalidSchema(_)) if may_look => match as_sent() {
            Ok(Some(version)) => return there(version),
            _ => return Err(error),
        },
        prepared => prepared?,
    };
    let content = &prepared.content;
    if let Some(version) = already(&prepared) {
        return there(version);
    }
    writable(snapshot, Some(subject))?;
    let (version, id) = if takes_ids {
        (wanted_version.map_or(next, Ok)?, imported_id(snapshot, subject, wanted_id, content)?)
    } else {
        if wanted_id.is_some() {
            let message = format!("Subject {} is not in import mode", place(Some(subject)));
            return Err(RegistryError::OperationNotPermitted(message));
        }
        let next = next?;
        if wanted_version.is_some_and(|wanted| wanted != next) {
            let message = "Version is not one more than previous version";
            return Err(RegistryError::InvalidSchema(message.to_owned()));
        }
        if request.compatibility == CompatibilityCheck::Enforced {
            let old: Vec<&SchemaVersion> = snapshot.live(subject).collect();
            let details = incompatibilities(snapshot, &prepared, &old, &config)?;
            if !details.is_empty() {
                return Err(RegistryError::Incompatible { subject: subject.clone(), details });
            }
            let details = broken_lineage(snapshot, subject, request, &prepared, &old, &config)?;
            if !details.is_empty() {
                return Err(RegistryError::Incompatible { subject: subject.clone(), details });
            }
        }
        (next, next_id(snapshot, subject, content)?)
    };
    let mut records = Vec::new();
    let context = subject.context();
    if context != DEFAULT_CONTEXT && !snapshot.is_named_context(context) {
        records.push(Record::Context(context.to_owned(), true));
    }
    // The same schema was deleted here before: its old version goes for good, unless something refers to it.
    let earlier =
        snapshot.versions(subject).into_iter().flat_map(Versions::iter).filter(|found| found.version < version);
    let replaced = earlier
        .filter(|found| found.deleted && found.id == id && snapshot.referrers(subject, found.version).next().is_none());
    records.extend(replaced.map(|found| Record::Schema(subject.clone(), found.version, None)));
    snapshot.note_canonical(content);
    let value = SchemaValue::new(subject, version, id, content, false);
    records.push(Record::Schema(subject.clone(), version, Some(value)));
    Ok(Decision { records, reply: Reply::Registered { subject: subject.clone(), version, id } })
}

/// The request with its tags put into its text.
fn with_tags<'a>(
    snapshot: &Snapshot,
    subject: &Subject,
    request: &'a RegisterRequest,
    takes_ids: bool,
) -> Result<Cow<'a, RegisterRequest>, RegistryError> {
    let changes = !request.tags_to_add.is_empty() || !request.tags_to_remove.is_empty();
    // In mode IMPORT a version is what another registry says that it is.
    let keeps = request.previous_tags == Tags::Kept && !takes_ids && !request.schema.trim().is_empty();
    let previous = snapshot.live(subject).next_back().filter(|_| keeps);
    let kept = previous.map(|previous| Ok::<_, RegistryError>(snapshot.parsed(previous)?.tagged_entities()));
    let kept = kept.transpose()?.unwrap_or_default();
    if !changes && kept.is_empty() {
        return Ok(Cow::Borrowed(request));
    }
    let mut request = request.clone();
    let references = snapshot.resolve(subject, &request.references, Deleted::Shown)?;
    let parsed = parse(&request.schema, language(&request)?, &references, Validation::Lenient)?;
    let add: Vec<EntityTags> = request.tags_to_add.iter().cloned().chain(kept).collect();
    request.schema = parsed.tagged(&add, &request.tags_to_remove)?;
    if changes {
        // So that the contract tells the version, as it does of one that is asked for.
        request.version.get_or_insert(-1);
    }
    Ok(Cow::Owned(request))
}

/// The language a request names.
fn language(request: &RegisterRequest) -> Result<SchemaType, RegistryError> {
    let name = request.schema_type.as_deref().filter(|text| !text.is_empty()).unwrap_or("AVRO");
    name.parse().map_err(|_| RegistryError::InvalidSchema(format!("Invalid schema type {name}")))
}

fn parse(
    text: &str,
    schema_type: SchemaType,
    references: &[ResolvedReference],
    validation: Validation,
) -> Result<Arc<dyn ParsedSchema>, RegistryError> {
    if text.trim().is_empty() {
        return Err(RegistryError::InvalidSchema("Empty schema".to_owned()));
    }
    schema::parse(schema_type, text, references, validation).map_err(|error| refused(error, schema_type))
}

fn refused(error: SchemaError, schema_type: SchemaType) -> RegistryError {
    match error {
        SchemaError::TooLarge { .. } => RegistryError::TooLarge(error.to_string()),
        error => RegistryError::InvalidSchema(format!("Invalid schema of type {schema_type}, details: {error}")),
    }
}

/// Whether a new version's contract is another one than its request says.
fn completes(request: &RegisterRequest, previous: Option<&SchemaVersion>) -> bool {
    let inherited = previous.is_some_and(|previous| {
        let content = &previous.content;
        (request.metadata.is_none() && content.metadata.is_some())
            || (request.rule_set.is_none() && content.rule_set.is_some())
    });
    inherited || request.version.is_some_and(|version| version != 0)
}

/// Whether a configuration adds to contracts.
fn has_contract(config: &Config) -> bool {
    config.default_metadata.is_some()
        || config.override_metadata.is_some()
        || config.default_rule_set.is_some()
        || config.override_rule_set.is_some()
}

/// Names with a meaning of their own.
fn is_reserved(subject: &Subject) -> bool {
    matches!(subject.name(), "__GLOBAL" | "__EMPTY") || subject.context() == ".__GLOBAL"
}

fn imported_id(
    snapshot: &Snapshot,
    subject: &Subject,
    wanted: Option<i32>,
    content: &Content,
) -> Result<i32, RegistryError> {
    let Some(id) = wanted else {
        let message = format!("Subject {} is not in read-write mode", place(Some(subject)));
        return Err(RegistryError::OperationNotPermitted(message));
    };
    if snapshot.id(subject.context(), id).is_some_and(|entry| entry.content.key != content.key) {
        let context = subject.context_subject().unwrap_or_default();
        let message = format!("Overwrite new schema with id {id} in context {context} is not permitted.");
        return Err(RegistryError::OperationNotPermitted(message));
    }
    Ok(id)
}

fn next_id(snapshot: &Snapshot, subject: &Subject, content: &Content) -> Result<i32, RegistryError> {
    let known = snapshot.id_of(subject.context(), &content.key);
    let next = || snapshot.max_id(subject.context()).checked_add(1);
    let used_up = || RegistryError::OperationNotPermitted("all schema ids of the context are used".to_owned());
    known.or_else(next).ok_or_else(used_up)
}

/// The newest of some versions that is what was asked for: the same content, or one that differs only in how a version
/// was asked for or in whether references are written out.
fn equivalent<'a, V: Iterator<Item = &'a SchemaVersion>>(
    snapshot: &Snapshot,
    versions: impl Fn() -> V,
    asked: &Prepared,
    asked_version: Option<i32>,
) -> Option<&'a SchemaVersion> {
    let exact = versions().find(|version| version.content.key == asked.content.key);
    exact.or_else(|| versions().find(|version| is_same(snapshot, version, asked, asked_version)))
}

fn is_same(snapshot: &Snapshot, found: &SchemaVersion, asked: &Prepared, asked_version: Option<i32>) -> bool {
    let (content, wanted) = (&found.content, &asked.content);
    if content.schema_type != wanted.schema_type || content.rule_set != wanted.rule_set {
        return false;
    }
    let property = |content: &Content| {
        content.metadata.as_ref().and_then(|metadata| metadata.properties.get(VERSION_PROPERTY).cloned())
    };
    let rest = |content: &Content| {
        let mut metadata = content.metadata.as_deref().cloned().unwrap_or_default();
        metadata.properties.remove(VERSION_PROPERTY);
        metadata
    };
    let same_version = match (property(wanted), property(content)) {
        (Some(wanted), Some(has)) => wanted == has || asked_version == Some(-1),
        (Some(wanted), None) => wanted == found.version.to_string() || asked_version == Some(-1),
        (None, _) => true,
    };
    if !same_version || rest(content) != rest(wanted) {
        return false;
    }
    let Ok(parsed) = snapshot.parsed(found) else { return false };
    let current = |reference: &SchemaReference| match reference.version {
        -1 => snapshot.referenced(&found.subject, reference, Deleted::Shown).map_or(-1, |version| version.version),
        version => version,
    };
    let references = content.references.iter();
    let references: Vec<SchemaReference> =
        references.map(|reference| SchemaReference { version: current(reference), ..reference.clone() }).collect();
    if references == wanted.references {
        return parsed.canonical() == &*wanted.schema;
    }
    wanted.references.is_empty() && parsed.resolved() == asked.parsed.resolved()
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
    let config = snapshot.effective_config(Some(subject));
    let is_empty = request.schema.trim().is_empty();
    let prepared = match is_empty {
        true => None,
        false => Some(prepare(snapshot, subject, request, &config, Purpose::Lookup)?),
    };
    let versions = snapshot.versions(subject).filter(|versions| versions.iter().any(|version| shown(&version)));
    let versions = versions.ok_or_else(|| RegistryError::SubjectNotFound(subject.to_string()))?;
    let prepared = prepared.ok_or(RegistryError::SchemaNotFound)?;
    let candidates = || versions.iter().rev().filter(shown);
    if let Some(found) = equivalent(snapshot, candidates, &prepared, request.version) {
        return Ok(found);
    }
    // With what a registration would add, but for the number that it would get.
    let Some(latest) = snapshot.live(subject).next_back() else { return Err(RegistryError::SchemaNotFound) };
    let completed = contract(request, Some(latest), &config, Purpose::Register { next: None })?;
    let content = prepared.content.with_contract(completed);
    let completed = Prepared { content, parsed: prepared.parsed };
    equivalent(snapshot, candidates, &completed, request.version).ok_or(RegistryError::SchemaNotFound)
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
    Check::new(snapshot, subject, version, request)?.messages()
}

/// A schema, parsed once, beside the versions that it may have to fit.
pub struct Check<'a> {
    snapshot: &'a Snapshot,
    subject: &'a Subject,
    old: Vec<&'a SchemaVersion>,
    config: Config,
    new: Prepared,
}

impl<'a> Check<'a> {
    /// A check against one version of a subject, or against all of them.
    ///
    /// # Errors
    /// The numbered version does not exist, or the text is no schema.
    pub fn new(
        snapshot: &'a Snapshot,
        subject: &'a Subject,
        version: Option<VersionSpec>,
        request: &RegisterRequest,
    ) -> Result<Self, RegistryError> {
        let old = compared(snapshot, subject, version)?;
        let config = snapshot.effective_config(Some(subject));
        let new = prepare(snapshot, subject, request, &config, Purpose::Check)?;
        Ok(Self { snapshot, subject, old, config, new })
    }

    /// What is wrong by the subject's level; nothing means compatible.
    ///
    /// # Errors
    /// A stored version cannot be parsed.
    pub fn messages(&self) -> Result<Vec<String>, RegistryError> {
        incompatibilities(self.snapshot, &self.new, &self.old, &self.config)
    }

    /// What lineage is to be asked before the schema may follow. None where no field changes that lineage could tell of,
    /// or where there is no version to follow.
    ///
    /// # Errors
    /// A stored version cannot be parsed, or there are too many fields.
    pub fn lineage_question(&self) -> Result<Option<LineageQuestion>, RegistryError> {
        question(self.snapshot, self.subject, &self.new, &self.old, &self.config)
    }
}

fn question(
    snapshot: &Snapshot,
    subject: &Subject,
    new: &Prepared,
    old: &[&SchemaVersion],
    config: &Config,
) -> Result<Option<LineageQuestion>, RegistryError> {
    let Some(version) = comparable(new, old, config).next() else { return Ok(None) };
    let parsed = snapshot.parsed(version)?;
    let changes = schema::changed_fields(&*parsed, &*new.parsed)?;
    if changes.is_empty() {
        return Ok(None);
    }
    let datasets = impact::links(&new.content, &version.content, config);
    let topics = impact::topics(subject, &[parsed.name(), new.parsed.name()]);
    Ok(Some(LineageQuestion { version: version.version, datasets, topics, changes }))
}

/// What lineage has against a new schema, where the level asks for it.
fn broken_lineage(
    snapshot: &Snapshot,
    subject: &Subject,
    request: &RegisterRequest,
    new: &Prepared,
    old: &[&SchemaVersion],
    config: &Config,
) -> Result<Vec<String>, RegistryError> {
    let level = level_of(config);
    if !level.checks_lineage() {
        return Ok(Vec::new());
    }
    let Some(question) = question(snapshot, subject, new, old, config)? else { return Ok(Vec::new()) };
    let finding = request.lineage.as_ref().filter(|finding| finding.question == question);
    let Some(finding) = finding else { return Err(RegistryError::LineageNotAsked(Box::new(question))) };
    let mut messages = impact::messages(&question, &finding.reach);
    let compared = old.iter().find(|version| version.version == question.version);
    if !messages.is_empty()
        && let Some(version) = compared
    {
        let validate_fields = config.validate_fields == Some(true);
        let parsed = snapshot.parsed(version)?;
        messages.extend(compat::compared_with(version.version, &*parsed, level, validate_fields));
    }
    Ok(messages)
}

/// The versions that a check is against.
fn compared<'a>(
    snapshot: &'a Snapshot,
    subject: &Subject,
    version: Option<VersionSpec>,
) -> Result<Vec<&'a SchemaVersion>, RegistryError> {
    Ok(match version {
        None => snapshot.live(subject).collect(),
        Some(VersionSpec::Latest) => {
            snapshot.version(subject, VersionSpec::Latest, Deleted::Hidden).into_iter().collect()
        }
        Some(number @ VersionSpec::Number(version)) => vec![
            snapshot
                .version(subject, number, Deleted::Hidden)
                .map_err(|_| RegistryError::VersionNotFound(version.to_string()))?,
        ],
    })
}

fn level_of(config: &Config) -> Level {
    config.level().unwrap_or_default()
}

/// Messages of the newest version that a new schema is not compatible with, of those it is compared with: all of `old`,
/// or those of its compatibility group.
fn incompatibilities(
    snapshot: &Snapshot,
    new: &Prepared,
    old: &[&SchemaVersion],
    config: &Config,
) -> Result<Vec<String>, RegistryError> {
    let level = level_of(config);
    let validate_fields = config.validate_fields == Some(true);
    if validate_fields && let Some(message) = reserved::violation(new, old.last().copied()) {
        return Ok(vec![message, compat::tail(level, validate_fields)]);
    }
    if level == Level::None {
        return Ok(Vec::new());
    }
    let considered = if level.is_transitive() { usize::MAX } else { 1 };
    for version in comparable(new, old, config).take(considered) {
        if version.content.schema_type != new.parsed.schema_type() {
            let message = "Incompatible because of different schema type".to_owned();
            return Ok(vec![message, compat::tail(level, validate_fields)]);
        }
        let parsed = snapshot.parsed(version)?;
        let messages = compat::check_version(&*new.parsed, version.version, &*parsed, level, validate_fields);
        if !messages.is_empty() {
            return Ok(messages);
        }
    }
    Ok(Vec::new())
}

/// Those of `old` that a new schema is compared with, the newest first.
fn comparable<'a>(
    new: &Prepared,
    old: &[&'a SchemaVersion],
    config: &Config,
) -> impl Iterator<Item = &'a SchemaVersion> {
    let group = config.compatibility_group.as_deref();
    let value = move |content: &Content| {
        group.and_then(|group| content.metadata.as_ref().and_then(|metadata| metadata.properties.get(group)).cloned())
    };
    let wanted = value(&new.content);
    old.iter().copied().rev().filter(move |version| value(&version.content) == wanted)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Becomes this version, where it is known: inherits and validates.
    Register { next: Option<i32> },
    /// Comes with its id from another registry: as it is.
    Import,
    /// Validates, and inherits nothing.
    Check,
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
    let inherits = matches!(purpose, Purpose::Register { .. });
    let copied = previous.filter(|_| inherits && request.schema.trim().is_empty());
    let (schema_type, text, mut references) = match copied {
        Some(previous) => {
            let content = &previous.content;
            (content.schema_type, &*content.schema, content.references.clone())
        }
        None => (language(request)?, request.schema.as_str(), request.references.clone()),
    };
    if text.trim().is_empty() {
        return Err(RegistryError::InvalidSchema("Empty schema".to_owned()));
    }
    let is_new = inherits || purpose == Purpose::Check;
    let strict = is_new && config.validate_new_schemas != Some(false);
    // A new schema cannot build on what is deleted.
    let deleted = if is_new { Deleted::Hidden } else { Deleted::Shown };
    let resolved = snapshot.resolve(subject, &references, deleted)?;
    let validation = if strict { Validation::Strict } else { Validation::Lenient };
    let parsed = parse(text, schema_type, &resolved, validation)?;
    for reference in &mut references {
        // "The latest" is a different version tomorrow; what is stored names today's.
        if reference.version == -1 {
            reference.version = snapshot.referenced(subject, reference, deleted)?.version;
        }
    }
    let asked = request.normalize == Normalize::Always || config.normalize == Some(true);
    let normalize = asked && purpose != Purpose::Import;
    let canonical = match normalize {
        true => {
            references.sort_by(|one, other| (&one.subject, one.version).cmp(&(&other.subject, other.version)));
            let mut seen = HashSet::new();
            references.retain(|reference| seen.insert(reference.clone()));
            parsed.normalized()
        }
        false => parsed.canonical().to_owned(),
    };
    schema::check_size(&canonical, &resolved).map_err(|error| refused(error, schema_type))?;
    let (metadata, rule_set) = contract(request, previous, config, purpose)?;
    let content = Content::new(schema_type, canonical.as_str().into(), &canonical, references, metadata, rule_set);
    Ok(Prepared { content, parsed })
}

/// Metadata and rules of a schema: as given, or for a new version its own or the previous version's, over the
/// configured defaults, under the configured overrides.
fn contract(
    request: &RegisterRequest,
    previous: Option<&SchemaVersion>,
    config: &Config,
    purpose: Purpose,
) -> Result<(Option<Metadata>, Option<RuleSet>), RegistryError> {
    let Purpose::Register { next } = purpose else {
        if let Some(rules) = &request.rule_set {
            rules.validate()?;
        }
        return Ok((request.metadata.clone(), request.rule_set.clone()));
    };
    let inherited = previous.map(|previous| &previous.content);
    let mut metadata =
        request.metadata.clone().or_else(|| inherited.and_then(|content| content.metadata.as_deref().cloned()));
    if let Some(defaults) = &config.default_metadata {
        metadata = Some(defaults.clone().merged(&metadata.unwrap_or_default()));
    }
    if let Some(overrides) = &config.override_metadata {
        metadata = Some(metadata.unwrap_or_default().merged(overrides));
    }
    let has_version = metadata.as_ref().is_some_and(|metadata| metadata.properties.contains_key(VERSION_PROPERTY));
    if let Some(next) = next
        && (has_version || request.version.is_some_and(|version| version != 0))
    {
        let properties = &mut metadata.get_or_insert_default().properties;
        properties.insert(VERSION_PROPERTY.to_owned(), next.to_string());
    }
    let mut rules =
        request.rule_set.clone().or_else(|| inherited.and_then(|content| content.rule_set.as_deref().cloned()));
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
