//! A running task: its thread, its status, its end.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::kafka::TopicPartition;

use super::counters::Counters;
use super::fault::Fault;

/// Asks tasks to finish what they have and end. Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct StopToken {
    asked: Arc<AtomicBool>,
    above: Option<Box<StopToken>>,
}

impl StopToken {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token for some of the tasks: they end when it is asked, or when this one is.
    pub fn child(&self) -> Self {
        Self { asked: Arc::default(), above: Some(Box::new(self.clone())) }
    }

    /// Asks.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn is_stopped(&self) -> bool {
        self.asked.load(Ordering::SeqCst) || self.above.as_ref().is_some_and(|above| above.is_stopped())
    }
}

/// What a task is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Joining its group, reading positions, restoring state.
    Starting,
    /// Processing, or waiting for records.
    Running,
    /// Something is away, or a sink has rejected rows; it goes on trying. The reason is for a person.
    Degraded(String),
    /// It ended in order.
    Stopped,
    /// It ended because it cannot go on.
    Failed(String),
}

impl TaskState {
    /// Whether the task has ended, in order or not.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Stopped | Self::Failed(_))
    }
}

/// A snapshot of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// Stage or sink.
    pub stage: String,
    /// Full id of the task.
    pub task: String,
    /// What it is doing.
    pub state: TaskState,
    /// Partitions it owns, with the next offset that is committed or stored.
    pub positions: BTreeMap<TopicPartition, i64>,
    /// Records behind the last stable offset, at most 5 s old.
    pub lag: BTreeMap<TopicPartition, i64>,
    /// Outcomes so far.
    pub counters: Counters,
    /// When it last committed something.
    pub last_commit: Option<Instant>,
}

/// The status as its task writes it.
pub(super) struct Shared {
    status: Mutex<TaskStatus>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn update(&self, change: impl FnOnce(&mut TaskStatus)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, TaskStatus> {
        self.status.lock().expect("no holder of this lock panics")
    }
}

/// Sees what a task is doing, without owning it.
#[derive(Clone)]
pub struct TaskWatch(Arc<Shared>);

impl TaskWatch {
    /// The next offsets that the task has committed or stored, of the partitions that it owns.
    pub fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        self.0.lock().positions.clone()
    }
}

/// A spawned task.
pub struct TaskHandle {
    shared: Arc<Shared>,
    stop: StopToken,
    thread: Option<JoinHandle<()>>,
}

impl TaskHandle {
    /// Runs `body` on a thread named after the task. A panic of the body is a failure of the task.
    pub(super) fn spawn(
        stage: &str,
        task: String,
        stop: StopToken,
        body: impl FnOnce(&Shared, &StopToken) -> Result<(), Fault> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            status: Mutex::new(TaskStatus {
                stage: stage.to_owned(),
                task: task.clone(),
                state: TaskState::Starting,
                positions: BTreeMap::new(),
                lag: BTreeMap::new(),
                counters: Counters::default(),
                last_commit: None,
            }),
            changed: Condvar::new(),
        });
        let (theirs, token) = (Arc::clone(&shared), stop.clone());
        // Linux shows 15 bytes of a thread's name: the stage says most.
        let thread = thread::Builder::new().name(stage.to_owned()).spawn(move || {
            let guard = PanicGuard(&theirs);
            let end = match body(&theirs, &token) {
                Ok(()) => TaskState::Stopped,
                Err(fault) => {
                    let reason = fault.chain();
                    tracing::error!(task, reason, "task failed");
                    TaskState::Failed(reason)
                }
            };
            std::mem::forget(guard);
            theirs.update(|status| status.state = end);
        })?;
        Ok(Self { shared, stop, thread: Some(thread) })
    }

    /// Sees the task while others own it.
    pub fn watch(&self) -> TaskWatch {
        TaskWatch(Arc::clone(&self.shared))
    }

    /// The status as of now.
    pub fn status(&self) -> TaskStatus {
        self.shared.lock().clone()
    }

    /// Waits until `condition` holds, the task has ended or the time is over; returns whether the condition holds.
    pub fn wait_until(&self, timeout: Duration, condition: impl Fn(&TaskStatus) -> bool) -> bool {
        let guard = self.shared.lock();
        let waiting = |status: &mut TaskStatus| !condition(status) && !status.state.is_end();
        let waited = self.shared.changed.wait_timeout_while(guard, timeout, waiting);
        let (guard, _) = waited.expect("no holder of this lock panics");
        condition(&guard)
    }

    /// Asks this task (and all that share its token) to end.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Waits for the end; the reason if it failed.
    pub fn join(mut self) -> Result<TaskStatus, String> {
        if let Some(thread) = self.thread.take() {
            // A panic has been turned into a failed state already.
            let _ = thread.join();
        }
        let status = self.status();
        match &status.state {
            TaskState::Failed(reason) => Err(reason.clone()),
            _ => Ok(status),
        }
    }

    /// Whether the task has ended, in order or not.
    pub fn is_finished(&self) -> bool {
        self.status().state.is_end()
    }
}

struct PanicGuard<'a>(&'a Shared);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0.update(|status| status.state = TaskState::Failed("the task panicked; see its message above".into()));
    }
}

/// Grows the time between attempts, from 100 ms to 5 s.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(Duration::from_millis(100))
    }

    pub(super) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Duration::from_secs(5));
        now
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_reports_how_it_ended() {
        let run = |body: fn() -> Result<(), Fault>| {
            TaskHandle::spawn("s", "s.0".into(), StopToken::new(), move |_, _| body()).expect("thread")
        };
        assert_eq!(run(|| Ok(())).join().expect("in order").state, TaskState::Stopped);
        assert_eq!(run(|| Err(Fault::fatal("lost"))).join(), Err("lost".to_owned()));
        assert!(run(|| panic!("boom")).join().expect_err("panicked").contains("panicked"));
    }

    #[test]
    fn a_part_of_the_tasks_can_be_stopped_alone() {
        let all = StopToken::new();
        let (some, others) = (all.child(), all.child());
        some.stop();
        assert!(some.is_stopped() && !others.is_stopped() && !all.is_stopped());
        all.stop();
        assert!(others.is_stopped());
    }

    #[test]
    fn waits_grow_to_a_bound() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 100);
    }
}
