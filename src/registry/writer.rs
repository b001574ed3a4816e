//! The one thread that writes. Concurrent commands share a transaction; each is decided on what those before it did.
//!
//! Safety is the broker's fence: whoever acquired the topic last writes, everybody else's commit fails. So after an
//! acquisition the topic is read to its end before anything is decided, and while the epoch holds no other node can have
//! written in between.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::decide::{Command, Reply, decide};
use super::error::RegistryError;
use super::format::{self, Record};
use super::log::{LogError, LogWriter};
use super::reader::Published;
use super::snapshot::Snapshot;

/// Most commands in one transaction.
const MAX_BATCH: usize = 256;
/// How long a command may take, retries included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);
/// First pause after losing the topic to another node; doubled up to 16 times of it.
const BACKOFF: Duration = Duration::from_millis(5);

/// Called with a command's outcome, on the writer thread; must not block.
pub(super) type Answer<T> = Box<dyn FnOnce(Result<T, RegistryError>) + Send>;

/// Work for the writer.
pub(super) enum Job {
    /// Decide and write.
    Write(Box<Command>, Answer<Reply>),
    /// Bring the snapshot to the topic's present end.
    Refresh(Answer<()>),
    /// End the thread.
    Stop,
}

pub(super) struct Writer<'a> {
    pub(super) log: Box<dyn LogWriter>,
    pub(super) published: &'a Published,
    /// Whether the topic has been acquired and read to its end since.
    pub(super) current: bool,
    /// End up to which the snapshot is known to reach while `current` holds.
    pub(super) written: i64,
}

impl Writer<'_> {
    /// Serves jobs until told to stop.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let mut next = match jobs.recv_timeout(Duration::from_secs(3600)) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let (mut writes, mut refreshes, mut stop) = (Vec::new(), Vec::new(), false);
            while let Some(job) = next {
                match job {
                    Job::Write(command, answer) => writes.push((command, answer)),
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
                return;
            }
        }
    }

    fn read_to_end(&mut self, deadline: Instant) -> Result<i64, LogError> {
        let end = self.log.end()?;
        self.published.wait_for(end, deadline)?;
        Ok(end)
    }

    fn write(&mut self, writes: Vec<(Box<Command>, Answer<Reply>)>) {
        let deadline = Instant::now() + COMMAND_TIMEOUT;
        let mut attempt = 0_u32;
        let results = loop {
            let mut decided = Vec::new();
            let error = match self.try_write(&writes, deadline, &mut decided) {
                Ok(results) => break results,
                Err(error) => error,
            };
            self.current = false;
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
        writes: &[(Box<Command>, Answer<Reply>)],
        deadline: Instant,
        decided: &mut Vec<(Vec<Record>, Result<Reply, RegistryError>)>,
    ) -> Result<Vec<Result<Reply, RegistryError>>, LogError> {
        if !self.current {
            self.log.acquire()?;
            self.written = self.read_to_end(deadline)?;
            self.current = true;
        }
        let mut confirmed = false;
        loop {
            decided.clear();
            let snapshot = self.published.wait_for(self.written, deadline)?;
            let mut working = Snapshot::clone(&snapshot);
            for (command, _) in writes {
                let (records, reply) = match decide(&working, command) {
                    Ok(decision) => (decision.records, Ok(decision.reply)),
                    Err(error) => (Vec::new(), Err(error)),
                };
                for record in &records {
                    working.apply(record.clone(), 0);
                }
                decided.push((records, reply));
            }
            let encoded: Vec<_> = decided.iter().flat_map(|(records, _)| records).map(format::encode).collect();
            if !encoded.is_empty() {
                self.written = self.log.append(encoded)?;
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

    /// After an unknown outcome: the replies, if the transaction turns out to be committed.
    fn settle(
        &mut self,
        decided: Vec<(Vec<Record>, Result<Reply, RegistryError>)>,
        deadline: Instant,
    ) -> Result<Option<Vec<Result<Reply, RegistryError>>>, LogError> {
        self.log.acquire()?;
        self.written = self.read_to_end(deadline)?;
        let snapshot = self.published.snapshot();
        self.current = true;
        // Of several records of one key only the last can be seen.
        let records = decided.iter().flat_map(|(records, _)| records);
        let last: std::collections::HashMap<_, _> = records.map(|record| (format::encode(record).0, record)).collect();
        let committed = last.values().all(|record| snapshot.reflects(record));
        Ok(committed.then(|| decided.into_iter().map(|(_, reply)| reply).collect()))
    }
}
