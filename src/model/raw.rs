//! A raw record as the sources sent it, and what normalising makes of it.

use super::fact::{Fact, Origin};

/// One record of a raw topic.
#[derive(Clone, Debug)]
pub struct RawRecord<'a> {
    /// Where it lies; for a replayed dead letter, where it first lay.
    pub origin: Origin,
    /// Broker time, milliseconds since the epoch, where known.
    pub timestamp_ms: Option<i64>,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes.
    pub value: Option<&'a [u8]>,
}

/// The outcome of normalising a record that is not rejected.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalized {
    /// What it says; never empty.
    Facts(Vec<Fact>),
    /// Valid, but says nothing to the catalog; counted under this reason.
    NoOp(&'static str),
}
