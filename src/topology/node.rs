//! Wires cores, clients and settings into the running tasks of one process.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::codec::Limits;
use crate::codec::avro::{Decoder, RawSubject};
use crate::codec::hms::HmsLimits;
use crate::config::{Config, QueryLogSource};
use crate::fold::{FoldConfig, Folder, Patterns, UsageLimits};
use crate::kafka::KafkaConfig;
use crate::model::check::FactLimits;
use crate::model::id::{IdError, Identity};
use crate::normalize::airflow::{AirflowConfig, AirflowNormalizer};
use crate::normalize::dbt::{DbtConfig, DbtNamespace, DbtNormalizer};
use crate::normalize::hms::{HmsNormalizer, HmsSourceConfig};
use crate::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};
use crate::registry::client::RegistryClient;
use crate::sink::{SchemaSink, SharedSchemas};
use crate::sql::log::{LogConfig, LogInstances};
use crate::sql::processor::{ProcessorConfig, QueryProcessor, StatementBinder};
use crate::sql::{self, Options};
use crate::stage::{
    BatchLimits, DataDir, InputTopic, OutputTopic, Sink, StageSpec, StopToken, Table, TaskHandle, TaskState,
    TaskStatus, Timeouts, spawn_follower, spawn_keyed, spawn_sink, spawn_transform,
};

use super::load::{Role, Stage, Topology};
use super::readable::{self, ReadableError, Reading};
use super::rebuild::Source;
use super::schemas::{RegistrySchemas, SubjectError, register_all};
use super::stages::{FoldStage, NormalizeStage, RawSource, SchemaIds, SqlStage, StatementStage, query_kind};

/// The topic of metastore notifications unless the configuration names others.
const HMS_TOPIC: &str = "hms.notifications";
const OPENLINEAGE_TOPIC: &str = "openlineage.events";
/// The follower behind the table of schemas.
const SCHEMAS: &str = "schemas";
const AIRFLOW_TOPIC: &str = "airflow.events";
const DBT_TOPIC: &str = "dbt.events";
/// Beyond the configured time for shutting down.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// Why a task could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A configured name is wrong.
    #[error("the configuration of instances, rewrites or metastores is wrong")]
    Identity(#[from] IdError),
    /// The registry refuses our schemas.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The registry holds what a stage could not read, or does not say what it holds.
    #[error(transparent)]
    Readable(#[from] ReadableError),
    /// A thread could not be started.
    #[error("could not start a thread")]
    Thread(#[from] io::Error),
    /// The topology does not know the stage.
    #[error("there is no stage {0:?}; `tributary topology graph` shows them")]
    UnknownStage(String),
}

/// The tasks of one process.
pub struct Node {
    config: Config,
    kafka: KafkaConfig,
    topology: Topology,
    data: DataDir,
    registry: RegistryClient,
    /// Topics whose versions in the registry have been found readable.
    readable: BTreeSet<String>,
    stop: StopToken,
    decoder: Arc<Decoder>,
    ids: SchemaIds,
    identity: Arc<Identity>,
    tasks: Mutex<Vec<TaskHandle>>,
    /// Schemas of the catalog's datasets, once a stage has asked for them.
    schemas: Option<(SharedSchemas, Table)>,
}

impl Node {
    /// A node without tasks: registers our schemas and checks the names in the configuration.
    pub fn new(
        config: Config,
        kafka: KafkaConfig,
        topology: Topology,
        data: DataDir,
        registry: &RegistryClient,
    ) -> Result<Self, NodeError> {
        let identity = Arc::new(Identity::new(config.identity.clone())?);
        let ids = register_all(registry)?;
        let decoder = Decoder::new(Arc::new(RegistrySchemas(registry.clone()))).with_limits(json_limits(&config));
        let decoder = Arc::new(decoder);
        let stop = StopToken::new();
        let (registry, readable) = (registry.clone(), BTreeSet::new());
        let tasks = Mutex::default();
        let schemas = None;
        Ok(Self { config, kafka, topology, data, registry, readable, stop, decoder, ids, identity, tasks, schemas })
    }

    /// Names as this installation reads them.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Decodes catalog records.
    pub fn decoder(&self) -> &Arc<Decoder> {
        &self.decoder
    }

    /// Asks all tasks to end when set.
    pub fn stop_token(&self) -> StopToken {
        self.stop.clone()
    }

    /// Starts the tasks of stage `normalize`.
    pub fn start_normalize(&mut self) -> Result<(), NodeError> {
        for source in self.hms_sources() {
            self.check_readable(&source.topic, Reading::Raw(RawSubject::HmsNotifications))?;
        }
        self.check_readable(OPENLINEAGE_TOPIC, Reading::Raw(RawSubject::OpenLineageEvents))?;
        for task in 0..self.config.stage("normalize").tasks {
            let mut spec = self.stage_spec("normalize", task)?;
            let mut sources = BTreeMap::new();
            for source in self.hms_sources() {
                let config = HmsSourceConfig {
                    instance: source.instance,
                    epoch: source.epoch,
                    limits: self.hms_limits(),
                    facts: fact_limits(&self.config),
                    identity: Arc::clone(&self.identity),
                };
                sources.insert(source.topic, RawSource::Hms(Box::new(HmsNormalizer::new(config)?)));
            }
            let openlineage = OpenLineageConfig {
                identity: Arc::clone(&self.identity),
                max_facet_bytes: self.config.limits.facet_bytes,
                json: json_limits(&self.config),
                facts: fact_limits(&self.config),
                dbt: self.dbt_namespaces(),
                query_kinds: Some(query_kind),
            };
            let normalizer = OpenLineageNormalizer::new(openlineage);
            sources.insert(OPENLINEAGE_TOPIC.to_owned(), RawSource::OpenLineage(Box::new(normalizer)));
            let airflow = AirflowConfig {
                namespace: self.config.airflow.namespace.clone(),
                identity: Arc::clone(&self.identity),
                max_facet_bytes: self.config.limits.facet_bytes,
                json: json_limits(&self.config),
                facts: fact_limits(&self.config),
            };
            sources.insert(AIRFLOW_TOPIC.to_owned(), RawSource::Airflow(Box::new(AirflowNormalizer::new(airflow))));
            let dbt = DbtConfig {
                identity: Arc::clone(&self.identity),
                namespaces: self.dbt_namespaces(),
                json: json_limits(&self.config),
                facts: fact_limits(&self.config),
            };
            sources.insert(DBT_TOPIC.to_owned(), RawSource::Dbt(Box::new(DbtNormalizer::new(dbt))));
            spec.inputs.retain(|input| sources.contains_key(&input.name));
            let stage = NormalizeStage::new(sources, Arc::clone(&self.decoder), &self.ids);
            self.add(spawn_transform(&self.kafka, spec, Box::new(stage), self.stop.clone())?);
        }
        Ok(())
    }

    /// Starts the tasks of stage `sql`.
    pub fn start_sql(&mut self) -> Result<(), NodeError> {
        for task in 0..self.config.stage("sql").tasks {
            let mut spec = self.stage_spec("sql", task)?;
            let (schemas, table) = self.schemas(&self.stage("sql")?.tables.clone())?;
            spec.tables.push(table);
            let processor = QueryProcessor::new(ProcessorConfig {
                identity: Arc::clone(&self.identity),
                logs: self.logs(),
                facts: fact_limits(&self.config),
                options: self.sql_options(),
                keep_literals: self.config.keep_literals,
            });
            let stage = SqlStage::new(processor, schemas, &self.ids);
            self.add(spawn_keyed(&self.kafka, spec, Box::new(stage), self.stop.clone())?);
        }
        Ok(())
    }

    /// Starts the tasks of stage `statements`.
    pub fn start_statements(&mut self) -> Result<(), NodeError> {
        self.check_inputs("statements")?;
        for task in 0..self.config.stage("statements").tasks {
            let mut spec = self.stage_spec("statements", task)?;
            let (schemas, table) = self.schemas(&self.stage("statements")?.tables.clone())?;
            spec.tables.push(table);
            let limits = fact_limits(&self.config);
            let binder = StatementBinder::new(Arc::clone(&self.identity), limits.clone(), self.sql_options());
            let stage = StatementStage::new(binder, schemas, Arc::clone(&self.decoder), &self.ids, limits);
            self.add(spawn_transform(&self.kafka, spec, Box::new(stage), self.stop.clone())?);
        }
        Ok(())
    }

    /// Starts the tasks of stage `fold`.
    pub fn start_fold(&mut self) -> Result<(), NodeError> {
        self.check_inputs("fold")?;
        for task in 0..self.config.stage("fold").tasks {
            let spec = self.stage_spec("fold", task)?;
            let ignored = self.config.identity.ignore.clone().map_or_else(Patterns::default, Patterns::new);
            let case_blind = self.identity.instances().with_case_sensitive(false);
            let usage = UsageLimits { users: self.config.limits.usage_users, ..UsageLimits::default() };
            let folder = Folder::new(FoldConfig { ignored, case_blind, usage, ..FoldConfig::default() });
            let stage = FoldStage::new(folder, Arc::clone(&self.decoder), self.ids.clone(), fact_limits(&self.config));
            self.add(spawn_keyed(&self.kafka, spec, Box::new(stage), self.stop.clone())?);
        }
        Ok(())
    }

    /// The schemas of the catalog's datasets, which one follower keeps for all stages of this process that read the topics
    /// `tables`.
    fn schemas(&mut self, tables: &[String]) -> Result<(SharedSchemas, Table), NodeError> {
        if let Some(known) = &self.schemas {
            return Ok(known.clone());
        }
        for topic in tables {
            self.check_readable(topic, Reading::Own)?;
        }
        let sink = SchemaSink::new(Arc::clone(&self.decoder));
        let shared = sink.schemas();
        let mut spec = self.source().spec(SCHEMAS, tables.to_vec());
        // It lives in memory: whoever starts again makes it anew.
        spec.repair = "tributary run sql statements".to_owned();
        let follower = spawn_follower(&self.kafka, spec, Box::new(sink), self.stop.child())?;
        let table = Table::new(tables.iter().cloned(), &follower);
        self.add(follower);
        Ok(self.schemas.insert((shared, table)).clone())
    }

    /// Starts a sink in its consumer group.
    pub fn start_sink(&mut self, name: &str, sink: Box<dyn Sink>) -> Result<(), NodeError> {
        self.check_inputs(name)?;
        let spec = self.source().spec(name, self.stage(name)?.inputs.clone());
        self.add(spawn_sink(&self.kafka, spec, sink, self.stop.clone())?);
        Ok(())
    }

    /// Starts a follower of all partitions.
    pub fn start_follower(&mut self, name: &str, sink: Box<dyn Sink>) -> Result<(), NodeError> {
        self.check_inputs(name)?;
        let spec = self.source().spec(name, self.stage(name)?.inputs.clone());
        self.add(spawn_follower(&self.kafka, spec, sink, self.stop.child())?);
        Ok(())
    }

    /// What a view of this node is built with.
    pub fn source(&self) -> Source {
        Source {
            kafka: self.kafka.clone(),
            config: self.config.clone(),
            topology: self.topology.clone(),
            decoder: Arc::clone(&self.decoder),
            instance: self.data.instance().to_owned(),
            stop: self.stop.clone(),
        }
    }

    /// Lets `next` go on in place of the follower `name`, which ends first.
    pub fn replace(&self, name: &str, next: TaskHandle) {
        let mut tasks = self.tasks();
        let old = tasks.iter().position(|task| task.status().stage == name).map(|at| tasks.swap_remove(at));
        tasks.push(next);
        drop(tasks);
        if let Some(old) = old {
            old.stop();
            if let Err(reason) = old.join() {
                tracing::warn!(name, reason, "the follower that was replaced had failed");
            }
        }
    }

    /// What each task is doing.
    pub fn statuses(&self) -> Vec<TaskStatus> {
        self.tasks().iter().map(TaskHandle::status).collect()
    }

    /// The reason of the first task that has failed.
    pub fn failure(&self) -> Option<String> {
        self.tasks().iter().find_map(failure_of)
    }

    fn add(&self, task: TaskHandle) {
        self.tasks().push(task);
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<TaskHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all tasks to finish what they have, and waits for them. Reasons of those that failed.
    pub fn shut_down(&self) -> Vec<String> {
        self.stop.stop();
        let tasks = self.tasks();
        for task in tasks.iter() {
            // The task bounds its own drain; a little more covers a call that was under way.
            task.wait_until(self.config.shutdown_timeout + DRAIN_GRACE, |status| {
                matches!(status.state, TaskState::Stopped | TaskState::Failed(_))
            });
        }
        tasks.iter().filter_map(failure_of).collect()
    }

    /// A stage whose input may hold records that it cannot read must not start.
    fn check_inputs(&mut self, stage: &str) -> Result<(), NodeError> {
        for topic in self.stage(stage)?.inputs.clone() {
            self.check_readable(&topic, Reading::Own)?;
        }
        Ok(())
    }

    fn check_readable(&mut self, topic: &str, reading: Reading) -> Result<(), NodeError> {
        if !self.readable.contains(topic) {
            readable::check_topic(&self.registry, topic, reading)?;
            self.readable.insert(topic.to_owned());
        }
        Ok(())
    }

    fn stage(&self, name: &str) -> Result<&Stage, NodeError> {
        self.topology.stage(name).ok_or_else(|| NodeError::UnknownStage(name.to_owned()))
    }

    fn input(&self, topic: &str) -> InputTopic {
        let mut input = InputTopic::new(topic);
        input.max_record_bytes = self.config.limits.record_bytes;
        if let Some(letters) = self.topology.dead_letters_of(topic) {
            input.dead_letters = OutputTopic {
                name: letters.name.clone(),
                max_record_bytes: letters.max_message_bytes.unwrap_or(self.config.limits.record_bytes),
                is_compacted: false,
            };
        }
        input
    }

    fn output(&self, topic: &str) -> OutputTopic {
        let declared = self.topology.topic(topic);
        let limit = declared.and_then(|topic| topic.max_message_bytes);
        let ours = self.config.limits.output_bytes;
        OutputTopic {
            name: topic.to_owned(),
            max_record_bytes: limit.map_or(ours, |bytes| bytes.min(ours)),
            is_compacted: declared.is_some_and(|topic| topic.role == Role::Catalog),
        }
    }

    fn stage_spec(&self, name: &str, task: usize) -> Result<StageSpec, NodeError> {
        let stage = self.stage(name)?;
        let mut spec = StageSpec::new(self.config.kafka.cluster.clone(), name, self.data.instance(), self.data.path());
        spec.task = task;
        spec.inputs = stage.inputs.iter().map(|topic| self.input(topic)).collect();
        spec.outputs = stage.outputs.iter().map(|topic| self.output(topic)).collect();
        spec.changelog_max_bytes = self.output(&spec.changelog()).max_record_bytes;
        spec.batch = self.batch(name);
        spec.timeouts = self.timeouts();
        Ok(spec)
    }

    fn batch(&self, stage: &str) -> BatchLimits {
        batch_limits(&self.config, stage)
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts { drain: self.config.shutdown_timeout, ..Timeouts::default() }
    }

    fn logs(&self) -> LogConfig {
        let instances = |source: &QueryLogSource| LogInstances {
            instance: source.instance.clone(),
            servers: source.servers.clone(),
        };
        let sources = self.config.query_logs.iter();
        LogConfig {
            platforms: sources.map(|(platform, source)| (platform.clone(), instances(source))).collect(),
            json: json_limits(&self.config),
            name_bytes: self.config.limits.name_bytes,
        }
    }

    /// One statement must not say more than a fact can hold.
    fn sql_options(&self) -> Options {
        let limits = sql::Limits { edges: self.config.limits.edges, ..sql::Limits::default() };
        Options { limits, ..Options::default() }
    }

    fn dbt_namespaces(&self) -> Vec<DbtNamespace> {
        let entries = self.config.dbt.iter().cloned();
        let entry = |said: crate::config::DbtProject| DbtNamespace {
            project: said.project,
            target: said.target,
            adapter: said.adapter,
            namespace: said.namespace,
        };
        entries.map(entry).collect()
    }

    fn hms_limits(&self) -> HmsLimits {
        let limits = &self.config.limits;
        HmsLimits {
            max_message_bytes: limits.decompressed_bytes,
            max_name_bytes: limits.name_bytes,
            json: json_limits(&self.config),
        }
    }

    fn hms_sources(&self) -> Vec<crate::config::HmsSource> {
        if !self.config.hms.is_empty() {
            return self.config.hms.clone();
        }
        vec![crate::config::HmsSource { topic: HMS_TOPIC.to_owned(), instance: None, epoch: 0, names: Vec::new() }]
    }
}

fn json_limits(config: &Config) -> Limits {
    Limits { depth: config.limits.depth, values: config.limits.values }
}

fn fact_limits(config: &Config) -> FactLimits {
    let limits = &config.limits;
    FactLimits {
        bytes: limits.output_bytes,
        name_bytes: limits.name_bytes,
        depth: limits.depth,
        columns: limits.columns,
        facets: limits.facets,
        edges: limits.edges,
    }
}

/// Bounds of a stage's batches.
pub(super) fn batch_limits(config: &Config, stage: &str) -> BatchLimits {
    let stage = config.stage(stage);
    BatchLimits { records: stage.batch_records, bytes: stage.batch_bytes, interval: stage.batch_delay }
}

fn failure_of(task: &TaskHandle) -> Option<String> {
    match task.status() {
        TaskStatus { state: TaskState::Failed(reason), task, .. } => Some(format!("{task}: {reason}")),
        _ => None,
    }
}
