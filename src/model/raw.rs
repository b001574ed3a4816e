//! A raw record as the sources sent it, and what normalising makes of it.

use sha2::{Digest, Sha256};

use super::fact::{Fact, Origin};
use super::reject::{ReasonCode, Rejection};

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

impl<'a> RawRecord<'a> {
    /// The value. `what` names such a record in the rejection of one without, as in "a dbt record".
    ///
    /// # Errors
    /// `empty_value` if there is none.
    pub fn required(&self, what: &str) -> Result<&'a [u8], Rejection> {
        self.value.ok_or_else(|| {
            let message = format!("{what} has a value; tombstones mean nothing here");
            Rejection::new(ReasonCode::EmptyValue, "", message)
        })
    }
}

/// A value as text.
///
/// # Errors
/// `invalid_utf8` with the place of the first byte that is none.
pub fn utf8(value: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(value).map_err(|error| {
        let message = format!("byte {} is not UTF-8", error.valid_up_to());
        Rejection::new(ReasonCode::InvalidUtf8, "", message)
    })
}

/// The hash of a raw value that breaks ties between versions, see [`Version::hash`](super::fact::Version::hash).
pub fn hash(value: &[u8]) -> u64 {
    u64::from_be_bytes(Sha256::digest(value).first_chunk().copied().unwrap_or_default())
}

/// The outcome of normalising a record that is not rejected.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalized {
    /// What it says; never empty.
    Facts(Vec<Fact>),
    /// Valid, but says nothing to the catalog; counted under this reason.
    NoOp(&'static str),
}
