//! Records and facts to framed Avro and back.
//!
//! What was written with our current schema is read straight into the struct; anything else is resolved field by field
//! from the writer's schema, which is slower and bounded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, RwLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frame::{split_frame, start_frame};
use super::raw::RawSubject;
use super::resolve::{Limits, decode_to_json};
use super::schemas::{Own, own, own_catalog};
use crate::model::fact::{Aspect, EntityKind, Entry, Fact, Origin, Source, Statement, Version};
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::model::reject::{ReasonCode, Rejection};

const FACTS: &str = "catalog.facts";
/// The most that one string or block of a datum of ours may allocate; a topic's messages are limited to 8 MiB.
const MAX_ALLOCATION_BYTES: usize = 64 << 20;

/// A record could not be encoded; it never fits, whoever tries again.
#[derive(Debug, thiserror::Error)]
#[error("value does not fit the avro schema of {topic}")]
pub struct EncodeError {
    /// The topic whose schema was used.
    pub topic: &'static str,
    /// What does not fit.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Why a framed value could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// This value can never be decoded.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The registry did not answer; the same value may be decoded later.
    #[error("registry did not answer for schema id {id}")]
    Unavailable {
        /// The id asked for.
        id: u32,
        /// The registry's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A writer's schema as the registry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterSchema {
    /// The schema's text.
    pub text: String,
    /// Texts of the schemas it refers to, dependencies first.
    pub references: Vec<String>,
}

/// Why a schema could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SchemaLookupError {
    /// The registry is sure that it has no such id (404 after reading to the end).
    #[error("schema id is unknown to the registry")]
    Unknown,
    /// The schema exists and is of another kind than Avro.
    #[error("schema is {0}, not AVRO")]
    NotAvro(String),
    /// The registry did not answer.
    #[error("registry is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where schemas of writers come from: the registry in-process or over REST.
pub trait WriterSchemas: Send + Sync {
    /// The schema registered under `id`.
    ///
    /// # Errors
    /// Says whether the answer is final or may come later.
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError>;
}

/// Encodes a record under the id that its subject's current schema has in the registry.
///
/// # Errors
/// Only if the struct and its schema have drifted apart, which a test excludes.
pub fn encode_record(record: &CatalogRecord, schema_id: u32) -> Result<Vec<u8>, EncodeError> {
    let topic = record.topic();
    match record {
        CatalogRecord::Dataset(value) => encode(topic, schema_id, &**value),
        CatalogRecord::DatasetStats(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Container(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Partition(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Function(value) => encode(topic, schema_id, &**value),
        CatalogRecord::SchemaVersion(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Job(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Run(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Lineage(value) => encode(topic, schema_id, &**value),
        CatalogRecord::ColumnLineage(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Alias(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Quality(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Query(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Usage(value) => encode(topic, schema_id, &**value),
        CatalogRecord::Change(value) => encode(topic, schema_id, &**value),
    }
}

/// Encodes a fact under the id that `catalog.facts-value` has in the registry.
///
/// # Errors
/// As [`encode_record`].
pub fn encode_fact(fact: &Fact, schema_id: u32) -> Result<Vec<u8>, EncodeError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| EncodeError { topic: FACTS, source };
    let wire = WireFact::from_fact(fact).map_err(|error| failed(error.into()))?;
    let mut bytes = start_frame(schema_id);
    FACT_WRITER.write_ser(&mut bytes, &wire).map_err(|error| failed(error.into()))?;
    Ok(bytes)
}

type Writer = GenericDatumWriter<'static>;
type Reader = GenericDatumReader<'static>;

fn writer(schema: &'static Schema) -> Writer {
    GenericDatumWriter::builder(schema).build().expect("embedded schemas resolve, see the test")
}

fn reader(schema: &'static Schema) -> Reader {
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
    GenericDatumReader::builder(schema).build().expect("embedded schemas resolve, see the test")
}

static FACT_WRITER: LazyLock<Writer> = LazyLock::new(|| writer(&own_facts().schema));
static FACT_READER: LazyLock<Reader> = LazyLock::new(|| reader(&own_facts().schema));
static WRITERS: LazyLock<Vec<Writer>> =
    LazyLock::new(|| CatalogTopic::ALL.iter().map(|topic| writer(&own_catalog(*topic).schema)).collect());
static READERS: LazyLock<Vec<Reader>> =
    LazyLock::new(|| CatalogTopic::ALL.iter().map(|topic| reader(&own_catalog(*topic).schema)).collect());

fn own_facts() -> &'static Own {
    own(FACTS).expect("facts have a subject, see the test")
}

fn place(topic: CatalogTopic) -> usize {
    CatalogTopic::ALL.iter().position(|candidate| *candidate == topic).expect("ALL holds every topic")
}

fn encode<T: Serialize>(topic: CatalogTopic, schema_id: u32, value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = start_frame(schema_id);
    WRITERS
        .get(place(topic))
        .expect("one writer per topic")
        .write_ser(&mut bytes, value)
        .map_err(|error| EncodeError { topic: topic.name(), source: error.into() })?;
    Ok(bytes)
}

/// A writer's schema, parsed once.
struct Known {
    schema: Schema,
    references: Vec<Schema>,
    canonical: String,
}

/// Decodes framed values; remembers each schema id it has seen.
pub struct Decoder {
    schemas: Arc<dyn WriterSchemas>,
    known: RwLock<HashMap<u32, Arc<Known>>>,
    limits: Limits,
    resolved: AtomicU64,
}

impl Decoder {
    /// A decoder that asks `schemas` for what it has not seen.
    pub fn new(schemas: Arc<dyn WriterSchemas>) -> Self {
        Self { schemas, known: RwLock::default(), limits: Limits::default(), resolved: AtomicU64::new(0) }
    }

    /// How many values were not simply read, because another schema than our current one wrote them.
    pub fn resolved(&self) -> u64 {
        self.resolved.load(Ordering::Relaxed)
    }

    /// The same with other limits on values of foreign writers.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Decodes a value of a catalog topic.
    ///
    /// # Errors
    /// A rejection with the path of the first violation, or [`DecodeError::Unavailable`] if the registry is silent.
    pub fn record(&self, topic: CatalogTopic, value: &[u8]) -> Result<CatalogRecord, DecodeError> {
        match topic {
            CatalogTopic::Datasets => self.typed(topic, value).map(CatalogRecord::Dataset),
            CatalogTopic::DatasetStats => self.typed(topic, value).map(CatalogRecord::DatasetStats),
            CatalogTopic::Containers => self.typed(topic, value).map(CatalogRecord::Container),
            CatalogTopic::Partitions => self.typed(topic, value).map(CatalogRecord::Partition),
            CatalogTopic::Functions => self.typed(topic, value).map(CatalogRecord::Function),
            CatalogTopic::Schemas => self.typed(topic, value).map(CatalogRecord::SchemaVersion),
            CatalogTopic::Jobs => self.typed(topic, value).map(CatalogRecord::Job),
            CatalogTopic::Runs => self.typed(topic, value).map(CatalogRecord::Run),
            CatalogTopic::Lineage => self.typed(topic, value).map(CatalogRecord::Lineage),
            CatalogTopic::ColumnLineage => self.typed(topic, value).map(CatalogRecord::ColumnLineage),
            CatalogTopic::Aliases => self.typed(topic, value).map(CatalogRecord::Alias),
            CatalogTopic::Quality => self.typed(topic, value).map(CatalogRecord::Quality),
            CatalogTopic::Queries => self.typed(topic, value).map(CatalogRecord::Query),
            CatalogTopic::Usage => self.typed(topic, value).map(CatalogRecord::Usage),
            CatalogTopic::Changes => self.typed(topic, value).map(CatalogRecord::Change),
        }
    }

    /// Decodes a value of `catalog.facts`.
    ///
    /// # Errors
    /// As [`Decoder::record`].
    pub fn fact(&self, value: &[u8]) -> Result<Fact, DecodeError> {
        let wire: WireFactOwned = self.decode(own_facts(), &FACT_READER, value)?;
        Ok(wire.into_fact()?)
    }

    /// Decodes a framed value of a raw topic into the JSON that a plain sender would have sent.
    ///
    /// # Errors
    /// As [`Decoder::record`]; also if a facet's text is not JSON.
    pub fn raw_json(&self, subject: RawSubject, value: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let own = own(subject.topic()).expect("raw topics have a subject, see the test");
        let (id, datum) = split_frame(value)?;
        let known = self.known(id)?;
        let resolved = decode_to_json(datum, &known.schema, &known.references, &own.schema, self.limits)?;
        Ok(subject.to_plain_json(resolved, self.limits)?)
    }

    fn typed<T: DeserializeOwned>(&self, topic: CatalogTopic, value: &[u8]) -> Result<Box<T>, DecodeError> {
        let reader = READERS.get(place(topic)).expect("one reader per topic");
        self.decode(own_catalog(topic), reader, value).map(Box::new)
    }

    fn decode<T: DeserializeOwned>(&self, own: &'static Own, fast: &Reader, value: &[u8]) -> Result<T, DecodeError> {
        let (id, datum) = split_frame(value)?;
        let known = self.known(id)?;
        if known.canonical == own.canonical {
            let mut rest = datum;
            if let Ok(decoded) = fast.read_deser::<T>(&mut rest)
                && rest.is_empty()
            {
                return Ok(decoded);
            }
            // The careful decoder below finds the place of the fault.
        }
        self.resolved.fetch_add(1, Ordering::Relaxed);
        let resolved = decode_to_json(datum, &known.schema, &known.references, &own.schema, self.limits)?;
        serde_json::from_value(resolved)
            .map_err(|error| Rejection::new(ReasonCode::InvalidAvro, "", error.to_string()).into())
    }

    fn known(&self, id: u32) -> Result<Arc<Known>, DecodeError> {
        let poisoned = "no thread panics while it holds the lock";
        if let Some(known) = self.known.read().expect(poisoned).get(&id) {
            return Ok(Arc::clone(known));
        }
        let unknown = |message: String| Rejection::new(ReasonCode::UnknownSchema, "", message);
        let text = self.schemas.schema(id).map_err(|error| match error {
            SchemaLookupError::Unknown => unknown(format!("the registry has no schema with id {id}")).into(),
            SchemaLookupError::NotAvro(kind) => unknown(format!("schema {id} is {kind}; send AVRO")).into(),
            SchemaLookupError::Unavailable(source) => DecodeError::Unavailable { id, source },
        })?;
        let references: Vec<&str> = text.references.iter().map(String::as_str).collect();
        let (schema, references) = Schema::parse_str_with_list(&text.text, references)
            .map_err(|error| unknown(format!("schema {id} of the registry is not valid Avro: {error}")))?;
        let canonical = schema.canonical_form();
        let known = Arc::new(Known { schema, references, canonical });
        self.known.write().expect(poisoned).insert(id, Arc::clone(&known));
        Ok(known)
    }
}

/// A fact as it lies on the wire, borrowed for writing. The names of these structs are those of the schema's records:
/// the library refuses others, and every fact would take the slow way.
#[derive(Serialize)]
#[serde(rename = "Fact")]
struct WireFact<'a> {
    entity: &'a str,
    kind: &'static str,
    source: &'a str,
    version: WireVersion,
    origin: &'a Origin,
    via: Vec<&'a str>,
    entries: Vec<WireEntry<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Version")]
struct WireVersion {
    epoch: i64,
    time: i64,
    seq: i64,
    hash: i64,
}

#[derive(Serialize)]
#[serde(rename = "Entry")]
struct WireEntry<'a> {
    aspect: &'static str,
    sub_key: &'a str,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename = "Fact")]
struct WireFactOwned {
    entity: String,
    kind: String,
    source: String,
    version: WireVersion,
    origin: Origin,
    via: Vec<String>,
    entries: Vec<WireEntryOwned>,
}

#[derive(Deserialize)]
#[serde(rename = "Entry")]
struct WireEntryOwned {
    aspect: String,
    sub_key: String,
    value: Option<String>,
}

const KINDS: [(EntityKind, &str); 6] = [
    (EntityKind::Dataset, "dataset"),
    (EntityKind::Container, "container"),
    (EntityKind::Function, "function"),
    (EntityKind::Job, "job"),
    (EntityKind::Scope, "scope"),
    (EntityKind::Query, "query"),
];

impl<'a> WireFact<'a> {
    fn from_fact(fact: &'a Fact) -> Result<Self, serde_json::Error> {
        let entries = fact.entries.iter().map(|entry| {
            let value = entry.value.as_ref().map(serde_json::to_string).transpose()?;
            Ok(WireEntry { aspect: entry.aspect.as_str(), sub_key: &entry.sub_key, value })
        });
        Ok(Self {
            entity: fact.entity.as_str(),
            kind: KINDS.iter().find(|(kind, _)| *kind == fact.kind).expect("KINDS holds every kind").1,
            source: fact.source.as_str(),
            version: WireVersion {
                epoch: i64::from(fact.version.epoch),
                time: fact.version.time,
                seq: fact.version.seq,
                hash: fact.version.hash as i64,
            },
            origin: &fact.origin,
            via: fact.via.iter().map(EntityId::as_str).collect(),
            entries: entries.collect::<Result<_, serde_json::Error>>()?,
        })
    }
}

impl WireFactOwned {
    fn into_fact(self) -> Result<Fact, Rejection> {
        let invalid = |path: &str, message: String| Rejection::new(ReasonCode::InvalidField, path, message);
        let kind = KINDS
            .iter()
            .find(|(_, name)| *name == self.kind)
            .ok_or_else(|| invalid("/kind", format!("{} is no kind of entity", self.kind)))?
            .0;
        let epoch = u32::try_from(self.version.epoch)
            .map_err(|_| invalid("/version/epoch", format!("{} is no epoch", self.version.epoch)))?;
        let entries = self.entries.into_iter().enumerate().map(|(index, entry)| {
            let path = format!("/entries/{index}");
            entry.into_entry().map_err(|fault| fault.within(&path))
        });
        Ok(Fact {
            entity: EntityId::from_canonical(self.entity),
            kind,
            source: Source::parse(self.source),
            version: Version { epoch, time: self.version.time, seq: self.version.seq, hash: self.version.hash as u64 },
            origin: self.origin,
            via: self.via.into_iter().map(EntityId::from_canonical).collect(),
            entries: entries.collect::<Result<_, _>>()?,
        })
    }
}

impl WireEntryOwned {
    fn into_entry(self) -> Result<Entry, Rejection> {
        let aspect = Aspect::ALL.iter().copied().find(|aspect| aspect.as_str() == self.aspect).ok_or_else(|| {
            Rejection::new(ReasonCode::UnknownType, "/aspect", format!("{} is no aspect", self.aspect))
        })?;
        let value =
            self.value.map(|text| serde_json::from_str::<Statement>(&text)).transpose().map_err(|error| {
                Rejection::new(ReasonCode::InvalidJson, "/value", format!("not a statement: {error}"))
            })?;
        match &value {
            Some(statement) if statement.aspect() != aspect => Err(Rejection::new(
                ReasonCode::InvalidField,
                "/value",
                format!("the statement is of aspect {}, the entry of {}", statement.aspect().as_str(), self.aspect),
            )),
            _ => Ok(Entry { aspect, sub_key: self.sub_key, value }),
        }
    }
}
