//! Runs of a job: registers per (run, state), joined without regard to order, and the record derived from them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::fact::{ColumnEdge, Fact, Origin, RunEvent, Version};
use crate::model::id::EntityId;
use crate::model::record::RunRecord;
use crate::model::state::{State, StateError};

use super::dataset::json_text;
use super::registers::{from_json, hash_text, json, state_key};

/// How long readers see a run after its last event.
const RUN_TTL: i64 = 90 * 86_400 * 1_000_000;
/// Facets kept of one run and state.
const MAX_FACETS: usize = 200;

/// What was read and written. Equal sets of many runs lie in the state once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct EdgeSet {
    pub inputs: BTreeSet<EntityId>,
    pub outputs: BTreeSet<EntityId>,
    #[serde(with = "crate::model::packed_edges")]
    pub columns: BTreeSet<ColumnEdge>,
}

impl EdgeSet {
    /// Pairs of (read, written); a column's source is read although no input names it.
    pub fn pairs(&self) -> BTreeSet<(&EntityId, &EntityId)> {
        let mut out = BTreeSet::new();
        for output in &self.outputs {
            out.extend(self.inputs.iter().map(|input| (input, output)));
        }
        out.extend(self.columns.iter().map(|edge| (&edge.source, &edge.target)));
        out
    }

    /// Whether the run says anything about lineage.
    pub fn is_silent(&self) -> bool {
        self.columns.is_empty() && (self.inputs.is_empty() || self.outputs.is_empty())
    }

    fn extend(&mut self, other: Self) {
        if *self == Self::default() {
            *self = other;
            return;
        }
        self.inputs.extend(other.inputs);
        self.outputs.extend(other.outputs);
        self.columns.extend(other.columns);
    }

    /// What it lies under in the state.
    pub fn hash(&self) -> String {
        hash_text(&json(self))
    }

    /// Stores the set under its hash, if it is not there yet.
    pub fn intern(&self, job: &EntityId, state: &mut dyn State) -> Result<String, StateError> {
        let text = json(self);
        let hash = hash_text(&text);
        let key = state_key(&[job.as_str(), "e", &hash]);
        if state.get(&key)?.is_none() {
            state.put(key, text);
        }
        Ok(hash)
    }

    /// The set of this hash.
    pub fn load(job: &EntityId, hash: &str, state: &dyn State) -> Result<Self, StateError> {
        let key = state_key(&[job.as_str(), "e", hash]);
        match state.get(&key)? {
            Some(bytes) => from_json(&key, &bytes),
            None => Ok(Self::default()),
        }
    }
}

/// One register: everything a source said of a run in one state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RunRegister {
    version: Version,
    origin: Origin,
    /// The newest event, less what is joined below.
    event: RunEvent,
    sets: BTreeSet<String>,
    versions: BTreeMap<EntityId, (Version, String)>,
    facets: BTreeMap<String, (Version, Value)>,
    first: i64,
    last: i64,
    streaming: bool,
}

/// Rank of a state; the highest decides, whenever it came.
fn rank(state: &str) -> u8 {
    match state {
        "FAIL" => 5,
        "ABORT" => 4,
        "COMPLETE" => 3,
        "RUNNING" => 2,
        "START" => 1,
        _ => 0,
    }
}

/// A run as its registers show it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub id: String,
    pub state: String,
    pub set: EdgeSet,
    /// Under which the set lies in the state, where its events all said the same.
    set_hash: Option<String>,
    pub first: i64,
    pub last: i64,
    /// Whether what it read and wrote counts as lineage.
    pub succeeded: bool,
    registers: BTreeMap<(String, String), RunRegister>,
}

impl Run {
    /// Loads a run; `None` if nothing is known of it.
    pub fn load(job: &EntityId, run: &str, state: &dyn State) -> Result<Option<Self>, StateError> {
        let prefix = state_key(&[job.as_str(), "r", run, ""]);
        let mut registers = BTreeMap::new();
        for (key, bytes) in state.scan(&prefix)? {
            let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
            if let Some((state_name, source)) = text.split_once('\0') {
                registers.insert((state_name.to_owned(), source.to_owned()), from_json(&key, &bytes)?);
            }
        }
        Self::of(job, run, registers, None, state)
    }

    /// All runs of a job: only for the rare case that a run takes back what it supported.
    pub fn load_all(job: &EntityId, state: &dyn State) -> Result<Vec<Self>, StateError> {
        let prefix = state_key(&[job.as_str(), "r", ""]);
        let mut runs: BTreeMap<String, BTreeMap<(String, String), RunRegister>> = BTreeMap::new();
        for (key, bytes) in state.scan(&prefix)? {
            let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
            if let [run, state_name, source] = text.split('\0').collect::<Vec<_>>().as_slice() {
                let registers = runs.entry((*run).to_owned()).or_default();
                registers.insert(((*state_name).to_owned(), (*source).to_owned()), from_json(&key, &bytes)?);
            }
        }
        let mut out = Vec::new();
        for (run, registers) in runs {
            out.extend(Self::of(job, &run, registers, None, state)?);
        }
        Ok(out)
    }

    fn of(
        job: &EntityId,
        run: &str,
        registers: BTreeMap<(String, String), RunRegister>,
        mut at_hand: Option<(String, EdgeSet)>,
        state: &dyn State,
    ) -> Result<Option<Self>, StateError> {
        let Some(top) = registers.keys().map(|(state, _)| state).max_by_key(|state| (rank(state), *state)) else {
            return Ok(None);
        };
        let top = top.clone();
        let mut set = EdgeSet::default();
        let hashes: BTreeSet<&String> = registers.values().flat_map(|register| &register.sets).collect();
        for hash in &hashes {
            set.extend(match at_hand.take_if(|(known, _)| known == *hash) {
                Some((_, known)) => known,
                None => EdgeSet::load(job, hash, state)?,
            });
        }
        let set_hash = hashes.first().filter(|_| hashes.len() == 1).map(|hash| (*hash).clone());
        // A stream never completes: what it says while it runs holds.
        let counts = |(state, register): (&str, &RunRegister)| {
            state == "COMPLETE" || (register.streaming && matches!(state, "START" | "RUNNING"))
        };
        let counted: Vec<&RunRegister> = registers
            .iter()
            .filter(|((state, _), register)| counts((state, register)))
            .map(|(_, register)| register)
            .collect();
        let succeeded = !matches!(top.as_str(), "FAIL" | "ABORT") && !counted.is_empty();
        let times = if counted.is_empty() { registers.values().collect() } else { counted };
        let first = times.iter().map(|register| register.first).min().unwrap_or(0);
        let last = times.iter().map(|register| register.last).max().unwrap_or(0);
        Ok(Some(Self { id: run.to_owned(), state: top, set, set_hash, first, last, succeeded, registers }))
    }

    /// Joins an event into its register. The run afterwards; `None` if nothing changed.
    pub fn join(
        job: &EntityId,
        event: &RunEvent,
        streaming: bool,
        fact: &Fact,
        before: Option<&Self>,
        state: &mut dyn State,
    ) -> Result<Option<Self>, StateError> {
        let mut set = EdgeSet::default();
        set.inputs.extend(event.inputs.iter().cloned());
        set.outputs.extend(event.outputs.iter().cloned());
        set.columns.extend(event.column_edges.iter().cloned());
        let said = if set == EdgeSet::default() { None } else { Some((set.intern(job, state)?, set)) };
        let plain = RunEvent {
            run_id: event.run_id.clone(),
            state: event.state.clone(),
            time: event.time,
            nominal_start: event.nominal_start,
            nominal_end: event.nominal_end,
            parent_run: event.parent_run.clone(),
            parent_job: event.parent_job.clone(),
            root_run: event.root_run.clone(),
            error: event.error.clone(),
            engine: event.engine.clone(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            column_edges: Vec::new(),
            dataset_versions: BTreeMap::new(),
            facets: BTreeMap::new(),
        };
        let version = fact.version;
        let new = RunRegister {
            version,
            origin: fact.origin.clone(),
            event: plain,
            sets: said.iter().map(|(hash, _)| hash.clone()).collect(),
            versions: event.dataset_versions.iter().map(|(id, v)| (id.clone(), (version, v.clone()))).collect(),
            facets: event.facets.iter().take(MAX_FACETS).map(|(n, v)| (n.clone(), (version, v.clone()))).collect(),
            first: event.time,
            last: event.time,
            streaming,
        };
        let register = (event.state.clone(), fact.source.as_str().to_owned());
        let old = before.and_then(|run| run.registers.get(&register));
        let joined = match old {
            Some(old) => join(old.clone(), new),
            None => new,
        };
        if old == Some(&joined) {
            return Ok(None);
        }
        let key = state_key(&[job.as_str(), "r", &event.run_id, &event.state, fact.source.as_str()]);
        state.put(key, json(&joined));
        let mut registers = before.map(|run| run.registers.clone()).unwrap_or_default();
        registers.insert(register, joined);
        Self::of(job, &event.run_id, registers, said, state)
    }

    /// Stores what the run read and wrote under its hash, if it is not there yet.
    pub fn intern(&self, job: &EntityId, state: &mut dyn State) -> Result<String, StateError> {
        match &self.set_hash {
            Some(hash) => Ok(hash.clone()),
            None => self.set.intern(job, state),
        }
    }

    /// Whether all that is known of the run comes from our own reading of SQL.
    pub fn is_parsed(&self) -> bool {
        self.registers.keys().all(|(_, source)| source.starts_with("sql/") || source.starts_with("query_log/"))
    }

    fn in_state<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a RunRegister> {
        self.registers.iter().filter(move |((state, _), _)| state == wanted).map(|(_, register)| register)
    }

    /// Registers, those of the highest state and the newest version first.
    fn newest_first(&self) -> Vec<&RunRegister> {
        let mut all: Vec<_> = self.registers.iter().collect();
        all.sort_by_key(|((state, source), register)| {
            (std::cmp::Reverse((rank(state), register.version)), source.clone())
        });
        all.into_iter().map(|(_, register)| register).collect()
    }

    /// The record of `catalog.runs`.
    pub fn record(&self, job: &EntityId, origin: &Origin) -> RunRecord {
        let newest = self.newest_first();
        let mut facets: BTreeMap<&String, &(Version, Value)> = BTreeMap::new();
        let mut versions: BTreeMap<&EntityId, &(Version, String)> = BTreeMap::new();
        for register in self.registers.values() {
            for (name, facet) in &register.facets {
                let known = facets.entry(name).or_insert(facet);
                if facet.0 > known.0 {
                    *known = facet;
                }
            }
            for (id, version) in &register.versions {
                let known = versions.entry(id).or_insert(version);
                if *version > **known {
                    *known = version;
                }
            }
        }
        let is_terminal = rank(&self.state) >= 3;
        let seen = self.registers.values().map(|register| register.last).max().unwrap_or(0);
        RunRecord {
            id: self.id.clone(),
            job: job.as_str().to_owned(),
            state: self.state.clone(),
            started_at: self.in_state("START").map(|register| register.first).min(),
            ended_at: is_terminal.then(|| self.in_state(&self.state).map(|register| register.last).max()).flatten(),
            nominal_start: newest.iter().find_map(|register| register.event.nominal_start),
            nominal_end: newest.iter().find_map(|register| register.event.nominal_end),
            parent_run: newest.iter().find_map(|register| register.event.parent_run.clone()),
            parent_job: newest.iter().find_map(|r| r.event.parent_job.as_ref()).map(|id| id.as_str().to_owned()),
            root_run: newest.iter().find_map(|register| register.event.root_run.clone()),
            error: newest.iter().find_map(|register| register.event.error.clone()),
            engine: newest.iter().find_map(|register| register.event.engine.clone()),
            inputs: self.set.inputs.iter().map(|id| id.as_str().to_owned()).collect(),
            outputs: self.set.outputs.iter().map(|id| id.as_str().to_owned()).collect(),
            dataset_versions: versions
                .into_iter()
                .map(|(id, (_, version))| (id.as_str().to_owned(), version.clone()))
                .collect(),
            facets: facets.into_iter().map(|(name, (_, value))| (name.clone(), json_text(value))).collect(),
            expires_at: seen.saturating_add(RUN_TTL),
            origin: origin.clone(),
        }
    }
}

/// The same whichever event came first.
fn join(a: RunRegister, b: RunRegister) -> RunRegister {
    let (mut newer, older) = if (a.version, json(&a.event)) >= (b.version, json(&b.event)) { (a, b) } else { (b, a) };
    newer.sets.extend(older.sets);
    for (name, facet) in older.facets {
        match newer.facets.get(&name) {
            Some(known) if (known.0, json(&known.1)) >= (facet.0, json(&facet.1)) => {}
            _ => {
                newer.facets.insert(name, facet);
            }
        }
    }
    while newer.facets.len() > MAX_FACETS {
        newer.facets.pop_last();
    }
    for (id, version) in older.versions {
        let known = newer.versions.entry(id).or_insert_with(|| version.clone());
        *known = known.clone().max(version);
    }
    newer.first = newer.first.min(older.first);
    newer.last = newer.last.max(older.last);
    newer.streaming |= older.streaming;
    newer
}
