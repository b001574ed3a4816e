//! Carries out a plan: topics, settings, first offsets. Schemas are registered by [`super::schemas`], which needs the
//! registry's own topic to be there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kafka::{Admin, Isolation, KafkaError, TopicPartition, TopicSpec};
use crate::stage::group_id;

use super::load::{Installation, Topology};
use super::plan::{Action, Actual, ActualTopic, Plan, plan};

/// Looks at the cluster and plans what is missing. Subjects are not looked at: registering them again does no harm.
pub fn survey(admin: &Admin, topology: &Topology, installation: &Installation) -> Result<Plan, KafkaError> {
    let group_of = |stage: &str| group_id(&installation.cluster, stage);
    let mut actual = Actual::default();
    let existing = admin.topics()?;
    let ours: Vec<&str> =
        topology.topics.iter().map(|topic| topic.name.as_str()).filter(|name| existing.contains_key(*name)).collect();
    let mut described = admin.describe_configs(&ours)?;
    for name in &ours {
        let configs = described.remove(*name).unwrap_or_default();
        let overrides = configs.into_iter().filter(|(_, value)| value.is_override);
        actual.topics.insert(
            (*name).to_owned(),
            ActualTopic {
                partitions: existing.get(*name).map_or(0, |info| info.partitions.unsigned_abs()),
                configs: overrides.filter_map(|(key, value)| Some((key, value.value?))).collect(),
            },
        );
    }
    actual.registered = topology.topics.iter().filter(|topic| topic.schema).map(|topic| topic.name.clone()).collect();
    for stage in topology.stages.iter().filter(|stage| stage.kind.produces()) {
        let group = group_of(&stage.name);
        let partitions: Vec<TopicPartition> = stage
            .inputs
            .iter()
            .filter_map(|topic| Some((topic, existing.get(topic)?.partitions)))
            .flat_map(|(topic, count)| (0..count).map(move |partition| TopicPartition::new(topic.as_str(), partition)))
            .collect();
        for (partition, offset) in patiently(|| admin.committed(&group, &partitions))? {
            if offset.is_some() {
                actual.committed.insert((group.clone(), partition.topic.to_string(), partition.partition));
            }
        }
    }
    Ok(plan(topology, installation, &actual, &group_of))
}

/// A new topic has no leader for a moment, and a group whose static member has just stopped takes no offsets until that
/// member's session is over.
const PATIENCE: Duration = Duration::from_secs(30);

/// Carries out `plan`, in its order.
pub fn carry_out(admin: &Admin, plan: &Plan) -> Result<(), KafkaError> {
    let mut created = Vec::new();
    for action in &plan.actions {
        if let Action::CreateTopic { topic, partitions, replication, configs } = action {
            let partitions = i32::try_from(*partitions).unwrap_or(i32::MAX);
            let spec =
                TopicSpec { name: topic.clone(), partitions, replication: *replication, configs: configs.clone() };
            created.push(spec);
        }
    }
    admin.create_topics(&created)?;
    for topic in &created {
        let started = Instant::now();
        while admin.partition_count(&topic.name)?.is_none() && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        patiently(|| admin.topic_watermarks(&topic.name, Isolation::Uncommitted))?;
    }
    for action in &plan.actions {
        match action {
            Action::CreateTopic { .. } | Action::RegisterSchemas { .. } => {}
            Action::AddPartitions { topic, to, .. } => {
                admin.add_partitions(topic, i32::try_from(*to).unwrap_or(i32::MAX))?;
            }
            Action::SetConfigs { topic, configs } => admin.alter_configs(topic, configs)?,
            Action::CommitStart { group, topic, partitions } => {
                let mut starts = BTreeMap::new();
                for partition in partitions {
                    let partition = TopicPartition::new(topic.as_str(), *partition);
                    let low = patiently(|| admin.watermarks(&partition, Isolation::Uncommitted))?.low;
                    starts.insert(partition, low);
                }
                patiently(|| admin.commit_offsets(group, &starts))?;
            }
        }
    }
    Ok(())
}

/// Tries again while the cluster is still settling.
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_settling(&error) && started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            outcome => return outcome,
        }
    }
}

fn is_settling(error: &KafkaError) -> bool {
    let passing = ["UnknownTopicOrPartition", "UnknownPartition", "UnknownTopic", "UnknownMemberId"];
    error.is_transient() || error.code_name().is_some_and(|code| passing.contains(&code.as_str()))
}
