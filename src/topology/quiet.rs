//! Quiet: every record that exists has been carried to the end of the flow (design §5).
//!
//! Read all ends, see that every reader has passed them, read all ends again: if they are the same, nothing was under way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kafka::{Admin, Isolation, KafkaError, TopicPartition};

/// Next offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// A reader of topics whose progress counts.
pub struct Reader<'a> {
    /// Its name, for messages.
    pub name: String,
    /// The topics it reads.
    pub topics: Vec<String>,
    /// Where it stands.
    pub progress: Progress<'a>,
}

/// How to ask a reader where it stands.
pub enum Progress<'a> {
    /// Stable committed offsets of a consumer group.
    Group(String),
    /// Positions kept beside the data, such as in Postgres.
    Stored(Box<dyn Fn() -> Result<Offsets, String> + 'a>),
}

/// How far behind a reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The reader.
    pub reader: String,
    /// The partition.
    pub partition: TopicPartition,
    /// Its next offset; `None` if it has none.
    pub position: Option<i64>,
    /// The end it has to reach.
    pub end: i64,
}

/// Why the state of the flow could not be told.
#[derive(Debug, thiserror::Error)]
pub enum QuietError {
    /// Kafka did not answer.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// A reader's store did not answer.
    #[error("positions of {reader}: {message}")]
    Positions {
        /// The reader.
        reader: String,
        /// Its store's words.
        message: String,
    },
    /// Time ran out.
    #[error("not quiet after {} s: {}", .waited.as_secs(), describe(.behind))]
    TimeOut {
        /// How long was waited.
        waited: Duration,
        /// Who was behind at the end; empty if the ends still moved.
        behind: Vec<Behind>,
    },
}

fn describe(behind: &[Behind]) -> String {
    if behind.is_empty() {
        return "records are still being written".to_owned();
    }
    let shown = behind.iter().take(5).map(|one| {
        let at = one.position.map_or("nowhere".to_owned(), |position| position.to_string());
        format!("{} stands at {at} of {} in {}", one.reader, one.end, one.partition)
    });
    let mut text = shown.collect::<Vec<_>>().join("; ");
    if behind.len() > 5 {
        text.push_str(&format!("; and {} more", behind.len() - 5));
    }
    text
}

/// Ends of all partitions of `topics`, whoever wrote them and whether committed or not.
pub fn ends(admin: &Admin, topics: &[String]) -> Result<Offsets, KafkaError> {
    admin.ends(topics, Isolation::Uncommitted)
}

impl Reader<'_> {
    /// Where it stands in those of `partitions` that it has a position in. Does not wait for open transactions.
    ///
    /// # Errors
    /// If Kafka or its store does not answer.
    pub fn positions(&self, admin: &Admin, partitions: &[TopicPartition]) -> Result<Offsets, QuietError> {
        match &self.progress {
            Progress::Group(group) => {
                let committed = admin.committed_so_far(group, partitions)?;
                Ok(committed.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect())
            }
            Progress::Stored(_) => self.stored(),
        }
    }

    fn stored(&self) -> Result<Offsets, QuietError> {
        match &self.progress {
            Progress::Stored(positions) => {
                positions().map_err(|message| QuietError::Positions { reader: self.name.clone(), message })
            }
            Progress::Group(_) => Ok(Offsets::new()),
        }
    }
}

/// Who has not reached `ends` yet. A partition that never held a record needs no position.
pub fn behind(admin: &Admin, readers: &[Reader<'_>], ends: &Offsets) -> Result<Vec<Behind>, QuietError> {
    let mut found = Vec::new();
    for reader in readers {
        let wanted: Vec<TopicPartition> =
            ends.keys().filter(|one| reader.topics.iter().any(|topic| **topic == *one.topic)).cloned().collect();
        let positions: Offsets = match &reader.progress {
            Progress::Group(group) => {
                let stable = admin.committed(group, &wanted)?;
                stable.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect()
            }
            Progress::Stored(_) => reader.stored()?,
        };
        for partition in wanted {
            let end = ends[&partition];
            let position = positions.get(&partition).copied();
            if end > 0 && position.is_none_or(|position| position < end) {
                found.push(Behind { reader: reader.name.clone(), partition, position, end });
            }
        }
    }
    Ok(found)
}

/// Waits until the flow is quiet and returns the ends it was quiet at. `watched` gets who is behind, each round.
///
/// # Errors
/// A time-out names who is behind.
pub fn wait_quiet(
    admin: &Admin,
    topics: &[String],
    readers: &[Reader<'_>],
    time_out: Duration,
    watched: &mut dyn FnMut(&[Behind]),
) -> Result<Offsets, QuietError> {
    let started = Instant::now();
    loop {
        let first = ends(admin, topics)?;
        let late = behind(admin, readers, &first)?;
        watched(&late);
        if late.is_empty() && ends(admin, topics)? == first {
            return Ok(first);
        }
        if started.elapsed() > time_out {
            return Err(QuietError::TimeOut { waited: started.elapsed(), behind: late });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_names_who_is_behind() {
        let late = |partition| Behind {
            reader: "fold".into(),
            partition: TopicPartition::new("catalog.facts", partition),
            position: (partition > 0).then_some(7),
            end: 9,
        };
        let error = QuietError::TimeOut { waited: Duration::from_secs(3), behind: (0..6).map(late).collect() };
        let text = error.to_string();
        assert!(text.starts_with("not quiet after 3 s: fold stands at nowhere of 9 in catalog.facts-0"), "{text}");
        assert!(text.ends_with("; and 1 more"), "{text}");
    }
}
