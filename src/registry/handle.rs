//! The running registry: a reader thread, a writer thread and the newest snapshot. Clones share it.
//!
//! Reads are local. An answer "not found" is given only after reading the topic to its end, so that a schema registered
//! through another node is never reported missing.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::decide::{Command, Reply, decide};
use super::error::RegistryError;
use super::impact::{LineageError, LineageFinding, LineageQuestion, LineageSource, Reach};
use super::log::{LogError, LogWriter, SchemaLog, reason};
use super::reader::{self, Published};
use super::snapshot::Snapshot;
use super::writer::{Answer, Job, Order, Writer};

/// Most commands that wait for the writer.
const MAX_WAITING: usize = 10_000;
/// How long after a broker that could not say where the log ends it is asked again.
const END_AGAIN: Duration = Duration::from_millis(200);
/// How long lineage may take to answer.
const LINEAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often lineage is asked for one command, as other versions come in between.
const MAX_QUESTIONS: usize = 4;
/// Stack of both threads: they parse and compare schemas, which recurse.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Settings of a running registry.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// How long the first reading of the topic may take.
    pub start_timeout: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self { start_timeout: Duration::from_secs(60) }
    }
}

/// Another node, which writes the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherWriter {
    /// Its URL.
    pub url: Arc<str>,
    /// Offset of a mark it has set: by this it knows whether it has been the writer ever since.
    pub mark: i64,
}

/// A running registry. The last clone dropped ends its threads.
#[derive(Clone)]
pub struct RegistryHandle {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<dyn SchemaLog>,
    published: Arc<Published>,
    jobs: SyncSender<Job>,
    /// URL by which other nodes reach this one.
    url: Arc<OnceLock<Arc<str>>>,
    lineage: OnceLock<Arc<dyn LineageSource>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl RegistryHandle {
    /// Starts on a log and waits until all of it has been read.
    ///
    /// # Errors
    /// The log cannot be opened or read within the time given.
    pub fn start(log: Arc<dyn SchemaLog>, options: &RegistryOptions) -> Result<Self, LogError> {
        let deadline = Instant::now() + options.start_timeout;
        let mut writer = log.writer()?;
        let end = end_by(&mut *writer, deadline)?;
        let first = log.reader()?;
        let published = Arc::new(Published::new());
        let (jobs, queue) = sync_channel(MAX_WAITING);
        let url = Arc::new(OnceLock::new());
        let threads = vec![
            spawn("registry-reader", {
                let (log, published) = (log.clone(), published.clone());
                move || reader::run(&*log, first, &published)
            })?,
            spawn("registry-writer", {
                let (published, url) = (published.clone(), url.clone());
                move || {
                    let (published, url) = (&published, &url);
                    let log = writer;
                    let writer =
                        Writer { log, published, url, since: None, written: 0, unrepaired: false, has_written: false };
                    writer.run(&queue);
                }
            })?,
        ];
        let (threads, lineage) = (Mutex::new(threads), OnceLock::new());
        let handle = Self { inner: Arc::new(Inner { log, published, jobs, url, lineage, threads }) };
        handle.inner.published.wait_for(end, deadline)?;
        Ok(handle)
    }

    /// The newest snapshot, without asking the topic.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.published.snapshot()
    }

    /// Id of the cluster that keeps the log.
    ///
    /// # Errors
    /// The cluster cannot be asked now.
    pub fn cluster_id(&self) -> Result<String, LogError> {
        self.inner.log.cluster_id()
    }

    /// Records of the topic that were passed over as unreadable.
    pub fn skipped_records(&self) -> u64 {
        self.inner.published.skipped()
    }

    /// Tells the URL by which other nodes reach this one; the first call counts. It goes into each record written from
    /// now on, so that others can send their writes here.
    pub fn announce(&self, url: &str) {
        let _ = self.inner.url.set(url.trim_end_matches('/').into());
    }

    /// The node that writes, if that is another one and both have told their URLs.
    pub fn writer_elsewhere(&self) -> Option<OtherWriter> {
        let own = self.inner.url.get()?;
        let (url, mark) = self.inner.published.last_writer().filter(|(writer, _)| writer != own)?;
        Some(OtherWriter { url, mark })
    }

    /// Answers from the snapshot; a miss only after reading the topic to its end.
    ///
    /// # Errors
    /// What `query` refuses, or the topic cannot be read.
    pub async fn read<T>(&self, query: impl Fn(&Snapshot) -> Result<T, RegistryError>) -> Result<T, RegistryError> {
        match query(&self.snapshot()) {
            Err(error) if error.is_miss() => {
                self.refresh().await?;
                query(&self.snapshot())
            }
            result => result,
        }
    }

    /// As [`Self::read`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn read_blocking<T>(&self, query: impl Fn(&Snapshot) -> Result<T, RegistryError>) -> Result<T, RegistryError> {
        match query(&self.snapshot()) {
            Err(error) if error.is_miss() => {
                self.refresh_blocking()?;
                query(&self.snapshot())
            }
            result => result,
        }
    }

    /// Tells where column lineage comes from; the first call counts.
    pub fn attach_lineage(&self, source: Arc<dyn LineageSource>) {
        let _ = self.inner.lineage.set(source);
    }

    /// Asks column lineage, within a time limit.
    ///
    /// # Errors
    /// There is none to ask, or it does not answer.
    pub async fn lineage(&self, question: &LineageQuestion) -> Result<Reach, LineageError> {
        let Some(source) = self.inner.lineage.get() else {
            return Err(LineageError("this registry has no catalog to ask".to_owned()));
        };
        let late = |_| LineageError(format!("the catalog did not answer within {} s", LINEAGE_TIMEOUT.as_secs()));
        tokio::time::timeout(LINEAGE_TIMEOUT, source.reach(question)).await.map_err(late)?
    }

    /// Decides and writes a command; when it returns, the snapshot has the result.
    ///
    /// # Errors
    /// The command is refused, or the topic cannot be written.
    pub async fn write(&self, command: Command) -> Result<Reply, RegistryError> {
        self.write_since(command, None).await
    }

    /// As [`Self::write`], if this node has been the writer since it set the mark at `since`. A forwarded command may
    /// have waited so long that another node took over and carried it out: then it must not be carried out again.
    ///
    /// # Errors
    /// See [`Self::write`]; `LeaderChanged` if it has not.
    pub async fn write_since(&self, command: Command, since: Option<i64>) -> Result<Reply, RegistryError> {
        match self.already(&command) {
            Some(reply) => Ok(reply),
            None => self.submit(command, since).await,
        }
    }

    /// As [`Self::write_since`], where it is known that the command changes something.
    pub(super) async fn submit(&self, mut command: Command, since: Option<i64>) -> Result<Reply, RegistryError> {
        if !self.asks_lineage(&command) {
            return self.enqueue(command, since).await;
        }
        // Lineage is asked here and not by the writer, which waits for nobody. It decides whether the question was still
        // the right one; if another version came in between, the next round sees it.
        for _ in 0..MAX_QUESTIONS {
            if let (Some(question), Command::Register { request, .. }) = (self.question(&command), &mut command) {
                let reach = self.lineage(&question).await;
                let reach = reach.map_err(|error| RegistryError::LineageUnavailable(error.to_string()))?;
                request.lineage = Some(Box::new(LineageFinding { question, reach }));
            }
            match self.enqueue(command.clone(), since).await {
                Err(RegistryError::LineageNotAsked(_)) => {}
                outcome => return outcome,
            }
        }
        let reason = "the subject's versions change faster than the catalog answers";
        Err(RegistryError::LineageUnavailable(reason.to_owned()))
    }

    async fn enqueue(&self, command: Command, since: Option<i64>) -> Result<Reply, RegistryError> {
        let (answer, result) = tokio::sync::oneshot::channel();
        let answer = Box::new(|outcome| drop(answer.send(outcome)));
        self.send(Job::Write(Order { command: Box::new(command), since }, answer))?;
        result.await.unwrap_or(Err(RegistryError::Store(LogError::Closed)))
    }

    fn asks_lineage(&self, command: &Command) -> bool {
        matches!(command, Command::Register { subject, .. } if self.snapshot().level(subject).checks_lineage())
    }

    /// What lineage has to be asked before a command, as far as this node knows.
    fn question(&self, command: &Command) -> Option<LineageQuestion> {
        match decide(&self.snapshot(), command) {
            Err(RegistryError::LineageNotAsked(question)) => Some(*question),
            _ => None,
        }
    }

    /// As [`Self::write`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`Self::write`].
    pub fn write_blocking(&self, command: Command) -> Result<Reply, RegistryError> {
        if let Some(reply) = self.already(&command) {
            return Ok(reply);
        }
        self.wait(|answer| Job::Write(Order { command: Box::new(command), since: None }, answer))
    }

    /// Brings the snapshot to the topic's present end.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub async fn refresh(&self) -> Result<(), RegistryError> {
        let (answer, result) = tokio::sync::oneshot::channel();
        self.send(Job::Refresh(Box::new(|outcome| drop(answer.send(outcome)))))?;
        result.await.unwrap_or(Err(RegistryError::Store(LogError::Closed)))
    }

    /// As [`Self::refresh`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`Self::refresh`].
    pub fn refresh_blocking(&self) -> Result<(), RegistryError> {
        self.wait(Job::Refresh)
    }

    /// The reply to a command that changes nothing: registering what exists is a read, and never reaches the writer.
    pub fn already(&self, command: &Command) -> Option<Reply> {
        match command {
            // What has no version yet is decided once, by the writer.
            Command::Register { subject, .. } if self.snapshot().versions(subject).is_some() => {
                let decision = decide(&self.snapshot(), command).ok()?;
                decision.records.is_empty().then_some(decision.reply)
            }
            _ => None,
        }
    }

    fn wait<T: Send + 'static>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, RegistryError> {
        let (answer, result) = std::sync::mpsc::channel();
        self.send(job(Box::new(move |outcome| drop(answer.send(outcome)))))?;
        result.recv().unwrap_or(Err(RegistryError::Store(LogError::Closed)))
    }

    fn send(&self, job: Job) -> Result<(), RegistryError> {
        self.inner.jobs.try_send(job).map_err(|error| {
            RegistryError::Store(match error {
                TrySendError::Full(_) => LogError::Unavailable(reason("too many commands wait for the writer")),
                TrySendError::Disconnected(_) => LogError::Closed,
            })
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer finishes what it has; the reader sees the closing within one poll.
        let _ = self.jobs.send(Job::Stop);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let mut threads = threads.into_iter().rev();
        if let Some(writer) = threads.next() {
            let _ = writer.join();
        }
        self.published.close();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// The log's end. A broker that has only just started may not lead the topic yet.
fn end_by(writer: &mut dyn LogWriter, deadline: Instant) -> Result<i64, LogError> {
    loop {
        match writer.end() {
            Err(LogError::Unavailable(cause)) if Instant::now() + END_AGAIN < deadline => {
                tracing::debug!(%cause, "the end of the schemas topic is asked again");
                std::thread::sleep(END_AGAIN);
            }
            outcome => return outcome,
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LogError> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(work).map_err(|error| LogError::Unavailable(Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::decide::RegisterRequest;
    use super::super::log::{Acquired, KeyValue, LogReader, MemoryLog};
    use super::super::snapshot::Deleted;
    use super::super::types::{Subject, VersionSpec};
    use super::*;

    fn start(log: &MemoryLog) -> RegistryHandle {
        RegistryHandle::start(Arc::new(log.clone()), &RegistryOptions::default()).unwrap()
    }

    fn register(name: &str, schema: &str) -> Command {
        let request = RegisterRequest { schema: schema.to_owned(), ..RegisterRequest::default() };
        Command::Register { subject: Subject::parse(name).unwrap(), request: Box::new(request) }
    }

    fn id(reply: Reply) -> i32 {
        match reply {
            Reply::Registered { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    /// A log whose end is not known the first few times.
    #[derive(Clone)]
    struct Waking {
        log: MemoryLog,
        asleep: Arc<AtomicU32>,
    }

    impl SchemaLog for Waking {
        fn reader(&self) -> Result<Box<dyn LogReader>, LogError> {
            self.log.reader()
        }

        fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
            Ok(Box::new(WakingWriter { inner: self.log.writer()?, asleep: Arc::clone(&self.asleep) }))
        }
    }

    struct WakingWriter {
        inner: Box<dyn LogWriter>,
        asleep: Arc<AtomicU32>,
    }

    impl LogWriter for WakingWriter {
        fn end(&mut self) -> Result<i64, LogError> {
            let left = self.asleep.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if left.is_ok() { Err(LogError::Unavailable(reason("no leader"))) } else { self.inner.end() }
        }

        fn acquire(&mut self) -> Result<Acquired, LogError> {
            self.inner.acquire()
        }

        fn aborted(&mut self, range: Range<i64>, committed: &dyn Fn(i64) -> bool) -> Result<Vec<KeyValue>, LogError> {
            self.inner.aborted(range, committed)
        }

        fn append(&mut self, records: Vec<KeyValue>, writer: Option<&str>) -> Result<i64, LogError> {
            self.inner.append(records, writer)
        }

        fn close(&mut self, last: KeyValue) -> Result<(), LogError> {
            self.inner.close(last)
        }
    }

    #[test]
    fn a_log_that_is_not_led_yet_is_waited_for_but_not_for_ever() {
        let waking = |times| Arc::new(Waking { log: MemoryLog::default(), asleep: Arc::new(AtomicU32::new(times)) });
        let handle = RegistryHandle::start(waking(2), &RegistryOptions::default()).unwrap();
        assert_eq!(id(handle.write_blocking(register("a", "\"int\"")).unwrap()), 1);
        let soon = RegistryOptions { start_timeout: Duration::from_millis(1) };
        let late = RegistryHandle::start(waking(u32::MAX), &soon);
        assert!(matches!(late, Err(LogError::Unavailable(_))));
    }

    #[test]
    fn two_nodes_on_one_log_take_turns_and_see_each_other() {
        let log = MemoryLog::default();
        let (one, two) = (start(&log), start(&log));
        assert_eq!(id(one.write_blocking(register("a", "\"int\"")).unwrap()), 1);
        assert_eq!(id(two.write_blocking(register("b", "\"long\"")).unwrap()), 2);
        assert_eq!(id(one.write_blocking(register("c", "\"string\"")).unwrap()), 3);
        let found = two.read_blocking(|snapshot| {
            let subject = Subject::from_stored("c");
            snapshot.version(&subject, VersionSpec::Latest, Deleted::Hidden).map(|version| version.id)
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn concurrent_writers_on_two_nodes_give_dense_unique_ids() {
        let log = MemoryLog::default();
        let nodes = [start(&log), start(&log)];
        let mut ids = Vec::new();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|worker| {
                    let node = nodes[worker % 2].clone();
                    scope.spawn(move || {
                        (0..20)
                            .map(|number| {
                                let schema = format!(r#"{{"type":"fixed","name":"F{worker}_{number}","size":1}}"#);
                                id(node.write_blocking(register(&format!("s{worker}_{number}"), &schema)).unwrap())
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            for worker in workers {
                ids.extend(worker.join().unwrap());
            }
        });
        ids.sort_unstable();
        assert_eq!(ids, (1..=160).collect::<Vec<_>>());
        let schemas = log.records().iter().filter(|record| record.value.is_some()).count();
        assert_eq!(schemas, 160, "nothing was written twice");
    }

    #[test]
    fn a_restart_reads_all_and_passes_over_what_is_damaged() {
        let log = MemoryLog::default();
        log.put(vec![(b"junk".to_vec(), Some(b"junk".to_vec())), (br#"{"keytype":"NOOP","magic":0}"#.to_vec(), None)]);
        {
            let first = start(&log);
            assert_eq!(first.skipped_records(), 1);
            first.write_blocking(register("a", "\"int\"")).unwrap();
        }
        let second = start(&log);
        assert_eq!(id(second.write_blocking(register("a", "\"int\"")).unwrap()), 1);
        let keys: Vec<_> = log.records().into_iter().skip(2).map(|record| record.key.unwrap_or_default()).collect();
        let noop = br#"{"keytype":"NOOP","magic":0}"#.to_vec();
        let schema = br#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#.to_vec();
        assert_eq!(
            keys,
            [noop.clone(), schema, noop],
            "a mark, a schema, a last record; what exists is not written again"
        );
        drop(second);
        assert_eq!(log.records().len(), 5, "who has written nothing leaves nothing behind");
        log.put_aborted(vec![(b"junk".to_vec(), None)]);
        drop(start(&log));
        assert_eq!(log.records().len(), 7, "registries that wait for a record at the end find one");
    }

    #[test]
    fn a_new_writer_says_so_and_puts_right_what_was_begun_before() {
        let log = MemoryLog::default();
        let (one, two) = (start(&log), start(&log));
        one.announce("http://one/");
        two.announce("http://two");
        one.write_blocking(register("a", "\"int\"")).unwrap();
        two.refresh_blocking().unwrap();
        let elsewhere = |node: &RegistryHandle| node.writer_elsewhere().map(|writer| writer.url.to_string());
        assert_eq!((elsewhere(&one), elsewhere(&two).as_deref()), (None, Some("http://one")));
        // A version that was never committed, and a deletion that was not either.
        let value = br#"{"subject":"a","version":2,"id":2,"schema":"\"long\"","deleted":false}"#.to_vec();
        let never = br#"{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}"#.to_vec();
        let first = br#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#.to_vec();
        log.put_aborted(vec![(never.clone(), Some(value)), (first.clone(), None)]);
        two.write_blocking(register("b", "\"long\"")).unwrap();
        one.refresh_blocking().unwrap();
        assert_eq!((elsewhere(&one).as_deref(), elsewhere(&two)), (Some("http://two"), None));
        let newest = |key: &[u8]| log.records().into_iter().rfind(|record| record.key.as_deref() == Some(key)).unwrap();
        assert_eq!(newest(&never).value, None);
        assert!(newest(&first).value.is_some_and(|value| value.windows(6).any(|part| part == br#"\"int\"#)));
        // What has been put right is not put right again.
        let records = log.records().len();
        one.write_blocking(register("c", "\"string\"")).unwrap();
        assert_eq!(log.records().len(), records + 2, "a mark and a schema");
    }

    /// A log whose commits are of unknown outcome a few times, though they are there.
    struct Unsure {
        inner: Box<dyn LogWriter>,
        left: u32,
    }

    impl LogWriter for Unsure {
        fn end(&mut self) -> Result<i64, LogError> {
            self.inner.end()
        }

        fn acquire(&mut self) -> Result<Acquired, LogError> {
            self.inner.acquire()
        }

        fn aborted(&mut self, range: Range<i64>, committed: &dyn Fn(i64) -> bool) -> Result<Vec<KeyValue>, LogError> {
            self.inner.aborted(range, committed)
        }

        fn close(&mut self, last: KeyValue) -> Result<(), LogError> {
            self.inner.close(last)
        }

        fn append(&mut self, records: Vec<KeyValue>, writer: Option<&str>) -> Result<i64, LogError> {
            let end = self.inner.append(records, writer)?;
            match self.left.checked_sub(1) {
                Some(left) => {
                    self.left = left;
                    Err(LogError::UnknownOutcome(reason("no answer")))
                }
                None => Ok(end),
            }
        }
    }

    struct UnsureLog(MemoryLog, u32);

    impl SchemaLog for UnsureLog {
        fn reader(&self) -> Result<Box<dyn LogReader>, LogError> {
            self.0.reader()
        }

        fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
            Ok(Box::new(Unsure { inner: self.0.writer()?, left: self.1 }))
        }
    }

    #[test]
    fn a_commit_of_unknown_outcome_is_looked_up() {
        // The mark of the takeover, then the mark and the schema, and so on.
        for times in 0..4 {
            let log = MemoryLog::default();
            let node = RegistryHandle::start(Arc::new(UnsureLog(log.clone(), times)), &RegistryOptions::default());
            let node = node.unwrap();
            assert_eq!(id(node.write_blocking(register("a", "\"int\"")).unwrap()), 1, "{times}");
            assert_eq!(id(node.write_blocking(register("a", "\"long\"")).unwrap()), 2, "{times}");
        }
    }

    #[tokio::test]
    async fn a_command_for_an_earlier_term_is_not_carried_out() {
        let log = MemoryLog::default();
        let (one, two) = (start(&log), start(&log));
        one.announce("http://one");
        two.announce("http://two");
        one.write(register("a", "\"int\"")).await.unwrap();
        two.refresh().await.unwrap();
        let mark = two.writer_elsewhere().unwrap().mark;
        one.write_since(register("b", "\"long\""), Some(mark)).await.unwrap();
        two.write(register("c", "\"string\"")).await.unwrap();
        // Whether it still believes to be the writer, or has become it again.
        for schema in ["\"bytes\"", "\"float\""] {
            let late = one.write_since(register("d", schema), Some(mark)).await;
            assert!(matches!(late, Err(RegistryError::LeaderChanged)), "{late:?}");
        }
        one.write(register("e", "\"double\"")).await.unwrap();
        let late = one.write_since(register("d", "\"bytes\""), Some(mark)).await;
        assert!(matches!(late, Err(RegistryError::LeaderChanged)), "{late:?}");
    }

    #[test]
    fn a_miss_sees_what_a_foreign_writer_has_just_written() {
        let log = MemoryLog::default();
        let node = start(&log);
        let value = br#"{"subject":"f","version":1,"id":42,"schema":"\"int\"","deleted":false}"#;
        log.put(vec![(br#"{"keytype":"SCHEMA","subject":"f","version":1,"magic":1}"#.to_vec(), Some(value.to_vec()))]);
        let found = node.read_blocking(|snapshot| {
            snapshot.id(".", 42).map(|entry| entry.content.schema.to_string()).ok_or(RegistryError::IdNotFound(42))
        });
        assert_eq!(found.unwrap(), "\"int\"");
    }
}
