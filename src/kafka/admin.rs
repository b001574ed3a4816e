//! Administration: topics, configurations, and (in `offsets`) log ends, groups and committed offsets.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;

use super::aside::Aside;
use super::config::{Isolation, KafkaConfig};
use super::consumer::{PlainConsumer, Quiet};
use super::error::{Class, KafkaError};
use super::record::TopicPartition;

pub use super::offsets::{Committed, GroupMember, GroupState, Watermarks};

/// How long one request may take before it counts as a (transient) time-out.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// Partitions, at least 1.
    pub partitions: i32,
    /// Replicas of each partition; `None` = the broker's default.
    pub replication: Option<i32>,
    /// Configuration overrides.
    pub configs: BTreeMap<String, String>,
}

impl TopicSpec {
    /// A topic with the broker's default replication and configuration.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication: None, configs: BTreeMap::new() }
    }

    /// The same with a configuration override.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }
}

/// Whether a topic had to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    Now,
    /// It was there before; nothing was changed.
    Before,
}

/// A topic as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Partitions.
    pub partitions: i32,
    /// Replicas of the first partition.
    pub replication: i32,
}

/// One effective configuration value of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigValue {
    /// Value; `None` if the broker hides it.
    pub value: Option<String>,
    /// Whether it is set on the topic itself, and not inherited.
    pub is_override: bool,
}

/// Administers a cluster. Every call blocks for at most about 10 s and then fails as [`Class::Transient`].
pub struct Admin {
    config: KafkaConfig,
    clients: Aside<Clients>,
}

/// Each costs threads, connections and some MiB, so all but the first are made when they are needed.
struct Clients {
    /// Metadata, groups and log ends; the isolation decides what an end is.
    uncommitted: PlainConsumer,
    committed: OnceLock<PlainConsumer>,
    admin: OnceLock<AdminClient<DefaultClientContext>>,
    /// Clients per group for committed offsets; a client belongs to one group for life.
    groups: Mutex<HashMap<(String, Isolation), Arc<PlainConsumer>>>,
}

impl Admin {
    /// A client of the cluster; does not connect yet.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let clients = Clients {
            uncommitted: metadata_reader(config, Isolation::Uncommitted)?,
            committed: OnceLock::new(),
            admin: OnceLock::new(),
            groups: Mutex::new(HashMap::new()),
        };
        Ok(Self { config: config.clone(), clients: Aside::new(clients) })
    }

    /// All topics, internal ones too.
    pub fn topics(&self) -> Result<BTreeMap<String, TopicInfo>, KafkaError> {
        let metadata = self
            .clients
            .uncommitted
            .fetch_metadata(None, REQUEST_TIMEOUT)
            .map_err(|e| KafkaError::new(format!("list topics of {}", self.config.bootstrap_servers()), e))?;
        let info = |topic: &rdkafka::metadata::MetadataTopic| TopicInfo {
            partitions: topic.partitions().len() as i32,
            replication: topic.partitions().first().map_or(0, |p| p.replicas().len() as i32),
        };
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| !topic.partitions().is_empty())
            .map(|topic| (topic.name().to_owned(), info(topic)))
            .collect())
    }

    /// How many partitions `topic` has; `None` if there is no such topic.
    pub fn partition_count(&self, topic: &str) -> Result<Option<i32>, KafkaError> {
        Ok(self.topics()?.get(topic).map(|info| info.partitions))
    }

    /// Creates the topics that do not exist; the answer is in the order of `topics`.
    pub fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<Created>, KafkaError> {
        let specs: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| {
                let replication = TopicReplication::Fixed(topic.replication.unwrap_or(-1));
                let spec = NewTopic::new(&topic.name, topic.partitions, replication);
                topic.configs.iter().fold(spec, |spec, (name, value)| spec.set(name, value))
            })
            .collect();
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let results = block_on(self.admin()?.create_topics(&specs, &options()))
            .map_err(|e| KafkaError::new("create topics", e))?;
        let mut outcome: HashMap<String, Created> = HashMap::new();
        for result in results {
            match result {
                Ok(name) => drop(outcome.insert(name, Created::Now)),
                Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => drop(outcome.insert(name, Created::Before)),
                Err((name, code)) => return Err(KafkaError::code(format!("create topic {name}"), code)),
            }
        }
        Ok(topics.iter().map(|topic| outcome.get(&topic.name).copied().unwrap_or(Created::Before)).collect())
    }

    /// Grows `topic` to `partitions` in all. Keyed topics must not grow: keys would change their partition.
    pub fn add_partitions(&self, topic: &str, partitions: i32) -> Result<(), KafkaError> {
        let context = || format!("grow {topic} to {partitions} partitions");
        let new = NewPartitions::new(topic, usize::try_from(partitions).unwrap_or(0));
        let results =
            block_on(self.admin()?.create_partitions(&[new], &options())).map_err(|e| KafkaError::new(context(), e))?;
        results.into_iter().try_for_each(|r| r.map(drop).map_err(|(_, code)| KafkaError::code(context(), code)))
    }

    /// Deletes topics; those that do not exist are fine.
    pub fn delete_topics(&self, topics: &[&str]) -> Result<(), KafkaError> {
        let results = block_on(self.admin()?.delete_topics(topics, &options()))
            .map_err(|e| KafkaError::new("delete topics", e))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
                Err((name, code)) => return Err(KafkaError::code(format!("delete topic {name}"), code)),
            }
        }
        Ok(())
    }

    /// The effective configuration of each topic, by topic and name.
    pub fn describe_configs(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<String, BTreeMap<String, ConfigValue>>, KafkaError> {
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let results = block_on(self.admin()?.describe_configs(&resources, &options()))
            .map_err(|e| KafkaError::new("describe topic configurations", e))?;
        let mut described = BTreeMap::new();
        for result in results {
            let resource = result.map_err(|code| KafkaError::code("describe topic configurations", code))?;
            let OwnedResourceSpecifier::Topic(topic) = resource.specifier else { continue };
            let entries = resource.entries.into_iter().map(|entry| {
                let is_override = entry.source == ConfigSource::DynamicTopic;
                (entry.name, ConfigValue { value: entry.value, is_override })
            });
            described.insert(topic, entries.collect());
        }
        Ok(described)
    }

    /// Sets configuration overrides of `topic`; the overrides it has and that are not named here stay.
    pub fn alter_configs(&self, topic: &str, changes: &BTreeMap<String, String>) -> Result<(), KafkaError> {
        let context = || format!("alter configuration of {topic}");
        let current = self.describe_configs(&[topic])?.remove(topic).unwrap_or_default();
        // The request replaces all overrides, so those that stay go along.
        let mut overrides: BTreeMap<String, String> = current
            .into_iter()
            .filter(|(_, value)| value.is_override)
            .filter_map(|(name, value)| Some((name, value.value?)))
            .collect();
        overrides.extend(changes.clone());
        let alter = overrides
            .iter()
            .fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |alter, (name, value)| alter.set(name, value));
        let results =
            block_on(self.admin()?.alter_configs(&[alter], &options())).map_err(|e| KafkaError::new(context(), e))?;
        results.into_iter().try_for_each(|r| r.map(drop).map_err(|(_, code)| KafkaError::code(context(), code)))
    }

    /// Deletes all records of a partition below `before`.
    pub fn delete_records(&self, partition: &TopicPartition, before: i64) -> Result<(), KafkaError> {
        let context = || format!("delete records of {partition} before {before}");
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(before))
            .map_err(|e| KafkaError::new(context(), e))?;
        let result =
            block_on(self.admin()?.delete_records(&offsets, &options())).map_err(|e| KafkaError::new(context(), e))?;
        result.elements().iter().try_for_each(|element| element.error()).map_err(|e| KafkaError::new(context(), e))
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Result<String, KafkaError> {
        self.clients.uncommitted.client().fetch_cluster_id(REQUEST_TIMEOUT).ok_or_else(|| {
            KafkaError::other(Class::Transient, "fetch cluster id", format!("{} did not answer", self.servers()))
        })
    }

    /// The servers this client talks to.
    pub fn servers(&self) -> &str {
        self.config.bootstrap_servers()
    }

    pub(super) fn reader(&self, isolation: Isolation) -> Result<&PlainConsumer, KafkaError> {
        match isolation {
            Isolation::Uncommitted => Ok(&self.clients.uncommitted),
            Isolation::Committed => made(&self.clients.committed, || metadata_reader(&self.config, isolation)),
        }
    }

    fn admin(&self) -> Result<&AdminClient<DefaultClientContext>, KafkaError> {
        made(&self.clients.admin, || self.config.admin().create().map_err(|e| creation(&self.config, e)))
    }

    pub(super) fn group_client(&self, group: &str, isolation: Isolation) -> Result<Arc<PlainConsumer>, KafkaError> {
        let mut groups = self.clients.groups.lock().expect("no holder of this lock panics");
        let key = (group.to_owned(), isolation);
        if let Some(client) = groups.get(&key) {
            return Ok(Arc::clone(client));
        }
        let client: PlainConsumer = self
            .config
            .reader(isolation, Some(group))
            .create_with_context(Quiet)
            .map_err(|e| KafkaError::new(format!("create client of group {group}"), e))?;
        let client = Arc::new(client);
        groups.insert(key, Arc::clone(&client));
        Ok(client)
    }
}

/// What the cell holds, made now if it is empty.
fn made<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, KafkaError>) -> Result<&T, KafkaError> {
    match cell.get() {
        Some(client) => Ok(client),
        None => make().map(|client| cell.get_or_init(|| client)),
    }
}

fn metadata_reader(config: &KafkaConfig, isolation: Isolation) -> Result<PlainConsumer, KafkaError> {
    let reader = config.reader(isolation, None).create_with_context::<_, PlainConsumer>(Quiet);
    reader.map_err(|e| creation(config, e))
}

fn creation(config: &KafkaConfig, error: rdkafka::error::KafkaError) -> KafkaError {
    KafkaError::new(format!("create admin client for {}", config.bootstrap_servers()), error)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

/// Waits for a future of the admin client, which its own thread completes; no runtime is needed.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
