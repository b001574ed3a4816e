//! Events of an Airflow listener → facts. Pure; knows neither other records nor the OpenLineage provider's events, but
//! uses its names for jobs and runs, so that a deployment with both streams has each DAG, task and run once.
//!
//! The envelope is ours: docs/airflow.md describes it, config/airflow/tributary_listener.py sends it. What ids and times
//! are made of is checked strictly; of the rest nothing costs an event.

mod asset;
mod events;
mod part;
mod run_id;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use crate::codec::{Limits, json};
use crate::model::check::{FactLimits, checked};
use crate::model::fact::{Source, Version};
use crate::model::id::Identity;
use crate::model::raw::{Normalized, RawRecord, hash, utf8};
use crate::model::reject::{ReasonCode, Rejection};

use super::openlineage::without_non_numbers;
use part::Part;

/// What an installation decides about reading events.
#[derive(Clone, Debug)]
pub struct AirflowConfig {
    /// The namespace of jobs of deployments whose events do not name theirs: that of the OpenLineage provider there.
    pub namespace: String,
    /// Names, instances, rewrites.
    pub identity: Arc<Identity>,
    /// What has no place of its own is kept up to this size, bytes of JSON; else its size and beginning.
    pub max_facet_bytes: usize,
    /// Nesting of events, and values in one.
    pub json: Limits,
    /// What the facts of an event may say.
    pub facts: FactLimits,
}

impl Default for AirflowConfig {
    fn default() -> Self {
        Self {
            // The provider's own default.
            namespace: "default".to_owned(),
            identity: Arc::new(Identity::default()),
            max_facet_bytes: 64 * 1024,
            json: Limits::default(),
            facts: FactLimits::default(),
        }
    }
}

/// Turns events of an Airflow listener into facts.
#[derive(Clone, Debug)]
pub struct AirflowNormalizer {
    config: AirflowConfig,
}

/// One event, its frame read.
struct Event<'a> {
    config: &'a AirflowConfig,
    topic: &'a str,
    /// Namespace of the deployment's jobs.
    namespace: &'a str,
    /// When it was sent, microseconds.
    time: i64,
    /// What happened: the part of the event's type behind the dot.
    what: &'a str,
    frame: Part<'a>,
}

impl AirflowNormalizer {
    /// A normalizer for one installation.
    pub fn new(config: AirflowConfig) -> Self {
        Self { config }
    }

    /// The facts of one record.
    ///
    /// # Errors
    /// A [`Rejection`] if the record can never be normalized; its path leads to the first fault in the value.
    pub fn normalize(&self, record: &RawRecord<'_>) -> Result<Normalized, Rejection> {
        let value = record.required("an Airflow event")?;
        let json = self.parse(utf8(value)?)?;
        let frame = Part::of(&json, "")?;
        let kind = frame.required_text("event_type")?;
        let (subject, what) = kind.split_once('.').unwrap_or((kind, ""));
        let event = Event {
            config: &self.config,
            topic: &record.origin.topic,
            namespace: frame.text("namespace")?.filter(|text| !text.is_empty()).unwrap_or(&self.config.namespace),
            time: frame.time("emitted_at")?.ok_or_else(|| frame.missing("emitted_at"))?,
            what,
            frame: frame.clone(),
        };
        let source = Source::parse("airflow/listener");
        let made = |rank| (source.clone(), Version { epoch: 0, time: event.time, seq: rank, hash: hash(value) });
        let normalized = match subject {
            "task_instance" => events::task_instance(&event, record, made)?,
            "dag_run" => events::dag_run(&event, record, made)?,
            "asset" => events::asset(&event, record, made)?,
            // Says which names an alias may stand for, and nothing of a dataset.
            "asset_alias" => return Ok(Normalized::NoOp("airflow_asset_alias")),
            _ => return Err(unknown(kind)),
        };
        checked(normalized, &self.config.facts)
    }

    /// Python writes NaN and Infinity, which JSON does not have; they mean that a number is unknown.
    fn parse(&self, text: &str) -> Result<Value, Rejection> {
        json::parse(text, self.config.json).or_else(|rejection| match without_non_numbers(text) {
            Some(mended) => json::parse(&mended, self.config.json),
            None => Err(rejection),
        })
    }
}

fn unknown(kind: &str) -> Rejection {
    let kind: String = kind.chars().take(80).collect();
    let message = format!(
        "{kind:?} is no event of a listener that is known; task_instance.*, dag_run.*, asset.created and asset.changed are"
    );
    Rejection::new(ReasonCode::UnknownType, "/event_type", message)
}
