//! Local state made anew: from its changelog, or, where that is gone, the changelog from local state. For commands; the
//! caller holds the lock of the data directory, so that no task uses the state meanwhile.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::failpoint;
use crate::kafka::{
    Admin, CommitError, Isolation, KafkaConfig, KafkaError, OutgoingRecord, PartitionReader, ReadProgress, TopicId,
    TopicPartition, TransactionalProducer,
};

use super::fault::Fault;
use super::spec::StageSpec;
use super::store::{LocalStore, StoreError};

/// Entries written to the store in one go.
const CHUNK: usize = 20_000;
/// The store is made durable once, at the end.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// All of a partition's state goes into its changelog in one transaction; brokers allow 15 minutes.
const TRANSACTION: Duration = Duration::from_secs(600);

/// A partition's local state and its changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateReport {
    /// Records of the changelog that were read or written.
    pub records: u64,
    /// Offset of the changelog up to which the state stands.
    pub position: i64,
}

/// Says how far it is: (done, total).
pub type Watch<'a> = &'a mut dyn FnMut(u64, u64);

/// Makes the local store of one partition from its changelog, beside the one that is there, and puts it in its place.
///
/// # Errors
/// As Kafka and the disk answer; the store that was there is then as it was.
pub fn rebuild_store(
    kafka: &KafkaConfig,
    admin: &Arc<Admin>,
    spec: &StageSpec,
    partition: i32,
    id: Option<TopicId>,
    watch: Watch<'_>,
) -> Result<StateReport, Fault> {
    let path = spec.store_path(partition);
    let beside = path.with_extension("rebuild");
    // What an interrupted rebuild has left is not looked into: reading a changelog takes seconds.
    remove(&beside)?;
    let mut store = LocalStore::open(&beside, NEVER)?;
    if let Some(id) = id {
        store.set_changelog_id(id)?;
    }
    let changelog = TopicPartition::new(spec.changelog(), partition);
    let marks = admin.watermarks(&changelog, Isolation::Uncommitted)?;
    let mut reader =
        PartitionReader::new(kafka, Arc::clone(admin), changelog, marks.low, marks.high, Isolation::Committed)?;
    let mut records = 0;
    loop {
        let mut changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        let progress = reader.read(Duration::from_millis(200), &mut |record| {
            changes.extend(record.key.map(|key| (key, record.value)));
        })?;
        records += changes.len() as u64;
        for chunk in changes.chunks(CHUNK) {
            store.write(chunk.iter().map(|(k, v)| (k.as_slice(), v.as_deref())), marks.low)?;
        }
        watch((reader.position() - marks.low).unsigned_abs(), (marks.high - marks.low).unsigned_abs());
        if progress == ReadProgress::Done {
            break;
        }
    }
    store.write(std::iter::empty(), marks.high)?;
    store.sync()?;
    drop(store);
    failpoint::hit("rebuild.state.swap.before");
    fs::rename(&beside, &path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
    failpoint::hit("rebuild.state.swap.after");
    Ok(StateReport { records, position: marks.high })
}

/// Compares the local store of one partition with what its changelog holds up to where the store stands. The number of
/// entries in each, if they differ.
///
/// # Errors
/// As Kafka and the disk answer.
pub fn compare_store(
    kafka: &KafkaConfig,
    admin: &Arc<Admin>,
    spec: &StageSpec,
    partition: i32,
) -> Result<Result<u64, (u64, u64)>, Fault> {
    let store = LocalStore::open(&spec.store_path(partition), NEVER)?;
    let changelog = TopicPartition::new(spec.changelog(), partition);
    let theirs = changelog_content(kafka, admin, &changelog, store.changelog_offset())?;
    let ours = store_content(&store)?;
    Ok(if ours == theirs { Ok(ours.entries) } else { Err((ours.entries, theirs.entries)) })
}

/// Why local state was not written into its changelog.
#[derive(Debug, thiserror::Error)]
pub enum FromLocalError {
    /// There is no local state.
    #[error("there is no local state in {path}")]
    NoState {
        /// Where it would be.
        path: String,
    },
    /// The changelog is the one that the state came from.
    #[error("{changelog} is the changelog that this local state belongs to: there is nothing to bring back")]
    NotLost {
        /// The partition.
        changelog: TopicPartition,
    },
    /// The changelog holds another state.
    #[error(
        "{changelog} holds {found} entries that are not those of the local state ({own}): it has been written since it was \
         created again, and two states cannot be one; `tributary rebuild state` takes that of the changelog"
    )]
    Other {
        /// The partition.
        changelog: TopicPartition,
        /// Its entries.
        found: u64,
        /// Those of the local store.
        own: u64,
    },
    /// Kafka or the disk.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for FromLocalError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<KafkaError> for FromLocalError {
    fn from(error: KafkaError) -> Self {
        Self::Fault(error.into())
    }
}

/// Writes the local state of one partition into a changelog that was created again, in one transaction. Done again, it
/// finds its work done.
///
/// # Errors
/// [`FromLocalError`]; the changelog then holds nothing of it that a committed reader sees.
pub fn changelog_from_local(
    kafka: &KafkaConfig,
    admin: &Arc<Admin>,
    spec: &StageSpec,
    partition: i32,
    id: Option<TopicId>,
    watch: Watch<'_>,
) -> Result<StateReport, FromLocalError> {
    let path = spec.store_path(partition);
    if !path.exists() {
        return Err(FromLocalError::NoState { path: path.display().to_string() });
    }
    let changelog = TopicPartition::new(spec.changelog(), partition);
    let mut store = LocalStore::open(&path, NEVER)?;
    let marks = admin.watermarks(&changelog, Isolation::Uncommitted)?;
    let kept = store.changelog_id()?;
    let known = kept.is_some() && kept == id;
    if known || (kept.is_none() && store.changelog_offset() <= marks.high) {
        return Err(FromLocalError::NotLost { changelog });
    }
    let mut producer = producer(kafka, spec, partition)?;
    let own = store_content(&store)?;
    let found = changelog_content(kafka, admin, &changelog, marks.high)?;
    if found.entries > 0 && found != own {
        return Err(FromLocalError::Other { changelog, found: found.entries, own: own.entries });
    }
    if found.entries == 0 && own.entries > 0 {
        write_all(&mut producer, &store, &changelog, own.entries, watch)?;
    }
    failpoint::hit("rebuild.changelog.after");
    // A committed reader goes on from here; the transaction's marker lies before it.
    let end = admin.watermarks(&changelog, Isolation::Committed)?.high;
    store.write(std::iter::empty(), end)?;
    if let Some(id) = id {
        store.set_changelog_id(id)?;
    }
    store.sync()?;
    Ok(StateReport { records: own.entries, position: end })
}

/// Ends what an interrupted run has left open, so that what it wrote is not waited for.
fn producer(kafka: &KafkaConfig, spec: &StageSpec, partition: i32) -> Result<TransactionalProducer, Fault> {
    let id = format!("{}.{}.rebuild.{partition}", spec.cluster, spec.stage);
    let producer = TransactionalProducer::new(kafka, &id, TRANSACTION)?;
    producer.init()?;
    Ok(producer)
}

fn write_all(
    producer: &mut TransactionalProducer,
    store: &LocalStore,
    changelog: &TopicPartition,
    entries: u64,
    watch: Watch<'_>,
) -> Result<(), Fault> {
    let transaction = |error: CommitError| match error {
        CommitError::Abort(error) | CommitError::Unknown(error) => Fault::Transient(error.into()),
        CommitError::Fenced(error) | CommitError::Fatal(error) => Fault::Fatal(error.into()),
    };
    producer.begin().map_err(transaction)?;
    let mut outcome = Ok(());
    let mut written = 0;
    store.for_each(&mut |key, value| {
        if outcome.is_ok() {
            let record = OutgoingRecord::new(Arc::clone(&changelog.topic), Some(key.to_vec()), Some(value.to_vec()));
            outcome = producer.send(&record.to_partition(changelog.partition));
            written += 1;
            if written % 1_000 == 0 {
                watch(written, entries);
            }
        }
    })?;
    outcome.map_err(transaction)?;
    producer.commit(TRANSACTION).map_err(transaction)?;
    watch(entries, entries);
    Ok(())
}

/// What a state holds, whatever the order: equal for equal states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Content {
    entries: u64,
    /// The wrapping sum of the entries' hashes.
    sum: u128,
}

impl Content {
    fn add(&mut self, hash: u128) {
        self.entries += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

fn hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update((key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

fn store_content(store: &LocalStore) -> Result<Content, StoreError> {
    let mut content = Content::default();
    store.for_each(&mut |key, value| content.add(hash(key, value)))?;
    Ok(content)
}

/// What the changelog holds up to offset `to`: the last value of each key.
fn changelog_content(
    kafka: &KafkaConfig,
    admin: &Arc<Admin>,
    changelog: &TopicPartition,
    to: i64,
) -> Result<Content, Fault> {
    let low = admin.watermarks(changelog, Isolation::Uncommitted)?.low;
    let mut reader = PartitionReader::new(kafka, Arc::clone(admin), changelog.clone(), low, to, Isolation::Committed)?;
    let mut last: HashMap<Vec<u8>, u128> = HashMap::new();
    let each = &mut |record: crate::kafka::Record| {
        let Some(key) = record.key else { return };
        match record.value {
            Some(value) => drop(last.insert(key.clone(), hash(&key, &value))),
            None => drop(last.remove(&key)),
        }
    };
    while reader.read(Duration::from_millis(200), each)? == ReadProgress::Reading {}
    let mut content = Content::default();
    last.values().for_each(|hash| content.add(*hash));
    Ok(content)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
