//! Lineage supporters: which edges a job's successful runs bear out, since when, and which it no longer does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::fact::{ColumnEdge, Origin};
use crate::model::id::{EntityId, column_id};
use crate::model::record::{CatalogRecord, CatalogTopic, ColumnLineageRecord, LineageRecord};

use super::declared::{Declaration, Declarations};
use super::output::Derived;
use super::run::{EdgeSet, Run};
use super::view::whole_hour;

/// An edge absent from this many newest successful runs is stale.
const NEWEST: usize = 5;
/// A stale edge this much older than the newest run retires.
const GRACE: i64 = 7 * 86_400 * 1_000_000;
/// Edge sets remembered per job: jobs that write to a new path each day never repeat one.
const MAX_SETS: usize = 64;

/// How often and when a set of edges was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Use {
    count: i64,
    first: i64,
    last: i64,
    /// Smallest id among the runs of the newest hour: names a supporting run without changing with each.
    run: String,
    /// Edges found by our own parse of SQL: finer than what a definition declares, so no declaration retires them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    parsed: bool,
}

/// The supporting runs of a job, without the runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Support {
    sets: BTreeMap<String, Use>,
    /// (time, run, set), newest first.
    newest: Vec<(i64, String, String)>,
    /// What complete declarative sources say that the job reads and writes.
    #[serde(default, skip_serializing_if = "Declarations::is_empty")]
    pub declared: Declarations,
}

/// What an observer could notice of a [`Support`].
type Glance<'a> = (Option<(&'a String, i64, i64, i64, &'a String)>, Vec<(&'a String, (bool, i64, i64))>);

impl Support {
    /// Counts a successful run.
    pub fn add(&mut self, run: &Run, hash: &str) {
        self.see(run, hash, 1);
    }

    /// Starts counting anew; what is declared stays.
    pub fn forget_runs(&mut self) {
        self.sets.clear();
        self.newest.clear();
    }

    /// The same run was seen again, with the same edges.
    pub fn extend(&mut self, run: &Run, hash: &str) {
        self.see(run, hash, 0);
    }

    fn see(&mut self, run: &Run, hash: &str, count: i64) {
        let known = self.sets.entry(hash.to_owned()).or_insert_with(|| Use {
            count: 0,
            first: run.first,
            last: run.last,
            run: run.id.clone(),
            parsed: false,
        });
        known.parsed |= run.is_parsed();
        known.count += count;
        known.first = known.first.min(run.first);
        let (hour, newest) = (whole_hour(run.last), whole_hour(known.last));
        if hour > newest || (hour == newest && run.id < known.run) {
            known.run.clone_from(&run.id);
        }
        known.last = known.last.max(run.last);
        self.newest.retain(|(_, id, _)| *id != run.id);
        self.newest.push((run.last, run.id.clone(), hash.to_owned()));
        self.newest.sort_by(|a, b| b.cmp(a));
        self.newest.truncate(NEWEST);
        self.forget();
    }

    fn forget(&mut self) {
        while self.sets.len() > MAX_SETS {
            let current: BTreeSet<&String> = self.newest.iter().map(|(_, _, hash)| hash).collect();
            let retired = self.sets.iter().filter(|(hash, _)| !current.contains(hash));
            let Some(oldest) = retired.min_by_key(|(hash, used)| (used.last, *hash)).map(|(hash, _)| hash.clone())
            else {
                return;
            };
            self.sets.remove(&oldest);
        }
    }

    /// Sets whose edges are drawn: (hash, absent from the newest runs).
    pub fn alive(&self) -> Vec<(&String, bool)> {
        let newest = self.newest.first().map_or(i64::MIN, |(time, _, _)| *time);
        let current: BTreeSet<&String> = self.newest.iter().map(|(_, _, hash)| hash).collect();
        let sets =
            self.sets.iter().filter(|(hash, used)| current.contains(hash) || used.last >= newest.saturating_sub(GRACE));
        sets.map(|(hash, _)| (hash, !current.contains(hash))).collect()
    }

    /// What a reader could notice, if there is not more than one set.
    pub fn glance(&self) -> Option<Glance<'_>> {
        if self.sets.len() > 1 {
            return None;
        }
        let only = self
            .sets
            .first_key_value()
            .map(|(hash, used)| (hash, power(used.count), whole_hour(used.first), whole_hour(used.last), &used.run));
        let declared = self.declared.all();
        // Whether a declaration is newer than a run decides, not only when it was seen.
        let shown = |one: &Declaration| (one.is_gone(), whole_hour(one.since()), one.time());
        let declared = declared.map(|one| (&one.named, shown(one))).collect();
        Some((only, declared))
    }

    /// Adds the records of all edges that are drawn.
    pub fn derive(&self, job: &EntityId, sets: &BTreeMap<String, EdgeSet>, origin: &Origin, out: &mut Derived) {
        let mut edges: BTreeMap<(&EntityId, &EntityId), LineageRecord> = BTreeMap::new();
        let mut columns: BTreeMap<(String, String), ColumnLineageRecord> = BTreeMap::new();
        let mut hours: BTreeMap<(&EntityId, &EntityId), i64> = BTreeMap::new();
        self.declared.derive(job, sets, origin, &mut edges);
        for (set, since) in self.declared.standing(sets).filter(|(set, _)| !set.columns.is_empty()) {
            add_columns(job, set, false, origin, &|_| false, &mut columns);
            for column in &set.columns {
                let Some(record) = columns.get_mut(&column_key(column)) else { continue };
                record.first_seen = Some(record.first_seen.map_or(since, |known| known.min(since)));
            }
        }
        // Retired sets still count for when an edge that lives on in another set was first seen.
        let alive: BTreeMap<&String, bool> = self.alive().into_iter().collect();
        for (hash, stale) in &alive {
            let (Some(set), Some(used)) = (sets.get(*hash), self.sets.get(*hash)) else { continue };
            let retired = |pair: (&EntityId, &EntityId)| !used.parsed && self.declared.retires(pair, used.last, sets);
            for pair in set.pairs().into_iter().filter(|pair| !retired(*pair)) {
                let edge = edges.entry(pair).or_insert_with(|| new_edge(job, pair, origin));
                edge.stale &= *stale;
            }
            add_columns(job, set, *stale, origin, &retired, &mut columns);
        }
        for (hash, used) in &self.sets {
            let Some(set) = sets.get(hash) else { continue };
            for pair in set.pairs() {
                let Some(edge) = edges.get_mut(&pair) else { continue };
                edge.runs += used.count;
                edge.first_seen = edge.first_seen.min(whole_hour(used.first));
                edge.last_seen = edge.last_seen.max(whole_hour(used.last));
                let hour = hours.entry(pair).or_insert(i64::MIN);
                let newest = whole_hour(used.last);
                if newest > *hour || (newest == *hour && used.run < edge.run) {
                    edge.run.clone_from(&used.run);
                }
                *hour = (*hour).max(newest);
            }
            for column in &set.columns {
                let Some(record) = columns.get_mut(&column_key(column)) else { continue };
                let (first, last) = (whole_hour(used.first), whole_hour(used.last));
                record.first_seen = Some(record.first_seen.map_or(first, |known| known.min(first)));
                record.last_seen = record.last_seen.max(Some(last));
            }
        }
        for (_, mut edge) in edges {
            edge.runs = power(edge.runs);
            let key = format!("{}|{}|{}", edge.job, edge.source, edge.target);
            out.insert((CatalogTopic::Lineage, key), CatalogRecord::Lineage(edge.into()));
        }
        let hours: BTreeMap<(&str, &str), i64> =
            hours.iter().map(|((source, target), hour)| ((source.as_str(), target.as_str()), *hour)).collect();
        for ((target, source), mut column) in columns {
            // With each hour of runs the table edge changes; its columns must not change too for nothing.
            let of_table = hours.get(&(column.source.as_str(), column.target.as_str())).copied();
            column.last_seen = column.last_seen.filter(|last| Some(*last) != of_table);
            let key = format!("{}|{target}|{source}", column.job);
            out.insert((CatalogTopic::ColumnLineage, key), CatalogRecord::ColumnLineage(column.into()));
        }
    }

    /// Hashes of all remembered sets.
    pub fn hashes(&self) -> impl Iterator<Item = &String> {
        self.sets.keys().chain(self.declared.all().flat_map(|one| [&one.hash, &one.named]))
    }
}

pub(super) fn new_edge(job: &EntityId, (source, target): (&EntityId, &EntityId), origin: &Origin) -> LineageRecord {
    LineageRecord {
        job: job.as_str().to_owned(),
        source: source.as_str().to_owned(),
        target: target.as_str().to_owned(),
        kind: if source == target { "modifies" } else { "write" }.to_owned(),
        confidence: 100,
        first_seen: i64::MAX,
        last_seen: i64::MIN,
        runs: 0,
        stale: true,
        run: String::new(),
        origin: origin.clone(),
    }
}

fn add_columns(
    job: &EntityId,
    set: &EdgeSet,
    stale: bool,
    origin: &Origin,
    retired: &dyn Fn((&EntityId, &EntityId)) -> bool,
    out: &mut BTreeMap<(String, String), ColumnLineageRecord>,
) {
    for edge in set.columns.iter().filter(|edge| !retired((&edge.source, &edge.target))) {
        let record = out.entry(column_key(edge)).or_insert_with(|| ColumnLineageRecord {
            job: job.as_str().to_owned(),
            target: edge.target.as_str().to_owned(),
            target_field: edge.target_field.clone(),
            source: edge.source.as_str().to_owned(),
            source_field: edge.source_field.clone(),
            transformations: Vec::new(),
            description: String::new(),
            masking: false,
            confidence: 100,
            unmapped: false,
            stale: true,
            first_seen: None,
            last_seen: None,
            origin: origin.clone(),
        });
        let kind = [edge.kind.as_str(), edge.subtype.as_str()];
        let kind = kind.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        if let Err(at) = record.transformations.binary_search(&kind)
            && !kind.is_empty()
        {
            record.transformations.insert(at, kind);
        }
        // The larger text, so that the order of sets does not matter.
        if edge.description > record.description {
            record.description.clone_from(&edge.description);
        }
        record.masking |= edge.masking;
        record.unmapped |= edge.unmapped;
        record.stale &= stale;
    }
}

/// (target, source) as ids of columns.
fn column_key(edge: &ColumnEdge) -> (String, String) {
    (column_id(&edge.target, &edge.target_field), column_id(&edge.source, &edge.source_field))
}

/// Largest power of two not above `count`.
fn power(count: i64) -> i64 {
    if count <= 0 { 0 } else { 1 << (63 - count.leading_zeros()) }
}
