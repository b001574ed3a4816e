//! The registry's vocabulary: subjects and contexts, versions, references, metadata, rule sets, configuration, modes.
//! Field names and order are those of the reference's JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use crate::schema::{Level, ParsedSchema, SchemaType};

/// The context of subjects that name none.
pub const DEFAULT_CONTEXT: &str = ".";

/// A subject's name with its context: `orders-value`, or `:.context:orders-value`.
///
/// The default context is never written; a subject with an empty name stands for its whole context.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    text: Arc<str>,
    /// Where the plain name starts in `text`.
    name_at: usize,
}

impl Subject {
    /// Parses a subject as clients write it.
    ///
    /// # Errors
    /// The name is empty or has control characters.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(RegistryError::InvalidSubject(text.escape_debug().to_string()));
        }
        Ok(Self::from_stored(text))
    }

    /// A subject as found in the topic, whatever it contains.
    pub fn from_stored(text: &str) -> Self {
        let split = text.strip_prefix(":.").and_then(|rest| rest.split_once(':'));
        match split {
            Some(("", name)) => Self { text: name.into(), name_at: 0 },
            Some((context, _)) => Self { text: text.into(), name_at: context.len() + 3 },
            None => Self { text: text.into(), name_at: 0 },
        }
    }

    /// As clients see it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The context, with its leading dot.
    pub fn context(&self) -> &str {
        if self.name_at == 0 { DEFAULT_CONTEXT } else { self.text.get(1..self.name_at - 1).unwrap_or(DEFAULT_CONTEXT) }
    }

    /// The name without its context.
    pub fn name(&self) -> &str {
        self.text.get(self.name_at..).unwrap_or_default()
    }

    /// The subject that stands for this one's whole context, where that is not the default one.
    pub fn context_subject(&self) -> Option<&str> {
        if self.name_at == 0 { None } else { self.text.get(..self.name_at) }
    }

    /// A subject named inside a schema of this subject: without a context of its own it lies in this one's.
    pub fn sibling(&self, text: &str) -> Subject {
        match self.context_subject() {
            Some(prefix) if !text.starts_with(":.") => Self::from_stored(&format!("{prefix}{text}")),
            _ => Self::from_stored(text),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A version as clients name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionSpec {
    /// The highest live version.
    Latest,
    /// A version by number.
    Number(i32),
}

impl FromStr for VersionSpec {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("latest") || text == "-1" {
            return Ok(VersionSpec::Latest);
        }
        match text.parse::<i32>() {
            Ok(number) if number > 0 => Ok(VersionSpec::Number(number)),
            _ => Err(RegistryError::InvalidVersion(text.to_owned())),
        }
    }
}

/// A schema's reference to a version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SchemaReference {
    /// Name under which the schema knows it.
    #[serde(default)]
    pub name: String,
    /// Subject it is registered under.
    #[serde(default)]
    pub subject: String,
    /// Version in that subject; -1 is the latest.
    #[serde(default)]
    pub version: i32,
}

/// What a data contract says about a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Path → tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Free properties.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Names of properties whose values are secret.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "null_is_empty")]
    pub sensitive: BTreeSet<String>,
}

impl Metadata {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.properties.is_empty() && self.sensitive.is_empty()
    }

    /// This with all of `over` put on top.
    pub fn merged(mut self, over: &Metadata) -> Metadata {
        self.tags.extend(over.tags.clone());
        self.properties.extend(over.properties.clone());
        self.sensitive.extend(over.sensitive.iter().cloned());
        self
    }
}

/// One rule of a data contract. Everything but name, kind and mode is carried as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Name, unique in its rule set.
    #[serde(default)]
    pub name: String,
    /// When it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What executes it.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// All other attributes.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// The rules of a data contract.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSet {
    /// Rules between versions.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub migration_rules: Vec<Rule>,
    /// Rules on data.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub domain_rules: Vec<Rule>,
    /// Rules on bytes.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub encoding_rules: Vec<Rule>,
}

impl RuleSet {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.migration_rules.is_empty() && self.domain_rules.is_empty() && self.encoding_rules.is_empty()
    }

    /// This with the rules of `over` put on top, by name.
    pub fn merged(&self, over: &RuleSet) -> RuleSet {
        let merge = |under: &[Rule], over: &[Rule]| {
            let kept = under.iter().filter(|rule| !over.iter().any(|other| other.name == rule.name));
            kept.chain(over).cloned().collect()
        };
        RuleSet {
            migration_rules: merge(&self.migration_rules, &over.migration_rules),
            domain_rules: merge(&self.domain_rules, &over.domain_rules),
            encoding_rules: merge(&self.encoding_rules, &over.encoding_rules),
        }
    }

    /// Checks names, types and modes.
    ///
    /// # Errors
    /// A rule without name or type, a name twice, or a mode its kind of rule cannot have.
    pub fn validate(&self) -> Result<(), RegistryError> {
        let migration = ["UPGRADE", "DOWNGRADE", "UPDOWN"];
        let others = ["WRITE", "READ", "WRITEREAD"];
        let mut names = BTreeSet::new();
        for (rules, modes) in
            [(&self.migration_rules, migration), (&self.domain_rules, others), (&self.encoding_rules, others)]
        {
            for rule in rules {
                let invalid = |what: &str| RegistryError::InvalidRuleSet(format!("rule '{}' {what}", rule.name));
                if rule.name.is_empty() {
                    return Err(invalid("has no name"));
                }
                if !names.insert(&rule.name) {
                    return Err(invalid("exists twice"));
                }
                if rule.kind.as_deref().unwrap_or_default().is_empty() {
                    return Err(invalid("has no type"));
                }
                if let Some(mode) = &rule.mode
                    && !modes.contains(&mode.as_str())
                {
                    return Err(invalid(&format!("cannot have mode {mode}")));
                }
            }
        }
        Ok(())
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Configuration of a subject, a context or the whole registry, in the form the topic and `GET /config` have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the reference's")]
pub struct Config {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_fields: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_new_schemas: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_rules: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rule_set: Option<RuleSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_rule_set: Option<RuleSet>,
}

impl Config {
    /// The compatibility level, where one is set and known.
    pub fn level(&self) -> Option<Level> {
        self.compatibility_level.as_deref().and_then(|level| level.parse().ok())
    }

    /// This with what `over` says put on top.
    pub fn merged(&self, over: &Config) -> Config {
        Config {
            alias: over.alias.clone().or_else(|| self.alias.clone()),
            normalize: over.normalize.or(self.normalize),
            validate_fields: over.validate_fields.or(self.validate_fields),
            validate_new_schemas: over.validate_new_schemas.or(self.validate_new_schemas),
            validate_rules: over.validate_rules.or(self.validate_rules),
            compatibility_level: over.compatibility_level.clone().or_else(|| self.compatibility_level.clone()),
            compatibility_policy: over.compatibility_policy.clone().or_else(|| self.compatibility_policy.clone()),
            compatibility_group: over.compatibility_group.clone().or_else(|| self.compatibility_group.clone()),
            default_metadata: over.default_metadata.clone().or_else(|| self.default_metadata.clone()),
            override_metadata: over.override_metadata.clone().or_else(|| self.override_metadata.clone()),
            default_rule_set: over.default_rule_set.clone().or_else(|| self.default_rule_set.clone()),
            override_rule_set: over.override_rule_set.clone().or_else(|| self.override_rule_set.clone()),
        }
    }
}

/// What writes a subject takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// All.
    #[default]
    Readwrite,
    /// None.
    Readonly,
    /// None, whatever its subjects say.
    ReadonlyOverride,
    /// As `Readwrite`; the reference forwards reads elsewhere.
    Forward,
    /// Schemas with the ids and versions they bring.
    Import,
}

impl FromStr for Mode {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "READWRITE" => Mode::Readwrite,
            "READONLY" => Mode::Readonly,
            "READONLY_OVERRIDE" => Mode::ReadonlyOverride,
            "FORWARD" => Mode::Forward,
            "IMPORT" => Mode::Import,
            _ => return Err(RegistryError::InvalidMode),
        })
    }
}

/// Hash of a schema's content: equal content, equal id within a context.
pub type ContentKey = [u8; 16];

/// What an id stands for.
#[derive(Debug)]
pub struct Content {
    /// Language.
    pub schema_type: SchemaType,
    /// The text as stored.
    pub schema: Arc<str>,
    /// References, as written.
    pub references: Vec<SchemaReference>,
    /// Data contract.
    pub metadata: Option<Metadata>,
    /// Rules.
    pub rule_set: Option<RuleSet>,
    /// Identity, over the canonical text.
    pub key: ContentKey,
    /// The parsed schema, made at its first use.
    pub(super) parsed: OnceLock<Arc<dyn ParsedSchema>>,
}

impl Content {
    /// Content of a schema whose canonical text is `canonical`.
    pub fn new(
        schema_type: SchemaType,
        schema: Arc<str>,
        canonical: &str,
        references: Vec<SchemaReference>,
        metadata: Option<Metadata>,
        rule_set: Option<RuleSet>,
    ) -> Self {
        let metadata = metadata.filter(|metadata| !metadata.is_empty());
        let rule_set = rule_set.filter(|rules| !rules.is_empty());
        let mut hash = Md5::new();
        hash.update(canonical);
        if schema_type != SchemaType::Avro {
            hash.update(schema_type.as_str());
        }
        for reference in &references {
            hash.update(&reference.name);
            hash.update(&reference.subject);
            hash.update(reference.version.to_be_bytes());
        }
        if let Some(metadata) = &metadata {
            hash.update(serde_json::to_vec(metadata).unwrap_or_default());
        }
        if let Some(rules) = &rule_set {
            hash.update(serde_json::to_vec(rules).unwrap_or_default());
        }
        let key = hash.finalize().into();
        Self { schema_type, schema, references, metadata, rule_set, key, parsed: OnceLock::new() }
    }

    /// Identity across contexts, as a UUID.
    pub fn guid(&self) -> String {
        uuid::Uuid::from_bytes(self.key).to_string()
    }
}

/// One version of a subject.
#[derive(Debug, Clone)]
pub struct SchemaVersion {
    /// Subject.
    pub subject: Subject,
    /// Number in the subject, from 1.
    pub version: i32,
    /// Id in the context.
    pub id: i32,
    /// What the id stands for.
    pub content: Arc<Content>,
    /// Soft-deleted.
    pub deleted: bool,
    /// When the topic took it, in ms since 1970.
    pub timestamp: i64,
}
