//! What reads answer: lists with paging and the JSON shape of a schema. Pure functions of a snapshot.

use serde::Serialize;

use super::error::RegistryError;
use super::snapshot::{Deleted, Snapshot};
use super::tags::TaggedEntity;
use super::types::{DEFAULT_CONTEXT, Metadata, RuleSet, SchemaReference, SchemaVersion, Subject};
use super::versions::Versions;
use crate::schema::{self, SchemaType, Validation};

/// The part of a list a client asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// Entries to leave out.
    pub offset: usize,
    /// Most entries; none is all.
    pub limit: Option<usize>,
}

impl Page {
    /// This with no more than `most` entries.
    pub fn at_most(self, most: usize) -> Self {
        Self { limit: Some(self.limit.unwrap_or(most).min(most)), ..self }
    }

    /// The part of `items`.
    pub fn of<T>(self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        items.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect()
    }
}

/// A schema as the REST API shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the reference's")]
pub struct SchemaView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    pub guid: String,
    pub schema_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<SchemaReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    pub schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<i32>,
    /// Tags inside the text, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_tags: Option<Vec<TaggedEntity>>,
    /// Other names of the subject, where they are asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// How the text of a schema is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As stored; also for formats a language does not know.
    #[default]
    Stored,
    /// With references written out in place.
    Resolved,
    /// As a descriptor, where the language has one.
    Serialized,
}

impl SchemaView {
    /// A version of a subject.
    ///
    /// # Errors
    /// A format is asked for that needs the schema parsed, and it cannot be.
    pub fn of(snapshot: &Snapshot, version: &SchemaVersion, format: Format) -> Result<Self, RegistryError> {
        let content = &version.content;
        Ok(Self {
            subject: Some(version.subject.to_string()),
            version: Some(version.version),
            id: Some(version.id),
            guid: content.guid(),
            schema_type: content.schema_type.as_str(),
            references: content.references.clone(),
            metadata: content.metadata.as_deref().cloned(),
            rule_set: content.rule_set.as_deref().cloned(),
            schema: text(snapshot, version, format)?,
            ts: Some(version.timestamp),
            deleted: Some(version.deleted),
            max_id: None,
            schema_tags: None,
            aliases: Vec::new(),
        })
    }
}

/// The parts of a version's text that have one of the wanted tags (`*` is any), with all their tags.
///
/// # Errors
/// The schema cannot be parsed.
pub fn schema_tags(
    snapshot: &Snapshot,
    version: &SchemaVersion,
    wanted: &[&str],
) -> Result<Vec<TaggedEntity>, RegistryError> {
    let is_wanted = |tag: &String| wanted.iter().any(|wanted| *wanted == "*" || wanted == tag);
    let entities = snapshot.parsed(version)?.tagged_entities().into_iter();
    Ok(entities.filter(|entity| entity.tags.iter().any(is_wanted)).map(TaggedEntity::from).collect())
}

/// The text of a version.
///
/// # Errors
/// See [`SchemaView::of`].
pub fn text(snapshot: &Snapshot, version: &SchemaVersion, format: Format) -> Result<String, RegistryError> {
    let content = &version.content;
    match format {
        Format::Resolved if content.schema_type == SchemaType::Avro && !content.references.is_empty() => {
            let references = snapshot.resolve(&version.subject, &content.references, Deleted::Shown)?;
            let parsed = schema::parse(content.schema_type, &content.schema, &references, Validation::Lenient)?;
            Ok(parsed.resolved())
        }
        Format::Serialized if content.schema_type == SchemaType::Protobuf => {
            let parsed = snapshot.parsed(version)?;
            Ok(parsed.serialized().unwrap_or_else(|| content.schema.to_string()))
        }
        _ => Ok(content.schema.to_string()),
    }
}

/// Subjects by prefix, sorted. `:*:` means all contexts, a prefix without a context the default one.
pub fn subjects(snapshot: &Snapshot, prefix: &str, deleted: Deleted) -> Vec<String> {
    let any_context = prefix.strip_prefix(":*:");
    let fits = |subject: &Subject| match any_context {
        Some(prefix) => subject.name().starts_with(prefix),
        None => match prefix.strip_prefix(":.:") {
            Some(prefix) => subject.context() == DEFAULT_CONTEXT && subject.name().starts_with(prefix),
            None if prefix.is_empty() => subject.context() == DEFAULT_CONTEXT,
            None => subject.as_str().starts_with(prefix),
        },
    };
    let shown = |versions: &Versions| {
        let live = versions.iter().any(|version| !version.deleted);
        match deleted {
            Deleted::Hidden => live,
            Deleted::Shown => true,
            Deleted::Only => !live,
        }
    };
    let found = snapshot.subjects().filter(|(subject, versions)| fits(subject) && shown(versions));
    let mut names: Vec<String> = found.map(|(subject, _)| subject.to_string()).collect();
    names.sort_unstable();
    names
}

/// Version numbers of a subject.
///
/// # Errors
/// The subject has no version, or only deleted ones and those are not asked for.
pub fn versions(snapshot: &Snapshot, subject: &Subject, deleted: Deleted) -> Result<Vec<i32>, RegistryError> {
    let all = || snapshot.versions(subject).into_iter().flat_map(Versions::iter);
    if !all().any(|version| deleted != Deleted::Hidden || !version.deleted) {
        return Err(RegistryError::SubjectNotFound(subject.to_string()));
    }
    Ok(all().filter(|version| deleted.lists(version)).map(|version| version.version).collect())
}

/// All version numbers of a subject, those of deleted versions with a minus.
pub fn signed_versions(snapshot: &Snapshot, subject: &Subject) -> Vec<i32> {
    let all = snapshot.versions(subject).into_iter().flat_map(Versions::iter);
    all.map(|version| if version.deleted { -version.version } else { version.version }).collect()
}

/// The versions that have an id, sorted; the context is that of `subject`, which may be a context alone.
///
/// # Errors
/// No such id.
pub fn uses_of_id<'a>(
    snapshot: &'a Snapshot,
    id: i32,
    subject: Option<&Subject>,
    deleted: Deleted,
) -> Result<Vec<&'a SchemaVersion>, RegistryError> {
    let context = subject.map_or(DEFAULT_CONTEXT, Subject::context);
    let entry = snapshot.id(context, id).ok_or(RegistryError::SchemaNotFound)?;
    let versions = entry.versions.iter().filter_map(|(subject, version)| snapshot.versions(subject)?.get(*version));
    Ok(versions.filter(|version| deleted != Deleted::Hidden || !version.deleted).collect())
}

/// The schema with an id, as a version that has it: of the subject asked for, a live one where there is one. Without a
/// context of its own a subject is looked for in all of them, and any holder of the id will do. Subjects that `may_be`
/// refuses are as if they did not have it.
///
/// # Errors
/// No such id, or none of the subject's in the context that it names.
pub fn by_id<'a>(
    snapshot: &'a Snapshot,
    id: i32,
    subject: Option<&Subject>,
    may_be: impl Fn(&Subject) -> bool,
) -> Result<&'a SchemaVersion, RegistryError> {
    let uses = |scope: Option<&Subject>| {
        let mut uses = uses_of_id(snapshot, id, scope, Deleted::Shown).unwrap_or_default();
        uses.retain(|version| may_be(&version.subject));
        uses
    };
    let best = |uses: Vec<&'a SchemaVersion>| uses.into_iter().rev().max_by_key(|version| !version.deleted);
    let named = subject.filter(|subject| !subject.is_context());
    let of_subject = |subject: &Subject| {
        let own = uses(Some(subject)).into_iter().filter(|version| version.subject == *subject).collect();
        best(own).ok_or(RegistryError::IdNotFound(id))
    };
    match named {
        None => best(uses(subject)).ok_or(RegistryError::IdNotFound(id)),
        Some(named) => match snapshot.somewhere(named, of_subject) {
            Err(_) if named.context_subject().is_none() => best(uses(None)).ok_or(RegistryError::IdNotFound(id)),
            found => found,
        },
    }
}

/// The versions that a version refers to, and those that they refer to.
pub fn reached<'a>(snapshot: &'a Snapshot, version: &'a SchemaVersion) -> Vec<&'a SchemaVersion> {
    let mut reached: Vec<&SchemaVersion> = Vec::new();
    let mut waiting = vec![version];
    while let Some(owner) = waiting.pop() {
        for reference in &owner.content.references {
            let Ok(found) = snapshot.referenced(&owner.subject, reference, Deleted::Shown) else { continue };
            let is_new = !reached.iter().any(|known| known.subject == found.subject && known.version == found.version);
            if is_new {
                reached.push(found);
                waiting.push(found);
            }
        }
    }
    reached
}
