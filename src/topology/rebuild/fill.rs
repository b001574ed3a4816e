//! Fills a view with its own sink, from the topics' beginnings or from where the view stands, to given ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kafka::{Admin, Isolation, TopicPartition};
use crate::stage::{
    PositionDelta, Sink, SinkError, StageRecord, StoredPosition, TaskHandle, TaskState, spawn_follower,
};
use crate::topology::quiet::Offsets;

use super::{Progress, RebuildError, Source, Step, Watch};

/// How often progress is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// The bounds of the topics of a view.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    pub(super) low: Offsets,
    pub(super) high: Offsets,
}

/// Where the logs of `topics` begin and end now.
pub(super) fn marks(admin: &Admin, topics: &[String]) -> Result<Marks, RebuildError> {
    let mut marks = Marks::default();
    for topic in topics {
        for (partition, log) in admin.topic_watermarks(topic, Isolation::Uncommitted)? {
            let key = TopicPartition::new(topic.as_str(), partition);
            marks.low.insert(key.clone(), log.low);
            marks.high.insert(key, log.high);
        }
    }
    Ok(marks)
}

/// What the sinks of a filling have done so far.
#[derive(Debug, Default)]
pub(super) struct Work {
    records: AtomicU64,
    micros: AtomicU64,
}

impl Work {
    pub(super) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Time in the sinks' writes, of all threads together.
    pub(super) fn seconds(&self) -> f64 {
        self.micros.load(Ordering::Relaxed) as f64 / 1e6
    }
}

/// A sink whose work is counted.
struct Counted {
    sink: Box<dyn Sink>,
    work: Arc<Work>,
}

impl Sink for Counted {
    fn positions(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, StoredPosition>, SinkError> {
        self.sink.positions(partitions)
    }

    fn write(&mut self, batch: &[StageRecord], delta: &PositionDelta) -> Result<(), SinkError> {
        let started = Instant::now();
        let outcome = self.sink.write(batch, delta);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.work.micros.fetch_add(micros, Ordering::Relaxed);
        if outcome.is_ok() {
            self.work.records.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        outcome
    }

    fn revoked(&mut self, partitions: &[TopicPartition]) {
        self.sink.revoked(partitions);
    }

    fn lost(&self) -> Option<String> {
        self.sink.lost()
    }

    fn degraded(&self) -> Option<String> {
        self.sink.degraded()
    }
}

/// The followers that fill a view.
pub(super) struct Filling {
    view: &'static str,
    tasks: Vec<TaskHandle>,
}

impl Filling {
    /// Starts a follower for each group of topics, with the sink that `sink` makes for it.
    pub(super) fn start(
        source: &Source,
        view: &'static str,
        groups: Vec<Vec<String>>,
        work: &Arc<Work>,
        mut sink: impl FnMut() -> Result<Box<dyn Sink>, RebuildError>,
    ) -> Result<Self, RebuildError> {
        let mut tasks = Vec::new();
        for topics in groups.into_iter().filter(|topics| !topics.is_empty()) {
            let counted = Box::new(Counted { sink: sink()?, work: Arc::clone(work) });
            tasks.push(spawn_follower(&source.kafka, source.spec(view, topics), counted, source.stop.child())?);
        }
        Ok(Self { view, tasks })
    }

    /// Waits until every partition has reached its end in `ends`.
    pub(super) fn reach(
        &self,
        source: &Source,
        step: Step,
        low: &Offsets,
        ends: &Offsets,
        watch: Watch<'_>,
    ) -> Result<(), RebuildError> {
        let start = |key: &TopicPartition| low.get(key).copied().unwrap_or(0);
        let total: i64 = ends.iter().map(|(key, end)| (end - start(key)).max(0)).sum();
        loop {
            let positions = self.positions()?;
            let passed = |(key, end): (&TopicPartition, &i64)| {
                positions.get(key).map_or(0, |position| ((*position).min(*end) - start(key)).max(0))
            };
            let done: i64 = ends.iter().map(passed).sum();
            let trouble = self.tasks.iter().find_map(|task| match task.status().state {
                TaskState::Degraded(reason) => Some(reason),
                _ => None,
            });
            watch(&Progress { step, done: done.unsigned_abs(), total: total.unsigned_abs(), trouble });
            if ends.iter().all(|(key, end)| positions.get(key).is_some_and(|position| position >= end)) {
                return Ok(());
            }
            if source.stop.is_stopped() {
                return Err(RebuildError::Stopped);
            }
            std::thread::sleep(EVERY);
        }
    }

    /// Where the view stands; the reason if it cannot be filled any further.
    pub(super) fn positions(&self) -> Result<Offsets, RebuildError> {
        let mut positions = Offsets::new();
        for task in &self.tasks {
            let status = task.status();
            if let TaskState::Failed(reason) = status.state {
                return Err(RebuildError::Failed { view: self.view, reason });
            }
            positions.extend(status.positions);
        }
        Ok(positions)
    }

    /// Ends the followers in order: what they have taken in is in the view.
    pub(super) fn stop(mut self) -> Result<(), RebuildError> {
        self.tasks.iter().for_each(TaskHandle::stop);
        for task in std::mem::take(&mut self.tasks) {
            task.join().map_err(|reason| RebuildError::Failed { view: self.view, reason })?;
        }
        Ok(())
    }

    /// The follower, to go on as the one that keeps the view up to date; for a filling with one group.
    pub(super) fn into_task(mut self) -> Option<TaskHandle> {
        self.tasks.pop().filter(|_| self.tasks.is_empty())
    }
}

impl Drop for Filling {
    /// A rebuild that fails leaves nobody behind who writes.
    fn drop(&mut self) {
        self.tasks.iter().for_each(TaskHandle::stop);
        for task in std::mem::take(&mut self.tasks) {
            // Why it failed is the rebuild's answer already.
            let _ = task.join();
        }
    }
}

/// Splits topics into `count` groups with about as much to read in each.
pub(super) fn balanced(marks: &Marks, topics: Vec<String>, count: usize) -> Vec<Vec<String>> {
    let size = |topic: &str| -> i64 {
        let of_topic = marks.high.iter().filter(|(key, _)| &*key.topic == topic);
        of_topic.map(|(key, high)| high - marks.low.get(key).copied().unwrap_or(0)).sum()
    };
    let mut sized: Vec<(i64, String)> = topics.into_iter().map(|topic| (size(&topic), topic)).collect();
    sized.sort_by(|a, b| b.cmp(a));
    let mut groups: Vec<(i64, Vec<String>)> = vec![(0, Vec::new()); count.max(1)];
    for (size, topic) in sized {
        if let Some(smallest) = groups.iter_mut().min_by_key(|(sum, _)| *sum) {
            smallest.0 += size;
            smallest.1.push(topic);
        }
    }
    groups.into_iter().map(|(_, topics)| topics).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_shared_out_by_what_there_is_to_read() {
        let mut marks = Marks::default();
        for (topic, low, high) in [("a", 0, 100), ("b", 50, 90), ("c", 0, 50), ("d", 0, 0)] {
            marks.low.insert(TopicPartition::new(topic, 0), low);
            marks.high.insert(TopicPartition::new(topic, 0), high);
        }
        let topics = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let groups = balanced(&marks, topics, 2);
        assert_eq!(groups, [vec!["a".to_owned()], vec!["c".to_owned(), "b".to_owned(), "d".to_owned()]]);
    }
}
