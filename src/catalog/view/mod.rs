//! What the catalog answers: the contract of the read API. Times are RFC 3339 in UTC.
//!
//! Apart from `model::record` on purpose: records may gain fields for the pipeline, these types only for readers.

mod dataset;
mod history;
mod impact;
mod job;
mod lineage;
mod search;
mod unresolved;
mod usage;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use dataset::*;
pub use history::*;
pub use impact::*;
pub use job::*;
pub use lineage::*;
pub use search::*;
pub use unresolved::*;
pub use usage::*;

use crate::model::fact;

/// The raw Kafka record that caused something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = Origin, example = json!({"topic": "hms.notifications", "partition": 0, "offset": 41}))]
pub struct OriginView {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl From<fact::Origin> for OriginView {
    fn from(origin: fact::Origin) -> Self {
        Self { topic: origin.topic, partition: origin.partition, offset: origin.offset }
    }
}

/// An owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Owner, example = json!({"name": "team:data-platform", "role": "OWNER", "technical": false}))]
pub struct OwnerView {
    /// Name as given (`user:x`, `team:y`, or plain).
    pub name: String,
    /// Role as given.
    pub role: String,
    /// Whether it is the account that owns the object in its system, not somebody to ask.
    pub technical: bool,
}

impl From<fact::Owner> for OwnerView {
    fn from(owner: fact::Owner) -> Self {
        Self { technical: owner.role == "TECHNICAL", name: owner.name, role: owner.role }
    }
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Tag, example = json!({"name": "pii", "value": "", "column": "email"}))]
pub struct TagView {
    /// Key or label.
    pub name: String,
    /// Value; often empty.
    pub value: String,
    /// Path of the column it is on; absent if it is on the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl From<fact::Tag> for TagView {
    fn from(tag: fact::Tag) -> Self {
        Self { name: tag.key, value: tag.value, column: tag.field }
    }
}

/// Microseconds since the epoch as RFC 3339 in UTC; a time outside of the calendar as the number itself.
pub fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// JSON text as JSON; text that is no JSON as a string.
pub(super) fn json(text: String) -> serde_json::Value {
    serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
}
