//! Folds a list of facts to the end over a state in memory, forwarded facts included: for tests, and for folding a
//! file without Kafka.

use std::collections::{BTreeMap, VecDeque};

use crate::model::fact::Fact;
use crate::model::record::{CatalogRecord, CatalogTopic, ChangeRecord};
use crate::model::state::{MemoryState, StateError};

use super::{FoldConfig, FoldOutcome, FoldOutput, Folder};

/// What is in the compacted topics when everything is quiet.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// Newest value per topic and key; tombstoned keys are absent.
    pub records: BTreeMap<(CatalogTopic, String), CatalogRecord>,
    /// Changes in the order in which they were published.
    pub changes: Vec<ChangeRecord>,
    /// Facts folded, forwarded ones included.
    pub facts: usize,
    /// Records published, tombstones included.
    pub published: usize,
    /// Facts without output, by reason.
    pub no_ops: BTreeMap<&'static str, usize>,
    /// The state.
    pub state: MemoryState,
}

impl Folded {
    /// Folds one fact and everything it forwards, within a batch that [`Folded::settle`] ends.
    ///
    /// # Errors
    /// The state is unreadable.
    pub fn fold(&mut self, folder: &mut Folder, fact: &Fact) -> Result<(), StateError> {
        let mut queue = VecDeque::from([fact.clone()]);
        let mut folded = 0_usize;
        while let Some(fact) = queue.pop_front() {
            folded += 1;
            assert!(folded < 100_000, "forwards of one fact never end: {fact:?}");
            queue.extend(self.fold_one(folder, &fact)?);
        }
        Ok(())
    }

    /// Folds one fact; returns what it forwards.
    ///
    /// # Errors
    /// The state is unreadable.
    pub fn fold_one(&mut self, folder: &mut Folder, fact: &Fact) -> Result<Vec<Fact>, StateError> {
        let mut out = FoldOutput::default();
        let outcome = folder.apply(0, fact, &mut self.state, &mut out)?;
        self.facts += 1;
        if let FoldOutcome::NoOp(reason) = outcome {
            *self.no_ops.entry(reason).or_default() += 1;
        }
        Ok(self.publish(out))
    }

    /// Ends the batch, and all those that follow from it.
    ///
    /// # Errors
    /// The state is unreadable.
    pub fn settle(&mut self, folder: &mut Folder) -> Result<(), StateError> {
        loop {
            let mut out = FoldOutput::default();
            folder.flush(0, &mut self.state, &mut out)?;
            let forwarded = self.publish(out);
            if forwarded.is_empty() {
                return Ok(());
            }
            for fact in &forwarded {
                self.fold(folder, fact)?;
            }
        }
    }

    fn publish(&mut self, out: FoldOutput) -> Vec<Fact> {
        self.published += out.records.len();
        for record in out.records {
            match record.value {
                Some(CatalogRecord::Change(change)) => self.changes.push(*change),
                Some(value) => {
                    self.records.insert((record.topic, record.key), value);
                }
                None => {
                    self.records.remove(&(record.topic, record.key));
                }
            }
        }
        out.forwarded
    }
}

/// Folds facts in the given order, forwarded ones as soon as they appear.
///
/// # Errors
/// The state is unreadable.
pub fn fold_all<'a>(config: FoldConfig, facts: impl IntoIterator<Item = &'a Fact>) -> Result<Folded, StateError> {
    let mut folder = Folder::new(config);
    let mut folded = Folded::default();
    for fact in facts {
        folded.fold(&mut folder, fact)?;
    }
    folded.settle(&mut folder)?;
    Ok(folded)
}
