//! Records as they come from and go to Kafka, owned. Pure.

use std::fmt;
use std::sync::Arc;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// One header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name; a record may carry the same name several times.
    pub name: String,
    /// Value bytes, or null.
    pub value: Option<Vec<u8>>,
}

/// The headers of a record, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The last header called `name`, as Kafka's `lastHeader` finds it; `None` if missing or null.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().rev().find(|header| header.name == name)?.value.as_deref()
    }

    /// The last header called `name` as text; `None` if missing, null or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Appends a header.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push(Header { name: name.into(), value: Some(value.into()) });
    }

    /// Appends a header, by value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.push(name, value);
        self
    }

    /// Appends a header as it is.
    pub fn push_header(&mut self, header: Header) {
        self.0.push(header);
    }

    /// All headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of names and values.
    pub fn size(&self) -> usize {
        self.0.iter().map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len)).sum()
    }
}

/// A record read from a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Milliseconds since the epoch, if the broker keeps it.
    pub timestamp_ms: Option<i64>,
    /// Key bytes.
    pub key: Option<Vec<u8>>,
    /// Value bytes, `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Bytes of the value that were not copied, because nobody could take a value that large: `value` is its head.
    pub cut_bytes: usize,
    /// Headers.
    pub headers: Headers,
}

impl Record {
    /// Where it lies.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition }
    }

    /// Bytes of the whole value.
    pub fn value_size(&self) -> usize {
        self.value.as_ref().map_or(0, Vec::len) + self.cut_bytes
    }

    /// Bytes of key, whole value and headers.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value_size() + self.headers.size()
    }
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition; `None` = murmur2 of the key as Java producers do, any partition without a key.
    pub partition: Option<i32>,
    /// Key bytes.
    pub key: Option<Vec<u8>>,
    /// Value bytes, `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the epoch; `None` = now. Topics with `LogAppendTime` ignore it.
    pub timestamp_ms: Option<i64>,
    /// Headers.
    pub headers: Headers,
}

impl OutgoingRecord {
    /// A record with key and value and nothing else.
    pub fn new(topic: impl Into<Arc<str>>, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Self {
        Self { topic: topic.into(), partition: None, key, value, timestamp_ms: None, headers: Headers::new() }
    }

    /// The same record for a given partition.
    #[must_use]
    pub fn to_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// The same record with these headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + self.headers.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_of_a_name_counts() {
        let mut headers = Headers::new().with("a", "1").with("b", "2").with("a", "3");
        headers.push_header(Header { name: "c".into(), value: None });
        assert_eq!(headers.text("a"), Some("3"));
        assert_eq!(headers.get("c"), None);
        assert_eq!(headers.size(), 7);
    }
}
