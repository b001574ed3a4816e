//! A new version that differs from one there is in its tags, metadata and rules. Pure: from a snapshot and a request to
//! a registration.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::decide::{RegisterRequest, VERSION_PROPERTY};
use super::error::RegistryError;
use super::snapshot::{Deleted, Snapshot};
use super::types::{Metadata, RuleSet, Subject, VersionSpec};
use crate::schema::{EntityKind, EntityTags};

/// What changes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TagRequest {
    /// Only as this version.
    pub new_version: Option<i32>,
    /// Tags to put into the text.
    pub tags_to_add: Option<Vec<TaggedEntity>>,
    /// Tags to take out of it.
    pub tags_to_remove: Option<Vec<TaggedEntity>>,
    /// Metadata; absent keeps the version's.
    pub metadata: Option<Metadata>,
    /// Rules; absent keeps the version's.
    pub rule_set: Option<RuleSet>,
    /// Rules to put on top of the kept ones, by name.
    pub rules_to_merge: Option<RuleSet>,
    /// Names of rules to leave out of the kept ones.
    pub rules_to_remove: Option<Vec<String>>,
}

/// Tags of one part of a schema, as the REST API writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaggedEntity {
    schema_entity: SchemaEntity,
    #[serde(default)]
    tags: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaEntity {
    entity_path: String,
    entity_type: EntityKind,
}

impl From<EntityTags> for TaggedEntity {
    fn from(EntityTags { path, kind, tags }: EntityTags) -> Self {
        Self { schema_entity: SchemaEntity { entity_path: path, entity_type: kind }, tags }
    }
}

impl TaggedEntity {
    /// As the schema languages take them.
    pub fn entities(given: Option<&[TaggedEntity]>) -> Vec<EntityTags> {
        given.unwrap_or_default().iter().map(TaggedEntity::entity).collect()
    }

    fn entity(&self) -> EntityTags {
        let SchemaEntity { entity_path, entity_type } = &self.schema_entity;
        EntityTags { path: entity_path.clone(), kind: *entity_type, tags: self.tags.clone() }
    }
}

/// The registration that makes the change.
///
/// # Errors
/// The version does not exist, a part to tag is not in its schema, or rules are given whole and in part.
pub fn registration(
    snapshot: &Snapshot,
    subject: &Subject,
    version: VersionSpec,
    request: &TagRequest,
) -> Result<RegisterRequest, RegistryError> {
    let found = snapshot.somewhere(subject, |subject| snapshot.version(subject, version, Deleted::Hidden))?;
    let partly = request.rules_to_merge.is_some() || request.rules_to_remove.is_some();
    if request.rule_set.is_some() && partly {
        let message = "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove";
        return Err(RegistryError::InvalidRuleSet(message.to_owned()));
    }
    for rules in [&request.rules_to_merge, &request.rule_set].into_iter().flatten() {
        rules.validate()?;
    }
    let content = &found.content;
    let add = TaggedEntity::entities(request.tags_to_add.as_deref());
    let remove = TaggedEntity::entities(request.tags_to_remove.as_deref());
    let schema = match add.is_empty() && remove.is_empty() {
        true => content.schema.to_string(),
        false => snapshot.parsed(found)?.tagged(&add, &remove)?,
    };
    // What is not said of rules is the previous version's, whichever version the text is of.
    let rule_set = match partly {
        false => request.rule_set.clone(),
        true => {
            let previous = match request.new_version.filter(|version| *version > 0) {
                Some(version) => VersionSpec::Number(version - 1),
                None => VersionSpec::Latest,
            };
            let previous = snapshot.version(subject, previous, Deleted::Hidden).ok();
            let kept = previous.and_then(|version| version.content.rule_set.as_deref().cloned()).unwrap_or_default();
            let left_out: BTreeSet<&str> = request.rules_to_remove.iter().flatten().map(String::as_str).collect();
            Some(kept.merged(request.rules_to_merge.as_ref().unwrap_or(&RuleSet::default())).without(&left_out))
        }
    };
    let mut metadata = request.metadata.clone().or_else(|| content.metadata.as_deref().cloned()).unwrap_or_default();
    // The registration puts the new version's number in its place.
    metadata.properties.insert(VERSION_PROPERTY.to_owned(), "0".to_owned());
    Ok(RegisterRequest {
        schema,
        schema_type: Some(content.schema_type.to_string()),
        references: content.references.clone(),
        metadata: Some(metadata),
        rule_set,
        version: request.new_version,
        ..RegisterRequest::default()
    })
}
