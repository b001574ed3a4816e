//! What a transform says about one record: outputs or a no-op. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kafka::{Headers, OutgoingRecord, partition_for};
use crate::model::reject::{ReasonCode, Rejection};

use super::fault::Fault;
use super::spec::OutputTopic;

/// Bytes Kafka adds around a record, at most: batch header, lengths, offsets.
pub(super) const FRAMING: usize = 128;

#[derive(Debug)]
struct Target {
    topic: Arc<str>,
    partitions: i32,
    max_record_bytes: usize,
    is_compacted: bool,
}

/// One record for an output topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// Topic, one of the stage's outputs.
    pub topic: &'a str,
    /// Owner: the record goes to the partition of these bytes, whatever its key is.
    pub owner: &'a [u8],
    /// Key.
    pub key: Vec<u8>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers.
    pub headers: Headers,
}

/// Collects the outcome of one record.
#[derive(Debug, Default)]
pub struct Outputs {
    targets: HashMap<Arc<str>, Target>,
    records: Vec<OutgoingRecord>,
    no_op: Option<&'static str>,
    tallies: Vec<Tally>,
    fault: Option<Fault>,
}

/// Something that a stage counts besides records, once: a counter with the label `stage` and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tally {
    /// Name of the counter.
    pub counter: &'static str,
    /// Label.
    pub label: &'static str,
    /// Value of the label.
    pub value: &'static str,
}

impl Outputs {
    /// Outputs for topics with their numbers of partitions.
    pub fn new<'a>(topics: impl IntoIterator<Item = (&'a OutputTopic, i32)>) -> Self {
        let target = |(spec, partitions): (&OutputTopic, i32)| {
            let topic: Arc<str> = spec.name.as_str().into();
            let (max_record_bytes, is_compacted) = (spec.max_record_bytes, spec.is_compacted);
            (Arc::clone(&topic), Target { topic, partitions, max_record_bytes, is_compacted })
        };
        Self { targets: topics.into_iter().map(target).collect(), ..Self::default() }
    }

    /// Adds a record. A topic that is not an output of the stage is a programming error and ends the task; a record
    /// over the topic's limit rejects the input.
    pub fn send(&mut self, output: Output<'_>) {
        let Some(target) = self.targets.get(output.topic) else {
            let message = format!("topic {} is not among the stage's outputs", output.topic);
            self.fault = Some(Fault::fatal(message));
            return;
        };
        let record = OutgoingRecord {
            topic: Arc::clone(&target.topic),
            partition: Some(partition_for(output.owner, target.partitions)),
            key: Some(output.key),
            value: output.value,
            timestamp_ms: None,
            headers: output.headers,
        };
        let size = record.size() + FRAMING;
        if size > target.max_record_bytes && self.fault.is_none() {
            let message = format!(
                "its output to {} has {size} bytes, the topic allows {}; raise the topic's max.message.bytes",
                target.topic, target.max_record_bytes
            );
            self.fault = Some(Rejection::new(ReasonCode::LimitExceeded, "", message).into());
        }
        self.records.push(record);
    }

    /// Adds a record without headers whose owner is `owner`.
    pub fn put(&mut self, topic: &str, owner: &str, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) {
        self.send(Output { topic, owner: owner.as_bytes(), key: key.into(), value, headers: Headers::new() });
    }

    /// The partition of `topic` to which `owner` belongs; `None` if the topic is not an output of the stage.
    pub fn partition_of(&self, topic: &str, owner: &[u8]) -> Option<i32> {
        self.targets.get(topic).map(|target| partition_for(owner, target.partitions))
    }

    /// Says that the record is valid but has no effect here, and why (a metric label).
    pub fn no_op(&mut self, reason: &'static str) {
        self.no_op = Some(reason);
    }

    /// Counts something, if the record's transaction commits.
    pub fn tally(&mut self, tally: Tally) {
        self.tallies.push(tally);
    }

    /// What was counted.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// The records so far.
    pub fn records(&self) -> &[OutgoingRecord] {
        &self.records
    }

    /// Takes the records out, each with whether its topic is compacted.
    pub(super) fn take_records(&mut self) -> impl Iterator<Item = (OutgoingRecord, bool)> {
        let targets = &self.targets;
        self.records.drain(..).map(|record| {
            let is_compacted = targets.get(&record.topic).is_some_and(|target| target.is_compacted);
            (record, is_compacted)
        })
    }

    /// The no-op reason, if one was given.
    pub fn no_op_reason(&self) -> Option<&'static str> {
        self.no_op
    }

    /// What went wrong while collecting: the record is rejected for it.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Takes what went wrong while collecting.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Makes ready for the next record.
    pub fn clear(&mut self) {
        self.records.clear();
        self.no_op = None;
        self.tallies.clear();
        self.fault = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(name: &str, partitions: i32, max_record_bytes: usize) -> Outputs {
        Outputs::new([(&OutputTopic { max_record_bytes, ..OutputTopic::new(name) }, partitions)])
    }

    #[test]
    fn the_owner_places_the_record_whatever_its_key() {
        let mut outputs = outputs("out", 12, 1000);
        outputs.put("out", "foobar", "foobar|1", Some(vec![1]));
        outputs.put("out", "foobar", "foobar|2", None);
        let expected = (-790_332_482_i32 & 0x7fff_ffff) % 12;
        assert!(outputs.records().iter().all(|record| record.partition == Some(expected)));
        assert!(outputs.take_fault().is_none());
    }

    #[test]
    fn an_output_over_the_limit_rejects_its_input() {
        let mut outputs = outputs("out", 1, 1000);
        outputs.put("out", "a", "a", Some(vec![0; 2000]));
        let Some(Fault::Poison(rejection)) = outputs.take_fault() else { panic!("must be poison") };
        assert_eq!(rejection.code, ReasonCode::LimitExceeded);
    }

    #[test]
    fn an_undeclared_topic_is_fatal() {
        let mut outputs = outputs("out", 1, 1000);
        outputs.put("other", "a", "a", None);
        assert!(matches!(outputs.take_fault(), Some(Fault::Fatal(_))));
    }
}
