//! Lineage that a complete declarative source states: it stands without a run, and it retires what older runs bear out
//! and it does not name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::fact::{DeclaredLineage, Fact, Origin, Source, Version};
use crate::model::id::EntityId;
use crate::model::record::LineageRecord;
use crate::model::state::{State, StateError};

use super::run::EdgeSet;
use super::support::new_edge;
use super::view::whole_hour;

/// Sets of edges whose first declaration is remembered per source.
const MAX_FIRSTS: usize = 64;

/// One source's newest declaration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Declaration {
    pub version: Version,
    /// Under which its edges lie in the state.
    pub hash: String,
    /// Under which lies what it names, edges and what is read through virtual datasets.
    pub named: String,
    /// When each set of edges was declared first, so that the order of arrival does not matter.
    firsts: BTreeMap<String, i64>,
    /// When the source's listing of jobs did not name this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<Version>,
}

impl Declaration {
    /// Event time since when it declares these edges.
    pub fn since(&self) -> i64 {
        self.firsts.get(&self.hash).copied().unwrap_or(self.version.time)
    }

    /// Whether the source does not know the job any more: it reads nothing then.
    pub fn is_gone(&self) -> bool {
        self.gone.is_some_and(|gone| gone >= self.version)
    }

    /// Event time of what the source said last.
    pub fn time(&self) -> i64 {
        self.gone.filter(|_| self.is_gone()).unwrap_or(self.version).time
    }

    fn note(&mut self, hash: &str, time: i64) {
        let first = self.firsts.entry(hash.to_owned()).or_insert(time);
        *first = (*first).min(time);
        while self.firsts.len() > MAX_FIRSTS {
            let others = self.firsts.iter().filter(|(hash, _)| **hash != self.hash);
            let Some(oldest) = others.min_by_key(|(hash, time)| (**time, *hash)).map(|(hash, _)| hash.clone()) else {
                return;
            };
            self.firsts.remove(&oldest);
        }
    }
}

/// The newest declaration of each source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Declarations(BTreeMap<Source, Declaration>);

impl Declarations {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn all(&self) -> impl Iterator<Item = &Declaration> {
        self.0.values()
    }

    /// Takes a declaration; `None`: the source lists the job no more, so it reads nothing. Returns whether anything
    /// changed.
    pub fn take(
        &mut self,
        job: &EntityId,
        fact: &Fact,
        lineage: Option<&DeclaredLineage>,
        state: &mut dyn State,
    ) -> Result<bool, StateError> {
        let before = self.0.get(&fact.source).cloned();
        let mut after = match &before {
            Some(known) => known.clone(),
            None => {
                let hash = EdgeSet::default().intern(job, state)?;
                Declaration { version: Version::MIN, named: hash.clone(), hash, firsts: BTreeMap::new(), gone: None }
            }
        };
        match lineage {
            Some(lineage) => {
                let set = edges(lineage);
                let hash = set.hash();
                if fact.version > after.version {
                    set.intern(job, state)?;
                    after.version = fact.version;
                    after.hash.clone_from(&hash);
                    let mut named = set;
                    named.inputs.extend(lineage.through.iter().cloned());
                    after.named = named.intern(job, state)?;
                }
                after.note(&hash, fact.version.time);
            }
            // The edges end; those that it wrote tell whose older runs end with them.
            None => after.gone = after.gone.max(Some(fact.version)),
        }
        if before.as_ref() == Some(&after) {
            return Ok(false);
        }
        self.0.insert(fact.source.clone(), after);
        Ok(true)
    }

    /// Adds the declared edges.
    pub fn derive<'a>(
        &self,
        job: &EntityId,
        sets: &'a BTreeMap<String, EdgeSet>,
        origin: &Origin,
        edges: &mut BTreeMap<(&'a EntityId, &'a EntityId), LineageRecord>,
    ) {
        for one in self.all().filter(|one| !one.is_gone()) {
            let Some(set) = sets.get(&one.hash) else { continue };
            for pair in set.pairs() {
                let edge = edges.entry(pair).or_insert_with(|| new_edge(job, pair, origin));
                edge.stale = false;
                edge.first_seen = edge.first_seen.min(whole_hour(one.since()));
                edge.last_seen = edge.last_seen.max(whole_hour(one.version.time));
            }
        }
    }

    /// What is declared now: the set of edges, and since when.
    pub fn standing<'a>(&'a self, sets: &'a BTreeMap<String, EdgeSet>) -> impl Iterator<Item = (&'a EdgeSet, i64)> {
        let known = self.all().filter(|one| !one.is_gone());
        known.filter_map(|one| Some((sets.get(&one.hash)?, whole_hour(one.since()))))
    }

    /// Whether an edge that runs bore out until `last` is gone: somebody who declares all that is read for this target
    /// did not name it afterwards.
    pub fn retires(&self, pair: (&EntityId, &EntityId), last: i64, sets: &BTreeMap<String, EdgeSet>) -> bool {
        let (source, target) = pair;
        let declared = |one: &Declaration| sets.get(&one.hash).is_some_and(|set| set.outputs.contains(target));
        let mut of_target = self.all().filter(|one| declared(one)).peekable();
        let names =
            |one: &Declaration| !one.is_gone() && sets.get(&one.named).is_some_and(|set| set.inputs.contains(source));
        of_target.peek().is_some() && of_target.all(|one| one.time() > last && !names(one))
    }
}

fn edges(lineage: &DeclaredLineage) -> EdgeSet {
    EdgeSet {
        inputs: lineage.inputs.iter().cloned().collect(),
        outputs: lineage.outputs.iter().cloned().collect(),
        columns: lineage.columns.iter().cloned().collect(),
    }
}
