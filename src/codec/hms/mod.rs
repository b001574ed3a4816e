//! Hive Metastore notifications: bytes to typed events. Knows neither facts nor ids nor the catalog.
//!
//! Two shapes arrive: the event log's notifications (`DbNotificationListener`, tailed onto a topic, [`envelope`]) and
//! the values of Apiary's Kafka listener ([`apiary`]). Both become the same [`event::HmsEvent`]. Every fault is a
//! [`Rejection`] whose path leads to it in the record's value.

pub mod apiary;
pub mod envelope;
pub mod event;
pub mod thrift;
pub mod tjson;

#[cfg(test)]
mod tests;

use crate::model::reject::{ReasonCode, Rejection};

/// What a record may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HmsLimits {
    /// Largest message in bytes, after unpacking.
    pub max_message_bytes: usize,
    /// Deepest nesting of Thrift values.
    pub max_depth: usize,
}

impl Default for HmsLimits {
    fn default() -> Self {
        Self { max_message_bytes: 64 << 20, max_depth: 64 }
    }
}

/// Decodes a raw value of either shape.
///
/// # Errors
/// A [`Rejection`] with the path of the first fault.
pub fn decode(value: &[u8], limits: HmsLimits) -> Result<event::HmsEvent, Rejection> {
    if value.len() > limits.max_message_bytes {
        let message = format!("value is larger than the limit of {} bytes", limits.max_message_bytes);
        return Err(Rejection::new(ReasonCode::LimitExceeded, "", message));
    }
    let object = envelope::parse_object(value)?;
    if apiary::is_apiary(&object) {
        return apiary::decode(&object);
    }
    event::decode(&envelope::Envelope::from_object(object)?, limits)
}
