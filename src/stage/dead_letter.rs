//! Dead letters: what a rejected record becomes, and how it is read and replayed. Pure.

use std::sync::Arc;

use crate::kafka::{Header, Headers, OutgoingRecord, Record, partition_for};
use crate::model::fact::Origin;
use crate::model::reject::Rejection;

/// Prefix of our headers; other headers of the record travel along unchanged.
const PREFIX: &str = "tributary-";
const REASON: &str = "tributary-reason";
const MESSAGE: &str = "tributary-message";
const PATH: &str = "tributary-path";
const STAGE: &str = "tributary-stage";
const TOPIC: &str = "tributary-topic";
const PARTITION: &str = "tributary-partition";
const OFFSET: &str = "tributary-offset";
const TIMESTAMP: &str = "tributary-timestamp";
const SCHEMA_ID: &str = "tributary-schema-id";
const ATTEMPT: &str = "tributary-attempt";
/// Full size of a value of which only the head is kept.
const TRUNCATED: &str = "tributary-truncated-bytes";
const ORIGIN_TOPIC: &str = "tributary-origin-topic";
const ORIGIN_PARTITION: &str = "tributary-origin-partition";
const ORIGIN_OFFSET: &str = "tributary-origin-offset";

/// How much of a value is kept that is too large for the dead-letter topic.
const HEAD_BYTES: usize = 64 << 10;
/// Rejection messages quote foreign data; a header is no place for megabytes.
const MESSAGE_BYTES: usize = 4 << 10;

/// A dead letter as read back from `<raw>.dlq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Reason code, see [`crate::model::reject::ReasonCode::as_str`].
    pub reason: String,
    /// For a person.
    pub message: String,
    /// First violation in the value.
    pub path: String,
    /// The stage that rejected it.
    pub stage: String,
    /// The record it was.
    pub source: Origin,
    /// Broker time of that record, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// Registry id in its frame.
    pub schema_id: Option<u32>,
    /// 1 for the first rejection, one more after each replay.
    pub attempt: u32,
    /// Where the record first lay; differs from `source` after a replay.
    pub origin: Origin,
    /// Full size of the value if only its head was kept; such a letter is replayed from `source`.
    pub truncated_bytes: Option<u64>,
    /// Key as received.
    pub key: Option<Vec<u8>>,
    /// Value as received, or its head.
    pub value: Option<Vec<u8>>,
    /// Headers as received.
    pub headers: Headers,
}

/// The raw record that a record stands for: itself, or the first one if it is a replayed dead letter.
pub fn origin_of(record: &Record) -> Origin {
    first_origin(&record.headers).unwrap_or_else(|| Origin {
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: record.offset,
    })
}

/// The dead letter of `record` for topic `topic` with `partitions` partitions.
pub(super) fn dead_letter(
    stage: &str,
    record: &Record,
    rejection: &Rejection,
    topic: &Arc<str>,
    partitions: i32,
    max_record_bytes: usize,
) -> OutgoingRecord {
    let mut headers = foreign(&record.headers);
    let attempt = number::<u32>(&record.headers, ATTEMPT).unwrap_or(0).saturating_add(1);
    let origin = origin_of(record);
    let mut text = |name: &str, value: String| headers.push(name, value);
    text(REASON, rejection.code.as_str().to_owned());
    text(MESSAGE, head(&rejection.message, MESSAGE_BYTES).to_owned());
    text(PATH, head(&rejection.path, MESSAGE_BYTES).to_owned());
    text(STAGE, stage.to_owned());
    text(TOPIC, record.topic.to_string());
    text(PARTITION, record.partition.to_string());
    text(OFFSET, record.offset.to_string());
    if let Some(timestamp) = record.timestamp_ms {
        text(TIMESTAMP, timestamp.to_string());
    }
    if let Some(id) = record.value.as_deref().and_then(framed_schema_id) {
        text(SCHEMA_ID, id.to_string());
    }
    text(ATTEMPT, attempt.to_string());
    text(ORIGIN_TOPIC, origin.topic);
    text(ORIGIN_PARTITION, origin.partition.to_string());
    text(ORIGIN_OFFSET, origin.offset.to_string());

    let overhead = 1 << 10;
    let size = record.size() + headers.size() + overhead;
    let mut kept = usize::MAX;
    if size > max_record_bytes {
        headers.push(TRUNCATED, record.value_size().to_string());
        kept = HEAD_BYTES.min(max_record_bytes / 4);
        // Foreign headers can be what is too large; the original record keeps them.
        if headers.size() > max_record_bytes / 4 {
            headers = ours(&headers);
        }
    }
    let copied = |bytes: &Vec<u8>| bytes.get(..kept).unwrap_or(bytes).to_vec();
    let (key, value) = (record.key.as_ref().map(copied), record.value.as_ref().map(copied));
    let place = match &record.key {
        Some(key) => partition_for(key, partitions),
        None => record.partition.rem_euclid(partitions.max(1)),
    };
    OutgoingRecord { topic: Arc::clone(topic), partition: Some(place), key, value, timestamp_ms: None, headers }
}

impl DeadLetter {
    /// Reads a record of a dead-letter topic; `None` if it was not written by this runtime.
    pub fn parse(record: &Record) -> Option<Self> {
        let headers = &record.headers;
        let text = |name: &str| headers.text(name).map(str::to_owned);
        let source =
            Origin { topic: text(TOPIC)?, partition: number(headers, PARTITION)?, offset: number(headers, OFFSET)? };
        Some(Self {
            reason: text(REASON)?,
            message: text(MESSAGE)?,
            path: text(PATH)?,
            stage: text(STAGE)?,
            timestamp_ms: number(headers, TIMESTAMP),
            schema_id: number(headers, SCHEMA_ID),
            attempt: number(headers, ATTEMPT)?,
            origin: first_origin(headers).unwrap_or_else(|| source.clone()),
            source,
            truncated_bytes: number(headers, TRUNCATED),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: foreign(headers),
        })
    }

    /// The same letter with the whole record of which it keeps the head.
    pub(super) fn with_record(self, record: &Record) -> Self {
        Self {
            truncated_bytes: None,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: foreign(&record.headers),
            ..self
        }
    }

    /// The record to be produced to replay it into its source topic: as received, with its first origin. `None` if
    /// only the head was kept.
    pub fn replay(&self) -> Option<OutgoingRecord> {
        if self.truncated_bytes.is_some() {
            return None;
        }
        let headers = self
            .headers
            .clone()
            .with(ATTEMPT, self.attempt.to_string())
            .with(ORIGIN_TOPIC, self.origin.topic.clone())
            .with(ORIGIN_PARTITION, self.origin.partition.to_string())
            .with(ORIGIN_OFFSET, self.origin.offset.to_string());
        let record = OutgoingRecord::new(self.source.topic.as_str(), self.key.clone(), self.value.clone());
        Some(OutgoingRecord { timestamp_ms: self.timestamp_ms, ..record }.with_headers(headers))
    }
}

fn first_origin(headers: &Headers) -> Option<Origin> {
    Some(Origin {
        topic: headers.text(ORIGIN_TOPIC)?.to_owned(),
        partition: number(headers, ORIGIN_PARTITION)?,
        offset: number(headers, ORIGIN_OFFSET)?,
    })
}

fn number<T: std::str::FromStr>(headers: &Headers, name: &str) -> Option<T> {
    headers.text(name)?.parse().ok()
}

fn foreign(headers: &Headers) -> Headers {
    filtered(headers, |header| !header.name.starts_with(PREFIX))
}

fn ours(headers: &Headers) -> Headers {
    filtered(headers, |header| header.name.starts_with(PREFIX))
}

fn filtered(headers: &Headers, keep: impl Fn(&Header) -> bool) -> Headers {
    let mut kept = Headers::new();
    headers.iter().filter(|header| keep(header)).cloned().for_each(|header| kept.push_header(header));
    kept
}

/// Confluent wire format: a zero byte, then the id, big endian.
fn framed_schema_id(value: &[u8]) -> Option<u32> {
    match value {
        [0, a, b, c, d, _, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// At most `bytes` bytes of `text`, cut between characters.
fn head(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reject::ReasonCode;

    fn record(value: Vec<u8>) -> Record {
        Record {
            topic: "raw".into(),
            partition: 3,
            offset: 42,
            timestamp_ms: Some(1_700_000_000_000),
            key: Some(b"db.t".to_vec()),
            value: Some(value),
            cut_bytes: 0,
            headers: Headers::new().with("trace", "abc"),
        }
    }

    fn letter(record: &Record, limit: usize) -> Record {
        let rejection = Rejection::new(ReasonCode::InvalidJson, "/a/0", "not json");
        let out = dead_letter("normalize", record, &rejection, &"raw.dlq".into(), 8, limit);
        Record {
            topic: out.topic,
            partition: out.partition.expect("explicit"),
            offset: 7,
            timestamp_ms: Some(1),
            key: out.key,
            value: out.value,
            cut_bytes: 0,
            headers: out.headers,
        }
    }

    #[test]
    fn carries_the_bytes_and_says_why_and_from_where() {
        let parsed = DeadLetter::parse(&letter(&record(b"{".to_vec()), 1 << 20)).expect("ours");
        assert_eq!(
            (parsed.reason.as_str(), parsed.path.as_str(), parsed.stage.as_str()),
            ("invalid_json", "/a/0", "normalize")
        );
        assert_eq!(parsed.source, Origin { topic: "raw".into(), partition: 3, offset: 42 });
        assert_eq!(parsed.origin, parsed.source);
        assert_eq!((parsed.attempt, parsed.timestamp_ms, parsed.schema_id), (1, Some(1_700_000_000_000), None));
        assert_eq!((parsed.key.as_deref(), parsed.value.as_deref()), (Some(&b"db.t"[..]), Some(&b"{"[..])));
        assert_eq!(parsed.headers, Headers::new().with("trace", "abc"));
    }

    #[test]
    fn a_replay_keeps_the_first_origin_and_counts_attempts() {
        let first = DeadLetter::parse(&letter(&record(b"{".to_vec()), 1 << 20)).expect("ours");
        let replayed = first.replay().expect("whole");
        assert_eq!((&*replayed.topic, replayed.partition), ("raw", None));
        let again = Record { offset: 99, headers: replayed.headers, ..record(b"{".to_vec()) };
        assert_eq!(origin_of(&again).offset, 42);
        let second = DeadLetter::parse(&letter(&again, 1 << 20)).expect("ours");
        assert_eq!((second.attempt, second.source.offset, second.origin.offset), (2, 99, 42));
        assert_eq!(second.headers, Headers::new().with("trace", "abc"));
    }

    #[test]
    fn what_is_too_large_is_kept_by_reference_with_its_head() {
        let parsed = DeadLetter::parse(&letter(&record(vec![b'x'; 3 << 20]), 1 << 20)).expect("ours");
        assert_eq!(parsed.truncated_bytes, Some(3 << 20));
        assert_eq!(parsed.value.as_ref().map(Vec::len), Some(HEAD_BYTES));
        let cut = Record { cut_bytes: 50 << 20, ..record(vec![b'x'; 10]) };
        let parsed_cut = DeadLetter::parse(&letter(&cut, 1 << 20)).expect("ours");
        assert_eq!((parsed_cut.truncated_bytes, parsed_cut.value), (Some((50 << 20) + 10), cut.value));
        assert!(parsed.replay().is_none());
    }

    #[test]
    fn the_schema_id_of_a_frame_is_kept() {
        let parsed = DeadLetter::parse(&letter(&record(vec![0, 0, 0, 1, 2, 9]), 1 << 20)).expect("ours");
        assert_eq!(parsed.schema_id, Some(258));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("aé", 3), "aé");
    }
}
