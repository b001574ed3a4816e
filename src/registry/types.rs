//! The registry's vocabulary: subjects and contexts, versions, references, metadata, rule sets, configuration, modes.
//! Field names and order are those of the reference's JSON.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use crate::schema::{Level, SchemaType};

/// The context of subjects that name none.
pub const DEFAULT_CONTEXT: &str = ".";
/// A rule's kind, if it says none.
const TRANSFORM: &str = "TRANSFORM";
/// A rule's mode, if it says none.
const WRITEREAD: &str = "WRITEREAD";
/// Longest name of a rule, in characters.
const MAX_RULE_NAME: usize = 256;

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
            return Err(RegistryError::InvalidSubject(text.to_owned()));
        }
        Ok(Self::from_stored(text))
    }

    /// A subject as found in the topic, whatever it contains.
    pub fn from_stored(text: &str) -> Self {
        let Some(rest) = text.strip_prefix(":.") else { return Self { text: text.into(), name_at: 0 } };
        match rest.split_once(':') {
            Some(("", name)) => Self { text: name.into(), name_at: 0 },
            Some((context, _)) => Self { text: text.into(), name_at: context.len() + 3 },
            // A context alone may be written without its second colon.
            None if rest.is_empty() => Self { text: "".into(), name_at: 0 },
            None => Self { text: format!("{text}:").into(), name_at: text.len() + 1 },
        }
    }

    /// What a configuration or a mode is of: `None`, the default context, for `:.:`.
    pub fn scope(text: &str) -> Option<Self> {
        Some(Self::from_stored(text)).filter(|subject| !subject.text.is_empty())
    }

    /// Whether settings may be given to it, as to a subject or as to a context.
    ///
    /// # Errors
    /// It has control characters, or its name has a meaning of its own.
    pub fn check(&self) -> Result<(), RegistryError> {
        let invalid = self.text.chars().any(char::is_control) || matches!(self.name(), "__GLOBAL" | "__EMPTY");
        if invalid { Err(RegistryError::InvalidSubject(self.to_string())) } else { Ok(()) }
    }

    /// Whether it is a context, not a subject of one.
    pub fn is_context(&self) -> bool {
        self.name().is_empty()
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
        let text = text.trim();
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

    fn hash(&self, hash: &mut Md5) {
        for (path, tags) in &self.tags {
            hash.update(path);
            tags.iter().for_each(|tag| hash.update(tag));
        }
        for (key, value) in &self.properties {
            hash.update(key);
            hash.update(value);
        }
        self.sensitive.iter().for_each(|name| hash.update(name));
    }

    /// This with all of `over` put on top.
    pub fn merged(mut self, over: &Metadata) -> Metadata {
        self.tags.extend(over.tags.clone());
        self.properties.extend(over.properties.clone());
        self.sensitive.extend(over.sensitive.iter().cloned());
        self
    }
}

/// One rule of a data contract, with what the reference fills in where a client says nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the reference's")]
pub struct Rule {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    #[serde(deserialize_with = "null_is_transform")]
    pub kind: String,
    #[serde(deserialize_with = "null_is_writeread")]
    pub mode: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "null_is_empty")]
    pub tags: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_empty")]
    pub params: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub disabled: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            name: String::new(),
            doc: None,
            kind: TRANSFORM.to_owned(),
            mode: WRITEREAD.to_owned(),
            executor: None,
            tags: BTreeSet::new(),
            params: BTreeMap::new(),
            expr: None,
            on_success: None,
            on_failure: None,
            disabled: false,
        }
    }
}

impl Rule {
    fn validate(&self) -> Result<(), RegistryError> {
        let invalid = |what: String| Err(RegistryError::InvalidRuleSet(what));
        let name = &self.name;
        let Some(first) = name.chars().next() else { return invalid("Missing rule name".to_owned()) };
        if name.chars().count() > MAX_RULE_NAME {
            return invalid("Rule name too long".to_owned());
        }
        if !(first.is_alphabetic() || first == '_') {
            return invalid(format!("Illegal initial character in rule name: {name}"));
        }
        if !name.chars().all(|char| char.is_alphanumeric() || char == '_' || char == '-') {
            return invalid(format!("Illegal character in rule name: {name}"));
        }
        if self.executor.as_deref().unwrap_or_default().is_empty() {
            return invalid("Missing rule type".to_owned());
        }
        let has_two = |action: &Option<String>| action.as_deref().is_some_and(|action| action.contains(','));
        if (has_two(&self.on_success) || has_two(&self.on_failure)) && !matches!(&*self.mode, "WRITEREAD" | "UPDOWN") {
            return invalid("Multiple actions only valid with WRITEREAD and UPDOWN".to_owned());
        }
        Ok(())
    }

    fn hash(&self, hash: &mut Md5) {
        hash.update(&self.name);
        hash.update(self.doc.as_deref().unwrap_or_default());
        hash.update(&self.kind);
        hash.update(&self.mode);
        hash.update(self.executor.as_deref().unwrap_or_default());
        self.tags.iter().for_each(|tag| hash.update(tag));
        for (key, value) in &self.params {
            hash.update(key);
            hash.update(value);
        }
        for text in [&self.expr, &self.on_success, &self.on_failure].into_iter().flatten() {
            hash.update(text);
        }
        if self.disabled {
            hash.update([1]);
        }
    }
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
    /// From when on they hold; kept as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_at: Option<serde_json::Value>,
}

impl RuleSet {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.migration_rules.is_empty() && self.domain_rules.is_empty() && self.encoding_rules.is_empty()
    }

    /// This with the rules of `over` put on top, by name.
    pub fn merged(&self, over: &RuleSet) -> RuleSet {
        let merge = |under: &[Rule], over: &[Rule]| {
            let named: HashSet<&str> = over.iter().map(|rule| rule.name.as_str()).collect();
            let kept = under.iter().filter(|rule| !named.contains(rule.name.as_str()));
            kept.chain(over).cloned().collect()
        };
        RuleSet {
            migration_rules: merge(&self.migration_rules, &over.migration_rules),
            domain_rules: merge(&self.domain_rules, &over.domain_rules),
            encoding_rules: merge(&self.encoding_rules, &over.encoding_rules),
            enable_at: over.enable_at.clone().or_else(|| self.enable_at.clone()),
        }
    }

    /// This without the rules of these names.
    pub fn without(mut self, names: &BTreeSet<&str>) -> RuleSet {
        for rules in [&mut self.migration_rules, &mut self.domain_rules, &mut self.encoding_rules] {
            rules.retain(|rule| !names.contains(rule.name.as_str()));
        }
        self
    }

    /// Whether a rule is executed by this.
    pub fn has_type(&self, executor: &str) -> bool {
        let rules = [&self.migration_rules, &self.domain_rules, &self.encoding_rules];
        rules.into_iter().flatten().any(|rule| rule.executor.as_deref() == Some(executor))
    }

    /// Checks names, types and modes.
    ///
    /// # Errors
    /// A rule without name or type, a name twice, or a mode its kind of rule cannot have.
    pub fn validate(&self) -> Result<(), RegistryError> {
        let migration = ["UPGRADE", "DOWNGRADE", "UPDOWN"];
        let others = ["WRITE", "READ", "WRITEREAD"];
        let mut names = BTreeSet::new();
        for (kind, rules, modes) in [
            ("Migration", &self.migration_rules, migration),
            ("Domain", &self.domain_rules, others),
            ("Encoding", &self.encoding_rules, others),
        ] {
            for rule in rules {
                if !rule.name.is_empty() && !names.insert(&rule.name) {
                    let message = format!("Found rule with duplicate name '{}'", rule.name);
                    return Err(RegistryError::InvalidRuleSet(message));
                }
                rule.validate()?;
                if !modes.contains(&&*rule.mode) {
                    let message = format!("{kind} rules can only be {}", modes.join(", "));
                    return Err(RegistryError::InvalidRuleSet(message));
                }
            }
        }
        Ok(())
    }

    fn hash(&self, hash: &mut Md5) {
        let rules = [&self.migration_rules, &self.domain_rules, &self.encoding_rules];
        rules.into_iter().flatten().for_each(|rule| rule.hash(hash));
        if let Some(at) = &self.enable_at {
            hash.update(at.as_str().map_or_else(|| at.to_string(), str::to_owned));
        }
    }
}

fn null_is_transform<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(|| TRANSFORM.to_owned()))
}

fn null_is_writeread<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(|| WRITEREAD.to_owned()))
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
    pub alias_for_deks: Option<String>,
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

    /// This without the fields of these names in JSON.
    pub fn without(self, names: &BTreeSet<String>) -> Config {
        if names.is_empty() {
            return self;
        }
        let mut fields = serde_json::to_value(&self).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            fields.retain(|name, _| !names.contains(name));
        }
        serde_json::from_value(fields).unwrap_or(self)
    }

    /// This with what `over` says put on top.
    pub fn merged(&self, over: &Config) -> Config {
        Config {
            alias: over.alias.clone().or_else(|| self.alias.clone()),
            alias_for_deks: over.alias_for_deks.clone().or_else(|| self.alias_for_deks.clone()),
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
    /// As `Import`; the reference forwards reads elsewhere.
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
            _ => {
                let known = "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.";
                return Err(RegistryError::InvalidMode(known));
            }
        })
    }
}

/// Hash of a schema's content.
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
    /// Data contract; most schemas have none, so that it and the rules take room only where they are.
    pub metadata: Option<Box<Metadata>>,
    /// Rules.
    pub rule_set: Option<Box<RuleSet>>,
    /// Identity, over the canonical text and the language.
    pub key: ContentKey,
    /// The reference's hash of the content, by which it is known across contexts and registries.
    pub md5: ContentKey,
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
        for reference in &references {
            hash.update(&reference.name);
            hash.update(&reference.subject);
            hash.update(reference.version.to_be_bytes());
        }
        if let Some(metadata) = &metadata {
            hash.update([1]);
            metadata.hash(&mut hash);
        }
        if let Some(rules) = &rule_set {
            hash.update([1]);
            rules.hash(&mut hash);
        }
        let md5 = hash.clone().finalize().into();
        if schema_type != SchemaType::Avro {
            hash.update(schema_type.as_str());
        }
        let key = hash.finalize().into();
        let (metadata, rule_set) = (metadata.map(Box::new), rule_set.map(Box::new));
        Self { schema_type, schema, references, metadata, rule_set, key, md5 }
    }

    /// The same schema under another contract.
    pub fn with_contract(self, (metadata, rule_set): (Option<Metadata>, Option<RuleSet>)) -> Self {
        let text = Arc::clone(&self.schema);
        Self::new(self.schema_type, self.schema, &text, self.references, metadata, rule_set)
    }

    /// The same with the identity that another canonical text gives.
    pub(super) fn with_canonical(self, canonical: &str) -> Self {
        let (metadata, rule_set) = (self.metadata.map(|boxed| *boxed), self.rule_set.map(|boxed| *boxed));
        Self::new(self.schema_type, self.schema, canonical, self.references, metadata, rule_set)
    }

    /// Identity across contexts, as a UUID.
    pub fn guid(&self) -> String {
        uuid::Uuid::from_bytes(self.md5).to_string()
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
