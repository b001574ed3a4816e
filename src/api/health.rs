//! Whether the process lives and is ready, as its parts report it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of one part of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentState {
    /// Does its work.
    Ready,
    /// Comes up: replays, loads, connects.
    Starting,
    /// Works, but something needs a person.
    Degraded,
    /// Does not work.
    Failed,
}

/// One part of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "postgres", "state": "degraded", "reason": "2 records in sink_rejects; see 'tributary status'"}))]
pub struct ComponentStatus {
    /// `kafka`, `postgres`, `search`, `lineage`, a stage's name, ….
    pub name: String,
    /// Its state.
    pub state: ComponentState,
    /// Why it is not ready, and what to do; empty if it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl ComponentStatus {
    /// A part that does its work.
    pub fn ready(name: impl Into<String>) -> Self {
        Self { name: name.into(), state: ComponentState::Ready, reason: String::new() }
    }

    /// A part in another state, and why.
    pub fn not_ready(name: impl Into<String>, state: ComponentState, reason: impl Into<String>) -> Self {
        Self { name: name.into(), state, reason: reason.into() }
    }
}

/// Tells the state of all parts. Must answer from memory: it is asked by every probe.
pub trait StatusSource: Send + Sync {
    /// All parts of this process.
    fn components(&self) -> Vec<ComponentStatus>;
}

impl<F: Fn() -> Vec<ComponentStatus> + Send + Sync> StatusSource for F {
    fn components(&self) -> Vec<ComponentStatus> {
        self()
    }
}
