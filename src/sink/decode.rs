//! Kafka records as catalog records.

use std::collections::HashMap;

use crate::codec::avro::{DecodeError, Decoder};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::model::reject::{ReasonCode, Rejection};
use crate::stage::{SinkError, StageRecord};

/// A record of a catalog topic, as far as it could be read.
pub(super) struct Decoded {
    pub(super) topic: CatalogTopic,
    pub(super) key: String,
    pub(super) value: Result<Option<CatalogRecord>, Rejection>,
}

/// Records that a view without a place to put them aside could not take: how many, and for people, which was the last.
#[derive(Default)]
pub(super) struct Refused {
    count: u64,
    last: String,
}

impl Refused {
    /// Counts a record of `sink` that is left out of the view, and says so.
    pub(super) fn note(&mut self, sink: &'static str, topic: &str, (partition, offset): (i32, i64), why: &Rejection) {
        self.count += 1;
        self.last = format!("{topic}-{partition} at offset {offset}: {why}");
        tracing::error!(sink, record = self.last, "record left out of the view");
        metrics::counter!("tributary_sink_records_total", "sink" => sink, "outcome" => "rejected").increment(1);
    }

    /// What readiness says.
    pub(super) fn degraded(&self) -> Option<String> {
        let (count, last) = (self.count, &self.last);
        (count > 0).then(|| {
            format!("{count} records are left out, the last of {last}; write a right value or a tombstone for its key")
        })
    }
}

/// Decodes one record. A silent registry is the only error; what can never be decoded is in the answer.
pub(super) fn decode(decoder: &Decoder, record: &StageRecord) -> Result<Decoded, SinkError> {
    let Some(topic) = CatalogTopic::ALL.into_iter().find(|topic| topic.name() == &*record.topic) else {
        let message = format!("topic {} is no catalog topic; take it out of the sink's topics", record.topic);
        return Err(SinkError::Fatal(message.into()));
    };
    let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
    let value = match (&record.key, &record.value) {
        (None, _) => Err(Rejection::new(ReasonCode::MissingField, "", "the record has no key")),
        (Some(bytes), _) if std::str::from_utf8(bytes).is_err() => {
            Err(Rejection::new(ReasonCode::InvalidUtf8, "", "the record's key is not UTF-8"))
        }
        (Some(_), None) => Ok(None),
        (Some(_), Some(value)) => match decoder.record(topic, value) {
            Ok(record) => match id(&record).filter(|id| **id != key) {
                // Rows are written under the id and deleted by the key.
                Some(other) => Err(Rejection::new(
                    ReasonCode::InvalidField,
                    "/id",
                    format!("the record is of {other}, its key is {key}; who else writes to this topic?"),
                )),
                None => Ok(Some(record)),
            },
            Err(DecodeError::Rejected(rejection)) => Err(rejection),
            Err(unavailable @ DecodeError::Unavailable { .. }) => return Err(SinkError::Transient(unavailable.into())),
        },
    };
    Ok(Decoded { topic, key, value })
}

/// The id of a record whose key is its id.
fn id(record: &CatalogRecord) -> Option<&String> {
    match record {
        CatalogRecord::Dataset(record) => Some(&record.id),
        CatalogRecord::DatasetStats(record) => Some(&record.id),
        CatalogRecord::Container(record) => Some(&record.id),
        CatalogRecord::Function(record) => Some(&record.id),
        CatalogRecord::Job(record) => Some(&record.id),
        _ => None,
    }
}

/// The last record of each key in each compacted topic, and every record of the others, in order: what came before it
/// need not even be decoded.
pub(super) fn last_of_each_key(batch: &[StageRecord]) -> Vec<&StageRecord> {
    let mut last: HashMap<(&str, Option<&[u8]>), usize> = HashMap::with_capacity(batch.len());
    for (at, record) in batch.iter().enumerate() {
        last.insert((&*record.topic, record.key.as_deref()), at);
    }
    let counts = |(at, record): &(usize, &StageRecord)| {
        // Changes lie under the id of what changed, and each is one of its own. A record without a key is a fault.
        *record.topic == *CatalogTopic::Changes.name()
            || record.key.is_none()
            || last.get(&(&*record.topic, record.key.as_deref())) == Some(at)
    };
    batch.iter().enumerate().filter(counts).map(|(_, record)| record).collect()
}
