//! The one thread that writes. Concurrent commands share a transaction; each is decided on what those before it did.
//!
//! Safety is the broker's fence: whoever acquired the topic last writes, everybody else's commit fails. So after an
//! acquisition the topic is read to its end before anything is decided, and while the epoch holds no other node can have
//! written in between. What the node before had begun and lost is put right then, together with a mark of the log's end
//! that tells all nodes who writes now.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::decide::{Command, Reply, decide};
use super::error::RegistryError;
use super::format::{self, Record};
use super::log::{Acquired, KeyValue, LogError, LogWriter};
use super::reader::Published;
use super::repair;
use super::snapshot::Snapshot;

/// Most commands in one transaction.
const MAX_BATCH: usize = 256;
/// How long a command may take, retries included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);
/// First pause after losing the topic to another node; doubled up to 16 times of it.
const BACKOFF: Duration = Duration::from_millis(5);

/// How often the writer tells how far the log goes.
const LAG_EVERY: Duration = Duration::from_secs(10);
/// Runs of committed records since the last mark, over which a long-serving writer sets a new one.
const MAX_RUNS: usize = 10_000;

/// Called with a command's outcome, on the writer thread; must not block.
pub(super) type Answer<T> = Box<dyn FnOnce(Result<T, RegistryError>) + Send>;

/// A command, perhaps only for a node that has been the writer since it set a mark.
pub(super) struct Order {
    pub(super) command: Box<Command>,
    pub(super) since: Option<i64>,
}

/// Work for the writer.
pub(super) enum Job {
    /// Decide and write.
    Write(Order, Answer<Reply>),
    /// Bring the snapshot to the topic's present end.
    Refresh(Answer<()>),
    /// End the thread.
    Stop,
}

pub(super) struct Writer<'a> {
    pub(super) log: Box<dyn LogWriter>,
    pub(super) published: &'a Published,
    /// URL of this node, once it has one.
    pub(super) url: &'a OnceLock<Arc<str>>,
    /// Offset of the mark by which this node became the writer, while it is one as far as it knows.
    pub(super) since: Option<i64>,
    /// End up to which the snapshot is known to reach while this node is the writer.
    pub(super) written: i64,
    /// Whether what aborted transactions have left is still to be put right.
    pub(super) unrepaired: bool,
    /// Whether this node has begun a transaction.
    pub(super) has_written: bool,
}

impl Writer<'_> {
    /// Serves jobs until told to stop.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut told = Instant::now();
        loop {
            let mut next = match jobs.recv_timeout(LAG_EVERY.saturating_sub(told.elapsed())) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if told.elapsed() >= LAG_EVERY {
                self.tell_lag();
                told = Instant::now();
            }
            let (mut writes, mut refreshes, mut stop) = (Vec::new(), Vec::new(), false);
            while let Some(job) = next {
                match job {
                    Job::Write(order, answer) => writes.push((order, answer)),
                    Job::Refresh(answer) => refreshes.push(answer),
                    Job::Stop => stop = true,
                }
                next = if stop || writes.len() >= MAX_BATCH { None } else { jobs.try_recv().ok() };
            }
            // Reads wait for nothing but reads: their misses need only the end that was there when they asked.
            if !refreshes.is_empty() {
                let result = self.read_to_end(Instant::now() + COMMAND_TIMEOUT).map_err(RegistryError::Store);
                for answer in refreshes {
                    answer(result.clone().map(|_| ()));
                }
            }
            if !writes.is_empty() {
                self.write(writes);
            }
            if stop {
                self.leave();
                return;
            }
        }
    }

    /// How far the snapshot is behind the log; only a number on a board, so a broker that is away is nobody's error.
    fn tell_lag(&mut self) {
        if let Ok(end) = self.log.end() {
            metrics::gauge!("registry_log_end_offset").set(end as f64);
            metrics::gauge!("registry_log_end_lag").set((end - self.published.position()).max(0) as f64);
        }
    }

    /// Makes this node the writer: it knows all that is committed, and readers without isolation see nothing else. Answers
    /// the offset of its mark.
    fn take_over(&mut self, deadline: Instant) -> Result<i64, LogError> {
        self.unrepaired |= self.log.acquire()? == Acquired::Anew;
        self.written = self.read_to_end(deadline)?;
        if self.unrepaired {
            metrics::counter!("registry_takeovers_total").increment(1);
            let trail = self.published.trail();
            let aborted = self.log.aborted(trail.mark..self.written, &|offset| trail.has(offset))?;
            if !aborted.is_empty() {
                tracing::info!(keys = aborted.len(), "keys of aborted writes to the schemas topic are put right");
            }
            let mut records = repair::records(&self.published.snapshot(), aborted);
            records.push(format::encode(&Record::Noop));
            self.append(records)?;
            self.published.wait_for(self.written, deadline)?;
            self.unrepaired = false;
        }
        let mark = self.published.trail().mark;
        self.since = Some(mark);
        Ok(mark)
    }

    /// Puts a record at the topic's end for registries that wait for one there, unless another node writes.
    fn leave(&mut self) {
        let is_other = self.published.last_writer().is_some_and(|(writer, _)| self.url.get() != Some(&writer));
        if is_other || (!self.has_written && self.published.ends_with_a_record()) {
            return;
        }
        if let Err(error) = self.log.close(format::encode(&Record::Noop)) {
            tracing::info!(%error, "the schemas topic ends with the mark of a transaction");
        }
    }

    fn append(&mut self, records: Vec<KeyValue>) -> Result<(), LogError> {
        self.has_written = true;
        self.written = self.log.append(records, self.url.get().map(Arc::as_ref))?;
        Ok(())
    }

    fn read_to_end(&mut self, deadline: Instant) -> Result<i64, LogError> {
        let end = self.log.end()?;
        self.published.wait_for(end, deadline)?;
        Ok(end)
    }

    fn write(&mut self, writes: Vec<(Order, Answer<Reply>)>) {
        let deadline = Instant::now() + COMMAND_TIMEOUT;
        let mut attempt = 0_u32;
        let results = loop {
            let mut decided = Vec::new();
            let error = match self.try_write(&writes, deadline, &mut decided) {
                Ok(results) => break results,
                Err(error) => error,
            };
            self.since = None;
            tracing::info!(%error, attempt, "write to the schemas topic did not succeed");
            metrics::counter!("registry_write_retries_total").increment(1);
            if let LogError::UnknownOutcome(_) = error
                && let Ok(Some(results)) = self.settle(decided, deadline)
            {
                break results;
            }
            // Only an operator can end a foreign leadership; the client need not wait for that.
            if Instant::now() >= deadline || matches!(error, LogError::ForeignLeader { .. }) {
                break writes.iter().map(|_| Err(RegistryError::Store(error.clone()))).collect();
            }
            // Nodes that fight for the topic must not do so in step: the pause differs by process and attempt.
            let jitter = u64::from(std::process::id().wrapping_mul(attempt + 1) % 8);
            std::thread::sleep(BACKOFF * (1 << attempt.min(4)) + Duration::from_millis(jitter));
            attempt += 1;
        };
        for ((_, answer), result) in writes.into_iter().zip(results) {
            answer(result);
        }
    }

    fn try_write(
        &mut self,
        writes: &[(Order, Answer<Reply>)],
        deadline: Instant,
        decided: &mut Vec<(Vec<Record>, Result<Reply, RegistryError>)>,
    ) -> Result<Vec<Result<Reply, RegistryError>>, LogError> {
        let since = match self.since {
            Some(since) => since,
            None => self.take_over(deadline)?,
        };
        let mut confirmed = false;
        loop {
            decided.clear();
            let snapshot = self.published.wait_for(self.written, deadline)?;
            let mut working = Snapshot::clone(&snapshot);
            for (order, _) in writes {
                let decision = match order.since {
                    Some(mark) if mark < since => Err(RegistryError::LeaderChanged),
                    _ => decide(&working, &order.command),
                };
                let (records, reply) = match decision {
                    Ok(decision) => (decision.records, Ok(decision.reply)),
                    Err(error) => (Vec::new(), Err(error)),
                };
                for record in &records {
                    working.apply(record.clone(), 0);
                }
                decided.push((records, reply));
            }
            let records = decided.iter().flat_map(|(records, _)| records).map(format::encode);
            let mut encoded: Vec<_> = records.flat_map(|record| self.published.everywhere(record)).collect();
            if !encoded.is_empty() {
                // Without a URL it would be no mark.
                if self.published.runs() > MAX_RUNS && self.url.get().is_some() {
                    encoded.push(format::encode(&Record::Noop));
                }
                self.append(encoded)?;
                self.published.wait_for(self.written, deadline)?;
                return Ok(decided.drain(..).map(|(_, reply)| reply).collect());
            }
            // Only refusals and what exists: no commit proves that no other node has written meanwhile, so the end does.
            let end = self.log.end()?;
            if confirmed || end <= self.written {
                return Ok(decided.drain(..).map(|(_, reply)| reply).collect());
            }
            self.written = end;
            confirmed = true;
        }
    }

    /// After an unknown outcome: the replies, if the transaction turns out to be committed. Nothing was decided where it
    /// was only the mark of a takeover.
    fn settle(
        &mut self,
        decided: Vec<(Vec<Record>, Result<Reply, RegistryError>)>,
        deadline: Instant,
    ) -> Result<Option<Vec<Result<Reply, RegistryError>>>, LogError> {
        self.take_over(deadline)?;
        if decided.is_empty() {
            return Ok(None);
        }
        let snapshot = self.published.snapshot();
        // Of several records of one key only the last can be seen.
        let records = decided.iter().flat_map(|(records, _)| records);
        let last: std::collections::HashMap<_, _> = records.map(|record| (format::encode(record).0, record)).collect();
        let committed = last.values().all(|record| snapshot.reflects(record));
        Ok(committed.then(|| decided.into_iter().map(|(_, reply)| reply).collect()))
    }
}
