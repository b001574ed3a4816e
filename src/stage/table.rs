//! What a stage looks things up in: a view of compacted topics that a follower of this process keeps.
//!
//! The follower is a [`super::Sink`] over memory, run by [`super::spawn_follower`]; the transform holds the view. This is
//! what keeps the two in step: a stage takes no record in before the view has reached the ends that its topics had when
//! the stage's partitions were assigned. What comes into the topics later arrives in the view soon after, without a
//! promise when.

use std::collections::BTreeMap;
use std::fmt;

use crate::kafka::{Admin, Isolation, TopicPartition};

use super::fault::Fault;
use super::task::{TaskHandle, TaskWatch};

/// A view that a stage waits for.
#[derive(Clone)]
pub struct Table {
    topics: Vec<String>,
    follower: TaskWatch,
}

impl Table {
    /// The view of `topics` that `follower` keeps.
    pub fn new(topics: impl IntoIterator<Item = String>, follower: &TaskHandle) -> Self {
        Self { topics: topics.into_iter().collect(), follower: follower.watch() }
    }

    /// Where the topics end now, whoever has written there and whether it is committed or not.
    pub(super) fn ends(&self, admin: &Admin) -> Result<BTreeMap<TopicPartition, i64>, Fault> {
        Ok(admin.ends(&self.topics, Isolation::Uncommitted)?)
    }

    /// The first partition that the view has not read up to its end in `ends`, with where it stands.
    pub(super) fn behind(&self, ends: &BTreeMap<TopicPartition, i64>) -> Option<Behind> {
        let positions = self.follower.positions();
        ends.iter().find_map(|(partition, end)| {
            let position = positions.get(partition).copied();
            let behind = *end > 0 && position.is_none_or(|position| position < *end);
            behind.then(|| Behind { partition: partition.clone(), position, end: *end })
        })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.topics == other.topics
    }
}

impl Eq for Table {}

/// A partition of a table that is not read far enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    partition: TopicPartition,
    position: Option<i64>,
    end: i64,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.position.map_or("nowhere".to_owned(), |position| position.to_string());
        write!(f, "its table stands at {at} of {} in {}", self.end, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::{Shared, StopToken};
    use super::*;

    /// A table whose follower stands at these offsets.
    fn table(positions: BTreeMap<TopicPartition, i64>) -> Table {
        let body = move |shared: &Shared, _: &StopToken| -> Result<(), Fault> {
            shared.update(|status| status.positions = positions);
            Ok(())
        };
        let task = TaskHandle::spawn("schemas", "schemas.0".into(), StopToken::new(), body).expect("thread");
        let table = Table::new(["catalog.datasets".to_owned()], &task);
        task.join().expect("in order");
        table
    }

    #[test]
    fn a_table_is_behind_until_each_partition_has_reached_its_end() {
        let at = |partition: i32| TopicPartition::new("catalog.datasets", partition);
        let ends: BTreeMap<_, _> = [(at(0), 5), (at(1), 0), (at(2), 7)].into();
        let behind = |positions: BTreeMap<_, _>| table(positions).behind(&ends).map(|behind| behind.to_string());
        let nowhere = behind(BTreeMap::new()).expect("it has not begun");
        assert_eq!(nowhere, format!("its table stands at nowhere of 5 in {}", at(0)));
        let late = behind([(at(0), 5), (at(1), 0), (at(2), 6)].into()).expect("one record is missing");
        assert_eq!(late, format!("its table stands at 6 of 7 in {}", at(2)));
        assert_eq!(behind([(at(0), 5), (at(2), 9)].into()), None, "an empty partition needs no position");
    }
}
