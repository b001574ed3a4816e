//! What people did with dead letters: a compacted topic with one record for each letter that was replayed or dropped.
//!
//! A replay writes the record back to its topic and its entry here in one transaction, under one transactional id for the
//! installation: a second command fences the first, and a killed one leaves nothing half done. So no letter is sent back
//! twice, whatever is chosen in whatever order, and the others stay where they are.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::kafka::{
    CommitError, Isolation, KafkaConfig, KafkaError, LogReader, OutgoingRecord, Record, TopicPartition,
    TransactionalProducer,
};

use super::dead_letter::DeadLetter;
use super::spec::ledger_topic;

/// Letters in one transaction, and their bytes.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 4 << 20;
/// A killed command holds back the readers of the raw topics for so long at most.
const TRANSACTION: Duration = Duration::from_secs(10);

/// Where a dead letter lies: `topic-partition@offset`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Partition of the dead-letter topic.
    pub partition: TopicPartition,
    /// Offset in it.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (partition, offset) = text.rsplit_once('@')?;
            let (topic, partition) = partition.rsplit_once('-')?;
            let partition = TopicPartition::new(topic, partition.parse().ok()?);
            Some(Self { partition, offset: offset.parse().ok()? })
        };
        parts()
            .ok_or_else(|| format!("{text:?} is no place of a dead letter; they look like hms.notifications.dlq-0@17"))
    }
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Sent back to where it came from.
    Replayed,
    /// Given up.
    Dropped,
}

impl Fate {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
        }
    }
}

/// An entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What became of the letter.
    pub fate: Fate,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// Why, in the words of whoever decided; may be empty.
    #[serde(default)]
    pub note: String,
    /// The letter's own time: a place in a topic that was created again holds another letter.
    letter_ms: Option<i64>,
}

/// A dead letter, where it lies and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Where it lies.
    pub place: Place,
    /// When it was rejected, milliseconds since the epoch.
    pub rejected_ms: Option<i64>,
    /// The letter.
    pub letter: DeadLetter,
    /// What became of it; `None` while it is open.
    pub verdict: Option<Verdict>,
}

/// What a replay or drop has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Letters sent back or dropped.
    pub done: u64,
    /// Letters that stay because only their head was kept and the whole record is not in its topic any more.
    pub gone: Vec<Place>,
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is no ledger.
    #[error("there is no topic {0}; run `tributary topology apply`")]
    NoLedger(String),
    /// Another command has taken over.
    #[error("another `tributary dlq` command is at work; run this one again, nothing is done twice")]
    Fenced,
    /// Kafka did not do it, or nobody knows.
    #[error("{0}; run it again to continue, nothing is done twice")]
    Kafka(#[from] KafkaError),
}

impl From<CommitError> for LedgerError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Fenced(_) => Self::Fenced,
            CommitError::Abort(error) | CommitError::Unknown(error) | CommitError::Fatal(error) => Self::Kafka(error),
        }
    }
}

/// The ledger as of now, and the way to write it.
pub struct Ledger {
    reader: LogReader,
    topic: String,
    verdicts: HashMap<String, Verdict>,
    producer: Option<TransactionalProducer>,
}

impl Ledger {
    /// Reads the ledger of an installation. One that is not there is empty.
    ///
    /// # Errors
    /// As Kafka answers.
    pub fn read(kafka: &KafkaConfig, cluster: &str) -> Result<Self, LedgerError> {
        Self::start(kafka, cluster, None)
    }

    /// Reads the ledger to write it: any other command that does is fenced first.
    ///
    /// # Errors
    /// [`LedgerError::NoLedger`], or as Kafka answers.
    pub fn open(kafka: &KafkaConfig, cluster: &str) -> Result<Self, LedgerError> {
        let producer = TransactionalProducer::new(kafka, &format!("{cluster}.dlq"), TRANSACTION)?;
        producer.init()?;
        let ledger = Self::start(kafka, cluster, Some(producer))?;
        match ledger.exists()? {
            true => Ok(ledger),
            false => Err(LedgerError::NoLedger(ledger.topic)),
        }
    }

    fn start(kafka: &KafkaConfig, cluster: &str, producer: Option<TransactionalProducer>) -> Result<Self, LedgerError> {
        let reader = LogReader::new(kafka, Isolation::Committed)?;
        let mut ledger = Self { reader, topic: ledger_topic(cluster), verdicts: HashMap::new(), producer };
        if ledger.exists()? {
            let verdicts = &mut ledger.verdicts;
            read_stable(&ledger.reader, &ledger.topic, &mut |record| {
                let Some(key) = record.key.and_then(|key| String::from_utf8(key).ok()) else { return };
                match record.value.and_then(|value| serde_json::from_slice(&value).ok()) {
                    Some(verdict) => drop(verdicts.insert(key, verdict)),
                    None => drop(verdicts.remove(&key)),
                }
            })?;
        }
        Ok(ledger)
    }

    fn exists(&self) -> Result<bool, KafkaError> {
        Ok(self.reader.admin().partition_count(&self.topic)?.is_some())
    }

    /// Hands out every letter of dead-letter topic `topic`, in log order per partition.
    ///
    /// # Errors
    /// As Kafka answers.
    pub fn each(&self, topic: &str, each: &mut dyn FnMut(Letter)) -> Result<(), LedgerError> {
        let each = &mut |record: Record| self.letter(&record).into_iter().for_each(&mut *each);
        Ok(read_stable(&self.reader, topic, each)?)
    }

    /// The letter at `place`, if there is one.
    ///
    /// # Errors
    /// As Kafka answers.
    pub fn at(&self, place: &Place) -> Result<Option<Letter>, LedgerError> {
        let mut found = None;
        let marks = self.reader.admin().watermarks(&place.partition, Isolation::Committed)?;
        if (marks.low..marks.high).contains(&place.offset) {
            let each = &mut |record: Record| found = self.letter(&record);
            self.reader.read_range(&place.partition, place.offset, place.offset + 1, each)?;
        }
        Ok(found)
    }

    fn letter(&self, record: &Record) -> Option<Letter> {
        let letter = DeadLetter::parse(record)?;
        let place = Place { partition: record.topic_partition(), offset: record.offset };
        let verdict = self.verdicts.get(&place.to_string());
        let verdict = verdict.filter(|verdict| verdict.letter_ms == record.timestamp_ms).cloned();
        Some(Letter { place, rejected_ms: record.timestamp_ms, letter, verdict })
    }

    /// Decides on the open letters of dead-letter topic `topic` that `wanted` chooses: sends them back, or gives them up.
    /// Letters that come meanwhile are left alone: what is still wrong comes back as a new one.
    ///
    /// # Errors
    /// What was decided before the error stands.
    pub fn decide(
        &mut self,
        topic: &str,
        fate: Fate,
        note: &str,
        wanted: &dyn Fn(&Letter) -> bool,
    ) -> Result<Outcome, LedgerError> {
        let Some(producer) = self.producer.take() else { return Err(LedgerError::Fenced) };
        let mut batch = Batch { producer, letters: 0, bytes: 0, open: false };
        let outcome = self.decide_in(&mut batch, topic, fate, note, wanted);
        self.producer = Some(batch.producer);
        outcome
    }

    fn decide_in(
        &mut self,
        batch: &mut Batch,
        topic: &str,
        fate: Fate,
        note: &str,
        wanted: &dyn Fn(&Letter) -> bool,
    ) -> Result<Outcome, LedgerError> {
        let mut outcome = Outcome::default();
        let mut decided: Vec<(String, Verdict)> = Vec::new();
        let marks = self.reader.admin().topic_watermarks(topic, Isolation::Committed)?;
        for (partition, marks) in &marks {
            let mut failure: Option<LedgerError> = None;
            let partition = TopicPartition::new(topic, *partition);
            self.reader.read_range(&partition, marks.low, marks.high, &mut |record| {
                if failure.is_some() {
                    return;
                }
                let Some(letter) = self.letter(&record).filter(|letter| letter.verdict.is_none() && wanted(letter))
                else {
                    return;
                };
                let (place, letter_ms) = (letter.place.clone(), letter.rejected_ms);
                let again = match fate {
                    Fate::Dropped => Ok(Some(None)),
                    Fate::Replayed => self.again(letter.letter).map(|again| again.map(Some)),
                };
                match again {
                    Err(error) => failure = Some(error.into()),
                    Ok(None) => outcome.gone.push(place),
                    Ok(Some(again)) => {
                        let verdict = Verdict { fate, at_ms: now_ms(), note: note.to_owned(), letter_ms };
                        match batch.add(&self.topic, &place, &verdict, again) {
                            Ok(()) => decided.push((place.to_string(), verdict)),
                            Err(error) => failure = Some(error.into()),
                        }
                    }
                }
            })?;
            if let Some(error) = failure {
                return Err(error);
            }
        }
        for key in self.outlived(topic, marks.iter().map(|(partition, marks)| (*partition, marks.low)).collect()) {
            batch.forget(&self.topic, &key)?;
            self.verdicts.remove(&key);
        }
        batch.commit()?;
        outcome.done = decided.len() as u64;
        self.verdicts.extend(decided);
        Ok(outcome)
    }

    /// The record that sends a letter back; `None` if nothing holds it whole any more.
    fn again(&self, letter: DeadLetter) -> Result<Option<OutgoingRecord>, KafkaError> {
        let whole = if letter.truncated_bytes.is_some() { self.whole(letter)? } else { Some(letter) };
        let Some(letter) = whole else { return Ok(None) };
        let Some(again) = letter.replay() else { return Ok(None) };
        // To the partition it came from, where what it followed lies; the topic may have fewer by now.
        let partitions = self.reader.admin().partition_count(&letter.source.topic)?.unwrap_or(0);
        let partition = Some(letter.source.partition).filter(|partition| *partition < partitions);
        Ok(Some(OutgoingRecord { partition, ..again }))
    }

    /// A letter of which only the head was kept, with the record that its topic still holds.
    fn whole(&self, letter: DeadLetter) -> Result<Option<DeadLetter>, KafkaError> {
        let source = TopicPartition::new(letter.source.topic.as_str(), letter.source.partition);
        if self.reader.admin().partition_count(&source.topic)?.is_none_or(|count| source.partition >= count) {
            return Ok(None);
        }
        let (marks, offset) = (self.reader.admin().watermarks(&source, Isolation::Committed)?, letter.source.offset);
        let mut found = None;
        if (marks.low..marks.high).contains(&offset) {
            self.reader.read_range(&source, offset, offset + 1, &mut |record| found = Some(record))?;
        }
        // At the same place of a topic that was created again lies another record.
        let found = found.filter(|record| record.timestamp_ms == letter.timestamp_ms);
        Ok(found.map(|record| letter.with_record(&record)))
    }

    /// Entries about letters of `topic` that retention has taken.
    fn outlived(&self, topic: &str, lows: HashMap<i32, i64>) -> Vec<String> {
        let is_gone = |place: &Place| lows.get(&place.partition.partition).is_none_or(|low| place.offset < *low);
        let places = self.verdicts.keys().filter_map(|key| Some((key, key.parse::<Place>().ok()?)));
        let gone = places.filter(|(_, place)| &*place.partition.topic == topic && is_gone(place));
        gone.map(|(key, _)| key.clone()).collect()
    }
}

/// Reads what is committed, without waiting for what may be: a killed command leaves a transaction open for a while.
fn read_stable(reader: &LogReader, topic: &str, each: &mut dyn FnMut(Record)) -> Result<(), KafkaError> {
    for (partition, marks) in reader.admin().topic_watermarks(topic, Isolation::Committed)? {
        reader.read_range(&TopicPartition::new(topic, partition), marks.low, marks.high, each)?;
    }
    Ok(())
}

/// The open transaction.
struct Batch {
    producer: TransactionalProducer,
    letters: usize,
    bytes: usize,
    open: bool,
}

impl Batch {
    fn begin(&mut self) -> Result<(), CommitError> {
        if !self.open {
            self.producer.begin()?;
            self.open = true;
        }
        Ok(())
    }

    fn add(
        &mut self,
        ledger: &str,
        place: &Place,
        verdict: &Verdict,
        again: Option<OutgoingRecord>,
    ) -> Result<(), CommitError> {
        self.begin()?;
        let value = serde_json::to_vec(verdict).expect("a verdict has no failing serializers");
        self.producer.send(&OutgoingRecord::new(ledger, Some(place.to_string().into_bytes()), Some(value)))?;
        if let Some(again) = again {
            self.bytes += again.size();
            self.producer.send(&again)?;
        }
        self.letters += 1;
        if self.letters >= BATCH || self.bytes >= BATCH_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn forget(&mut self, ledger: &str, key: &str) -> Result<(), CommitError> {
        self.begin()?;
        self.producer.send(&OutgoingRecord::new(ledger, Some(key.as_bytes().to_vec()), None))
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        if self.open {
            crate::failpoint::hit("dlq.commit.before");
            self.producer.commit(TRANSACTION)?;
            crate::failpoint::hit("dlq.commit.after");
        }
        (self.letters, self.bytes, self.open) = (0, 0, false);
        Ok(())
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|age| i64::try_from(age.as_millis()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place: Place = "hms.notifications.dlq-3@17".parse().expect("a place");
        assert_eq!((place.partition.partition, place.offset), (3, 17));
        assert_eq!(place.to_string(), "hms.notifications.dlq-3@17");
        for text in ["hms.notifications.dlq", "a-b@c", "a@1", ""] {
            assert!(text.parse::<Place>().expect_err(text).contains("is no place"), "{text}");
        }
    }
}
