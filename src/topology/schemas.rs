//! Our subjects in a schema registry: registering them, and looking writers' schemas up.

use crate::codec::avro::{SUBJECTS, SchemaLookupError, WriterSchema, WriterSchemas};
use crate::model::record::CatalogTopic;
use crate::registry::client::{ClientError, RegistryClient};
use crate::schema::SchemaType;

use super::stages::{FACTS, STATEMENTS, SchemaIds};

/// A subject could not be registered.
#[derive(Debug, thiserror::Error)]
#[error("could not register subject {subject}")]
pub struct SubjectError {
    /// The subject.
    pub subject: &'static str,
    /// The registry's answer.
    #[source]
    pub source: ClientError,
}

/// Registers every version of every subject of ours, oldest first, and returns the ids under which we write. Subjects
/// that are registered already keep their ids.
pub fn register_all(registry: &RegistryClient) -> Result<SchemaIds, SubjectError> {
    let mut ids = SchemaIds::default();
    for subject in SUBJECTS {
        let mut current = 0;
        for version in subject.versions {
            current = registry
                .register_blocking(subject.name, version)
                .map_err(|source| SubjectError { subject: subject.name, source })?;
        }
        let current = current.unsigned_abs();
        if subject.topic == FACTS {
            ids.facts = current;
        }
        if subject.topic == STATEMENTS {
            ids.statements = current;
        }
        if let Some(topic) = CatalogTopic::ALL.into_iter().find(|topic| topic.name() == subject.topic) {
            ids.records.insert(topic, current);
        }
    }
    Ok(ids)
}

/// Writers' schemas as the registry holds them.
pub struct RegistrySchemas(pub RegistryClient);

impl WriterSchemas for RegistrySchemas {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        let Ok(id) = i32::try_from(id) else { return Err(SchemaLookupError::Unknown) };
        match self.0.schema_by_id_blocking(id) {
            Ok(found) if found.schema_type == SchemaType::Avro => Ok(WriterSchema {
                text: found.schema,
                references: found.references.into_iter().map(|reference| reference.schema).collect(),
            }),
            Ok(found) => Err(SchemaLookupError::NotAvro(found.schema_type.to_string())),
            Err(ClientError::NotFound(_)) => Err(SchemaLookupError::Unknown),
            // A refusal may end (permissions, a proxy's mood): the record waits, it is not thrown away.
            Err(error @ (ClientError::Unavailable(_) | ClientError::Invalid(_))) => {
                Err(SchemaLookupError::Unavailable(Box::new(error)))
            }
        }
    }
}
