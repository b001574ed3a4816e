//! The algebra of positions: what a delta may be applied to. Pure.
//!
//! A position is the next offset to be processed. A delta moves partitions from exactly where they stand; anything
//! else is a typed error, because a gap loses records and an overlap doubles them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::kafka::{TopicId, TopicPartition};

/// Next offset per partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<TopicPartition, i64>);

/// Where a span begins, seen from the one who stores positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A position is stored and must equal the span's `from`.
    Stored,
    /// Nothing is stored yet, and nothing may have been stored meanwhile.
    Fresh,
}

/// The offsets `from..to` of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The position before.
    pub from: i64,
    /// The position after.
    pub to: i64,
    /// What must be stored before.
    pub start: Start,
    /// The topic's id where it is known; a stored position of another id belongs to a topic that is gone.
    pub topic_id: Option<TopicId>,
}

/// How far a batch moves each partition it touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionDelta(BTreeMap<TopicPartition, Span>);

/// A delta does not fit the position it meets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// Records between would be lost.
    #[error("gap in {partition}: position is {stored}, the batch starts at {from}")]
    Gap {
        /// Where.
        partition: TopicPartition,
        /// The position.
        stored: i64,
        /// The batch's start.
        from: i64,
    },
    /// Records would be processed again.
    #[error("overlap in {partition}: position is {stored}, the batch starts at {from}")]
    Overlap {
        /// Where.
        partition: TopicPartition,
        /// The position.
        stored: i64,
        /// The batch's start.
        from: i64,
    },
    /// A span ends before it begins.
    #[error("span of {partition} runs backwards, from {from} to {to}")]
    Backwards {
        /// Where.
        partition: TopicPartition,
        /// Its start.
        from: i64,
        /// Its end.
        to: i64,
    },
    /// Somebody else stored a position where none was, or the stored one is gone.
    #[error("position of {partition} is not ours: expected {expected:?}, found {found:?}")]
    Fenced {
        /// Where.
        partition: TopicPartition,
        /// What this writer believes to be stored.
        expected: Option<i64>,
        /// What is stored.
        found: Option<i64>,
    },
}

impl PositionError {
    /// Where it was met.
    pub fn partition(&self) -> &TopicPartition {
        match self {
            Self::Gap { partition, .. }
            | Self::Overlap { partition, .. }
            | Self::Backwards { partition, .. }
            | Self::Fenced { partition, .. } => partition,
        }
    }
}

impl Positions {
    /// No positions.
    pub fn new() -> Self {
        Self::default()
    }

    /// The position of a partition.
    pub fn get(&self, partition: &TopicPartition) -> Option<i64> {
        self.0.get(partition).copied()
    }

    /// Sets a position without a delta: what a store or Kafka said.
    pub fn set(&mut self, partition: TopicPartition, next: i64) {
        self.0.insert(partition, next);
    }

    /// Forgets a partition.
    pub fn remove(&mut self, partition: &TopicPartition) {
        self.0.remove(partition);
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.0.iter().map(|(partition, next)| (partition, *next))
    }

    /// Moves all partitions of `delta`, or none.
    pub fn apply(&mut self, delta: &PositionDelta) -> Result<(), PositionError> {
        delta.iter().try_for_each(|(partition, span)| self.check(partition, span))?;
        for (partition, span) in delta.iter() {
            self.0.insert(partition.clone(), span.to);
        }
        Ok(())
    }

    fn check(&self, partition: &TopicPartition, span: &Span) -> Result<(), PositionError> {
        let partition = || partition.clone();
        match (self.get(&partition()), span.start) {
            (Some(found), Start::Fresh) => {
                Err(PositionError::Fenced { partition: partition(), expected: None, found: Some(found) })
            }
            (None, Start::Stored) => {
                Err(PositionError::Fenced { partition: partition(), expected: Some(span.from), found: None })
            }
            (None, Start::Fresh) => Ok(()),
            (Some(stored), Start::Stored) if stored < span.from => {
                Err(PositionError::Gap { partition: partition(), stored, from: span.from })
            }
            (Some(stored), Start::Stored) if stored > span.from => {
                Err(PositionError::Overlap { partition: partition(), stored, from: span.from })
            }
            (Some(_), Start::Stored) => Ok(()),
        }
    }
}

impl FromIterator<(TopicPartition, i64)> for Positions {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, i64)>>(positions: I) -> Self {
        Self(positions.into_iter().collect())
    }
}

impl PositionDelta {
    /// A delta that moves nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the span that follows what this delta already holds for the partition.
    pub fn extend(&mut self, partition: TopicPartition, span: Span) -> Result<(), PositionError> {
        if span.to < span.from {
            return Err(PositionError::Backwards { partition, from: span.from, to: span.to });
        }
        match self.0.entry(partition) {
            Entry::Vacant(entry) => {
                entry.insert(span);
            }
            Entry::Occupied(mut entry) => {
                let stored = entry.get().to;
                if stored < span.from {
                    return Err(PositionError::Gap { partition: entry.key().clone(), stored, from: span.from });
                }
                if stored > span.from {
                    return Err(PositionError::Overlap { partition: entry.key().clone(), stored, from: span.from });
                }
                entry.get_mut().to = span.to;
            }
        }
        Ok(())
    }

    /// The span of a partition.
    pub fn get(&self, partition: &TopicPartition) -> Option<&Span> {
        self.0.get(partition)
    }

    /// Takes a partition out.
    pub fn remove(&mut self, partition: &TopicPartition) {
        self.0.remove(partition);
    }

    /// Whether it moves nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All spans in order of partition.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Span)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn span(from: i64, to: i64, start: Start) -> Span {
        Span { from, to, start, topic_id: None }
    }

    fn delta(partition: i32, span: Span) -> PositionDelta {
        let mut delta = PositionDelta::new();
        delta.extend(tp(partition), span).expect("a single forward span");
        delta
    }

    #[test]
    fn a_delta_starts_exactly_where_the_position_stands() {
        let mut positions = Positions::from_iter([(tp(0), 10)]);
        let gap = positions.apply(&delta(0, span(11, 12, Start::Stored)));
        assert_eq!(gap, Err(PositionError::Gap { partition: tp(0), stored: 10, from: 11 }));
        let overlap = positions.apply(&delta(0, span(9, 12, Start::Stored)));
        assert_eq!(overlap, Err(PositionError::Overlap { partition: tp(0), stored: 10, from: 9 }));
        positions.apply(&delta(0, span(10, 12, Start::Stored))).expect("fits");
        assert_eq!(positions.get(&tp(0)), Some(12));
    }

    #[test]
    fn a_second_writer_is_fenced() {
        let mut positions = Positions::from_iter([(tp(0), 10)]);
        let fresh = positions.apply(&delta(0, span(0, 3, Start::Fresh)));
        assert_eq!(fresh, Err(PositionError::Fenced { partition: tp(0), expected: None, found: Some(10) }));
        let gone = positions.apply(&delta(1, span(5, 7, Start::Stored)));
        assert_eq!(gone, Err(PositionError::Fenced { partition: tp(1), expected: Some(5), found: None }));
    }

    #[test]
    fn a_delta_moves_all_or_nothing() {
        let mut positions = Positions::from_iter([(tp(0), 10), (tp(1), 20)]);
        let mut both = delta(0, span(10, 15, Start::Stored));
        both.extend(tp(1), span(21, 25, Start::Stored)).expect("forward");
        assert!(positions.apply(&both).is_err());
        assert_eq!(positions.get(&tp(0)), Some(10));
    }

    #[test]
    fn spans_do_not_run_backwards() {
        let error = PositionDelta::new().extend(tp(0), span(5, 4, Start::Stored));
        assert_eq!(error, Err(PositionError::Backwards { partition: tp(0), from: 5, to: 4 }));
    }

    proptest! {
        /// Cutting a range anywhere and applying the pieces in order ends where the whole does; any other order of
        /// two non-empty pieces is refused.
        #[test]
        fn cutting_does_not_matter_but_order_does(start in 0i64..1000, cuts in prop::collection::vec(1i64..50, 1..20)) {
            let mut whole = PositionDelta::new();
            let mut pieces = Positions::from_iter([(tp(0), start)]);
            let mut deltas = Vec::new();
            let mut at = start;
            for length in cuts {
                let piece = span(at, at + length, Start::Stored);
                whole.extend(tp(0), piece).expect("contiguous");
                deltas.push(delta(0, piece));
                at += length;
            }
            let mut once = Positions::from_iter([(tp(0), start)]);
            once.apply(&whole).expect("fits");
            if deltas.len() > 1 {
                prop_assert!(pieces.apply(&deltas[1]).is_err());
            }
            for piece in &deltas {
                pieces.apply(piece).expect("contiguous");
            }
            prop_assert_eq!(&once, &pieces);
            prop_assert!(pieces.apply(&deltas[0]).is_err());
        }
    }
}
