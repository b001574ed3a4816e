//! The check at start: what the registry holds of a stage's inputs must be readable by the schemas of this program.
//! Knows schemas and the registry, nothing of clients and threads.

use std::fmt;

use serde_json::Value;

use crate::codec::avro::{RawSubject, subject_of};
use crate::registry::client::{ClientError, FoundSchema, RegistryClient};
use crate::schema::{self, Incompatibility, ParsedSchema, SchemaType, Validation};

/// Most faults that are listed of one version.
const MAX_FAULTS: usize = 5;

/// A stage may not start.
#[derive(Debug, thiserror::Error)]
pub enum ReadableError {
    /// The registry did not say what it holds.
    #[error("could not look up the versions of subject {subject}")]
    Registry {
        /// The subject.
        subject: String,
        /// The registry's answer.
        #[source]
        source: ClientError,
    },
    /// Records written with these versions could not be read.
    #[error("the schema registry holds what this version of the program cannot read:{}\n  delete these versions if \
             nothing was written with them, or upgrade this program", Listed(.0))]
    Unreadable(Vec<UnreadableVersion>),
}

/// A version whose records cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableVersion {
    /// The subject.
    pub subject: String,
    /// Number of the version.
    pub version: i32,
    /// Its schema id.
    pub id: i32,
    /// Where and why; never empty.
    pub faults: Vec<FieldFault>,
}

/// What does not fit in a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// Path of the field in our schema, its names joined by dots; empty where the whole schema is meant.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

struct Listed<'a>(&'a [UnreadableVersion]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for version in self.0 {
            for FieldFault { field, message } in &version.faults {
                let UnreadableVersion { subject, version, id, .. } = version;
                let field = if field.is_empty() { "the schema".to_owned() } else { format!("field {field}") };
                write!(f, "\n  {subject} version {version} (id {id}): {field}: {message}")?;
            }
        }
        Ok(())
    }
}

/// How records of a topic are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Foreign records, by the schema of their kind: records may have other names, and a null where we have none makes
    /// that one record a dead letter.
    Raw(RawSubject),
    /// Our own records, by the topic's schema.
    Own,
}

/// Checks every live version of the value subject of `topic`. A topic without a schema of ours is not looked at.
///
/// # Errors
/// The registry does not answer, or holds a version that cannot be read.
pub fn check_topic(registry: &RegistryClient, topic: &str, reading: Reading) -> Result<(), ReadableError> {
    let ours = match reading {
        Reading::Raw(kind) => subject_of(kind.topic()),
        Reading::Own => subject_of(topic),
    };
    let Some(ours) = ours else { return Ok(()) };
    let subject = format!("{topic}-value");
    let versions = registry
        .versions_blocking(&subject)
        .map_err(|source| ReadableError::Registry { subject: subject.clone(), source })?;
    let reader_text = ours.current();
    let reader = schema::parse(SchemaType::Avro, reader_text, &[], Validation::Lenient)
        .expect("embedded schemas are parsed by a test");
    let unreadable: Vec<UnreadableVersion> = versions
        .into_iter()
        .filter_map(|found| {
            let faults = faults(&*reader, reader_text, &found, reading);
            let version = found.version.unwrap_or_default();
            (!faults.is_empty()).then(|| UnreadableVersion { subject: subject.clone(), version, id: found.id, faults })
        })
        .collect();
    if unreadable.is_empty() { Ok(()) } else { Err(ReadableError::Unreadable(unreadable)) }
}

fn faults(reader: &dyn ParsedSchema, reader_text: &str, writer: &FoundSchema, reading: Reading) -> Vec<FieldFault> {
    let whole = |message: String| vec![FieldFault { field: String::new(), message }];
    if writer.schema_type != SchemaType::Avro {
        return whole(format!("it is of type {}, records of this topic are AVRO or plain JSON", writer.schema_type));
    }
    let parsed = match schema::parse(SchemaType::Avro, &writer.schema, &writer.references, Validation::Lenient) {
        Ok(parsed) => parsed,
        Err(error) => return whole(format!("it is no readable schema: {error}")),
    };
    let counts = |found: &Incompatibility| match reading {
        Reading::Own => true,
        Reading::Raw(_) => found.kind != "NAME_MISMATCH" && !found.message.ends_with("writer type: NULL"),
    };
    let text: Value = serde_json::from_str(reader_text).unwrap_or_default();
    let found = reader.incompatibilities(&*parsed).into_iter().filter(counts);
    let fault = |found: Incompatibility| FieldFault {
        field: field_path(&text, &found.location),
        message: match found.kind {
            "READER_FIELD_MISSING_DEFAULT_VALUE" => "the version lacks this field, which has no default".to_owned(),
            _ => found.message,
        },
    };
    found.take(MAX_FAULTS).map(fault).collect()
}

/// The names of the fields on the way of a JSON pointer into a schema. Where the pointer leaves the text, as below a
/// type that is only named there, its remaining steps are kept.
fn field_path(schema: &Value, pointer: &str) -> String {
    let mut names = Vec::new();
    let mut at = Some(schema);
    let steps = pointer.split('/').filter(|step| !step.is_empty());
    let mut in_fields = None;
    for step in steps {
        at = at.and_then(|value| match value {
            Value::Array(entries) => step.parse::<usize>().ok().and_then(|index| entries.get(index)),
            other => other.get(step),
        });
        match (in_fields.take(), at) {
            (Some(InFields), Some(field)) => names.extend(field.get("name").and_then(Value::as_str).map(str::to_owned)),
            (Some(InFields), None) => names.push(step.to_owned()),
            (None, _) if step == "fields" => in_fields = Some(InFields),
            (None, _) => {}
        }
    }
    names.join(".")
}

/// The step before was the list of a record's fields.
struct InFields;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::avro::SUBJECTS;
    use crate::registry::client::RestRegistry;
    use crate::registry::decide::{Command, CompatibilityCheck, RegisterRequest};
    use crate::registry::log::MemoryLog;
    use crate::registry::tls::ClientTls;
    use crate::registry::types::Subject;
    use crate::registry::{RegistryHandle, RegistryOptions, http};
    use crate::topology::schemas::register_all;

    /// A registry with our subjects and whatever others have put beside them.
    fn registry(foreign: &[(&str, &str)]) -> RegistryHandle {
        let registry = RegistryHandle::start(Arc::new(MemoryLog::default()), &RegistryOptions::default()).unwrap();
        register_all(&RegistryClient::InProcess(registry.clone())).unwrap();
        for (subject, schema) in foreign {
            let request = RegisterRequest {
                schema: (*schema).to_owned(),
                compatibility: CompatibilityCheck::Skipped,
                ..RegisterRequest::default()
            };
            let subject = Subject::parse(subject).unwrap();
            registry.write_blocking(Command::Register { subject, request: Box::new(request) }).unwrap();
        }
        registry
    }

    const HMS: Reading = Reading::Raw(RawSubject::HmsNotifications);

    fn unreadable(client: &RegistryClient, topic: &str, reading: Reading) -> Vec<UnreadableVersion> {
        match check_topic(client, topic, reading) {
            Err(ReadableError::Unreadable(versions)) => versions,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn our_own_versions_are_readable() {
        let client = RegistryClient::InProcess(registry(&[]));
        for subject in SUBJECTS {
            check_topic(&client, subject.topic, Reading::Own).unwrap();
        }
        check_topic(&client, "hms.notifications", HMS).unwrap();
        check_topic(&client, "_schemas", Reading::Own).unwrap();
    }

    /// Old readers read what new writers write, and the other way round: subjects stand under FULL_TRANSITIVE.
    #[test]
    fn versions_of_a_subject_read_each_other() {
        let parse = |text: &&str| schema::parse(SchemaType::Avro, text, &[], Validation::Strict).unwrap();
        for subject in SUBJECTS {
            let versions: Vec<_> = subject.versions.iter().map(parse).collect();
            for reader in &versions {
                for writer in &versions {
                    let found = reader.incompatibilities(&**writer);
                    assert!(found.is_empty(), "{}: {found:?}", subject.name);
                }
            }
        }
    }

    /// eventId is missing, message is a number. Both in process and over REST.
    #[test]
    fn a_version_that_cannot_be_read_is_named_with_its_field() {
        let bad = r#"{"type":"record","name":"NotificationEvent","namespace":"tributary.raw.v1","fields":[
            {"name":"eventType","type":"string"},{"name":"message","type":"long"}]}"#;
        let handle = registry(&[("hms.notifications-value", bad)]);
        let expected = |found: Vec<UnreadableVersion>| {
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].subject.as_str(), found[0].version), ("hms.notifications-value", 2));
            let fields: Vec<&str> = found[0].faults.iter().map(|fault| fault.field.as_str()).collect();
            assert_eq!(fields, ["eventId", "message"]);
        };
        expected(unreadable(&RegistryClient::InProcess(handle.clone()), "hms.notifications", HMS));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = http::router(handle.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        let rest = RegistryClient::Rest(RestRegistry::new(&url, None, &ClientTls::default()).unwrap());
        expected(unreadable(&rest, "hms.notifications", HMS));
        let text = check_topic(&rest, "hms.notifications", HMS).unwrap_err().to_string();
        assert!(text.contains("hms.notifications-value version 2 (id 21): field eventId: the version lacks"), "{text}");
        // A deleted version counts no more.
        let (subject, deletion) =
            (Subject::parse("hms.notifications-value").unwrap(), crate::registry::decide::Deletion::Soft);
        let version = crate::registry::types::VersionSpec::Number(2);
        handle.write_blocking(Command::DeleteVersion { subject, version, deletion }).unwrap();
        check_topic(&rest, "hms.notifications", HMS).unwrap();
    }

    #[test]
    fn foreign_spellings_of_raw_records_are_readable() {
        // As connectors write: a name of their own, everything optional, fields we do not know.
        let connect = r#"{"type":"record","name":"ConnectDefault","fields":[
            {"name":"eventId","type":["null","long"]},{"name":"eventType","type":["null","string"]},
            {"name":"message","type":["null","string"]},{"name":"eventTime","type":["null","int"]},
            {"name":"extra","type":"bytes"}]}"#;
        let client = RegistryClient::InProcess(registry(&[("lake.events-value", connect)]));
        check_topic(&client, "lake.events", HMS).unwrap();
        // Our own records are never spelled otherwise.
        let renamed = r#"{"type":"record","name":"Other","fields":[]}"#;
        let client = RegistryClient::InProcess(registry(&[("catalog.facts-value", renamed)]));
        assert!(!unreadable(&client, "catalog.facts", Reading::Own).is_empty());
    }

    #[test]
    fn field_names_are_found_at_any_depth() {
        let schema: Value = serde_json::from_str(
            r#"{"fields":[{"name":"a"},{"name":"b","type":["null",{"fields":[{"name":"c","type":"int"}]}]}]}"#,
        )
        .unwrap();
        assert_eq!(field_path(&schema, "/fields/1/type/1/fields/0/type"), "b.c");
        assert_eq!(field_path(&schema, "/fields/0"), "a");
        assert_eq!(field_path(&schema, "/fields/0/type/fields/7/type"), "a.7");
        assert_eq!(field_path(&schema, "/name"), "");
        assert_eq!(field_path(&schema, "/"), "");
    }
}
