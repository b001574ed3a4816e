//! The whole flow as seen from outside any process: who reads what, and how far they are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;

use super::context::Context;
use super::exit::{Because, Failure, Reason};
use super::processes::{self, POSTGRES_SINK};
use super::topology;
use crate::kafka::{Admin, Isolation, TopicPartition};
use crate::stage::group_id;
use crate::store::Store;
use crate::topology::load::{Role, StageKind, Topology};
use crate::topology::quiet::{self, Behind, Offsets, Progress, Reader};

/// How often progress is told where there is no terminal.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);

/// Access to the flow.
pub(super) struct Flow {
    pub admin: Admin,
    pub topology: Topology,
    cluster: String,
    database: Option<(Runtime, Store)>,
}

impl Flow {
    /// Connects to Kafka, and to Postgres if one is configured.
    pub fn connect(context: &Context) -> Result<Self, Failure> {
        let admin = Admin::new(&context.kafka).because(Reason::Unavailable)?;
        let topology = topology::of(&context.config)?;
        let database = match &context.config.database.url {
            Some(_) => {
                let runtime = processes::runtime()?;
                let store = processes::connect(&runtime, &context.config)?;
                Some((runtime, store))
            }
            None => None,
        };
        Ok(Self { admin, topology, cluster: context.config.kafka.cluster.clone(), database })
    }

    /// Whether anything was ever written to a topic.
    pub fn was_fed(&self, topic: &str) -> Result<bool, Failure> {
        let marks = self.admin.topic_watermarks(topic, Isolation::Uncommitted).because(Reason::Unavailable)?;
        Ok(marks.values().any(|mark| mark.high > 0))
    }

    /// Every reader whose progress is known outside of its process. Followers keep theirs to themselves.
    pub fn readers(&self) -> Vec<Reader<'_>> {
        let stages = self.topology.stages.iter();
        let reader = stages.filter_map(|stage| {
            let progress = match (stage.kind, &self.database) {
                (StageKind::Transform | StageKind::Keyed, _) => Progress::Group(group_id(&self.cluster, &stage.name)),
                (StageKind::Sink, Some((runtime, store))) => Progress::Stored(Box::new(move || stored(runtime, store))),
                (StageKind::Sink, None) | (StageKind::Follower, _) => return None,
            };
            Some(Reader { name: stage.name.clone(), topics: stage.inputs.clone(), progress })
        });
        reader.collect()
    }

    /// Topics whose ends have to stand still: all but the registry's and the ledger of dead letters.
    pub fn topics(&self) -> Vec<String> {
        let flows = |role: Role| !matches!(role, Role::Registry | Role::Ledger);
        let flowing = self.topology.topics.iter().filter(|topic| flows(topic.role));
        flowing.map(|topic| topic.name.clone()).collect()
    }

    /// Dead-letter topics.
    pub fn dead_letters(&self) -> Vec<String> {
        self.topology.of_role(Role::DeadLetters).map(|topic| topic.name.clone()).collect()
    }

    /// Waits until everything has been carried to the end, showing who is how far behind.
    pub fn wait_quiet(&self, time_out: Duration) -> Result<Offsets, Failure> {
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::default_spinner());
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut told = Instant::now();
        let mut show = |behind: &[Behind]| {
            let text = waiting(behind);
            if bar.is_hidden() && told.elapsed() > PLAIN_LINE_EVERY {
                // No terminal: a log has no use for a spinner.
                eprintln!("{text}");
                told = Instant::now();
            }
            bar.set_message(text);
        };
        let end = quiet::wait_quiet(&self.admin, &self.topics(), &self.readers(), time_out, &mut show);
        bar.finish_and_clear();
        end.map_err(|error| anyhow!(error)).because(Reason::Temporary)
    }

    /// Waits until the reader called `name` has read its topics to their ends, whatever the others do.
    pub fn wait_reader(&self, name: &str, time_out: Duration) -> Result<Offsets, Failure> {
        let mut readers = self.readers();
        readers.retain(|reader| reader.name == name);
        let topics: Vec<String> = readers.iter().flat_map(|reader| reader.topics.clone()).collect();
        let end = quiet::wait_quiet(&self.admin, &topics, &readers, time_out, &mut |_| {});
        end.map_err(|error| anyhow!(error)).because(Reason::Temporary)
    }
}

fn waiting(behind: &[Behind]) -> String {
    let mut by_reader: BTreeMap<&str, i64> = BTreeMap::new();
    for one in behind {
        *by_reader.entry(&one.reader).or_default() += one.end - one.position.unwrap_or(0);
    }
    let parts: Vec<_> = by_reader.iter().map(|(reader, records)| format!("{reader} {records}")).collect();
    if parts.is_empty() { "settling".to_owned() } else { format!("records to go: {}", parts.join(", ")) }
}

fn stored(runtime: &Runtime, store: &Store) -> Result<Offsets, String> {
    let positions = runtime.block_on(store.positions(POSTGRES_SINK)).map_err(|error| error.to_string())?;
    let entry = |position: crate::store::Position| {
        (TopicPartition::new(position.key.topic, position.key.partition), position.next_offset)
    };
    Ok(positions.into_iter().map(entry).collect())
}
