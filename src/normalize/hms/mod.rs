//! Metastore events to facts. Pure; knows no other source, no catalog and no state: one record in, its facts out.
//!
//! Each event is about one entity and gives one fact for it, plus one `alias_of` fact for its location when the table
//! or its location is new, plus one fact for the old name when it was renamed.

mod events;
pub mod names;
mod spark;
pub mod table;
mod view;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod view_tests;

use std::sync::Arc;

use crate::codec::hms::event::{Change, HmsEvent};
use crate::codec::hms::{HmsLimits, decode};
use crate::model::check::{FactLimits, checked};
use crate::model::fact::{Source, Version};
use crate::model::id::{IdError, Identity};
use crate::model::raw::{Normalized, RawRecord, hash};
use crate::model::reject::{ReasonCode, Rejection};

pub use events::COLUMNS_FACET;
use names::Metastore;

/// What is configured for a topic of metastore events.
#[derive(Clone, Debug, Default)]
pub struct HmsSourceConfig {
    /// The metastore whose events these are, e.g. `hive://metastore:9083`. Without it each message must name its own.
    pub instance: Option<String>,
    /// Raised when the metastore was rebuilt and its event ids started again.
    pub epoch: u32,
    /// What a record may cost.
    pub limits: HmsLimits,
    /// Other names of metastores and of the places where tables lie.
    pub identity: Arc<Identity>,
    /// What its facts may say.
    pub facts: FactLimits,
}

/// Normalizer of one topic of metastore events.
#[derive(Clone, Debug)]
pub struct HmsNormalizer {
    configured: Option<Metastore>,
    epoch: u32,
    limits: HmsLimits,
    identity: Arc<Identity>,
    facts: FactLimits,
}

impl HmsNormalizer {
    /// A normalizer for a topic.
    ///
    /// # Errors
    /// If the configured instance is no namespace.
    pub fn new(config: HmsSourceConfig) -> Result<Self, IdError> {
        let configured = config.instance.as_deref().map(|name| known(name, &config.identity)).transpose()?;
        let HmsSourceConfig { epoch, limits, facts, identity, .. } = config;
        Ok(Self { configured, epoch, limits, facts, identity })
    }

    /// The facts of one record.
    ///
    /// # Errors
    /// A [`Rejection`] if the record can never be normalized; its path leads to the first fault in the value.
    pub fn normalize(&self, record: &RawRecord<'_>) -> Result<Normalized, Rejection> {
        let Some(value) = record.value else {
            return Err(Rejection::new(ReasonCode::EmptyValue, "", "a metastore event needs a value"));
        };
        let event = decode(value, self.limits)?;
        if let Change::Silent(reason) = event.change {
            return Ok(Normalized::NoOp(reason));
        }
        let metastore = self.metastore(&event)?;
        let context = events::Context {
            source: Source::hms(&metastore.namespace()),
            version: self.version(&event, record, value),
            origin: &record.origin,
            catalog: event.catalog.as_deref(),
            metastore: &metastore,
            identity: &self.identity,
            listing: event.listing.as_ref(),
        };
        let normalized = events::facts(&context, &event.change);
        checked(normalized, &self.facts)
    }

    fn metastore(&self, event: &HmsEvent) -> Result<Metastore, Rejection> {
        if let Some(configured) = &self.configured {
            return Ok(configured.clone());
        }
        let unknown = |why: String| Rejection::new(ReasonCode::UnknownInstance, "/message/server", why);
        if event.server.trim().is_empty() {
            let why = "the message does not name its metastore; set the instance of this topic";
            return Err(unknown(why.to_owned()));
        }
        known(&event.server, &self.identity)
            .map_err(|error| unknown(format!("{:?} is no metastore: {error}", event.server)))
    }

    fn version(&self, event: &HmsEvent, record: &RawRecord<'_>, value: &[u8]) -> Version {
        let hash = match &event.listing {
            // All that a listing says has one version: after the event with its id, before the next; a later listing of
            // the same id after an earlier one.
            Some(mark) => u64::from(u32::MAX) << 32 | u64::from(u32::try_from(mark.taken).unwrap_or(u32::MAX)),
            None => hash(value),
        };
        let (time, seq) = match (event.event_time, event.event_id) {
            (Some(seconds), Some(id)) => (seconds.saturating_mul(1_000_000), id),
            // The Kafka listener gives no time and not always an id, but writes in order.
            _ => {
                let millis = listener_time(record.key).or(record.timestamp_ms).unwrap_or_default();
                (millis.saturating_mul(1_000), record.origin.offset)
            }
        };
        Version { epoch: self.epoch, time, seq, hash }
    }
}

/// The metastore of this name: the configured instance that has it, else by the name alone.
fn known(name: &str, identity: &Identity) -> Result<Metastore, IdError> {
    let plain = Metastore::new(name)?;
    let instance = identity.instances().find(&plain.namespace());
    match instance.filter(|instance| instance.namespace.starts_with("hive://")) {
        Some(instance) => Metastore::new(&instance.namespace),
        None => Ok(plain),
    }
}

/// Keys of the Kafka listener are its clock: milliseconds as 8 bytes, big endian. Anything implausible is no clock.
fn listener_time(key: Option<&[u8]>) -> Option<i64> {
    const YEAR_2000: i64 = 946_684_800_000;
    const YEAR_2200: i64 = 7_258_118_400_000;
    let millis = i64::from_be_bytes(key?.try_into().ok()?);
    (YEAR_2000..YEAR_2200).contains(&millis).then_some(millis)
}
