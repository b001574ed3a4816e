//! Reads the catalog back from its topics, for digests and exports.

use std::collections::BTreeMap;

use crate::catalog::digest::{Digest, DigestBuilder};
use crate::codec::avro::{DecodeError, Decoder};
use crate::kafka::{KafkaError, LogReader, Record};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::stage::DeadLetter;

/// Why the catalog could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Kafka did not answer.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A record of ours does not decode: it was written by somebody else.
    #[error(
        "{topic}-{partition} at offset {offset} is not a catalog record; who else writes to this topic? Write a right \
         value or a tombstone for its key"
    )]
    Foreign {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
        /// What is wrong with it.
        #[source]
        source: Box<DecodeError>,
    },
}

/// Hands out every committed record of `topic` in log order per partition; `None` is a tombstone. A record that is not
/// ours is an error at the end, unless another one follows under its key.
pub fn read_topic(
    reader: &LogReader,
    decoder: &Decoder,
    topic: CatalogTopic,
    each: &mut dyn FnMut(String, Option<CatalogRecord>),
) -> Result<(), SnapshotError> {
    let mut foreign = BTreeMap::new();
    reader.read_topic(topic.name(), &mut |record| {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        match decode(decoder, topic, &record) {
            Ok(value) => {
                // What follows under the same key puts it right.
                foreign.remove(&key);
                each(key, value);
            }
            Err(error) => {
                foreign.insert(key, error);
            }
        }
    })?;
    foreign.into_values().next().map_or(Ok(()), Err)
}

fn decode(decoder: &Decoder, topic: CatalogTopic, record: &Record) -> Result<Option<CatalogRecord>, SnapshotError> {
    record.value.as_deref().map(|bytes| decoder.record(topic, bytes)).transpose().map_err(|source| {
        SnapshotError::Foreign {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            source: Box::new(source),
        }
    })
}

/// The latest value of each live key of `topic`.
pub fn latest(
    reader: &LogReader,
    decoder: &Decoder,
    topic: CatalogTopic,
) -> Result<BTreeMap<String, CatalogRecord>, SnapshotError> {
    let mut live = BTreeMap::new();
    read_topic(reader, decoder, topic, &mut |key, value| {
        match value {
            Some(record) => live.insert(key, record),
            None => live.remove(&key),
        };
    })?;
    Ok(live)
}

/// The digest of the whole catalog and of the dead letters in `dead_letters`.
pub fn digest(
    reader: &LogReader,
    decoder: &Decoder,
    dead_letters: &[String],
    as_of: Option<i64>,
) -> Result<Digest, SnapshotError> {
    let mut builder = DigestBuilder::new(as_of);
    for topic in CatalogTopic::ALL {
        read_topic(reader, decoder, topic, &mut |key, value| builder.observe(topic, &key, value.as_ref()))?;
    }
    for topic in dead_letters {
        reader.read_topic(topic, &mut |record| {
            // Where and when it was written differs between equal catalogs; what it is does not.
            let letter = DeadLetter::parse(&record).map(|letter| [letter.reason, letter.path, letter.stage]);
            builder.observe_appended(topic, &format!("{letter:?} {:?} {:?}", record.key, record.value));
        })?;
    }
    Ok(builder.finish())
}
