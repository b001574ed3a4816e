//! Groups that cannot go on: what they have lost, and where they go on if somebody accepts the loss. Nothing here happens by
//! itself: a stage that meets such a partition ends and names the command.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use crate::kafka::{Admin, Isolation, KafkaConfig, KafkaError, TopicId, TopicPartition, topic_ids};
use crate::stage::{OffsetNote, changelog_topic, group_id};

use super::apply::patiently;
use super::load::{Installation, StageKind, Topology};

/// How long members that have stopped may stay in their group: a static one stays for its session.
const MEMBERS_LEAVE: Duration = Duration::from_secs(30);

/// A partition that a group cannot go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The consumer group.
    pub group: String,
    /// The partition of its input.
    pub partition: TopicPartition,
    /// What is lost.
    pub what: Lost,
    /// Where it goes on.
    pub resume: i64,
    /// What is noted beside the offset from then on.
    note: String,
}

/// What is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Records were deleted before the group had read them.
    Overtaken {
        /// The group's offset.
        from: i64,
        /// The first that is left.
        to: i64,
    },
    /// The log ends before the group's offset: it was truncated or created again.
    Truncated {
        /// The group's offset.
        at: i64,
        /// The log's end.
        end: i64,
    },
    /// The topic was created again.
    Recreated {
        /// The group's offset in the old one.
        at: i64,
    },
    /// The changelog was created again: the state that went with the offset is gone.
    State {
        /// The changelog.
        changelog: String,
        /// The group's offset.
        at: i64,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, partition, what, resume, .. } = self;
        match what {
            Lost::Overtaken { from, to } => write!(
                f,
                "group {group} skips offsets {from}..{to} of {partition}, which retention deleted before it read them, and \
                 goes on at {resume}"
            ),
            Lost::Truncated { at, end } => write!(
                f,
                "group {group} stands at {at} of {partition}, which ends at {end}: the topic was truncated or created again; \
                 what it held unread up to {at} is skipped, and it goes on at {resume}"
            ),
            Lost::Recreated { at } => write!(
                f,
                "group {group} stood at {at} of another topic of the name of {partition}; what that held unread is skipped, \
                 and it goes on at {resume} of the new one"
            ),
            Lost::State { changelog, at } => write!(
                f,
                "group {group} gives up the state of {partition} up to offset {at}, which changelog {changelog} held before \
                 it was created again; it begins anew at {resume}, and what was said before is forgotten until a source \
                 says it again"
            ),
        }
    }
}

/// Looks at every group of ours that writes to Kafka. Sinks keep their positions beside their data: they are put right by
/// `tributary rebuild`.
///
/// # Errors
/// As Kafka answers.
pub fn survey(
    admin: &Admin,
    kafka: &KafkaConfig,
    topology: &Topology,
    installation: &Installation,
) -> Result<Vec<Loss>, KafkaError> {
    let existing = admin.topics()?;
    let mut found = Vec::new();
    for stage in topology.stages.iter().filter(|stage| stage.kind.produces()) {
        let group = group_id(&installation.cluster, &stage.name);
        let changelog = (stage.kind == StageKind::Keyed).then(|| changelog_topic(&installation.cluster, &stage.name));
        let partitions: Vec<TopicPartition> = stage
            .inputs
            .iter()
            .filter_map(|topic| Some((topic, existing.get(topic)?.partitions)))
            .flat_map(|(topic, count)| (0..count).map(move |partition| TopicPartition::new(topic.as_str(), partition)))
            .collect();
        let named: Vec<&str> = stage.inputs.iter().chain(&changelog).map(String::as_str).collect();
        let ids = topic_ids(kafka, &named)?;
        let changelog_id = changelog.as_ref().and_then(|changelog| ids.get(changelog)).copied();
        for (partition, committed) in patiently(|| admin.committed_with_notes(&group, &partitions))? {
            let Some(at) = committed.offset else { continue };
            let log = admin.watermarks(&partition, Isolation::Uncommitted)?;
            let topic_id = ids.get(&*partition.topic).copied();
            let then = OffsetNote::parse(&committed.note);
            let Some((what, resume)) =
                lost(at, &then, log.low, log.high, topic_id, changelog.as_deref().zip(changelog_id))
            else {
                continue;
            };
            let note = OffsetNote { topic: topic_id, changelog: changelog_id }.to_string();
            found.push(Loss { group: group.clone(), partition, what, resume, note });
        }
    }
    Ok(found)
}

/// What a group at `at` has lost of a log from `low` to `high`.
fn lost(
    at: i64,
    then: &OffsetNote,
    low: i64,
    high: i64,
    topic: Option<TopicId>,
    changelog: Option<(&str, TopicId)>,
) -> Option<(Lost, i64)> {
    if let Some((changelog, _)) = changelog.filter(|(_, id)| then.is_other_changelog(Some(*id))) {
        return Some((Lost::State { changelog: changelog.to_owned(), at }, low));
    }
    if then.is_other_topic(topic) {
        return Some((Lost::Recreated { at }, low));
    }
    if at < low {
        return Some((Lost::Overtaken { from: at, to: low }, low));
    }
    (at > high).then_some((Lost::Truncated { at, end: high }, low))
}

/// Why a loss could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// A stage still runs.
    #[error("group {group} has live members ({members}); stop stage {stage} everywhere and run the command again")]
    Live {
        /// The group.
        group: String,
        /// Who.
        members: String,
        /// Its stage.
        stage: String,
    },
    /// Kafka did not answer or refused.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

/// Lets the groups go on without what they have lost; those that are not in trouble are left alone.
///
/// # Errors
/// [`AcceptError::Live`] if a stage of one of the groups runs.
pub fn accept(admin: &Admin, losses: &[Loss]) -> Result<(), AcceptError> {
    let groups: BTreeSet<&str> = losses.iter().map(|loss| loss.group.as_str()).collect();
    for group in &groups {
        wait_for_members_to_leave(admin, group)?;
    }
    for group in groups {
        let ours = losses.iter().filter(|loss| loss.group == group);
        let offsets: BTreeMap<_, _> =
            ours.map(|loss| (loss.partition.clone(), (loss.resume, loss.note.clone()))).collect();
        patiently(|| admin.commit_noted(group, &offsets))?;
    }
    Ok(())
}

fn wait_for_members_to_leave(admin: &Admin, group: &str) -> Result<(), AcceptError> {
    let started = Instant::now();
    loop {
        let members = admin.group(group)?.members;
        if members.is_empty() {
            return Ok(());
        }
        if started.elapsed() > MEMBERS_LEAVE {
            let members: Vec<String> = members.iter().map(|one| format!("{} at {}", one.id, one.host)).collect();
            let stage = group.rsplit('.').next().unwrap_or(group).to_owned();
            return Err(AcceptError::Live { group: group.to_owned(), members: members.join(", "), stage });
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_lost_is_skipped() {
        let (one, two) = (TopicId([1; 16]), TopicId([2; 16]));
        let note = OffsetNote { topic: Some(one), changelog: Some(one) };
        let of = |at, low, high| lost(at, &note, low, high, Some(one), Some(("log", one)));
        assert_eq!((of(5, 0, 9), of(0, 0, 0), of(9, 9, 9)), (None, None, None));
        assert_eq!(of(5, 7, 9), Some((Lost::Overtaken { from: 5, to: 7 }, 7)));
        assert_eq!(of(10, 3, 9), Some((Lost::Truncated { at: 10, end: 9 }, 3)));
        assert_eq!(lost(5, &note, 0, 9, Some(two), Some(("log", one))), Some((Lost::Recreated { at: 5 }, 0)));
        let state = Lost::State { changelog: "log".to_owned(), at: 5 };
        assert_eq!(lost(5, &note, 2, 9, Some(two), Some(("log", two))), Some((state, 2)), "the state counts most");
        assert_eq!(lost(5, &OffsetNote::default(), 0, 9, Some(two), Some(("log", two))), None, "nothing was noted");
    }
}
