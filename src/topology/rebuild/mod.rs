//! Views built anew from the topics, beside those that are read, and exchanged at a stated position.
//!
//! A view is filled by the same sink that keeps it up to date, driven by the same runtime: what a rebuild makes is what an
//! undisturbed run would have made, and a killed rebuild goes on where its positions stand. Knows no terminal.

mod fill;
mod lineage;
mod postgres;
mod search;
mod state;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::codec::avro::Decoder;
use crate::config::Config;
use crate::kafka::{Admin, KafkaConfig, KafkaError};
use crate::search::SearchError;
use crate::sink::SearchSinkOptions;
use crate::stage::{Fault, FromLocalError, SinkSpec, StopToken, Timeouts};
use crate::store::StoreError;
use crate::store::rebuild::RebuildError as StoreRebuildError;

use super::load::Topology;
use super::node::batch_limits;
use super::quiet::Offsets;

pub use lineage::{BuiltGraph, lineage};
pub use postgres::{lineage_tables, postgres};
pub use search::{BuiltIndex, search, search_beside};
pub use state::{state, state_from_local};

/// What a view is built from and with.
#[derive(Clone)]
pub struct Source {
    /// Kafka.
    pub kafka: KafkaConfig,
    /// Settings.
    pub config: Config,
    /// The graph of topics and stages.
    pub topology: Topology,
    /// Decodes catalog records.
    pub decoder: Arc<Decoder>,
    /// Name of the instance that builds.
    pub instance: String,
    /// Ends the building when it is asked.
    pub stop: StopToken,
}

impl Source {
    /// How a sink runs here.
    pub fn spec(&self, name: &str, topics: Vec<String>) -> SinkSpec {
        let mut spec = SinkSpec::new(self.config.kafka.cluster.clone(), name, self.instance.clone(), topics);
        spec.batch = batch_limits(&self.config, name);
        spec.timeouts = Timeouts { drain: self.config.shutdown_timeout, ..Timeouts::default() };
        if name == LINEAGE {
            // The graph lives in memory; what it is loaded from is what has to be put right.
            spec.repair = "tributary rebuild postgres".to_owned();
        }
        spec
    }

    /// The topics that a view is made of.
    fn topics(&self, view: &str) -> Vec<String> {
        self.topology.stage(view).map(|stage| stage.inputs.clone()).unwrap_or_default()
    }
}

const POSTGRES: &str = "postgres";
const SEARCH: &str = "search";
const LINEAGE: &str = "lineage";

/// Commits of an index under construction are for resuming only: few and large.
const BUILD_OPTIONS: SearchSinkOptions = SearchSinkOptions { every: Duration::from_secs(10), documents: 50_000 };

/// What a rebuild is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the topics to where they ended at the start.
    Filling,
    /// Comparing what was built with the topics.
    Verifying,
    /// Reading what has come since.
    CatchingUp,
    /// Putting it in the place of the old one.
    Exchanging,
}

impl Step {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Verifying => "verifying",
            Self::CatchingUp => "catching up",
            Self::Exchanging => "exchanging",
        }
    }
}

/// How far a rebuild is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub step: Step,
    /// Offsets passed.
    pub done: u64,
    /// Offsets in all.
    pub total: u64,
    /// What it waits for, if something is away.
    pub trouble: Option<String>,
}

/// Is told of progress, several times a second.
pub type Watch<'a> = &'a mut dyn FnMut(&Progress);

/// What a rebuild has come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Seconds in all.
    pub seconds: f64,
    /// Where they went, in order.
    pub shares: Vec<(&'static str, f64)>,
    /// Where the view stands in each partition.
    pub position: Offsets,
    /// Whether it was compared with the topics and found equal: what was compared.
    pub verified: Option<String>,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// Why a view was not built anew. The old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Kafka did not answer or refused.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// Postgres did not answer or refused.
    #[error(transparent)]
    Tables(#[from] StoreRebuildError),
    /// The index could not be written or read.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// Local state could not be written or read.
    #[error(transparent)]
    State(#[from] Fault),
    /// The changelog could not be written from local state.
    #[error(transparent)]
    FromLocal(#[from] FromLocalError),
    /// A thread could not be started.
    #[error("could not start a thread")]
    Thread(#[from] std::io::Error),
    /// The sink that fills the view cannot go on.
    #[error("{view} could not be filled: {reason}")]
    Failed {
        /// The view.
        view: &'static str,
        /// The sink's words.
        reason: String,
    },
    /// What was built is not what the topics hold.
    #[error("what was built of {view} is not what the topics hold; nothing was exchanged:{}", .differences.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    Differs {
        /// The view.
        view: &'static str,
        /// What differs.
        differences: Vec<String>,
    },
    /// There is a topic too few.
    #[error("{0}")]
    Missing(String),
    /// Somebody asked to stop.
    #[error("stopped before it was done; run it again to continue")]
    Stopped,
}

impl From<StoreError> for RebuildError {
    fn from(error: StoreError) -> Self {
        Self::Tables(error.into())
    }
}

/// Adds up where the time goes.
struct Clock {
    started: Instant,
    last: Instant,
    shares: Vec<(&'static str, f64)>,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { started: now, last: now, shares: Vec::new() }
    }

    /// What has passed since the last call went into `share`.
    fn lap(&mut self, share: &'static str) {
        let now = Instant::now();
        let seconds = now.duration_since(self.last).as_secs_f64();
        self.last = now;
        match self.shares.iter_mut().find(|(name, _)| *name == share) {
            Some((_, sum)) => *sum += seconds,
            None => self.shares.push((share, seconds)),
        }
    }

    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// A client for ends and positions.
fn admin(source: &Source) -> Result<Arc<Admin>, RebuildError> {
    Ok(Arc::new(Admin::new(&source.kafka)?))
}
