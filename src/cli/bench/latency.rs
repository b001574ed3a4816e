//! How long an event takes until it stands in Postgres and until a search finds it, while events arrive at a fixed rate.

use std::collections::HashMap;
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
/// How often is looked whether a probe has arrived: what the figures can be wrong by.
const STORED_EVERY: Duration = Duration::from_millis(2);
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

/// Probes under way: the dataset each writes and since when.
#[derive(Default)]
struct Pending {
    stored: HashMap<String, Instant>,
    searchable: HashMap<String, Instant>,
    done: bool,
}

/// Sends `rate` events of `mix` per second for `seconds`, some of which write datasets that nobody has seen before, and
/// follows those.
pub(super) fn at_rate(
    context: &Context,
    process: &Process,
    producer: &Producer,
    mix: &Mix,
    (rate, seconds): (u64, u64),
) -> Result<Latencies, Failure> {
    let pending = Mutex::new(Pending::default());
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(producer, mix, (rate, seconds), &pending));
        let watched = watch(context, process, &pending);
        sender.join().map_err(|_| anyhow!("the sending thread has panicked")).because(Reason::Internal)??;
        watched
    })
}

fn send(producer: &Producer, mix: &Mix, (rate, seconds): (u64, u64), pending: &Mutex<Pending>) -> Result<(), Failure> {
    // Jobs that nobody has seen, without notifications.
    let fresh = Mix { seed: mix.seed + 1, jobs: u64::MAX, hms_percent: 0 };
    let every = (rate / PROBES_PER_SECOND).max(1);
    let started = Instant::now();
    for nth in 0..rate * seconds {
        let due = started + Duration::from_nanos(nth * 1_000_000_000 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let event = if nth % every == 0 { fresh.event(nth) } else { mix.event(u64::from(u32::MAX) + nth) };
        if nth % every == 0 {
            let written = written_dataset(&event).because(Reason::Internal)?;
            let mut pending = lock(pending);
            pending.stored.insert(written.clone(), Instant::now());
            pending.searchable.insert(written, Instant::now());
        }
        let record = OutgoingRecord::new(event.topic, Some(event.key.into_bytes()), Some(event.value));
        producer.send(&record).because(Reason::Unavailable)?;
    }
    producer.flush(PATIENCE).because(Reason::Unavailable)?;
    lock(pending).done = true;
    Ok(())
}

fn watch(context: &Context, process: &Process, pending: &Mutex<Pending>) -> Result<Latencies, Failure> {
    let store = connect(&process.runtime, &context.config)?;
    let catalog =
        process.catalog.as_ref().ok_or_else(|| anyhow!("the process serves no search")).because(Reason::Internal)?;
    let mut found = Latencies::default();
    let mut search_at = Instant::now();
    loop {
        std::thread::sleep(STORED_EVERY);
        let waiting: Vec<String> = lock(pending).stored.keys().cloned().collect();
        let there = process.runtime.block_on(store.reader().datasets(&waiting)).because(Reason::Unavailable)?;
        for dataset in there {
            let since = lock(pending).stored.remove(&dataset.id);
            found.stored.extend(since.map(|since| since.elapsed()));
        }
        if Instant::now() >= search_at {
            search_at = Instant::now() + SEARCHED_EVERY;
            let waiting: Vec<String> = lock(pending).searchable.keys().cloned().collect();
            for id in waiting {
                let query = SearchQuery { text: id.clone(), filters: Vec::new(), limit: 1, offset: 0 };
                let page = process.runtime.block_on(catalog.search(query)).because(Reason::Internal)?;
                if page.results.iter().any(|hit| hit.dataset_id == id) {
                    let since = lock(pending).searchable.remove(&id);
                    found.searchable.extend(since.map(|since| since.elapsed()));
                }
            }
        }
        let pending = lock(pending);
        if let Some((id, since)) = pending.searchable.iter().find(|(_, since)| since.elapsed() > PATIENCE) {
            return Err(anyhow!("{id} was not found {:?} after its event", since.elapsed())).because(Reason::Internal);
        }
        if pending.done && pending.stored.is_empty() && pending.searchable.is_empty() {
            found.stored.sort();
            found.searchable.sort();
            return Ok(found);
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> std::sync::MutexGuard<'_, Pending> {
    pending.lock().expect("no holder of this lock panics")
}

/// Id of the dataset that the event writes; it is a path that no metastore claims.
fn written_dataset(event: &RawEvent) -> anyhow::Result<String> {
    let event: serde_json::Value = serde_json::from_slice(&event.value)?;
    let part = |field: &str| event["outputs"][0][field].as_str().unwrap_or_default().to_owned();
    Ok(format!("{}{}", part("namespace"), part("name")))
}
