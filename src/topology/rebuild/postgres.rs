//! The catalog's tables: filled in a second schema and exchanged in one transaction, at or after the position of the sink
//! that writes the old ones. That sink notices at its next batch that its position has moved, and goes on from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::runtime::Handle;

use crate::kafka::{TopicPartition, topic_ids};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::sink::PostgresSink;
use crate::store::rebuild::{Rebuild, RebuildError as TablesError};
use crate::store::{Position, Store, StoreOptions, as_stored};
use crate::topology::quiet::Offsets;

use super::fill::{Filling, Marks, Work, balanced, marks};
use super::verify::{Comparison, read_topics, view_key};
use super::{Clock, POSTGRES, Progress, RebuildError, Report, Source, Step, Watch, admin};

/// How often the exchange is tried before a person has to look who holds the tables.
const ATTEMPTS: usize = 6;
/// More writers than this get in each other's way.
const MOST_WRITERS: usize = 4;

/// Builds the tables anew and exchanges them; with `verify` only if they are what the topics hold.
///
/// # Errors
/// [`RebuildError`]; the old tables are then as they were, and what was built is kept for the next attempt.
pub fn postgres(
    source: &Source,
    options: &StoreOptions,
    runtime: &Handle,
    verify: bool,
    watch: Watch<'_>,
) -> Result<Report, RebuildError> {
    let mut clock = Clock::start();
    let mut report = Report::default();
    let admin = admin(source)?;
    let topics = source.topics(POSTGRES);
    let first = marks(&admin, &topics)?;
    let mut rebuild = runtime.block_on(Rebuild::begin(options))?;
    resume(source, runtime, &mut rebuild, &first, &mut report)?;
    let work = Arc::new(Work::default());
    let store = rebuild.staged().clone();
    let start = |marks: &Marks| {
        let writers = available_parallelism().map_or(1, |cores| cores.get().clamp(1, MOST_WRITERS));
        let groups = balanced(marks, topics.clone(), writers);
        Filling::start(source, POSTGRES, groups, &work, || {
            let (store, decoder) = (store.clone(), Arc::clone(&source.decoder));
            Ok(Box::new(PostgresSink::new(PostgresSink::NAME, store, decoder, runtime.clone())))
        })
    };
    clock.lap("preparing");

    let filling = start(&first)?;
    filling.reach(source, Step::Filling, &first.low, &first.high, watch)?;
    filling.stop()?;
    clock.lap("filling");
    runtime.block_on(rebuild.analyze())?;
    clock.lap("analysing");
    if verify {
        watch(&Progress { step: Step::Verifying, done: 0, total: 0, trouble: None });
        report.verified = Some(compare(source, runtime, &store)?);
        clock.lap("verifying");
    }
    let kept = runtime.block_on(rebuild.keep_changes())?;
    if kept > 0 {
        report
            .notes
            .push(format!("{kept} changes that their topic does not hold any more were kept from the old table"));
    }
    for definition in runtime.block_on(rebuild.additions())? {
        report.notes.push(format!("not made by tributary, gone with the old tables: {definition}"));
    }
    clock.lap("preparing");

    for attempt in 1.. {
        let now = marks(&admin, &topics)?;
        let filling = start(&now)?;
        filling.reach(source, Step::CatchingUp, &first.high, &now.high, watch)?;
        watch(&Progress { step: Step::Exchanging, done: 0, total: 0, trouble: None });
        let exchanged = exchange(source, runtime, options, &mut rebuild, filling, &now, watch);
        clock.lap("exchanging");
        match exchanged {
            Ok(position) => {
                report.position = position;
                break;
            }
            Err(RebuildError::Tables(TablesError::Busy { .. })) if attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
    report.records = work.records();
    report.seconds = clock.seconds();
    report.shares = clock.shares;
    // The rest of filling is reading and waiting for Kafka.
    report.shares.push(("of it in the writers (sum)", work.seconds()));
    let rejects = runtime.block_on(live_rejects(options))?;
    if rejects > 0 {
        report.notes.push(format!("{rejects} records were refused by the database; the table sink_rejects says why"));
    }
    Ok(report)
}

/// Goes on where an earlier rebuild stopped, unless its tables do not fit the topics any more.
fn resume(
    source: &Source,
    runtime: &Handle,
    rebuild: &mut Rebuild,
    log: &Marks,
    report: &mut Report,
) -> Result<(), RebuildError> {
    let stored = runtime.block_on(rebuild.staged().positions(PostgresSink::NAME))?;
    let topics: BTreeSet<&str> = log.high.keys().map(|key| &*key.topic).collect();
    let ids = topic_ids(&source.kafka, &topics.into_iter().collect::<Vec<_>>())?;
    let fits = |position: &Position| {
        let key = key_of(position);
        let other = matches!((&position.topic_id, ids.get(&*key.topic)), (Some(a), Some(b)) if *a != b.to_string());
        let inside = log.low.get(&key).zip(log.high.get(&key));
        !other && inside.is_some_and(|(low, high)| (*low..=*high).contains(&position.next_offset))
    };
    if !stored.iter().all(fits) {
        runtime.block_on(rebuild.start_over())?;
    } else if !stored.is_empty() {
        report.notes.push("an earlier rebuild was interrupted; this one went on where it stood".to_owned());
    }
    Ok(())
}

fn key_of(position: &Position) -> TopicPartition {
    TopicPartition::new(position.key.topic.as_str(), position.key.partition)
}

/// Holds the sink that writes the old tables, passes it, and exchanges.
fn exchange(
    source: &Source,
    runtime: &Handle,
    options: &StoreOptions,
    rebuild: &mut Rebuild,
    filling: Filling,
    now: &Marks,
    watch: Watch<'_>,
) -> Result<Offsets, RebuildError> {
    let held = runtime.block_on(rebuild.hold(PostgresSink::NAME))?;
    // Positions in a topic that was created again are passed by none; the new tables follow the new topic.
    let ends = marks(&*admin(source)?, &source.topics(POSTGRES))?.high;
    let theirs: Offsets = held
        .positions
        .iter()
        .map(|position| (key_of(position), position.next_offset))
        .filter_map(|(key, next)| ends.get(&key).map(|end| (key, next.min(*end))))
        .collect();
    filling.reach(source, Step::Exchanging, &now.high, &theirs, watch)?;
    let position = filling.positions()?;
    filling.stop()?;
    runtime.block_on(held.swap(options))?;
    Ok(position)
}

/// Compares the tables that are read with the topics, changing nothing: what a start loads the lineage graph from.
///
/// # Errors
/// [`RebuildError::Differs`] if they differ.
pub fn lineage_tables(
    source: &Source,
    options: &StoreOptions,
    runtime: &Handle,
    watch: Watch<'_>,
) -> Result<Report, RebuildError> {
    let mut clock = Clock::start();
    watch(&Progress { step: Step::Verifying, done: 0, total: 0, trouble: None });
    let store = runtime.block_on(Store::connect(options))?;
    let verified = Some(compare(source, runtime, &store)?);
    clock.lap("verifying");
    Ok(Report { seconds: clock.seconds(), shares: clock.shares, verified, ..Report::default() })
}

/// Compares all tables with all topics.
fn compare(source: &Source, runtime: &Handle, store: &Store) -> Result<String, RebuildError> {
    let mut comparison = Comparison::default();
    let mut changes: BTreeSet<String> = BTreeSet::new();
    let view = &mut comparison.view;
    let stored = runtime.block_on(store.reader().each_record(PostgresSink::NAME, &mut |key, record| {
        let record = as_stored(record);
        if let CatalogRecord::Change(change) = &record {
            changes.insert(change.id.clone());
        } else {
            view.observe(record.topic(), &key, Some(&record));
        }
    }));
    let stored = stored.map_err(|error| RebuildError::Failed { view: POSTGRES, reason: error.to_string() })?;
    let position: Offsets = stored.iter().map(|position| (key_of(position), position.next_offset)).collect();
    // What the database refused is in the topics alone; sink_rejects says so, and so does the report.
    let rejected = runtime.block_on(store.rejected_keys(PostgresSink::NAME))?;
    let changed = |entity: &str| (CatalogTopic::Changes.name().to_owned(), entity.to_owned());
    read_topics(source, &CatalogTopic::ALL, &position, &mut |topic, key, value| match value {
        Some(CatalogRecord::Change(change)) => {
            if !changes.contains(&change.id) && !rejected.contains(&changed(&change.entity)) {
                comparison.missing_changes.insert(change.id);
            }
        }
        value => comparison.topics.observe(topic, &view_key(topic, key), value.map(as_stored).as_ref()),
    })?;
    let topics: BTreeMap<&str, CatalogTopic> =
        CatalogTopic::ALL.into_iter().map(|topic| (topic.name(), topic)).collect();
    for (topic, key) in &rejected {
        if let Some(topic) = topics.get(topic.as_str()) {
            comparison.topics.observe(*topic, &view_key(*topic, key), None);
            comparison.view.observe(*topic, &view_key(*topic, key), None);
        }
    }
    comparison.finish(POSTGRES)
}

async fn live_rejects(options: &StoreOptions) -> Result<u64, RebuildError> {
    let store = Store::connect(options).await?;
    Ok(store.count_rejects(PostgresSink::NAME).await?)
}
