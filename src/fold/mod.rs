//! From facts to catalog records: registers, floors, precedence, renames, lineage supporters (design: model §2, §3).
//!
//! Pure: the only world it sees is the [`State`] of its partition. Its outputs depend on the *set* of facts, not on
//! their order: heads are pure functions of registers, and what is published is the difference between two heads.

mod bulk;
mod cache;
mod changes;
mod checks;
mod columns;
mod container;
mod dataset;
mod declared;
mod diff;
mod entity;
mod forward;
mod history;
mod job;
mod listing;
mod located;
mod names;
mod output;
mod partitions;
mod precedence;
mod quiesce;
mod registers;
mod routes;
mod run;
mod slots;
mod support;
mod usage;
mod view;

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod name_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use cache::Cache;
pub use names::Patterns;
pub use output::blank_origins;
pub use quiesce::{Folded, fold_all};
pub use usage::UsageLimits;

use crate::model::fact::{EntityKind, Fact};
use crate::model::record::CatalogOutput;
use crate::model::state::{State, StateError};

/// What can be set.
#[derive(Clone, Debug)]
pub struct FoldConfig {
    /// Versions kept per register, so that renames and drops that arrive late still find what was before them.
    pub history: usize,
    /// Names that are marked `ignored` instead of filling the catalog.
    pub ignored: Patterns,
    /// Prefixes of ids on servers of which it is configured that case does not count: there spellings cannot collide.
    pub case_blind: Vec<String>,
    /// How much is kept of the use of datasets.
    pub usage: UsageLimits,
    /// Entities of each kind that are kept in memory between facts; a shortcut that changes nothing else.
    pub remembered: usize,
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self {
            history: 4,
            ignored: Patterns::default(),
            case_blind: Vec::new(),
            usage: UsageLimits::default(),
            remembered: 2_000,
        }
    }
}

/// What one fact causes.
#[derive(Clone, Debug, Default)]
pub struct FoldOutput {
    /// For the compacted topics and `catalog.changes`, in this order.
    pub records: Vec<CatalogOutput>,
    /// Back to `catalog.facts`, in this order, in the same transaction.
    pub forwarded: Vec<Fact>,
}

/// Whether a fact caused anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldOutcome {
    /// Records or forwarded facts were added to the output.
    Applied,
    /// Nothing to publish: `unchanged` (known already, or older than what is known), `recorded` (kept in the state,
    /// but nothing a reader sees changed).
    NoOp(&'static str),
}

/// Folds facts into records.
#[derive(Clone, Debug)]
pub struct Folder {
    config: FoldConfig,
    entities: Cache<entity::Known>,
    jobs: Cache<job::Known>,
    usage: usage::Usage,
}

impl Folder {
    /// A folder with this configuration.
    pub fn new(config: FoldConfig) -> Self {
        let (entities, jobs) = (Cache::new(config.remembered), Cache::new(config.remembered));
        Self { config, entities, jobs, usage: usage::Usage::default() }
    }

    /// Folds one fact of partition `part` of the facts; adds what it causes to `out`.
    ///
    /// # Errors
    /// The state cannot be read; nothing was decided then, the caller drops the transaction.
    pub fn apply(
        &mut self,
        part: i32,
        fact: &Fact,
        state: &mut dyn State,
        out: &mut FoldOutput,
    ) -> Result<FoldOutcome, StateError> {
        match fact.kind {
            EntityKind::Dataset if usage::is_part(fact) => self.usage.receive(part, fact, state),
            EntityKind::Dataset | EntityKind::Container | EntityKind::Function => {
                entity::apply(&self.config, &mut self.entities, fact, state, out)
            }
            EntityKind::Job => job::apply(&mut self.jobs, fact, state, out),
            EntityKind::Scope => listing::apply(fact, state, out),
            EntityKind::Query => self.usage.query(part, fact, state, out),
        }
    }

    /// Ends a batch of partition `part`: adds to `out` what its facts have caused together. Must be called before what they
    /// wrote to `state` is kept.
    ///
    /// # Errors
    /// As [`Folder::apply`].
    pub fn flush(&mut self, part: i32, state: &mut dyn State, out: &mut FoldOutput) -> Result<(), StateError> {
        self.usage.flush(part, &self.config.usage, state, out)
    }
}
