//! Keys and values of the `_schemas` topic, in Confluent's record format. Pure: bytes to records and back.
//!
//! The order of fields in keys matters: compaction compares bytes, and a topic may be continued by either registry.

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use super::types::{Config, Content, Metadata, Mode, RuleSet, SchemaReference, Subject};
use crate::schema::{Level, SchemaType};

/// A record of the topic.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A version of a subject; `None` forgets it for good.
    Schema(Subject, i32, Option<SchemaValue>),
    /// Configuration of a subject or context, the default one with no subject; `None` resets it.
    Config(Option<Subject>, Option<Config>),
    /// Mode of a subject or context, the default one with no subject; `None` resets it.
    Mode(Option<Subject>, Option<Mode>),
    /// Soft-deletes all versions up to this one.
    DeleteSubject(Subject, i32),
    /// Forgets the soft-deleted versions of a subject, of a context, or of all with no subject.
    ClearSubject(Option<Subject>),
    /// Whether a context exists, whatever it holds.
    Context(String, bool),
    /// Nothing: a log-end mark, or a kind that has no meaning here.
    Noop,
}

/// The value of a schema record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaValue {
    /// Subject.
    pub subject: String,
    /// Version in the subject.
    pub version: i32,
    /// Id in the subject's context.
    pub id: i32,
    /// Base64 of the content's MD5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Language; absent is AVRO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<String>,
    /// References.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<SchemaReference>>,
    /// Data contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The text.
    pub schema: String,
    /// Soft-deleted.
    #[serde(default, deserialize_with = "null_is_false")]
    pub deleted: bool,
}

impl SchemaValue {
    /// The value for a version of a subject.
    pub fn new(subject: &Subject, version: i32, id: i32, content: &Content, deleted: bool) -> Self {
        Self {
            subject: subject.as_str().to_owned(),
            version,
            id,
            md5: Some(base64::engine::general_purpose::STANDARD.encode(content.md5)),
            schema_type: match content.schema_type {
                SchemaType::Avro => None,
                other => Some(other.as_str().to_owned()),
            },
            references: Some(content.references.clone()).filter(|references| !references.is_empty()),
            metadata: content.metadata.as_deref().cloned(),
            rule_set: content.rule_set.as_deref().cloned(),
            schema: content.schema.to_string(),
            deleted,
        }
    }
}

fn null_is_false<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A record that cannot be read. It is counted and passed over, as the reference does.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The key is not a JSON object of a known shape.
    #[error("unreadable key: {0}")]
    Key(#[source] serde_json::Error),
    /// The key names a kind nobody knows.
    #[error("unknown key type '{0}'")]
    UnknownKind(String),
    /// The key lacks what its kind needs.
    #[error("key of type {kind} without '{field}'")]
    MissingField {
        /// The key type.
        kind: String,
        /// The missing field.
        field: &'static str,
    },
    /// The value does not fit the key.
    #[error("unreadable value of a {kind} record: {source}")]
    Value {
        /// The key type.
        kind: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The value contradicts its key, itself or what is known.
    #[error("{kind} record with {what}")]
    Inconsistent {
        /// What it is a record of.
        kind: &'static str,
        /// What is wrong.
        what: String,
    },
}

#[derive(Deserialize)]
struct AnyKey {
    keytype: String,
    subject: Option<String>,
    version: Option<i32>,
    context: Option<String>,
}

#[derive(Serialize)]
struct SchemaKey<'a> {
    keytype: &'static str,
    subject: &'a str,
    version: i32,
    magic: i32,
}

#[derive(Serialize)]
struct PlainKey<'a> {
    keytype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    magic: i32,
}

#[derive(Serialize, Deserialize)]
struct ModeValue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    mode: Mode,
}

/// A level that the reference does not know would cost it the whole record. So the level is stored without lineage, and
/// a property that the reference passes over says the rest.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigValue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(flatten)]
    config: Config,
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "true_alone")]
    compatibility_lineage: bool,
}

impl ConfigValue {
    fn of(subject: Option<&Subject>, config: &Config) -> Self {
        let (mut config, level) = (config.clone(), config.level());
        let lineage = level.filter(|level| level.checks_lineage());
        if let Some(level) = lineage {
            config.compatibility_level = Some(level.without_lineage().to_string());
        }
        let subject = subject.map(|subject| subject.as_str().to_owned());
        Self { subject, config, compatibility_lineage: lineage.is_some() }
    }

    fn into_config(mut self) -> Config {
        let with_lineage = self.config.level().and_then(Level::with_lineage).filter(|_| self.compatibility_lineage);
        if let Some(level) = with_lineage {
            self.config.compatibility_level = Some(level.to_string());
        }
        self.config
    }
}

/// Whatever else somebody may have put there is no word of ours.
fn true_alone<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(serde_json::Value::deserialize(from)? == serde_json::Value::Bool(true))
}

#[derive(Serialize, Deserialize)]
struct DeleteValue {
    subject: String,
    version: i32,
}

#[derive(Serialize, Deserialize)]
struct ClearValue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

/// Who owns contexts; the reference knows one tenant.
const TENANT: &str = "default";

#[derive(Serialize)]
struct ContextKey<'a> {
    keytype: &'static str,
    tenant: &'static str,
    context: &'a str,
    magic: i32,
}

#[derive(Serialize)]
struct ContextValue<'a> {
    tenant: &'static str,
    context: &'a str,
}

/// Reads a record.
///
/// # Errors
/// Key or value are damaged or of an unknown kind.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, FormatError> {
    let key: AnyKey = serde_json::from_slice(key).map_err(FormatError::Key)?;
    let kind = key.keytype.as_str();
    let subject = key.subject.as_deref().map(Subject::from_stored);
    let missing = |field| FormatError::MissingField { kind: kind.to_owned(), field };
    let unreadable = |source| FormatError::Value { kind: kind.to_owned(), source };
    // Some writers delete by the JSON text `null`.
    let value = value.filter(|bytes| !bytes.is_empty() && *bytes != b"null");
    match kind {
        "SCHEMA" => {
            let subject = subject.ok_or_else(|| missing("subject"))?;
            let version = key.version.ok_or_else(|| missing("version"))?;
            let Some(bytes) = value else { return Ok(Record::Schema(subject, version, None)) };
            let value: SchemaValue = serde_json::from_slice(bytes).map_err(unreadable)?;
            if version < 1 || value.id < 0 {
                let what = format!("version {version} and id {}", value.id);
                return Err(FormatError::Inconsistent { kind: "schema", what });
            }
            if value.version != version || Subject::from_stored(&value.subject) != subject {
                let (other, number) = (&value.subject, value.version);
                let what = format!("key {subject} version {version} and value {other} version {number}");
                return Err(FormatError::Inconsistent { kind: "schema", what });
            }
            Ok(Record::Schema(subject, version, Some(value)))
        }
        "CONFIG" => {
            let value: Option<ConfigValue> = value.map(serde_json::from_slice).transpose().map_err(unreadable)?;
            let config = value.map(ConfigValue::into_config);
            let level = config.as_ref().and_then(|config| Some((config.compatibility_level.as_ref()?, config.level())));
            match level {
                Some((unknown, None)) => {
                    Err(FormatError::Inconsistent { kind: "config", what: format!("level '{unknown}'") })
                }
                _ => Ok(Record::Config(subject, config)),
            }
        }
        "MODE" => {
            let value: Option<ModeValue> = value.map(serde_json::from_slice).transpose().map_err(unreadable)?;
            Ok(Record::Mode(subject, value.map(|value| value.mode)))
        }
        "DELETE_SUBJECT" => {
            let Some(bytes) = value else { return Ok(Record::Noop) };
            // The key is for compaction; what to do stands in the value.
            let value: DeleteValue = serde_json::from_slice(bytes).map_err(unreadable)?;
            Ok(Record::DeleteSubject(Subject::from_stored(&value.subject), value.version))
        }
        "CLEAR_SUBJECT" => {
            let Some(bytes) = value else { return Ok(Record::Noop) };
            let value: ClearValue = serde_json::from_slice(bytes).map_err(unreadable)?;
            Ok(Record::ClearSubject(value.subject.as_deref().map(Subject::from_stored)))
        }
        "CONTEXT" => Ok(Record::Context(key.context.ok_or_else(|| missing("context"))?, value.is_some())),
        "NOOP" | "ASSOC" => Ok(Record::Noop),
        other => Err(FormatError::UnknownKind(other.to_owned())),
    }
}

/// Writes a record as (key, value).
pub fn encode(record: &Record) -> (Vec<u8>, Option<Vec<u8>>) {
    let value = match record {
        Record::Schema(_, _, value) => value.as_ref().map(json),
        Record::Config(subject, config) => {
            config.as_ref().map(|config| json(&ConfigValue::of(subject.as_ref(), config)))
        }
        Record::Mode(subject, mode) => {
            let subject = subject.as_ref().map(|subject| subject.as_str().to_owned());
            mode.map(|mode| json(&ModeValue { subject, mode }))
        }
        Record::DeleteSubject(subject, version) => {
            Some(json(&DeleteValue { subject: subject.as_str().to_owned(), version: *version }))
        }
        Record::ClearSubject(subject) => {
            Some(json(&ClearValue { subject: subject.as_ref().map(|subject| subject.as_str().to_owned()) }))
        }
        Record::Context(context, exists) => exists.then(|| json(&ContextValue { tenant: TENANT, context })),
        Record::Noop => None,
    };
    (key(record), value)
}

/// The key that we write for a record.
pub fn key(record: &Record) -> Vec<u8> {
    let plain = |keytype, subject: Option<&Subject>| {
        json(&PlainKey { keytype, subject: subject.map(Subject::as_str), magic: 0 })
    };
    match record {
        Record::Schema(subject, version, _) => {
            json(&SchemaKey { keytype: "SCHEMA", subject: subject.as_str(), version: *version, magic: 1 })
        }
        Record::Config(subject, _) => plain("CONFIG", subject.as_ref()),
        Record::Mode(subject, _) => plain("MODE", subject.as_ref()),
        Record::DeleteSubject(subject, _) => plain("DELETE_SUBJECT", Some(subject)),
        Record::ClearSubject(subject) => plain("CLEAR_SUBJECT", subject.as_ref()),
        Record::Context(context, _) => json(&ContextKey { keytype: "CONTEXT", tenant: TENANT, context, magic: 0 }),
        Record::Noop => plain("NOOP", None),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have string keys and no failing serialisers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(record: &Record) -> (String, Option<String>) {
        let (key, value) = encode(record);
        (String::from_utf8(key).unwrap(), value.map(|value| String::from_utf8(value).unwrap()))
    }

    #[test]
    fn keys_and_values_have_the_references_shape() {
        let subject = Subject::from_stored("s-value");
        let content = Content::new(SchemaType::Avro, "\"int\"".into(), "\"int\"", Vec::new(), None, None);
        let value = SchemaValue::new(&subject, 2, 7, &content, false);
        let md5 = value.md5.clone().unwrap();
        for (record, key, value) in [
            (
                Record::Schema(subject.clone(), 2, Some(value)),
                r#"{"keytype":"SCHEMA","subject":"s-value","version":2,"magic":1}"#,
                Some(format!(
                    r#"{{"subject":"s-value","version":2,"id":7,"md5":"{md5}","schema":"\"int\"","deleted":false}}"#
                )),
            ),
            (
                Record::Schema(subject.clone(), 2, None),
                r#"{"keytype":"SCHEMA","subject":"s-value","version":2,"magic":1}"#,
                None,
            ),
            (
                Record::Config(None, Some(Config { compatibility_level: Some("FULL".into()), ..Config::default() })),
                r#"{"keytype":"CONFIG","magic":0}"#,
                Some(r#"{"compatibilityLevel":"FULL"}"#.into()),
            ),
            (
                Record::Mode(Some(subject.clone()), Some(Mode::Readonly)),
                r#"{"keytype":"MODE","subject":"s-value","magic":0}"#,
                Some(r#"{"subject":"s-value","mode":"READONLY"}"#.into()),
            ),
            (
                Record::DeleteSubject(subject.clone(), 3),
                r#"{"keytype":"DELETE_SUBJECT","subject":"s-value","magic":0}"#,
                Some(r#"{"subject":"s-value","version":3}"#.into()),
            ),
            (
                Record::ClearSubject(Some(subject)),
                r#"{"keytype":"CLEAR_SUBJECT","subject":"s-value","magic":0}"#,
                Some(r#"{"subject":"s-value"}"#.into()),
            ),
            (Record::Noop, r#"{"keytype":"NOOP","magic":0}"#, None),
        ] {
            assert_eq!(text(&record), (key.to_owned(), value));
            let (key, value) = encode(&record);
            assert_eq!(decode(&key, value.as_deref()).unwrap(), record);
        }
    }

    #[test]
    fn levels_with_lineage_are_stored_as_what_the_reference_reads() {
        let config = |level: &str| Config { compatibility_level: Some(level.to_owned()), ..Config::default() };
        for (level, stored) in [
            ("BACKWARD_LINEAGE", r#"{"compatibilityLevel":"BACKWARD","compatibilityLineage":true}"#),
            ("FULL_LINEAGE", r#"{"compatibilityLevel":"FULL","compatibilityLineage":true}"#),
        ] {
            let record = Record::Config(None, Some(config(level)));
            assert_eq!(text(&record).1.as_deref(), Some(stored));
            let (key, value) = encode(&record);
            assert_eq!(decode(&key, value.as_deref()).unwrap(), record);
        }
        let key = br#"{"keytype":"CONFIG","magic":0}"#;
        for (stored, level) in [
            // Somebody else's level, or word.
            (r#"{"compatibilityLevel":"FORWARD","compatibilityLineage":true}"#, "FORWARD"),
            (r#"{"compatibilityLevel":"FULL","compatibilityLineage":"true"}"#, "FULL"),
            (r#"{"compatibilityLevel":"FULL","compatibilityLineage":null}"#, "FULL"),
            (r#"{"compatibilityLevel":"FULL_LINEAGE"}"#, "FULL_LINEAGE"),
        ] {
            assert_eq!(decode(key, Some(stored.as_bytes())).unwrap(), Record::Config(None, Some(config(level))));
        }
    }

    #[test]
    fn reads_old_and_foreign_values() {
        let key = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#;
        let old = br#"{"subject":"s","version":1,"id":5,"schema":"\"int\""}"#;
        assert!(matches!(
            decode(key, Some(old)),
            Ok(Record::Schema(_, 1, Some(SchemaValue { id: 5, deleted: false, .. })))
        ));
        // Another writer's key order and unknown fields.
        let key = br#"{"subject":"s","keytype":"CONFIG","magic":0,"more":1}"#;
        assert!(matches!(
            decode(key, Some(br#"{"compatibilityLevel":"NONE","later":{}}"#)),
            Ok(Record::Config(Some(_), Some(_)))
        ));
    }

    /// Values as the reference's serialiser writes them, with what it adds when it writes one again.
    #[test]
    fn reads_all_that_the_reference_writes() {
        let s = Subject::from_stored("s");
        let read = |key: &str, value: Option<&str>| decode(key.as_bytes(), value.map(str::as_bytes)).unwrap();
        let association = r#"{"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"-","resourceType":"topic","associationType":"value","subject":"s","magic":0}"#;
        for (key, value, expected) in [
            (r#"{"keytype":"CONFIG","magic":0}"#, None, Record::Config(None, None)),
            (r#"{"keytype":"CONFIG","subject":null,"magic":0}"#, Some(""), Record::Config(None, None)),
            (
                r#"{"keytype":"CONFIG","subject":"s","magic":0}"#,
                Some(r#"{"subject":"s","normalize":true,"offset":4,"ts":1700000000000}"#),
                Record::Config(Some(s.clone()), Some(Config { normalize: Some(true), ..Config::default() })),
            ),
            (
                r#"{"keytype":"MODE","magic":0}"#,
                Some(r#"{"mode":"READONLY_OVERRIDE"}"#),
                Record::Mode(None, Some(Mode::ReadonlyOverride)),
            ),
            (r#"{"keytype":"MODE","subject":"s","magic":0}"#, None, Record::Mode(Some(s.clone()), None)),
            // What to delete stands in the value.
            (
                r#"{"keytype":"DELETE_SUBJECT","subject":"t","magic":0}"#,
                Some(r#"{"subject":"s","version":4}"#),
                Record::DeleteSubject(s.clone(), 4),
            ),
            (r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#, None, Record::Noop),
            (
                r#"{"keytype":"CLEAR_SUBJECT","subject":"t","magic":0}"#,
                Some(r#"{"subject":"s"}"#),
                Record::ClearSubject(Some(s.clone())),
            ),
            (r#"{"keytype":"CLEAR_SUBJECT","magic":0}"#, Some("{}"), Record::ClearSubject(None)),
            (r#"{"keytype":"CLEAR_SUBJECT","magic":0}"#, None, Record::Noop),
            (
                r#"{"keytype":"CONTEXT","tenant":"default","context":".x"}"#,
                Some(r#"{"tenant":"default","context":".x"}"#),
                Record::Context(".x".to_owned(), true),
            ),
            (
                r#"{"keytype":"CONTEXT","tenant":"default","context":".x"}"#,
                None,
                Record::Context(".x".to_owned(), false),
            ),
            (association, Some(r#"{"subject":"s","guid":"g","frozen":false,"createTs":1}"#), Record::Noop),
            (association, None, Record::Noop),
            (r#"{"keytype":"NOOP","magic":0}"#, None, Record::Noop),
            (
                r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
                Some("null"),
                Record::Schema(s.clone(), 1, None),
            ),
        ] {
            assert_eq!(read(key, value), expected, "{key} {value:?}");
        }
        // A version that was deleted and written again: null where another serialiser leaves out.
        let key = r#"{"keytype":"SCHEMA","subject":"s","version":3,"magic":0}"#;
        let value = r#"{"subject":"s","version":3,"id":9,"md5":"cW9wcQ==","schemaType":"JSON","references":[{"name":"n","subject":"t","version":2}],
            "metadata":{"tags":null,"properties":{"owner":"x"},"sensitive":["p"]},
            "ruleSet":{"migrationRules":null,"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","expr":"true","disabled":false}]},
            "schema":"{}","deleted":null,"offset":4,"ts":1700000000000}"#;
        let Record::Schema(_, 3, Some(value)) = read(key, Some(value)) else { panic!("no schema") };
        assert_eq!((value.id, value.schema_type.as_deref(), value.deleted), (9, Some("JSON"), false));
        assert_eq!(value.references.unwrap(), [SchemaReference { name: "n".into(), subject: "t".into(), version: 2 }]);
        assert_eq!(value.metadata.unwrap().properties["owner"], "x");
        assert_eq!(value.rule_set.unwrap().domain_rules[0].executor.as_deref(), Some("CEL"));
    }

    #[test]
    fn damaged_records_are_errors_not_panics() {
        let schema = br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#.as_slice();
        for (key, value) in [
            (b"".as_slice(), None),
            (b"\xff\x00".as_slice(), None),
            (b"[]".as_slice(), None),
            (br#"{"keytype":"WHAT"}"#.as_slice(), None),
            (br#"{"keytype":"SCHEMA","subject":"s"}"#.as_slice(), None),
            (schema, Some(b"{".as_slice())),
            (schema, Some(br#"{"subject":"s","version":2,"id":1,"schema":"x"}"#.as_slice())),
            (schema, Some(br#"{"subject":"t","version":1,"id":1,"schema":"x"}"#.as_slice())),
            (schema, Some(br#"{"subject":"s","version":1,"id":-1,"schema":"x"}"#.as_slice())),
            (br#"{"keytype":"MODE","magic":0}"#.as_slice(), Some(br#"{"mode":"ODD"}"#.as_slice())),
        ] {
            assert!(decode(key, value).is_err(), "{}", String::from_utf8_lossy(key));
        }
    }
}
