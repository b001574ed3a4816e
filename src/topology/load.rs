//! The graph as written in `topology/*.toml`: typed, but not yet judged. Pure; knows nothing of Kafka.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::config::value;

/// The files of the source tree, compiled in: the graph is part of the program, not of an installation.
const TOPICS: &str = include_str!("../../topology/topics.toml");
const STAGES: &str = include_str!("../../topology/stages.toml");

/// Stands for the setting `kafka.cluster` in topic names.
const CLUSTER: &str = "{cluster}";

/// Topics, and the stages and sinks between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// All topics, in the order of the file.
    pub topics: Vec<Topic>,
    /// All stages and sinks, in the order of the file.
    pub stages: Vec<Stage>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name in Kafka.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Of which topic (dead letters) or stage (changelogs).
    pub of: Option<String>,
    /// What decides the partition of a record.
    pub keyed_by: KeyedBy,
    /// Number of partitions.
    pub partitions: u32,
    /// How long records are kept; `None` where the latest of each key is kept for ever.
    pub retention: Option<Duration>,
    /// Largest record, bytes; `None` = the broker's default.
    pub max_message_bytes: Option<usize>,
    /// Whether `schemas/<name>-value` describes its values.
    pub schema: bool,
    /// For people.
    pub doc: String,
}

impl Topic {
    /// Whether Kafka keeps the latest record of each key and drops the others.
    pub fn is_compacted(&self) -> bool {
        matches!(self.role, Role::Catalog | Role::Changelog | Role::Ledger | Role::Registry)
    }
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Written by others.
    Raw,
    /// Records that can never succeed.
    DeadLetters,
    /// Statements of sources, between our stages.
    Facts,
    /// The catalog.
    Catalog,
    /// What changed.
    Events,
    /// State of a keyed stage.
    Changelog,
    /// What people did with dead letters.
    Ledger,
    /// The schema registry's log.
    Registry,
}

impl Role {
    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::DeadLetters => "dead_letters",
            Self::Facts => "facts",
            Self::Catalog => "catalog",
            Self::Events => "events",
            Self::Changelog => "changelog",
            Self::Ledger => "ledger",
            Self::Registry => "registry",
        }
    }
}

/// What decides the partition of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyedBy {
    /// murmur2 of the owning entity's id.
    Entity,
    /// Whatever the producers do.
    Producer,
    /// There is one partition.
    Nothing,
}

/// A stage or sink.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name, also in groups, metrics and settings.
    pub name: String,
    /// How it runs.
    pub kind: StageKind,
    /// Topics it reads.
    pub inputs: Vec<String>,
    /// Topics it writes, besides dead letters and its changelog.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Outputs that lead back to its own input on purpose.
    #[serde(default)]
    pub feedback: Vec<String>,
    /// Topics that it holds in memory to look things up in: all partitions in each process, read to their ends before it
    /// takes records in.
    #[serde(default)]
    pub tables: Vec<String>,
    /// For people.
    pub doc: String,
}

/// How a stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Kafka to Kafka, pure.
    Transform,
    /// Kafka to Kafka with state by key.
    Keyed,
    /// Into a store, one consumer group.
    Sink,
    /// Into a store of each node, all partitions, no group.
    Follower,
}

impl StageKind {
    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Keyed => "keyed",
            Self::Sink => "sink",
            Self::Follower => "follower",
        }
    }

    /// Whether it writes to Kafka.
    pub fn produces(self) -> bool {
        matches!(self, Self::Transform | Self::Keyed)
    }
}

/// What an installation says about the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// `kafka.cluster`: prefix of groups, transactional ids and changelogs.
    pub cluster: String,
    /// `kafka.partitions`: partitions of topics keyed by entity, if not those of the file.
    pub entity_partitions: Option<u32>,
    /// `kafka.replication`: replicas of new topics; `None` = the broker's default.
    pub replication: Option<i32>,
}

impl Installation {
    /// An installation that says no more than its name.
    pub fn named(cluster: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), entity_partitions: None, replication: None }
    }
}

/// Why the files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// Not the shape of a topology file.
    #[error("topology/{file}: {}", .source.to_string().trim_end())]
    Parse {
        /// The file.
        file: &'static str,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A topic without a number of partitions.
    #[error("topology/topics.toml: topic {topic} is keyed by its producers and needs `partitions`")]
    NoPartitions {
        /// The topic.
        topic: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicsFile {
    entity_partitions: u32,
    #[serde(rename = "topic")]
    topics: Vec<WrittenTopic>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTopic {
    name: String,
    role: Role,
    of: Option<String>,
    keyed_by: KeyedBy,
    partitions: Option<u32>,
    #[serde(default, deserialize_with = "retention")]
    retention: Option<Duration>,
    #[serde(default, deserialize_with = "bytes")]
    max_message_bytes: Option<usize>,
    #[serde(default)]
    schema: bool,
    doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StagesFile {
    #[serde(rename = "stage")]
    stages: Vec<Stage>,
}

fn retention<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    match text.strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => Ok(Some(Duration::from_secs(u64::from(days) * 86_400))),
        _ => value::duration(&text).map(Some).map_err(de::Error::custom),
    }
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    value::bytes(&String::deserialize(from)?).map(Some).map_err(de::Error::custom)
}

impl Topology {
    /// The graph of this program in an installation.
    ///
    /// # Errors
    /// If the files cannot be read, which a test excludes.
    pub fn built_in(installation: &Installation) -> Result<Self, TopologyError> {
        Self::parse(TOPICS, STAGES, installation)
    }

    /// The graph in these files.
    ///
    /// # Errors
    /// [`TopologyError`] with file, line and column.
    pub fn parse(topics: &str, stages: &str, installation: &Installation) -> Result<Self, TopologyError> {
        let parsed = |file, source| TopologyError::Parse { file, source: Box::new(source) };
        let written: TopicsFile = toml::from_str(topics).map_err(|error| parsed("topics.toml", error))?;
        let stages: StagesFile = toml::from_str(stages).map_err(|error| parsed("stages.toml", error))?;
        let entity_partitions = installation.entity_partitions.unwrap_or(written.entity_partitions);
        let named = |text: &str| text.replace(CLUSTER, &installation.cluster);
        let mut all = Vec::with_capacity(written.topics.len());
        for topic in written.topics {
            let partitions = match (topic.keyed_by, topic.partitions) {
                // An explicit number stays, so that lint can object to it.
                (_, Some(partitions)) => partitions,
                (KeyedBy::Entity, None) => entity_partitions,
                (KeyedBy::Nothing, None) => 1,
                (KeyedBy::Producer, None) => return Err(TopologyError::NoPartitions { topic: topic.name }),
            };
            all.push(Topic {
                name: named(&topic.name),
                role: topic.role,
                of: topic.of,
                keyed_by: topic.keyed_by,
                partitions,
                retention: topic.retention,
                max_message_bytes: topic.max_message_bytes,
                schema: topic.schema,
                doc: topic.doc,
            });
        }
        Ok(Self { topics: all, stages: stages.stages })
    }

    /// Adds a raw topic that is read as `like` is, with a dead-letter topic of its own: the second metastore's, say. An
    /// existing one is left as it is.
    pub fn add_raw(&mut self, like: &str, name: &str) {
        if self.topic(name).is_some() {
            return;
        }
        let Some(source) = self.topic(like).cloned() else { return };
        if let Some(dead) = self.dead_letters_of(like).cloned() {
            let (name, of) = (format!("{name}.dlq"), Some(name.to_owned()));
            self.topics.push(Topic { name, of, ..dead });
        }
        // The subject belongs to the topic it is named after; plain JSON needs none.
        self.topics.push(Topic { name: name.to_owned(), schema: false, ..source });
        for stage in self.stages.iter_mut().filter(|stage| stage.inputs.iter().any(|input| input == like)) {
            stage.inputs.push(name.to_owned());
        }
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// The stage of this name.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Where poisoned records of a topic go.
    pub fn dead_letters_of(&self, topic: &str) -> Option<&Topic> {
        self.topics.iter().find(|one| one.role == Role::DeadLetters && one.of.as_deref() == Some(topic))
    }

    /// The changelog of a keyed stage.
    pub fn changelog_of(&self, stage: &str) -> Option<&Topic> {
        self.topics.iter().find(|one| one.role == Role::Changelog && one.of.as_deref() == Some(stage))
    }

    /// Topics of one role, in the order of the file.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Topic> {
        self.topics.iter().filter(move |topic| topic.role == role)
    }
}
