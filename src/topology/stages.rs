//! The pure cores as stages: bytes in, bytes out. Knows codecs and cores, nothing of clients and threads.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::codec::avro::{self, DecodeError, Decoder, RawSubject};
use crate::fold::{FoldOutcome, FoldOutput, Folder};
use crate::model::check::{FactLimits, check_read};
use crate::model::fact::{Aspect, Entry, Fact};
use crate::model::raw::{Normalized, RawRecord};
use crate::model::record::CatalogTopic;
use crate::model::reject::{ReasonCode, Rejection};
use crate::model::state::State;
use crate::normalize::airflow::AirflowNormalizer;
use crate::normalize::dbt::DbtNormalizer;
use crate::normalize::hms::HmsNormalizer;
use crate::normalize::openlineage::{OpenLineageNormalizer, QueryKind};
use crate::sink::SharedSchemas;
use crate::sql::Dialect;
use crate::sql::processor::{ProcessError, QueryProcessor, StatementBinder, name_of_query};
use crate::stage::{Fault, KeyedTransform, Output, Outputs, StageRecord, Tally, Transform, origin_of};

/// The topic of facts.
pub const FACTS: &str = "catalog.facts";

/// The topic of facts that hold SQL text.
pub const STATEMENTS: &str = "catalog.statements";

/// Registry ids under which we write.
#[derive(Clone, Debug, Default)]
pub struct SchemaIds {
    /// Of `catalog.facts-value`.
    pub facts: u32,
    /// Of `catalog.statements-value`.
    pub statements: u32,
    /// Of the catalog topics' values.
    pub records: BTreeMap<CatalogTopic, u32>,
}

/// What reads a raw topic.
pub enum RawSource {
    /// Metastore notifications.
    Hms(Box<HmsNormalizer>),
    /// OpenLineage events.
    OpenLineage(Box<OpenLineageNormalizer>),
    /// Events of Airflow listeners: JSON, never framed.
    Airflow(Box<AirflowNormalizer>),
    /// dbt's artifacts and log lines.
    Dbt(Box<DbtNormalizer>),
}

/// The kind of a query as the stage `sql` has it: whoever tells of it, it is one job.
pub fn query_kind(text: &str, dialect: &str) -> QueryKind {
    let (name, text) = name_of_query(text, Dialect::named(dialect).unwrap_or(Dialect::Ansi));
    QueryKind { name, text }
}

/// Raw records → facts.
pub struct NormalizeStage {
    sources: BTreeMap<String, RawSource>,
    decoder: Arc<Decoder>,
    ids: SchemaIds,
}

impl NormalizeStage {
    /// A stage that reads each topic in `sources` with its source's normaliser.
    pub fn new(sources: BTreeMap<String, RawSource>, decoder: Arc<Decoder>, ids: &SchemaIds) -> Self {
        Self { sources, decoder, ids: ids.clone() }
    }
}

impl Transform for NormalizeStage {
    fn apply(&mut self, record: &StageRecord, outputs: &mut Outputs) -> Result<(), Fault> {
        let source = self
            .sources
            .get(&*record.topic)
            .ok_or_else(|| Fault::fatal(format!("topic {} has no source in the configuration", record.topic)))?;
        let unframed = match record.value.as_deref() {
            Some(value) if avro::is_framed(value) => {
                let subject = match source {
                    RawSource::Hms(_) => Some(RawSubject::HmsNotifications),
                    RawSource::OpenLineage(_) => Some(RawSubject::OpenLineageEvents),
                    // Nobody frames these; the normaliser says what is wrong with such a value.
                    RawSource::Airflow(_) | RawSource::Dbt(_) => None,
                };
                subject.map(|subject| self.decoder.raw_json(subject, value).map_err(decode_fault)).transpose()?
            }
            _ => None,
        };
        let raw = RawRecord {
            origin: origin_of(record),
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            value: unframed.as_deref().or(record.value.as_deref()),
        };
        let normalized = match source {
            RawSource::Hms(normalizer) => normalizer.normalize(&raw)?,
            RawSource::OpenLineage(normalizer) => normalizer.normalize(&raw)?,
            RawSource::Airflow(normalizer) => normalizer.normalize(&raw)?,
            RawSource::Dbt(normalizer) => normalizer.normalize(&raw)?,
        };
        match normalized {
            Normalized::NoOp(reason) => outputs.no_op(reason),
            Normalized::Facts(facts) => {
                for fact in &facts {
                    send_fact(outputs, fact, self.ids.facts)?;
                    if let Some(texts) = only_sql(fact) {
                        send_fact_to(STATEMENTS, outputs, &texts, self.ids.statements)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Query logs → facts.
pub struct SqlStage {
    processor: QueryProcessor,
    schemas: SharedSchemas,
    ids: SchemaIds,
}

impl SqlStage {
    /// A stage that processes query logs with `processor` against `schemas`.
    pub fn new(processor: QueryProcessor, schemas: SharedSchemas, ids: &SchemaIds) -> Self {
        Self { processor, schemas, ids: ids.clone() }
    }
}

impl KeyedTransform for SqlStage {
    fn apply(&mut self, record: &StageRecord, state: &mut dyn State, outputs: &mut Outputs) -> Result<(), Fault> {
        let raw = RawRecord {
            origin: origin_of(record),
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
        };
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        let normalized = self.processor.process(&raw, &schemas, state).map_err(|error| match error {
            ProcessError::Rejected(rejection) => Fault::Poison(rejection),
            ProcessError::State(error) => error.into(),
        })?;
        if let Some(bound) = self.processor.bound() {
            outputs.tally(Tally { counter: "sql_queries_total", label: "lineage", value: bound.as_str() });
        }
        send_all(outputs, normalized, self.ids.facts)
    }
}

/// Facts that hold SQL → facts of lineage.
pub struct StatementStage {
    binder: StatementBinder,
    schemas: SharedSchemas,
    decoder: Arc<Decoder>,
    ids: SchemaIds,
    limits: FactLimits,
}

impl StatementStage {
    /// A stage that binds statements with `binder` against `schemas`.
    pub fn new(
        binder: StatementBinder,
        schemas: SharedSchemas,
        decoder: Arc<Decoder>,
        ids: &SchemaIds,
        limits: FactLimits,
    ) -> Self {
        Self { binder, schemas, decoder, ids: ids.clone(), limits }
    }
}

impl Transform for StatementStage {
    fn apply(&mut self, record: &StageRecord, outputs: &mut Outputs) -> Result<(), Fault> {
        let fact = read_fact(&self.decoder, record, &self.limits)?;
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        let normalized = self.binder.bind(&fact, &schemas)?;
        send_all(outputs, normalized, self.ids.facts)
    }
}

fn send_all(outputs: &mut Outputs, normalized: Normalized, schema: u32) -> Result<(), Fault> {
    match normalized {
        Normalized::NoOp(reason) => outputs.no_op(reason),
        Normalized::Facts(facts) => {
            for fact in &facts {
                send_fact(outputs, fact, schema)?;
            }
        }
    }
    Ok(())
}

/// Facts → catalog records and forwarded facts.
pub struct FoldStage {
    folder: Folder,
    decoder: Arc<Decoder>,
    ids: SchemaIds,
    limits: FactLimits,
}

impl FoldStage {
    /// A stage that folds facts within `limits` with `folder` and writes under `ids`.
    pub fn new(folder: Folder, decoder: Arc<Decoder>, ids: SchemaIds, limits: FactLimits) -> Self {
        Self { folder, decoder, ids, limits }
    }
}

impl KeyedTransform for FoldStage {
    fn apply(&mut self, record: &StageRecord, state: &mut dyn State, outputs: &mut Outputs) -> Result<(), Fault> {
        let fact = read_fact(&self.decoder, record, &self.limits)?;
        check_place(&fact, record, outputs)?;
        let mut folded = FoldOutput::default();
        let outcome = self.folder.apply(record.partition, &fact, state, &mut folded)?;
        self.send(folded, outputs)?;
        if let FoldOutcome::NoOp(reason) = outcome {
            outputs.no_op(reason);
        }
        Ok(())
    }

    fn flush(&mut self, partition: i32, state: &mut dyn State, outputs: &mut Outputs) -> Result<(), Fault> {
        let mut folded = FoldOutput::default();
        self.folder.flush(partition, state, &mut folded)?;
        self.send(folded, outputs)
    }
}

impl FoldStage {
    fn send(&self, folded: FoldOutput, outputs: &mut Outputs) -> Result<(), Fault> {
        for output in folded.records {
            let value = match &output.value {
                Some(record) => {
                    let id = self.ids.records.get(&output.topic).copied().unwrap_or_default();
                    Some(avro::encode_record(record, id).map_err(|error| Fault::Fatal(error.into()))?)
                }
                None => None,
            };
            outputs.send(Output {
                topic: output.topic.name(),
                owner: output.owner.as_bytes(),
                key: output.key.into_bytes(),
                value,
                headers: Default::default(),
            });
        }
        for fact in &folded.forwarded {
            send_fact(outputs, fact, self.ids.facts)?;
        }
        Ok(())
    }
}

fn read_fact(decoder: &Decoder, record: &StageRecord, limits: &FactLimits) -> Result<Fact, Fault> {
    let value = record.value.as_deref().ok_or_else(|| {
        Rejection::new(ReasonCode::EmptyValue, "", "a fact has no value; who else writes to this topic?")
    })?;
    let fact = decoder.fact(value).map_err(decode_fault)?;
    check_read(&fact, limits)?;
    Ok(fact)
}

/// Each entity has one owner, the task of its partition: a fact that lies in another one would give it two.
fn check_place(fact: &Fact, record: &StageRecord, outputs: &Outputs) -> Result<(), Rejection> {
    match outputs.partition_of(FACTS, fact.entity.as_str().as_bytes()) {
        Some(partition) if partition != record.partition => Err(Rejection::new(
            ReasonCode::InvalidField,
            "/entity",
            format!(
                "facts about {} belong to partition {partition} (murmur2 of the entity), not {}; who else writes here?",
                fact.entity, record.partition
            ),
        )),
        _ => Ok(()),
    }
}

/// The fact with nothing but its SQL texts, what they are declared to fill and the run that they ran in; `None` if it has
/// no text.
fn only_sql(fact: &Fact) -> Option<Fact> {
    // Most facts have none: their runs are not copied to find that out.
    if fact.entries.iter().all(|entry| entry.aspect != Aspect::Sql) {
        return None;
    }
    let is_needed = |entry: &&Entry| matches!(entry.aspect, Aspect::Sql | Aspect::Declared | Aspect::Run);
    let entries: Vec<Entry> = fact.entries.iter().filter(is_needed).cloned().collect();
    Some(Fact {
        entity: fact.entity.clone(),
        kind: fact.kind,
        source: fact.source.clone(),
        version: fact.version,
        origin: fact.origin.clone(),
        via: fact.via.clone(),
        entries,
    })
}

fn send_fact(outputs: &mut Outputs, fact: &Fact, schema: u32) -> Result<(), Fault> {
    send_fact_to(FACTS, outputs, fact, schema)
}

fn send_fact_to(topic: &str, outputs: &mut Outputs, fact: &Fact, schema: u32) -> Result<(), Fault> {
    let value = avro::encode_fact(fact, schema).map_err(|error| Fault::Fatal(error.into()))?;
    let key = fact.entity.as_str().as_bytes();
    outputs.send(Output { topic, owner: key, key: key.to_vec(), value: Some(value), headers: Default::default() });
    Ok(())
}

fn decode_fault(error: DecodeError) -> Fault {
    match error {
        DecodeError::Rejected(rejection) => Fault::Poison(rejection),
        unavailable => Fault::Transient(unavailable.into()),
    }
}
