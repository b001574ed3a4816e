//! How long it takes until everything goes on after a fault, seen from outside.
//!
//! A stage goes on in a partition when its position there has moved since the fault ended, or when nothing waits there.
//! All is well once that holds in every partition of each stage, from raw records to rows, one stage after the other:
//! what the first has carried on is what the next has to carry on.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::site::Site;
use crate::cli::context::Context;
use crate::cli::flow::Flow;
use crate::kafka::{Isolation, TopicPartition};
use crate::topology::quiet::{self, Offsets, QuietError, Reader};

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(50);
/// A stage that has not gone on after so long will not do so by itself.
const LIMIT: Duration = Duration::from_secs(90);

/// Looks at positions, past the proxies.
pub(super) struct Watch {
    pub flow: Flow,
    partitions: BTreeMap<String, Vec<TopicPartition>>,
}

/// Where each stage stood at some moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing(BTreeMap<String, Offsets>);

/// How long it took since the end of a fault.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Until records came through from one end to the other.
    pub total: Duration,
    /// Until each stage went on, in their order.
    pub stages: Vec<(String, Duration)>,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.total.as_secs_f64())?;
        let stages: Vec<_> =
            self.stages.iter().map(|(stage, time)| format!("{stage} {:.1}", time.as_secs_f64())).collect();
        write!(f, " ({})", stages.join(", "))
    }
}

impl Watch {
    /// Watches the servers of `context`.
    pub fn start(context: &Context) -> anyhow::Result<Self> {
        let flow = Flow::connect(context).map_err(|failure| failure.error)?;
        let topics = flow.admin.topics()?;
        let of_reader = |reader: &Reader<'_>| {
            let each = reader.topics.iter().flat_map(|topic| {
                let partitions = topics.get(topic).map_or(0, |info| info.partitions);
                (0..partitions).map(move |partition| TopicPartition::new(topic.as_str(), partition))
            });
            (reader.name.clone(), each.collect())
        };
        let partitions = flow.readers().iter().map(of_reader).collect();
        Ok(Self { flow, partitions })
    }

    /// Where each stage stands now. Asks again while a server does not answer.
    pub fn standing(&self) -> anyhow::Result<Standing> {
        let started = Instant::now();
        loop {
            let readers = self.flow.readers();
            let positions = readers
                .iter()
                .map(|reader| Ok((reader.name.clone(), self.positions(reader)?)))
                .collect::<Result<_, QuietError>>();
            match positions {
                Ok(positions) => return Ok(Standing(positions)),
                Err(error) if started.elapsed() > LIMIT => return Err(error.into()),
                Err(_) => std::thread::sleep(GLANCE),
            }
        }
    }

    /// Waits until everything goes on, from `base` on; `since` is when the fault ended.
    pub fn wait(&self, site: &mut Site, base: &Standing, since: Instant) -> anyhow::Result<Recovery> {
        let readers = self.flow.readers();
        let mut stages: Vec<(String, Duration)> = Vec::new();
        let mut trouble = String::new();
        while let Some(reader) = readers.get(stages.len()) {
            match self.goes_on(reader, base) {
                Ok(None) => stages.push((reader.name.clone(), since.elapsed())),
                Ok(Some(waiting)) => trouble = waiting,
                Err(error) => trouble = error.to_string(),
            }
            self.expect_alive(site)?;
            if since.elapsed() > LIMIT {
                let logs: Vec<_> = site.present().into_iter().map(|who| site.told(who)).collect();
                return Err(anyhow!(
                    "{} does not go on {} s after the fault: {trouble}\n{}",
                    reader.name,
                    LIMIT.as_secs(),
                    logs.join("\n")
                ));
            }
            if stages.len() < readers.len() {
                std::thread::sleep(GLANCE);
            }
        }
        Ok(Recovery { total: since.elapsed(), stages })
    }

    /// Waits until everything that exists has been carried to the end.
    pub fn wait_quiet(&self, limit: Duration) -> anyhow::Result<()> {
        quiet::wait_quiet(&self.flow.admin, &self.flow.topics(), &self.flow.readers(), limit, &mut |_| {})?;
        Ok(())
    }

    /// `None` if the stage goes on in each partition, else one in which it does not.
    fn goes_on(&self, reader: &Reader<'_>, base: &Standing) -> Result<Option<String>, QuietError> {
        let positions = self.positions(reader)?;
        let before = base.0.get(&reader.name);
        for partition in self.partitions.get(&reader.name).into_iter().flatten() {
            let position = positions.get(partition).copied();
            let stood = before.and_then(|before| before.get(partition)).copied();
            if position > stood {
                continue;
            }
            let end = self.flow.admin.watermarks(partition, Isolation::Uncommitted)?.high;
            if position.unwrap_or(0) < end {
                let position = position.map_or("nowhere".to_owned(), |position| position.to_string());
                return Ok(Some(format!("{} stands at {position} of {end} in {partition}", reader.name)));
            }
        }
        Ok(None)
    }

    fn positions(&self, reader: &Reader<'_>) -> Result<Offsets, QuietError> {
        let partitions = self.partitions.get(&reader.name).map(Vec::as_slice).unwrap_or_default();
        reader.positions(&self.flow.admin, partitions)
    }

    /// A process that was not killed has to be there.
    fn expect_alive(&self, site: &mut Site) -> anyhow::Result<()> {
        for who in site.present() {
            if let Some(status) = site.process(who)?.ended()? {
                return Err(anyhow!("process {who} ended with {status} by itself\n{}", site.told(who)));
            }
        }
        Ok(())
    }
}
