//! Queries, each counted once over all sources, and how they use datasets (design: model §4).
//!
//! Counting goes in two steps, because a dataset that everybody reads has one owner only: each partition counts its own
//! queries by dataset and day, and sends what has changed to the datasets' owners, at most once in a batch; the owners sum up.
//! Usage keeps the name that the query used, whatever the dataset is called later.

mod counts;
mod expiry;
mod form;
mod owner;
mod part;
mod seen;
mod sketch;
mod tally;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::FixedState;

use crate::model::fact::{Aspect, EntityKind, Entry, Fact, Origin, QueryRun, Source, Statement, Version};
use crate::model::id::EntityId;
use crate::model::query::{day_start, query_record_key, split_usage_key, usage_expiry, usage_key};
use crate::model::record::{CatalogOutput, CatalogRecord, CatalogTopic, QueryRecord};
use crate::model::state::{Epoch, State, StateError};

use super::registers::state_key;
use super::{FoldOutcome, FoldOutput};
use seen::Seen;
use tally::{Due, Tally};

/// How much is kept and shown of the use of a dataset on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageLimits {
    /// Users that a partition lists; of more it only knows roughly how many they are.
    pub users: usize,
    /// Columns, and columns filtered by, that a partition counts.
    pub names: usize,
    /// Columns that it counts of each user.
    pub names_of_user: usize,
    /// Joins that it counts.
    pub joins: usize,
    /// Columns shown of each user.
    pub columns_of_user: usize,
    /// Users shown.
    pub shown_users: usize,
    /// Columns, and columns filtered by, that are shown.
    pub shown_columns: usize,
    /// Joins shown.
    pub shown_joins: usize,
}

impl Default for UsageLimits {
    fn default() -> Self {
        Self {
            users: 100,
            names: 2_000,
            names_of_user: 200,
            joins: 500,
            columns_of_user: 10,
            shown_users: 100,
            shown_columns: 1_000,
            shown_joins: 100,
        }
    }
}

/// What a batch forgets beyond as much as it brings.
const FORGOTTEN_AT_LEAST: usize = 16;
/// Bytes that tallies kept in memory may take for each partition, by their own estimates.
const MAX_REMEMBERED: usize = 32 << 20;

/// The usage of each partition, between its facts.
#[derive(Debug, Default)]
pub(super) struct Usage {
    parts: BTreeMap<i32, Part>,
}

impl Clone for Usage {
    /// A copy begins without memories.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What the open transaction brought to a partition, and tallies as they were saved last.
#[derive(Debug)]
struct Part {
    transaction: Epoch,
    pending: Vec<Pending>,
    /// Where a query lies in `pending`.
    places: HashMap<EntityId, usize, FixedState>,
    /// Datasets and days of which parts have come.
    received: BTreeSet<(EntityId, i64)>,
    tallies: BTreeMap<(i64, EntityId), Tally>,
    /// Tallies that were needed before those of `tallies`; they go at the next turn.
    older: BTreeMap<(i64, EntityId), Tally>,
    /// What `tallies` weigh.
    weight: usize,
}

/// A query of which the open transaction told.
#[derive(Debug)]
struct Pending {
    query: EntityId,
    /// What was counted of it when the transaction began.
    before: Option<Seen>,
    /// What is to be counted now, if it is still what the state holds at the end.
    now: Seen,
    written: Vec<u8>,
    origin: Origin,
}

impl Usage {
    /// The partition's memory, empty after an abort.
    fn part(&mut self, part: i32, state: &dyn State) -> &mut Part {
        let begin = || Part {
            transaction: state.transaction().clone(),
            pending: Vec::new(),
            places: HashMap::default(),
            received: BTreeSet::new(),
            tallies: BTreeMap::new(),
            older: BTreeMap::new(),
            weight: 0,
        };
        let known = self.parts.entry(part).or_insert_with(begin);
        if known.transaction != *state.transaction() {
            *known = begin();
        }
        known
    }

    /// Applies a fact about a query.
    pub fn query(
        &mut self,
        part: i32,
        fact: &Fact,
        state: &mut dyn State,
        out: &mut FoldOutput,
    ) -> Result<FoldOutcome, StateError> {
        let said = fact.entries.iter().find_map(|entry| match &entry.value {
            Some(Statement::Query(query)) => Some(query),
            _ => None,
        });
        let Some(query) = said else { return Ok(FoldOutcome::NoOp("unchanged")) };
        let key = query_key(&fact.entity);
        let bytes = state.get(&key)?;
        let known = bytes.as_deref().map(|bytes| Seen::read(&key, bytes)).transpose()?;
        let seen = Seen::of(fact, query);
        let written = seen.write();
        // One record may have been bound twice, to other schemas: then, too, what stands does not depend on the order.
        let stands = |known: &Seen| match known.rank.cmp(&seen.rank) {
            Ordering::Equal => bytes.as_ref() >= Some(&written),
            other => other == Ordering::Greater,
        };
        if known.as_ref().is_some_and(stands) {
            return Ok(FoldOutcome::NoOp("unchanged"));
        }
        state.put(key, written.clone());
        let record = query_record(fact, query, &seen);
        self.part(part, state).note(Pending {
            query: fact.entity.clone(),
            before: known,
            now: seen,
            written,
            origin: fact.origin.clone(),
        });
        out.records.push(CatalogOutput {
            topic: CatalogTopic::Queries,
            key: query_record_key(&fact.entity),
            owner: fact.entity.as_str().to_owned(),
            value: Some(CatalogRecord::Query(Box::new(record))),
        });
        Ok(FoldOutcome::Applied)
    }

    /// Takes what another partition, or this one, has sent of its queries.
    pub fn receive(&mut self, part: i32, fact: &Fact, state: &mut dyn State) -> Result<FoldOutcome, StateError> {
        let mut changed = false;
        for entry in &fact.entries {
            let Some(Statement::Usage(usage)) = &entry.value else { continue };
            let Some((day, sender)) = split_usage_key(&entry.sub_key) else { continue };
            if owner::receive(fact, (day, sender), usage, state)? {
                self.part(part, state).received.insert((fact.entity.clone(), day));
                changed = true;
            }
        }
        Ok(if changed { FoldOutcome::Applied } else { FoldOutcome::NoOp("unchanged") })
    }

    /// At the end of a batch: counts, sends, sums up and forgets. What is counted is read from the state: a fact whose
    /// outputs were refused is not in it.
    pub fn flush(
        &mut self,
        part: i32,
        limits: &UsageLimits,
        state: &mut dyn State,
        out: &mut FoldOutput,
    ) -> Result<(), StateError> {
        let memory = self.part(part, state);
        if memory.pending.is_empty() && memory.received.is_empty() {
            return Ok(());
        }
        memory.places.clear();
        let pending = std::mem::take(&mut memory.pending);
        let received = std::mem::take(&mut memory.received);
        let mut allowance = FORGOTTEN_AT_LEAST + 2 * (pending.len() + received.len());

        let mut changes = Vec::new();
        for pending in pending {
            let key = query_key(&pending.query);
            let now = match state.get(&key)? {
                Some(bytes) if bytes == pending.written => Some(pending.now),
                Some(bytes) => Some(Seen::read(&key, &bytes)?),
                None => None,
            };
            if now != pending.before {
                changes.push((pending.query, pending.before, now, pending.origin));
            }
        }
        let newest = changes.iter().filter_map(|(_, _, now, _)| now.as_ref().map(|now| now.rank.1.time)).max();
        let newest = newest.max(received.iter().map(|(_, day)| day_start(*day)).max());
        let watermark = expiry::move_watermark(newest, state)?;
        let expired = |day: i64| watermark.is_some_and(|watermark| usage_expiry(day) <= watermark);

        let mut expiring: BTreeMap<i64, Vec<EntityId>> = BTreeMap::new();
        let mut due = AllDue::default();
        for (query, before, now, origin) in changes {
            let minute = |seen: &Option<Seen>| seen.as_ref().map(|seen| expiry::minute_of(seen.expires_at));
            if let Some(minute) = minute(&now).filter(|new| Some(*new) != minute(&before)) {
                expiring.entry(minute).or_default().push(query);
            }
            for (seen, by) in [(before, -1), (now, 1)] {
                let Some(seen) = seen.filter(|seen| !expired(seen.counted.day)) else { continue };
                memory.add(&seen, by, &origin, &mut due, limits, state)?;
            }
        }
        for (minute, queries) in expiring {
            expiry::note(minute, &queries, state)?;
        }
        let mut due: Vec<_> = due.into_iter().collect();
        due.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for ((day, dataset), mut due) in due {
            let (version, usage) = due.tally.save(limits, state)?;
            out.forwarded.push(Fact {
                entity: dataset.clone(),
                kind: EntityKind::Dataset,
                source: Source::parse(format!("usage/{part}")),
                version: Version { epoch: 0, time: day_start(day), seq: version, hash: 0 },
                origin: due.origin,
                via: Vec::new(),
                entries: vec![Entry::keyed(usage_key(day, part), Statement::Usage(usage))],
            });
            memory.remember((day, dataset), due.tally);
        }
        for (dataset, day) in received.into_iter().filter(|(_, day)| !expired(*day)) {
            let record = owner::record(&dataset, day, limits, state)?;
            out.records.push(CatalogOutput {
                topic: CatalogTopic::Usage,
                key: owner::record_key(dataset.as_str(), day),
                owner: dataset.as_str().to_owned(),
                value: record.map(|record| CatalogRecord::Usage(Box::new(record))),
            });
        }
        if let Some(watermark) = watermark {
            expiry::forget_queries(watermark, &mut allowance, state, &mut out.records)?;
            for gone in expiry::forget_tallies(watermark, &mut allowance, state)? {
                memory.recall(&gone);
            }
            expiry::forget_usage(watermark, &mut allowance, state, &mut out.records)?;
        }
        Ok(())
    }
}

/// What is to be sent, by day and dataset.
type AllDue = HashMap<(i64, EntityId), Due, FixedState>;

impl Part {
    /// Notes what a query is to be counted as. What it was when the transaction began stays what the first one says.
    fn note(&mut self, pending: Pending) {
        match self.places.entry(pending.query.clone()) {
            MapEntry::Vacant(entry) => {
                entry.insert(self.pending.len());
                self.pending.push(pending);
            }
            MapEntry::Occupied(entry) => {
                if let Some(known) = self.pending.get_mut(*entry.get()) {
                    (known.now, known.written) = (pending.now, pending.written);
                }
            }
        }
    }

    /// Adds a query to the tallies of its datasets with `by` 1, or takes it out with -1.
    fn add(
        &mut self,
        seen: &Seen,
        by: i64,
        origin: &Origin,
        due: &mut AllDue,
        limits: &UsageLimits,
        state: &dyn State,
    ) -> Result<(), StateError> {
        let day = seen.counted.day;
        for dataset in seen.datasets() {
            let due = match due.entry((day, dataset.clone())) {
                MapEntry::Occupied(entry) => entry.into_mut(),
                MapEntry::Vacant(entry) => {
                    let known = self.recall(entry.key());
                    let tally = known.map_or_else(|| Tally::load(day, dataset, state), Ok)?;
                    entry.insert(Due { tally, origin: origin.clone() })
                }
            };
            due.origin.clone_from(origin);
            if let Some(read) = seen.counted.reads.iter().find(|read| read.dataset == *dataset) {
                due.tally.read(&seen.counted, read, by, limits, state)?;
            }
            if seen.counted.writes.contains(dataset) {
                due.tally.write(by);
            }
        }
        Ok(())
    }

    /// Takes out what is remembered of a tally.
    fn recall(&mut self, key: &(i64, EntityId)) -> Option<Tally> {
        if let Some(tally) = self.tallies.remove(key) {
            self.weight -= tally.weight();
            return Some(tally);
        }
        let mut tally = self.older.remove(key)?;
        tally.turn();
        Some(tally)
    }

    /// Remembers a tally as it was saved. Once they are too many, those are forgotten that were not needed since the last
    /// time: they come back from the state.
    fn remember(&mut self, key: (i64, EntityId), tally: Tally) {
        let weight = tally.weight();
        if weight > MAX_REMEMBERED / 4 {
            return;
        }
        self.weight += weight;
        self.tallies.insert(key, tally);
        if self.weight > MAX_REMEMBERED / 2 {
            self.older = std::mem::take(&mut self.tallies);
            self.weight = 0;
        }
    }
}

/// Whether a fact about a dataset is a part of its usage, as only the fold makes them, and nothing else.
pub(super) fn is_part(fact: &Fact) -> bool {
    !fact.entries.is_empty() && fact.entries.iter().all(|entry| entry.aspect == Aspect::Usage)
}

/// Where the state keeps a query.
fn query_key(query: &EntityId) -> Vec<u8> {
    state_key(&[query.as_str(), "q"])
}

fn query_record(fact: &Fact, query: &QueryRun, seen: &Seen) -> QueryRecord {
    let text = |id: &EntityId| id.as_str().to_owned();
    QueryRecord {
        id: text(&fact.entity),
        platform: query.platform.clone(),
        instance: query.instance.clone(),
        query_id: query.query_id.clone(),
        session: query.session.clone(),
        user: query.user.clone(),
        application: query.application.clone(),
        started_at: query.start,
        ended_at: query.end,
        status: query.status.clone(),
        error: query.error.clone(),
        statement_type: query.statement_type.clone(),
        fingerprint: query.fingerprint.clone(),
        text: query.text.clone(),
        job: query.job.as_ref().map(text),
        reads: seen.counted.reads.iter().map(|read| text(&read.dataset)).collect(),
        writes: seen.counted.writes.iter().map(text).collect(),
        rows: query.rows,
        bytes: query.bytes,
        duration_us: query.duration_us,
        bound: query.bound.clone(),
        source: fact.source.as_str().to_owned(),
        expires_at: query.expires_at,
        origin: fact.origin.clone(),
    }
}
