//! Carries out a plan: topics, settings, first offsets. Schemas are registered by [`super::schemas`], which needs the
//! registry's own topic to be there.

use std::collections::{BTreeMap, BTreeSet};

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
        for (partition, offset) in admin.committed(&group, &partitions)? {
            if offset.is_some() {
                actual.committed.insert((group.clone(), partition.topic.to_string(), partition.partition));
            }
        }
    }
    Ok(plan(topology, installation, &actual, &group_of))
}

/// Carries out `plan`, in its order.
pub fn carry_out(admin: &Admin, plan: &Plan) -> Result<(), KafkaError> {
    let mut created = Vec::new();
    for action in &plan.actions {
        if let Action::CreateTopic { topic, partitions, replication, configs } = action {
            let partitions = i32::try_from(*partitions).unwrap_or(i32::MAX);
            created.push(TopicSpec {
                name: topic.clone(),
                partitions,
                replication: *replication,
                configs: configs.clone(),
            });
        }
    }
    admin.create_topics(&created)?;
    wait_until_known(admin, &created)?;
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
                    let low = admin.watermarks(&partition, Isolation::Uncommitted)?.low;
                    starts.insert(partition, low);
                }
                admin.commit_offsets(group, &starts)?;
            }
        }
    }
    Ok(())
}

/// A new topic is known to the broker that created it first; clients may ask another, or too early.
fn wait_until_known(admin: &Admin, created: &[TopicSpec]) -> Result<(), KafkaError> {
    let wanted: BTreeSet<&str> = created.iter().map(|topic| topic.name.as_str()).collect();
    for _ in 0..200 {
        let known = admin.topics()?;
        if wanted.iter().all(|topic| known.contains_key(*topic)) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(())
}
