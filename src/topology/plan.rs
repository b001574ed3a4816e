//! What `topology apply` has to do: the difference between the graph and a cluster. Pure; executing it is another's job.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::load::{Installation, KeyedBy, Role, Topic, Topology};

/// How long a tombstone stays readable: a follower or a local store may be away so long and still learn of it.
const TOMBSTONES_MS: u64 = 7 * 86_400_000;

/// A cluster and registry as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// Topics by name; those that the graph does not name are ignored.
    pub topics: BTreeMap<String, ActualTopic>,
    /// Topics whose `<topic>-value` subject has all our schema versions.
    pub registered: BTreeSet<String>,
    /// (Group, topic, partition) with a committed offset.
    pub committed: BTreeSet<(String, String, i32)>,
}

/// A topic as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActualTopic {
    /// Partitions.
    pub partitions: u32,
    /// Effective configuration, at least of the keys that we set.
    pub configs: BTreeMap<String, String>,
}

/// A step, in the order in which steps must be taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Create a topic.
    CreateTopic {
        /// Name.
        topic: String,
        /// Partitions.
        partitions: u32,
        /// Replicas; `None` = the broker's default.
        replication: Option<i32>,
        /// Configuration.
        configs: BTreeMap<String, String>,
    },
    /// Add partitions to a topic of ours that is not keyed by entity.
    AddPartitions {
        /// Name.
        topic: String,
        /// Partitions now.
        from: u32,
        /// Partitions wanted.
        to: u32,
    },
    /// Change the configuration of a topic of ours.
    SetConfigs {
        /// Name.
        topic: String,
        /// The keys that differ, with the values wanted.
        configs: BTreeMap<String, String>,
    },
    /// Register all schema versions of `<topic>-value`.
    RegisterSchemas {
        /// The topic.
        topic: String,
    },
    /// Commit the log-start offset, the only initialisation a stage ever gets.
    CommitStart {
        /// The stage's group.
        group: String,
        /// The topic.
        topic: String,
        /// Its partitions without a committed offset.
        partitions: Vec<i32>,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTopic { topic, partitions, .. } => {
                write!(f, "create topic {topic} with {partitions} partitions")
            }
            Self::AddPartitions { topic, from, to } => {
                write!(f, "give topic {topic} {to} partitions instead of {from}")
            }
            Self::SetConfigs { topic, configs } => {
                let pairs: Vec<String> = configs.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "set {} of topic {topic}", pairs.join(", "))
            }
            Self::RegisterSchemas { topic } => write!(f, "register the schemas of subject {topic}-value"),
            Self::CommitStart { group, topic, partitions } => {
                write!(f, "let group {group} start at the beginning of {topic} {partitions:?}")
            }
        }
    }
}

/// Something that no step can put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The topic.
    pub topic: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.topic, self.message)
    }
}

/// What to do, what cannot be done, what is different on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Steps, in order.
    pub actions: Vec<Action>,
    /// Nothing may be applied while there is one of these.
    pub refusals: Vec<Refusal>,
    /// Differences of topics that others own; left as they are.
    pub notices: Vec<Refusal>,
}

/// The configuration a topic needs.
pub fn configs(topic: &Topic, replication: Option<i32>) -> BTreeMap<String, String> {
    let mut configs = BTreeMap::new();
    let mut set = |key: &str, value: String| configs.insert(key.to_owned(), value);
    set("cleanup.policy", if topic.is_compacted() { "compact" } else { "delete" }.to_owned());
    if topic.role == Role::Registry {
        // A Confluent registry creates it like this; whoever takes it over finds what it expects.
        return configs;
    }
    set("message.timestamp.type", "LogAppendTime".to_owned());
    if let Some(retention) = topic.retention {
        set("retention.ms", retention.as_millis().to_string());
    }
    if let Some(bytes) = topic.max_message_bytes {
        set("max.message.bytes", bytes.to_string());
    }
    if topic.is_compacted() {
        set("delete.retention.ms", TOMBSTONES_MS.to_string());
    }
    if replication.is_some_and(|replicas| replicas >= 3) {
        set("min.insync.replicas", "2".to_owned());
    }
    configs
}

/// The steps from `actual` to the graph; `group_of` names a stage's consumer group.
pub fn plan(
    topology: &Topology,
    installation: &Installation,
    actual: &Actual,
    group_of: &dyn Fn(&str) -> String,
) -> Plan {
    let mut plan = Plan::default();
    let mut partitions_after: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in &topology.topics {
        let wanted = configs(topic, installation.replication);
        let partitions = partitions_of(topology, actual, topic);
        let Some(found) = actual.topics.get(&topic.name) else {
            partitions_after.insert(&topic.name, partitions);
            plan.actions.push(Action::CreateTopic {
                topic: topic.name.clone(),
                partitions,
                replication: installation.replication,
                configs: wanted,
            });
            continue;
        };
        partitions_after.insert(&topic.name, found.partitions);
        if found.partitions != partitions {
            let (from, to) = (found.partitions, partitions);
            match topic.keyed_by {
                KeyedBy::Producer if from < to && topic.role != Role::Raw => {
                    partitions_after.insert(&topic.name, to);
                    plan.actions.push(Action::AddPartitions { topic: topic.name.clone(), from, to });
                }
                KeyedBy::Producer if topic.role == Role::Changelog => plan.refusals.push(Refusal {
                    topic: topic.name.clone(),
                    message: format!(
                        "it has {from} partitions, its stage's input has {to}: the input was made anew with fewer; give \
                         it {from} again, or delete this changelog and with it the stage's state"
                    ),
                }),
                // More than we would have made does no harm, and how many a raw topic has is its owner's choice.
                KeyedBy::Producer => {}
                KeyedBy::Entity => plan.refusals.push(Refusal {
                    topic: topic.name.clone(),
                    message: format!(
                        "it has {from} partitions instead of {to}; each key lives in the partition of its owner, so the \
                         number cannot change: set kafka.partitions = {from} if all catalog topics have {from}, else \
                         start anew with empty catalog topics"
                    ),
                }),
                KeyedBy::Nothing => plan.refusals.push(Refusal {
                    topic: topic.name.clone(),
                    message: format!("it has {from} partitions instead of {to}; its records must be in one order"),
                }),
            }
        }
        let different = differing(&wanted, &found.configs);
        if different.is_empty() {
            continue;
        }
        if topic.role == Role::Raw {
            let pairs: Vec<String> = different
                .iter()
                .map(|(key, value)| {
                    format!("{key} is {}, not {value}", found.configs.get(key).map_or("unset", String::as_str))
                })
                .collect();
            plan.notices
                .push(Refusal { topic: topic.name.clone(), message: format!("left as it is: {}", pairs.join(", ")) });
        } else {
            plan.actions.push(Action::SetConfigs { topic: topic.name.clone(), configs: different });
        }
    }
    for topic in topology.topics.iter().filter(|topic| topic.schema && !actual.registered.contains(&topic.name)) {
        plan.actions.push(Action::RegisterSchemas { topic: topic.name.clone() });
    }
    for stage in topology.stages.iter().filter(|stage| stage.kind.produces()) {
        let group = group_of(&stage.name);
        for topic in &stage.inputs {
            let count = partitions_after.get(topic.as_str()).copied().unwrap_or_default();
            let all = (0..count).filter_map(|partition| i32::try_from(partition).ok());
            let partitions: Vec<i32> = all
                .filter(|partition| !actual.committed.contains(&(group.clone(), topic.clone(), *partition)))
                .collect();
            if !partitions.is_empty() {
                plan.actions.push(Action::CommitStart { group: group.clone(), topic: topic.clone(), partitions });
            }
        }
    }
    plan.actions.sort();
    plan
}

/// How many partitions a topic is to have. How many a raw topic has is its owner's choice, and the state of the stage that
/// reads it lies in as many.
fn partitions_of(topology: &Topology, actual: &Actual, topic: &Topic) -> u32 {
    let stage = topic.of.as_deref().filter(|_| topic.role == Role::Changelog).and_then(|of| topology.stage(of));
    let input = stage.and_then(|stage| stage.inputs.first()).and_then(|input| topology.topic(input));
    match input.filter(|input| input.role == Role::Raw).and_then(|input| actual.topics.get(&input.name)) {
        Some(input) => input.partitions.max(1),
        None => topic.partitions,
    }
}

fn differing(wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let differs = |(key, value): &(&String, &String)| found.get(*key) != Some(*value);
    wanted.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect()
}
