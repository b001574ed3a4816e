//! Hive Metastore notifications: bytes to typed events. Knows neither facts nor ids nor the catalog.
//!
//! Two shapes arrive: the event log's notifications (`DbNotificationListener`, tailed onto a topic, [`envelope`]) and
//! the values of Apiary's Kafka listener ([`apiary`]). Both become the same [`event::HmsEvent`]. Every fault is a
//! [`Rejection`] whose path leads to it in the record's value. A listing of a metastore comes in the first shape
//! ([`synthetic`]).

pub mod apiary;
pub mod envelope;
pub mod event;
pub mod synthetic;
pub mod thrift;
pub mod tjson;
pub mod tjson_writer;

#[cfg(test)]
mod tests;

use super::Limits;
use super::json::Allowance;
use crate::model::reject::Rejection;

/// What a record may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HmsLimits {
    /// Largest message in bytes, after unpacking.
    pub max_message_bytes: usize,
    /// Longest name of a catalog, database, table or function in bytes.
    pub max_name_bytes: usize,
    /// Nesting of each JSON text, and values in all of the record's texts together.
    pub json: Limits,
}

impl Default for HmsLimits {
    fn default() -> Self {
        Self { max_message_bytes: 16 << 20, max_name_bytes: 2_000, json: Limits::default() }
    }
}

/// Decodes a raw value of either shape.
///
/// # Errors
/// A [`Rejection`] with the path of the first fault.
pub fn decode(value: &[u8], limits: HmsLimits) -> Result<event::HmsEvent, Rejection> {
    if value.len() > limits.max_message_bytes {
        return Err(envelope::too_large("", limits));
    }
    let mut allowance = Allowance::new(limits.json);
    let object = envelope::parse_object(value, &mut allowance)?;
    if apiary::is_apiary(&object) {
        return apiary::decode(&object, limits);
    }
    event::decode(envelope::Envelope::from_object(object)?, limits, allowance)
}
