//! The lineage graph of a running node: a new one from the topics' beginnings beside the one that answers.

use std::sync::{Arc, PoisonError};

use crate::graph::{EdgeKey, Graph, NodeKind};
use crate::model::record::CatalogRecord;
use crate::sink::{LINEAGE_TOPICS, LineageSink, SharedGraph};
use crate::stage::TaskHandle;
use crate::topology::quiet::Offsets;

use super::fill::{Filling, Work, marks};
use super::verify::read_topics;
use super::{Clock, LINEAGE, Progress, RebuildError, Report, Source, Step, Watch, admin};

/// A new graph that is kept up to date.
pub struct BuiltGraph {
    /// Keeps it up to date.
    pub task: TaskHandle,
    /// Answers.
    pub graph: SharedGraph,
    /// What it took.
    pub report: Report,
}

/// Builds a new graph and catches up with the old one, which stands at `walked`. The caller lets walks go to it and ends
/// the old one.
///
/// # Errors
/// [`RebuildError`]; nothing has changed then.
pub fn lineage(
    source: &Source,
    walked: &dyn Fn() -> Offsets,
    verify: bool,
    watch: Watch<'_>,
) -> Result<BuiltGraph, RebuildError> {
    let mut clock = Clock::start();
    let mut report = Report::default();
    let (admin, topics, work) = (admin(source)?, source.topics(LINEAGE), Arc::new(Work::default()));
    let log = marks(&admin, &topics)?;
    let sink = LineageSink::new(Arc::clone(&source.decoder));
    let graph = sink.graph();
    let mut sink = Some(sink);
    let filling = Filling::start(source, LINEAGE, vec![topics.clone()], &work, || match sink.take() {
        Some(sink) => Ok(Box::new(sink)),
        None => Err(RebuildError::Stopped),
    })?;
    filling.reach(source, Step::Filling, &log.low, &log.high, watch)?;
    clock.lap("filling");
    report.records = work.records();
    if verify {
        watch(&Progress { step: Step::Verifying, done: 0, total: 0, trouble: None });
        report.verified = Some(compare(source, &graph, &filling)?);
        clock.lap("verifying");
    }
    // Nobody may see less than a moment ago.
    filling.reach(source, Step::CatchingUp, &log.high, &walked(), watch)?;
    clock.lap("catching up");
    report.position = filling.positions()?;
    report.seconds = clock.seconds();
    report.shares = clock.shares;
    report.shares.push(("of it in the graph", work.seconds()));
    match filling.into_task() {
        Some(task) => Ok(BuiltGraph { task, graph, report }),
        None => Err(RebuildError::Stopped),
    }
}

/// Compares a graph with one made of the topics record by record. The graph moves on meanwhile: it is looked at as soon as
/// the topics have been read, and once more if records came between.
fn compare(source: &Source, graph: &SharedGraph, filling: &Filling) -> Result<String, RebuildError> {
    const ROUNDS: usize = 5;
    for _ in 0..ROUNDS {
        let position = filling.positions()?;
        let mut expected = Graph::new();
        read_topics(source, &LINEAGE_TOPICS, &position, &mut |topic, key, value| {
            use crate::model::record::CatalogTopic as Topic;
            let edge = EdgeKey::of(key);
            match (topic, value) {
                (_, Some(CatalogRecord::Dataset(record))) => {
                    expected.put_node(&record.id, NodeKind::from_existence(&record.existence));
                }
                (_, Some(CatalogRecord::Lineage(record))) => expected.put_lineage(edge, &record),
                (_, Some(CatalogRecord::ColumnLineage(record))) => expected.put_column_lineage(edge, &record),
                (_, Some(CatalogRecord::Alias(record))) => expected.put_alias(edge, &record),
                (Topic::Lineage, None) => expected.remove_lineage(edge),
                (Topic::ColumnLineage, None) => expected.remove_column_lineage(edge),
                (Topic::Aliases, None) => expected.remove_alias(edge),
                _ => {}
            }
        })?;
        let found = graph.read().unwrap_or_else(PoisonError::into_inner);
        let (found_hash, size) = (found.fingerprint(), found.size());
        drop(found);
        if found_hash == expected.fingerprint() {
            let (tables, columns) = (size.edges, size.column_edges);
            return Ok(format!("{tables} edges, {columns} column edges and their ends are those of the topics"));
        }
        if filling.positions()? == position {
            let (found, expected) = (size, expected.size());
            let differences = vec![format!("the graph has {found:?}, the topics {expected:?}, or other contents")];
            return Err(RebuildError::Differs { view: LINEAGE, differences });
        }
    }
    Err(RebuildError::Failed {
        view: LINEAGE,
        reason: "records kept coming while it was compared; run it again".into(),
    })
}
