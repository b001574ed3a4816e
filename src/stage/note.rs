//! What a stage notes beside each committed offset: the ids of the topics that the offset belongs to. An offset that is
//! valid in a log of the same name is not valid in the log that it was committed for. Pure.

use std::fmt;

use crate::kafka::TopicId;

const TOPIC: &str = "topic=";
const CHANGELOG: &str = "changelog=";

/// Ids of the topics behind a committed offset; `None` where nobody could tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffsetNote {
    /// Of the input topic.
    pub topic: Option<TopicId>,
    /// Of the changelog that holds the state that goes with the offset.
    pub changelog: Option<TopicId>,
}

impl OffsetNote {
    /// Reads a note; words of others are passed over.
    pub fn parse(text: &str) -> Self {
        let mut note = Self::default();
        for word in text.split(' ') {
            if let Some(id) = word.strip_prefix(TOPIC) {
                note.topic = id.parse().ok();
            } else if let Some(id) = word.strip_prefix(CHANGELOG) {
                note.changelog = id.parse().ok();
            }
        }
        note
    }

    /// Whether the input topic is another one than the note's.
    pub fn is_other_topic(&self, now: Option<TopicId>) -> bool {
        differ(self.topic, now)
    }

    /// Whether the changelog is another one than the note's.
    pub fn is_other_changelog(&self, now: Option<TopicId>) -> bool {
        differ(self.changelog, now)
    }
}

fn differ(then: Option<TopicId>, now: Option<TopicId>) -> bool {
    matches!((then, now), (Some(then), Some(now)) if then != now)
}

impl fmt::Display for OffsetNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.topic {
            write!(f, "{TOPIC}{id}")?;
        }
        if let Some(id) = self.changelog {
            write!(f, "{}{CHANGELOG}{id}", if self.topic.is_some() { " " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_is_written() {
        let (one, two) = (TopicId([1; 16]), TopicId([2; 16]));
        for note in [
            OffsetNote::default(),
            OffsetNote { topic: Some(one), changelog: None },
            OffsetNote { topic: None, changelog: Some(two) },
            OffsetNote { topic: Some(one), changelog: Some(two) },
        ] {
            assert_eq!(OffsetNote::parse(&note.to_string()), note);
        }
        assert_eq!(OffsetNote::parse("a tool's words topic=zz"), OffsetNote::default());
    }

    #[test]
    fn only_ids_that_are_known_can_differ() {
        let note = OffsetNote { topic: Some(TopicId([1; 16])), changelog: None };
        assert!(note.is_other_topic(Some(TopicId([2; 16]))) && !note.is_other_topic(Some(TopicId([1; 16]))));
        assert!(!note.is_other_topic(None) && !note.is_other_changelog(Some(TopicId([2; 16]))));
    }
}
