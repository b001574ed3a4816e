//! How long an event takes until it stands in Postgres and until a search finds it, while events arrive at a fixed rate.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::generator::{Mix, RawEvent};
use crate::catalog::SearchQuery;
use crate::cli::context::Context;
use crate::cli::exit::{Because, Failure, Reason};
use crate::cli::processes::{Process, connect};
use crate::kafka::{OutgoingRecord, Producer};

/// Of so many events per second one is followed to its end.
const PROBES_PER_SECOND: u64 = 20;
/// So long events arrive before the first one is followed: servers compile what they do at this rate only now, and at the
/// load before it they did other things.
const SETTLING_SECONDS: u64 = 10;
/// How often is looked whether a probe has arrived: what the figures can be wrong by.
const STORED_EVERY: Duration = Duration::from_millis(5);
const SEARCHED_EVERY: Duration = Duration::from_millis(20);
/// An event that takes longer has got lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured, sorted.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    /// From the producer's call to the row.
    pub stored: Vec<Duration>,
    /// From the producer's call to a search that finds the dataset.
    pub searchable: Vec<Duration>,
}

/// The value below which `share` of the sorted durations lie, in milliseconds.
pub(super) fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}

/// Probes under way, the oldest first: the dataset each writes and since when.
#[derive(Default)]
struct Pending {
    waiting: VecDeque<(String, Instant)>,
    done: bool,
}

type Shared = Mutex<Pending>;

/// Sends `rate` events of `mix` per second, some of which write datasets that nobody has seen before, and follows those
/// of `seconds`, once the flow has settled.
pub(super) fn at_rate(
    context: &Context,
    process: &Process,
    producer: &Producer,
    mix: &Mix,
    (rate, seconds): (u64, u64),
) -> Result<Latencies, Failure> {
    let store = connect(&process.runtime, &context.config)?;
    let catalog =
        process.catalog.as_ref().ok_or_else(|| anyhow!("the process serves no search")).because(Reason::Internal)?;
    let (stored, searchable) = (Shared::default(), Shared::default());
    let is_stored = |id: &str| -> Result<bool, Failure> {
        let (reader, ids) = (store.reader(), [id.to_owned()]);
        Ok(!process.runtime.block_on(reader.existing(&ids)).because(Reason::Unavailable)?.is_empty())
    };
    let is_found = |id: &str| -> Result<bool, Failure> {
        let name = id.rsplit('/').next().unwrap_or(id).to_owned();
        let query = SearchQuery { text: name, filters: Vec::new(), limit: 1, offset: 0 };
        let page = process.runtime.block_on(catalog.search(query)).because(Reason::Internal)?;
        Ok(page.results.iter().any(|hit| hit.dataset_id == id))
    };
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(producer, mix, (rate, seconds), [&stored, &searchable]));
        let searcher = scope.spawn(|| watch(&searchable, SEARCHED_EVERY, &is_found));
        let stored = watch(&stored, STORED_EVERY, &is_stored);
        let searchable = joined(searcher.join());
        joined(sender.join())?;
        Ok(Latencies { stored: stored?, searchable: searchable? })
    })
}

fn joined<T>(outcome: std::thread::Result<Result<T, Failure>>) -> Result<T, Failure> {
    outcome.map_err(|_| anyhow!("a thread of the measurement has panicked")).because(Reason::Internal)?
}

fn send(producer: &Producer, mix: &Mix, (rate, seconds): (u64, u64), watched: [&Shared; 2]) -> Result<(), Failure> {
    // Jobs that nobody has seen, without notifications.
    let fresh = Mix { seed: mix.seed + 1, jobs: u64::MAX, hms_percent: 0, query_percent: 0 };
    let every = (rate / PROBES_PER_SECOND).max(1);
    let started = Instant::now();
    for nth in 0..rate * (SETTLING_SECONDS + seconds) {
        let due = started + Duration::from_nanos(nth * 1_000_000_000 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let is_probe = nth % every == 0;
        let event = if is_probe { fresh.event(nth) } else { mix.event(u64::from(u32::MAX) + nth) };
        if is_probe && nth >= rate * SETTLING_SECONDS {
            let written = written_dataset(&event).because(Reason::Internal)?;
            for pending in watched {
                lock(pending).waiting.push_back((written.clone(), Instant::now()));
            }
        }
        let record = OutgoingRecord::new(event.topic, Some(event.key.into_bytes()), Some(event.value));
        producer.send(&record).because(Reason::Unavailable)?;
    }
    producer.flush(PATIENCE).because(Reason::Unavailable)?;
    for pending in watched {
        lock(pending).done = true;
    }
    Ok(())
}

/// Asks for the oldest probes until all have arrived; those behind one that has not arrived are asked for later.
fn watch(
    pending: &Shared,
    every: Duration,
    has_arrived: &dyn Fn(&str) -> Result<bool, Failure>,
) -> Result<Vec<Duration>, Failure> {
    let mut took = Vec::new();
    loop {
        let oldest = lock(pending).waiting.front().cloned();
        match oldest {
            Some((id, since)) if has_arrived(&id)? => {
                took.push(since.elapsed());
                lock(pending).waiting.pop_front();
                continue;
            }
            Some((id, since)) if since.elapsed() > PATIENCE => {
                return Err(anyhow!("{id} has not arrived {PATIENCE:?} after its event")).because(Reason::Internal);
            }
            None if lock(pending).done => {
                took.sort();
                return Ok(took);
            }
            _ => std::thread::sleep(every),
        }
    }
}

fn lock(pending: &Shared) -> std::sync::MutexGuard<'_, Pending> {
    pending.lock().expect("no holder of this lock panics")
}

/// Id of the dataset that the event writes; it is a path that no metastore claims.
fn written_dataset(event: &RawEvent) -> anyhow::Result<String> {
    let event: serde_json::Value = serde_json::from_slice(&event.value)?;
    let part = |field: &str| event["outputs"][0][field].as_str().unwrap_or_default().to_owned();
    Ok(format!("{}{}", part("namespace"), part("name")))
}
