//! The search index: filled in a folder beside the one that is searched, which a file then names instead.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::failpoint;
use crate::kafka::{TopicPartition, topic_ids};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::search::{IndexContent, IndexHome, IndexPosition, Searcher};
use crate::sink::{SEARCH_TOPICS, SearchSink, SearchSinkOptions, VisiblePositions};
use crate::stage::TaskHandle;
use crate::topology::quiet::Offsets;

use super::fill::{Filling, Marks, Work, marks};
use super::verify::{Comparison, read_topics};
use super::{BUILD_OPTIONS, Clock, Progress, RebuildError, Report, SEARCH, Source, Step, Watch, admin};

/// A new index that is kept up to date and named as the one to search.
pub struct BuiltIndex {
    /// Keeps it up to date.
    pub task: TaskHandle,
    /// Searches it.
    pub searcher: Searcher,
    /// How far searches see.
    pub visible: VisiblePositions,
    /// What it took.
    pub report: Report,
}

/// Builds the index of a node that does not run; with `verify` it takes the old one's place only if it is what the topics
/// hold.
///
/// # Errors
/// [`RebuildError`]; the old index is then as it was, and what was built is kept for the next attempt.
pub fn search(source: &Source, home: &IndexHome, verify: bool, watch: Watch<'_>) -> Result<Report, RebuildError> {
    let mut clock = Clock::start();
    let mut report = Report::default();
    let folder = home.beside()?;
    fill(source, home, &folder, verify, &mut clock, &mut report, watch)?;
    watch(&Progress { step: Step::Exchanging, done: 0, total: 0, trouble: None });
    promote(home, &folder)?;
    home.clean()?;
    clock.lap("exchanging");
    (report.seconds, report.position) = (clock.seconds(), position_of(&folder)?);
    report.shares.splice(0..0, clock.shares);
    Ok(report)
}

/// Builds the index of a running node beside the one that it searches, catches up with that one, whose searches reach to
/// `searched`, and names the new one. The caller lets searches go to it and ends the old one.
///
/// # Errors
/// As [`search`].
pub fn search_beside(
    source: &Source,
    home: &IndexHome,
    searched: &dyn Fn() -> Offsets,
    verify: bool,
    watch: Watch<'_>,
) -> Result<BuiltIndex, RebuildError> {
    let mut clock = Clock::start();
    let mut report = Report::default();
    let folder = home.beside()?;
    fill(source, home, &folder, verify, &mut clock, &mut report, watch)?;
    let sink = SearchSink::open(&folder, Arc::clone(&source.decoder), SearchSinkOptions::default())?;
    let (searcher, visible) = (sink.searcher(), sink.visible());
    let mut sink = Some(sink);
    let (topics, work) = (source.topics(SEARCH), Arc::new(Work::default()));
    let now = marks(&*admin(source)?, &topics)?;
    let filling = Filling::start(source, SEARCH, vec![topics], &work, || match sink.take() {
        Some(sink) => Ok(Box::new(sink)),
        None => Err(RebuildError::Stopped),
    })?;
    let reached = filling.positions()?;
    filling.reach(source, Step::CatchingUp, &reached, &now.high, watch)?;
    // Nobody may find less than a moment ago.
    let theirs = searched();
    filling.reach(source, Step::CatchingUp, &now.high, &theirs, watch)?;
    while !sees(&visible, &theirs) {
        filling.positions()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    clock.lap("catching up");
    promote(home, &folder)?;
    clock.lap("exchanging");
    report.position = visible.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.seconds = clock.seconds();
    report.shares.splice(0..0, clock.shares);
    match filling.into_task() {
        Some(task) => Ok(BuiltIndex { task, searcher, visible, report }),
        None => Err(RebuildError::Stopped),
    }
}

fn sees(visible: &VisiblePositions, ends: &Offsets) -> bool {
    let seen = visible.lock().unwrap_or_else(PoisonError::into_inner);
    ends.iter().all(|(key, end)| seen.get(key).is_some_and(|position| position >= end))
}

fn promote(home: &IndexHome, folder: &Path) -> Result<(), RebuildError> {
    failpoint::hit("rebuild.search.swap.before");
    home.promote(folder)?;
    failpoint::hit("rebuild.search.swap.after");
    Ok(())
}

/// Fills the index in `folder` from where it stands to where the topics end.
fn fill(
    source: &Source,
    home: &IndexHome,
    folder: &Path,
    verify: bool,
    clock: &mut Clock,
    report: &mut Report,
    watch: Watch<'_>,
) -> Result<(), RebuildError> {
    let topics = source.topics(SEARCH);
    let log = marks(&*admin(source)?, &topics)?;
    let left = IndexContent::open(folder)?.map(|content| content.positions().to_vec()).unwrap_or_default();
    if !fits(source, &left, &log)? {
        home.start_over(folder)?;
    } else if !left.is_empty() {
        report.notes.push("an earlier rebuild was interrupted; this one went on where it stood".to_owned());
    }
    let sink = SearchSink::open(folder, Arc::clone(&source.decoder), BUILD_OPTIONS)?;
    let (mut sink, work) = (Some(sink), Arc::new(Work::default()));
    clock.lap("preparing");
    let filling = Filling::start(source, SEARCH, vec![topics], &work, || match sink.take() {
        Some(sink) => Ok(Box::new(sink)),
        None => Err(RebuildError::Stopped),
    })?;
    filling.reach(source, Step::Filling, &log.low, &log.high, watch)?;
    filling.stop()?;
    clock.lap("filling");
    report.records = work.records();
    report.shares.push(("of it in decoding and waiting for the writer", work.seconds()));
    if verify {
        watch(&Progress { step: Step::Verifying, done: 0, total: 0, trouble: None });
        report.verified = Some(compare(source, folder)?);
        clock.lap("verifying");
    }
    Ok(())
}

fn fits(source: &Source, positions: &[IndexPosition], log: &Marks) -> Result<bool, RebuildError> {
    let topics: BTreeSet<&str> = log.high.keys().map(|key| &*key.topic).collect();
    let ids = topic_ids(&source.kafka, &topics.into_iter().collect::<Vec<_>>())?;
    Ok(positions.iter().all(|position| {
        let key = TopicPartition::new(position.topic.as_str(), position.partition);
        let other = matches!((&position.topic_id, ids.get(&*key.topic)), (Some(a), Some(b)) if *a != b.to_string());
        let inside = log.low.get(&key).zip(log.high.get(&key));
        !other && inside.is_some_and(|(low, high)| (*low..=*high).contains(&position.next_offset))
    }))
}

fn position_of(folder: &Path) -> Result<Offsets, RebuildError> {
    let positions = IndexContent::open(folder)?.map(|content| content.positions().to_vec()).unwrap_or_default();
    let entry =
        |position: IndexPosition| (TopicPartition::new(position.topic, position.partition), position.next_offset);
    Ok(positions.into_iter().map(entry).collect())
}

/// Compares an index that nobody writes with the topics.
pub(super) fn compare(source: &Source, folder: &Path) -> Result<String, RebuildError> {
    let mut comparison = Comparison::default();
    let position = position_of(folder)?;
    if let Some(content) = IndexContent::open(folder)? {
        content.each(&mut |indexed| {
            if let Some(record) = indexed.dataset {
                let key = record.id.clone();
                comparison.view.observe(CatalogTopic::Datasets, &key, Some(&CatalogRecord::Dataset(Box::new(record))));
            }
            if let Some(record) = indexed.stats {
                let (key, record) = (record.id.clone(), CatalogRecord::DatasetStats(Box::new(record)));
                comparison.view.observe(CatalogTopic::DatasetStats, &key, Some(&record));
            }
        })?;
    }
    read_topics(source, &SEARCH_TOPICS, &position, &mut |topic, key, value| {
        comparison.topics.observe(topic, key, value.as_ref());
    })?;
    comparison.finish(SEARCH)
}
