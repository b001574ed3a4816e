//! Local state of the keyed stages of a node that does not run: from the changelog, or the changelog from it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::kafka::{Admin, Isolation, TopicId, TopicPartition, topic_ids};
use crate::stage::{
    FromLocalError, OffsetNote, StageSpec, changelog_from_local, changelog_topic, compare_store, rebuild_store,
};
use crate::topology::apply::patiently;
use crate::topology::load::{Stage, StageKind};

use super::{Clock, Progress, RebuildError, Report, Source, Step, Watch, admin};

/// A keyed stage with what its state is made of.
struct Keyed {
    spec: StageSpec,
    input: String,
    partitions: i32,
    changelog: Option<TopicId>,
    input_id: Option<TopicId>,
}

/// Brings the local state in `data_dir` back from the changelogs of all keyed stages, partition by partition, each beside
/// the one that is there. The caller holds the folder's lock.
///
/// # Errors
/// [`RebuildError`]; a partition that was not done is as it was.
pub fn state(source: &Source, data_dir: &Path, verify: bool, watch: Watch<'_>) -> Result<Report, RebuildError> {
    let mut clock = Clock::start();
    let mut report = Report::default();
    let admin = admin(source)?;
    for keyed in keyed_stages(source, &admin, data_dir)? {
        check_changelog(&admin, &keyed)?;
        let total = changelog_size(&admin, &keyed)?;
        let mut before = 0;
        for partition in 0..keyed.partitions {
            let done = &mut |done: u64, _: u64| {
                watch(&Progress { step: Step::Filling, done: before + done, total, trouble: None });
            };
            let rebuilt = rebuild_store(&source.kafka, &admin, &keyed.spec, partition, keyed.changelog, done)?;
            let log = TopicPartition::new(keyed.spec.changelog(), partition);
            let low = admin.watermarks(&log, Isolation::Uncommitted)?.low;
            before += (rebuilt.position - low).unsigned_abs();
            report.records += rebuilt.records;
            report.position.insert(log, rebuilt.position);
        }
        clock.lap("filling");
        if verify {
            watch(&Progress { step: Step::Verifying, done: 0, total: 0, trouble: None });
            let mut entries = 0;
            for partition in 0..keyed.partitions {
                match compare_store(&source.kafka, &admin, &keyed.spec, partition)? {
                    Ok(equal) => entries += equal,
                    Err((own, theirs)) => {
                        let log = keyed.spec.changelog();
                        let line = format!("{log}-{partition}: {theirs} entries in the changelog, {own} in the state");
                        return Err(RebuildError::Differs { view: "state", differences: vec![line] });
                    }
                }
            }
            report.verified = Some(format!("the {entries} registers are those of the changelog"));
            clock.lap("verifying");
        }
    }
    report.seconds = clock.seconds();
    report.shares = clock.shares;
    Ok(report)
}

/// Writes local state into changelogs that were created again, and lets the stages read their inputs from the beginning
/// of what these still hold: what the last seconds before a crash changed may be missing in the local state, and reading
/// a fact again changes nothing where it is not. Partitions whose changelog is whole are left alone.
///
/// # Errors
/// [`RebuildError`]; done again, it goes on.
pub fn state_from_local(source: &Source, data_dir: &Path, watch: Watch<'_>) -> Result<Report, RebuildError> {
    let mut clock = Clock::start();
    let mut report = Report::default();
    let admin = admin(source)?;
    let mut whole = Vec::new();
    for keyed in keyed_stages(source, &admin, data_dir)? {
        let mut starts: BTreeMap<TopicPartition, (i64, String)> = BTreeMap::new();
        let group = keyed.spec.group();
        let inputs: Vec<_> = (0..keyed.partitions).map(|p| TopicPartition::new(keyed.input.as_str(), p)).collect();
        let committed = admin.committed_with_notes(&group, &inputs)?;
        let note = OffsetNote { topic: keyed.input_id, changelog: keyed.changelog };
        for input in inputs {
            let noted = committed.get(&input).map(|one| OffsetNote::parse(&one.note)).unwrap_or_default();
            let done = &mut |done: u64, total: u64| {
                watch(&Progress { step: Step::Filling, done, total, trouble: None });
            };
            match changelog_from_local(&source.kafka, &admin, &keyed.spec, input.partition, keyed.changelog, done) {
                Ok(written) => {
                    report.records += written.records;
                    report
                        .position
                        .insert(TopicPartition::new(keyed.spec.changelog(), input.partition), written.position);
                }
                // A run that was killed has written the changelog and not yet moved the group.
                Err(FromLocalError::NotLost { .. }) if noted.is_other_changelog(keyed.changelog) => {}
                Err(FromLocalError::NotLost { changelog }) => {
                    whole.push(changelog.to_string());
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let low = admin.watermarks(&input, Isolation::Uncommitted)?.low;
            starts.insert(input, (low, note.to_string()));
        }
        clock.lap("writing changelogs");
        for (input, (offset, _)) in &starts {
            report.notes.push(format!("group {group} reads {input} again from offset {offset}"));
        }
        patiently(|| admin.commit_noted(&group, &starts))?;
        clock.lap("moving the group");
    }
    if report.position.is_empty() {
        return Err(RebuildError::Missing(format!("nothing to bring back: {} are whole", whole.join(", "))));
    }
    report.seconds = clock.seconds();
    report.shares = clock.shares;
    Ok(report)
}

fn keyed_stages(source: &Source, admin: &Admin, data_dir: &Path) -> Result<Vec<Keyed>, RebuildError> {
    let stages = source.topology.stages.iter().filter(|stage| stage.kind == StageKind::Keyed);
    stages.map(|stage| keyed(source, admin, data_dir, stage)).collect()
}

fn keyed(source: &Source, admin: &Admin, data_dir: &Path, stage: &Stage) -> Result<Keyed, RebuildError> {
    let cluster = &source.config.kafka.cluster;
    let spec = StageSpec::new(cluster.clone(), stage.name.as_str(), source.instance.clone(), data_dir);
    let changelog = changelog_topic(cluster, &stage.name);
    let input = stage.inputs.first().cloned().unwrap_or_default();
    let Some(partitions) = admin.partition_count(&changelog)? else {
        return Err(RebuildError::Missing(format!(
            "there is no topic {changelog}: the registers of stage {0} are gone with it, and no other topic holds them. If \
             this data directory still has local state, run `tributary topology apply` and then `tributary rebuild state \
             --from-local`, which writes it into a new changelog. Without it, bring the topic back from a backup of the \
             cluster; or let the stage begin anew: `tributary topology apply --accept-loss` makes it read what \
             {input} still holds, and the catalog goes on from there",
            stage.name
        )));
    };
    let ids = topic_ids(&source.kafka, &[&changelog, &input])?;
    let (input_id, changelog) = (ids.get(&input).copied(), ids.get(&changelog).copied());
    Ok(Keyed { spec, partitions, changelog, input_id, input })
}

/// A changelog that is not the one that the group's offsets were committed with does not hold the state.
fn check_changelog(admin: &Admin, keyed: &Keyed) -> Result<(), RebuildError> {
    let inputs: Vec<_> = (0..keyed.partitions).map(|p| TopicPartition::new(keyed.input.as_str(), p)).collect();
    for (input, committed) in admin.committed_with_notes(&keyed.spec.group(), &inputs)? {
        if OffsetNote::parse(&committed.note).is_other_changelog(keyed.changelog) {
            return Err(RebuildError::Missing(format!(
                "topic {} was deleted and created again since stage {} read {input} up to offset {}: it does not hold the \
                 state any more. If this data directory still has local state, `tributary rebuild state --from-local` \
                 writes it into the new changelog; without it, `tributary topology apply --accept-loss` lets the stage \
                 begin anew with what {} still holds",
                keyed.spec.changelog(),
                keyed.spec.stage,
                committed.offset.unwrap_or_default(),
                keyed.input,
            )));
        }
    }
    Ok(())
}

fn changelog_size(admin: &Admin, keyed: &Keyed) -> Result<u64, RebuildError> {
    let marks = admin.topic_watermarks(&keyed.spec.changelog(), Isolation::Uncommitted)?;
    Ok(marks.values().map(|log| (log.high - log.low).unsigned_abs()).sum())
}
